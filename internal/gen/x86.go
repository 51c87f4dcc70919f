package gen

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A tier is an instruction set for which kernels are emitted.
type tier struct {
	name  string // suffix of the kernels' names
	bytes int    // size of a register
}

var (
	avx2   = tier{"AVX2", 32}
	avx512 = tier{"AVX512", 64}
	tiers  = []tier{avx2, avx512}
)

// An elem is an element type: float32 or float64.
type elem struct {
	goType string // Go's name
	bits   string // part of the kernels' names
	size   int    // in bytes
	lanes  int    // of a virtual vector: 16 × float32 or 8 × float64, 64 bytes
}

var (
	float32s = elem{"float32", "32", 4, 16}
	float64s = elem{"float64", "64", 8, 8}
	elems    = []elem{float32s, float64s}
)

// A vec emits vector instructions for one tier and one element type. Its
// methods are named after what they compute; arguments come in the order of
// the formula and the destination last. Any operand named m may be memory.
type vec struct {
	*file
	tier
	elem
}

type (
	op    = operand.Op
	vreg  = reg.VecVirtual
	gpreg = reg.GPVirtual
)

// regs is the number of registers of a virtual vector.
func (v *vec) regs() int { return 64 / v.bytes }

// perReg is the number of elements of a register.
func (v *vec) perReg() int { return v.bytes / v.size }

func (v *vec) wide() bool   { return v.tier == avx512 }
func (v *vec) double() bool { return v.elem == float64s }

// reg returns a new register of the tier's width.
func (v *vec) reg() vreg {
	if v.wide() {
		return v.ZMM()
	}
	return v.YMM()
}

// operands are registers as operands.
func operands(registers []vreg) (all []op) {
	for _, r := range registers {
		all = append(all, r)
	}
	return all
}

func at(base reg.Register, disp int) operand.Mem {
	return operand.Mem{Base: base, Disp: disp}
}

// element is the place of register i of what is at byte offset off from base.
func (v *vec) element(base, off reg.Register, i int) operand.Mem {
	return operand.Mem{Base: base, Index: off, Scale: 1, Disp: i * v.bytes}
}

// either emits the float32 or the float64 form of an instruction.
func (v *vec) either(single, double func(...op), ops ...op) {
	if v.double() {
		double(ops...)
	} else {
		single(ops...)
	}
}

// Arithmetic. In Go's order of operands the second source comes first.

func (v *vec) move(m, d op)   { v.either(v.VMOVUPS, v.VMOVUPD, m, d) }
func (v *vec) add(a, m, d op) { v.either(v.VADDPS, v.VADDPD, m, a, d) }
func (v *vec) sub(a, m, d op) { v.either(v.VSUBPS, v.VSUBPD, m, a, d) }
func (v *vec) mul(a, m, d op) { v.either(v.VMULPS, v.VMULPD, m, a, d) }

// max is d = a > m ? a : m, so m where either is NaN.
func (v *vec) max(a, m, d op) { v.either(v.VMAXPS, v.VMAXPD, m, a, d) }

// min is d = a < m ? a : m, so m where either is NaN.
func (v *vec) min(a, m, d op) { v.either(v.VMINPS, v.VMINPD, m, a, d) }

// fmaAcc is d += a·m, one rounding.
func (v *vec) fmaAcc(a, m, d op) { v.either(v.VFMADD231PS, v.VFMADD231PD, m, a, d) }

// fmaMul is d = d·a + m, one rounding.
func (v *vec) fmaMul(a, m, d op) { v.either(v.VFMADD213PS, v.VFMADD213PD, m, a, d) }

// fmaFactor is d = d·m + a, one rounding.
func (v *vec) fmaFactor(m, a, d op) { v.either(v.VFMADD132PS, v.VFMADD132PD, m, a, d) }

