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

func ExampleExclusionProbabilities() {
	// 1 - π would be 0 for the first class.
	scores := []float64{100, 0, 0}
	q := make([]float64, len(scores))
	zlpr.ExclusionProbabilities(q, scores, 2)
	fmt.Printf("%.3g\n", q)
	// Output: [1.86e-44 0.5 0.5]
}

func ExamplePaddedLogPartition() {
	// Up to two of three classes with score 0: 1 + 3 + 3 subsets.
	fmt.Printf("%.4f\n", zlpr.PaddedLogPartition([]float64{0, 0, 0}, 2, 0))
	// Output: 1.9459
}

func ExamplePaddedInclusionProbabilities() {
	p := make([]float64, 3)
	zlpr.PaddedInclusionProbabilities(p, []float64{0, 0, 0}, 2, 0)
	fmt.Printf("%.4f\n", p)
	// Output: [0.4286 0.4286 0.4286]
}

func ExamplePaddedExclusionProbabilities() {
	q := make([]float64, 3)
	zlpr.PaddedExclusionProbabilities(q, []float64{0, 0, 0}, 2, 0)
	fmt.Printf("%.4f\n", q)
	// Output: [0.5714 0.5714 0.5714]
}

func ExampleSubsetLogProbability() {
	// One of the three pairs of equal scores.
	fmt.Printf("%.4f\n", zlpr.SubsetLogProbability([]float64{1, 1, 1}, []int{0, 2}))
	// Output: -1.0986
}

func ExamplePaddedSubsetLogProbability() {
	fmt.Printf("%.4f\n", zlpr.PaddedSubsetLogProbability([]float64{0, 0, 0}, []int{0, 2}, 2, 0))
	// Output: -1.9459
}

func ExampleMostProbableSubset() {
	fmt.Println(zlpr.MostProbableSubset(make([]int, 2), []float64{0.5, 3, 1, 3}))
	// Output: [1 3]
}

func ExampleNewPaddedSubsetSampler() {
	// Paddings are hopeless: always two classes.
	sampler := zlpr.NewPaddedSubsetSampler([]float64{5, -900, 4}, 2, -900)
	fmt.Println(sampler.Draw(rand.New(rand.NewPCG(1, 2)), nil))
	// Output: [0 2]
}

func ExamplePlackettLuceSampler() {
	sampler := zlpr.NewPlackettLuceSampler([]float64{0, -500, 900})
	fmt.Println(sampler.Draw(rand.New(rand.NewPCG(1, 2)), make([]int, 3)))
	// Output: [2 0 1]
}

func ExamplePlackettLuceLogProbability() {
	// 1/3 · 1/2
	fmt.Printf("%.4f\n", zlpr.PlackettLuceLogProbability([]float64{1, 1, 1}, []int{2, 0}))
	// Output: -1.7918
}
