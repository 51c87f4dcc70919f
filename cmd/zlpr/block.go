package main

import (
	"math"
	"slices"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/sparse"
)

// block returns rows r0 to r1-1 of the scores, where they lie or in buffer,
// which grows. A score that a sparse matrix does not list is -Inf.
func block[T array.Number](s *scoreSource, buffer *[]T, r0, r1 int) []T {
	if s.csr != nil {
		return sparse.Block(s.csr, buffer, r0, r1, T(math.Inf(-1)))
	}
	n := s.classes()
	ahead(s.dense, r0*n, r1*n)
	return elements(s.dense, buffer, r0*n, r1*n)
}

// readAhead is how many elements the system is told to read ahead at a time.
const readAhead = 4 << 20

// ahead tells the system, as blocks pass from one stretch of readAhead elements
// to the next, that the stretch after that is wanted soon. It reads while
// blocks are computed.
func ahead(a *array.Array, from, to int) {
	if next := (to/readAhead + 1) * readAhead; from == 0 || from/readAhead != to/readAhead {
		a.WillNeed(next, next+readAhead)
	}
}

// elements returns the elements from to to-1, where they lie or in buffer.
func elements[T array.Number](a *array.Array, buffer *[]T, from, to int) []T {
	if v, ok := array.View[T](a, from, to); ok {
		return v
	}
	if h, ok := array.Halves(a, from, to); ok {
		if _, ok := any(buffer).(*[]float32); ok {
			*buffer = kernel.Resize(*buffer, to-from)
			widen(kernel.Cast[float32](*buffer), h, a.Type)
			return *buffer
		}
	}
	*buffer = array.Read(a, *buffer, from, to)
	return *buffer
}

// widen writes the float32 of 16-bit floats.
func widen(dst []float32, bits []uint16, t array.DType) {
	if t == array.BFloat16 {
		kernel.WidenBFloat16(dst, bits, len(bits))
	} else {
		kernel.WidenFloat16(dst, bits, len(bits))
	}
}

// blockRows is the number of rows of a block: about as many scores as the
// second-level cache holds.
func blockRows(rows, classes int) int {
	return max(1, min(rows, blockScores/max(1, classes), 1<<15))
}

const blockScores = 1 << 18

// lossNames are the names of the losses, in the order of the table.
var lossNames = []string{"softmax", "bce", "pairwise", "zlpr", "zlpr-soft", "subset", "subset-padded"}

// lossFlags are the parameters of the losses.
type lossFlags struct {
	S0        float64
	K         int
	Gamma     float64
	Margin    float64
	Focal     float64
	PosWeight string
}

// defaultLoss has what the parameters are where nobody says otherwise.
var defaultLoss = lossFlags{Gamma: 1}

// newLoss returns the loss of that name.
func (f *lossFlags) newLoss(name string, posWeight []float64) (zlpr.Loss, error) {
	switch name {
	case "softmax":
		return zlpr.SoftmaxCrossEntropy{}, nil
	case "bce":
		return zlpr.BCE{Threshold: f.S0, PositiveWeight: posWeight, Focal: f.Focal}, nil
	case "pairwise":
		return zlpr.Pairwise{Gamma: f.Gamma, Margin: f.Margin}, nil
	case "zlpr":
		return zlpr.ZLPR{Threshold: f.S0}, nil
	case "zlpr-soft":
		return zlpr.SoftZLPR{Threshold: f.S0}, nil
	case "subset":
		return zlpr.Subset{}, nil
	case "subset-padded":
		return zlpr.PaddedSubset{K: f.K, Threshold: f.S0}, nil
	}
	return nil, unknownLoss(name, append(slices.Clone(lossNames), "all"))
}

// unknownLoss is the error of a loss that is none of names.
func unknownLoss(name string, names []string) error {
	return usagef("unknown loss %q; choose from %s%s", name, strings.Join(names, ", "), didYouMean(name, "", names))
}
