package linear

import (
	"sync"

	"github.com/zlpr/zlpr/internal/kernel"
)

// A compressed is the entries of a sparse matrix by rows: row i has values
// Values[Ptr[i]:Ptr[i+1]] in the columns Indices of the same positions.
type compressed struct {
	ptr     []int64
	indices []int32
	values  []float64
}

// transpose returns a matrix of that many columns by columns: the entries of
// each in the order of the rows.
func (m compressed) transpose(cols int) compressed {
	t := compressed{make([]int64, cols+1), make([]int32, len(m.indices)), make([]float64, len(m.values))}
	for _, j := range m.indices {
		t.ptr[j+1]++
	}
	for j := range cols {
		t.ptr[j+1] += t.ptr[j]
	}
	next := append([]int64(nil), t.ptr...)
	for i := range len(m.ptr) - 1 {
		for k := m.ptr[i]; k < m.ptr[i+1]; k++ {
			j := m.indices[k]
			t.indices[next[j]], t.values[next[j]] = int32(i), m.values[k]
			next[j]++
		}
	}
	return t
}

// addProduct adds m·v to to: v and to are row-major with that many columns. A
// sum is formed by one worker in the order of the entries, so that results do
// not depend on how many there are.
func (m compressed) addProduct(to, v []float64, columns, workers int) {
	rows := len(m.ptr) - 1
	if workers = max(1, min(workers, rows)); workers == 1 {
		m.addRows(to, v, columns, 0, rows)
		return
	}
	const parts = 8 // of a worker: rows differ in length
	var wait sync.WaitGroup
	for k := range workers {
		wait.Go(func() {
			for part := k; part < workers*parts; part += workers {
				m.addRows(to, v, columns, rows*part/(workers*parts), rows*(part+1)/(workers*parts))
			}
		})
	}
	wait.Wait()
}

// lanes is how many columns the kernel takes at once.
const lanes = 8

// addRows adds rows r0 to r1-1 of m·v to to. A column's sum does not depend on
// how many there are.
func (m compressed) addRows(to, v []float64, columns, r0, r1 int) {
	for i := r0; i < r1; i++ {
		indices, values := m.indices[m.ptr[i]:m.ptr[i+1]], m.values[m.ptr[i]:m.ptr[i+1]]
		if len(indices) == 0 {
			continue
		}
		row := to[i*columns:][:columns]
		c := 0
		for ; c+lanes <= columns; c += lanes {
			kernel.SparseProduct(row[c:][:lanes], indices, values, v[c:], columns)
		}
		if last := columns - lanes; last >= 0 && c < columns {
			// The last columns, with some before them whose sums are there.
			var sums [lanes]float64
			copy(sums[:], row[last:])
			kernel.SparseProduct(sums[:], indices, values, v[last:], columns)
			copy(row[c:], sums[c-last:])
			continue
		}
		for ; c < columns; c++ {
			row[c] = addTerms(row[c], indices, values, v[c:], columns)
		}
	}
}

// addTerms is SparseProduct of one column.
func addTerms(sum float64, indices []int32, values, v []float64, columns int) float64 {
	for k, j := range indices {
		sum += float64(values[k] * v[int(j)*columns])
	}
	return sum
}
