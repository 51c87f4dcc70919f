package array

import (
	"archive/zip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
)

// A torchFile is what torch.save writes since version 1.6: an archive of a
// pickle, data.pkl, which says what tensors there are and which parts of which
// storages they show, and of the storages, each a member. All names begin with
// that of a folder.
type torchFile struct {
	*Archive
	members   map[string]*zip.File // by names without the folder
	bigEndian bool
	names     []string
	tensors   map[string]*pyTensor
}

var errNotTorch = errors.New("not a torch file, or damaged; write it again with torch.save")

// torchFolder returns the folder that a torch file has its members in, "" if the
// archive is none.
func (z *Archive) torchFolder() string {
	for _, f := range z.zip.File {
		if folder, ok := strings.CutSuffix(f.Name, "/data.pkl"); ok && folder != "" && !strings.Contains(folder, "/") {
			return folder
		}
	}
	return ""
}

// readTorch reads what a torch file says of its tensors.
func readTorch(z *Archive, folder string) (*torchFile, error) {
	t := &torchFile{Archive: z, members: map[string]*zip.File{}, tensors: map[string]*pyTensor{}}
	for _, f := range z.zip.File {
		name, ok := strings.CutPrefix(f.Name, folder+"/")
		if !ok {
			continue
		}
		if t.members[name] != nil {
			return nil, Faultf(z.path, "two members of the name %s; write the file again with torch.save", Quote(short(name)))
		}
		t.members[name] = f
	}
	err := t.read()
	return t, Named(z.path, err)
}

func (t *torchFile) read() error {
	order, err := readMember(t.members["byteorder"], 16)
	if err != nil {
		return err
	}
	switch string(order) {
	case "", "little": // older versions do not say it
	case "big":
		t.bigEndian = true
	default:
		return fmt.Errorf("byte order %q is unknown; write the file again with torch.save", short(order))
	}
	pickle, err := readMember(t.members["data.pkl"], maxPickle)
	if err != nil {
		return err
	}
	root, err := readPickle(pickle)
	if err != nil {
		return err
	}
	left := walk{nodes: maxValues, text: maxDirectory}
	return t.name("", root, maxNesting, &left)
}

// readMember reads a short member of an archive; without one it is empty.
func readMember(f *zip.File, most uint64) ([]byte, error) {
	if f == nil {
		return nil, nil
	}
	if f.UncompressedSize64 > most {
		return nil, fmt.Errorf("%s is of %s, more than %d; write fewer tensors to a file", Quote(short(f.Name)), Counted(f.UncompressedSize64, "byte"), most)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	switch {
	case err != nil:
		return nil, err
	case uint64(len(b)) != f.UncompressedSize64:
		return nil, zip.ErrFormat
	case crc32.ChecksumIEEE(b) != f.CRC32: // archive/zip takes a sum of 0 for none
		return nil, zip.ErrChecksum
	}
	return b, nil
}

// A walk is what is left of the values that may be looked at and of the bytes of
// names that may be kept: a value may be in many places, and in itself.
type walk struct{ nodes, text int }

var errNested = errors.New("its lists and dictionaries are too deeply nested, or too many; write fewer tensors to a file")

// name gives the tensors of a value their names: the keys and the places that
// lead to them, with dots between. A tensor with another key than a text or an
// integer has none.
func (t *torchFile) name(path string, v any, depth int, left *walk) error {
	if left.nodes--; left.nodes < 0 || depth < 0 {
		return errNested
	}
	under := func(key string, v any) error {
		if path != "" {
			key = path + "." + key
		}
		return t.name(key, v, depth-1, left)
	}
	switch v := v.(type) {
	case *pyTensor:
		if left.text -= len(path); left.text < 0 {
			return errNested
		}
		if t.tensors[path] != nil {
			return fmt.Errorf("two tensors of the name %s; rename one of them", Quote(short(path)))
		}
		t.tensors[path] = v
		t.names = append(t.names, path)
	case *pyList:
		for i, item := range v.items {
			if err := under(strconv.Itoa(i), item); err != nil {
				return err
			}
		}
	case *pyDict:
		last := map[any]int{} // of several entries the last one counts
		for i, key := range v.keys {
			switch key.(type) {
			case string, int64:
				last[key] = i
			}
		}
		for i, key := range v.keys {
			switch key.(type) {
			case string, int64:
			default:
				continue
			}
			if last[key] != i {
				continue
			}
			if err := under(fmt.Sprint(key), v.values[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Keys returns the names of the tensors: one that is the whole file has none.
func (t *torchFile) Keys() []string { return t.names }

// Open opens the tensor of that name.
func (t *torchFile) Open(key string) (*Array, error) {
	v := t.tensors[key]
	if v == nil {
		return nil, noArray(t, t.path, key)
	}
	name := t.path
	if key != "" {
		name += ":" + key
	}
	a, err := t.open(name, v)
	return a, Named(name, err)
}

func (t *torchFile) open(name string, v *pyTensor) (*Array, error) {
	f := t.members["data/"+v.key]
	size := v.size * int64(v.dtype.Size())
	switch {
	case f == nil:
		return nil, fmt.Errorf("its numbers are missing: there is no member %s; write the file again with torch.save", Quote(short("data/"+v.key)))
	case f.UncompressedSize64 != uint64(size):
		return nil, fmt.Errorf("damaged: %s, where %d %s should be; write the file again with torch.save", Counted(f.UncompressedSize64, "byte"), v.size, v.dtype)
	}
	h := &header{dtype: v.dtype, bigEndian: t.bigEndian, shape: v.shape, strides: v.strides}
	show := func(a *Array, data []byte) error {
		at := int(min(v.offset, v.size)) * v.dtype.Size() // an empty tensor may lie anywhere
		a.start += at
		return a.take(h, data[at:])
	}
	if f.Method == zip.Store && t.file != nil {
		return t.stored(name, f, show)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	s := spill{name: name}
	defer s.discard()
	sum := crc32.NewIEEE()
	n, err := io.Copy(io.MultiWriter(&s, sum), io.LimitReader(r, size))
	switch {
	case err != nil:
		return nil, err
	case n < size:
		return nil, zip.ErrFormat
	case sum.Sum32() != f.CRC32:
		return nil, zip.ErrChecksum
	}
	return s.array(show)
}
