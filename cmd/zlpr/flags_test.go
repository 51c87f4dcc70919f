package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFlagsWithoutEffect: a flag that changes nothing is an error that names it
// and says what it goes with.
func TestFlagsWithoutEffect(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 6, 5)
	eval := func(pattern string, args ...string) {
		t.Helper()
		fails(t, dir, 2, pattern, append([]string{"eval", "--scores", "S.npy", "--labels", "Y.npy"}, args...)...)
	}
	fine := func(args ...string) {
		t.Helper()
		_, stderr, status := run(t, dir, append([]string{"eval", "--scores", "S.npy", "--labels", "Y.npy"}, args...)...)
		require.Equal(t, 0, status, stderr)
	}
	eval(`--gamma goes with --loss pairwise; it has no effect here`, "--gamma", "1")
	eval(`--margin goes with --loss pairwise`, "--margin", "0", "--loss", "bce,zlpr")
	eval(`--focal goes with --loss bce`, "--focal", "2")
	eval(`--pos-weight goes with --loss bce`, "--pos-weight", "2")
	eval(`--k goes with --loss subset-padded`, "--k", "2", "--loss", "subset")
	eval(`--top-negatives goes with --loss zlpr, pairwise, bce`, "--top-negatives", "2", "--loss", "subset")
	eval(`--reduction goes with --grad`, "--reduction", "sum")
	eval(`--s0 goes with --loss zlpr, .* or metrics of predicted classes`, "--s0", "1", "--loss", "pairwise", "--metrics", "lrap,micro_auc")
	eval(`--predict-threshold goes with metrics`, "--predict-threshold", "1", "--metrics", "none")
	eval(`--predict-threshold goes with metrics`, "--predict-threshold", "1", "--loss", "softmax")
	eval(`--predict-top goes with metrics`, "--predict-top", "1", "--metrics", "ndcg_at_2")
	eval(`--threshold-column goes with --loss`, "--threshold-column", "1", "--loss", "pairwise")
	fine("--loss", "all", "--gamma", "2", "--focal", "1", "--k", "3", "--top-negatives", "2", "--metrics", "none", "--workers", "1")
	fine("--s0", "1", "--loss", "pairwise")
	fine("--s0", "1", "--loss", "pairwise", "--metrics", "none", "--plot", "p.svg")
	fine("--predict-top", "2", "--predict-threshold", "1", "--predictions", "P.npy", "--metrics", "none")
	for _, flag := range []string{"mask", "lengths", "row-weights", "class-weights"} {
		fails(t, dir, 2, `--`+flag+` goes with --scores`, "eval", "--"+flag, "Y.npy")
	}
	fails(t, dir, 2, `--s0 goes with --padded`, "sample", "--k", "1", "--s0", "0")
	fails(t, dir, 2, `--padded goes with --law subset`, "sample", "--k", "1", "--padded", "--law", "plackett-luce")
	fails(t, dir, 2, `--split goes with --x or --x-csr`, "train", "--split", "Y.npy")
	fails(t, dir, 2, `--source goes with training without --x`, "train", "--source", ".", "--x", "S.npy", "--y", "Y.npy")
	fails(t, dir, 2, `--k goes with --loss subset-padded`, "train", "--k", "2")
}

// TestFlagNames: what is misspelt, and names of files that are empty.
func TestFlagNames(t *testing.T) {
	dir := t.TempDir()
	fails(t, dir, 2, `unknown command "evla" \(did you mean eval\?\)`, "evla")
	fails(t, dir, 2, `unknown command "evla" \(did you mean eval\?\)`, "evla", "S.npy", "--loss", "zlpr")
	fails(t, dir, 2, `unknown command "prdict" \(did you mean predict\?\)`, "help", "prdict")
	fails(t, dir, 2, `unknown flag: --score \(did you mean --scores\?\)`, "eval", "--score", "S.npy")
	fails(t, dir, 2, `unknown flag: --frobnicate; see`, "eval", "--frobnicate")
	fails(t, dir, 2, `-:… is taken for a flag: name an array of standard input by one, as in --scores -:NAME`, "eval", "-:a", "Y.npy")
	fails(t, dir, 2, `unknown loss "zlrp"; choose from .* \(did you mean zlpr\?\)`, "eval", "--loss", "zlrp")
	fails(t, dir, 2, `unknown loss "sofmax"; choose from .* \(did you mean softmax\?\)`, "train", "--loss", "sofmax")
	fails(t, dir, 2, `unknown metric "micro_f" \(did you mean micro_f1\?\)`, "eval", "--metrics", "micro_f")
	fails(t, dir, 2, `--law "plakett-luce": .* \(did you mean plackett-luce\?\)`, "sample", "--k", "1", "--law", "plakett-luce")
	fails(t, dir, 2, `--s0: invalid argument "x"; give a number`, "eval", "--s0", "x")
	fails(t, dir, 2, `--workers: invalid argument "1.5"; give an integer`, "eval", "--workers", "1.5")
	fails(t, dir, 2, `--plot: the value is missing`, "eval", "--plot")
	for _, args := range [][]string{{"eval", "--scores", "", "--labels", ""}, {"eval", "--mask="}, {"eval", "--plot", ""}, {"eval", "--plot", "a.svg,"},
		{"eval", "--grad", ""}, {"eval", "--loss", "bce", "--pos-weight", ""}, {"train", "--x-csr", "a.npy,,b.npy"}, {"train", "--source", ""},
		{"predict", "--model", ""}, {"sample", "--k", "1", "--out", ""}, {"compare", "--data", ""}, {"compare", "--data", ".", "--sets", "a,"}} {
		fails(t, dir, 2, `the name of a file is empty`, args...)
	}
	for _, args := range [][]string{{"eval", "--grad", "-"}, {"eval", "--partial", "-"}, {"eval", "--plot", "a.svg,-"}, {"eval", "--html", "-"},
		{"predict", "--scores", "S.npy", "--out", "-"}, {"predict", "--scores", "S.npy", "--to", "npz", "--out", "-:x"}, {"scan", "S.npy", "Y.npy", "--out", "-"},
		{"convert", "S.npy", "-"}, {"convert", "S.npy", "-", "--to", "csv"}, {"tune", "S.npy", "Y.npy", "--html", "-"}, {"sample", "--k", "1", "--out", "-"}} {
		fails(t, dir, 2, `- is standard input, and no file to write; for a file of that name write ./-`, args...)
	}
}

