package gen

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file emits the kernels of short rows (see kernel/short.go).

// A shortLoop runs through short rows, step rows at a time, with bodies for rows of
// different lengths. (A rowLoop would take a turn for each row, most of it a rest.)
type shortLoop struct {
	*vec
	rows, n, stride gpreg
	unit            int    // of so many elements, all but a row's last are whole
	tail            []mask // of the registers of the last unit
	halves          bool   // AVX-512: rows of at most half a register have a body of their own
	both            mask   // of two such rows in one

	// Of rows side by side, as many as a register has float64 lanes:
	w    gpreg    // the first
	base [2]gpreg // rows 0 and 4
	free gpreg
}

// A shortBody is that for rows of at most n elements, or of n exactly.
type shortBody struct {
	n       int
	exactly bool
	emit    func()
}

func newShortLoop(v *vec, unit int) *shortLoop {
	l := &shortLoop{vec: v, rows: v.param("rows"), n: v.param("n"), stride: v.GP64(), unit: unit}
	v.MOVQ(l.n, l.stride)
	v.SHLQ(operand.U8(log2(v.size)), l.stride)
	return l
}

// byVectors returns bodies by the number of registers of a row, for rows above some length and
// up to another.
func (l *shortLoop) byVectors(above, upTo int, emit func(vectors int)) (bodies []shortBody) {
	if l.halves {
		bodies = append(bodies, shortBody{n: 8, emit: func() { emit(0) }})
	}
	for vectors := above/l.perReg() + 1; vectors <= upTo/l.perReg(); vectors++ {
		bodies = append(bodies, shortBody{n: vectors * l.perReg(), emit: func() { emit(vectors) }})
	}
	return bodies
}

// run emits the loops, the last of them for all rows that are left.
func (l *shortLoop) run(step int, bodies []shortBody) {
	v, done := l.vec, l.newLabel("done")
	v.TESTQ(l.rows, l.rows)
	v.JZ(operand.LabelRef(done))
	l.tail = v.lastUnit(l.n, l.unit)
	if l.halves {
		l.both = v.newMask()
		v.KUNPCKBW(l.tail[0], l.tail[0], l.both)
	}
	for i, b := range bodies {
		loop, other := v.newLabel("rows"), v.newLabel("other")
		if b.exactly {
			v.CMPQ(l.n, operand.U8(b.n))
			v.JNE(operand.LabelRef(other))
		} else if i < len(bodies)-1 {
			v.CMPQ(l.n, operand.U8(b.n))
			v.JG(operand.LabelRef(other))
		}
		v.Label(loop)
		b.emit()
		v.SUBQ(operand.U8(step), l.rows)
		v.JNZ(operand.LabelRef(loop))
		if i < len(bodies)-1 {
			v.JMP(operand.LabelRef(done))
			v.Label(other)
		}
	}
	v.Label(done)
}

// lastUnit returns the masks, in registers, of a row's last elements, of units of so many.
func (v *vec) lastUnit(n gpreg, unit int) []mask {
	rest := v.GP64()
	v.LEAQ(operand.Mem{Base: n, Disp: -1}, rest)
	v.ANDQ(operand.U8(unit-1), rest)
	v.INCQ(rest)
	tail := v.tailMasks(rest, max(1, unit/v.perReg()))
	for i, m := range tail {
		tail[i] = v.inReg(m)
	}
	return tail
}

// sideBySide emits what is done with rows side by side, and moves on.
func (l *shortLoop) sideBySide(body func()) {
	four := l.GP64()
	l.free = l.GP64()
	l.LEAQ(operand.Mem{Base: l.w, Index: l.stride, Scale: 4}, four)
	l.base = [2]gpreg{l.w, four}
	body()
	if l.wide() {
		l.LEAQ(operand.Mem{Base: four, Index: l.stride, Scale: 4}, l.w)
	} else {
		l.MOVQ(four, l.w)
	}
}

// place is where row i of those side by side begins.
func (l *shortLoop) place(i int) operand.Mem {
	return l.rowPlace(l.base[i/4], l.stride, i%4, 0, l.free)
}

