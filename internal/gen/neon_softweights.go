package gen

import (
	"fmt"
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// neonSoftWeights emits the weights of soft labels, 8 elements at a time.
func neonSoftWeights(v *neonVec) {
	in := v.elem
	v = newNeonVec(v.neonFile, float64s)
	l := newNeonSoftLoop(v, in)
	at, m := l.at, v.gp()
	shift := 0
	if in == float64s {
		shift = coef.SoftShift64
	}
	integer := func(bits uint64) *vecReg { return v.inRegister(v.constant(math.Float64frombits(bits))) }
	implicit, mantissa := integer(math.Float64bits(0x1p52)), integer(1<<52-1)
	one, zero := v.inRegister(v.constant(1)), v.cleared(1)[0]
	argument := func(name string) {
		v.op("MOVD", fmt.Sprintf("%s+%d(FP)", name, v.args[name]), at)
	}
	l.run(8, func(bits *vecReg) {
		// The weights' place: whole vectors have twice their length.
		v.op("LSR", imm(log2(in.lanes)), l.j, m)
		v.op("ADD", fmt.Sprintf("%v<<%d", m, log2(in.lanes)), l.j, m)
		for first := 0; first < 4; first += 2 {
			l.pointer(l.t, in.size, l.j)
			labels := v.loadWide(in, at, first)
			argument("class")
			l.pointer(at, 8, l.j)
			class := v.loadWide(float64s, at, first)
			argument("exponents")
			l.pointer(at, in.size, m)
			v.op("ADD", imm(64), at)
			exponents := v.loadWide(in, at, first)
			for side, out := range l.out {
				var mantissas, powers []*vecReg
				for i, label := range labels {
					u, bias := v.reg(), 1023
					switch {
					case side == 0:
						v.copy(class[i], u)
						v.fmaSub(label, class[i], u)
					case shift != 0:
						scale := v.inRegister(v.constant(math.Ldexp(1, shift)))
						v.mul(label, scale, u)
						v.mul(u, class[i], u)
						v.free(scale)
						bias += shift
					default:
						v.mul(label, class[i], u)
					}
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
				l.pointer(out, in.size, m)
				v.storeNarrow(in, mantissas[0], mantissas[1], at, first)
				v.op("ADD", imm(64), at)
				v.storeNarrow(in, powers[0], powers[1], at, first)
				v.free(append(mantissas, powers...)...)
			}
			v.free(append(append(labels, class...), exponents...)...)
		}
	})
}

// A neonSoftLoop runs through rows of soft labels, elements of type in.
type neonSoftLoop struct {
	*neonVec
	in      elem
	out     [2]genReg // the rows of the weights of 1-t and of t
	t, part genReg    // the row of the labels, and of the bits
	n, rows genReg
	j       genReg // the first element
	at      genReg // of pointer
}

func newNeonSoftLoop(v *neonVec, in elem) *neonSoftLoop {
	l := &neonSoftLoop{neonVec: v, in: in, out: [2]genReg{v.param("neg"), v.param("pos")}, t: v.param("t"),
		part: v.param("part"), n: v.param("n"), rows: v.param("rows"), j: v.gp(), at: v.gp()}
	v.loadConstants()
	v.loadTests()
	return l
}

// pointer is at = base + size·index.
func (l *neonSoftLoop) pointer(base genReg, size int, index genReg) {
	l.op("ADD", fmt.Sprintf("%v<<%d", index, log2(size)), base, l.at)
}

// run emits the loop, 8 or 16 elements at a time, and the return: all lanes of bits
// have the bits of these.
func (l *neonSoftLoop) run(elements int, body func(bits *vecReg)) {
	row, loop := l.newLabel("row"), l.newLabel("group")
	l.label(row)
	l.op("MOVD", imm(0), l.j)
	l.label(loop)
	l.scope(func() {
		bits := l.reg()
		l.op("ADD", fmt.Sprintf("%v>>3", l.j), l.part, l.at)
		l.op("VLD1R", address{l.at, 0}, fmt.Sprintf("[%v]", bits.as(map[int]string{8: "B16", 16: "H8"}[elements])))
		body(bits)
	})
	l.op("ADD", imm(elements), l.j)
	l.op("CMP", l.n, l.j)
	l.op("BLT", loop)
	for _, r := range l.out {
		l.advance(l.at, r, "wStride", l.in.size)
	}
	l.advance(l.at, l.t, "stride", l.in.size)
	l.advance(l.at, l.part, "words", 8)
	l.op("SUB", imm(1), l.rows)
	l.op("CBNZ", l.rows, row)
	l.op("RET")
}
