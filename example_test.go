package zlpr_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/zlpr/zlpr"
)

func ExampleLogSumExp() {
	fmt.Printf("%.4f\n", zlpr.LogSumExp([]float64{1000, 1000, -1000}))
	// Output: 1000.6931
}

func ExampleLogSumExpRows() {
	lse := make([]float64, 2)
	zlpr.LogSumExpRows(lse, zlpr.MatrixOf([][]float32{{0, 0}, {1, 2}}))
	fmt.Printf("%.4f\n", lse)
	// Output: [0.6931 2.3133]
}

func ExampleSoftmax() {
	x := []float64{1, 2, 3}
	zlpr.Softmax(x, x) // in place
	fmt.Printf("%.4f\n", x)
	// Output: [0.0900 0.2447 0.6652]
}

func ExampleSoftmaxRows() {
	m := zlpr.MatrixOf([][]float64{{0, 0}, {1, 2}})
	zlpr.SoftmaxRows(m, nil, m)
	fmt.Printf("%.4f %.4f\n", m.Row(0), m.Row(1))
	// Output: [0.5000 0.5000] [0.2689 0.7311]
}

// An entry near 0 keeps its digits, which a difference of score and log-sum-exp
// would lose.
func ExampleLogSoftmax() {
	x := []float64{40, 0}
	zlpr.LogSoftmax(x, x)
	fmt.Printf("%.4g\n", x)
	// Output: [-4.248e-18 -40]
}

func ExampleLogSoftmaxRows() {
	m := zlpr.MatrixOf([][]float64{{0, 0}, {1, 2}})
	lse := make([]float64, 2)
	zlpr.LogSoftmaxRows(m, lse, m)
	fmt.Printf("%.4f %.4f, log-sum-exp %.4f\n", m.Row(0), m.Row(1), lse)
	// Output: [-0.6931 -0.6931] [-1.3133 -0.3133], log-sum-exp [0.6931 2.3133]
}

func ExampleMax() {
	fmt.Println(zlpr.Max([]float32{3, -1, 7}), zlpr.Max([]float64{}))
	// Output: 7 -Inf
}

func ExampleMaxRows() {
	top := make([]float64, 2)
	zlpr.MaxRows(top, zlpr.MatrixOf([][]float64{{1, 3}, {-2, -5}}))
	fmt.Println(top)
	// Output: [3 -2]
}

// A row in two shards, cut at a block: the bits are those of the whole row.
func ExampleAccumulator() {
	row := make([]float32, 3*zlpr.BlockLen)
	for i := range row {
		row[i] = float32(i%7) / 2
	}
	var a, b zlpr.Accumulator[float32]
	a.Add(row[:zlpr.BlockLen])
	b.Add(row[zlpr.BlockLen:])
	a.Merge(&b)
	fmt.Println(a.LogSumExp() == zlpr.LogSumExp(row))
	a.Reset()
	fmt.Println(a.LogSumExp())
	// Output:
	// true
	// -Inf
}

// evaluate prints the loss and the gradient of one row of scores.
func evaluate(loss zlpr.Loss, options zlpr.Options, scores []float64, positive ...int) {
	labels, err := zlpr.SparseLabelsOf([][]int{positive}, len(scores))
	if err != nil {
		panic(err)
	}
	e, err := zlpr.NewEvaluator[float64](loss, options)
	if err != nil {
		panic(err)
	}
	grad := zlpr.Matrix[float64]{Rows: 1, Cols: len(scores), Data: make([]float64, len(scores))}
	batch := &zlpr.Batch[float64]{Scores: zlpr.MatrixOf([][]float64{scores}), Labels: labels}
	result, err := e.Evaluate(context.Background(), batch, &zlpr.Output[float64]{Grad: grad})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.4f %.4f\n", result.Loss, grad.Row(0))
}

func ExampleZLPR() {
	evaluate(zlpr.ZLPR{}, zlpr.Options{}, []float64{2, -1, 0}, 0)
	evaluate(zlpr.ZLPR{Threshold: 1}, zlpr.Options{}, []float64{2, -1, 0}, 0)
	// Output:
	// 0.9889 [-0.1192 0.1554 0.4223]
	// 0.7209 [-0.2689 0.0900 0.2447]
}

func ExamplePairwise() {
	evaluate(zlpr.Pairwise{}, zlpr.Options{}, []float64{2, -1, 0}, 0)
	evaluate(zlpr.Pairwise{Gamma: 2, Margin: 0.5}, zlpr.Options{}, []float64{2, -1, 0}, 0)
	// Output:
	// 0.1698 [-0.1562 0.0420 0.1142]
	// 0.0550 [-0.1070 0.0128 0.0942]
}

