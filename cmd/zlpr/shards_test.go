package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

// cuts are where rows of a file are cut into shards, one of them empty.
func cuts(rows int) []int { return []int{0, rows / 7, rows / 7, rows / 2, rows/2 + 1, rows} }

// split writes the entries of the first axis of NAME.npy to NAME-1.npy, NAME-2.npy, …,
// NAME-40.npy: in natural order, not in that of the alphabet.
func split[T array.Element](t *testing.T, dir, name string, shape []int, data []T) (files []string) {
	at := cuts(shape[0])
	entry := len(data) / shape[0]
	for k := range at[1:] {
		file := fmt.Sprintf("%s-%d.npy", name, []int{1, 2, 9, 10, 40}[k])
		part := append([]int{at[k+1] - at[k]}, shape[1:]...)
		save(t, dir, file, part, data[at[k]*entry:at[k+1]*entry])
		files = append(files, file)
	}
	return files
}

// TestShards: losses, gradients, measures and predictions of shards are those of
// one file, all bits, by patterns and by a manifest, beside files that are one.
func TestShards(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 20000, 40 // several blocks, which shards cut
	s, y, mask := example[float32](t, dir, rows, n)
	weights, lengths := make([]float64, rows), make([]int32, rows)
	for i := range weights {
		weights[i], lengths[i] = float64(i%5)/4, int32(i%2*3+n-3)
	}
	for i := range rows {
		for j := int(lengths[i]); j < n; j++ {
			y[i*n+j] = 0
		}
	}
	save(t, dir, "Y.npy", []int{rows, n}, y)
	save(t, dir, "W.npy", []int{rows}, weights)
	save(t, dir, "N.npy", []int{rows}, lengths)
	files := map[string][]string{"scores": split(t, dir, "S", []int{rows, n}, s), "labels": split(t, dir, "Y", []int{rows, n}, y),
		"mask": split(t, dir, "M", []int{rows, n}, mask), "lengths": split(t, dir, "N", []int{rows}, lengths),
		"row_weights": split(t, dir, "W", []int{rows}, weights)}
	results := func(args ...string) string {
		t.Helper()
		stdout, stderr, status := run(t, dir, append([]string{"eval", "--json", "--grad", "G.npy", "--per-row", "L.npy", "--predictions", "P.npy",
			"--loss", "zlpr", "--workers", "3"}, args...)...)
		require.Equal(t, 0, status, stderr)
		text := withoutTimes(stdout)
		for _, name := range []string{"G.npy", "L.npy", "P.npy"} {
			text += checksum(t, filepath.Join(dir, name)) + "\n"
		}
		return text
	}
	manifest := func(parts ...string) {
		var shards []map[string]any
		for k := range files["scores"] {
			shard := map[string]any{"rows": cuts(rows)[k+1] - cuts(rows)[k]}
			for _, part := range parts {
				shard[part] = files[part][k]
			}
			shards = append(shards, shard)
		}
		text, err := json.Marshal(map[string]any{"shards": shards})
		require.NoError(t, err)
		saveText(t, dir, "m.json", string(text))
	}
	want := results("S.npy", "Y.npy")
	require.Equal(t, want, results("S-*.npy", "Y-*.npy"))
	require.Equal(t, want, results("S-*.npy", "Y.npy"))
	require.Equal(t, want, results("--scores", "S.npy", "--labels", "Y-*.npy"))
	manifest("scores", "labels")
	require.Equal(t, want, results("m.json"))
	want = results("S.npy", "Y.npy", "--mask", "M.npy", "--row-weights", "W.npy")
	require.Equal(t, want, results("S-*.npy", "Y-*.npy", "--mask", "M-*.npy", "--row-weights", "W-*.npy"))
	manifest("scores", "labels", "mask", "row_weights")
	require.Equal(t, want, results("m.json"))
	want = results("S.npy", "Y.npy", "--lengths", "N.npy")
	require.Equal(t, want, results("S-*.npy", "Y-*.npy", "--lengths", "N-*.npy"))
	manifest("scores", "labels", "lengths")
	require.Equal(t, want, results("m.json"))

	// Draws.
	_, stderr, status := run(t, dir, "sample", "--scores", "S.npy", "--k", "2", "--out", "D1.npy")
	require.Equal(t, 0, status, stderr)
	_, stderr, status = run(t, dir, "sample", "--scores", "S-*.npy", "--k", "2", "--out", "D2.npy")
	require.Equal(t, 0, status, stderr)
	require.Equal(t, checksum(t, filepath.Join(dir, "D1.npy")), checksum(t, filepath.Join(dir, "D2.npy")))

	// What is wrong with a shard names it and the row in it.
	s[(rows/2+5)*n+3] = float32(math.NaN())
	split(t, dir, "S", []int{rows, n}, s)
	fails(t, dir, 1, `S-40.npy: row 4, column 3 \(row 10005 of all shards\): score is NaN`, "eval", "S-*.npy", "Y-*.npy", "--strict", "--metrics", "none")
	y[(rows/7+2)*n+1] = 2
	split(t, dir, "Y", []int{rows, n}, y)
	fails(t, dir, 1, `Y-9.npy: row 2, column 1 \(row 2859 of all shards\): label 2 is neither 0 nor 1`, "eval", "S.npy", "Y-*.npy")
	lengths[rows-1] = n + 1
	split(t, dir, "N", []int{rows}, lengths)
	fails(t, dir, 1, `N-40.npy: row 9998 \(row 19999 of all shards\): length 41 is not in 0..40`, "eval", "S.npy", "Y.npy", "--lengths", "N-*.npy")
	weights[0] = -1
	split(t, dir, "W", []int{rows}, weights)
	fails(t, dir, 1, `W-1.npy: row 0 \(row 0 of all shards\): weight -1 is not finite`, "eval", "S.npy", "Y.npy", "--row-weights", "W-*.npy")
	manifest("scores", "labels")
	save(t, dir, "Y-10.npy", []int{2, n}, make([]uint8, 2*n))
	fails(t, dir, 1, `Y-10.npy: 2 rows of labels, but its shard of scores, S-10.npy, has 1; they must pair`, "eval", "S-*.npy", "Y-*.npy")
	fails(t, dir, 1, `Y-10.npy: 2 rows, but m.json says 1; mend the manifest or the file`, "eval", "m.json")
	require.NoError(t, os.Remove(filepath.Join(dir, "Y-10.npy")))
	fails(t, dir, 1, `they must pair`, "eval", "S-*.npy", "Y-*.npy")
	save(t, dir, "S-10.npy", []int{1, n + 1}, make([]float32, n+1))
	fails(t, dir, 1, `S-10.npy: a shard of shape 1×41, the first one, S-1.npy, is of shape 2857×40`, "eval", "S-*.npy", "Y.npy")
	save(t, dir, "S-10.npy", []int{1, n}, make([]float64, n))
	fails(t, dir, 1, `S-10.npy: a shard of float64, the first one, S-1.npy, is of float32`, "eval", "S-*.npy", "Y.npy")
	save(t, dir, "v-1.npy", []int{n}, make([]float64, n))
	fails(t, dir, 1, `v-1.npy: scores of one axis in a shard; write them as rows×classes`, "eval", "v-*.npy", "Y.npy")
	fails(t, dir, 1, `"q-\*.npy": no file matches this pattern|q-\*.npy: no file matches this pattern`, "eval", "q-*.npy", "Y.npy")
	fails(t, dir, 1, `q\[.npy: no pattern`, "eval", "q[.npy", "Y.npy")
	// An output that is a shard, or the manifest's.
	fails(t, dir, 2, `--scores and --grad are the same file, S-9.npy`, "eval", "S-*.npy", "Y.npy", "--grad", "S-9.npy")
	fails(t, dir, 2, `--scores and --grad are the same file, Y-9.npy`, "eval", "m.json", "--grad", "Y-9.npy")
}

