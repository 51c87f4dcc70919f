package array

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"
)

// An Archive is an .npz file.
type Archive struct {
	path string
	file *os.File
	size int64
	zip  *zip.Reader
	raw  *Raw
}

var (
	errNotNPZ     = errors.New("not an .npz file, or truncated; write it again with numpy.savez")
	errDamagedZip = errors.New("a zip archive, as .npz and torch files are, that is damaged or truncated; write it again")
)

// OpenArchive opens an .npz file.
func OpenArchive(path string) (*Archive, error) {
	in, err := OpenInput(path)
	if err != nil {
		return nil, err
	}
	if in.Format != Zip {
		in.Close()
		return nil, Named(path, errNotNPZ)
	}
	z, err := in.Archive()
	if err != nil {
		in.Close()
	}
	return z, err
}

// Archive returns the archive that an input is. Closing it closes the input.
func (in *Input) Archive() (*Archive, error) {
	z, err := readDirectory(in.file, in.size)
	if err != nil {
		return nil, Named(in.Name, err)
	}
	return &Archive{in.Name, in.file, in.size, z, in.Raw}, nil
}

// ReadArchive opens an .npz file that lies in memory.
func ReadArchive(name string, data []byte) (*Archive, error) {
	z, err := readDirectory(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, Named(name, err)
	}
	return &Archive{path: name, size: int64(len(data)), zip: z}, nil
}

// readDirectory reads the directory of an archive, unless it is so large that
// it would fill memory.
func readDirectory(r io.ReaderAt, size int64) (*zip.Reader, error) {
	limited := &limitedReaderAt{r, maxDirectory}
	z, err := zip.NewReader(limited, size)
	limited.left = -1 // members are bounded as they are read
	switch {
	case errors.Is(err, errDirectory):
		return nil, errDirectory
	case err != nil:
		return nil, errDamagedZip
	}
	return z, nil
}

// A limitedReaderAt reads no more than left bytes, all if left is negative.
type limitedReaderAt struct {
	io.ReaderAt
	left int64
}

var errDirectory = fmt.Errorf("an archive whose directory is longer than %s; write fewer arrays to a file", Counted(maxDirectory, "byte"))

func (r *limitedReaderAt) ReadAt(p []byte, at int64) (int, error) {
	if r.left >= 0 {
		if int64(len(p)) > r.left {
			return 0, errDirectory
		}
		r.left -= int64(len(p))
	}
	return r.ReaderAt.ReadAt(p, at)
}

// Close closes the file. Arrays that were opened stay.
func (z *Archive) Close() error {
	if z.file == nil {
		return nil
	}
	return z.file.Close()
}

// Keys returns the names of the arrays.
func (z *Archive) Keys() []string {
	var keys []string
	for _, f := range z.zip.File {
		if key, ok := strings.CutSuffix(f.Name, ".npy"); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// Has reports whether there is an array of that name.
func (z *Archive) Has(key string) bool { return slices.Contains(z.Keys(), key) }

// member returns the member of that name.
func (z *Archive) member(key string) (*zip.File, error) {
	var found *zip.File
	for _, f := range z.zip.File {
		switch {
		case f.Name != key+".npy":
		case found != nil:
			return nil, Faultf(z.path, "two arrays of the name %s; write the file again with numpy.savez", Quote(short(key)))
		default:
			found = f
		}
	}
	if found == nil {
		return nil, noArray(z, z.path, key)
	}
	return found, nil
}

// Open opens the array of that name.
func (z *Archive) Open(key string) (*Array, error) {
	f, err := z.member(key)
	if err != nil {
		return nil, err
	}
	name := z.path + ":" + key
	var a *Array
	if f.Method == zip.Store && z.file != nil {
		a, err = z.stored(name, f, (*Array).interpret)
	} else {
		a, err = unpacked(name, f)
	}
	if err == nil {
		err = a.resolve(z.raw)
	}
	if err != nil {
		return nil, Named(name, err)
	}
	return a, nil
}

// stored maps a member that is not compressed; interpret says what it is.
func (z *Archive) stored(name string, f *zip.File, interpret func(*Array, []byte) error) (*Array, error) {
	size := int64(f.UncompressedSize64)
	offset, err := f.DataOffset()
	if err != nil {
		return nil, err
	}
	if f.CompressedSize64 != f.UncompressedSize64 || size < 0 || offset < 0 || size > z.size-offset {
		return nil, errDamagedZip
	}
	return mapped(name, z.file, offset, offset+size, func(a *Array, data []byte) error {
		if crc32.ChecksumIEEE(data) != f.CRC32 {
			return zip.ErrChecksum
		}
		return interpret(a, data)
	})
}

// unpacked unpacks a member, unless its length is not that of the array that
// its header describes.
func unpacked(name string, f *zip.File) (*Array, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	sum := crc32.NewIEEE() // archive/zip takes a sum of 0 for none
	content := io.TeeReader(r, sum)
	h, err := readHeader(content)
	if err != nil {
		return nil, err
	}
	if want, _ := h.length(); f.UncompressedSize64 != uint64(h.size)+uint64(want) {
		return nil, h.checkLength(int64(want), int64(min(f.UncompressedSize64, 1<<62))-int64(h.size))
	}
	a, err := readData(name, &h, content)
	if err == nil && sum.Sum32() != f.CRC32 {
		a.Close()
		return nil, zip.ErrChecksum
	}
	return a, err
}

// Text returns a short string that lies in the archive, "" if there is none.
func (z *Archive) Text(key string) (string, error) {
	if !z.Has(key) {
		return "", nil
	}
	f, err := z.member(key)
	if err != nil {
		return "", err
	}
	const most = maxHeader + 1<<10
	name := z.path + ":" + key
	if f.UncompressedSize64 > most {
		return "", Faultf(name, "%s are too many for a name; write the file again", Counted(f.UncompressedSize64, "byte"))
	}
	r, err := f.Open()
	if err != nil {
		return "", Named(name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return "", Named(name, err)
	}
	if uint64(len(b)) != f.UncompressedSize64 {
		return "", Named(name, zip.ErrFormat)
	}
	at, length, err := dictionary(b)
	if err != nil {
		return "", Named(name, err)
	}
	return strings.ReplaceAll(string(b[min(at+length, len(b)):]), "\x00", ""), nil
}