// and, or and xor act on bits.
func (v *vec) and(a, m, d op) { v.either(v.VANDPS, v.VANDPD, m, a, d) }
func (v *vec) xor(a, m, d op) { v.either(v.VXORPS, v.VXORPD, m, a, d) }
func (v *vec) or(a, m, d op)  { v.either(v.VORPS, v.VORPD, m, a, d) }

// andNot is d = the bits of m that a has not.
func (v *vec) andNot(a, m, d op) { v.either(v.VANDNPS, v.VANDNPD, m, a, d) }

// zero clears d.
func (v *vec) zero(d vreg) { v.VXORPS(d.AsY(), d.AsY(), d.AsY()) }

// shiftToExponent moves the low bits of a into the exponent field.
func (v *vec) shiftToExponent(a, d op) {
	if v.double() {
		v.VPSLLQ(operand.U8(52), a, d)
	} else {
		v.VPSLLD(operand.U8(23), a, d)
	}
}

// broadcast fills d with the element at mem.
func (v *vec) broadcast(mem operand.Mem, d op) {
	v.either(v.VBROADCASTSS, v.VBROADCASTSD, mem, d)
}

// Predicates of a comparison.
const (
	equal          = 0  // false where either is NaN
	unordered      = 3  // either is NaN
	notEqual       = 4  // true where either is NaN
	greaterOrEqual = 13 // false where either is NaN
	less           = 17 // false where either is NaN
	lessOrEqual    = 18 // false where either is NaN
	notLess        = 21 // true where either is NaN
	notLessOrEqual = 22 // true where either is NaN
	notGreater     = 26 // true where either is NaN
	greater        = 30 // false where either is NaN
)

// A mask selects lanes: a K register, or on AVX2 a register or memory whose
// lanes are all ones or all zeros. The nil mask selects all lanes.
type mask = op

// inReg returns an AVX2 mask in a register.
func (v *vec) inReg(k mask) mask {
	if m, ok := k.(operand.Mem); ok {
		return v.inRegister(m)
	}
	return k
}

// newMask returns a register for a mask.
func (v *vec) newMask() mask {
	if v.wide() {
		return v.K()
	}
	return v.YMM()
}

// compare is d = a predicate m.
func (v *vec) compare(predicate uint8, a, m op, d mask) {
	v.either(v.VCMPPS, v.VCMPPD, operand.U8(predicate), m, a, d)
}

// keep is d = a in the lanes of k, 0 elsewhere.
func (v *vec) keep(k mask, a, d op) {
	switch {
	case k == nil:
		if a != d {
			v.move(a, d)
		}
	case v.wide() && v.double():
		v.VMOVAPD_Z(a, k, d)
	case v.wide():
		v.VMOVAPS_Z(a, k, d)
	default:
		v.and(a, k, d)
	}
}

// choose is d = a in the lanes of k, b elsewhere; where b is memory or on AVX-512 d is
// not a.
func (v *vec) choose(k mask, a, b op, d vreg) {
	if _, ok := b.(vreg); !ok || v.wide() && b != op(d) {
		v.move(b, d)
		b = d
	}
	switch {
	case v.wide():
		v.either(v.VMOVAPS, v.VMOVAPD, a, k, d)
	case v.double():
		v.VBLENDVPD(k, a, b, d)
	default:
		v.VBLENDVPS(k, a, b, d)
	}
}

// load is d = the elements at mem in the lanes of k, 0 elsewhere, where
// nothing is read.
func (v *vec) load(k mask, mem operand.Mem, d op) {
	switch {
	case k == nil:
		v.move(mem, d)
	case v.wide() && v.double():
		v.VMOVUPD_Z(mem, k, d)
	case v.wide():
		v.VMOVUPS_Z(mem, k, d)
	case v.double():
		v.VMASKMOVPD(mem, v.inReg(k), d)
	default:
		v.VMASKMOVPS(mem, v.inReg(k), d)
	}
}