// TestShardsOnce: scores under two names, a manifest among the files of a manifest, a file
// that is not there and one of other rows are errors that name them, and there is no
// output.
func TestShardsOnce(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 6, 4)
	must(t, dir, "convert", "S.npy", "A.npz:x")
	require.NoError(t, os.Link(filepath.Join(dir, "S.npy"), filepath.Join(dir, "hard.npy")))
	if err := os.Symlink("S.npy", filepath.Join(dir, "S-soft.npy")); err != nil {
		t.Skip(err)
	}
	for text, want := range map[string]string{
		`{"scores": "S.npy", "labels": "Y.npy"}, {"scores": "hard.npy", "labels": "Y.npy"}`:              `m.json: shards 0 and 1 have the same scores, S.npy and hard.npy, which are one file; list it once`,
		`{"scores": "S.npy", "labels": "Y.npy"}, {"scores": "S-soft.npy", "labels": "Y.npy"}`:            `m.json: shards 0 and 1 have the same scores, S.npy and S-soft.npy`,
		`{"scores": "S.npy", "labels": "Y.npy"}, {"scores": "S.npy", "labels": "Y.npy"}`:                 `m.json: shards 0 and 1 have the same scores, S.npy; list them once`,
		`{"scores": "S.npy", "labels": "Y.npy"}, {"scores": "other.json", "labels": "Y.npy"}`:            `m.json: .*other.json": a manifest; list its files here`,
		`{"scores": "S.npy", "labels": "Y.npy"}, {"scores": "gone.npy", "labels": "Y.npy"}`:              `gone.npy: no such file`,
		`{"scores": "S.npy", "labels": "Y.npy", "rows": 5}, {"scores": "A.npz:x", "labels": "Y.npy"}`:    `S.npy: 6 rows, but m.json says 5`,
		`{"scores": "S.npy", "labels": "Y.npy"}, {"scores": "A.npz:x", "labels": "Y.npy", "classes": 4}`: `unknown key "classes"`,
	} {
		saveText(t, dir, "m.json", `{"shards": [`+text+`]}`)
		fails(t, dir, 1, want, "eval", "m.json", "--json", "--partial", "p.zlpr")
		require.NoFileExists(t, filepath.Join(dir, "p.zlpr"))
	}
	fails(t, dir, 1, `S\*.npy: shards 0 and 1 have the same scores, S-soft.npy and S.npy`, "eval", "S*.npy", "Y.npy")
	// One file for two arrays, and one of labels, are no fault.
	saveText(t, dir, "m.json", `{"shards": [{"scores": "A.npz:x", "labels": "Y.npy"}, {"scores": "S.npy", "labels": "Y.npy"}]}`)
	require.Contains(t, must(t, dir, "eval", "m.json", "--json"), `"rows": 12`)
}

