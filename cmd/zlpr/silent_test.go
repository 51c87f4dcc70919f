package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFlagsAlone: flags that change nothing of what is asked for are errors that
// name them, whatever files they name.
func TestFlagsAlone(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 12, 4)
	save(t, dir, "X.npy", []int{12, 3}, make([]float64, 36))
	must(t, dir, "scan", "S.npy", "Y.npy", "--out", "scan.zlpr")
	eval := func(pattern, flags string) {
		t.Helper()
		fails(t, dir, 2, pattern+`.*; it has no effect here\n$`, append([]string{"eval", "S.npy", "Y.npy"}, strings.Fields(flags)...)...)
	}
	eval(`--scan goes with .*`, "--scan none.zlpr")
	eval(`--scan goes with .*`, "--scan scan.zlpr --loss zlpr,bce --metrics all")
	eval(`--scan goes with .*`, "--scan scan.zlpr --loss subset-padded --k 4")
	eval(`--zero-division goes with .*`, "--zero-division 1 --metrics none --predictions P.npy")
	eval(`--zero-division goes with .*`, "--zero-division 1 --metrics hamming_loss,precision_at_1,lrap")
	fails(t, dir, 2, `--zero-division goes with .*`, "diff", "S.npy", "S.npy", "--labels", "Y.npy", "--zero-division", "1", "--metrics", "hamming_loss")
	for _, flags := range []string{"--loss subset-padded", "--loss distribution-balanced", "--loss all", "--metrics psp_at_1"} {
		must(t, dir, append([]string{"eval", "S.npy", "Y.npy", "--scan", "scan.zlpr"}, strings.Fields(flags)...)...)
	}
	must(t, dir, "eval", "S.npy", "Y.npy", "--zero-division", "1", "--metrics", "samples_jaccard")
	must(t, dir, "eval", "S.npy", "Y.npy", "--zero-division", "1", "--metrics", "none", "--classes", "2")

	for _, flag := range []string{"--by-class=c.csv", "--classes=2", "--names=none.txt", "--html=p.html"} {
		fails(t, dir, 2, `these are scans of labels`, "merge", "scan.zlpr", flag)
		fails(t, dir, 2, `--missing prints what is missing`, "merge", "scan.zlpr", "--missing", "m.json", flag)
	}
	fails(t, dir, 2, `--features goes with --x-csr or text`, "train", "--x", "X.npy", "--y", "Y.npy", "--features", "3")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.svm"), []byte("12 3 4\n"+strings.Repeat("1 0:1 2:1\n", 12)), 0o644))
	fails(t, dir, 1, `x.svm: 3 features, but --features says 5`, "train", "--x", "x.svm", "--features", "5")
	fails(t, dir, 2, `--loss: all stands alone`, "eval", "S.npy", "Y.npy", "--loss", "all,zlpr")
	fails(t, dir, 2, `--metrics: none stands alone`, "eval", "S.npy", "Y.npy", "--metrics", "micro_f1,none")
	fails(t, dir, 2, `unknown loss ""`, "explain", "")
	fails(t, dir, 2, `loss subset: --top-negatives: the loss takes no hard negatives`, "eval", "S.npy", "Y.npy", "--loss", "zlpr,subset", "--top-negatives", "2")
	fails(t, dir, 2, `loss pairwise: --gamma · --margin: \+Inf`, "eval", "S.npy", "Y.npy", "--loss", "pairwise", "--gamma", "1e200", "--margin", "1e200")
	fails(t, dir, 2, `--focal and --pos-weight exclude --teacher`, "eval", "S.npy", "Y.npy", "--loss", "bce", "--teacher", "S.npy", "--focal", "2")
}

