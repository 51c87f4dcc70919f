//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/atomicfile"
)

// zeros writes an array of zeros that takes no room on the disk.
func zeros(t *testing.T, dir, name string, dtype array.DType, shape ...int) {
	t.Helper()
	f, err := atomicfile.Create(filepath.Join(dir, name))
	require.NoError(t, err)
	_, err = array.NewWriter(f, dtype, shape, 1)
	require.NoError(t, err)
	require.NoError(t, atomicfile.Commit(f))
}

// TestSignals sends a signal to the command in all that it may be about: it ends
// with status 130, one line and no output. It prints how long that took, which
// is to be below 0.2 s where the system is not busy giving back memory (a third
// of a millisecond a MiB on some):
//
//	go test -v -run TestSignals ./cmd/zlpr
func TestSignals(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 30, 5)
	rng := rand.New(rand.NewPCG(1, 1))
	features, labels := make([]float32, 2000*50), make([]uint8, 2000*40)
	for i := range features {
		features[i] = float32(rng.NormFloat64())
	}
	for i := range labels {
		labels[i] = uint8(rng.IntN(2))
	}
	save(t, dir, "X.npy", []int{2000, 50}, features)
	save(t, dir, "L.npy", []int{2000, 40}, labels)
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "pipe.npy"), 0o644))
	line := strings.TrimSuffix(strings.Repeat("0.5,", 1000), ",") + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "long.csv"), []byte(strings.Repeat(line, 20000)), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "long.svm"), []byte(strings.Repeat("0,1 0:1 1:2 2:3 3:0.5\n", 4000000)), 0o644))
	zeros(t, dir, "wide.npy", array.Float32, 1, 1<<26)
	zeros(t, dir, "wideY.npy", array.Uint8, 1, 1<<26)
	zeros(t, dir, "row.npy", array.Float32, 1, 1<<23)
	zeros(t, dir, "many.npy", array.Float32, 1<<20, 1<<10)
	zeros(t, dir, "manyY.npy", array.Uint8, 1<<20, 1<<10)
	ones := make([]uint8, 1<<24)
	for i := range ones {
		ones[i] = 1
	}
	save(t, dir, "manyY1.npy", []int{1 << 14, 1 << 10}, ones)
	zeros(t, dir, "part-1.npy", array.Float32, 1<<19, 1<<10)
	zeros(t, dir, "part-2.npy", array.Float32, 1<<19, 1<<10)
	require.NoError(t, os.Link(filepath.Join(dir, "S.npy"), filepath.Join(dir, "pipe-1.npy")))
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "pipe-2.npy"), 0o644))
	zeros(t, dir, "floatY.npy", array.Float64, 1<<20, 1<<10)
	zeros(t, dir, "fortran.npy", array.Float64, 1<<20, 1<<10)
	_, stderr, status := run(t, dir, "train", "--x", "X.npy", "--y", "L.npy", "--l2", "1", "--iterations", "1", "--out", "model.npz")
	require.Equal(t, 0, status, stderr)
	zeros(t, dir, "many50.npy", array.Float32, 1<<24, 50)
	zeros(t, dir, "many50Y.npy", array.Uint8, 1<<24, 50)
	before := list(t, dir)
	var worst time.Duration
	for _, c := range []struct {
		what string
		args string
	}{
		{"opening a pipe of scores", "eval --scores pipe.npy --labels Y.npy --grad G.npy"},
		{"opening a pipe of labels", "eval --scores S.npy --labels pipe.npy"},
		{"opening a pipe of weights", "eval --scores S.npy --labels Y.npy --row-weights pipe.npy"},
		{"opening a pipe of features", "train --x pipe.npy --y Y.npy --out m.npz --plot p.svg"},
		{"opening a pipe of a split", "train --x S.npy --y Y.npy --split pipe.npy --out m.npz"},
		{"opening a pipe of a model's features", "predict --model model.npz --x pipe.npy --out P.npy"},
		{"opening a pipe to tune on", "tune S.npy pipe.npy --out t.json"},
		{"tuning", "tune many.npy manyY.npy --per-class --out t.json --curve c.csv"},
		{"opening a pipe of thresholds", "eval S.npy Y.npy --thresholds pipe.npy --by-class c.csv"},
		{"opening a pipe of names", "eval S.npy Y.npy --names pipe.npy --by-class c.csv"},
		{"opening a pipe to draw from", "sample --scores pipe.npy --k 2 --out D.npy"},
		{"reading CSV", "eval --scores long.csv --labels Y.npy"},
		{"reading text", "train --x long.svm --out m.npz"},
		{"looking for soft labels", "eval --scores many.npy --labels floatY.npy"},
		{"scanning labels", "eval --scores many.npy --labels manyY.npy --loss all --metrics none"},
		{"evaluating", "eval --scores many.npy --labels manyY.npy --loss subset-padded --k 500 --metrics none --grad G.npy --predictions P.npy --per-row L2.npy"},
		{"one long row", "eval --scores wide.npy --labels wideY.npy --loss subset-padded --k 100000 --metrics none --grad G.npy"},
		{"evaluating a part", "eval many.npy manyY.npy --loss subset-padded --k 500 --metrics none --partial p.zlpr"},
		{"scanning labels for all", "scan many.npy manyY.npy --out s.zlpr"},
		{"opening a pipe to merge", "merge pipe.npy --out m.zlpr"},
		{"drawing", "sample --k 50 --draws 1000000000 --out D.npy"},
		{"one long row to draw from", "sample --scores row.npy --k 100000 --out D.npy"},
		{"printing draws", "sample --k 50 --draws 1000000000"},
		{"training", "train --x X.npy --y L.npy --l2 1e-12 --tolerance 1e-99 --iterations 100000000 --loss subset-padded --out m.npz --test-scores t.npz --plot p.svg"},
		{"reading Go's source", "train --out m.npz --l2 1e-12 --tolerance 1e-99"},
		{"evaluating shards", "eval part-*.npy manyY.npy --loss subset-padded --k 500 --metrics none --grad G.npy"},
		{"opening a pipe of a shard", "eval pipe-*.npy Y.npy --grad G.npy"},
		{"predicting by scores", "predict --scores many.npy --as probabilities --top 3 --out P.npz"},
		{"predicting by one long row", "predict --scores wide.npy --as probabilities --by softmax --out P.csv"},
		{"converting", "convert many.npy P.csv"},
		{"converting labels by columns", "convert manyY1.npy P.npz --to csc"},
		{"converting one long row", "convert wide.npy P.txt --as scores"},
		{"converting text", "convert long.csv P.safetensors"},
		{"drawing from two models", "diff many50.npy many50.npy --labels many50Y.npy --metrics micro_f1 --resamples 10000000"},
		{"calibrating", "calibrate many.npy manyY.npy --fit none --out c.json"},
		{"opening a pipe of a calibration", "predict --scores S.npy --as probabilities --calibration pipe.npy --out P.npy"},
		{"opening a pipe of groups", "diff S.npy S.npy --labels Y.npy --groups pipe.npy"},
		{"predicting", "predict --model model.npz --x many50.npy --out P.npy"},
	} {
		signal := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}[len(c.what)%3]
		took := interruption(t, dir, signal, c.what, strings.Fields(c.args)...)
		worst = max(worst, took)
		t.Logf("%-40s %-10v %5.1f ms", c.what, signal, float64(took.Microseconds())/1000)
		require.Equal(t, before, list(t, dir), c.what)
	}
	t.Logf("at most %.1f ms", float64(worst.Microseconds())/1000)
}

