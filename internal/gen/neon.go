package gen

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A neonFile is an arm64 assembly file in the making. Methods named after an
// instruction emit it; operands come in Go's order, destination last. The first
// error sticks.
//
// The Go assembler lacks most floating-point instructions on vectors. Their
// methods emit the instruction as a word, with its text as a comment.
type neonFile struct {
	text      strings.Builder
	tables    []*neonTable
	tailTable bool
	labels    int
	err       error

	// Of the function being emitted:
	header  func()         // emits what comes before it
	start   int            // of its text
	frame   int            // bytes of its stack
	args    map[string]int // offsets of arguments and results
	vectors uint32         // free vector registers
	general []genReg       // free general registers
}

// A neonTable is the constants of an element type, of 32 bytes each: a pair of
// loads brings a number in all lanes of two registers. Where one does not reach
// all of them there are several sets.
type neonTable struct {
	elem
	set     string
	entries [][4]uint64
}

// A vecReg is a vector register, until it is freed.
type vecReg struct {
	n    int
	live bool
}

// A genReg is a general register.
type genReg int

// An address is a place in memory.
type address struct {
	base genReg
	disp int
}

// A lanes is a vector register seen as lanes: S4, D2, B16 and so on.
type lanes struct {
	*vecReg
	form string
}

func (r genReg) String() string { return fmt.Sprintf("R%d", int(r)) }

func (r *vecReg) String() string    { return fmt.Sprintf("F%d", r.n) }
func (r *vecReg) as(f string) lanes { return lanes{r, f} }
func (r *vecReg) b16() lanes        { return r.as("B16") }
func (r *vecReg) d2() lanes         { return r.as("D2") }

func (l lanes) String() string { return fmt.Sprintf("V%d.%s", l.n, l.form) }

func (a address) String() string {
	if a.disp == 0 {
		return fmt.Sprintf("(%v)", a.base)
	}
	return fmt.Sprintf("%d(%v)", a.disp, a.base)
}

// Asm makes an address an operand, and a mask.
func (a address) Asm() string { return a.String() }

// offset returns the address disp bytes on.
func (a address) offset(disp int) address { return address{a.base, a.disp + disp} }

func (f *neonFile) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

// op emits an instruction.
func (f *neonFile) op(name string, operands ...any) {
	text := make([]string, len(operands))
	for i, o := range operands {
		f.check(name, o)
		text[i] = fmt.Sprint(o)
	}
	if len(text) == 0 {
		fmt.Fprintf(&f.text, "\t%s\n", name)
		return
	}
	fmt.Fprintf(&f.text, "\t%-7s %s\n", name, strings.Join(text, ", "))
}

// word emits an instruction that the assembler lacks.
func (f *neonFile) word(code uint32, name string, operands ...any) {
	text := make([]string, len(operands))
	for i, o := range operands {
		f.check(name, o)
		text[i] = fmt.Sprint(o)
	}
	fmt.Fprintf(&f.text, "\t%-7s $0x%08x // %s %s\n", "WORD", code, name, strings.Join(text, ", "))
}

// check finds registers that were freed.
func (f *neonFile) check(name string, operand any) {
	var r *vecReg
	switch o := operand.(type) {
	case *vecReg:
		r = o
	case lanes:
		r = o.vecReg
	}
	if r != nil && !r.live {
		f.fail("%s: operand V%d was freed", name, r.n)
	}
}

// imm is an immediate operand.
func imm(n int) string { return fmt.Sprintf("$%d", n) }

func (f *neonFile) label(name string) { fmt.Fprintf(&f.text, "%s:\n", name) }

func (f *neonFile) newLabel(name string) string {
	f.labels++
	return fmt.Sprintf("%s%d", name, f.labels)
}

// aside returns what emit emits, and leaves it out.
func (f *neonFile) aside(emit func()) string {
	text := f.text.String()
	f.text.Reset()
	emit()
	code := f.text.String()
	f.text.Reset()
	f.text.WriteString(text)
	return code
}

// comment explains the instructions that follow.
func (f *neonFile) comment(text string) { fmt.Fprintf(&f.text, "\t// %s\n", text) }

// Registers.

