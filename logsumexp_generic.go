package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
)

// This file is the specification of the kernels: every tier gives the bits of
// these functions.
//
// A row is cut into virtual vectors of 64 bytes, 16 lanes of float32 or 8 of
// float64, two vectors into a group. The exponentials of the two elements of
// a lane in a group are added first, a missing element counting 0; the pairs'
// sums are added to the lane's float64 accumulators, group by group; the lanes
// are combined by a fixed tree.

// sumExp32Generic writes Σ e^y·2^-c, y = min(max(x[i·stride+j], low), high)
// and p = {magic32 - c, low, high}, to sum[i] for every row i of n elements.
// A NaN gives NaN.
func sumExp32Generic(sum, _ []float64, x []float32, stride, rows, n int, p *kernel.RowParams[float32]) {
	for i := range rows {
		row := x[i*stride:][:n]
		var acc [kernel.Lanes32]float64
		var w [2 * kernel.Lanes32]float32
		for len(row) > 0 {
			m := min(len(row), len(w))
			kernel.Exp32(&w, row[:m], p[0], p[1], p[2])
			clear(w[m:])
			row = row[m:]
			for l := range acc {
				acc[l] += float64(w[l] + w[kernel.Lanes32+l])
			}
		}
		sum[i] = kernel.Tree(&acc)
	}
}

// scaleExp32Generic writes e^y·2^-c·factor, y = x[i·stride+j], or 0 unless
// y ≥ low, to dst[i·dstStride+j], with p[i·pStep] = {magic32 - c, low, factor}.
func scaleExp32Generic(dst []float32, dstStride int, x []float32, stride, rows, n int, p []kernel.RowParams[float32], pStep, _ int) {
	for i := range rows {
		row, out, q := x[i*stride:][:n], dst[i*dstStride:][:n], &p[i*pStep]
		var w [2 * kernel.Lanes32]float32
		for len(row) > 0 {
			m := min(len(row), len(w))
			kernel.Exp32(&w, row[:m], q[0], q[1], float32(math.Inf(1)))
			for j, y := range row[:m] {
				if y >= q[1] {
					out[j] = w[j] * q[2]
				} else {
					out[j] = 0
				}
			}
			row, out = row[m:], out[m:]
		}
	}
}

// sumExp64Generic is sumExp32Generic for float64. Each pair's sum is added to
// its lane exactly: err gets the sum of the errors.
func sumExp64Generic(sum, err, x []float64, stride, rows, n int, p *kernel.RowParams[float64]) {
	for i := range rows {
		row := x[i*stride:][:n]
		var acc, e [kernel.Lanes64]float64
		var w [2 * kernel.Lanes64]float64
		for len(row) > 0 {
			m := min(len(row), len(w))
			kernel.Exp64(&w, row[:m], p[0], p[1], p[2])
			clear(w[m:])
			row = row[m:]
			for l := range acc {
				acc[l], e[l] = kernel.TwoSum(acc[l], e[l], w[l]+w[kernel.Lanes64+l])
			}
		}
		for half := kernel.Lanes64 / 2; half > 0; half /= 2 {
			for l := range half {
				acc[l], e[l] = kernel.TwoSum(acc[l], e[l]+e[half+l], acc[half+l])
			}
		}
		sum[i], err[i] = acc[0], e[0]
	}
}

// scaleExp64Generic is scaleExp32Generic for float64.
func scaleExp64Generic(dst []float64, dstStride int, x []float64, stride, rows, n int, p []kernel.RowParams[float64], pStep, _ int) {
	for i := range rows {
		row, out, q := x[i*stride:][:n], dst[i*dstStride:][:n], &p[i*pStep]
		var w [2 * kernel.Lanes64]float64
		for len(row) > 0 {
			m := min(len(row), len(w))
			kernel.Exp64(&w, row[:m], q[0], q[1], math.Inf(1))
			for j, y := range row[:m] {
				if y >= q[1] {
					out[j] = w[j] * q[2]
				} else {
					out[j] = 0
				}
			}
			row, out = row[m:], out[m:]
		}
	}
}

// offsetGeneric writes (x[i·stride+j] - m[i]) - l[i] to dst[i·dstStride+j].
func offsetGeneric[T Float](dst []T, dstStride int, x []T, stride, rows, n int, m, l []T) {
	for i := range rows {
		out := dst[i*dstStride:][:n]
		for j, v := range x[i*stride:][:n] {
			out[j] = (v - m[i]) - l[i]
		}
	}
}
