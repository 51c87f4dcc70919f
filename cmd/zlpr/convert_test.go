package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

// convert runs the command, which is to succeed.
func convert(t *testing.T, dir string, args ...string) string {
	t.Helper()
	stdout, stderr, status := run(t, dir, append([]string{"convert"}, args...)...)
	require.Equal(t, 0, status, "%v: %s", args, stderr)
	return stdout
}

// TestConvertScores: through every pair of formats, scores come back as they
// were, all bits; -Inf is what sparse formats do not list.
func TestConvertScores(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 60, 9
	rng := rand.New(rand.NewPCG(1, 1))
	s := make([]float64, rows*n)
	for i := range s {
		switch rng.IntN(9) {
		case 0:
			s[i] = math.Inf(-1)
		case 1:
			s[i] = []float64{0, 5e-324, -math.MaxFloat64, math.Inf(1), 0.1, math.Copysign(0, -1)}[rng.IntN(6)]
		default:
			s[i] = rng.NormFloat64() * math.Exp(30*rng.NormFloat64())
		}
		if i%n == 3 {
			s[i] = 1.5 // no row is empty
		}
	}
	s[rows*n-1] = 2 // the last column occurs
	save(t, dir, "S.npy", []int{rows, n}, s)
	formats := []string{"npy", "npz", "safetensors", "csv", "tsv", "csr", "csc", "libsvm", "xmc"}
	want := checksum(t, filepath.Join(dir, "S.npy"))
	for _, first := range formats {
		a := nameOf("a", first)
		convert(t, dir, "S.npy", a, "--to", first)
		for _, second := range formats {
			b := nameOf("b", second)
			convert(t, dir, a, b, "--to", second)
			convert(t, dir, b, "c.npy")
			require.Equal(t, want, checksum(t, filepath.Join(dir, "c.npy")), "%s, %s", first, second)
		}
	}
	// Arrays keep their type and their axes.
	f := make([]float32, len(s))
	for i, v := range s {
		f[i] = float32(v)
	}
	save(t, dir, "F.npy", []int{5, 12, n}, f)
	for _, format := range []string{"npy", "npz", "safetensors"} {
		convert(t, dir, "F.npy", nameOf("a", format), "--to", format)
		convert(t, dir, nameOf("a", format), "c.npy")
		require.Equal(t, checksum(t, filepath.Join(dir, "F.npy")), checksum(t, filepath.Join(dir, "c.npy")), format)
	}
	// float16 stays; other formats have what eval reads.
	half := append(array.Header(array.Float16, []int{2, 3}), 0, 0x3c, 0, 0xbc, 1, 0, 0xff, 0x7b, 0, 0x80, 0, 0x40)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "H.npy"), half, 0o644))
	convert(t, dir, "H.npy", "H.safetensors:x")
	convert(t, dir, "H.safetensors", "H2.npy")
	require.Equal(t, checksum(t, filepath.Join(dir, "H.npy")), checksum(t, filepath.Join(dir, "H2.npy")))
	convert(t, dir, "H.npy", "H.csv")
	text, err := os.ReadFile(filepath.Join(dir, "H.csv"))
	require.NoError(t, err)
	require.Equal(t, "1,-1,5.960464477539063e-08\n65504,-0,2\n", string(text))
	// Shards are one file.
	split(t, dir, "S", []int{rows, n}, s)
	convert(t, dir, "S-*.npy", "c.npy")
	require.Equal(t, want, checksum(t, filepath.Join(dir, "c.npy")))
	convert(t, dir, "S-*.npy", "c.csv")
	convert(t, dir, "S.npy", "d.csv")
	require.Equal(t, checksum(t, filepath.Join(dir, "d.csv")), checksum(t, filepath.Join(dir, "c.csv")))
	require.Equal(t, "scores 60 × 9: S.npy (float64 60×9) → d.csv (csv)\n", convert(t, dir, "S.npy", "d.csv"))
}

// nameOf is a name that the content of a format is known by.
func nameOf(stem, format string) string {
	return stem + map[string]string{"npy": ".npy", "npz": ".npz", "safetensors": ".safetensors", "csv": ".csv", "tsv": ".tsv", "csr": ".csr.npz",
		"csc": ".csc.npz", "libsvm": ".svm", "xmc": ".txt", "bits": ".bits.npy"}[format]
}

