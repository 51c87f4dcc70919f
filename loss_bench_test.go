package zlpr

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel"
)

// benchLabels returns labels with the given share of positives, one or more a
// row.
func benchLabels(rows, n int, share float64) []uint8 {
	rng := rand.New(rand.NewPCG(2, uint64(n)))
	y := make([]uint8, rows*n)
	for i := range rows {
		row := y[i*n:][:n]
		for j := range row {
			if rng.Float64() < share {
				row[j] = 1
			}
		}
		row[rng.IntN(n)] = 1
	}
	return y
}

// labelFormat returns dense labels in another format.
func labelFormat(format string, rows, n int, y []uint8) Bits {
	d := &DenseLabels[uint8]{rows, n, y, n}
	switch format {
	case "bits":
		w := kernel.BitWords(n)
		l := &BitLabels{rows, n, make([]uint64, rows*w), w}
		if err := d.ReadRows(l.Words, 0, rows); err != nil {
			panic(err)
		}
		return l
	case "sparse":
		return sparse(rows, n, y, rand.New(rand.NewPCG(3, 3)))
	}
	return d
}

// naiveZLPR is the loss by two sums of exponentials, each with the element 0,
// and one more exponential an element for the gradient.
func naiveZLPR[T Float](grad, x []T, y []uint8) float64 {
	var maxNeg, maxPos T
	for i, v := range x {
		if y[i] != 0 {
			if -v > maxPos {
				maxPos = -v
			}
		} else if v > maxNeg {
			maxNeg = v
		}
	}
	sumNeg, sumPos := math.Exp(float64(-maxNeg)), math.Exp(float64(-maxPos))
	for i, v := range x {
		if y[i] != 0 {
			sumPos += math.Exp(float64(-v - maxPos))
		} else {
			sumNeg += math.Exp(float64(v - maxNeg))
		}
	}
	neg, pos := float64(maxNeg)+math.Log(sumNeg), float64(maxPos)+math.Log(sumPos)
	if grad != nil {
		for i, v := range x {
			if y[i] != 0 {
				grad[i] = T(-math.Exp(float64(-v) - pos))
			} else {
				grad[i] = T(math.Exp(float64(v) - neg))
			}
		}
	}
	return neg + pos
}

// naiveCrossEntropy is log-sum-exp minus the target's score.
func naiveCrossEntropy[T Float](grad, x []T, target int32) float64 {
	lse := naiveLogSumExp(x)
	if grad != nil {
		for i, v := range x {
			grad[i] = T(math.Exp(float64(v) - lse))
		}
		grad[target]--
	}
	return lse - float64(x[target])
}

// naiveBCE is the usual stable form.
func naiveBCE[T Float](grad, x []T, y []uint8) float64 {
	sum := 0.0
	for i, v := range x {
		s := float64(v)
		e := math.Exp(-math.Abs(s))
		sum += max(s, 0) + math.Log1p(e)
		g := 1 / (1 + e)
		if s < 0 {
			g = e / (1 + e)
		}
		if y[i] != 0 {
			sum -= s
			g--
		}
		if grad != nil {
			grad[i] = T(g)
		}
	}
	return sum
}

// benchLoss runs the naive loop, then the evaluator with one worker on every
// tier.
func benchLoss[T Float](b *testing.B, loss Loss, gradient bool, rows, n int, labels Bits, naive func(grad, x []T, row int) float64) {
	x := normalScores[T](rows * n)
	batch := &Batch[T]{Scores: Matrix[T]{rows, n, x, n}, Labels: labels}
	out := &Output[T]{Losses: make([]float64, rows)}
	g := make([]T, rows*n)
	if gradient {
		out.Grad = Matrix[T]{rows, n, g, n}
	}
	benchImpls(b, func(b *testing.B) {
		for b.Loop() {
			for i := range rows {
				var grad []T
				if gradient {
					grad = g[i*n:][:n]
				}
				out.Losses[i] = naive(grad, x[i*n:][:n], i)
			}
		}
		perElement[T](b, rows*n)
	}, func(b *testing.B) {
		e, err := NewEvaluator[T](loss, Options{Workers: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Evaluate(context.Background(), batch, out); err != nil {
				b.Fatal(err)
			}
		}
		perElement[T](b, rows*n)
	})
}

// benchOps runs f for the loss alone and with the gradient.
func benchOps(b *testing.B, f func(b *testing.B, gradient bool)) {
	b.Run("op=loss", func(b *testing.B) { f(b, false) })
	b.Run("op=lossgrad", func(b *testing.B) { f(b, true) })
}

func BenchmarkZLPR(b *testing.B) {
	benchOps(b, func(b *testing.B, gradient bool) {
		b.Run("type=f32", func(b *testing.B) { benchZLPR[float32](b, gradient) })
		b.Run("type=f64", func(b *testing.B) { benchZLPR[float64](b, gradient) })
	})
}

func benchZLPR[T Float](b *testing.B, gradient bool) {
	for _, format := range []string{"u8", "bits", "sparse"} {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("labels=%s/n=%d", format, n), func(b *testing.B) {
				share := 0.1
				if format == "sparse" {
					share = 0.01
				}
				rows := benchRows[T](n)
				y := benchLabels(rows, n, share)
				benchLoss(b, ZLPR{}, gradient, rows, n, labelFormat(format, rows, n, y),
					func(grad, x []T, i int) float64 { return naiveZLPR(grad, x, y[i*n:][:n]) })
			})
		}
	}
}

