package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/zlpr/zlpr/internal/array"
)

// A Part is what a file of a shard has: a manifest has files of several parts,
// each with an entry a row.
type Part string

const (
	Scores     Part = "scores"
	LabelsPart Part = "labels"
	Mask       Part = "mask"
	Lengths    Part = "lengths"
	RowWeights Part = "row_weights"
)

var parts = []Part{Scores, LabelsPart, Mask, Lengths, RowWeights}

// A Manifest lists the shards of a set of files,
//
//	{"shards": [{"scores": "s-0.npy", "labels": "y-0.npy", "rows": 1000}, …]}
//
// Every shard has the same parts. Names are relative to the manifest's folder.
// rows, which may be left out, is the length of the first axis of the files.
type Manifest struct {
	Name   string
	shards []shard
}

// A shard has a file of every part.
type shard struct {
	files map[Part]string
	rows  int // -1: the manifest does not say
}

// IsManifest reports whether a name is that of a manifest: it ends in .json.
func IsManifest(name string) bool { return strings.EqualFold(filepath.Ext(name), ".json") }

// maxManifest is how long a manifest may be, in bytes.
const maxManifest = 64 << 20

// Manifest reads a manifest, once.
func (o *Options) Manifest(name string) (*Manifest, error) {
	if m := o.manifests[name]; m != nil {
		return m, nil
	}
	m, err := ReadManifest(name)
	if err != nil {
		return nil, err
	}
	if o.manifests == nil {
		o.manifests = map[string]*Manifest{}
	}
	o.manifests[name] = m
	return m, nil
}

// ReadManifest reads a manifest. Keys that are none, or given twice, are errors.
func ReadManifest(name string) (*Manifest, error) {
	in, err := array.OpenInput(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if in.Format != array.Text {
		return nil, array.Faultf(name, "no manifest: it is no JSON")
	}
	text, err := io.ReadAll(io.LimitReader(in, maxManifest+1))
	if err == nil && len(text) > maxManifest {
		err = fmt.Errorf("a manifest of more than %d MiB; make its shards larger", maxManifest>>20)
	}
	if err != nil {
		return nil, array.Named(name, err)
	}
	return ParseManifest(name, text)
}

// ParseManifest reads the text of a manifest of that name, of a file or, as in
// gs://bucket/folder/manifest.json, of an object of a store.
func ParseManifest(name string, text []byte) (*Manifest, error) {
	m, err := parseManifest(name, text)
	return m, array.Named(name, err)
}

// beside returns the name of a file that is relative to the folder of another.
func beside(other, file string) string {
	if filepath.IsAbs(file) || strings.Contains(file, "://") {
		return file
	}
	if scheme, rest, ok := strings.Cut(other, "://"); ok {
		return scheme + "://" + path.Join(path.Dir(rest), file)
	}
	return filepath.Join(filepath.Dir(other), file)
}

// parseManifest reads the text of a manifest of that name.
func parseManifest(name string, text []byte) (*Manifest, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		return nil, errors.New("no manifest: it is no text in UTF-8")
	}
	r := &manifestReader{d: json.NewDecoder(bytes.NewReader(text)), m: &Manifest{Name: name}}
	r.d.UseNumber()
	err := r.read()
	if err == nil {
		if _, end := r.d.Token(); end != io.EOF {
			err = errors.New("more follows after the closing brace")
		}
	}
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	if err != nil {
		line := 1 + bytes.Count(text[:min(r.d.InputOffset(), int64(len(text)))], []byte("\n"))
		return nil, fmt.Errorf(`line %d: %w; a manifest is {"shards": [{"scores": "s-0.npy", "labels": "y-0.npy"}, …]}`, line, err)
	}
	return r.m, r.m.check()
}

// A manifestReader reads one manifest.
type manifestReader struct {
	d *json.Decoder
	m *Manifest
}

func (r *manifestReader) read() error {
	found := false
	err := r.object(func(key string) error {
		if key != "shards" {
			return unknownKey(key, "shards")
		}
		found = true
		return r.list(r.shard)
	})
	if err == nil && !found {
		err = errors.New(`no "shards"`)
	}
	return err
}

