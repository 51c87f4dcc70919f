package linear

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/optimize"

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
			p, err := newProblem(context.Background(), m, y, loss, Options{L2: 0.1, Workers: 2})
			require.NoError(t, err)
			at := make([]float64, 5*9)
			for i := range at {
				at[i] = rng.NormFloat64() / p.scale[i]
			}
			g := make([]float64, len(at))
			p.Grad(g, at)
			for i := range at {
				const h = 1e-5 // of the weight
				old := at[i]
				at[i] = old + h/p.scale[i]
				up := p.Func(at)
				at[i] = old - h/p.scale[i]
				down := p.Func(at)
				at[i] = old
				require.InDelta(t, (up-down)/(2*h), g[i]/p.scale[i], 1e-8, "%s, weight %d", loss.Name(), i)
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
// near and far, with a class that no row has, whose bias has no finite optimum,
// one that all rows have, and two that are the same.
func TestAnyStart(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	x, y := problemOf(rng, 200, 10, 12)
	deviations := []float64{0.1, 3, 30}
	if testing.Short() {
		deviations = deviations[2:]
	}
	for i := range y.Rows {
		y.Data[i*12+3], y.Data[i*12+4] = 0, 1
		y.Data[i*12+6] = y.Data[i*12+5]
	}
	for _, loss := range append(losses, zlpr.PaddedSubset{K: 12}) {
		for _, l2 := range []float64{1e-1, 1e-3, 1e-5, 1e-7} {
			if testing.Short() && l2 < 1e-5 {
				continue // thousands of iterations
			}
			for _, m := range []*Matrix{x, sparseOf(x)} {
				o := Options{L2: l2, Tolerance: 1e-10, Iterations: 20000, Workers: 2}
				first, err := Fit(context.Background(), m, y, loss, o)
				require.NoError(t, err)
				require.True(t, first.Converged)
				for _, deviation := range deviations {
					o.Start = make([]float64, 11*12)
					for i := range o.Start {
						o.Start[i] = deviation * rng.NormFloat64()
					}
					r, err := Fit(context.Background(), m, y, loss, o)
					require.NoError(t, err)
					require.True(t, r.Converged, "%s, λ = %g", loss.Name(), l2)
					require.InEpsilon(t, first.Objective, r.Objective, 1e-8, "%s, λ = %g", loss.Name(), l2)
				}
			}
		}
	}
}

// TestGap compares the gap with what a longer descent gains: it is no less,
// for BCE, of which it is a bound, and for the others, and near the end it is
// not much more.
func TestGap(t *testing.T) {
	x, y := problemOf(rand.New(rand.NewPCG(9, 10)), 150, 8, 10)
	for i := range y.Rows {
		y.Data[i*10+2] = 0
	}
	for _, loss := range losses {
		for _, l2 := range []float64{1e-1, 1e-3, 1e-5} {
			end, err := Fit(context.Background(), x, y, loss, Options{L2: l2, Tolerance: 1e-15, Iterations: 5000, Workers: 1})
			require.NoError(t, err)
			require.True(t, end.Converged)
			last := 0.0
			for iterations := 1; iterations < end.Iterations; iterations += 1 + iterations/10 {
				r, err := Fit(context.Background(), x, y, loss, Options{L2: l2, Tolerance: 1e-15, Iterations: iterations, Workers: 1})
				require.NoError(t, err)
				above := r.Objective - end.Objective
				require.GreaterOrEqual(t, r.Gap+2e-15*end.Objective, above, "%s, λ = %g, iteration %d", loss.Name(), l2, iterations)
				if above > 1e-13*end.Objective {
					last = r.Gap / above
				}
			}
			require.Less(t, last, 1e5, "%s, λ = %g", loss.Name(), l2)
		}
	}
}

// TestRounding asks for more than float64 has: Fit ends all the same, and says
// that it is done.
func TestRounding(t *testing.T) {
	x, y := problemOf(rand.New(rand.NewPCG(11, 12)), 300, 12, 8)
	for _, loss := range losses {
		o := Options{L2: 1e-4, Tolerance: 1e-30, Iterations: 5000, Workers: 2}
		first, err := Fit(context.Background(), x, y, loss, o)
		require.NoError(t, err)
		require.True(t, first.Converged, loss.Name())
		require.Less(t, first.Iterations, 1000)
		o.Start = append(slices.Clone(first.W), first.B...)
		again, err := Fit(context.Background(), x, y, loss, o)
		require.NoError(t, err)
		require.True(t, again.Converged, loss.Name())
		require.InEpsilon(t, first.Objective, again.Objective, 1e-14, loss.Name())
	}
}

// TestMerge: equal columns make one, and the model is that of all columns.
func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	x, y := problemOf(rng, 80, 7, 6)
	for i := range x.Rows { // 1 = 4 = 6, and 5 is 0
		row := x.Dense[i*7:][:7]
		row[4], row[6], row[5] = row[1], row[1], 0
	}
	o := Options{L2: 1e-2, Tolerance: 1e-13, Iterations: 2000, Workers: 1, Start: make([]float64, 8*6)}
	for i := range o.Start {
		o.Start[i] = rng.NormFloat64()
	}
	for _, standardize := range []bool{false, true} {
		s := sparseOf(x)
		if standardize {
			mean, scale := x.Standardization()
			s.Standardize(mean, scale)
			x.Standardize(mean, scale)
		}
		merged := merge(s)
		require.Equal(t, 4, merged.Cols)
		require.Equal(t, []int32{0, 1, 2, 3, 1, -1, 1}, merged.to)
		// The start has the same scores.
		all, few := make([]float64, 80*6), make([]float64, 80*6)
		b := make([]float64, 6)
		s.Multiply(all, o.Start[:7*6], b, 6, 1)
		merged.Multiply(few, merged.narrow(o.Start[:7*6], 6), b, 6, 1)
		require.InDeltaSlice(t, all, few, 1e-13)
		require.InDelta(t, s.largestNorm(), merged.largestNorm(), 1e-13)
		require.InDelta(t, x.largestNorm(), s.largestNorm(), 1e-12)

		want, err := Fit(context.Background(), x, y, zlpr.ZLPR{}, o)
		require.NoError(t, err)
		got, err := Fit(context.Background(), s, y, zlpr.ZLPR{}, o)
		require.NoError(t, err)
		require.InEpsilon(t, want.Objective, got.Objective, 1e-12)
		require.InDeltaSlice(t, want.W, got.W, 1e-5)
		require.InDeltaSlice(t, want.B, got.B, 1e-5)
	}
}

