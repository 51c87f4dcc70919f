package ref

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func randomRow(rng *rand.Rand, n, k int) Row {
	r := Row{Threshold: rng.NormFloat64()}
	for i := range n {
		r.Scores = append(r.Scores, 3*rng.NormFloat64())
		r.Positive = append(r.Positive, i < k)
		r.Soft = append(r.Soft, rng.Float64())
		r.Weights = append(r.Weights, rng.ExpFloat64())
	}
	rng.Shuffle(n, func(i, j int) { r.Positive[i], r.Positive[j] = r.Positive[j], r.Positive[i] })
	return r
}

func sameResult(t *testing.T, what string, x, y Result) {
	t.Helper()
	sameTo(t, x.Loss, y.Loss, what)
	for i := range x.Grad {
		sameTo(t, x.Grad[i], y.Grad[i], what, "gradient", i)
	}
}

var losses = []struct {
	name string
	f    func(Row) Result
}{
	{"bce", func(r Row) Result { return r.BCE(nil, 0) }},
	{"bce weighted", func(r Row) Result { return r.BCE(r.Soft, 0) }},
	{"bce focal", func(r Row) Result { return r.BCE(r.Soft, 2.5) }},
	{"pairwise", func(r Row) Result { return r.Pairwise(1, 0) }},
	{"pairwise gamma", func(r Row) Result { return r.Pairwise(1.75, 0.3) }},
	{"zlpr", Row.ZLPR},
	{"zlpr soft", Row.SoftZLPR},
	{"subset", Row.Subset},
	{"padded", func(r Row) Result { return r.PaddedSubset(len(r.classes(true)) + 2) }},
	{"padded, no room", func(r Row) Result { return r.PaddedSubset(len(r.classes(true))) }},
	{"softmax", Row.SoftmaxCrossEntropy},
}

// TestGradients compares every derivative with a central difference of step
// h = 2^-40, whose error is about h²/6 times the third derivative.
func TestGradients(t *testing.T) {
	const h = 0x1p-40
	rng := rand.New(rand.NewPCG(1, 1))
	for _, loss := range losses {
		for range 4 {
			k := 3
			if loss.name == "softmax" {
				k = 1
			}
			r := randomRow(rng, 8, k)
			r.Mask = []bool{true, true, true, true, true, true, true, true}
			for i := range r.Scores { // leave one negative out
				if !r.Positive[i] {
					r.Mask[i] = false
					break
				}
			}
			// Steps must be exact.
			for i := range r.Scores {
				r.Scores[i] = math.Round(r.Scores[i]*256) / 256
			}
			r.Threshold = math.Round(r.Threshold*256) / 256
			got := loss.f(r)
			check := func(what string, derivative *big.Float, x *float64) {
				old := *x
				*x = old + h
				up := loss.f(r).Loss
				*x = old - h
				down := loss.f(r).Loss
				*x = old
				difference := Quo(Sub(up, down), New(2*h))
				if e, _ := Sub(derivative, difference).Float64(); math.Abs(e) > 20*h*h {
					t.Errorf("%s, %s: derivative %.20g, difference %.20g", loss.name, what, derivative, difference)
				}
			}
			for i := range r.Scores {
				check(fmt.Sprint("class ", i), got.Grad[i], &r.Scores[i])
			}
			check("threshold", got.Threshold, &r.Threshold)
		}
	}
}

// TestFamily checks each loss against the one formula of the family.
func TestFamily(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for n := range 9 {
		for k := range n + 1 {
			r := randomRow(rng, n, k)
			sameResult(t, "zlpr", r.ZLPR(), r.family(func(a, b int) bool { return a <= 1 && b <= 1 }))
			sameResult(t, "pairwise", r.Pairwise(1, 0), r.family(func(a, b int) bool { return a == b && a <= 1 }))

			r.Weights = nil
			bce := r.BCE(nil, 0)
			sameResult(t, "bce", bce, r.PaddedSubset(n))
			subset := r.Subset()
			if k == 1 {
				sameResult(t, "softmax", r.SoftmaxCrossEntropy(), subset)
			}
			// pairwise ≤ subset ≤ padded, growing with K, ≤ BCE.
			previous := r.Pairwise(1, 0).Loss
			increasing := func(what string, loss *big.Float) {
				if d := Sub(loss, previous); d.Sign() < 0 && d.MantExp(nil) > -Prec {
					t.Errorf("n = %d, k = %d: %s is %g below the one before", n, k, what, d)
				}
				previous = loss
			}
			increasing("subset", subset.Loss)
			for j := k; j <= n; j++ {
				padded := r.PaddedSubset(j).Loss
				if zlpr := r.ZLPR().Loss; j > k && padded.Cmp(zlpr) < 0 && Sub(zlpr, padded).MantExp(nil) > -Prec {
					t.Errorf("n = %d, k = %d: padded %d below ZLPR", n, k, j)
				}
				increasing(fmt.Sprint("padded ", j), padded)
			}
			increasing("bce", bce.Loss)

			// Soft labels of 0 and 1 are hard ones.
			for i := range r.Soft {
				r.Soft[i] = 0
				if r.Positive[i] {
					r.Soft[i] = 1
				}
			}
			sameResult(t, "soft", r.ZLPR(), r.SoftZLPR())
		}
	}
}

// TestHuge: scores at the ends of the float types.
func TestHuge(t *testing.T) {
	r := Row{
		Scores:   []float64{3e38, 1, -3e38, 2},
		Positive: []bool{false, true, true, false},
	}
	for _, c := range []struct {
		name string
		got  Result
		want *big.Float
	}{
		{"zlpr", r.ZLPR(), New(6e38)},
		{"bce", r.BCE(nil, 0), New(6e38)},
		{"pairwise", r.Pairwise(1, 0), New(6e38)},
	} {
		if e, _ := Quo(Sub(c.got.Loss, c.want), c.want).Float64(); math.Abs(e) > 1e-16 {
			t.Errorf("%s is %g", c.name, c.got.Loss)
		}
		for i, want := range []float64{1, 0, -1, 0} {
			if g, _ := c.got.Grad[i].Float64(); c.name != "bce" && math.Abs(g-want) > 1e-300 {
				t.Errorf("%s: gradient %d is %g", c.name, i, g)
			}
		}
	}
	// A loss far below the smallest float64 keeps its digits.
	r = Row{Scores: []float64{-5000, 6000}, Positive: []bool{false, true}}
	sameTo(t, r.ZLPR().Loss, Exp(New(-5000)), "tiny")
	minusInf := Row{Scores: []float64{math.Inf(-1), 1}, Positive: []bool{false, true}}
	sameTo(t, minusInf.ZLPR().Loss, Softplus(New(-1)), "negative at -Inf")
}

func BenchmarkZLPR(b *testing.B) {
	r := randomRow(rand.New(rand.NewPCG(1, 1)), 256, 20)
	for b.Loop() {
		r.ZLPR()
	}
}
