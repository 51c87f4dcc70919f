package zlpr

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
)

// focalExponents are those of the kernels and others.
var focalExponents = []float64{0.5, 1, 1.5, 2, 3, 4.5, 7.5, 8, 0.3, 1e-3, 2.7, 10, 30, 1000}

// TestFocalAccuracy: losses and gradients with focal exponents err by less than 4
// ULP at every magnitude, with thresholds, weights and scales of the gradient.
func TestFocalAccuracy(t *testing.T) {
	kerneltest.ForBothTypes(t, testFocalAccuracy[float32], testFocalAccuracy[float64])
}

func testFocalAccuracy[T Float](t *testing.T) {
	t.Parallel() // with the other type alone
	r := rand.New(rand.NewPCG(41, 42))
	ulp, smallest := unitsOf[T]()
	worst := map[float64][2]float64{}
	rounds := 600
	if testing.Short() {
		rounds /= 5
	}
	for range rounds {
		f := focalExponents[r.IntN(len(focalExponents))]
		n := 1 + r.IntN(6)
		if r.IntN(8) == 0 {
			n = 40
		}
		c := lossCase[T]{}
		loss, weights := BCE{Focal: f}, []float64(nil)
		scale := []float64{1, 1, -0.37, 65536, 1e-3}[r.IntN(5)]
		switch r.IntN(4) {
		case 0:
			c.threshold = 10 * r.NormFloat64()
		case 1:
			for range n {
				c.weights = append(c.weights, math.Ldexp(r.Float64(), r.IntN(6)))
				weights = append(weights, 3.3)
			}
			loss.PositiveWeight = []float64{3.3}
		}
		loss.Threshold = c.threshold
		center := []float64{0, 0, -3, -60 / (f + 1), -600 / (f + 1) * r.Float64(), 20}[r.IntN(6)]
		spread := []float64{0.1, 1, 3, 10}[r.IntN(4)]
		for range n {
			y := center + spread*r.NormFloat64()
			positive := r.IntN(3) == 0
			if positive {
				y = -y
			}
			c.scores, c.positive = append(c.scores, T(c.threshold+y)), append(c.positive, positive)
		}
		row := c.row()
		want := row.BCE(weights, f)
		_, losses, grad := evalBatch(t, loss, Options{}, c.batch(), Output[T]{Upstream: scale})
		w := worst[f]
		if v, _ := want.Loss.Float64(); v > 0x1p-1000 {
			w[0] = max(w[0], ref.RelError(losses[0], want.Loss, ulp))
		} else {
			require.LessOrEqual(t, losses[0], 2*0x1p-1000)
		}
		for j, g := range grad {
			d := ref.Mul(want.Grad[j], ref.New(scale))
			if v, _ := d.Float64(); math.Abs(v) < smallest {
				require.LessOrEqual(t, math.Abs(float64(g)), 2*smallest)
			} else {
				w[1] = max(w[1], ref.RelError(float64(g), d, ulp))
			}
		}
		if max(w[0], w[1]) > max(worst[f][0], worst[f][1], 3.6) {
			t.Errorf("f=%v scale=%v threshold=%v: %v positive %v: loss %v, gradient %v: errors %.3g, %.3g ULP", f, scale, c.threshold, c.scores, c.positive, losses, grad, w[0], w[1])
		}
		worst[f] = w
	}
	for _, f := range focalExponents {
		t.Logf("f=%v: loss %.3f ULP, gradient %.3f ULP at most", f, worst[f][0], worst[f][1])
	}
}

