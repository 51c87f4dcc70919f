package zlpr

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
)

// bceAccuracy evaluates rows of one magnitude and returns the largest errors.
func bceAccuracy[T Float](t *testing.T, loss BCE, b *Batch[T], row func(i int) ref.Row, weights []float64, scale float64) (lossErr, gradErr float64) {
	ulp, smallest := unitsOf[T]()
	_, losses, grad := evalBatch(t, loss, Options{}, b, Output[T]{Upstream: scale})
	n := b.Scores.Cols
	for i, l := range losses {
		want := row(i).BCE(weights, 0)
		if w, _ := want.Loss.Float64(); w < 0x1p-1000 {
			require.LessOrEqual(t, l, 2*0x1p-1000)
		} else if e := ref.RelError(l, want.Loss, ulp); e > lossErr {
			lossErr = e
		}
		for j, g := range grad[i*n:][:n] {
			w := ref.Mul(want.Grad[j], ref.New(scale))
			if f, _ := w.Float64(); math.Abs(f) < smallest {
				require.LessOrEqual(t, math.Abs(float64(g)), 2*smallest)
			} else if e := ref.RelError(float64(g), w, ulp); e > gradErr {
				gradErr = e
			}
		}
	}
	return lossErr, gradErr
}

const bceRounds = 400

// TestBCEAccuracy: losses and gradients of the kernels err by at most 2.2 ULP at every magnitude, with thresholds, weights and scales of the gradient.
func TestBCEAccuracy(t *testing.T) {
	kerneltest.ForBothTypes(t, testBCEAccuracy[float32], testBCEAccuracy[float64])
}

func testBCEAccuracy[T Float](t *testing.T) {
	t.Parallel() // with the other type alone
	r := rand.New(rand.NewPCG(31, 32))
	worst := map[string][2]float64{}
	lowest, highest := -82.0, 38.0
	if !kernel.IsFloat32[T]() {
		lowest = -690
	}
	rounds := bceRounds
	if testing.Short() {
		rounds /= 5
	}
	for round := range rounds {
		const rows = 3
		n := []int{1, 2, 3, 8, 16, 20, 64, 100, 700}[r.IntN(9)]
		if n > 60 && round%16 > 0 {
			n = 20
		}
		x, positive := make([]T, rows*n), make([]bool, rows*n)
		var s0, center float64
		kind := r.IntN(4)
		switch kind {
		case 1, 3:
			s0 = 40 * r.NormFloat64()
		case 2:
			s0 = math.Ldexp(r.NormFloat64(), r.IntN(60)-30)
			if kernel.IsFloat32[T]() {
				s0 = float64(float32(s0))
			}
		}
		separated := r.IntN(2) == 0
		spread := []float64{0, 0.01, 3, 30}[r.IntN(4)]
		switch r.IntN(4) {
		case 0:
			center = lowest * r.Float64()
		case 1:
			center = math.Pow(10, highest*math.Pow(r.Float64(), 4))
		case 2:
			center = -5 * r.Float64()
		}
		for k := range x {
			positive[k] = r.IntN(3) == 0
			y := center + spread*r.NormFloat64()
			if !separated && r.IntN(4) == 0 || r.IntN(100) == 0 {
				y = -y
			}
			if positive[k] {
				y = -y
			}
			x[k] = T(s0 + y)
		}
		b := &Batch[T]{Scores: Matrix[T]{rows, n, x, n}, Labels: &DenseLabels[bool]{rows, n, positive, n}}
		loss, weights := BCE{Threshold: s0}, []float64(nil)
		name := "plain"
		if s0 != 0 {
			name = "threshold"
		}
		if kind == 3 {
			name = "weights"
			for range n {
				b.ClassWeights = append(b.ClassWeights, math.Ldexp(r.Float64(), r.IntN(6)))
			}
			loss.PositiveWeight = []float64{3.3}
			for range n {
				weights = append(weights, 3.3)
			}
		}
		row := func(i int) ref.Row {
			c := lossCase[T]{scores: x[i*n:][:n], positive: positive[i*n:][:n], threshold: s0, weights: b.ClassWeights}
			return c.row()
		}
		scale := []float64{1, -0.37, 65536}[r.IntN(3)]
		l, g := bceAccuracy(t, loss, b, row, weights, scale)
		w := worst[name]
		worst[name] = [2]float64{max(w[0], l), max(w[1], g)}
		if l > 2.2 || g > 2.2 {
			t.Errorf("%s n=%d s0=%v center=%v spread=%v scale=%v: loss %.3g ULP, gradient %.3g ULP", name, n, s0, center, spread, scale, l, g)
		}
	}
	for name, w := range worst {
		t.Logf("%s: loss %.3f ULP, gradient %.3f ULP at most", name, w[0], w[1])
	}
}

