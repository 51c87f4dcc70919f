package array

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// A Format is what the first bytes of a file tell.
type Format uint8

const (
	NPY         Format = iota // an array
	Zip                       // an archive of arrays, .npz, or of tensors, .pt
	Safetensors               // a file of tensors
	Text                      // numbers in text
)

// An Input is a file that the user named, or what a compressed one unpacks to.
type Input struct {
	Name   string // as the user wrote it
	Format Format
	Raw    *Raw // what raw elements are; nil: an error

	file        *os.File
	size        int64  // of a regular file, else -1
	packed      bool   // whether it is compressed
	compression string // the ending of its name
	torch       bool   // whether an archive that was opened is one of tensors
	read        *counter
	r           *bufio.Reader
}

// Stdin is the name of standard input.
const Stdin = "-"

// OpenInput opens a file, or standard input, and looks at how it begins.
func OpenInput(name string) (in *Input, err error) {
	in = &Input{Name: name, file: os.Stdin}
	if name != Stdin {
		if in.file, err = os.Open(name); err != nil {
			return nil, Named(name, err)
		}
	}
	if err := in.recognise(); err != nil {
		in.Close()
		return nil, Named(name, err)
	}
	return in, nil
}

// OpenFile is OpenInput of a file that is open, under another name: of a copy, that of what
// was copied.
func OpenFile(name string, file *os.File) (*Input, error) {
	in := &Input{Name: name, file: file}
	return in, Named(name, in.recognise())
}

// NewInput is OpenInput of what r reads, under that name: a pipe, an object of a
// store. Nothing is read twice.
func NewInput(name string, r io.Reader) (*Input, error) {
	in := &Input{Name: name, size: -1}
	return in, Named(name, in.recogniseIn(r))
}

// Close closes the file. Arrays that were opened stay.
func (in *Input) Close() error {
	if in.Name == Stdin || in.file == nil {
		return nil
	}
	return in.file.Close()
}

// Kind returns the format in a word, with the ending of its compression: of an
// archive once its arrays were opened.
func (in *Input) Kind() string {
	kind := [...]string{NPY: "npy", Zip: "npz", Safetensors: "safetensors", Text: "csv"}[in.Format]
	if in.torch {
		kind = "pt"
	}
	return kind + in.compression
}

// mappable reports whether the bytes of the input lie in a file as they are.
func (in *Input) mappable() bool { return in.size >= 0 && !in.packed }

// ErrArchive is the error of an archive that is no file by itself: its end says where its
// arrays are.
var ErrArchive = errors.New("an archive (.npz, .pt) cannot be read from a pipe or unpacked from another file; write it to the disk as it is")

func newBuffered(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, peekSize) }

// headSize is how many of its first bytes tell what a file is.
const headSize = 512

// recognise sets the format.
func (in *Input) recognise() error {
	info, err := in.file.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return errors.New("is a directory")
	}
	in.size = -1
	if at, err := in.file.Seek(0, io.SeekCurrent); info.Mode().IsRegular() && err == nil && at == 0 {
		in.size = info.Size()
	}
	return in.recogniseIn(in.file)
}

// recogniseIn sets the format of what r reads.
func (in *Input) recogniseIn(r io.Reader) error {
	in.read = &counter{r: r, size: in.size}
	in.r = newBuffered(in.read)
	head, err := in.peek()
	if err != nil {
		return err
	}
	unpack, err := in.unpacker(head)
	if err != nil {
		return unpackError(err)
	}
	if unpack != nil {
		in.packed, in.compression, in.r = true, compression(head), newBuffered(&unpackedReader{unpack, in.read})
		if head, err = in.peek(); err != nil {
			return err
		}
	}
	in.Format, err = formatOf(head)
	if err == nil && in.Format == Zip && !in.mappable() {
		err = ErrArchive
	}
	if err == nil && in.Format == Text {
		switch in.Ext() {
		case ".npy":
			err = errNotNPY
		case ".npz":
			err = errNotNPZ
		case ".safetensors":
			err = errNotSafetensors
		case ".pt", ".pth":
			err = errNotTorch
		}
	}
	return err
}

// peek returns the first bytes.
func (in *Input) peek() ([]byte, error) {
	head, err := in.r.Peek(headSize)
	if err == io.EOF {
		err = nil
	}
	return head, err
}

// Ext returns the ending of the name, in small letters, without that of a
// compression.
func (in *Input) Ext() string {
	name := strings.ToLower(in.Name)
	if in.packed {
		for _, ext := range []string{".gz", ".bz2", ".zst"} {
			name = strings.TrimSuffix(name, ext)
		}
	}
	return filepath.Ext(name)
}

