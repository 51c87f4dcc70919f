package gen

import "github.com/mmcloughlin/avo/operand"

// A labelBits emits a bound of the bits of labels as integers, which are in the order of the
// labels where these are not negative, and above those of all numbers elsewhere. Of float64 it
// is one of their upper halves, for AVX2 compares no whole ones.
type labelBits struct {
	*vec
	bound op
	join  func(ops ...op)
	less  vreg // -1, which is added: those of 0 are the highest then; nil to add nothing
}

// newMostBits returns the highest bits, with a place for them.
func newMostBits(v *vec, bound op) *labelBits {
	b := &labelBits{vec: v, bound: bound, join: v.VPMAXUD}
	r := v.reg()
	v.zero(r)
	v.move(r, b.bound)
	return b
}

// newLeastBits returns the lowest bits less one.
func newLeastBits(v *vec) *labelBits {
	b := &labelBits{vec: v, bound: v.reg(), join: v.VPMINUD, less: v.reg()}
	v.allOnes(b.less)
	v.move(b.less, b.bound)
	return b
}

// allOnes sets all bits of r.
func (v *vec) allOnes(r vreg) {
	if v.wide() {
		v.VPTERNLOGQ(operand.U8(0xff), r, r, r)
	} else {
		v.VPCMPEQD(r, r, r)
	}
}

// take takes in labels.
func (b *labelBits) take(labels ...vreg) {
	r := b.asRegister(b.bound)
	for _, t := range labels {
		if b.less != nil {
			d := b.reg()
			b.addInteger(t, b.less, d)
			t = d
		}
		b.join(t, r, r)
	}
	if r != b.bound {
		b.move(r, b.bound)
	}
}

// takeAt is take, of the highest bits, of labels in memory.
func (b *labelBits) takeAt(places ...op) {
	r := b.asRegister(b.bound)
	for _, m := range places {
		b.join(m, r, r)
	}
	if r != b.bound {
		b.move(r, b.bound)
	}
}

// report writes the bound to the result.
func (b *labelBits) report() {
	r := b.asRegister(b.bound)
	b.reduce(r, func(a, m, d op) { b.join(m, a, d) })
	x := r.AsX()
	if !b.double() {
		b.VPSLLQ(operand.U8(32), x, x)
	}
	b.VPSRLQ(operand.U8(32), x, x)
	b.VMOVSD(x, b.result(0))
}

// A neonLabelBits is labelBits.
type neonLabelBits struct {
	*neonVec
	bound, less *vecReg
	join        string
}

func newNeonMostBits(v *neonVec) *neonLabelBits {
	return &neonLabelBits{neonVec: v, bound: v.cleared(1)[0], join: "VUMAX"}
}

func newNeonLeastBits(v *neonVec) *neonLabelBits {
	r := v.cleared(2)
	for _, r := range r {
		v.op("VCMEQ", r.b16(), r.b16(), r.b16())
	}
	return &neonLabelBits{v, r[0], r[1], "VUMIN"}
}

func (b *neonLabelBits) take(t *vecReg) {
	r := t
	if b.less != nil {
		r = b.reg()
		b.op("VADD", b.lanes(b.less), b.lanes(t), b.lanes(r))
		defer b.free(r)
	}
	b.op(b.join, r.as("S4"), b.bound.as("S4"), b.bound.as("S4"))
}

// report writes the bound of all labels so far to the result.
func (b *neonLabelBits) report() {
	b.scope(func() {
		r, h, result := b.reg(), b.reg(), b.gp()
		b.copy(b.bound, r)
		if b.double() {
			b.op("VUSHR", imm(32), r.as("D2"), r.as("D2"))
		}
		b.op("VEXT", imm(8), r.b16(), r.b16(), h.b16())
		b.op(b.join, h.as("S4"), r.as("S4"), r.as("S4"))
		if !b.double() {
			b.op("VEXT", imm(4), r.b16(), r.b16(), h.b16())
			b.op(b.join, h.as("S4"), r.as("S4"), r.as("S4"))
		}
		b.op("VMOV", r.as("S").String()+"[0]", result)
		b.op("MOVD", result, b.argument("bits"))
		b.release(result)
	})
}
