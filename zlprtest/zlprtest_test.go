package zlprtest

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/zlpr/zlpr/internal/ref"
)

var two = Row{Scores: []float64{2, -1, 0.5}, Positive: []bool{true, false, false}, Soft: []float64{1, 0, 0.25}}

// TestLosses compares with the formulas in float64.
func TestLosses(t *testing.T) {
	softplus := func(x float64) float64 { return math.Log1p(math.Exp(x)) }
	a, b := math.Exp(-1)+math.Exp(0.5), math.Exp(-2)
	for name, want := range map[string]float64{
		"softmax":       math.Log1p(a * b),
		"bce":           softplus(-2) + softplus(-1) + softplus(0.5),
		"pairwise":      math.Log1p(a * b),
		"zlpr":          math.Log1p(a) + math.Log1p(b),
		"zlpr-soft":     math.Log1p(math.Exp(-1)+0.75*math.Exp(0.5)) + math.Log1p(math.Exp(-2)+0.25*math.Exp(-0.5)),
		"subset":        math.Log1p(a * b),
		"subset-padded": math.Log(1 + b*(1+a)), // K = k: a ≤ b
	} {
		result, err := Loss{Name: name}.Evaluate(two)
		if err != nil {
			t.Fatal(err)
		}
		loss, grad, threshold := result.Float64()
		if math.Abs(loss-want) > 1e-14 {
			t.Errorf("%s is %g, want %g", name, loss, want)
		}
		sum := threshold
		for _, g := range grad {
			sum += g
		}
		if math.Abs(sum) > 1e-14 {
			t.Errorf("%s: the derivatives sum to %g", name, sum)
		}
	}
	for _, name := range Names() {
		if _, err := (Loss{Name: name, Counts: make([]int, len(two.Scores)), Rows: 1}).Evaluate(two); err != nil {
			t.Error(err)
		}
	}
}

func TestParameters(t *testing.T) {
	row := two
	row.Threshold = 0.25
	row.ClassWeights = []float64{2, 1, 3}
	row.Mask = []bool{true, false, true}
	row.Scores = []float64{2, math.NaN(), 0.5}
	for _, c := range []struct {
		loss Loss
		want float64
	}{
		{Loss{Name: "bce", PositiveWeight: []float64{5, 1, 1}}, 10*math.Log1p(math.Exp(-1.75)) + 3*math.Log1p(math.Exp(0.25))},
		{Loss{Name: "pairwise", Gamma: 2, Margin: 0.125}, math.Log1p(6 * math.Exp(1.25-4))},
		{Loss{Name: "zlpr"}, math.Log1p(3*math.Exp(0.25)) + math.Log1p(2*math.Exp(-1.75))},
		{Loss{Name: "subset-padded", K: 2}, math.Log1p(3*math.Exp(0.25)) + math.Log1p(2*math.Exp(-1.75))},
	} {
		result, err := c.loss.Evaluate(row)
		if err != nil {
			t.Fatal(err)
		}
		loss, grad, _ := result.Float64()
		if math.Abs(loss-c.want) > 1e-14 || grad[1] != 0 {
			t.Errorf("%s is %g, want %g; gradient %g", c.loss.Name, loss, c.want, grad)
		}
	}
}

func TestErrors(t *testing.T) {
	for want, c := range map[string]struct {
		loss Loss
		row  Row
	}{
		"no loss":         {Loss{Name: "hinge"}, two},
		"Positive":        {Loss{Name: "zlpr"}, Row{Scores: []float64{1}}},
		"Soft":            {Loss{Name: "zlpr-soft"}, Row{Scores: []float64{1}}},
		"Mask":            {Loss{Name: "zlpr"}, Row{Scores: []float64{1}, Positive: []bool{true}, Mask: []bool{}}},
		"score is NaN":    {Loss{Name: "zlpr"}, Row{Scores: []float64{math.NaN()}, Positive: []bool{true}}},
		"masked out":      {Loss{Name: "zlpr"}, Row{Scores: []float64{1}, Positive: []bool{true}, Mask: []bool{false}}},
		"weight is -1":    {Loss{Name: "zlpr"}, Row{Scores: []float64{1}, Positive: []bool{true}, ClassWeights: []float64{-1}}},
		"positive weight": {Loss{Name: "bce", PositiveWeight: []float64{math.Inf(1)}}, Row{Scores: []float64{1}, Positive: []bool{true}}},
		"soft label":      {Loss{Name: "zlpr-soft"}, Row{Scores: []float64{1}, Soft: []float64{1.5}}},
		"0 positive":      {Loss{Name: "softmax"}, Row{Scores: []float64{1}, Positive: []bool{false}}},
		"K is 1":          {Loss{Name: "subset-padded", K: 1}, Row{Scores: []float64{1, 2}, Positive: []bool{true, true}}},
		"parameter":       {Loss{Name: "pairwise", Gamma: math.NaN()}, two},
	} {
		if _, err := c.loss.Evaluate(c.row); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one about %q", err, want)
		}
	}
}

