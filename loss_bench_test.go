package zlpr

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
	"github.com/zlpr/zlpr/internal/subset"
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
	case "bool":
		l := &DenseLabels[bool]{Rows: rows, Cols: n}
		for _, v := range y {
			l.Data = append(l.Data, v != 0)
		}
		return l
	case "i32":
		return labelsAs[int32](rows, n, y)
	case "i64":
		return labelsAs[int64](rows, n, y)
	case "f32":
		return labelsAs[float32](rows, n, y)
	case "f64":
		return labelsAs[float64](rows, n, y)
	}
	return d
}

// labelsAs returns dense labels of another type.
func labelsAs[E int32 | int64 | float32 | float64](rows, n int, y []uint8) Bits {
	l := &DenseLabels[E]{Rows: rows, Cols: n}
	for _, v := range y {
		l.Data = append(l.Data, E(v))
	}
	return l
}

// BenchmarkLabels evaluates ZLPR and its gradient on float32 scores, 65,536 of
// them, with labels of every type.
func BenchmarkLabels(b *testing.B) {
	const n, rows = 1000, 65536 / 1000
	y := benchLabels(rows, n, 0.01)
	for _, format := range []string{"u8", "bool", "i32", "f32", "i64", "f64", "bits", "sparse"} {
		b.Run(fmt.Sprintf("labels=%s/n=%d", format, n), func(b *testing.B) {
			benchLoss(b, ZLPR{}, true, rows, n, labelFormat(format, rows, n, y),
				func(grad, x []float32, i int) float64 { return naiveZLPR(grad, x, y[i*n:][:n]) })
		})
	}
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

// BenchmarkFocal evaluates BCE with focal exponents.
func BenchmarkFocal(b *testing.B) {
	benchOps(b, func(b *testing.B, gradient bool) {
		b.Run("type=f32", func(b *testing.B) { benchFocal[float32](b, gradient) })
		b.Run("type=f64", func(b *testing.B) { benchFocal[float64](b, gradient) })
	})
}

func benchFocal[T Float](b *testing.B, gradient bool) {
	for _, n := range []int{8, 20, 64, 1000, 30522} {
		rows := benchRows[T](n)
		y := benchLabels(rows, n, 0.1)
		for _, f := range []float64{0.5, 1, 1.5, 2, 3, 0.3, 30} {
			b.Run(fmt.Sprintf("n=%d/exponent=%g", n, f), func(b *testing.B) {
				benchLoss(b, BCE{Focal: f}, gradient, rows, n, labelFormat("u8", rows, n, y),
					func(grad, x []T, i int) float64 { return naiveFocal(grad, x, y[i*n:][:n], f) })
			})
		}
	}
}

// naiveFocal is focal BCE by formula: sigmoid^f·softplus of every score, with the
// sign by the label.
func naiveFocal[T Float](grad, x []T, y []uint8, f float64) float64 {
	var sum float64
	for i, s := range x {
		v := float64(s)
		if y[i] != 0 {
			v = -v
		}
		e := math.Exp(-math.Abs(v))
		softplus, p := max(v, 0)+math.Log1p(e), 1/(1+e)
		if v < 0 {
			p = e / (1 + e)
		}
		power := math.Pow(p, f)
		sum += power * softplus
		if grad != nil {
			g := power * (f*(1-p)*softplus + p)
			if y[i] != 0 {
				g = -g
			}
			grad[i] = T(g)
		}
	}
	return sum
}

// These evaluate 1 GiB of scores.
func BenchmarkZLPRMemory(b *testing.B) { benchLossMemory(b, ZLPR{}) }

func BenchmarkBCEMemory(b *testing.B) { benchLossMemory(b, BCE{}) }

func BenchmarkCrossEntropyMemory(b *testing.B) { benchLossMemory(b, SoftmaxCrossEntropy{}) }

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

// BenchmarkWorkers evaluates losses with gradient of 2 Mi float32 scores.
func BenchmarkWorkers(b *testing.B) {
	const elements = 2 << 20
	x, g := normalScores[float32](elements), make([]float32, elements)
	for _, loss := range []Loss{ZLPR{}, SoftmaxCrossEntropy{}, BCE{}, Pairwise{}} {
		for _, n := range []int{20, 1000} {
			for _, workers := range []int{1, 2} {
				b.Run(fmt.Sprintf("loss=%s/n=%d/workers=%d", loss.Name(), n, workers), func(b *testing.B) {
					rows := elements / n
					benchWorkers(b, loss, true, rows, n, workers, x[:rows*n], g[:rows*n])
				})
			}
		}
	}
}

// benchWorkers evaluates a loss of float32 scores with labels in bits, or with
// targets.
func benchWorkers(b *testing.B, loss Loss, gradient bool, rows, n, workers int, x, g []float32) {
	batch := &Batch[float32]{Scores: Matrix[float32]{rows, n, x, n}, Labels: benchBits(rows, n)}
	if _, one := loss.(SoftmaxCrossEntropy); one {
		targets := &TargetLabels{n, make([]int32, rows)}
		for i := range targets.Targets {
			targets.Targets[i] = int32(i * 7 % n)
		}
		batch.Labels = targets
	}
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

// benchBits returns labels in bits, an eighth of them positive. A pattern of labels
// repeated by stride 0 would be no honest reading: all rows have their own.
func benchBits(rows, n int) *BitLabels {
	w := kernel.BitWords(n)
	labels := &BitLabels{rows, n, make([]uint64, rows*w), w}
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range labels.Words {
		labels.Words[i] = rng.Uint64() & rng.Uint64() & rng.Uint64()
	}
	return labels
}

// A generalCase is a loss that depends on weights, γ or scores far from 0.
type generalCase[T Float] struct {
	loss    Loss
	scores  []T
	y       []uint8   // hard labels
	soft    []T       // or soft ones
	weights []float64 // of the classes
	gamma   float64
	product bool
}

func newGeneralCase[T Float](name string, rows, n int) *generalCase[T] {
	c := &generalCase[T]{loss: ZLPR{}, scores: normalScores[T](rows * n), y: benchLabels(rows, n, 0.1), gamma: 1}
	switch name {
	case "gamma":
		c.loss, c.gamma, c.product = Pairwise{Gamma: 1.7}, 1.7, true
	case "weights":
		c.weights = make([]float64, n)
		for j := range c.weights {
			c.weights[j] = 0.5 + float64(j%7)/5
		}
	case "soft":
		c.loss, c.soft = SoftZLPR{}, make([]T, rows*n)
		for i, y := range c.y {
			c.soft[i] = T(0.05 + 0.9*float64(y))
		}
	case "lowscores":
		for i := range c.scores {
			c.scores[i] -= 100
		}
	}
	return c
}

// naive is the loss of row i by two sums of exponentials, each with its maximum
// taken away, and one more exponential a term for the gradient.
func (c *generalCase[T]) naive(grad, x []T, i int) float64 {
	n := len(x)
	var top, sum [2]float64
	if c.product {
		top = [2]float64{math.Inf(-1), math.Inf(-1)}
	}
	each := func(f func(j, side int, w, y float64)) {
		for j, v := range x {
			w, s := 1.0, c.gamma*float64(v)
			if c.weights != nil {
				w = c.weights[j]
			}
			switch {
			case c.soft != nil:
				t := float64(c.soft[i*n+j])
				f(j, 0, w*(1-t), s)
				f(j, 1, w*t, -s)
			case c.y[i*n+j] != 0:
				f(j, 1, w, -s)
			default:
				f(j, 0, w, s)
			}
		}
	}
	each(func(_, side int, w, y float64) {
		if w != 0 && y > top[side] {
			top[side] = y
		}
	})
	if !c.product {
		sum = [2]float64{math.Exp(-top[0]), math.Exp(-top[1])}
	}
	each(func(_, side int, w, y float64) { sum[side] += w * math.Exp(y-top[side]) })
	log := [2]float64{top[0] + math.Log(sum[0]), top[1] + math.Log(sum[1])}
	loss, scale := log[0]+log[1], 1.0
	if c.product {
		l := loss
		loss = max(l, 0) + math.Log1p(math.Exp(-math.Abs(l)))
		scale = c.gamma / (1 + math.Exp(-l))
	}
	if grad != nil {
		clear(grad)
		each(func(j, side int, w, y float64) { grad[j] += T(scale * float64(1-2*side) * w * math.Exp(y-log[side])) })
	}
	return loss
}

func benchGeneral[T Float](b *testing.B, name string, gradient bool, n int) {
	rows := benchRows[T](n)
	c := newGeneralCase[T](name, rows, n)
	batch := &Batch[T]{Scores: Matrix[T]{rows, n, c.scores, n}, ClassWeights: c.weights}
	if c.soft != nil {
		batch.Soft = Matrix[T]{rows, n, c.soft, n}
	} else {
		batch.Labels = labelFormat("bits", rows, n, c.y)
	}
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
				out.Losses[i] = c.naive(grad, c.scores[i*n:][:n], i)
			}
		}
		perElement[T](b, rows*n)
	}, func(b *testing.B) {
		e, err := NewEvaluator[T](c.loss, Options{Workers: 1})
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

// BenchmarkGeneral evaluates the losses of two sums where they need more than
// plain sums at pivot 0.
func BenchmarkGeneral(b *testing.B) {
	for _, name := range []string{"gamma", "weights", "soft", "lowscores"} {
		b.Run("case="+name, func(b *testing.B) {
			benchOps(b, func(b *testing.B, gradient bool) {
				for _, n := range []int{64, 1000, 30522} {
					b.Run(fmt.Sprintf("type=f32/n=%d", n), func(b *testing.B) { benchGeneral[float32](b, name, gradient, n) })
					b.Run(fmt.Sprintf("type=f64/n=%d", n), func(b *testing.B) { benchGeneral[float64](b, name, gradient, n) })
				}
			})
		})
	}
}

// BenchmarkAffineSum takes sums of e^(ax+b) over the classes of bits, one row a
// call.
func BenchmarkAffineSum(b *testing.B) {
	for _, n := range []int{64, 1000, 30522} {
		b.Run(fmt.Sprintf("type=f32/n=%d", n), func(b *testing.B) { benchAffineSum[float32](b, n) })
		b.Run(fmt.Sprintf("type=f64/n=%d", n), func(b *testing.B) { benchAffineSum[float64](b, n) })
	}
}

func benchAffineSum[T Float](b *testing.B, n int) {
	x, y := normalScores[T](n), benchLabels(1, n, 0.5)
	bits := labelFormat("bits", 1, n, y).(*BitLabels).Words
	const scale, offset = 0.7, 1.3
	benchImpls(b, func(b *testing.B) {
		for b.Loop() {
			var sum float64
			for j, v := range x {
				if y[j] != 0 {
					sum += math.Exp(scale*float64(v) + offset)
				}
			}
			affineSink = sum
		}
		perElement[T](b, n)
	}, func(b *testing.B) {
		// e^offset is a factor of the sum.
		r := kernel.SideRows[T]{X: x, Stride: n, Rows: 1, N: n, Pos: make([]uint64, len(bits)), Neg: bits, Words: len(bits), Weights: unitWeights[T](n), Gamma: kernel.GammaPair[T](scale)}
		p := [1]kernel.SideParams[T]{kernel.ZeroPivot[T]()}
		var sum [1][2]float64
		for b.Loop() {
			kernel.SideSums(sum[:], &r, p[:], 0)
			affineSink = sum[0][0] * scalar.Exp(offset)
		}
		perElement[T](b, n)
	})
}

var affineSink float64

// unitWeights returns the weights of n classes, all 1, as the kernels take them.
func unitWeights[T Float](n int) []T {
	w := make([]T, kernel.WeightsLen[T](n))
	for j := range n {
		w[kernel.WeightPlace[T](j)] = 1
	}
	return w
}

// The benchmarks compare with what people write:
//
//	logspace  the recurrence log e_j ← logaddexp(log e_j, s + log e_(j-1)), every
//	          prefix kept, and its reverse pass
//	linear    the recurrence on e^(s - max) in float64; the gradient by prefix and
//	          suffix polynomials. Fast, but it over- or underflows on wide scores

func logAddExp(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// A logspaceSubset has the prefixes: row i is log e_0..log e_k of the first i scores.
type logspaceSubset struct{ prefix, adjoint []float64 }

// forward returns Σ_{j≤k} e^((k-j)·threshold) e_j, or log e_k without padding.
func (l *logspaceSubset) forward(x []float32, k int, padding *float64) float64 {
	w := k + 1
	l.prefix = kernel.Resize(l.prefix, (len(x)+1)*w)
	for j := range w {
		l.prefix[j] = math.Inf(-1)
	}
	l.prefix[0] = 0
	for i, s := range x {
		from, to := l.prefix[i*w:][:w], l.prefix[(i+1)*w:][:w]
		to[0] = 0
		for j := 1; j < w; j++ {
			to[j] = logAddExp(from[j], float64(s)+from[j-1])
		}
	}
	last := l.prefix[len(x)*w:][:w]
	if padding == nil {
		return last[k]
	}
	sum := math.Inf(-1)
	for j, v := range last {
		sum = logAddExp(sum, v+float64(k-j)**padding)
	}
	return sum
}

// gradient follows forward: the derivative by each score.
func (l *logspaceSubset) gradient(grad, x []float32, k int, padding *float64, logZ float64) {
	w := k + 1
	l.adjoint = kernel.Resize(l.adjoint, w)
	g := l.adjoint
	clear(g)
	g[k] = 1
	if padding != nil {
		last := l.prefix[len(x)*w:][:w]
		for j, v := range last {
			g[j] = math.Exp(v + float64(k-j)**padding - logZ)
		}
	}
	for i := len(x) - 1; i >= 0; i-- {
		from, to := l.prefix[i*w:][:w], l.prefix[(i+1)*w:][:w]
		sum := 0.0
		for j := 0; j < k; j++ {
			// What of to[j+1] came through the pick of class i.
			share := 0.0
			if g[j+1] != 0 {
				share = g[j+1] * math.Exp(float64(x[i])+from[j]-to[j+1])
				g[j+1] -= share
			}
			sum += share
			g[j] += share
		}
		grad[i] = float32(sum)
	}
}

type linearSubset struct{ e, prefix, suffix, f []float64 }

func (l *linearSubset) exps(x []float32) float64 {
	m := x[0]
	for _, s := range x {
		if s > m {
			m = s
		}
	}
	l.e = kernel.Resize(l.e, len(x))
	for i, s := range x {
		l.e[i] = math.Exp(float64(s - m))
	}
	return float64(m)
}

func (l *linearSubset) logZ(x []float32, k int) float64 {
	m := l.exps(x)
	l.f = kernel.Resize(l.f, k+1)
	f := l.f
	clear(f)
	f[0] = 1
	for _, e := range l.e {
		for j := k; j > 0; j-- {
			f[j] += e * f[j-1]
		}
	}
	return math.Log(f[k]) + float64(k)*m
}

// lossGrad returns log Z and writes the gradient of it. The padded polynomial is
// a subset one with k more classes, of the threshold: the adjoint of the root.
func (l *linearSubset) lossGrad(grad, x []float32, k int, padding *float64) float64 {
	m := l.exps(x)
	w, n := k+1, len(x)
	l.prefix, l.suffix = kernel.Resize(l.prefix, (n+1)*w), kernel.Resize(l.suffix, (n+1)*w)
	first := l.prefix[:w]
	clear(first)
	first[0] = 1
	for i, e := range l.e {
		from, to := l.prefix[i*w:][:w], l.prefix[(i+1)*w:][:w]
		to[0] = from[0]
		for j := 1; j < w; j++ {
			to[j] = from[j] + e*from[j-1]
		}
	}
	last := l.suffix[n*w:][:w]
	clear(last)
	last[0] = 1
	if padding != nil {
		p := math.Exp(*padding - m)
		for j := 1; j < w; j++ {
			last[j] = last[j-1] * p
		}
	}
	z := 0.0
	for j, v := range l.prefix[n*w:] {
		z += v * last[k-j]
	}
	for i := n - 1; i >= 0; i-- {
		e := l.e[i]
		before, after := l.prefix[i*w:][:w], l.suffix[(i+1)*w:][:w]
		sum := 0.0
		for j := 0; j < k; j++ {
			sum += before[j] * after[k-1-j]
		}
		grad[i] = float32(e * sum / z)
		to := l.suffix[i*w:][:w]
		to[0] = after[0]
		for j := 1; j < w; j++ {
			to[j] = after[j] + e*after[j-1]
		}
	}
	return math.Log(z) + float64(k)*m
}

// targetLoss subtracts the targets.
func targetLoss(logZ float64, x, grad []float32, classes []int, pads float64) float64 {
	for _, i := range classes {
		logZ -= float64(x[i])
		grad[i]--
	}
	return logZ - pads
}

func BenchmarkSubset(b *testing.B) {
	for _, op := range []string{"logz", "lossgrad", "padded", "sample"} {
		for _, n := range []int{100, 1000, 16384} {
			for _, k := range []int{4, 5, 16, 64} {
				b.Run(fmt.Sprintf("op=%s/n=%d/k=%d", op, n, k), func(b *testing.B) { benchSubset(b, op, n, k) })
			}
		}
	}
}

// benchSubset takes one row with k random positives. The padded variant picks up
// to k classes with k-1 positives; a sample is one draw after the set-up.
func benchSubset(b *testing.B, op string, n, k int) {
	x, grad := normalScores[float32](n), make([]float32, n)
	rng := rand.New(rand.NewPCG(5, uint64(k)))
	classes := rng.Perm(n)[:k]
	threshold := 0.5
	if op == "padded" {
		classes = classes[:k-1]
	}
	pos := subsetBits(n, classes)
	var logspace logspaceSubset
	var linear linearSubset
	var c subset.Core
	if op == "sample" {
		dst := make([]int, k)
		for _, t := range kernel.Available() {
			b.Run("impl="+t.String(), func(b *testing.B) {
				defer forceTier(t)()
				s := NewSubsetSampler(x, k)
				for b.Loop() {
					s.Draw(rng, dst)
				}
			})
		}
		// One float64 LogSumExp of the row, the bar.
		wide := normalScores[float64](n)
		b.Run("impl=logsumexp", func(b *testing.B) {
			for b.Loop() {
				LogSumExp(wide)
			}
		})
		return
	}
	q := subset.Query{What: subset.Gradient, Pos: pos, Scale: 1}
	if op == "padded" {
		q.Law = subset.Law{Picks: k, Padded: true, Threshold: threshold}
	}
	run := func(name string, f func()) {
		b.Run("impl="+name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/elem")
		})
	}
	switch op {
	case "logz":
		run("logspace", func() { logspace.forward(x, k, nil) })
		run("linear", func() { linear.logZ(x, k) })
	case "lossgrad":
		run("logspace", func() {
			z := logspace.forward(x, k, nil)
			logspace.gradient(grad, x, k, nil, z)
			targetLoss(z, x, grad, classes, 0)
		})
		run("linear", func() { targetLoss(linear.lossGrad(grad, x, k, nil), x, grad, classes, 0) })
	case "padded":
		run("logspace", func() {
			z := logspace.forward(x, k, &threshold)
			logspace.gradient(grad, x, k, &threshold, z)
			targetLoss(z, x, grad, classes, threshold)
		})
		run("linear", func() { targetLoss(linear.lossGrad(grad, x, k, &threshold), x, grad, classes, threshold) })
	}
	for _, t := range kernel.Available() {
		restore := forceTier(t)
		run(t.String(), func() {
			if op == "logz" {
				LogPartition(x, k)
			} else {
				subset.Evaluate(&c, &q, x, grad)
			}
		})
		restore()
	}
}

// TestBenchmarkedRoutes checks that the compared routes compute the same.
func TestBenchmarkedRoutes(t *testing.T) {
	const n, k = 200, 5
	x := normalScores[float32](n)
	classes := []int{3, 77, 150, 8, 9}
	threshold := 0.5
	var logspace logspaceSubset
	var linear linearSubset
	var c subset.Core
	for _, padding := range []*float64{nil, &threshold} {
		q := subset.Query{What: subset.Gradient, Pos: subsetBits(n, classes), Scale: 1}
		if padding != nil {
			q.Law = subset.Law{Picks: k, Padded: true, Threshold: threshold}
		}
		want, a, b := make([]float32, n), make([]float32, n), make([]float32, n)
		loss, _ := subset.Evaluate(&c, &q, x, want)
		z := logspace.forward(x, k, padding)
		logspace.gradient(a, x, k, padding, z)
		near := func(want, got float64) {
			t.Helper()
			if math.Abs(want-got) > 1e-5 {
				t.Errorf("%v, want %v", got, want)
			}
		}
		near(loss, targetLoss(z, x, a, classes, 0))
		near(loss, targetLoss(linear.lossGrad(b, x, k, padding), x, b, classes, 0))
		for i := range want {
			near(float64(want[i]), float64(a[i]))
			near(float64(want[i]), float64(b[i]))
		}
		if padding == nil {
			near(z, linear.logZ(x, k))
		}
	}
}

// lossForms are losses with the forms of what may come to them, plain to begin with.
var lossForms = []struct {
	loss  Loss
	forms []string
}{
	{ZLPR{}, []string{"plain", "weights", "thresholds", "smoothing", "negatives"}},
	{SoftZLPR{}, []string{"soft"}},
	{BCE{}, []string{"plain", "weights", "thresholds", "soft", "soft-weights", "soft-thresholds", "smoothing", "negatives"}},
	{SoftmaxCrossEntropy{}, []string{"plain", "weights", "soft", "smoothing"}},
	{Pairwise{}, []string{"plain", "weights", "negatives"}},
	{Pairwise{Gamma: 1.7}, []string{"gamma"}},
}

// BenchmarkForms evaluates the losses with everything that may come to them: what a form
// costs is the ratio to plain. impl=naive is the formula in float64, an exponential an
// element, and for the hardest negatives a sort.
func BenchmarkForms(b *testing.B) {
	for _, c := range lossForms {
		for _, form := range c.forms {
			b.Run(fmt.Sprintf("loss=%s/form=%s", c.loss.Name(), form), func(b *testing.B) {
				benchOps(b, func(b *testing.B, gradient bool) {
					for _, n := range []int{8, 20, 64, 1000, 30522} {
						b.Run(fmt.Sprintf("type=f32/n=%d", n), func(b *testing.B) { benchForm[float32](b, c.loss, form, gradient, n) })
						b.Run(fmt.Sprintf("type=f64/n=%d", n), func(b *testing.B) { benchForm[float64](b, c.loss, form, gradient, n) })
					}
				})
			})
		}
	}
}

func benchForm[T Float](b *testing.B, loss Loss, form string, gradient bool, n int) {
	rows := benchRows[T](n)
	f := newFormCase[T](loss, form, gradient, rows, n)
	benchImpls(b, func(b *testing.B) {
		for b.Loop() {
			f.naive()
		}
		perElement[T](b, rows*n)
	}, func(b *testing.B) {
		e, err := NewEvaluator[T](loss, f.options)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Evaluate(context.Background(), f.batch, f.out); err != nil {
				b.Fatal(err)
			}
		}
		perElement[T](b, rows*n)
	})
}

