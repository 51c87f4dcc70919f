package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/linear"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/named"
	"github.com/zlpr/zlpr/metrics"
)

// pathFlags say how λ and thresholds are chosen on validation rows.
type pathFlags struct {
	lambda     string // a number, or auto
	auto       bool
	measure    string  // that is to be the highest
	validation int     // of the split file
	target     float64 // the least precision, or recall, where measure is the other
	perClass   bool
	objective  metrics.Objective
}

// A pathPoint is a λ that was tried.
type pathPoint struct {
	L2        number `json:"l2"`
	Value     number `json:"value"`     // the measure of the validation rows, cross-fitted
	Threshold any    `json:"threshold"` // a number, or a list of one a class
}

// A choice is what a path of λ led to.
type choice struct {
	l2     float64
	tuning metrics.Tuning
	start  []float64 // the model, to begin the last training with
	path   []pathPoint
}

// rule is the rule of the thresholds.
func (c *choice) rule() metrics.Rule {
	if c.tuning.Thresholds != nil {
		return metrics.AboveEach(c.tuning.Thresholds)
	}
	return metrics.Above(c.tuning.Threshold)
}

// thresholdNumbers is the thresholds for JSON.
func thresholdNumbers(t metrics.Tuning) any {
	if t.Thresholds == nil {
		return number(t.Threshold)
	}
	list := make([]number, len(t.Thresholds))
	for j, v := range t.Thresholds {
		list[j] = number(v)
	}
	return list
}

// thresholds are the thresholds for the model: one, or one a class.
func (c *choice) thresholds() []float64 {
	if c.tuning.Thresholds != nil {
		return c.tuning.Thresholds
	}
	return []float64{c.tuning.Threshold}
}

// checkPath checks the flags of the path.
func (f *trainFlags) checkPath() error {
	switch {
	case f.set("validation") && f.validation < 2:
		return usagef("--validation %d: a number of the split file, at least 2; 0 and 1 are train and test rows", f.validation)
	case !f.auto:
		return nil
	case named.OneTarget(f.loss):
		return usagef("--l2 auto chooses a threshold, and %s predicts the highest class; give a number", f.loss)
	case f.perClass && strings.HasPrefix(f.measure, "samples"):
		return usagef("--select %s is tuned by one threshold for all classes; leave out --per-class", f.measure)
	}
	if f.set("target") && !(f.target > 0 && f.target <= 1) {
		return usagef("--target %v: a number above 0, at most 1", f.target)
	}
	var err error
	f.objective, err = selection(f.measure, f.target)
	return err
}

// selection returns the objective of --select and --target.
func selection(measure string, target float64) (metrics.Objective, error) {
	if strings.Contains(measure, "_f") {
		target = 0 // which the uses of flags find
	}
	o, err := metrics.NewObjective(measure, target)
	switch {
	case err == nil:
		return o, nil
	case strings.HasSuffix(measure, "_recall"), strings.HasSuffix(measure, "_precision"):
		return o, usagef("--select %s: give the least precision, or recall, by --target", measure)
	}
	return o, usagef("--select %q: choose micro_f1, macro_f1, samples_f1, another F-score, recall or precision%s", measure, didYouMean(measure, "", tuneMeasures))
}

// take returns the rows of which keep is true.
func (p part) take(keep func(row int) bool) part {
	t := part{x: p.x.Take(keep), y: &zlpr.BitLabels{Cols: p.y.Cols, Stride: p.y.Stride}}
	for i, row := range p.rows {
		if keep(i) {
			t.y.Rows++
			t.rows = append(t.rows, row)
			if p.teacher != nil {
				t.teacher = append(t.teacher, p.teacher[i*p.y.Cols:][:p.y.Cols]...)
			}
			t.y.Words = append(t.y.Words, p.y.Words[i*p.y.Stride:][:p.y.Stride]...)
		}
	}
	return t
}

// holdOut cuts the train rows: those of --validation, or a third by the seed, are
// to choose by.
func (f *trainFlags) holdOut(d *dataset) (fitted, held part, err error) {
	which := make([]bool, len(d.train.rows))
	if f.validation != 0 {
		for i, row := range d.train.rows {
			which[i] = d.held[row]
		}
	} else {
		order := rand.New(rand.NewPCG(f.seed, 3)).Perm(len(which))
		for _, i := range order[:len(which)/3] {
			which[i] = true
		}
	}
	held = d.train.take(func(i int) bool { return which[i] })
	fitted = d.train.take(func(i int) bool { return !which[i] })
	name := d.describe
	if f.validation != 0 {
		name = f.split
	}
	switch {
	case len(held.rows) == 0:
		return held, held, array.Faultf(name, "no validation row among %s; --l2 auto needs some to choose by", array.Counted(len(which), "train row"))
	case len(fitted.rows) == 0:
		return held, held, array.Faultf(name, "all %d train rows are validation rows; leave some to train on", len(which))
	case countPositives(held.y) == 0:
		if f.validation == 0 && d.labels != "" {
			name = d.labels
		}
		return held, held, array.Faultf(name, "none of the %d validation rows has a positive label; --l2 auto needs some to choose by", len(held.rows))
	}
	return fitted, held, nil
}

