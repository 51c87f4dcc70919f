package zlpr

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zlpr/zlpr/internal/ref"
)

// TestClassBalancedWeights compares with exact powers.
func TestClassBalancedWeights(t *testing.T) {
	counts := []int{0, 1, 2, 10, 1000, 5}
	for _, beta := range []float64{0, 0.5, 0.9, 0.999, 0.9999999, 1e-30} {
		var exact []*big.Float
		total := new(big.Float).SetPrec(400)
		for _, n := range counts {
			power := big.NewFloat(1).SetPrec(400)
			for range max(1, n) {
				power.Mul(power, new(big.Float).SetPrec(400).SetFloat64(beta))
			}
			one := big.NewFloat(1).SetPrec(400)
			w := new(big.Float).SetPrec(400).Sub(one, new(big.Float).SetFloat64(beta))
			w.Quo(w, one.Sub(one, power))
			exact = append(exact, w)
			total.Add(total, w)
		}
		for j, got := range ClassBalancedWeights(counts, beta) {
			want, _ := exact[j].Mul(exact[j], big.NewFloat(float64(len(counts)))).Quo(exact[j], total).Float64()
			require.InEpsilon(t, want, got, 0x1p-46, "beta %v class %d", beta, j)
		}
	}
	require.Panics(t, func() { ClassBalancedWeights(counts, 1) })
	require.Panics(t, func() { ClassBalancedWeights([]int{-1}, 0.5) })
	require.Empty(t, ClassBalancedWeights(nil, 0.5))
}

// TestLogitAdjustment compares with the formula in big.Float.
func TestLogitAdjustment(t *testing.T) {
	counts := []int{0, 1, 2, 10, 100000, 5}
	for _, tau := range []float64{0, 1, -0.5, 1.7} {
		for j, got := range LogitAdjustment(counts, tau) {
			share := ref.Quo(ref.New(float64(max(1, counts[j]))), ref.New(100019))
			want, _ := ref.Mul(ref.New(tau), ref.Log(share)).Float64()
			require.InDelta(t, want, got, 0x1p-50*(math.Abs(want)+math.Abs(tau)), "tau %v class %d", tau, j)
		}
	}
	require.Panics(t, func() { LogitAdjustment(counts, math.NaN()) })
	require.Panics(t, func() { LogitAdjustment([]int{-1}, 1) })
	require.Empty(t, LogitAdjustment(nil, 1))
}

// authors are the authors' formulas of one row, in numpy and float64.
const authors = `
import sys, numpy as np
lines = [np.array([float(v) for v in l.split()]) for l in sys.stdin.read().splitlines()]
for s, y in zip(lines[0::2], lines[1::2]):
    x = 1 / (1 + np.exp(-s))
    # AsymmetricLoss(gamma_neg=4, gamma_pos=1, clip=0.05)
    neg = np.minimum(1 - x + 0.05, 1)
    loss = y * np.log(x) + (1 - y) * np.log(neg)
    pt = x * y + neg * (1 - y)
    print(repr(float(-(loss * (1 - pt) ** (1 * y + 4 * (1 - y))).sum())))
    # TwoWayLoss(Tp=4, Tn=1), sample-wise
    lse = lambda v: v.max() + np.log(np.exp(v - v.max()).sum())
    z = 4 * lse(-s[y == 1] / 4) + lse(s[y == 0])
    print(repr(float(np.logaddexp(0, z))))
    # ResampleLoss(reweight_func="rebalance", focal off, logit_reg=dict(neg_scale=2, init_bias=0.05),
    # map_param=dict(alpha=0.1, beta=10, gamma=0.3)), the mean over the classes as their sum
    freq = np.arange(len(s)) * 3.0 + 1
    bias = -np.log(1000 / freq - 1) * 0.05 / 2
    rate = (y / freq).sum()
    weight = 1 / (1 + np.exp(-10 * (1 / freq / rate - 0.3))) + 0.1
    z = s + bias
    z = z * (1 - y) * 2 + z * y
    weight = weight / 2 * (1 - y) + weight * y
    print(repr(float((weight * (np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))))).sum())))
    # kl_div(log_softmax(s/T), softmax(s'/T)) * T^2 with s' = 2 sin(s), T = 3; the loss of soft
    # labels of ZLPR less its minimum
    a, b = s / 3, 2 * np.sin(s) / 3
    la, lb = a - lse(a), b - lse(b)
    print(repr(float(9 * (np.exp(lb) * (lb - la)).sum())))
    u = 1 / (1 + np.exp(-2 * b))
    zlpr = lambda v: np.log1p(((1 - u) * np.exp(v)).sum()) + np.log1p((u * np.exp(-v)).sum())
    print(repr(float(9 * (zlpr(a) - zlpr(b)))))
    # binary_cross_entropy_with_logits and cross_entropy of soft targets
    t = np.abs(np.sin(s))
    print(repr(float((np.maximum(s, 0) - s * t + np.log1p(np.exp(-np.abs(s)))).sum())))
    print(repr(float((t * (lse(s) - s)).sum())))
    # CB_loss(…, loss_type="sigmoid" and "focal", beta=0.99, gamma=2), every term with its class's
    # weight, and "softmax", the target being class 0
    v = (1 - 0.99) / (1 - 0.99 ** freq)
    v = v / v.sum() * len(s)
    bce = np.logaddexp(0, -s) * y + np.logaddexp(0, s) * (1 - y)
    print(repr(float((v * bce).sum())))
    print(repr(float((v * bce * (1 - np.exp(-bce)) ** 2).sum())))
    print(repr(float(v[0] * (lse(s) - s[0]))))
    # cross_entropy(…, label_smoothing=0.1)
    print(repr(float(0.9 * (lse(s) - s[0]) + 0.1 * (lse(s) - s).mean())))
`

