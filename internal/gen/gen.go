// Package gen generates the assembly kernels and the Go declarations of them.
//
// A kernel is written once, against the vector type of x86.go, and emitted for
// every element type and instruction set.
package gen

import (
	"fmt"
	"path"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// Files returns the generated files by their path in the repository.
func Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, f := range []struct {
		asm, stubs string
		kernels    func(*file)
	}{
		{"logsumexp_amd64.s", "logsumexp_stubs_amd64.go", coreKernels},
		{"internal/kernel/log_amd64.s", "internal/kernel/log_stubs_amd64.go", logKernels},
		{"internal/kernel/select_amd64.s", "internal/kernel/select_stubs_amd64.go", lossKernels},
		{"internal/kernel/bce_amd64.s", "internal/kernel/bce_stubs_amd64.go", bceKernels},
		{"internal/kernel/side_amd64.s", "internal/kernel/side_stubs_amd64.go", sideKernels},
		{"internal/kernel/subset_amd64.s", "internal/kernel/subset_stubs_amd64.go", subsetKernels},
		{"internal/kernel/above_amd64.s", "internal/kernel/above_stubs_amd64.go", metricsKernels},
		{"internal/ceiling/ceiling_amd64.s", "internal/ceiling/ceiling_stubs_amd64.go", ceilingKernels},
	} {
		if err := generate(files, f.asm, f.stubs, f.kernels); err != nil {
			return nil, fmt.Errorf("%s: %w", f.asm, err)
		}
	}
	for _, f := range []struct {
		asm, stubs string
		kernels    func(*neonFile)
	}{
		{"logsumexp_arm64.s", "logsumexp_stubs_arm64.go", neonCoreKernels},
		{"internal/kernel/log_arm64.s", "internal/kernel/log_stubs_arm64.go", neonLogKernels},
		{"internal/kernel/select_arm64.s", "internal/kernel/select_stubs_arm64.go", neonLossKernels},
		{"internal/kernel/bce_arm64.s", "internal/kernel/bce_stubs_arm64.go", neonBCEKernels},
		{"internal/kernel/side_arm64.s", "internal/kernel/side_stubs_arm64.go", neonSideKernels},
		{"internal/kernel/subset_arm64.s", "internal/kernel/subset_stubs_arm64.go", neonSubsetKernels},
		{"internal/kernel/above_arm64.s", "internal/kernel/above_stubs_arm64.go", neonMetricsKernels},
	} {
		neon := &neonFile{pkg: packageOf(f.asm)}
		f.kernels(neon)
		var err error
		if files[f.asm], files[f.stubs], err = neon.files(); err != nil {
			return nil, fmt.Errorf("%s: %w", f.asm, err)
		}
	}
	return files, nil
}

// neonCoreKernels emits the arm64 form of coreKernels.
func neonCoreKernels(f *neonFile) {
	for _, e := range elems {
		v := newNeonVec(f, e)
		neonSumExp(v)
		neonScaleExp(v)
		neonMaximum(v)
		neonOffset(v)
	}
}

// neonLogKernels emits the arm64 form of logKernels.
func neonLogKernels(f *neonFile) {
	v := newNeonVec(f, float64s)
	neonLogarithm(v, false)
	neonLogarithm(v, true)
}

// coreKernels emits the kernels of log-sum-exp and softmax.
func coreKernels(f *file) {
	for _, e := range elems {
		for _, t := range tiers {
			v := &vec{f, t, e}
			sumExp(v)
			scaleExp(v, false)
			scaleExp(v, true)
			maximum(v)
			offset(v)
		}
	}
}

// logKernels emits the kernels of logarithms.
func logKernels(f *file) {
	for _, t := range tiers {
		v := &vec{f, t, float64s}
		logarithm(v, false)
		logarithm(v, true)
	}
}

// generate adds an amd64 assembly file and its declarations to files.
func generate(files map[string][]byte, asm, stubs string, kernels func(*file)) error {
	f := &file{Context: build.NewContext(), constants: map[string]operand.Mem{}}
	f.ConstraintExpr("!purego")
	kernels(f)
	result, err := f.Result()
	if err != nil {
		return err
	}
	if err := broadcastConstants(result.Functions()); err != nil {
		return err
	}
	if err := pass.Compile.Execute(result); err != nil {
		return err
	}
	config := printer.Config{Name: "internal/gen", Pkg: packageOf(asm)}
	if files[asm], err = printer.NewGoAsm(config).Print(result); err != nil {
		return err
	}
	files[stubs], err = printer.NewStubs(config).Print(result)
	return err
}

// packageOf returns the name of the package of a file.
func packageOf(file string) string {
	if dir := path.Dir(file); dir != "." {
		return path.Base(dir)
	}
	return "zlpr"
}

// A file is an assembly file in the making.
type file struct {
	*build.Context
	constants map[string]operand.Mem
	labels    int
}

// kernel begins the function name+bits+tier, for example sumExp32AVX512.
func (v *vec) kernel(name, signature string, doc ...string) {
	name += v.bits + v.tier.name
	v.Function(name)
	v.Attributes(attr.NOSPLIT)
	v.Pragma("noescape")
	v.SignatureExpr("func(" + signature + ")")
	doc[0] = name + " " + doc[0]
	v.Doc(doc...)
}

// data returns the place of the file's constant of that name; fill appends
// its contents when it is new.
func (f *file) data(name string, fill func()) operand.Mem {
	if m, ok := f.constants[name]; ok {
		return m
	}
	m := f.StaticGlobal(name)
	f.DataAttributes(attr.RODATA | attr.NOPTR)
	fill()
	f.constants[name] = m
	return m
}

// newLabel returns a label that is unique in the file.
func (f *file) newLabel(name string) string {
	f.labels++
	return fmt.Sprintf("%s%d", name, f.labels)
}

// param loads an argument into a new general register.
func (f *file) param(name string) gpreg {
	r := f.GP64()
	f.Load(f.Param(name), r)
	return r
}

// argument returns the place of an argument.
func (f *file) argument(name string) operand.Mem {
	b, err := f.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}
