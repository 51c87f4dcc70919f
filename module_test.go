package zlpr

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// goTool runs the go command in this directory and returns what it prints.
func goTool(t *testing.T, env []string, args ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: runs the go command")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("SKIPPED: is the same on every architecture, and slow under emulation")
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
	return string(out)
}

var listing = flag.Bool("listing", false, "compile for arm64 and look for fused arithmetic")

const modulePath = "github.com/zlpr/zlpr"

// floors are the packages of this module: the library and what stands on it.
// An import points to a lower floor. A path that ends in "/..." stands for all
// packages below it.
var floors = [...][]string{
	8: {"/cmd/...", "/examples/..."},
	7: {"/metrics", "/report", "/internal/named", "/internal/lengths"},
	6: {""},
	5: {"/internal/sides", "/internal/bce", "/internal/subset", "/internal/divergence"},
	4: {"/internal/chunk"},
	3: {"/internal/kernel", "/internal/power"},
	2: {"/internal/scalar"},
	1: {"/internal/partial", "/internal/coef", "/internal/exact", "/internal/crew", "/internal/array", "/internal/atomicfile", "/internal/sparse", "/internal/source"},
}

// neighbours are the imports within a floor.
var neighbours = map[string][]string{
	"/report":          {"/metrics"},
	"/internal/array":  {"/internal/atomicfile"},
	"/internal/exact":  {"/internal/partial"},
	"/internal/sparse": {"/internal/array"},
	"/internal/source": {"/internal/array", "/internal/sparse"},
}

// aside are the packages that no floor may import, with those that they may:
// the generator of the assembly, and what only tests and benchmarks use.
var aside = map[string][]string{
	"/asm":                        {"/internal/gen"},
	"/internal/gen":               {"/internal/coef"},
	"/internal/ceiling":           {"/internal/kernel"},
	"/internal/ref":               nil,
	"/internal/kernel/kerneltest": {"/internal/kernel"},
	"/zlprtest":                   {"/internal/ref"},
	"/internal/climb":             {"", "/metrics", "/internal/ref"},
	"/internal/speedtable":        nil,
}

// foreign are the packages of other modules that a package below floor 8, or
// aside, may import.
var foreign = map[string][]string{
	"/internal/kernel":            {"golang.org/x/sys/cpu"},
	"/internal/array":             {"golang.org/x/sys/unix", "github.com/klauspost/compress/zstd"},
	"/internal/gen":               {"github.com/mmcloughlin/avo/..."},
	"/internal/kernel/kerneltest": {"github.com/stretchr/testify/require"},
}

// matches reports whether pkg is one of the paths, or below one in "/...".
func matches(pkg string, paths []string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		prefix, all := strings.CutSuffix(path, "...")
		return pkg == path || all && strings.HasPrefix(pkg, prefix)
	})
}

// floorOf returns the floor of a package, 0 if it is on none.
func floorOf(pkg string) int {
	return max(0, slices.IndexFunc(floors[:], func(f []string) bool { return matches(pkg, f) }))
}

// wrongImport says what is wrong with an import, "" if nothing is. The paths of
// own packages begin with modulePath.
func wrongImport(from, path string) string {
	pkg, own := strings.CutPrefix(path, modulePath)
	if !own {
		standard := !strings.Contains(strings.SplitN(path, "/", 2)[0], ".")
		if standard || floorOf(from) == 8 || matches(path, foreign[from]) {
			return ""
		}
		return "a package of another module"
	}
	if allowed, ok := aside[from]; ok {
		if matches(pkg, allowed) {
			return ""
		}
		return "not one that this package may import"
	}
	_, off := aside[pkg]
	switch up, down := floorOf(from), floorOf(pkg); {
	case off:
		return "a package of tests or of the generator"
	case down == 0:
		return "on no floor"
	case down < up, matches(pkg, neighbours[from]):
		return ""
	case strings.HasPrefix(from, "/cmd/zlpr") && strings.HasPrefix(pkg, "/cmd/zlpr/internal/"):
		return "" // the compiler sees to it that there are no circles
	default:
		return fmt.Sprintf("on floor %d, not below floor %d", down, up)
	}
}

