package zlpr

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// testLossesOf are the losses with settings that take all ways through the code.
func testLossesOf(n int) map[string]Loss {
	w := make([]float64, n)
	for i := range w {
		w[i] = float64(i%3) + 0.5
	}
	counts := make([]int, n)
	for j := range counts {
		counts[j] = j * j % 97
	}
	return map[string]Loss{
		"class-balanced":        ClassBalanced{Loss: BCE{Threshold: 0.7}, Counts: counts, Beta: 0.99},
		"distribution-balanced": NewDistributionBalanced(counts, 100),

		"zlpr":       ZLPR{},
		"zlpr s0":    ZLPR{Threshold: -1.25},
		"pairwise":   Pairwise{},
		"pairwise m": Pairwise{Margin: 0.5},
		"pairwise γ": Pairwise{Gamma: 3, Margin: 0.5},
		"softmax":    SoftmaxCrossEntropy{},
		"bce":        BCE{},
		"bce s0":     BCE{Threshold: 0.7},
		"bce w":      BCE{Threshold: -0.3, PositiveWeight: w},
		"bce focal":  BCE{PositiveWeight: w, Focal: 1.5},
	}
}

// mixedBatch returns rows of all kinds: ordinary ones, far from 0, with NaN and
// infinities, without positives, all positive, masked.
func mixedBatch[T Float](r *rand.Rand, rows, n int, target bool) *Batch[T] {
	x := make([]T, rows*n)
	y, mask := make([]uint8, rows*n), make([]uint8, rows*n)
	for i := range rows {
		center := []float64{0, 0, 0, -70, 100, 1e4}[r.IntN(6)]
		share := []float64{0.1, 0.3, 0, 1}[r.IntN(4)]
		masked := r.IntN(3) == 0
		for j := range n {
			k := i*n + j
			x[k] = T(center + 3*r.NormFloat64())
			if r.IntN(2000) == 0 {
				x[k] = T([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}[r.IntN(3)])
			}
			mask[k] = 1
			if masked && r.IntN(2) == 0 {
				mask[k] = 0
			}
			if !target && mask[k] == 1 && r.Float64() < share {
				y[k] = 1
			}
		}
		if target {
			j := r.IntN(n)
			y[i*n+j], mask[i*n+j] = 1, 1
		}
	}
	b := &Batch[T]{
		Scores: Matrix[T]{rows, n, x, n},
		Labels: &DenseLabels[uint8]{rows, n, y, n},
		Mask:   &DenseLabels[uint8]{rows, n, mask, n},
	}
	for range rows {
		b.RowWeights = append(b.RowWeights, float64(r.IntN(4))/2)
	}
	b.RowWeights[0] = 1 // a mean needs a row that counts
	return b
}

// run is everything that an evaluation gives.
type run[T Float] struct {
	result Result
	losses []float64
	grad   []T
}

func runOnce[T Float](t *testing.T, loss Loss, opts Options, b *Batch[T]) run[T] {
	result, losses, grad := evalBatch(t, loss, opts, b, Output[T]{Upstream: -2.5})
	return run[T]{result, losses, grad}
}

// requireSame compares bits.
func requireSame[T Float](t *testing.T, want, got run[T], what string) {
	t.Helper()
	bits := func(r run[T]) (b []uint64) {
		for _, v := range []float64{r.result.Loss, r.result.Sum, r.result.Weight, r.result.Min, r.result.Max} {
			b = append(b, math.Float64bits(v))
		}
		for _, v := range r.losses {
			b = append(b, math.Float64bits(v))
		}
		for _, v := range r.grad {
			b = append(b, math.Float64bits(float64(v)))
		}
		return b
	}
	w, g := bits(want), bits(got)
	for i := range w {
		if w[i] != g[i] {
			t.Fatalf("%s: number %d is %v, not %v", what, i, math.Float64frombits(g[i]), math.Float64frombits(w[i]))
		}
	}
}

