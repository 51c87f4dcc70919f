package zlpr_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/zlpr/zlpr"
)

// Loss and gradient of two rows of three classes; the labels are lists of
// classes.
func ExampleEvaluator_Evaluate() {
	e, err := zlpr.NewEvaluator[float32](zlpr.ZLPR{}, zlpr.Options{Reduction: zlpr.Mean})
	if err != nil {
		panic(err)
	}
	batch := &zlpr.Batch[float32]{
		Scores: zlpr.Matrix[float32]{Rows: 2, Cols: 3, Data: []float32{2, -1, 0, -3, 1, -2}, Stride: 3},
		Labels: &zlpr.SparseLabels{Classes: 3, RowPtr: []int64{0, 1, 3}, Indices: []int32{0, 1, 2}},
	}
	grad := zlpr.Matrix[float32]{Rows: 2, Cols: 3, Data: make([]float32, 6), Stride: 3}
	result, err := e.Evaluate(context.Background(), batch, &zlpr.Output[float32]{Grad: grad})
	if err != nil {
		panic(err)
	}
	fmt.Printf("loss %.4f\n", result.Loss)
	fmt.Printf("%.4f\n%.4f\n", grad.Row(0), grad.Row(1))
	// Output:
	// loss 1.6037
	// [-0.0596 0.0777 0.2112]
	// [0.0237 -0.0210 -0.4219]
}

// The span mask of GlobalPointer scores: a row is one head of one example, a
// class is a span of tokens.
func ExampleSpanMask() {
	const heads, l = 1, 3
	mask := &zlpr.SpanMask{Heads: heads, L: l, Lengths: []int{2}}
	bits := make([]uint64, 1)
	if err := mask.ReadRows(bits, 0, 1); err != nil {
		panic(err)
	}
	fmt.Printf("%09b\n", bits[0]) // spans (1,1), (0,1), (0,0)
	// Output:
	// 000010011
}

func ExampleLogPartition() {
	// Pairs of four classes: e^(1+2) + e^(1+3) + e^(1+0) + e^(2+3) + e^(2+0) + e^(3+0).
	fmt.Printf("%.4f\n", zlpr.LogPartition([]float64{1, 2, 3, 0}, 2))
	// Output: 5.5345
}

func ExampleInclusionProbabilities() {
	scores := []float64{1, 2, 3, 0}
	p := make([]float64, len(scores))
	zlpr.InclusionProbabilities(p, scores, 2)
	fmt.Printf("%.3f\n", p)
	// Output: [0.306 0.694 0.881 0.119]
}

func ExampleSubsetSampler() {
	// 4 of 16384 classes, with probability ∝ e^(sum of scores).
	scores := make([]float32, 16384)
	for i := range scores {
		scores[i] = float32(i%100) / 10
	}
	sampler := zlpr.NewSubsetSampler(scores, 4)
	rng := rand.New(rand.NewPCG(1, 2))
	classes := make([]int, 0, 4)
	for range 3 {
		classes = sampler.Draw(rng, classes)
		fmt.Println(len(classes), zlpr.SubsetLogProbability(scores, classes) < 0)
	}
	// Output:
	// 4 true
	// 4 true
	// 4 true
}
