package linear_test

import (
	"context"
	"fmt"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/linear"
)

// One feature tells two classes apart, which score alike far from each other.
func ExampleFit() {
	x := &linear.Matrix{Rows: 4, Cols: 1, Dense: []float64{-2, -1, 1, 2}}
	labels := &zlpr.DenseLabels[int]{Rows: 4, Cols: 2, Data: []int{1, 0, 1, 0, 0, 1, 0, 1}}
	model, err := linear.Fit(context.Background(), x, labels, zlpr.BCE{}, linear.Options{L2: 0.1, Tolerance: 1e-8, Iterations: 100, Workers: 1})
	if err != nil {
		panic(err)
	}
	fmt.Println(model.Converged)
	fmt.Printf("W %.3f, objective %.4f\n", model.W, model.Objective)
	// Output:
	// true
	// W [-1.458 1.458], objective 0.4745
}
