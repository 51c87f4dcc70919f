package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestErrors runs the command on what is wrong.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	_, y, _ := example[float32](t, dir, 6, 5)
	eval := func(status int, pattern string, args ...string) {
		t.Helper()
		fails(t, dir, status, pattern, append([]string{"eval", "--grad", "G.npy", "--predictions", "P.npy"}, args...)...)
	}
	sy := []string{"--scores", "S.npy", "--labels", "Y.npy"}
	with := func(args ...string) []string { return append(append([]string{}, sy...), args...) }

	save(t, dir, "Y3.npy", []int{6, 4}, make([]uint8, 24))
	eval(1, `Y3.npy: labels of shape 6×4, scores of shape 6×5; labels must`, "--scores", "S.npy", "--labels", "Y3.npy")

	f := make([]float32, 30)
	f[17] = float32(math.NaN())
	save(t, dir, "NaN.npy", []int{6, 5}, f)
	eval(1, `NaN.npy: row 3, column 2: label is NaN; write 0 or 1`, "--scores", "S.npy", "--labels", "NaN.npy")
	eval(1, `NaN.npy: row 3, column 2: score`, "--scores", "NaN.npy", "--labels", "Y.npy", "--strict")
	eval(1, `NaN.npy: row 3, column 2: score is NaN`, "--scores", "NaN.npy", "--labels", "Y.npy")

	two := append([]uint8{}, y...)
	two[29] = 2
	save(t, dir, "two.npy", []int{6, 5}, two)
	eval(1, `two.npy: row 5, column 4: label \S+ is neither 0 nor 1`, "--scores", "S.npy", "--labels", "two.npy")
	eval(1, `two.npy: row 5, column 4: mask value 2 is neither 0 nor 1`, with("--mask", "two.npy")...)

	none := make([]uint8, 30)
	all := bytes.Repeat([]byte{1}, 30)
	save(t, dir, "none.npy", []int{6, 5}, none)
	save(t, dir, "all.npy", []int{6, 5}, all)
	eval(1, `all.npy: row 0, column 0: positive label on a class that is masked out; set`, "--scores", "S.npy", "--labels", "all.npy", "--mask", "none.npy", "--reduction", "sum")
	eval(1, `mean over no rows|no row counts`, "--scores", "S.npy", "--labels", "none.npy", "--mask", "none.npy")

	raw, err := os.ReadFile(filepath.Join(dir, "S.npy"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cut.npy"), raw[:len(raw)-3], 0o644))
	eval(1, `cut.npy: truncated: .* 120 bytes, but only 117 are there`, "--scores", "cut.npy", "--labels", "Y.npy")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text.npy"), []byte("hello"), 0o644))
	eval(1, `text.npy: not an .npy file`, "--scores", "text.npy", "--labels", "Y.npy")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text.npz"), []byte("hello"), 0o644))
	eval(1, `text.npz: not an .npz file`, "--scores", "text.npz:a", "--labels", "Y.npy")
	eval(1, `Y.npy: scores of type uint8; .* exchanged`, "--scores", "Y.npy", "--labels", "S.npy")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "complex.npy"), bytes.Replace(raw, []byte("<f4"), []byte("<c8"), 1), 0o644))
	eval(1, `complex.npy: array type <c8 is not supported`, "--scores", "complex.npy", "--labels", "Y.npy")
	eval(1, `nothing.npy: no such file`, "--scores", "nothing.npy", "--labels", "Y.npy")
	eval(1, `is a directory`, "--scores", ".", "--labels", "Y.npy")

	save(t, dir, "empty.npy", []int{0, 5}, []float32{})
	save(t, dir, "emptyY.npy", []int{0, 5}, []uint8{})
	eval(1, `empty.npy: empty: 0 rows of 5 classes`, "--scores", "empty.npy", "--labels", "emptyY.npy")
	save(t, dir, "weights.npy", []int{6}, []float64{1, 1, -1, 1, 1, 1})
	eval(1, `weights.npy: row 2: weight -1`, with("--row-weights", "weights.npy")...)
	eval(1, `weights.npy: 6 class weights, but 5 are needed`, with("--class-weights", "weights.npy")...)
	save(t, dir, "lengths.npy", []int{6}, []int32{1, 2, 3, 9, 1, 1})
	eval(1, `lengths.npy: row 3: length 9 is not in 0..5`, with("--lengths", "lengths.npy")...)
	eval(1, `--k 6 is more than the 5 classes`, with("--loss", "subset-padded", "--k", "6")...)
	save(t, dir, "all2.npy", []int{6, 5}, all)
	eval(1, `all2.npy: row 0: .*softmax`, "--scores", "S.npy", "--labels", "all2.npy", "--loss", "softmax")
	eval(1, `all2.npy: row 0: .*; raise --k`, "--scores", "S.npy", "--labels", "all2.npy", "--loss", "subset-padded", "--k", "2")

	eval(2, `unknown loss "zlrp"; choose from`, with("--loss", "zlrp")...)
	eval(2, `unknown metric "f1"`, with("--metrics", "f1")...)
	eval(2, `need one loss`, with("--loss", "zlpr,bce")...)
	eval(2, `both --scores and --labels`, "--scores", "S.npy")
	eval(2, `--reduction "avg"`, with("--reduction", "avg")...)
	eval(2, `must end in .svg or .png`, with("--plot", "x.gif")...)
	eval(2, `unknown flag: --frobnicate`, with("--frobnicate")...)
	eval(2, `invalid argument "x"`, with("--s0", "x")...)
	eval(2, `same file`, with("--per-row", "G.npy")...)
	fails(t, dir, 2, `unknown command "evaluate"`, "evaluate")
	fails(t, dir, 2, `unexpected argument "x"`, "version", "x")
	fails(t, dir, 2, `unknown loss "zlpr-soft"`, "train", "--loss", "zlpr-soft")
	fails(t, dir, 2, `by --y`, "train", "--x", "S.npy")
	fails(t, dir, 1, `Y3.npy: 6 features, the model|no array|not an .npz`, "predict", "--model", "text.npz", "--x", "S.npy", "--out", "P.npy")
	fails(t, dir, 1, `--k 6 is more than the 5 classes`, "sample", "--scores", "S.npy", "--k", "6")
	fails(t, dir, 2, `--k`, "sample", "--scores", "S.npy")
	fails(t, dir, 1, `nowhere/L.npy: no such file`, append([]string{"eval", "--per-row", "nowhere/L.npy"}, sy...)...)
}

