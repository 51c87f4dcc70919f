package zlpr

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/ref"
)

// A lossCase is one row and what the losses are to make of it.
type lossCase[T Float] struct {
	name      string
	scores    []T
	positive  []bool
	mask      []bool
	weights   []float64
	threshold float64
	soft      []T
}

func (c *lossCase[T]) row() ref.Row {
	r := ref.Row{Positive: c.positive, Mask: c.mask, Weights: c.weights, Threshold: c.threshold}
	for _, x := range c.scores {
		r.Scores = append(r.Scores, float64(x))
	}
	for _, t := range c.soft {
		r.Soft = append(r.Soft, float64(t))
	}
	return r
}

// batch returns the row as a batch of one.
func (c *lossCase[T]) batch() *Batch[T] {
	n := len(c.scores)
	b := &Batch[T]{Scores: Matrix[T]{1, n, c.scores, n}, ClassWeights: c.weights}
	if c.soft != nil {
		b.Soft = Matrix[T]{1, n, c.soft, n}
	} else {
		b.Labels = &DenseLabels[bool]{1, n, c.positive, n}
	}
	if c.mask != nil {
		b.Mask = &DenseLabels[bool]{1, n, c.mask, n}
	}
	return b
}

// evaluate returns the loss of each row and the gradient.
func evalBatch[T Float](t testing.TB, loss Loss, opts Options, b *Batch[T], out Output[T]) (Result, []float64, []T) {
	t.Helper()
	e, err := NewEvaluator[T](loss, opts)
	require.NoError(t, err)
	rows, n := b.Scores.Rows, b.Scores.Cols
	if out.Losses == nil {
		out.Losses = make([]float64, rows)
	}
	if out.Grad.Data == nil {
		out.Grad = Matrix[T]{rows, n, make([]T, rows*n), n}
		for i := range out.Grad.Data {
			if !out.Accumulate {
				out.Grad.Data[i] = 77 // must be overwritten
			}
		}
	}
	r, err := e.Evaluate(context.Background(), b, &out)
	require.NoError(t, err)
	return r, out.Losses, out.Grad.Data
}

// units of error: an ULP, and the magnitude from which on gradients are exact.
func unitsOf[T Float]() (ulp, smallest float64) {
	if kernel.IsFloat32[T]() {
		return 0x1p-23, 0x1p-120
	}
	return 0x1p-52, 0x1p-1000
}

// checkRow compares a row's results with the reference, in ULP.
func checkRow[T Float](t *testing.T, what string, loss float64, grad []T, want ref.Result, bound, gradBound float64) (lossError, gradError float64) {
	t.Helper()
	ulp, smallest := unitsOf[T]()
	if w, _ := want.Loss.Float64(); math.IsInf(w, 0) || math.Abs(w) < 0x1p-1000 {
		require.InDelta(t, w, loss, 0x1p-1000, what)
	} else if lossError = ref.RelError(loss, want.Loss, ulp); lossError > bound {
		t.Errorf("%s: loss %v, want %v: %.3g ULP", what, loss, w, lossError)
	}
	for i, g := range grad {
		w := want.Grad[i]
		if a := new(big.Float).Abs(w); a.Cmp(ref.New(smallest)) < 0 {
			if math.Abs(float64(g)) > 2*smallest {
				t.Errorf("%s: gradient %d is %v, want %v", what, i, g, w)
			}
			continue
		}
		e := ref.RelError(float64(g), w, ulp)
		gradError = max(gradError, e)
		if e > gradBound {
			t.Errorf("%s: gradient %d is %v, want %.17g: %.3g ULP", what, i, g, w, e)
			return lossError, gradError
		}
	}
	return lossError, gradError
}

// worstErrors are the worst errors of losses and gradients found, by loss.
type worstErrors map[string][2]float64

func (w worstErrors) note(name string, loss, grad float64) {
	w[name] = [2]float64{max(w[name][0], loss), max(w[name][1], grad)}
}

// lossCases are rows of all kinds of magnitude.
func lossCases[T Float](r *rand.Rand) []lossCase[T] {
	var cases []lossCase[T]
	for _, n := range []int{1, 2, 3, 8, 15, 16, 17, 20, 32, 33, 63, 64, 65, 100, 129, 1000} {
		for _, center := range []float64{0, 3, -40, 60, -80, 90, 300, -300, 5000, 1e6, -1e9, 1e17, 1e30} {
			for _, spread := range []float64{0, 2, 30} {
				if n > 20 && (center != 0 && center != 300 || spread == 0) || n > 3 && math.Abs(center) > 1e6 {
					continue
				}
				if n > 3 && r.IntN(5) > 0 {
					continue
				}
				c := lossCase[T]{name: fmt.Sprintf("n=%d center=%g spread=%g", n, center, spread)}
				for range n {
					c.scores = append(c.scores, T(center+spread*r.NormFloat64()))
					c.positive = append(c.positive, r.IntN(4) == 0)
				}
				cases = append(cases, c)
				// The same with the labels that make the loss small.
				if spread > 0 {
					d := c
					d.name += " separated"
					d.scores = append([]T(nil), c.scores...)
					for i, p := range d.positive {
						if a := T(math.Abs(float64(d.scores[i]))); p {
							d.scores[i] = a
						} else {
							d.scores[i] = -a
						}
					}
					cases = append(cases, d)
				}
			}
		}
	}
	return cases
}

// one returns the positives with the first alone, or the first class.
func one(positive []bool) []bool {
	p := make([]bool, len(positive))
	for i, v := range positive {
		if v {
			p[i] = true
			return p
		}
	}
	p[0] = true
	return p
}

