package metrics_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"math"
	"slices"
	"sync"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/metrics"
)

// Three rows of four classes.
var (
	exampleScores = zlpr.Matrix[float32]{Rows: 3, Cols: 4, Stride: 4, Data: []float32{
		2.5, -1.0, 0.5, -3.0,
		-0.5, 1.5, -2.0, -1.0,
		0.2, 0.1, 3.0, -0.4,
	}}
	exampleLabels = &zlpr.DenseLabels[uint8]{Rows: 3, Cols: 4, Stride: 4, Data: []uint8{
		1, 0, 1, 0,
		1, 1, 0, 0,
		0, 0, 1, 0,
	}}
)

func Example() {
	a, err := metrics.NewAccumulator[float32](4, []string{"micro_f1", "subset_accuracy", "lrap", "precision_at_1"}, metrics.Options{})
	if err != nil {
		log.Fatal(err)
	}
	// Once for every batch of rows.
	if err := a.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}); err != nil {
		log.Fatal(err)
	}
	results, err := a.Results()
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range results {
		fmt.Printf("%s %.4f\n", r.Name, r.Value)
	}
	// Output:
	// micro_f1 0.7273
	// subset_accuracy 0.3333
	// lrap 1.0000
	// precision_at_1 1.0000
}

// Two shards, counted apart, give the same as all rows together.
func ExampleAccumulator_Merge() {
	shard := func(row int) *metrics.Accumulator[float32] {
		a, err := metrics.NewAccumulator[float32](4, []string{"samples_f1"}, metrics.Options{})
		if err != nil {
			log.Fatal(err)
		}
		scores, labels := exampleScores, *exampleLabels
		scores.Rows, scores.Data = 1, scores.Row(row)
		labels.Rows, labels.Data = 1, labels.Data[4*row:][:4]
		if err := a.Add(&metrics.Batch[float32]{Scores: scores, Labels: &labels}); err != nil {
			log.Fatal(err)
		}
		return a
	}
	a := shard(2)
	for row := range 2 {
		if err := a.Merge(shard(row)); err != nil {
			log.Fatal(err)
		}
	}
	results, err := a.Results()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f of %d rows\n", results[0].Value, a.Rows())
	// Output: 0.7222 of 3 rows
}

func ExampleAccumulator_Fork() {
	a, err := metrics.NewAccumulator[float32](4, []string{"micro_average_precision"}, metrics.Options{Workers: 1, MicroBits: 16, ClassBits: 16})
	if err != nil {
		log.Fatal(err)
	}
	var workers sync.WaitGroup
	parts := make([]*metrics.Accumulator[float32], exampleScores.Rows)
	for row := range parts {
		part, err := a.Fork()
		if err != nil {
			log.Fatal(err)
		}
		parts[row] = part
		workers.Go(func() {
			scores, labels := exampleScores, *exampleLabels
			scores.Rows, scores.Data = 1, scores.Row(row)
			labels.Rows, labels.Data = 1, labels.Data[4*row:][:4]
			if err := part.Add(&metrics.Batch[float32]{Scores: scores, Labels: &labels}); err != nil {
				log.Fatal(err)
			}
		})
	}
	workers.Wait()
	for _, part := range parts {
		if err := a.Merge(part); err != nil {
			log.Fatal(err)
		}
	}
	results, err := a.Results()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f of %d rows\n", results[0].Value, a.Rows())
	// Output: 0.9250 of 3 rows
}

func ExamplePredict() {
	b := &metrics.Batch[float32]{Scores: exampleScores}
	for _, rule := range []metrics.Rule{metrics.Above(0), metrics.Top(1), metrics.Above(0).AtMost(2)} {
		p, err := metrics.Predict(b, rule, 1)
		if err != nil {
			log.Fatal(err)
		}
		rows := make([][]int, p.Rows)
		for r := range rows {
			for j := range p.Cols {
				if p.Words[r*p.Stride+j/64]>>(j%64)&1 != 0 {
					rows[r] = append(rows[r], j)
				}
			}
		}
		fmt.Println(rows)
	}
	// Output:
	// [[0 2] [1] [0 1 2]]
	// [[0] [1] [2]]
	// [[0 2] [1] [0 2]]
}

