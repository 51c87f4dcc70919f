package ref

import "math/big"

// Subset returns the k-subset softmax: log Z_k - Σ_P s_j, k being the number
// of positive classes and Z_k the sum over all k-subsets of e^(sum of scores).
// Sums of scores must stay below 2^28.
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
	u := newSymmetric(r.sumOver(negatives, r.above).terms)
	v := newSymmetric(r.sumOver(positives, func(i int) *big.Float { return Neg(r.above(i)) }).terms)
	eu, ev := u.polynomials(), v.polynomials()

	// The total but for its leading 1, and its derivatives by e_a(u), e_b(v).
	rest := newFloat()
	du, dv := zeros(len(eu)), zeros(len(ev))
	for a := range eu {
		for b := range ev {
			if !allowed(a, b) {
				continue
			}
			if a+b > 0 {
				addTo(rest, rest, Mul(eu[a], ev[b]))
			}
			addTo(du[a], du[a], ev[b])
			addTo(dv[b], dv[b], eu[a])
		}
	}
	result := r.newResult()
	result.Loss = Log1p(rest)
	total := Add(New(1), rest)
	for j, d := range u.gradient(du) {
		result.Grad[negatives[j]] = Quo(Mul(d, u.x[j]), total) // du/ds = u
	}
	for j, d := range v.gradient(dv) {
		result.Grad[positives[j]] = Neg(Quo(Mul(d, v.x[j]), total)) // dv/ds = -v
	}
	return result.shifted()
}

// symmetric holds the elementary symmetric polynomials of x_1 … x_i for every
// i, the coefficients of Π (1 + x_j z).
type symmetric struct {
	x      []*big.Float
	prefix [][]*big.Float // prefix[i][j] = e_j(x_1 … x_i)
}

func newSymmetric(x []*big.Float) symmetric {
	s := symmetric{x: x, prefix: [][]*big.Float{{New(1)}}}
	for i, x := range x {
		before := s.prefix[i]
		after := zeros(i + 2)
		for j := range before {
			addTo(after[j], after[j], before[j])
			after[j+1] = Mul(x, before[j])
		}
		s.prefix = append(s.prefix, after)
	}
	return s
}

// polynomials returns e_0 … e_n of all x.
func (s symmetric) polynomials() []*big.Float { return s.prefix[len(s.x)] }

// gradient returns Σ_j d_j ∂e_j/∂x_i for every i: backwards through the
// products, without a subtraction.
func (s symmetric) gradient(d []*big.Float) []*big.Float {
	g := zeros(len(s.x))
	for i := len(s.x) - 1; i >= 0; i-- {
		before := zeros(i + 1)
		for j, e := range s.prefix[i] {
			addTo(g[i], g[i], Mul(d[j+1], e))
			before[j] = Add(d[j], Mul(s.x[i], d[j+1]))
		}
		d = before
	}
	return g
}

func zeros(n int) []*big.Float {
	z := make([]*big.Float, n)
	for i := range z {
		z[i] = newFloat()
	}
	return z
}
