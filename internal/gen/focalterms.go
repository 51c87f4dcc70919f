package gen

import (
	"github.com/zlpr/zlpr/internal/coef"
)

// An arithmetic emits the instructions of a formula on registers R of any
// architecture. Arguments come in the order of the formula, the destination last;
// c are constants.
type arithmetic[R any] interface {
	temp() R
	drop(r ...R) // those that are not used any more
	constantIn(c float64) R
	copyTo(a, d R)

	plus(a, b, d R)
	minus(a, b, d R)
	times(a, b, d R)
	over(a, b, d R)
	rootOf(a, d R)
	addProduct(a, b, d R) // d += a·b, one rounding
	subProduct(a, b, d R) // d -= a·b, one rounding
	exponentOf(t R)       // of the low bits

	// sharing emits body, which takes a constant more than once.
	sharing(c float64, body func())

	// productError returns a·b - p, one rounding, in a new register.
	productError(a, b, p R) R

	plusConstant(a R, c float64, d R)
	minusConstant(a R, c float64, d R)
	maxConstant(a R, c float64, d R)
	addProductConstant(a R, c float64, d R) // d += a·c, one rounding
	// fmaConstant is p = p·a + c, one rounding; the result may be another register.
	fmaConstant(p, a R, c float64) R

	addPositive(a, d R) // d += max(a, 0), NaN where a is
	negative(a R) R     // min(a, 0); a new register
	// productPlus returns a·b + c, one rounding, in another register. It drops a.
	productPlus(a, b, c R) R

	larger(a, b, d R)
	smaller(a, b, d R)
	// whereSign returns in a new register a where y has a sign, else b.
	whereSign(y, a, b R) R
	// otherSign is the sign bit where y has none.
	otherSign(y, d R)
	flip(a, sign, d R)
	// whereHalf returns new registers: where e is 1/2 or more a, head and tail, else e
	// and 0. It drops a.
	whereHalf(e, a R, head, tail float64) (f, h, t R)

	repeat(argument string, body func())               // as many times as an argument says
	ifAtLeast(argument string, least int, body func()) // only if an argument is
}

// A focal emits the arithmetic that kernel.focalElement specifies, in three stages:
// the exponential, the quotient and the rest. A processor that looks ahead finds enough
// to do where some registers go through one stage before the next.
type focal[R any] struct {
	arithmetic[R]
	elem
	exponent, exponentLow func() R  // f in a new register, and what it lacks
	powers                func(d R) // loads the powers of the register's elements
}

func (f focal[R]) double() bool { return f.elem == float64s }

// evenOdd is c[0] + c[1]·x + …, as kernel.evenOdd.
func (f focal[R]) evenOdd(c []float64, x, square R) R {
	n := len(c)
	p, q := f.constantIn(c[n-1]), f.constantIn(c[n-2])
	for i := n - 3; i >= 0; i-- {
		p, q = q, f.fmaConstant(p, square, c[i])
	}
	f.addProduct(p, x, q)
	f.drop(p)
	return q
}

// reduced returns r and s of e^(y+short) = s·e^r, and r². It drops y and short, nil for
// none.
func (f focal[R]) reduced(y R, short *R) (r, s, square R) {
	log2e, ln2Hi, ln2Lo, _ := expConstants(f.elem)
	magic, _, _ := pivot0(f.elem)
	f.maxConstant(y, f.scaleLow(), y)
	s = f.constantIn(magic)
	f.addProductConstant(y, log2e, s)
	n := f.temp()
	f.minusConstant(s, magic, n)
	r = y
	f.addProductConstant(n, -ln2Hi, r)
	f.addProductConstant(n, -ln2Lo, r)
	if short != nil {
		f.plus(r, *short, r)
		f.drop(*short)
	}
	f.exponentOf(s)
	square = n
	f.times(r, r, square)
	return r, s, square
}

