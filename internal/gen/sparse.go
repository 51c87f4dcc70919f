package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// sparseProduct emits the product of a sparse row with 8 columns of a dense matrix. Two
// chains of sums hide the latency of additions.
func sparseProduct(v *vec) {
	dst, indices, n, values := v.param("dst"), v.param("indices"), v.param("n"), v.param("values")
	dense, columns := v.param("v"), v.param("columns")
	even, odd := v.newRegs(v.regs()), v.cleared(v.regs())
	for i, a := range even {
		v.move(at(dst, i*v.bytes), a)
	}
	term := func(k int, acc []vreg) {
		j, factor := v.GP64(), v.reg()
		v.MOVL(at(indices, 4*k), j.As32())
		v.IMULQ(columns, j)
		v.broadcast(at(values, 8*k), factor)
		for i, a := range acc {
			product := v.reg()
			v.mul(factor, operand.Mem{Base: dense, Index: j, Scale: 8, Disp: i * v.bytes}, product)
			v.add(a, product, a)
		}
	}
	v.whileAtLeast(2, n, func() {
		term(0, even)
		term(1, odd)
		v.ADDQ(operand.U32(8), indices)
		v.ADDQ(operand.U32(16), values)
	})
	v.whileAtLeast(1, n, func() { term(0, even) })
	for i, a := range even {
		v.add(a, odd[i], a)
		v.move(a, at(dst, i*v.bytes))
	}
	v.VZEROUPPER()
	v.RET()
}
