//go:build unix

package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	encoding "encoding/binary"

	"github.com/stretchr/testify/require"
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
