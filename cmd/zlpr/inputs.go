package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"strings"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/source"
	"github.com/zlpr/zlpr/internal/sparse"
)

// An inputReport says what was read: JSON's inputs.
type inputReport struct {
	Part   string      `json:"part"` // scores, labels, mask, …
	Name   string      `json:"name"` // as the user wrote it
	Format string      `json:"format"`
	Type   string      `json:"type"`
	Shape  []int       `json:"shape"`
	Listed *int        `json:"listed,omitempty"` // entries of a sparse matrix
	SHA256 string      `json:"sha256,omitempty"`
	Files  []inputFile `json:"files,omitempty"` // where the name stands for several
}

// An inputFile is one of the files that a name stands for.
type inputFile struct {
	Name   string `json:"name"`
	Format string `json:"format"`
	Rows   int    `json:"rows"` // of the first axis
	SHA256 string `json:"sha256,omitempty"`
}

// note notes what was opened.
func (f *readFlags) note(part, name string, opened source.Source) {
	r := inputReport{Part: strings.ReplaceAll(part, " ", "_"), Name: name, Type: opened.DType().String(), Format: f.options.Formats[name]}
	var shards *array.Shards
	switch a := opened.(type) {
	case *array.Array:
		r.Shape, shards = append([]int{}, a.Shape...), a.Shards
	case *sparse.Matrix:
		listed := len(a.Indices)
		r.Shape, r.Listed, shards = []int{a.Rows, a.Cols}, &listed, a.Shards
	}
	if shards != nil {
		for k, file := range shards.Names {
			r.Files = append(r.Files, inputFile{Name: file, Format: f.options.Formats[file], Rows: shards.Ends[k] - shards.Start(k)})
		}
		r.Format = r.Files[0].Format
	}
	f.inputs = append(f.inputs, r)
}

// hash takes the SHA-256 of all files that were read.
func (f *readFlags) hash() error {
	known := map[string]string{}
	of := func(name string, to *string) (err error) {
		path, _ := array.Split(name)
		if known[path] == "" {
			known[path], err = hashFile(path)
		}
		*to = known[path]
		return fileError(path, err)
	}
	for i := range f.inputs {
		in := &f.inputs[i]
		if len(in.Files) == 0 {
			if err := of(in.Name, &in.SHA256); err != nil {
				return err
			}
		}
		for k := range in.Files {
			if err := of(in.Files[k].Name, &in.Files[k].SHA256); err != nil {
				return err
			}
		}
	}
	return nil
}

// hashFile returns the SHA-256 of the bytes of a file, in hexadecimal digits; of
// the embedded sample that of its archive.
func hashFile(path string) (string, error) {
	h := sha256.New()
	if path == sampleName {
		h.Write(sampleData)
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// rereadable is an error if the file of a flag cannot be read again, as an option
// needs it.
func rereadable(option, flag, name string) error {
	path, _ := array.Split(name)
	switch {
	case path == array.Stdin:
		return usagef("--%s: standard input (-) cannot be read again; give --%s as a file", option, flag)
	case readOnce(path):
		return usagef("--%s: %s is no regular file, and cannot be read again; copy it to one", option, quoted(path))
	}
	return nil
}

// readOnce tells whether a file can be read only once, as standard input and pipes
// can.
func readOnce(path string) bool {
	info, err := os.Stat(path)
	return path == array.Stdin || err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// noteSample notes the embedded sample.
func (f *readFlags) noteSample(e *evaluation) {
	f.note("scores", sampleName, e.scores.dense)
	f.note("labels", sampleName, e.labels.(*denseBits).Array)
	for i := range f.inputs {
		f.inputs[i].Format = "npz"
	}
}
