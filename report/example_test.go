package report_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/metrics"
	"github.com/zlpr/zlpr/report"
)

// Two models of 60 rows, of which the second ranks a class more often right.
func ExampleCompare() {
	const rows, classes = 60, 4
	names := []string{"micro_f1", "macro_f1"}
	labels := make([]uint8, rows*classes)
	models := [2][]float64{make([]float64, rows*classes), make([]float64, rows*classes)}
	for i := range labels {
		labels[i] = uint8(i * i / 3 % 2)
		for m := range models {
			models[m][i] = float64(2*int(labels[i])-1) + 2*math.Mod(float64(i*(m+3))*0.618, 1) - 1
			if i%(5+4*m) == 0 {
				models[m][i] = -models[m][i]
			}
		}
	}
	of := func(scores []float64) *report.Rows {
		batch := metrics.Batch[float64]{
			Scores: zlpr.Matrix[float64]{Rows: rows, Cols: classes, Data: scores},
			Labels: &zlpr.DenseLabels[uint8]{Rows: rows, Cols: classes, Data: labels, Stride: classes},
		}
		r, err := report.NewRows(rows, classes, []string{"zlpr"}, names)
		if err != nil {
			panic(err)
		}
		losses := make([]float64, rows)
		e, _ := zlpr.NewEvaluator[float64](zlpr.ZLPR{}, zlpr.Options{})
		if _, err := e.Evaluate(context.Background(), &batch, &zlpr.Output[float64]{Losses: losses}); err != nil {
			panic(err)
		}
		out := metrics.RowOutput{Terms: make([]float64, rows*r.Terms())}
		if r.ByClass() {
			out.Positive, out.Predicted = make([]uint64, rows), make([]uint64, rows)
		}
		a, _ := metrics.NewAccumulator[float64](classes, names, metrics.Options{})
		if err := a.AddRows(&batch, &out); err != nil {
			panic(err)
		}
		if err := r.Set(0, rows, [][]float64{losses}, &out); err != nil {
			panic(err)
		}
		return r
	}
	c, err := report.Compare(context.Background(), of(models[0]), of(models[1]), report.Options{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range append(c.Losses, c.Metrics...) {
		fmt.Printf("%s %.3f %.3f: %+.3f, %.3f to %.3f, p = %.4f\n", d.Name, d.A, d.B, d.Difference, d.Low, d.High, d.P)
	}
	fmt.Println(c.Decision("A", "B", "micro_f1"))
	// Output:
	// zlpr 1.845 1.482: -0.364, -0.522 to -0.200, p = 0.0001
	// micro_f1 0.800 0.888: +0.088, 0.044 to 0.132, p = 0.0003
	// macro_f1 0.785 0.863: +0.078, 0.005 to 0.143, p = 0.0090
	// B is better than A: micro F1 0.888 instead of 0.8 (the difference is +0.08797, 95 % interval +0.04376 to +0.1321, p = 0.0003). Of 3 losses and metrics B is better by 3, worse by 0; 0 cannot tell.
}

// What the classes of a comparison did.
func ExampleComparison() {
	c := report.Comparison{
		Metrics: []report.Difference{{Name: "micro_f1", A: 0.6, B: 0.7, Difference: 0.1, Low: 0.05, High: 0.15, P: 0.01}},
		Classes: []report.ClassDifference{{Class: 0, A: 0.5, B: 0.75, Difference: 0.25}, {Class: 1, A: 0.5, B: 0.25, Difference: -0.25}},
	}
	gained, lost := c.Moved(5)
	fmt.Println(gained[0].Class, lost[0].Class, c.Metrics[0].Better(), report.Words(c.Leading()))
	// Output: 0 1 1 micro F1
}

// A temperature is fitted and what it does to the errors printed; in each pass parts
// of the elements may be added by other goroutines, or machines.
func ExampleFit() {
	var e report.Elements
	batch := metrics.Batch[float32]{
		Scores: zlpr.Matrix[float32]{Rows: 2, Cols: 4, Data: []float32{4, -4, 3, -2, -3, 2, 4, -4}},
		Labels: &zlpr.DenseLabels[uint8]{Rows: 2, Cols: 4, Data: []uint8{1, 0, 0, 0, 0, 1, 1, 1}, Stride: 4},
	}
	if err := report.Gather(&e, &batch, false); err != nil {
		fmt.Println(err)
		return
	}
	f := report.NewFit(report.Sigmoid, false)
	for done := false; !done; {
		part := f.Part()
		part.Add(&e)
		f.Merge(part)
		var err error
		if done, err = f.Next(); err != nil {
			fmt.Println(err)
			return
		}
	}
	for _, c := range []report.Calibration{{Link: report.Sigmoid, Scale: 1}, f.Calibration()} {
		q := report.NewQuantiles()
		for done := false; !done; done = q.Next() {
			part := q.Part()
			part.Add(c.Values(&e, false))
			q.Merge(part)
		}
		r := report.NewReliability(c, q.Edges(), nil)
		other := report.NewReliability(c, q.Edges(), nil)
		other.Add(&e)
		// From another process, say.
		data, err := other.MarshalBinary()
		if err != nil {
			panic(err)
		}
		if err := other.UnmarshalBinary(data); err != nil {
			panic(err)
		}
		if err := r.Same(other); err != nil {
			panic(err)
		}
		r.Merge(other)
		v := r.Errors()
		fmt.Printf("%s, temperature %.2f: log loss %.3f, Brier %.3f, ECE %.2f; a score of 2 is %.2f\n",
			c.Link, 1/c.Scale, v.LogLoss, v.Brier, v.ECEWidth, c.Of(2))
	}
	// Output:
	// sigmoid, temperature 1.00: log loss 0.928, Brier 0.238, ECE 0.26; a score of 2 is 0.88
	// sigmoid, temperature 3.43: log loss 0.589, Brier 0.199, ECE 0.34; a score of 2 is 0.64
}

// The edges between 15 bins of equal mass, and the reliability data of probabilities
// that are too high.
func ExampleReliability() {
	var e report.Elements
	for i := range 3000 {
		e.S, e.Y = append(e.S, float64(i%30)/10-1.5), append(e.Y, i%7 < i%30/8)
	}
	e.Ends = append(e.Ends, len(e.S))
	c := report.Calibration{Link: report.Sigmoid, Scale: 1, Shift: 0.5}
	var q *report.Quantiles = report.NewQuantiles()
	for done := false; !done; done = q.Next() {
		q.Add(c.Values(&e, false))
	}
	var r *report.Reliability = report.NewReliability(c, q.Edges(), nil)
	r.Add(&e)
	show := func(b report.Bin) {
		fmt.Printf("%.3f to %.3f: %d, %.3f said, %.3f are positive\n", b.Low, b.High, b.Count, b.Probability, b.Positive)
	}
	v := r.Errors()
	for _, i := range []int{0, 7, 14} {
		show(v.Mass[i])
	}
	fmt.Printf("expected calibration error %.3f, by chance %.3f\n", v.ECEMass, v.BiasMass)
	// Output:
	// 0.000 to 0.309: 200, 0.279 said, 0.000 are positive
	// 0.587 to 0.633: 200, 0.611 said, 0.145 are positive
	// 0.846 to 1.000: 200, 0.864 said, 0.435 are positive
	// expected calibration error 0.395, by chance 0.025
}

// The second class is never predicted: its precision is 0 divided by 0.
func ExampleNewRowsZeroDivision() {
	batch := metrics.Batch[float64]{
		Scores: zlpr.MatrixOf([][]float64{{1, -1}, {2, -2}}),
		Labels: &zlpr.DenseLabels[uint8]{Rows: 2, Cols: 2, Data: []uint8{1, 0, 1, 1}, Stride: 2},
	}
	names := []string{"macro_precision"}
	for _, zero := range []metrics.ZeroDivision{metrics.ZeroDivisionZero, metrics.ZeroDivisionOne} {
		r, err := report.NewRowsZeroDivision(2, 2, nil, names, zero)
		if err != nil {
			panic(err)
		}
		out := metrics.RowOutput{Terms: make([]float64, 2*r.Terms()), Positive: make([]uint64, 2), Predicted: make([]uint64, 2)}
		a, err := metrics.NewAccumulator[float64](2, names, metrics.Options{ZeroDivision: zero})
		if err != nil {
			panic(err)
		}
		if err := errors.Join(a.AddRows(&batch, &out), r.Set(0, 2, nil, &out)); err != nil {
			panic(err)
		}
		c, err := report.Compare(context.Background(), r, r, report.Options{Seed: 1})
		if err != nil {
			panic(err)
		}
		fmt.Println(c.Metrics[0].A)
	}
	// Output:
	// 0.5
	// 1
}

func ExampleNumber_MarshalJSON() {
	text, _ := json.Marshal([]report.Number{0.1, report.Number(math.NaN())})
	fmt.Println(string(text))
	// Output: [0.1,null]
}

func ExampleArea() {
	text, _ := json.Marshal(report.Area{Value: 0.75, Bounds: metrics.Bounds{Low: 0.7, High: 0.8}})
	fmt.Println(string(text))
	// Output: {"low":0.7,"high":0.8}
}

func ExampleArea_MarshalJSON() {
	text, _ := report.Area{Value: 0.75, Bounds: metrics.Bounds{Low: 0.75, High: 0.75}}.MarshalJSON()
	fmt.Println(string(text))
	// Output: 0.75
}

func ExampleLoss() {
	text, _ := json.Marshal(report.Loss{Mean: 0.5, Sum: 2, Min: 0.25, Max: 1})
	fmt.Println(string(text))
	// Output: {"mean":0.5,"sum":2,"min":0.25,"max":1}
}

func ExampleNewLoss() {
	loss := report.NewLoss(&zlpr.Result{Loss: 0.5, Sum: 2, Min: 0.25, Max: 1})
	fmt.Println(loss.Mean, loss.Sum)
	// Output: 0.5 2
}