// Read reads what the file contains, unpacked. It ends with an error where a
// file is shorter than it was when it was opened.
func (in *Input) Read(p []byte) (int, error) { return in.r.Read(p) }

// Peek returns the next n bytes without reading them, fewer if there are no
// more.
func (in *Input) Peek(n int) []byte {
	b, _ := in.r.Peek(n)
	return b
}

// A counter counts the bytes of a file.
type counter struct {
	r       io.Reader
	n, size int64
	err     error // other than the end
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.n += int64(n); err == io.EOF && c.n < c.size {
		err = errShorter(c.n, c.size)
	}
	if err != io.EOF {
		c.err = err
	}
	return n, err
}

// compression returns the ending of the name of a compressed file that begins so.
func compression(head []byte) string {
	switch head[0] {
	case 0x1f:
		return ".gz"
	case 'B':
		return ".bz2"
	}
	return ".zst" // which may begin with a part that is skipped
}

// unpacker returns what unpacks a file that begins so, nil if it is not
// compressed.
func (in *Input) unpacker(head []byte) (io.Reader, error) {
	begins := func(s string) bool { return bytes.HasPrefix(head, []byte(s)) }
	switch {
	case begins("\x1f\x8b"):
		return gzip.NewReader(in.r)
	case begins("BZh") && len(head) > 9 && string(head[4:10]) == "1AY&SY":
		return bzip2.NewReader(in.r), nil
	case begins("\x28\xb5\x2f\xfd"), len(head) > 4 && head[0]>>4 == 5 && string(head[1:4]) == "\x2a\x4d\x18": // what may be skipped
		window := min(max(smallWindow, 64*in.size), maxWindow)
		z, err := zstd.NewReader(in.r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(window)))
		if err != nil {
			return nil, err
		}
		return z, nil
	}
	return nil, nil
}

// An unpackedReader is what a compressed file contains.
type unpackedReader struct {
	io.Reader
	file *counter
}

func (u *unpackedReader) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case u.file.err != nil: // not the decompressor's
		return n, u.file.err
	}
	return n, unpackError(err)
}

// formatOf returns the format of a file that begins so, or says what the file
// is instead.
func formatOf(head []byte) (Format, error) {
	begins := func(s string) bool { return bytes.HasPrefix(head, []byte(s)) }
	convert := func(what, how string) (Format, error) {
		return Text, fmt.Errorf("%s, which is not read; %s and write it with numpy.save", what, how)
	}
	switch {
	case isNPY(head):
		return NPY, nil
	case begins("PK\x03\x04"), begins("PK\x05\x06"):
		return Zip, nil
	case isSafetensors(head):
		return Safetensors, nil
	case begins("\x89HDF\r\n"):
		return convert("an HDF5 file", "read it in Python with h5py")
	case begins("PAR1"):
		return convert("a Parquet file", "read it in Python with pyarrow")
	case begins("ARROW1"):
		return convert("an Arrow file", "read it in Python with pyarrow")
	case begins("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."):
		return Text, errors.New("a torch file of the old format, which is not read; convert it: python3 -c 'import sys, torch; torch.save(torch.load(sys.argv[1]), sys.argv[2])' OLD.pt NEW.pt")
	case len(head) > 1 && head[0] == 0x80 && 2 <= head[1] && head[1] <= 5:
		return convert("a pickle, which may run programs", "read it in Python, if you trust it,")
	case begins("\xfd7zXZ"):
		return Text, errors.New("compressed by xz, which is not read; unpack it first: unxz")
	case begins("\xff\xfe"), begins("\xfe\xff"):
		return Text, errors.New("text in UTF-16; save it as UTF-8")
	case bytes.IndexByte(head, 0) >= 0:
		return Text, fmt.Errorf("no format that is read: it begins with %q; write it with numpy.save", head[:min(8, len(head))])
	}
	return Text, nil
}

// unpackError says what an error of a decompressor means.
func unpackError(err error) error {
	switch {
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("truncated; compress it again")
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return errors.New("compressed by zstd with a window that takes too much memory; unpack it first: unzstd --long=31")
	}
	return fmt.Errorf("damaged: %w; compress it again", err)
}

// Split cuts "file.npz:key" into its parts. A file that has the whole name is
// taken as it stands.
func Split(name string) (path, key string) {
	if exists(name) {
		return name, ""
	}
	for i := range name {
		if name[i] == ':' && i > 1 && exists(name[:i]) || name[:i] == Stdin && name[i] == ':' {
			return name[:i], name[i+1:]
		}
	}
	i := strings.LastIndex(name, ":")
	if i <= 1 { // none, or that of a drive
		return name, ""
	}
	if isContainer(strings.ToLower(filepath.Ext(name[:i]))) {
		return name[:i], name[i+1:]
	}
	return name, ""
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