// shortSides emits the sums of both signs of short rows, as many rows at a time as a
// register has float64 lanes: row i in lane i.
func shortSides(v *vec) {
	w, a, b := v.param("w"), v.param("a"), v.param("b")
	body := func(s *signedRows) { s.totals(w, a, b) }
	if !v.wide() {
		shortTree(v, 0, 32, body)
		return
	}
	// Of rows of more than a register the second half is mostly empty: smaller registers
	// take less.
	long := v.newLabel("long")
	v.CMPQ(v.argument("n"), operand.U8(16))
	v.JG(operand.LabelRef(long))
	shortTree(v, 0, 16, body)
	v.Label(long)
	shortTree(&vec{v.file, avx2, v.elem}, 16, 32, body)
}

// shortJoins emits the joins of short rows in the same way, and sums of others.
func shortJoins(v *vec) {
	w, m, u, sum := v.param("w"), v.param("m"), v.param("u"), v.param("sum")
	shortTree(v, 0, 32, func(s *signedRows) {
		s.joins = true
		s.totals(w, u)
		without := v.newLabel("without")
		v.TESTQ(m, m)
		v.JZ(operand.LabelRef(without))
		s.joins = false
		s.totals(m, sum)
		v.Label(without)
	})
}

// shortTree emits the loops through short rows above some length and up to another, with a body
// for each number of registers that they take.
func shortTree(v *vec, above, upTo int, body func(s *signedRows)) {
	s := &signedRows{shortLoop: newShortLoop(v, v.perReg())}
	s.halves, s.zeros = v.wide(), v.reg()
	v.zero(s.zeros)
	s.run(v.bytes/8, s.byVectors(above, upTo, func(vectors int) {
		s.vectors = vectors
		body(s)
	}))
	v.VZEROUPPER()
	v.RET()
}

// signedRows loads short rows by signs: the positive elements, and the negative ones
// less their signs, 0 elsewhere.
type signedRows struct {
	*shortLoop
	sides   int  // 1, of which none is negative, or 2
	joins   bool // elements are joined, not added
	zeros   vreg
	vectors int // of a row

	loaded func(i int) [2]vreg // the elements by signs where they are in registers: register i of the rows
}

// totals writes the sums, or joins, of the sides of rows, a place for each side.
func (s *signedRows) totals(w gpreg, out ...gpreg) {
	s.w, s.sides = w, len(out)
	s.sideBySide(func() {
		parts := s.parts()
		for k, p := range out {
			s.VMOVUPD(s.last(parts, k), at(p, 0))
			s.ADDQ(operand.U8(s.bytes), p)
		}
	})
}

// combine and combine64 are x += y, or its join with y.
func (s *signedRows) combine(x, y vreg) {
	if s.joins {
		s.joinProducts(x, y)
	} else {
		s.add(x, y, x)
	}
}

func (s *signedRows) combine64(x, y vreg) {
	if s.joins {
		s.joinProducts64(x, y)
	} else {
		s.VADDPD(y, x, x)
	}
}

// inSingle reports whether lanes l and l+2 of 4 are added in float32.
func (s *signedRows) inSingle() bool { return s.vectors*s.perReg() <= 16 }

// parts returns for each sign lanes l and l+4 of 8 added, l < 4, of half of the rows
// in a register and of the others in a second, in the order in which lanePairs wants
// them.
func (s *signedRows) parts() (sums [2][2]vreg) {
	first, second, step := 0, 1, 2
	switch {
	case s.inSingle() && s.wide():
		second, step = 2, 4
	case s.inSingle():
		second, step = 2, 1
	}
	for half, i := range []int{first, second} {
		var x, y [2]vreg
		switch {
		case s.loaded != nil && s.wide():
			x, y = s.loaded(2*half), s.loaded(2*half+1)
		case s.loaded != nil:
			// Halves of two rows, and their second halves.
			x, y = s.loaded(2*half), s.loaded(2*half+1)
			for k := range s.sides {
				s.combine(x[k], y[k])
			}
			sums[half] = x
			continue
		case !s.wide():
			x, y = s.eights(i), s.eights(i+step)
		case s.inSingle():
			x, y = s.pair(i, i+step), s.pair(i+1, i+1+step)
		default:
			x, y = s.pair(i, i+step), s.pair(i+2*step, i+3*step)
		}
		for k := range s.sides {
			sums[half][k] = s.addParts(x[k], y[k], 0x88, 0xdd)
		}
	}
	return sums
}

