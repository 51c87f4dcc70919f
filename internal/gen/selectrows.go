package gen

import "github.com/mmcloughlin/avo/operand"

// wideRows emits the loops through the rows on AVX-512.
func (k *selectKernel) wideRows(p *pipeline) {
	row := k.newLabel("row")
	k.cut = [2]mask{k.newMask(), k.newMask()}
	var checks []string // of the loops through groups of rows
	for vectors := 1; vectors <= 4; vectors *= 2 {
		check, long := k.newLabel("check"), k.newLabel("long")
		k.ifLonger(vectors, long)
		k.groupsOfRows(p, vectors, check)
		k.JMP(operand.LabelRef(row))
		k.Label(long)
		checks = append(checks, check)
	}
	k.Label(row)
	k.wideRow(p)
	k.nextRow(row)
	k.writeSums(func() {
		for i, check := range checks {
			long := k.newLabel("long")
			k.ifLonger(1<<i, long)
			k.JMP(operand.LabelRef(check))
			k.Label(long)
		}
		k.JMP(operand.LabelRef(row))
	})
}

// ifLonger jumps where rows are longer than so many virtual vectors.
func (k *selectKernel) ifLonger(vectors int, long string) {
	k.CMPQ(k.length, operand.U8(vectors*k.lanes))
	k.JG(operand.LabelRef(long))
}

// wideRow emits the loop through the groups of a row.
func (k *selectKernel) wideRow(p *pipeline) {
	var (
		v, size = k.vec, 4 * k.lanes
		next    = v.GP64()
		part    = []mask{v.newMask(), v.newMask(), v.newMask(), v.newMask()}
		this    = k.groupAt(k.off, nil)
		after   = k.groupAt(next, part)
	)
	group, whole := v.newLabel("group"), v.newLabel("whole")
	for _, s := range k.selected {
		s.clear()
	}
	k.XORQ(k.off, k.off)
	k.MOVQ(k.length, k.left)
	k.MOVQ(operand.U32(size), k.at)
	k.CMPQ(k.left, k.at)
	k.CMOVQLT(k.left, k.at)
	v.firstMasks(part, k.at)
	p.begin(k.groupAt(k.off, part))
	// The lanes of a group are added while the next is evaluated.
	var before []vreg
	for range k.selected {
		r := v.reg()
		v.zero(r)
		before = append(before, r)
	}
	lanes := func() {
		for i, s := range k.selected {
			s.take(&half{}, before[i])
		}
	}
	k.Label(group)
	k.copy.block()
	k.LEAQ(operand.Mem{Base: k.off, Disp: 256}, next)
	k.SUBQ(operand.U32(size), k.left)
	k.CMPQ(k.left, operand.U8(size))
	k.JGE(operand.LabelRef(whole))
	// After the last group nothing is loaded, nor are bits that do not exist.
	k.XORQ(k.at, k.at)
	k.TESTQ(k.left, k.left)
	k.CMOVQLE(k.off, next)
	k.CMOVQGT(k.left, k.at)
	v.firstMasks(part, k.at)
	k.Label(whole)
	n, t := p.group(this, after, lanes)
	for i, terms := range [][]vreg{n, t}[:len(before)] {
		v.move(v.groupSum(terms), before[i])
	}
	k.ADDQ(operand.I32(256), k.off)
	k.TESTQ(k.left, k.left)
	k.JG(operand.LabelRef(group))
	lanes()
}

// groupAt returns the row's group at off, the registers of which exist in part.
func (k *selectKernel) groupAt(off gpreg, part []mask) *registerGroup {
	place := func(base gpreg) func(i int) operand.Mem {
		if base == nil {
			return nil
		}
		return func(i int) operand.Mem { return k.element(base, off, i) }
	}
	return &registerGroup{
		begin: func() { k.group(off) },
		x:     place(k.x),
		part:  part,
		pos:   k.masks(k.pos),
		neg:   k.masks(k.neg),
		w:     place(k.w),
	}
}

