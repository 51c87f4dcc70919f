// Package ref computes in big.Float what the library computes in floating
// point: the reference of its tests.
package ref

import "math/big"

// Prec is the precision of all results, in bits.
const Prec = 160

// work is the precision of intermediate results.
const work = Prec + 64

// New returns x as a big.Float, which x must not be NaN or infinite for.
func New(x float64) *big.Float {
	return newFloat().SetFloat64(x)
}

func newFloat() *big.Float { return new(big.Float).SetPrec(work) }

// Add, Sub, Mul and Quo return x+y, x-y, x·y and x/y.
func Add(x, y *big.Float) *big.Float { return addTo(newFloat(), x, y) }
func Sub(x, y *big.Float) *big.Float { return subTo(newFloat(), x, y) }
func Mul(x, y *big.Float) *big.Float { return newFloat().Mul(x, y) }
func Quo(x, y *big.Float) *big.Float { return newFloat().Quo(x, y) }
func Neg(x *big.Float) *big.Float    { return newFloat().Neg(x) }

// beyond is the distance of two exponents, over the precision of their sum,
// from which the smaller number does not count.
const beyond = 80

// addTo sets z, whose precision must be set, to x+y. big.Float.Add takes time
// and memory in proportion to the distance of the exponents, which may be 2^32;
// a number below 2^-beyond of the sum's last place is left out here.
func addTo(z, x, y *big.Float) *big.Float {
	switch distance := apart(x, y); {
	case distance > int(z.Prec())+beyond:
		return z.Set(x)
	case -distance > int(z.Prec())+beyond:
		return z.Set(y)
	}
	return z.Add(x, y)
}

// subTo sets z, whose precision must be set, to x-y as addTo does.
func subTo(z, x, y *big.Float) *big.Float {
	switch distance := apart(x, y); {
	case distance > int(z.Prec())+beyond:
		return z.Set(x)
	case -distance > int(z.Prec())+beyond:
		return z.Neg(y)
	}
	return z.Sub(x, y)
}

// apart returns the difference of the exponents of x and y, 0 where one has
// none.
func apart(x, y *big.Float) int {
	if x.Sign() == 0 || y.Sign() == 0 || x.IsInf() || y.IsInf() {
		return 0
	}
	return exponent(x) - exponent(y)
}

// num returns a zero of the given precision, the receiver of a computation.
func num(prec uint) *big.Float { return new(big.Float).SetPrec(prec) }

// integer returns n at the given precision.
func integer(n int64, prec uint) *big.Float { return num(prec).SetInt64(n) }

// ldexp returns x·2^e.
func ldexp(x *big.Float, e int) *big.Float { return num(x.Prec()).SetMantExp(x, e) }

// exponent returns e with 2^(e-1) ≤ |x| < 2^e, for a finite x ≠ 0.
func exponent(x *big.Float) int { return x.MantExp(nil) }

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
		addTo(rest, rest, Exp(Sub(v, m)))
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
