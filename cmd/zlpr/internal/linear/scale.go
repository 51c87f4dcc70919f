package linear

import (
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
	for _, square := range x.meanSquares() {
		for _, h := range spread {
			scale = append(scale, 1/math.Sqrt(l2+curvature*h*square))
		}
	}
	for _, h := range spread { // biases
		scale = append(scale, 1/math.Sqrt(curvature*h))
	}
	return scale, nil
}

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

// meanSquares returns the mean of the squares of every column.
func (m *Matrix) meanSquares() []float64 {
	squares := make([]float64, m.Cols)
	m.each(func(j int, v float64) { squares[j] += v * v })
	n := float64(m.Rows)
	if m.Scale == nil {
		for j := range squares {
			squares[j] /= n
		}
		return squares
	}
	// Mean of ((x - m)·s)²: the variance is the mean of x² less m², where m is
	// the mean of these rows. Other rows may have another, which for this end
	// makes no difference.
	for j, s := range m.Scale {
		squares[j] = math.Abs(squares[j]/n-m.Mean[j]*m.Mean[j]) * s * s
	}
	return squares
}
