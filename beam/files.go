package zlprbeam

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/google/uuid"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/source"
	"github.com/zlpr/zlpr/internal/sparse"
)

// A file is one of Beam's file systems that is read once, from its beginning.
type file struct {
	fs filesystem.Interface
	io.ReadCloser
}

// open opens a file for reading.
func open(ctx context.Context, name string) (*file, error) {
	fs, err := filesystem.New(ctx, name)
	if err != nil {
		return nil, array.Named(name, err)
	}
	r, err := fs.OpenRead(ctx, name)
	if err != nil {
		fs.Close()
		return nil, array.Named(name, err)
	}
	return &file{fs, r}, nil
}

func (f *file) Close() error { return errors.Join(f.ReadCloser.Close(), f.fs.Close()) }

// maxManifest is how long a manifest may be, in bytes.
const maxManifest = 64 << 20

// readManifest reads a manifest, and checks that its shards have scores and labels
// and nothing that is not read.
func readManifest(ctx context.Context, name string) (*source.Manifest, error) {
	f, err := open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(text) > maxManifest {
		err = fmt.Errorf("a manifest of more than %d MiB; make its shards larger", maxManifest>>20)
	}
	if err != nil {
		return nil, array.Named(name, err)
	}
	m, err := source.ParseManifest(name, text)
	if err != nil {
		return nil, err
	}
	for _, part := range []source.Part{source.Scores, source.LabelsPart} {
		if !m.Has(part) {
			return nil, array.Faultf(name, "no %s in its shards; add %q to each", part, part)
		}
	}
	if m.Has(source.Lengths) && m.Has(source.Mask) {
		return nil, array.Faultf(name, "mask and lengths exclude each other; put both into one mask")
	}
	return m, source.Once(name, source.Scores, localFiles(m))
}

// localFiles are the names of the scores, as this machine has them.
func localFiles(m *source.Manifest) (names []string) {
	for k := range m.Len() {
		names = append(names, strings.TrimPrefix(m.Shard(k)[source.Scores], "file://"))
	}
	return names
}

// An input is an array that is read from a file, block after block: as it comes if its
// format lets it, else from a copy on the disk of the worker, as zlpr eval reads it.
type input struct {
	Shape    []int
	Type     array.DType
	warnings []string

	stream *array.Stream // from file
	file   *file

	dense *array.Array // of the copy, the one or the other
	csr   *sparse.Matrix
	at    int // elements that were read
}

// Rows returns the number of rows and of columns.
func (in *input) Rows() (rows, cols int) { return (&array.Array{Shape: in.Shape}).Rows() }

// Read makes b the array of the next n elements, of a sparse matrix those of whole rows.
func (in *input) Read(b *array.Array, n int) error {
	switch {
	case in.stream != nil:
		return in.stream.Read(b, n)
	case in.dense != nil:
		*b = *in.dense.Part(in.at, in.at+n)
	default:
		var rows []float64
		cols := in.csr.Cols
		*b = *array.New(in.csr.Name, []int{n}, sparse.Block(in.csr, &rows, in.at/cols, (in.at+n)/cols, 0))
	}
	in.at += n
	return nil
}

func (in *input) Close() error {
	switch {
	case in.stream != nil:
		return in.file.Close()
	case in.dense != nil:
		return in.dense.Close()
	}
	return in.csr.Close()
}

// openArray opens an array. What is opened as labels, of so many columns, may be a sparse
// matrix or lists of labels.
func openArray(ctx context.Context, name string, use source.Use, cols int) (*input, error) {
	path, key := array.Split(name)
	f, err := open(ctx, path)
	if err != nil {
		return nil, err
	}
	in, err := array.NewInput(path, f)
	if errors.Is(err, array.ErrArchive) || err == nil && in.Format == array.Text {
		f.Close()
		return openCopy(ctx, path, key, use, cols)
	}
	if err == nil {
		var s *array.Stream
		if s, err = in.Stream(key); err == nil {
			return &input{Shape: s.Shape, Type: s.Type, stream: s, file: f}, nil
		}
	}
	f.Close()
	return nil, err
}