func ExampleTuner() {
	t := metrics.NewTuner[float32](4, 1)
	if err := t.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}); err != nil {
		log.Fatal(err)
	}
	threshold, f1, err := t.Best(metrics.Micro)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("threshold %.2f, F1 %.4f\n", threshold, f1)
	for p := range t.Curve(metrics.Micro) {
		fmt.Printf("%.2f: precision %.2f, recall %.2f\n", p.Threshold, p.Precision, p.Recall)
		if p.Recall > 0.7 {
			break
		}
	}
	// Output:
	// threshold 0.35, F1 0.8889
	// 3.00: precision 0.00, recall 0.00
	// 2.75: precision 1.00, recall 0.20
	// 2.00: precision 1.00, recall 0.40
	// 1.00: precision 1.00, recall 0.60
	// 0.35: precision 1.00, recall 0.80
}

// Row weights count as scikit-learn's sample_weight does.
func ExampleAccumulator_Add() {
	a, err := metrics.NewAccumulator[float32](4, []string{"micro_f1", "subset_accuracy"}, metrics.Options{})
	if err != nil {
		log.Fatal(err)
	}
	weights := []float64{1, 0.5, 0} // the last row is left out
	if err := a.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels, RowWeights: weights}); err != nil {
		log.Fatal(err)
	}
	results, err := a.Results()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %.4f, %s %.4f, %d rows\n", results[0].Name, results[0].Value, results[1].Name, results[1].Value, a.Rows())
	// Output: micro_f1 0.9091, subset_accuracy 0.6667, 2 rows
}

func ExampleNewAccumulator() {
	_, err := metrics.NewAccumulator[float64](4, []string{"micro_f1", "f1"}, metrics.Options{})
	fmt.Println(err)
	// Output: metrics: there is no metric "f1"
}

// Of a sparse matrix of scores, class 2 of the row is not listed: it is no
// candidate, even where the row has fewer than K others.
func ExampleOptions_sparse() {
	inf := float32(math.Inf(-1))
	b := &metrics.Batch[float32]{
		Scores: zlpr.Matrix[float32]{Rows: 1, Cols: 3, Stride: 3, Data: []float32{inf, 0.5, inf}},
		Labels: &zlpr.DenseLabels[uint8]{Rows: 1, Cols: 3, Stride: 3, Data: []uint8{1, 1, 0}},
	}
	for _, sparse := range []bool{false, true} {
		a, err := metrics.NewAccumulator[float32](3, []string{"precision_at_2"}, metrics.Options{Sparse: sparse})
		if err != nil {
			log.Fatal(err)
		}
		if err := a.Add(b); err != nil {
			log.Fatal(err)
		}
		results, err := a.Results()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(results[0].Value)
	}
	// Output:
	// 1
	// 0.5
}

func ExampleAccumulator_Results() {
	a, err := metrics.NewAccumulator[float32](4, []string{"macro_recall"}, metrics.Options{Rule: metrics.Top(2)})
	if err != nil {
		log.Fatal(err)
	}
	_, err = a.Results()
	fmt.Println(errors.Is(err, metrics.ErrNoRows))
	if err := a.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}); err != nil {
		log.Fatal(err)
	}
	results, err := a.Results()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", results[0].Value)
	// Output:
	// true
	// 0.7500
}

