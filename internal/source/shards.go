package source

import (
	"errors"
	"os"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/sparse"
)

// Files returns the files that a name stands for: those that match a pattern, or
// that part of a manifest, or all of it for the part "", and the manifest itself.
func (o *Options) Files(name string, part Part) ([]string, error) {
	switch {
	case IsManifest(name):
		m, err := o.Manifest(name)
		if err != nil {
			return nil, err
		}
		return append(m.all(part), name), nil
	case array.IsPattern(name):
		return array.Match(name)
	}
	return []string{name}, nil
}

// openShards opens files as one, whose rows are one after another. Their first
// axes are as long as rows says, if it does.
func (o *Options) openShards(name string, files []string, rows []int, use Use, cols int) (s Source, labels *sparse.Matrix, err error) {
	var opened []Source
	var besides []*sparse.Matrix
	defer func() {
		if err != nil {
			for _, s := range opened {
				s.Close()
			}
			for _, m := range besides {
				m.Close()
			}
		}
	}()
	for k, file := range files {
		s, labels, err := o.openFile(file, use, cols)
		if err != nil {
			return nil, nil, err
		}
		if opened = append(opened, s); labels != nil {
			besides = append(besides, labels)
		}
		if rows != nil && rows[k] >= 0 && entries(s) != rows[k] {
			return nil, nil, array.Faultf(file, "%s, but %s says %d; mend the manifest or the file", array.Counted(entries(s), "row"), array.Quote(name), rows[k])
		}
		if len(besides) > 0 && len(besides) <= k {
			file, how := file, "none"
			if labels != nil {
				how = "some"
			}
			return nil, nil, array.Faultf(file, "%s labels before its features, unlike the shards before it; write all alike", how)
		}
	}
	if s, err = concat(name, opened); err != nil {
		return nil, nil, err
	}
	if len(besides) > 0 {
		if labels, err = sparse.Concat(name, besides); err != nil {
			return nil, nil, err
		}
	}
	if !o.OneBased {
		o.warnOneBased(name, s, labels, use)
	}
	return s, labels, nil
}

// Once checks that no scores are one file under two names, of which one is a link: their
// rows would count twice.
func Once(name string, part Part, files []string) error {
	if part != Scores {
		return nil
	}
	type look struct{ size, time int64 } // the same of one file
	seen := make(map[look][]os.FileInfo, len(files))
	number := make(map[os.FileInfo]int, len(files))
	for k, file := range files {
		path, key := array.Split(file)
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue // opening it says what is wrong
		}
		at := look{info.Size(), info.ModTime().UnixNano()}
		for _, other := range seen[at] {
			first := files[number[other]]
			if _, otherKey := array.Split(first); otherKey == key && os.SameFile(info, other) {
				return array.Faultf(name, "shards %d and %d have the same scores, %s and %s, which are one file; list it once", number[other], k, array.Quote(first), array.Quote(file))
			}
		}
		seen[at] = append(seen[at], info)
		number[info] = k
	}
	return nil
}

// entries returns the length of the first axis.
func entries(s Source) int {
	if a, ok := s.(*array.Array); ok && len(a.Shape) > 0 {
		return a.Shape[0]
	}
	rows, _ := s.Dims()
	return rows
}

// concat returns sources one after another, as one.
func concat(name string, parts []Source) (Source, error) {
	arrays, matrices := of[*array.Array](parts), of[*sparse.Matrix](parts)
	switch {
	case len(arrays) == len(parts):
		return nilOr(array.Concat(name, arrays))
	case len(matrices) == len(parts):
		return nilOr(sparse.Concat(name, matrices))
	}
	odd := matrices[0].Name
	if len(matrices) > len(arrays) {
		odd = arrays[0].Name
	}
	return nil, &array.Fault{File: odd, Err: errors.New("of tables and of sparse matrices or lists, this shard is the one, others are the other; write all in one format")}
}

// of returns the parts that are of one type.
func of[T Source](parts []Source) (list []T) {
	for _, p := range parts {
		if v, ok := p.(T); ok {
			list = append(list, v)
		}
	}
	return list
}

func nilOr[T Source](s T, err error) (Source, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}