// last returns the last sums, of the parts of side k: a row in each lane.
func (s *signedRows) last(parts [2][2]vreg, k int) vreg {
	x, y := s.lanePairs(parts[0][k], parts[1][k])
	d := s.reg()
	s.VUNPCKLPD(y, x, d)
	s.VUNPCKHPD(y, x, x)
	s.combine64(d, x)
	return d
}

// pair returns for each sign the 8 lanes of rows i and k, on AVX-512.
func (s *signedRows) pair(i, k int) (sum [2]vreg) {
	if s.vectors == 0 {
		r := s.reg()
		s.move(s.place(i), r.AsY())
		s.VINSERTF64X4(operand.U8(1), s.place(k), r, r)
		return s.signs(r, s.both)
	}
	x, y := s.eights(i), s.eights(k)
	for side := range s.sides {
		sum[side] = s.addParts(x[side], y[side], 0x44, 0xee)
	}
	return sum
}

// addParts adds two parts of x and y, by the order of their places: on AVX2 the lower
// and the upper halves, of x and then of y.
func (s *signedRows) addParts(x, y vreg, first, second uint8) vreg {
	d := s.reg()
	if s.wide() {
		s.VSHUFF64X2(operand.U8(first), y, x, d)
		s.VSHUFF64X2(operand.U8(second), y, x, x)
	} else {
		s.VBLENDPS(operand.U8(0xf0), y, x, d)
		s.VPERM2F128(operand.U8(0x21), y, x, x)
	}
	s.combine(d, x)
	return d
}

// eights returns for each sign lanes l, l+8 and so on of row i added: in 8 lanes, on
// AVX-512 l and l+16, in 16.
func (s *signedRows) eights(i int) (sum [2]vreg) {
	trees := [2]laneTree[vreg]{{join: s.combine}, {join: s.combine}}
	for _, j := range shortOrder(s.vectors, s.perReg()) {
		var terms [2]vreg
		place := s.place(i)
		place.Disp += j * s.bytes
		r := s.reg()
		switch {
		case j < s.vectors-1:
			s.move(place, r)
			terms = s.signs(r, nil)
		case s.wide():
			s.move(place, r)
			terms = s.signs(r, s.tail[0])
		default:
			s.and(s.tail[0], place, r) // what follows may be read
			terms = s.signs(r, nil)
		}
		for k := range s.sides {
			trees[k].push(terms[k])
		}
	}
	for k := range s.sides {
		sum[k] = trees[k].all()
	}
	return sum
}

// signs returns the elements of r by signs, of lanes that exist: a NaN is in both.
func (s *signedRows) signs(r vreg, exist mask) [2]vreg {
	if s.sides == 1 {
		s.keep(exist, r, r)
		return [2]vreg{r}
	}
	n := s.reg()
	if exist == nil {
		s.max(s.zeros, r, n)
		s.sub(n, r, r)
	} else {
		s.VMAXPS_Z(r, s.zeros, exist, n)
		s.VSUBPS_Z(r, n, exist, r)
	}
	return [2]vreg{n, r}
}

// lanePairs returns of parts of four lanes l and l+2 added, l < 2, as float64: the
// first lanes of both registers, one from each in turn, are rows in their order.
func (s *signedRows) lanePairs(x, y vreg) (vreg, vreg) {
	if s.inSingle() {
		low, high := s.reg(), s.reg()
		s.VSHUFPS(operand.U8(0x44), y, x, low)
		s.VSHUFPS(operand.U8(0xee), y, x, high)
		s.combine(low, high)
		return s.widen(low)
	}
	sum := func(parts vreg) vreg {
		x, y := s.widen(parts)
		d := s.reg()
		if s.wide() {
			s.VSHUFF64X2(operand.U8(0x88), y, x, d)
			s.VSHUFF64X2(operand.U8(0xdd), y, x, x)
		} else {
			s.VBLENDPD(operand.U8(0xc), y, x, d)
			s.VPERM2F128(operand.U8(0x21), y, x, x)
		}
		s.combine64(d, x)
		return d
	}
	return sum(x), sum(y)
}

// shortOrder is the order in which the registers of a short row are joined: those
// of lanes l and l+16 are next to each other.
func shortOrder(vectors, perReg int) []int {
	if perReg == 16 {
		return []int{0, 1}[:vectors]
	}
	return [][]int{{0}, {0, 1}, {0, 2, 1}, {0, 2, 1, 3}}[vectors-1]
}

