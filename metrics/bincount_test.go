package metrics

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

// TestBinsWorkers counts batches large enough for workers to share the classes: the state
// that travels has the same bytes for every number of workers and every cut into batches,
// where the bins of all classes are the sum of the classes' and where they have bits of
// their own, with a mask and with weights.
func TestBinsWorkers(t *testing.T) {
	const rows, classes = 3000, 70
	rng := rand.New(rand.NewPCG(3, 28))
	b := Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: rows, Cols: classes, Stride: classes, Data: make([]float32, rows*classes)}}
	labels, mask := make(denseBits, rows), make(denseBits, rows)
	weights := make([]float64, rows)
	for r := range rows {
		labels[r], mask[r] = make([]bool, classes), make([]bool, classes)
		weights[r] = float64(rng.IntN(4)) / 4
		for j := range classes {
			b.Scores.Data[r*classes+j] = float32(2 * rng.NormFloat64())
			mask[r][j] = rng.IntN(9) > 0
			labels[r][j] = mask[r][j] && rng.IntN(5) == 0
		}
	}
	b.Labels = labels
	for name, change := range map[string]func(*Batch[float32]){
		"plain":   func(*Batch[float32]) {},
		"mask":    func(b *Batch[float32]) { b.Mask = mask },
		"weights": func(b *Batch[float32]) { b.RowWeights = weights },
	} {
		for _, digits := range [][2]int{{12, 12}, {18, 18}, {14, 9}, {9, 14}} {
			var want []byte
			for _, workers := range []int{1, 2, 5} {
				for _, step := range []int{rows, 1024, 1500} {
					a, err := NewAccumulator[float32](classes, areaNames, Options{MicroBits: digits[0], ClassBits: digits[1], Workers: workers})
					require.NoError(t, err)
					for r := 0; r < rows; r += step {
						part := b
						change(&part)
						part = *slice(&part, r, min(rows, r+step))
						require.NoError(t, a.Add(&part))
					}
					got, err := a.MarshalBinary()
					require.NoError(t, err)
					if workers == 5 {
						require.NotNil(t, a.single.total.binned.crew)
					}
					if want == nil {
						want = got
					}
					require.Equal(t, want, got, fmt.Sprint(name, digits, workers, step))
				}
			}
		}
	}
}
