package linear

import (
	"sync"

	"gonum.org/v1/gonum/floats"
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

// fewColumns is up to how many columns sums are formed in registers: of more,
// their rows of v are too long to go through again for every eight.
const fewColumns = 32

// lanes is how many columns have their sums in registers.
const lanes = 8

// addRows adds rows r0 to r1-1 of m·v to to.
func (m compressed) addRows(to, v []float64, columns, r0, r1 int) {
	for i := r0; i < r1; i++ {
		indices, values := m.indices[m.ptr[i]:m.ptr[i+1]], m.values[m.ptr[i]:m.ptr[i+1]]
		row := to[i*columns:][:columns]
		if columns > fewColumns {
			for k, j := range indices {
				floats.AddScaled(row, values[k], v[int(j)*columns:][:columns])
			}
			continue
		}
		c := 0
		for ; c+lanes <= columns; c += lanes {
			addLanes((*[lanes]float64)(row[c:]), indices, values, v[c:], columns)
		}
		for ; c < columns; c++ {
			sum := row[c]
			for k, j := range indices {
				sum += float64(values[k] * v[int(j)*columns+c])
			}
			row[c] = sum
		}
	}
}

func addLanes(to *[lanes]float64, indices []int32, values, v []float64, columns int) {
	s0, s1, s2, s3, s4, s5, s6, s7 := to[0], to[1], to[2], to[3], to[4], to[5], to[6], to[7]
	values = values[:len(indices)]
	for k, j := range indices {
		x, f := (*[lanes]float64)(v[int(j)*columns:]), values[k]
		s0 += float64(f * x[0])
		s1 += float64(f * x[1])
		s2 += float64(f * x[2])
		s3 += float64(f * x[3])
		s4 += float64(f * x[4])
		s5 += float64(f * x[5])
		s6 += float64(f * x[6])
		s7 += float64(f * x[7])
	}
	*to = [lanes]float64{s0, s1, s2, s3, s4, s5, s6, s7}
}
