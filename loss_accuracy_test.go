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
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
)

// boundGeneral bounds the relative errors of losses and gradients with weights,
// soft labels or γ, in ULP. The worst found are 1.75 (float32) and 2.29
// (float64).
const boundGeneral = 3

// generalRow returns a random row with γ, class weights or soft labels of many
// magnitudes.
func generalRow[T Float](r *rand.Rand) (c lossCase[T], loss Loss, want func(ref.Row) ref.Result) {
	n := 1 + r.IntN(40)
	center := []float64{0, 0, 0, 3, -40, 60, -90, 300, -300, 1000, -2040, 2050, -5000, 1e5}[r.IntN(14)]
	spread := []float64{0.1, 1, 3, 10, 100}[r.IntN(5)]
	gamma := []float64{1, 1, 0.7, 1.7, 1e-3, 1e-2, 13, 1e3, 1 + 1e-7, math.Pi * 1e-30, 1e-35, 1e37, 1e40}[r.IntN(13)]
	kind := r.IntN(3)
	if gamma < 1e-30 {
		center = math.Remainder(center, 300) // scores stay finite
	}
	if kind == 0 && (r.IntN(2) == 0 || gamma < 1e-10 || gamma > 1e10) {
		// Arguments of the exponentials of that magnitude.
		center, spread = center/gamma, spread/gamma
	}
	equal := r.IntN(8) == 0
	for i := range n {
		x := center + spread*r.NormFloat64()
		if r.IntN(30) == 0 {
			x = []float64{0, 1e-30 / gamma, -1e-30 / gamma, center * 2, -center}[r.IntN(5)]
		}
		if equal && i > 0 {
			x = float64(c.scores[0])
		}
		c.scores = append(c.scores, T(x))
		c.positive = append(c.positive, r.IntN(4) == 0)
	}
	if r.IntN(2) == 0 {
		exp := []int{0, 3, 30, 200}[r.IntN(4)]
		for range n {
			w := math.Ldexp(1+r.Float64(), r.IntN(2*exp+1)-exp)
			if r.IntN(10) == 0 {
				w = []float64{0, 1, 1 - 0x1p-30, 5e-324, 1e-310, 1e300}[r.IntN(6)]
				if exp < 200 {
					w = min(w, 1)
				}
			}
			c.weights = append(c.weights, w)
		}
	}
	switch kind {
	case 0:
		margin := []float64{0, 0.3, -2}[r.IntN(3)]
		if gamma > 1e10 || math.Abs(center*gamma) > 100 {
			margin = 0 // no powers without end
		}
		return c, Pairwise{Gamma: gamma, Margin: margin}, func(row ref.Row) ref.Result { return row.Pairwise(gamma, margin) }
	case 1:
		for range n {
			t := r.Float64()
			switch r.IntN(6) {
			case 0:
				t = float64(r.IntN(2))
			case 1:
				t = math.Ldexp(t, -r.IntN(140))
			case 2:
				t = 1 - math.Ldexp(t, -r.IntN(30))
			case 3:
				t = 5e-324 * float64(r.IntN(9))
			}
			c.soft = append(c.soft, T(t))
		}
		c.threshold = []float64{0, 0, 1.5, center}[r.IntN(4)]
		return c, SoftZLPR{Threshold: c.threshold}, ref.Row.SoftZLPR
	}
	c.threshold = []float64{0, 0, 1.5, center}[r.IntN(4)]
	return c, ZLPR{Threshold: c.threshold}, ref.Row.ZLPR
}

