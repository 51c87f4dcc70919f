package zlpr

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/ref"
)

// TestClassBalanced compares with the reference, of the losses that it may be of, beside
// class weights of the batch.
func TestClassBalanced(t *testing.T) {
	t.Run("float32", testClassBalanced[float32])
	t.Run("float64", testClassBalanced[float64])
}

func testClassBalanced[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(131, 132))
	ulp, smallest := unitsOf[T]()
	bound := 4.0
	if ulp == 0x1p-52 {
		bound = 68
	}
	for _, n := range []int{1, 2, 20, 64, 100} {
		for _, of := range []Loss{BCE{}, BCE{Focal: 2, Threshold: 0.5}, SoftmaxCrossEntropy{}} {
			for _, beta := range []float64{0, 0.9, 0.9999} {
				x, positive := pathRows[T](r, 2, n)
				_, target := of.(SoftmaxCrossEntropy)
				if target {
					copy(positive, one(positive[:n]))
					copy(positive[n:], one(positive[n:]))
				}
				loss := ClassBalanced{Loss: of, Counts: make([]int, n), Beta: beta}
				for j := range loss.Counts {
					loss.Counts[j] = int(math.Exp(9*r.Float64())) - 1
				}
				b := &Batch[T]{Scores: Matrix[T]{2, n, x, n}, Labels: &DenseLabels[bool]{2, n, positive, n}}
				if r.IntN(2) == 0 {
					for range n {
						b.ClassWeights = append(b.ClassWeights, math.Exp(2*r.NormFloat64()))
					}
				}
				_, losses, grad := evalBatch(t, loss, Options{}, b, Output[T]{})
				for i := range 2 {
					c := lossCase[T]{scores: b.Scores.Row(i), positive: positive[i*n:][:n], weights: b.ClassWeights}
					var want ref.Result
					if row := c.row(); target {
						want = row.ClassBalancedSoftmax(loss.Counts, beta)
					} else {
						of := of.(BCE)
						row.Threshold = of.Threshold
						want = row.ClassBalanced(loss.Counts, beta, func(r ref.Row) ref.Result { return r.BCE(nil, of.Focal) })
					}
					if l, _ := want.Loss.Float64(); l > 0x1p-1000 {
						require.Less(t, ref.RelError(losses[i], want.Loss, ulp), bound, "%+v", loss)
					}
					for j, g := range grad[i*n:][:n] {
						if a, _ := want.Grad[j].Float64(); math.Abs(a) >= smallest {
							require.Less(t, ref.RelError(float64(g), want.Grad[j], ulp), bound, "%+v class %d", loss, j)
						}
					}
				}
			}
		}
	}
}

// TestClassBalancedFaults: what is wrong with the parameters is said.
func TestClassBalancedFaults(t *testing.T) {
	for text, l := range map[string]ClassBalanced{
		"ClassBalanced.Loss: there is none":                              {Counts: []int{1}, Beta: 0.9},
		"ClassBalanced.Loss: zlpr, want BCE or":                          {Loss: ZLPR{}, Counts: []int{1}},
		"BCE.Focal: -1":                                                  {Loss: BCE{Focal: -1}, Counts: []int{1}},
		"ClassBalanced.Beta: 1, want at least 0 and below 1":             {Loss: BCE{}, Counts: []int{1}, Beta: 1},
		"ClassBalanced.Beta: NaN":                                        {Loss: BCE{}, Counts: []int{1}, Beta: math.NaN()},
		"ClassBalanced.Counts: there are none":                           {Loss: BCE{}},
		"ClassBalanced.Counts: -1 of class 1":                            {Loss: BCE{}, Counts: []int{1, -1}},
		"ClassBalanced.Counts: 1, want one for each of 2 classes of BCE": {Loss: BCE{PositiveWeight: []float64{1, 2}}, Counts: []int{1}},
	} {
		_, err := NewEvaluator[float32](l, Options{})
		require.ErrorContains(t, err, text)
	}
	e, err := NewEvaluator[float32](ClassBalanced{Loss: BCE{}, Counts: []int{1}}, Options{})
	require.NoError(t, err)
	_, err = e.Evaluate(t.Context(), &Batch[float32]{Scores: Matrix[float32]{1, 3, make([]float32, 3), 3}, Labels: &DenseLabels[bool]{1, 3, make([]bool, 3), 3}}, nil)
	require.ErrorContains(t, err, "ClassBalanced.Counts: 1, want one for each of 3 classes")
	require.Equal(t, "class-balanced", ClassBalanced{Loss: BCE{}}.Name())
	require.Equal(t, "class-balanced-softmax", ClassBalanced{Loss: SoftmaxCrossEntropy{}}.Name())
}
