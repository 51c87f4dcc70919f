//go:build unix

package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

// TestUnreadable reads a file that may not be read.
func TestUnreadable(t *testing.T) {
	// Not t.TempDir, whose parent other users may not enter.
	dir, err := os.MkdirTemp("", "zlpr")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	example[float32](t, dir, 3, 4)
	require.NoError(t, os.Chmod(filepath.Join(dir, "S.npy"), 0))
	require.NoError(t, os.Chmod(dir, 0o755))
	cmd := exec.Command(binary, "eval", "--scores", "S.npy", "--labels", "Y.npy")
	if os.Getuid() == 0 { // whom nothing is forbidden
		require.NoError(t, os.Chmod(filepath.Dir(binary), 0o755))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	_, stderr, status := runCommand(t, dir, cmd)
	require.Equal(t, 1, status)
	require.Equal(t, "zlpr: S.npy: permission denied\n", stderr)
}

// TestFullDisk writes a gradient to a file system without room.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("SKIPPED: a small file system needs root on Linux")
	}
	dir := t.TempDir()
	example[float32](t, dir, 300, 200)
	small := filepath.Join(dir, "small")
	require.NoError(t, os.Mkdir(small, 0o755))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: mount: %v: %s", err, out)
	}
	defer func() { require.NoError(t, exec.Command("umount", small).Run()) }()
	must(t, dir, "eval", "S.npy", "Y.npy", "--partial", "p.zlpr") // with areas: longer than there is room
	must(t, dir, "scan", "S.npy", "Y.npy", "--out", "s.zlpr")
	for output, args := range map[string][]string{
		"small/G.npy":  {"eval", "S.npy", "Y.npy", "--grad", "small/G.npy"},
		"small/p.zlpr": {"eval", "S.npy", "Y.npy", "--partial", "small/p.zlpr"},
		"small/m.zlpr": {"merge", "p.zlpr", "--out", "small/m.zlpr"},
	} {
		_, stderr, status := run(t, dir, args...)
		require.Equal(t, 1, status)
		require.Equal(t, "zlpr: "+output+": no space left on device\n", stderr)
		require.Empty(t, list(t, small))
	}
	filler := strings.Repeat("x", 64<<10)
	require.NoError(t, os.WriteFile(filepath.Join(small, "filler"), []byte(filler), 0o644))
	_, stderr, status := run(t, dir, "merge", "s.zlpr", "--out", "small/s.zlpr")
	require.Equal(t, 1, status)
	require.Equal(t, "zlpr: small/s.zlpr: no space left on device\n", stderr)
	require.Equal(t, []string{"filler"}, list(t, small))
	_, stderr, status = run(t, dir, "calibrate", "S.npy", "Y.npy", "--fit", "none", "--out", "small/c.json")
	require.Equal(t, 1, status)
	require.Equal(t, "zlpr: small/c.json: no space left on device\n", stderr)
	require.Equal(t, []string{"filler"}, list(t, small))
}

// TestInterrupt stops the command in the middle: one line, no output.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	// Takes half a minute, but is in the middle when the temporary file is there.
	zeros(t, dir, "S.npy", array.Float32, 1<<20, 1<<10)
	zeros(t, dir, "Y.npy", array.Uint8, 1<<20, 1<<10)
	cmd := exec.Command(binary, "eval", "--scores", "S.npy", "--labels", "Y.npy", "--loss", "subset-padded", "--k", "500",
		"--metrics", "none", "--grad", "G.npy", "--workers", "1")
	var stderr strings.Builder
	cmd.Dir, cmd.Stderr = dir, &stderr
	require.NoError(t, cmd.Start())
	// The temporary file tells that it has begun.
	require.Eventually(t, func() bool { return len(list(t, dir)) == 3 }, time.Minute, time.Millisecond)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait()
	require.Equal(t, 130, cmd.ProcessState.ExitCode())
	require.Equal(t, "zlpr: interrupted; no output was written\n", stderr.String())
	require.Len(t, list(t, dir), 2)
}

// TestInterruptTraining stops a training that has begun all its outputs.
func TestInterruptTraining(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(3, 3))
	const rows, features, n = 3000, 60, 40
	x, y := make([]float32, rows*features), make([]uint8, rows*n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	for i := range y {
		y[i] = uint8(rng.IntN(2))
	}
	save(t, dir, "X.npy", []int{rows, features}, x)
	save(t, dir, "Y.npy", []int{rows, n}, y)
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		cmd := exec.Command(binary, "train", "--x", "X.npy", "--y", "Y.npy", "--l2", "1e-12", "--tolerance", "1e-99", "--iterations", "100000000",
			"--loss", "subset-padded", "--out", "m.npz", "--plot", "p.svg,p.png", "--test-scores", "t.npz")
		var stdout, stderr strings.Builder
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool { return len(list(t, dir)) == 6 }, time.Minute, time.Millisecond)
		require.NoError(t, cmd.Process.Signal(signal))
		_ = cmd.Wait()
		require.Equal(t, 130, cmd.ProcessState.ExitCode())
		require.Equal(t, "zlpr: interrupted; no output was written\n", stderr.String())
		require.Empty(t, stdout.String())
		require.Equal(t, []string{"X.npy", "Y.npy"}, list(t, dir))
	}
}

