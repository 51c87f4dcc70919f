package ref

import (
	"math"
	"math/big"
)

// A Number is a number ≥ 0 of any size, m·2^e·ω^order. Exponentials of finite
// float64s, and products of them, lie far outside big.Float, whose exponents
// end at 2^31. ω stands for e^(+Inf): it is above every finite number, infinite
// scores are taken to grow alike, and ω^0 = 1.
//
// The methods follow big.Float: z, whose precision is that of the result, is
// set and returned, and may be one of the operands.
type Number struct {
	m     big.Float
	e     big.Int // 0 while the exponent of m is below 2^nearBits; else m is in [1/2, 1)
	far   bool    // e is not 0
	order int
}

// nearBits leaves products of two such numbers within big.Float.
const nearBits = 29

// number returns a zero of the given precision.
func number(prec uint) *Number {
	z := &Number{}
	z.m.SetPrec(prec)
	return z
}

func numbers(n int, prec uint) []*Number {
	x := make([]*Number, n)
	for i := range x {
		x[i] = number(prec)
	}
	return x
}

// Prec returns the precision of x in bits.
func (x *Number) Prec() uint { return x.m.Prec() }

// Sign returns 0 if x is 0, else 1.
func (x *Number) Sign() int { return x.m.Sign() }

// SetFloat sets z to x ≥ 0, which may be +Inf.
func (z *Number) SetFloat(x *big.Float) *Number {
	if x.Sign() < 0 {
		panic("ref: a Number below 0")
	}
	z.far, z.order = false, 0
	if x.IsInf() {
		z.m.SetInt64(1)
		z.order = 1
		return z
	}
	z.m.Set(x)
	return z.normalize()
}

// Set sets z to x.
func (z *Number) Set(x *Number) *Number {
	z.m.Set(&x.m)
	if z.far = x.far; x.far {
		z.e.Set(&x.e)
	}
	z.order = x.order
	return z
}

// normalize moves the exponent of m to e or back.
func (z *Number) normalize() *Number {
	if z.m.Sign() == 0 {
		z.far, z.order = false, 0
		return z
	}
	e := exponent(&z.m)
	if !z.far && -1<<nearBits < e && e < 1<<nearBits {
		return z
	}
	if !z.far {
		z.e.SetInt64(0)
	}
	z.e.Add(&z.e, big.NewInt(int64(e)))
	near := z.e.BitLen() <= nearBits
	if near {
		e -= int(z.e.Int64())
	}
	z.m.SetMantExp(&z.m, -e)
	z.far = !near
	return z
}

// exponent returns E with x = f·2^E·ω^order, 1/2 ≤ f < 1, for x ≠ 0.
func (x *Number) exponent() *big.Int {
	e := big.NewInt(int64(exponent(&x.m)))
	if x.far {
		e.Add(e, &x.e)
	}
	return e
}

// Mul sets z to x·y.
func (z *Number) Mul(x, y *Number) *Number {
	order, far := x.order+y.order, x.far || y.far
	switch {
	case x.far && y.far:
		z.e.Add(&x.e, &y.e)
	case x.far:
		z.e.Set(&x.e)
	case y.far:
		z.e.Set(&y.e)
	}
	z.m.Mul(&x.m, &y.m)
	z.far, z.order = far, order
	return z.normalize()
}

// Quo sets z to x/y, y not 0.
func (z *Number) Quo(x, y *Number) *Number {
	order, far := x.order-y.order, x.far || y.far
	switch {
	case x.far && y.far:
		z.e.Sub(&x.e, &y.e)
	case x.far:
		z.e.Set(&x.e)
	case y.far:
		z.e.Neg(&y.e)
	}
	z.m.Quo(&x.m, &y.m)
	z.far, z.order = far, order
	return z.normalize()
}