// A formCase is a batch for a form of a loss.
type formCase[T Float] struct {
	loss    Loss
	batch   *Batch[T]
	out     *Output[T]
	options Options
	hard    []uint8 // labels

	labels, terms []float64 // of naive: those of a row, what it keeps of its elements
	sorted        []float64
}

func newFormCase[T Float](loss Loss, form string, gradient bool, rows, n int) *formCase[T] {
	y := benchLabels(rows, n, 0.1)
	f := &formCase[T]{
		loss: loss, hard: y, options: Options{Workers: 1},
		batch:  &Batch[T]{Scores: Matrix[T]{rows, n, normalScores[T](rows * n), n}, Labels: labelFormat("bits", rows, n, y)},
		out:    &Output[T]{Losses: make([]float64, rows)},
		labels: make([]float64, n), terms: make([]float64, n),
	}
	if gradient {
		f.out.Grad = Matrix[T]{rows, n, make([]T, rows*n), n}
	}
	if _, one := loss.(SoftmaxCrossEntropy); one {
		targets := &TargetLabels{n, make([]int32, rows)}
		clear(y)
		for i := range targets.Targets {
			targets.Targets[i] = int32(i * 7 % n)
			y[i*n+i*7%n] = 1
		}
		f.batch.Labels = targets
	}
	soft, with, _ := strings.Cut(form, "-")
	if soft == "soft" {
		f.batch.Labels, f.batch.Soft = nil, Matrix[T]{rows, n, make([]T, rows*n), n}
		for i, v := range y {
			f.batch.Soft.Data[i] = T(0.05 + 0.9*float64(v))
		}
	} else {
		with = form
	}
	switch with {
	case "weights":
		f.batch.ClassWeights = make([]float64, n)
		for j := range f.batch.ClassWeights {
			f.batch.ClassWeights[j] = 0.5 + float64(j%7)/5
		}
	case "thresholds":
		f.batch.Thresholds = normalScores[T](rows)
		if gradient {
			f.out.ThresholdGrad = make([]T, rows)
		}
	case "smoothing":
		f.batch.Smoothing = 0.1
	case "negatives":
		f.options.TopNegatives = max(1, n/4)
	}
	return f
}

