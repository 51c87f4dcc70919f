package sparse

import (
	"errors"

	"github.com/zlpr/zlpr/internal/array"
)

// Concat returns matrices one below another, as one. They have the same columns
// or, where their files do not say how many there are, as many as occur in any.
// Closing it closes them; where it is an error, they stay open.
func Concat(name string, parts []*Matrix) (*Matrix, error) {
	first := parts[0]
	m := &Matrix{Name: name, Cols: first.Cols, Counted: first.Counted, Lists: first.Lists}
	var names []string
	var rows []int
	for _, p := range parts {
		switch {
		case p.Counted && m.Counted:
			m.Cols = max(m.Cols, p.Cols)
		case p.Cols != m.Cols:
			return nil, array.Faultf(p.Name, "a shard of %s, the first one, %s, has %d; they must agree", array.Counted(p.Cols, "column"), array.Quote(first.Name), m.Cols)
		}
		names, rows = append(names, p.Name), append(rows, p.Rows)
	}
	var err error
	m.Shards = array.NewShards(names, rows)
	if m.Values, err = values(name, parts); err != nil {
		return nil, err
	}
	all := m.Values
	ptr, indices := array.NewBuilder[int64](name), array.NewBuilder[int32](name)
	defer ptr.Discard()
	defer indices.Discard()
	err = ptr.Append(0)
	for _, p := range parts {
		before := int64(indices.Len())
		if err = errors.Join(err, indices.AppendAll(p.Indices)); err != nil {
			return nil, err
		}
		for _, end := range p.RowPtr[1:] {
			if err = errors.Join(err, ptr.Append(before+end)); err != nil {
				return nil, err
			}
		}
	}
	if err = m.set(ptr, indices, nil, m.Shards.Len()); err != nil {
		m.Close()
		return nil, err
	}
	m.Values = all
	for _, p := range parts {
		m.arrays = append(m.arrays, p.arrays...)
	}
	return m, nil
}

// values returns the values of matrices one after another, nil if all are 1. A
// matrix without entries goes with any.
func values(name string, parts []*Matrix) (*array.Array, error) {
	var with *Matrix // the first one with entries
	var all []*array.Array
	for _, p := range parts {
		n := len(p.Indices)
		if n == 0 {
			continue
		}
		if with == nil {
			with = p
		}
		if (p.Values == nil) != (with.Values == nil) {
			return nil, array.Faultf(p.Name, "of lists of labels and of matrices with values, a shard is the one, the first with entries, %s, the other; write all in one format",
				array.Quote(with.Name))
		}
		if p.Values != nil {
			v := p.Values.Head(n)
			v.Name = p.Name
			all = append(all, v)
		}
	}
	switch {
	case all != nil:
		return array.Concat(name, all)
	case with == nil:
		return parts[0].Values, nil
	}
	return nil, nil
}
