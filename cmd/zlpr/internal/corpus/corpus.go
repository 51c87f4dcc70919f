// Package corpus makes a multi-label data set of Go source files.
//
// A row is a file of the standard library (GOROOT/src, the commands and tests
// included, vendored code and testdata not). Its labels are the packages of the
// standard library that it imports, those that at least MinImports files
// import. Its features are its identifiers, those that occur in at least
// MinFiles files; the names of the packages that are labels, and those under
// which the file imports anything, are left out of it: the answer would be in
// the question.
//
// A file belongs to the test rows if the first byte of the SHA-256 of its path
// (relative to GOROOT/src, with slashes) is below 51, one file in five. Files,
// classes and features are in the order of their names, so that the same tree
// always makes the same corpus.
package corpus

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"math"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	MinImports = 10 // files that import a class
	MinFiles   = 3  // files that have a feature
	testBelow  = 51 // of the hash's first byte, 51/256 ≈ 1/5
)

// A Corpus is the data set: rows in CSR.
type Corpus struct {
	Files    []string // paths of the rows
	Classes  []string // import paths
	Features []string // identifiers
	Test     []bool   // whether a row is a test row

	RowPtr  []int64 // features of the rows
	Indices []int32
	Values  []float32 // 1/sqrt(features of the row): rows of length 1

	LabelPtr []int64
	Labels   []int32
}

// Source returns the directory of Go's own source.
func Source() (string, error) {
	if root := build.Default.GOROOT; root != "" {
		if info, err := os.Stat(filepath.Join(root, "src", "fmt")); err == nil && info.IsDir() {
			return filepath.Join(root, "src"), nil
		}
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err == nil {
		src := filepath.Join(strings.TrimSpace(string(out)), "src")
		if info, err := os.Stat(filepath.Join(src, "fmt")); err == nil && info.IsDir() {
			return src, nil
		}
	}
	return "", errors.New("the source of Go is not there; give --source DIR, the src directory of a Go tree, or --x and --y")
}

// file is what a file gives.
type file struct {
	imports     []string
	identifiers []string
}

// Build makes the corpus of the Go tree in dir.
func Build(ctx context.Context, dir string) (*Corpus, error) {
	c := &Corpus{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if name == "testdata" || name == "vendor" || p != dir && strings.HasPrefix(name, "_") {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") && d.Type().IsRegular() {
			rel, err := filepath.Rel(dir, p)
			if err != nil {
				return err
			}
			c.Files = append(c.Files, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		return nil, plain(err)
	}
	slices.Sort(c.Files)
	parsed, err := parseAll(ctx, dir, c.Files)
	if err != nil {
		return nil, plain(err)
	}
	c.fill(parsed)
	if len(c.Files) == 0 || len(c.Classes) == 0 {
		return nil, fmt.Errorf("%s: no Go source with enough imports; give the src directory of a Go tree", dir)
	}
	return c, nil
}

// plain leaves the name of a system call out of an error.
func plain(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %w", e.Path, e.Err)
	}
	return err
}

// parseAll parses the files, several at a time.
func parseAll(ctx context.Context, dir string, names []string) ([]file, error) {
	parsed := make([]file, len(names))
	errs := make([]error, len(names))
	next := make(chan int)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for i := range next {
				parsed[i], errs[i] = parse(filepath.Join(dir, filepath.FromSlash(names[i])))
			}
		})
	}
	for i := range names {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, err := range errs {
		if err != nil { // the first is enough for a message
			return nil, err
		}
	}
	return parsed, nil
}

// parse returns the imports and identifiers of a file.
func parse(name string) (file, error) {
	tree, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	imports, identifiers := map[string]bool{}, map[string]bool{}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false // names are taken away below
		case *ast.Ident:
			identifiers[n.Name] = true
		}
		return true
	})
	for _, spec := range tree.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, err
		}
		delete(identifiers, packageName(p))
		if spec.Name != nil {
			delete(identifiers, spec.Name.Name)
		}
		imports[p] = true
	}
	delete(identifiers, tree.Name.Name)
	return file{slices.Sorted(maps.Keys(imports)), slices.Sorted(maps.Keys(identifiers))}, nil
}

// packageName is the last element of an import path that is no version.
func packageName(p string) string {
	base := path.Base(p)
	if len(base) > 1 && base[0] == 'v' && base[1] >= '0' && base[1] <= '9' {
		base = path.Base(path.Dir(p))
	}
	return base
}

// standard reports whether a path is of the standard library, for users of it.
func standard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return p != "C" && first != "cmd" && !strings.Contains(first, ".") &&
		!slices.Contains(strings.Split(p, "/"), "internal")
}

// fill makes the matrices.
func (c *Corpus) fill(parsed []file) {
	imports, identifiers := map[string]int{}, map[string]int{}
	for _, f := range parsed {
		for _, p := range f.imports {
			if standard(p) {
				imports[p]++
			}
		}
		for _, name := range f.identifiers {
			identifiers[name]++
		}
	}
	atLeast := func(count map[string]int, n int) []string {
		var names []string
		for name, k := range count {
			if k >= n {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	c.Classes = atLeast(imports, MinImports)
	for _, p := range c.Classes {
		delete(identifiers, packageName(p))
	}
	c.Features = atLeast(identifiers, MinFiles)
	class, feature := index(c.Classes), index(c.Features)
	c.RowPtr, c.LabelPtr = []int64{0}, []int64{0}
	for i, f := range parsed {
		for _, p := range f.imports {
			if j, ok := class[p]; ok {
				c.Labels = append(c.Labels, j)
			}
		}
		c.LabelPtr = append(c.LabelPtr, int64(len(c.Labels)))
		from := len(c.Indices)
		for _, name := range f.identifiers {
			if j, ok := feature[name]; ok {
				c.Indices = append(c.Indices, j)
			}
		}
		c.RowPtr = append(c.RowPtr, int64(len(c.Indices)))
		scale := float32(1 / math.Sqrt(float64(max(1, len(c.Indices)-from))))
		for range c.Indices[from:] {
			c.Values = append(c.Values, scale)
		}
		hash := sha256.Sum256([]byte(c.Files[i]))
		c.Test = append(c.Test, hash[0] < testBelow)
	}
}

func index(names []string) map[string]int32 {
	m := make(map[string]int32, len(names))
	for i, name := range names {
		m[name] = int32(i)
	}
	return m
}
