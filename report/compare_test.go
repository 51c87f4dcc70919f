package report

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/metrics"
)

// names are the metrics of the tests: all but the areas.
func names() []string {
	list := append(metrics.All(1, 3, 5), "micro_f2", "macro_f0.5", "weighted_jaccard")
	return slices.DeleteFunc(list, metrics.NeedsScores)
}

// A problem is scores of two models with labels.
type problem struct {
	rows, classes int
	y             []uint8
	s             [2][]float32
}

// newProblem makes one, of which model 1 is the better one.
func newProblem(rng *rand.Rand, rows, classes int) *problem {
	p := &problem{rows: rows, classes: classes, y: make([]uint8, rows*classes)}
	for m := range p.s {
		p.s[m] = make([]float32, rows*classes)
	}
	for i := range p.y {
		if rng.IntN(5) == 0 {
			p.y[i] = 1
		}
		for m := range p.s {
			p.s[m][i] = float32(math.Round(8*(2*rng.NormFloat64()-1.5+float64(p.y[i])*(1.5+float64(m)/2))) / 8)
		}
	}
	return p
}

// batch is the scores with labels; swap says which rows have those of the other
// model.
func (p *problem) batch(m int, swap []uint8) *metrics.Batch[float32] {
	x := slices.Clone(p.s[m])
	for i, s := range swap {
		if s != 0 {
			copy(x[i*p.classes:(i+1)*p.classes], p.s[1-m][i*p.classes:])
		}
	}
	return &metrics.Batch[float32]{
		Scores: zlpr.Matrix[float32]{Rows: p.rows, Cols: p.classes, Stride: p.classes, Data: x},
		Labels: &zlpr.DenseLabels[uint8]{Rows: p.rows, Cols: p.classes, Data: p.y, Stride: p.classes}}
}

// of returns Rows of a model.
func (p *problem) of(t testing.TB, m int, names []string) *Rows {
	b := p.batch(m, nil)
	a, err := metrics.NewAccumulator[float32](p.classes, names, metrics.Options{Workers: 1})
	require.NoError(t, err)
	r, err := NewRows(p.rows, p.classes, []string{"zlpr"}, names)
	require.NoError(t, err)
	words := (p.classes + 63) / 64
	out := metrics.RowOutput{Terms: make([]float64, p.rows*r.Terms()), Positive: make([]uint64, p.rows*words), Predicted: make([]uint64, p.rows*words)}
	require.NoError(t, a.AddRows(b, &out))
	losses := make([]float64, p.rows)
	e, err := zlpr.NewEvaluator[float32](zlpr.ZLPR{}, zlpr.Options{Reduction: zlpr.Mean})
	require.NoError(t, err)
	_, err = e.Evaluate(context.Background(), b, &zlpr.Output[float32]{Losses: losses})
	require.NoError(t, err)
	require.NoError(t, r.Set(0, p.rows, [][]float64{losses}, &out))
	return r
}

// values are the loss and the metrics of a model whose rows count so many times.
func (p *problem) values(t testing.TB, m int, names []string, times, swap []uint8) []float64 {
	b := p.batch(m, swap)
	b.RowWeights = make([]float64, p.rows)
	for i := range b.RowWeights {
		b.RowWeights[i] = 1
		if times != nil {
			b.RowWeights[i] = float64(times[i])
		}
	}
	e, err := zlpr.NewEvaluator[float32](zlpr.ZLPR{}, zlpr.Options{Reduction: zlpr.Mean, Workers: 1})
	require.NoError(t, err)
	loss, err := e.Evaluate(context.Background(), b, nil)
	require.NoError(t, err)
	a, err := metrics.NewAccumulator[float32](p.classes, names, metrics.Options{Workers: 1})
	require.NoError(t, err)
	require.NoError(t, a.Add(b))
	results, err := a.Results()
	require.NoError(t, err)
	values := []float64{loss.Loss}
	for _, r := range results {
		values = append(values, r.Value)
	}
	return values
}

