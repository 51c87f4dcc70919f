//go:build unix

package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	encoding "encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/source"
)

// A badFile is a file that no command can use, whatever it is for.
type badFile struct {
	name string
	make func(path string) error
	long bool // takes a while to read: not by all uses
}

// npyOf is an .npy file of that header and data.
func npyOf(header string, data []byte) []byte {
	header += strings.Repeat(" ", 63-(10+len(header))%64) + "\n"
	b := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	return append(append(b, header...), data...)
}

// describe is the header of an .npy file.
func describe(descr, shape string) string {
	return "{'descr': " + descr + ", 'fortran_order': False, 'shape': (" + shape + "), }"
}

// numbers are float64 as bytes.
func numbers(x ...float64) (b []byte) {
	for _, v := range x {
		b = encoding.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

func nans(n int) []byte { return bytes.Repeat(numbers(math.NaN()), n) }

// archive is an .npz file of these members, in turn a name and contents.
func archive(method uint16, members ...string) []byte { return bomb(method, 0, members...) }

// bomb is an archive whose last member has so many zeros at its end.
func bomb(method uint16, zeros int64, members ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: members[i], Method: method})
		if err == nil {
			_, err = io.WriteString(w, members[i+1])
		}
		if err == nil && i == len(members)-2 {
			_, err = io.Copy(w, repeated(nil, zeros))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// array64 is an .npy file of int64.
func array64(x ...int64) string {
	var b []byte
	for _, v := range x {
		b = encoding.LittleEndian.AppendUint64(b, uint64(v))
	}
	return string(npyOf(describe("'<i8'", strconv.Itoa(len(x))+","), b))
}

// csr is a sparse matrix as scipy writes it.
func csr(format string, shape, indptr, indices []int64, values ...float64) []byte {
	return archive(zip.Store, "indptr.npy", array64(indptr...), "indices.npy", array64(indices...), "shape.npy", array64(shape...),
		"data.npy", string(npyOf(describe("'<f8'", strconv.Itoa(len(values))+","), numbers(values...))),
		"format.npy", string(npyOf(describe("'|S3'", ""), []byte(format))))
}

// coo is a sparse matrix of coordinates as scipy writes it.
func coo(shape []int64, row, col string, values ...float64) []byte {
	return archive(zip.Store, "row.npy", row, "col.npy", col, "shape.npy", array64(shape...),
		"data.npy", string(npyOf(describe("'<f8'", strconv.Itoa(len(values))+","), numbers(values...))),
		"format.npy", string(npyOf(describe("'|S3'", ""), []byte("coo"))))
}

// lie is an archive of one stored member that says another size, or another sum.
func lie(size uint64, crc uint32) []byte {
	content := npyOf(describe("'<f8'", "2,"), numbers(1, 2))
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "a.npy", Method: zip.Store, CRC32: crc, CompressedSize64: uint64(len(content)), UncompressedSize64: size}
	w, err := z.CreateRaw(h)
	if err == nil {
		_, err = w.Write(content)
	}
	if err = errors.Join(err, z.Close()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// safetensors is a file of that header and data.
func safetensors(header string, data []byte) []byte {
	b := encoding.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

// zstandard is that head and zeros after it, compressed.
func zstandard(head []byte, zeros int64) []byte {
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err == nil {
		_, err = io.Copy(z, repeated(head, zeros))
	}
	if err = errors.Join(err, z.Close()); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// torch is a file of that pickle and one storage.
func torch(pickle string, storage []byte) []byte {
	return archive(zip.Store, "a/data.pkl", "\x80\x02"+pickle+".", "a/data/0", string(storage))
}

// tensorOf is the pickle of a tensor of a storage of so many numbers.
func tensorOf(class string, size, offset int, shape, strides []int) string {
	number := func(n int) string { return string(encoding.LittleEndian.AppendUint32([]byte("J"), uint32(n))) }
	tuple := func(list []int) string {
		s := "("
		for _, n := range list {
			s += number(n)
		}
		return s + "t"
	}
	return "ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\n" + class + "\nU\x010U\x03cpu" + number(size) + "tQ" + number(offset) + tuple(shape) + tuple(strides) + "\x89NtR"
}

// tensor is the header of one.
func tensor(dtype, shape string, begin, end int64) string {
	return fmt.Sprintf(`{"a":{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}}`, dtype, shape, begin, end)
}

// repeated is that head and zeros after it.
func repeated(head []byte, zeros int64) io.Reader {
	return io.MultiReader(bytes.NewReader(head), io.LimitReader(zeroReader{}, zeros))
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

const mebibyte = 1 << 20

// badFiles are the kinds of bad files. Those of a format end as files of it do;
// all are read by their contents.
func badFiles() []badFile {
	content := func(name string, b []byte) badFile {
		return badFile{name: name, make: func(path string) error { return os.WriteFile(path, b, 0o644) }}
	}
	// made makes contents when they are wanted: they are long.
	made := func(name string, contents func() []byte) badFile {
		return badFile{name, func(path string) error { return os.WriteFile(path, contents(), 0o644) }, true}
	}
	sparse := func(name string, head []byte, size int64) badFile {
		return badFile{name: name, make: func(path string) error {
			return errors.Join(os.WriteFile(path, head, 0o644), os.Truncate(path, size))
		}}
	}
	compressed := func(head []byte, zeros int64) []byte {
		var out bytes.Buffer
		z, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
		_, err := io.Copy(z, repeated(head, zeros))
		if err = errors.Join(err, z.Close()); err != nil {
			panic(err)
		}
		return out.Bytes()
	}
	good := npyOf(describe("'<f8'", "3, 4"), numbers(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12))
	zipped := archive(zip.Deflate, "a.npy", string(good))
	right := crc32.ChecksumIEEE(npyOf(describe("'<f8'", "2,"), numbers(1, 2)))
	many := strings.Repeat("1, ", 20000)
	list := []badFile{
		{name: "missing.npy", make: func(string) error { return nil }},
		{name: "folder.npy", make: func(path string) error { return os.Mkdir(path, 0o755) }},
		{name: "loop.npy", make: func(path string) error { return os.Symlink(filepath.Base(path), path) }},

		content("empty.npy", nil), content("empty.npz", nil), content("empty.csv", nil), content("empty.svm", nil), content("empty.gz", nil), content("empty", nil),
		content("words.npy", []byte("hello\n")), content("words.csv", []byte("hello, world\nred, blue\n")), content("words.svm", []byte("hello world\n")),
		content("magic.npy", good[:6]), content("version.npy", append([]byte("\x93NUMPY\x09\x00"), good[8:]...)),
		content("head.npy", good[:30]), content("long head.npy", append([]byte("\x93NUMPY\x02\x00\xff\xff\xff\x7f"), good[10:]...)),
		content("cut.npy", good[:len(good)-3]), content("more.npy", append(good[:len(good):len(good)], 1, 2, 3)),
		content("no dictionary.npy", npyOf("[1, 2, 3]", nil)), content("half a dictionary.npy", npyOf("{'descr': '<f8', 'fortran", nil)),
		content("complex.npy", npyOf(describe("'<c16'", "1,"), make([]byte, 16))), content("objects.npy", npyOf(describe("'|O'", "1,"), make([]byte, 8))),
		content("records.npy", npyOf(describe("[('a', '<f8')]", "1,"), make([]byte, 8))), content("strings.npy", npyOf(describe("'<U4'", "1,"), make([]byte, 16))),
		content("negative.npy", npyOf(describe("'<f8'", "-3, 4"), make([]byte, 96))), content("overflow.npy", npyOf(describe("'<f8'", "4611686018427387904, 4611686018427387904"), nil)),
		content("huge.npy", npyOf(describe("'<f8'", "9223372036854775807, 1"), nil)), content("many zeros.npy", npyOf(describe("'<f8'", "0, 9223372036854775807, 9223372036854775807"), nil)),
		content("axes.npy", npyOf(describe("'<f8'", "3, 4, "+many[:57000]), make([]byte, 96))), content("no axis.npy", npyOf(describe("'<f8'", ""), numbers(7))),
		content("nothing.npy", npyOf(describe("'<f8'", "0, 4"), nil)), content("no columns.npy", npyOf(describe("'<f8'", "3, 0"), nil)),
		content("other shape.npy", npyOf(describe("'<f8'", "7, 5"), make([]byte, 280))), content("nan.npy", npyOf(describe("'<f8'", "3, 4"), nans(12))),
		content("nan vector.npy", npyOf(describe("'<f8'", "3,"), nans(3))), content("nan four.npy", npyOf(describe("'<f8'", "4,"), nans(4))),
		content("integers.npy", []byte(array64(1<<40, math.MinInt64, math.MaxInt64))), content("unsigned.npy", npyOf(describe("'<u8'", "3, 4"), bytes.Repeat([]byte{255}, 96))),
		content("bfloat16.npy", npyOf(describe("'<V2'", "3, 4"), make([]byte, 24))),

		content("words.safetensors", []byte("hello")), content("nothing.safetensors", safetensors("{}", nil)), content("header.safetensors", safetensors(tensor("F64", "[3,4]", 0, 96), nil)[:40]),
		content("long header.safetensors", append([]byte{0, 0, 0, 127, 0, 0, 0, 0}, "{}"...)), content("cut.safetensors", safetensors(tensor("F64", "[3,4]", 0, 96), make([]byte, 95))), content("more.safetensors", safetensors(tensor("F64", "[3,4]", 0, 96), make([]byte, 97))),
		content("json.safetensors", safetensors("{"+strings.Repeat(`"a":{`, 3000), nil)), content("nested.safetensors", safetensors(`{"a":`+strings.Repeat("[", 1<<15), nil)), content("negative.safetensors", safetensors(tensor("F64", "[-3,-4]", 0, 96), make([]byte, 96))),
		content("overflow.safetensors", safetensors(tensor("F64", "[4611686018427387904,4]", 0, 0), nil)), content("backwards.safetensors", safetensors(tensor("F64", "[3,4]", 96, 0), make([]byte, 96))), content("beyond.safetensors", safetensors(tensor("F64", "[3,4]", 1<<40, 1<<40+96), make([]byte, 96))),
		content("type.safetensors", safetensors(tensor("F8_E5M2", "[3,4]", 0, 12), make([]byte, 12))), content("other shape.safetensors", safetensors(tensor("F64", "[7,5]", 0, 280), make([]byte, 280))), content("nan.safetensors", safetensors(tensor("BF16", "[3,4]", 0, 24), bytes.Repeat([]byte{0xc0, 0x7f}, 12))),
		content("overlap.safetensors", safetensors(strings.TrimSuffix(tensor("F64", "[3,4]", 0, 96), "}")+`,"b":{"dtype":"F64","shape":[3,4],"data_offsets":[8,104]}}`, make([]byte, 104))),
		content("several.safetensors", safetensors(strings.TrimSuffix(tensor("F64", "[3,4]", 0, 96), "}")+`,"b\n\u001b":{"dtype":"F64","shape":[3,4],"data_offsets":[96,192]}}`, make([]byte, 192))),
		made("many.safetensors", func() []byte {
			return safetensors("{"+strings.Repeat(`"a":{"dtype":"F64","shape":[0],"data_offsets":[0,0]},`, 1000)+`"b":0}`, nil)
		}),
		made("names.safetensors", func() []byte {
			var b strings.Builder
			for i := range 1000 {
				fmt.Fprintf(&b, `,"%d":{"dtype":"F64","shape":[0],"data_offsets":[0,0]}`, i)
			}
			return safetensors("{"+b.String()[1:]+"}", nil)
		}),

		content("words.pt", []byte("hello")), content("old.pt", []byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.}q\x00.")), content("pickle.pkl", []byte("\x80\x04\x95\x01\x00\x00\x00\x00\x00\x00\x00N.")),
		content("global.pt", torch("cos\nsystem\nX\x02\x00\x00\x00ls\x85R", nil)), content("nothing.pt", torch("]", nil)), content("cut pickle.pt", torch("((((", nil)), content("instruction.pt", torch("\xff", nil)),
		content("missing.pt", archive(zip.Store, "a/data.pkl", "\x80\x02"+tensorOf("DoubleStorage", 12, 0, []int{3, 4}, []int{4, 1})+".")), content("short.pt", torch(tensorOf("DoubleStorage", 12, 0, []int{3, 4}, []int{4, 1}), make([]byte, 95))),
		content("outside.pt", torch(tensorOf("DoubleStorage", 12, 1, []int{3, 4}, []int{4, 1}), make([]byte, 96))), content("strides.pt", torch(tensorOf("DoubleStorage", 12, 0, []int{3, 4}, []int{1<<31 - 1, 1<<31 - 1}), make([]byte, 96))),
		content("repeats.pt", torch(tensorOf("DoubleStorage", 1, 0, []int{1 << 20, 1 << 20}, []int{0, 0}), make([]byte, 8))), content("overflow.pt", torch(tensorOf("DoubleStorage", 1, 0, []int{1<<31 - 1, 1<<31 - 1, 1<<31 - 1}, []int{0, 0, 0}), make([]byte, 8))),
		content("other shape.pt", torch(tensorOf("DoubleStorage", 35, 0, []int{7, 5}, []int{5, 1}), make([]byte, 280))), content("nan.pt", torch(tensorOf("DoubleStorage", 12, 0, []int{3, 4}, []int{1, 3}), nans(12))),
		content("several.pt", torch("]("+tensorOf("DoubleStorage", 12, 0, []int{3, 4}, []int{4, 1})+tensorOf("DoubleStorage", 12, 0, []int{3, 4}, []int{4, 1})+"e", make([]byte, 96))),
		content("itself.pt", torch("]q\x00h\x00a", nil)), content("shares.pt", torch("]q\x00"+strings.Repeat("0](h\x00h\x00eq\x00", 60), nil)), content("cut.pt", torch(tensorOf("DoubleStorage", 12, 0, []int{3, 4}, []int{4, 1}), make([]byte, 96))[:200]),
		made("lists.pt", func() []byte { return torch("("+strings.Repeat("]\x94", 1<<20-100), nil) }), made("long.pt", func() []byte { return torch("X\xff\xff\xff\x7f", nil) }),
		made("bomb.pt", func() []byte {
			return bomb(zip.Deflate, 256*mebibyte, "a/data/0", "", "a/data.pkl", "\x80\x02")
		}),
		made("bomb storage.pt", func() []byte {
			return bomb(zip.Deflate, 256*mebibyte, "a/data.pkl", "\x80\x02"+tensorOf("DoubleStorage", 12, 0, []int{3, 4}, []int{4, 1})+".", "a/data/0", "")
		}),

		content("words.npz", []byte("hello")), content("cut.npz", zipped[:len(zipped)-10]), content("directory.npz", zipped[len(zipped)/2:]),
		content("damaged.npz", bytes.Replace(zipped, zipped[60:64], []byte{1, 2, 3, 4}, 1)), content("nothing.npz", archive(zip.Store)),
		content("several.npz", archive(zip.Store, "a.npy", string(good), "b.npy", string(good))), content("escape.npz", archive(zip.Store, "a\x1b[31m.npy", "x", "b\n.npy", "y")),
		content("sum.npz", lie(uint64(len(npyOf(describe("'<f8'", "2,"), numbers(1, 2)))), right+1)), content("zip64.npz", lie(1<<63+5, right)), content("zip64 again.npz", lie(math.MaxUint64-33, right)),
		made("bomb.npz", func() []byte { return bomb(zip.Deflate, 256*mebibyte, "a.npy", string(good)) }),
		made("bomb format.npz", func() []byte {
			return bomb(zip.Deflate, 256*mebibyte, "indptr.npy", array64(0), "indices.npy", array64(), "shape.npy", array64(0, 4),
				"data.npy", array64(), "format.npy", string(npyOf(describe("'|S3'", ""), []byte("csr"))))
		}),

		content("csr format.npz", csr("bsr", []int64{3, 4}, []int64{0, 1, 2, 3}, []int64{0, 1, 2}, 1, 1, 1)), content("csr shape.npz", csr("csr", []int64{3, -4}, []int64{0, 1, 2, 3}, []int64{0, 1, 2}, 1, 1, 1)),
		content("csr huge.npz", csr("csr", []int64{3, 1 << 62}, []int64{0, 1, 2, 3}, []int64{0, 1, 2}, 1, 1, 1)), content("csr rows.npz", csr("csr", []int64{1 << 40, 4}, []int64{0, 1, 2, 3}, []int64{0, 1, 2}, 1, 1, 1)),
		content("csr pointers.npz", csr("csr", []int64{3, 4}, []int64{0, 2, 1, 3}, []int64{0, 1, 2}, 1, 1, 1)), content("csr beyond.npz", csr("csr", []int64{3, 4}, []int64{0, 1, 2, 9}, []int64{0, 1, 2}, 1, 1, 1)),
		content("csr start.npz", csr("csr", []int64{3, 4}, []int64{1, 1, 2, 3}, []int64{0, 1, 2}, 1, 1, 1)), content("csr column.npz", csr("csr", []int64{3, 4}, []int64{0, 1, 2, 3}, []int64{0, 4, 2}, 1, 1, 1)),
		content("csr negative.npz", csr("csr", []int64{3, 4}, []int64{0, 1, 2, 3}, []int64{0, -1, 2}, 1, 1, 1)), content("csr wrapped.npz", csr("csr", []int64{3, 4}, []int64{0, 1, 2, 3}, []int64{0, 1 << 32, 2}, 1, 1, 1)),
		content("csr values.npz", csr("csr", []int64{3, 4}, []int64{0, 1, 2, 3}, []int64{0, 1, 2}, 1, 1)), content("csr indices.npz", csr("csr", []int64{3, 4}, []int64{0, 1, 2, 3}, []int64{0, 1}, 1, 1, 1)),
		content("csr nan.npz", csr("csr", []int64{3, 4}, []int64{0, 1, 2, 3}, []int64{0, 1, 2}, math.NaN(), math.NaN(), math.NaN())),

		content("csc pointers.npz", csr("csc", []int64{3, 4}, []int64{0, 2, 1, 3, 3}, []int64{0, 1, 2}, 1, 1, 1)), content("csc columns.npz", csr("csc", []int64{3, 4}, []int64{0, 1, 2, 3}, []int64{0, 1, 2}, 1, 1, 1)),
		content("csc row.npz", csr("csc", []int64{3, 4}, []int64{0, 1, 2, 3, 3}, []int64{0, 3, 2}, 1, 1, 1)), content("csc rows.npz", csr("csc", []int64{1 << 40, 4}, []int64{0, 1, 2, 3, 3}, []int64{0, 1, 2}, 1, 1, 1)), content("csc huge.npz", csr("csc", []int64{3, 1 << 62}, []int64{0, 1, 2, 3, 3}, []int64{0, 1, 2}, 1, 1, 1)),
		content("csc beyond.npz", csr("csc", []int64{3, 4}, []int64{0, 1, 2, 3, 1 << 40}, []int64{0, 1, 2}, 1, 1, 1)), content("csc nan.npz", csr("csc", []int64{3, 4}, []int64{0, 1, 2, 3, 3}, []int64{0, 1, 2}, math.NaN(), math.NaN(), math.NaN())),
		content("coo rows.npz", coo([]int64{1 << 60, 4}, array64(0, 1, 2), array64(0, 1, 2), 1, 1, 1)), content("coo row.npz", coo([]int64{3, 4}, array64(0, 3, 2), array64(0, 1, 2), 1, 1, 1)), content("coo column.npz", coo([]int64{3, 4}, array64(0, 1, 2), array64(0, 4, 2), 1, 1, 1)),
		content("coo negative.npz", coo([]int64{3, 4}, array64(0, 1, 2), array64(0, -1, 2), 1, 1, 1)), content("coo wrapped.npz", coo([]int64{3, 1 << 40}, array64(0, 1, 2), array64(0, 1<<32, 2), 1, 1, 1)), content("coo values.npz", coo([]int64{3, 4}, array64(0, 1, 2), array64(0, 1, 2), 1, 1)),
		content("coo floats.npz", coo([]int64{3, 4}, string(npyOf(describe("'<f8'", "3,"), numbers(0, 1, 2))), array64(0, 1, 2), 1, 1, 1)), content("coo nan.npz", coo([]int64{3, 4}, array64(0, 1, 2), array64(0, 1, 2), math.NaN(), math.NaN(), math.NaN())),
		content("coo no column.npz", archive(zip.Store, "row.npy", array64(0), "data.npy", array64(1), "shape.npy", array64(3, 4), "format.npy", string(npyOf(describe("'|S3'", ""), []byte("coo"))))),

		content("ragged.csv", []byte("1,2,3,4\n1,2\n1,2,3,4\n")), content("quote.csv", []byte("1,2,\"3,4\n5,6,7,8\n")), content("field.csv", []byte("1,2,3,4\n1,x,3,4\n1,2,3,4\n")),
		content("invalid.csv", []byte("1,2,3,4\n\xff\xfe,2,3,4\n")), content("nan.csv", []byte(strings.Repeat("nan,nan,nan,nan\n", 3))),
		content("index.svm", []byte("0 0:1 x:2\n1 1:1\n")), content("beyond.svm", []byte("0\n3000000000\n5\n")), content("negative.svm", []byte("-1 -5:1\n0 0:1\n")),
		content("number.svm", []byte("0 0:one\n1 1:1\n")), content("sizes.txt", []byte("1000000000000 4 4\n0 0:1\n")), content("rows.txt", []byte("7 4 4\n0 0:1\n1 1:1\n")),
		content("twice.svm", []byte("1,1 0:1 0:2\n0 1:1\n0 1:1\n")), content("nan.svm", []byte("0 0:nan\n1 1:nan\n0 2:nan\n")),
		content("shards.json", []byte(`{"shards": []}`)), content("list.json", []byte(`["a.npy", "b.npy"]`)), content("cut.json", []byte(`{"shards": [{"scores": "a.npy"`)),
		content("unknown.json", []byte(`{"shards": [{"scores": "a.npy", "labls": "b.npy"}]}`)), content("twice.json", []byte(`{"shards": [{"scores": "a.npy", "scores": "b.npy"}]}`)),
		content("uneven.json", []byte(`{"shards": [{"scores": "a.npy", "labels": "y.npy"}, {"scores": "b.npy"}]}`)), content("words.json", []byte("hello\n")), content("empty.json", nil),
		content("rows.json", []byte(`{"shards": [{"scores": "a.npy", "rows": -1}]}`)), content("deep.json", bytes.Repeat([]byte("["), mebibyte)), content("more.json", []byte(`{"shards": [{"scores": "a.npy"}]} {}`)),
		content("itself.json", []byte(`{"shards": [{"scores": "itself.json", "labels": "itself.json"}]}`)),
		content("not.gz", []byte("\x1f\x8b hello")), content("cut.npy.gz", compressed(good, 0)[:40]), content("words.gz", compressed([]byte("hello\n"), 0)), content("not.bz2", []byte("BZh9 hello")),
		content("not.zst", []byte("\x28\xb5\x2f\xfd hello hello hello")), content("window.zst", []byte("\x28\xb5\x2f\xfd\x00\xa8"+strings.Repeat("x", 60))), content("cut.npy.zst", zstandard(good, 0)[:40]),
		made("bomb.zst", func() []byte { return zstandard(nil, 256*mebibyte) }), made("bomb.npy.zst", func() []byte { return zstandard(good, 256*mebibyte) }),
		made("bomb.gz", func() []byte { return compressed(nil, 256*mebibyte) }), made("bomb.npy.gz", func() []byte { return compressed(good, 256*mebibyte) }),
	}
	for _, ending := range []string{".npy", ".npz", ".csv", ".tsv", ".svm", ".txt", ""} {
		list = append(list, sparse("zeros"+ending, nil, 32*mebibyte))
	}
	for name, text := range map[string]string{"digits.csv": "1", "digits.svm": "1", "commas.csv": ",", "lines.csv": "\n", "rows.csv": "1,2,3,4\n",
		"blanks.svm": " ", "colons.svm": ":", "rows.svm": "9\n"} {
		size := mebibyte // takes long enough
		if text == "1" {
			size = 32 * mebibyte
		}
		list = append(list, made(name, func() []byte { return bytes.Repeat([]byte(text), size/len(text)) }))
	}
	return append(list, sparse("zeros more.npy", good, 32*mebibyte))
}

// A use of a file by a command: FILE stands for it.
type fileUse struct{ what, args string }

var fileUses = []fileUse{
	{"scores", "eval --scores FILE --labels Y.npy --grad G.npy --per-row L.npy --predictions P.npy --plot p.svg"},
	{"labels", "eval --scores S.npy --labels FILE --grad G.npy --per-row L.npy --predictions P.npy --plot p.svg"},
	{"labels of all losses", "eval --scores S.npy --labels FILE --loss all --plot p.svg"},
	{"labels of softmax", "eval --scores S.npy --labels FILE --loss softmax --grad G.npy"},
	{"mask", "eval --scores S.npy --labels Y.npy --mask FILE --grad G.npy"},
	{"lengths", "eval --scores S.npy --labels Y.npy --lengths FILE --grad G.npy"},
	{"row weights", "eval --scores S.npy --labels Y.npy --row-weights FILE --grad G.npy"},
	{"class weights", "eval --scores S.npy --labels Y.npy --class-weights FILE --grad G.npy"},
	{"positive weights", "eval --scores S.npy --labels Y.npy --loss bce --pos-weight FILE --grad G.npy"},
	{"thresholds", "eval --scores S.npy --labels Y.npy --thresholds FILE --predictions P.npy"},
	{"a threshold", "eval --scores S.npy --labels Y.npy --predict-threshold FILE --predictions P.npy"},
	{"thresholds to predict by", "predict --scores S.npy --as classes --thresholds FILE --out P.npy"},
	{"scores to tune on", "tune FILE Y.npy --out t.json --curve c.csv"},
	{"labels to tune on", "tune S.npy FILE --out t.json"},
	{"mask to tune with", "tune S.npy Y.npy --mask FILE --per-class --out t.json"},
	{"lengths to tune with", "tune S.npy Y.npy --lengths FILE --out t.json"},
	{"row weights to tune with", "tune S.npy Y.npy --row-weights FILE --measure samples_f1 --out t.json"},
	{"shard to tune on", "tune shards/S-*.npy Y6.npy --out t.json"},
	{"names", "eval --scores S.npy --labels Y.npy --names FILE --by-class c.csv"},
	{"partial result", "merge FILE --out m.zlpr"},
	{"partial result among others", "merge part.zlpr FILE --out m.zlpr"},
	{"manifest of what may be missing", "merge part.zlpr --missing FILE"},
	{"scores to scan", "scan FILE Y.npy --out s.zlpr"},
	{"labels to scan", "scan S.npy FILE --out s.zlpr"},
	{"scan of labels", "eval S.npy Y.npy --loss subset-padded --scan FILE --partial p.zlpr"},
	{"partial result to divide by", "eval S.npy Y.npy --grad G.npy --divisor-from FILE"},
	{"scores of a part", "eval FILE Y.npy --partial p.zlpr"},
	{"scores to draw from", "sample --scores FILE --k 2 --out D.npy"},
	{"scores to print draws of", "sample --scores FILE --k 2"},
	{"model", "predict --model FILE --x X.npy --out P.npy"},
	{"features to predict", "predict --model model.npz --x FILE --out P.npy"},
	{"pointers to predict", "predict --model model.npz --x-csr FILE,index.npy,values.npy --out P.npy"},
	{"indices to predict", "predict --model model.npz --x-csr ptr.npy,FILE,values.npy --out P.npy"},
	{"values to predict", "predict --model model.npz --x-csr ptr.npy,index.npy,FILE --out P.npy"},
	{"features", "train --x FILE --y Y.npy --l2 1 --out m.npz --test-scores t.npz --plot p.svg"},
	{"features to standardise", "train --x FILE --y Y.npy --l2 1 --standardize --out m.npz"},
	{"features and labels", "train --x FILE --l2 1 --out m.npz"},
	{"pointers", "train --x-csr FILE,index.npy,values.npy --features 2 --y Y.npy --l2 1 --out m.npz"},
	{"indices", "train --x-csr ptr.npy,FILE,values.npy --features 2 --y Y.npy --l2 1 --out m.npz"},
	{"values", "train --x-csr ptr.npy,index.npy,FILE --features 2 --y Y.npy --l2 1 --out m.npz"},
	{"labels to train with", "train --x X.npy --y FILE --l2 1 --out m.npz --plot p.svg"},
	{"targets to train with", "train --x X.npy --y FILE --l2 1 --loss softmax --out m.npz"},
	{"split", "train --x X.npy --y Y.npy --split FILE --l2 1 --out m.npz"},
	{"source", "train --source FILE --out m.npz"},
	{"features of a set", "compare --data sets/X.npy --l2 1"},
	{"labels of a set", "compare --data sets/Y.npy --l2 1"},
	{"split of a set", "compare --data sets/split.npy --l2 1"},
	{"pointers of a set", "compare --data sets/X_indptr.npy --l2 1"},
	{"indices of a set", "compare --data sets/X_indices.npy --l2 1 --json"},
	{"values of a set", "compare --data sets/X_data.npy --l2 1"},
	{"folder of sets", "compare --data FILE --l2 1"},
	{"an argument", "eval FILE Y.npy --grad G.npy"},
	{"labels as an argument", "eval S.npy FILE --grad G.npy"},
	{"one argument", "eval FILE"},
	{"shard of scores", "eval shards/S-*.npy Y6.npy --grad G.npy --per-row L.npy --predictions P.npy --plot p.svg"},
	{"shard of labels", "eval S6.npy shards/Y-*.npy --grad G.npy"},
	{"shard of a mask", "eval S6.npy Y6.npy --mask shards/M-*.npy --grad G.npy"},
	{"shard of lengths", "eval S6.npy Y6.npy --lengths shards/N-*.npy --grad G.npy"},
	{"shard of row weights", "eval S6.npy Y6.npy --row-weights shards/W-*.npy --grad G.npy"},
	{"shard to draw from", "sample --scores shards/S-*.npy --k 2 --out D.npy"},
	{"shard of features", "train --x shards/X-*.npy --y Y6.npy --l2 1 --out m.npz"},
	{"shard of features to predict", "predict --model model.npz --x shards/X-*.npy --out P.npy"},
	{"manifest", "eval shards/m.json"},
	{"scores to predict by", "predict --scores FILE --as probabilities --top 2 --out P.csv"},
	{"scores to predict classes by", "predict --scores FILE --as classes --out P.npz"},
	{"shard to predict by", "predict --scores shards/S-*.npy --top 2 --out P.npz"},
	{"scores to convert", "convert FILE P.csv --as scores"},
	{"scores to convert to an array", "convert FILE P.npy --as scores"},
	{"labels to convert", "convert FILE P.npz --as labels"},
	{"a file to convert", "convert FILE P.txt"},
	{"bits to convert", "convert FILE P.npy --from bits --columns 4"},
	{"shard to convert", "convert shards/S-*.npy P.npz"},
	{"scores of a manifest", "eval shards/scores.json --grad G.npy"},
	{"labels of a manifest", "eval shards/labels.json --grad G.npy"},
	{"the first of two scores", "diff FILE S.npy --labels Y.npy --resamples 9"},
	{"the second of two scores", "diff S.npy FILE --labels Y.npy --resamples 9 --json"},
	{"the third of three scores", "diff S.npy S.npy FILE --labels Y.npy --resamples 9"},
	{"labels of two scores", "diff S.npy S.npy --labels FILE --resamples 9"},
	{"groups", "diff S.npy S.npy --labels Y.npy --resamples 9 --groups FILE"},
	{"shard of one of two scores", "diff S6.npy shards/S-*.npy --labels Y6.npy --resamples 9"},
	{"scores to calibrate", "calibrate FILE Y.npy --out c.json"},
	{"labels to calibrate", "calibrate S.npy FILE --fit none --out c.json"},
	{"targets to calibrate", "calibrate S.npy FILE --by softmax --out c.json"},
	{"a mask to calibrate", "calibrate S.npy Y.npy --mask FILE --out c.json"},
	{"shard to calibrate", "calibrate shards/S-*.npy Y6.npy --fit none --out c.json"},
	{"a calibration", "predict --scores S.npy --as probabilities --calibration FILE --out P.npy"},
	{"shard of groups", "diff S6.npy S6.npy --labels Y6.npy --resamples 9 --groups shards/W-*.npy"},
}

// TestBadFiles runs every command on every kind of bad file, for all that the
// command reads. It ends with status 1 or 2 and one line that names the file,
// leaves no output and no temporary file, and takes less than 200 MiB of memory
// of its own; files are of at most 32 MiB. A short test, which is for the race
// detector and build tags, takes every fourth pair of a file and what reads it.
func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	temporary := filepath.Join(t.TempDir())
	t.Setenv("TMPDIR", temporary)
	save(t, dir, "S.npy", []int{3, 4}, []float64{0.25, -1.5, 2, 1, -0.5, 3, 0.75, -2, 1.25, 0.5, -1, -0.25})
	save(t, dir, "Y.npy", []int{3, 4}, []uint8{1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1})
	save(t, dir, "X.npy", []int{3, 2}, []float64{1, 2, 3, -1, 0.5, 4})
	save(t, dir, "split.npy", []int{3}, []uint8{0, 0, 1})
	save(t, dir, "ptr.npy", []int{4}, []int64{0, 2, 3, 4})
	save(t, dir, "index.npy", []int{4}, []int64{0, 1, 1, 0})
	save(t, dir, "values.npy", []int{4}, []float64{1, 2, 3, 4})
	if line := inProcess(t, 0, "train", "--x", "X.npy", "--y", "Y.npy", "--l2", "1", "--out", "model.npz"); line != "" {
		t.Fatal(line)
	}
	if line := inProcess(t, 0, "eval", "S.npy", "Y.npy", "--partial", "part.zlpr"); line != "" {
		t.Fatal(line)
	}
	for use, files := range map[string][]string{
		"X.npy": {"Y.npy", "split.npy"}, "Y.npy": {"X.npy", "split.npy"}, "split.npy": {"X.npy", "Y.npy"},
		"X_indptr.npy": {"X_indices.npy", "X_data.npy", "Y.npy", "split.npy"}, "X_indices.npy": {"X_indptr.npy", "X_data.npy", "Y.npy", "split.npy"},
		"X_data.npy": {"X_indptr.npy", "X_indices.npy", "Y.npy", "split.npy"},
	} {
		set := filepath.Join("sets", use, "one")
		require.NoError(t, os.MkdirAll(set, 0o755))
		for _, name := range files {
			from := map[string]string{"X_indptr.npy": "ptr.npy", "X_indices.npy": "index.npy", "X_data.npy": "values.npy"}[name]
			if from == "" {
				from = name
			}
			require.NoError(t, os.Symlink(filepath.Join(dir, from), filepath.Join(set, name)))
		}
	}
	makeShards(t, dir)
	require.NoError(t, os.Mkdir("bad", 0o755))
	before := tree(t, dir)
	runs, most, left := 0, 0, heap()
	for i, bad := range badFiles() {
		path := filepath.Join("bad", bad.name)
		require.NoError(t, bad.make(path), bad.name)
		if bad.long {
			debug.FreeOSMemory() // what the files before left
			left = heap()        // all but cobra's completions, which it keeps of every run
		}
		memory := sampleMemory()
		for j, use := range fileUses {
			if testing.Short() && (i+j)%4 != 0 {
				continue
			}
			if isFine(bad.name, use.what) || bad.long && !readsLong[use.what] {
				continue
			}
			args := strings.Fields(use.args)
			names := []string{path}
			if _, parts, ok := strings.Cut(use.args, "--x-csr "); ok { // they are judged together
				names = append(names, strings.Split(strings.Fields(parts)[0], ",")...)
			}
			link := ""
			if disagree[bad.name] { // with the other files, which may be named
				names = append(names, "S6.npy", "Y6.npy", "shards/W-*.npy", "S.npy", "X.npy", "Y.npy", "model.npz")
			}
			for i, arg := range args {
				args[i] = strings.ReplaceAll(arg, "FILE", path)
				if place, ok := shardUses[arg]; ok { // the second shard is the bad file
					if place == "shards/labels-1" || place == "shards/scores-1" { // whose ending a manifest leaves as it is
						place += filepath.Ext(bad.name)
						require.NoError(t, os.WriteFile(arg, []byte(strings.ReplaceAll(manifests[arg], "BAD", filepath.Base(place))), 0o644))
					}
					link = place
					if source.IsManifest(place) { // which is refused by its name
						names = append(names, arg)
					}
					names = append(names, link, "shards/"+bad.name, strings.ReplaceAll(link, "-1.", "-0."), strings.ReplaceAll(link, "-1.", "-2."))
					require.NoError(t, os.Symlink(filepath.Join(dir, path), link))
				}
				if name, ok := strings.CutPrefix(arg, "sets/"); ok { // one file of the set is the bad one
					link = filepath.Join(arg, "one", name)
					names = append(names, arg)
					require.NoError(t, os.Symlink(filepath.Join(dir, path), link))
				}
			}
			where := fmt.Sprintf("%s as %s", bad.name, use.what)
			stderr := inProcess(t, 1, args...)
			runs++
			named := false
			for _, name := range names {
				named = named || strings.Contains(stderr, array.Quote(name)) || strings.Contains(stderr, name)
			}
			if !named {
				t.Errorf("%s: the file is not named: %s", where, stderr)
			}
			if strings.Contains(stderr, ".tmp") || strings.Contains(stderr, temporary) {
				t.Errorf("%s: a temporary file is named: %s", where, stderr)
			}
			if link != "" {
				require.NoError(t, os.Remove(link))
			}
		}
		peak := memory() - left
		// The race detector's own memory counts with the command's.
		if most = max(most, peak); peak >= 200<<10 && !kerneltest.RaceEnabled {
			t.Errorf("%s: %d MiB of memory", bad.name, peak>>10)
		}
		require.NoError(t, os.RemoveAll(path))
		for _, name := range append(tree(t, dir), tree(t, temporary)[1:]...) {
			if !slices.Contains(before, name) {
				t.Errorf("%s: %s is left", bad.name, name)
				_ = os.RemoveAll(name)
			}
		}
	}
	t.Logf("%d runs, at most %d MiB of memory", runs, most>>10)
}

// shardUses are the places of the bad one of several files.
var shardUses = map[string]string{
	"shards/S-*.npy": "shards/S-1.npy", "shards/Y-*.npy": "shards/Y-1.npy", "shards/M-*.npy": "shards/M-1.npy",
	"shards/N-*.npy": "shards/N-1.npy", "shards/W-*.npy": "shards/W-1.npy", "shards/X-*.npy": "shards/X-1.npy",
	"shards/m.json": "shards/m.json", "shards/scores.json": "shards/scores-1", "shards/labels.json": "shards/labels-1",
}

// manifests are manifests of which a file, BAD, is bad.
var manifests = map[string]string{
	"shards/scores.json": `{"shards": [{"scores": "S-0.npy", "labels": "Y-0.npy", "rows": 3}, {"scores": "BAD", "labels": "Y-0.npy"}]}`,
	"shards/labels.json": `{"shards": [{"scores": "S-0.npy", "labels": "Y-0.npy"}, {"labels": "BAD", "scores": "S-2.npy"}]}`,
}

// makeShards makes files that with another one, whose number is 1, are shards,
// and files that go with them, of nine rows.
func makeShards(t *testing.T, dir string) {
	require.NoError(t, os.Mkdir("shards", 0o755))
	for _, name := range []string{"S", "Y", "X"} {
		data, err := os.ReadFile(filepath.Join(dir, name+".npy"))
		require.NoError(t, err)
		for _, k := range []int{0, 2} {
			require.NoError(t, os.WriteFile(fmt.Sprintf("shards/%s-%d.npy", name, k), data, 0o644))
		}
	}
	for _, k := range []int{0, 2} {
		save(t, "shards", fmt.Sprintf("M-%d.npy", k), []int{3, 4}, []uint8{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1})
		save(t, "shards", fmt.Sprintf("N-%d.npy", k), []int{3}, []int64{4, 4, 4})
		save(t, "shards", fmt.Sprintf("W-%d.npy", k), []int{3}, []float64{1, 2, 3})
	}
	for name := range manifests {
		require.NoError(t, os.WriteFile(name, nil, 0o644))
	}
	save(t, dir, "S6.npy", []int{9, 4}, make([]float64, 36))
	save(t, dir, "Y6.npy", []int{9, 4}, make([]uint8, 36))
}

// readsLong are uses of long files, one of every command.
var readsLong = map[string]bool{"scores": true, "the second of two scores": true, "scores to calibrate": true, "a calibration": true, "groups": true, "labels": true, "scores to draw from": true, "a file to convert": true, "scores to predict by": true, "features to predict": true,
	"features and labels": true, "features of a set": true}

// copies are uses that copy numbers, NaN as any other.
var copies = []string{"scores to convert", "scores to convert to an array", "a file to convert", "shard to convert"}

// fine are uses of files that are not bad for them.
var fine = map[string]bool{}

func init() {
	for name, uses := range map[string][]string{
		"other shape.npy":         {"scores to draw from", "scores to print draws of"},
		"other shape.pt":          {"scores to draw from", "scores to print draws of"},
		"other shape.safetensors": {"scores to draw from", "scores to print draws of"},
		"rows.csv":                {"scores to draw from"},
		"nothing.npy":             {"shard to draw from"},  // no rows beside those of other shards
		"rows.svm":                {"features to predict"}, // no features, of labels that nobody asks for
		"integers.npy":            {"groups"},
		"unsigned.npy":            {"features", "features to standardise", "features of a set"},
		"nan.svm": {"labels as an argument", "labels to tune on", "labels of two scores", "shard of labels", "labels of a manifest", "labels", "labels of all losses", "labels of softmax",
			"labels to train with", "targets to train with", "labels to scan", "labels to calibrate", "targets to calibrate"}, // nobody asks for its features
	} {
		for _, use := range uses {
			fine[name+" as "+use] = true
		}
	}
	for name, uses := range map[string][]string{
		"no axis.npy": append(copies, "scores to predict classes by", "thresholds", "a threshold", "thresholds to predict by"), // one for all
		"nothing.npy": {"shard to predict by", "shard to convert"},
		"nan.svm":     {"labels to convert"},
		"rows.csv":    {"scores to predict by", "a file to convert"},
		"rows.svm":    {"a file to convert"},
	} {
		for _, use := range uses {
			fine[name+" as "+use] = true
		}
	}
}

// isFine tells whether a file is not bad for a use. What is copied may be NaN;
// what is copied, or predicted by, may be of any shape.
func isFine(name, use string) bool {
	shapeless := append(copies[:3:3], "scores to predict by", "scores to predict classes by", "labels to convert")
	return fine[name+" as "+use] || strings.Contains(name, "nan") && (slices.Contains(copies, use) || use == "scores to scan") || // of which only the shape counts
		strings.HasPrefix(name, "other shape") && slices.Contains(shapeless, use)
}

// disagree are files that are wrong only beside others.
var disagree = map[string]bool{"no axis.npy": true, "nothing.npy": true, "no columns.npy": true,
	"other shape.npy": true, "other shape.safetensors": true, "other shape.pt": true, "nan vector.npy": true, "nan four.npy": true, "rows.csv": true, "rows.svm": true, "nan.svm": true,
	"words.gz": true, "not.bz2": true} // a heading and no rows

// heap returns how much memory is in use, in KiB.
func heap() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc >> 10)
}

// sampleMemory begins to look how much memory the process has of its own, and
// returns a function that ends this and says the most, in KiB.
func sampleMemory() (end func() int) {
	stop, most := make(chan struct{}), make(chan int)
	go func() { most <- anonymous(os.Getpid(), stop) }()
	return func() int {
		close(stop)
		return <-most
	}
}

// inProcess runs the command in this process, with a guard against hanging, and
// checks how it ends: with status 0, or with 1 or 2 and one line on standard
// error, which it returns.
func inProcess(t *testing.T, want int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	ended := make(chan int)
	go func() { ended <- newSession(&stdout, &stderr).run(args) }()
	select {
	case status := <-ended:
		line := stderr.String()
		if min(status, 1) != want || status > 2 || want > 0 && (strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "zlpr: ") || len(line) > 2000) {
			t.Errorf("zlpr %s: status %d: %q", strings.Join(args, " "), status, line)
		}
		return line
	case <-time.After(time.Minute):
		t.Fatalf("zlpr %s: still at it after a minute", strings.Join(args, " "))
	}
	return ""
}

// tree returns the names of all files below a folder.
func tree(t *testing.T, dir string) (names []string) {
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	}))
	return names
}
