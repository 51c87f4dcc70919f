package metrics

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr"
)

func TestPredict(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for range 500 {
		rows, classes := 1+rng.IntN(9), 1+rng.IntN(100)
		b := randomBatch[float64](rng, rows, classes)
		rule := randomRule(rng, classes)
		if rng.IntN(2) == 0 {
			rule = rule.Listed()
		}
		got, err := Predict(b, rule, 2)
		if err != nil {
			t.Fatal(err)
		}
		b.RowWeights = nil // those of weight 0 are predicted as well
		want := make([]uint64, len(got.Words))
		d := newBrute(b, rule, nil)
		for r := range rows {
			if rest := newBrute(slice(b, r, r+1), rule, nil).rows; len(rest) == 0 {
				continue
			}
			for i, j := range d.rows[0].class {
				if d.rows[0].predicted[i] {
					want[r*got.Stride+j/64] |= 1 << (j % 64)
				}
			}
			d.rows = d.rows[1:]
		}
		for i := range want {
			if got.Words[i] != want[i] {
				t.Fatalf("word %d: %x, want %x", i, got.Words[i], want[i])
			}
		}
	}
}

// TestRules has one row for every rule; 2 and 3 are equal.
func TestRules(t *testing.T) {
	x := []float32{-1, 0.5, 2, 2, 0, 3}
	b := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: 1, Cols: 6, Stride: 6, Data: x}}
	for _, c := range []struct {
		name string
		rule Rule
		want uint64
	}{
		{"zero", Rule{}, 0b101110},
		{"Above(0)", Above(0), 0b101110},
		{"Above(0.5)", Above(0.5), 0b101100},
		{"AboveEach", AboveEach([]float64{-2, 1, 2, 1, -1, 9}), 0b011001},
		{"Top(2)", Top(2), 0b100100},
		{"Top(5)", Top(5), 0b111110},
		{"Top(9)", Top(9), 0b111111},
		{"AtMost(2)", Above(0).AtMost(2), 0b100100},
		{"AtMost(2), few above", Above(2).AtMost(2), 0b100000},
		{"AtMost twice", Above(0).AtMost(2).AtMost(3), 0b100100},
	} {
		got, err := Predict(b, c.rule, 1)
		if err != nil || got.Words[0] != c.want {
			t.Errorf("%s: %06b %v, want %06b", c.name, got.Words[0], err, c.want)
		}
	}
	x[3] = float32(math.NaN())
	var fault *zlpr.DataError
	if _, err := Predict(b, Top(1), 1); !errors.As(err, &fault) || fault.Row != 0 || fault.Class != 3 {
		t.Error(err)
	}
}

func TestProbabilities(t *testing.T) {
	testProbabilities[float32](t, 0x1p-22)
	testProbabilities[float64](t, 0x1p-50) // what we compare with rounds, too
}

func testProbabilities[T zlpr.Float](t *testing.T, bound float64) {
	rng := rand.New(rand.NewPCG(6, 6))
	near := func(got T, want float64) bool {
		return math.Abs(float64(got)-want) <= bound*want
	}
	for range 200 {
		rows, classes := 1+rng.IntN(5), 1+rng.IntN(9)
		b := randomBatch[T](rng, rows, classes)
		dst := zlpr.Matrix[T]{Rows: rows, Cols: classes, Stride: classes, Data: make([]T, rows*classes)}
		var inPlace *Batch[T]
		for _, link := range []Link{Softmax, Sigmoid, DoubleSigmoid} {
			if err := Probabilities(dst, b, link, 1); err != nil {
				t.Fatal(err)
			}
			for r := range rows {
				x, p := b.Scores.Row(r), dst.Row(r)
				s0 := 0.0
				if b.Thresholds != nil {
					s0 = float64(b.Thresholds[r])
				} else if b.ThresholdColumn > 0 {
					s0 = float64(x[b.ThresholdColumn-1])
				}
				part := func(j int) bool {
					return (b.Mask == nil || b.Mask.(denseBits)[r][j]) && j != b.ThresholdColumn-1
				}
				sum, high := 0.0, math.Inf(-1)
				for j, s := range x {
					if part(j) {
						high = max(high, float64(s))
					}
				}
				for j, s := range x {
					if part(j) {
						sum += math.Exp(float64(s) - high)
					}
				}
				for j, s := range x {
					z := float64(s) - s0
					var want float64
					switch {
					case !part(j):
					case link == Softmax && math.IsInf(high, 0), math.IsNaN(z):
						continue // zlpr.Softmax has the limits; infinite threshold
					case link == Softmax:
						want = math.Exp(float64(s)-high) / sum
					case link == Sigmoid:
						want = 1 / (1 + math.Exp(-z))
					default:
						want = 1 / (1 + math.Exp(-2*z))
					}
					if !near(p[j], want) {
						t.Fatalf("link %d of %v: %v, want %v", link, s, p[j], want)
					}
				}
			}
		}
		// In place, by more workers: the same bits.
		inPlace = &Batch[T]{Scores: b.Scores, Mask: b.Mask, Thresholds: b.Thresholds, ThresholdColumn: b.ThresholdColumn}
		if err := Probabilities(inPlace.Scores, inPlace, DoubleSigmoid, 3); err != nil {
			t.Fatal(err)
		}
		for r := range rows {
			for j, p := range dst.Row(r) {
				if q := inPlace.Scores.Row(r)[j]; p != q && p == p {
					t.Fatalf("in place %v, else %v", q, p)
				}
			}
		}
	}
	b := &Batch[T]{Scores: zlpr.Matrix[T]{Rows: 1, Cols: 1, Stride: 1, Data: []T{1}}}
	if Probabilities(zlpr.Matrix[T]{Rows: 1, Cols: 2, Stride: 2, Data: make([]T, 2)}, b, Sigmoid, 1) == nil ||
		Probabilities(b.Scores, b, 7, 1) == nil {
		t.Error("no error")
	}
}

// TestPropensities has the values of the formula.
func TestPropensities(t *testing.T) {
	got := Propensities([]int{0, 1, 10, 1000}, 1000, 0.55, 1.5)
	c := (math.Log(1000) - 1) * math.Pow(2.5, 0.55)
	for j, n := range []float64{0, 1, 10, 1000} {
		if want := 1 / (1 + c*math.Pow(n+1.5, -0.55)); math.Abs(got[j]-want) > 1e-15 {
			t.Errorf("%v positives: %v, want %v", n, got[j], want)
		}
	}
	for _, p := range Propensities([]int{0, 1}, 2, 0.55, 1.5) {
		if p != 1 {
			t.Errorf("two rows: %v", p)
		}
	}
}
