package metrics_test

import (
	"fmt"
	"log"

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

func ExamplePropensities() {
	p := metrics.Propensities([]int{1, 10, 100}, 1000, 0.55, 1.5)
	fmt.Printf("%.4f\n", p)
	// Output: [0.1448 0.2815 0.5648]
}
