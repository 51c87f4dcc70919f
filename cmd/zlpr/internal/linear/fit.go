package linear

import (
	"context"
	"errors"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"

	"github.com/zlpr/zlpr"
)

// Options are the settings of Fit.
type Options struct {
	L2         float64   // λ
	Tolerance  float64   // relative to the objective, see Fit
	Iterations int       // at most
	Workers    int       // threads
	Start      []float64 // W, then b; nil: zeros
	Progress   func(iteration int, objective, gradient float64)
}

// A Result is a fitted model.
type Result struct {
	W, B       []float64 // features × classes, classes
	Objective  float64
	Gradient   float64 // Euclidean norm of the gradient
	Iterations int
	Converged  bool
	History    []float64 // the objective at the start and after every iteration
}

// Fit minimises
//
//	mean over the rows of loss(x·W + b, labels) + (λ/2)·Σ W²
//
// by L-BFGS with the line search of Moré and Thuente. It ends when
//
//	|gradient|² ≤ 2·λ·tolerance·objective  and  Σ |gradient by b| ≤ 10·tolerance·objective
//
// (in the directions of W the objective is λ-strongly convex: it then is within
// the tolerance of its minimum; the bias of a class that no row has runs off to
// -Inf, and what the objective can still gain there is about its derivative),
// or when fifty iterations together lower the objective by less than
// tolerance/100 of itself.
func Fit(ctx context.Context, x *Matrix, labels zlpr.Bits, loss zlpr.Loss, o Options) (*Result, error) {
	_, classes := labels.Dims()
	p, err := newProblem(ctx, x, labels, classes, loss, o)
	if err != nil {
		return nil, err
	}
	size := (x.Cols + 1) * classes
	at := o.Start
	if at == nil {
		at = make([]float64, size)
	}
	r := &Result{}
	rec := &recorder{ctx: ctx, o: o, r: r}
	// The objective is convex: a line search fails only when it has run out of
	// digits, or when old curvature misleads it. So it gets three starts.
	for range 3 {
		if len(r.History) > o.Iterations {
			break
		}
		again := len(r.History) > 0
		rec.skip = again
		rec.converger.reset()
		settings := &optimize.Settings{
			Converger:         &rec.converger,
			Recorder:          rec,
			GradientThreshold: math.NaN(), // the converger decides
			MajorIterations:   o.Iterations - max(0, len(r.History)-1),
		}
		rec.converger.o, rec.converger.biases = o, classes
		result, err := optimize.Minimize(optimize.Problem{Func: p.Func, Grad: p.Grad}, at, settings,
			&optimize.LBFGS{Store: 10, Linesearcher: &optimize.MoreThuente{}})
		if p.err != nil {
			return nil, p.err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if result == nil {
			return nil, err
		}
		at = result.X
		before := r.Objective
		r.Objective, r.Gradient = result.F, floats.Norm(result.Gradient, 2)
		exhausted := again && before-r.Objective <= 1e-14*math.Abs(before)
		if rec.converger.done || exhausted {
			r.Converged = true
			break
		}
		if err == nil {
			break
		}
	}
	if math.IsNaN(r.Objective) || math.IsInf(r.Objective, 0) {
		return nil, errors.New("the objective is not finite; raise --l2, or scale the features by --standardize")
	}
	r.W, r.B = at[:x.Cols*classes], at[x.Cols*classes:]
	r.Iterations = max(0, len(r.History)-1)
	return r, nil
}

// A problem is the objective with its gradient.
type problem struct {
	ctx       context.Context
	x         *Matrix
	classes   int
	batch     zlpr.Batch[float64]
	evaluator *zlpr.Evaluator[float64]
	o         Options

	scores   []float64 // then the gradient by the scores
	at       []float64 // where value and gradient are from
	value    float64
	gradient []float64
	err      error
}

func newProblem(ctx context.Context, x *Matrix, labels zlpr.Bits, classes int, loss zlpr.Loss, o Options) (*problem, error) {
	e, err := zlpr.NewEvaluator[float64](loss, zlpr.Options{Reduction: zlpr.Mean, Workers: o.Workers})
	if err != nil {
		return nil, err
	}
	p := &problem{ctx: ctx, x: x, classes: classes, evaluator: e, o: o, scores: make([]float64, x.Rows*classes)}
	p.batch = zlpr.Batch[float64]{Labels: labels,
		Scores: zlpr.Matrix[float64]{Rows: x.Rows, Cols: classes, Data: p.scores, Stride: classes}}
	return p, nil
}

// Func returns the objective. The gradient comes with it.
func (p *problem) Func(at []float64) float64 {
	if p.at != nil && floats.Equal(p.at, at) {
		return p.value
	}
	if p.at == nil {
		p.at, p.gradient = make([]float64, len(at)), make([]float64, len(at))
	}
	copy(p.at, at)
	cut := p.x.Cols * p.classes
	w, b := at[:cut], at[cut:]
	p.x.Multiply(p.scores, w, b, p.classes, p.o.Workers)
	result, err := p.evaluator.Evaluate(p.ctx, &p.batch, &zlpr.Output[float64]{Grad: p.batch.Scores})
	if err != nil && p.err == nil {
		p.err = err
	}
	// λ·W is the beginning of the gradient by W.
	floats.ScaleTo(p.gradient[:cut], p.o.L2, w)
	clear(p.gradient[cut:])
	p.x.Gradient(p.gradient[:cut], p.gradient[cut:], p.scores, p.classes, p.o.Workers)
	p.value = result.Loss + p.o.L2/2*floats.Dot(w, w)
	if p.err != nil {
		p.value = math.NaN()
	}
	return p.value
}

// Grad returns the gradient.
func (p *problem) Grad(gradient, at []float64) {
	p.Func(at)
	copy(gradient, p.gradient)
}

// A recorder notes the objective of every iteration.
type recorder struct {
	ctx       context.Context
	o         Options
	r         *Result
	skip      bool // the next location is known already
	converger converger
}

func (r *recorder) Init() error { return nil }

func (r *recorder) Record(l *optimize.Location, op optimize.Operation, _ *optimize.Stats) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	// The start counts as an iteration of its own.
	if op != optimize.MajorIteration {
		return nil
	}
	if r.skip {
		r.skip = false
		return nil
	}
	r.r.History = append(r.r.History, l.F)
	if r.o.Progress != nil {
		r.o.Progress(len(r.r.History)-1, l.F, floats.Norm(l.Gradient, 2))
	}
	return nil
}

// A converger is the end of Fit.
type converger struct {
	o      Options
	biases int // at the end of the gradient
	last   []float64
	done   bool
}

func (c *converger) reset()   { c.last, c.done = nil, false }
func (c *converger) Init(int) {}

func (c *converger) Converged(l *optimize.Location) optimize.Status {
	norm := floats.Norm(l.Gradient, 2)
	c.last = append(c.last, l.F)
	const window = 50
	slow := false
	if n := len(c.last); n > window {
		slow = c.last[n-1-window]-l.F <= c.o.Tolerance/100*math.Abs(l.F)
	}
	biases := floats.Norm(l.Gradient[len(l.Gradient)-c.biases:], 1)
	if norm*norm <= 2*c.o.L2*c.o.Tolerance*l.F && biases <= 10*c.o.Tolerance*l.F || slow {
		c.done = true
		return optimize.FunctionConvergence
	}
	return optimize.NotTerminated
}