// TestSameFiles: an output that is an input, another output or standard output,
// by any path, is refused before anything is read: the inputs are pipes that
// nobody writes to.
func TestSameFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: no pipes with names")
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	for _, name := range []string{"S.npy", "Y.npy", "m.npz"} {
		require.NoError(t, exec.Command("mkfifo", filepath.Join(dir, name)).Run())
	}
	for link, name := range map[string]string{"soft.npy": "S.npy", "again.npy": "soft.npy", "to": "sub"} {
		require.NoError(t, os.Symlink(name, filepath.Join(dir, link)))
	}
	require.NoError(t, os.Link(filepath.Join(dir, "S.npy"), filepath.Join(dir, "hard.npy")))
	eval := []string{"eval", "--scores", "S.npy", "--labels", "Y.npy"}
	for _, output := range []string{"S.npy", "./S.npy", "sub/../S.npy", "to/../S.npy", "soft.npy", "again.npy", "hard.npy", filepath.Join(dir, "Y.npy")} {
		fails(t, dir, 2, `are the same file`, append(eval, "--grad", output)...)
		fails(t, dir, 2, `are the same file`, append(eval, "--per-row", output)...)
	}
	fails(t, dir, 2, `--grad and --per-row are the same file, to/L.npy`, append(eval, "--grad", "sub/L.npy", "--per-row", "to/L.npy")...)
	fails(t, dir, 2, `--plot and --plot are the same file`, append(eval, "--plot", "p.svg,to/../p.svg")...)
	fails(t, dir, 2, `--x and --out are the same file`, "predict", "--model", "m.npz", "--x", "S.npy", "--out", "hard.npy")
	fails(t, dir, 2, `--x-csr and --out are the same file`, "predict", "--model", "m.npz", "--x-csr", "a.npy,b.npy,soft.npy", "--out", "S.npy")
	fails(t, dir, 2, `--scores and --out are the same file`, "sample", "--scores", "hard.npy", "--k", "1", "--out", "S.npy")
	fails(t, dir, 2, `--x and --out are the same file`, "train", "--x", "m.npz:x", "--y", "Y.npy", "--out", "m.npz")

	out, err := os.Create(filepath.Join(dir, "out.npy"))
	require.NoError(t, err)
	defer out.Close()
	cmd := exec.Command(binary, append(eval, "--grad", "out.npy")...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, &stderr
	require.Error(t, cmd.Run())
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	require.Regexp(t, `standard output and --grad are the same file`, stderr.String())
}

// TestStandardOutput: a full disk behind standard output is an error of every
// command, and leaves no output.
func TestStandardOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	defer full.Close()
	dir := t.TempDir()
	example[float32](t, dir, 6, 5)
	set := filepath.Join(dir, "sets", "one")
	require.NoError(t, os.MkdirAll(set, 0o755))
	save(t, set, "X.npy", []int{4, 1}, []float32{1, 2, 3, 4})
	save(t, set, "Y.npy", []int{4, 2}, []uint8{1, 0, 0, 1, 1, 0, 0, 1})
	save(t, set, "split.npy", []int{4}, []uint8{0, 0, 0, 1})
	before := list(t, dir)
	for _, args := range []string{"eval", "eval --json", "eval --help", "--help", "--version", "version", "version --json", "completion bash", "help train",
		"eval --scores S.npy --labels Y.npy --grad G.npy --per-row L.npy --predictions P.npy --plot p.svg,p.png",
		"train --x S.npy --y Y.npy --l2 1 --out m.npz --test-scores t.npz --plot p.svg", "train --x S.npy --y Y.npy --l2 1 --json --out m.npz",
		"sample --k 2", "compare --data sets --l2 1", "compare --data sets --l2 1 --json"} {
		cmd := exec.Command(binary, strings.Fields(args)...)
		var stderr bytes.Buffer
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, full, &stderr
		require.Error(t, cmd.Run(), args)
		require.Equal(t, 1, cmd.ProcessState.ExitCode(), args)
		require.Equal(t, "zlpr: standard output: no space left on device\n", stderr.String(), args)
		require.Equal(t, before, list(t, dir), args)
	}
	// A pipe that nobody reads any more.
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	cmd := exec.Command(binary, "eval", "--scores", "S.npy", "--labels", "Y.npy", "--grad", "G.npy")
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, w, &stderr
	require.Error(t, cmd.Run())
	require.NoError(t, w.Close())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Equal(t, "zlpr: standard output: broken pipe\n", stderr.String())
	require.Equal(t, before, list(t, dir))
}