// store writes the lanes of k of a to mem.
func (v *vec) store(k mask, a op, mem operand.Mem) {
	switch {
	case k == nil:
		v.move(a, mem)
	case v.wide():
		v.either(v.VMOVUPS, v.VMOVUPD, a, k, mem)
	case v.double():
		v.VMASKMOVPD(a, v.inReg(k), mem)
	default:
		v.VMASKMOVPS(a, v.inReg(k), mem)
	}
}

// prefetchAhead is the distance in bytes at which kernels that read from memory
// prefetch. Not every machine has a prefetcher of its own: virtual ones may not.
const prefetchAhead = 12 << 10

// prefetchNear is that distance in kernels that read several arrays by long groups: what waits of
// all of them has to leave room in the nearest cache.
const prefetchNear = 2 << 10

// prefetch prefetches for the later load of register number after a row's offset,
// which is at mem.
func (v *vec) prefetch(mem operand.Mem, number int) { v.prefetchBy(prefetchAhead, mem, number) }

// prefetchBy is prefetch at such a distance.
func (v *vec) prefetchBy(ahead int, mem operand.Mem, number int) {
	if number*v.bytes%64 == 0 {
		mem.Disp += ahead
		v.PREFETCHT0(mem)
	}
}

// translate looks up the page of memory that is written past the caches a little
// later: the first store to a page waits for its address, and so do all stores
// behind it. p moves on by step bytes, a power of two, from call to call; once a
// page a line is prefetched.
func (v *vec) translate(p gpreg, step int) {
	const page = 4096
	same := v.newLabel("same")
	v.TESTQ(operand.U32(page-step), p)
	v.JNZ(operand.LabelRef(same))
	v.PREFETCHT0(at(p, 4*page))
	v.Label(same)
}

// stream writes a to mem, which is aligned, past the caches.
func (v *vec) stream(a op, mem operand.Mem) {
	if v.double() {
		v.VMOVNTPD(a, mem)
	} else {
		v.VMOVNTPS(a, mem)
	}
}

// groupLen is the number of elements of a group: two virtual vectors, the
// unit in which kernels run through a row.
func (v *vec) groupLen() int { return 2 * v.lanes }

// tailMasks returns the masks of so many registers of which only the first count
// elements exist, of at most four virtual vectors. On AVX2 it overwrites count.
func (v *vec) tailMasks(count gpreg, registers int) []mask {
	masks := make([]mask, registers)
	if v.wide() {
		for i := range masks {
			masks[i] = v.newMask()
		}
		v.firstMasks(masks, count)
		return masks
	}
	// The table is 256 bytes of ones, then 256 of zeros: at 256 - count·size begin
	// the masks. They stay in memory.
	table := v.GP64()
	v.LEAQ(v.tailTable(), table)
	v.SHLQ(operand.U8(log2(v.size)), count)
	v.SUBQ(count, table)
	for i := range masks {
		masks[i] = at(table, 256+v.bytes*i)
	}
	return masks
}

// firstMasks sets masks to the first n lanes of as many registers, 0 ≤ n < 256.
func (v *vec) firstMasks(masks []mask, n gpreg) {
	bits := v.GP64()
	v.MOVQ(operand.I32(-1), bits)
	v.BZHIQ(n, bits, bits) // all bits for 64 and more
	for i, m := range masks {
		if i > 0 {
			v.SHRQ(operand.U8(v.lanes), bits)
		}
		v.loadMask(bits.As32(), m)
	}
}

func log2(n int) int {
	k := 0
	for ; n > 1; n >>= 1 {
		k++
	}
	return k
}

// high is d = the upper half of a, d being of half the width.
func (v *vec) high(a, d vreg) {
	switch one := operand.U8(1); {
	case a.Size() == 64:
		v.VEXTRACTF64X4(one, a, d)
	case v.wide(): // the upper 16 registers have no VEX form
		v.VEXTRACTF64X2(one, a, d)
	default:
		v.VEXTRACTF128(one, a, d)
	}
}

