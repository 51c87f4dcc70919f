package ref

import (
	"math"
	"math/big"
	"sync"
)

// The results of the exported functions have a relative error below 2^-Prec,
// also where they are small.

// Ln2 returns ln 2.
func Ln2() *big.Float { return num(work).Set(ln2(work)) }

// Exp returns e^x: 0 where that is below the smallest big.Float, about 2^-2^31,
// and +Inf above the largest.
func Exp(x *big.Float) *big.Float { return exp(x, work) }

// Expm1 returns e^x - 1.
func Expm1(x *big.Float) *big.Float { return expm1(x, work) }

// Log returns log(x); log(0) = -Inf. It panics for x < 0.
func Log(x *big.Float) *big.Float { return log(x, work) }

// Log1p returns log(1+x); log1p(-1) = -Inf. It panics for x < -1.
func Log1p(x *big.Float) *big.Float { return log1p(x, work) }

// Softplus returns log(1 + e^x).
func Softplus(x *big.Float) *big.Float { return softplus(x, work) }

// Sigmoid returns 1/(1 + e^-x).
func Sigmoid(x *big.Float) *big.Float { return sigmoid(x, work) }

// guard is the number of bits that every function carries beyond the
// precision asked for.
const guard = 32

// A table holds one value for each precision.
type table[T any] struct {
	mu     sync.Mutex
	values map[uint]T
}

// at returns the value for prec, which compute finds.
func (t *table[T]) at(prec uint, compute func(prec uint) T) T {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.values[prec]
	if !ok {
		if t.values == nil {
			t.values = map[uint]T{}
		}
		v = compute(prec)
		t.values[prec] = v
	}
	return v
}

var (
	ln2Table       table[*big.Float]
	factorialTable table[[]*big.Float]
)

// ln2 returns ln 2 to prec bits. It must not be changed.
func ln2(prec uint) *big.Float { return ln2Table.at(prec, computeLn2) }

// factorials returns the Taylor coefficients 1/k! of e^x to prec bits.
func factorials(prec uint) []*big.Float {
	return factorialTable.at(prec, func(prec uint) []*big.Float {
		f := integer(1, prec)
		all := []*big.Float{f}
		for k := int64(1); exponent(f) > -int(prec); k++ {
			f = num(prec).Quo(f, integer(k, prec))
			all = append(all, f)
		}
		return all
	})
}

// computeLn2 returns ln 2 = 18 atanh(1/26) - 2 atanh(1/4801) + 8 atanh(1/8749).
func computeLn2(prec uint) *big.Float {
	w := prec + guard
	sum := num(w)
	for _, t := range [][2]int64{{18, 26}, {-2, 4801}, {8, 8749}} {
		inverse := num(w).Quo(integer(1, w), integer(t[1], w))
		sum.Add(sum, num(w).Mul(integer(t[0], w), atanh(inverse, w)))
	}
	return num(prec).Set(sum)
}

// atanh returns Σ s^(2i+1)/(2i+1), for |s| < 1/2.
func atanh(s *big.Float, prec uint) *big.Float {
	sum := num(prec).Set(s)
	if s.Sign() == 0 {
		return sum
	}
	square := num(prec).Mul(s, s)
	power := num(prec).Set(s)
	for i := int64(3); ; i += 2 {
		power.Mul(power, square)
		term := num(prec).Quo(power, integer(i, prec))
		if term.Sign() == 0 || exponent(term) < exponent(sum)-int(prec)-1 {
			return sum
		}
		sum.Add(sum, term)
	}
}

// exp returns e^x to prec bits.
func exp(x *big.Float, prec uint) *big.Float { return number(prec).SetExp(x).Float() }

// exponentAbove reports |x| ≥ 2^(e-1), infinities included.
func exponentAbove(x *big.Float, e int) bool {
	return x.IsInf() || x.Sign() != 0 && exponent(x) >= e
}

