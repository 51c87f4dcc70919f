package zlpr

import (
	"fmt"
	"github.com/zlpr/zlpr/internal/subset"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel"
)

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