// naive evaluates the rows by the formula, every class with the terms of both sides.
func (f *formCase[T]) naive() {
	b, n := f.batch, f.batch.Scores.Cols
	for i := range b.Scores.Rows {
		x := b.Scores.Data[i*n:][:n]
		s0, least := 0.0, math.Inf(-1)
		if b.Thresholds != nil {
			s0 = float64(b.Thresholds[i])
		}
		for j, v := range f.hard[i*n:][:n] {
			t := float64(v)
			if b.Soft.Data != nil {
				t = float64(b.Soft.Data[i*n+j])
			}
			if _, one := f.loss.(SoftmaxCrossEntropy); one {
				t = (1-b.Smoothing)*t + b.Smoothing/float64(n)
			} else {
				t = (1-b.Smoothing)*t + b.Smoothing/2
			}
			f.labels[j] = t
		}
		if k := f.options.TopNegatives; k > 0 {
			f.sorted = f.sorted[:0]
			for j, v := range f.hard[i*n:][:n] {
				if v == 0 {
					f.sorted = append(f.sorted, float64(x[j]))
				}
			}
			if len(f.sorted) > k {
				slices.Sort(f.sorted)
				least = f.sorted[len(f.sorted)-k]
			}
		}
		var grad []T
		if f.out.Grad.Data != nil {
			grad = f.out.Grad.Data[i*n:][:n]
		}
		loss, slope := f.naiveRow(grad, x, s0, least)
		f.out.Losses[i] = loss
		if f.out.ThresholdGrad != nil {
			f.out.ThresholdGrad[i] = T(slope)
		}
	}
}

