package zlpr

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/ref"
)

// distillations are the three divergences and what they are exactly.
var distillations = []struct {
	loss  Loss
	exact ref.Divergence
}{
	{SoftmaxCrossEntropy{}, ref.SoftmaxDivergence},
	{BCE{}, ref.BCEDivergence},
	{ZLPR{}, ref.ZLPRDivergence},
}

// TestDistillation compares with the reference: students near to and far from their
// teachers, with masks, class and row weights.
func TestDistillation(t *testing.T) {
	t.Run("float32", testDistillation[float32])
	t.Run("float64", testDistillation[float64])
}

func testDistillation[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(101, 102))
	ulp, smallest := unitsOf[T]()
	bound := distillationULPs[T]()
	worst := [2]float64{}
	each := 16 // of all, the reference takes a minute
	if testing.Short() {
		each = 160
	}
	for _, of := range distillations {
		for _, temperature := range []float64{0, 4, 0.7, 1.0 / 3} {
			for _, n := range []int{1, 2, 3, 9, 70} {
				for _, spread := range []float64{1, 6, 90, 2000} {
					for _, distance := range []float64{1e-30, 1e-9, 1e-5, 1e-3, 0.05, 0.4, 1.5, 8, 60, 900} {
						if r.IntN(each) > 0 {
							continue
						}
						teacher, x := make([]T, n), make([]T, n)
						for j := range x {
							teacher[j] = T(spread * r.NormFloat64())
							x[j] = T(float64(teacher[j]) + distance*r.NormFloat64())
							if distance < 1e-9 {
								teacher[j] = T(distance * r.NormFloat64())
								x[j] = T(distance * r.NormFloat64())
							}
						}
						b := &Batch[T]{Scores: Matrix[T]{1, n, x, n}, Teacher: Matrix[T]{1, n, teacher, n}}
						row := ref.Row{Scores: wide(x)}
						if r.IntN(3) == 0 {
							mask := make([]bool, n)
							for j := range mask {
								mask[j] = j == 0 || r.IntN(3) > 0
							}
							b.Mask, row.Mask = &DenseLabels[bool]{1, n, mask, n}, mask
						}
						if of.exact != ref.SoftmaxDivergence && r.IntN(3) == 0 {
							for range n {
								b.ClassWeights = append(b.ClassWeights, math.Exp(2*r.NormFloat64()))
							}
							row.Weights = b.ClassWeights
						}
						loss := Distillation{of.loss, temperature}
						_, losses, grad := evalBatch(t, loss, Options{}, b, Output[T]{})
						want, terms := row.Distillation(of.exact, wide(teacher), loss.temperature())
						what := func() string {
							return fmt.Sprintf("%s T=%v n=%d weights=%v spread=%v distance=%v\n%v\n%v\n%v want %v", loss.Name(), temperature, n, b.ClassWeights, spread, distance, x, teacher, losses, want.Loss)
						}
						if l, _ := want.Loss.Float64(); l > 0x1p-1000 {
							e := ref.RelError(losses[0], want.Loss, ulp)
							worst[0] = max(worst[0], e)
							require.LessOrEqual(t, e, bound, "loss %s", what())
						}
						for j, g := range grad {
							a, _ := want.Grad[j].Float64()
							if math.Abs(a) < smallest {
								continue
							}
							scale := terms[j]
							if of.exact == ref.BCEDivergence {
								scale = want.Grad[j]
							}
							e := math.Abs(ref.AbsError(float64(g), want.Grad[j], scale, ulp))
							worst[1] = max(worst[1], e)
							require.LessOrEqual(t, e, bound, "class %d: %v want %v\n%s", j, g, a, what())
						}
					}
				}
			}
		}
	}
	t.Logf("worst errors: %.3g ULP of the loss, %.3g ULP of derivatives", worst[0], worst[1])
}

// distillationULPs is the bound of Distillation's documentation.
func distillationULPs[T Float]() float64 {
	if _, bound := unitsOf[T](); bound > 0x1p-200 {
		return 4
	}
	return 8
}

