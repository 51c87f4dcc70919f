package zlpr

import (
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

const modulePath = "github.com/zlpr/zlpr"

// layers are the packages that a package of this module may import, besides
// the standard library; those below its own directory it may import too.
var layers = []struct {
	pkg     string // "/…" means all below
	allowed []string
}{
	{"", []string{"/internal/coef", "/internal/crew", "/internal/scalar", "/internal/exact", "/internal/kernel", "/internal/power"}},
	{"/internal/coef", nil},
	{"/internal/ceiling", []string{"/internal/kernel"}},
	{"/internal/crew", nil},
	{"/internal/exact", nil},
	{"/internal/kernel", []string{"/internal/coef", "/internal/scalar", "golang.org/x/sys/cpu"}},
	{"/internal/power", []string{"/internal/scalar"}},
	{"/internal/ref", nil},
	{"/internal/scalar", []string{"/internal/coef"}},
	{"/zlprtest", []string{"/internal/ref"}},
	{"/metrics", []string{"", "/internal/coef", "/internal/scalar", "/internal/exact", "/internal/kernel"}},
}

// TestDependencies: imports point downwards, and users of the library get no
// module but golang.org/x/sys with it.
func TestDependencies(t *testing.T) {
	lines := goTool(t, nil, "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	imports := map[string][]string{}
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		imports[fields[0]] = fields[1:]
	}
	for _, layer := range layers {
		pkg := modulePath + layer.pkg
		got, ok := imports[pkg]
		if !ok {
			t.Errorf("no package %s", pkg)
		}
		for _, path := range got {
			standard := !strings.Contains(strings.SplitN(path, "/", 2)[0], ".")
			short, own := strings.CutPrefix(path, modulePath)
			if !own {
				short = path
			}
			below := own && layer.pkg != "" && strings.HasPrefix(path, pkg+"/")
			if !standard && !below && !slices.Contains(layer.allowed, short) {
				t.Errorf("%s imports %s", pkg, path)
			}
		}
	}

	for _, path := range strings.Fields(goTool(t, nil, "list", "-deps", ".", "./metrics")) {
		for _, forbidden := range []string{"mmcloughlin/avo", "stretchr/testify", modulePath + "/internal/ref", modulePath + "/internal/gen"} {
			if strings.Contains(path, forbidden) {
				t.Errorf("the library depends on %s", path)
			}
		}
	}
}

// numeric are the packages whose results are the same on every architecture.
var numeric = []string{".", "./internal/kernel", "./internal/power", "./internal/scalar", "./internal/exact", "./metrics"}

// TestNotFused compiles for arm64, where Go fuses x*y + z unless x*y is
// converted, and looks for fused instructions that math.FMA did not ask for:
// such an expression gives other bits there than on amd64. Fusing is harmless
// where the product is exact; then the line has a comment that says "exact", or
// the comment of its function says "products are exact".
func TestNotFused(t *testing.T) {
	listing := goTool(t, []string{"GOARCH=arm64", "GOFLAGS="}, append([]string{"build", "-gcflags=-S"}, numeric...)...)
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
	dirs := goTool(t, nil, append([]string{"list", "-f", "{{range .GoFiles}}{{$.Dir}}/{{.}}\n{{end}}"}, numeric...)...)
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
