package gen

import "github.com/mmcloughlin/avo/operand"

// This file emits the kernels that turn rows of a matrix to columns and back (see
// kernel/softcolumns.go and kernel/keys.go), a square block at a time: as many rows as 32
// bytes have elements, on either tier. Registers hold the same 16 bytes of two rows of a
// block, half of its rows apart; so what moves between halves of registers moves on its way
// to and from memory.

// A turning is the loop through blocks.
type turning struct {
	*vec
	rows, columns gpreg // the block in the rows, and its first column
	stride, n     gpreg // the stride in bytes; the elements of a row
	left          gpreg // of the row
	side          int   // of a block
	third, behind gpreg // three strides; the second half of the rows
}

func newTurning(w *vec, rows, columns string) *turning {
	v := &vec{w.file, avx2, w.elem}
	l := &turning{vec: v, rows: v.param(rows), columns: v.param(columns), stride: v.stride("stride"), n: v.param("n"), side: v.perReg()}
	l.third, l.behind, l.left = l.threeTimes(l.stride), v.GP64(), v.GP64()
	return l
}

// threeTimes returns a register with three times step, for places that no scale reaches.
func (v *vec) threeTimes(step gpreg) gpreg {
	third := v.GP64()
	v.LEAQ(operand.Mem{Base: step, Index: step, Scale: 2}, third)
	return third
}

// run emits the loop. The last block of rows begins where it ends with them: some columns
// are turned twice.
func (l *turning) run(block func()) {
	rows, start := l.param("rows"), l.argument("rows")
	loop, again, done := l.newLabel("rows"), l.newLabel("block"), l.newLabel("turned")
	first, across := l.GP64(), l.GP64() // of the row; bytes from its columns to the next ones
	l.MOVQ(rows, start)
	l.MOVQ(l.n, across)
	l.columnBytes(across)
	l.SUBQ(operand.U8(64), across)
	l.Label(loop)
	l.MOVQ(l.rows, first)
	l.MOVQ(l.columns, rows)
	l.MOVQ(l.n, l.left)
	l.Label(again)
	l.LEAQ(operand.Mem{Base: l.rows, Index: l.stride, Scale: uint8(l.side / 2)}, l.behind)
	block()
	l.ADDQ(operand.U8(l.bytes), l.rows)
	l.ADDQ(operand.I32(l.side*64), l.columns)
	l.SUBQ(operand.U8(l.side), l.left)
	l.JZ(operand.LabelRef(done))
	l.CMPQ(l.left, operand.U8(l.side))
	l.JGE(operand.LabelRef(again))
	l.SUBQ(operand.U8(l.side), l.left)
	l.LEAQ(operand.Mem{Base: l.rows, Index: l.left, Scale: uint8(l.size)}, l.rows)
	l.SHLQ(operand.U8(6), l.left)
	l.ADDQ(l.left, l.columns)
	l.MOVQ(operand.U32(l.side), l.left)
	l.JMP(operand.LabelRef(again))
	l.Label(done)
	l.LEAQ(operand.Mem{Base: first, Index: l.stride, Scale: uint8(l.side)}, l.rows)
	l.LEAQ(at(rows, l.bytes), l.columns)
	same := l.newLabel("same")
	l.TESTQ(operand.U32(l.bytes), l.columns)
	l.JNZ(operand.LabelRef(same))
	l.ADDQ(across, l.columns)
	l.Label(same)
	l.SUBQ(operand.U8(l.side), start)
	l.JNZ(operand.LabelRef(loop))
	l.VZEROUPPER()
	l.RET()
}

// places returns the places of register i of a half of the block in the rows.
func (l *turning) places(half, i int) (low, high operand.Mem) {
	low, high = oneOfFour(l.rows, l.stride, l.third, i), oneOfFour(l.behind, l.stride, l.third, i)
	low.Disp, high.Disp = half*16, half*16
	return low, high
}

// oneOfFour is the place i steps behind base, i < 4.
func oneOfFour(base, step, third gpreg, i int) operand.Mem {
	m := operand.Mem{Base: base}
	switch i {
	case 1, 2:
		m.Index, m.Scale = step, uint8(i)
	case 3:
		m.Index, m.Scale = third, 1
	}
	return m
}