// Add sets z to x+y.
func (z *Number) Add(x, y *Number) *Number {
	switch {
	case x.Sign() == 0, y.Sign() != 0 && x.order < y.order:
		return z.Set(y)
	case y.Sign() == 0, x.order > y.order:
		return z.Set(x)
	}
	z.order = x.order
	if !x.far && !y.far {
		addTo(&z.m, &x.m, &y.m)
		z.far = false
		return z.normalize()
	}
	ex, ey := x.exponent(), y.exponent()
	if ex.Cmp(ey) < 0 {
		x, y, ex, ey = y, x, ey, ex
	}
	distance := ey.Sub(ex, ey)
	if limit := int64(z.Prec()) + beyond; distance.Cmp(big.NewInt(limit)) > 0 {
		return z.Set(x)
	}
	lower := num(y.Prec()).SetMantExp(&y.m, -exponent(&y.m)-int(distance.Int64()))
	z.m.Add(num(x.Prec()).SetMantExp(&x.m, -exponent(&x.m)), lower)
	z.e.Set(ex)
	z.far = true
	return z.normalize()
}

// Float returns x: 0 or +Inf where it is outside the range of big.Float.
func (x *Number) Float() *big.Float {
	z := num(x.Prec())
	switch {
	case x.Sign() == 0 || x.order < 0:
		return z
	case x.order > 0:
		return z.SetInf(false)
	case !x.far:
		return z.Set(&x.m)
	case x.e.BitLen() < 32: // an int32, as exponents of big.Float are
		return z.SetMantExp(&x.m, int(x.e.Int64()))
	case x.e.Sign() < 0:
		return z
	}
	return z.SetInf(false)
}

// Log returns log(x); log(0) = -Inf.
func (x *Number) Log() *big.Float {
	prec := x.Prec()
	switch {
	case x.Sign() == 0 || x.order < 0:
		return num(prec).SetInf(true)
	case x.order > 0:
		return num(prec).SetInf(false)
	case !x.far:
		return log(&x.m, prec)
	}
	// log m + e·ln2, of which the latter is above 2^28.
	l := num(prec + guard).SetInt(&x.e)
	l.Mul(l, ln2(prec+guard))
	return addTo(num(prec), l, log(&x.m, prec))
}

// Log1p returns log(1+x).
func (x *Number) Log1p() *big.Float {
	switch {
	case x.Sign() == 0 || x.order < 0:
		return num(x.Prec())
	case x.far && x.e.Sign() > 0 || x.order > 0:
		return x.Log()
	case x.far: // the logarithm is x, less x²/2
		return x.Float()
	}
	return log1p(&x.m, x.Prec())
}

// SetExp sets z to e^x, whose relative error is below 2^-prec if x is exact:
// big.Float holds any float64, and a sum or product of some, if its precision
// allows.
func (z *Number) SetExp(x *big.Float) *Number {
	z.far, z.order = false, 0
	switch {
	case x.IsInf():
		z.m.SetInt64(1)
		z.order = x.Sign()
		return z
	case x.Sign() == 0:
		z.m.SetInt64(1)
		return z
	}

	// x = n·ln2 + r, |r| ≤ ln2/2 and a little; e^r = (e^(r/2^k))^(2^k).
	const k = 8
	w := z.Prec() + guard + k
	digits := uint(max(32, exponent(x))) // of n
	n := new(big.Int)
	prec := w + 32 // of ln2, and so of n·ln2 relative to 1
	if digits == 32 {
		quotient, _ := num(64).Quo(x, ln2(64)).Float64()
		n.SetInt64(int64(math.RoundToEven(quotient)))
	} else {
		prec = (prec + digits + 255) &^ 255 // few precisions, for the table of ln2
		num(digits+8).Quo(x, ln2(digits+8)).Int(n)
	}
	product := num(prec + 64).SetInt(n)
	product.Mul(product, ln2(prec))
	r := num(w+32).Sub(x, product)
	r.SetPrec(w)
	z.e.Set(n)
	z.far = n.Sign() != 0
	if r.Sign() == 0 || exponent(r) < -int(w)-2 { // e^r is 1 to w bits
		z.m.SetInt64(1)
		return z.normalize()
	}
	r = ldexp(r, -k)
	p, q := taylor(r, w), num(w)
	p.Add(p, integer(1, w))
	for range k { // not in place, which would allocate
		q.Mul(p, p)
		p, q = q, p
	}
	z.m.Set(p)
	return z.normalize()
}
