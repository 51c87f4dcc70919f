package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/named"
)

// lossFlags are the parameters of the losses.
type lossFlags struct {
	named.Parameters
	PosWeight string
	smoothing float64
}

// The losses that thresholds, and that hard negatives are for.
var (
	thresholdLosses    = []string{"zlpr", "zlpr-soft", "bce", "subset-padded", "class-balanced"}
	hardNegativeLosses = []string{"zlpr", "pairwise", "bce", "asymmetric", "two-way", "distribution-balanced", "class-balanced"}
)

// table is the flags, but s0 and K, for losses that of tells of.
func (f *lossFlags) table(of func(names ...string) []use) flagTable {
	return flagTable{
		{name: "gamma", to: &f.Gamma, uses: of("pairwise"), doc: "scale of pairwise"},
		{name: "margin", to: &f.Margin, uses: of("pairwise"), doc: "margin of pairwise"},
		{name: "focal", to: &f.Focal, uses: of("bce", "class-balanced"), doc: "focal exponent of bce and class-balanced"},
		{name: "gamma-positive", to: &f.GammaPositive, uses: of("asymmetric"), doc: "exponent of the positives of asymmetric"},
		{name: "gamma-negative", to: &f.GammaNegative, uses: of("asymmetric"), doc: "exponent of the negatives of asymmetric"},
		{name: "shift", to: &f.Shift, uses: of("asymmetric"), doc: "probability below which negatives of asymmetric count for nothing"},
		{name: "positive-temperature", to: &f.PositiveTemperature, uses: of("two-way"), doc: "temperature of the positives of two-way"},
		{name: "negative-temperature", to: &f.NegativeTemperature, uses: of("two-way"), doc: "temperature of the negatives of two-way"},
		{name: "beta", to: &f.Beta, uses: of("class-balanced", "class-balanced-softmax"), doc: "β of the effective numbers of samples of class-balanced"},
		{name: "smoothing", to: &f.smoothing, uses: of(named.SmoothLosses...),
			doc: "ε of label smoothing: softmax (1-ε)·y + ε/m over m classes, else (1-ε)·y + ε/2"},
	}
}

// check checks the parameters.
func (f *lossFlags) check() error {
	for _, p := range []struct {
		name  string
		value float64
		above bool // 0, which it may not be
	}{
		{"gamma", f.Gamma, true}, {"focal", f.Focal, false},
		{"gamma-positive", f.GammaPositive, false}, {"gamma-negative", f.GammaNegative, false},
		{"positive-temperature", f.PositiveTemperature, true}, {"negative-temperature", f.NegativeTemperature, true},
	} {
		switch {
		case p.above && (!(p.value > 0) || math.IsInf(p.value, 1)):
			return usagef("--%s %v: a number above 0", p.name, p.value)
		case !(p.value >= 0) || math.IsInf(p.value, 1):
			return usagef("--%s %v: a number of at least 0", p.name, p.value)
		}
	}
	switch {
	case f.Margin-f.Margin != 0:
		return usagef("--margin %v: a finite number", f.Margin)
	case !(f.Shift >= 0 && f.Shift < 1):
		return usagef("--shift %v: at least 0 and below 1", f.Shift)
	case !(f.Beta >= 0 && f.Beta < 1):
		return usagef("--beta %v: at least 0 and below 1", f.Beta)
	case !(f.smoothing >= 0 && f.smoothing < 1):
		return usagef("--smoothing %v: at least 0 and below 1", f.smoothing)
	}
	return nil
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
	if name == "all" && slices.Contains(names, name) {
		return usagef("--loss: all stands alone; leave the other names out")
	}
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
