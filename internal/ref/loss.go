package ref

import "math/big"

// Row is one row: the scores of the classes with their labels. Scores, and
// Threshold, must be finite where they count, or infinite where the loss is
// finite all the same (a negative at -Inf, a positive at +Inf).
type Row struct {
	Scores    []float64
	Positive  []bool    // hard labels
	Soft      []float64 // soft labels, for SoftZLPR alone
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

// above returns s_i - s0.
func (r Row) above(i int) *big.Float { return Sub(New(r.Scores[i]), New(r.Threshold)) }

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

// A sum is Σ w_i e^(x_i), kept as e^shift·total. The shift is 0 unless an x_i
// is too large for a big.Float of exponent e^(x_i).
type sum struct {
	shift *big.Float
	terms []*big.Float // w_i e^(x_i-shift)
	total *big.Float
}

func newSum(x, w []*big.Float) sum {
	s := sum{shift: newFloat(), total: newFloat()}
	for _, x := range x {
		if exponentAbove(x, 30) && x.Cmp(s.shift) > 0 {
			s.shift = x
		}
	}
	for i := range x {
		term := Mul(w[i], Exp(Sub(x[i], s.shift)))
		s.terms = append(s.terms, term)
		addTo(s.total, s.total, term)
	}
	return s
}

// log1p returns log(1 + Σ).
func (s sum) log1p() *big.Float {
	if s.shift.Sign() == 0 {
		return Log1p(s.total)
	}
	return Add(s.shift, Log(Add(Exp(Neg(s.shift)), s.total)))
}

// log returns log Σ.
func (s sum) log() *big.Float { return Add(s.shift, Log(s.total)) }

// share returns term i over 1 + Σ.
func (s sum) share(i int) *big.Float {
	return Quo(s.terms[i], Add(Exp(Neg(s.shift)), s.total))
}

// SoftmaxCrossEntropy returns w_t·log(1 + Σ e^(s_i-s_t)), t being the only
// positive class and the sum over the others.
func (r Row) SoftmaxCrossEntropy() Result {
	targets := r.classes(true)
	if len(targets) != 1 {
		panic("ref: softmax cross-entropy needs one positive class")
	}
	t := targets[0]
	others := r.classes(false)
	x, w := make([]*big.Float, len(others)), make([]*big.Float, len(others))
	for j, i := range others {
		x[j], w[j] = Sub(New(r.Scores[i]), New(r.Scores[t])), New(1)
	}
	s := newSum(x, w)
	result := r.newResult()
	result.Loss = Mul(r.weight(t), s.log1p())
	for j, i := range others {
		result.Grad[i] = Mul(r.weight(t), s.share(j))
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
			x = Neg(x)
			if positiveWeight != nil {
				w = Mul(w, New(positiveWeight[i]))
			}
		}
		// d/dx of q^γ softplus(x) is q^γ (γ (1-q) softplus(x) + q).
		value, q := Softplus(x), Sigmoid(x)
		slope := q
		if focal != 0 {
			power := Exp(Mul(New(-focal), Softplus(Neg(x)))) // q^γ, log q = -softplus(-x)
			slope = Mul(power, Add(q, Mul(New(focal), Mul(Sigmoid(Neg(x)), value))))
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
	a := r.sumOver(negatives, func(i int) *big.Float { return Mul(g, Add(New(r.Scores[i]), New(margin))) })
	b := r.sumOver(positives, func(i int) *big.Float { return Mul(g, New(-r.Scores[i])) })
	l := Add(a.log(), b.log())
	result.Loss = Softplus(l)
	slope := Mul(g, Sigmoid(l))
	for j, i := range negatives {
		result.Grad[i] = Mul(slope, Quo(a.terms[j], a.total))
	}
	for j, i := range positives {
		result.Grad[i] = Neg(Mul(slope, Quo(b.terms[j], b.total)))
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
	b := r.sumOver(positives, func(i int) *big.Float { return Neg(r.above(i)) })
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
	side := func(weight func(t *big.Float) *big.Float, sign float64) {
		var x, w []*big.Float
		var classes []int
		for i, t := range r.Soft {
			if !r.counts(i) {
				continue
			}
			if weight := weight(New(t)); weight.Sign() != 0 {
				classes = append(classes, i)
				x = append(x, Mul(New(sign), r.above(i)))
				w = append(w, Mul(r.weight(i), weight))
			}
		}
		s := newSum(x, w)
		addTo(result.Loss, result.Loss, s.log1p())
		for j, i := range classes {
			result.Grad[i] = Add(result.Grad[i], Mul(New(sign), s.share(j)))
		}
	}
	side(func(t *big.Float) *big.Float { return Sub(New(1), t) }, 1)
	side(func(t *big.Float) *big.Float { return t }, -1)
	return result.shifted()
}