// TestShardsOfLists: shards of sparse matrices, of lists and of compressed text.
func TestShardsOfLists(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "S.npy", []int{5, 4}, []float32{1, -2, 0.5, 3, -1, 2, 0.25, 1, 4, -3, 0, 1, 2, 1, -1, 0.5, 1, 1, -2, 3})
	save(t, dir, "Y.npy", []int{5, 4}, []uint8{1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 0})
	want := evalJSON(t, dir, "S.npy", "Y.npy", "--loss", "all")
	saveText(t, dir, "y-1.txt", "2 4\n0:1 3:1\n1:1\n")
	saveText(t, dir, "y-2.txt.gz", zipped("1 4\n\n"))
	saveText(t, dir, "y-3.txt", "2 4\n2:1\n0:1 1:1 2:1\n")
	require.Equal(t, want, evalJSON(t, dir, "S.npy", "y-*", "--loss", "all"))
	saveCSR(t, dir, "c-1.npz", 2, 4, []int64{0, 2, 3}, []int64{0, 3, 1}, []float32{1, 1, 1})
	saveCSR(t, dir, "c-2.npz", 3, 4, []int64{0, 0, 1, 4}, []int64{2, 0, 1, 2}, []float32{1, 1, 1, 1})
	require.Equal(t, want, evalJSON(t, dir, "S.npy", "c-*.npz", "--loss", "all"))
	saveText(t, dir, "d-1.csv", "1,0,0,1\n0,1,0,0\n")
	saveText(t, dir, "d-2.csv", "a,b,c,d\n0,0,0,0\n0,0,1,0\n1,1,1,0\n")
	require.Equal(t, want, evalJSON(t, dir, "S.npy", "d-*.csv", "--loss", "all"))
	saveText(t, dir, "c-3.txt", "1 4\n0:1\n")
	fails(t, dir, 1, `c-3.txt: a shard of float64, the first one, c-1.npz, is of float32`, "eval", "S.npy", "c-*")
	saveCSR(t, dir, "c-3.npz", 1, 4, []int64{0, 1}, []int64{2}, []float32{1})
	fails(t, dir, 1, `c-\*.npz: labels of 6 rows and 4 classes, scores of 5 rows`, "eval", "S.npy", "c-*.npz")
	saveText(t, dir, "d-3.txt", "1 4\n0:1\n")
	fails(t, dir, 1, `d-3.txt: of tables and of sparse matrices or lists`, "eval", "S.npy", "d-*")
	saveText(t, dir, "e-1.svm", "0,3\n1\n")
	saveText(t, dir, "e-2.svm", "2\n3\n9\n")
	fails(t, dir, 1, `e-2.svm: row 2 \(line 3\): label 9`, "eval", "S.npy", "e-*.svm")
	// Class numbers.
	save(t, dir, "t-1.npy", []int{2}, []int64{0, 3})
	save(t, dir, "t-2.npy", []int{3}, []int64{1, 4, 2})
	fails(t, dir, 1, `t-2.npy: row 1 \(row 3 of all shards\): class number 4 of 4`, "eval", "S.npy", "t-*.npy", "--loss", "softmax")
	// Features and the labels before them: as many of each as occur in any shard.
	saveText(t, dir, "x.svm", "0 0:1 1:2\n1 0:2\n2 1:1 2:1\n")
	saveText(t, dir, "x-1.svm", "0 0:1 1:2\n1 0:2\n")
	saveText(t, dir, "x-2.svm", "2 1:1 2:1\n")
	train := func(x string) string {
		stdout, stderr, status := run(t, dir, "train", "--x", x, "--l2", "1", "--json")
		require.Equal(t, 0, status, stderr)
		return objective(stdout)
	}
	require.Equal(t, train("x.svm"), train("x-*.svm"))
}

