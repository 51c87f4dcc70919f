package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file is the specification of the kernels of softmax cross-entropy with soft labels:
// every tier gives the bits of these functions.
//
// It is that of the class of the highest score, and what these sums make of it:
//
//	Σ t·(log Σ e^x - x) = Σ t·(log Σ e^x - top) + Σ t·(top - x)
//
// All terms are positive. A row is cut into groups of four virtual vectors, of which
// exponentials and labels are added lane by lane as (v0+v1) + (v2+v3), and products by
// multiply-adds in their order; lanes are added as sums of two sides are (see select.go).
// The elements with the highest score, mostly one, are the row's peak: their exponentials
// and labels are in no sum.

// A Peak is the label of the elements with a row's highest score, of several the bits of
// all, and their number.
type Peak[T Float] [2]T

// A targetGroup is the elements of a group: the exponentials, 0 in the peak, the distances
// from the highest score, and the labels with and without those of the peak. What follows a
// row are elements far below it without a label.
type targetGroup[T Float] struct {
	power, distance, label, others [4 * Lanes32]T
}

// softTargets32Generic writes the highest scores to top, the exponentials to w unless that is nil, their sum to a, the
// sum of the products to distance, that of the labels to others, and the peak to peaks.
func softTargets32Generic(a, distance, others []float64, peaks []Peak[float32], w []float32, wStride int, x []float32, stride int, t []float32, tStride, rows, n int, top []float32) (bits uint64) {
	p, low := PivotParams[float32](0), float32(coef.ScaleLow32)
	const lanes = Lanes32
	for i := range rows {
		top[i] = highest(x[i*stride:][:n])
		var acc [3][8]float64
		var label uint32
		count := 0
		for from := 0; from < n; from += 4 * lanes {
			var g targetGroup[float32]
			y := x[i*stride:][from:min(n, from+4*lanes)]
			for k := 0; k < len(y); k += 2 * lanes {
				Exp32((*[2 * lanes]float32)(g.power[k:]), y[k:], p[0], low, p[2])
			}
			g.check(!(top[i] <= p[2]))
			if w != nil {
				copy(w[i*wStride+from:], g.power[:len(y)])
			}
			g.fill(y, t[i*tStride+from:], top[i], func(t float32) {
				label |= math.Float32bits(t)
				count++
			})
			sum := func(v *[4 * Lanes32]float32, l int) float32 {
				return (v[l] + v[lanes+l]) + (v[2*lanes+l] + v[3*lanes+l])
			}
			product := func(l int) float32 {
				q := g.distance[l] * g.label[l]
				for k := lanes; k < 4*lanes; k += lanes {
					q = fma32(g.distance[k+l], g.label[k+l], q)
				}
				return q
			}
			for l := range acc[0] {
				acc[0][l] += float64(sum(&g.power, l) + sum(&g.power, 8+l))
				acc[1][l] += float64(product(l) + product(8+l))
				acc[2][l] += float64(sum(&g.others, l) + sum(&g.others, 8+l))
			}
		}
		a[i], distance[i], others[i] = eight(&acc[0]), eight(&acc[1]), eight(&acc[2])
		peaks[i] = Peak[float32]{math.Float32frombits(label), float32(count)}
	}
	return mostBits(t, tStride, rows, n)
}

// softTargets64Generic is softTargets32Generic for float64: sums of groups are added
// exactly, and the errors at the end.
func softTargets64Generic(a, distance, others []float64, peaks []Peak[float64], w []float64, wStride int, x []float64, stride int, t []float64, tStride, rows, n int, top []float64) (bits uint64) {
	p, low := PivotParams[float64](0), float64(coef.ScaleLow64)
	const lanes = Lanes64
	for i := range rows {
		top[i] = highest(x[i*stride:][:n])
		var acc, err [3][lanes]float64
		var label uint64
		count := 0
		for from := 0; from < n; from += 4 * lanes {
			var g targetGroup[float64]
			y := x[i*stride:][from:min(n, from+4*lanes)]
			for k := 0; k < len(y); k += 2 * lanes {
				Exp64((*[2 * lanes]float64)(g.power[k:]), y[k:], p[0], low, p[2])
			}
			g.check(!(top[i] <= p[2]))
			if w != nil {
				copy(w[i*wStride+from:], g.power[:len(y)])
			}
			g.fill(y, t[i*tStride+from:], top[i], func(t float64) {
				label |= math.Float64bits(t)
				count++
			})
			add := func(s, l int, x float64) { acc[s][l], err[s][l] = TwoSum(acc[s][l], err[s][l], x) }
			for l := range lanes {
				sum := func(v *[4 * Lanes32]float64) float64 {
					return (v[l] + v[lanes+l]) + (v[2*lanes+l] + v[3*lanes+l])
				}
				q := float64(g.distance[l] * g.label[l])
				for k := lanes; k < 4*lanes; k += lanes {
					q = math.FMA(g.distance[k+l], g.label[k+l], q)
				}
				add(0, l, sum(&g.power))
				add(1, l, q)
				add(2, l, sum(&g.others))
			}
		}
		var total [3]float64
		for s := range acc {
			c, d := &acc[s], &err[s]
			for half := lanes / 2; half > 0; half /= 2 {
				for l := range half {
					c[l], d[l] = TwoSum(c[l], d[l]+d[half+l], c[half+l])
				}
			}
			total[s] = c[0] + d[0]
		}
		a[i], distance[i], others[i] = total[0], total[1], total[2]
		peaks[i] = Peak[float64]{math.Float64frombits(label), float64(count)}
	}
	return mostBits(t, tStride, rows, n)
}