// generalErrors returns the errors of loss and gradient in ULP. Where a gradient
// is a difference of the two sides' terms its error is relative to the larger.
func generalErrors[T Float](t *testing.T, c *lossCase[T], loss Loss, want ref.Result) (lossError, gradError float64) {
	ulp, smallest := unitsOf[T]()
	_, losses, grad := evalBatch(t, loss, Options{}, c.batch(), Output[T]{})
	if a := new(big.Float).Abs(want.Loss); a.Cmp(ref.New(0x1p-1000)) > 0 {
		lossError = ref.RelError(losses[0], want.Loss, ulp)
	} else if losses[0] > 0x1p-999 {
		t.Errorf("loss %v, want %v", losses[0], want.Loss)
	}
	var terms []*big.Float
	if c.soft != nil {
		terms = softTerms(c.row())
	}
	for i, g := range grad {
		scale := new(big.Float).Abs(want.Grad[i])
		if terms != nil {
			scale = ref.Sub(scale, terms[i]) // of the positive side, none above 0
		}
		if scale.Cmp(ref.New(smallest)) < 0 {
			if math.Abs(float64(g)) > 2*smallest {
				t.Errorf("gradient %d is %v, want %v", i, g, want.Grad[i])
			}
			continue
		}
		if w, _ := want.Grad[i].Float64(); math.IsInf(float64(T(w)), 0) && g == T(w) {
			continue // the derivative is too large for T
		}
		e := ref.AbsError(float64(g), want.Grad[i], scale, ulp)
		if e > boundGeneral {
			t.Logf("gradient %d is %v, want %v, scale %v", i, g, want.Grad[i], scale)
		}
		gradError = max(gradError, e)
	}
	return lossError, gradError
}

// softTerms returns the positive side's terms of the gradient.
func softTerms(r ref.Row) []*big.Float {
	hard := r
	// B/(1+B) shares: e^-s weighted with t alone, the negatives left out.
	hard.Positive = make([]bool, len(r.Scores))
	hard.Weights = make([]float64, len(r.Scores))
	for j := range r.Scores {
		hard.Positive[j] = true
		hard.Weights[j] = 1
		if r.Weights != nil {
			hard.Weights[j] = r.Weights[j]
		}
		hard.Weights[j] *= r.Soft[j]
	}
	return hard.ZLPR().Grad
}

func testGeneralAccuracy[T Float](t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 300
	}
	r := rand.New(rand.NewPCG(31, 32))
	worst := map[string]float64{}
	for range rounds {
		c, loss, want := generalRow[T](r)
		l, g := generalErrors(t, &c, loss, want(c.row()))
		kind := loss.Name()
		if c.weights != nil {
			kind += " weights"
		}
		worst[kind+" loss"] = max(worst[kind+" loss"], l)
		worst[kind+" gradient"] = max(worst[kind+" gradient"], g)
		if l > boundGeneral || g > boundGeneral || t.Failed() {
			t.Fatalf("%+v: loss off by %.3g ULP, gradient by %.3g: scores %v, positive %v, soft %v, weights %v", loss, l, g, c.scores, c.positive, c.soft, c.weights)
		}
	}
	t.Log(fmt.Sprint(worst))
}

// TestGeneralAccuracy compares losses and gradients with weights, soft labels
// and γ with the reference.
func TestGeneralAccuracy(t *testing.T) {
	kerneltest.ForBothTypes(t, testGeneralAccuracy[float32], testGeneralAccuracy[float64])
}

// weightedBatches are rows of all kinds with class weights, soft labels or both.
func weightedBatches[T Float](r *rand.Rand, rows, n int) map[string]*Batch[T] {
	hard := mixedBatch[T](r, rows, n, false)
	for range n {
		hard.ClassWeights = append(hard.ClassWeights, math.Ldexp(float64(r.IntN(5)), r.IntN(9)-4))
	}
	soft, both := *hard, *hard
	soft.Labels, both.Labels = nil, nil
	soft.ClassWeights = nil
	labels := Matrix[T]{rows, n, make([]T, rows*n), n}
	mask := make([]uint64, rows*kernel.BitWords(n))
	if err := hard.Mask.ReadRows(mask, 0, rows); err != nil {
		panic(err)
	}
	for i := range rows {
		for j := range n {
			if mask[i*kernel.BitWords(n)+j/64]>>(j%64)&1 != 0 {
				labels.Data[i*n+j] = T([]float64{0, 1, 0.25, 1e-30, r.Float64()}[r.IntN(5)])
			}
		}
	}
	soft.Soft, both.Soft = labels, labels
	return map[string]*Batch[T]{"weights": hard, "soft": &soft, "soft weights": &both}
}