// taylor returns e^r - 1 to w bits, relatively, for 0 < |r| < 1/2.
func taylor(r *big.Float, w uint) *big.Float {
	if exponent(r) < -int(w)-2 {
		return num(w).Set(r) // to add the next would shift numbers by the distance of their exponents
	}
	factorial := factorials(w)
	// Terms r^i/i! up to the first below 2^-w of the leading r.
	terms := 2
	for e := -exponent(r); (terms-1)*e-exponent(factorial[terms]) < int(w)+2; {
		terms++
	}
	p, q := num(w).Set(factorial[terms]), num(w)
	for i := terms - 1; i >= 1; i-- { // not in place, which would allocate
		q.Mul(p, r)
		p.Add(q, factorial[i])
	}
	return q.Mul(p, r)
}

// expm1 returns e^x - 1 to prec bits.
func expm1(x *big.Float, prec uint) *big.Float {
	if x.Sign() == 0 {
		return num(prec)
	}
	w := prec + guard
	if exponentAbove(x, -5) {
		return subTo(num(prec), exp(x, w), integer(1, 8))
	}
	return num(prec).Set(taylor(num(w).Set(x), w))
}

// log returns ln x to prec bits, relatively, also near 1.
func log(x *big.Float, prec uint) *big.Float {
	switch {
	case x.Sign() < 0:
		panic("ref: logarithm of a negative number")
	case x.Sign() == 0:
		return num(prec).SetInf(true)
	case x.IsInf():
		return num(prec).SetInf(false)
	}
	w := prec + guard
	m := num(max(w, x.Prec()))
	e := x.MantExp(m) // x = m·2^e, 1/2 ≤ m < 1
	if m.Cmp(big.NewFloat(math.Sqrt2/2)) < 0 {
		m = ldexp(m, 1)
		e--
	}
	f := num(m.Prec()).Sub(m, integer(1, 8)) // exact
	l := log1pSmall(f, w)
	if e != 0 {
		l.Add(l, num(w).Mul(integer(int64(e), 64), ln2(w)))
	}
	return num(prec).Set(l)
}

// log1p returns ln(1+x) to prec bits.
func log1p(x *big.Float, prec uint) *big.Float {
	if exponentAbove(x, -1) { // 1+x loses nothing that matters
		return log(addTo(num(max(prec, x.Prec())+2*guard), integer(1, 8), x), prec)
	}
	return num(prec).Set(log1pSmall(x, prec+guard))
}

// log1pSmall returns ln(1+f) to w bits, for 1+f between 1/2 and 3/2.
func log1pSmall(f *big.Float, w uint) *big.Float {
	if f.Sign() == 0 {
		return num(w)
	}
	if !exponentAbove(f, -15) {
		s := num(w+8).Quo(f, addTo(num(w+8), integer(2, 8), f))
		return ldexp(atanh(s, w+8), 1).SetPrec(w)
	}
	// Halley: y += 2 (m - e^y)/(m + e^y), each step trebling the digits.
	v := w + 24 // e^y - m cancels all digits but these; |ln m| ≥ 2^-17
	m := num(max(v, f.Prec()+16)).Add(integer(1, 8), f)
	start, _ := f.Float64()
	y := num(v).SetFloat64(math.Log1p(start))
	for digits := uint(45); digits < v; digits *= 3 {
		e := exp(y, v)
		step := num(v).Quo(num(v).Sub(m, e), num(v).Add(m, e))
		y.Add(y, ldexp(step, 1))
	}
	return y.SetPrec(w)
}

// softplus returns ln(1+e^x) to prec bits.
func softplus(x *big.Float, prec uint) *big.Float {
	w := prec + guard
	if x.Sign() > 0 { // x + ln(1+e^-x)
		minus := new(big.Float).Neg(x)
		return addTo(num(prec), x, log1p(exp(minus, w), w))
	}
	return log1p(exp(x, w), prec)
}

// sigmoid returns 1/(1+e^-x) to prec bits.
func sigmoid(x *big.Float, prec uint) *big.Float {
	w := prec + guard
	if x.Sign() < 0 { // e^x/(1+e^x)
		e := exp(x, w)
		return num(prec).Quo(e, addTo(num(w), integer(1, 8), e))
	}
	minus := new(big.Float).Neg(x)
	return num(prec).Quo(integer(1, 8), addTo(num(w), integer(1, 8), exp(minus, w)))
}
