package main

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/exact"
)

// addElements adds Σ row weight × classes that take part, over the rows of a
// batch that count, from row r0 of the evaluation on: what a mean over
// elements divides by. All classes that the mask lets through take part, whatever
// they weigh, but for the threshold's column.
func (e *evaluation) addElements(sum *exact.Sum, labels zlpr.Bits, r0, r1 int) error {
	n := e.scores.classes()
	var targets []int32
	if t, ok := labels.(*zlpr.TargetLabels); ok {
		targets = t.Targets // rows without one are left out
	}
	all := n
	if e.thresholdColumn > 0 {
		all--
	}
	if e.mask == nil && e.rowWeights == nil && targets == nil {
		sum.AddProduct(float64(r1-r0), float64(all))
		return nil
	}
	width := (n + 63) / 64
	var words []uint64
	if e.mask != nil {
		words = make([]uint64, (r1-r0)*width)
		if err := (maskBits{e.mask.block(r0, r1)}).ReadRows(words, 0, r1-r0); err != nil {
			return e.explain(err, r0)
		}
	}
	for i := range r1 - r0 {
		if targets != nil && targets[i] == zlpr.Ignore {
			continue
		}
		classes := all
		if words != nil {
			classes = 0
			row := words[i*width:][:width]
			if k := e.thresholdColumn - 1; k >= 0 {
				row[k/64] &^= 1 << (k % 64)
			}
			for _, word := range row {
				classes += bits.OnesCount64(word)
			}
		}
		weight := 1.0
		if e.rowWeights != nil {
			weight = e.rowWeights[r0+i]
		}
		sum.AddProduct(weight, float64(classes))
	}
	return nil
}

// meanOfElements is the mean over the elements that take part of losses of that
// sum and mean over rows.
func meanOfElements(r *zlpr.Result, elements float64) float64 {
	if math.IsInf(r.Sum, 0) && !math.IsInf(r.Loss, 0) { // a sum beyond the numbers
		return r.Loss * (r.Weight / elements)
	}
	return r.Sum / elements
}