// shard reads one shard.
func (r *manifestReader) shard() error {
	s := shard{files: map[Part]string{}, rows: -1}
	err := r.object(func(key string) error {
		value, err := r.d.Token()
		switch {
		case err != nil:
			return err
		case key == "rows":
			n, ok := value.(json.Number)
			rows, err := n.Int64()
			if !ok || err != nil || rows < 0 || rows > mostRows || int64(int(rows)) != rows {
				return fmt.Errorf("rows %v: give an integer of at least 0, at most %d", shortValue(value), int64(mostRows))
			}
			s.rows = int(rows)
			return nil
		case !slices.Contains(parts, Part(key)):
			return unknownKey(key, "scores, labels, mask, lengths, row_weights or rows")
		}
		file, ok := value.(string)
		if base, _ := array.Split(file); !ok || file == "" || base == array.Stdin {
			return fmt.Errorf("%s %v: give the name of a file", key, shortValue(value))
		}
		if IsManifest(file) {
			return fmt.Errorf("%s %v: a manifest; list its files here, for a manifest lists no others", key, shortValue(value))
		}
		s.files[Part(key)] = beside(r.m.Name, file)
		return nil
	})
	r.m.shards = append(r.m.shards, s)
	return err
}

// object reads an object; value reads the value of a key.
func (r *manifestReader) object(value func(key string) error) error {
	if err := r.delimiter('{', "an object in braces"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for r.d.More() {
		token, err := r.d.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // the decoder lets nothing else through
		if seen[key] {
			return fmt.Errorf("key %v is given twice", shortValue(key))
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	_, err := r.d.Token()
	return err
}

// list reads a list; value reads an element.
func (r *manifestReader) list(value func() error) error {
	if err := r.delimiter('[', "a list in brackets"); err != nil {
		return err
	}
	for r.d.More() {
		if err := value(); err != nil {
			return err
		}
	}
	_, err := r.d.Token()
	return err
}

func (r *manifestReader) delimiter(want json.Delim, what string) error {
	token, err := r.d.Token()
	if err == nil && token != want {
		err = fmt.Errorf("%v, where %s is wanted", shortValue(token), what)
	}
	return err
}

func unknownKey(key, keys string) error {
	return fmt.Errorf("unknown key %v; there are %s", shortValue(key), keys)
}

// shortValue is a value of JSON for a message.
func shortValue(v any) string {
	s := fmt.Sprintf("%v", v)
	if v == nil {
		s = "null"
	}
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// check checks that there are shards, that all have the same parts, and that no
// scores are listed twice.
func (m *Manifest) check() error {
	if len(m.shards) == 0 {
		return errors.New("lists no shards")
	}
	where := map[string]int{}
	for k, s := range m.shards {
		for _, part := range parts {
			if _, here := s.files[part]; here != m.Has(part) {
				if !here {
					return fmt.Errorf("shard %d has no %s, the first one has; give all shards the same files", k, part)
				}
				return fmt.Errorf("shard %d has %s, the first one has none; give all shards the same files", k, part)
			}
		}
		file, ok := s.files[Scores]
		if first, twice := where[file]; ok && twice {
			return fmt.Errorf("shards %d and %d have the same scores, %s; list them once", first, k, array.Quote(file))
		}
		where[file] = k
	}
	return nil
}

// Has reports whether the shards have files of a part.
func (m *Manifest) Has(part Part) bool { return m.shards[0].files[part] != "" }

// Files returns the files of a part.
func (m *Manifest) Files(part Part) ([]string, error) {
	switch {
	case part == "":
		return nil, array.Faultf(m.Name, "a manifest, where one file is needed; it may list scores, labels, mask, lengths and row_weights")
	case !m.Has(part):
		return nil, array.Faultf(m.Name, "no %s in its shards; add %q to each", part, part)
	}
	return m.all(part), nil
}

// all returns the files of a part, all files for the part "".
func (m *Manifest) all(part Part) (files []string) {
	for _, s := range m.shards {
		for _, p := range parts {
			if file, ok := s.files[p]; ok && (part == "" || part == p) {
				files = append(files, file)
			}
		}
	}
	return files
}

// mostRows is the most that a shard may be said to have: those of as many shards as a
// manifest can list have a sum.
const mostRows = 1 << 40

// rows returns how many rows the shards have, -1 where the manifest does not say.
func (m *Manifest) rows() (rows []int) {
	for _, s := range m.shards {
		rows = append(rows, s.rows)
	}
	return rows
}
