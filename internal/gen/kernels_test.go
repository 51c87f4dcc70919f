package gen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A surrounding is what a package has around its kernels.
type surrounding struct {
	functions map[string]string // the files of the functions by name
	hashes    []string          // the rows of TestHashes
	asm       string            // all assembly
}

// TestComplete fails where a kernel lacks a tier, a specification or a recorded
// hash.
func TestComplete(t *testing.T) {
	for _, p := range packages {
		s := around(t, p)
		if len(s.functions) == 0 || len(s.asm) == 0 {
			t.Errorf("%s: nothing found", p.name())
		}
		for _, f := range p.files {
			for _, k := range f.kernels {
				for _, problem := range k.lacks(s, p.twins(f)) {
					t.Errorf("%s: %s", k.name, problem)
				}
			}
		}
	}
}

// twins returns the name of the file of an assembly file's specifications.
func (p *pkg) twins(f asmFile) string {
	if p.name() == "zlpr" {
		return f.stem + "_generic.go"
	}
	return f.stem + ".go"
}

// around reads the package's files.
func around(t *testing.T, p *pkg) *surrounding {
	s := &surrounding{functions: map[string]string{}}
	dir := filepath.Join("..", "..", p.dir)
	row := regexp.MustCompile(`kerneltest\.Case\("([^"]+)"`)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if ext := filepath.Ext(name); ext != ".go" && ext != ".s" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasSuffix(name, ".s"):
			s.asm += string(text)
		case strings.HasSuffix(name, "_test.go"):
			for _, m := range row.FindAllStringSubmatch(string(text), -1) {
				s.hashes = append(s.hashes, m[1])
			}
		default:
			file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil && f.Recv == nil {
					s.functions[f.Name.Name] = name
				}
			}
		}
	}
	return s
}

// lacks returns what the kernel lacks.
func (k *kernel) lacks(s *surrounding, twins string) (problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if !strings.HasSuffix(strings.TrimSpace(k.doc), ".") {
		problem("no documentation")
	}
	if len(k.forms) == 0 || k.forms[len(k.forms)-1].when != "" {
		problem("no form for all arguments")
	}
	for _, f := range k.forms {
		if f.x86 == nil {
			problem("form %q: no x86 body", f.name)
		}
		if (f.neon == nil) == (f.noNEON == "") {
			problem("form %q: a NEON body or the reason why there is none", f.name)
		}
		for _, e := range k.types {
			for _, tier := range []string{avx2.name, avx512.name, neonTier} {
				symbol := k.symbol(f, e, tier)
				if (tier != neonTier || f.neon != nil) && !strings.Contains(s.asm, "TEXT ·"+symbol+"(SB)") {
					problem("no assembly %s", symbol)
				}
			}
		}
	}
	for _, e := range k.types {
		row := lower(k.name)
		if len(k.types) > 1 {
			row += "/" + e.goType
		}
		if slices.Contains(s.hashes, row) == (k.noHash != "") {
			problem("a row %s of TestHashes or the reason why there is none", row)
		}
		if file, ok := s.functions[k.twin(e)]; !ok {
			problem("no specification %s", k.twin(e))
		} else if file != twins {
			problem("specification %s in %s, not %s", k.twin(e), file, twins)
		}
	}
	return problems
}