// naiveRow evaluates a row without the negatives below least.
func (f *formCase[T]) naiveRow(grad, x []T, s0, least float64) (loss, slope float64) {
	weight := func(j int) float64 {
		if f.batch.ClassWeights == nil {
			return 1
		}
		return f.batch.ClassWeights[j]
	}
	in := func(j int) bool { return f.labels[j] != 0 || float64(x[j]) >= least }
	var derivative func(j int) float64
	switch l := f.loss.(type) {
	case BCE:
		for j, v := range x {
			y, t := float64(v)-s0, f.labels[j]
			if f.terms[j] = 0; !in(j) {
				continue
			}
			e := math.Exp(-math.Abs(y))
			loss += weight(j) * (max(y, 0) - t*y + math.Log1p(e))
			p := 1 / (1 + e)
			if y < 0 {
				p *= e
			}
			f.terms[j] = weight(j) * (p - t)
		}
		derivative = func(j int) float64 { return f.terms[j] }
	case SoftmaxCrossEntropy:
		top, sum, mass, dot := float64(slices.Max(x)), 0.0, 0.0, 0.0
		for j, v := range x {
			f.terms[j] = math.Exp(float64(v) - top)
			sum += f.terms[j]
			t := weight(j) * f.labels[j]
			mass += t
			dot += t * (float64(v) - top)
		}
		loss = mass*math.Log(sum) - dot
		derivative = func(j int) float64 { return mass*f.terms[j]/sum - weight(j)*f.labels[j] }
	default:
		gamma, product := 1.0, false
		if p, ok := l.(Pairwise); ok {
			product = true
			if p.Gamma != 0 {
				gamma = p.Gamma
			}
		}
		var up, down float64
		for j, v := range x {
			e := 0.0
			if in(j) {
				e = math.Exp(gamma * (float64(v) - s0))
				if t := f.labels[j]; t < 1 {
					up += weight(j) * (1 - t) * e
				}
				if t := f.labels[j]; t > 0 {
					down += weight(j) * t / e
				}
			}
			f.terms[j] = e
		}
		ofUp, ofDown := 1/(1+up), 1/(1+down)
		if loss = math.Log1p(up) + math.Log1p(down); product {
			loss = math.Log1p(up * down)
			ofUp, ofDown = gamma*down/(1+up*down), gamma*up/(1+up*down)
		}
		derivative = func(j int) float64 {
			e, t := f.terms[j], f.labels[j]
			if e == 0 {
				return 0
			}
			return weight(j) * ((1-t)*e*ofUp - t/e*ofDown)
		}
	}
	for j := range grad {
		g := derivative(j)
		slope -= g
		grad[j] = T(g)
	}
	return loss, slope
}

