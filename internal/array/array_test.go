package array

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/atomicfile"
)

// TestFloat16 compares every half-precision number with its definition.
func TestFloat16(t *testing.T) {
	for h := range 1 << 16 {
		sign, exponent, fraction := 1.0, h>>10&31, float64(h&1023)
		if h>>15 == 1 {
			sign = -1
		}
		got := float64(float16(uint16(h)))
		switch {
		case exponent == 31 && fraction != 0:
			require.True(t, math.IsNaN(got), "%04x", h)
			continue
		case exponent == 31:
			require.Equal(t, math.Inf(int(sign)), got, "%04x", h)
			continue
		case exponent == 0:
			got -= sign * math.Ldexp(fraction, -24)
		default:
			got -= sign * math.Ldexp(1+fraction/1024, exponent-15)
		}
		require.Zero(t, got, "%04x", h)
	}
}

func TestRoundTrip(t *testing.T) {
	x := []float32{1, -2.5, float32(math.Inf(-1)), 3e-40, 0, 7}
	for _, shape := range [][]int{{6}, {2, 3}, {1, 2, 3}, {6, 1}} {
		dir := t.TempDir()
		path := filepath.Join(dir, "x.npy")
		f, err := atomicfile.Create(path)
		require.NoError(t, err)
		w, err := NewWriter(f, Float32, shape, 1)
		require.NoError(t, err)
		require.NoError(t, WriteRows(w, 3, x[3:]))
		require.NoError(t, WriteRows(w, 0, x[:3]))
		require.NoFileExists(t, path, "the file appears with Commit")
		require.NoError(t, atomicfile.Commit(f))
		a, err := Open(path)
		require.NoError(t, err)
		require.Equal(t, shape, a.Shape)
		require.Equal(t, x, All[float32](a))
		require.NoError(t, a.Close())
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1)
	}
}

// TestTooLarge: a shape that no file can hold.
func TestTooLarge(t *testing.T) {
	f, err := atomicfile.Create(filepath.Join(t.TempDir(), "x.npy"))
	require.NoError(t, err)
	defer f.Abort()
	for _, shape := range [][]int{{math.MaxInt, math.MaxInt, 8}, {3, math.MaxInt / 4, math.MaxInt}, {math.MaxInt, math.MaxInt, 0}} {
		_, err = NewWriter(f, Float64, shape, 1)
		require.ErrorContains(t, err, "larger than any file")
	}
}

// npy makes a file from its parts.
func npy(descr, order, shape string, data []byte) []byte {
	h := format(Uint8, []int{1})
	dict := "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }"
	dict += strings.Repeat(" ", 117-len(dict)) + "\n"
	return append(append(slices.Clone(h[:8]), 118, 0), append([]byte(dict), data...)...)
}

func TestForeignOrders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	// The matrix 1 2 3 / 4 5 6, column by column.
	require.NoError(t, os.WriteFile(path, npy("|u1", "True", "(2, 3)", []byte{1, 4, 2, 5, 3, 6}), 0o600))
	a, err := Open(path)
	require.NoError(t, err)
	require.Equal(t, []int32{1, 2, 3, 4, 5, 6}, All[int32](a))
	require.NoError(t, os.WriteFile(path, npy(">i2", "False", "(2,)", []byte{1, 2, 0xff, 0xfe}), 0o600))
	a, err = Open(path)
	require.NoError(t, err)
	require.Equal(t, []int32{258, -2}, All[int32](a))
}

// TestLongForeignOrders rewrites an array that does not stay in memory: of
// three axes, in Fortran order, big-endian.
func TestLongForeignOrders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	const l, m, n = 130, 101, 1300
	data := make([]byte, 2*l*m*n)
	require.Greater(t, len(data), spillSize)
	value := func(i, j, k int) uint16 { return uint16(7*i + 31*j + 1009*k) }
	for i := range l {
		for j := range m {
			for k := range n {
				binary.BigEndian.PutUint16(data[2*(i+l*(j+m*k)):], value(i, j, k))
			}
		}
	}
	require.NoError(t, os.WriteFile(path, npy(">u2", "True", "(130, 101, 1300)", data), 0o600))
	a, err := Open(path)
	require.NoError(t, err)
	require.Equal(t, []int{l, m, n}, a.Shape)
	got := All[int32](a)
	for i := range l {
		for j := range m {
			for k := range n {
				if got[(i*m+j)*n+k] != int32(value(i, j, k)) {
					t.Fatalf("%d at %d, %d, %d, not %d", got[(i*m+j)*n+k], i, j, k, value(i, j, k))
				}
			}
		}
	}
	require.NoError(t, a.Close())
}

func TestDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	good := npy("<f4", "False", "(1, 2)", make([]byte, 8))
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":     {nil, "not an .npy file"},
		"truncated": {good[:len(good)-1], "truncated"},
		"header":    {good[:60], "damaged .npy header"},
		"longer":    {append(slices.Clone(good), 0), "bytes follow"},
		"object":    {npy("|O", "False", "(1,)", make([]byte, 8)), "array type |O is not supported"},
		"complex":   {npy("<c8", "False", "(1,)", make([]byte, 8)), "array type <c8 is not supported"},
		"negative":  {npy("<f4", "False", "(-1,)", nil), "damaged"},
		"huge":      {npy("<f4", "False", "(9223372036854775807, 9)", nil), "damaged"},
		"overflow":  {npy("<f4", "False", "(4611686018427387904, 4)", nil), "damaged"},
	} {
		require.NoError(t, os.WriteFile(path, c.data, 0o600))
		_, err := Open(path)
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, path, name)
	}
}

func TestArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npz")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	x := make([]float64, 10000)
	for i := range x {
		x[i] = float64(i)
	}
	require.NoError(t, Add(z, "stored", false, []int{100, 100}, x))
	require.NoError(t, Add(z, "deflated", true, []int{100, 100}, x))
	require.NoError(t, z.Close())
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	for _, key := range []string{"stored", "deflated"} {
		a, err := Open(path + ":" + key)
		require.NoError(t, err)
		require.Equal(t, []int{100, 100}, a.Shape)
		require.Equal(t, x, All[float64](a))
		require.NoError(t, a.Close())
	}
	_, err := Open(path)
	require.ErrorContains(t, err, "several arrays")
	_, err = Open(path + ":other")
	require.ErrorContains(t, err, "no array \"other\"; there are: stored, deflated")
}

// TestSpill reads a compressed array that is too long to be kept in memory.
func TestSpill(t *testing.T) {
	var s spill
	defer s.discard()
	data := bytes.Repeat([]byte("0123456789abcdef"), spillSize/16+5)
	for from := 0; from < len(data); from += 1 << 20 {
		_, err := s.Write(data[from:min(from+1<<20, len(data))])
		require.NoError(t, err)
	}
	require.NotNil(t, s.file)
	a, err := s.array(func(a *Array, b []byte) error {
		a.Type, a.Shape, a.data = Uint8, []int{len(b)}, b
		return nil
	})
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, a.data))
	require.NoError(t, a.Close())
}

func TestCSV(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.csv")
	read := func(s string) (*Array, error) {
		require.NoError(t, os.WriteFile(path, []byte(s), 0o600))
		return Open(path)
	}
	a, err := read("first, second\n1, -2e3\n+Inf,0.1\n")
	require.NoError(t, err)
	require.Equal(t, []int{2, 2}, a.Shape)
	require.Equal(t, []float64{1, -2000, math.Inf(1), 0.1}, All[float64](a))
	_, err = read("1,2\n3,x\n")
	require.ErrorContains(t, err, "row 1, column 1: \"x\" is not a number")
	_, err = read("1,2\n3\n")
	require.ErrorContains(t, err, "row 1 has 1 column, the rows above 2")
}

func FuzzHeader(f *testing.F) {
	f.Add(npy("<f4", "False", "(1, 2)", make([]byte, 8)))
	f.Add(npy("|b1", "True", "()", []byte{1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a := &Array{}
		if a.interpret(b) == nil && a.Len()*a.Type.Size() != len(a.data) {
			t.Fatal("array without its data")
		}
	})
}
