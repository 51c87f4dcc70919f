package array

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
)

// A Fault is what is wrong with a file. Its message names the file as the user
// did, in one line.
type Fault struct {
	File string // as the user wrote it
	Err  error  // the place in the file, what is wrong with it, and what to do
}

func (f *Fault) Error() string { return Quote(f.File) + ": " + f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

// Faultf returns a Fault of a file.
func Faultf(file, format string, args ...any) error {
	return &Fault{file, fmt.Errorf(format, args...)}
}

// Named returns err as a Fault of that file, unless it is one already. What
// the system and the decompressors say is said in the user's words; names of
// temporary files and of system calls are left out.
func Named(file string, err error) error {
	var fault *Fault
	if err == nil || errors.As(err, &fault) {
		return err
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	switch {
	case errors.Is(err, zip.ErrChecksum):
		err = errors.New("damaged: the contents do not agree with their checksum; write the file again")
	case errors.Is(err, zip.ErrFormat), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("damaged or truncated; write the file again")
	case errors.Is(err, zip.ErrAlgorithm):
		err = errors.New("compressed by a method that is not supported; write it with numpy.savez_compressed")
	}
	return &Fault{file, err}
}

// Quote returns a name for a message: as it stands if it is plain, else as a Go
// string, so that no control character of it reaches the terminal and its end
// can be seen.
func Quote(name string) string {
	odd := func(r rune) bool {
		return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == unicode.ReplacementChar || r == '"'
	}
	if key, ok := strings.CutPrefix(name, Stdin+":"); ok {
		return "standard input:" + Quote(key)
	} else if name == Stdin {
		return "standard input"
	}
	if name == "" || strings.ContainsFunc(name, odd) {
		return strconv.Quote(name)
	}
	return name
}

// quoteAll lists names for a message, the first few where they are many.
func quoteAll(names []string) string {
	const most = 20
	var list []string
	for _, name := range names[:min(len(names), most)] {
		list = append(list, Quote(short(name)))
	}
	if len(names) > most {
		list = append(list, "…")
	}
	return strings.Join(list, ", ")
}

// short cuts long text from a file for a message.
func short[S []byte | string](text S) string {
	const most = 40
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}