// TestDistillationOfItself: a student that is its teacher has loss 0 and gradient 0.
func TestDistillationOfItself(t *testing.T) {
	r := rand.New(rand.NewPCG(103, 104))
	for _, of := range distillations {
		for _, spread := range []float64{1, 1e3, 1e30} {
			x := make([]float32, 40)
			for j := range x {
				x[j] = float32(spread * r.NormFloat64())
			}
			m := Matrix[float32]{2, 20, x, 20}
			_, losses, grad := evalBatch(t, Distillation{of.loss, 3}, Options{}, &Batch[float32]{Scores: m, Teacher: m}, Output[float32]{})
			require.Equal(t, []float64{0, 0}, losses)
			for _, g := range grad {
				require.Equal(t, uint32(0), math.Float32bits(g))
			}
		}
	}
}

// TestDistillationLimits: infinite scores have their limits, NaN is NaN.
func TestDistillationLimits(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	softplus := func(x float64) float64 { return math.Log1p(math.Exp(x)) }
	for _, c := range []struct {
		loss             Loss
		teacher, student []float64
		want             float64
		grad             []float64
	}{
		{SoftmaxCrossEntropy{}, []float64{0, -inf}, []float64{1, -inf}, 0, []float64{0, 0}},
		{SoftmaxCrossEntropy{}, []float64{0, -inf}, []float64{1, 3}, softplus(2), []float64{1/(1+math.Exp(2)) - 1, 1 / (1 + math.Exp(-2))}},
		{SoftmaxCrossEntropy{}, []float64{inf, 0}, []float64{1, 3}, softplus(2), []float64{1/(1+math.Exp(2)) - 1, 1 / (1 + math.Exp(-2))}},
		{SoftmaxCrossEntropy{}, []float64{0, 0}, []float64{1, -inf}, inf, []float64{0.5, -0.5}},
		{SoftmaxCrossEntropy{}, []float64{0, 0}, []float64{1, inf}, inf, []float64{-0.5, 0.5}},
		{SoftmaxCrossEntropy{}, []float64{0, inf}, []float64{1, inf}, 0, []float64{0, 0}},
		{SoftmaxCrossEntropy{}, []float64{inf, inf}, []float64{1, 2}, nan, nil},
		{SoftmaxCrossEntropy{}, []float64{-inf, -inf}, []float64{1, 2}, nan, nil},
		{SoftmaxCrossEntropy{}, []float64{nan, 0}, []float64{1, 2}, nan, nil},
		{SoftmaxCrossEntropy{}, []float64{1, 0}, []float64{1, nan}, nan, nil},
		{BCE{}, []float64{inf, -inf}, []float64{2, 3}, softplus(-2) + softplus(3), []float64{-1 / (1 + math.Exp(2)), 1 / (1 + math.Exp(-3))}},
		{BCE{}, []float64{inf, -inf}, []float64{inf, -inf}, 0, []float64{0, 0}},
		{BCE{}, []float64{0, inf}, []float64{inf, inf}, inf, []float64{0.5, 0}},
		{BCE{}, []float64{0, inf}, []float64{0, -inf}, inf, []float64{0, -1}},
		{BCE{}, []float64{nan}, []float64{0}, nan, nil},
		{ZLPR{}, []float64{inf, -inf}, []float64{2, 3}, softplus(-2) + softplus(3), []float64{-1 / (1 + math.Exp(2)), 1 / (1 + math.Exp(-3))}},
		{ZLPR{}, []float64{inf, -inf}, []float64{inf, -inf}, 0, []float64{0, 0}},
		{ZLPR{}, []float64{0}, []float64{inf}, inf, []float64{1}},
		{ZLPR{}, []float64{inf}, []float64{-inf}, inf, []float64{-1}},
		{ZLPR{}, []float64{0}, []float64{nan}, nan, nil},
		// Finite, but beyond what the kernels take.
		{SoftmaxCrossEntropy{}, []float64{0, -1e30}, []float64{1, 3}, softplus(2), []float64{1/(1+math.Exp(2)) - 1, 1 / (1 + math.Exp(-2))}},
		{BCE{}, []float64{1e30, -1e30}, []float64{2, 3}, softplus(-2) + softplus(3), []float64{-1 / (1 + math.Exp(2)), 1 / (1 + math.Exp(-3))}},
		{ZLPR{}, []float64{1e30, -1e30}, []float64{2, 3}, softplus(-2) + softplus(3), []float64{-1 / (1 + math.Exp(2)), 1 / (1 + math.Exp(-3))}},
		{SoftmaxCrossEntropy{}, []float64{0, 0}, []float64{0, 1e30}, 5e29, []float64{-0.5, 0.5}},
		{BCE{}, []float64{0}, []float64{1e30}, 5e29, []float64{0.5}},
		{ZLPR{}, []float64{0}, []float64{1e30}, 1e30, []float64{1}},
	} {
		n := len(c.teacher)
		b := &Batch[float64]{Scores: Matrix[float64]{1, n, c.student, n}, Teacher: Matrix[float64]{1, n, c.teacher, n}}
		_, losses, grad := evalBatch(t, Distillation{Loss: c.loss}, Options{}, b, Output[float64]{})
		if c.want != c.want {
			require.True(t, losses[0] != losses[0], "%+v: %v", c, losses)
			for _, g := range grad {
				require.True(t, g != g, "%+v: %v", c, grad)
			}
			continue
		}
		if c.want > 1e300 || c.want == 0 {
			require.Equal(t, c.want, losses[0], "%+v", c)
		} else {
			require.InEpsilon(t, c.want, losses[0], 1e-14, "%+v", c)
		}
		require.InDeltaSlice(t, c.grad, grad, 1e-14, "%+v", c)
	}
}

