package linear

import (
	"context"
	"math"

	"github.com/zlpr/zlpr"
)

// separable reports whether a loss is a sum over the classes: binary cross-entropy, and
// its class weights if it has some.
func separable(loss zlpr.Loss) (of zlpr.BCE, weights []float64, ok bool) {
	if b, is := loss.(zlpr.ClassBalanced); is {
		loss, weights = b.Loss, zlpr.ClassBalancedWeights(b.Counts, b.Beta)
	}
	of, ok = loss.(zlpr.BCE)
	return of, weights, ok && of.Focal == 0 && of.PositiveWeight == nil
}

// A hessian tells the second derivatives of a mean over n rows by the scores from its
// first ones, the slopes: with a class's weight w and t, what smoothing makes of the label,
//
//	slope = w·(p - t)/n,  second derivative = w·p·(1-p)/n
type hessian struct {
	n                  float64
	weights            []float64 // of the classes; nil: 1
	negative, positive float64   // shares: t of a negative, 1-t of a positive
}

// hessianOf returns that of a loss of smoothed labels. That of ZLPR, which is a sum of two
// such terms, is at least the one without shares.
func hessianOf(loss zlpr.Loss, weights []float64, rows, classes int, smoothing float64) hessian {
	c := hessian{n: float64(rows), weights: weights}
	switch loss.(type) {
	case zlpr.BCE, zlpr.ClassBalanced:
		c.negative, c.positive = smoothing/2, smoothing/2
	case zlpr.SoftmaxCrossEntropy:
		c.negative = smoothing / float64(classes)
		c.positive = smoothing - c.negative
	}
	return c
}

// plain reports whether there are no weights and no shares: then see plainly.
func (c *hessian) plain() bool { return c.weights == nil && c.negative == 0 && c.positive == 0 }

// plainly is at, where plain.
func (c *hessian) plainly(slope float64) float64 {
	a := math.Abs(slope)
	return a * max(0, 1-float64(c.n*a)) // n·a may be rounded to above 1
}

// at returns the second derivative of an element of that slope. Without shares it does
// not depend on the label.
func (c *hessian) at(slope float64, class int, positive bool) float64 {
	w := 1.0
	if c.weights != nil {
		w = c.weights[class]
	}
	p := float64(c.n*slope) / w
	switch {
	case c.negative == 0 && c.positive == 0:
		p = math.Abs(p)
	case positive:
		p = c.positive - p
	default:
		p += c.negative
	}
	p = min(max(p, 0), 1)
	return w * p * (1 - p) / c.n
}

// isSet reports whether a label is set in words of that stride.
func isSet(words []uint64, stride, row, col int) bool {
	return words[row*stride+col/64]>>(col%64)&1 != 0
}

// A byClass is binary cross-entropy of some classes. The evaluator has a row for
// each of them, so that it returns their losses.
type byClass struct {
	ctx       context.Context
	evaluator *zlpr.Evaluator[float64]
	labels    *zlpr.BitLabels // classes × rows
	hessian   hessian         // its weights are those of these classes
	smoothing float64
	turned    []float64 // classes × rows
}

func newByClass(ctx context.Context, loss zlpr.BCE, labels *zlpr.BitLabels, c hessian, smoothing float64) (*byClass, error) {
	e, err := zlpr.NewEvaluator[float64](loss, zlpr.Options{Reduction: zlpr.None, Workers: 1})
	return &byClass{ctx: ctx, evaluator: e, labels: labels, hessian: c, smoothing: smoothing, turned: make([]float64, labels.Rows*labels.Cols)}, err
}

// evaluate writes the gradient of the mean loss by the scores, rows × columns, and
// the mean loss of every class.
func (o *byClass) evaluate(slopes, scores, losses []float64) error {
	classes, rows := o.labels.Dims()
	n := float64(rows)
	turn(o.turned, scores, rows, classes)
	m := zlpr.Matrix[float64]{Rows: classes, Cols: rows, Data: o.turned[:len(scores)], Stride: rows}
	_, err := o.evaluator.Evaluate(o.ctx, &zlpr.Batch[float64]{Scores: m, Labels: o.labels, RowWeights: o.hessian.weights, Smoothing: o.smoothing},
		&zlpr.Output[float64]{Losses: losses, Grad: m, Upstream: 1 / n})
	turn(slopes, o.turned, classes, rows)
	for c := range losses {
		losses[c] /= n
	}
	return err
}

// curve multiplies v, rows × columns, by the second derivatives of the mean loss
// where it has these slopes.
func (o *byClass) curve(v, slopes []float64) {
	if o.hessian.plain() {
		for i, a := range slopes {
			v[i] *= o.hessian.plainly(a)
		}
		return
	}
	for i := range o.labels.Cols {
		for c := range o.labels.Rows {
			k := i*o.labels.Rows + c
			v[k] *= o.hessian.at(slopes[k], c, isSet(o.labels.Words, o.labels.Stride, c, i))
		}
	}
}

// keep leaves only these columns.
func (o *byClass) keep(columns []int) {
	words := o.labels.Words
	o.labels = &zlpr.BitLabels{Rows: len(columns), Cols: o.labels.Cols, Stride: o.labels.Stride}
	for _, c := range columns {
		o.labels.Words = append(o.labels.Words, words[c*o.labels.Stride:][:o.labels.Stride]...)
	}
	if o.hessian.weights != nil {
		o.hessian.weights = pick(o.hessian.weights, columns)
	}
}

// pick returns the elements of x at these places.
func pick(x []float64, places []int) []float64 {
	y := make([]float64, len(places))
	for k, i := range places {
		y[k] = x[i]
	}
	return y
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