// TestBCELearned: the derivative by a learned threshold, with the gradient, in
// place of the scores, and alone.
func TestBCELearned(t *testing.T) {
	forEachTier(t, func(t *testing.T) { kerneltest.ForBothTypes(t, testBCELearned[float32], testBCELearned[float64]) })
}

func testBCELearned[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	ulp, _ := unitsOf[T]()
	for _, n := range []int{1, 7, 64, 100, 700} {
		const rows = 5
		x, positive := make([]T, rows*n), make([]bool, rows*n)
		s0 := make([]T, rows)
		for i := range s0 {
			s0[i] = T(10 * r.NormFloat64())
		}
		for k := range x {
			x[k], positive[k] = s0[k/n]+T(3*r.NormFloat64()), r.IntN(3) == 0
		}
		b := &Batch[T]{Scores: Matrix[T]{rows, n, x, n}, Labels: &DenseLabels[bool]{rows, n, positive, n}, Thresholds: s0}
		slopes := make([]T, rows)
		_, losses, grad := evalBatch(t, BCE{}, Options{}, b, Output[T]{ThresholdGrad: slopes})
		for i, l := range losses {
			c := lossCase[T]{scores: x[i*n:][:n], positive: positive[i*n:][:n], threshold: float64(s0[i])}
			want := c.row().BCE(nil, 0)
			checkRow(t, "bce", l, grad[i*n:][:n], want, 2.2, 2.2)
			size := ref.New(0)
			for _, g := range want.Grad {
				size.Add(size, g.Abs(g))
			}
			require.Less(t, ref.AbsError(float64(slopes[i]), want.Threshold, size, ulp), 4.0)
		}
		// Alone.
		e, err := NewEvaluator[T](BCE{}, Options{})
		require.NoError(t, err)
		alone := make([]T, rows)
		_, err = e.Evaluate(t.Context(), b, &Output[T]{ThresholdGrad: alone})
		require.NoError(t, err)
		require.Equal(t, slopes, alone)
		// In place. A row whose loss is too small is evaluated again.
		for j := range n {
			x[j] = s0[0] - 1e4
			positive[j] = false
		}
		_, losses, grad = evalBatch(t, BCE{}, Options{}, b, Output[T]{ThresholdGrad: slopes})
		_, place, placed := evalBatch(t, BCE{}, Options{}, b, Output[T]{Grad: b.Scores})
		require.Equal(t, losses, place)
		require.Equal(t, grad, placed)
	}
}

// Positives of weight 0 take no part: NaN there is fine.
func TestBCEWeightZero(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		weights := []float64{2, 0, 1, 0}
		b := oneRow([]uint8{1, 1, 0, 0}, 0.5, nan, 0, 1)
		_, losses, grad := evalBatch(t, BCE{PositiveWeight: weights}, Options{}, b, Output[float64]{})
		e := math.Exp(-0.5)
		want := 2*math.Log1p(e) + math.Ln2 + math.Log1p(math.E)
		requireClose(t, []float64{want, -2 * e / (1 + e), 0, 0.5, 1 / (1 + 1/math.E)}, append(losses, grad...), "weight 0")
		// Class weights that change between batches.
		ev, err := NewEvaluator[float64](BCE{}, Options{})
		require.NoError(t, err)
		b = oneRow([]uint8{1, 0}, 0, 0)
		for _, w := range []float64{1, 3} {
			b.ClassWeights = []float64{w, 2}
			result, err := ev.Evaluate(t.Context(), b, nil)
			require.NoError(t, err)
			require.InDelta(t, (w+2)*math.Ln2, result.Loss, 1e-14)
		}
	})
}

// Scales and weights far from 1: what exponentials below the smallest normal
// number and products beyond the largest leave out is made good.
func TestBCEFarScales(t *testing.T) {
	forEachTier(t, func(t *testing.T) { kerneltest.ForBothTypes(t, testBCEFarScales[float32], testBCEFarScales[float64]) })
}