func testEqual[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, n := range []int{1, 5, 8, 16, 17, 20, 31, 33, 48, 64, 65, 100, 128, 300, 5000} {
		for name, loss := range testLossesOf(n) {
			b := mixedBatch[T](r, min(700, 1+20000/n), n, name == "softmax")
			restore := forceTier(kernel.Generic)
			want := runOnce(t, loss, Options{Reduction: Mean, Workers: 1}, b)
			restore()
			for _, tier := range kernel.Available() {
				restore := forceTier(tier)
				for _, workers := range []int{1, 2, 5} {
					got := runOnce(t, loss, Options{Reduction: Mean, Workers: workers}, b)
					requireSame(t, want, got, fmt.Sprintf("%s n=%d tier=%s workers=%d", name, n, tier, workers))
				}
				restore()
			}
		}
	}
}

// Every tier and every number of workers gives the same bits.
func TestLossTiers(t *testing.T) {
	t.Run("float32", testEqual[float32])
	t.Run("float64", testEqual[float64])
}

// Every format of labels gives the same bits, in place as apart, with strides.
func TestLossFormats(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, n := range []int{3, 20, 70, 1000} {
		const rows = 40
		y := randomLabels(r, rows, n, 0.2)
		x := normalScores[float32](rows * n)
		m := Matrix[float32]{rows, n, x, n}
		want := runOnce(t, ZLPR{}, Options{Reduction: Mean}, &Batch[float32]{Scores: m, Labels: dense[uint8](rows, n, n, y, 0, 1)})
		for name, labels := range map[string]Bits{
			"bool":    dense(rows, n, n+3, y, false, true),
			"float64": dense[float64](rows, n, n, y, 0, 1),
			"sparse":  sparse(rows, n, y, r),
			"bits":    labelFormat("bits", rows, n, y),
		} {
			requireSame(t, want, runOnce(t, ZLPR{}, Options{Reduction: Mean}, &Batch[float32]{Scores: m, Labels: labels}), name)
		}
		// In place, with a stride.
		labels := dense[uint8](rows, n, n, y, 0, 1)
		stride := n + 5
		z := make([]float32, rows*stride)
		for i := range rows {
			copy(z[i*stride:], x[i*n:][:n])
			for j := n; j < stride; j++ {
				z[i*stride+j] = 123
			}
		}
		s := Matrix[float32]{rows, n, z, stride}
		result, losses, _ := evalBatch(t, ZLPR{}, Options{Reduction: Mean}, &Batch[float32]{Scores: s, Labels: labels}, Output[float32]{Upstream: -2.5, Grad: s})
		got := run[float32]{result, losses, nil}
		for i := range rows {
			got.grad = append(got.grad, s.Row(i)...)
			for _, v := range z[i*stride+n : (i+1)*stride] {
				require.Equal(t, float32(123), v)
			}
		}
		requireSame(t, want, got, "in place")
		// Accumulated onto ones.
		g := Matrix[float32]{rows, n, make([]float32, rows*n), n}
		for i := range g.Data {
			g.Data[i] = 1
		}
		_, _, _ = evalBatch(t, ZLPR{}, Options{Reduction: Mean}, &Batch[float32]{Scores: m, Labels: labels}, Output[float32]{Upstream: -2.5, Grad: g, Accumulate: true})
		for i, v := range g.Data {
			require.Equal(t, 1+want.grad[i], v)
		}
	}
}

// No allocation in steady state, with one worker and with two.
func TestLossAllocations(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for name, loss := range testLossesOf(50) {
		for _, workers := range []int{1, 2} {
			const rows, n = 1000, 50
			b := mixedBatch[float32](r, rows, n, name == "softmax")
			e, err := NewEvaluator[float32](loss, Options{Reduction: Mean, Workers: workers})
			require.NoError(t, err)
			out := &Output[float32]{Grad: Matrix[float32]{rows, n, make([]float32, rows*n), n}}
			ctx := context.Background()
			evaluate := func() {
				if _, err := e.Evaluate(ctx, b, out); err != nil {
					t.Fatal(err)
				}
			}
			require.Zero(t, kerneltest.SteadyAllocs(10, evaluate), "%s, %d workers", name, workers)
		}
	}
}

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
