package gen

import (
	"fmt"
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// neonSoftWeights emits the weights of soft labels, 8 elements at a time.
func neonSoftWeights(v *neonVec, in elem) {
	v.kernelFor(in, "softWeights", "neg, pos *"+in.goType+", wStride int, t *"+in.goType+", stride, rows, n int, part *uint64, words int, class *float64, exponents *"+in.goType,
		"writes the weights of 1-t to neg and of t to pos, for the elements of part, times class[j]·2^exponents[j]:",
		"n, a multiple of 8 and not 0, elements of every row.",
	)
	base := [2]genReg{v.param("neg"), v.param("pos")}
	t, part, rows, n := v.param("t"), v.param("part"), v.param("rows"), v.param("n")
	j, at, m, byteOf := v.gp(), v.gp(), v.gp(), v.gp()
	v.loadConstants()
	v.loadTests()
	shift := 0
	if in == float64s {
		shift = coef.SoftShift64
	}
	integer := func(bits uint64) *vecReg { return v.inRegister(v.constant(math.Float64frombits(bits))) }
	implicit, mantissa := integer(math.Float64bits(0x1p52)), integer(1<<52-1)
	one, zero := v.inRegister(v.constant(1)), v.cleared(1)[0]
	row, loop := v.newLabel("row"), v.newLabel("loop")
	// pointer is at = base + size·index.
	pointer := func(from genReg, size int, index genReg) {
		v.op("ADD", fmt.Sprintf("%v<<%d", index, log2(size)), from, at)
	}
	argument := func(name string) {
		v.op("MOVD", fmt.Sprintf("%s+%d(FP)", name, v.args[name]), at)
	}
	v.label(row)
	v.op("MOVD", imm(0), j)
	v.label(loop)
	v.scope(func() {
		v.op("LSR", imm(3), j, at)
		v.op("ADD", part, at)
		v.op("MOVBU", address{at, 0}, byteOf)
		bits := v.reg()
		v.op("VDUP", byteOf, bits.d2())
		// The weights' place: whole vectors have twice their length.
		v.op("LSR", imm(log2(in.lanes)), j, m)
		v.op("ADD", fmt.Sprintf("%v<<%d", m, log2(in.lanes)), j, m)
		for first := 0; first < 4; first += 2 {
			pointer(t, in.size, j)
			labels := v.loadWide(in, at, first)
			argument("class")
			pointer(at, 8, j)
			class := v.loadWide(float64s, at, first)
			argument("exponents")
			pointer(at, in.size, m)
			v.op("ADD", imm(64), at)
			exponents := v.loadWide(in, at, first)
			for side := range base {
				var mantissas, powers []*vecReg
				for i, label := range labels {
					u, bias := v.reg(), 1023
					switch {
					case side == 0:
						v.sub(one, label, u)
					case shift != 0:
						scale := v.inRegister(v.constant(math.Ldexp(1, shift)))
						v.mul(label, scale, u)
						v.free(scale)
						bias += shift
					default:
						v.copy(label, u)
					}
					v.mul(u, class[i], u)
					k, test := v.reg(), v.laneTest(first+i)
					v.op("VCMTST", test.d2(), bits.d2(), test.d2())
					v.above(u, zero, k)
					v.and(k, test, k)
					v.comment("e: the exponent's bits as the low bits of 2^52, less 2^52 and bias")
					e := test
					v.op("VUSHR", imm(52), u.d2(), e.d2())
					v.or(e, implicit, e)
					less := v.inRegister(v.constant(0x1p52 + float64(bias)))
					v.sub(e, less, e)
					v.free(less)
					v.add(e, exponents[i], e)
					v.and(e, k, e)
					v.and(u, mantissa, u)
					v.or(u, one, u)
					v.and(u, k, u)
					v.free(k)
					mantissas, powers = append(mantissas, u), append(powers, e)
				}
				pointer(base[side], in.size, m)
				v.storeNarrow(in, mantissas[0], mantissas[1], at, first)
				v.op("ADD", imm(64), at)
				v.storeNarrow(in, powers[0], powers[1], at, first)
				v.free(append(mantissas, powers...)...)
			}
			v.free(append(append(labels, class...), exponents...)...)
		}
	})
	v.op("ADD", imm(8), j)
	v.op("CMP", n, j)
	v.op("BLT", loop)
	v.advance(at, base[0], "wStride", in.size)
	v.advance(at, base[1], "wStride", in.size)
	v.advance(at, t, "stride", in.size)
	v.advance(at, part, "words", 8)
	v.op("SUB", imm(1), rows)
	v.op("CBNZ", rows, row)
	v.op("RET")
}

// neonSoftUnit emits the weights of soft labels where all classes have weight 1,
// a virtual vector at a time, in float32.
func neonSoftUnit(v *neonVec) {
	v.kernelFor(float32s, "softUnit", "neg, pos *float32, wStride int, t *float32, stride, rows, n int, part *uint64, words int",
		"writes the weights of 1-t to neg and of t to pos, for the elements of part: n, a multiple of",
		"16 and not 0, elements of every row.",
	)
	base := [2]genReg{v.param("neg"), v.param("pos")}
	t, part, rows, n := v.param("t"), v.param("part"), v.param("rows"), v.param("n")
	j, at, bitsOf := v.gp(), v.gp(), v.gp()
	v.loadConstants()
	v.loadTests()
	const shift = coef.SoftShift32
	place := func(x float64) *vecReg { return v.inRegister(v.constant(x)) }
	one, zero, scale := place(1), v.cleared(1)[0], place(math.Ldexp(1, shift))
	implicit, mantissa := place(0x1p23), place(float64(math.Float32frombits(1<<23-1)))
	biases := [2]*vecReg{place(0x1p23 + 127), place(0x1p23 + 127 + shift)}
	row, loop := v.newLabel("row"), v.newLabel("loop")
	v.label(row)
	v.op("MOVD", imm(0), j)
	v.label(loop)
	v.scope(func() {
		v.op("LSR", imm(3), j, at)
		v.op("ADD", part, at)
		v.op("MOVHU", address{at, 0}, bitsOf)
		bits := v.reg()
		v.op("VDUP", bitsOf, v.lanes(bits))
		for first := 0; first < neonRegs; first += 2 {
			labels := v.regs(2)
			v.op("ADD", fmt.Sprintf("%v<<2", j), t, at)
			v.loadPair(address{at, 16 * first}, labels[0], labels[1])
			for side := range base {
				var mantissas, powers []*vecReg
				for i, label := range labels {
					u, k, e := v.reg(), v.reg(), v.laneTest(first+i)
					if side == 0 {
						v.sub(one, label, u)
					} else {
						v.mul(label, scale, u)
					}
					v.op("VCMTST", v.lanes(e), v.lanes(bits), v.lanes(e))
					v.above(u, zero, k)
					v.and(k, e, k)
					v.comment("e: the exponent's bits as the low bits of 2^23, less 2^23 and bias")
					v.op("VUSHR", imm(23), v.lanes(u), v.lanes(e))
					v.or(e, implicit, e)
					v.sub(e, biases[side], e)
					v.and(e, k, e)
					v.and(u, mantissa, u)
					v.or(u, one, u)
					v.and(u, k, u)
					v.free(k)
					mantissas, powers = append(mantissas, u), append(powers, e)
				}
				v.op("ADD", fmt.Sprintf("%v<<3", j), base[side], at)
				v.storePair(mantissas[0], mantissas[1], address{at, 16 * first})
				v.storePair(powers[0], powers[1], address{at, 64 + 16*first})
				v.free(append(mantissas, powers...)...)
			}
			v.free(labels...)
		}
	})
	v.op("ADD", imm(16), j)
	v.op("CMP", n, j)
	v.op("BLT", loop)
	v.advance(at, base[0], "wStride", 4)
	v.advance(at, base[1], "wStride", 4)
	v.advance(at, t, "stride", 4)
	v.advance(at, part, "words", 8)
	v.op("SUB", imm(1), rows)
	v.op("CBNZ", rows, row)
	v.op("RET")
}
