package gen

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// objdumpLine is file:line, address, code, instruction.
var objdumpLine = regexp.MustCompile(`^ *\S+:(\d+)\s+0x[0-9a-f]+\s+[0-9a-f]{8}\s+(.*)$`)

// disassemble assembles an arm64 file and returns the instructions by line.
func disassemble(t *testing.T, source []byte) map[int]string {
	t.Helper()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command")
	}
	root, err := exec.Command(goTool, "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "a_arm64.s"), filepath.Join(dir, "a.o")
	if err := os.WriteFile(in, source, 0o644); err != nil {
		t.Fatal(err)
	}
	asm := exec.Command(goTool, "tool", "asm", "-p", "zlpr", "-I", filepath.Join(strings.TrimSpace(string(root)), "pkg", "include"), "-o", out, in)
	asm.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64")
	if text, err := asm.CombinedOutput(); err != nil {
		t.Fatalf("go tool asm: %v\n%s", err, text)
	}
	text, err := exec.Command(goTool, "tool", "objdump", out).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := map[int]string{}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if m := objdumpLine.FindStringSubmatch(s.Text()); m != nil {
			n, _ := strconv.Atoi(m[1])
			lines[n] = m[2]
		}
	}
	return lines
}

// plain is the text of an instruction without the V that some disassembled
// names have and others lack.
func plain(instruction string) string {
	return strings.TrimPrefix(strings.Join(strings.Fields(instruction), " "), "V")
}

var wordLine = regexp.MustCompile(`^\tWORD +\$0x[0-9a-f]{8} // (.*)$`)

// wrongWords compares each word of a file with its comment. It returns the
// number of words and the differences.
func wrongWords(t *testing.T, source []byte) (words int, wrong []string) {
	t.Helper()
	decoded := disassemble(t, source)
	for i, line := range strings.Split(string(source), "\n") {
		if m := wordLine.FindStringSubmatch(line); m != nil {
			words++
			if got := decoded[i+1]; plain(got) != plain(m[1]) {
				wrong = append(wrong, fmt.Sprintf("line %d: %s decodes to %s", i+1, strings.TrimSpace(line), got))
			}
		} else if strings.Contains(line, "WORD") {
			wrong = append(wrong, fmt.Sprintf("line %d: a word without its text: %s", i+1, line))
		}
	}
	return words, wrong
}

// TestNeonEncoders assembles and disassembles every instruction that the
// assembler lacks, with low, high and different registers.
func TestNeonEncoders(t *testing.T) {
	f := &neonFile{}
	f.function("f", "(x *float32)")
	for _, n := range [][3]int{{0, 1, 2}, {31, 30, 29}, {5, 5, 5}, {16, 0, 31}} {
		m, n, d := &vecReg{n[0], true}, &vecReg{n[1], true}, &vecReg{n[2], true}
		for _, form := range []string{"S4", "D2"} {
			for _, threeSame := range []func(m, n, d lanes){
				f.VFADD, f.VFSUB, f.VFMUL, f.VFDIV, f.VFMAX, f.VFMIN, f.VFCMGE, f.VFCMGT, f.VFCMEQ,
			} {
				threeSame(m.as(form), n.as(form), d.as(form))
			}
			f.VFSQRT(n.as(form), d.as(form))
			f.VFNEG(n.as(form), d.as(form))
		}
		for _, twoReg := range []func(n, d *vecReg){f.VFCVTL, f.VFCVTL2, f.VFCVTN, f.VFCVTN2} {
			twoReg(n, d)
		}
		f.VBIC(m.b16(), n.b16(), d.b16())
		f.VFMAXV(n.as("S4"), d)
		f.VFADDP(n.d2(), d)
		f.VFMAXP(n.d2(), d)
	}
	f.op("RET")
	f.end()
	if f.err != nil {
		t.Fatal(f.err)
	}
	words, wrong := wrongWords(t, f.file())
	for _, w := range wrong {
		t.Error(w)
	}
	if words < 4*20 {
		t.Errorf("only %d words found", words)
	}
}

