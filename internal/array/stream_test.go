package array

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// readBlocks reads a stream of a file in blocks of that many elements.
func readBlocks(name, key string, r io.Reader, size int) (*Array, error) {
	in, err := NewInput(name, r)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	in.Raw = &Raw{BFloat16: true}
	s, err := in.Stream(key)
	if err != nil {
		return nil, err
	}
	var all bytes.Buffer
	var block Array
	n := product(s.Shape)
	for at := 0; at == 0 || at < n; at += size {
		if err := s.Read(&block, min(size, n-at)); err != nil {
			return nil, err
		}
		if err := block.CopyElements(&all, 0, block.Len()); err != nil {
			return nil, err
		}
	}
	return &Array{Name: s.Name, Type: s.Type, Shape: s.Shape, data: all.Bytes()}, nil
}

// readWhole reads a file from a pipe as a whole.
func readWhole(name, key string, r io.Reader) (*Array, error) {
	in, err := NewInput(name, r)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	in.Raw = &Raw{BFloat16: true}
	return in.Array(key, CSVOptions{})
}

// checkStream compares what is read in blocks with what is read as a whole, errors
// too.
func checkStream(t *testing.T, name, key string, file []byte) {
	t.Helper()
	want, wrong := readWhole(name, key, bytes.NewReader(file))
	for _, size := range []int{1, 3, math.MaxInt} {
		got, err := readBlocks(name, key, bytes.NewReader(file), size)
		if err != nil && strings.Contains(err.Error(), "Fortran order") {
			continue
		}
		if wrong != nil {
			require.EqualError(t, err, wrong.Error())
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want.Type, got.Type)
		require.Equal(t, want.Shape, got.Shape)
		require.Equal(t, want.bytes(0, want.Len()), got.bytes(0, got.Len()))
	}
	if wrong == nil {
		require.NoError(t, want.Close())
	}
}

// TestStream reads files in blocks that are whole, compressed, cut anywhere, or
// too long, as they are read as a whole.
func TestStream(t *testing.T) {
	tensor := append(TensorHeader("s", Float32, []int{2, 3}), make([]byte, 24)...)
	header := `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"none":{"dtype":"U8","shape":[0],"data_offsets":[8,8]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[8,14]}}`
	several := append(append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header...), "aaaabbbbccddee"...)
	for name, file := range map[string][]byte{
		"x.npy":         buildNPY(uint8(Float64)|0x20, 0x34, []byte{1, 2, 3}),
		"big.npy":       buildNPY(uint8(Float64)|0x60, 0x34, []byte{1, 2, 3}),
		"empty.npy":     buildNPY(uint8(Float32)|0x20, 0x04, nil),
		"scalar.npy":    buildNPY(uint8(Int16), 0, nil),
		"fortran.npy":   buildNPY(uint8(Float64)|0xa0, 0x34, nil),
		"x.safetensors": tensor,
		"y.safetensors": several,
		"x.npz":         append([]byte("PK\x03\x04"), make([]byte, 100)...),
		"odd.npy":       []byte("1,2\n"),
	} {
		for _, key := range []string{"", "a", "b", "none", "s", "no such"} {
			for end := range len(file) {
				checkStream(t, name, key, file[:end])
			}
			checkStream(t, name, key, file)
			checkStream(t, name, key, append(bytes.Clone(file), 0))
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		z.Write(file)
		z.Close()
		checkStream(t, name+".gz", "", packed.Bytes())
		checkStream(t, name+".gz", "", packed.Bytes()[:packed.Len()-4])
	}
	_, err := readBlocks("f.npy", "", bytes.NewReader(buildNPY(uint8(Float64)|0xa0, 0x34, nil)), 1)
	require.ErrorContains(t, err, "f.npy: an array of 3×4 in Fortran order")
	_, err = readBlocks("x.csv", "", strings.NewReader("1,2\n3,4\n"), 1)
	require.EqualError(t, err, "x.csv: text, which is not read as a stream; write it with numpy.save")
	failed := errors.New("connection lost")
	_, err = readBlocks("gs://b/x.npy", "", io.MultiReader(bytes.NewReader(tensor[:60]), iotest.ErrReader(failed)), 1)
	require.ErrorIs(t, err, failed)
	require.ErrorContains(t, err, "gs://b/x.npy")
}

// TestStreamMemory: memory is that of a block, and of what is there: a header that
// lies takes none.
func TestStreamMemory(t *testing.T) {
	const rows, cols = 1 << 14, 1 << 9 // 32 MiB
	used := func(f func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	open := func(r io.Reader) *Stream {
		in, err := NewInput("x.npy", r)
		require.NoError(t, err)
		s, err := in.Stream("")
		require.NoError(t, err)
		return s
	}
	s := open(io.MultiReader(bytes.NewReader(Header(Float32, []int{rows, cols})), io.LimitReader(zeros{}, rows*cols*4)))
	got := used(func() {
		var block Array
		for range rows / 64 {
			require.NoError(t, s.Read(&block, 64*cols))
		}
	})
	require.Less(t, got, uint64(1<<20))
	s = open(io.MultiReader(bytes.NewReader(Header(Float32, []int{1, 1 << 28})), io.LimitReader(zeros{}, 3<<20)))
	got = used(func() {
		require.ErrorContains(t, s.Read(new(Array), 1<<28), "truncated: the header says float32 1×268435456, 1073741824 bytes, but only 3145728 are there")
	})
	require.Less(t, got, uint64(16<<20))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