// interruption sends a signal to the command in the middle of what it does, checks
// how it ends and returns how long that took. On a busy machine a signal may come
// before the command listens, or after its end, and all may take long: then it is
// tried again, later or earlier.
func interruption(t *testing.T, dir string, signal os.Signal, what string, args ...string) time.Duration {
	t.Helper()
	before := list(t, dir)
	wait, tried := 120*time.Millisecond, ""
	for range 7 {
		cmd := exec.Command(binary, args...)
		var stderr strings.Builder
		cmd.Dir, cmd.Stderr = dir, &stderr
		require.NoError(t, cmd.Start())
		time.Sleep(wait)
		start := time.Now()
		require.NoError(t, cmd.Process.Signal(signal), what)
		_ = cmd.Wait()
		took := time.Since(start)
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		tried += fmt.Sprintf("after %v: %v, %v later\n", wait, cmd.ProcessState, took)
		switch {
		case status.Signaled(): // before it listened
			require.Equal(t, signal, os.Signal(status.Signal()), what)
			require.Equal(t, before, list(t, dir), what)
			wait *= 2
		case status.ExitStatus() == 0: // at its end
			for _, name := range list(t, dir) {
				if !slices.Contains(before, name) {
					require.NoError(t, os.Remove(filepath.Join(dir, name)))
				}
			}
			wait /= 2
		default:
			require.Equal(t, 130, status.ExitStatus(), "%s: %s", what, stderr.String())
			require.Equal(t, "zlpr: interrupted; no output was written\n", stderr.String(), what)
			require.Equal(t, before, list(t, dir), what)
			if took < 2*time.Second {
				return took
			}
		}
	}
	t.Fatalf("%s: the signal does not end it within two seconds\n%s", what, tried)
	return 0
}