// TestCompleteFinds proves that TestComplete can fail: of a complete kernel one
// thing after the other is left out.
func TestCompleteFinds(t *testing.T) {
	whole := surrounding{
		functions: map[string]string{"sum32Generic": "sum.go", "sum64Generic": "sum.go"},
		hashes:    []string{"sum/float32", "sum/float64"},
	}
	for _, symbol := range []string{"sum32AVX2", "sum32AVX512", "sum32NEON", "sum64AVX2", "sum64AVX512", "sum64NEON"} {
		whole.asm += "\nTEXT ·" + symbol + "(SB), NOSPLIT"
	}
	for _, c := range []struct {
		want   string
		remove func(k *kernel, s *surrounding)
	}{
		{"", func(k *kernel, s *surrounding) {}},
		{"no documentation", func(k *kernel, s *surrounding) { k.doc = "" }},
		{"no form for all arguments", func(k *kernel, s *surrounding) { k.forms[0].when = "stream" }},
		{"no x86 body", func(k *kernel, s *surrounding) { k.forms[0].x86 = nil }},
		{"a NEON body or the reason", func(k *kernel, s *surrounding) { k.forms[0].neon = nil }},
		{"a NEON body or the reason", func(k *kernel, s *surrounding) { k.forms[0].noNEON = noStream }},
		{"no assembly sum64AVX512", func(k *kernel, s *surrounding) { s.asm = strings.Replace(s.asm, "sum64AVX512", "sum64AVX511", 1) }},
		{"no assembly sum32NEON", func(k *kernel, s *surrounding) { s.asm = strings.Replace(s.asm, "sum32NEON", "sum32Neon", 1) }},
		{"a row sum/float64 of TestHashes", func(k *kernel, s *surrounding) { s.hashes = []string{"sum/float32"} }},
		{"a row sum/float32 of TestHashes", func(k *kernel, s *surrounding) { k.noHash = "it is slow" }},
		{"no specification sum64Generic", func(k *kernel, s *surrounding) { delete(s.functions, "sum64Generic") }},
		{"specification sum32Generic in other.go", func(k *kernel, s *surrounding) { s.functions["sum32Generic"] = "other.go" }},
	} {
		s := whole
		s.functions = map[string]string{}
		for name, file := range whole.functions {
			s.functions[name] = file
		}
		k := &kernel{name: "Sum", doc: "adds x.", types: elems, params: "x []T", forms: both(func(*vec) {}, func(*neonVec) {})}
		c.remove(k, &s)
		got := strings.Join(k.lacks(&s, "sum.go"), "; ")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("found %q, want %q", got, c.want)
		}
	}
}

// TestNEONExceptions lists what NEON does not have.
func TestNEONExceptions(t *testing.T) {
	want := []string{
		"kernel.copyStream: " + noStream,
		"kernel.selectExp makes no copy: " + noStream,
		"kernel.targetExp makes no copy: " + noStream,
		"kernel.shortTwoSums: " + noEights,
		"kernel.packEights: " + noEights,
		"kernel.packTargets: " + noTargets,
		"kernel.bceGradShifted makes no copy: " + noStream,
		"kernel.bceGrad makes no copy: " + noStream,
		"kernel.knowPeaks: " + noKnowPeaks,
		"kernel.toColumns: " + noColumns,
		"kernel.toRows: " + noColumns,
		"kernel.softColumnFinish: " + noColumnFinish,
		"kernel.keyColumns: " + noKeys,
		"kernel.countKeys: " + noCounts,
		"kernel.precisions: " + noPrecisions,
		"kernel.placeSteps: " + noPrecisions,
		"ceiling.read: " + noCeiling,
		"ceiling.copyStream: " + noCeiling,
		"ceiling.copy: " + noCeiling,
	}
	var got []string
	for _, p := range packages {
		for _, k := range p.kernels() {
			for _, f := range k.forms {
				name := p.name() + "." + lower(k.name) + f.name
				if f.noNEON != "" {
					got = append(got, name+": "+f.noNEON)
				} else if f.copies {
					got = append(got, name+" makes no copy: "+noStream)
				}
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s", strings.Join(got, "\n"))
	}
}

// TestNoStale finds generated files that are generated no more.
func TestNoStale(t *testing.T) {
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	root, found := os.DirFS(filepath.Join("..", "..")), 0
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(name); err != nil || d.IsDir() || ext != ".go" && ext != ".s" {
			return err
		}
		text, err := fs.ReadFile(root, name)
		if strings.HasPrefix(string(text), "// Code generated by internal/gen.") {
			found++
			if files[name] == nil {
				t.Errorf("%s is not generated any more", name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < len(files) {
		t.Errorf("%d generated files found, not %d", found, len(files))
	}
}