// highest returns the highest number of a row, +0 for zeros; NaN is open.
func highest[T Float](x []T) T {
	top := T(math.Inf(-1))
	for _, v := range x {
		top = max(top, v)
	}
	if top == 0 {
		return 0
	}
	return top
}

// check makes the exponentials NaN where scores are above the range or NaN.
func (g *targetGroup[T]) check(above bool) {
	for j := range g.power {
		if above {
			g.power[j] = CanonicalNaN[T]()
		}
	}
}

// fill sets what the scores y, whose exponentials are there, and labels t of a group make;
// peak takes the labels of the peak.
func (g *targetGroup[T]) fill(y, t []T, top T, peak func(t T)) {
	for j, x := range y {
		g.distance[j], g.label[j], g.others[j] = top-x, t[j], t[j]
		if g.distance[j] == 0 { // an infinite one is none
			g.power[j], g.others[j] = 0, 0
			peak(t[j])
		}
	}
}

// softTargetScale32Generic writes w·f[i] - t·scale[i], the product with the label not
// rounded, to dst, or the peak's derivative where w ≥ most[i].
func softTargetScale32Generic(dst []float32, dstStride int, w []float32, wStride int, t []float32, tStride, rows, n int, f, scale, most, peak []float32) (bits uint64) {
	for i := range rows {
		out, labels := dst[i*dstStride:][:n], t[i*tStride:]
		for j, e := range w[i*wStride:][:n] {
			out[j] = peak[i]
			if !(e >= most[i]) {
				out[j] = fma32(-scale[i], labels[j], float32(e*f[i]))
			}
		}
	}
	return leastBits(t, tStride, rows, n)
}

// softTargetScale64Generic is softTargetScale32Generic for float64.
func softTargetScale64Generic(dst []float64, dstStride int, w []float64, wStride int, t []float64, tStride, rows, n int, f, scale, most, peak []float64) (bits uint64) {
	for i := range rows {
		out, labels := dst[i*dstStride:][:n], t[i*tStride:]
		for j, e := range w[i*wStride:][:n] {
			out[j] = peak[i]
			if !(e >= most[i]) {
				out[j] = math.FMA(-scale[i], labels[j], float64(e*f[i]))
			}
		}
	}
	return leastBits(t, tStride, rows, n)
}

// SimplePeak reports whether a row has one highest score, whose exponential is a normal number
// as its inverse is, and sums in which nothing is lost below the smallest normal number.
func SimplePeak[T Float](p *Peak[T], top, a, distance, others float64) bool {
	low, high, least := coef.NaturalLow64, coef.NaturalHigh64, coef.LeastProducts64
	if IsFloat32[T]() {
		low, high, least = coef.NaturalLow32, coef.NaturalHigh32, coef.LeastProducts32
	}
	return p[1] == 1 && low <= a && a <= high && coef.LeastTop <= top && top <= coef.TargetLimit &&
		(distance >= least || others == 0) && distance <= math.MaxFloat64
}

func knowPeaks32Generic(label []float32, inverse []float64, peaks []Peak[float32], top []float32, sums []float64, room, rows int) bool {
	return knowPeaksGeneric(label, inverse, peaks, top, sums, room, rows)
}

func knowPeaks64Generic(label, inverse []float64, peaks []Peak[float64], top, sums []float64, room, rows int) bool {
	return knowPeaksGeneric(label, inverse, peaks, top, sums, room, rows)
}

func knowPeaksGeneric[T Float](label []T, inverse []float64, peaks []Peak[T], top []T, sums []float64, room, rows int) bool {
	simple := true
	for i := range rows {
		t := float64(top[i])
		label[i], inverse[i] = peaks[i][0], -t
		simple = SimplePeak(&peaks[i], t, sums[i], sums[room+i], sums[2*room+i]) && simple
	}
	return simple
}
