package ref

import "math/big"

// Row is one row: the scores of the classes with their labels. Scores that
// count must not be NaN; infinite ones stand for the limit in which they all
// grow alike. The other numbers must be finite.
type Row struct {
	Scores    []float64
	Positive  []bool    // hard labels
	Soft      []float64 // soft labels, for the losses of soft labels
	Mask      []bool    // the classes that take part; nil: all
	Weights   []float64 // of the classes; nil: ones. Weight 0 leaves a class out
	Threshold float64   // s0
}

// Result is the loss of a row and its derivatives.
type Result struct {
	Loss      *big.Float
	Grad      []*big.Float // by the scores; 0 for classes left out
	Threshold *big.Float   // by s0
}

// counts reports whether class i takes part.
func (r Row) counts(i int) bool {
	return (r.Mask == nil || r.Mask[i]) && (r.Weights == nil || r.Weights[i] != 0)
}

// weight returns the weight of class i.
func (r Row) weight(i int) *big.Float {
	if r.Weights == nil {
		return New(1)
	}
	return New(r.Weights[i])
}

// above returns s_i - s0, exactly.
func (r Row) above(i int) *big.Float { return exactSum(New(r.Scores[i]), New(-r.Threshold)) }

// below returns s0 - s_i, exactly.
func (r Row) below(i int) *big.Float { return new(big.Float).Neg(r.above(i)) }

// classes returns the classes of one label that count, in order.
func (r Row) classes(positive bool) []int {
	var classes []int
	for i := range r.Scores {
		if r.counts(i) && r.Positive[i] == positive {
			classes = append(classes, i)
		}
	}
	return classes
}

func (r Row) newResult() Result {
	result := Result{Loss: newFloat(), Threshold: newFloat(), Grad: make([]*big.Float, len(r.Scores))}
	for i := range result.Grad {
		result.Grad[i] = newFloat()
	}
	return result
}

// shifted completes a loss that depends on the s_i - s0 only: its derivative
// by s0 is minus the sum of the others.
func (r Result) shifted() Result {
	for _, g := range r.Grad {
		subTo(r.Threshold, r.Threshold, g)
	}
	return r
}

// A sum is Σ w_i e^(x_i).
type sum struct {
	terms []*Number // w_i e^(x_i)
	total *Number
}

func newSum(x, w []*big.Float) sum {
	s := sum{total: number(work)}
	for i := range x {
		term := number(work).SetExp(x[i])
		term.Mul(term, number(work).SetFloat(w[i]))
		s.terms = append(s.terms, term)
		s.total.Add(s.total, term)
	}
	return s
}

// scale multiplies the sum by f.
func (s sum) scale(f *Number) {
	for _, t := range s.terms {
		t.Mul(t, f)
	}
	s.total.Mul(s.total, f)
}

// log1p returns log(1 + Σ).
func (s sum) log1p() *big.Float { return s.total.Log1p() }

// share returns term i over 1 + Σ.
func (s sum) share(i int) *big.Float {
	total := number(work).Add(one(work), s.total)
	return total.Quo(s.terms[i], total).Float()
}

// SoftmaxCrossEntropy returns w_t·log(1 + Σ e^(s_i-s_t)), t being the only
// positive class and the sum over the others. Weights 0 leave no class out; that
// of t makes the loss 0, an infinite one, too.
func (r Row) SoftmaxCrossEntropy() Result {
	weights := r.Weights
	r.Weights = nil
	targets := r.classes(true)
	if len(targets) != 1 {
		panic("ref: softmax cross-entropy needs one positive class")
	}
	t := targets[0]
	weight := Row{Weights: weights}.weight(t)
	if weight.Sign() == 0 {
		return r.newResult()
	}
	others := r.classes(false)
	x, w := make([]*big.Float, len(others)), make([]*big.Float, len(others))
	for j, i := range others {
		x[j], w[j] = New(r.Scores[i]), New(1)
	}
	s := newSum(x, w)
	s.scale(number(work).SetExp(New(-r.Scores[t])))
	result := r.newResult()
	result.Loss = Mul(weight, s.log1p())
	for j, i := range others {
		result.Grad[i] = Mul(weight, s.share(j))
		subTo(result.Grad[t], result.Grad[t], result.Grad[i])
	}
	return result
}

