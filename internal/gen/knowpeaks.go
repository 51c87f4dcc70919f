package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"

	"github.com/zlpr/zlpr/internal/coef"
)

// knowPeaks emits what is known of the peaks of rows, a register of float64 of them at a time,
// and whether all are simple: one comparison of each of SimplePeak's conditions, without branches.
func knowPeaks(v *vec) {
	p := &knownPeaks{vec: &vec{v.file, v.tier, float64s}, elem: v}
	label, inverse, tops, sums := v.param("label"), v.param("inverse"), v.param("top"), v.param("sums")
	p.peaks, p.room = v.param("peaks"), v.stride64("room")
	rows, loop := v.param("rows"), v.newLabel("rows")
	p.good = p.newMask()
	p.fillMask(p.good)
	v.Label(loop)
	p.labels(at(label, 0))

	top := p.reg()
	p.loadWide(v.elem, at(tops, 0), top)
	p.among(top, coef.LeastTop, coef.TargetLimit)
	p.xor(top, p.constant(math.Copysign(0, -1)), top)
	p.move(top, at(inverse, 0))

	p.among(p.inRegister(oneOfFour(sums, p.room, nil, 0)), v.pick(coef.NaturalLow32, coef.NaturalLow64), v.pick(coef.NaturalHigh32, coef.NaturalHigh64))
	distance, enough, none := p.inRegister(oneOfFour(sums, p.room, nil, 1)), p.newMask(), p.newMask()
	p.compare(greaterOrEqual, distance, p.constant(v.pick(coef.LeastProducts32, coef.LeastProducts64)), enough)
	p.compare(equal, p.inRegister(oneOfFour(sums, p.room, nil, 2)), p.constant(0), none)
	p.orMask(none, enough)
	p.andMask(enough, p.good)
	p.atMost(distance, math.MaxFloat64)

	v.ADDQ(operand.U8(2*v.size*p.perReg()), p.peaks)
	v.ADDQ(operand.U8(v.size*p.perReg()), label)
	v.ADDQ(operand.U8(v.size*p.perReg()), tops)
	v.ADDQ(operand.U8(p.bytes), inverse)
	v.ADDQ(operand.U8(p.bytes), sums)
	v.SUBQ(operand.U8(p.perReg()), rows)
	v.JNZ(operand.LabelRef(loop))
	bits := v.GP64()
	p.maskBits(p.good, bits)
	v.XORQ(operand.U32(1<<p.perReg()-1), bits)
	v.Store(bits, v.ReturnIndex(0))
	v.VZEROUPPER()
	v.RET()
}

// knownPeaks are the rows of knowPeaks.
type knownPeaks struct {
	*vec        // of float64
	elem        *vec
	peaks, room gpreg
	good        mask // the simple rows, in any order
}

// labels writes the labels of the peaks, and has rows with several be no good.
func (p *knownPeaks) labels(to operand.Mem) {
	const inOrder, evens = 0b11011000, 0b10001000 // of four: 0, 2, 1, 3, and 0, 2 of two each
	one := p.newMask()
	if p.elem.double() {
		// Rows 0, 1 and, in the upper half, 4, 5; rows 2, 3 and 6, 7.
		a, b, number := p.quarters(0), p.quarters(1), p.reg()
		p.VUNPCKHPD(b, a, number)
		p.compare(equal, number, p.constant(1), one)
		p.VUNPCKLPD(b, a, a)
		p.VPERMQ(operand.U8(inOrder), a, a)
		p.move(a, to)
	} else {
		number := p.inRegister(at(p.peaks, 0))
		p.VPSRLQ(operand.U8(32), number, number)
		p.VPCMPEQQ(p.constant(math.Float64frombits(uint64(math.Float32bits(1)))), number, one)
		r, half := op(p.XMM()), p.bytes/2
		if p.wide() {
			r = p.YMM()
		}
		p.VMOVUPS(at(p.peaks, 0), r)
		p.VSHUFPS(operand.U8(evens), at(p.peaks, half), r, r)
		if p.wide() {
			p.VPERMQ(operand.U8(inOrder), r, r)
		}
		p.VMOVUPS(r, to)
	}
	p.andMask(one, p.good)
}

// quarters returns every other quarter of the next peaks of float64, from one on.
func (p *knownPeaks) quarters(from int) vreg {
	r := p.reg()
	if !p.wide() {
		p.move(at(p.peaks, from*p.bytes), r)
		return r
	}
	p.VMOVUPD(at(p.peaks, from*p.bytes/2), r.AsY())
	p.VINSERTF64X4(operand.U8(1), at(p.peaks, p.bytes+from*p.bytes/2), r, r)
	return r
}

// among has rows of which x is not from low to high be no good.
func (p *knownPeaks) among(x vreg, low, high float64) {
	k := p.newMask()
	p.compare(greaterOrEqual, x, p.constant(low), k)
	p.andMask(k, p.good)
	p.atMost(x, high)
}

// atMost has rows of which x is above a bound, or NaN, be no good.
func (p *knownPeaks) atMost(x vreg, bound float64) {
	k := p.newMask()
	p.compare(lessOrEqual, x, p.constant(bound), k)
	p.andMask(k, p.good)
}