// TestNaiveForms checks that the formulas that BenchmarkForms compares are those of the
// losses.
func TestNaiveForms(t *testing.T) {
	const rows, n = 40, 20
	for _, c := range lossForms {
		for _, form := range c.forms {
			got, want := newFormCase[float64](c.loss, form, true, rows, n), newFormCase[float64](c.loss, form, true, rows, n)
			got.naive()
			e, err := NewEvaluator[float64](c.loss, want.options)
			require.NoError(t, err)
			_, err = e.Evaluate(context.Background(), want.batch, want.out)
			require.NoError(t, err)
			near := func(what string, got, want []float64) {
				t.Helper()
				for i, w := range want {
					if !(math.Abs(got[i]-w) <= 1e-12*max(1, math.Abs(w))) {
						t.Fatalf("%s, %s: %s %d is %v, not %v", c.loss.Name(), form, what, i, got[i], w)
					}
				}
			}
			near("loss", got.out.Losses, want.out.Losses)
			near("derivative", got.out.Grad.Data, want.out.Grad.Data)
			near("derivative by threshold", got.out.ThresholdGrad, want.out.ThresholdGrad)
		}
	}
}

// BenchmarkDistributionBalanced evaluates the distribution-balanced loss, of class sizes that
// fall off as 1/k. impl=naive is the formula: of an element two sigmoids and a softplus.
func BenchmarkDistributionBalanced(b *testing.B) {
	benchOps(b, func(b *testing.B, gradient bool) {
		for _, n := range []int{8, 64, 1000, 30522} {
			b.Run(fmt.Sprintf("type=f32/n=%d", n), func(b *testing.B) { benchDistributionBalanced[float32](b, gradient, n) })
			b.Run(fmt.Sprintf("type=f64/n=%d", n), func(b *testing.B) { benchDistributionBalanced[float64](b, gradient, n) })
		}
	})
}

