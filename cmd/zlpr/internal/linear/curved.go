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

// curve: the second derivative is p·(1-p), and n·|slope| is p or 1-p.
func (o *byClass) curve(v, slopes []float64) {
	n := float64(o.labels.Cols)
	for i, a := range slopes {
		a = math.Abs(a)
		v[i] *= a * max(0, 1-float64(n*a)) // n·a may be rounded to above 1
	}
}

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

// A coupled is a loss whose classes depend on each other.
type coupled struct {
	ctx       context.Context
	evaluator *zlpr.Evaluator[float64]
	labels    *zlpr.BitLabels // rows × classes
	workers   int
	row       func(v, a []float64, labels []uint64, n float64)
}

// newCoupled returns a loss of which the second derivatives are known, or nil.
func newCoupled(ctx context.Context, loss zlpr.Loss, labels *zlpr.BitLabels, e *zlpr.Evaluator[float64], workers int) *coupled {
	o := &coupled{ctx: ctx, evaluator: e, labels: labels, workers: workers}
	switch l := loss.(type) {
	case zlpr.ZLPR:
		o.row = curveZLPR
	case zlpr.SoftmaxCrossEntropy:
		o.row = curveSoftmax
	case zlpr.Pairwise:
		gamma := l.Gamma
		if gamma == 0 {
			gamma = 1
		}
		o.row = func(v, a []float64, labels []uint64, n float64) { curvePairwise(v, a, labels, n, gamma) }
	default:
		return nil
	}
	return o
}

func (o *coupled) evaluate(slopes, scores, losses []float64) error {
	rows, classes := o.labels.Dims()
	matrix := func(data []float64) zlpr.Matrix[float64] {
		return zlpr.Matrix[float64]{Rows: rows, Cols: classes, Data: data, Stride: classes}
	}
	r, err := o.evaluator.Evaluate(o.ctx, &zlpr.Batch[float64]{Scores: matrix(scores), Labels: o.labels}, &zlpr.Output[float64]{Grad: matrix(slopes)})
	losses[0] = r.Loss
	return err
}

func (o *coupled) curve(v, slopes []float64) {
	rows, classes := o.labels.Dims()
	byRows(rows, o.workers, func(r0, r1 int) {
		for i := r0; i < r1; i++ {
			o.row(v[i*classes:][:classes], slopes[i*classes:][:classes], o.labels.Words[i*o.labels.Stride:][:o.labels.Stride], float64(rows))
		}
	})
}

func (o *coupled) keep([]int) {}

// sides returns Σ a·v over the negatives and over the positives of a row.
func sides(v, a []float64, labels []uint64) (negative, positive float64) {
	for j, x := range a {
		if p := float64(x * v[j]); labels[j/64]>>(j%64)&1 != 0 {
			positive += p
		} else {
			negative += p
		}
	}
	return negative, positive
}

// curveZLPR: with p the softmax of each side, its 0 included, the second
// derivatives are diag(p) - p·pᵀ. The gradient, n·a, is p on the negatives and
// -p on the positives.
func curveZLPR(v, a []float64, labels []uint64, n float64) {
	negative, positive := sides(v, a, labels)
	negative, positive = n*negative, n*positive
	for j, x := range a {
		if labels[j/64]>>(j%64)&1 != 0 {
			v[j] = -x * (v[j] + positive)
		} else {
			v[j] = x * (v[j] - negative)
		}
	}
}

// curveSoftmax: the second derivatives are diag(p) - p·pᵀ; n·a is p, less 1 for
// the target.
func curveSoftmax(v, a []float64, labels []uint64, n float64) {
	p := func(j int) float64 {
		if labels[j/64]>>(j%64)&1 != 0 {
			return a[j] + 1/n
		}
		return a[j]
	}
	sum := 0.0
	for j := range a {
		sum += float64(p(j) * v[j])
	}
	for j := range a {
		v[j] = p(j) * (v[j] - n*sum)
	}
}

// curvePairwise: L = log(1 + e^z), z the sum of the log-sum-exps of both sides.
// With q = sigmoid(z), and the gradient n·a = q·∇z, the second derivatives are
//
//	q·(1-q)·∇z·∇zᵀ + q·∇²z = γ·diag|n·a| + ((1-q)·(n·a)·(n·a)ᵀ - Σ over the sides of the same)/q
//
// and Σ n·a over the negatives is γ·q.
func curvePairwise(v, a []float64, labels []uint64, n, gamma float64) {
	sum := 0.0
	for j, x := range a {
		if labels[j/64]>>(j%64)&1 == 0 {
			sum += x
		}
	}
	q := n * sum / gamma
	if !(q > 0) {
		clear(v) // the gradient is 0
		return
	}
	negative, positive := sides(v, a, labels)
	negative, positive = n*negative/q, n*positive/q
	both := (1 - q) * (negative + positive)
	for j, x := range a {
		if labels[j/64]>>(j%64)&1 != 0 {
			v[j] = -x*gamma*v[j] + x*(both-positive)
		} else {
			v[j] = x*gamma*v[j] + x*(both-negative)
		}
	}
}
