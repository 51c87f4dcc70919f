package gen

import "github.com/mmcloughlin/avo/operand"

// ceilingBytes is what these kernels' loops take at once.
const ceilingBytes = 256

// read emits a loop of loads.
func read(v *vec) {
	x, n := v.param("x"), v.param("n")
	acc := v.reg()
	v.zero(acc)
	v.ceilingLoop(n, nil, func(i int) {
		v.prefetch(at(x, i), i/v.bytes)
		v.or(acc, at(x, i), acc)
	}, x)
}

// copying emits a loop of loads and stores.
func copying(v *vec, streaming bool) {
	dst, x, n := v.param("dst"), v.param("x"), v.param("n")
	var lookUp gpreg
	if streaming {
		lookUp = dst
	}
	v.ceilingLoop(n, lookUp, func(i int) {
		v.prefetch(at(x, i), i/v.bytes)
		r := v.reg()
		v.move(at(x, i), r)
		if streaming {
			v.stream(r, at(dst, i))
		} else {
			v.move(r, at(dst, i))
		}
	}, dst, x)
}

// ceilingLoop emits step for the byte offsets of the registers in a loop that
// moves the pointers.
func (v *vec) ceilingLoop(n, lookUp gpreg, step func(i int), pointers ...gpreg) {
	loop, done := v.newLabel("loop"), v.newLabel("done")
	v.SHRQ(operand.U8(log2(ceilingBytes/v.size)), n)
	v.JZ(operand.LabelRef(done))
	v.Label(loop)
	if lookUp != nil {
		v.translate(lookUp, ceilingBytes)
	}
	for i := 0; i < ceilingBytes; i += v.bytes {
		step(i)
	}
	for _, p := range pointers {
		v.ADDQ(operand.I32(ceilingBytes), p)
	}
	v.DECQ(n)
	v.JNZ(operand.LabelRef(loop))
	v.Label(done)
	v.SFENCE()
	v.VZEROUPPER()
	v.RET()
}
