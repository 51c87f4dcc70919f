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
