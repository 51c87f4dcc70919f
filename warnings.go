package zlpr

import (
	"math/bits"

	"github.com/zlpr/zlpr/internal/kernel"
)

// LooksLikeProbabilities reports whether m has scores and all of them lie in
// [0, 1]: a sigmoid or softmax was applied, and the losses want none. NaN is no
// probability.
func LooksLikeProbabilities[T Score](m Matrix[T]) bool {
	m.check()
	if m.Cols == 0 {
		return false
	}
	for i := range m.Rows {
		if !ofRow(m.Row(i), unitRow[float32], unitRow[float64]) {
			return false
		}
	}
	return m.Rows > 0
}

// unitRow reports whether all scores of a row lie in [0, 1].
func unitRow[T Float](row []T) bool {
	for _, v := range row {
		if !(v >= 0 && v <= 1) {
			return false
		}
	}
	return true
}

// NothingPredicted reports whether a batch has positives but no score above the
// threshold where classes take part: all measures of the predictions are 0 or
// undefined then. It is true of untrained models, or of the wrong threshold.
// Soft labels are positives from 1/2 on. The error is that of reading labels or
// mask.
func NothingPredicted[T Score](b *Batch[T], threshold float64) (bool, error) {
	m := b.Scores
	m.check()
	w := kernel.BitWords(m.Cols)
	pos, part := make([]uint64, w), make([]uint64, w)
	kernel.SetBits(part, 0, m.Cols)
	any := false
	for i := range m.Rows {
		row := m.rowOrEmpty(i)
		if b.Mask != nil {
			if err := b.Mask.ReadRows(part, i, i+1); err != nil {
				return false, err
			}
		}
		if b.Labels != nil {
			if err := b.Labels.ReadRows(pos, i, i+1); err != nil {
				return false, err
			}
		}
		for k, v := range part {
			any = any || pos[k]&v != 0
			for ; v != 0; v &= v - 1 {
				j := 64*k + bits.TrailingZeros64(v)
				if valueAt(row, j) > threshold && j != b.ThresholdColumn-1 {
					return false, nil
				}
				any = any || b.Soft.Data != nil && valueAt(b.Soft.Row(i), j) >= 0.5
			}
		}
	}
	return any, nil
}
