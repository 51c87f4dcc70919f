//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	encoding "encoding/binary"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

// raw16 are float32 as bfloat16, which they are exactly.
func raw16(x ...float32) (b []byte) {
	for _, v := range x {
		b = encoding.LittleEndian.AppendUint16(b, uint16(math.Float32bits(v)>>16))
	}
	return b
}

// TestRawBFloat16: raw elements of two bytes are bfloat16 by a flag, which has
// no effect elsewhere; losses and gradients are those of float32.
func TestRawBFloat16(t *testing.T) {
	dir := t.TempDir()
	x := []float32{0.75, -1.5, 2.5, 0.125, -0.5, 3, 1e-40, float32(math.Inf(-1)), -300}
	for i, v := range x { // subnormal numbers too
		x[i] = math.Float32frombits(math.Float32bits(v) &^ 0xffff)
	}
	write := func(name string, b []byte) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o644))
	}
	raw := npyOf(describe("'<V2'", "3, 3"), raw16(x...))
	write("B.npy", raw)
	write("B.npz", archive(8, "s.npy", string(raw)))
	save(t, dir, "F.npy", []int{3, 3}, x)
	save(t, dir, "Y.npy", []int{3, 3}, []uint8{1, 0, 0, 0, 1, 1, 0, 0, 1})
	args := func(scores, grad string, flags ...string) []string {
		return append([]string{"--scores", scores, "--labels", "Y.npy", "--metrics", "all", "--grad", grad}, flags...)
	}
	want := evalJSON(t, dir, args("F.npy", "F_grad.npy")...)
	grad, err := os.ReadFile(filepath.Join(dir, "F_grad.npy"))
	require.NoError(t, err)
	for _, name := range []string{"B.npy", "B.npz", "B.npz:s"} {
		got := evalJSON(t, dir, args(name, "B_grad.npy", "--dtype", "bfloat16")...)
		require.Equal(t, want.Losses, got.Losses)
		require.Equal(t, want.Metrics, got.Metrics)
		b, err := os.ReadFile(filepath.Join(dir, "B_grad.npy"))
		require.NoError(t, err)
		require.Equal(t, grad, b)
		fails(t, dir, 1, `B.np.*: array type <V2, raw elements of 2 bytes: .* say --dtype bfloat16`, append([]string{"eval"}, args(name, "G.npy")...)...)
	}
	fails(t, dir, 2, `--dtype goes with arrays of raw elements of two bytes; it has no effect here`, append([]string{"eval"}, args("F.npy", "G.npy", "--dtype", "bfloat16")...)...)
	fails(t, dir, 2, `--dtype "float16": choose bfloat16`, append([]string{"eval"}, args("B.npy", "G.npy", "--dtype", "float16")...)...)
}

// tensors16 is a file with float32 as BF16 under the name "logits".
func tensors16(shape string, x ...float32) []byte {
	return safetensors(strings.Replace(tensor("BF16", shape, 0, int64(2*len(x))), `"a"`, `"logits"`, 1), raw16(x...))
}

// TestHalvesInBlocks: the losses of 16-bit scores, which are evaluated as they lie after
// the first block, are those of float32.
func TestHalvesInBlocks(t *testing.T) {
	dir := t.TempDir()
	const n = 32
	const rows = 4*blockScores/n + 5
	rng := rand.New(rand.NewPCG(3, 16))
	x, y, mask := make([]float32, rows*n), make([]uint8, rows*n), make([]uint8, rows*n)
	for i := range x {
		if v := float32(rng.NormFloat64()); v > 1e-4 || v < -1e-4 {
			x[i] = zlpr.BFloat16Of(v).Float32() // which is a normal float16, too
		}
		mask[i] = uint8(min(1, rng.IntN(50)))
		if i%n != 3 { // the thresholds below
			y[i] = mask[i] * uint8(rng.IntN(8)/7)
		}
	}
	weights, classes := make([]float32, rows), make([]float32, n)
	for i := range weights {
		weights[i] = rng.Float32()
	}
	for i := range classes {
		classes[i] = 0.5 + rng.Float32()
	}
	save(t, dir, "Y.npy", []int{rows, n}, y)
	save(t, dir, "M.npy", []int{rows, n}, mask)
	save(t, dir, "W.npy", []int{rows}, weights)
	save(t, dir, "C.npy", []int{n}, classes)
	shape := fmt.Sprintf("[%d,%d]", rows, n)
	half := make([]byte, 0, 2*len(x))
	for _, v := range x {
		half = encoding.LittleEndian.AppendUint16(half, uint16(zlpr.Float16Of(v)))
	}
	save(t, dir, "F.npy", []int{rows, n}, x)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "B.safetensors"), tensors16(shape, x...), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "H.safetensors"), safetensors(tensor("F16", shape, 0, int64(len(half))), half), 0o644))
	for _, flags := range [][]string{
		{"--loss", "all"},
		{"--loss", "zlpr,bce", "--mask", "M.npy", "--row-weights", "W.npy"},
		{"--loss", "zlpr,bce", "--class-weights", "C.npy", "--smoothing", "0.1"},
		{"--loss", "zlpr,bce", "--threshold-column", "3"},
	} {
		args := append([]string{"Y.npy", "--metrics", "none"}, flags...)
		want := evalJSON(t, dir, append([]string{"F.npy"}, args...)...)
		for _, name := range []string{"B.safetensors", "H.safetensors"} {
			got := evalJSON(t, dir, append([]string{name}, args...)...)
			require.Equal(t, want.Losses, got.Losses, "%s %v", name, flags)
		}
	}
}

