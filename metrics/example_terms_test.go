package metrics_test

import (
	"fmt"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/metrics"
)

// The metrics of the first row counted three times, of what AddRows finds of every
// row: what a bootstrap does.
func ExampleAccumulator_AddRows() {
	names := []string{"micro_f1", "macro_f1", "hamming_loss"}
	batch := metrics.Batch[float32]{
		Scores: zlpr.Matrix[float32]{Rows: 2, Cols: 3, Data: []float32{2, -1, 0.5, -1, 1, -3}},
		Labels: &zlpr.DenseLabels[uint8]{Rows: 2, Cols: 3, Data: []uint8{1, 0, 0, 0, 1, 1}, Stride: 3},
	}
	a, _ := metrics.NewAccumulator[float32](3, names, metrics.Options{})
	formulas, terms, _ := metrics.Formulas(names)
	out := metrics.RowOutput{Terms: make([]float64, 2*terms), Positive: make([]uint64, 2), Predicted: make([]uint64, 2)}
	if err := a.AddRows(&batch, &out); err != nil {
		fmt.Println(err)
		return
	}
	sums := make([]float64, terms)
	positive, predicted, both := make([]uint64, 3), make([]uint64, 3), make([]uint64, 3)
	for i, times := range []uint64{3, 1} {
		for k := range sums {
			sums[k] += float64(times) * out.Terms[i*terms+k]
		}
		for j := range positive {
			y, p := out.Positive[i]>>j&1, out.Predicted[i]>>j&1
			positive[j] += times * y
			predicted[j] += times * p
			both[j] += times * y * p
		}
	}
	fmt.Println("rows:", sums[metrics.RowsTerm])
	for _, f := range formulas {
		v := f.OfSums(sums)
		if f.ByClass() {
			v = f.OfClasses(positive, predicted, both)
		}
		fmt.Printf("%s %.4f of %d sums, an error: %v\n", f.Name(), v, len(f.Terms()), f.LowerIsBetter())
	}
	// Output:
	// rows: 4
	// micro_f1 0.6667 of 3 sums, an error: false
	// macro_f1 0.6667 of 0 sums, an error: false
	// hamming_loss 0.3333 of 2 sums, an error: true
}

func ExampleFormulas() {
	formulas, _, err := metrics.Formulas([]string{"subset_accuracy"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(formulas[0].Name(), formulas[0].LowerIsBetter())
	// Output: subset_accuracy false
}

// A class without predictions has a precision of 0 divided by 0.
func ExampleFormulasZeroDivision() {
	for _, zero := range []metrics.ZeroDivision{metrics.ZeroDivisionZero, metrics.ZeroDivisionOne, metrics.ZeroDivisionNaN} {
		formulas, _, err := metrics.FormulasZeroDivision([]string{"macro_precision"}, zero)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%.4f\n", formulas[0].OfClasses([]uint64{4, 1}, []uint64{4, 0}, []uint64{3, 0}))
	}
	// Output:
	// 0.3750
	// 0.8750
	// 0.7500
}

func ExampleFormula() {
	formulas, _, _ := metrics.Formulas([]string{"macro_f1"})
	fmt.Printf("%.4f\n", formulas[0].OfClasses([]uint64{2, 1}, []uint64{2, 2}, []uint64{2, 1}))
	// Output: 0.8333
}

func ExampleRowOutput() {
	batch := metrics.Batch[float64]{
		Scores: zlpr.Matrix[float64]{Rows: 1, Cols: 3, Data: []float64{2, -1, 0.5}},
		Labels: &zlpr.DenseLabels[uint8]{Rows: 1, Cols: 3, Data: []uint8{1, 0, 0}, Stride: 3},
	}
	a, _ := metrics.NewAccumulator[float64](3, []string{"micro_f1"}, metrics.Options{})
	out := metrics.RowOutput{Positive: make([]uint64, 1), Predicted: make([]uint64, 1)}
	fmt.Println(a.AddRows(&batch, &out))
	fmt.Printf("%03b %03b\n", out.Positive[0], out.Predicted[0])
	// Output:
	// <nil>
	// 001 101
}
