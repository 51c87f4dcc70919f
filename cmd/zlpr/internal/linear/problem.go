package linear

import (
	"context"
	"math"

	"gonum.org/v1/gonum/floats"

	"github.com/zlpr/zlpr"
)

// A problem is the objective with its gradient, by the scaled variables
// z = (W, b)/scale.
type problem struct {
	ctx       context.Context
	x         *Matrix
	classes   int
	batch     zlpr.Batch[float64]
	evaluator *zlpr.Evaluator[float64]
	o         Options
	separable bool     // the loss is a sum over the classes,
	terms     zlpr.BCE // of these
	hessian   hessian
	words     []uint64 // of the labels
	stride    int

	radius   float64 // largest norm of a row
	scale    []float64
	weights  []float64 // W, then b
	scores   []float64 // then the gradient by the scores
	at       []float64 // where value and gradient are from
	value    float64
	gradient []float64 // by z
	err      error
}

func newProblem(ctx context.Context, x *Matrix, labels zlpr.Bits, loss zlpr.Loss, o Options) (*problem, error) {
	e, err := zlpr.NewEvaluator[float64](loss, zlpr.Options{Reduction: zlpr.Mean, Workers: o.Workers})
	if err != nil {
		return nil, err
	}
	scale, err := scaling(x, labels, o.L2)
	if err != nil {
		return nil, err
	}
	_, classes := labels.Dims()
	size := len(scale)
	terms, weights, separates := separable(loss)
	p := &problem{ctx: ctx, x: x, classes: classes, evaluator: e, o: o, separable: separates, terms: terms, scale: scale, radius: x.largestNorm(),
		weights: make([]float64, size), gradient: make([]float64, size), scores: make([]float64, x.Rows*classes)}
	p.hessian = hessianOf(loss, weights, x.Rows, classes, o.Smoothing)
	p.stride = (classes + 63) / 64
	p.words = make([]uint64, x.Rows*p.stride)
	if err := labels.ReadRows(p.words, 0, x.Rows); err != nil {
		return nil, err
	}
	p.batch = zlpr.Batch[float64]{Labels: labels, Smoothing: o.Smoothing,
		Scores: zlpr.Matrix[float64]{Rows: x.Rows, Cols: classes, Data: p.scores, Stride: classes}}
	if o.Teacher != nil {
		p.batch.Labels, p.batch.Teacher = nil, zlpr.Matrix[float64]{Rows: x.Rows, Cols: classes, Data: o.Teacher, Stride: classes}
	}
	return p, nil
}

// Func returns the objective. The gradient comes with it.
func (p *problem) Func(at []float64) float64 {
	if p.at != nil && floats.Equal(p.at, at) {
		return p.value
	}
	p.at = append(p.at[:0], at...)
	cut := p.x.Cols * p.classes
	floats.MulTo(p.weights, at, p.scale)
	w, b := p.weights[:cut], p.weights[cut:]
	p.x.Multiply(p.scores, w, b, p.classes, p.o.Workers)
	result, err := p.evaluator.Evaluate(p.ctx, &p.batch, &zlpr.Output[float64]{Grad: p.batch.Scores})
	if err != nil && p.err == nil {
		p.err = err
	}
	// λ·W is the beginning of the gradient by W.
	floats.ScaleTo(p.gradient[:cut], p.o.L2, w)
	clear(p.gradient[cut:])
	p.x.Gradient(p.gradient[:cut], p.gradient[cut:], p.scores, p.classes, p.o.Workers)
	floats.Mul(p.gradient, p.scale)
	p.value = result.Loss
	if p.o.L2 > 0 { // 0·Inf is NaN
		p.value += p.o.L2 / 2 * floats.Dot(w, w)
	}
	if p.err != nil {
		p.value = math.NaN()
	}
	return p.value
}

// Grad returns the gradient by the scaled variables.
func (p *problem) Grad(gradient, at []float64) {
	p.Func(at)
	copy(gradient, p.gradient)
}
