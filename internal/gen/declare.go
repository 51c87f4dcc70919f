package gen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// A kernel is the declaration of a kernel: all that is printed of it but its
// specification in Go, the twin. The twin of accumulate is accumulateGeneric or,
// where the arithmetic depends on the element type, accumulate32Generic and
// accumulate64Generic; it has the parameters and results of the Go function.
type kernel struct {
	name string // of the Go function
	doc  string // what it does, as the Go function's comment says after the name

	// types are the element types T. Where there are several the Go function has
	// the type parameter T and the names of the assembly end in the type's bits.
	types   []elem
	oneTwin bool // one twin for all types

	// params and results are those of the Go function. The assembly has the
	// same, in this order: a slice as a pointer to its first element, the fields
	// of a struct one by one (structs), other named types as the arrays that
	// they are (layouts), and bool parameters not at all: they choose a form. A
	// bool result is true where the assembly returns 0.
	params, results string

	// args are the arguments of the assembly where these are not all the
	// parameters in order: names of parameters, or name=expression.
	args string

	optional string // the names of arguments that may be nil

	// whole is the length of which the assembly takes a multiple of the n
	// elements of a row. The twin, whose last parameter is where to begin, takes
	// the rest. Its zero value is for kernels that take all.
	whole lengths

	// more says that where whole is above 1 for AVX2 it takes rows of that length or
	// more as they are.
	more bool

	forms []form // of the assembly; the first whose condition is true

	noHash string // why TestHashes has no row of it
}

// A form is an implementation of a kernel, for certain arguments.
type form struct {
	name string // part of the assembly's name
	when string // a condition in Go; none for the last form

	x86  func(*vec)
	neon func(*neonVec)

	// copies says that the x86 form makes the kernel's pending Copy meanwhile.
	// Other forms, and those of NEON (noCopy), find it made.
	copies bool

	noNEON string // why there is no NEON form: the last form takes its place
}

// noStream is why NEON has no stores past the caches.
const noStream = "the assembler has no stores past the caches"

// lengths are numbers of elements by instruction set.
type lengths struct{ avx2, avx512, neon int }

func everywhere(n int) lengths { return lengths{n, n, n} }

func (l lengths) of(tier string) int {
	return map[string]int{avx2.name: l.avx2, avx512.name: l.avx512, neonTier: l.neon}[tier]
}

// neonTier is the suffix of the names of NEON's kernels.
const neonTier = "NEON"

// layouts are the named types that the assembly sees as arrays.
var layouts = map[string]string{
	"RowParams":  "[3]T",
	"BCEParams":  "[3]T",
	"SideParams": "[6]T",
	"SideTop":    "[4]T",
	"Peak":       "[2]T",
	"LossParts":  "[6]float64",
}

// structs are the types whose fields the assembly takes.
var structs = map[string][]field{
	"SideRows": {
		{"X", "x", "[]T"}, {"Stride", "stride", "int"}, {"Rows", "rows", "int"}, {"N", "n", "int"},
		{"Pos", "pos", "[]uint64"}, {"Neg", "neg", "[]uint64"}, {"Words", "words", "int"},
		{"Weights", "w", "[]T"}, {"WeightStride", "wStride", "int"}, {"Gamma", "gamma", "[2]T"},
	},
	"BCEArgs": {
		{"Sum", "sum", "[]float64"}, {"Product", "product", "[]float64"},
		{"Dst", "dst", "[]T"}, {"DstStride", "dstStride", "int"}, {"Copy", "c", "*Copy[T]"},
		{"X", "x", "[]T"}, {"Stride", "stride", "int"}, {"Rows", "rows", "int"}, {"N", "n", "int"},
		{"Pos", "pos", "[]uint64"}, {"Neg", "neg", "[]uint64"}, {"Words", "words", "int"},
		{"Scale", "scale", "[]float64"}, {"Slope", "slope", "[]float64"}, {"Params", "p", "[]BCEParams[T]"}, {"NegWeight", "negWeight", "[]T"}, {"PosWeight", "posWeight", "[]T"},
		{"Soft", "t", "[]T"}, {"SoftStride", "tStride", "int"}, {"Terms", "terms", "[]T"},
		{"Kind", "kind", "int"}, {"X16", "x16", "[]uint16"}, {"Dst16", "dst16", "[]uint16"},
	},
	"Rows16": {{"Kind", "kind", "int"}, {"X", "x16", "[]uint16"}},
	"FocalArgs": {
		{"Kept", "kept", "[]T"},
		{"Sum", "sum", "[]float64"}, {"Terms", "terms", "[]T"}, {"Dst", "dst", "[]T"}, {"DstStride", "dstStride", "int"},
		{"X", "x", "[]T"}, {"Stride", "stride", "int"}, {"Rows", "rows", "int"}, {"N", "n", "int"},
		{"Pos", "pos", "[]uint64"}, {"Neg", "neg", "[]uint64"}, {"Words", "words", "int"},
		{"Params", "p", "[]BCEParams[T]"}, {"Exponent", "exponent", "[1]T"}, {"Steps", "steps", "int"}, {"Root", "root", "int"}, {"Powers", "powers", "[]T"},
		{"NegWeight", "negWeight", "[]T"}, {"PosWeight", "posWeight", "[]T"},
	},
}

// A field is a field of a struct, and its name as an argument.
type field struct{ name, arg, typ string }

// pendingCopy is the type of a copy that is made meanwhile.
const pendingCopy = "*Copy[T]"

// A param is a parameter or a result.
type param struct{ name, typ string }

// An argument is an argument of the assembly: its type, in which T stands for
// the element type, and the Go expression of its value.
type argument struct{ name, typ, value string }