// TestDistillationFound: inputs of which results were once beyond the bounds.
func TestDistillationFound(t *testing.T) {
	// The scores of the student are so far from 0 that exponentials of s - z do not have z.
	t.Run("far", func(t *testing.T) {
		testDistillationRow(t, ZLPR{}, ref.ZLPRDivergence, 0x1.c157828f3abb3p+00, "", nil,
			[]float32{0x1.fffffep+127, 0x1.59f282p+00, 0, -0x1.b499e2p+126, -0x1.fffffep+127, -0x1.c03efep+15, 0x1.5011c4p+10, 0x1.15cb9ep+65, -0x1.fffffep+127, -0x1.fffffep+127, -0x1.fffffep+127, -0x1.fffffep+127},
			[]float32{-0x1.ffecbap+127, -0x1.08146ap+127, 0x1.9fe148p+06, -0x1.fffffep+127, 0x1.333cp+04, -0x1.fffffep+127, -0x1.2cd16ap+121, 0x1.9cbfb4p+127, -0x1.fffffep+73, -4, -0x1.0cb246p+06, -4})
		testDistillationRow(t, ZLPR{}, ref.ZLPRDivergence, 1, "", nil, []float32{-0x1p120, -0x1p120, -0x1p120, -0x1p120}, []float32{20, -3, -0x1p70, -40})
		testDistillationRow(t, ZLPR{}, ref.ZLPRDivergence, 3, "", nil, []float64{0x1p300, 0x1p300, -0x1p300, 0x1p300}, []float64{-20, 3, 0x1p120, 40})
		testDistillationRow(t, ZLPR{}, ref.ZLPRDivergence, 1, "", []float64{0, 0x1p-1000, 1}, []float64{-0x1p400, -0x1p300, -0x1p300}, []float64{20, 3, -5})
		// 2z - s is the same up to what z adds to s.
		testDistillationRow(t, ZLPR{}, ref.ZLPRDivergence, 1, "", nil, []float64{-0x1p110, -0x1p110, -0x1p110 - 0x1p58}, []float64{-3, -3.5, -0x1p57 - 8})
	})
	// One term with many that are about half an ULP of it.
	t.Run("sums", func(t *testing.T) {
		testDistillationRow(t, BCE{}, ref.BCEDivergence, 0x1.000000000000dp+00, "111111111111011111111111",
			[]float64{0x1.1ff1df2f4c6e3p+13, 0x1.d59cbdeea63fp-07, 0x1.acd2e848c1407p+22, 0x1.d7dba4f1ad83fp-13, 0x1.b420ffefbd367p-13, 0x1.b1378268cbf1ap+04, 0x1.fffffffffffffp+1023, 0x1.222422a933f48p+28, 0x1.193959f47ce55p+05, 0x1.89810c3976cfp+30, 0x1.0902703803ffp+00, 0x1.c09c9dc3958c9p+17, 0x1.ec71c72a21a6fp+27, 0x1.acd2f310f6004p+22, 0x1.acd2f1bedfa11p+22, 0x1.d59cb1de9950bp-07, 0x1.b13c36acefa43p+04, 0x1.acd2f38bb1b19p+22, 0x1.d59cb1de9950bp-07, 0x1.d59cb1de9950bp-07, 0x1.d59cb1de9950bp-07, 0x1.d59cb2325d497p-07, 0x1.d59cb1de9a471p-07, 0x1.30b7891a143bep-05},
			[]float64{0x1.a9f3259cd1f88p-16, -0x1.574e384b3197ap-01, -0x1.52cb028a0bb76p-01, -0x1.15a0e662ba08ap+04, -0x1.8cd61eac43749p-02, 0x1.1a1d768b95be1p+01, 0x1.02c6f12a699eap+12, 0x1.1b6ae6aa8cde4p-02, -0x1.9195859ab5c5cp-15, -0x1.eb764fb45ed39p-01, -0x1.bed2805376cp-1032, 0x1.b4a1d885edc0cp-01, -0x1.926c8842fc35dp-14, 0x1.1a1d76c0e70dep+01, 0x1.1a1d76c0e70dep+01, 0x1.3bd611a778871p+03, 0x1.1b74e484d8a5ep+01, 0x1.1a1d76c0e70dep+01, 0x1.3bd61191a59ap+03, 0x1.3bd61191a59ap+03, 0x1.3ba93e6a5f8edp+03, 0x1.3bd61191a59ap+03, 0x1.3ba93e6a5f8edp+03, -0x1.b13c36acefa43p+04},
			[]float64{0x1.f27fc1c2cf48p-1029, -0x1.5624d6f1b540ep-01, 0x1.56a1fe6013ee4p-01, -0x1.eb86879b1f31cp-01, -0x1.923fa7222875cp-02, 0x1.5eb13413a2cfap+06, 0x1.f7249db537c24p+23, -0x1.f75bb2e448471p+00, -0x1.2eff3d5a7f228p+01, -0x1.52cb028a0bbc5p-01, 0x1.2558a40c7a95bp-01, 0x1.b4a1d88642ea4p+00, -0x1.000003e1ef2c4p-17, 0x1.1a17a943b5d9p+01, 0x1.1a17a943b5d9p+01, -0x1.56a1fe5532d7bp-01, 0x1.1a17a92659866p+01, 0x1.1a17a943b5d9p+01, -0x1.56a1fe5533467p-01, -0x1.56a1ff14b6c63p-01, -0x1.56a1fe5532d7bp-01, -0x1.56a1fe5532d7bp-01, -0x1.56a1e121ca7bbp-01, -0x1.5624d6f1b540ep-01})
		for _, of := range distillations {
			for _, distance := range []float64{0.5, 3} {
				x, teacher, weights := make([]float64, 64), make([]float64, 64), make([]float64, 64)
				for j := range x {
					x[j], weights[j] = distance, 0x1.7p-53
					if of.exact == ref.SoftmaxDivergence {
						teacher[j] = -37
						x[j] += teacher[j]
					}
				}
				x[0], teacher[0], weights[0] = distance/2, 0, 1
				if of.exact == ref.SoftmaxDivergence {
					weights = nil
				}
				testDistillationRow(t, of.loss, of.exact, 1, "", weights, x, teacher)
			}
		}
	})
}

