package array

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func zstandard(t testing.TB, b []byte, options ...zstd.EOption) []byte {
	w, err := zstd.NewWriter(nil, options...)
	require.NoError(t, err)
	return w.EncodeAll(b, nil)
}

// sealedByZstd is the file of TestUnpack as the program zstd 1.5 compresses it.
const sealedByZstd = "(\xb5/\xfd$\x98\x95\x02\x00D\x04\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_ordeFalseshape': (2,3,), } \x0a\x00\x00\x80?\x04\x00/\xad\xd9=\x03\x80\x87\x0d\xa6\x1e\xe6\xb0Q\x05"

// TestUnpack reads compressed files by their content.
func TestUnpack(t *testing.T) {
	file := buildNPY(float32Matrix, 0x23, []byte{0, 0, 128, 63})
	for name, b := range map[string][]byte{"x.npy": file, "x.npy.gz": gzipped(file), "x": gzipped(file), "x.csv.gz": gzipped([]byte("1,1,1\n1,1,1\n")),
		"x.npy.zst": zstandard(t, file), "program.zst": []byte(sealedByZstd), "x.zst": append([]byte("\x52\x2a\x4d\x18\x02\x00\x00\x00ab"), zstandard(t, file)...),
		"x.safetensors.zst": zstandard(t, buildTensors(0, tensorSpec{"a", "F32", []int{2, 3}, file[len(file)-24:]}))} {
		a, err := Open(writeFile(t, name, b))
		require.NoError(t, err, name)
		require.Equal(t, []int{2, 3}, a.Shape, name)
		require.Equal(t, []float64{1, 1, 1, 1, 1, 1}, append([]float64{}, All[float64](a)...))
		require.NoError(t, a.Close())
	}
}