// power is kernel.focalPower: e^(y+short) as e and, unless only that is wanted, c. It
// drops y and short, nil for none.
func (f focal[R]) power(y R, short *R, alone bool) (e, c R) {
	_, _, _, coefs := expConstants(f.elem)
	r, s, square := f.reduced(y, short)
	one, low := f.temp(), f.temp()
	f.plusConstant(r, 1, one)
	f.minusConstant(one, 1, low)
	f.minus(r, low, low)
	p := f.evenOdd(coefs, r, square)
	f.addProduct(square, p, low)
	f.plus(one, low, p)
	if !alone {
		f.minus(p, one, one)
		f.minus(low, one, low)
		f.times(low, s, low)
	}
	f.times(p, s, p)
	f.drop(s, r, square, one)
	if alone {
		f.drop(low)
	}
	return p, low
}

// exponential is the first stage, which gives e and c as power does: of float32 in fewer
// steps.
func (f focal[R]) exponential(y R, short *R) (e, c R) {
	if f.double() {
		return f.power(y, short, false)
	}
	_, _, _, coefs := expConstants(f.elem)
	r, s, square := f.reduced(y, short)
	p := f.evenOdd(coefs, r, square)
	low := f.productPlus(square, p, r)
	e, c = p, r
	f.copyTo(s, e)
	f.addProduct(s, low, e)
	f.minus(s, e, c)
	f.addProduct(s, low, c)
	f.drop(s, low)
	return e, c
}

// scaleLow is the argument at which the scale of an exponential is 0.
func (e elem) scaleLow() float64 {
	if e == float64s {
		return coef.ScaleLow64
	}
	return coef.ScaleLow32
}

// reduce is kernel.focalReduce.
func (f focal[R]) reduce(e R) (g, head, tail R) {
	above := f.constantIn(0.5)
	half := f.constantIn(-0.5)
	f.addProduct(e, above, half)
	f.drop(above)
	if f.double() {
		return f.whereHalf(e, half, coef.Ln2Head, coef.Ln2Tail)
	}
	return f.whereHalf(e, half, coef.Ln2Hi32, coef.Ln2Lo32)
}

// logParts is kernel.focalLogParts; low is c.
func (f focal[R]) logParts(g, c R) (h, low R) {
	s, z := f.temp(), f.temp()
	f.plusConstant(g, 2, s)
	f.over(g, s, s)
	f.times(s, s, z)
	l := coef.LogWide64[:]
	if !f.double() {
		l = coefficients(coef.Log1pUnit32[:])
	}
	r := f.constantIn(l[len(l)-1])
	for i := len(l) - 2; i >= 0; i-- {
		r = f.fmaConstant(r, z, l[i])
	}
	h = f.constantIn(0.5)
	f.times(g, h, h)
	f.times(h, g, h)
	t := f.temp()
	f.copyTo(h, t)
	f.addProduct(r, z, t)
	f.addProduct(s, t, c)
	f.drop(s, z, r, t)
	return h, c
}

// numerator is that of σ in kernel.focalElement.
func (f focal[R]) numerator(y, e R) (u R) {
	one := f.constantIn(1)
	u = f.whereSign(y, e, one)
	f.drop(one)
	return u
}

// quotient is q of kernel.focalElement.
func (f focal[R]) quotient(e, u R) (q R) {
	q = f.temp()
	one := f.constantIn(1)
	f.plus(e, one, one)
	f.over(u, one, q)
	f.drop(one)
	return q
}

// complement is 1 - q.
func (f focal[R]) complement(q R) (p R) {
	p = f.constantIn(1)
	f.minus(p, q, p)
	return p
}

// excess is the error of q in kernel.focalElement, p being 1 - q. It overwrites y, c and u.
func (f focal[R]) excess(y, e, c, u, q, p R) R {
	f.minus(u, q, u)
	f.subProduct(q, e, u)
	f.otherSign(y, y)
	f.flip(c, y, c)
	f.larger(q, p, y)
	f.addProduct(c, y, u)
	f.times(u, y, u)
	f.drop(y, c)
	return u
}

