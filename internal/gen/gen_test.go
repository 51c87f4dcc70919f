package gen

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// generated is Files, once.
var generated = sync.OnceValues(Files)

// TestFresh compares the generated files with those in the repository. To
// write them: go generate in the root.
func TestFresh(t *testing.T) {
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what internal/gen generates; run go generate\n%s", name, diff(string(got), string(want)))
		}
	}
}

// diff shows the first lines in which two texts differ.
func diff(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	i := 0
	for i < len(g) && i < len(w) && g[i] == w[i] {
		i++
	}
	var b strings.Builder
	for _, side := range []struct {
		sign  string
		lines []string
	}{{"-", g}, {"+", w}} {
		for _, line := range side.lines[min(i, len(side.lines)):min(i+8, len(side.lines))] {
			b.WriteString(side.sign + line + "\n")
		}
	}
	return b.String()
}

// functions returns the text of the amd64 functions by name.
func functions(t *testing.T) map[string]string {
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]string{}
	for name, text := range files {
		if !strings.HasSuffix(name, "_amd64.s") {
			continue
		}
		for _, part := range strings.Split(string(text), "\nTEXT ·")[1:] {
			name, body, _ := strings.Cut(part, "(SB)")
			bodies[name] = body
		}
	}
	return bodies
}

var (
	highRegister = regexp.MustCompile(`\b[XYZ](1[6-9]|2\d|3[01])\b|\bZ\d|\bK\d`)
	legacySSE    = regexp.MustCompile(`(?m)^\t(MOV[SAU]|MOVDQ|[A-Z]+[SP][SD]\b)[A-Z]*\s.*\bX\d`)
	wideRegister = regexp.MustCompile(`\b[YZ]\d`)
	beforeReturn = regexp.MustCompile(`(?m)^\t(\S+).*\n\tRET$`)
)

// TestLintAVX2 finds what an AVX2 machine cannot run: avo hands out the upper
// 16 registers, which need AVX-512, where 16 do not suffice.
func TestLintAVX2(t *testing.T) {
	for name, body := range functions(t) {
		if strings.HasSuffix(name, "AVX2") {
			if found := highRegister.FindString(body); found != "" {
				t.Errorf("%s uses %s", name, found)
			}
		}
	}
}

// TestLintSSE finds instructions of the legacy encoding, which are slow after
// those of VEX, and returns without VZEROUPPER.
func TestLintSSE(t *testing.T) {
	for name, body := range functions(t) {
		for _, line := range strings.Split(body, "\n") {
			if legacySSE.MatchString(line) && !strings.HasPrefix(strings.TrimSpace(line), "V") {
				t.Errorf("%s: legacy SSE: %s", name, line)
			}
		}
		if !wideRegister.MatchString(body) {
			continue
		}
		returns := beforeReturn.FindAllStringSubmatch(body, -1)
		if len(returns) == 0 {
			t.Errorf("%s: no return found", name)
		}
		for _, r := range returns {
			if r[1] != "VZEROUPPER" {
				t.Errorf("%s: %s before RET, not VZEROUPPER", name, r[1])
			}
		}
	}
}

// TestLintsFind proves that the lints can fail.
func TestLintsFind(t *testing.T) {
	for _, bad := range []string{"\tVADDPS Y1, Y16, Y2", "\tVMOVUPS Z3, Z4", "\tKMOVW AX, K1"} {
		if !highRegister.MatchString(bad) {
			t.Errorf("highRegister misses %q", bad)
		}
	}
	for _, bad := range []string{"\tMOVSD X0, (AX)", "\tADDPS X1, X2", "\tMOVUPS (AX), X3"} {
		if !legacySSE.MatchString(bad) {
			t.Errorf("legacySSE misses %q", bad)
		}
	}
}