// TestReadOnce: what a pipe or standard input has is read once. An option that
// needs it again is an error, and no result is of what a second reading finds.
func TestReadOnce(t *testing.T) {
	if _, err := os.Stat("/dev/fd/0"); err != nil {
		t.Skip("no /dev/fd")
	}
	dir := t.TempDir()
	example[float32](t, dir, 12, 4)
	must(t, dir, "tune", "S.npy", "Y.npy", "--out", "t.json")
	must(t, dir, "scan", "S.npy", "Y.npy", "--out", "scan.zlpr")
	must(t, dir, "eval", "S.npy", "Y.npy", "--partial", "p.zlpr")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "t.csv"), []byte("0.5,-1,0.25,2\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "y.svm"), []byte("0\n1\n"), 0o644))
	// pipe runs the command with the file behind a pipe.
	pipe := func(file, args string) (string, string, int) {
		in, err := os.Open(filepath.Join(dir, file))
		require.NoError(t, err)
		defer in.Close()
		cmd := exec.Command(binary, strings.Fields(args)...)
		cmd.Stdin = struct{ *os.File }{in} // no *os.File: exec makes a pipe
		return runCommand(t, dir, cmd)
	}
	same := func(file, args string) {
		t.Helper()
		want := must(t, dir, strings.Fields(strings.ReplaceAll(args, "FILE", file))...)
		for _, name := range []string{"-", "/dev/stdin"} {
			got, stderr, status := pipe(file, strings.ReplaceAll(args, "FILE", name))
			require.Equal(t, 0, status, stderr)
			if strings.Contains(args, "--json") {
				require.Equal(t, metricsOf(t, want), metricsOf(t, got), args)
			} else {
				require.Equal(t, want, got, args)
			}
		}
	}
	same("t.json", "eval S.npy Y.npy --thresholds FILE --json")
	same("t.csv", "eval S.npy Y.npy --thresholds FILE --json")
	same("t.csv", "eval S.npy Y.npy --predict-threshold FILE --json")
	same("scan.zlpr", "eval S.npy Y.npy --loss subset-padded --scan FILE --json")
	same("scan.zlpr", "merge FILE")
	for file, args := range map[string]string{
		"t.csv":     "eval S.npy Y.npy --partial o.zlpr --class-weights FILE",
		"t.json":    "eval S.npy Y.npy --partial o.zlpr --thresholds FILE",
		"scan.zlpr": "eval S.npy Y.npy --partial o.zlpr --loss subset-padded --scan FILE",
		"y.svm":     "convert FILE o.npy --from libsvm",
	} {
		for _, name := range []string{"-", "/dev/stdin"} {
			_, stderr, status := pipe(file, strings.ReplaceAll(args, "FILE", name))
			require.NotEqual(t, 0, status, args)
			require.Regexp(t, `^zlpr: .*(cannot be read again|can be read only once).*\n$`, stderr)
			require.NoFileExists(t, filepath.Join(dir, "o.zlpr"))
		}
	}
}

// metricsOf is the part of eval's JSON that is the same in all runs.
func metricsOf(t *testing.T, text string) string {
	t.Helper()
	from, to := strings.Index(text, `"losses"`), strings.Index(text, `"warnings"`)
	require.True(t, from >= 0 && to > from, text)
	return text[from:to]
}

// TestAdviceOfCommands: what is to be done about a NaN score is what the command can
// do.
func TestAdviceOfCommands(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := example[float32](t, dir, 12, 4)
	s[9] -= s[9] / 0 * 0 // NaN
	save(t, dir, "N.npy", []int{12, 4}, s)
	for args, advice := range map[string]string{
		"predict --scores N.npy --as classes --out P.npy": `mend the score\n$`,
		"predict --scores N.npy --top 2 --out P.npy":      `mend the score\n$`,
		"sample --scores N.npy --k 2":                     `mend the score\n$`,
		"tune N.npy Y.npy":                                `mend the score, or leave it out by --mask\n$`,
		"calibrate N.npy Y.npy":                           `mend the score, or leave it out by --mask\n$`,
		"diff N.npy S.npy --labels Y.npy":                 `mend the score, leave it out by --mask, or leave metrics out \(--metrics none\)\n$`,
		"eval N.npy Y.npy":                                `mend the score, leave it out by --mask, or leave out what needs it: --strict, metrics and predictions \(--metrics none\)\n$`,
	} {
		fails(t, dir, 1, `N.npy: row 2, column 1: score is NaN; `+advice, strings.Fields(args)...)
	}
}

// TestConvertManifest: a manifest that lists scores or labels alone needs no --as.
func TestConvertManifest(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 12, 4)
	for part, file := range map[string]string{"scores": "S.npy", "labels": "Y.npy"} {
		saveText(t, dir, "m.json", `{"shards": [{"`+part+`": "`+file+`"}]}`)
		must(t, dir, "convert", "m.json", "o.npy")
		want, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(dir, "o.npy"))
		require.NoError(t, err)
		require.Equal(t, want, got, part)
	}
}