// TestWeightedTiers: weights and soft labels give the same bits on every tier,
// for every number of workers, and in place; and they allocate nothing.
func TestWeightedTiers(t *testing.T) {
	kerneltest.ForBothTypes(t, testWeightedTiers[float32], testWeightedTiers[float64])
}

func testWeightedTiers[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(61, 62))
	for _, n := range []int{1, 5, 8, 17, 33, 64, 100, 300, 5000} {
		rows := min(500, 1+20000/n)
		for name, b := range weightedBatches[T](r, rows, n) {
			losses := []Loss{ZLPR{}, Pairwise{Gamma: 1.5, Margin: 0.25}, Pairwise{Gamma: 1e39}}
			if b.Labels == nil {
				losses = []Loss{SoftZLPR{}, SoftZLPR{Threshold: 1.5}}
			}
			for _, loss := range losses {
				restore := forceTier(kernel.Generic)
				want := runOnce(t, loss, Options{Reduction: Mean, Workers: 1}, b)
				restore()
				for _, tier := range kernel.Available() {
					what := fmt.Sprintf("%s %+v n=%d tier=%s", name, loss, n, tier)
					restore := forceTier(tier)
					for _, workers := range []int{1, 3} {
						requireSame(t, want, runOnce(t, loss, Options{Reduction: Mean, Workers: workers}, b), what)
					}
					inPlace := *b
					inPlace.Scores.Data = append([]T(nil), b.Scores.Data...)
					result, l, g := evalBatch(t, loss, Options{Reduction: Mean, Workers: 1}, &inPlace, Output[T]{Upstream: -2.5, Grad: inPlace.Scores})
					requireSame(t, want, run[T]{result, l, g}, what+" in place")
					restore()
				}
			}
		}
	}
}

