package zlprtest_test

import (
	"fmt"
	"math"

	"github.com/zlpr/zlpr/zlprtest"
)

// The textbook difference of a log-sum-exp and the target's score loses the
// digits of a small loss.
func ExampleLoss_Evaluate() {
	row := zlprtest.Row{
		Scores:   []float64{30, 2, 1},
		Positive: []bool{true, false, false},
	}
	exact, err := zlprtest.Loss{Name: "softmax"}.Evaluate(row)
	if err != nil {
		fmt.Println(err)
		return
	}
	textbook := math.Log(math.Exp(30)+math.Exp(2)+math.Exp(1)) - 30
	careful := math.Log1p(math.Exp(2-30) + math.Exp(1-30))
	fmt.Printf("exact    %.15e\n", exact.Loss)
	fmt.Printf("textbook off by more than 10^9 ULP: %v\n", zlprtest.ULP64(textbook, exact.Loss) > 1e9)
	fmt.Printf("log1p within 3 ULP: %v\n", zlprtest.ULP64(careful, exact.Loss) < 3)
	// Output:
	// exact    9.458065754312653e-13
	// textbook off by more than 10^9 ULP: true
	// log1p within 3 ULP: true
}

func ExampleULP32() {
	x := []float64{1, 2, 3}
	exact := zlprtest.LogSumExp(x)
	float32Sum := float32(math.Log(float64(float32(math.E) + float32(math.E*math.E) + float32(math.E*math.E*math.E))))
	fmt.Printf("%.12f, within 1 ULP: %v\n", exact, zlprtest.ULP32(float64(float32Sum), exact) < 1)
	// Output: 3.407605964444, within 1 ULP: true
}

func ExampleULP64() {
	exact := zlprtest.LogSumExp([]float64{0, 0}) // log 2
	fmt.Println(zlprtest.ULP64(math.Ln2, exact) < 1, zlprtest.ULP64(0.6931, exact) > 1e9)
	// Output: true true
}

// A number next to the exact one is at most one spacing away.
func ExampleSpacings() {
	exact := zlprtest.LogSumExp([]float64{0, 0})
	fmt.Println(zlprtest.Spacings(float32(math.Ln2), exact) <= 0.5)
	// Output: true
}

func ExampleNames() {
	fmt.Println(zlprtest.Names())
	// Output: [softmax bce pairwise zlpr zlpr-soft subset subset-padded asymmetric two-way distribution-balanced class-balanced class-balanced-softmax]
}

func ExampleResult_Float64() {
	result, err := zlprtest.Loss{Name: "bce", Focal: 2}.Evaluate(zlprtest.Row{Scores: []float64{0, 3}, Positive: []bool{true, false}})
	if err != nil {
		fmt.Println(err)
		return
	}
	loss, grad, threshold := result.Float64()
	fmt.Printf("%.4f %.4f %.4f\n", loss, grad, threshold)
	// Output: 2.9396 [-0.2983 1.1267] -0.8285
}

// Scores of any finite size.
func ExampleLogSumExp() {
	fmt.Printf("%.20f\n", zlprtest.LogSumExp([]float64{-1e300, 0.5, -40}))
	// Output: 0.50000000000000000258
}

func ExampleSoftmax() {
	for _, p := range zlprtest.Softmax([]float64{0, -50}) {
		fmt.Printf("%.10g\n", p)
	}
	// Output:
	// 1
	// 1.928749848e-22
}

func ExampleLogPartition() {
	// Pairs of three classes of score 1.
	fmt.Printf("%.10f\n", zlprtest.LogPartition([]float64{1, 1, 1}, 2))
	// Output: 3.0986122887
}

func ExamplePaddedLogPartition() {
	// Up to two of three classes with score 0: 1 + 3 + 3 subsets.
	fmt.Printf("%.10f\n", zlprtest.PaddedLogPartition([]float64{0, 0, 0}, 2, 0))
	// Output: 1.9459101491
}

func ExampleSubsetProbabilities() {
	included, excluded := zlprtest.SubsetProbabilities([]float64{100, 0, 0}, 2)
	for i := range included {
		fmt.Printf("%.4g %.4g\n", included[i], excluded[i])
	}
	// Output:
	// 1 1.86e-44
	// 0.5 0.5
	// 0.5 0.5
}

func ExamplePaddedSubsetProbabilities() {
	included, excluded := zlprtest.PaddedSubsetProbabilities([]float64{0, 0, 0}, 2, 0)
	fmt.Printf("%.4f %.4f\n", included[0], excluded[0])
	// Output: 0.4286 0.5714
}