func ExampleSoftmaxCrossEntropy() {
	evaluate(zlpr.SoftmaxCrossEntropy{}, zlpr.Options{}, []float64{2, -1, 0}, 0)
	// Output: 0.1698 [-0.1562 0.0420 0.1142]
}

func ExampleBCE() {
	evaluate(zlpr.BCE{}, zlpr.Options{}, []float64{2, -1, 0}, 0)
	evaluate(zlpr.BCE{PositiveWeight: []float64{3}, Focal: 2}, zlpr.Options{}, []float64{2, -1, 0}, 0)
	// Output:
	// 1.1333 [-0.1192 0.2689 0.5000]
	// 0.2014 [-0.0146 0.0526 0.2983]
}

func ExampleSubset() {
	evaluate(zlpr.Subset{}, zlpr.Options{}, []float64{2, -1, 0, 1}, 0, 3)
	// Output: 0.5345 [-0.1192 0.1192 0.3056 -0.3056]
}

func ExamplePaddedSubset() {
	evaluate(zlpr.PaddedSubset{K: 2}, zlpr.Options{}, []float64{2, -1, 0}, 0)
	// Output: 1.0073 [-0.1352 0.1707 0.4328]
}

// Labels in [0, 1] stand in the batch's Soft.
func ExampleSoftZLPR() {
	e, err := zlpr.NewEvaluator[float64](zlpr.SoftZLPR{}, zlpr.Options{})
	if err != nil {
		panic(err)
	}
	result, err := e.Evaluate(context.Background(), &zlpr.Batch[float64]{
		Scores: zlpr.MatrixOf([][]float64{{2, -1, 0}}),
		Soft:   zlpr.MatrixOf([][]float64{{0.9, 0, 0.25}}),
	}, nil)
	fmt.Printf("%.4f %v\n", result.Loss, err)
	// Output: 1.3658 <nil>
}

// Of the negatives only the one of the highest score counts.
func ExampleOptions() {
	evaluate(zlpr.ZLPR{}, zlpr.Options{TopNegatives: 1}, []float64{2, -1, 0}, 0)
	// Output: 0.8201 [-0.1192 0.0000 0.5000]
}

// Two rows with thresholds of their own, row weights and class weights; class 2
// of the second row does not take part.
func ExampleBatch() {
	e, err := zlpr.NewEvaluator[float64](zlpr.ZLPR{}, zlpr.Options{Reduction: zlpr.Mean})
	if err != nil {
		panic(err)
	}
	out := &zlpr.Output[float64]{Losses: make([]float64, 2), ThresholdGrad: make([]float64, 2)}
	result, err := e.Evaluate(context.Background(), &zlpr.Batch[float64]{
		Scores:       zlpr.MatrixOf([][]float64{{2, -1, 0}, {1, 3, 5}}),
		Labels:       &zlpr.DenseLabels[bool]{Rows: 2, Cols: 3, Data: []bool{true, false, false, false, true, false}},
		Mask:         &zlpr.LengthMask{Classes: 3, Lengths: []int{3, 2}},
		Thresholds:   []float64{0, 2},
		RowWeights:   []float64{1, 3},
		ClassWeights: []float64{1, 1, 2},
	}, out)
	fmt.Printf("%.4f %v, rows %.4f, thresholds %.4f\n", result.Loss, err, out.Losses, out.ThresholdGrad)
	// Output: 0.8052 <nil>, rows [1.3412 1.8796], thresholds [-0.1460 0.0000]
}

// An Upstream other than 1, and one for each row, multiply gradients; they are
// added to what is there.
func ExampleOutput() {
	e, err := zlpr.NewEvaluator[float64](zlpr.ZLPR{}, zlpr.Options{})
	if err != nil {
		panic(err)
	}
	grad := zlpr.MatrixOf([][]float64{{10}, {10}})
	_, err = e.Evaluate(context.Background(), &zlpr.Batch[float64]{
		Scores: zlpr.MatrixOf([][]float64{{0}, {0}}),
		Labels: &zlpr.BitLabels{Rows: 2, Cols: 1, Words: []uint64{1, 0}},
	}, &zlpr.Output[float64]{Grad: grad, Upstream: 4, RowUpstream: []float64{1, -1}, Accumulate: true})
	fmt.Println(grad.Data, err)
	// Output: [8 8] <nil>
}