// What the path of λ is: from strongest·(mean square of a row's length), as a
// power of ten, on by factors of √10; it ends when the value has not been higher
// for patience steps, but not before it has come down by a thousand, where the
// scores of sparse features begin to differ.
const (
	strongest  = 0.1
	leastSteps = 7
	mostSteps  = 20
	patience   = 3
)

// lambdas is the path, strong λ first.
func lambdas(x *linear.Matrix) []float64 {
	exponent := math.Ceil(math.Log10(max(strongest*x.MeanSquare(), 1e-290)))
	exponent = min(exponent, 290)
	list := make([]float64, mostSteps)
	for k := range list {
		list[k] = math.Pow(10, exponent-float64(k/2))
		if k%2 == 1 {
			list[k] *= 0.31622776601683794
		}
	}
	return list
}

// choose follows the path on the train rows that are not held out. Each λ starts
// where the one before ended; the best is the highest cross-fitted value, the
// stronger of equals.
func (f *trainFlags) choose(ctx context.Context, s *session, d *dataset, loss zlpr.Loss, name string) (*choice, error) {
	fitted, held, err := f.holdOut(d)
	if err != nil {
		return nil, err
	}
	o := f.fitting(d, name)
	o.Tolerance = max(o.Tolerance, pathTolerance)
	c, best, value := &choice{}, -1, 0.0
	scores := make([]float64, len(held.rows)*d.classes)
	bar := s.progress("train "+name+", path of λ", mostSteps)
	defer bar.close()
	for k, l2 := range lambdas(fitted.x) {
		if k >= leastSteps && k > best+patience && best >= 0 {
			break
		}
		o.L2 = l2
		o.Teacher = fitted.teacher
		model, err := linear.Fit(ctx, fitted.x, fitted.y, loss, o)
		if err != nil {
			return nil, f.explainFit(d, fitted, err)
		}
		o.Start = append(append(make([]float64, 0, len(model.W)+len(model.B)), model.W...), model.B...)
		held.x.Multiply(scores, model.W, model.B, d.classes, f.workers)
		tuner, err := metrics.NewCrossTuner[float64](d.classes, f.workers, f.objective)
		if err != nil {
			return nil, err
		}
		if err := tuner.Add(&metrics.Batch[float64]{Scores: matrix(scores, d.classes), Labels: held.y}); err != nil {
			return nil, err
		}
		found, err := tuner.Tune(f.perClass)
		bar.add(1)
		if errors.Is(err, metrics.ErrTarget) {
			c.path = append(c.path, pathPoint{number(l2), number(math.NaN()), nil})
			continue
		}
		if err != nil {
			return nil, err
		}
		at := found.CrossFitted
		if math.IsNaN(at) { // a single row
			at = found.Value
		}
		c.path = append(c.path, pathPoint{number(l2), number(at), thresholdNumbers(found)})
		if best < 0 || at > value {
			best, value = k, at
			c.l2, c.tuning, c.start = l2, found, o.Start
		}
	}
	if best < 0 {
		return nil, fmt.Errorf("%s: %s: with no λ of the path a threshold reaches the target %v on the validation rows; lower --target", quoted(d.describe), f.measure, f.target)
	}
	return c, nil
}

// pathTolerance is what a λ is fitted to, unless the user asks for less. The last
// training is to --tolerance.
const pathTolerance = 1e-7

// texts are λ, the measure and the threshold as they are shown.
func (p pathPoint) texts() []string {
	threshold := "one a class"
	if p.Threshold == nil {
		threshold = "below the target"
	}
	if v, ok := p.Threshold.(number); ok {
		threshold = fmt.Sprintf("%.4g", float64(v))
	}
	return []string{fmt.Sprintf("%.4g", float64(p.L2)), fmt.Sprintf("%.4f", float64(p.Value)), threshold}
}

// writePath prints the paths of the reports.
func writePath(w io.Writer, f *trainFlags, reports []*trainReport) error {
	for _, r := range reports {
		if r.choice == nil {
			continue
		}
		t := newTable(w)
		t.row(r.Loss+": λ", f.measure, "threshold")
		for _, p := range r.choice.path {
			chosen := ""
			if float64(p.L2) == r.choice.l2 {
				chosen = "chosen"
			}
			t.row(append(p.texts(), chosen)...)
		}
		t.gap()
		if err := t.flush(); err != nil {
			return err
		}
	}
	return nil
}
