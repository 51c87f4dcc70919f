package zlpr_test

import (
	"fmt"

	"github.com/zlpr/zlpr"
)

func ExampleLogSumExp() {
	// e^1000 overflows, its logarithm does not.
	fmt.Printf("%.4f\n", zlpr.LogSumExp([]float64{1000, 1000, 999}))
	// Output: 1000.8620
}

func ExampleMax() {
	fmt.Println(zlpr.Max([]float32{1, 3, 2}))
	// Output: 3
}

func ExampleSoftmax() {
	x := []float32{1, 2, 3}
	lse := zlpr.Softmax(x, x) // in place
	fmt.Printf("%.4f %.4f\n", x, lse)
	// Output: [0.0900 0.2447 0.6652] 3.4076
}

func ExampleLogSoftmax() {
	p := make([]float64, 3)
	zlpr.LogSoftmax(p, []float64{1, 2, 3})
	fmt.Printf("%.4f\n", p)
	// Output: [-2.4076 -1.4076 -0.4076]
}

func ExampleSoftmaxRows() {
	m := zlpr.Matrix[float64]{Rows: 2, Cols: 2, Stride: 2, Data: []float64{0, 0, 1, -1}}
	lse := make([]float64, m.Rows)
	zlpr.SoftmaxRows(m, lse, m)
	fmt.Printf("%.4f %.4f\n", m.Data, lse)
	// Output: [0.5000 0.5000 0.8808 0.1192] [0.6931 1.1269]
}

// A row whose shards lie on two machines: each adds its own, one merges.
func ExampleAccumulator() {
	row := make([]float32, 3*zlpr.BlockLen)
	for i := range row {
		row[i] = float32(i%7) - 3
	}
	var here, there zlpr.Accumulator[float32]
	here.Add(row[:zlpr.BlockLen])
	there.Add(row[zlpr.BlockLen:])
	here.Merge(&there)
	fmt.Println(here.LogSumExp() == zlpr.LogSumExp(row))
	// Output: true
}
