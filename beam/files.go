package zlprbeam

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/google/uuid"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/source"
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
	if m.Has(source.Lengths) {
		return nil, array.Faultf(name, "lengths are not read here; list a mask instead")
	}
	return m, nil
}

// An input is an array that is read from a file, block after block.
type input struct {
	*array.Stream
	file *file
}

func (in *input) Close() error { return in.file.Close() }

// openArray opens an array.
func openArray(ctx context.Context, name string) (*input, error) {
	path, key := array.Split(name)
	f, err := open(ctx, path)
	if err != nil {
		return nil, err
	}
	in, err := array.NewInput(path, f)
	if err == nil {
		var s *array.Stream
		if s, err = in.Stream(key); err == nil {
			return &input{s, f}, nil
		}
	}
	f.Close()
	return nil, err
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
