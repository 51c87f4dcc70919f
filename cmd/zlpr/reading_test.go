package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

func saveText(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

// saveCSR writes a sparse matrix as scipy does.
func saveCSR[T array.Element](t *testing.T, dir, name string, rows, cols int64, indptr, indices []int64, values []T) {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	require.NoError(t, array.Add(z, "indptr", false, []int{len(indptr)}, indptr))
	require.NoError(t, array.Add(z, "indices", false, []int{len(indices)}, indices))
	require.NoError(t, array.Add(z, "data", true, []int{len(values)}, values))
	require.NoError(t, array.Add(z, "shape", false, []int{2}, []int64{rows, cols}))
	require.NoError(t, z.Close())
	saveText(t, dir, name, b.String())
}

// objective returns the line of train's JSON that has it.
func objective(json string) string {
	_, after, _ := strings.Cut(json, `"objective": `)
	line, _, _ := strings.Cut(after, ",")
	return line
}

// TestSameLabels: the same labels in every format, and the same scores, give the
// same losses and metrics, to the last bit.
func TestSameLabels(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "S.npy", []int{3, 4}, []float64{0.25, -1.5, 2, 1, -0.5, 3, 0.75, -2, 1.25, 0.5, -1, -0.25})
	save(t, dir, "Y.npy", []int{3, 4}, []uint8{1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1})
	want := evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy")
	check := func(scores, labels string, warning string, flags ...string) {
		t.Helper()
		got := evalJSON(t, dir, append([]string{"--scores", scores, "--labels", labels}, flags...)...)
		require.Equal(t, want.Losses, got.Losses, "%s %s", scores, labels)
		require.Equal(t, want.Metrics, got.Metrics, "%s %s", scores, labels)
		if warning == "" {
			require.Empty(t, got.Warnings, "%s %s", scores, labels)
		} else {
			require.Contains(t, strings.Join(got.Warnings, " "), warning)
		}
	}
	const lists, csv = "0,3 7:0.5\n1\n2,3 1:1\n", "1,0,0,1\n0,1,0,0\n0,0,1,1\n"
	for name, text := range map[string]string{
		"y.svm": lists, "y.svmlight": lists, "y": lists, "y.gz": zipped(lists), "y.svm.gz": zipped(lists),
		"tabs.txt": strings.ReplaceAll(lists, " ", "\t"), "crlf.txt": strings.ReplaceAll(lists, "\n", "\r\n"),
		"notes.txt": "# of two tools\n" + strings.ReplaceAll(lists, "\n", " # x\n#\n"),
		"xmc.txt":   "3 8 4\n" + lists, "unordered.txt": "3,0\n1\n3,2\n",
		"matrix.txt": "0:1.0 3:1.0\n1:1\n2:1 3:1.0\n", "sized.txt": "3 4\n0:1 3:1\n1:1\n2:1 3:1\n", "mixed.txt": "3 4\n0,3\n1\n2,3\n",
		"y.csv": csv, "bom.csv": "\ufeff" + csv, "tab.csv": strings.ReplaceAll(csv, ",", "\t"), "y.tsv": strings.ReplaceAll(csv, ",", "\t"),
		"semicolon.csv": strings.ReplaceAll(csv, ",", "; "), "blank.csv": strings.ReplaceAll(csv, ",", " "), "blank.txt": strings.ReplaceAll(csv, ",", " "),
		"names.csv": "a,b,c,d\n" + csv, "quoted.csv": "\"a\",\"b, c\",c,d\n\"1\",0,0,1\n0,1,0,0\n0,0,1,1\n", "y.csv.gz": zipped(csv), "table": csv,
	} {
		saveText(t, dir, name, text)
		check("S.npy", name, "")
	}
	saveText(t, dir, "one.txt", "1,4 8:0.5\n2\n3,4\n")
	check("S.npy", "one.txt", "", "--one-based")
	saveText(t, dir, "headed.csv", "0,1,2,3\n"+csv)
	check("S.npy", "headed.csv", "", "--header", "yes")
	saveText(t, dir, "index.csv", ",a,b,c,d\n0,1,0,0,1\n1,0,1,0,0\n2,0,0,1,1\n")
	check("S.npy", "index.csv", "--index-column")
	saveText(t, dir, "ids.csv", "id,a,b,c,d\nx,1,0,0,1\ny,0,1,0,0\nz,0,0,1,1\n")
	check("S.npy", "ids.csv", "", "--index-column", "yes")
	saveText(t, dir, "S.csv", "a;b;c;d\n0.25;-1.5;2;1\n-0.5;3;0.75;-2\n1.25;0.5;-1;-0.25\n")
	check("S.csv", "y.svm", "")
	check("S.csv", "y.svm", "", "--separator", "semicolon")
	saveText(t, dir, "S.txt", "0.25 -1.5 2 1\n-0.5 3 0.75 -2\n1.25 0.5 -1 -0.25\n")
	check("S.txt", "Y.npy", "")
	saveText(t, dir, "lists.txt", "3 4\n0:0.25 3:1 1:-1.5 2:2\n0:-0.25 0:-0.25 1:3 2:0.75 3:-2\n3:-0.25 0:1.25 1:0.5 2:-1\n")
	check("lists.txt", "Y.npy", "")
	saveCSR(t, dir, "S.npz", 3, 4, []int64{0, 5, 9, 13}, []int64{0, 2, 1, 2, 3, 0, 1, 2, 3, 3, 2, 1, 0},
		[]float64{0.25, 1.5, -1.5, 0.5, 1, -0.5, 3, 0.75, -2, -0.25, -1, 0.5, 1.25})
	check("S.npz", "Y.npy", "")
	saveCSR(t, dir, "Y.npz", 3, 4, []int64{0, 3, 4, 6}, []int64{3, 0, 1, 1, 2, 3}, []uint8{1, 1, 0, 1, 1, 1})
	check("S.npy", "Y.npz", "")

	saveText(t, dir, "from1.txt", "1,3\n1\n2,3\n")
	r := evalJSON(t, dir, "--scores", "S.npy", "--labels", "from1.txt")
	require.Contains(t, strings.Join(r.Warnings, " "), "from1.txt: no row has label 0: if labels count from 1, say --one-based")
}