func TestDistances(t *testing.T) {
	if u := ULP32(1+0x1p-22, big.NewFloat(1)); u != 2 {
		t.Errorf("ULP32 is %g", u)
	}
	if u := ULP64(1+0x1p-51, big.NewFloat(1)); u != 2 {
		t.Errorf("ULP64 is %g", u)
	}
	if u := Spacings(float32(1.5), big.NewFloat(1.5+0x1p-24)); u != 0.5 {
		t.Errorf("Spacings is %g", u)
	}
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if u := ULP64(x, big.NewFloat(1)); !math.IsInf(u, 1) {
			t.Errorf("ULP64(%g) is %g", x, u)
		}
	}
}

func TestSoftmax(t *testing.T) {
	x := []float64{1, 2, 800}
	sum := new(big.Float)
	for _, p := range Softmax(x) {
		sum.Add(sum, p)
	}
	if u := ULP64(1, sum); u > 1e-50 {
		t.Errorf("the entries sum to %g", sum)
	}
	for _, x := range [][]float64{nil, {math.NaN()}, {1, math.NaN()}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("LogSumExp(%v) does not panic", x)
				}
			}()
			LogSumExp(x)
		}()
	}
}

// TestInfinite: infinite scores have their limits.
func TestInfinite(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		loss     Loss
		scores   []float64
		positive []bool
		want     float64
		grad     []float64
	}{
		{Loss{Name: "zlpr"}, []float64{inf, 0, 1}, []bool{false, true, false}, inf, []float64{1, -0.5, 0}},
		{Loss{Name: "zlpr"}, []float64{inf, inf}, []bool{false, false}, inf, []float64{0.5, 0.5}},
		{Loss{Name: "zlpr"}, []float64{-inf, inf}, []bool{false, true}, 0, []float64{0, 0}},
		{Loss{Name: "zlpr"}, []float64{-inf, 0}, []bool{true, false}, inf, []float64{-1, 0.5}},
		{Loss{Name: "bce"}, []float64{inf, -inf, 0}, []bool{false, false, true}, inf, []float64{1, 0, -0.5}},
		{Loss{Name: "bce", Focal: 2}, []float64{inf, -inf}, []bool{false, false}, inf, []float64{1, 0}},
		{Loss{Name: "pairwise"}, []float64{-inf, 0, 0}, []bool{false, true, false}, math.Ln2, []float64{0, -0.5, 0.5}},
		{Loss{Name: "pairwise", Gamma: 2}, []float64{inf, 0, 0}, []bool{false, true, false}, inf, []float64{2, -2, 0}},
		{Loss{Name: "pairwise"}, []float64{inf, 0}, []bool{false, false}, 0, []float64{0, 0}},
		{Loss{Name: "softmax"}, []float64{inf, inf}, []bool{false, true}, math.Ln2, []float64{0.5, -0.5}},
		{Loss{Name: "softmax"}, []float64{0, -inf}, []bool{false, true}, inf, []float64{1, -1}},
		{Loss{Name: "subset"}, []float64{inf, 0}, []bool{false, false}, 0, []float64{0, 0}},
		{Loss{Name: "subset"}, []float64{inf, 0, 0}, []bool{true, true, false}, math.Ln2, []float64{0, -0.5, 0.5}},
		{Loss{Name: "subset-padded", K: 2}, []float64{inf, 0, -inf}, []bool{true, false, false}, math.Ln2, []float64{0, 0.5, 0}},
	} {
		result, err := c.loss.Evaluate(Row{Scores: c.scores, Positive: c.positive})
		if err != nil {
			t.Fatal(err)
		}
		loss, grad, _ := result.Float64()
		if loss != c.want || !slices.Equal(grad, c.grad) {
			t.Errorf("%+v of %v: %v, gradient %v", c.loss, c.scores, loss, grad)
		}
	}
	for _, c := range []struct {
		x    []float64
		k    int
		want float64
	}{
		{[]float64{inf, 1}, 0, 0},
		{[]float64{inf, 1}, 1, inf},
		{[]float64{-inf, 1}, 1, 1},
		{[]float64{-inf, 1}, 2, -inf},
		{[]float64{1}, 2, -inf},
		{[]float64{inf, 1, -inf}, 3, 1},
	} {
		if got, _ := LogPartition(c.x, c.k).Float64(); got != c.want {
			t.Errorf("LogPartition(%v, %d) is %v", c.x, c.k, got)
		}
	}
	if got, _ := PaddedLogPartition([]float64{-inf, 3}, 2, 3).Float64(); ULP64(got, ref.Add(ref.New(6), ref.Ln2())) > 0.5 {
		t.Errorf("padded: %v", got)
	}
	if got, _ := LogSumExp([]float64{-inf, inf}).Float64(); got != inf {
		t.Errorf("LogSumExp is %v", got)
	}
	if got, _ := Softmax([]float64{inf, 1, inf})[2].Float64(); got != 0.5 {
		t.Errorf("Softmax is %v", got)
	}
}