// TestPositional: scores and labels without flags.
func TestPositional(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 30, 5)
	require.Equal(t, evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy"), evalJSON(t, dir, "S.npy", "Y.npy"))
	require.Equal(t, evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy"), evalJSON(t, dir, "S.npy", "--labels", "Y.npy"))
	fails(t, dir, 2, `unexpected argument "M.npy"; see zlpr eval --help; quote a pattern: 'scores-\*.npy'`, "eval", "S.npy", "Y.npy", "M.npy")
	fails(t, dir, 2, `--scores is given twice: as the argument "S.npy" and by the flag`, "eval", "S.npy", "Y.npy", "--scores", "S.npy")
	fails(t, dir, 2, `give both --scores and --labels: S.npy is alone`, "eval", "S.npy")
	fails(t, dir, 2, `--scores: the name of a file is empty`, "eval", "", "Y.npy")
	fails(t, dir, 2, `--labels and --grad are the same file, Y.npy`, "eval", "S.npy", "Y.npy", "--grad", "Y.npy")
}

// TestCompletion: words of lists, names of arrays in files of several, files of
// lists.
func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	complete := func(args ...string) []string {
		t.Helper()
		stdout, _, status := run(t, dir, append([]string{"__completeNoDesc"}, args...)...)
		require.Equal(t, 0, status)
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		return lines[:len(lines)-1] // the last one is for the shell
	}
	saveCSR(t, dir, "dump.npz", 1, 2, []int64{0, 1}, []int64{1}, []float32{1})
	require.Equal(t, []string{"bce"}, complete("eval", "--loss", "b"))
	require.Equal(t, []string{"zlpr,bce"}, complete("eval", "--loss", "zlpr,b"))
	require.Equal(t, []string{"zlpr,zlpr-soft"}, complete("eval", "--loss", "zlpr,z"))
	require.Equal(t, []string{"micro_f1,lrap"}, complete("eval", "--metrics", "micro_f1,lr"))
	require.Equal(t, []string{"dump.npz:indptr", "dump.npz:indices"}, complete("eval", "dump.npz:ind"))
	require.Contains(t, complete("eval", "--labels", "dump.npz"), "dump.npz:shape")
	require.Equal(t, []string{"a,dump.npz"}, complete("train", "--x-csr", "a,du"))
	require.Empty(t, complete("eval", "S.npy", "Y.npy", ""))
	require.Equal(t, []string{"mean", "mean-classes"}, complete("eval", "--reduction", "m"))
}