// TestConvertLabels: through every pair of formats, labels come back as they
// were, all of them the same for eval.
func TestConvertLabels(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 80, 70
	rng := rand.New(rand.NewPCG(1, 2))
	y := make([]uint8, rows*n)
	for i := range y {
		if y[i] = uint8(rng.IntN(8) / 7); i%n == i/n%n || i%n == n-1 {
			y[i] = 1 // no row without labels
		}
	}
	s := make([]float32, rows*n)
	for i := range s {
		s[i] = float32(rng.NormFloat64())
	}
	save(t, dir, "S.npy", []int{rows, n}, s)
	save(t, dir, "Y.npy", []int{rows, n}, y)
	formats := []string{"npy", "npz", "safetensors", "csv", "tsv", "csr", "csc", "libsvm", "xmc", "bits"}
	want := checksum(t, filepath.Join(dir, "Y.npy"))
	losses := evalJSON(t, dir, "S.npy", "Y.npy", "--loss", "all")
	from := func(format string, args ...string) []string {
		switch format {
		case "libsvm":
			return append(args, "--columns", fmt.Sprint(n))
		case "bits":
			return append(args, "--from", "bits", "--columns", fmt.Sprint(n))
		}
		return args
	}
	for _, first := range formats {
		a := nameOf("a", first)
		convert(t, dir, "Y.npy", a, "--to", first)
		if first != "bits" {
			require.Equal(t, losses.Losses, evalJSON(t, dir, "S.npy", a, "--loss", "all").Losses, first)
		}
		for _, second := range formats {
			b := nameOf("b", second)
			convert(t, dir, from(first, a, b, "--to", second)...)
			convert(t, dir, from(second, b, "c.npy")...)
			require.Equal(t, want, checksum(t, filepath.Join(dir, "c.npy")), "%s, %s", first, second)
		}
	}
	// By columns: every entry, rows of a column in their order.
	convert(t, dir, "Y.npy", "y.npz", "--to", "csc")
	_, ptr := readArray[int64](t, dir, "y.npz:indptr")
	_, rowsOf := readArray[int64](t, dir, "y.npz:indices")
	_, ones := readArray[int64](t, dir, "y.npz:data")
	require.Len(t, ptr, n+1)
	at := 0
	for j := range n {
		require.EqualValues(t, at, ptr[j])
		for i := range rows {
			if y[i*n+j] == 1 {
				require.EqualValues(t, []int64{int64(i), 1}, []int64{rowsOf[at], ones[at]})
				at++
			}
		}
	}
	require.EqualValues(t, []int{at, at, at}, []int{int(ptr[n]), len(rowsOf), len(ones)})
	// Labels of floats, class numbers, labels before features, label:1.
	f := make([]float64, len(y))
	for i, v := range y {
		f[i] = float64(v)
	}
	save(t, dir, "F.npy", []int{rows, n}, f)
	convert(t, dir, "F.npy", "c.npy")
	require.Equal(t, want, checksum(t, filepath.Join(dir, "c.npy")))
	save(t, dir, "t.npy", []int{4}, []int32{2, 0, -1, 1})
	require.Equal(t, "labels 4 × 3: t.npy (int32 4) → t.txt (xmc)\n", convert(t, dir, "t.npy", "t.txt"))
	text, err := os.ReadFile(filepath.Join(dir, "t.txt"))
	require.NoError(t, err)
	require.Equal(t, "4 3\n2:1\n0:1\n\n1:1\n", string(text))
	saveText(t, dir, "both.svm", "3,1 0:0.5\n0 1:1\n")
	fails(t, dir, 1, `both.svm: both labels and features; say --as labels`, "convert", "both.svm", "z.npy")
	convert(t, dir, "both.svm", "c.npy", "--as", "labels")
	_, got := readArray[int32](t, dir, "c.npy")
	require.Equal(t, []int32{0, 1, 0, 1, 1, 0, 0, 0}, got)
	// An explicit zero is no label.
	saveCSR(t, dir, "zeros.npz", 2, 3, []int64{0, 2, 3}, []int64{2, 0, 1}, []float32{1, 0, 1})
	convert(t, dir, "zeros.npz", "z.txt")
	text, err = os.ReadFile(filepath.Join(dir, "z.txt"))
	require.NoError(t, err)
	require.Equal(t, "2 3\n2:1\n1:1\n", string(text))
	// A wide matrix is never dense.
	saveText(t, dir, "wide.txt", "2 2000000000\n1999999999:1 7:1\n\n")
	convert(t, dir, "wide.txt", "wide.npz")
	convert(t, dir, "wide.npz", "wide2.txt")
	text, err = os.ReadFile(filepath.Join(dir, "wide2.txt"))
	require.NoError(t, err)
	require.Equal(t, "2 2000000000\n7:1 1999999999:1\n\n", string(text))
	fails(t, dir, 1, `wide.txt: 2000000000 columns with only 2 entries listed are too many`, "convert", "wide.txt", "w.npy")
	fails(t, dir, 1, `w.npz: 2000000000 columns with only 2 entries listed are too many for CSC`, "convert", "wide.txt", "w.npz", "--to", "csc")

	y[3*n+5] = 2
	split(t, dir, "Y", []int{rows, n}, y)
	fails(t, dir, 1, `Y-1.npy: row 3, column 5 \(row 3 of all shards\): label 2 is neither 0 nor 1`, "convert", "Y-*.npy", "w.txt")
	saveCSR(t, dir, "two.npz", 2, 3, []int64{0, 2, 3}, []int64{2, 0, 1}, []float32{1, 1, 2})
	fails(t, dir, 1, `two.npz: row 1, column 1: label 2 is neither 0 nor 1`, "convert", "two.npz", "w.txt", "--as", "labels")
}