func benchDistributionBalanced[T Float](b *testing.B, gradient bool, n int) {
	rows := benchRows[T](n)
	y := benchLabels(rows, n, 0.1)
	counts := make([]int, n)
	for j := range counts {
		counts[j] = 1 + 50000/(j+1)
	}
	loss := NewDistributionBalanced(counts, 100000)
	shift := loss.rule().Shift
	benchLoss(b, loss, gradient, rows, n, labelFormat("u8", rows, n, y), func(grad, x []T, i int) float64 {
		y, mass, sum := y[i*n:][:n], 0.0, 0.0
		for j, label := range y {
			if label != 0 {
				mass += 1 / float64(counts[j])
			}
		}
		for j, s := range x {
			r := loss.Alpha + 1/(1+math.Exp(-loss.Beta*(1/float64(counts[j])/mass-loss.Mu)))
			v, scale, sign := loss.NegativeScale*(float64(s)-shift[j]), loss.NegativeScale, 1.0
			if y[j] != 0 {
				v, scale, sign = shift[j]-float64(s), 1, -1
			}
			e := math.Exp(-math.Abs(v))
			sum += r * (max(v, 0) + math.Log1p(e)) / scale
			if grad != nil {
				p := 1 / (1 + e)
				if v < 0 {
					p *= e
				}
				grad[j] = T(sign * r * p)
			}
		}
		return sum
	})
}