// goParams returns the parameters of the Go function.
func (k *kernel) goParams() []param { return parseParams(k.params) }

// asmResults returns the results of the assembly.
func (k *kernel) asmResults() []param {
	results := parseParams(k.results)
	for i, r := range results {
		if r.typ == "bool" {
			results[i] = param{"bad", "uint64"}
		}
	}
	return results
}

// parseParams reads a list of parameters.
func parseParams(list string) (params []param) {
	text := "func(" + list + ")"
	e, err := parser.ParseExpr(text)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", list, err))
	}
	for _, f := range e.(*ast.FuncType).Params.List {
		typ := text[f.Type.Pos()-1 : f.Type.End()-1]
		for _, name := range f.Names {
			params = append(params, param{name.Name, typ})
		}
	}
	return params
}

// copyOf returns the Go expression of the kernel's pending copy, if it takes one.
func (k *kernel) copyOf() (value string) {
	for _, a := range k.flat() {
		if a.typ == pendingCopy && (k.args == "" || slices.Contains(strings.Split(k.args, ", "), a.name)) {
			return a.value
		}
	}
	return ""
}

// flat returns the parameters, the fields of structs among them.
func (k *kernel) flat() (all []argument) {
	for _, p := range k.goParams() {
		fields, ok := structs[named(strings.TrimPrefix(p.typ, "*"))]
		if !ok {
			all = append(all, argument{p.name, p.typ, p.name})
		}
		for _, f := range fields {
			all = append(all, argument{f.arg, f.typ, p.name + "." + f.name})
		}
	}
	return all
}

// named returns the name of a type, without package and type argument.
func named(typ string) string {
	typ, _, _ = strings.Cut(typ, "[T]")
	return typ[strings.LastIndexByte(typ, '.')+1:]
}

// arguments returns the arguments of the assembly; copying is whether that makes
// the pending copy.
func (k *kernel) arguments(copying bool) (all []argument) {
	if k.args == "" {
		for _, a := range k.flat() {
			all = append(all, k.passed(a, copying)...)
		}
		return all
	}
	params := map[string]argument{}
	for _, a := range k.flat() {
		params[a.name] = a
	}
	for entry := range strings.SplitSeq(k.args, ", ") {
		name, value, ok := strings.Cut(entry, "=")
		if ok {
			all = append(all, argument{name, "int", value})
		} else if a, ok := params[name]; ok {
			all = append(all, k.passed(a, copying)...)
		} else {
			panic(k.name + ": no parameter " + name)
		}
	}
	return all
}

// passed returns how a parameter is passed.
func (k *kernel) passed(a argument, copying bool) []argument {
	slice, isSlice := strings.CutPrefix(a.typ, "[]")
	pointer, isPointer := strings.CutPrefix(a.typ, "*")
	switch {
	case a.typ == "bool":
		return nil
	case a.typ == pendingCopy:
		if !copying {
			return nil
		}
		return []argument{
			{"to", "*T", "unsafe.SliceData(" + a.value + ".to)"},
			{"from", "*T", "unsafe.SliceData(" + a.value + ".from)"},
			{"blocks", "int", a.value + ".blocks()"},
		}
	case isSlice:
		value := "&" + a.value + "[0]"
		if k.isOptional(a.name) {
			value = "unsafe.SliceData(" + a.value + ")"
		}
		return []argument{seen(a.name, slice, value)}
	case isPointer:
		return []argument{seen(a.name, pointer, a.value)}
	case strings.HasPrefix(a.typ, "["):
		return []argument{{a.name, "*" + a.typ, "&" + a.value}}
	}
	return []argument{a}
}

// seen returns a pointer to a type as the assembly sees it.
func seen(name, typ, value string) argument {
	layout, ok := layouts[named(typ)]
	if !ok {
		return argument{name, "*" + typ, value}
	}
	return argument{name, "*" + layout, "(*" + layout + ")(unsafe.Pointer(" + value + "))"}
}

func (k *kernel) isOptional(name string) bool {
	for n := range strings.SplitSeq(k.optional, ", ") {
		if n == name {
			return true
		}
	}
	return false
}

// symbol returns the name of the assembly of a form.
func (k *kernel) symbol(f form, e elem, tier string) string {
	return lower(k.name) + f.name + k.bits(e) + tier
}

// bits returns the part of the names that tells element types apart.
func (k *kernel) bits(e elem) string {
	if len(k.types) > 1 {
		return e.bits
	}
	return ""
}

// twin returns the name of the specification.
func (k *kernel) twin(e elem) string {
	if k.oneTwin {
		return lower(k.name) + "Generic"
	}
	return lower(k.name) + k.bits(e) + "Generic"
}

// lower makes the first word of a name lower case: SumExp and BCE become sumExp
// and bce.
func lower(name string) string {
	n := strings.IndexFunc(name, unicode.IsLower)
	switch {
	case n < 0:
		n = len(name)
	case n > 1:
		n--
	}
	return strings.ToLower(name[:n]) + name[n:]
}

var typeT = regexp.MustCompile(`\bT\b`)

// of puts the element type in place of T.
func (e elem) of(text string) string { return typeT.ReplaceAllString(text, e.goType) }

// signature returns the Go text of parameters and results of a form's assembly.
func (k *kernel) signature(f form, e elem, tier string) string {
	var args, results []string
	for _, a := range k.arguments(f.copies && tier != neonTier) {
		args = append(args, a.name+" "+e.of(a.typ))
	}
	for _, r := range k.asmResults() {
		results = append(results, r.name+" "+e.of(r.typ))
	}
	text := "(" + strings.Join(args, ", ") + ")"
	if len(results) > 0 {
		text += " (" + strings.Join(results, ", ") + ")"
	}
	return text
}