func close(t *testing.T, want, got float64, tolerance float64, what ...any) {
	t.Helper()
	if math.IsNaN(want) || math.IsNaN(got) {
		require.Equal(t, math.IsNaN(want), math.IsNaN(got), what...)
		return
	}
	require.InDelta(t, want, got, tolerance, what...)
}

// TestCompare: values, intervals and p are those of resamples that are made one by
// one, by rows that are weighted, or exchanged, and evaluated.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		rows, classes, groups, resamples int
	}{{1, 1, 0, 20}, {1, 5, 0, 20}, {2, 3, 0, 50}, {3, 70, 0, 50}, {40, 1, 0, 50}, {150, 9, 0, 120}, {90, 6, 17, 120}, {30, 4, 1, 20}} {
		t.Run(fmt.Sprintf("rows=%d/classes=%d/groups=%d", c.rows, c.classes, c.groups), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, uint64(c.rows)))
			p, names := newProblem(rng, c.rows, c.classes), names()
			o := Options{Resamples: c.resamples, Seed: 3, Confidence: 0.9}
			units := c.rows
			unit := make([]int, c.rows)
			for i := range unit {
				unit[i] = i
			}
			if c.groups > 0 {
				units = 0
				first := map[int]int{}
				for i := range unit {
					g := rng.IntN(c.groups)
					if _, ok := first[g]; !ok {
						first[g] = units
						units++
					}
					unit[i] = first[g]
					o.Groups = append(o.Groups, g-5) // any numbers
				}
			}
			a, b := p.of(t, 0, names), p.of(t, 1, names)
			got, err := Compare(context.Background(), a, b, o)
			require.NoError(t, err)
			require.Equal(t, units, got.Units)
			n := 1 + len(names)
			x, y := p.values(t, 0, names, nil, nil), p.values(t, 1, names, nil, nil)
			var drawn, swapped [][]float64
			for range n {
				drawn, swapped = append(drawn, nil), append(swapped, nil)
			}
			counts, times := make([]uint8, units), make([]uint8, c.rows)
			for r := range c.resamples {
				spread := func(kind int) []uint8 {
					counted(counts, o.Seed, kind, r)
					for i, u := range unit {
						times[i] = counts[u]
					}
					return times
				}
				spread(drawing)
				x, y := p.values(t, 0, names, times, nil), p.values(t, 1, names, times, nil)
				for k := range n {
					if d := y[k] - x[k]; !math.IsNaN(d) {
						drawn[k] = append(drawn[k], d)
					}
				}
				spread(swapping)
				x, y = p.values(t, 0, names, nil, times), p.values(t, 1, names, nil, times)
				for k := range n {
					swapped[k] = append(swapped[k], y[k]-x[k])
				}
			}
			for k := range n {
				d := got.at(k)
				close(t, x[k], d.A, 1e-12*max(1, x[k]), d.Name)
				close(t, y[k], d.B, 1e-12*max(1, y[k]), d.Name)
				close(t, y[k]-x[k], d.Difference, 1e-12*max(1, y[k]), d.Name)
				if math.IsNaN(y[k]-x[k]) || units == 1 {
					require.True(t, math.IsNaN(d.Low) && math.IsNaN(d.High) && math.IsNaN(d.P), d.Name)
					continue
				}
				sort.Float64s(drawn[k])
				close(t, percentile(drawn[k], 0.05), d.Low, 1e-11*max(1, y[k]), d.Name)
				close(t, percentile(drawn[k], 0.95), d.High, 1e-11*max(1, y[k]), d.Name)
				more := 0
				for _, s := range swapped[k] { // two resamples that are one another's mirror image tie
					if math.Abs(s) >= math.Abs(y[k]-x[k])-1e-11*max(1, y[k]) {
						more++
					}
				}
				require.Equal(t, float64(1+more)/float64(1+c.resamples), d.P, d.Name)
			}
			for j, d := range got.Classes {
				require.Equal(t, j, d.Class)
				f := func(m int) float64 { return p.f1(m, j, nil) }
				require.Equal(t, f(0), d.A)
				require.Equal(t, f(1), d.B)
				if units == 1 {
					require.True(t, math.IsNaN(d.Low) && math.IsNaN(d.High))
					continue
				}
				var all []float64
				for r := range c.resamples {
					counted(counts, o.Seed, drawing, r)
					for i, u := range unit {
						times[i] = counts[u]
					}
					all = append(all, p.f1(1, j, times)-p.f1(0, j, times))
				}
				sort.Float64s(all)
				require.InDelta(t, percentile(all, 0.05), d.Low, 1e-15)
				require.InDelta(t, percentile(all, 0.95), d.High, 1e-15)
			}
			for _, workers := range []int{1, 2, 7} {
				o.Workers = workers
				again, err := Compare(context.Background(), a, b, o)
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint(*got), fmt.Sprint(*again), workers)
			}
		})
	}
}

