package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file is the specification of the kernels of the k-subset softmax: every
// tier gives the bits of these functions. All run through float64 arrays whose
// length is a multiple of 8: element i belongs to lane i mod 8, and lanes are
// summed by the tree (l, l+4), (l, l+2), (l, l+1).

// tiltExpGeneric writes e[i] = e^y, y = sign·x[i] - pivot, for sign = ±1. With
// the rounded difference d and its error ε, y = d + ε,
//
//	e[i] = fma(w, ε, w),  w = e^min(d, coef.TiltHighest), or 0 where d < coef.TiltLowest
//
// It returns Σ m and Σ m² with m = min(e[i], 1).
func tiltExpGeneric[T Float](e []float64, x []T, sign, pivot float64) (sum, squares float64) {
	var s1, s2 [Lanes64]float64
	for i, v := range x {
		s := float64(float64(v) * sign)
		d := s - pivot
		b := d - s
		err := (s - (d - b)) - (pivot + b)
		y := min(max(d, coef.TiltLowest), coef.TiltHighest)
		t := math.FMA(y, coef.Log2E64, coef.Magic64)
		n := t - coef.Magic64
		r := math.FMA(n, -coef.Ln2Lo64, math.FMA(n, -coef.Ln2Hi64, y))
		w := scalar.ExpRest(r) * math.Float64frombits(math.Float64bits(t)<<52)
		if !(d >= coef.TiltLowest) {
			w = 0
		}
		w = math.FMA(w, err, w)
		e[i] = w
		m := min(w, 1)
		s1[i%Lanes64] += m
		s2[i%Lanes64] = math.FMA(m, m, s2[i%Lanes64])
	}
	return tree8(&s1), tree8(&s2)
}

// tree8 adds 8 lanes in the order (l, l+4), (l, l+2), (l, l+1).
func tree8(acc *[Lanes64]float64) float64 {
	return ((acc[0] + acc[4]) + (acc[2] + acc[6])) + ((acc[1] + acc[5]) + (acc[3] + acc[7]))
}

// tiltSumsGeneric returns Σ p and Σ p² with p = t/(1+t), t = e[i]·g: the mean of
// the number of successes, and what its variance Σ p - Σ p² lacks of it.
func tiltSumsGeneric(e []float64, g float64) (sum, squares float64) {
	var s1, s2 [Lanes64]float64
	for i, v := range e {
		t := float64(v * g) // not fused with what follows
		p := t / (1 + t)
		s1[i%Lanes64] += p
		s2[i%Lanes64] = math.FMA(p, p, s2[i%Lanes64])
	}
	return tree8(&s1), tree8(&s2)
}

// tiltSplitGeneric writes the odds r[i] = t = e[i]·g where t ≤ cut and 0
// elsewhere, bit i%8 of above[i/8] telling where, and returns the largest r.
func tiltSplitGeneric(r []float64, above []uint8, e []float64, g, cut float64) (largest float64) {
	for i, v := range e {
		if i%8 == 0 {
			above[i/8] = 0
		}
		t := float64(v * g)
		if t > cut {
			above[i/8] |= 1 << (i % 8)
			t = 0
		}
		r[i] = t
		largest = max(largest, t)
	}
	return largest
}

// espForwardGeneric multiplies the polynomials of the 8 lanes, coefficient j of
// lane l at f[8j+l] and the constant one being 1, by (1 + r·x) for each r of
// the lane, cut at degree d:
//
//	f[j] = fma(r, f[j-1], f[j]),  j = d, …, 1
func espForwardGeneric(f, r []float64, d int) {
	f = f[:8*(d+1)]
	for ; len(r) >= 8; r = r[8:] {
		q := (*[8]float64)(r)
		for at := 8 * d; at > 0; at -= 8 {
			high, low := (*[8]float64)(f[at:]), (*[8]float64)(f[at-8:])
			for l := range 8 {
				high[l] = math.FMA(q[l], low[l], high[l])
			}
		}
	}
}

// inclusionGeneric writes dst[i] = r·H(-r)·scale, r = r[i], for the polynomial H
// with the coefficients c, by Horner's rule from the highest:
//
//	h = fma(-r, h, c[t])
func inclusionGeneric[T Float](dst []T, r, c []float64, scale float64) {
	for i, v := range r {
		h := c[len(c)-1]
		for t := len(c) - 2; t >= 0; t-- {
			h = math.FMA(-v, h, c[t])
		}
		dst[i] = T(float64(v*h) * scale)
	}
}

// correlateGeneric writes dst[j] = Σ_i y[i]·x[i+j], added up from i = 0 by fma
// starting from 0. x has at least len(dst) + len(y) - 1 elements.
func correlateGeneric(dst, x, y []float64) {
	for j := range dst {
		s := 0.0
		for i, v := range x[j:][:len(y)] {
			s = math.FMA(y[i], v, s)
		}
		dst[j] = s
	}
}
