// Command training fits a linear multi-label model by gradient descent on ZLPR:
// scores = x·W + b, some labels a row, the gradient of the mean loss from
// zlpr.Evaluator. Run it with
//
//	go run ./examples/training
package main

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/zlpr/zlpr"
)

const (
	rows, features, classes = 2000, 20, 12
	steps                   = 300
	rate                    = 2.0
)

func main() {
	x, y := data()
	w := make([]float32, (features+1)*classes) // the last row is the bias
	scores := zlpr.Matrix[float32]{Rows: rows, Cols: classes, Data: make([]float32, rows*classes), Stride: classes}
	labels := &zlpr.DenseLabels[bool]{Rows: rows, Cols: classes, Data: y, Stride: classes}

	e, err := zlpr.NewEvaluator[float32](zlpr.ZLPR{}, zlpr.Options{Reduction: zlpr.Mean})
	if err != nil {
		log.Fatal(err)
	}
	batch := &zlpr.Batch[float32]{Scores: scores, Labels: labels}
	// The gradient replaces the scores: no second matrix is needed.
	out := &zlpr.Output[float32]{Grad: scores}
	for step := range steps + 1 {
		forward(scores.Data, x, w)
		if step%50 == 0 {
			fmt.Printf("step %3d: ", step)
			report(scores.Data, y)
		}
		result, err := e.Evaluate(context.Background(), batch, out)
		if err != nil {
			log.Fatal(err)
		}
		if step%50 == 0 {
			fmt.Printf(", loss %.3f\n", result.Loss)
		}
		backward(w, x, scores.Data)
	}
}

// data returns rows of features and labels: class k is positive where a random
// direction of its own says so.
func data() (x []float32, y []bool) {
	rng := rand.New(rand.NewPCG(1, 2))
	truth := make([]float32, features*classes)
	for i := range truth {
		truth[i] = float32(rng.NormFloat64())
	}
	x, y = make([]float32, rows*(features+1)), make([]bool, rows*classes)
	for i := range rows {
		row := x[i*(features+1):][:features+1]
		for j := range features {
			row[j] = float32(rng.NormFloat64())
		}
		row[features] = 1
		for k := range classes {
			sum := -4 + float32(rng.NormFloat64())
			for j, v := range row[:features] {
				sum += v * truth[j*classes+k]
			}
			y[i*classes+k] = sum > 0
		}
	}
	return x, y
}

// forward computes the scores.
func forward(scores, x, w []float32) {
	clear(scores)
	for i := range rows {
		out := scores[i*classes:][:classes]
		for j, v := range x[i*(features+1):][:features+1] {
			for k, c := range w[j*classes:][:classes] {
				out[k] += v * c
			}
		}
	}
}

// backward takes a step against the gradient.
func backward(w, x, grad []float32) {
	for i := range rows {
		g := grad[i*classes:][:classes]
		for j, v := range x[i*(features+1):][:features+1] {
			for k, d := range g {
				w[j*classes+k] -= rate * v * d
			}
		}
	}
}

// report prints F1 of the classes with a score above 0.
func report(scores []float32, y []bool) {
	var hit, predicted, positive float64
	for i, s := range scores {
		if s > 0 {
			predicted++
		}
		if y[i] {
			positive++
			if s > 0 {
				hit++
			}
		}
	}
	fmt.Printf("micro F1 %.3f", 2*hit/(predicted+positive))
}
