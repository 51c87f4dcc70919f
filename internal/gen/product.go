package gen

import (
	"github.com/mmcloughlin/avo/operand"
)

// joinProducts is x = x·y + (x+y).
func (v *vec) joinProducts(x, y vreg) {
	sum := v.like(x)
	v.add(x, y, sum)
	v.fmaMul(y, sum, x)
}

// A product is the products of 1 + w of a block of a row less 1, in 8 float64
// lanes: on AVX2 on the stack.
type product struct {
	*vec
	lane   vreg          // AVX-512
	mem    []operand.Mem // AVX2: lanes 0-3, 4-7
	halves operand.Mem   // AVX2: the group's joins of lanes 0-7 and 8-15, in a loop of halves
}

func newProduct(v *vec) *product {
	if v.wide() {
		return &product{vec: v, lane: v.reg()}
	}
	return &product{vec: v, mem: []operand.Mem{v.AllocLocal(32), v.AllocLocal(32)}, halves: v.AllocLocal(64)}
}

func (a *product) clear() {
	if a.wide() {
		a.clearLanes(nil, []vreg{a.lane})
	} else {
		a.clearLanes(a.mem)
	}
}

// join64 is x = x·y + (x+y).
func (a *product) join64(x, y vreg) {
	sum := a.like(x)
	a.VADDPD(x, y, sum)
	a.VFMADD213PD(sum, y, x)
}

// stage joins four registers, of 32 elements or on AVX-512 twice as many, to the
// lanes: of 32, lane l and l+16, then these and l+8 and l+24.
func (a *product) stage(w []vreg) {
	if !a.wide() {
		a.joinProducts(w[0], w[2])
		a.joinProducts(w[1], w[3])
		a.joinProducts(w[0], w[1])
		a.add8(w[0])
		return
	}
	a.joinProducts(w[0], w[1])
	a.joinProducts(w[2], w[3])
	a.VSHUFF64X2(operand.U8(0x44), w[2], w[0], w[1])
	a.VSHUFF64X2(operand.U8(0xee), w[2], w[0], w[3])
	a.joinProducts(w[1], w[3])
	low, high := a.widen(w[1])
	a.join64(a.lane, low)
	a.join64(a.lane, high)
}

// lanes joins the group's lanes of a half. On AVX2 those of both halves are joined
// first: after a loop through them, by endGroup.
func (a *product) lanes(h *half, group vreg) {
	if !a.wide() {
		a.move(group, h.at(a.halves))
		return
	}
	low, high := a.split(group)
	a.joinProducts(low, high)
	r := a.reg()
	a.VCVTPS2PD(low, r)
	a.join64(a.lane, r)
}

// endGroup completes what lanes began in a loop through the halves.
func (a *product) endGroup() {
	if !a.wide() {
		second := half{number: 1}
		first := a.inRegister(a.halves)
		a.joinProducts(first, a.inRegister(second.at(a.halves)))
		a.add8(first)
	}
}

// add8 joins 8 lanes, on AVX2.
func (a *product) add8(x vreg) {
	low, high := a.widen(x)
	for i, r := range []vreg{low, high} {
		a.join64(r, a.inRegister(a.mem[i]))
		a.move(r, a.mem[i])
	}
}

// store writes the block's product and begins the next one.
func (a *product) store(out operand.Mem) {
	lanes := []vreg{a.lane}
	if !a.wide() {
		lanes = []vreg{a.inRegister(a.mem[0]), a.inRegister(a.mem[1])}
	}
	r := a.eight([][]vreg{lanes}, func(x, y []vreg) { a.join64(x[0], y[0]) })
	a.VMOVSD(r[0], out)
	a.clear()
}

// A laneTree joins registers as (0, 1), (2, 3), then these.
type laneTree[R any] struct {
	join    func(x, y R) // x is the result
	pending []R
	levels  []int
}

func (t *laneTree[R]) push(x R) {
	level := 0
	for n := len(t.pending); n > 0 && t.levels[n-1] == level; n-- {
		t.join(t.pending[n-1], x)
		x = t.pending[n-1]
		t.pending, t.levels = t.pending[:n-1], t.levels[:n-1]
		level++
	}
	t.pending, t.levels = append(t.pending, x), append(t.levels, level)
}

// done returns what 1, 2 or 4 registers make.
func (t *laneTree[R]) done() R { return t.pending[0] }