// TestDamagedFiles: what is wrong, in one line with the name of the file.
func TestDamagedFiles(t *testing.T) {
	file := buildNPY(float32Matrix, 0x23, []byte{0, 0, 128, 63})
	packed := gzipped(file)
	broken := slices.Clone(packed)
	broken[len(broken)-6] ^= 1
	sealed := zstandard(t, bytes.Repeat(file, 100))
	brokenSeal := slices.Clone(sealed)
	brokenSeal[len(sealed)-2] ^= 1
	header := func(dict string) []byte {
		return append(append([]byte(magic), 2, 0, byte(len(dict)), byte(len(dict)>>8), byte(len(dict)>>16), 0), dict...)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"a.npy", nil, "not an .npy file"},
		{"a.npz", []byte("0.5 0.5"), "not an .npz file"},
		{"a.npz", []byte("PK\x03\x04"), "a zip archive, as .npz and torch files are, that is damaged"},
		{"a.pt", []byte("PK\x03\x04"), "a zip archive, as .npz and torch files are, that is damaged"},
		{"a.npy.gz", packed[:len(packed)-9], "truncated"},
		{"a.gz", packed[:5], "truncated"},
		{"a.npy.gz", broken, "damaged: gzip: invalid checksum"},
		{"a.gz", gzipped(file[:len(file)-2]), "truncated: the header says float32 2×3, 24 bytes, but only 22"},
		{"a.gz", gzipped(append(slices.Clone(file), 1)), "bytes follow"},
		{"a.npy.zst", sealed[:len(sealed)-5], "truncated; compress it again"},
		{"a.zst", sealed[:5], "truncated"},
		{"a.npy.zst", brokenSeal, "damaged: .*; compress it again"},
		{"a.zst", append(zstandard(t, file), "rest"...), "damaged: "},
		{"a.zst", []byte("\x28\xb5\x2f\xfd\x00\xa8xxxxxxxxxxxxxxxxxxxxxxxxxxx"), "a window that takes too much memory; unpack it first: unzstd"},
		{"a", zstandard(t, []byte("PK\x03\x04 and so on")), `an archive .* cannot be`},
		{"a", gzipped([]byte("PK\x03\x04 and so on")), `an archive \(\.npz, \.pt\) cannot be read from a pipe or unpacked`},
		{"a", make([]byte, 100), "no format that is read"},
		{"a.h5", []byte("\x89HDF\r\n\x1a\nxxxxxxxxxx"), "HDF5 file, which is not read; read it in Python with h5py"},
		{"a.parquet", []byte("PAR1xxxxxxxxxxxxxxxxx"), "Parquet"},
		{"a.csv", []byte("\xff\xfe1\x00,\x002\x00"), "UTF-16"},
		{"a.npy", header("{'descr': '<f4', 'fortran_order': False, 'shape': (3" + strings.Repeat(", 1", 200) + ")}"), "more than 64 axes"},
		{"a.npy", header("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} {" + strings.Repeat(" ", 70000)), "header of 70057 bytes, more than 65536"},
		{"a.npy", header("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'shape': (4,)}"), "damaged .npy header"},
		{"a.npy", header("{'descr': '<f4', 'fortran_order': False}"), "damaged .npy header"},
		{"a.npy", header("{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}"), "damaged .npy header"},
		{"a.npy", header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}"), "records"},
		{"a.npy", append(header("{'descr': '<V2', 'fortran_order': False, 'shape': (3,)}"), 1, 2, 3, 4, 5, 6), "bfloat16 say --dtype bfloat16"},
		{"a.npy", header("{'descr': '\x1b[31m', 'fortran_order': False, 'shape': (3,)}"), `array type "\\x1b\[31m" is not`},
		{"a.npy", header(fmt.Sprintf("{'descr': '<f8', 'fortran_order': True, 'shape': (%d, %d, 0)}", math.MaxInt, math.MaxInt)), "larger than any file"},
		{"a.npy", append([]byte(magic), 9, 0, 0, 0, 0, 0, 0), "version 9.0 is unknown"},
		{"a.npy", append([]byte(magic), 1, 1, 0, 0, 0, 0, 0), "version 1.1 is unknown"},
		{"a b.npy", []byte("xx"), `"[^"]*a b.npy": not an .npy file`},
	} {
		path := writeFile(t, c.name, c.data)
		_, err := Open(path)
		require.Error(t, err, c.want)
		require.Regexp(t, c.want, err.Error())
		require.Contains(t, err.Error(), Quote(path)+": ")
		require.Less(t, len(err.Error()), 400)
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), "\x1b")
	}
	_, err := Open(t.TempDir())
	require.ErrorContains(t, err, "is a directory")
	_, err = Open(filepath.Join(t.TempDir(), "none.npy"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// archive writes members, each with the CRC and the length that change says.
func archive(t *testing.T, method uint16, members map[string][]byte, change func(*zip.FileHeader)) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range members {
		h := &zip.FileHeader{Name: name, Method: method, CRC32: crc32.ChecksumIEEE(data), UncompressedSize64: uint64(len(data)), CompressedSize64: uint64(len(data))}
		if change != nil {
			change(h)
		}
		w, err := z.CreateRaw(h)
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return writeFile(t, "x.npz", b.Bytes())
}

// TestArchives: sums and lengths that lie, names that are odd, are errors.
func TestArchives(t *testing.T) {
	file := buildNPY(float32Matrix, 0x23, []byte{0, 0, 128, 63})
	one := map[string][]byte{"s.npy": file}
	a, err := Open(archive(t, zip.Store, one, nil))
	require.NoError(t, err)
	require.Equal(t, []int{2, 3}, a.Shape)
	require.NoError(t, a.Close())
	for want, change := range map[string]func(*zip.FileHeader){
		"do not agree with their checksum": func(h *zip.FileHeader) { h.CRC32 ^= 1 },
		"their checksum":                   func(h *zip.FileHeader) { h.CRC32 = 0 },
		"that is damaged or truncated":     func(h *zip.FileHeader) { h.UncompressedSize64, h.CompressedSize64 = 1<<62, 1<<62 },
		"or truncated; write":              func(h *zip.FileHeader) { h.UncompressedSize64 = 1 << 40 },
		"method that is not supported":     func(h *zip.FileHeader) { h.Method = 12 },
	} {
		_, err := Open(archive(t, zip.Store, one, change))
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "x.npz:s: ")
	}
	_, err = Open(archive(t, zip.Store, map[string][]byte{"a\x1b[31mb.npy": file, "c.npy": file}, nil))
	require.ErrorContains(t, err, `several arrays: `)
	require.ErrorContains(t, err, `"a\x1b[31mb"`)
	_, err = Open(archive(t, zip.Store, map[string][]byte{"readme.txt": file}, nil))
	require.ErrorContains(t, err, "no arrays in it")
	many := map[string][]byte{}
	for i := range 1000 {
		many[fmt.Sprintf("array_%d.npy", i)] = nil
	}
	_, err = Open(archive(t, zip.Store, many, nil))
	require.ErrorContains(t, err, "…")
	require.Less(t, len(err.Error()), 600)
	_, err = Open(archive(t, zip.Store, one, nil) + ":t")
	require.ErrorContains(t, err, `no array "t"; there are: s`)
}

// TestDirectory: an archive of so many members that its directory would fill
// memory is refused.
func TestDirectory(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range maxDirectory/60 + 1 {
		_, err := z.CreateRaw(&zip.FileHeader{Name: fmt.Sprintf("%014d", i)})
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	_, err := Open(writeFile(t, "x.npz", b.Bytes()))
	require.ErrorContains(t, err, "directory is longer than")
}

// TestQuote: plain names stand as they are.
func TestQuote(t *testing.T) {
	for name, want := range map[string]string{"a.npy": "a.npy", "ä/b.npz:k": "ä/b.npz:k", "": `""`, "a b": `"a b"`, "a\nb": `"a\nb"`,
		"\x1b[0m": `"\x1b[0m"`, "\xff": `"\xff"`, `a"b`: `"a\"b"`, "a\u202eb": `"a\u202eb"`} {
		require.Equal(t, want, Quote(name))
	}
}

// TestIntegers: no integer is cut.
func TestIntegers(t *testing.T) {
	a := New("x", []int{3}, []int64{-1 << 31, 1<<31 - 1, 1 << 31})
	got, err := Integers[int32](a, nil, 0, 2)
	require.NoError(t, err)
	require.Equal(t, []int32{-1 << 31, 1<<31 - 1}, got)
	_, err = Integers[int32](a, nil, 0, 3)
	require.Equal(t, &ElementError{2, "2147483648"}, err)
	a = New("x", []int{2}, []int64{5, -1})
	a.Type = Uint64
	_, err = Integers[int64](a, nil, 0, 2)
	require.Equal(t, &ElementError{1, "18446744073709551615"}, err)
	_, err = As[int64](a)
	require.Equal(t, &ElementError{1, "18446744073709551615"}, err)
	_, err = As[int32](New("x", []int{1}, []float64{1.5}))
	require.Equal(t, &ElementError{0, "1.5"}, err)
	b, err := As[int32](New("x", []int{2}, []int8{-5, 5}))
	require.NoError(t, err)
	require.Equal(t, []int32{-5, 5}, All[int32](b))
}

// float32Matrix is what buildNPY makes a little-endian matrix of float32 of.
const float32Matrix = 34