func testLosses[T Float](t *testing.T) {
	t.Parallel() // with the other type alone
	r := rand.New(rand.NewPCG(3, 4))
	worst := worstErrors{}
	check := func(name, row string, loss float64, grad []T, want ref.Result, bound, gradBound float64) {
		t.Helper()
		l, g := checkRow(t, name+" "+row, loss, grad, want, bound, gradBound)
		worst.note(name, l, g)
	}
	for k, c := range lossCases[T](r) {
		if testing.Short() && k%5 > 0 {
			continue
		}
		n := len(c.scores)
		_, l, g := evalBatch(t, ZLPR{}, Options{}, c.batch(), Output[T]{})
		check("zlpr", c.name, l[0], g, c.row().ZLPR(), 4, 4)

		_, l, g = evalBatch(t, Pairwise{}, Options{}, c.batch(), Output[T]{})
		check("pairwise", c.name, l[0], g, c.row().Pairwise(1, 0), 4, 4)

		_, l, g = evalBatch(t, Pairwise{Gamma: 1.7, Margin: 0.3}, Options{}, c.batch(), Output[T]{})
		check("pairwise γ", c.name, l[0], g, c.row().Pairwise(1.7, 0.3), 4, 4)

		d := c
		d.positive = one(c.positive)
		_, l, g = evalBatch(t, SoftmaxCrossEntropy{}, Options{}, d.batch(), Output[T]{})
		check("softmax", c.name, l[0], g, d.row().SoftmaxCrossEntropy(), 4, 4)

		_, l, g = evalBatch(t, BCE{}, Options{}, c.batch(), Output[T]{})
		check("bce", c.name, l[0], g, c.row().BCE(nil, 0), 4, 4)

		d = c
		d.mask, d.weights = make([]bool, n), make([]float64, n)
		d.positive = append([]bool(nil), c.positive...)
		d.scores = append([]T(nil), c.scores...)
		for i := range d.mask {
			d.mask[i] = r.IntN(3) > 0
			d.weights[i] = float64(r.IntN(4)) * r.Float64()
			d.positive[i] = d.positive[i] && d.mask[i]
		}
		_, l, g = evalBatch(t, Pairwise{}, Options{}, d.batch(), Output[T]{})
		check("pairwise weights", c.name, l[0], g, d.row().Pairwise(1, 0), 4, 4)
		d.threshold = 1.5
		_, l, g = evalBatch(t, ZLPR{Threshold: d.threshold}, Options{}, d.batch(), Output[T]{})
		check("zlpr weights", c.name, l[0], g, d.row().ZLPR(), 4, 4)
		_, l, g = evalBatch(t, BCE{Threshold: d.threshold, Focal: 2, PositiveWeight: []float64{3}}, Options{}, d.batch(), Output[T]{})
		w := make([]float64, n)
		for i := range w {
			w[i] = 3
		}
		check("bce weights", c.name, l[0], g, d.row().BCE(w, 2), 4, 4)
		d.weights = nil
		_, l, g = evalBatch(t, ZLPR{Threshold: d.threshold}, Options{}, d.batch(), Output[T]{})
		check("zlpr mask", c.name, l[0], g, d.row().ZLPR(), 4, 4)

		d = c
		d.soft = make([]T, n)
		for i := range d.soft {
			d.soft[i] = T(r.IntN(5)) / 4
		}
		_, l, g = evalBatch(t, SoftZLPR{}, Options{}, d.batch(), Output[T]{})
		// A gradient is a difference: its error is measured on its own below.
		check("soft", c.name, l[0], nil, d.row().SoftZLPR(), 4, 4)
		for i, want := range d.row().SoftZLPR().Grad {
			w, _ := want.Float64()
			ulp, _ := unitsOf[T]()
			require.InDelta(t, w, float64(g[i]), 4*ulp, "soft %s", c.name)
		}
	}
	for name, w := range worst {
		t.Logf("%s: loss %.3f ULP, gradient %.3f ULP at most", name, w[0], w[1])
	}
}

func TestLosses(t *testing.T) {
	t.Run("float32", testLosses[float32])
	t.Run("float64", testLosses[float64])
}

// TestSoftBeyond: gradients of soft labels beyond the numbers are infinite, of the
// sign of the difference of their two parts, also where both of these are beyond.
func TestSoftBeyond(t *testing.T) {
	b := &Batch[float32]{
		Scores: MatrixOf([][]float32{{6.5, -30, -10, 0.5}}),
		Soft:   MatrixOf([][]float32{{0.04, 0.7, 0, 0.9}}),
	}
	e, err := NewEvaluator[float32](SoftZLPR{}, Options{Workers: 1})
	require.NoError(t, err)
	plain := &Output[float32]{Grad: MatrixOf([][]float32{make([]float32, 4)})}
	_, err = e.Evaluate(t.Context(), b, plain)
	require.NoError(t, err)
	for _, upstream := range []float64{0x1p130, 0x1p214, -0x1p1000} {
		out := &Output[float32]{Grad: MatrixOf([][]float32{make([]float32, 4)}), Upstream: upstream}
		_, err = e.Evaluate(t.Context(), b, out)
		require.NoError(t, err)
		for i, g := range plain.Grad.Data {
			want := float32(float64(g) * upstream)
			if math.IsInf(float64(want), 0) {
				require.Equal(t, want, out.Grad.Data[i], "class %d, upstream %v", i, upstream)
			}
		}
	}
}