func TestWeightedAllocations(t *testing.T) {
	r := rand.New(rand.NewPCG(63, 64))
	for name, b := range weightedBatches[float32](r, 300, 50) {
		var loss Loss = ZLPR{}
		if b.Labels == nil {
			loss = SoftZLPR{}
		}
		e, err := NewEvaluator[float32](loss, Options{Reduction: Mean, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		out := &Output[float32]{Grad: Matrix[float32]{300, 50, make([]float32, 300*50), 50}}
		evaluate := func() {
			if _, err := e.Evaluate(t.Context(), b, out); err != nil {
				t.Fatal(err)
			}
		}
		if a := kerneltest.SteadyAllocs(10, evaluate); a > 0 && !kerneltest.RaceEnabled {
			t.Errorf("%s: %v allocations", name, a)
		}
	}
}

// TestGeneralAgrees compares rows of all kinds, with NaN and infinities, by
// different ways: class weights of 1, and soft labels that are 0 or 1.
func TestGeneralAgrees(t *testing.T) {
	kerneltest.ForBothTypes(t, testGeneralAgrees[float32], testGeneralAgrees[float64])
}

func testGeneralAgrees[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	ulp, smallest := unitsOf[T]()
	for _, n := range []int{1, 7, 16, 33, 64, 100, 300, 9000} {
		b := mixedBatch[T](r, min(300, 1+20000/n), n, false)
		want := runOnce(t, ZLPR{}, Options{Reduction: Mean}, b)
		ones := make([]float64, n)
		for j := range ones {
			ones[j] = 1
		}
		weighted := *b
		weighted.ClassWeights = ones
		soft := *b
		soft.Labels = nil
		rows := b.Scores.Rows
		soft.Soft = Matrix[T]{rows, n, make([]T, rows*n), n}
		bits := make([]uint64, rows*kernel.BitWords(n))
		if err := b.Labels.ReadRows(bits, 0, rows); err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			for j := range n {
				soft.Soft.Data[i*n+j] = T(bits[i*kernel.BitWords(n)+j/64] >> (j % 64) & 1)
			}
		}
		for name, got := range map[string]run[T]{
			"weights": runOnce(t, ZLPR{}, Options{Reduction: Mean}, &weighted),
			"soft":    runOnce(t, SoftZLPR{}, Options{Reduction: Mean}, &soft),
		} {
			near := func(what string, i int, a, b, least float64) {
				if a == b || a != a && b != b || math.Abs(a) < least && math.Abs(b) < least {
					return
				}
				if !(math.Abs(a-b) <= 6*ulp*math.Abs(a)) {
					t.Fatalf("%s, n = %d: %s %d of row %d is %v, not %v", name, n, what, i%n, i/n, b, a)
				}
			}
			for i := range want.losses {
				near("loss", i*n, want.losses[i], got.losses[i], 0)
			}
			for i := range want.grad {
				near("gradient", i, float64(want.grad[i]), float64(got.grad[i]), smallest)
			}
		}
	}
}

// TestLongRows compares the ZLPR loss of long rows, to 2^20 classes, with
// big.Float: rows of few different scores, whose exact sums are quick, of every
// magnitude of the loss.
func TestLongRows(t *testing.T) {
	kerneltest.ForBothTypes(t, testLongRows[float32], testLongRows[float64])
}

func testLongRows[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	worst := 0.0
	for _, n := range []int{1000, 8192, 100003, 1<<20 - 1, 1 << 20} {
		for _, center := range []float64{-75, -40, -5, 0, 5, 60, 1000} {
			var value [6]T
			for i := range value {
				value[i] = T(center + rng.NormFloat64())
			}
			x, labels := make([]T, n), make([]uint8, n)
			var negatives, positives [len(value)]int64
			for i := range x {
				k := rng.IntN(len(value))
				x[i] = value[k]
				// A positive's score is as far on its side.
				if labels[i] = uint8(rng.IntN(10) / 9); labels[i] == 1 {
					x[i] = -x[i]
					positives[k]++
				} else {
					negatives[k]++
				}
			}
			sum := func(counts [len(value)]int64) *big.Float {
				s := ref.New(0)
				for k, c := range counts {
					s.Add(s, ref.Mul(ref.Exp(ref.New(float64(value[k]))), new(big.Float).SetInt64(c)))
				}
				return s
			}
			want := ref.Add(ref.Log1p(sum(negatives)), ref.Log1p(sum(positives)))
			e, err := NewEvaluator[T](ZLPR{}, Options{Workers: 1})
			if err != nil {
				t.Fatal(err)
			}
			r, err := e.Evaluate(context.Background(), &Batch[T]{
				Scores: Matrix[T]{1, n, x, n},
				Labels: &DenseLabels[uint8]{1, n, labels, n},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if e := ref.RelError(r.Loss, want, unit[T]()); !(e <= 4) {
				t.Errorf("n=%d center=%v: loss %v is off by %v ULP", n, center, r.Loss, e)
			} else {
				worst = math.Max(worst, e)
			}
		}
	}
	t.Logf("worst error %.3f ULP", worst)
}

// TestWitnesses pins rows that were wrong once: an argument below 2^-14 was dropped
// where rows go the slow way, and derivatives by the threshold were plain sums.
func TestWitnesses(t *testing.T) {
	evaluate := func(loss Loss, scores []float64, positives, n int, upstream float64) (l, g0 float64) {
		b := &Batch[float64]{Scores: Matrix[float64]{1, n, scores, n}, Labels: &BitLabels{Rows: 1, Cols: n, Words: []uint64{uint64(positives)}}}
		if _, soft := loss.(SoftZLPR); soft {
			b.Labels, b.Soft = nil, Matrix[float64]{1, n, make([]float64, n), n}
		}
		_, losses, grad := evalBatch(t, loss, Options{}, b, Output[float64]{Upstream: upstream})
		return losses[0], grad[0]
	}
	for _, c := range []struct {
		loss      Loss
		scores    []float64
		positives int
		upstream  float64
		want      float64
	}{
		{ZLPR{Threshold: 0x1p-15}, []float64{0}, 0, 64, 0.6931319218872981},
		{SoftZLPR{Threshold: 0x1p-15}, []float64{0}, 0, 64, 0.6931319218872981},
		{Pairwise{Margin: 0x1p-15}, []float64{0, 0}, 2, 80, 0.6931624394654},
	} {
		got, _ := evaluate(c.loss, c.scores, c.positives, len(c.scores), c.upstream)
		require.InEpsilon(t, c.want, got, 1e-13, "%T", c.loss)
		without, _ := evaluate(c.loss, c.scores, c.positives, len(c.scores), 0)
		require.InEpsilon(t, without, got, 4*0x1p-52, "%T: the loss depends on Upstream", c.loss)
	}

	// Gradients of scores so far apart that their sums are beyond all numbers.
	const huge = math.MaxFloat64
	for _, c := range []struct {
		loss      Loss
		scores    []float64
		positives int
		loss0, g0 float64
	}{
		{ZLPR{Threshold: -1e30}, []float64{1e19}, 0, 1e30 + 1e19, 1},
		{ZLPR{Threshold: -1e308}, []float64{1e308}, 0, math.Inf(1), 1},
		{ZLPR{Threshold: 1e30}, []float64{-1e19}, 1, 1e30 + 1e19, -1},
		{Pairwise{}, []float64{1e30, -1e19}, 2, 1e30 + 1e19, 1},
		{Pairwise{}, []float64{-1e19, 1e30}, 1, 1e30 + 1e19, -1},
		{SoftmaxCrossEntropy{}, []float64{1e30, -1e19}, 2, 1e30 + 1e19, 1},
		{BCE{Threshold: -huge}, []float64{huge}, 1, 0, 0},
		{BCE{Threshold: huge}, []float64{-huge}, 0, 0, 0},
	} {
		l, g := evaluate(c.loss, c.scores, c.positives, len(c.scores), 0)
		require.Equal(t, []float64{c.loss0, c.g0}, []float64{l, g + 0}, "%#v %v", c.loss, c.scores)
	}

	// Equal scores: n times one derivative.
	for _, c := range []struct {
		score float64
		n     int
		focal float64
	}{{0.1, 1000, 0}, {0.3, 1 << 20, 0}, {-1.7, 1 << 20, 2}} {
		x := make([]float64, c.n)
		for i := range x {
			x[i] = c.score
		}
		b := &Batch[float64]{
			Scores: Matrix[float64]{1, c.n, x, c.n}, Labels: &BitLabels{Rows: 1, Cols: c.n, Words: make([]uint64, (c.n+63)/64)},
			Thresholds: []float64{0},
		}
		e, err := NewEvaluator[float64](BCE{Focal: c.focal}, Options{})
		require.NoError(t, err)
		g, by := Matrix[float64]{1, c.n, make([]float64, c.n), c.n}, make([]float64, 1)
		_, err = e.Evaluate(t.Context(), b, &Output[float64]{Grad: g, ThresholdGrad: by})
		require.NoError(t, err)
		require.InEpsilon(t, -float64(c.n)*g.Data[0], by[0], 2*0x1p-52, "n=%d", c.n)
	}
}

// A witness is a row that was wrong once, or by more than the bound.
type witness[T Float] struct {
	name      string
	loss      Loss
	scores    []T
	positives int // as bits
	weights   []float64
	rowWeight float64 // 0: none
	upstream  float64 // 0: 1
}

// row returns the witness for the reference.
func (w *witness[T]) row() ref.Row {
	c := lossCase[T]{scores: w.scores, weights: w.weights}
	for j := range w.scores {
		c.positive = append(c.positive, w.positives>>j&1 != 0)
	}
	if _, soft := w.loss.(SoftZLPR); soft {
		c.soft = make([]T, len(w.scores))
		for j, p := range c.positive {
			if p {
				c.soft[j] = 1
			}
		}
	}
	return c.row()
}

// want returns what the loss is, and its gradient times the row's weight and
// Upstream, exactly.
func (w *witness[T]) want() ref.Result {
	result := reference(w.loss, w.row())
	for _, f := range []float64{w.rowWeight, w.upstream} {
		if f != 0 {
			for k, g := range result.Grad {
				result.Grad[k] = ref.Mul(g, ref.New(f))
			}
		}
	}
	return result
}

func (w *witness[T]) errors(t *testing.T) (loss, grad float64) {
	n := len(w.scores)
	b := &Batch[T]{Scores: Matrix[T]{1, n, w.scores, n}, ClassWeights: w.weights}
	if _, soft := w.loss.(SoftZLPR); soft {
		b.Soft = Matrix[T]{1, n, make([]T, n), n}
		for j := range n {
			b.Soft.Data[j] = T(w.positives >> j & 1)
		}
	} else {
		b.Labels = &BitLabels{Rows: 1, Cols: n, Words: []uint64{uint64(w.positives)}}
	}
	_, losses, g := evalBatch(t, w.loss, Options{}, b, Output[T]{Upstream: w.upstream})
	if w.rowWeight != 0 {
		b.RowWeights = []float64{w.rowWeight}
		_, _, g = evalBatch(t, w.loss, Options{}, b, Output[T]{Upstream: w.upstream})
	}
	return checkRow(t, w.name, losses[0], g, w.want(), 4, 4)
}

func testWitnessRows[T Float](t *testing.T, rows []witness[T]) {
	for _, w := range rows {
		loss, grad := w.errors(t)
		t.Logf("%s: loss %.2f ULP, gradient %.2f ULP", w.name, loss, grad)
	}
}

// TestWitnessRows compares rows that were wrong once with the reference: the loss
// and all of the gradient, within 4 ULP.
func TestWitnessRows(t *testing.T) {
	t.Run("float32", func(t *testing.T) {
		testWitnessRows(t, []witness[float32]{
			{name: "an argument below 2^-14", loss: ZLPR{Threshold: 0x1p-15}, scores: []float32{-60}},
			{name: "near MaxFloat32", loss: SoftmaxCrossEntropy{}, scores: []float32{10000, 10001}, positives: 1, upstream: 2.8e38 / 0.731},
			{name: "near MaxFloat32, γ", loss: Pairwise{Gamma: 2.5}, scores: []float32{-3, -2.5, 1}, positives: 1, upstream: 1.3e38},
			{name: "near MaxFloat32, weights", loss: ZLPR{}, scores: []float32{80, -90, 3}, positives: 2, weights: []float64{1.9, 1.9, 0.3}, upstream: 3.4e38},
			{name: "near MaxFloat32, soft labels", loss: SoftZLPR{}, scores: []float32{80, -90}, positives: 2, upstream: 3.4e38},
			{name: "weights far apart", loss: ZLPR{}, scores: []float32{2100.123, 548.3456}, weights: []float64{1e-300, 1e300}},
		})
	})
	t.Run("float64", func(t *testing.T) {
		const huge = math.MaxFloat64
		testWitnessRows(t, []witness[float64]{
			{name: "an argument below 2^-14", loss: ZLPR{Threshold: 0x1p-15}, scores: []float64{0}, upstream: 64},
			{name: "an argument below 2^-14, soft", loss: SoftZLPR{Threshold: 0x1p-15}, scores: []float64{0}, upstream: 64},
			{name: "an argument below 2^-14, pairwise", loss: Pairwise{Margin: 0x1p-15}, scores: []float64{0, 0}, positives: 2, upstream: 80},
			{name: "the margin brings back a product below the numbers", loss: Pairwise{Margin: 0x1.26651a93bf807p+09},
				scores: []float64{0x1.2c1004861da7p+09, -0x1.26651a93bf807p+09, 0x1.281be332154fdp+09}, positives: 5},
			{name: "the same of two scores", loss: Pairwise{Margin: 500}, scores: []float64{300, -500}, positives: 1},
			{name: "γs of 2^50", loss: Pairwise{Gamma: 0.3}, scores: []float64{0x1p52 + 1, 0x1p52}, positives: 2},
			{name: "γs and γm of 2^50", loss: Pairwise{Gamma: 0.1, Margin: -0x1p54}, scores: []float64{0x1p54 + 8, 4}, positives: 2},
			{name: "γs of 2^78", loss: Pairwise{Gamma: 0.3}, scores: []float64{0x1p80 + 0x1p28, 0x1p80}, positives: 2},
			{name: "γs and γm of 2^1000", loss: Pairwise{Gamma: 0.7, Margin: -0x1p1001}, scores: []float64{0x1p1001 + 0x1p949, 3, 3.5}, positives: 6},
			{name: "γ of 10^300", loss: Pairwise{Gamma: 1e300}, scores: []float64{1e10, 1e10}, positives: 2},
			{name: "γ of 10^300, scores apart", loss: Pairwise{Gamma: 1e300, Margin: 1e-10}, scores: []float64{1e10, 1e10 + 1, 0}, positives: 2, upstream: 1e-300},
			{name: "s - s0 with s0 near s", loss: ZLPR{Threshold: 0x1p53 + 2}, scores: []float64{0x1p53, 0.1}, positives: 2},
			{name: "s - s0 of different size", loss: ZLPR{Threshold: 0.1}, scores: []float64{2300, -2300}, positives: 1},
			{name: "the ends of the range", loss: Pairwise{}, scores: []float64{huge, huge, -huge}, positives: 3, upstream: 1e300},
			{name: "γ and Upstream that overflow together", loss: Pairwise{Gamma: 1e200}, scores: []float64{-7e-198, 0}, positives: 2, upstream: 1e150},
			{name: "Upstream times u overflows", loss: SoftmaxCrossEntropy{}, scores: []float64{-69.3, 346.6}, positives: 1, upstream: 0x1p505},
			{name: "class weight and Upstream", loss: SoftmaxCrossEntropy{}, scores: []float64{-300, 200}, positives: 2, weights: []float64{1, 1e200}, upstream: 1e200},
			{name: "weights far apart", loss: ZLPR{}, scores: []float64{2100.123, 548.3456}, weights: []float64{1e-300, 1e300}},
			{name: "weights far apart, γ", loss: Pairwise{Gamma: 1.7}, scores: []float64{1300.123, 200.3456, -3}, positives: 4, weights: []float64{1e-300, 1e300, 2}},
			{name: "row weight and Upstream", loss: ZLPR{}, scores: []float64{0.5, -1}, positives: 2, rowWeight: 1e-200, upstream: 1e250},
			{name: "exponentials below the normal numbers", loss: BCE{Threshold: -400.1}, scores: []float64{288.39060810707633, 321.08990472589437}, positives: 3, weights: []float64{0.08631532324728375, 4.626187284476014}},
			{name: "γ, row weight and Upstream", loss: Pairwise{Gamma: 1e100}, scores: []float64{0.5e-100, -1e-100}, positives: 2, rowWeight: 1e-200, upstream: 1e-150},
		})
	})
}

// TestInfiniteBesideFar: where one score is infinite the other side's derivatives are
// those of the limit, of scores of any size.
func TestInfiniteBesideFar(t *testing.T) {
	for _, far := range []float64{0, 5000, 1e20, -1e20} {
		c := lossCase[float64]{scores: []float64{math.Inf(1), far, far}, positive: []bool{false, true, true}}
		_, l, g := evalBatch(t, Pairwise{}, Options{}, c.batch(), Output[float64]{})
		require.Equal(t, []float64{math.Inf(1), 1, -0.5, -0.5}, append(l, g...))
	}
}

// TestWeightsOfAnySizeWitness: row weights and their sum carry exponents apart.
func TestWeightsOfAnySizeWitness(t *testing.T) {
	b := &Batch[float64]{Scores: Matrix[float64]{2, 1, []float64{0.5, 0}, 1}, Labels: &BitLabels{Rows: 2, Cols: 1, Words: []uint64{0, 0}}}
	rows := []ref.Row{{Scores: []float64{0.5}, Positive: []bool{false}}, {Scores: []float64{0}, Positive: []bool{false}}}
	first, second := rows[0].ZLPR(), rows[1].ZLPR()
	half := ref.New(0.5)
	mean := ref.Mul(half, ref.Add(first.Loss, second.Loss))
	for _, weight := range []float64{1e-309, 1e308, 1, 5e-324, math.MaxFloat64} {
		b.RowWeights = []float64{weight, weight}
		for _, accumulate := range []bool{false, true} {
			r, _, g := evalBatch(t, ZLPR{}, Options{Reduction: Mean}, b, Output[float64]{Accumulate: accumulate})
			require.LessOrEqual(t, ref.RelError(r.Loss, mean, 0x1p-52), 4.0, "%v", weight)
			require.InDelta(t, 0.83361, r.Loss, 1e-5)
			for i, want := range []ref.Result{first, second} {
				require.LessOrEqual(t, ref.RelError(g[i], ref.Mul(half, want.Grad[0]), 0x1p-52), 4.0, "%v", weight)
			}
			require.InDelta(t, 0.31123, g[0], 1e-5)
		}
	}
}

// TestSoftWeightsWitness pins a row of soft labels whose gradient erred by 4.5 ULP: the
// weights of its labels were rounded twice, and the factors of its gradient many times.
func TestSoftWeightsWitness(t *testing.T) {
	c := lossCase[float64]{
		scores: []float64{312.51336190642917, 318.5326769981646, 320.20370293293416, 308.85336058411053, 305.07776360155293, 308.5169338454815,
			282.7433463774113, 304.60928186686624, 290.4484770861466, 327.5244863759285, 357.7755361193628, 314.15198405611113, 304.7936773322083,
			304.8863110380881, 332.2818155699741, 223.63203841011736, 353.3626260726698},
		soft: []float64{0.024733893437185586, 0.3925705117942244, 0.3982091507011968, 0.40034199766052925, 0.10690857432916279, 0.5032568166399358,
			0.3635324911983696, 0.06320028100538545, 0.5854949974431268, 0.710491503321597, 0.6188712273017044, 0.5265909323318881, 0.16751370880152774,
			0.4431616015879927, 0.05493917085740252, 0.6869048672158556, 0.1328758456759357},
		weights: []float64{3.9795344769388015, 4.031998424028686, 1.6786456437013295, 2.223217798142518, 13.281836221615466, 8.063512102980035,
			7.485703676797808, 12.659906773818943, 6.899864610036677, 0.8330728299002296, 1.3166863346679676, 4.54463231570714, 2.5802269008400196,
			7.303949261745221, 1.1099128467818948, 5.378841439907417, 2.9318667975762587},
		threshold: 339.3257725479388,
	}
	terms := softTerms(c.row())
	want := c.row().SoftZLPR()
	b := c.batch()
	const weight, upstream = 3.4427754779649495, 1.4298604824221692
	b.RowWeights = []float64{weight}
	_, _, grad := evalBatch(t, SoftZLPR{Threshold: c.threshold}, Options{}, b, Output[float64]{Upstream: upstream})
	factor := ref.Mul(ref.New(weight), ref.New(upstream))
	for i, g := range grad {
		// Of |∂L/∂s_i| and the positive side's term, which is not above 0.
		scale := ref.Mul(ref.Sub(new(big.Float).Abs(want.Grad[i]), terms[i]), factor)
		require.LessOrEqual(t, ref.AbsError(g, ref.Mul(want.Grad[i], factor), scale, 0x1p-52), 3.5, "class %d", i)
	}
}
