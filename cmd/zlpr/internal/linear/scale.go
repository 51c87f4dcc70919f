package linear

import (
	"fmt"
	"math"

	"github.com/zlpr/zlpr"
)

// curvature is the share that scaling takes of the losses' second derivatives.
// The whole of them is too much: they shrink as rows are fitted, and they are
// the diagonal of a matrix whose other elements, of features that occur
// together, the scaling does not see. A hundredth came out best on the corpus
// of Go's source and on the data sets of docs/datasets.md: the corpus takes a
// third of the iterations that it takes without scaling.
const curvature = 0.01

// scaling returns a factor for every weight and bias. L-BFGS minimises over
// z = w/factor, whose second derivatives are closer to each other than those by
// w: by the weight of feature j and class c
//
//	λ + (mean of x_j²)·(mean of h_c),   h = p·(1-p)
//
// where p is the probability of the class in a row, of which here is known how
// often the class is positive, π: h is π(1-π) for want of better.
func scaling(x *Matrix, labels zlpr.Bits, l2 float64) ([]float64, error) {
	_, classes := labels.Dims()
	spread, err := spreads(labels)
	if err != nil {
		return nil, err
	}
	scale := make([]float64, 0, (x.Cols+1)*classes)
	for j, root := range x.rootMeanSquares() {
		if l2 == 0 && root > 0 && root < smallest {
			return nil, &smallColumn{j, root}
		}
		for _, h := range spread {
			f := 1 / math.Hypot(math.Sqrt(l2), math.Sqrt(curvature*h)*root)
			if math.IsInf(f, 1) {
				f = 1 // a column of zeros without λ: its weights stay what they are
			}
			scale = append(scale, f)
		}
	}
	for _, h := range spread { // biases
		scale = append(scale, 1/math.Sqrt(curvature*h))
	}
	return scale, nil
}

// A smallColumn is the error of features whose weights would be too large.
type smallColumn struct {
	column int
	root   float64
}

func (e *smallColumn) Error() string {
	return fmt.Sprintf("column %d: features are so small (%.3g) that without λ no weight is large enough; multiply them by a number", e.column, e.root)
}

// smallest is the root mean square of features whose weights float64 still has.
const smallest = 1e-290

// spreads returns π(1-π) for every class, never 0.
func spreads(labels zlpr.Bits) ([]float64, error) {
	rows, classes := labels.Dims()
	words := make([]uint64, (classes+63)/64)
	spread := make([]float64, classes)
	for i := range rows {
		if err := labels.ReadRows(words, i, i+1); err != nil {
			return nil, err
		}
		for c := range spread {
			spread[c] += float64(words[c/64] >> (c % 64) & 1)
		}
	}
	for c, count := range spread {
		share := (count + 0.5) / (float64(rows) + 1)
		spread[c] = share * (1 - share)
	}
	return spread, nil
}

// rootMeanSquares returns the root of the mean of the squares of every column.
func (m *Matrix) rootMeanSquares() []float64 {
	roots, n := make([]float64, m.Cols), float64(m.Rows)
	if m.Scale == nil {
		// Of v/largest, whose squares neither overflow nor vanish.
		largest := make([]float64, m.Cols)
		m.each(func(j int, v float64) { largest[j] = max(largest[j], math.Abs(v)) })
		m.each(func(j int, v float64) {
			if v != 0 {
				roots[j] += (v / largest[j]) * (v / largest[j])
			}
		})
		for j := range roots {
			roots[j] = largest[j] * math.Sqrt(roots[j]/n)
		}
		return roots
	}
	// Of (x - m)·s, what is not stored included. Other rows than these may have
	// been standardised, which for this end makes no difference.
	zeros := make([]int, m.Cols)
	for j := range zeros {
		zeros[j] = m.Rows
	}
	m.each(func(j int, v float64) {
		u := (v - m.Mean[j]) * m.Scale[j]
		roots[j] += u * u
		zeros[j]--
	})
	for j := range roots {
		u := m.Mean[j] * m.Scale[j]
		roots[j] = math.Sqrt((roots[j] + float64(zeros[j])*u*u) / n)
	}
	return roots
}