// masks is mask of a side; nil for none.
func (k *selectKernel) masks(side gpreg) func(i int) mask {
	if side == nil {
		return nil
	}
	return func(i int) mask { return k.mask(side, i) }
}

// groupsOfRows emits the loop through rows of so many virtual vectors at most: a
// group is one row of four, or two of two, or four of one. It leaves what does
// not fill a group. The loop goes on at check.
func (k *selectKernel) groupsOfRows(p *pipeline, vectors int, check string) {
	v, count := k.vec, 4/vectors
	again, rest := v.newLabel("again"), v.newLabel("rest")
	x, wStep, free := v.GP64(), v.GP64(), v.GP64()
	var pos gpreg
	if k.pos != nil {
		pos = v.GP64()
	}
	part := v.lastMasks(k.length, vectors, k.cut)
	// Register i holds vector i%vectors of row i/vectors.
	place := func(base, step gpreg, size int) func(i int) operand.Mem {
		if base == nil {
			return nil
		}
		return func(i int) operand.Mem { return v.rowPlace(base, step, i/vectors, i%vectors*size, free) }
	}
	bits := func(base gpreg) func(i int) mask {
		if base == nil {
			return nil
		}
		from := place(base, k.step, v.lanes/8)
		return func(i int) mask {
			m := v.newMask()
			v.loadMask(from(i), m)
			return m
		}
	}
	group := func(x, pos gpreg) *registerGroup {
		return &registerGroup{
			x:    place(x, k.stride, v.bytes),
			part: part,
			pos:  bits(pos),
			neg:  bits(k.neg),
			w:    place(k.w, wStep, v.bytes),
		}
	}
	this, next := group(k.x, k.pos), group(x, pos)

	v.CMPQ(k.rows, operand.U8(count))
	v.JL(operand.LabelRef(rest))
	p.begin(this)
	v.Label(again)
	k.copy.block()
	if k.w != nil {
		v.MOVQ(k.wStride, wStep)
	}
	// After the last group the same is loaded again.
	v.LEAQ(operand.Mem{Base: k.x, Index: k.stride, Scale: uint8(count)}, x)
	if pos != nil {
		v.LEAQ(operand.Mem{Base: k.pos, Index: k.step, Scale: uint8(count)}, pos)
	}
	v.CMPQ(k.rows, operand.U8(2*count))
	v.CMOVQLT(k.x, x)
	if pos != nil {
		v.CMOVQLT(k.pos, pos)
	}
	n, t := p.group(this, next, func() {})
	for row := range count {
		for i, terms := range [][]vreg{n, t}[:len(k.selected)] {
			k.sums.put(i, row, v.oneGroup(v.groupSum(terms[row*vectors:][:vectors])))
		}
	}
	for _, m := range []struct{ at, step gpreg }{{k.x, k.stride}, {k.pos, k.step}, {k.neg, k.step}, {k.w, wStep}} {
		if m.at != nil {
			v.LEAQ(operand.Mem{Base: m.at, Index: m.step, Scale: uint8(count)}, m.at)
		}
	}
	k.sums.next(count, k.rows)
	v.JEQ(operand.LabelRef(k.sums.tree))
	v.Label(check)
	v.CMPQ(k.rows, operand.U8(count))
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

// lastMasks returns the masks of a group's registers, of rows of that length: at
// most so many vectors and more than half of these. It sets those of cut.
func (v *vec) lastMasks(length operand.Mem, vectors int, cut [2]mask) (part []mask) {
	whole := vectors / 2 // vectors that are not cut
	left := v.GP64()
	v.MOVQ(length, left)
	v.SUBQ(operand.U8(whole*v.lanes), left)
	row := append(make([]mask, whole), cut[:vectors-whole]...)
	v.firstMasks(row[whole:], left)
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
