package report

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/metrics"
)

// weighted returns Rows of a model whose rows have weights.
func (p *problem) weighted(t *testing.T, m int, names []string, weights []float64, zero metrics.ZeroDivision) (*Rows, []metrics.Result) {
	b := p.batch(m, nil)
	b.RowWeights = weights
	a, err := metrics.NewAccumulator[float32](p.classes, names, metrics.Options{Workers: 1, ZeroDivision: zero})
	require.NoError(t, err)
	r, err := NewRowsZeroDivision(p.rows, p.classes, []string{"zlpr"}, names, zero)
	require.NoError(t, err)
	words := (p.classes + 63) / 64
	out := metrics.RowOutput{Terms: make([]float64, p.rows*r.Terms()), Positive: make([]uint64, p.rows*words), Predicted: make([]uint64, p.rows*words)}
	require.NoError(t, a.AddRows(b, &out))
	losses := make([]float64, p.rows)
	e, err := zlpr.NewEvaluator[float32](zlpr.ZLPR{}, zlpr.Options{})
	require.NoError(t, err)
	_, err = e.Evaluate(context.Background(), b, &zlpr.Output[float32]{Losses: losses})
	require.NoError(t, err)
	require.NoError(t, r.Set(0, p.rows, [][]float64{losses}, &out))
	results, err := a.Results()
	require.NoError(t, err)
	return r, results
}

// TestWeights: a row of weight w is w rows that are drawn together; the values are those of
// the Accumulator, whatever divisions by zero give.
func TestWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 62))
	p := newProblem(rng, 60, 7)
	for i := range p.rows { // a class that nobody has, one that nobody predicts
		p.y[i*7+3] = 0
		p.s[0][i*7+3], p.s[1][i*7+3], p.s[0][i*7+5] = -9, -9, -9
	}
	again := &problem{classes: 7}
	weights, groups := make([]float64, p.rows), []int{}
	for i := range weights {
		weights[i] = float64(rng.IntN(4))
		for range max(1, int(weights[i])) { // those of weight 0 are drawn, and count for nothing
			groups = append(groups, i)
			again.rows++
			again.y = append(again.y, p.y[i*7:][:7]...)
			for m := range p.s {
				again.s[m] = append(again.s[m], p.s[m][i*7:][:7]...)
			}
		}
	}
	ones := make([]float64, again.rows)
	for i, g := range groups {
		ones[i] = min(1, weights[g])
	}
	compare := func(zero metrics.ZeroDivision, scale float64) (one, other *Comparison) {
		scaled := make([]float64, len(weights))
		for i, w := range weights {
			scaled[i] = w * scale
		}
		var a, b [2]*Rows
		for m := range a {
			var results []metrics.Result
			a[m], results = p.weighted(t, m, names(), scaled, zero)
			b[m], _ = again.weighted(t, m, names(), ones, zero)
			defer func() {
				for k, d := range one.Metrics {
					got := []float64{d.A, d.B}[m]
					if want := results[k].Value; math.IsNaN(want) {
						require.True(t, math.IsNaN(got), d.Name)
					} else {
						require.InDelta(t, want, got, 1e-13, d.Name)
					}
				}
			}()
		}
		one, err := Compare(context.Background(), a[0], a[1], Options{Resamples: 300, Seed: 5})
		require.NoError(t, err)
		other, err = Compare(context.Background(), b[0], b[1], Options{Resamples: 300, Seed: 5, Groups: groups})
		require.NoError(t, err)
		return one, other
	}
	same := func(want, got float64, name string) {
		if math.IsNaN(want) {
			require.True(t, math.IsNaN(got), name)
			return
		}
		require.InDelta(t, want, got, 1e-12*(1+math.Abs(want)), name)
	}
	for _, zero := range []metrics.ZeroDivision{metrics.ZeroDivisionZero, metrics.ZeroDivisionOne, metrics.ZeroDivisionNaN} {
		for _, scale := range []float64{1, 1.0 / 3, 1e200} {
			one, other := compare(zero, scale)
			for k, d := range append(one.Losses, one.Metrics...) {
				o := append(other.Losses, other.Metrics...)[k]
				same(o.A, d.A, d.Name)
				same(o.B, d.B, d.Name)
				same(o.Low, d.Low, d.Name)
				same(o.High, d.High, d.Name)
				same(o.P, d.P, d.Name)
			}
			for j, c := range one.Classes {
				o := other.Classes[j]
				same(o.A, c.A, "class")
				same(o.B, c.B, "class")
				same(o.Low, c.Low, "class")
				same(o.High, c.High, "class")
			}
			if want := [...]float64{0, 1, math.NaN()}[zero]; zero == metrics.ZeroDivisionNaN {
				require.True(t, math.IsNaN(one.Classes[3].A))
			} else {
				require.Equal(t, want, one.Classes[3].A)
			}
		}
	}
}
