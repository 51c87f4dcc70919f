package zlpr

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// Loss and gradient of a row do not depend on the rows around it: slow or fast,
// with NaN or left out, they are those of the row alone, on another tier.
func TestRowsAlone(t *testing.T) {
	kerneltest.ForBothTypes(t, testRowsAlone[float32], testRowsAlone[float64])
}

func testRowsAlone[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(81, 82))
	for _, n := range []int{1, 7, 16, 20, 33, 64, 150, 1000} {
		for name, loss := range testLossesOf(n) {
			rows := 1 + 1500/n
			b := mixedBatch[T](r, rows, n, name == "softmax")
			if r.IntN(2) == 0 && name != "softmax" {
				for range n {
					b.ClassWeights = append(b.ClassWeights, float64(r.IntN(4))/2)
				}
			}
			all := runOnce(t, loss, Options{}, b)
			restore := forceTier(kernel.Generic)
			for i := range rows {
				labels, mask := b.Labels.(*DenseLabels[uint8]), b.Mask.(*DenseLabels[uint8])
				row := &Batch[T]{
					Scores:       Matrix[T]{1, n, b.Scores.Row(i), n},
					Labels:       &DenseLabels[uint8]{1, n, labels.Data[i*n:][:n], n},
					Mask:         &DenseLabels[uint8]{1, n, mask.Data[i*n:][:n], n},
					RowWeights:   b.RowWeights[i:][:1],
					ClassWeights: b.ClassWeights,
				}
				alone := runOnce(t, loss, Options{}, row)
				alone.result = Result{}
				requireSame(t, alone, run[T]{losses: all.losses[i:][:1], grad: all.grad[i*n:][:n]}, fmt.Sprintf("%s n=%d row %d", name, n, i))
			}
			restore()
		}
	}
}