// TestTargets: class numbers, and the one that leaves a row out.
func TestTargets(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "S.npy", []int{2, 2, 3}, []float64{0.4, -1, 1.75, 0.5, -0.25, 1, 0, 1.25, 2, -0.5, 0.5, 0.25})
	save(t, dir, "S3.npy", []int{3, 3}, []float64{0.4, -1, 1.75, 0.5, -0.25, 1, -0.5, 0.5, 0.25})
	save(t, dir, "t3.npy", []int{3}, []int32{2, 0, 1})
	want := evalJSON(t, dir, "--scores", "S3.npy", "--labels", "t3.npy", "--loss", "softmax").Losses
	softmax := func(name string, flags ...string) []string {
		return append([]string{"--scores", "S.npy", "--labels", name, "--loss", "softmax"}, flags...)
	}
	save(t, dir, "t.npy", []int{2, 2}, []int64{2, 0, -1, 1})
	require.Equal(t, want, evalJSON(t, dir, softmax("t.npy")...).Losses)
	save(t, dir, "t.npy", []int{2, 2}, []int64{2, 0, -100, 1})
	require.Equal(t, want, evalJSON(t, dir, softmax("t.npy", "--ignore-index=-100")...).Losses)
	save(t, dir, "u.npy", []int{2, 2}, []uint8{2, 0, 255, 1})
	require.Equal(t, want, evalJSON(t, dir, softmax("u.npy", "--ignore-index", "255")...).Losses)
	fails(t, dir, 1, `t.npy: row 2 \(batch 1, position 0\): class number -100 of 3, counted from 0; -1 leaves a row out, --ignore-index=-100`, append([]string{"eval"}, softmax("t.npy")...)...)
	save(t, dir, "far.npy", []int{2, 2}, []int64{2, 0, 1 << 32, 1})
	fails(t, dir, 1, `far.npy: row 2 \(batch 1, position 0\): class number 4294967296 of 3`, append([]string{"eval"}, softmax("far.npy")...)...)
	raw, err := os.ReadFile(filepath.Join(dir, "t.npy"))
	require.NoError(t, err)
	raw = bytes.Replace(raw, []byte("<i8"), []byte("<u8"), 1)
	saveText(t, dir, "unsigned.npy", string(bytes.Replace(raw, []byte{0x9c}, []byte{0xff}, 1))) // 2^64-1, which is no -1
	fails(t, dir, 1, `unsigned.npy: row 2 \(batch 1, position 0\): class number 18446744073709551615 of 3`, append([]string{"eval"}, softmax("unsigned.npy")...)...)
	// With all losses, those that have nothing to say are listed.
	save(t, dir, "none.npy", []int{2, 2}, []int64{-1, -1, -1, -1})
	r := evalJSON(t, dir, "--scores", "S.npy", "--labels", "none.npy", "--loss", "all")
	require.Equal(t, "no row counts", r.Skipped["softmax"])
	require.Contains(t, r.Warnings, "no metrics: no row counts")
	require.Equal(t, "no row counts", r.Skipped["zlpr"])
	require.Empty(t, r.Losses)
	require.Contains(t, evalPage(t, dir, "S.npy", "none.npy", "--loss", "all"), "No row counts, of 4 rows of 3 classes.")
	fails(t, dir, 1, `S.npy: no row counts for zlpr`, "eval", "S.npy", "none.npy", "--loss", "zlpr,bce")
	// Those that are left out count in no loss and in no measure.
	save(t, dir, "some.npy", []int{2, 2}, []int64{2, 0, -1, 1})
	save(t, dir, "hot.npy", []int{2, 2, 3}, []uint8{0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0})
	save(t, dir, "mask.npy", []int{2, 2, 3}, []uint8{1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1})
	for _, flags := range [][]string{{"--loss", "all"}, {"--loss", "zlpr,bce", "--reduction", "mean-classes"}} {
		ignored := evalJSON(t, dir, append([]string{"--scores", "S.npy", "--labels", "some.npy"}, flags...)...)
		masked := evalJSON(t, dir, append([]string{"--scores", "S.npy", "--labels", "hot.npy", "--mask", "mask.npy"}, flags...)...)
		require.Equal(t, masked.Losses, ignored.Losses)
		require.Equal(t, masked.Metrics, ignored.Metrics)
	}
	stdout, stderr, status := run(t, dir, "convert", "t3.npy", "T.npy", "--as", "labels")
	require.Equal(t, 0, status, stdout)
	require.Empty(t, stderr)
	save(t, dir, "lost.npy", []int{3}, []int64{2, -1, 1})
	_, stderr, status = run(t, dir, "convert", "lost.npy", "T.npy", "--as", "labels")
	require.Equal(t, 0, status)
	require.Equal(t, "zlpr: warning: lost.npy: 1 row whose class number is ignored: as labels they have none, and count; leave them out by a mask or by row weights\n", stderr)
	fails(t, dir, 1, `S.npy: no row counts for softmax`, append([]string{"eval"}, softmax("none.npy")...)...)
	save(t, dir, "turned.npy", []int{4}, []int32{2, 0, -1, 1})
	fails(t, dir, 1, `turned.npy: labels of shape 4, scores of shape 2×2×3; labels must have the shape of the scores, or be class numbers`, append([]string{"eval"}, softmax("turned.npy")...)...)
	fails(t, dir, 2, `--ignore-index goes with labels that are class numbers`, "eval", "--ignore-index", "5")
	// Labels of other leading axes with the same number of rows are no labels of these.
	save(t, dir, "S4.npy", []int{2, 3, 2}, make([]float32, 12))
	save(t, dir, "Y4.npy", []int{3, 2, 2}, make([]uint8, 12))
	fails(t, dir, 1, `Y4.npy: labels of shape 3×2×2, scores of shape 2×3×2`, "eval", "--scores", "S4.npy", "--labels", "Y4.npy")
}