func ExampleAccumulator_Rows() {
	a, err := metrics.NewAccumulator[float32](2, []string{"micro_f1"}, metrics.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := a.Add(&metrics.Batch[float32]{
		Scores: zlpr.Matrix[float32]{Rows: 3, Cols: 2, Stride: 2, Data: []float32{1, 2, 3, 4, 5, 6}},
		Labels: &zlpr.TargetLabels{Classes: 2, Targets: []int32{1, zlpr.Ignore, 0}},
	}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(a.Rows(), "rows, one is ignored")
	// Output: 2 rows, one is ignored
}

// What one process counted another can merge.
func ExampleAccumulator_MarshalBinary() {
	names := []string{"hamming_loss"}
	shard, err := metrics.NewAccumulator[float32](4, names, metrics.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := shard.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}); err != nil {
		log.Fatal(err)
	}
	data, err := shard.MarshalBinary()
	if err != nil {
		log.Fatal(err)
	}

	var received metrics.Accumulator[float32]
	if err := received.UnmarshalBinary(data); err != nil {
		log.Fatal(err)
	}
	total, err := metrics.NewAccumulator[float32](4, names, metrics.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := total.Merge(&received); err != nil {
		log.Fatal(err)
	}
	results, err := total.Results()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", results[0].Value)
	// Output: 0.2500
}

func ExampleProbabilities() {
	b := &metrics.Batch[float32]{Scores: exampleScores}
	p := zlpr.Matrix[float32]{Rows: 3, Cols: 4, Stride: 4, Data: make([]float32, 12)}
	for _, link := range []metrics.Link{metrics.Softmax, metrics.Sigmoid, metrics.DoubleSigmoid} {
		if err := metrics.Probabilities(p, b, link, 1); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%.3f\n", p.Row(0))
	}
	// Output:
	// [0.855 0.026 0.116 0.003]
	// [0.924 0.269 0.622 0.047]
	// [0.993 0.119 0.731 0.002]
}

// Every class has a threshold of its own.
func ExampleAboveEach() {
	b := &metrics.Batch[float32]{Scores: exampleScores}
	p, err := metrics.Predict(b, metrics.AboveEach([]float64{0, 0.5, 1, -2}), 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%04b\n", p.Words) // class 0 is the last digit
	// Output: [0001 1010 1101]
}

// Of a sparse matrix of scores Top does not predict what is not listed.
func ExampleRule_Listed() {
	inf := float32(math.Inf(-1))
	b := &metrics.Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: 1, Cols: 4, Stride: 4, Data: []float32{inf, 0.5, inf, -2}}}
	for _, rule := range []metrics.Rule{metrics.Top(3), metrics.Top(3).Listed()} {
		p, err := metrics.Predict(b, rule, 1)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%04b\n", p.Words)
	}
	// Output:
	// [1011]
	// [1010]
}

func ExampleTuner_BestEach() {
	t := metrics.NewTuner[float32](4, 1)
	if err := t.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}); err != nil {
		log.Fatal(err)
	}
	thresholds, f1, err := t.BestEach(metrics.Macro)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f, F1 %.4f\n", thresholds, f1)
	// Output: [-0.50 0.80 -0.75 -0.40], F1 0.7000
}

func ExampleTuner_ClassCurve() {
	t := metrics.NewTuner[float32](4, 1)
	if err := t.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}); err != nil {
		log.Fatal(err)
	}
	for p := range t.ClassCurve(0) {
		fmt.Printf("%.2f: precision %.2f, recall %.2f, F1 %.2f\n", p.Threshold, p.Precision, p.Recall, p.F1)
	}
	// Output:
	// 2.50: precision 0.00, recall 0.00, F1 0.00
	// 1.35: precision 1.00, recall 0.50, F1 0.67
	// -0.15: precision 0.50, recall 0.50, F1 0.50
	// -0.50: precision 0.67, recall 1.00, F1 0.80
}

// Parts of a validation set can be taken in apart.
func ExampleTuner_Merge() {
	one, other := metrics.NewTuner[float32](4, 1), metrics.NewTuner[float32](4, 1)
	for _, t := range []*metrics.Tuner[float32]{one, other} {
		if err := t.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}); err != nil {
			log.Fatal(err)
		}
	}
	if err := one.Merge(other); err != nil {
		log.Fatal(err)
	}
	threshold, f1, err := one.Best(metrics.Macro)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("threshold %.2f, F1 %.4f\n", threshold, f1)
	// Output: threshold 0.35, F1 0.6667
}

func ExampleAll() {
	names := metrics.All(5)
	fmt.Println(len(names), names[0], names[len(names)-1])
	for _, name := range names {
		if metrics.NeedsScores(name) {
			fmt.Println(name, "keeps all scores")
		}
	}
	// Output:
	// 26 micro_f1 macro_average_precision
	// micro_auc keeps all scores
	// macro_auc keeps all scores
	// micro_average_precision keeps all scores
	// macro_average_precision keeps all scores
}

func ExampleNeedsScores() {
	fmt.Println(metrics.NeedsScores("micro_auc"), metrics.NeedsScores("micro_f1"))
	// Output: true false
}

func ExampleNeedsRule() {
	fmt.Println(metrics.NeedsRule("micro_f1"), metrics.NeedsRule("precision_at_5"))
	// Output: true false
}