// TestCancel: a logarithm keeps its digits where it cancels against the largest
// score, or against 0.
func TestCancel(t *testing.T) {
	minus := -math.Ln2
	x := []float64{minus, minus} // log 2 - ln2, the error of the rounded ln2
	want := ref.Add(ref.Ln2(), ref.New(minus))
	if u := ref.AbsError(1, ref.Quo(LogSumExp(x), want), ref.New(1), 0x1p-52); u > 1e-20 {
		t.Errorf("LogSumExp(%v) is %g, want %g", x, LogSumExp(x), want)
	}
	if got := LogPartition([]float64{minus, minus, -math.MaxFloat64}, 1); ref.AbsError(1, ref.Quo(got, want), ref.New(1), 0x1p-52) > 1e-20 {
		t.Errorf("LogPartition is %g, want %g", got, want)
	}
	if got := LogPartition([]float64{0, -1e6}, 1); ref.AbsError(1, ref.Quo(got, ref.Exp(ref.New(-1e6))), ref.New(1), 0x1p-52) > 1e-20 {
		t.Errorf("LogPartition is %g", got)
	}
	in, out := SubsetProbabilities([]float64{0, -1e5, math.MaxFloat64}, 2)
	if sum, _ := ref.Add(ref.Add(in[0], in[1]), in[2]).Float64(); sum != 2 {
		t.Errorf("the probabilities sum to %g", sum)
	}
	if p, _ := ref.Quo(out[0], ref.Exp(ref.New(-1e5))).Float64(); p != 1 {
		t.Errorf("a small probability is off by %g", p)
	}
}

// TestSoftmaxWeights: the target's weight multiplies the loss of softmax, and weights 0
// leave no class out, as in package zlpr and in PyTorch.
func TestSoftmaxWeights(t *testing.T) {
	x := []float64{1, 2, -0.5, math.Inf(1)}
	near := func(got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 1e-14*want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	for _, name := range []string{"softmax", "class-balanced-softmax"} {
		evaluate := func(n int, weights ...float64) (loss float64, grad []float64) {
			t.Helper()
			row := Row{Scores: x[:n], Positive: make([]bool, n), ClassWeights: weights}
			row.Positive[0] = true
			r, err := Loss{Name: name, Counts: slices.Repeat([]int{1}, n)}.Evaluate(row)
			if err != nil {
				t.Fatal(err)
			}
			loss, grad, _ = r.Float64()
			return loss, grad
		}
		loss, grad := evaluate(3, 3, 0, 0)
		near(loss, 3*math.Log1p(math.E+math.Exp(-1.5)))
		near(grad[1], 3*math.E/(1+math.E+math.Exp(-1.5)))
		if loss, grad = evaluate(4, 0, 1, 1, 1); loss != 0 || slices.ContainsFunc(grad, func(g float64) bool { return g != 0 }) {
			t.Errorf("weight 0: %v, %v", loss, grad)
		}
	}
}