// all joins what is left over, from the last on.
func (t *laneTree[R]) all() R {
	for n := len(t.pending); n > 1; n-- {
		t.join(t.pending[n-2], t.pending[n-1])
		t.pending = t.pending[:n-1]
	}
	return t.pending[0]
}

// rowTree brings as many rows as a register has float64 lanes down to their sums
// by the tree (l, l+4), (l, l+2), (l, l+1); the first step is done on AVX2. row
// returns the lanes of some quantities of a row; of the result, each lane is a
// row. last is the join of the last step.
func (v *vec) rowTree(row func(i int) []vreg, join, last func(x, y []vreg)) []vreg {
	with := func(join func(x, y []vreg), x, y []vreg, first, second func(m, a, d vreg)) []vreg {
		h := make([]vreg, len(x))
		for i := range x {
			h[i] = v.reg()
			second(y[i], x[i], h[i])
			first(y[i], x[i], x[i])
		}
		join(x, h)
		return x
	}
	pairs := func(x, y []vreg, first, second func(m, a, d vreg)) []vreg { return with(join, x, y, first, second) }
	shuffle := func(order uint8) func(m, a, d vreg) {
		return func(m, a, d vreg) {
			if v.wide() {
				v.VSHUFF64X2(operand.U8(order), m, a, d)
			} else {
				v.VPERM2F128(operand.U8(order), m, a, d)
			}
		}
	}
	var half func(i int) []vreg
	if v.wide() {
		quarter := func(i int) []vreg { return pairs(row(i), row(i+2), shuffle(0x44), shuffle(0xee)) }
		half = func(i int) []vreg { return pairs(quarter(i), quarter(i+4), shuffle(0x88), shuffle(0xdd)) }
	} else {
		half = func(i int) []vreg { return pairs(row(i), row(i+2), shuffle(0x20), shuffle(0x31)) }
	}
	return with(last, half(0), half(1),
		func(m, a, d vreg) { v.VUNPCKLPD(m, a, d) }, func(m, a, d vreg) { v.VUNPCKHPD(m, a, d) })
}

// shortScale emits the exponentials of short rows times the factors of their
// sides.
func shortScale(v *vec) {
	if !v.wide() {
		shortScaleOf(v, 0, 32)
		return
	}
	long := v.newLabel("long") // see shortSides
	v.CMPQ(v.argument("n"), operand.U8(16))
	v.JG(operand.LabelRef(long))
	shortScaleOf(v, 0, 16)
	v.Label(long)
	shortScaleOf(&vec{v.file, avx2, v.elem}, 16, 32)
}

// shortScaleOf emits shortScale of rows above some length and up to another.
func shortScaleOf(v *vec, above, upTo int) {
	g := newShortGradient(v, "fa", "fb")
	negative, positive := g.factors[0], g.factors[1]
	minusLow := v.inRegister(v.constant(-coef.LeastExp32))
	g.run(above, upTo, func(r vreg) vreg {
		f := v.reg()
		if v.wide() {
			n, p := v.newMask(), v.newMask()
			v.compare(greaterOrEqual, r, g.low, n)
			v.compare(lessOrEqual, r, minusLow, p)
			v.mulKeep(n, r, negative, f)
			v.either(v.VMULPS, v.VMULPD, positive, r, p, f)
			return f
		}
		kept := g.normal(r)
		v.choose(r, positive, negative, f)
		v.mul(f, r, f)
		v.and(f, kept, f)
		return f
	})
}

// A shortGradient writes the gradients of short rows, which are terms times
// factors. On AVX2 the last register of a row of 8 elements or more ends with the
// row: some elements are written twice.
type shortGradient struct {
	*shortLoop
	dst, dstStride, w gpreg
	places            []gpreg // of the rows' factors
	factors           []vreg
	low               vreg // the least term that counts
}

func newShortGradient(v *vec, factors ...string) *shortGradient {
	g := &shortGradient{dst: v.param("dst"), dstStride: v.stride("dstStride"), w: v.param("w")}
	for _, name := range factors {
		g.places, g.factors = append(g.places, v.param(name)), append(g.factors, v.reg())
	}
	g.shortLoop = newShortLoop(v, v.perReg())
	g.low = v.inRegister(v.constant(coef.LeastExp32))
	return g
}

// normal returns, on AVX2, the lanes whose term counts.
func (g *shortGradient) normal(r vreg) vreg {
	k := g.reg()
	g.and(r, g.constant(float64(math.Float32frombits(1<<31-1))), k)
	g.compare(greaterOrEqual, k, g.low, k)
	return k
}