func ExamplePropensities() {
	p := metrics.Propensities([]int{1, 10, 100}, 1000, 0.55, 1.5)
	fmt.Printf("%.4f\n", p)
	// Output: [0.1448 0.2815 0.5648]
}

// predicted prints the classes of the first row that a rule predicts.
func predicted(rule metrics.Rule) {
	p, err := metrics.Predict(&metrics.Batch[float32]{Scores: exampleScores}, rule, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%04b\n", p.Words[0]) // the last class at the left
}

func ExampleAbove() {
	predicted(metrics.Above(0))
	// Output: 0101
}

func ExampleTop() {
	predicted(metrics.Top(3))
	// Output: 0111
}

func ExampleRule_AtMost() {
	predicted(metrics.Above(0).AtMost(1))
	// Output: 0001
}

// The results of every class, the one with the lowest F1 first.
func ExampleAccumulator_Classes() {
	a, err := metrics.NewAccumulator[float32](4, nil, metrics.Options{ByClass: true})
	if err != nil {
		log.Fatal(err)
	}
	if err := a.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}); err != nil {
		log.Fatal(err)
	}
	classes, err := a.Classes()
	if err != nil {
		log.Fatal(err)
	}
	slices.SortStableFunc(classes, func(x, y metrics.ClassResult) int { return cmp.Compare(x.F1, y.F1) })
	for _, c := range classes {
		fmt.Printf("class %d: support %v, precision %.2f, recall %.2f, F1 %.2f\n", c.Class, c.Support, c.Precision, c.Recall, c.F1)
	}
	threshold, f1, err := a.BestThreshold()
	fmt.Printf("threshold %.2f would give micro F1 %.3f, %v\n", threshold, f1, err)
	// Output:
	// class 3: support 0, precision 0.00, recall 0.00, F1 0.00
	// class 0: support 2, precision 0.50, recall 0.50, F1 0.50
	// class 1: support 1, precision 0.50, recall 1.00, F1 0.67
	// class 2: support 2, precision 1.00, recall 1.00, F1 1.00
	// threshold 0.35 would give micro F1 0.889, <nil>
}

// Scores are kept for areas until there are too many: then they are counted in bins,
// and areas have bounds.
func ExampleAccumulator_CountScores() {
	a, err := metrics.NewAccumulator[float32](4, []string{"micro_f1", "micro_auc"}, metrics.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := a.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}); err != nil {
		log.Fatal(err)
	}
	if err := a.CountScores(12, 12); err != nil {
		log.Fatal(err)
	}
	fmt.Println(a.Bins())
	results, err := a.Results()
	if err != nil {
		log.Fatal(err)
	}
	var auc metrics.Bounds = results[1].Bounds
	fmt.Printf("%s between %.4f and %.4f\n", results[1].Name, auc.Low, auc.High)
	// Output:
	// 12 12
	// micro_auc between 0.9143 and 0.9143
}

// Scores of a stream without end: thresholds in constant memory.
func ExampleTuner_CountScores() {
	t := metrics.NewTuner[float32](4, 1)
	if err := t.CountScores(20, 16); err != nil {
		log.Fatal(err)
	}
	if err := t.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}); err != nil {
		log.Fatal(err)
	}
	threshold, f1, err := t.Best(metrics.Micro)
	fmt.Printf("%.3f: F1 %.3f, %v\n", threshold, f1, err)
	// Output:
	// 0.500: F1 0.889, <nil>
}

// The parts of a validation set, tuned by two processes.
func ExampleCrossTuner_Merge() {
	objective, err := metrics.NewObjective("micro_f1", 0)
	if err != nil {
		log.Fatal(err)
	}
	part := func(r0, r1 int) []byte {
		t, err := metrics.NewCrossTuner[float32](4, 1, objective)
		if err != nil {
			log.Fatal(err)
		}
		scores := exampleScores
		scores.Rows, scores.Data = r1-r0, scores.Data[r0*scores.Stride:r1*scores.Stride]
		labels := *exampleLabels
		labels.Rows, labels.Data = r1-r0, labels.Data[r0*labels.Stride:r1*labels.Stride]
		err = errors.Join(t.CountScores(20, 16), t.StartAt(r0), t.Add(&metrics.Batch[float32]{Scores: scores, Labels: &labels}))
		if err != nil {
			log.Fatal(err)
		}
		data, err := t.MarshalBinary()
		if err != nil {
			log.Fatal(err)
		}
		return data
	}
	var one, other metrics.CrossTuner[float32]
	if err := errors.Join(one.UnmarshalBinary(part(0, 2)), other.UnmarshalBinary(part(2, 3)), one.Merge(&other)); err != nil {
		log.Fatal(err)
	}
	tuning, err := one.Tune(false)
	fmt.Printf("%.3f: F1 %.3f, %v\n", tuning.Threshold, tuning.Value, err)
	// Output:
	// 0.500: F1 0.889, <nil>
}