func testBCEFarScales[T Float](t *testing.T) {
	far, large := 200.0, 0x1p100 // e^-far·large² is a number as any other
	if !kernel.IsFloat32[T]() {
		far, large = 1000, 0x1p1000
	}
	small := 0x1.23457p-40 / large // as a float32, it has lost digits
	for _, c := range []struct {
		x       []T
		weights []float64
		scale   float64
	}{
		{[]T{T(-far)}, []float64{large}, large},
		{[]T{T(-far * 0.6), 0}, []float64{large, 1}, 1},
		{[]T{T(-far * 0.6), 0}, []float64{large * 4, 1}, 1},
		{[]T{T(-far * 0.6), 1}, nil, large},
		{[]T{T(-far * 0.72)}, nil, large},
		{[]T{0, -1}, []float64{large, large / 3}, small},
		{[]T{T(far * 0.6), 3}, []float64{1 / large, 1}, large},
	} {
		n := len(c.x)
		for _, positive := range []bool{false, true} {
			d := lossCase[T]{weights: c.weights, positive: slices.Repeat([]bool{positive}, n)}
			for _, v := range c.x {
				if positive {
					v = -v
				}
				d.scores = append(d.scores, v)
			}
			row := d.row()
			ulp, _ := unitsOf[T]()
			_, losses, grad := evalBatch(t, BCE{}, Options{}, d.batch(), Output[T]{Upstream: c.scale})
			want := row.BCE(nil, 0)
			if w, _ := want.Loss.Float64(); w > 0x1p-1000 {
				require.LessOrEqual(t, ref.RelError(losses[0], want.Loss, ulp), 4.0, "%+v: loss %v, want %v", c, losses, w)
			}
			for j, g := range grad {
				w := ref.Mul(want.Grad[j], ref.New(c.scale))
				if f, _ := w.Float64(); float64(T(f)) < math.MaxFloat64 {
					require.LessOrEqual(t, ref.RelError(float64(g), w, ulp), 4.0, "%+v: gradient %v, want %v", c, grad, f)
				}
			}
		}
	}
	// Scores that add nothing have a derivative of 0, whatever the scale.
	for _, n := range []int{3, 40} {
		d := lossCase[T]{scores: make([]T, n), positive: make([]bool, n)}
		d.scores[0], d.scores[1], d.positive[1] = T(-inf), T(inf), true
		_, losses, grad := evalBatch(t, BCE{}, Options{}, d.batch(), Output[T]{Upstream: 0x1p40})
		require.InEpsilon(t, float64(n-2)*math.Ln2, losses[0], 1e-6)
		require.Zero(t, grad[0])
		require.Zero(t, grad[1])
		require.Equal(t, T(0x1p39), grad[n-1])
	}
	// A sum beyond all numbers.
	if !kernel.IsFloat32[T]() {
		v := math.MaxFloat64
		most := T(v)
		_, losses, grad := evalBatch(t, BCE{}, Options{}, (&lossCase[T]{scores: []T{most, most}, positive: make([]bool, 2)}).batch(), Output[T]{})
		require.Equal(t, inf, losses[0])
		require.Equal(t, []T{1, 1}, grad)
	}
}

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

// TestBCEInfiniteWeighted: with large factors the derivatives of infinite scores are their
// limits, too.
func TestBCEInfiniteWeighted(t *testing.T) {
	t.Run("float32", testBCEInfiniteWeighted[float32])
	t.Run("float64", testBCEInfiniteWeighted[float64])
}

func testBCEInfiniteWeighted[T Float](t *testing.T) {
	inf := T(math.Inf(1))
	x := []T{-inf, inf, 0, inf, -inf}
	y := []bool{false, true, false, false, true}
	for _, n := range []int{3, 5} {
		b := &Batch[T]{Scores: Matrix[T]{1, n, x[:n], n}, Labels: &DenseLabels[bool]{1, n, y[:n], n}, ClassWeights: []float64{1e9, 1e9, 1, 1e9, 1e9}[:n]}
		_, losses, grad := evalBatch(t, BCE{}, Options{}, b, Output[T]{})
		require.Equal(t, []T{0, 0, 0.5, 1e9, -1e9}[:n], grad)
		if n == 3 {
			require.InDelta(t, math.Ln2, losses[0], 1e-6)
		} else {
			require.Equal(t, math.Inf(1), losses[0])
		}
	}
}
