package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// selectScale emits the gradient of the losses made of selectExp: the
// exponentials times the factor of their side.
func selectScale(v *vec) {
	v.kernel("selectScale", "dst *"+v.goType+", dstStride int, w *"+v.goType+", wStride, rows, n int, pos, neg *uint64, words int, fa, fb *"+v.goType,
		"writes w[i·wStride+j]·fa[i] for the classes of neg, w·fb[i] for those of pos, to dst[i·dstStride+j];",
		"0 for other classes and where w is not a normal exponential (2^-125.5, for float64 2^-1021.5, or more).",
	)
	dst, dstStride := v.param("dst"), v.stride("dstStride")
	w, wStride := v.param("w"), v.argument("wStride") // no register is left for that
	v.SHLQ(operand.U8(log2(v.size)), wStride)
	s := newSides(v)
	fa, fb := v.param("fa"), v.param("fb")
	l := newRowLoop(v)
	least := math.Ldexp(math.Sqrt2, -126)
	if v.double() {
		least = math.Ldexp(math.Sqrt2, -1022)
	}
	low := v.inRegister(v.constant(least))
	negative, positive := v.reg(), v.reg()

	l.run(func() {
		v.broadcast(at(fa, 0), negative)
		v.broadcast(at(fb, 0), positive)
	}, func(off reg.Register, pairs []pair) {
		s.group(off)
		all := terms(pairs)
		step := 1
		if v.wide() {
			step = min(2, len(all))
		}
		for ; len(all) > 0; all = all[step:] {
			for _, t := range all[:step] {
				r := v.reg()
				v.load(t.mask, operand.Mem{Base: w, Index: off, Scale: 1, Disp: t.reg * v.bytes}, r)
				k, factor := s.mask(s.pos, t.reg), v.reg()
				v.choose(k, positive, negative, factor)
				in := v.union(s.mask(s.neg, t.reg), k)
				if v.wide() {
					v.either(v.VCMPPS, v.VCMPPD, operand.U8(greaterOrEqual), low, r, in, in)
				} else {
					normal := v.reg()
					v.compare(greaterOrEqual, r, low, normal)
					v.and(in, normal, in)
				}
				v.mulKeep(in, r, factor, r)
				v.store(t.mask, r, operand.Mem{Base: dst, Index: off, Scale: 1, Disp: t.reg * v.bytes})
			}
		}
	}, func() {
		v.ADDQ(dstStride, dst)
		v.ADDQ(wStride, w)
		s.next()
		v.ADDQ(operand.U8(v.size), fa)
		v.ADDQ(operand.U8(v.size), fb)
	})
}

// union returns the lanes of a or b, overwriting a.
func (v *vec) union(a, b mask) mask {
	v.orMask(b, a)
	return a
}
