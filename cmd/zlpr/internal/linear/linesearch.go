package linear

import (
	"math"

	"gonum.org/v1/gonum/optimize"
)

// A lineSearch finds a step along a direction of descent in which a convex
// function f, of derivative g along it, has come down enough:
//
//	f(step) ≤ f(0) + 0.0001·step·g(0)  and  |g(step)| ≤ 0.9·|g(0)|
//
// Close to the minimum f(0) and f(step) agree in all their digits, and this
// says nothing any more. The derivatives still differ then, and they alone
// decide (the approximate Wolfe conditions of Hager and Zhang, ACM TOMS 32(1),
// 2006, with their δ = 0.1, σ = 0.9):
//
//	f(step) ≤ f(0) + 1e-12·|f(0)|  and  0.9·g(0) ≤ g(step) ≤ -0.8·g(0)
//
// A convex function has its minimum beyond every step at which it still falls,
// and before every one at which it rises, so that the signs of derivatives
// enclose it; secants of the derivative, and bisection, come closer.
type lineSearch struct {
	f0, g0 float64
	step   float64
	lo, hi linePoint // f falls at lo, and rises at hi; hi.step is 0 until known
	tries  int
}

// A linePoint is a step and the derivative there.
type linePoint struct{ step, g float64 }

// lineTries is how many steps are tried: one or two are enough, as a rule.
const lineTries = 60

// Init implements optimize.Linesearcher.
func (l *lineSearch) Init(f, g, step float64) optimize.Operation {
	*l = lineSearch{f0: f, g0: g, step: step, lo: linePoint{0, g}}
	return optimize.FuncEvaluation | optimize.GradEvaluation
}

// Iterate implements optimize.Linesearcher.
func (l *lineSearch) Iterate(f, g float64) (optimize.Operation, float64, error) {
	switch step, done, ok := l.try(f, g); {
	case !ok:
		return optimize.NoOperation, l.step, optimize.ErrLinesearcherFailure
	case done:
		return optimize.MajorIteration, l.step, nil
	default:
		l.step = step
		return optimize.FuncEvaluation | optimize.GradEvaluation, l.step, nil
	}
}

// try looks at f and its derivative at the step, and returns the one to be tried
// next unless the search is done. It is not ok after too many.
func (l *lineSearch) try(f, g float64) (next float64, done, ok bool) {
	if l.accepts(f, g) {
		return l.step, true, true
	}
	if l.tries++; l.tries == lineTries {
		return l.step, false, false
	}
	switch {
	case f-f != 0 || g-g != 0: // beyond what float64 holds
		l.hi = linePoint{l.step, math.Inf(1)}
	case g < 0:
		l.lo = linePoint{l.step, g}
	default:
		l.hi = linePoint{l.step, g}
	}
	return l.next(), false, true
}

func (l *lineSearch) accepts(f, g float64) bool {
	const decrease, curvature, rounding = 1e-4, 0.9, 1e-12
	if f-f != 0 || !(math.Abs(g) <= -curvature*l.g0) {
		return false
	}
	return f <= l.f0+decrease*l.step*l.g0 || f <= l.f0+rounding*math.Abs(l.f0) && g <= -0.8*l.g0
}

// next returns the step to be tried.
func (l *lineSearch) next() float64 {
	if l.hi.step == 0 {
		// The secant through 0 and lo, within bounds.
		factor := l.g0 / (l.g0 - l.lo.g)
		if !(factor >= 2) {
			factor = 2
		}
		return l.lo.step * min(factor, 10)
	}
	width := l.hi.step - l.lo.step
	middle := l.lo.step + width/2
	if l.tries%3 == 0 || l.hi.g > math.MaxFloat64 {
		return middle
	}
	secant := l.lo.step + width*(l.lo.g/(l.lo.g-l.hi.g))
	return min(max(secant, l.lo.step+width/20), l.hi.step-width/20)
}
