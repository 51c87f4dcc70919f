package kernel

import "math"

// This file is the specification of the kernels of softmax cross-entropy with soft labels:
// every tier gives the bits of these functions.
//
// It is that of the class of the highest score, and what these sums make of it:
//
//	Σ t·(log Σ e^x - x) = Σ t·(log Σ e^x - top) + Σ t·(top - x)
//
// They are added as weighted sums are (see side.go). The elements with the highest score,
// mostly one, are the row's peak: nothing of theirs is in a sum.

// A Peak is the highest label of the elements with a row's highest score, and their number.
type Peak[T Float] [2]T

// A targetGroup is the elements of a group, 0 where one takes no part or is of the peak:
// the exponentials, the distances from the highest score, and the labels. Two products of
// these are added with one rounding.
type targetGroup[T Float] [3][2 * Lanes32]T

// softTargets32Generic writes the exponentials, and -1 for an element of the
// peak, to w, their sum to a, the sums of the
// products and of the labels to sums, and the highest label of the peak with its number of
// elements to peaks. Exponentials of scores below the range of pivot 0 are 0.
func softTargets32Generic(a []float64, sums [][2]float64, peaks []Peak[float32], w []float32, wStride int, x []float32, stride int, t []float32, tStride, rows, n int, part []uint64, words int, top []float32) {
	p := PivotParams[float32](0)
	for i := range rows {
		peaks[i] = Peak[float32]{}
		var acc [3][8]float64
		for from := 0; from < n; from += 2 * Lanes32 {
			var g targetGroup[float32]
			y := x[i*stride:][from:min(n, from+2*Lanes32)]
			Exp32(&g[0], y, p[0], p[1], p[2])
			g.fill(y, t[i*tStride+from:], part[i*words+from/64]>>(from%64), top[i], p[1], &peaks[i])
			g.keep(w[i*wStride+from:], y, part[i*words+from/64]>>(from%64), top[i])
			for l := range acc[0] {
				sum := func(s, l int) float32 { return g[s][l] + g[s][Lanes32+l] }
				product := func(l int) float32 { return fma32(g[1][Lanes32+l], g[2][Lanes32+l], g[1][l]*g[2][l]) }
				acc[0][l] += float64(sum(0, l) + sum(0, 8+l))
				acc[1][l] += float64(product(l) + product(8+l))
				acc[2][l] += float64(sum(2, l) + sum(2, 8+l))
			}
		}
		a[i], sums[i] = eight(&acc[0]), [2]float64{eight(&acc[1]), eight(&acc[2])}
	}
}

// softTargets64Generic is softTargets32Generic for float64: sums are added exactly, and
// the errors at the end.
func softTargets64Generic(a []float64, sums [][2]float64, peaks []Peak[float64], w []float64, wStride int, x []float64, stride int, t []float64, tStride, rows, n int, part []uint64, words int, top []float64) {
	p := PivotParams[float64](0)
	for i := range rows {
		peaks[i] = Peak[float64]{}
		var acc, err [3][Lanes64]float64
		for from := 0; from < n; from += 2 * Lanes64 {
			var g targetGroup[float64]
			y := x[i*stride:][from:min(n, from+2*Lanes64)]
			Exp64((*[2 * Lanes64]float64)(g[0][:]), y, p[0], p[1], p[2])
			g.fill(y, t[i*tStride+from:], part[i*words+from/64]>>(from%64), top[i], p[1], &peaks[i])
			g.keep(w[i*wStride+from:], y, part[i*words+from/64]>>(from%64), top[i])
			for l := range Lanes64 {
				acc[0][l], err[0][l] = TwoSum(acc[0][l], err[0][l], g[0][l]+g[0][Lanes64+l])
				acc[1][l], err[1][l] = TwoSum(acc[1][l], err[1][l], math.FMA(g[1][Lanes64+l], g[2][Lanes64+l], float64(g[1][l]*g[2][l])))
				acc[2][l], err[2][l] = TwoSum(acc[2][l], err[2][l], g[2][l]+g[2][Lanes64+l])
			}
		}
		var total [3]float64
		for s := range acc {
			c, d := &acc[s], &err[s]
			for half := Lanes64 / 2; half > 0; half /= 2 {
				for l := range half {
					c[l], d[l] = TwoSum(c[l], d[l]+d[half+l], c[half+l])
				}
			}
			total[s] = c[0] + d[0]
		}
		a[i], sums[i] = total[0], [2]float64{total[1], total[2]}
	}
}

// fill sets what the scores y, whose exponentials are there, and labels t of a group make,
// and takes the elements of the peak in.
func (g *targetGroup[T]) fill(y, t []T, part uint64, top, low T, peak *Peak[T]) {
	for j := range g[0] {
		if j >= len(y) || part>>j&1 == 0 {
			g[0][j] = 0
			continue
		}
		if y[j] == top {
			g[0][j] = 0
			peak[0] = max(peak[0], t[j])
			peak[1]++
			continue
		}
		if y[j] < low {
			g[0][j] = 0
		}
		g[1][j], g[2][j] = top-y[j], t[j]
	}
}

// keep writes the exponentials, and -1 in place of those of the peak.
func (g *targetGroup[T]) keep(w, y []T, part uint64, top T) {
	copy(w, g[0][:len(y)])
	for j, x := range y {
		if x == top && part>>j&1 != 0 {
			w[j] = -1
		}
	}
}

// softTargetScale32Generic writes w·f[i] - t·scale[i], the product with the label not
// rounded, to dst, or the peak's derivative where w < 0.
func softTargetScale32Generic(dst []float32, dstStride int, w []float32, wStride int, t []float32, tStride, rows, n int, f, scale, peak []float32) {
	for i := range rows {
		out, t := dst[i*dstStride:][:n], t[i*tStride:]
		for j, e := range w[i*wStride:][:n] {
			out[j] = peak[i]
			if !(e < 0) {
				out[j] = fma32(-scale[i], t[j], float32(e*f[i]))
			}
		}
	}
}

// softTargetScale64Generic is softTargetScale32Generic for float64.
func softTargetScale64Generic(dst []float64, dstStride int, w []float64, wStride int, t []float64, tStride, rows, n int, f, scale, peak []float64) {
	for i := range rows {
		out, t := dst[i*dstStride:][:n], t[i*tStride:]
		for j, e := range w[i*wStride:][:n] {
			out[j] = peak[i]
			if !(e < 0) {
				out[j] = math.FMA(-scale[i], t[j], float64(e*f[i]))
			}
		}
	}
}
