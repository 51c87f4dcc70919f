package ref

import "math/big"

// SoftBCE returns Σ w_i ((1-t_i) softplus(s_i-s0) + p_i t_i softplus(s0-s_i)) for soft
// labels t, p being the positive weights (nil: ones); a factor 0 drops its term. Terms
// are the magnitudes of the terms of the derivatives, the larger one of each class.
func (r Row) SoftBCE(positiveWeight []float64) (result Result, terms []*big.Float) {
	result = r.newResult()
	for i, t := range r.Soft {
		larger := newFloat()
		if r.counts(i) {
			up := Mul(r.weight(i), exactSum(New(1), New(-t)))
			down := Mul(r.weight(i), New(t))
			if positiveWeight != nil {
				down = Mul(down, New(positiveWeight[i]))
			}
			for _, side := range []struct {
				factor, x *big.Float
				sign      float64
			}{{up, r.above(i), 1}, {down, r.below(i), -1}} {
				if side.factor.Sign() == 0 {
					continue
				}
				addTo(result.Loss, result.Loss, Mul(side.factor, Softplus(side.x)))
				slope := Mul(side.factor, Sigmoid(side.x))
				if slope.Cmp(larger) > 0 {
					larger = slope
				}
				result.Grad[i] = Add(result.Grad[i], Mul(New(side.sign), slope))
			}
		}
		terms = append(terms, larger)
	}
	return result.shifted(), terms
}

// SoftSoftmax returns Σ w_i t_i (log Σ e^s - s_i) for soft labels t of any sum; weights
// 0 leave no class out. Terms are the magnitudes of the terms of the derivatives, the
// larger one of each class: T p_i and t_i, or where that is less T (1-p_i) and T - t_i,
// T being Σ w t.
func (r Row) SoftSoftmax() (result Result, terms []*big.Float) {
	result = r.newResult()
	weights := r.Weights
	r.Weights = nil
	label := func(i int) *big.Float {
		t := New(r.Soft[i])
		if weights != nil {
			t = Mul(t, New(weights[i]))
		}
		return t
	}
	var classes []int
	for i := range r.Scores {
		if r.counts(i) {
			classes = append(classes, i)
		}
	}
	terms = make([]*big.Float, len(r.Scores))
	for i := range terms {
		terms[i] = newFloat()
	}
	for _, i := range classes {
		var others []int
		rest := newFloat() // T - t_i
		for _, j := range classes {
			if j != i {
				others = append(others, j)
				rest = Add(rest, label(j))
			}
		}
		s := r.sumOver(others, func(j int) *big.Float { return New(r.Scores[j]) })
		s.scale(number(work).SetExp(New(-r.Scores[i])))
		t := label(i)
		if t.Sign() != 0 {
			result.Loss = Add(result.Loss, Mul(t, s.log1p()))
		}
		// p_i = 1/(1+u), 1 - p_i = u/(1+u)
		total := number(work).Add(one(work), s.total)
		p := number(work).Quo(one(work), total).Float()
		q := number(work).Quo(s.total, total).Float()
		// T p - t = (T-t) p - t (1-p)
		a, b := Mul(rest, p), Mul(t, q)
		result.Grad[i] = Sub(a, b)
		sum := Add(rest, t)
		first, second := larger(Mul(sum, p), t), larger(rest, Mul(sum, q))
		if second.Cmp(first) < 0 {
			first = second
		}
		terms[i] = first
	}
	return result, terms
}

func larger(a, b *big.Float) *big.Float {
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}
