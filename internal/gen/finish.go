package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// finishSums emits the loss of two sums, log1p(a) + log1p(b), and the factors
// of its gradient.
//
//	for i := range rows {
//		loss[i] = log1p(a[i]) + log1p(b[i])
//		fa[i], fb[i] = scale[i]·(1/(1+a[i])), scale[i]·(1/(1+b[i]))
//		if a[i] or b[i] is not natural, or a factor not fit {
//			bad = 1 // or more
//		}
//	}
//
// Of float32, the logarithm is that of the product (see finishJoined).
func finishSums(v *vec, factors bool) {
	if !v.double() {
		finishJoined(v, false, factors)
		return
	}
	f := newFinish(v, factors)
	f.run(func() {
		sum := f.reg()
		for i := range f.sums {
			x, _ := f.load(i)
			log, inverse := f.log1p(x)
			if factors {
				f.factor(i, inverse, nil)
			}
			if i == 0 {
				f.move(log, sum)
			} else {
				f.add(sum, log, sum)
			}
		}
		f.move(sum, f.place(f.loss))
	})
}

// finishJoined emits a loss of two sums of float32 that is one logarithm,
//
//	sums:     u = a·b + (a+b),  log1p(a) + log1p(b) = log1p(u)
//	product:  u = a·b
//
// With d = 1+u, the factors are scale·((1+b)·(1/d)) and scale·((1+a)·(1/d)) or,
// of the product, scale·(b·(1/d)) and scale·(a·(1/d)).
func finishJoined(v *vec, product, factors bool) {
	f := newFinish(v, factors)
	if product {
		f.most = coef.ProductHigh32
	}
	f.zeros = product && factors
	f.sideBySide(!factors)
	f.run(func() {
		a, noA := f.load(0)
		b, noB := f.load(1)
		u := f.reg()
		if product {
			f.mul(a, b, u)
		} else {
			f.add(a, b, u)
			f.fmaAcc(a, b, u)
		}
		log, d := f.log1pSum(u)
		f.move(log, f.place(f.loss))
		if !factors {
			return
		}
		f.VDIVPD(d, f.one, d)
		for i, other := range []vreg{b, a} {
			none := []mask{noB, noA}[i]
			if !product {
				f.add(other, f.one, other)
				none = nil
			}
			f.mul(other, d, other)
			f.factor(i, other, none)
		}
	})
}

// finishJoins emits the losses log1p(u) of joins u, and their factors.
func finishJoins(v *vec, factors bool) {
	d := &vec{v.file, v.tier, float64s}
	f := &finish{of: v.elem, together: 1, loss: v.param("loss"), sums: [2]gpreg{v.param("u")}, most: coef.FactorHigh32}
	if factors {
		f.out[0], f.scale = v.param("f"), v.param("scale")
	}
	f.logarithms = newLogarithms(d)
	f.begin()
	f.sideBySide(!factors)
	f.run(func() {
		u := f.reg()
		f.move(f.place(f.sums[0]), u)
		if f.wide() {
			f.extend(f.ofSums, u, coef.JoinLow32, coef.JoinHigh32, nil)
		} else {
			f.andMask(f.within(u, coef.JoinLow32, coef.JoinHigh32), f.good)
		}
		log, _ := f.log1pSum(u)
		f.move(log, f.place(f.loss))
		if factors {
			f.factor(0, f.one, nil)
		}
	})
}

// A finish emits what finishes losses of two sums: it runs through rows by
// registers of float64.
type finish struct {
	*logarithms
	of          elem // the element type
	loss, scale gpreg
	sums, out   [2]gpreg // sums and factors of the negatives, of the positives
	good        mask
	most        float64 // of the factors
	zeros       bool    // load tells where sums are 0

	together int // so many registers of rows a turn
	number   int // of the one whose rows are being finished

	ofSums, ofFactors *extremes   // AVX-512
	extremes          []*extremes // all
}

// An extremes accumulates, lane by lane, the extremes of numbers of at least 0 that are
// to be within limits, as integers: NaN is greater than any. On AVX-512 masks take turns
// in one unit of the processor.
type extremes struct {
	most  vreg
	least vreg // of the numbers, but for those that may be 0
	above vreg // of those less one: 0, which is allowed, becomes the greatest
	low   float64
	high  float64
	used  [2]bool // least, above
}

