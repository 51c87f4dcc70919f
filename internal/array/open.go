package array

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Split cuts "file.npz:key" into its parts. A file that has the whole name is
// taken as it stands.
func Split(name string) (path, key string) {
	if _, err := os.Stat(name); err == nil {
		return name, ""
	}
	if i := strings.LastIndex(name, ":"); i > 1 && strings.HasSuffix(strings.ToLower(name[:i]), ".npz") {
		return name[:i], name[i+1:]
	}
	return name, ""
}

// Open opens an array: an .npy file, an array of an .npz file (file.npz:key;
// the key can be left out where there is one array only), or a CSV file.
func Open(name string) (*Array, error) {
	path, key := Split(name)
	var a *Array
	var err error
	switch strings.ToLower(filepath.Ext(path)) {
	case ".npz":
		var z *Archive
		if z, err = OpenArchive(path); err != nil {
			return nil, err
		}
		defer z.Close()
		if key == "" {
			if keys := z.Keys(); len(keys) == 1 {
				key = keys[0]
			} else {
				return nil, fmt.Errorf("%s: several arrays; choose one: %s:{%s}", path, path, strings.Join(z.Keys(), ","))
			}
		}
		return z.Open(key)
	case ".csv", ".tsv":
		a, err = openCSV(path)
	default:
		a, err = openNPY(path)
	}
	return a, named(name, err)
}

// named puts the name of the file before an error that lacks it.
func named(name string, err error) error {
	var e *os.PathError
	if err == nil {
		return nil
	}
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %w", e.Path, e.Err)
	}
	if errors.Is(err, zip.ErrChecksum) || errors.Is(err, zip.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("damaged archive; write it again with numpy.savez")
	}
	return fmt.Errorf("%s: %w", name, err)
}

func openNPY(path string) (*Array, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("is a directory")
	}
	if !info.Mode().IsRegular() { // a pipe: cannot be mapped
		return readStream(path, f)
	}
	return mapped(path, f, 0, info.Size())
}

// mapped returns the array that lies in a file from start to end.
func mapped(name string, f *os.File, start, end int64) (*Array, error) {
	data, unmap, err := mapFile(f, end)
	if err != nil {
		return nil, err
	}
	a := &Array{Name: name, file: data, start: int(start), mapped: unmap != nil}
	if unmap != nil {
		a.close = append(a.close, unmap)
	}
	if err := a.interpret(data[start:end]); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// interpret takes b as an .npy file.
func (a *Array) interpret(b []byte) error {
	h, err := parseHeader(b)
	if err != nil {
		return err
	}
	a.Type, a.Shape = h.dtype, h.shape
	want := product(h.shape) * h.dtype.Size()
	switch have := len(b) - h.size; {
	case have < want:
		return fmt.Errorf("truncated: the header says %s, %d bytes, but only %d are there; write the file again",
			a.Describe(), want, have)
	case have > want:
		return fmt.Errorf("%d bytes follow the array that the header describes (%s); write the file again",
			have-want, a.Describe())
	}
	a.data = b[h.size:]
	a.start += h.size
	if h.bigEndian && h.dtype.Size() > 1 || h.fortran && len(h.shape) > 1 {
		return a.rewrite(&h)
	}
	return nil
}

// readStream reads an .npy file from where it can be read only once.
func readStream(name string, r io.Reader) (*Array, error) {
	var s spill
	defer s.discard()
	if _, err := io.Copy(&s, r); err != nil {
		return nil, err
	}
	return s.array(name, (*Array).interpret)
}

// An Archive is an .npz file.
type Archive struct {
	path string
	file *os.File
	zip  *zip.Reader
}

// OpenArchive opens an .npz file.
func OpenArchive(path string) (*Archive, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, named(path, err)
	}
	info, err := f.Stat()
	if err == nil {
		var z *zip.Reader
		if z, err = zip.NewReader(f, info.Size()); err == nil {
			return &Archive{path, f, z}, nil
		}
	}
	f.Close()
	if errors.Is(err, zip.ErrFormat) {
		err = errors.New("not an .npz file, or truncated; write it again with numpy.savez")
	}
	return nil, named(path, err)
}

// ReadArchive opens an .npz file that lies in memory.
func ReadArchive(name string, data []byte) (*Archive, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, named(name, err)
	}
	return &Archive{path: name, zip: z}, nil
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

// Open opens the array of that name.
func (z *Archive) Open(key string) (*Array, error) {
	name := z.path + ":" + key
	for _, f := range z.zip.File {
		if f.Name != key+".npy" {
			continue
		}
		if f.Method == zip.Store && z.file != nil {
			offset, err := f.DataOffset()
			if err != nil {
				return nil, named(name, err)
			}
			if info, err := z.file.Stat(); err != nil || offset+int64(f.UncompressedSize64) > info.Size() {
				return nil, named(name, errors.New("truncated; write it again with numpy.savez"))
			}
			a, err := mapped(name, z.file, offset, offset+int64(f.UncompressedSize64))
			return a, named(name, err)
		}
		r, err := f.Open()
		if err != nil {
			return nil, named(name, err)
		}
		defer r.Close()
		a, err := readStream(name, r)
		return a, named(name, err)
	}
	return nil, fmt.Errorf("%s: no array %q; there are: %s", z.path, key, strings.Join(z.Keys(), ", "))
}

// Text returns a string that lies in the archive, "" if there is none.
func (z *Archive) Text(key string) string {
	f, err := z.zip.Open(key + ".npy")
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil || len(b) < 10 {
		return ""
	}
	size := 10 + int(b[8]) + int(b[9])<<8 // the header of version 1
	return strings.ReplaceAll(string(b[min(size, len(b)):]), "\x00", "")
}