// TestStdin: standard input is an input, a pipe or a file, but of one flag only.
func TestStdin(t *testing.T) {
	dir := t.TempDir()
	x := []float32{0.25, -1.5, 2, 1, -0.5, 3, 0.75, -2, 1.25, 0.5, -1, -0.25}
	save(t, dir, "S.npy", []int{3, 4}, x)
	save(t, dir, "Y.npy", []int{3, 4}, []uint8{1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "S.safetensors"), tensors16("[3,4]", x...), 0o644))
	want := evalJSON(t, dir, "--scores", "S.npy", "--labels", "Y.npy")
	labels := []string{"--labels", "Y.npy"}
	for _, c := range []struct {
		file string
		args []string
	}{
		{"S.npy", append([]string{"--scores", "-"}, labels...)},
		{"S.safetensors", append([]string{"--scores", "-"}, labels...)},
		{"S.safetensors", append([]string{"--scores", "-:logits"}, labels...)},
		{"Y.npy", []string{"--scores", "S.safetensors:logits", "--labels", "-"}},
	} {
		for _, pipe := range []bool{false, true} {
			f, err := os.Open(filepath.Join(dir, c.file))
			require.NoError(t, err)
			cmd := exec.Command(binary, append([]string{"eval", "--json"}, c.args...)...)
			cmd.Stdin = f
			if pipe { // which cannot be mapped
				b, err := os.ReadFile(filepath.Join(dir, c.file))
				require.NoError(t, err)
				cmd.Stdin = bytes.NewReader(b)
			}
			stdout, stderr, status := runCommand(t, dir, cmd)
			require.NoError(t, f.Close())
			require.Equal(t, 0, status, stderr)
			var got report
			require.NoError(t, json.Unmarshal([]byte(stdout), &got), stdout)
			require.Equal(t, want.Losses, got.Losses)
			require.Equal(t, want.Metrics, got.Metrics)
		}
	}
	bad := func(status int, want, stdin string, args ...string) {
		t.Helper()
		cmd := exec.Command(binary, append([]string{"eval"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		_, stderr, got := runCommand(t, dir, cmd)
		require.Equal(t, status, got, stderr)
		require.Regexp(t, "^zlpr: .*"+want, stderr)
		require.Equal(t, 1, strings.Count(stderr, "\n"))
	}
	bad(2, "--scores and --labels are both standard input \\(-\\), which can be read once", "", "--scores", "-", "--labels", "-:y")
	bad(1, "standard input: truncated: the header says float32 3×4, 48 bytes, but only 0 are there", string(npyOf(describe("'<f4'", "3, 4"), nil)), "--scores", "-", "--labels", "Y.npy")
	bad(1, "standard input: an archive .* cannot be read from a pipe", "PK\x03\x04", "--scores", "-", "--labels", "Y.npy")
	whole := tensors16("[3,4]", x...)
	bad(1, "standard input:logits: truncated: the header says 24 bytes of tensors, but only 23", string(whole[:len(whole)-1]), "--scores", "-", "--labels", "Y.npy")
	// An output that is the file behind standard input.
	f, err := os.Open(filepath.Join(dir, "S.npy"))
	require.NoError(t, err)
	defer f.Close()
	cmd := exec.Command(binary, "eval", "--scores", "-", "--labels", "Y.npy", "--grad", "S.npy")
	cmd.Stdin = f
	_, stderr, status := runCommand(t, dir, cmd)
	require.Equal(t, 2, status)
	require.Regexp(t, "--scores and --grad are the same file, S.npy", stderr)
}

// checkTensors evaluates the files that testdata/tensors/write.py wrote into a
// folder: losses, metrics and gradients are those of the float32 that Python
// made of them, to the last bit.
func checkTensors(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	require.NoError(t, err)
	var index []struct {
		Scores string
		Flags  []string
	}
	require.NoError(t, json.Unmarshal(text, &index))
	require.Len(t, index, 16)
	out := t.TempDir()
	for i, c := range index {
		var reports [2]report
		var grads [2][]byte
		for k, scores := range []string{c.Scores, fmt.Sprintf("want.npz:%02d", i)} {
			grad := filepath.Join(out, "grad.npy")
			args := []string{"--scores", filepath.Join(dir, scores), "--labels", filepath.Join(dir, fmt.Sprintf("want.npz:%02d_labels", i)), "--grad", grad}
			if k == 0 {
				args = append(args, c.Flags...)
			}
			reports[k] = evalJSON(t, dir, args...)
			grads[k], err = os.ReadFile(grad)
			require.NoError(t, err)
		}
		require.Equal(t, reports[1].Losses, reports[0].Losses, c.Scores)
		require.Equal(t, reports[1].Metrics, reports[0].Metrics, c.Scores)
		require.Equal(t, grads[1], grads[0], c.Scores)
	}
}

// TestTensors reads what torch, safetensors and numpy wrote: the files of the
// repository and, where Python has these, new ones.
func TestTensors(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("testdata", "tensors"))
	require.NoError(t, err)
	checkTensors(t, dir)
	python := python(t)
	if out, err := exec.Command(python, "-c", "import torch, safetensors").CombinedOutput(); err != nil {
		if os.Getenv("ZLPR_REQUIRE_TORCH") != "" {
			t.Fatalf("no torch or safetensors, but ZLPR_REQUIRE_TORCH is set: %s", out)
		}
		t.Skip("SKIPPED: the files of the repository alone, for Python has no torch or no safetensors; on Debian: apt-get install python3-torch; pip install --no-deps safetensors")
	}
	fresh := t.TempDir()
	out, err := exec.Command(python, filepath.Join(dir, "write.py"), fresh).CombinedOutput()
	require.NoError(t, err, string(out))
	checkTensors(t, fresh)
}
