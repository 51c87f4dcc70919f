package zlpr

import (
	"math"
	"slices"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/exact"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// SignedLogSumExp returns log|Σ b_i·e^(x_i)| and the sign, 1 or -1, of the sum, for
// factors b of either sign: x and b must be equally long. bound bounds the absolute error
// of lse: it is 2^-52·Σ|b_i|·e^(x_i) / |Σ b_i·e^(x_i)| and a little, and so grows as terms
// cancel, and 2^-52·(|lse|+1) of rounding. Where so little is left of the sum that its
// sign is open, bound is +Inf.
//
// A sum that is 0 exactly gives -Inf, sign 0 and bound 0: e^x of different x do not
// cancel, so that is where the factors of every x add up to 0 (Lindemann and
// Weierstrass); these are added exactly.
//
// Special cases are:
//
//	an x or a b is NaN: NaN, sign NaN and bound NaN
//	a factor 0: no term, whatever x
//	x = -Inf: no term; with an infinite factor NaN
//	an infinite term: +Inf with its sign, bound 0; of both signs: NaN
//	no terms: -Inf, sign 0, bound 0
//
// It is scipy.special.logsumexp with b and return_sign, with an honest bound. It panics
// where lengths differ, and allocates memory for the terms.
func SignedLogSumExp[T Float](x, b []T) (lse, sign, bound float64) {
	if len(x) != len(b) {
		panic("zlpr: SignedLogSumExp of scores and factors of different lengths")
	}
	var s signedTerms
	return signedLogSumExp(&s, x, b)
}

// SignedLogSumExpRows is SignedLogSumExp of every row of x and b. Results that are nil are
// not wanted. It panics where shapes differ.
func SignedLogSumExpRows[T Float](lse, sign, bound []float64, x, b Matrix[T]) {
	if x.Rows != b.Rows || x.Cols != b.Cols {
		panic("zlpr: SignedLogSumExpRows of scores and factors of different shapes")
	}
	for _, dst := range [][]float64{lse, sign, bound} {
		if dst != nil {
			checkRows(len(dst), x.Rows)
		}
	}
	var s signedTerms
	for i := range x.Rows {
		l, g, e := signedLogSumExp(&s, x.rowOrEmpty(i), b.rowOrEmpty(i))
		for _, r := range []struct {
			dst []float64
			v   float64
		}{{lse, l}, {sign, g}, {bound, e}} {
			if r.dst != nil {
				r.dst[i] = r.v
			}
		}
	}
}

// signedTerms are the terms of a sum.
type signedTerms struct {
	terms  []signedTerm
	powers []power.Number
	block  signedBlock
}

type signedTerm struct{ x, b float64 }

func signedLogSumExp[T Float](s *signedTerms, x, b []T) (lse, sign, bound float64) {
	if sum, ok := plainSignedSum(&s.block, x, b); ok {
		return sum.log()
	}
	s.terms = s.terms[:0]
	up, down := false, false
	for i, v := range x {
		x, b := float64(v), float64(b[i])
		switch {
		case x != x || b != b, math.IsInf(x, -1) && math.IsInf(b, 0):
			nan := kernel.CanonicalNaN[float64]()
			return nan, nan, nan
		case b == 0 || math.IsInf(x, -1):
		case math.IsInf(x, 1) || math.IsInf(b, 0):
			up, down = up || b > 0, down || b < 0
		default:
			s.terms = append(s.terms, signedTerm{x, b})
		}
	}
	switch {
	case up && down:
		nan := kernel.CanonicalNaN[float64]()
		return nan, nan, nan
	case up:
		return math.Inf(1), 1, 0
	case down:
		return math.Inf(1), -1, 0
	}
	s.join()
	if len(s.terms) == 0 {
		return math.Inf(-1), 0, 0
	}
	return s.log()
}

// join sorts the terms, and adds up the factors of equal x: none is 0 then.
func (s *signedTerms) join() {
	slices.SortFunc(s.terms, func(p, q signedTerm) int {
		switch {
		case p.x > q.x:
			return -1
		case p.x < q.x:
			return 1
		}
		return 0
	})
	kept := s.terms[:0]
	s.powers = s.powers[:0]
	for i := 0; i < len(s.terms); {
		first, end := s.terms[i], i+1
		for end < len(s.terms) && s.terms[end].x == first.x {
			end++
		}
		f, exp := first.b, 0
		if end > i+1 {
			var sum exact.Sum
			for _, t := range s.terms[i:end] {
				sum.Add(t.b)
			}
			f, exp = sum.Scaled()
		}
		if f != 0 {
			kept = append(kept, signedTerm{first.x, f})
			s.powers = append(s.powers, power.Number{Hi: f, Exp: int64(exp)})
		}
		i = end
	}
	s.terms = kept
}

// A signedBlock is some terms on their way: the exponent less the highest, what that leaves
// out, and the factor.
type signedBlock struct{ d, err, b [signedBlockLen]float64 }

const signedBlockLen = 64

// plainSignedSum returns the sum of terms by exponentials of the kernels, the products with
// the factors and the sum in twice the precision of float64: the error of a term is that of
// its exponential, below 0.93·2^-52. It reports whether that serves: exponents are finite,
// factors from 2^-64 to 2^64, so that terms below the range of the exponential, which are left
// out, are less than 2^-800 of the highest, and not so much cancels that it counts whether factors of equal
// exponents are added exactly.
func plainSignedSum[T Float](s *signedBlock, x, b []T) (sum signedSum, ok bool) {
	sum.top = math.Inf(-1)
	b = b[:len(x)]
	for i, v := range x {
		x, b := float64(v), math.Abs(float64(b[i]))
		if x-x == 0 && b >= 0x1p-64 && b <= 0x1p64 {
			if x > sum.top {
				sum.top = x
			}
			continue
		}
		if !noSignedTerm(x, b) {
			return sum, false
		}
	}
	const least = -700 // of the range of the exponential
	var rest float64
	p := kernel.PivotParams[float64](0)
	for k := 0; k < len(x); {
		n := 0
		for ; k < len(x) && n < signedBlockLen; k++ {
			x, b := float64(x[k]), float64(b[k])
			d := x - sum.top
			if b == 0 || !(d >= least) {
				continue
			}
			v := d - x
			s.d[n], s.err[n], s.b[n] = d, (x-(d-v))-(sum.top+v), b
			n++
		}
		clear(s.d[n:])
		kernel.ShortPowers(s.d[:], s.d[:], &p)
		for i, e := range s.d[:n] {
			b := s.b[i]
			hi := float64(b * e)
			sum.sum, rest = signedTwoSum(sum.sum, rest, hi)
			rest += math.FMA(b, e, -hi) + float64(hi*s.err[i])
			sum.all += math.Abs(hi)
		}
	}
	sum.sum += rest
	const most = 0x1p20 // of what cancels
	return sum, sum.all <= most*math.Abs(sum.sum) && sum.all > 0
}

// noSignedTerm reports whether x and b are numbers that make no term.
func noSignedTerm(x, b float64) bool {
	return x == x && b == 0 || math.IsInf(x, -1) && b <= math.MaxFloat64
}

// log returns the results of joined terms. The error of a term is below 2^-53 for its
// factor and 2^-54 for its exponential, relative; that of the sums is far below.
func (s *signedTerms) log() (lse, sign, bound float64) {
	top := s.terms[0].x
	var exp int64 = math.MinInt64
	for i, t := range s.terms {
		d := t.x - top
		if math.IsInf(d, -1) {
			s.powers[i] = power.Number{}
			continue
		}
		v := d - t.x
		err := (t.x - (d - v)) - (top + v)
		s.powers[i] = s.powers[i].Times(power.ExpPair(d, err)).Tidy()
		if p := s.powers[i]; p.Hi != 0 && p.Shift == 0 {
			exp = max(exp, p.Exp)
		}
	}
	var sum, rest, all float64
	for _, p := range s.powers {
		if p.Hi == 0 || p.Shift != 0 || p.Exp-exp < -1100 {
			continue // less than the errors of others
		}
		hi := math.Ldexp(p.Hi, int(p.Exp-exp))
		sum, rest = signedTwoSum(sum, rest, hi)
		rest += math.Ldexp(p.Lo, int(p.Exp-exp))
		all += math.Abs(hi)
	}
	return signedSum{top, exp, sum + rest, all}.log()
}

// A signedSum is sum·2^exp·e^top, all being the sum of the magnitudes.
type signedSum struct {
	top      float64
	exp      int64
	sum, all float64
}

// log returns the results of a sum whose terms' errors are below 2^-52.
func (s signedSum) log() (lse, sign, bound float64) {
	sum, top, exp := s.sum, s.top, s.exp
	sign = 1
	if math.Signbit(sum) {
		sign = -1
	}
	if sum == 0 {
		return math.Inf(-1), 0, math.Inf(1)
	}
	f, n := math.Frexp(math.Abs(sum))
	if f < math.Sqrt2/2 {
		f, n = 2*f, n-1
	}
	// top + n·ln(2) + log(f), its larger parts exactly.
	k := float64(exp + int64(n))
	hi := float64(k * coef.Ln2Hi64)
	lo := math.FMA(k, coef.Ln2Hi64, -hi) + float64(k*coef.Ln2Lo64)
	lse, lo = signedTwoSum(top, lo, hi)
	lse, lo = signedTwoSum(lse, lo, scalar.Log(f))
	lse += lo
	share := 0x1p-52 * s.all / math.Abs(sum)
	if share >= 0.5 {
		return lse, sign, math.Inf(1)
	}
	return lse, sign, (share/(1-share) + float64(0x1p-52*(math.Abs(lse)+1))) * (1 + 0x1p-40)
}

// signedTwoSum adds x to sum, and the error to err.
func signedTwoSum(sum, err, x float64) (float64, float64) {
	t := sum + x
	b := t - sum
	return t, err + ((sum - (t - b)) + (x - b))
}