// BenchmarkDistillation evaluates divergences from a teacher. impl=naive takes two maxima
// and two sums of exponentials, by which it makes logarithms of probabilities, and one more
// exponential an element for each law; of BCE it takes sigmoids.
func BenchmarkDistillation(b *testing.B) {
	for _, loss := range []Loss{SoftmaxCrossEntropy{}, BCE{}, ZLPR{}} {
		b.Run("loss="+loss.Name(), func(b *testing.B) {
			benchOps(b, func(b *testing.B, gradient bool) {
				for _, n := range []int{64, 1000, 30522} {
					b.Run(fmt.Sprintf("type=f32/n=%d", n), func(b *testing.B) { benchDistillation[float32](b, loss, gradient, n) })
					b.Run(fmt.Sprintf("type=f64/n=%d", n), func(b *testing.B) { benchDistillation[float64](b, loss, gradient, n) })
				}
			})
		})
	}
}

func benchDistillation[T Float](b *testing.B, loss Loss, gradient bool, n int) {
	rows := benchRows[T](n)
	all := normalScores[T](2 * rows * n)
	x, teacher := all[:rows*n], all[rows*n:]
	for i, z := range teacher { // a student that has learned most
		x[i] = z + x[i]/4
	}
	batch := &Batch[T]{Scores: Matrix[T]{rows, n, x, n}, Teacher: Matrix[T]{rows, n, teacher, n}}
	out := &Output[T]{Losses: make([]float64, rows)}
	g := make([]T, rows*n)
	if gradient {
		out.Grad = Matrix[T]{rows, n, g, n}
	}
	e, err := NewEvaluator[T](Distillation{Loss: loss, Temperature: 2}, Options{Workers: 1})
	if err != nil {
		b.Fatal(err)
	}
	benchImpls(b, func(b *testing.B) {
		for b.Loop() {
			for i := range rows {
				var grad []T
				if gradient {
					grad = g[i*n:][:n]
				}
				out.Losses[i] = naiveDistillation(loss, grad, x[i*n:][:n], teacher[i*n:][:n], 2)
			}
		}
		perElement[T](b, rows*n)
	}, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Evaluate(context.Background(), batch, out); err != nil {
				b.Fatal(err)
			}
		}
		perElement[T](b, rows*n)
	})
}