// testDistillationRow compares a row with the reference.
func testDistillationRow[T Float](t *testing.T, of Loss, exact ref.Divergence, temperature float64, mask string, weights []float64, x, teacher []T) {
	t.Helper()
	n := len(x)
	ulp, smallest := unitsOf[T]()
	b := &Batch[T]{Scores: Matrix[T]{1, n, x, n}, Teacher: Matrix[T]{1, n, teacher, n}, ClassWeights: weights}
	row := ref.Row{Scores: wide(x), Weights: weights}
	if mask != "" {
		for _, c := range mask {
			row.Mask = append(row.Mask, c == '1')
		}
		b.Mask = &DenseLabels[bool]{1, n, row.Mask, n}
	}
	_, losses, grad := evalBatch(t, Distillation{of, temperature}, Options{}, b, Output[T]{})
	want, terms := row.Distillation(exact, wide(teacher), temperature)
	require.LessOrEqual(t, ref.RelError(losses[0], want.Loss, ulp), distillationULPs[T](), "loss %v want %v", losses[0], want.Loss)
	for j, g := range grad {
		scale := terms[j]
		if exact == ref.BCEDivergence {
			scale = want.Grad[j]
		}
		if a, _ := scale.Float64(); math.Abs(a) < smallest {
			require.LessOrEqual(t, math.Abs(float64(g)), smallest, "class %d", j)
			continue
		}
		require.LessOrEqual(t, math.Abs(ref.AbsError(float64(g), want.Grad[j], scale, ulp)), distillationULPs[T](), "class %d: %v want %v", j, g, want.Grad[j])
	}
}

