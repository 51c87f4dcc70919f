package zlpr

import (
	"fmt"
	"math"
	"testing"
)

// BenchmarkAsymmetric evaluates the asymmetric loss. impl=naive is the formula: of an
// element a sigmoid, a logarithm and a power.
func BenchmarkAsymmetric(b *testing.B) {
	benchOps(b, func(b *testing.B, gradient bool) {
		b.Run("type=f32", func(b *testing.B) { benchAsymmetric[float32](b, gradient) })
		b.Run("type=f64", func(b *testing.B) { benchAsymmetric[float64](b, gradient) })
	})
}

func benchAsymmetric[T Float](b *testing.B, gradient bool) {
	for _, n := range []int{8, 64, 1000, 30522} {
		rows := benchRows[T](n)
		y := benchLabels(rows, n, 0.1)
		for _, loss := range []Asymmetric{{GammaNegative: 4}, {GammaNegative: 4, Shift: 0.05}, {GammaPositive: 1, GammaNegative: 2.5, Shift: 0.05}} {
			name := fmt.Sprintf("n=%d/positive=%g/negative=%g/shift=%g", n, loss.GammaPositive, loss.GammaNegative, loss.Shift)
			b.Run(name, func(b *testing.B) {
				benchLoss(b, loss, gradient, rows, n, labelFormat("u8", rows, n, y), func(grad, x []T, i int) float64 {
					return naiveAsymmetric(loss, grad, x, y[i*n:][:n])
				})
			})
		}
	}
}

func naiveAsymmetric[T Float](loss Asymmetric, grad, x []T, y []uint8) (sum float64) {
	for j, s := range x {
		p := 1 / (1 + math.Exp(-float64(s)))
		g := 0.0
		if y[j] != 0 {
			l, w := -math.Log(p), math.Pow(1-p, loss.GammaPositive)
			sum += w * l
			g = -w * (loss.GammaPositive*p*l + 1 - p)
		} else if r := p - loss.Shift; r > 0 {
			l, w := -math.Log(1-r), math.Pow(r, loss.GammaNegative)
			sum += w * l
			g = p * (1 - p) * w * (loss.GammaNegative*l/r + 1/(1-r))
		}
		if grad != nil {
			grad[j] = T(g)
		}
	}
	return sum
}

// BenchmarkTwoWay evaluates the two-way loss at the paper's temperatures and at one that
// is no power of two. impl=naive takes two maxima, two sums of exponentials, and one more
// exponential an element for the gradient.
func BenchmarkTwoWay(b *testing.B) {
	benchOps(b, func(b *testing.B, gradient bool) {
		b.Run("type=f32", func(b *testing.B) { benchTwoWay[float32](b, gradient) })
		b.Run("type=f64", func(b *testing.B) { benchTwoWay[float64](b, gradient) })
	})
}

func benchTwoWay[T Float](b *testing.B, gradient bool) {
	for _, n := range []int{8, 64, 1000, 30522} {
		rows := benchRows[T](n)
		y := benchLabels(rows, n, 0.1)
		for _, temperature := range []float64{4, 2.5} {
			b.Run(fmt.Sprintf("n=%d/positive=%g/negative=1", n, temperature), func(b *testing.B) {
				loss := TwoWay{PositiveTemperature: temperature}
				benchLoss(b, loss, gradient, rows, n, labelFormat("u8", rows, n, y), func(grad, x []T, i int) float64 {
					return naiveTwoWay(grad, x, y[i*n:][:n], [2]float64{1, temperature})
				})
			})
		}
	}
}

// naiveTwoWay has the temperature of the negatives first.
func naiveTwoWay[T Float](grad, x []T, y []uint8, temperature [2]float64) float64 {
	top, sum := [2]float64{math.Inf(-1), math.Inf(-1)}, [2]float64{}
	term := func(j int) (side int, v float64) {
		if y[j] != 0 {
			return 1, -float64(x[j]) / temperature[1]
		}
		return 0, float64(x[j]) / temperature[0]
	}
	for j := range x {
		side, v := term(j)
		top[side] = max(top[side], v)
	}
	for j := range x {
		side, v := term(j)
		sum[side] += math.Exp(v - top[side])
	}
	z := 0.0
	for side, t := range temperature {
		z += t * (top[side] + math.Log(sum[side]))
	}
	if grad != nil {
		p := 1 / (1 + math.Exp(-z))
		for j := range x {
			side, v := term(j)
			g := p * math.Exp(v-top[side]) / sum[side]
			if side == 1 {
				g = -g
			}
			grad[j] = T(g)
		}
	}
	return max(z, 0) + math.Log1p(math.Exp(-math.Abs(z)))
}

// BenchmarkSignedLogSumExp takes rows of terms of both signs. impl=naive is a maximum and a
// sum of factors times exponentials.
func BenchmarkSignedLogSumExp(b *testing.B) {
	benchTypes(b, benchSignedLogSumExp[float32], benchSignedLogSumExp[float64])
}

func benchSignedLogSumExp[T Float](b *testing.B, n int) {
	rows := benchRows[T](n)
	x := Matrix[T]{rows, n, normalScores[T](rows * n), n}
	factors := Matrix[T]{rows, n, make([]T, rows*n), n}
	for i := range factors.Data {
		factors.Data[i] = T(1 - 2*float64(i%10/9)) // one in ten is taken off
	}
	lse, sign := make([]float64, rows), make([]float64, rows)
	benchImpls(b, func(b *testing.B) {
		for b.Loop() {
			for i := range rows {
				row, f := x.Row(i), factors.Row(i)
				m := row[0]
				for _, v := range row {
					m = max(m, v)
				}
				sum := 0.0
				for j, v := range row {
					sum += float64(f[j]) * math.Exp(float64(v-m))
				}
				lse[i], sign[i] = float64(m)+math.Log(math.Abs(sum)), math.Copysign(1, sum)
			}
		}
		perElement[T](b, rows*n)
	}, func(b *testing.B) {
		for b.Loop() {
			SignedLogSumExpRows(lse, sign, nil, x, factors)
		}
		perElement[T](b, rows*n)
	})
}