// TestAuthorsFormulas compares losses with the formulas of their papers in numpy.
func TestAuthorsFormulas(t *testing.T) {
	python := ""
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(p, "-c", "import numpy").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		t.Skip("SKIPPED: no python3 with numpy; the authors' formulas are not compared with")
	}
	r := rand.New(rand.NewPCG(91, 92))
	const rows, n, each = 20, 30, 11
	var in strings.Builder
	x, positive := make([]float64, rows*n), make([]bool, rows*n)
	for i := range rows {
		var labels strings.Builder
		for j := range n {
			x[i*n+j], positive[i*n+j] = 3*r.NormFloat64(), j == 0 || j > 1 && r.IntN(5) == 0
			fmt.Fprintf(&in, "%s ", strconv.FormatFloat(x[i*n+j], 'g', -1, 64))
			fmt.Fprintf(&labels, "%d ", map[bool]int{true: 1}[positive[i*n+j]])
		}
		fmt.Fprintf(&in, "\n%s\n", labels.String())
	}
	command := exec.Command(python, "-c", authors+softTargets)
	command.Stdin = strings.NewReader(in.String())
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	want := strings.Fields(string(out))
	require.Len(t, want, each*rows+rows*n)
	number := func(k int) float64 {
		v, err := strconv.ParseFloat(want[k], 64)
		require.NoError(t, err)
		return v
	}
	hard := &Batch[float64]{Scores: Matrix[float64]{rows, n, x, n}, Labels: &DenseLabels[bool]{rows, n, positive, n}}
	soft := &Batch[float64]{Scores: hard.Scores, Soft: newGrad(hard)}
	for k := range soft.Soft.Data {
		soft.Soft.Data[k] = number(each*rows + k)
	}
	taught := &Batch[float64]{Scores: hard.Scores, Teacher: newGrad(hard)}
	for k, v := range x {
		taught.Teacher.Data[k] = 2 * math.Sin(v)
	}
	target := &Batch[float64]{Scores: hard.Scores, Labels: &TargetLabels{Classes: n, Targets: make([]int32, rows)}}
	smooth := *target
	smooth.Smoothing = 0.1
	counts := make([]int, n)
	for j := range counts {
		counts[j] = 3*j + 1
	}
	balanced := NewDistributionBalanced(counts, 1000)
	balanced.Kappa /= 2 // by λ, as the authors' code has it
	for k, of := range []struct {
		loss  Loss
		batch *Batch[float64]
	}{
		{Asymmetric{GammaPositive: 1, GammaNegative: 4, Shift: 0.05}, hard},
		{TwoWay{PositiveTemperature: 4}, hard},
		{balanced, hard},
		{Distillation{Loss: SoftmaxCrossEntropy{}, Temperature: 3}, taught},
		{Distillation{Loss: ZLPR{}, Temperature: 3}, taught},
		{BCE{}, soft},
		{SoftmaxCrossEntropy{}, soft},
		{ClassBalanced{Loss: BCE{}, Counts: counts, Beta: 0.99}, hard},
		{ClassBalanced{Loss: BCE{Focal: 2}, Counts: counts, Beta: 0.99}, hard},
		{ClassBalanced{Loss: SoftmaxCrossEntropy{}, Counts: counts, Beta: 0.99}, target},
		{SoftmaxCrossEntropy{}, &smooth},
	} {
		_, losses, _ := evalBatch(t, of.loss, Options{}, of.batch, Output[float64]{})
		for i, l := range losses {
			require.InEpsilon(t, number(each*i+k), l, 1e-12, "%s row %d", of.loss.Name(), i)
		}
	}
}

// softTargets prints the targets that the formulas have taken.
const softTargets = `
for s in lines[0::2]:
    for v in np.abs(np.sin(s)):
        print(repr(float(v)))
`

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