// TestDistillationErrors: what is not taken is said.
func TestDistillationErrors(t *testing.T) {
	for _, loss := range []Distillation{
		{}, {Loss: Pairwise{}}, {Loss: Subset{}}, {Loss: SoftZLPR{}}, {Loss: Distillation{}}, {Loss: BCE{Focal: 1}}, {Loss: BCE{PositiveWeight: []float64{2}}}, {Loss: ZLPR{Threshold: 1}},
		{Loss: ZLPR{}, Temperature: -1}, {Loss: ZLPR{}, Temperature: math.NaN()}, {Loss: ZLPR{}, Temperature: math.Inf(1)},
	} {
		_, err := NewEvaluator[float32](loss, Options{})
		require.ErrorContains(t, err, "Distillation.", "%+v", loss)
	}
	x := Matrix[float32]{2, 3, make([]float32, 6), 3}
	for _, c := range []struct {
		loss  Loss
		batch Batch[float32]
		opts  Options
		want  string
	}{
		{Distillation{Loss: ZLPR{}}, Batch[float32]{Scores: x}, Options{}, "Batch.Teacher: 0 rows × 0 classes, want 2 × 3"},
		{Distillation{Loss: ZLPR{}}, Batch[float32]{Scores: x, Teacher: Matrix[float32]{2, 2, make([]float32, 4), 2}}, Options{}, "Batch.Teacher: 2 rows × 2 classes, want 2 × 3"},
		{Distillation{Loss: ZLPR{}}, Batch[float32]{Scores: x, Teacher: x, Soft: x}, Options{}, "the loss takes Batch.Teacher alone"},
		{Distillation{Loss: ZLPR{}}, Batch[float32]{Scores: x, Teacher: x, Smoothing: 0.1}, Options{}, "Batch.Smoothing"},
		{Distillation{Loss: ZLPR{}}, Batch[float32]{Scores: x, Teacher: x}, Options{TopNegatives: 1}, "hard negatives"},
		{Distillation{Loss: ZLPR{}}, Batch[float32]{Scores: x, Teacher: x, Thresholds: make([]float32, 2)}, Options{}, "no threshold"},
		{Distillation{Loss: SoftmaxCrossEntropy{}}, Batch[float32]{Scores: x, Teacher: x, ClassWeights: []float64{1, 1, 1}}, Options{}, "Batch.ClassWeights"},
		{ZLPR{}, Batch[float32]{Scores: x, Teacher: x, Labels: &DenseLabels[bool]{2, 3, make([]bool, 6), 3}}, Options{}, "only Distillation takes them"},
		{Distillation{Loss: BCE{}}, Batch[float32]{Scores: x, Teacher: Matrix[float32]{2, 3, []float32{0, 0, 0, 0, float32(math.NaN()), 0}, 3}}, Options{Strict: true}, "row 1, class 1: teacher's score is NaN"},
	} {
		e, err := NewEvaluator[float32](c.loss, c.opts)
		if err == nil {
			_, err = e.Evaluate(context.Background(), &c.batch, nil)
		}
		require.ErrorContains(t, err, c.want)
	}
}

