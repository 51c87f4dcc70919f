package gen

import "github.com/mmcloughlin/avo/operand"

// countKeys emits the counts of keys (see kernel/keys.go), eight at a time, whose labels are a
// byte. No vector instruction helps; this keeps in registers what a compiler does not, and
// reads ahead keys that lie elsewhere, before which the processor does not look.
//
//	for i, k := range keys {
//		page, place := low[k>>24], k<<8>>shift
//		switch {
//		case page == nil:
//			left = append(left, k<<32 + 1<<16 + label(i))
//		case page[place] + 1<<8 + label(i) < 1<<16:
//			page[place] += 1<<8 + label(i)
//			continue
//		default:
//			left = append(left, k<<32 + uint16(page[place] + 1<<8 + label(i)))
//			page[place] = 0
//		}
//		if room--; room == 0 {
//			return i + 1, 0
//		}
//	}
func countKeys(v *vec) {
	low, keys, next, positive, left := v.param("low"), v.param("keys"), v.param("next"), v.param("positive"), v.param("left")
	bytes, room, place := v.param("bytes"), v.param("most"), v.param("shift")
	counted, labels, one := v.GP64(), v.GP64(), v.GP64()
	loop := v.newLabel("eight")
	// Where a key of that number is left that has no page, or for its place, which is full, and
	// where it goes on or ends before one.
	var none, full, on, out [9]string
	for i := range out {
		none[i], full[i], on[i], out[i] = v.newLabel("none"), v.newLabel("full"), v.newLabel("on"), v.newLabel("out")
	}
	// k<<8>>shift are 32-shift bits of k from bit shift-8 on: of a BEXTR the length times 256
	// and the first bit.
	v.IMUL3Q(operand.I32(-255), place, place)
	v.ADDQ(operand.U32(32<<8-8), place)
	key := func(i int) (page gpreg, counts operand.Mem) {
		page, index := v.GP64(), v.GP64()
		v.MOVBLZX(at(keys, 4*i+3), page.As32())
		v.MOVQ(operand.Mem{Base: low, Index: page, Scale: 8}, page)
		v.BEXTRL(place.As32(), at(keys, 4*i), index.As32())
		return page, operand.Mem{Base: page, Index: index, Scale: 2}
	}
	v.MOVQ(operand.U32(0), counted)
	v.MOVQ(operand.U32(1<<8), one)
	v.Label(loop)
	v.MOVBLZX(at(positive, 0), labels.As32())
	v.PREFETCHT0(at(next, 0))
	for i := range 8 {
		page, counts := key(i)
		v.TESTQ(page, page)
		v.JZ(operand.LabelRef(none[i]))
		v.BTL(operand.U8(i), labels.As32())
		v.ADCW(one.As16(), counts) // and the label
		v.JCS(operand.LabelRef(full[i]))
		v.Label(on[i+1])
	}
	v.INCQ(positive)
	v.ADDQ(operand.U8(32), keys)
	v.ADDQ(operand.U8(32), next)
	v.ADDQ(operand.U8(8), counted)
	v.DECQ(bytes)
	v.JNZ(operand.LabelRef(loop))
	v.JMP(operand.LabelRef(out[0]))
	for i := range 8 {
		count, k := v.GP64(), v.GP64()
		leave := v.newLabel("leave")
		v.Label(none[i])
		v.RORXQ(operand.U8(i), labels, count)
		v.ANDQ(operand.U8(1), count)
		v.ORQ(operand.U32(1<<16), count)
		v.JMP(operand.LabelRef(leave))
		v.Label(full[i])
		_, counts := key(i)
		v.MOVWLZX(counts, count.As32())
		v.MOVW(operand.U16(0), counts)
		v.Label(leave)
		v.MOVL(at(keys, 4*i), k.As32())
		v.SHLQ(operand.U8(32), k)
		v.ORQ(k, count)
		v.MOVQ(count, at(left, 0))
		v.ADDQ(operand.U8(8), left)
		v.DECQ(room)
		v.JNZ(operand.LabelRef(on[i+1]))
		v.JMP(operand.LabelRef(out[i+1]))
	}
	for i := 8; i > 0; i-- {
		v.Label(out[i])
		v.INCQ(counted)
	}
	v.Label(out[0])
	v.Store(counted, v.ReturnIndex(0))
	v.Store(room, v.ReturnIndex(1))
	v.RET()
}