func (f *finish) newExtremes() *extremes {
	e := &extremes{most: f.reg(), least: f.reg(), above: f.reg()}
	f.zero(e.most)
	f.VPTERNLOGQ(operand.U8(0xff), e.least, e.least, e.least)
	f.VPTERNLOGQ(operand.U8(0xff), e.above, e.above, e.above)
	f.extremes = append(f.extremes, e)
	return e
}

// allOnes is -1 as an integer.
func (f *finish) allOnes() operand.Mem { return f.constant(math.Float64frombits(math.MaxUint64)) }

// extend takes in x, which is to be within limits, the same ones for all numbers, or 0
// in the lanes of zero; nil for none. It overwrites x.
func (f *finish) extend(e *extremes, x vreg, low, high float64, zero mask) {
	e.low, e.high, e.used[0] = low, high, true
	f.VPMAXUQ(x, e.most, e.most)
	if zero != nil {
		f.aboveZero(e, x)
		f.or(zero, x, x)
	}
	f.VPMINUQ(x, e.least, e.least)
}

// extendOrZero takes in x, which is to be within limits or 0, and returns x less one.
func (f *finish) extendOrZero(e *extremes, x vreg, low, high float64) vreg {
	e.low, e.high = low, high
	f.VPMAXUQ(x, e.most, e.most)
	return f.aboveZero(e, x)
}

func (f *finish) aboveZero(e *extremes, x vreg) vreg {
	e.used[1] = true
	less := f.reg()
	f.VPADDQ(f.allOnes(), x, less)
	f.VPMINUQ(less, e.above, e.above)
	return less
}

// check leaves those lanes good whose extremes are within limits.
func (f *finish) check(e *extremes) {
	k := f.newMask()
	also := func(predicate uint8, x vreg, limit uint64) {
		f.VPCMPUQ(operand.U8(predicate), f.inRegister(f.constant(math.Float64frombits(limit))), x, k)
		f.andMask(k, f.good)
	}
	const atLeast, atMost = 5, 2
	also(atMost, e.most, math.Float64bits(e.high))
	if e.used[0] {
		also(atLeast, e.least, math.Float64bits(e.low))
	}
	if e.used[1] {
		also(atLeast, e.above, math.Float64bits(e.low)-1)
	}
}

func newFinish(v *vec, factors bool) *finish {
	d := &vec{v.file, v.tier, float64s}
	f := &finish{of: v.elem, loss: v.param("loss"), together: 1}
	f.sums = [2]gpreg{v.param("a"), v.param("b")}
	if factors {
		f.out = [2]gpreg{v.param("fa"), v.param("fb")}
		f.scale = v.param("scale")
	}
	f.logarithms = newLogarithms(d)
	f.most = v.pick(coef.FactorHigh32, coef.FactorHigh64)
	f.begin()
	return f
}

// begin has all lanes be good.
func (f *finish) begin() {
	f.good = f.newMask()
	f.fillMask(f.good)
	if f.wide() {
		f.ofSums = f.newExtremes()
		if f.scale != nil {
			f.ofFactors = f.newExtremes()
		}
	}
}

// sideBySide has the rows of two registers be finished together, if there are registers for
// that, on AVX2: a multiple of 8 rows is so many.
func (f *finish) sideBySide(room bool) {
	if room && !f.wide() {
		f.together = 2
	}
}

// run emits the loop and the return; body finishes the rows of a register.
func (f *finish) run(body func()) {
	rows, loop, done := f.param("rows"), f.newLabel("rows"), f.newLabel("done")
	f.TESTQ(rows, rows)
	f.JZ(operand.LabelRef(done))
	f.Label(loop)
	var bodies []func()
	for i := range f.together {
		bodies = append(bodies, func() {
			f.number = i
			body()
		})
	}
	f.interleave(bodies...)
	f.moveOn(f.bytes, f.loss, f.scale, f.sums[0], f.sums[1])
	f.moveOn(f.of.size*f.perReg(), f.out[0], f.out[1])
	f.SUBQ(operand.U8(f.perReg()*len(bodies)), rows)
	f.JNZ(operand.LabelRef(loop))
	f.Label(done)
	for _, e := range f.extremes {
		f.check(e)
	}
	bits := f.GP64()
	f.maskBits(f.good, bits)
	f.XORQ(operand.U32(1<<f.perReg()-1), bits)
	f.Store(bits, f.ReturnIndex(0))
	f.VZEROUPPER()
	f.RET()
}

