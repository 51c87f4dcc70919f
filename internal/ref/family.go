package ref

import (
	"cmp"
	"math"
	"math/big"
	"slices"
)

// Subset returns the k-subset softmax: log Z_k - Σ_P s_j, k being the number
// of positive classes and Z_k the sum over all k-subsets of e^(sum of scores).
func (r Row) Subset() Result {
	return r.family(func(a, b int) bool { return a == b })
}

// PaddedSubset returns log(Σ_(j≤K) e^((K-j)s0) Z_j) - Σ_P s_j - (K-k) s0, for
// K no less than the number k of positive classes.
func (r Row) PaddedSubset(k int) Result {
	padding := k - len(r.classes(true))
	if padding < 0 {
		panic("ref: padded subset with K below the number of positive classes")
	}
	return r.family(func(a, b int) bool { return a <= padding+b })
}

// family returns log Σ e_a(u) e_b(v) over the pairs allowed, which include
// (0, 0): u = w e^(s-s0) of the negatives, v = w e^(s0-s) of the positives,
// e_a the elementary symmetric polynomials. The losses of this package are:
//
//	subset    a = b
//	padded    a ≤ K - k + b
//	ZLPR      a ≤ 1 and b ≤ 1
//	pairwise  a = b ≤ 1
//	BCE       all
func (r Row) family(allowed func(a, b int) bool) Result {
	negatives, positives := r.classes(false), r.classes(true)
	u := newSymmetric(r.sumOver(negatives, r.above).terms, work)
	v := newSymmetric(r.sumOver(positives, r.below).terms, work)
	eu, ev := u.polynomials(), v.polynomials()
	rest := familyRest(eu, ev, allowed)
	du, dv := numbers(len(eu), work), numbers(len(ev), work) // derivatives of the total
	for a := range eu {
		for b := range ev {
			if allowed(a, b) {
				du[a].Add(du[a], ev[b])
				dv[b].Add(dv[b], eu[a])
			}
		}
	}
	result := r.newResult()
	result.Loss = rest.Log1p()
	total, term := number(work).Add(one(work), rest), number(work)
	derivative := func(d, x *Number) *big.Float { // du/ds = u, dv/ds = -v
		return term.Quo(number(work).Mul(d, x), total).Float()
	}
	for j, d := range u.gradient(du) {
		result.Grad[negatives[j]] = derivative(d, u.x[j])
	}
	for j, d := range v.gradient(dv) {
		result.Grad[positives[j]] = Neg(derivative(d, v.x[j]))
	}
	return result.shifted()
}

// familyRest returns Σ e_a(u) e_b(v) without the leading 1.
func familyRest(eu, ev []*Number, allowed func(a, b int) bool) *Number {
	prec := precision(eu)
	rest, term := number(prec), number(prec)
	for a := range eu {
		for b := range ev {
			if a+b > 0 && allowed(a, b) {
				rest.Add(rest, term.Mul(eu[a], ev[b]))
			}
		}
	}
	return rest
}

// LogPartition returns log Z_k, Z_k being the sum over all subsets of k scores
// of e^(their sum), or with a padding score the sum over the subsets of up to k
// of e^(their sum + (k-size)·padding). It is -Inf for k above the number of
// scores without padding. The padding must be finite; infinite scores grow
// alike.
//
// It is the sum of the best subset and the loss of that subset, which is small
// where all others are.
func LogPartition[T float32 | float64](x []T, k int, padding *float64) *big.Float {
	if slices.ContainsFunc(x, func(v T) bool { return math.IsInf(float64(v), 0) }) {
		return infinitePartition(x, k, padding)
	}
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(x[j], x[i]) })
	if padding == nil && k > len(x) {
		return newFloat().SetInf(true)
	}
	size, s0 := min(k, len(x)), 0.0
	if padding != nil {
		s0 = *padding
		for size > 0 && float64(x[order[size-1]]) < s0 {
			size--
		}
	}
	best := exactProduct(New(float64(k-size)), New(s0))
	for _, i := range order[:size] {
		best = exactSum(best, New(float64(x[i])))
	}
	allowed := func(a, b int) bool { return a == b }
	if padding != nil {
		allowed = func(a, b int) bool { return a <= k-size+b }
	}
	return accurateSum(best, func(prec uint) *big.Float {
		polynomials := func(classes []int, sign int) []*Number {
			var terms []*Number
			for _, i := range classes {
				y := exactSum(New(float64(x[i])), New(-s0))
				if sign < 0 {
					y.Neg(y)
				}
				terms = append(terms, number(prec).SetExp(y))
			}
			return newSymmetric(terms, prec).polynomials()
		}
		return familyRest(polynomials(order[size:], 1), polynomials(order[:size], -1), allowed).Log1p()
	})
}

// infinitePartition is LogPartition where a score is infinite.
func infinitePartition[T float32 | float64](x []T, k int, padding *float64) *big.Float {
	if k == 0 {
		return newFloat()
	}
	total := ESPTotal(Weights(x, work), Adjoint(k, padding, work))
	if total.Sign() == 0 || total.order != 0 {
		return total.Log()
	}
	// As many of +Inf are picked as of -Inf, none where both can be left out.
	var finite []T
	plus := 0
	for _, v := range x {
		switch {
		case !math.IsInf(float64(v), 0):
			finite = append(finite, v)
		case v > 0:
			plus++
		}
	}
	return LogPartition(finite, k-2*plus, padding)
}

// symmetric holds the elementary symmetric polynomials of x_1 … x_i for every
// i, the coefficients of Π (1 + x_j z).
type symmetric struct {
	x      []*Number
	prefix [][]*Number // prefix[i][j] = e_j(x_1 … x_i)
}

func newSymmetric(x []*Number, prec uint) symmetric {
	s := symmetric{x: x, prefix: [][]*Number{{one(prec)}}}
	for i, x := range x {
		before := s.prefix[i]
		after := numbers(i+2, prec)
		for j := range before {
			after[j].Add(after[j], before[j])
			after[j+1].Mul(x, before[j])
		}
		s.prefix = append(s.prefix, after)
	}
	return s
}

// polynomials returns e_0 … e_n of all x.
func (s symmetric) polynomials() []*Number { return s.prefix[len(s.x)] }

// gradient returns Σ_j d_j ∂e_j/∂x_i for every i: backwards through the
// products, without a subtraction.
func (s symmetric) gradient(d []*Number) []*Number {
	g, term := numbers(len(s.x), work), number(work)
	for i := len(s.x) - 1; i >= 0; i-- {
		before := numbers(i+1, work)
		for j, e := range s.prefix[i] {
			g[i].Add(g[i], term.Mul(d[j+1], e))
			before[j].Add(d[j], term.Mul(s.x[i], d[j+1]))
		}
		d = before
	}
	return g
}

func one(prec uint) *Number { return number(prec).SetFloat(integer(1, prec)) }
