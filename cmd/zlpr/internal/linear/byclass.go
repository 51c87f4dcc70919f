package linear

import (
	"context"
	"math"

	"github.com/zlpr/zlpr"
)

// separable reports whether a loss is a sum over the classes.
func separable(loss zlpr.Loss) bool {
	l, ok := loss.(zlpr.BCE)
	return ok && l.Focal == 0 && l.PositiveWeight == nil
}

// A byClass is binary cross-entropy of some classes. The evaluator has a row for
// each of them, so that it returns their losses.
type byClass struct {
	ctx       context.Context
	loss      zlpr.Loss
	evaluator *zlpr.Evaluator[float64]
	labels    *zlpr.BitLabels // classes × rows
	turned    []float64       // classes × rows
}

func newByClass(ctx context.Context, loss zlpr.Loss, labels *zlpr.BitLabels) (*byClass, error) {
	e, err := zlpr.NewEvaluator[float64](loss, zlpr.Options{Reduction: zlpr.None, Workers: 1})
	return &byClass{ctx: ctx, loss: loss, evaluator: e, labels: labels, turned: make([]float64, labels.Rows*labels.Cols)}, err
}

// evaluate writes the gradient of the mean loss by the scores, rows × columns, and
// the mean loss of every class.
func (o *byClass) evaluate(slopes, scores, losses []float64) error {
	classes, rows := o.labels.Dims()
	n := float64(rows)
	turn(o.turned, scores, rows, classes)
	m := zlpr.Matrix[float64]{Rows: classes, Cols: rows, Data: o.turned[:len(scores)], Stride: rows}
	_, err := o.evaluator.Evaluate(o.ctx, &zlpr.Batch[float64]{Scores: m, Labels: o.labels},
		&zlpr.Output[float64]{Losses: losses, Grad: m, Upstream: 1 / n})
	turn(slopes, o.turned, classes, rows)
	for c := range losses {
		losses[c] /= n
	}
	return err
}

// curve multiplies v, rows × columns, by the second derivatives of the mean loss
// where it has these slopes: n times that is p·(1-p), and n·|slope| is p or 1-p.
func (o *byClass) curve(v, slopes []float64) {
	n := float64(o.labels.Cols)
	for i, a := range slopes {
		a = math.Abs(a)
		v[i] *= a * max(0, 1-float64(n*a)) // n·a may be rounded to above 1
	}
}

// keep leaves only these columns.
func (o *byClass) keep(columns []int) {
	words := o.labels.Words
	o.labels = &zlpr.BitLabels{Rows: len(columns), Cols: o.labels.Cols, Stride: o.labels.Stride}
	for _, c := range columns {
		o.labels.Words = append(o.labels.Words, words[c*o.labels.Stride:][:o.labels.Stride]...)
	}
}

// turn writes the transpose of x, rows × cols, to y.
func turn(y, x []float64, rows, cols int) {
	const tile = 16
	for i0 := 0; i0 < rows; i0 += tile {
		for j0 := 0; j0 < cols; j0 += tile {
			for j := j0; j < min(j0+tile, cols); j++ {
				for i := i0; i < min(i0+tile, rows); i++ {
					y[j*rows+i] = x[i*cols+j]
				}
			}
		}
	}
}