// TestFocalWitnesses pins what was wrong once: large exponents, where the error of
// the logarithm of the sigmoid counts as often, and products of weights that are no
// normal numbers.
func TestFocalWitnesses(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		for _, c := range []struct {
			score    float64
			positive bool
			loss     BCE
			weight   float64 // of the class
		}{
			{-0.4236317625895665, false, BCE{Focal: 10}, 1},
			{0, false, BCE{Focal: 1000}, 1},
			{0.001, false, BCE{Focal: 1000}, 1},
			{1, false, BCE{Focal: 30}, 1},
			{-1, false, BCE{Focal: 30}, 1},
			{-1, true, BCE{Focal: 1000}, 1},
			{0.3, false, BCE{Focal: 700, Threshold: 0.1}, 1},
			{-1e30, true, BCE{PositiveWeight: []float64{1.3}}, 1e-310},
			{-1e30, true, BCE{PositiveWeight: []float64{1.3}, Focal: 2}, 1e-310},
			{-1e30, true, BCE{PositiveWeight: []float64{1.3}, Focal: 0.7}, 1e-310},
			{-1e30, true, BCE{PositiveWeight: []float64{1.3e-170}}, 1.7e-160},
			{-1e300, true, BCE{PositiveWeight: []float64{1.3e-170}}, 1.7e-170},
			{-3, false, BCE{PositiveWeight: []float64{1e-170}}, 1.7e-300},
			{40, true, BCE{PositiveWeight: []float64{1e200}}, 1.7e120},
			{320, true, BCE{PositiveWeight: []float64{1e200}, Focal: 1.5}, 1.7e120},
			{320, true, BCE{PositiveWeight: []float64{1e200}, Focal: 0.3}, 1.7e120},
		} {
			d := lossCase[float64]{scores: []float64{c.score}, positive: []bool{c.positive}, weights: []float64{c.weight}, threshold: c.loss.Threshold}
			row := d.row()
			_, losses, grad := evalBatch(t, c.loss, Options{}, d.batch(), Output[float64]{})
			want := row.BCE(c.loss.PositiveWeight, c.loss.Focal)
			w, _ := want.Loss.Float64()
			if w > 0x1p-1022 {
				require.LessOrEqual(t, ref.RelError(losses[0], want.Loss, 0x1p-52), 4.0, "%+v: loss %v, want %v", c, losses[0], w)
			}
			if g, _ := want.Grad[0].Float64(); math.Abs(g) > 0x1p-1000 {
				require.LessOrEqual(t, ref.RelError(grad[0], want.Grad[0], 0x1p-52), 4.0, "%+v: gradient %v, want %v", c, grad[0], g)
			}
		}
	})
}

// TestFocalFarScales: what powers below the smallest normal number leave out counts
// where the scale of the gradient is as large.
func TestFocalFarScales(t *testing.T) {
	kerneltest.ForBothTypes(t, testFocalFarScales[float32], testFocalFarScales[float64])
}

func testFocalFarScales[T Float](t *testing.T) {
	ulp, _ := unitsOf[T]()
	far, scales := 90.0, []float64{0x1p60, 0x1p100}
	if !kernel.IsFloat32[T]() {
		far, scales = 800, []float64{0x1p700, 0x1p1000}
	}
	for _, f := range []float64{0.5, 1, 2, 0.3, 10} {
		for _, scale := range scales {
			for _, part := range []float64{0.7, 0.9, 1.05} {
				x := []T{T(-far * part / (f + 1)), -2, T(-far * part)}
				d := lossCase[T]{scores: x, positive: make([]bool, len(x))}
				row := d.row()
				_, _, grad := evalBatch(t, BCE{Focal: f}, Options{}, d.batch(), Output[T]{Upstream: scale})
				for j, w := range row.BCE(nil, f).Grad {
					w = ref.Mul(w, ref.New(scale))
					_, smallest := unitsOf[T]()
					if v, _ := w.Float64(); v > smallest && float64(T(v)) < math.MaxFloat64 {
						require.LessOrEqual(t, ref.RelError(float64(grad[j]), w, ulp), 4.0, "f=%v scale=%v: %v: gradient %v, want %v", f, scale, x, grad, v)
					}
				}
			}
		}
	}
}

// TestFocalShortRows: short rows have the bits that they have apart.
func TestFocalShortRows(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		kerneltest.ForBothTypes(t, testFocalShortRows[float32], testFocalShortRows[float64])
	})
}

func testFocalShortRows[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	for n := 1; n <= 33; n++ {
		rows := 2 + r.IntN(100)
		x, y, mask := make([]T, rows*n), make([]bool, rows*n), make([]bool, rows*n)
		for i := range x {
			x[i] = T(3 * r.NormFloat64())
			if r.IntN(200) == 0 {
				x[i] = T([]float64{math.NaN(), math.Inf(1), math.Inf(-1), -1e30, 1e30, -40}[r.IntN(6)])
			}
			mask[i] = r.IntN(9) > 0
			y[i] = mask[i] && r.IntN(4) == 0
		}
		loss := BCE{Focal: float64(1+r.IntN(16)) / 2}
		evaluate := func(x []T, y, mask []bool, rows int) ([]float64, []T) {
			_, l, g := evalBatch(t, loss, Options{}, &Batch[T]{
				Scores: Matrix[T]{rows, n, x, n}, Labels: &DenseLabels[bool]{rows, n, y, n}, Mask: &DenseLabels[bool]{rows, n, mask, n},
			}, Output[T]{})
			return l, g
		}
		losses, grad := evaluate(x, y, mask, rows)
		for i := range rows {
			l, g := evaluate(x[i*n:][:n], y[i*n:][:n], mask[i*n:][:n], 1)
			require.Equal(t, math.Float64bits(l[0]), math.Float64bits(losses[i]), "n=%d, row %d: %v, alone %v", n, i, losses[i], l[0])
			for j, v := range g {
				require.Equal(t, math.Float64bits(float64(v)), math.Float64bits(float64(grad[i*n+j])), "n=%d, row %d, class %d: %v, alone %v", n, i, j, grad[i*n+j], v)
			}
		}
	}
}