// TestConvertErrors: what is asked for and cannot be.
func TestConvertErrors(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "S.npy", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6})
	save(t, dir, "Y.npy", []int{2, 3}, []uint8{1, 0, 1, 0, 0, 0})
	save(t, dir, "I.npy", []int{2, 3}, []int64{1, 2, 3, 4, 5, 6})
	save(t, dir, "B.npy", []int{2, 1}, []int64{5, 9})
	for args, want := range map[string]string{
		"":                                    `2: give the file to read and the one to write: zlpr convert IN OUT`,
		"S.npy":                               `2: give the file to read and the one to write`,
		"S.npy a.npy b.npy":                   `2: unexpected argument "b.npy"`,
		"S.npy x":                             `2: x: its ending stands for no format`,
		"S.npy S.npy":                         `2: --in and --out are the same file`,
		"S.npy x.bin --to bin":                `2: --to "bin": choose`,
		"S.npy x.csv --from npy":              `2: --from "npy": choose csv, libsvm, xmc, bits; other formats are recognised by their content`,
		"S.npy x.csv --as features":           `2: --as "features": choose scores or labels`,
		"S.npy x.csv --columns 3":             `2: --columns goes with text, bits and class numbers`,
		"S.npy x.csv --header yes":            `2: --header goes with files in CSV`,
		"S.npy x.npy --to bits":               `1: x.npy: bits are for labels`,
		"S.npy x.npy --as labels":             `1: S.npy: row 0, column 1: label 2 is neither 0 nor 1`,
		"I.npy x.npy":                         `1: I.npy: row 0, column 1: label 2 is neither 0 nor 1`,
		"I.npy x.npy --as scores":             `1: I.npy: scores of type int64`,
		"Y.npy x.svm":                         `1: x.svm: row 1 has no labels: libsvm text has no line for it`,
		"Y.npy x.npy --from bits":             `2: --from bits: say by --columns`,
		"Y.npy x.npy --from bits --columns 3": `1: Y.npy: uint8 2×3, where bits of 3 columns are uint64 of 1 to a row`,
		"B.npy x.npy --from bits --columns 3": `1: B.npy: row 1: bits beyond column 2 are set`,
		"both.json x.npy":                     `2: both.json lists scores and labels; say --as scores or --as labels`,
		"m.json x.npy --as labels":            `1: m.json: no labels in its shards`,
	} {
		saveText(t, dir, "m.json", `{"shards": [{"scores": "S.npy"}]}`)
		saveText(t, dir, "both.json", `{"shards": [{"scores": "S.npy", "labels": "Y.npy"}]}`)
		status := int(want[0] - '0')
		fails(t, dir, status, want[3:], append([]string{"convert"}, strings.Fields(args)...)...)
	}
	for args, want := range map[string]string{"convert - x.npy": "lists of labels; say --as labels, since they can be read only once", "convert - x.npy --as labels": ""} {
		cmd := exec.Command(binary, strings.Fields(args)...)
		cmd.Stdin = strings.NewReader("2 3\n0:1 2:1\n1:1\n")
		stdout, stderr, status := runCommand(t, dir, cmd)
		require.Equal(t, want == "", status == 0, stderr)
		require.Contains(t, stdout+stderr, want)
	}
	convert(t, dir, "m.json", "x.npy", "--as", "scores")
	require.Equal(t, checksum(t, filepath.Join(dir, "S.npy")), checksum(t, filepath.Join(dir, "x.npy")))
}
