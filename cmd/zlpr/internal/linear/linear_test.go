package linear

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

// problemOf makes features and labels that depend on them.
func problemOf(rng *rand.Rand, rows, features, classes int) (*Matrix, *zlpr.DenseLabels[uint8]) {
	x := &Matrix{Rows: rows, Cols: features, Dense: make([]float64, rows*features)}
	for i := range x.Dense {
		if rng.IntN(3) == 0 {
			x.Dense[i] = rng.NormFloat64() + 1
		}
	}
	y := &zlpr.DenseLabels[uint8]{Rows: rows, Cols: classes, Stride: classes, Data: make([]uint8, rows*classes)}
	for i := range rows {
		for j := range classes {
			if x.Dense[i*features+j%features]+rng.NormFloat64() > 1 {
				y.Data[i*classes+j] = 1
			}
		}
	}
	return x, y
}

// sparseOf is x in CSR.
func sparseOf(x *Matrix) *Matrix {
	s := &Matrix{Rows: x.Rows, Cols: x.Cols, RowPtr: []int64{0}}
	for i := range x.Rows {
		for j, v := range x.Dense[i*x.Cols:][:x.Cols] {
			if v != 0 {
				s.Indices, s.Values = append(s.Indices, int32(j)), append(s.Values, v)
			}
		}
		s.RowPtr = append(s.RowPtr, int64(len(s.Indices)))
	}
	return s
}

var losses = []zlpr.Loss{zlpr.ZLPR{}, zlpr.BCE{}, zlpr.Pairwise{Gamma: 1}}

// TestGradient compares the gradient with differences of the objective.
func TestGradient(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y := problemOf(rng, 20, 4, 9)
	mean, scale := x.Standardization()
	s := sparseOf(x)
	s.Standardize(mean, scale)
	for _, loss := range losses {
		for _, m := range []*Matrix{x, s} {
			p, err := newProblem(context.Background(), m, y, 9, loss, Options{L2: 0.1, Workers: 2})
			require.NoError(t, err)
			at := make([]float64, 5*9)
			for i := range at {
				at[i] = rng.NormFloat64()
			}
			g := make([]float64, len(at))
			p.Grad(g, at)
			for i := range at {
				const h = 1e-5
				old := at[i]
				at[i] = old + h
				up := p.Func(at)
				at[i] = old - h
				down := p.Func(at)
				at[i] = old
				require.InDelta(t, (up-down)/(2*h), g[i], 1e-8, "%s, weight %d", loss.Name(), i)
			}
			require.NoError(t, p.err)
		}
	}
}

// TestSparse fits the same model to a dense and to a sparse matrix, as it is
// and standardised.
func TestSparse(t *testing.T) {
	x, y := problemOf(rand.New(rand.NewPCG(3, 4)), 60, 6, 8)
	s := sparseOf(x)
	o := Options{L2: 1e-2, Tolerance: 1e-12, Iterations: 1000, Workers: 2}
	same := func() {
		a, err := Fit(context.Background(), x, y, zlpr.ZLPR{}, o)
		require.NoError(t, err)
		b, err := Fit(context.Background(), s, y, zlpr.ZLPR{}, o)
		require.NoError(t, err)
		require.InEpsilon(t, a.Objective, b.Objective, 1e-11)
	}
	same()
	mean, scale := x.Standardization()
	mean2, scale2 := s.Standardization()
	require.InDeltaSlice(t, mean, mean2, 1e-14)
	require.InDeltaSlice(t, scale, scale2, 1e-12)
	x.Standardize(mean, scale)
	s.Standardize(mean, scale)
	same()
}

// TestStandardization: population standard deviation, a constant feature is
// divided by 1.
func TestStandardization(t *testing.T) {
	x := &Matrix{Rows: 4, Cols: 2, Dense: []float64{1, 0.1, 2, 0.1, 3, 0.1, 4, 0.1}}
	mean, scale := x.Standardization()
	require.InDeltaSlice(t, []float64{2.5, 0.1}, mean, 1e-15)
	require.InDeltaSlice(t, []float64{1 / math.Sqrt(1.25), 1}, scale, 1e-15)
}

// TestAnyStart reaches the same objective from zeros and from random weights,
// with a class that no row has: its bias has no finite optimum.
func TestAnyStart(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	x, y := problemOf(rng, 200, 10, 12)
	for i := range y.Rows {
		y.Data[i*12+3] = 0
	}
	for _, loss := range losses {
		for _, l2 := range []float64{1e-1, 1e-3, 1e-5} {
			o := Options{L2: l2, Tolerance: 1e-10, Iterations: 5000, Workers: 2}
			first, err := Fit(context.Background(), x, y, loss, o)
			require.NoError(t, err)
			require.True(t, first.Converged)
			for range 3 {
				o.Start = make([]float64, 11*12)
				for i := range o.Start {
					o.Start[i] = 3 * rng.NormFloat64()
				}
				r, err := Fit(context.Background(), x, y, loss, o)
				require.NoError(t, err)
				require.InEpsilon(t, first.Objective, r.Objective, 1e-8, "%s, λ = %g", loss.Name(), l2)
			}
		}
	}
}

// TestWorkers: the number of threads changes no bit.
func TestWorkers(t *testing.T) {
	x, y := problemOf(rand.New(rand.NewPCG(7, 8)), 100, 20, 30)
	s := sparseOf(x)
	o := Options{L2: 1e-2, Tolerance: 1e-9, Iterations: 50, Workers: 1}
	a, err := Fit(context.Background(), s, y, zlpr.ZLPR{}, o)
	require.NoError(t, err)
	o.Workers = 3
	b, err := Fit(context.Background(), s, y, zlpr.ZLPR{}, o)
	require.NoError(t, err)
	require.Equal(t, a.W, b.W)
	require.Equal(t, a.B, b.B)
}
