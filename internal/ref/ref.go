// Package ref computes in big.Float what the library computes in floating
// point: the reference of its tests.
package ref

import (
	"math"
	"math/big"
)

// Prec is the precision of all results, in bits.
const Prec = 256

// work is the precision of intermediate results.
const work = Prec + 64

// New returns x as a big.Float, which x must not be NaN or infinite for.
func New(x float64) *big.Float {
	return newFloat().SetFloat64(x)
}

func newFloat() *big.Float { return new(big.Float).SetPrec(work) }

// Add, Sub, Mul and Quo return x+y, x-y, x·y and x/y.
func Add(x, y *big.Float) *big.Float { return newFloat().Add(x, y) }
func Sub(x, y *big.Float) *big.Float { return newFloat().Sub(x, y) }
func Mul(x, y *big.Float) *big.Float { return newFloat().Mul(x, y) }
func Quo(x, y *big.Float) *big.Float { return newFloat().Quo(x, y) }
func Neg(x *big.Float) *big.Float    { return newFloat().Neg(x) }

// ldexp returns x·2^e.
func ldexp(x *big.Float, e int) *big.Float { return newFloat().SetMantExp(x, e) }

// ln2 is ln(2) = Σ 1/(k·2^k), to well beyond work: an argument reduction
// multiplies its error by up to 2^130.
var ln2 = func() *big.Float {
	const prec = work + 192
	sum, term := new(big.Float).SetPrec(prec), new(big.Float).SetPrec(prec).SetInt64(1)
	for k := int64(1); k < prec+8; k++ {
		term.Quo(term, big.NewFloat(2))
		sum.Add(sum, new(big.Float).SetPrec(prec).Quo(term, new(big.Float).SetInt64(k)))
	}
	return sum
}()

// Ln2 returns ln(2).
func Ln2() *big.Float { return newFloat().Set(ln2) }

// Exp returns e^x for |x| below 2^100: 0 where the result's exponent is below
// that of any big.Float, and it panics where it is above.
func Exp(x *big.Float) *big.Float {
	if x.Sign() == 0 {
		return New(1)
	}
	// x = n·ln(2) + r
	wide := new(big.Float).SetPrec(work + 192)
	n, _ := wide.Quo(x, ln2).Int(nil)
	if !n.IsInt64() || math.Abs(float64(n.Int64())) > math.MaxInt32/2 {
		if n.Sign() < 0 {
			return newFloat()
		}
		panic("ref: overflow in Exp")
	}
	r := new(big.Float).SetPrec(work + 192).SetInt(n)
	r.Sub(x, r.Mul(r, ln2))
	// e^r = (e^(r/2^h))^(2^h), the inner one by its series.
	const halvings = 24
	r = ldexp(newFloat().SetPrec(work+64).Set(r), -halvings)
	sum, term := New(1).SetPrec(work+64), New(1).SetPrec(work+64)
	for k := int64(1); ; k++ {
		term.Mul(term, r)
		term.Quo(term, new(big.Float).SetInt64(k))
		if term.Sign() == 0 || term.MantExp(nil) < -(work+64) {
			break
		}
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return ldexp(sum, int(n.Int64()))
}

// Log returns log(x) for x > 0.
func Log(x *big.Float) *big.Float {
	// x = 2^e·m, m in [1/2, 1): Halley's iteration for e^y = m,
	// y ← y + 2·(m - e^y)/(m + e^y), triples the number of correct digits.
	m := newFloat()
	e := x.MantExp(m)
	f, _ := m.Float64()
	y := New(math.Log(f))
	for range 3 {
		p := Exp(y)
		step := Quo(Sub(m, p), Add(m, p))
		y.Add(y, step.Mul(step, New(2)))
	}
	wide := new(big.Float).SetPrec(work + 64).SetInt64(int64(e))
	return newFloat().Add(wide.Mul(wide, ln2), y)
}

// Log1p returns log(1+x) for x > -1, to full relative precision for small x.
func Log1p(x *big.Float) *big.Float {
	if x.Sign() == 0 || x.MantExp(nil) > -64 {
		return Log(newFloat().SetPrec(work+64).Add(New(1), x))
	}
	// x - x²/2 + x³/3 - …
	sum, power := newFloat(), newFloat().Set(x)
	for k := int64(1); power.Sign() != 0 && power.MantExp(nil) > x.MantExp(nil)-work; k++ {
		sum.Add(sum, newFloat().Quo(power, new(big.Float).SetInt64(k)))
		power.Mul(power, x)
		power.Neg(power)
	}
	return sum
}

// Softplus returns log(1 + e^x).
func Softplus(x *big.Float) *big.Float {
	if x.Sign() > 0 {
		return Add(x, Log1p(Exp(Neg(x))))
	}
	return Log1p(Exp(x))
}

// Sigmoid returns 1/(1 + e^-x).
func Sigmoid(x *big.Float) *big.Float {
	if x.Sign() < 0 {
		e := Exp(x)
		return Quo(e, Add(New(1), e))
	}
	return Quo(New(1), Add(New(1), Exp(Neg(x))))
}

// LogSumExp returns log Σ e^x[i], x not empty, and the exact sum's terms over
// the largest: e^(x[i]-max x).
func LogSumExp(x []*big.Float) *big.Float {
	m := x[0]
	for _, v := range x {
		if v.Cmp(m) > 0 {
			m = v
		}
	}
	rest, top := newFloat(), true
	for _, v := range x {
		if top && v.Cmp(m) == 0 {
			top = false // the 1 of log1p
			continue
		}
		rest.Add(rest, Exp(newFloat().Sub(v, m)))
	}
	return Add(m, Log1p(rest))
}

// Floats returns the elements of x, which must be finite.
func Floats[T float32 | float64](x []T) []*big.Float {
	y := make([]*big.Float, len(x))
	for i, v := range x {
		y[i] = New(float64(v))
	}
	return y
}
