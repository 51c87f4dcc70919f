package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/named"
)

// lossFlags are the parameters of the losses.
type lossFlags struct {
	named.Parameters
	PosWeight string
}

// lossNames are the names of the losses, in the order of reports.
var lossNames = named.LossNames

// newLoss returns the loss of that name.
func (f *lossFlags) newLoss(name string, positiveWeight []float64) (zlpr.Loss, error) {
	if e := named.FindLoss(name); e != nil {
		return e.Make(&f.Parameters, positiveWeight), nil
	}
	return nil, unknownLoss(name, append(slices.Clone(lossNames), "all"))
}

// unknownLoss is the error of a loss that is none of names.
func unknownLoss(name string, names []string) error {
	return usagef("unknown loss %q; choose from %s%s", name, strings.Join(names, ", "), didYouMean(name, "", names))
}

// lossLines are the losses of that names with their formulas, a line each.
func lossLines(names []string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "  %-14s %s\n", name, named.FindLoss(name).Line)
	}
	return b.String()
}