func TestWrongImports(t *testing.T) {
	for _, c := range []struct {
		from, path string
		ok         bool
	}{
		{"/metrics", modulePath, true},
		{"", modulePath + "/metrics", false},
		{"/internal/bce", modulePath + "/internal/sides", false},
		{"/internal/kernel", modulePath + "/internal/ref", false},
		{"/internal/scalar", modulePath + "/internal/new", false},
		{"/cmd/zlpr", modulePath + "/cmd/zlpr/internal/linear", true},
		{"/cmd/zlpr", modulePath + "/examples/training", false},
		{"/cmd/zlpr/internal/linear", modulePath + "/cmd/zlpr", false},
		{"/internal/sparse", modulePath + "/internal/array", true},
		{"/internal/array", modulePath + "/internal/sparse", false},
		{"/zlprtest", modulePath, false},
		{"", "fmt", true},
		{"/internal/kernel", "golang.org/x/sys/unix", false},
		{"/cmd/zlpr", "golang.org/x/term", true},
	} {
		if wrong := wrongImport(c.from, c.path); (wrong == "") != c.ok {
			t.Errorf("%s imports %s: %q", c.from, c.path, wrong)
		}
	}
}

// TestDependencies: every package is on a floor or aside, imports point
// downwards, on every system, and users of the library get no module but
// golang.org/x/sys with it.
func TestDependencies(t *testing.T) {
	for _, env := range [][]string{
		{"GOARCH=amd64"}, {"GOARCH=arm64"}, {"GOARCH=386"}, {"GOFLAGS=-tags=purego"}, {"GOOS=darwin"},
	} {
		lines := goTool(t, env, "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
		for line := range strings.Lines(lines) {
			if !strings.HasPrefix(line, modulePath) {
				continue // "go: downloading"
			}
			paths := strings.Fields(line)
			pkg := strings.TrimPrefix(paths[0], modulePath)
			if _, off := aside[pkg]; !off && floorOf(pkg) == 0 {
				t.Errorf("%s is on no floor", paths[0])
			}
			for _, path := range paths[1:] {
				if wrong := wrongImport(pkg, path); wrong != "" {
					t.Errorf("%v: %s imports %s, %s", env, paths[0], path, wrong)
				}
			}
		}
	}
}

// library returns the packages below the command: those whose results are the
// same on every architecture.
func library(t *testing.T) (paths []string) {
	for _, path := range strings.Fields(goTool(t, nil, "list", "./...")) {
		if f := floorOf(strings.TrimPrefix(path, modulePath)); 0 < f && f < 8 && strings.HasPrefix(path, modulePath) {
			paths = append(paths, path)
		}
	}
	return paths
}

// TestNotFused compiles for arm64, where Go fuses x*y + z unless x*y is
// converted, and looks for fused instructions that math.FMA did not ask for:
// such an expression gives other bits there than on amd64. Fusing is harmless
// where the product is exact; then the line has a comment that says "exact", or
// the comment of its function says "products are exact".
func TestNotFused(t *testing.T) {
	if !*listing {
		t.Skip("SKIPPED: compiles the library for arm64; -listing")
	}
	listing := goTool(t, []string{"GOARCH=arm64", "GOFLAGS="}, append([]string{"build", "-gcflags=-S"}, library(t)...)...)
	fused := regexp.MustCompile(`\(([^()]*\.go):(\d+)\)\tF(?:N?MADD|N?MSUB)[SD]\t`)
	files := map[string]*source{}
	for _, m := range fused.FindAllStringSubmatch(listing, -1) {
		name := m[1]
		if files[name] == nil {
			files[name] = readSource(t, name)
		}
		line, _ := strconv.Atoi(m[2])
		if f := files[name]; !f.mayFuse(line) && !f.reported[line] {
			f.reported[line] = true
			t.Errorf("%s:%d: fused on arm64: %s", name, line, strings.TrimSpace(f.lines[line-1]))
		}
	}
	if len(files) == 0 {
		t.Error("no fused instruction at all: the pattern is out of date")
	}
}

// source is a Go file.
type source struct {
	lines    []string
	exact    []bool // of the line: in a function whose products are exact
	reported map[int]bool
}

func readSource(t *testing.T, name string) *source {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := &source{lines: strings.Split(string(text), "\n"), reported: map[int]bool{}}
	s.exact = make([]bool, len(s.lines)+1)
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !strings.Contains(strings.Join(strings.Fields(f.Doc.Text()), " "), "products are exact") {
			continue
		}
		for i := set.Position(f.Pos()).Line; i <= set.Position(f.End()).Line; i++ {
			s.exact[i] = true
		}
	}
	return s
}

