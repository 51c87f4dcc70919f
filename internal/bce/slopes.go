package bce

import "github.com/zlpr/zlpr/internal/kernel"

// This file adds up derivatives by the scores, whose sum is that by the threshold, less its
// sign: short rows of float32 many at a time. (The errors that ShortTotals gives of float64 are
// those of positive terms.)

// slopeSums is memory for such sums.
type slopeSums[T kernel.Float] struct {
	sums, errs []float64
	rest       [8*kernel.ShortRow + 16]T // rows that have not enough room behind them
}

// thresholdSlopes sets the derivatives by the thresholds.
func (w *Work[T]) thresholdSlopes(grad []T, stride int) {
	c, s := w.c, &w.slope
	if c.N > kernel.ShortRow || !kernel.IsFloat32[T]() {
		for i := range c.Rows {
			c.ThresholdGrad[i] = -sumOf(grad[i*stride:][:c.N])
		}
		return
	}
	direct := 0 // rows with room for what kernels may read behind them
	if stride == c.N {
		direct = max(0, (c.Rows*c.N-16)/c.N) &^ 7
		s.totals(grad, direct, c.N)
		for i := range direct {
			c.ThresholdGrad[i] = -s.of(i, grad[i*stride:][:c.N])
		}
	}
	for i := direct; i < c.Rows; i += 8 {
		rows := min(8, c.Rows-i)
		for k := range rows {
			copy(s.rest[k*c.N:], grad[(i+k)*stride:][:c.N])
		}
		s.totals(s.rest[:], 8, c.N)
		for k := range rows {
			c.ThresholdGrad[i+k] = -s.of(k, grad[(i+k)*stride:][:c.N])
		}
	}
}

// totals sums up rows of n, of which there are a multiple of 8.
func (s *slopeSums[T]) totals(x []T, rows, n int) {
	s.sums, s.errs = kernel.Resize(s.sums, rows), kernel.Resize(s.errs, rows)
	if rows > 0 {
		kernel.ShortTotals(s.sums, s.errs, x, rows, n)
	}
}

// of returns sum i, which is that of x. Where that is no number sumOf may have one: three
// additions of float32 are in float32.
func (s *slopeSums[T]) of(i int, x []T) float64 {
	if v := s.sums[i]; v-v == 0 {
		return v
	}
	return sumOf(x)
}