const numpyWrites = `
import numpy as np, scipy.sparse as sp
r = np.random.default_rng(1)
s = r.standard_normal((4, 25, 12)).astype(np.float16)
y = (r.random((4, 25, 12)) < 0.2)
np.save('f2.npy', s); np.save('f4.npy', s.astype('f4')); np.save('f8.npy', s.astype('f8')); np.save('be.npy', s.astype('>f4'))
np.save('fortran.npy', np.asfortranarray(s.astype('f4')))
np.savez('a.npz', s=s.astype('f4'), y=y.astype('i8')); np.savez_compressed('b.npz', s=s.astype('f4'), y=y)
for t in ['?', 'u1', 'i1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8', 'f2', 'f4', 'f8']:
    np.save('y_%s.npy' % (t if t != '?' else 'b'), y.astype(t))
flat = y.reshape(100, 12)
m = sp.csr_matrix(flat.astype('f8'))
sp.save_npz('y_csr.npz', m)
m.data[:] = 1; z = m.copy(); z[0, :] = 1; z = sp.csr_matrix(z); z.data[z.indptr[0]:z.indptr[1]] = flat[0]
sp.save_npz('y_zeros.npz', z, compressed=False)
sp.save_npz('y_csc.npz', sp.csc_matrix(flat)); sp.save_npz('y_coo.npz', sp.coo_matrix(flat))
w = sp.csr_matrix(flat.astype('i8')); w.indices = w.indices.astype('i8'); w.indptr = w.indptr.astype('i8'); sp.save_npz('y_csr64.npz', w)
sp.save_npz('y_csr_b.npz', sp.csr_matrix(flat)); m.data[7] = 1e-60; sp.save_npz('y_tiny.npz', m); m.data[7] = np.nan; sp.save_npz('y_nan.npz', m)
x = sp.csr_matrix(np.where(s.reshape(100, 12) > 0, s.reshape(100, 12).astype('f4'), 0))
sp.save_npz('top.npz', x)
`

const numpyReads = `
import numpy as np
s = np.load('f4.npy').astype('f8'); y = np.load('y_u1.npy')
g = np.load('G.npy'); l = np.load('L.npy'); p = np.load('P.npy')
assert g.shape == s.shape and g.dtype == np.float32 and p.dtype == np.uint8 and l.shape == (100,), (g.shape, l.shape)
A = (np.exp(s) * (1 - y)).sum(-1, keepdims=True); B = (np.exp(-s) * y).sum(-1, keepdims=True)
loss = (np.log1p(A) + np.log1p(B)).reshape(-1)
assert np.allclose(l, loss, rtol=1e-5), abs(l - loss).max()
grad = np.where(y == 1, -np.exp(-s) / (1 + B), np.exp(s) / (1 + A)) / 100
assert np.allclose(g, grad, rtol=1e-4, atol=1e-9), abs(g - grad).max()
assert (p == (s > 0)).all()
m = np.load('model.npz'); assert m['W'].shape == (12, 12) and m['b'].shape == (12,)
t = np.load('test.npz'); assert t['scores'].shape == (100, 12) and t['labels'].dtype == np.uint8
`

// TestNumpy exchanges files with numpy and scipy, both ways.
func TestNumpy(t *testing.T) {
	name, dir := python(t), t.TempDir()
	script := func(text string) {
		cmd := exec.Command(name, "-c", text)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	script(numpyWrites)
	want := evalJSON(t, dir, "--scores", "f4.npy", "--labels", "y_u1.npy", "--grad", "G.npy", "--per-row", "L.npy", "--predictions", "P.npy")
	for _, scores := range []string{"f2.npy", "be.npy", "fortran.npy", "a.npz:s", "b.npz:s"} {
		got := evalJSON(t, dir, "--scores", scores, "--labels", "y_u1.npy")
		require.Equal(t, want.Losses, got.Losses, scores)
		require.Equal(t, want.Metrics, got.Metrics, scores)
	}
	labels := []string{"a.npz:y", "b.npz:y", "y_csr.npz", "y_zeros.npz", "y_csr64.npz", "y_csr_b.npz"}
	for _, dtype := range []string{"b", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"} {
		labels = append(labels, "y_"+dtype+".npy")
	}
	for _, y := range labels {
		got := evalJSON(t, dir, "--scores", "f4.npy", "--labels", y)
		require.Equal(t, want.Losses, got.Losses, y)
		require.Equal(t, want.Metrics, got.Metrics, y)
	}
	f8 := evalJSON(t, dir, "--scores", "f8.npy", "--labels", "y_u1.npy")
	require.InEpsilon(t, want.Losses["zlpr"].Mean, f8.Losses["zlpr"].Mean, 1e-6)
	for _, y := range []string{"y_csc.npz", "y_coo.npz"} {
		require.Equal(t, want.Losses, evalJSON(t, dir, "--scores", "f4.npy", "--labels", y).Losses, y)
	}
	fails(t, dir, 1, `y_tiny.npz: row \d+ \(batch \d, position \d+\), column \d+: label \S+ is neither 0 nor 1`, "eval", "--scores", "f4.npy", "--labels", "y_tiny.npz")
	fails(t, dir, 1, `y_nan.npz: row \d+ \(batch \d, position \d+\), column \d+: label is NaN`, "eval", "--scores", "f4.npy", "--labels", "y_nan.npz")
	top := evalJSON(t, dir, "--scores", "top.npz", "--labels", "y_csr.npz", "--loss", "zlpr")
	require.Contains(t, strings.Join(top.Warnings, " "), "without a listed score")
	_, stderr, status := run(t, dir, "train", "--x", "top.npz", "--y", "y_csr.npz", "--l2", "0.1", "--out", "model.npz", "--test-scores", "test.npz")
	require.Equal(t, 0, status, stderr)
	script(numpyReads)
	a, err := array.Open(filepath.Join(dir, "G.npy"))
	require.NoError(t, err)
	require.Equal(t, []int{4, 25, 12}, a.Shape)
}