// percentile is that of sorted numbers: the plain definition.
func percentile(x []float64, q float64) float64 {
	place := q * float64(len(x)-1)
	i := int(math.Floor(place))
	if i+1 >= len(x) {
		return x[len(x)-1]
	}
	return x[i]*(1-(place-float64(i))) + x[i+1]*(place-float64(i))
}

// f1 is F1 of a class.
func (p *problem) f1(m, j int, times []uint8) float64 {
	var twice, sum float64
	for i := range p.rows {
		w := 1.0
		if times != nil {
			w = float64(times[i])
		}
		y, q := float64(p.y[i*p.classes+j]), 0.0
		if p.s[m][i*p.classes+j] > 0 {
			q = 1
		}
		twice += 2 * w * y * q
		sum += w * (y + q)
	}
	if sum == 0 {
		return 0
	}
	return twice / sum
}

// TestPlainLoop: intervals and p agree with those of another source of random
// numbers, in a loop over rows that are drawn, to Monte Carlo error.
func TestPlainLoop(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 11))
	p := newProblem(rng, 400, 8)
	list := []string{"micro_f1", "samples_f1", "hamming_loss", "lrap", "coverage_error"}
	a, b := p.of(t, 0, list), p.of(t, 1, list)
	got, err := Compare(context.Background(), a, b, Options{Seed: 5})
	require.NoError(t, err)
	const resamples = 4000
	n, w := 1+len(list), a.width()
	drawn := make([][]float64, n)
	spread := make([]float64, a.terms)
	for range resamples {
		x, y := make([]float64, w), make([]float64, w)
		for range p.rows {
			i := rng.IntN(p.rows)
			for k := range w {
				x[k] += a.x[i*w+k]
				y[k] += b.x[i*w+k]
			}
		}
		for k := range n {
			drawn[k] = append(drawn[k], b.value(k, y, spread)-a.value(k, x, spread))
		}
	}
	for k := range n {
		d := got.at(k)
		slices.Sort(drawn[k])
		// The share of the plain loop's resamples below an end, whose standard
		// error, of both together, is √(q(1-q)(1/4000 + 1/10000)) = 0.003.
		share := func(end float64) float64 {
			i, _ := slices.BinarySearch(drawn[k], end)
			return float64(i) / resamples
		}
		require.InDelta(t, 0.025, share(d.Low), 0.012, d.Name)
		require.InDelta(t, 0.975, share(d.High), 0.012, d.Name)
	}
}

// TestDraw: every unit is as likely as any other, and as many are drawn as there are.
func TestDraw(t *testing.T) {
	for _, n := range []int{1, 2, 3, 64, 1000} {
		counts, all := make([]uint8, n), make([]int, n)
		const resamples = 2000
		for r := range resamples {
			counted(counts, 9, drawing, r)
			sum := 0
			for i, c := range counts {
				sum += int(c)
				all[i] += int(c)
			}
			require.Equal(t, n, sum)
		}
		for _, c := range all {
			require.InDelta(t, resamples, c, 6*math.Sqrt(resamples))
		}
		ones := 0
		for r := range resamples {
			counted(counts, 9, swapping, r)
			for _, c := range counts {
				if c > 1 { // require takes long two million times
					t.Fatalf("%d", c)
				}
				ones += int(c)
			}
		}
		require.InDelta(t, 0.5, float64(ones)/float64(n*resamples), 3/math.Sqrt(float64(n*resamples)))
	}
}

