package gen

import (
	"slices"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The stack of a goroutine is aligned to 8 bytes, and where a kernel's frame lies
// depends on all its callers. A register that is kept there and crosses a cache line
// takes several times its time, above all where it is read soon after it was
// written. So places of registers are counted from BP, which is aligned; the
// assembler saves it.

// lineBytes is the size of a cache line.
const lineBytes = 64

// AllocLocal returns a place on the stack, aligned to its size up to that of a
// register.
func (f *file) AllocLocal(size int) operand.Mem {
	align := 8
	for align < size && align < lineBytes && size%(2*align) == 0 {
		align *= 2
	}
	if rest := f.locals % align; rest > 0 {
		f.context.AllocLocal(align - rest)
		f.locals += align - rest
	}
	f.locals += size
	return f.context.AllocLocal(size)
}

// alignLocals makes BP, aligned to a cache line, the base of the places on the stack
// of functions that keep registers there. Those on AVX-512 keep in registers what
// they read again soon, and have no general register left.
func alignLocals(functions []*ir.Function) {
	for _, fn := range functions {
		all := fn.Instructions()
		if !slices.ContainsFunc(all, keepsRegister) || slices.ContainsFunc(all, onZMM) {
			continue
		}
		for _, i := range all {
			for _, ops := range [][]operand.Op{i.Operands, i.Inputs, i.Outputs} {
				for k, o := range ops {
					if isLocal(o) {
						m := o.(operand.Mem)
						m.Base = reg.RBP
						ops[k] = m
					}
				}
			}
		}
		start := operand.Mem{Base: reg.StackPointer, Disp: lineBytes - 1}
		mask := operand.I32(-lineBytes)
		fn.Nodes = slices.Insert(fn.Nodes, 0, ir.Node(&ir.Instruction{
			Opcode: "LEAQ", Operands: []operand.Op{start, reg.RBP}, Inputs: []operand.Op{start}, Outputs: []operand.Op{reg.RBP},
		}), ir.Node(&ir.Instruction{
			Opcode: "ANDQ", Operands: []operand.Op{mask, reg.RBP}, Inputs: []operand.Op{mask, reg.RBP}, Outputs: []operand.Op{reg.RBP},
		}))
		fn.LocalSize += lineBytes
	}
}

// isLocal reports whether an operand is a place on the stack.
func isLocal(o operand.Op) bool {
	m, ok := o.(operand.Mem)
	return ok && m.Base == reg.StackPointer
}

// keepsRegister reports whether an instruction is on a vector register and a place
// on the stack.
func keepsRegister(i *ir.Instruction) bool {
	return slices.ContainsFunc(i.Operands, isLocal) && slices.ContainsFunc(i.Operands, func(o operand.Op) bool {
		r, ok := o.(reg.Register)
		return ok && r.Size() >= 32
	})
}

func onZMM(i *ir.Instruction) bool { return slices.ContainsFunc(i.Operands, isZMM) }