func (s *source) mayFuse(line int) bool {
	code, comment, _ := strings.Cut(s.lines[line-1], "//")
	return strings.Contains(code, "FMA(") || strings.Contains(comment, "exact") || s.exact[line]
}

// TestNoMathElementary: results of the elementary functions of package math
// differ between architectures; internal/scalar is there instead.
func TestNoMathElementary(t *testing.T) {
	dirs := goTool(t, nil, append([]string{"list", "-f", "{{range .GoFiles}}{{$.Dir}}/{{.}}\n{{end}}"}, library(t)...)...)
	call := regexp.MustCompile(`\bmath\.(Exp|Exp2|Expm1|Log|Log10|Log1p|Log2|Pow|Pow10|Cbrt|Sin|Cos|Tan|A?sinh|A?cosh|A?tanh|Asin|Acos|Atan2?|Erf|Erfc|Gamma|Lgamma|Hypot)\(`)
	for _, name := range strings.Fields(dirs) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			code, comment, _ := strings.Cut(line, "//")
			if f := call.FindString(code); f != "" && !strings.Contains(comment, "exact") {
				t.Errorf("%s:%d: %s)", name, i+1, f)
			}
		}
	}
}

// TestExamples: every exported function and type of the packages for users has
// an example, its own or that of a method, and every exported method but those
// of an interface is called in one.
func TestExamples(t *testing.T) {
	for _, dir := range []string{".", "metrics", "report", "zlprtest"} {
		wanted, there := exports(t, dir), examples(t, dir)
		if len(wanted) == 0 {
			t.Errorf("%s exports nothing", dir)
		}
		for _, name := range wanted {
			if !there[name] {
				t.Errorf("%s: no example of %s", dir, name)
			}
		}
	}
}

// parseDir parses the Go files of a directory that are tests, or are not.
func parseDir(t *testing.T, dir string, tests bool) (files []*ast.File) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") != tests {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), dir+"/"+name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// exports returns the names of the exported functions, structs and methods of a
// package, but for the methods of interfaces and for what others return.
func exports(t *testing.T, dir string) (names []string) {
	ofInterface := []string{"Name", "Dims", "ReadRows", "Error", "String"}
	returned := []string{"Result", "Point"}
	for _, f := range parseDir(t, dir, false) {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && (d.Recv == nil || exportedReceiver(d) && !slices.Contains(ofInterface, d.Name.Name)) {
					names = append(names, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if s, ok := s.(*ast.TypeSpec); ok && s.Name.IsExported() {
						if _, ok := s.Type.(*ast.StructType); ok && !slices.Contains(returned, s.Name.Name) {
							names = append(names, s.Name.Name)
						}
					}
				}
			}
		}
	}
	return names
}

// exportedReceiver reports whether a method is one of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	exported := false
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			exported = exported || id.IsExported() && len(id.Name) > 1
		}
		return true
	})
	return exported
}

// examples returns the names that the examples of a package select, and those
// that they are of.
func examples(t *testing.T, dir string) map[string]bool {
	names := map[string]bool{}
	for _, f := range parseDir(t, dir, true) {
		if !strings.HasSuffix(f.Name.Name, "_test") {
			continue
		}
		example := false
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Example") {
				example = true
				for name := range strings.SplitSeq(strings.TrimPrefix(f.Name.Name, "Example"), "_") {
					names[name] = true
				}
			}
		}
		if example {
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					names[s.Sel.Name] = true
				}
				return true
			})
		}
	}
	return names
}
