package gen

import "math"

// neonHalfLoop is halfLoop for NEON: body reads and writes a step at src and dst.
func (v *neonVec) neonHalfLoop(fromSize, toSize int, body func(dst, src genReg)) {
	dst, src, n := v.param("dst"), v.param("src"), v.param("n")
	loop := v.newLabel("loop")
	v.label(loop)
	body(dst, src)
	v.op("ADD", imm(halfStep*toSize), dst)
	v.op("ADD", imm(halfStep*fromSize), src)
	v.op("SUBS", imm(halfStep), n)
	v.op("BNE", loop)
	v.op("RET")
}

// neonWiden emits float32 of 16-bit floats: low and high convert the halves of a
// register.
func (v *neonVec) neonWiden(low, high func(n, d *vecReg)) {
	h, w := v.regs(2), v.regs(2)
	v.neonHalfLoop(2, 4, func(dst, src genReg) {
		v.loadPair(address{src, 0}, h[0], h[1])
		for i, r := range h {
			low(r, w[0])
			high(r, w[1])
			v.storePair(w[0], w[1], address{dst, 32 * i})
		}
	})
}

func neonWidenBFloat16(v *neonVec) {
	zero := v.cleared(1)[0]
	h8 := func(r *vecReg) lanes { return r.as("H8") }
	v.neonWiden(
		func(n, d *vecReg) { v.op("VZIP1", h8(n), h8(zero), h8(d)) },
		func(n, d *vecReg) { v.op("VZIP2", h8(n), h8(zero), h8(d)) })
}

func neonWidenFloat16(v *neonVec) { v.neonWiden(v.VFCVTLH, v.VFCVTL2H) }

func neonNarrowFloat16(v *neonVec) {
	w, h := v.regs(4), v.regs(2)
	v.neonHalfLoop(4, 2, func(dst, src genReg) {
		v.loadPair(address{src, 0}, w[0], w[1])
		v.loadPair(address{src, 32}, w[2], w[3])
		for i, r := range h {
			v.VFCVTNH(w[2*i], r)
			v.VFCVTN2H(w[2*i+1], r)
		}
		v.storePair(h[0], h[1], address{dst, 0})
	})
}

func neonNarrowBFloat16(v *neonVec) {
	v.loadConstants()
	integer := func(bits uint32) *vecReg {
		return v.inRegister(v.constant(float64(math.Float32frombits(bits))))
	}
	one, half, quiet := integer(1), integer(0x7fff), integer(0x400000)
	w, h := v.regs(4), v.regs(2)
	r, k := v.reg(), v.reg()
	v.neonHalfLoop(4, 2, func(dst, src genReg) {
		v.loadPair(address{src, 0}, w[0], w[1])
		v.loadPair(address{src, 32}, w[2], w[3])
		for _, x := range w {
			v.op("VUSHR", imm(16), x.as("S4"), r.as("S4"))
			v.and(r, one, r)
			v.op("VADD", half.as("S4"), r.as("S4"), r.as("S4"))
			v.op("VADD", x.as("S4"), r.as("S4"), r.as("S4"))
			v.atLeast(x, x, k)
			v.or(x, quiet, x)
			v.op("VBIT", k.b16(), r.b16(), x.b16())
		}
		for i, d := range h {
			// The upper halves are the odd ones of 16 bits.
			v.op("VUZP2", w[2*i+1].as("H8"), w[2*i].as("H8"), d.as("H8"))
		}
		v.storePair(h[0], h[1], address{dst, 0})
	})
}
