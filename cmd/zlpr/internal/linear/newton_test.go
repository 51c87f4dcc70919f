package linear

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

// oneEach makes labels with one class a row, for softmax, of others.
func oneEach(y *zlpr.DenseLabels[uint8]) *zlpr.DenseLabels[uint8] {
	one := &zlpr.DenseLabels[uint8]{Rows: y.Rows, Cols: y.Cols, Data: make([]uint8, len(y.Data))}
	for i := range y.Rows {
		one.Data[i*y.Cols+(i*i+3)%y.Cols] = 1
	}
	return one
}

// bitsOf copies labels.
func bitsOf(t *testing.T, y zlpr.Bits) *zlpr.BitLabels {
	rows, classes := y.Dims()
	stride := (classes + 63) / 64
	b := &zlpr.BitLabels{Rows: rows, Cols: classes, Stride: stride, Words: make([]uint64, rows*stride)}
	require.NoError(t, y.ReadRows(b.Words, 0, rows))
	return b
}

// TestCurvature compares second derivatives with differences of the first, and
// the losses of the classes with that of all.
func TestCurvature(t *testing.T) {
	const rows, classes = 40, 70
	rng := rand.New(rand.NewPCG(21, 22))
	_, y := problemOf(rng, rows, 5, classes)
	for j := range classes { // rows of one side
		y.Data[j], y.Data[classes+j] = 0, 1
	}
	balanced := zlpr.ClassBalanced{Loss: zlpr.BCE{}, Counts: make([]int, classes), Beta: 0.9}
	for j := range classes {
		balanced.Counts[j] = j * j
	}
	for _, c := range []struct {
		loss      zlpr.Loss
		smoothing float64
	}{{zlpr.BCE{}, 0}, {zlpr.BCE{Threshold: 1}, 0}, {zlpr.BCE{}, 0.3}, {balanced, 0}, {balanced, 0.2}} {
		loss, labels := c.loss, bitsOf(t, y)
		e, err := zlpr.NewEvaluator[float64](loss, zlpr.Options{Reduction: zlpr.Mean, Workers: 1})
		require.NoError(t, err)
		turned := &zlpr.BitLabels{Rows: classes, Cols: rows, Stride: 1, Words: make([]uint64, classes)}
		for i := range rows {
			for c := range classes {
				turned.Words[c] |= labels.Words[i*2+c/64] >> (c % 64) & 1 << i
			}
		}
		of, weights, ok := separable(loss)
		require.True(t, ok)
		o, err := newByClass(context.Background(), of, turned, hessianOf(loss, weights, rows, classes, c.smoothing), c.smoothing)
		require.NoError(t, err)
		s, v, moved := make([]float64, rows*classes), make([]float64, rows*classes), make([]float64, rows*classes)
		for i := range s {
			s[i], v[i] = 2*rng.NormFloat64(), rng.NormFloat64()
		}
		slopes, up, down, losses := make([]float64, len(s)), make([]float64, len(s)), make([]float64, len(s)), make([]float64, classes)
		const h = 1e-5
		for i := range s {
			moved[i] = s[i] + h*v[i]
		}
		require.NoError(t, o.evaluate(up, moved, losses))
		for i := range s {
			moved[i] = s[i] - h*v[i]
		}
		require.NoError(t, o.evaluate(down, moved, losses))
		require.NoError(t, o.evaluate(slopes, s, losses))
		r, err := e.Evaluate(context.Background(), &zlpr.Batch[float64]{Labels: labels, Smoothing: c.smoothing, Scores: zlpr.Matrix[float64]{Rows: rows, Cols: classes, Data: s}}, &zlpr.Output[float64]{})
		require.NoError(t, err)
		sum := 0.0
		for _, l := range losses {
			sum += l
		}
		require.InEpsilon(t, r.Loss, sum, 1e-13, loss.Name())
		o.curve(v, slopes)
		for i := range v {
			require.InDelta(t, (up[i]-down[i])/(2*h), v[i], 1e-9, "%s, element %d", loss.Name(), i)
		}
	}
}

// TestNewton: Newton's method alone comes to where L-BFGS alone does, in fewer
// iterations, from any start that is not far; Fit does from everywhere; and the number of threads changes no bit.
func TestNewton(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	x, y := problemOf(rng, 150, 12, 37)
	for i := range y.Rows {
		y.Data[i*37+5], y.Data[i*37+6] = 0, 1
	}
	for _, loss := range append([]zlpr.Loss{zlpr.SoftmaxCrossEntropy{}}, losses...) {
		labels := y
		if loss.Name() == "softmax" {
			labels = oneEach(y)
		}
		for _, m := range []*Matrix{x, sparseOf(x)} {
			o := Options{L2: 1e-3, Tolerance: 1e-10, Iterations: 5000, Workers: 1}
			p, err := newProblem(context.Background(), m, labels, loss, o)
			require.NoError(t, err)
			slow := &Result{}
			_, err = p.minimize(make([]float64, len(p.scale)), slow)
			require.NoError(t, err)
			require.True(t, slow.Converged)
			deviations := []float64{0, 1}
			if !p.separable {
				deviations = nil // they are trained by L-BFGS alone
			}
			for _, deviation := range deviations {
				start := make([]float64, len(p.scale))
				for i := range start {
					start[i] = deviation * rng.NormFloat64() / p.scale[i]
				}
				var first []float64
				for _, workers := range []int{1, 2, 5} {
					o.Workers = workers
					p, err := newProblem(context.Background(), m, labels, loss, o)
					require.NoError(t, err)
					at, r := append([]float64(nil), start...), &Result{}
					reached, err := p.newton(at, r)
					require.NoError(t, err)
					require.True(t, reached, loss.Name())
					require.InEpsilon(t, slow.Objective, p.value, 2e-10, loss.Name())
					require.InEpsilon(t, p.value, r.History[len(r.History)-1], 1e-12, loss.Name())
					require.Less(t, len(r.History), len(slow.History), loss.Name())
					if first == nil {
						first = at
					}
					require.Equal(t, first, at, loss.Name())
				}
			}
			for i := range (x.Cols + 1) * 37 {
				o.Start = append(o.Start[:i], 20*rng.NormFloat64())
			}
			far, err := Fit(context.Background(), m, labels, loss, o)
			require.NoError(t, err)
			require.True(t, far.Converged, loss.Name())
			require.InEpsilon(t, slow.Objective, far.Objective, 2e-10, loss.Name())
		}
	}
}