// TestLineSearch: steps along functions of one variable.
func TestLineSearch(t *testing.T) {
	for name, f := range map[string]func(x float64) (f, g float64){
		"square":   func(x float64) (f, g float64) { return (x - 3) * (x - 3), 2 * (x - 3) },
		"far":      func(x float64) (f, g float64) { return 1e-6*x*x - x, 2e-6*x - 1 },
		"near":     func(x float64) (f, g float64) { return 1e8*x*x - x, 2e8*x - 1 },
		"exp":      func(x float64) (f, g float64) { return math.Exp(40*x) - 50*x, 40*math.Exp(40*x) - 50 },
		"overflow": func(x float64) (f, g float64) { return math.Exp(1e5*x) - 2e5*x, 1e5*math.Exp(1e5*x) - 2e5 },
		// All values are the same: the derivative decides.
		"rounded": func(x float64) (f, g float64) { return 1, 1e-12 * (x - 3) },
	} {
		l := &lineSearch{}
		value, slope := f(0)
		op := l.Init(value, slope, 1)
		step, tries := 1.0, 0
		for ; op != optimize.MajorIteration; tries++ {
			var err error
			at, g := f(step)
			op, step, err = l.Iterate(at, g)
			require.NoError(t, err, name)
		}
		_, g := f(step)
		require.LessOrEqual(t, math.Abs(g), 0.9*math.Abs(slope), name)
		require.Less(t, tries, 30, name)
	}
	// A function that falls for ever.
	l := &lineSearch{}
	op := l.Init(0, -1, 1)
	var err error
	for step := 1.0; op != optimize.MajorIteration && err == nil; {
		op, step, err = l.Iterate(-step, -1)
	}
	require.ErrorIs(t, err, optimize.ErrLinesearcherFailure)
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

// TestColumnsOfAnySize: without λ the minimum does not depend on what a column
// is multiplied by, as long as its weights are numbers; a column of one value
// does no harm. Standardised columns are the same ones.
func TestColumnsOfAnySize(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	x, y := problemOf(rng, 60, 4, 3)
	for i := range x.Dense {
		x.Dense[i] = rng.NormFloat64() // nothing that separates
	}
	fit := func(m *Matrix, o Options) (*Result, error) {
		o.Tolerance, o.Iterations, o.Workers = 1e-10, 1000, 1
		return Fit(context.Background(), m, y, zlpr.ZLPR{}, o)
	}
	want, err := fit(x, Options{})
	require.NoError(t, err)
	for _, exponent := range []int{-950, -700, -515, -300, 0, 300} {
		m := &Matrix{Rows: x.Rows, Cols: x.Cols, Dense: slices.Clone(x.Dense)}
		for i := range m.Rows {
			m.Dense[i*m.Cols+1] = math.Ldexp(m.Dense[i*m.Cols+1], exponent)
		}
		for _, m := range []*Matrix{m, sparseOf(m)} {
			got, err := fit(m, Options{})
			require.NoError(t, err)
			require.InEpsilon(t, want.Objective, got.Objective, 1e-8, "2^%d", exponent)
			mean, scale := m.Standardization()
			m.Standardize(mean, scale)
			got, err = fit(m, Options{})
			require.NoError(t, err)
			require.InEpsilon(t, want.Objective, got.Objective, 1e-8, "2^%d, standardised", exponent)
		}
	}
	for _, value := range []float64{0, 1, 1e-200, 5e-324, 1e99} {
		m := &Matrix{Rows: x.Rows, Cols: x.Cols, Dense: slices.Clone(x.Dense)}
		for i := range m.Rows {
			m.Dense[i*m.Cols] = value
			m.Dense[i*m.Cols+2] = 0
		}
		for _, o := range []Options{{}, {L2: 1e-300}, {L2: 1e300}} {
			if value == 5e-324 && o.L2 == 0 {
				_, err = fit(m, o)
				require.ErrorContains(t, err, "column 0: features are so small")
				_, err = fit(sparseOf(m), o)
				require.ErrorContains(t, err, "column 0: features are so small")
				continue
			}
			for _, m := range []*Matrix{m, sparseOf(m)} {
				r, err := fit(m, o)
				require.NoError(t, err, "%v, λ = %v", value, o.L2)
				require.False(t, math.IsNaN(r.Objective))
			}
		}
	}
}

// TestSmallSpread: a spread far below the mean is no constant.
func TestSmallSpread(t *testing.T) {
	m := &Matrix{Rows: 4, Cols: 3, Dense: make([]float64, 12)}
	for i, d := range []float64{-1, 1, 1, -1} {
		m.Dense[3*i] = 1 + d*0x1p-40
		m.Dense[3*i+1] = 1e6 + d*0x1p-32
		m.Dense[3*i+2] = 0.1 // whose sums are rounded
	}
	for _, m := range []*Matrix{m, sparseOf(m)} {
		mean, scale := m.Standardization()
		require.Equal(t, []float64{1, 1e6, 0.1}, mean)
		require.Equal(t, []float64{0x1p40, 0x1p32, 1}, scale)
	}
}

// Products of sparse rows add up in the order of the entries, whatever the number of
// columns and of workers.
func TestSparseProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for columns := 1; columns <= 40; columns++ {
		const rows, features = 30, 9
		m := compressed{ptr: make([]int64, rows+1)}
		for i := range rows {
			for j := range features {
				if r.IntN(3) == 0 && i%7 != 0 {
					m.indices, m.values = append(m.indices, int32(j)), append(m.values, r.NormFloat64())
				}
			}
			m.ptr[i+1] = int64(len(m.indices))
		}
		v, want := make([]float64, features*columns), make([]float64, rows*columns)
		for i := range v {
			v[i] = r.NormFloat64()
		}
		for i := range want {
			want[i] = r.NormFloat64()
		}
		for _, workers := range []int{1, 3} {
			got := append([]float64(nil), want...)
			m.addProduct(got, v, columns, workers)
			for i := range rows {
				for c := range columns {
					sum := want[i*columns+c]
					for k := m.ptr[i]; k < m.ptr[i+1]; k++ {
						sum += float64(m.values[k] * v[int(m.indices[k])*columns+c])
					}
					require.Equal(t, sum, got[i*columns+c], "%d columns, row %d, column %d", columns, i, c)
				}
			}
		}
	}
}
