package report

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/metrics"
)

// calibrate runs all passes over batches, in parts parts.
func calibrate(t testing.TB, c Calibration, e []*Elements, parts int) Errors {
	quantiles := func(top bool) []float64 {
		q := NewQuantiles()
		for done := false; !done; done = q.Next() {
			of := make([]*Quantiles, parts)
			for i := range of {
				of[i] = q.Part()
			}
			for i, e := range e {
				of[i%parts].Add(c.Values(e, top))
			}
			for _, p := range of {
				q.Merge(p)
			}
		}
		return q.Edges()
	}
	var tops []float64
	edges := quantiles(false)
	if c.Link == Softmax {
		tops = quantiles(true)
	}
	all := NewReliability(c, edges, tops)
	of := make([]*Reliability, parts)
	for i := range of {
		of[i] = NewReliability(c, edges, tops)
	}
	for i, e := range e {
		of[i%parts].Add(e)
	}
	for _, p := range of {
		all.Merge(p)
	}
	return all.Errors()
}

// fit fits, in parts parts.
func fit(f *Fit, e []*Elements, parts int) (Calibration, error) {
	for {
		of := make([]*Fit, parts)
		for i := range of {
			of[i] = f.Part()
		}
		for i, e := range e {
			of[i%parts].Add(e)
		}
		for _, p := range of {
			f.Merge(p)
		}
		if done, err := f.Next(); done || err != nil {
			return f.Calibration(), err
		}
	}
}

// elements are those of random scores: in several batches, with targets one positive
// a row.
func elements(t testing.TB, rng *rand.Rand, rows, n int, targets bool) (e []*Elements) {
	for first := 0; first < rows; first += 37 {
		k := min(37, rows-first)
		b := metrics.Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: k, Cols: n, Stride: n, Data: make([]float32, k*n)}}
		y, mask := make([]uint8, k*n), make([]uint8, k*n)
		for i := range y {
			s := 2*rng.NormFloat64() - 1
			b.Scores.Data[i] = float32(s)
			mask[i] = 1
			if !targets && rng.IntN(6) == 0 {
				mask[i] = 0
				b.Scores.Data[i] = float32(math.NaN())
			} else if !targets && rng.Float64() < 1/(1+math.Exp(-1.7*s+0.4)) {
				y[i] = 1
			}
		}
		if targets {
			for r := range k {
				j := rng.IntN(n)
				y[r*n+j] = 1
				b.Scores.Data[r*n+j] += 2
			}
		}
		b.Labels = &zlpr.DenseLabels[uint8]{Rows: k, Cols: n, Data: y, Stride: n}
		b.Mask = &zlpr.DenseLabels[uint8]{Rows: k, Cols: n, Data: mask, Stride: n}
		part := &Elements{}
		require.NoError(t, Gather(part, &b, targets))
		e = append(e, part)
	}
	return e
}

// plainErrors are the definitions, of probabilities and labels.
func plainErrors(p []float64, y []bool) (brier, loss, width, mass float64) {
	n := float64(len(p))
	sorted := slices.Clone(p)
	slices.Sort(sorted)
	var edges, even []float64
	for k := 1; k < 15; k++ {
		place := (n - 1) * (float64(k) * (1.0 / 15) * 100 / 100) // as numpy's linspace and percentile
		i := int(place)
		edges = append(edges, sorted[i]+(place-float64(i))*(sorted[min(i+1, len(p)-1)]-sorted[i]))
		even = append(even, float64(k)/15)
	}
	ece := func(edges []float64) (sum float64) {
		var d [15]float64
		for i, v := range p {
			k := 0
			for _, e := range edges {
				if e < v {
					k++
				}
			}
			d[k] += v
			if y[i] {
				d[k]--
			}
		}
		for _, v := range d {
			sum += math.Abs(v) / n
		}
		return sum
	}
	for i, v := range p {
		if y[i] {
			brier += (1 - v) * (1 - v) / n
			loss -= math.Log(v) / n
		} else {
			brier += v * v / n
			loss -= math.Log1p(-v) / n
		}
	}
	return brier, loss, ece(even), ece(edges)
}

