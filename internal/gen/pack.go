package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// packBytes emits the packing of rows of bytes, each 0 or 1, into bits. AVX2
// has no masked load of bytes: there it takes rows of a word or more, and the last
// word from the row's last 64 bytes.
func packBytes(v *vec) {
	dst, dstStride := v.param("dst"), v.param("dstStride")
	src, stride := v.param("src"), v.param("stride")
	rows, n := v.param("rows"), v.param("n")
	v.SHLQ(operand.U8(3), dstStride)
	var (
		word, rest, next = v.newLabel("word"), v.newLabel("rest"), v.newLabel("next")
		goTo             = func(label string) operand.LabelRef { return operand.LabelRef(label) }
		in, out, left    = v.GP64(), v.GP64(), v.GP64()
		seen             = v.reg()
		last             = v.K()
	)
	v.zero(seen)
	if v.wide() {
		bits := v.GP64()
		v.MOVQ(operand.I32(-1), bits)
		v.MOVQ(n, left)
		v.ANDQ(operand.U8(63), left)
		v.BZHIQ(left, bits, bits)
		v.KMOVQ(bits, last)
	}
	ones := v.inRegister(v.data("ones", func() {
		for range 8 {
			v.AppendDatum(operand.U64(0x0101010101010101))
		}
	}))
	(&rowLoop{vec: v, rows: rows, some: true}).eachRow(func() {
		v.MOVQ(src, in)
		v.MOVQ(dst, out)
		v.MOVQ(n, left)
		v.SUBQ(operand.U8(64), left)
		v.JL(goTo(rest))
		v.Label(word)
		v.prefetch(at(in, 0), 0)
		if v.wide() {
			r, k := v.reg(), v.K()
			v.VMOVDQU8(at(in, 0), r)
			v.VPTESTMB(ones, r, k)
			v.VPORQ(r, seen, seen)
			v.KMOVQ(k, at(out, 0))
		} else {
			v.MOVQ(v.packWord(operand.Mem{Base: in}, seen), at(out, 0))
		}
		v.ADDQ(operand.U8(64), in)
		v.ADDQ(operand.U8(8), out)
		v.SUBQ(operand.U8(64), left)
		v.JGE(goTo(word))
		v.Label(rest)
		if !v.wide() {
			v.CMPQ(left, operand.I8(-64))
			v.JEQ(goTo(next))
			bits := v.packWord(operand.Mem{Base: in, Index: left, Scale: 1}, seen)
			v.NEGQ(left)
			v.SHRXQ(left, bits, bits)
			v.MOVQ(bits, at(out, 0))
		} else {
			v.ADDQ(operand.U8(64), left)
			v.JZ(goTo(next))
			r, k := v.reg(), v.K()
			v.prefetch(at(in, 0), 0)
			v.VMOVDQU8_Z(at(in, 0), last, r)
			v.VPTESTMB(ones, r, k)
			v.VPORQ(r, seen, seen)
			v.KMOVQ(k, at(out, 0))
		}
		v.Label(next)
		v.ADDQ(stride, src)
		v.ADDQ(dstStride, dst)
	})
	// What is neither 0 nor 1 has a bit that ones has not.
	v.reportBeyond(seen, ones)
}

// reportBeyond emits the return of not 0 where a has bits that allowed has not.
func (v *vec) reportBeyond(a, allowed vreg) {
	bad := v.GP64()
	if v.wide() {
		k := v.K()
		v.VPANDNQ(a, allowed, a)
		v.VPTESTMB(a, a, k)
		v.KMOVQ(k, bad)
	} else {
		v.XORQ(bad, bad)
		v.VPTEST(a, allowed) // carry: a has no bit outside allowed
		v.SETCC(bad.As8())
	}
	v.Store(bad, v.ReturnIndex(0))
	v.VZEROUPPER()
	v.RET()
}

// packWord returns the bits of 64 bytes, on AVX2: bit 0 of every byte moves to its
// bit 7.
func (v *vec) packWord(from operand.Mem, seen vreg) gpreg {
	var half [2]gpreg
	for i := range half {
		r := v.reg()
		half[i] = v.GP64()
		from.Disp = 32 * i
		v.VMOVDQU(from, r)
		v.VPOR(r, seen, seen)
		v.VPSLLW(operand.U8(7), r, r)
		v.VPMOVMSKB(r, half[i].As32())
	}
	v.SHLQ(operand.U8(32), half[1])
	v.ORQ(half[0], half[1])
	return half[1]
}