// TestErrorsByPlace: errors name the flag, or the file and the place in it.
func TestErrorsByPlace(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 6, 5)
	eval := func(status int, pattern string, args ...string) {
		t.Helper()
		fails(t, dir, status, pattern, append([]string{"eval", "--scores", "S.npy", "--labels", "Y.npy", "--grad", "G.npy", "--plot", "p.svg"}, args...)...)
	}
	// Weights, of which the library sees only their sum.
	save(t, dir, "nan.npy", []int{6}, []float64{1, 1, math.NaN(), 1, 1, 1})
	save(t, dir, "zero.npy", []int{6}, make([]float64, 6))
	save(t, dir, "minus.npy", []int{5}, []float64{1, 1, 1, -2, 1})
	eval(1, `nan.npy: row 2: weight NaN is not finite`, "--row-weights", "nan.npy")
	eval(1, `S.npy: no row counts for zlpr: all are`, "--row-weights", "zero.npy")
	eval(1, `S.npy: no row counts for zlpr: all are`, "--row-weights", "zero.npy", "--reduction", "sum")
	eval(1, `minus.npy: class 3: weight -2 is not finite and at least 0`, "--class-weights", "minus.npy")
	eval(1, `minus.npy: class 3: weight -2 is not finite and at least 0`, "--loss", "bce", "--pos-weight", "minus.npy")
	eval(2, `--pos-weight -1: a number of at least 0, or a file`, "--loss", "bce", "--pos-weight", "-1")
	// Numbers that are none.
	eval(2, `--s0 NaN: a finite number`, "--s0", "nan")
	eval(2, `--margin \+Inf: a finite number`, "--margin", "inf")
	eval(2, `--predict-threshold NaN: a number`, "--predict-threshold", "nan")
	eval(2, `--gamma 0: a number above 0`, "--gamma", "0")
	eval(2, `--focal -1: a number of at least 0`, "--focal", "-1")
	// Soft labels, by their place.
	soft := make([]float32, 30)
	soft[13] = 0.5
	save(t, dir, "soft.npy", []int{6, 5}, soft)
	eval(1, `soft.npy: row 2, column 3: label 0.5 is soft, which --loss zlpr does not take; .* --loss zlpr-soft`, "--labels", "soft.npy")
	soft[14] = 1.5
	save(t, dir, "soft.npy", []int{6, 5}, soft)
	eval(1, `soft.npy: row 2, column 4: soft label 1.5 is not in \[0, 1\]`, "--labels", "soft.npy", "--loss", "zlpr-soft")
	soft[13] = 0
	save(t, dir, "soft.npy", []int{6, 5}, soft)
	eval(1, `soft.npy: row 2, column 4: label \S+ is neither 0 nor 1`, "--labels", "soft.npy")
	// A NaN score is an error of the metrics, which are on by default.
	scores := make([]float32, 30)
	scores[7] = float32(math.NaN())
	save(t, dir, "NaN.npy", []int{6, 5}, scores)
	eval(1, `NaN.npy: row 1, column 2: score is NaN; .*--metrics none`, "--scores", "NaN.npy")
	eval(1, `NaN.npy: row 1, column 2: score is NaN; .*--strict`, "--scores", "NaN.npy", "--strict")
	eval(2, `--plot and --plot are the same file`, "--plot", "p.svg,./p.svg")

	// Nothing to draw from, or too little.
	inf := float32(math.Inf(1))
	save(t, dir, "I.npy", []int{2, 3}, []float32{1, -inf, -inf, inf, inf, 0})
	sample := func(status int, pattern string, args ...string) {
		t.Helper()
		fails(t, dir, status, pattern, append([]string{"sample", "--scores", "I.npy", "--out", "D.npy"}, args...)...)
	}
	sample(1, `I.npy: row 0: above -Inf: 1 score, too few for 2 classes`, "--k", "2")
	sample(1, `I.npy: row 1: \+Inf: 2 scores, a subset has 1 class`, "--k", "1")
	sample(1, `I.npy: row 1, column 0: score is \+Inf; .*--law subset`, "--k", "1", "--law", "plackett-luce")
	sample(2, `--s0 NaN: a finite number`, "--k", "1", "--padded", "--s0", "nan")
	sample(2, `--s0 goes with --padded`, "--k", "1", "--s0", "1")
	save(t, dir, "empty.npy", []int{0, 3}, []float32{})
	sample(1, `empty.npy: empty: 0 rows of 3 classes`, "--k", "1", "--scores", "empty.npy")

	// Train names the rows of the files, and makes all outputs or none.
	train := func(status int, pattern string, args ...string) {
		t.Helper()
		fails(t, dir, status, pattern, append([]string{"train", "--x", "S.npy", "--y", "Y.npy", "--l2", "1", "--plot", "p.svg"}, args...)...)
	}
	one := []uint8{1, 1, 0, 0, 0 /* a test row */, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0}
	save(t, dir, "one.npy", []int{6, 5}, one)
	save(t, dir, "split.npy", []int{6}, []uint8{1, 0, 0, 0, 0, 0})
	train(1, `one.npy: row 2: more than one positive label`, "--y", "one.npy", "--split", "split.npy", "--loss", "softmax")
	train(1, `nowhere/m.npz: no such file`, "--out", "nowhere/m.npz")
	train(2, `--out and --test-scores are the same file`, "--out", "m.npz", "--test-scores", "./m.npz")
	save(t, dir, "large.npy", []int{6, 2}, []float64{1, 2, 3, 1e200, 5, 6, 7, 8, 9, 10, 11, 12})
	train(1, `large.npy: row 1, column 1: feature is 1e\+200, above 1e\+100`, "--x", "large.npy")

	fails(t, dir, 2, `unknown command "evaluate"`, "help", "evaluate")
	fails(t, dir, 2, `unexpected argument "tcsh"`, "completion", "tcsh")
	fails(t, dir, 2, `--data`, "compare")
}

