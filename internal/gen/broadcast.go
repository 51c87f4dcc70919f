package gen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// broadcastConstants makes the instructions on 64 bytes that read a constant
// read one element of it, and broadcast that: the linker aligns data to 32 bytes,
// and a load of 64 that crosses a cache line takes twice its time.
func broadcastConstants(functions []*ir.Function) error {
	for _, fn := range functions {
		for _, i := range fn.Instructions() {
			at := slices.IndexFunc(i.Operands, isConstant)
			if at < 0 || !slices.ContainsFunc(i.Operands, isZMM) {
				continue
			}
			// The element size is the last letter of the opcode, and that of the
			// constant in its name.
			double := strings.HasSuffix(i.Opcode, "D") && i.Opcode[len(i.Opcode)-2] == 'P' || strings.HasSuffix(i.Opcode, "Q")
			if name := i.Operands[at].(operand.Mem).Symbol.Name; double != strings.HasPrefix(name, "f64_") {
				return fmt.Errorf("%s: %s of %s", fn.Name, i.Opcode, name)
			}
			switch i.Opcode {
			case "VMOVUPS":
				i.Opcode = "VBROADCASTSS"
			case "VMOVUPD":
				i.Opcode = "VBROADCASTSD"
			default:
				i.Suffixes = append([]string{"BCST"}, i.Suffixes...)
			}
		}
	}
	return nil
}

// isConstant reports whether an operand is the place of a constant of vec.
func isConstant(o op) bool {
	m, ok := o.(operand.Mem)
	return ok && (strings.HasPrefix(m.Symbol.Name, "f32_") || strings.HasPrefix(m.Symbol.Name, "f64_"))
}

func isZMM(o op) bool {
	r, ok := o.(reg.Register)
	return ok && r.Size() == 64
}