// TestDistillationFarTeacher: a derivative of BCE that is next to nothing where the teacher is
// far away counts where a weight makes a number of it.
func TestDistillationFarTeacher(t *testing.T) {
	x, teacher := [][]float64{{1490.75, 3}}, [][]float64{{0x1p20, 3}}
	want := -2 * math.Exp(-1490.75/2+343*math.Ln2) // T·(q-p), times the weight
	for _, b := range []Batch[float64]{{ClassWeights: []float64{0x1p343, 1}}, {RowWeights: []float64{0x1p343}}} {
		b.Scores, b.Teacher = MatrixOf(x), MatrixOf(teacher)
		_, _, grad := evalBatch(t, Distillation{Loss: BCE{}, Temperature: 2}, Options{}, &b, Output[float64]{})
		require.InEpsilon(t, want, grad[0], 1e-12)
	}
}

// TestDistillationBits: the same bits for any number of workers, whatever the scale of the
// gradient, with it in place of the scores, of 16-bit scores as of float32 ones, and
// everywhere.
func TestDistillationBits(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		require.Equal(t, uint64(0x027202d776fe834a), distillationHash[float32](t))
		require.Equal(t, uint64(0x74353cf7c0c19cc6), distillationHash[float64](t))
	})
}

func distillationHash[T Float](t *testing.T) uint64 {
	r := rand.New(rand.NewPCG(105, 106))
	h := fnv.New64a()
	for _, of := range distillations {
		for _, n := range []int{1, 5, 64, 70, 300} {
			const rows = 40
			x, teacher := make([]T, rows*n), make([]T, rows*n)
			for j := range x {
				x[j], teacher[j] = T(BFloat16Of(float32(3*r.NormFloat64())).Float32()), T(BFloat16Of(float32(3*r.NormFloat64())).Float32())
				if r.IntN(500) == 0 {
					x[j] *= 4096
				}
			}
			loss := Distillation{of.loss, 2}
			b := &Batch[T]{Scores: Matrix[T]{rows, n, x, n}, Teacher: Matrix[T]{rows, n, teacher, n}}
			_, losses, grad := evalBatch(t, loss, Options{Workers: 1}, b, Output[T]{})
			in := *b
			in.Scores.Data = append([]T(nil), x...)
			out := Output[T]{Losses: make([]float64, rows), Grad: in.Scores}
			e, err := NewEvaluator[T](loss, Options{Workers: 3})
			require.NoError(t, err)
			_, err = e.Evaluate(context.Background(), &in, &out)
			require.NoError(t, err)
			_, large, _ := evalBatch(t, loss, Options{}, b, Output[T]{Upstream: 1e250})
			require.Equal(t, losses, large)
			half := &Batch[BFloat16]{Scores: Matrix[BFloat16]{rows, n, make([]BFloat16, rows*n), n}, Teacher: Matrix[BFloat16]{rows, n, make([]BFloat16, rows*n), n}}
			for j := range x {
				half.Scores.Data[j], half.Teacher.Data[j] = BFloat16Of(float32(x[j])), BFloat16Of(float32(teacher[j]))
			}
			if _, single := any(x).([]float32); single {
				of16 := Output[BFloat16]{Losses: make([]float64, rows)}
				e, err := NewEvaluator[BFloat16](loss, Options{})
				require.NoError(t, err)
				_, err = e.Evaluate(context.Background(), half, &of16)
				require.NoError(t, err)
				require.Equal(t, losses, of16.Losses)
			}
			for i, l := range losses {
				require.Equal(t, math.Float64bits(l), math.Float64bits(out.Losses[i]), "n=%d", n)
				fmt.Fprintf(h, "%x ", math.Float64bits(l))
			}
			for i, g := range grad {
				require.Equal(t, math.Float64bits(float64(g)), math.Float64bits(float64(out.Grad.Data[i])), "n=%d", n)
				fmt.Fprintf(h, "%x ", math.Float64bits(float64(g)))
			}
		}
	}
	return h.Sum64()
}