// element is the rest of kernel.focalElement: the term and the derivative. again gives y
// in a new register. It drops the others.
func (f focal[R]) element(again func() R, e, q, p, excess R) (term, derivative R) {
	// s = max(y, 0) + log(1+e)
	b, z := f.temp(), f.temp()
	f.smaller(q, p, b)
	f.times(e, b, z)
	f.plus(e, b, e)
	l := hyperbolic(f.elem)
	k := f.constantIn(l[len(l)-1])
	for i := len(l) - 2; i >= 0; i-- {
		k = f.fmaConstant(k, z, l[i])
	}
	rest := f.constantIn(0.5)
	f.subProduct(e, k, rest)
	f.drop(e, k)
	y := again()
	f.otherSign(y, y)
	f.flip(excess, y, y)
	s := f.productPlus(z, rest, y)
	f.drop(rest, y)
	f.plus(b, s, s)
	f.drop(b)
	y = again()
	f.addPositive(y, s)
	f.drop(y)
	f.minus(p, excess, p)
	corrected, h := f.temp(), f.temp()
	f.plus(q, excess, corrected)
	f.plus(q, q, h)
	f.times(h, excess, h)
	f.addProduct(q, q, h)
	f.ifAtLeast("root", 1, func() {
		f.copyTo(corrected, h)
		f.ifAtLeast("root", 2, func() {
			f.rootOf(h, h)
			f.ifAtLeast("root", 3, func() { f.powers(h) })
		})
	})
	f.repeat("steps", func() {
		t := f.temp()
		f.times(h, excess, t)
		f.addProduct(h, q, t)
		f.copyTo(t, h)
		f.drop(t)
	})
	f.drop(q, excess)
	// term = h·s; derivative = h·(f·p·s + σ)
	f.times(p, s, p)
	x := f.exponent()
	f.addProduct(p, x, corrected)
	f.times(h, s, s)
	f.times(h, corrected, corrected)
	f.drop(p, h, x)
	return s, corrected
}

// sigmoidPower is kernel.sigmoidPower of what sigmoidLogarithm takes.
func (f focal[R]) sigmoidPower(y, down, short, shortDown R) R {
	product, more := f.sigmoidLogarithm(y, down, short, shortDown)
	power, _ := f.power(product, &more, true)
	return power
}

// sigmoidLogarithm returns f·log(sigmoid(y)) in kernel.sigmoidPower and what it lacks, y
// being of the sign of its argument. down is -|y| and short what it is short of; shortDown
// is that where y is negative, else 0. It drops all of them.
func (f focal[R]) sigmoidLogarithm(y, down, short, shortDown R) (product, more R) {
	e, c := f.power(down, &short, false)
	one := f.constantIn(1)
	w := f.temp()
	f.plus(e, one, w)
	f.over(one, w, w)
	g, head, low := f.reduce(e)
	f.addProduct(w, c, low)
	f.drop(one, w, e, c)
	h, low := f.logParts(g, low)
	// low less what h lacks of g²/2
	half := f.constantIn(0.5)
	f.times(half, g, half)
	lack := f.productError(half, g, h)
	f.minus(low, lack, low)
	f.drop(half, lack)
	t, u := f.temp(), f.temp()
	f.minus(g, h, t)
	f.plus(head, t, u)
	// rest = ((u - head) - t) + ((t - g) + h) - low
	rest := f.temp()
	f.minus(u, head, rest)
	f.minus(rest, t, rest)
	f.minus(t, g, t)
	f.plus(t, h, t)
	f.plus(rest, t, rest)
	f.minus(rest, low, rest)
	f.drop(head, t, g, h, low)
	// a = m - u, and its error
	m := f.negative(y)
	f.drop(y)
	f.maxConstant(m, f.scaleLow(), m)
	a, v, d := f.temp(), f.temp(), f.temp()
	f.minus(m, u, a)
	f.minus(a, m, v)
	f.minus(a, v, d)
	f.minus(m, d, d)
	f.plus(u, v, v)
	f.minus(d, v, d)
	f.plus(d, shortDown, d)
	f.plus(d, rest, rest)
	f.drop(m, v, d, shortDown)
	// f·a and what that lacks
	f.plus(a, rest, u)
	f.minus(u, a, a)
	f.minus(rest, a, rest)
	x := f.exponent()
	product = f.temp()
	f.times(x, u, product)
	more = f.productError(x, u, product)
	lo := f.exponentLow()
	f.addProduct(lo, u, more)
	f.addProduct(x, rest, more)
	f.drop(x, lo, a, u, rest)
	return product, more
}