// naiveDistillation is the divergence of a row, and its gradient.
func naiveDistillation[T Float](loss Loss, grad, x, teacher []T, t float64) float64 {
	sum := 0.0
	switch loss.(type) {
	case BCE:
		for j := range x {
			a, z := float64(x[j])/t, float64(teacher[j])/t
			p, q := 1/(1+math.Exp(-z)), 1/(1+math.Exp(-a))
			sum += p*math.Log(p/q) + (1-p)*math.Log((1-p)/(1-q))
			if grad != nil {
				grad[j] = T(t * (q - p))
			}
		}
	case ZLPR:
		var up, down, least float64
		for j := range x {
			a, z := float64(x[j])/t, float64(teacher[j])/t
			label := 1 / (1 + math.Exp(-2*z))
			up += (1 - label) * math.Exp(a)
			down += label * math.Exp(-a)
			least += (1 - label) * math.Exp(z)
		}
		sum = math.Log1p(up) + math.Log1p(down) - 2*math.Log1p(least)
		for j := range grad {
			a, z := float64(x[j])/t, float64(teacher[j])/t
			label := 1 / (1 + math.Exp(-2*z))
			grad[j] = T(t * ((1-label)*math.Exp(a)/(1+up) - label*math.Exp(-a)/(1+down)))
		}
	default:
		lse := func(v []T) float64 {
			top := slices.Max(v)
			s := 0.0
			for _, v := range v {
				s += math.Exp(float64(v-top) / t)
			}
			return float64(top)/t + math.Log(s)
		}
		a, z := lse(x), lse(teacher)
		for j := range x {
			la, lz := float64(x[j])/t-a, float64(teacher[j])/t-z
			p := math.Exp(lz)
			sum += p * (lz - la)
			if grad != nil {
				grad[j] = T(t * (math.Exp(la) - p))
			}
		}
	}
	return t * t * sum
}
