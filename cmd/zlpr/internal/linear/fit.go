package linear

import (
	"context"
	"errors"
	"math"
	"slices"

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
	Smoothing  float64   // ε of the labels, of a loss that smooths them
	Teacher    []float64 // a teacher's scores of the rows, for a loss that takes no labels; or nil
	Progress   func(iteration int, objective, gradient float64)
}

// A Result is a fitted model.
type Result struct {
	W, B       []float64 // features × classes, classes
	Objective  float64
	Gradient   float64 // Euclidean norm of the gradient
	Gap        float64 // what the objective is above its minimum at most, see Fit
	Iterations int
	Converged  bool
	History    []float64 // the objective at the start and after every iteration
}

// Fit minimises
//
//	F(W, b) = mean over the rows of loss(x·W + b, labels) + (λ/2)·Σ W²
//
// by Newton's method with conjugate gradients (see newton) where λ > 0 and the
// loss is a sum over the classes, and from where that ends by L-BFGS
// over scaled variables (see scaling). It ends when the duality gap (see gap)
// tells that F is within the tolerance of its minimum, whatever the start was:
//
//	(|gradient by W| + r·|gradient by b|)²/(2λ) + Σ_c (gradient by b_c)²/h_c  ≤  tolerance·F
//
// for BCE summed over the classes, each with its own gradients, or where float64 cannot lower F any further: when twenty iterations together
// lower it by less than 1e-15·F, or when no step along the steepest descent
// does. Without λ there is no gap, and it ends when twenty iterations lower F
// by less than tolerance/100.
func Fit(ctx context.Context, x *Matrix, labels zlpr.Bits, loss zlpr.Loss, o Options) (*Result, error) {
	_, classes := labels.Dims()
	merged := merge(x)
	if merged.Dense == nil {
		turned := merged.rows().transpose(merged.Cols)
		merged.columnwise = &turned
	}
	p, err := newProblem(ctx, merged.Matrix, labels, loss, o)
	if small := (*smallColumn)(nil); errors.As(err, &small) && merged.to != nil {
		return nil, &smallColumn{slices.Index(merged.to, int32(small.column)), small.root}
	}
	if err != nil {
		return nil, err
	}
	at := make([]float64, len(p.scale))
	if cut := x.Cols * classes; o.Start != nil {
		copy(at, merged.narrow(o.Start[:cut], classes))
		copy(at[merged.Cols*classes:], o.Start[cut:])
		floats.Div(at, p.scale)
	}
	r := &Result{}
	// Coupled losses take more products by Newton's method than L-BFGS takes
	// iterations: on corel5k at λ = 1e-4 ZLPR took 9.7 s of CPU time, not 1.6.
	if p.separable {
		if _, err = p.newton(at, r); err != nil {
			return nil, err
		}
	}
	if at, err = p.minimize(at, r); err != nil {
		return nil, err
	}
	if math.IsNaN(r.Objective) || math.IsInf(r.Objective, 0) {
		return nil, errors.New("the objective is not finite; raise --l2, or scale the features by --standardize")
	}
	floats.Mul(at, p.scale)
	cut := merged.Cols * classes
	r.W, r.B = merged.widen(at[:cut], classes), at[cut:]
	r.Iterations = max(0, len(r.History)-1)
	return r, nil
}

// restarts is how often L-BFGS begins anew, without what it remembers of other
// places, when no step along its direction lowers the objective.
const restarts = 10

// minimize minimises from at on and returns where it ended.
func (p *problem) minimize(at []float64, r *Result) ([]float64, error) {
	for range 1 + restarts {
		left := p.o.Iterations - max(0, len(r.History)-1)
		conv := &converger{p: p, r: r}
		settings := &optimize.Settings{
			Converger:         conv,
			Recorder:          recorder{p.ctx},
			GradientThreshold: math.NaN(), // the converger decides
			MajorIterations:   left + 1,   // the start is one
		}
		method := &optimize.LBFGS{Store: 10, Linesearcher: &lineSearch{}, GradStopThreshold: math.NaN()}
		result, failure := optimize.Minimize(optimize.Problem{Func: p.Func, Grad: p.Grad}, at, settings, method)
		if p.err != nil {
			return nil, p.err
		}
		if err := p.ctx.Err(); err != nil {
			return nil, err
		}
		if result == nil {
			return nil, failure
		}
		at = result.X
		r.Objective = result.F
		p.Func(at)
		weights, biases := p.norms()
		r.Gradient, r.Gap = math.Hypot(weights, biases), p.gap(math.Inf(1))
		// A descent that began anew and led nowhere: there is nothing below.
		r.Converged = conv.done || failure != nil && len(conv.last) > 0 && conv.last[0]-result.F <= rounding*math.Abs(result.F)
		if r.Converged || failure == nil || len(conv.last) == 0 {
			break
		}
	}
	return at, nil
}

// rounding is the relative change of an objective that is none.
const rounding = 1e-15

// A recorder ends the descent when the context does.
type recorder struct{ ctx context.Context }

// Init implements optimize.Recorder.
func (r recorder) Init() error { return nil }

// Record implements optimize.Recorder.
func (r recorder) Record(*optimize.Location, optimize.Operation, *optimize.Stats) error {
	return r.ctx.Err()
}

// A converger notes the objective of every iteration and decides when Fit ends.
type converger struct {
	p    *problem
	r    *Result
	last []float64 // the objective at the start of this descent, and after every iteration
	done bool
}

// Init implements optimize.Converger.
func (c *converger) Init(int) {}

// Converged implements optimize.Converger. The start counts as an iteration.
func (c *converger) Converged(l *optimize.Location) optimize.Status {
	c.p.Func(l.X)             // was evaluated last: all of it is there
	again := len(c.last) == 0 // a start that was the end of the descent before
	c.last = append(c.last, l.F)
	if h := &c.r.History; !again || len(*h) == 0 {
		*h = append(*h, l.F)
		if progress := c.p.o.Progress; progress != nil {
			weights, biases := c.p.norms()
			progress(len(*h)-1, l.F, math.Hypot(weights, biases))
		}
	}
	const window = 20
	least := rounding
	if c.p.o.L2 == 0 {
		least = max(least, c.p.o.Tolerance/100)
	}
	still := false
	if n := len(c.last); n > window {
		still = c.last[n-1-window]-l.F <= least*math.Abs(l.F)
	}
	if enough := c.p.o.Tolerance * l.F; still || c.p.gap(enough) <= enough {
		c.done = true
		return optimize.FunctionConvergence
	}
	return optimize.NotTerminated
}