// reg returns a free vector register.
func (f *neonFile) reg() *vecReg {
	for n := range 32 {
		if f.vectors>>n&1 == 1 {
			f.vectors &^= 1 << n
			return &vecReg{n, true}
		}
	}
	f.fail("no free vector register")
	return &vecReg{0, true}
}

// free gives registers back.
func (f *neonFile) free(registers ...*vecReg) {
	for _, r := range registers {
		if !r.live {
			f.fail("V%d freed twice", r.n)
		}
		r.live = false
		f.vectors |= 1 << r.n
	}
}

// scope emits body and frees the vector registers that it has taken.
func (f *neonFile) scope(body func()) {
	before := f.vectors
	body()
	f.vectors = before
}

// gp returns a free general register: never one that the platform (R18), the
// assembler (R16, R17, R27) or Go (R28 to R30) uses.
func (f *neonFile) gp() genReg {
	if len(f.general) == 0 {
		f.fail("no free general register")
		return 0
	}
	r := f.general[0]
	f.general = f.general[1:]
	return r
}

// release gives general registers back.
func (f *neonFile) release(registers ...genReg) {
	f.general = append(registers, f.general...)
}

// Functions.

// function begins the function of that name, without a frame. All arguments and
// results have 8 bytes.
func (f *neonFile) function(name, signature string) {
	f.args, f.frame = map[string]int{}, 0
	args, results, _ := strings.Cut(strings.Trim(signature, "()"), ") (")
	for _, p := range append(parseParams(args), parseParams(results)...) {
		f.args[p.name] = 8 * len(f.args)
	}
	f.vectors = math.MaxUint32
	f.general = f.general[:0:0]
	for r := range 27 {
		if r < 16 || r > 18 {
			f.general = append(f.general, genReg(r))
		}
	}
	f.start = f.text.Len()
	f.header = func() {
		flag := "NOSPLIT, "
		if f.frame > neonNoSplit {
			flag = ""
		}
		fmt.Fprintf(&f.text, "\n// func %s%s\nTEXT ·%s(SB), %s$%d-%d\n", name, signature, name, flag, f.frame, 8*len(f.args))
	}
}

// end ends the function.
func (f *neonFile) end() {
	text := f.text.String()
	f.text.Reset()
	f.text.WriteString(text[:f.start])
	f.header()
	f.text.WriteString(text[f.start:])
}

// argument returns the place of an argument or a result.
func (f *neonFile) argument(name string) string {
	offset, ok := f.args[name]
	if !ok {
		f.fail("no argument %s", name)
	}
	return fmt.Sprintf("%s+%d(FP)", name, offset)
}

// param loads an argument into a new general register.
func (f *neonFile) param(name string) genReg {
	r := f.gp()
	f.op("MOVD", f.argument(name), r)
	return r
}

// constant returns the offset in the element type's table of a constant.
func (f *neonFile) constant(e elem, set string, x float64) int {
	bits := math.Float64bits(x)
	if e == float32s {
		bits = uint64(math.Float32bits(float32(x)))
		bits |= bits << 32
	}
	return f.entry(e, set, [4]uint64{bits, bits, bits, bits})
}

// entry returns the offset in the set's table of 32 bytes.
func (f *neonFile) entry(e elem, set string, value [4]uint64) int {
	i := slices.IndexFunc(f.tables, func(t *neonTable) bool { return t.elem == e && t.set == set })
	if i < 0 {
		i = len(f.tables)
		f.tables = append(f.tables, &neonTable{elem: e, set: set})
	}
	t := f.tables[i]
	place := slices.Index(t.entries, value)
	if place < 0 {
		place = len(t.entries)
		t.entries = append(t.entries, value)
	}
	return 32 * place
}

func (t *neonTable) symbol() string { return t.set + "constants" + t.bits + "<>" }

const neonHeader = "// Code generated by internal/gen. DO NOT EDIT.\n\n//go:build !purego\n\n"

