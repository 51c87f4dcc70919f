package linear

import (
	"encoding/binary"
	"math"
)

// A merging is a sparse matrix of the different columns of another one.
//
// It leaves the minimum of mean loss(x·W + b) + (λ/2)·Σ W² as it is. Of k
// columns that are equal the scores depend on the sum u of the weights alone,
// and of all weights of that sum the equal ones have the least squares, u²/k.
// So one column √k·x of the weight v = u/√k has the same scores, x·u, and the
// same penalty, v²; each of the k columns has the weight v/√k. A column of
// zeros has the weight 0.
type merging struct {
	*Matrix
	to    []int32   // what each column has become, -1 for one of zeros
	root  []float64 // √k of every column of the result
	whole int       // number of columns before
}

// merge merges the equal columns of a matrix. A dense one is taken as it is.
func merge(m *Matrix) *merging {
	if m.Dense != nil {
		return &merging{Matrix: m, whole: m.Cols}
	}
	first := []int32{} // of the columns that became one
	g := &merging{to: make([]int32, m.Cols), whole: m.Cols}
	seen := map[string]int32{}
	for j, entries := range m.columns() {
		if len(entries) == 0 {
			g.to[j] = -1
			continue
		}
		to, ok := seen[string(entries)]
		if !ok {
			to = int32(len(first))
			seen[string(entries)] = to
			first, g.root = append(first, int32(j)), append(g.root, 0)
		}
		g.to[j] = to
		g.root[to]++
	}
	for k, count := range g.root {
		g.root[k] = math.Sqrt(count)
	}
	g.Matrix = m.pick(first, g.to, g.root)
	return g
}

// columns returns the entries of each column, one after another as bytes: equal
// for equal columns only.
func (m *Matrix) columns() [][]byte {
	entries := make([][]byte, m.Cols)
	for i := range m.Rows {
		for k := m.RowPtr[i]; k < m.RowPtr[i+1]; k++ {
			if m.Values[k] == 0 {
				continue
			}
			e := &entries[m.Indices[k]]
			*e = binary.LittleEndian.AppendUint32(*e, uint32(i))
			*e = binary.LittleEndian.AppendUint64(*e, math.Float64bits(m.Values[k]))
		}
	}
	for j := range m.Scale {
		if e := &entries[j]; len(*e) > 0 || m.Mean[j] != 0 {
			*e = binary.LittleEndian.AppendUint64(*e, math.Float64bits(m.Mean[j]))
			*e = binary.LittleEndian.AppendUint64(*e, math.Float64bits(m.Scale[j]))
		}
	}
	return entries
}

// pick returns the columns first, multiplied by factor; to has the new number
// of every column.
func (m *Matrix) pick(first, to []int32, factor []float64) *Matrix {
	p := &Matrix{Rows: m.Rows, Cols: len(first), RowPtr: make([]int64, 1, m.Rows+1)}
	if m.Scale != nil { // the standardised column is multiplied
		for k, j := range first {
			p.Mean, p.Scale = append(p.Mean, m.Mean[j]), append(p.Scale, m.Scale[j]*factor[k])
		}
	}
	for i := range m.Rows {
		for k := m.RowPtr[i]; k < m.RowPtr[i+1]; k++ {
			j := m.Indices[k]
			if to[j] < 0 || first[to[j]] != j {
				continue
			}
			v := m.Values[k]
			if m.Scale == nil {
				v *= factor[to[j]]
			}
			p.Indices, p.Values = append(p.Indices, to[j]), append(p.Values, v)
		}
		p.RowPtr = append(p.RowPtr, int64(len(p.Indices)))
	}
	return p
}

// narrow returns weights of the merged columns that have the scores of w, the
// weights of all columns.
func (g *merging) narrow(w []float64, classes int) []float64 {
	if g.to == nil {
		return w
	}
	v := make([]float64, g.Cols*classes)
	for j, to := range g.to {
		if to < 0 {
			continue
		}
		for c, x := range w[j*classes:][:classes] {
			v[int(to)*classes+c] += x / g.root[to]
		}
	}
	return v
}

// widen returns the weights of all columns for v, those of the merged ones.
func (g *merging) widen(v []float64, classes int) []float64 {
	if g.to == nil {
		return v
	}
	w := make([]float64, g.whole*classes)
	for j, to := range g.to {
		if to < 0 {
			continue
		}
		for c, x := range v[int(to)*classes:][:classes] {
			w[j*classes+c] = x / g.root[to]
		}
	}
	return w
}