// How the scores of positives and negatives lie.
func ExampleAccumulator_ScoreBins() {
	a, err := metrics.NewAccumulator[float32](4, []string{"micro_auc"}, metrics.Options{MicroBits: 9, ClassBits: 9})
	if err != nil {
		log.Fatal(err)
	}
	if err := a.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}); err != nil {
		log.Fatal(err)
	}
	var bins []metrics.ScoreBin
	bins, err = a.ScoreBins()
	if err != nil {
		log.Fatal(err)
	}
	for _, v := range bins {
		fmt.Printf("%6.2f to %6.2f: %v positives, %v negatives\n", v.Low, v.High, v.Positive, v.Negative)
	}
}

// Two thresholds: the best for all classes, and the best for each.
func ExampleCrossTuner() {
	var objective metrics.Objective
	objective, err := metrics.NewObjective("macro_f1", 0)
	if err != nil {
		log.Fatal(err)
	}
	var t *metrics.CrossTuner[float32]
	t, err = metrics.NewCrossTuner[float32](4, 1, objective)
	if err != nil {
		log.Fatal(err)
	}
	if err := t.Add(&metrics.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}); err != nil {
		log.Fatal(err)
	}
	for _, each := range []bool{false, true} {
		var tuning metrics.Tuning
		tuning, err = t.Tune(each)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %.3f instead of %.3f, cross-fitted %.3f: %.2f %.2f\n", objective.Name(),
			tuning.Value, tuning.Untuned, tuning.CrossFitted, tuning.Threshold, tuning.Thresholds)
	}
	for p := range t.Curve() {
		fmt.Printf("%.2f: F1 %.3f\n", p.Threshold, p.F1)
		break
	}
	// Output:
	// macro_f1 0.667 instead of 0.542, cross-fitted 0.542: 0.35 []
	// macro_f1 0.700 instead of 0.542, cross-fitted 0.542: NaN [-0.50 0.80 -0.75 -0.40]
	// 3.00: F1 0.000
}

// What must be known of all labels before shards are evaluated apart.
func ExampleLabelScan() {
	var scan, shard *metrics.LabelScan = metrics.NewLabelScan(4), metrics.NewLabelScan(4)
	scan.AddRow([]uint64{0b0101})
	shard.AddRow([]uint64{0b0011})
	shard.AddRow([]uint64{0b0100})
	data, err := shard.MarshalBinary()
	if err != nil {
		log.Fatal(err)
	}
	if err := shard.UnmarshalBinary(data); err != nil {
		log.Fatal(err)
	}
	if err := scan.Merge(shard); err != nil {
		log.Fatal(err)
	}
	fmt.Println(scan.Rows(), "rows, at most", scan.Most(), "positives a row, of the classes", scan.Positives())
	// Output:
	// 3 rows, at most 2 positives a row, of the classes [2 1 2 0]
}

// Where a loss comes from.
func ExampleGradientShares() {
	e, err := zlpr.NewEvaluator[float32](zlpr.ZLPR{}, zlpr.Options{})
	if err != nil {
		log.Fatal(err)
	}
	grad := zlpr.Matrix[float32]{Rows: 3, Cols: 4, Data: make([]float32, 12)}
	batch := &zlpr.Batch[float32]{Scores: exampleScores, Labels: exampleLabels}
	if _, err := e.Evaluate(context.Background(), batch, &zlpr.Output[float32]{Grad: grad}); err != nil {
		log.Fatal(err)
	}
	var shares *metrics.GradientShares = metrics.NewGradientShares(4)
	if err := metrics.AddGradient(shares, grad); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.3f\n", shares.Shares())
	// Output:
	// [0.373 0.247 0.200 0.180]
}