// file returns the assembly.
func (f *neonFile) file() []byte {
	var data strings.Builder
	quad := func(symbol string, offset int, value uint64) {
		fmt.Fprintf(&data, "DATA %s+%d(SB)/8, $0x%016x\n", symbol, offset, value)
	}
	global := func(symbol string, size int) {
		fmt.Fprintf(&data, "GLOBL %s(SB), RODATA|NOPTR, $%d\n", symbol, size)
	}
	for _, t := range f.tables {
		data.WriteString("\n")
		for i, entry := range t.entries {
			for j, bits := range entry {
				quad(t.symbol(), 32*i+8*j, bits)
			}
		}
		global(t.symbol(), 32*len(t.entries))
	}
	if f.tailTable {
		// 128 bytes of ones followed by 128 bytes of zeros.
		data.WriteString("\n")
		for i := range 32 {
			bits := uint64(math.MaxUint64)
			if i >= 16 {
				bits = 0
			}
			quad("tail<>", 8*i, bits)
		}
		global("tail<>", 256)
	}
	return []byte(neonHeader + "#include \"textflag.h\"\n" + data.String() + f.text.String())
}

// Encoders of the instructions that the assembler lacks. Register fields are m
// at bit 16, n at bit 5 and d at bit 0; bit 22 is the size of the elements.

// sizeBit returns the size bit of float lanes.
func (f *neonFile) sizeBit(name, form string) uint32 {
	switch form {
	case "S4", "S2", "H4":
		return 0
	case "D2":
		return 1 << 22
	}
	f.fail("%s: no form %s", name, form)
	return 0
}

// threeSame encodes d = n op m on lanes of one form.
func (f *neonFile) threeSame(code uint32, name string, m, n, d lanes) {
	if m.form != n.form || n.form != d.form || d.form == "S2" || d.form == "H4" {
		f.fail("%s %v, %v, %v: forms", name, m, n, d)
	}
	f.word(code|f.sizeBit(name, d.form)|uint32(m.n)<<16|uint32(n.n)<<5|uint32(d.n), name, m, n, d)
}

// twoRegMisc encodes d = op n; wide is the operand with the larger elements.
func (f *neonFile) twoRegMisc(code uint32, name string, wide, n, d lanes) {
	f.word(code|f.sizeBit(name, wide.form)|uint32(n.n)<<5|uint32(d.n), name, n, d)
}

// scalarPair encodes d = n[0] op n[1] on the two float64 lanes of n.
func (f *neonFile) scalarPair(code uint32, name string, n lanes, d *vecReg) {
	if n.form != "D2" {
		f.fail("%s %v, %v: form", name, n, d)
	}
	f.check(name, d)
	f.word(code|uint32(n.n)<<5|uint32(d.n), name, n, d)
}

// VFADD is d = n + m.
func (f *neonFile) VFADD(m, n, d lanes) { f.threeSame(0x4e20d400, "VFADD", m, n, d) }

// VFSUB is d = n - m.
func (f *neonFile) VFSUB(m, n, d lanes) { f.threeSame(0x4ea0d400, "VFSUB", m, n, d) }

// VFMUL is d = n·m.
func (f *neonFile) VFMUL(m, n, d lanes) { f.threeSame(0x6e20dc00, "VFMUL", m, n, d) }

// VFDIV is d = n/m.
func (f *neonFile) VFDIV(m, n, d lanes) { f.threeSame(0x6e20fc00, "VFDIV", m, n, d) }

// VFMAX is d = max(n, m), NaN where either is.
func (f *neonFile) VFMAX(m, n, d lanes) { f.threeSame(0x4e20f400, "VFMAX", m, n, d) }

// VFMIN is d = min(n, m), NaN where either is.
func (f *neonFile) VFMIN(m, n, d lanes) { f.threeSame(0x4ea0f400, "VFMIN", m, n, d) }

// VFCMGE is d = all ones where n ≥ m.
func (f *neonFile) VFCMGE(m, n, d lanes) { f.threeSame(0x6e20e400, "VFCMGE", m, n, d) }

// VFCMGT is d = all ones where n > m.
func (f *neonFile) VFCMGT(m, n, d lanes) { f.threeSame(0x6ea0e400, "VFCMGT", m, n, d) }

// VFSQRT is d = the square roots of n.
func (f *neonFile) VFSQRT(n, d lanes) {
	f.word(0x6ea1f800|f.sizeBit("VFSQRT", d.form)|uint32(n.n)<<5|uint32(d.n), "VFSQRT", n, d)
}

// VFNEG is d = -n.
func (f *neonFile) VFNEG(n, d lanes) {
	f.word(0x6ea0f800|f.sizeBit("VFNEG", d.form)|uint32(n.n)<<5|uint32(d.n), "VFNEG", n, d)
}

