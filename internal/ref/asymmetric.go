package ref

import (
	"math"
	"math/big"
)

// Asymmetric returns Σ_P w (1-p)^γ+ (-log p) + Σ_N w r^γ- (-log(1-r)), p = sigmoid(s) and
// r = max(p-m, 0). Near are m/r of the negatives, 0 where r is or m is 0.
func (r Row) Asymmetric(positive, negative, m float64) (result Result, near []*big.Float) {
	result = r.newResult()
	near = make([]*big.Float, len(r.Scores))
	none := make([]bool, len(r.Scores))
	for i := range near {
		near[i] = newFloat()
		none[i] = r.Mask == nil || r.Mask[i]
	}
	// The positives, and without a shift the negatives, are focal binary cross-entropy.
	side := func(gamma float64, label bool) {
		part := r
		part.Threshold = 0
		part.Mask = make([]bool, len(r.Scores))
		for i, p := range r.Positive {
			part.Mask[i] = none[i] && p == label
		}
		of := part.BCE(nil, gamma)
		addTo(result.Loss, result.Loss, of.Loss)
		for i, g := range of.Grad {
			result.Grad[i] = Add(result.Grad[i], g)
		}
	}
	side(positive, true)
	if m == 0 {
		side(negative, false)
		return result, near
	}
	for _, i := range r.classes(false) {
		s := New(r.Scores[i])
		p, q := Sigmoid(s), Sigmoid(Neg(s))
		x := Sub(p, New(m))
		if x.Sign() <= 0 {
			continue
		}
		near[i] = Quo(New(m), x)
		rest := Add(q, New(m))
		l := Quo(x, rest) // -log(1-r) = log(1 + r/(1-r))
		l = number(work).SetFloat(l).Log1p()
		power := newFloat().SetInt64(1)
		if negative != 0 {
			power = Exp(Mul(New(negative), number(work).SetFloat(x).Log()))
		}
		slope := Add(Quo(Mul(New(negative), l), x), Quo(newFloat().SetInt64(1), rest))
		result.Loss = Add(result.Loss, Mul(r.weight(i), Mul(power, l)))
		result.Grad[i] = Mul(r.weight(i), Mul(Mul(p, q), Mul(power, slope)))
	}
	return result, near
}

// TwoWay returns softplus(T- log Σ_N e^(s/T-) + T+ log Σ_P e^(-s/T+)), 0 where a side is
// empty.
func (r Row) TwoWay(positive, negative float64) Result {
	result := r.newResult()
	sides := [2][]int{r.classes(false), r.classes(true)}
	if len(sides[0]) == 0 || len(sides[1]) == 0 {
		return result
	}
	z := newFloat()
	shares := [2][]*big.Float{}
	for k, t := range []float64{negative, positive} {
		sign := 1 - 2*float64(k)
		top := math.Inf(-1)
		for _, i := range sides[k] {
			top = max(top, sign*r.Scores[i])
		}
		origin := newFloat() // the differences from it have all their digits
		if !math.IsInf(top, 0) {
			origin = New(top)
		}
		var y []*big.Float
		for _, i := range sides[k] {
			y = append(y, num(4*work).Quo(exactSum(New(sign*r.Scores[i]), Neg(origin)), New(t)))
		}
		shares[k] = Softmax(y)
		z = exactSum(z, exactSum(origin, exactProduct(LogSumExp(y), New(t))))
	}
	result.Loss = Softplus(z)
	slope := Sigmoid(z)
	for k, classes := range sides {
		for j, i := range classes {
			result.Grad[i] = Mul(slope, shares[k][j])
			if k == 1 {
				result.Grad[i] = Neg(result.Grad[i])
			}
		}
	}
	return result
}