// Batches on several workers, with an Evaluator and a Total each, as one.
func ExampleTotal_Merge() {
	var all zlpr.Total
	for _, scores := range [][][]float64{{{2, -1}, {0, 1}}, {{-3, 1}}} {
		e, err := zlpr.NewEvaluator[float64](zlpr.ZLPR{}, zlpr.Options{})
		if err != nil {
			panic(err)
		}
		batch := &zlpr.Batch[float64]{Scores: zlpr.MatrixOf(scores), Labels: &zlpr.TargetLabels{Classes: 2, Targets: make([]int32, len(scores))}}
		var part zlpr.Total
		if _, err := e.Evaluate(context.Background(), batch, &zlpr.Output[float64]{Total: &part}); err != nil {
			panic(err)
		}
		all.Merge(&part)
	}
	result, err := all.Result(zlpr.Mean)
	fmt.Printf("%.4f, %d rows, %v\n", result.Loss, result.Rows, err)
	// Output: 2.2695, 3 rows, <nil>
}

// A process marshals what it has summed; another one goes on with it.
func ExampleTotal_MarshalBinary() {
	e, err := zlpr.NewEvaluator[float64](zlpr.ZLPR{}, zlpr.Options{})
	if err != nil {
		panic(err)
	}
	batch := &zlpr.Batch[float64]{
		Scores: zlpr.MatrixOf([][]float64{{2, -1}, {0, 1}}),
		Labels: &zlpr.TargetLabels{Classes: 2, Targets: []int32{0, 0}},
	}
	var there zlpr.Total
	if _, err := e.Evaluate(context.Background(), batch, &zlpr.Output[float64]{Total: &there}); err != nil {
		panic(err)
	}
	data, err := there.MarshalBinary()
	if err != nil {
		panic(err)
	}

	var here zlpr.Total
	fmt.Println(here.UnmarshalBinary(data))
	result, err := here.Result(zlpr.Sum)
	fmt.Printf("%.4f, %d rows, %v\n", result.Loss, result.Rows, err)
	fmt.Println(here.UnmarshalBinary(data[:10]) != nil)
	// Output:
	// <nil>
	// 2.4466, 2 rows, <nil>
	// true
}

func ExampleMatrixOf() {
	m := zlpr.MatrixOf([][]float32{{1, 2, 3}, {4, 5, 6}})
	fmt.Println(m.Rows, m.Cols, m.Row(1))
	// Output: 2 3 [4 5 6]
}

// The first two columns of rows of three, without a copy.
func ExampleMatrix_Row() {
	m := zlpr.Matrix[float64]{Rows: 2, Cols: 2, Stride: 3, Data: []float64{1, 2, 99, 3, 4, 99}}
	fmt.Println(m.Row(0), m.Row(1))
	// Output: [1 2] [3 4]
}

// printBits prints the first row of labels or of a mask, its classes from the left.
func printBits(b zlpr.Bits) {
	_, classes := b.Dims()
	words := make([]uint64, (classes+63)/64)
	if err := b.ReadRows(words, 0, 1); err != nil {
		fmt.Println(err)
		return
	}
	for j := range classes {
		fmt.Print(words[j/64] >> (j % 64) & 1)
	}
	fmt.Println()
}

// The formats of labels, which masks may have as well.
func ExampleBits() {
	printBits(&zlpr.DenseLabels[int8]{Rows: 1, Cols: 4, Data: []int8{1, 0, 0, 1}})
	printBits(&zlpr.BitLabels{Rows: 1, Cols: 4, Words: []uint64{0b1001}})
	printBits(&zlpr.SparseLabels{Classes: 4, RowPtr: []int64{0, 2}, Indices: []int32{3, 0}})
	printBits(&zlpr.TargetLabels{Classes: 4, Targets: []int32{2}})
	printBits(&zlpr.LengthMask{Classes: 4, Lengths: []int{3}})
	// Output:
	// 1001
	// 1001
	// 1001
	// 0010
	// 1110
}

func ExampleSparseLabelsOf() {
	labels, err := zlpr.SparseLabelsOf([][]int{{2, 0}, {}}, 3)
	fmt.Println(labels.RowPtr, labels.Indices, err)
	_, err = zlpr.SparseLabelsOf([][]int{{3}}, 3)
	fmt.Println(err)
	// Output:
	// [0 2 2] [2 0] <nil>
	// zlpr: row 0, class 3: label 3 is none of the 3 classes
}

