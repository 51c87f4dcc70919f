package ref

import "math/big"

// A Divergence is what the loss with a teacher's labels is above its minimum.
type Divergence int

const (
	SoftmaxDivergence Divergence = iota
	BCEDivergence
	ZLPRDivergence
)

// Distillation returns T²·D of the finite scores and the teacher's at the temperature T: the
// formulas as they stand, at precisions at which enough digits are left. Terms are the
// magnitudes of the terms of the derivatives, the larger one of each class. What is
// below 2^-4000 of its terms is 0.
func (r Row) Distillation(d Divergence, teacher []float64, temperature float64) (result Result, terms []*big.Float) {
	result = r.newResult()
	t := New(temperature)
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
	groups := [][]int{classes}
	if d == BCEDivergence {
		groups = nil
		for _, i := range classes {
			groups = append(groups, []int{i})
		}
	}
	for _, group := range groups {
		if len(group) == 0 {
			continue
		}
		loss, grad, larger := r.divergence(d, group, teacher, temperature)
		weight := New(1)
		if d == BCEDivergence {
			weight = r.weight(group[0])
		}
		result.Loss = Add(result.Loss, Mul(weight, Mul(t, Mul(t, loss))))
		for k, i := range group {
			result.Grad[i] = Mul(weight, Mul(t, grad[k]))
			terms[i] = Mul(weight, Mul(t, larger[k]))
		}
	}
	return result, terms
}

// divergence returns D of some classes with its derivatives by a = s/T, and the larger of
// the terms of these.
func (r Row) divergence(d Divergence, classes []int, teacher []float64, temperature float64) (loss *big.Float, grad, larger []*big.Float) {
	equal, first := true, exactSum(New(r.Scores[classes[0]]), New(-teacher[classes[0]]))
	for _, i := range classes {
		distance := exactSum(New(r.Scores[i]), New(-teacher[i]))
		equal = equal && distance.Cmp(first) == 0 && (distance.Sign() == 0 || d == SoftmaxDivergence)
	}
	for prec := uint(2 * work); ; prec *= 2 {
		a, b := make([]*big.Float, len(classes)), make([]*big.Float, len(classes))
		for k, i := range classes {
			a[k] = num(prec).Quo(num(prec).SetFloat64(r.Scores[i]), New(temperature))
			b[k] = num(prec).Quo(num(prec).SetFloat64(teacher[i]), New(temperature))
		}
		var terms []*big.Float // of which the loss is the sum
		var q, p []*big.Float  // the derivatives are q - p
		switch d {
		case ZLPRDivergence:
			terms, q, p = r.zlprTerms(classes, a, b, prec)
		case BCEDivergence:
			zero := num(prec)
			terms, q, p = softmaxTerms([]*big.Float{a[0], zero}, []*big.Float{b[0], zero}, prec)
			q, p = q[:1], p[:1]
		default:
			terms, q, p = softmaxTerms(a, b, prec)
		}
		loss, grad, larger = num(prec), nil, nil
		enough := true
		check := func(sum, term *big.Float) {
			if sum.Sign() == 0 && term.Sign() != 0 || sum.Sign() != 0 && term.Sign() != 0 && exponent(sum) <= exponent(term)+Prec+2*guard-int(prec) {
				enough = false
			}
		}
		for _, x := range terms {
			loss.Add(loss, x)
		}
		for _, x := range terms {
			check(loss, x)
		}
		for k := range classes {
			g := num(prec).Sub(q[k], p[k])
			most := p[k]
			if q[k].Cmp(p[k]) > 0 {
				most = q[k]
			}
			check(g, most)
			grad, larger = append(grad, newFloat().Set(g)), append(larger, newFloat().Set(most))
		}
		switch {
		case equal:
			for k := range grad {
				grad[k] = newFloat()
			}
			return newFloat(), grad, larger
		case enough || prec > 8000:
			return newFloat().Set(loss), grad, larger
		}
	}
}

// softmaxTerms returns terms whose sum is Σ p·log(p/q), and q and p.
func softmaxTerms(a, b []*big.Float, prec uint) (terms, q, p []*big.Float) {
	law := func(x []*big.Float) (p []*big.Float, lse *big.Float) {
		top := 0
		for k, v := range x {
			if v.Cmp(x[top]) > 0 {
				top = k
			}
		}
		weights, rest := numbers(len(x), prec), number(prec) // without the highest
		for k, v := range x {
			weights[k].SetExp(num(prec).Sub(v, x[top]))
			if k != top {
				rest.Add(rest, weights[k])
			}
		}
		total := number(prec).Add(one(prec), rest)
		for _, v := range weights {
			p = append(p, v.Quo(v, total).Float())
		}
		return p, num(prec).Add(x[top], rest.Log1p())
	}
	q, lseA := law(a)
	p, lseB := law(b)
	terms = []*big.Float{lseA, num(prec).Neg(lseB)}
	for k := range a {
		distance := num(prec).Sub(b[k], a[k])
		terms = append(terms, distance.Mul(distance, p[k]))
	}
	return terms, q, p
}

// zlprTerms returns the four logarithms of soft ZLPR less its minimum, and the two terms of
// the derivatives.
func (r Row) zlprTerms(classes []int, a, b []*big.Float, prec uint) (terms, q, p []*big.Float) {
	n := len(classes)
	up, down := numbers(n, prec), numbers(n, prec)
	sums := numbers(4, prec) // with a, and the same with b
	exp := func(x *big.Float) *Number { return number(prec).SetExp(x) }
	neg := func(x *big.Float) *big.Float { return num(prec).Neg(x) }
	for k, i := range classes {
		weight := number(prec).SetFloat(r.weight(i))
		twice := ldexp(b[k], 1)
		t := exp(twice) // the label is t/(1+t)
		all := number(prec).Add(one(prec), t)
		on, off := number(prec).Quo(t, all), number(prec).Quo(one(prec), all)
		on.Mul(on, weight)
		off.Mul(off, weight)
		up[k].Mul(off, exp(a[k]))
		down[k].Mul(on, exp(neg(a[k])))
		for j, x := range []*Number{up[k], down[k], number(prec).Mul(off, exp(b[k])), number(prec).Mul(on, exp(neg(b[k])))} {
			sums[j].Add(sums[j], x)
		}
	}
	for j, s := range sums {
		l := s.Log1p()
		if j > 1 {
			l.Neg(l)
		}
		terms = append(terms, l)
	}
	share := func(x, sum *Number) *big.Float {
		total := number(prec).Add(one(prec), sum)
		return total.Quo(x, total).Float()
	}
	for k := range classes {
		q = append(q, share(up[k], sums[0]))
		p = append(p, share(down[k], sums[1]))
	}
	return terms, q, p
}
