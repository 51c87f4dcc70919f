package gen

import "github.com/mmcloughlin/avo/operand"

// A rowPlaces is where a row's scores and exponentials are; w is nil where
// these are not kept.
type rowPlaces struct {
	x, stride gpreg
	w         gpreg
	wStride   operand.Mem
}

// groupAt returns the group whose elements are at x + off; the exponentials go
// to w + wOff.
func (s *sides) groupAt(x, off, w, wOff gpreg) *registerGroup {
	v := s.vec
	place := func(base, off gpreg) func(i int) operand.Mem {
		if base == nil {
			return nil
		}
		return func(i int) operand.Mem { return operand.Mem{Base: base, Index: off, Scale: 1, Disp: i * v.bytes} }
	}
	return &registerGroup{
		begin: func() { s.group(off) },
		x:     place(x, off),
		pos:   func(i int) mask { return s.mask(s.pos, i) },
		neg:   func(i int) mask { return s.mask(s.neg, i) },
		w:     place(w, wOff),
	}
}

// groupsOfRows emits selectSums of rows of so many virtual vectors at most, on
// AVX-512: a group is one row of four, or two of two, or four of one. It leaves
// what does not fill a group.
func groupsOfRows(line *pipeline, s *sides, sums *rowSums, side *sideCopy, at *rowPlaces, vectors int, length, rows operand.Mem, a, b operand.Mem) {
	v, count := line.vec, 4/vectors
	again, check, rest := v.newLabel("again"), v.newLabel("check"), v.newLabel("rest")
	x, pos, wStep, free := v.GP64(), v.GP64(), v.GP64(), v.GP64()
	part := lastMasks(v, length, vectors)
	if at.w != nil {
		v.MOVQ(at.wStride, wStep)
	}
	// Register i holds vector i%vectors of row i/vectors.
	place := func(base, step gpreg, size int) func(i int) operand.Mem {
		if base == nil {
			return nil
		}
		return func(i int) operand.Mem { return v.rowPlace(base, step, i/vectors, i%vectors*size, free) }
	}
	bits := func(base gpreg) func(i int) mask {
		from := place(base, s.step, v.lanes/8)
		return func(i int) mask {
			k := v.newMask()
			v.loadMask(from(i), k)
			return k
		}
	}
	group := func(x, pos gpreg) *registerGroup {
		return &registerGroup{
			begin: func() {},
			x:     place(x, at.stride, v.bytes),
			part:  part,
			pos:   bits(pos),
			neg:   bits(s.neg),
			w:     place(at.w, wStep, v.bytes),
		}
	}
	this, next := group(at.x, s.pos), group(x, pos)

	v.CMPQ(rows, operand.U8(count))
	v.JL(operand.LabelRef(rest))
	line.begin(this)
	v.Label(again)
	side.block()
	// After the last group the same is loaded again.
	v.LEAQ(operand.Mem{Base: at.x, Index: at.stride, Scale: uint8(count)}, x)
	v.LEAQ(operand.Mem{Base: s.pos, Index: s.step, Scale: uint8(count)}, pos)
	v.CMPQ(rows, operand.U8(2*count))
	v.CMOVQLT(at.x, x)
	v.CMOVQLT(s.pos, pos)
	n, t := line.group(this, next, func() {})
	for row := range count {
		for i, terms := range [][]vreg{n, t} {
			sums.put(i, row, v.oneGroup(v.groupSum(terms[row*vectors:][:vectors])))
		}
	}
	for _, p := range []struct{ at, step gpreg }{{at.x, at.stride}, {s.pos, s.step}, {s.neg, s.step}, {at.w, wStep}} {
		if p.at != nil {
			v.LEAQ(operand.Mem{Base: p.at, Index: p.step, Scale: uint8(count)}, p.at)
		}
	}
	sums.next(count, rows, check, a, b)
	v.JMP(operand.LabelRef(rest))
	v.Label(check)
	v.CMPQ(rows, operand.U8(count))
	v.JGE(operand.LabelRef(again))
	v.Label(rest)
}

// groupSum returns the sum of a row's vectors.
func (v *vec) groupSum(x []vreg) vreg {
	for len(x) > 1 {
		var pairs []vreg
		for i := 0; i < len(x); i += 2 {
			v.add(x[i], x[i+1], x[i])
			pairs = append(pairs, x[i])
		}
		x = pairs
	}
	return x[0]
}

// lastMasks returns the masks of a group's registers, where rows of that length
// have at most so many vectors and more than half of these, on AVX-512.
func lastMasks(v *vec, length operand.Mem, vectors int) (part []mask) {
	cut := (vectors + 1) / 2 // vectors that may be cut
	bits, left := v.GP64(), v.GP64()
	v.MOVQ(length, left)
	v.SUBQ(operand.U8((vectors-cut)*v.lanes), left)
	v.MOVQ(operand.I32(-1), bits)
	v.BZHIQ(left, bits, bits)
	row := make([]mask, vectors)
	for i := vectors - cut; i < vectors; i++ {
		row[i] = v.newMask()
		v.loadMask(bits.As32(), row[i])
		v.SHRQ(operand.U8(v.lanes), bits)
	}
	for range 4 / vectors {
		part = append(part, row...)
	}
	return part
}

// oneGroup returns the lanes of a row whose only group has that sum, on AVX-512.
func (v *vec) oneGroup(sum vreg) [][]vreg {
	if v.double() {
		err := v.reg()
		v.zero(err)
		return [][]vreg{{sum}, {err}}
	}
	low, high := v.split(sum)
	v.VADDPS(high, low, low)
	r := v.reg()
	v.VCVTPS2PD(low, r)
	return [][]vreg{{r}}
}
