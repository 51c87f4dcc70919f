package report

import (
	"errors"
	"math"

	"github.com/zlpr/zlpr/internal/exact"
)

// A Fit finds the Calibration of the least log loss on some elements: its scale, or
// scale and shift (Platt scaling), by Newton's method. The log loss L is convex in
// both; with z = Scale·s + Shift, x = c·z (c is 2 for Sigmoid2, else 1), p the
// sigmoid of x,
//
//	∂L/∂z = c·(p - y)        ∂²L/∂z² = c²·p·(1-p)
//
// and for the softmax, of target t, ∂L/∂Scale = Σ p·s - s_t, the second derivative
// being the variance of s under p. A step that does not lower L is halved.
//
// In every pass all elements are added, by Parts that are merged, and then Next is
// called, until it returns true. The sums are exact, so that the Calibration is the
// same however the elements are split; a pass costs one evaluation of all elements.
// The last step is one of 2^-30 of the scale and the shift or less, after which
// they are those of the minimum but for rounding: mostly within 10^-12 relative.
type Fit struct {
	at, best Calibration
	shift    bool
	sums     fitSums
	step     [2]float64
	part     float64 // of the step
	loss     float64 // at best
	passes   int
	positive uint64
	room     []float64
}

// fitSums are L and its derivatives.
type fitSums struct {
	n          uint64
	loss       exact.Sum
	a, b       exact.Sum // by scale and shift
	aa, ab, bb exact.Sum
}

// NewFit returns the fit of a link from scale 1 and shift 0 on, which moves the
// shift too if that is asked for; the softmax has none.
func NewFit(link Link, shift bool) *Fit {
	c := Calibration{Link: link, Scale: 1}
	return &Fit{at: c, best: c, shift: shift && link != Softmax, loss: math.Inf(1)}
}

// Part returns a Fit for a part of the elements of this pass.
func (f *Fit) Part() *Fit { return &Fit{at: f.at, shift: f.shift} }

// Add adds elements.
func (f *Fit) Add(e *Elements) {
	s := &f.sums
	if f.at.Link == Softmax {
		e.each(func(x []float64, y []bool) {
			for len(f.room) < len(x) {
				f.room = append(f.room, 0)
			}
			r := f.at.row(x, y, f.room[:len(x)])
			s.n++
			s.loss.Add(r.loss)
			s.a.Add(r.slope)
			s.aa.Add(r.variance)
		})
		return
	}
	c := f.at.Link.factor()
	const block = 512
	var loss, a, b, aa, ab, bb [block]float64
	for begin := 0; begin < len(e.S); begin += block {
		part := e.S[begin:min(begin+block, len(e.S))]
		for i, v := range part {
			x := c * f.at.logit(v)
			g := 0.0
			if e.Y[begin+i] {
				f.positive++
				loss[i], g = softplus(-x)
				g = -g
			} else {
				loss[i], g = softplus(x)
			}
			h := math.Abs(g) * (1 - math.Abs(g))
			a[i], b[i] = g*v, g
			aa[i], ab[i], bb[i] = h*v*v, h*v, h
		}
		n := len(part)
		s.loss.AddSlice(loss[:n])
		s.a.AddSlice(a[:n])
		s.aa.AddSlice(aa[:n])
		if f.shift {
			s.b.AddSlice(b[:n])
			s.ab.AddSlice(ab[:n])
			s.bb.AddSlice(bb[:n])
		}
	}
	s.n += uint64(len(e.S))
}

// Merge adds the elements of a part. It panics if o is nil.
func (f *Fit) Merge(o *Fit) {
	if o == nil {
		panic("zlpr: Merge of a nil Fit")
	}
	f.positive += o.positive
	s, t := &f.sums, &o.sums
	s.n += t.n
	s.loss.Merge(&t.loss)
	for _, p := range [][2]*exact.Sum{{&s.a, &t.a}, {&s.b, &t.b}, {&s.aa, &t.aa}, {&s.ab, &t.ab}, {&s.bb, &t.bb}} {
		p[0].Merge(p[1])
	}
}

var (
	// ErrNoElements is the error of a fit to nothing.
	ErrNoElements = errors.New("report: no element takes part")
	// ErrSeparable is the error of a fit whose log loss falls for ever.
	ErrSeparable = errors.New("report: the log loss has no minimum: the scores tell the labels without an error, or all labels are alike")
)

// mostPasses is far beyond what a minimum takes.
const mostPasses = 100

// Next ends a pass, and reports whether the minimum is found.
func (f *Fit) Next() (bool, error) {
	s := &f.sums
	defer func() { f.sums, f.positive = fitSums{}, 0 }()
	f.passes++
	switch {
	case s.n == 0:
		return false, ErrNoElements
	case f.shift && (f.positive == 0 || f.positive == s.n):
		return false, ErrSeparable
	}
	loss := s.loss.Float64()
	if loss > f.loss*(1+0x1p-48) { // too far
		f.part /= 2
		return f.move(), nil
	}
	f.best, f.loss, f.part = f.at, loss, 1
	c := f.at.Link.factor()
	a, b := c*s.a.Float64(), c*s.b.Float64()
	aa, ab, bb := c*c*s.aa.Float64(), c*c*s.ab.Float64(), c*c*s.bb.Float64()
	var decrement float64
	f.step, decrement = newton(a, b, aa, ab, bb)
	still := f.move()
	switch {
	case loss == 0 && f.passes > 1: // it has fallen below all numbers
		return false, ErrSeparable
	case decrement <= 0x1p-60*loss || still: // the next one would be within rounding
		f.best = f.at
		return true, nil
	case f.passes >= mostPasses, math.IsNaN(decrement):
		return false, ErrSeparable
	}
	return false, nil
}

// move goes on from the best, and reports whether that is no move at all.
func (f *Fit) move() (still bool) {
	f.at.Scale = f.best.Scale + float64(f.part*f.step[0])
	f.at.Shift = f.best.Shift + float64(f.part*f.step[1])
	return f.at == f.best
}

// newton is the step to the minimum of a quadratic function with that gradient and
// Hessian, and how much it falls, doubled. Where all scores are equal, a shift does
// what a scale would.
func newton(a, b, aa, ab, bb float64) (step [2]float64, decrement float64) {
	if bb == 0 { // no shift
		if aa > 0 {
			step[0] = -a / aa
		}
	} else if det := float64(aa*bb) - float64(ab*ab); det > 0x1p-40*float64(aa*bb) {
		step[0] = (float64(ab*b) - float64(bb*a)) / det
		step[1] = (float64(ab*a) - float64(aa*b)) / det
	} else {
		step[1] = -b / bb
	}
	return step, -float64(step[0]*a) - float64(step[1]*b)
}

// Calibration returns the best so far.
func (f *Fit) Calibration() Calibration { return f.best }
