package zlpr

import (
	"context"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
)

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