// TestPlaces: a row of several axes is told by its place on these, a span by
// start and end.
func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	shape := []int{2, 3, 4, 4}
	scores, labels := make([]float32, 96), make([]uint8, 96)
	for i := range scores {
		scores[i] = float32(i%7) - 3
	}
	scores[64+16+6], labels[64+16+6] = float32(math.NaN()), 2 // batch 1, second of its three, span 1 to 2
	save(t, dir, "S.npy", shape, scores)
	save(t, dir, "Y.npy", shape, labels)
	save(t, dir, "zeros.npy", shape, make([]uint8, 96))
	save(t, dir, "N.npy", []int{2}, []int64{4, 4})
	fails(t, dir, 1, `Y.npy: row 21 \(index 1,2,1\), column 2: label 2 is neither 0 nor 1; labels are 0 or 1; class numbers are`,
		"eval", "--scores", "S.npy", "--labels", "Y.npy")
	fails(t, dir, 1, `S.npy: row 5 \(batch 1, head 2\), column 6 \(start 1, end 2\): score is NaN; mend the score`,
		"eval", "--scores", "S.npy", "--labels", "zeros.npy", "--lengths", "N.npy")
	save(t, dir, "S3.npy", []int{2, 12, 4}, scores)
	save(t, dir, "zeros3.npy", []int{2, 12, 4}, make([]uint8, 96))
	fails(t, dir, 1, `S3.npy: row 21 \(batch 1, position 9\), column 2: score is NaN`, "eval", "--scores", "S3.npy", "--labels", "zeros3.npy")
	fails(t, dir, 1, `S3.npy: row 21 \(batch 1, position 9\), column 2: score is NaN; mend`, "sample", "--scores", "S3.npy", "--k", "1")

	save(t, dir, "s.npy", []int{3, 4}, make([]float32, 12))
	for target, hint := range map[int64]string{-100: `-1 leaves a row out, --ignore-index=-100`, 4: `counted from 0`, 1 << 40: ``} {
		save(t, dir, "T.npy", []int{3}, []int64{0, 1, target})
		fails(t, dir, 1, `T.npy: row 2: .*`+strconv.FormatInt(target, 10)+`.*`+hint, "eval", "--scores", "s.npy", "--labels", "T.npy", "--loss", "softmax")
	}
	// Rows that are too light for the gradient of a mean.
	save(t, dir, "w.npy", []int{3}, []float64{5e-324, 5e-324, 5e-324})
	save(t, dir, "T.npy", []int{3}, []int64{0, 1, 2})
	fails(t, dir, 1, `w.npy: the weights add up to .*; scale the weights`, "eval", "--scores", "s.npy", "--labels", "T.npy", "--row-weights", "w.npy", "--grad", "G.npy")
	r := evalJSON(t, dir, "--scores", "s.npy", "--labels", "T.npy", "--row-weights", "w.npy", "--metrics", "none")
	require.InDelta(t, math.Log(4)+math.Log(2), r.Losses["zlpr"].Mean, 1e-12)
}