// run emits the loop of rows above some length and up to another; scaled returns the gradient of a register of terms.
func (g *shortGradient) run(above, upTo int, scaled func(r vreg) vreg) {
	v := g.vec
	if v.wide() {
		g.twoRows(scaled)
	}
	g.shortLoop.run(1, g.byVectors(above, upTo, func(vectors int) {
		for k, p := range g.places {
			v.broadcast(at(p, 0), g.factors[k])
		}
		for i := range vectors {
			g.each(i, vectors, func(k mask, index reg.Register, disp int) {
				place := func(base gpreg) operand.Mem {
					m := operand.Mem{Base: base, Disp: disp}
					if index != nil {
						m.Index, m.Scale = index, 1
					}
					return m
				}
				r := v.reg()
				v.load(k, place(g.w), r)
				v.store(k, scaled(r), place(g.dst))
			})
		}
		v.ADDQ(g.dstStride, g.dst)
		v.ADDQ(g.stride, g.w)
		for _, p := range g.places {
			v.ADDQ(operand.U8(v.size), p)
		}
	}))
	v.VZEROUPPER()
	v.RET()
}

// twoRows emits, on AVX-512, the loop through rows of at most half a register, two of
// them in each of two registers. It leaves what is less than four rows.
func (g *shortGradient) twoRows(scaled func(r vreg) vreg) {
	v := g.vec
	loop, rest := v.newLabel("fours"), v.newLabel("rest")
	exist, free := v.newMask(), v.GP64()
	v.CMPQ(g.n, operand.U8(8))
	v.JG(operand.LabelRef(rest))
	v.CMPQ(g.rows, operand.U8(4))
	v.JL(operand.LabelRef(rest))
	v.firstMasks([]mask{exist}, g.n)
	spread := v.data("spread", func() {
		for row := range 4 {
			for range 4 {
				v.AppendDatum(operand.U64(uint64(row) | uint64(row)<<32))
			}
		}
	})
	var order [2]vreg // of the factors of two rows
	for pair := range order {
		m := spread
		m.Disp = 64 * pair
		order[pair] = v.inRegister(m)
	}
	v.Label(loop)
	var four []vreg
	for _, p := range g.places {
		f := v.reg()
		v.VMOVUPS(at(p, 0), f.AsX())
		four = append(four, f)
		v.ADDQ(operand.U8(4*v.size), p)
	}
	for pair := range order {
		for k, f := range g.factors {
			v.VPERMPS(four[k], order[pair], f)
		}
		r := v.reg()
		v.move(v.rowPlace(g.w, g.stride, 2*pair, 0, free), r.AsY())
		v.VINSERTF64X4(operand.U8(1), v.rowPlace(g.w, g.stride, 2*pair+1, 0, free), r, r)
		low, high := v.split(scaled(r))
		for i, half := range []vreg{low, high} {
			v.VMOVUPS(half, exist, v.rowPlace(g.dst, g.dstStride, 2*pair+i, 0, free))
		}
	}
	v.LEAQ(operand.Mem{Base: g.w, Index: g.stride, Scale: 4}, g.w)
	v.LEAQ(operand.Mem{Base: g.dst, Index: g.dstStride, Scale: 4}, g.dst)
	v.SUBQ(operand.U8(4), g.rows)
	v.CMPQ(g.rows, operand.U8(4))
	v.JGE(operand.LabelRef(loop))
	v.Label(rest)
}

// each emits body for register i of so many of a row, to be written: with its
// mask and its place from the row's start.
func (l *shortLoop) each(i, vectors int, body func(k mask, index reg.Register, disp int)) {
	v := l.vec
	switch {
	case i < vectors-1:
		body(nil, nil, i*v.bytes)
	case v.wide():
		body(l.tail[0], nil, i*v.bytes)
	case vectors > 1:
		body(nil, l.stride, -v.bytes)
	default:
		whole, done := v.newLabel("whole"), v.newLabel("written")
		v.CMPQ(l.n, operand.U8(v.perReg()))
		v.JE(operand.LabelRef(whole))
		body(l.tail[0], nil, 0)
		v.JMP(operand.LabelRef(done))
		v.Label(whole)
		body(nil, nil, 0)
		v.Label(done)
	}
}
