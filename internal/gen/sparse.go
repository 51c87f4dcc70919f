package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// sparseProduct emits the product of a sparse row with 8 columns of a dense matrix.
func sparseProduct(v *vec) {
	dst, indices, n, values := v.param("dst"), v.param("indices"), v.param("n"), v.param("values")
	dense, columns := v.param("v"), v.param("columns")
	sums := v.newRegs(v.regs())
	for i, a := range sums {
		v.move(at(dst, i*v.bytes), a)
	}
	term := func(k int) {
		j, factor := v.GP64(), v.reg()
		v.MOVL(at(indices, 4*k), j.As32())
		v.IMULQ(columns, j)
		v.broadcast(at(values, 8*k), factor)
		for i, a := range sums {
			product := v.reg()
			v.mul(factor, operand.Mem{Base: dense, Index: j, Scale: 8, Disp: i * v.bytes}, product)
			v.add(a, product, a)
		}
	}
	v.whileAtLeast(2, n, func() {
		term(0)
		term(1)
		v.ADDQ(operand.U32(8), indices)
		v.ADDQ(operand.U32(16), values)
	})
	v.whileAtLeast(1, n, func() { term(0) })
	for i, a := range sums {
		v.move(a, at(dst, i*v.bytes))
	}
	v.VZEROUPPER()
	v.RET()
}