// openCopy opens an array of a copy of a file: archives and text are not read as they come.
func openCopy(ctx context.Context, path, key string, use source.Use, cols int) (*input, error) {
	copied, err := copyOf(ctx, path)
	if err != nil {
		return nil, array.Named(path, err)
	}
	defer func() {
		copied.Close() // what was opened stays
		os.Remove(copied.Name())
	}()
	in, err := array.OpenFile(path, copied)
	if err != nil {
		return nil, err
	}
	opened := &input{}
	options := source.Options{Warn: func(message string) { opened.warnings = append(opened.warnings, message) }}
	name := path
	if key != "" {
		name += ":" + key
	}
	numbers, err := options.OpenInput(in, name, key, use, cols)
	if err != nil {
		return nil, err
	}
	switch v := numbers.(type) {
	case *array.Array:
		opened.dense, opened.Shape, opened.Type = v, v.Shape, v.Type
	case *sparse.Matrix:
		if use != source.Labels {
			v.Close()
			return nil, array.Faultf(path, "a sparse matrix, where an array is needed; write it with numpy.save(file, matrix.toarray())")
		}
		opened.csr, opened.Shape, opened.Type = v, []int{v.Rows, v.Cols}, array.Float64
	}
	return opened, nil
}

// copyOf copies a file to a temporary one.
func copyOf(ctx context.Context, path string) (*os.File, error) {
	from, err := open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	to, err := os.CreateTemp("", "zlpr-*")
	if err != nil {
		return nil, err
	}
	if _, err = io.Copy(to, from); err == nil {
		_, err = to.Seek(0, io.SeekStart)
	}
	if err != nil {
		to.Close()
		os.Remove(to.Name())
		return nil, err
	}
	return to, nil
}

// An output has its name only once it is complete: until then it has another one,
// so that a worker that fails, or does the same a second time, leaves no half of it.
type output struct {
	ctx         context.Context
	name, other string
	fs          filesystem.Interface
	w           io.WriteCloser
	*bufio.Writer
}

func create(ctx context.Context, name string) (*output, error) {
	o := &output{ctx: ctx, name: name, other: name + ".part-" + uuid.NewString()}
	var err error
	if o.fs, err = filesystem.New(ctx, name); err != nil {
		return nil, array.Named(name, err)
	}
	if o.w, err = o.fs.OpenWrite(ctx, o.other); err != nil {
		o.fs.Close()
		return nil, array.Named(name, err)
	}
	o.Writer = bufio.NewWriterSize(o.w, 1<<20)
	return o, nil
}

// commit gives the output its name.
func (o *output) commit() error {
	err := o.Flush()
	if closing := o.w.Close(); err == nil {
		err = closing
	}
	o.w = nil
	if err == nil {
		err = filesystem.Rename(o.ctx, o.fs, o.other, o.name)
	}
	if err != nil {
		return array.Named(o.name, err)
	}
	o.other = ""
	return nil
}

// discard removes what was not committed, where the file system can.
func (o *output) discard() {
	if o.w != nil {
		o.w.Close()
	}
	if remover, ok := o.fs.(filesystem.Remover); ok && o.other != "" {
		remover.Remove(o.ctx, o.other)
	}
	o.fs.Close()
}

// writeFile writes a file as a whole.
func writeFile(ctx context.Context, name string, data []byte) error {
	o, err := create(ctx, name)
	if err != nil {
		return err
	}
	defer o.discard()
	if _, err := o.Write(data); err != nil {
		return array.Named(name, err)
	}
	return o.commit()
}

// CheckManifest reads a manifest, to tell what is wrong with it before a pipeline
// runs.
func CheckManifest(ctx context.Context, name string) error {
	_, err := readManifest(ctx, name)
	return err
}