// TestNeonErrors gives the emitter what it cannot encode.
func TestNeonErrors(t *testing.T) {
	for name, bad := range map[string]func(f *neonFile, a, b *vecReg){
		"different forms": func(f *neonFile, a, b *vecReg) { f.VFADD(a.as("S4"), b.d2(), a.d2()) },
		"no such form":    func(f *neonFile, a, b *vecReg) { f.VFMUL(a.as("H8"), b.as("H8"), a.as("H8")) },
		"two lanes":       func(f *neonFile, a, b *vecReg) { f.VFMIN(a.as("S2"), b.as("S2"), a.as("S2")) },
		"horizontal":      func(f *neonFile, a, b *vecReg) { f.VFMAXV(a.d2(), b) },
		"pair":            func(f *neonFile, a, b *vecReg) { f.VFADDP(a.as("S4"), b) },
		"freed":           func(f *neonFile, a, b *vecReg) { f.free(a); f.op("VMOV", a.b16(), b.b16()) },
		"freed twice":     func(f *neonFile, a, b *vecReg) { f.free(a); f.free(a) },
		"no argument":     func(f *neonFile, a, b *vecReg) { f.param("y") },
		"vectors": func(f *neonFile, a, b *vecReg) {
			for range 31 {
				f.reg()
			}
		},
		"general": func(f *neonFile, a, b *vecReg) {
			for range 25 {
				f.gp()
			}
		},
		"constants": func(f *neonFile, a, b *vecReg) {
			v := newNeonVec(f, float64s)
			v.loadConstants()
			for i := range 33 {
				v.loadPair(v.constant(float64(i)), a, b)
			}
		},
	} {
		f := &neonFile{}
		f.function("f", "(x *float32)")
		a, b := f.reg(), f.reg()
		if f.err != nil {
			t.Fatal(f.err)
		}
		bad(f, a, b)
		if f.err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// neonSources returns the generated arm64 assembly by file name.
func neonSources(t *testing.T) map[string][]byte {
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string][]byte{}
	for name, text := range files {
		if strings.HasSuffix(name, "_arm64.s") {
			sources[name] = text
		}
	}
	if len(sources) == 0 {
		t.Fatal("no arm64 assembly")
	}
	return sources
}

// TestNeonWords: each word decodes to its comment.
func TestNeonWords(t *testing.T) {
	for name, source := range neonSources(t) {
		words, wrong := wrongWords(t, source)
		for _, w := range wrong {
			t.Errorf("%s, %s", name, w)
		}
		t.Logf("%s: %d words", name, words)
	}
}

// The registers of the linker's veneers (R16, R17), the platform (R18), the
// assembler (R27), and Go (R28 is g, R29 the frame, R30 the link, RSP).
var reservedRegister = regexp.MustCompile(`\b(R1[678]|R2[789]|R30|RSP|g|ZR)\b`)

// TestNeonRegisters finds uses of reserved registers.
func TestNeonRegisters(t *testing.T) {
	for name, source := range neonSources(t) {
		for i, line := range strings.Split(string(source), "\n") {
			code, _, _ := strings.Cut(line, "//")
			if found := reservedRegister.FindString(code); strings.HasPrefix(line, "\t") && found != "" {
				t.Errorf("%s:%d uses %s: %s", name, i+1, found, line)
			}
		}
	}
}

// TestNeonLintsFind proves that the lints can fail.
func TestNeonLintsFind(t *testing.T) {
	for _, bad := range []string{"MOVD R18, R1", "ADD $1, R27", "MOVD x+0(FP), R28", "MOVD R1, 8(RSP)", "MOVD R30, R0", "MOVD g, R1"} {
		if !reservedRegister.MatchString(bad) {
			t.Errorf("reservedRegister misses %q", bad)
		}
	}
	source := []byte("TEXT ·f(SB), 4, $0-0\n\tWORD    $0x4e20d422 // VFSUB V0.S4, V1.S4, V2.S4\n\tWORD $1\n\tRET\n")
	if _, wrong := wrongWords(t, source); len(wrong) != 2 {
		t.Errorf("of two wrong words %d were found", len(wrong))
	}
}

// TestNeonComplete: every AVX2 kernel has its NEON form, but for those of TestNEONExceptions.
func TestNeonComplete(t *testing.T) {
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	var without []string // have none, which says why not
	for _, p := range packages {
		for _, k := range p.kernels() {
			for _, f := range k.forms {
				if f.noNEON != "" {
					without = append(without, lower(k.name)+f.name)
				}
			}
		}
	}
	var avx2, neon []string
	kernel := regexp.MustCompile(`(?m)^TEXT ·(\w+)(AVX2|NEON)\(SB\)`)
	for _, text := range files {
		for _, m := range kernel.FindAllStringSubmatch(string(text), -1) {
			switch {
			case m[2] == "NEON":
				neon = append(neon, m[1])
			case !slices.ContainsFunc(without, func(k string) bool { return strings.HasPrefix(m[1], k) }):
				avx2 = append(avx2, m[1])
			}
		}
	}
	for _, k := range avx2 {
		if !slices.Contains(neon, k) {
			t.Errorf("%s has no NEON form", k)
		}
	}
	if len(avx2) == 0 {
		t.Error("no AVX2 kernels found")
	}
}