// TestReliability: the errors are those of their definitions, and the same bits for
// any split.
func TestReliability(t *testing.T) {
	for _, link := range []Link{Sigmoid, Sigmoid2, Softmax} {
		for _, c := range []Calibration{{link, 1, 0}, {link, 0.625, 0}, {link, -0.3, 0.5}, {link, 0, 0.25}} {
			for _, rows := range []int{1, 5, 200} {
				rng := rand.New(rand.NewPCG(1, uint64(rows)))
				e := elements(t, rng, rows, 6, link == Softmax)
				got := calibrate(t, c, e, 1)
				require.Equal(t, fmt.Sprint(got), fmt.Sprint(calibrate(t, c, e, 3)))
				var p, top []float64
				var y, right []bool
				for _, e := range e {
					e.each(func(s []float64, labels []bool) {
						if link != Softmax {
							for i, v := range s {
								p = append(p, 1/(1+math.Exp(-float64(1+link)*(c.Scale*v+c.Shift))))
								y = append(y, labels[i])
							}
							return
						}
						sum, best, target := 0.0, 0, 0
						for i, v := range s {
							sum += math.Exp(c.Scale * v)
							if labels[i] {
								target = i
							}
							if c.Scale*v > c.Scale*s[best] {
								best = i
							}
						}
						p, y = append(p, math.Exp(c.Scale*s[target])/sum), append(y, true)
						top, right = append(top, math.Exp(c.Scale*s[best])/sum), append(right, best == target)
					})
				}
				brier, loss, width, mass := plainErrors(p, y)
				require.EqualValues(t, len(p), got.Elements)
				require.InDelta(t, brier, got.Brier, 1e-13)
				require.InDelta(t, loss, got.LogLoss, 1e-12)
				if c.Scale != 0 { // whether equal probabilities are above an edge is a matter of their last bit
					require.InDelta(t, width, got.ECEWidth, 1e-12)
					require.InDelta(t, mass, got.ECEMass, 1e-12)
				}
				if link == Softmax && c.Scale != 0 {
					_, _, width, mass = plainErrors(top, right)
					require.InDelta(t, width, got.TopWidth, 1e-12)
					require.InDelta(t, mass, got.TopMass, 1e-12)
				}
			}
		}
	}
}

// TestQuantiles: the edges are those of the sorted values, also of many equal ones
// and of ones that differ in their last bits.
func TestQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for name, value := range map[string]func() float64{
		"uniform": rng.Float64,
		"equal":   func() float64 { return 0.3 },
		"few":     func() float64 { return float64(rng.IntN(3)) / 4 },
		"near":    func() float64 { return math.Float64frombits(0x3fe0000000000000 + uint64(rng.IntN(1000))) },
		"tiny":    func() float64 { return math.Ldexp(1, -rng.IntN(1070)) },
	} {
		for _, n := range []int{1, 2, 15, 16, 31, 5000} {
			x := make([]float64, n)
			for i := range x {
				x[i] = value()
			}
			passes := func(force bool) []float64 {
				q := NewQuantiles()
				for {
					q.Add(x[:n/3])
					p := q.Part()
					p.Add(x[n/3:])
					q.Merge(p)
					if q.Next() {
						return q.Edges()
					}
					if force && q.few { // as if there were many
						q.few, q.counts = false, make([]uint64, len(q.cells)<<16)
					}
				}
			}
			got := passes(false)
			require.Equal(t, got, passes(true), name)
			slices.Sort(x)
			for k, e := range got {
				place := float64(k+1) / 15 * float64(n-1)
				i := int(place + 1e-9)
				want := x[i] + (place-float64(i))*(x[min(i+1, n-1)]-x[i])
				require.InDelta(t, want, e, 1e-12, name)
			}
		}
	}
	q := NewQuantiles()
	require.True(t, q.Next())
	require.Empty(t, q.Edges())
}

// TestFit: at the calibration that is found the derivatives are 0, the log loss is no
// higher than beside it, and it is the same for any split.
func TestFit(t *testing.T) {
	for _, link := range []Link{Sigmoid, Sigmoid2, Softmax} {
		for _, shift := range []bool{false, true} {
			if shift && link == Softmax {
				continue
			}
			e := elements(t, rand.New(rand.NewPCG(3, 3)), 400, 5, link == Softmax)
			c, err := fit(NewFit(link, shift), e, 1)
			require.NoError(t, err)
			again, err := fit(NewFit(link, shift), e, 4)
			require.NoError(t, err)
			require.Equal(t, c, again)
			loss := func(c Calibration) float64 { return calibrate(t, c, e, 1).LogLoss }
			least := loss(c)
			for _, d := range []float64{-1e-3, -1e-5, 1e-5, 1e-3} {
				beside := c
				beside.Scale += d
				require.Greater(t, loss(beside), least)
				if shift {
					beside = c
					beside.Shift += d
					require.Greater(t, loss(beside), least)
				}
			}
			f := NewFit(link, shift)
			f.at = c
			for _, e := range e {
				f.Add(e)
			}
			require.InDelta(t, 0, f.sums.a.Float64()/f.sums.aa.Float64(), 1e-13)
			if shift {
				require.InDelta(t, 0, f.sums.b.Float64()/f.sums.bb.Float64(), 1e-13)
				require.InDelta(t, 1.7/link.factor(), c.Scale, 0.2) // that the labels were drawn by
				require.InDelta(t, -0.4/link.factor(), c.Shift, 0.2)
			}
		}
	}
}