// VFCMEQ is d = all ones where n = m.
func (f *neonFile) VFCMEQ(m, n, d lanes) { f.threeSame(0x4e20e400, "VFCMEQ", m, n, d) }

// VBIC is d = n &^ m.
func (f *neonFile) VBIC(m, n, d lanes) {
	if m.form != "B16" || n.form != "B16" || d.form != "B16" {
		f.fail("VBIC %v, %v, %v: forms", m, n, d)
	}
	f.word(0x4e601c00|uint32(m.n)<<16|uint32(n.n)<<5|uint32(d.n), "VBIC", m, n, d)
}

// VFCVTL widens the low two float32 lanes of n to float64.
func (f *neonFile) VFCVTL(n, d *vecReg) {
	f.twoRegMisc(0x0e217800, "VFCVTL", d.d2(), n.as("S2"), d.d2())
}

// VFCVTL2 widens the high two float32 lanes of n to float64.
func (f *neonFile) VFCVTL2(n, d *vecReg) {
	f.twoRegMisc(0x4e217800, "VFCVTL2", d.d2(), n.as("S4"), d.d2())
}

// VFCVTN narrows the float64 lanes of n to the low float32 lanes of d, and
// clears the high ones.
func (f *neonFile) VFCVTN(n, d *vecReg) {
	f.twoRegMisc(0x0e216800, "VFCVTN", n.d2(), n.d2(), d.as("S2"))
}

// VFCVTN2 narrows the float64 lanes of n to the high float32 lanes of d.
func (f *neonFile) VFCVTN2(n, d *vecReg) {
	f.twoRegMisc(0x4e216800, "VFCVTN2", n.d2(), n.d2(), d.as("S4"))
}

// VFCVTLH widens the low four float16 lanes of n to float32.
func (f *neonFile) VFCVTLH(n, d *vecReg) {
	f.twoRegMisc(0x0e217800, "VFCVTL", d.as("H4"), n.as("H4"), d.as("S4"))
}

// VFCVTL2H widens the high four float16 lanes of n to float32.
func (f *neonFile) VFCVTL2H(n, d *vecReg) {
	f.twoRegMisc(0x4e217800, "VFCVTL2", d.as("H4"), n.as("H8"), d.as("S4"))
}

// VFCVTNH narrows the float32 lanes of n to the low float16 lanes of d, and clears
// the high ones.
func (f *neonFile) VFCVTNH(n, d *vecReg) {
	f.twoRegMisc(0x0e216800, "VFCVTN", n.as("H4"), n.as("S4"), d.as("H4"))
}

// VFCVTN2H narrows the float32 lanes of n to the high float16 lanes of d.
func (f *neonFile) VFCVTN2H(n, d *vecReg) {
	f.twoRegMisc(0x4e216800, "VFCVTN2", n.as("H4"), n.as("S4"), d.as("H8"))
}

// VFMAXV is d = the maximum of the float32 lanes of n, NaN where one is.
func (f *neonFile) VFMAXV(n lanes, d *vecReg) {
	if n.form != "S4" {
		f.fail("VFMAXV %v, %v: form", n, d)
	}
	f.check("VFMAXV", d)
	f.word(0x6e30f800|uint32(n.n)<<5|uint32(d.n), "VFMAXV", n, d)
}

// VFADDP is d = n[0] + n[1].
func (f *neonFile) VFADDP(n lanes, d *vecReg) { f.scalarPair(0x7e70d800, "VFADDP", n, d) }

// VFMAXP is d = max(n[0], n[1]), NaN where either is.
func (f *neonFile) VFMAXP(n lanes, d *vecReg) { f.scalarPair(0x7e70f800, "VFMAXP", n, d) }

// VFADDPV is d = n[0] + n[1], m[0] + m[1].
func (f *neonFile) VFADDPV(m, n, d lanes) { f.threeSame(0x6e20d400, "VFADDP", m, n, d) }

// VFMINNM is d = min(n, m), the number where the other is NaN.
func (f *neonFile) VFMINNM(m, n, d lanes) { f.threeSame(0x4ea0c400, "VFMINNM", m, n, d) }