func BenchmarkCrossEntropy(b *testing.B) {
	benchOps(b, func(b *testing.B, gradient bool) {
		b.Run("type=f32", func(b *testing.B) { benchCrossEntropy[float32](b, gradient) })
		b.Run("type=f64", func(b *testing.B) { benchCrossEntropy[float64](b, gradient) })
	})
}

func benchCrossEntropy[T Float](b *testing.B, gradient bool) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			rows := benchRows[T](n)
			labels := &TargetLabels{n, make([]int32, rows)}
			for i := range labels.Targets {
				labels.Targets[i] = int32(i * 7 % n)
			}
			benchLoss(b, SoftmaxCrossEntropy{}, gradient, rows, n, labels,
				func(grad, x []T, i int) float64 { return naiveCrossEntropy(grad, x, labels.Targets[i]) })
		})
	}
}

func BenchmarkBCE(b *testing.B) {
	benchOps(b, func(b *testing.B, gradient bool) {
		b.Run("type=f32", func(b *testing.B) { benchBCE[float32](b, gradient) })
		b.Run("type=f64", func(b *testing.B) { benchBCE[float64](b, gradient) })
	})
}

func benchBCE[T Float](b *testing.B, gradient bool) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			rows := benchRows[T](n)
			y := benchLabels(rows, n, 0.1)
			benchLoss(b, BCE{}, gradient, rows, n, labelFormat("u8", rows, n, y),
				func(grad, x []T, i int) float64 { return naiveBCE(grad, x, y[i*n:][:n]) })
		})
	}
}

// BenchmarkBCEForms evaluates BCE with a threshold and with weights.
func BenchmarkBCEForms(b *testing.B) {
	benchOps(b, func(b *testing.B, gradient bool) {
		b.Run("type=f32", func(b *testing.B) { benchBCEForms[float32](b, gradient) })
		b.Run("type=f64", func(b *testing.B) { benchBCEForms[float64](b, gradient) })
	})
}

func benchBCEForms[T Float](b *testing.B, gradient bool) {
	const n = 1000
	rows := benchRows[T](n)
	y := benchLabels(rows, n, 0.1)
	for _, form := range []struct {
		name string
		loss BCE
	}{
		{"threshold", BCE{Threshold: 0.3}},
		{"weights", BCE{PositiveWeight: []float64{3}}},
		{"focal", BCE{Focal: 2}},
	} {
		b.Run("form="+form.name, func(b *testing.B) {
			benchLoss(b, form.loss, gradient, rows, n, labelFormat("u8", rows, n, y),
				func(grad, x []T, i int) float64 { return naiveBCE(grad, x, y[i*n:][:n]) })
		})
	}
}

// BenchmarkZLPRMemory and BenchmarkBCEMemory evaluate 1 GiB of scores.
func BenchmarkZLPRMemory(b *testing.B) { benchLossMemory(b, ZLPR{}) }

func BenchmarkBCEMemory(b *testing.B) { benchLossMemory(b, BCE{}) }

func benchLossMemory(b *testing.B, loss Loss) {
	benchOps(b, func(b *testing.B, gradient bool) {
		for _, n := range []int{64, 1000, 30522} {
			for _, workers := range []int{1, 2} {
				b.Run(fmt.Sprintf("n=%d/workers=%d", n, workers), func(b *testing.B) {
					rows := memoryElements / n
					benchWorkers(b, loss, gradient, rows, n, workers, memoryScores()[:rows*n], memoryOutput()[:rows*n])
				})
			}
		}
	})
}

// BenchmarkZLPRWorkers evaluates rows that lie in the caches.
func BenchmarkZLPRWorkers(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			const rows, n = 2048, 1000
			benchWorkers(b, ZLPR{}, true, rows, n, workers, normalScores[float32](rows*n), make([]float32, rows*n))
		})
	}
}

// benchWorkers evaluates a loss of float32 scores with labels in bits.
func benchWorkers(b *testing.B, loss Loss, gradient bool, rows, n, workers int, x, g []float32) {
	// A pattern of labels repeated by stride 0 would be no honest reading: all
	// rows have their own.
	w := kernel.BitWords(n)
	labels := &BitLabels{rows, n, make([]uint64, rows*w), w}
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range labels.Words {
		labels.Words[i] = rng.Uint64() & rng.Uint64() & rng.Uint64()
	}
	batch := &Batch[float32]{Scores: Matrix[float32]{rows, n, x, n}, Labels: labels}
	out := &Output[float32]{Losses: make([]float64, rows)}
	if gradient {
		out.Grad = Matrix[float32]{rows, n, g, n}
	}
	e, err := NewEvaluator[float32](loss, Options{Workers: workers})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := e.Evaluate(context.Background(), batch, out); err != nil {
			b.Fatal(err)
		}
	}
	perElement[float32](b, rows*n)
}
