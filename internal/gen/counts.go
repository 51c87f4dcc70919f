package gen

import "github.com/mmcloughlin/avo/operand"

// countKeys emits the counts of keys (see kernel/keys.go), eight at a time, whose labels are a
// byte. No vector instruction helps; this keeps in registers what a compiler does not, and
// reads ahead keys that lie elsewhere, before which the processor does not look.
//
//	for i, k := range keys {
//		page, place := low[k>>24], k<<8>>shift
//		if page == nil {
//			return i
//		}
//		if page[place] += 1<<8 + label(i); it passed 1<<16 {
//			return i
//		}
//	}
func countKeys(v *vec) {
	low, keys, next, positive, left, shift := v.param("low"), v.param("keys"), v.param("next"), v.param("positive"), v.param("bytes"), v.param("shift")
	counted, labels := v.GP64(), v.GP64()
	loop := v.newLabel("eight")
	var out [8]string // where the key of that number ends it
	for i := range out {
		out[i] = v.newLabel("out")
	}
	v.MOVQ(operand.U32(0), counted)
	v.Label(loop)
	v.MOVBLZX(at(positive, 0), labels.As32())
	v.PREFETCHT0(at(next, 0))
	for i := range out {
		key, page, label := v.GP64(), v.GP64(), v.GP64()
		v.MOVBLZX(at(keys, 4*i+3), page.As32())
		v.MOVL(at(keys, 4*i), key.As32())
		v.MOVQ(operand.Mem{Base: low, Index: page, Scale: 8}, page)
		v.SHLL(operand.U8(8), key.As32())
		v.RORXQ(operand.U8(i), labels, label)
		v.SHRXQ(shift, key, key)
		v.ANDQ(operand.U8(1), label)
		v.TESTQ(page, page)
		v.JZ(operand.LabelRef(out[i]))
		v.LEAQ(operand.Mem{Base: label, Disp: 0x100}, label)
		v.ADDW(label.As16(), operand.Mem{Base: page, Index: key, Scale: 2})
		v.JCS(operand.LabelRef(out[i]))
	}
	v.INCQ(positive)
	v.ADDQ(operand.U8(32), keys)
	v.ADDQ(operand.U8(32), next)
	v.ADDQ(operand.U8(8), counted)
	v.DECQ(left)
	v.JNZ(operand.LabelRef(loop))
	v.JMP(operand.LabelRef(out[0]))
	for i := len(out) - 1; i > 0; i-- {
		v.Label(out[i])
		v.INCQ(counted)
	}
	v.Label(out[0])
	v.Store(counted, v.ReturnIndex(0))
	v.RET()
}
