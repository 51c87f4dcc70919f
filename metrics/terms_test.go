package metrics

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
)

// TestTerms: the metrics of the sums of the terms, and of the counts of the
// classes, that AddRows hands out are those of the Accumulator, which has what
// Add gives.
func TestTerms(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	names := append(All(1, 3, 5), "psp_at_3", "psndcg_at_5", "micro_f2", "macro_f0.5", "samples_f2", "weighted_jaccard", "micro_jaccard")
	names = slices.DeleteFunc(names, NeedsScores)
	for _, n := range []int{1, 7, 64, 130} {
		for _, kind := range []string{"plain", "mask", "weights", "top"} {
			t.Run(fmt.Sprintf("classes=%d/%s", n, kind), func(t *testing.T) {
				const rows = 333
				w := (n + 63) / 64
				b := Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: rows, Cols: n, Stride: n, Data: make([]float32, rows*n)}}
				y, mask := make([]uint8, rows*n), make([]uint8, rows*n)
				for i := range y {
					b.Scores.Data[i] = float32(math.Round(4*rng.NormFloat64()) / 4)
					mask[i] = 1
					if kind == "mask" && (rng.IntN(5) == 0 || i/n%50 == 3) {
						mask[i] = 0
					}
					if rng.IntN(4) == 0 {
						y[i] = mask[i]
					}
				}
				b.Labels = &zlpr.DenseLabels[uint8]{Rows: rows, Cols: n, Data: y, Stride: n}
				options := Options{Propensities: make([]float64, n), Workers: 3}
				for j := range options.Propensities {
					options.Propensities[j] = 0.25 + rng.Float64()/2
				}
				switch kind {
				case "mask":
					b.Mask = &zlpr.DenseLabels[uint8]{Rows: rows, Cols: n, Data: mask, Stride: n}
				case "weights":
					b.RowWeights = make([]float64, rows)
					for i := range b.RowWeights {
						b.RowWeights[i] = float64(rng.IntN(4)) / 2
					}
				case "top":
					options.Rule = Top(3)
				}
				a, err := NewAccumulator[float32](n, names, options)
				require.NoError(t, err)
				same, err := NewAccumulator[float32](n, names, options)
				require.NoError(t, err)
				formulas, terms, err := Formulas(names)
				require.NoError(t, err)
				out := RowOutput{Terms: make([]float64, rows*terms), Positive: make([]uint64, rows*w), Predicted: make([]uint64, rows*w)}
				for i := range out.Terms {
					out.Terms[i] = math.NaN()
				}
				require.NoError(t, a.AddRows(&b, &out))
				require.NoError(t, same.Add(&b))
				want, err := a.Results()
				require.NoError(t, err)
				alike, err := same.Results()
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint(alike), fmt.Sprint(want))

				sums := make([]float64, terms)
				for i, v := range out.Terms {
					sums[i%terms] += v
				}
				var counts [3][]uint64
				for k := range counts {
					counts[k] = make([]uint64, n)
				}
				for i := range rows {
					for k := range w {
						p, q := out.Positive[i*w+k], out.Predicted[i*w+k]
						for kind, word := range [3]uint64{p, q, p & q} {
							for ; word != 0; word &= word - 1 {
								m := uint64(2)
								if b.RowWeights != nil {
									m = uint64(2 * b.RowWeights[i])
								}
								counts[kind][64*k+bits.TrailingZeros64(word)] += m
							}
						}
					}
				}
				for i, f := range formulas {
					require.Equal(t, names[i], f.Name())
					require.NotEqual(t, f.ByClass(), f.Terms() != nil)
					if f.ByClass() {
						require.True(t, math.IsNaN(f.OfSums(sums)))
						require.Equal(t, want[i].Value, f.OfClasses(counts[0], counts[1], counts[2]), names[i])
						continue
					}
					few := slices.Repeat([]float64{math.NaN()}, terms) // but those that it says
					for _, k := range f.Terms() {
						few[k] = sums[k]
					}
					if got := f.OfSums(few); math.IsNaN(want[i].Value) {
						require.True(t, math.IsNaN(got), names[i])
					} else {
						require.InDelta(t, want[i].Value, got, 1e-13*max(1, want[i].Value), names[i])
					}
				}
			})
		}
	}
}

// TestRowOutput: an output of another size is an error that adds nothing.
func TestRowOutput(t *testing.T) {
	names := []string{"micro_f1"}
	a, err := NewAccumulator[float64](3, names, Options{})
	require.NoError(t, err)
	b := Batch[float64]{Scores: zlpr.Matrix[float64]{Rows: 1, Cols: 3, Data: []float64{1, -1, 2}},
		Labels: &zlpr.DenseLabels[uint8]{Rows: 1, Cols: 3, Data: []uint8{1, 0, 0}, Stride: 3}}
	_, terms, err := Formulas(names)
	require.NoError(t, err)
	for _, out := range []RowOutput{{Terms: make([]float64, terms-1)}, {Positive: make([]uint64, 2)}, {Predicted: make([]uint64, 2)}} {
		require.Error(t, a.AddRows(&b, &out))
		require.Zero(t, a.Rows())
	}
	require.NoError(t, a.AddRows(&b, nil))
	require.Equal(t, 1, a.Rows())
	_, _, err = Formulas([]string{"micro_f1", "micro_f"})
	require.Error(t, err)
}