// moveOn moves those of the places that there are on past a turn's rows, so many bytes a
// register.
func (f *finish) moveOn(bytes int, places ...gpreg) {
	for _, p := range places {
		if p != nil {
			f.ADDQ(operand.U8(bytes*f.together), p)
		}
	}
}

// place is the place of float64 numbers of the register's rows.
func (f *finish) place(base gpreg) operand.Mem { return at(base, f.number*f.bytes) }

// load loads sums of side i, which are to be natural or 0, and where they are 0: on
// AVX-512 if that is wanted, as all ones.
func (f *finish) load(i int) (x vreg, zero mask) {
	return f.loadWithin(i, f.of.pick(coef.NaturalLow32, coef.NaturalLow64), f.of.pick(coef.NaturalHigh32, coef.NaturalHigh64))
}

// loadWithin is load of sums that are to be within limits or 0.
func (f *finish) loadWithin(i int, low, high float64) (x vreg, zero mask) {
	x = f.reg()
	f.move(f.place(f.sums[i]), x)
	if f.wide() {
		less := f.extendOrZero(f.ofSums, x, low, high)
		if !f.zeros {
			return x, nil
		}
		f.VPSRAQ(operand.U8(63), less, less)
		return x, less
	}
	zero = f.newMask()
	natural := f.within(x, low, high)
	f.compare(equal, x, f.constant(0), zero)
	f.orMask(zero, natural)
	f.andMask(natural, f.good)
	return x, zero
}

// factor writes scale·x, the factors of side i, which are to fit or, in the lanes
// of none, to be 0.
func (f *finish) factor(i int, x vreg, none mask) {
	q, y := f.reg(), f.reg()
	f.mul(x, f.place(f.scale), y)
	x = y
	f.and(x, f.constant(math.Float64frombits(1<<63-1)), q)
	low := f.of.pick(coef.FactorLow32, coef.FactorLow64)
	if f.wide() {
		f.extend(f.ofFactors, q, low, f.most, none)
		f.putFactor(x, i)
		return
	}
	fits := f.within(q, low, f.most)
	if none != nil {
		zero := f.newMask()
		f.compare(equal, x, f.constant(0), zero)
		f.andMask(none, zero)
		f.orMask(zero, fits)
	}
	f.andMask(fits, f.good)
	f.putFactor(x, i)
}

// putFactor writes the factors of side i.
func (f *finish) putFactor(x vreg, i int) {
	f.storeNarrow(f.of, x, at(f.out[i], f.number*f.of.size*f.perReg()))
}

// within returns the lanes in which low ≤ x ≤ high.
func (v *vec) within(x vreg, low, high float64) mask {
	k, m := v.newMask(), v.newMask()
	v.compare(greaterOrEqual, x, v.constant(low), k)
	v.compare(lessOrEqual, x, v.constant(high), m)
	v.andMask(m, k)
	return k
}

// fillMask selects all lanes.
func (v *vec) fillMask(k mask) {
	if v.wide() {
		v.KXNORB(k, k, k)
	} else {
		v.VPCMPEQD(k, k, k)
	}
}

// andMask leaves of d the lanes of k.
func (v *vec) andMask(k, d mask) {
	if v.wide() {
		v.KANDB(k, d, d)
	} else {
		v.and(d, k, d)
	}
}

// maskBits brings a mask of float64 lanes to the low bits of r.
func (v *vec) maskBits(k mask, r gpreg) {
	if v.wide() {
		v.KMOVB(k, r.As32())
	} else {
		v.VMOVMSKPD(k, r.As32())
	}
}
