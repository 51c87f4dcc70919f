package linear

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// gap returns what the objective
//
//	F(W, b) = (1/n)·Σ_i loss(s_i) + (λ/2)·|W|²,   s_i = x_i·W + b
//
// may be above its minimum, from its gradient at one place. With the losses'
// gradients a_i by s_i, and their conjugates, the dual problem bounds F from
// below: for all a' with Σ_i a'_i = 0 the minimum is at least
//
//	D(a') = -(1/n)·Σ_i conjugate(a'_i) - |xᵀ·a'/n|²/(2λ)
//
// Here Σ_i a_i/n = g is the gradient by b, which is small but not 0. Let a' =
// a - d, where d_ic = (g_c/h_c)·p_ic·(1-p_ic) with p = |a| and h_c the mean of
// p_ic·(1-p_ic), the second derivative of F by b_c; so Σ_i d_i = n·g. Then, b
// having dropped out,
//
//	F - D(a') = |xᵀ·a'/n + λW|²/(2λ) + (1/n)·Σ_i Bregman divergence(a'_i, a_i)
//	          ≤ (|G| + r·|g|)²/(2λ) + Σ_c g_c²/h_c
//
// G being the gradient by W and r the largest norm of an x_i: d is of one sign
// in each class, so that |xᵀ·d/n| ≤ r·|g|. The divergence of the binary
// cross-entropy is that of Kullback and Leibler, at most the χ² distance
// d²/(p(1-p)); its mean is g_c²/h_c. So this is a bound for BCE as soon as
// |g_c| ≤ h_c. For the other losses g·H⁻¹·g, with the matrix H of second
// derivatives by b, stands where the sum is; its diagonal is what is taken here.
// The bias of a class that no row has runs off to -Inf: there g_c ≈ h_c ≈ what
// F can still fall.
//
// A separable loss has such a bound for every class, and their sum is that of F. With a
// class weight w the term is w times that of a; with smoothed labels t, p = a + t (see
// hessian), and the divergence is that of p - d and p.
//
// enough ends the computation early: a result above it is no more than that.
func (p *problem) gap(enough float64) float64 {
	cut := p.x.Cols * p.classes
	gap := p.weightGap()
	if gap == 0 || gap > enough {
		return gap
	}
	for c, h := range p.biases() {
		if g := p.gradient[cut+c] / p.scale[cut+c]; g != 0 {
			gap += g * g / h
		}
	}
	return gap
}

// weightGap returns the first part of the gap.
func (p *problem) weightGap() float64 {
	if !p.separable {
		weights, biases := p.norms()
		return weightGap(weights, biases, p.radius, p.o.L2)
	}
	squares := make([]float64, p.classes)
	cut := p.x.Cols * p.classes
	for i, g := range p.gradient[:cut] {
		g /= p.scale[i]
		squares[i%p.classes] += g * g
	}
	gap := 0.0
	for c, square := range squares {
		gap += weightGap(math.Sqrt(square), math.Abs(p.gradient[cut+c]/p.scale[cut+c]), p.radius, p.o.L2)
	}
	return gap
}

// weightGap is (|G| + r·|g|)²/(2λ).
func weightGap(weights, biases, radius, l2 float64) float64 {
	if weights+biases == 0 {
		return 0
	}
	norm := weights + radius*biases
	return norm * norm / (2 * l2)
}

// norms returns the norms of the gradient by W and by b.
func (p *problem) norms() (weights, biases float64) {
	cut := p.x.Cols * p.classes
	for i, g := range p.gradient {
		g /= p.scale[i]
		if i < cut {
			weights += g * g
		} else {
			biases += g * g
		}
	}
	return math.Sqrt(weights), math.Sqrt(biases)
}

// biases returns h, by the gradient of the mean loss by the scores.
func (p *problem) biases() []float64 {
	return p.hessian.columns(p.scores, p.classes, func(i, c int) bool { return isSet(p.words, p.stride, i, c) })
}

// biases returns h of the classes.
func (o *byClass) biases(slopes []float64) []float64 {
	return o.hessian.columns(slopes, o.labels.Rows, func(i, c int) bool { return isSet(o.labels.Words, o.labels.Stride, c, i) })
}

// columns returns the sums of the columns of the second derivatives.
func (c *hessian) columns(slopes []float64, classes int, positive func(row, class int) bool) []float64 {
	h := make([]float64, classes)
	for i := 0; i*classes < len(slopes); i++ {
		row := slopes[i*classes:][:classes]
		if c.plain() {
			for k, a := range row {
				h[k] += c.plainly(a)
			}
			continue
		}
		for k, a := range row {
			h[k] += c.at(a, k, positive(i, k))
		}
	}
	return h
}

// largestNorm returns the largest norm of a row.
func (m *Matrix) largestNorm() float64 {
	largest, zero := 0.0, 0.0
	for j, s := range m.Scale { // an entry that is not stored is -m·s
		zero += m.Mean[j] * s * m.Mean[j] * s
	}
	for i := range m.Rows {
		if m.Dense != nil {
			largest = max(largest, floats.Norm(m.Dense[i*m.Cols:][:m.Cols], 2))
			continue
		}
		square := zero
		for k := m.RowPtr[i]; k < m.RowPtr[i+1]; k++ {
			v := m.Values[k]
			if m.Scale != nil {
				j := m.Indices[k]
				square -= m.Mean[j] * m.Scale[j] * m.Mean[j] * m.Scale[j]
				v = (v - m.Mean[j]) * m.Scale[j]
			}
			square += v * v
		}
		largest = max(largest, math.Sqrt(max(0, square)))
	}
	return largest
}