// TestPlans: the sums are the same by every plan, also of units that are drawn more
// often than a code says.
func TestPlans(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, n := range []int{1, 2, 5, 31, 200} {
		const width, resamples = 5, 40
		x := make([]float64, n*width)
		for i := range x {
			x[i] = rng.NormFloat64()
		}
		u := newUnits(n, width, x, nil)
		for kind, digits := range [][]int{drawing: {1, 2, 3, 6}, swapping: {1, 2}} {
			want := make([]float64, resamples*width)
			counts := make([]uint8, n)
			for r := range resamples {
				counted(counts, 1, kind, r)
				for i, c := range counts {
					for k := range width {
						want[r*width+k] += float64(float64(c) * u.x[i*width+k])
					}
				}
			}
			for _, digit := range digits {
				for each := 1; digit*each <= 6; each++ {
					p := plan{each: each, digit: digit, resamples: 7, stride: (n + each - 1) / each}
					s := newSummer(u, p, kind, 1)
					for first := 0; first < resamples; first += 7 {
						count := min(7, resamples-first)
						got := make([]float64, count*width)
						s.sum(got, first, count)
						require.Equal(t, want[first*width:(first+count)*width], got)
					}
				}
			}
		}
	}
}

// TestInfinite: a loss that is not finite has no interval, the others have theirs.
func TestInfinite(t *testing.T) {
	p := newProblem(rand.New(rand.NewPCG(2, 2)), 20, 3)
	list := []string{"micro_f1"}
	a, b := p.of(t, 0, list), p.of(t, 1, list)
	for _, v := range []float64{math.Inf(1), math.NaN()} {
		b.x[4*b.width()] = v
		got, err := Compare(context.Background(), a, b, Options{Resamples: 50})
		require.NoError(t, err)
		require.False(t, finite(got.Losses[0].Difference))
		require.True(t, math.IsNaN(got.Losses[0].Low) && math.IsNaN(got.Losses[0].P))
		require.False(t, math.IsNaN(got.Metrics[0].Low) || math.IsNaN(got.Metrics[0].P))
	}
	for _, v := range []float64{math.MaxFloat64, 5e-324, 0} { // numbers of any size
		for i := range p.rows {
			a.x[i*a.width()], b.x[i*b.width()] = v/64, v/32
		}
		got, err := Compare(context.Background(), a, b, Options{Resamples: 50})
		require.NoError(t, err)
		require.InDelta(t, v/64, got.Losses[0].Low, v*1e-9, v)
	}
}

// TestErrors: what cannot be compared is an error.
func TestErrors(t *testing.T) {
	p := newProblem(rand.New(rand.NewPCG(2, 2)), 20, 3)
	a := p.of(t, 0, []string{"micro_f1"})
	for _, o := range []Options{{Resamples: -1}, {Confidence: 1}, {Confidence: math.NaN()}, {Groups: make([]int, 19)}} {
		_, err := Compare(context.Background(), a, a, o)
		require.Error(t, err)
	}
	_, err := Compare(context.Background(), a, p.of(t, 1, []string{"macro_f1"}), Options{})
	require.Error(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = Compare(ctx, a, a, Options{})
	require.ErrorIs(t, err, context.Canceled)
	none, err := NewRows(0, 3, nil, nil)
	require.NoError(t, err)
	_, err = Compare(context.Background(), none, none, Options{})
	require.ErrorIs(t, err, ErrNoRows)
	same, err := Compare(context.Background(), a, a, Options{Resamples: 10})
	require.NoError(t, err)
	require.Equal(t, 1.0, same.Metrics[0].P)
	require.Zero(t, same.Metrics[0].Low)
}
