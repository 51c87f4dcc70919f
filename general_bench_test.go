package zlpr

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

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
