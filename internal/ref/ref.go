// Package ref computes in big.Float what the library computes in floating
// point: the reference of its tests.
package ref

import "math/big"

// Prec is the precision of all results, in bits.
const Prec = 160

// work is the precision of intermediate results.
const work = Prec + 64

// New returns x, which must not be NaN, as a big.Float.
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
	case distance > int64(z.Prec())+beyond:
		return z.Set(x)
	case -distance > int64(z.Prec())+beyond:
		return z.Set(y)
	}
	return z.Add(x, y)
}

// subTo sets z, whose precision must be set, to x-y as addTo does.
func subTo(z, x, y *big.Float) *big.Float {
	switch distance := apart(x, y); {
	case distance > int64(z.Prec())+beyond:
		return z.Set(x)
	case -distance > int64(z.Prec())+beyond:
		return z.Neg(y)
	}
	return z.Sub(x, y)
}

// apart returns the difference of the exponents of x and y, 0 where one has
// none.
func apart(x, y *big.Float) int64 {
	if x.Sign() == 0 || y.Sign() == 0 || x.IsInf() || y.IsInf() {
		return 0
	}
	return int64(exponent(x)) - int64(exponent(y))
}

// exactSum returns x+y with all its digits, some 2000 for float64s.
func exactSum(x, y *big.Float) *big.Float {
	if x.Sign() == 0 || y.Sign() == 0 || x.IsInf() || y.IsInf() {
		return num(max(x.Prec(), y.Prec())).Add(x, y)
	}
	high := max(exponent(x), exponent(y)) + 1
	low := min(exponent(x)-int(x.MinPrec()), exponent(y)-int(y.MinPrec()))
	return num(uint(high-low)).Add(x, y)
}

// exactProduct returns x·y with all its digits.
func exactProduct(x, y *big.Float) *big.Float {
	return num(max(1, x.MinPrec()+y.MinPrec())).Mul(x, y)
}

// num returns a zero of the given precision, the receiver of a computation.
func num(prec uint) *big.Float { return new(big.Float).SetPrec(prec) }

// integer returns n at the given precision.
func integer(n int64, prec uint) *big.Float { return num(prec).SetInt64(n) }

// ldexp returns x·2^e.
func ldexp(x *big.Float, e int) *big.Float { return num(x.Prec()).SetMantExp(x, e) }

// exponent returns e with 2^(e-1) ≤ |x| < 2^e, for a finite x ≠ 0.
func exponent(x *big.Float) int { return x.MantExp(nil) }

// LogSumExp returns log Σ e^x[i], x not empty.
func LogSumExp(x []*big.Float) *big.Float {
	top := 0
	for i, v := range x {
		if v.Cmp(x[top]) > 0 {
			top = i
		}
	}
	if x[top].IsInf() {
		return newFloat().Set(x[top])
	}
	return accurateSum(x[top], func(prec uint) *big.Float {
		rest := number(prec)
		for i, v := range x {
			if i != top {
				rest.Add(rest, number(prec).SetExp(exactSum(v, new(big.Float).Neg(x[top]))))
			}
		}
		return rest.Log1p()
	})
}

// accurateSum returns x + l, l ≥ 0 being found to a precision at which enough
// digits are left where the two cancel. Where l is the logarithm of a sum of
// exponentials of rational numbers, and x is rational, they do not cancel
// altogether, by Lindemann's theorem.
func accurateSum(x *big.Float, l func(prec uint) *big.Float) *big.Float {
	for prec := uint(work); ; prec *= 2 {
		y := l(prec)
		sum := addTo(num(prec), x, y)
		if y.Sign() == 0 || y.IsInf() || sum.Sign() != 0 && exponent(sum) > exponent(y)+Prec+guard-int(prec) {
			return newFloat().Set(sum)
		}
	}
}

// Softmax returns e^x[i] / Σ e^x[j], x not empty. Infinite elements grow alike.
func Softmax(x []*big.Float) []*big.Float {
	terms, total := numbers(len(x), work), number(work)
	for i, v := range x {
		total.Add(total, terms[i].SetExp(v))
	}
	p := make([]*big.Float, len(x))
	for i, t := range terms {
		p[i] = t.Quo(t, total).Float()
	}
	return p
}

// Floats returns the elements of x, none of which may be NaN.
func Floats[T float32 | float64](x []T) []*big.Float {
	y := make([]*big.Float, len(x))
	for i, v := range x {
		y[i] = New(float64(v))
	}
	return y
}