// TestOneClass: labels (n,) beside scores (n, 1) are those of the one class.
func TestOneClass(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "S.npy", []int{4, 1}, []float64{0.6, -1.1, 2.1, 0.2})
	save(t, dir, "Y.npy", []int{4, 1}, []uint8{1, 0, 1, 1})
	want := evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy", "--loss", "zlpr,bce")
	save(t, dir, "y.npy", []int{4}, []uint8{1, 0, 1, 1})
	require.Equal(t, want.Losses, evalJSON(t, dir, "--scores", "S.npy", "--labels", "y.npy", "--loss", "zlpr,bce").Losses)
	save(t, dir, "y.npy", []int{4}, []float32{1, 0, 1, 1})
	require.Equal(t, want.Losses, evalJSON(t, dir, "--scores", "S.npy", "--labels", "y.npy", "--loss", "zlpr,bce").Losses)
	save(t, dir, "y.npy", []int{4}, []int64{1, 0, 2, 1})
	fails(t, dir, 1, `y.npy: row 2, column 0: label 2 is neither 0 nor 1`, "eval", "--scores", "S.npy", "--labels", "y.npy")
}

// TestTrainFormats: the same data in every format train to the same model.
func TestTrainFormats(t *testing.T) {
	dir := t.TempDir()
	x := []float64{0.1, 0, 1.25, 1, -1, 0, 0, 0, 2, 3, 0.7, 0, 0, -2, 0.5}
	classes := []int64{1, 0, 2, 1, 2}
	y := make([]uint8, 15)
	for i, c := range classes {
		y[3*i+int(c)] = 1
	}
	save(t, dir, "x.npy", []int{5, 3}, x)
	save(t, dir, "y.npy", []int{5, 3}, y)
	save(t, dir, "t.npy", []int{5}, classes)
	train := func(args ...string) string {
		t.Helper()
		stdout, stderr, status := run(t, dir, append([]string{"train", "--l2", "0.1", "--json", "--loss", "softmax"}, args...)...)
		require.Equal(t, 0, status, stderr)
		return objective(stdout)
	}
	want := train("--x", "x.npy", "--y", "y.npy")
	require.Equal(t, want, train("--x", "x.npy", "--y", "t.npy"))
	var lists, twice strings.Builder
	var indices []int64
	var values []float64
	indptr := []int64{0}
	for i, c := range classes {
		fmt.Fprint(&lists, c)
		fmt.Fprint(&twice, c)
		for j, v := range x[3*i : 3*i+3] {
			if v != 0 {
				fmt.Fprintf(&lists, " %d:%v", j, v)
				fmt.Fprintf(&twice, " %d:%v %d:%v", j, v/2, j, v/2)
				indices, values = append(indices, int64(j), int64(j)), append(values, v/2, v/2)
			}
		}
		indptr = append(indptr, int64(len(indices)))
		lists.WriteString("\n")
		twice.WriteString("\n")
	}
	saveText(t, dir, "xy", lists.String())
	sparse := train("--x", "xy") // other sums than dense
	saveText(t, dir, "twice.svm.gz", zipped(twice.String()))
	require.Equal(t, sparse, train("--x", "twice.svm.gz"))
	saveCSR(t, dir, "x.npz", 5, 3, indptr, indices, values)
	require.Equal(t, sparse, train("--x", "x.npz", "--y", "y.npy"))
	require.Equal(t, train("--x", "xy", "--standardize"), train("--x", "x.npz", "--y", "t.npy", "--standardize"))
	// A row that is left out is as if it were not there.
	save(t, dir, "x4.npy", []int{4, 3}, append(append([]float64{}, x[:6]...), x[9:]...))
	save(t, dir, "t4.npy", []int{4}, []int64{1, 0, 1, 2})
	save(t, dir, "ignored.npy", []int{5}, []int64{1, 0, -7, 1, 2})
	require.Equal(t, train("--x", "x4.npy", "--y", "t4.npy"), train("--x", "x.npy", "--y", "ignored.npy", "--ignore-index=-7"))

	fails(t, dir, 1, `t.npy: labels of shape 5; they must be rows×classes or, for --loss softmax`, "train", "--x", "x.npy", "--y", "t.npy")
	fails(t, dir, 2, `give the labels of the features by --y: x.npy has none`, "train", "--x", "x.npy")
	save(t, dir, "far.npy", []int{5}, []int64{1, 0, 1<<31 - 2, 1, 2})
	fails(t, dir, 1, `3 features and 2147483647 classes make a model of 8.59e\+09 weights, too many`, "train", "--x", "x.npy", "--y", "far.npy", "--loss", "softmax")

	// Predict: the last features may not occur in a file.
	_, stderr, status := run(t, dir, "train", "--x", "xy", "--l2", "0.1", "--out", "m.npz")
	require.Equal(t, 0, status, stderr)
	saveText(t, dir, "few.svm", "0 0:2\n")
	_, stderr, status = run(t, dir, "predict", "--model", "m.npz", "--x", "few.svm", "--out", "P.npy")
	require.Equal(t, 0, status, stderr)
	saveText(t, dir, "many.svm", "0 0:2 5:1\n")
	fails(t, dir, 1, `many.svm: row 0 \(line 1\): feature 5, but there are 3`, "predict", "--model", "m.npz", "--x", "many.svm", "--out", "Q.npy")
	saveText(t, dir, "sized.txt", "1 4\n0:2\n")
	fails(t, dir, 1, `sized.txt: 4 features, the model m.npz has 3; they must agree`, "predict", "--model", "m.npz", "--x", "sized.txt", "--out", "Q.npy")
}

// TestSparseScores: what is stored twice is the sum, in float32 too.
func TestSparseScores(t *testing.T) {
	dir := t.TempDir()
	inf := math.Inf(-1)
	saveCSR(t, dir, "S.npz", 2, 3, []int64{0, 3, 4}, []int64{2, 2, 0, 1}, []float32{0.5, 1.25, -1, 2})
	save(t, dir, "S.npy", []int{2, 3}, []float32{-1, float32(inf), 1.75, float32(inf), 2, float32(inf)})
	save(t, dir, "Y.npy", []int{2, 3}, []uint8{0, 0, 1, 0, 1, 0})
	args := []string{"--labels", "Y.npy", "--metrics", "none", "--scores"}
	require.Equal(t, evalJSON(t, dir, append(args, "S.npy")...).Losses, evalJSON(t, dir, append(args, "S.npz")...).Losses)
}
