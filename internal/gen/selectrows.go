package gen

import "github.com/mmcloughlin/avo/operand"

// wideRows emits the loops through the rows on AVX-512.
func (k *selectKernel) wideRows(p *pipeline) {
	row, last := k.newLabel("row"), k.newLabel("last")
	t, shortAside := k.shortRows(p, row)
	k.Label(row)
	aside := k.wideRow(p)
	k.nextRow(row)
	k.sums.write(k.out...)
	k.CMPQ(k.rows, operand.U8(0))
	k.JEQ(operand.LabelRef(last))
	t.goOn(row)
	aside()
	shortAside()
	k.Label(last)
}

// wideRow emits the loop through the groups of a row, and returns what emits the rest of
// it that is to lie aside.
func (k *selectKernel) wideRow(p *pipeline) (aside func()) {
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
	if k.sixteen != nil {
		k.XORQ(next, next)
		k.MOVQ(k.x, k.row)
	}
	var labels [4]string
	for i, name := range []string{"first16", "first", "group16", "others"} {
		labels[i] = k.newLabel(name)
	}
	k.point(next, labels[0], labels[1])
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
	k.point(next, labels[2], labels[3])
	n, t := p.group(this, after, lanes)
	for i, terms := range [][]vreg{n, t}[:len(before)] {
		v.move(v.groupSum(terms), before[i])
	}
	k.ADDQ(operand.I32(256), k.off)
	k.TESTQ(k.left, k.left)
	k.JG(operand.LabelRef(group))
	lanes()
	if k.sixteen != nil {
		k.MOVQ(k.row, k.x)
	}
	return func() {
		if k.sixteen != nil {
			k.readSixteen(next, part, labels)
		}
	}
}

// point sets x to the group at off; groups of 16 bits are read at the first label, which
// goes on at the second.
func (k *selectKernel) point(off gpreg, sixteen, ready string) {
	if k.sixteen == nil {
		return
	}
	k.sixteen.ifSixteen(sixteen)
	k.MOVQ(k.row, k.x)
	k.ADDQ(off, k.x)
	k.Label(ready)
}

// readSixteen emits what fills the buffer with the first group of a row of 16-bit floats,
// which is whole, and what with those at off, whose masks are part, but after the last.
func (k *selectKernel) readSixteen(off gpreg, part []mask, labels [4]string) {
	to := k.at // has to do with bits
	k.Label(labels[0])
	k.sixteen.widen(at(k.x, 0), to)
	k.MOVQ(to, k.x)
	k.JMP(operand.LabelRef(labels[1]))

	some, ready := k.newLabel("some"), k.newLabel("read")
	k.Label(labels[2])
	k.TESTQ(k.left, k.left)
	k.JLE(operand.LabelRef(labels[3]))
	k.MOVQ(off, k.x)
	k.SHRQ(operand.U8(1), k.x)
	k.ADDQ(k.row, k.x)
	k.CMPQ(k.left, operand.U8(4*k.lanes))
	k.JL(operand.LabelRef(some))
	k.sixteen.widen(at(k.x, 0), to)
	k.JMP(operand.LabelRef(ready))
	k.Label(some)
	k.sixteen.widenSome(at(k.x, 0), part, nil, to)
	k.Label(ready)
	k.MOVQ(to, k.x)
	k.JMP(operand.LabelRef(labels[3]))
}

// groupAt returns the row's group at off, the registers of which exist in part.
func (k *selectKernel) groupAt(off gpreg, part []mask) *registerGroup {
	place := func(base gpreg) func(i int) operand.Mem {
		if base == nil {
			return nil
		}
		return func(i int) operand.Mem { return k.element(base, off, i) }
	}
	x := place(k.x)
	if k.sixteen != nil {
		x = func(i int) operand.Mem { return at(k.x, i*k.bytes) }
	}
	return &registerGroup{
		begin: func() { k.group(off) },
		x:     x,
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

// shortRows emits the loops through rows of at most a group, and returns what emits that
// which is to lie aside. They go to label row with what does not fill one. Of 16-bit floats
// they take rows of more than half a group.
func (k *selectKernel) shortRows(p *pipeline, row string) (t *rowsTogether, aside func()) {
	aside = func() {}
	v := k.vec
	t = &rowsTogether{vec: v, length: k.length, rows: k.rows, sums: k.sums}
	x, pos := t.walk(k.x, k.stride, true), t.walk(k.pos, k.step, true)
	t.walk(k.neg, k.step, false)
	w := t.walk(k.w, v.GP64(), false)
	t.run(row, func(vectors int, part []mask) (begin, turn func()) {
		bits := func(side gpreg) func(i int) mask {
			from := t.place(side, k.step, vectors, v.lanes/8)
			if from == nil {
				return nil
			}
			return func(i int) mask {
				m := v.newMask()
				v.loadMask(from(i), m)
				return m
			}
		}
		group := func(x, pos gpreg) *registerGroup {
			return &registerGroup{
				x:    t.place(x, k.stride, vectors, v.bytes),
				part: part,
				pos:  bits(pos),
				neg:  bits(k.neg),
				w:    t.place(k.w, w.step, vectors, v.bytes),
			}
		}
		this, next := group(k.x, k.pos), group(x.next, pos.next)
		pointThis, pointNext := func() {}, func() {}
		if k.sixteen != nil && vectors == 4 {
			to := k.at // has to do with bits
			this.x = func(i int) operand.Mem { return at(to, i*k.bytes) }
			next.x = this.x
			pointThis, pointNext, aside = k.pointShort(x, t.free, to, part)
		}
		return func() { pointThis(); p.begin(this) }, func() {
			k.copy.block()
			pointNext()
			if k.w != nil {
				v.MOVQ(k.wStride, w.step)
			}
			n, t := p.group(this, next, func() {})
			for row := range 4 / vectors {
				for i, terms := range [][]vreg{n, t}[:len(k.selected)] {
					k.sums.put(i, row, v.oneGroup(v.groupSum(terms[row*vectors:][:vectors])))
				}
			}
		}
	})
	return t, aside
}

// pointShort returns what sets to to the first group of rows of one, and to the next; and
// what reads those of 16 bits, which lies aside. from is free.
func (k *selectKernel) pointShort(x *rowWalk, from, to gpreg, part []mask) (this, next, aside func()) {
	sixteen, begun := k.newLabel("short16"), k.row
	ready := [2]string{k.newLabel("first"), k.newLabel("others")}
	point := func(x gpreg, ready string) {
		k.MOVQ(x, to)
		k.sixteen.ifSixteen(sixteen)
		k.Label(ready)
	}
	return func() {
			k.MOVQ(operand.U32(0), begun)
			point(x.at, ready[0])
		}, func() { point(x.next, ready[1]) }, func() {
			k.Label(sixteen)
			k.MOVQ(to, from)
			k.sixteen.widenSome(at(from, 0), part, nil, to)
			k.CMPQ(begun, operand.U8(0))
			k.JNE(operand.LabelRef(ready[1]))
			k.INCQ(begun)
			k.JMP(operand.LabelRef(ready[0]))
		}
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
