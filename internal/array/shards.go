package array

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// Shards are the files that hold the entries of something, one after another.
type Shards struct {
	Names []string // as the user can find them
	Ends  []int    // the number of entries of the files up to and including each
}

// NewShards returns the shards of those names and numbers of entries.
func NewShards(names []string, entries []int) *Shards {
	s := &Shards{Names: names}
	end := 0
	for _, n := range entries {
		end += n
		s.Ends = append(s.Ends, end)
	}
	return s
}

// Len returns the number of entries.
func (s *Shards) Len() int {
	if len(s.Ends) == 0 {
		return 0
	}
	return s.Ends[len(s.Ends)-1]
}

// Start returns the number of entries before shard k.
func (s *Shards) Start(k int) int {
	if k == 0 {
		return 0
	}
	return s.Ends[k-1]
}

// Rows returns the shards counted in rows, of which there are so many in all:
// an entry, along the first of several axes, may be several of them.
func (s *Shards) Rows(rows int) *Shards {
	r := &Shards{s.Names, slices.Clone(s.Ends)}
	if n := s.Len(); n > 0 && rows%n == 0 {
		for k := range r.Ends {
			r.Ends[k] *= rows / n
		}
	}
	return r
}

// Find returns the shard that has an entry.
func (s *Shards) Find(entry int) int {
	return min(sort.SearchInts(s.Ends, entry+1), len(s.Ends)-1)
}

// Differ returns the first shard that has not as many entries as its fellow of
// o, -1 if there is none.
func (s *Shards) Differ(o *Shards) int {
	for k := range min(len(s.Ends), len(o.Ends)) {
		if s.Ends[k] != o.Ends[k] {
			return k
		}
	}
	if len(s.Ends) != len(o.Ends) {
		return min(len(s.Ends), len(o.Ends))
	}
	return -1
}

// Concat returns arrays one after another along their first axis, as one; their
// other axes, and their types, must be alike. Closing it closes them; where it
// is an error, they stay open. With one array alone it is that array with
// another name.
func Concat(name string, parts []*Array) (*Array, error) {
	first := parts[0]
	var names []string
	var entries, ends []int
	end := 0
	for _, p := range parts {
		switch {
		case len(p.Shape) == 0:
			return nil, Faultf(p.Name, "a single number, where a shard has rows; write it with an axis of rows")
		case p.Type != first.Type:
			return nil, Faultf(p.Name, "a shard of %s, the first one, %s, is of %s; write all in one type", p.Type, Quote(first.Name), first.Type)
		case !slices.Equal(p.Shape[1:], first.Shape[1:]):
			return nil, Faultf(p.Name, "a shard of shape %s, the first one, %s, is of shape %s; all axes but the first must agree",
				ShapeString(p.Shape), Quote(first.Name), ShapeString(first.Shape))
		}
		if end > math.MaxInt/max(1, first.Type.Size())-p.Len() {
			return nil, Faultf(p.Name, "with it the shards are larger than any array")
		}
		end += p.Len()
		names, entries, ends = append(names, p.Name), append(entries, p.Shape[0]), append(ends, end)
	}
	a := &Array{Name: name, Type: first.Type, Shape: slices.Clone(first.Shape), Shards: NewShards(names, entries), parts: parts, ends: ends}
	a.Shape[0] = a.Shards.Len()
	for _, p := range parts {
		a.close = append(a.close, p.Close)
	}
	return a, nil
}

// Head returns the first n elements of an array, along one axis. It is closed
// with the array.
func (a *Array) Head(n int) *Array {
	b := *a
	b.Shape, b.close = []int{n}, nil
	if a.parts == nil {
		b.data = a.data[:n*a.Type.Size()]
	}
	return &b
}

// each calls f for the parts of the array that have its elements from to to-1,
// with the range in each.
func (a *Array) each(from, to int, f func(part *Array, from, to int)) {
	if a.parts == nil {
		f(a, from, to)
		return
	}
	for k := sort.SearchInts(a.ends, from+1); from < to && k < len(a.parts); k++ {
		start := a.ends[k] - a.parts[k].Len()
		if end := min(to, a.ends[k]); from < end {
			f(a.parts[k], from-start, end-start)
			from = end
		}
	}
}

// whole returns the part that has all elements from to to-1, and where they are
// in it; nil if they are in several.
func (a *Array) whole(from, to int) (part *Array, start int) {
	if a.parts == nil {
		return a, from
	}
	k := min(sort.SearchInts(a.ends, from+1), len(a.parts)-1)
	if to > a.ends[k] {
		return nil, 0
	}
	return a.parts[k], from - (a.ends[k] - a.parts[k].Len())
}

// IsPattern reports whether a name stands for the files that match it: it has
// one of the characters *, ? and [, and there is no file of that name.
func IsPattern(name string) bool {
	path, _ := Split(name)
	return strings.ContainsAny(path, "*?[") && !exists(path)
}

// Match returns the names of the files that a pattern stands for, in natural
// order: numbers in names count as numbers. As in shells, no * or ? matches the
// dot that a hidden file begins with. A key after a colon goes with every file.
func Match(pattern string) ([]string, error) {
	path, key := Split(pattern)
	found, err := filepath.Glob(path)
	if err != nil {
		return nil, Faultf(pattern, "no pattern: *, ? and [a-z] stand for parts of names, and a [ must be closed")
	}
	hidden := strings.HasPrefix(filepath.Base(path), ".")
	found = slices.DeleteFunc(found, func(name string) bool { return !hidden && strings.HasPrefix(filepath.Base(name), ".") })
	if len(found) == 0 {
		return nil, Faultf(pattern, "no file matches this pattern")
	}
	slices.SortFunc(found, Natural)
	for i := range found {
		if found[i] == Stdin { // a file of that name
			found[i] = "." + string(filepath.Separator) + Stdin
		}
		if key != "" {
			found[i] += ":" + key
		}
	}
	return found, nil
}

// Natural compares names: digits one after another as a number, all else byte
// by byte.
func Natural(a, b string) int {
	digits := func(s string) (number, rest string) {
		rest = strings.TrimLeft(s, "0123456789")
		return strings.TrimLeft(s[:len(s)-len(rest)], "0"), rest
	}
	x, y := a, b
	for x != "" && y != "" {
		if isDigit(x[0]) && isDigit(y[0]) {
			m, restX := digits(x)
			n, restY := digits(y)
			if m != n {
				if len(m) != len(n) {
					return len(m) - len(n)
				}
				return strings.Compare(m, n)
			}
			x, y = restX, restY
			continue
		}
		if x[0] != y[0] {
			return int(x[0]) - int(y[0])
		}
		x, y = x[1:], y[1:]
	}
	if len(x) != len(y) {
		return len(x) - len(y)
	}
	return strings.Compare(a, b) // leading zeros
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// describeShards says how many files there are, where there are several.
func (s *Shards) describe() string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf(", %s", Counted(len(s.Names), "shard"))
}