// What is wrong with the data of a row is a DataError.
func ExampleDataError() {
	e, err := zlpr.NewEvaluator[float64](zlpr.ZLPR{}, zlpr.Options{})
	if err != nil {
		panic(err)
	}
	_, err = e.Evaluate(context.Background(), &zlpr.Batch[float64]{
		Scores: zlpr.MatrixOf([][]float64{{1, 2}, {3, 4}}),
		Labels: &zlpr.DenseLabels[float64]{Rows: 2, Cols: 2, Data: []float64{0, 1, 0, 0.5}},
	}, nil)
	var data *zlpr.DataError
	if errors.As(err, &data) {
		fmt.Println(data.Row, data.Class, data.Kind == zlpr.LabelNotBinary)
	}
	fmt.Println(err)
	// Output:
	// 1 1 true
	// zlpr: row 1, class 1: label 0.5 is neither 0 nor 1
}

func ExampleLooksLikeProbabilities() {
	fmt.Println(zlpr.LooksLikeProbabilities(zlpr.MatrixOf([][]float64{{0.1, 0.9}})))
	fmt.Println(zlpr.LooksLikeProbabilities(zlpr.MatrixOf([][]float64{{-2, 2}})))
	// Output:
	// true
	// false
}

func ExampleNothingPredicted() {
	batch := &zlpr.Batch[float64]{
		Scores: zlpr.MatrixOf([][]float64{{-3, -1}}),
		Labels: &zlpr.TargetLabels{Classes: 2, Targets: []int32{1}},
	}
	fmt.Println(zlpr.NothingPredicted(batch, 0))
	fmt.Println(zlpr.NothingPredicted(batch, -2))
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleTier() {
	switch zlpr.Tier() {
	case "avx512", "avx2", "neon", "generic":
		fmt.Println("known")
	}
	// Output: known
}

// A class at +Inf is in every subset, one at -Inf in none.
func ExampleNewSubsetSampler() {
	sampler := zlpr.NewSubsetSampler([]float64{math.Inf(1), 0, math.Inf(-1)}, 2)
	fmt.Println(sampler.Draw(rand.New(rand.NewPCG(1, 2)), nil))
	// Output: [0 1]
}

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

// Scores of 16 bits give the results of the float32 of the same values.
func ExampleBFloat16() {
	x := []zlpr.BFloat16{zlpr.BFloat16Of(1.003), zlpr.BFloat16Of(-2)}
	w := []float32{x[0].Float32(), x[1].Float32()}
	fmt.Println(w, zlpr.LogSumExp(x) == zlpr.LogSumExp(w))
	// Output: [1 -2] true
}

func ExampleFloat16() {
	fmt.Println(zlpr.Float16Of(0.1).Float32(), zlpr.Float16Of(1e6).Float32())
	// Output: 0.099975586 +Inf
}

func ExampleBFloat16Of() {
	fmt.Printf("%#04x\n", zlpr.BFloat16Of(1.5))
	// Output: 0x3fc0
}

func ExampleFloat16Of() {
	fmt.Printf("%#04x\n", zlpr.Float16Of(1.5))
	// Output: 0x3e00
}

// The default parameters of the paper: easy negatives count for nothing.
func ExampleAsymmetric() {
	e, err := zlpr.NewEvaluator[float64](zlpr.Asymmetric{GammaNegative: 4, Shift: 0.05}, zlpr.Options{})
	if err != nil {
		panic(err)
	}
	r, err := e.Evaluate(context.Background(), &zlpr.Batch[float64]{
		Scores: zlpr.MatrixOf([][]float64{{2, -4, 1}}),
		Labels: &zlpr.DenseLabels[bool]{Rows: 1, Cols: 3, Data: []bool{true, false, false}, Stride: 3},
	}, nil)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.4f\n", r.Loss)
	// Output: 0.3728
}

// With both temperatures 1 it is the pairwise loss.
func ExampleTwoWay() {
	b := &zlpr.Batch[float64]{
		Scores: zlpr.MatrixOf([][]float64{{2, -4, 1, 0}}),
		Labels: &zlpr.DenseLabels[bool]{Rows: 1, Cols: 4, Data: []bool{true, false, false, true}, Stride: 4},
	}
	for _, loss := range []zlpr.Loss{zlpr.TwoWay{}, zlpr.Pairwise{}, zlpr.TwoWay{PositiveTemperature: 4}} {
		e, err := zlpr.NewEvaluator[float64](loss, zlpr.Options{})
		if err != nil {
			panic(err)
		}
		r, err := e.Evaluate(context.Background(), b, nil)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%.4f ", r.Loss)
	}
	fmt.Println()
	// Output: 1.4127 1.4127 2.9564
}

// log|e^2 - e^1|, and a sum that is 0 exactly.
func ExampleSignedLogSumExp() {
	lse, sign, _ := zlpr.SignedLogSumExp([]float64{1, 2}, []float64{1, -1})
	fmt.Printf("%.4f %v\n", lse, sign)
	fmt.Println(zlpr.SignedLogSumExp([]float64{3, 3}, []float64{1, -1}))
	// Output:
	// 1.5413 -1
	// -Inf 0 0
}

// Two sums at once.
func ExampleSignedLogSumExpRows() {
	lse, sign := make([]float64, 2), make([]float64, 2)
	x, b := zlpr.MatrixOf([][]float64{{1, 2}, {0, 0}}), zlpr.MatrixOf([][]float64{{1, -1}, {3, -1}})
	zlpr.SignedLogSumExpRows(lse, sign, nil, x, b)
	fmt.Printf("%.4f %v\n", lse, sign)
	// Output: [1.5413 0.6931] [-1 1]
}

// Weights of a frequent and of a rare class.
func ExampleClassBalancedWeights() {
	fmt.Printf("%.3f\n", zlpr.ClassBalancedWeights([]int{1000, 10}, 0.99))
	// Output: [0.175 1.825]
}

// An error at the rare class costs more.
func ExampleClassBalanced() {
	loss := zlpr.ClassBalanced{Loss: zlpr.BCE{}, Counts: []int{1000, 10}, Beta: 0.99}
	for _, scores := range [][]float64{{-1, -3}, {3, 1}} {
		e, err := zlpr.NewEvaluator[float64](loss, zlpr.Options{})
		if err != nil {
			panic(err)
		}
		r, err := e.Evaluate(context.Background(), &zlpr.Batch[float64]{
			Scores: zlpr.MatrixOf([][]float64{scores}),
			Labels: &zlpr.DenseLabels[bool]{Rows: 1, Cols: 2, Data: []bool{true, false}, Stride: 2},
		}, nil)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%.4f\n", r.Loss)
	}
	// Output:
	// 0.3179
	// 2.4058
}

// A student that is its teacher, and one that is not.
func ExampleDistillation() {
	teacher := zlpr.MatrixOf([][]float64{{3, -1, 0.5}, {3, -1, 0.5}})
	student := zlpr.MatrixOf([][]float64{{3, -1, 0.5}, {2, 0, 0.5}})
	for _, loss := range []zlpr.Loss{zlpr.SoftmaxCrossEntropy{}, zlpr.BCE{}, zlpr.ZLPR{}} {
		e, err := zlpr.NewEvaluator[float64](zlpr.Distillation{Loss: loss, Temperature: 2}, zlpr.Options{})
		if err != nil {
			panic(err)
		}
		losses := make([]float64, 2)
		b := &zlpr.Batch[float64]{Scores: student, Teacher: teacher}
		if _, err := e.Evaluate(context.Background(), b, &zlpr.Output[float64]{Losses: losses}); err != nil {
			panic(err)
		}
		fmt.Printf("%.4f\n", losses)
	}
	// Output:
	// [0.0000 0.2481]
	// [0.0000 0.2037]
	// [0.0000 0.2952]
}

// Negatives of the rare class weigh less.
func ExampleDistributionBalanced() {
	loss := zlpr.NewDistributionBalanced([]int{500, 10}, 1000)
	for _, scores := range [][]float64{{2, -3}, {2, 0}} {
		e, err := zlpr.NewEvaluator[float64](loss, zlpr.Options{})
		if err != nil {
			panic(err)
		}
		r, err := e.Evaluate(context.Background(), &zlpr.Batch[float64]{
			Scores: zlpr.MatrixOf([][]float64{scores}),
			Labels: &zlpr.DenseLabels[bool]{Rows: 1, Cols: 2, Data: []bool{true, false}, Stride: 2},
		}, nil)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%.4f\n", r.Loss)
	}
	// Output:
	// 0.1404
	// 0.4088
}

func ExampleNewDistributionBalanced() {
	loss := zlpr.NewDistributionBalanced([]int{500, 10}, 1000)
	fmt.Println(loss.Alpha, loss.Beta, loss.Mu, loss.Kappa, loss.NegativeScale)
	// Output: 0.1 10 0.3 0.05 2
}

// Thresholds of a frequent and of a rare class.
func ExampleLogitAdjustment() {
	fmt.Printf("%.3f\n", zlpr.LogitAdjustment([]int{900, 100}, 1))
	// Output: [-0.105 -2.303]
}