// split returns the two halves of a in registers of half the width: the low
// one is a itself.
func (v *vec) split(a vreg) (low, high vreg) {
	if v.wide() {
		low, high = a.AsY().(vreg), v.YMM()
	} else {
		low, high = a.AsX().(vreg), v.XMM()
	}
	v.high(a, high)
	return low, high
}

// widen returns the float32 lanes of a as float64 lanes in two registers.
func (v *vec) widen(a vreg) (low, high vreg) {
	l, h := v.split(a)
	low, high = v.reg(), v.reg()
	v.VCVTPS2PD(l, low)
	v.VCVTPS2PD(h, high)
	return low, high
}

// eight brings 8 float64 lanes, in one or two registers, down to 1 by the tree
// (l, l+4), (l, l+2), (l, l+1); join combines b into a. Where several
// quantities stand side by side, each has its list of registers.
func (v *vec) eight(quantities [][]vreg, join func(a, b []vreg)) []vreg {
	var a, b []vreg
	for _, q := range quantities {
		if v.wide() {
			low, high := v.split(q[0])
			a, b = append(a, low), append(b, high)
		} else {
			a, b = append(a, q[0]), append(b, q[1])
		}
	}
	join(a, b)
	for i := range a {
		b[i] = v.XMM()
		v.high(a[i], b[i])
		a[i] = a[i].AsX().(vreg)
	}
	join(a, b)
	for i := range a {
		b[i] = v.XMM()
		v.VUNPCKHPD(a[i], a[i], b[i])
	}
	join(a, b)
	return a
}

// like returns a new register of the size of a.
func (v *vec) like(a vreg) vreg {
	switch a.Size() {
	case 64:
		return v.ZMM()
	case 32:
		return v.YMM()
	}
	return v.XMM()
}

// constant returns the place of a constant, repeated to 32 bytes: instructions on
// 64 bytes broadcast it (see broadcastConstants).
func (v *vec) constant(x float64) operand.Mem {
	var datum operand.Constant = operand.U32(math.Float32bits(float32(x)))
	if v.double() {
		datum = operand.U64(math.Float64bits(x))
	}
	return v.data(fmt.Sprintf("f%s_%x", v.bits, datum), func() {
		for range avx2.bytes / v.size {
			v.AppendDatum(datum)
		}
	})
}

// tailTable is 256 bytes of ones followed by 256 bytes of zeros.
func (v *vec) tailTable() operand.Mem {
	return v.data("tail", func() {
		for i := range 64 {
			v.AppendDatum(operand.U64(uint64(i/32) - 1))
		}
	})
}

// mulKeep is d = a·m in the lanes of k, 0 elsewhere.
func (v *vec) mulKeep(k mask, a, m, d op) {
	switch {
	case k == nil:
		v.mul(a, m, d)
	case v.wide() && v.double():
		v.VMULPD_Z(m, a, k, d)
	case v.wide():
		v.VMULPS_Z(m, a, k, d)
	default:
		v.mul(a, m, d)
		v.and(d, k, d)
	}
}

// addProduct is d += a·m in the lanes of k, where the product is exact.
func (v *vec) addProduct(k mask, a vreg, m, d op) {
	switch {
	case k == nil:
		v.fmaAcc(a, m, d)
	case v.wide():
		v.either(v.VFMADD231PS, v.VFMADD231PD, m, a, k, d)
	default:
		product := v.reg()
		v.mulKeep(k, a, m, product)
		v.add(d, product, d)
	}
}

// twoSum is sum + err' = sum + x exactly, err += err', for sum ≥ 0 and x ≥ 0:
//
//	t = sum + x;  err += min(sum, x) - (t - max(sum, x));  sum = t
func (v *vec) twoSum(sum, err, x vreg) {
	t, u := v.like(sum), v.like(sum)
	v.VADDPD(x, sum, t)
	v.VMAXPD(x, sum, u)
	v.VMINPD(x, sum, x)
	v.VSUBPD(u, t, u)
	v.VSUBPD(u, x, x)
	v.VADDPD(x, err, err)
	v.VMOVAPD(t, sum)
}