// TestFitEdges: labels that scores tell without an error, labels of one kind, equal
// scores, scores of any size.
func TestFitEdges(t *testing.T) {
	of := func(s []float64, y ...bool) []*Elements { return []*Elements{{S: s, Y: y, Ends: []int{len(s)}}} }
	_, err := fit(NewFit(Sigmoid, true), of([]float64{-1, 1, 2}, false, true, true), 1)
	require.ErrorIs(t, err, ErrSeparable)
	_, err = fit(NewFit(Sigmoid, false), of([]float64{-1, 1, 2}, false, true, true), 1)
	require.ErrorIs(t, err, ErrSeparable)
	_, err = fit(NewFit(Sigmoid2, true), of([]float64{-1, 1}, true, true), 1)
	require.ErrorIs(t, err, ErrSeparable)
	_, err = fit(NewFit(Softmax, false), nil, 1)
	require.ErrorIs(t, err, ErrNoElements)
	_, err = fit(NewFit(Softmax, false), of([]float64{0, 1}, false, true), 1)
	require.ErrorIs(t, err, ErrSeparable)
	c, err := fit(NewFit(Sigmoid, false), of([]float64{0, 0, 0}, false, true, true), 1)
	require.NoError(t, err)
	require.Equal(t, Calibration{Sigmoid, 1, 0}, c)
	c, err = fit(NewFit(Sigmoid, true), of([]float64{3, 3, 3}, false, true, true), 1)
	require.NoError(t, err)
	require.InDelta(t, 2.0/3, c.Of(3), 1e-12)
	c, err = fit(NewFit(Softmax, false), of([]float64{5}, true), 1)
	require.NoError(t, err)
	require.Equal(t, 1.0, c.Scale)
	for _, size := range []float64{1e-200, 1e-30, 1e30, 1e100} {
		c, err = fit(NewFit(Sigmoid, false), of([]float64{size, 2 * size, -size, -2 * size, size}, true, true, false, true, false), 1)
		if !errors.Is(err, ErrSeparable) { // or the scale found, or an error: no loop, no NaN
			require.NoError(t, err)
			require.False(t, math.IsNaN(c.Scale))
		}
	}
}

// TestGather: what is left out, and what is an error.
func TestGather(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	b := metrics.Batch[float64]{Scores: zlpr.Matrix[float64]{Rows: 3, Cols: 2, Stride: 2, Data: []float64{1, 2, 3, 4, 5, 6}},
		Labels: &zlpr.TargetLabels{Classes: 2, Targets: []int32{1, zlpr.Ignore, 0}}}
	var e Elements
	require.NoError(t, Gather(&e, &b, true))
	require.Equal(t, []float64{1, 2, 5, 6}, e.S)
	require.Equal(t, []bool{false, true, true, false}, e.Y)
	require.Equal(t, []int{2, 4}, e.Ends)
	var fault *zlpr.DataError
	for _, v := range []float64{nan, inf} {
		b.Scores.Data[5] = v
		require.ErrorAs(t, Gather(&e, &b, true), &fault)
		require.Equal(t, []int{2, 1}, []int{fault.Row, fault.Class})
	}
	b.Scores.Data[5] = 6
	b.Labels = &zlpr.DenseLabels[uint8]{Rows: 3, Cols: 2, Stride: 2, Data: []uint8{1, 0, 1, 1, 0, 0}}
	require.NoError(t, Gather(&e, &b, false))
	require.ErrorAs(t, Gather(&e, &b, true), &fault)
	require.Equal(t, zlpr.LabelsTooMany, fault.Kind)
	b.Mask = &zlpr.DenseLabels[uint8]{Rows: 3, Cols: 2, Stride: 2, Data: []uint8{1, 0, 1, 0, 0, 0}}
	require.ErrorAs(t, Gather(&e, &b, false), &fault)
	require.Equal(t, zlpr.LabelMasked, fault.Kind)
}