// column is the place of column i of a half of the block.
func (l *turning) column(half, i int) operand.Mem { return at(l.columns, (half*l.side/2+i)*64) }

// turned returns the columns of the squares in the halves of registers.
func (l *turning) turned(r []vreg) []vreg {
	if l.double() {
		low, high := l.reg(), l.reg()
		l.VUNPCKLPD(r[1], r[0], low)
		l.VUNPCKHPD(r[1], r[0], high)
		return []vreg{low, high}
	}
	var pairs, columns []vreg
	for i := 0; i < 4; i += 2 {
		low, high := l.reg(), l.reg()
		l.VUNPCKLPS(r[i+1], r[i], low)
		l.VUNPCKHPS(r[i+1], r[i], high)
		pairs = append(pairs, low, high)
	}
	for i := range 2 {
		even, odd := l.reg(), l.reg()
		l.VUNPCKLPD(pairs[2+i], pairs[i], even)
		l.VUNPCKHPD(pairs[2+i], pairs[i], odd)
		columns = append(columns, even, odd)
	}
	return columns
}

// toColumns emits the columns of rows.
func toColumns(v *vec) {
	l := newTurning(v, "x", "dst")
	l.run(func() {
		for half := range 2 {
			for i, c := range l.turned(l.ofRows(half)) {
				l.move(c, l.column(half, i))
			}
		}
	})
}

// ofRows returns the registers of a half of the block in the rows.
func (l *turning) ofRows(half int) (r []vreg) {
	for i := range l.side / 2 {
		x := l.reg()
		low, high := l.places(half, i)
		l.VMOVUPS(low, x.AsX())
		l.VINSERTF128(operand.U8(1), high, x, x)
		r = append(r, x)
	}
	return r
}

// keyColumns emits the keys of eight columns.
//
//	for i := 0; i < rows; i += 8 {
//		dst[j·height+i+k] = the bits of x[(i+k)·stride+j], or those of -0 for +0, j and k < 8
//	}
func keyColumns(w *vec) {
	v := &vec{w.file, avx2, w.elem}
	l := &turning{vec: v, rows: v.param("x"), columns: v.param("dst"), stride: v.stride("stride"), n: v.param("rows"), side: v.perReg()}
	height, second, loop := v.stride("height"), l.GP64(), l.newLabel("rows")
	l.third, l.behind = l.threeTimes(l.stride), l.GP64()
	heights := l.threeTimes(height)
	zero := l.reg()
	l.zero(zero)
	l.LEAQ(operand.Mem{Base: l.columns, Index: height, Scale: uint8(l.side / 2)}, second)
	l.Label(loop)
	l.LEAQ(operand.Mem{Base: l.rows, Index: l.stride, Scale: uint8(l.side / 2)}, l.behind)
	for half, columns := range []gpreg{l.columns, second} {
		for i, c := range l.turned(l.ofRows(half)) {
			sign := l.reg()
			l.VPCMPEQD(zero, c, sign)
			l.VPSLLD(operand.U8(31), sign, sign)
			l.or(c, sign, c)
			l.move(c, oneOfFour(columns, height, heights, i))
		}
		l.ADDQ(operand.U8(l.bytes), columns)
	}
	l.LEAQ(operand.Mem{Base: l.rows, Index: l.stride, Scale: uint8(l.side)}, l.rows)
	l.SUBQ(operand.U8(l.side), l.n)
	l.JNZ(operand.LabelRef(loop))
	l.VZEROUPPER()
	l.RET()
}

// toRows emits the rows of columns. It writes them whole: a store a row.
func toRows(v *vec) {
	l := newTurning(v, "dst", "x")
	l.run(func() {
		var halves [2][]vreg
		for half := range halves {
			var r []vreg
			for i := range l.side / 2 {
				r = append(r, l.inRegister(l.column(half, i)))
			}
			halves[half] = l.turned(r)
		}
		for i, x := range halves[0] {
			low, high := l.places(0, i)
			y, r := halves[1][i], l.reg()
			l.VINSERTF128(operand.U8(1), y.AsX(), x, r)
			l.move(r, low)
			l.VPERM2F128(operand.U8(0x31), y, x, r)
			l.move(r, high)
		}
	})
}
