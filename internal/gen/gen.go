package gen

import (
	"fmt"
	"maps"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// Files returns the generated files by their path in the repository.
func Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, p := range packages {
		goFiles, err := p.goFiles()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.path(p.stem), err)
		}
		maps.Copy(files, goFiles)
		for _, f := range p.files {
			if err := f.amd64(files, p.path(f.stem+"_amd64.s")); err != nil {
				return nil, fmt.Errorf("%s_amd64.s: %w", p.path(f.stem), err)
			}
			if err := f.arm64(files, p.path(f.stem+"_arm64.s")); err != nil {
				return nil, fmt.Errorf("%s_arm64.s: %w", p.path(f.stem), err)
			}
		}
	}
	return files, nil
}

// amd64 adds the assembly of the kernels for amd64 to files.
func (a *asmFile) amd64(files map[string][]byte, name string) error {
	f := &file{context: build.NewContext(), constants: map[string]operand.Mem{}}
	f.ConstraintExpr("!purego")
	a.each(tiers, func(k *kernel, form form, e elem, t tier) {
		if form.x86 != nil {
			f.function(k.symbol(form, e, t.name), k.signature(form, e, t.name))
			form.x86(&vec{f, t, e})
		}
	})
	result, err := f.Result()
	if err != nil {
		return err
	}
	if err := broadcastConstants(result.Functions()); err != nil {
		return err
	}
	alignLocals(result.Functions())
	if err := pass.Compile.Execute(result); err != nil {
		return err
	}
	files[name], err = printer.NewGoAsm(printer.Config{Name: "internal/gen"}).Print(result)
	return err
}

// arm64 adds the assembly of the kernels for arm64, if there is any, to files.
func (a *asmFile) arm64(files map[string][]byte, name string) error {
	f := &neonFile{}
	a.each([]tier{{name: neonTier}}, func(k *kernel, form form, e elem, t tier) {
		if form.neon != nil {
			f.function(k.symbol(form, e, neonTier), k.signature(form, e, neonTier))
			form.neon(newNeonVec(f, e))
			f.end()
		}
	})
	if f.text.Len() > 0 {
		files[name] = f.file()
	}
	return f.err
}

// A file is an assembly file in the making.
type file struct {
	context
	constants map[string]operand.Mem
	labels    int
	locals    int // bytes of the function's places on the stack
}

// function begins the function of that name.
func (f *file) function(name, signature string) {
	f.Function(name)
	f.locals = 0
	f.Attributes(attr.NOSPLIT)
	f.SignatureExpr("func" + signature)
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
	return resolved(f.Param(name))
}

// result returns the place of a result.
func (f *file) result(i int) operand.Mem { return resolved(f.ReturnIndex(i)) }

func resolved(c gotypes.Component) operand.Mem {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}