// BCE returns Σ w_i p_i q_i^focal softplus(-y_i): y_i is s_i - s0 for a
// positive class and s0 - s_i for a negative one, q_i = sigmoid(-y_i), and p_i
// is the positive weight of a positive class (nil: ones) and 1 for a negative.
func (r Row) BCE(positiveWeight []float64, focal float64) Result {
	result := r.newResult()
	for i := range r.Scores {
		if !r.counts(i) {
			continue
		}
		x, w := r.above(i), r.weight(i) // x = -y
		if r.Positive[i] {
			x = r.below(i)
			if positiveWeight != nil {
				w = Mul(w, New(positiveWeight[i]))
			}
		}
		if w.Sign() == 0 {
			continue // whatever the score
		}
		// d/dx of q^γ softplus(x) is q^γ (γ (1-q) softplus(x) + q).
		value, q := Softplus(x), Sigmoid(x)
		slope := q
		if focal != 0 && !x.IsInf() {
			// q^γ, log q = -softplus(-x): an exponent that matters is below 2^32.
			minus := new(big.Float).Neg(x)
			logarithm := softplus(minus, work+32)
			power := Exp(logarithm.Mul(logarithm, New(-focal)))
			slope = Mul(power, Add(q, Mul(New(focal), Mul(Sigmoid(minus), value))))
			value = Mul(power, value)
		}
		addTo(result.Loss, result.Loss, Mul(w, value))
		if r.Positive[i] {
			slope = Neg(slope)
		}
		result.Grad[i] = Mul(w, slope)
	}
	return result.shifted()
}

// Pairwise returns log(1 + Σ_N w_i e^(γ(s_i+m)) · Σ_P w_j e^(-γ s_j)).
func (r Row) Pairwise(gamma, margin float64) Result {
	g := New(gamma)
	negatives, positives := r.classes(false), r.classes(true)
	result := r.newResult()
	if len(negatives) == 0 || len(positives) == 0 {
		return result
	}
	a := r.sumOver(negatives, func(i int) *big.Float { return exactProduct(g, exactSum(New(r.Scores[i]), New(margin))) })
	b := r.sumOver(positives, func(i int) *big.Float { return exactProduct(g, New(-r.Scores[i])) })
	product := number(work).Mul(a.total, b.total)
	result.Loss = product.Log1p()
	total := number(work).Add(one(work), product)
	derivative := func(term, others *Number) *big.Float {
		x := number(work).Mul(term, others)
		return Mul(g, x.Quo(x, total).Float())
	}
	for j, i := range negatives {
		result.Grad[i] = derivative(a.terms[j], b.total)
	}
	for j, i := range positives {
		result.Grad[i] = Neg(derivative(b.terms[j], a.total))
	}
	return result
}

// sumOver returns Σ w_i e^(x(i)) over the classes given.
func (r Row) sumOver(classes []int, x func(i int) *big.Float) sum {
	xs, ws := make([]*big.Float, len(classes)), make([]*big.Float, len(classes))
	for j, i := range classes {
		xs[j], ws[j] = x(i), r.weight(i)
	}
	return newSum(xs, ws)
}

// ZLPR returns log(1 + Σ_N w_i e^(s_i-s0)) + log(1 + Σ_P w_j e^(s0-s_j)).
func (r Row) ZLPR() Result {
	negatives, positives := r.classes(false), r.classes(true)
	a := r.sumOver(negatives, r.above)
	b := r.sumOver(positives, r.below)
	result := r.newResult()
	result.Loss = Add(a.log1p(), b.log1p())
	for j, i := range negatives {
		result.Grad[i] = a.share(j)
	}
	for j, i := range positives {
		result.Grad[i] = Neg(b.share(j))
	}
	return result.shifted()
}

// SoftZLPR returns log(1 + Σ w_i (1-t_i) e^(s_i-s0)) + log(1 + Σ w_i t_i
// e^(s0-s_i)) for soft labels t; a factor 0 drops its term.
func (r Row) SoftZLPR() Result {
	result := r.newResult()
	side := func(weight func(t *big.Float) *big.Float, sign float64, distance func(i int) *big.Float) {
		var x, w []*big.Float
		var classes []int
		for i, t := range r.Soft {
			if !r.counts(i) {
				continue
			}
			if weight := weight(New(t)); weight.Sign() != 0 {
				classes = append(classes, i)
				x = append(x, distance(i))
				w = append(w, Mul(r.weight(i), weight))
			}
		}
		s := newSum(x, w)
		addTo(result.Loss, result.Loss, s.log1p())
		for j, i := range classes {
			result.Grad[i] = Add(result.Grad[i], Mul(New(sign), s.share(j)))
		}
	}
	side(func(t *big.Float) *big.Float { return exactSum(New(1), t.Neg(t)) }, 1, r.above)
	side(func(t *big.Float) *big.Float { return t }, -1, r.below)
	return result.shifted()
}
