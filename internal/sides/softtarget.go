package sides

import (
	"math"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file evaluates softmax cross-entropy with soft labels t, class weights
// included, and their sum T. With m for the class of the highest score,
//
//	Σ t_i·(log Σ e^s - s_i) = T·log(1 + Σ_{i≠m} e^(s_i-s_m)) + Σ t_i·(s_m - s_i)
//
// of which the first term is T times the loss of the target m: all
// terms are positive, and a small loss keeps its digits. So does the gradient,
//
//	T·p_i - t_i for i ≠ m,   (T - t_m) - T·(1-p_m)
//
// where T·p_i and T·(1-p_m) come from the loss of the target.

// softTarget is memory for it.
type softTarget[T kernel.Float] struct {
	pos, neg []uint64
	mass     []float64 // T of every row, times 2^-down
	others   []float64 // T - t_m, times 2^-down
	down     []int     // not 0 where T may be beyond the numbers
	distance []float64 // Σ t_i·(s_m - s_i)
	factor   []softFactor
	peak     []power.Number // of slow rows, p_m
	x        []T            // the scores, where the gradient takes their place
}

// labelCheck is the check of the chunk's labels, nil once it is made, and what it found.
type labelCheck struct {
	check func() error
	err   error
}

// right reports whether the labels are right.
func (l *labelCheck) right() bool {
	if l.check != nil {
		l.err = l.check()
		l.check = nil
	}
	return l.err == nil
}

// evalSoftTarget evaluates the rows of the chunk.
func (w *Work[T]) evalSoftTarget() {
	c, s := w.c, &w.target
	pos, neg := c.Pos, c.Neg
	s.pos, s.neg = kernel.Resize(s.pos, len(pos)), append(s.neg[:0], neg...)
	clear(s.pos)
	c.Pos, c.Neg = s.pos, s.neg
	c.Target = kernel.Resize(c.Target, c.Rows)
	s.mass, s.others, s.distance = kernel.Resize(s.mass, c.Rows), kernel.Resize(s.others, c.Rows), kernel.Resize(s.distance, c.Rows)
	s.down = kernel.Resize(s.down, c.Rows)
	if c.Grad != nil {
		s.factor, s.peak = kernel.Resize(s.factor, c.Rows), kernel.Resize(s.peak, c.Rows)
		w.keepScores()
	}
	w.findHighest()
	for i, m := range c.Target {
		if m >= 0 {
			p, n := c.Sides(i)
			p[m/64] |= 1 << (m % 64)
			n[m/64] &^= 1 << (m % 64)
		}
	}
	for i, m := range c.Target {
		if m >= 0 {
			w.distances(i, m)
		}
	}
	w.eval()
	for i, m := range c.Target {
		if m < 0 {
			continue
		}
		l := c.Loss[i]
		c.Loss[i] = 0
		if s.mass[i] != 0 {
			c.Loss[i] = scalar.Ldexp(l*s.mass[i], s.down[i]) + s.distance[i]
		}
		if c.Grad != nil {
			w.lessLabels(i, m, l)
		}
	}
	c.Pos, c.Neg = pos, neg
}

// findHighest sets the classes of the highest scores, the lowest where there are
// several.
func (w *Work[T]) findHighest() {
	c := w.c
	for i := range c.Rows {
		m := -1
		if c.Full && c.N > 0 {
			m = placeOfMaximum(c.Row(i))
		}
		if m < 0 {
			m = w.highest(i)
		}
		c.Target[i] = m
	}
}

// placeOfMaximum returns the place of the first highest number of row, -1 if there is a
// NaN.
func placeOfMaximum[T kernel.Float](row []T) int {
	const block, most = 64, 64
	var tops [most]T
	best, at := T(math.Inf(-1)), 0
	for from := 0; from < len(row); from += most * block {
		part := row[from:min(len(row), from+most*block)]
		blocks := len(part) / block
		if blocks > 0 {
			kernel.Maximum(tops[:blocks], part, block, blocks, block)
		}
		if rest := part[blocks*block:]; len(rest) > 0 {
			kernel.Maximum(tops[blocks:], rest, len(rest), 1, len(rest))
			blocks++
		}
		for k, top := range tops[:blocks] {
			if top != top {
				return -1
			}
			if top > best {
				best, at = top, from+k*block
			}
		}
	}
	for row[at] != best {
		at++
	}
	return at
}

// setMass sets T of row i, a sum and its error, and what the gradient takes of it.
func (s *softTarget[T]) setMass(i int, sum, err float64, c *chunk.Chunk[T]) {
	s.mass[i] = sum + err
	if c.Grad != nil {
		s.factor[i] = softFactorOf(c.Scale[i], s.mass[i], err-(s.mass[i]-sum))
		if s.down[i] != 0 {
			s.factor[i].raise(s.down[i])
		}
	}
}

// keepScores keeps the scores, which the gradient may overwrite.
func (w *Work[T]) keepScores() {
	c, s := w.c, &w.target
	if !w.overScores() {
		return
	}
	s.x = kernel.Resize(s.x, c.Rows*c.N)
	for i := range c.Rows {
		copy(s.x[i*c.N:][:c.N], c.Row(i))
	}
}

// scores returns the scores of row i.
func (w *Work[T]) scores(i int) []T {
	c := w.c
	if w.overScores() {
		return w.target.x[i*c.N:][:c.N]
	}
	return c.Row(i)
}

// highest returns the class of the highest score of row i, -1 if none takes part.
func (w *Work[T]) highest(i int) int {
	_, neg := w.c.Sides(i)
	m, top := -1, T(0)
	for j, x := range w.c.Row(i) {
		if neg[j/64]>>(j%64)&1 != 0 && (m < 0 || x > top) {
			m, top = j, x
		}
	}
	return m
}

// label returns the soft label of class j in the row, times its weight.
func (w *Work[T]) label(row []T, j int) float64 {
	t := float64(row[j])
	if w.c.Class != nil {
		t *= w.c.Class[j]
	}
	return t
}

// distances sets the sums of row i, whose highest score is that of class m. Labels are
// 0 where a class takes no part.
func (w *Work[T]) distances(i, m int) {
	c, s := w.c, &w.target
	row, labels := c.Row(i), c.Soft[i*c.SoftStride:][:c.N]
	top := float64(row[m])
	var distance, err float64
	for j, x := range row {
		x := float64(x)
		if t := w.label(labels, j); t != 0 && x != top {
			distance, err = kernel.TwoSum(distance, err, distanceOf(t, top, x))
		}
	}
	s.distance[i] = distance
	if distance <= math.MaxFloat64 {
		s.distance[i] += err
	}
	s.down[i] = 0
	w.masses(i, m)
	if !(s.mass[i] <= math.MaxFloat64) { // NaN, if an error was beyond
		s.down[i] = 64
		w.masses(i, m)
	}
}

// masses sets T and T - t_m of row i, times 2^-down.
func (w *Work[T]) masses(i, m int) {
	c, s := w.c, &w.target
	labels, scale := c.Soft[i*c.SoftStride:][:c.N], scalar.Ldexp(1, -s.down[i])
	var others, err float64
	for j := range labels {
		if j != m {
			others, err = kernel.TwoSum(others, err, float64(scale*w.label(labels, j)))
		}
	}
	s.others[i] = others + err
	mass, err := kernel.TwoSum(others, err, float64(scale*w.label(labels, m)))
	s.setMass(i, mass, err, c)
}

// distanceOf returns t·(a-b), a ≥ b.
func distanceOf(t, a, b float64) float64 {
	if d := a - b; d <= math.MaxFloat64 {
		return float64(t * d)
	}
	return float64(float64(2*t) * (a/2 - b/2)) // halves are exact
}

// lessLabels takes the labels' part of the gradient off that of row i, whose loss as one
// of the target m is l.
func (w *Work[T]) lessLabels(i, m int, l float64) {
	c, s := w.c, &w.target
	labels, grad, row, scale := c.Soft[i*c.SoftStride:][:c.N], c.GradRow(i), w.scores(i), c.Scale[i]
	f, low := &s.factor[i], lowShare[T]()
	grad[m] = w.peakGradient(i, m, l)
	for j, g := range grad {
		t, g := w.label(labels, j), float64(g)
		switch {
		case j == m:
			continue
		case t == 0:
			if f.exp != 0 {
				grad[j] = T(scalar.Ldexp(g, f.exp))
			}
			continue
		case math.Abs(g) < low && g == g:
			g = w.share(float64(row[j]), float64(row[m]), l).Times(power.Number{Hi: f.value}).Float()
		}
		grad[j] = T(f.less(g, scale, t))
	}
}

// lowShare is below what a share of the gradient may have lost digits.
func lowShare[T kernel.Float]() float64 {
	if kernel.IsFloat32[T]() {
		return 0x1p-100
	}
	return 0x1p-970
}

// peakGradient returns the derivative of row i by the highest score, that of class m,
// where that of the target m is in the gradient, and the loss is l.
func (w *Work[T]) peakGradient(i, m int, l float64) T {
	c, s := w.c, &w.target
	f, g := &s.factor[i], float64(c.GradRow(i)[m])
	if l > math.Ln2 { // T·p - t
		if p := w.peak(i, l); p.Exp == 0 && p.Lo == 0 && middling(p.Hi*f.value) {
			g = float64(p.Hi * f.value)
		} else {
			g = p.Times(power.Number{Hi: f.value}).Float()
		}
		return T(f.less(g, c.Scale[i], w.label(c.Soft[i*c.SoftStride:], m)))
	}
	// (T - t) - T·(1-p)
	if math.Abs(g) < lowShare[T]() {
		g = -float64(f.value * l) // l is 1-p, being that small
	}
	return T(f.less(g, scalar.Ldexp(c.Scale[i], s.down[i]), -s.others[i]))
}

// share returns the softmax of the score x, where that of the highest score has the
// loss l.
func (w *Work[T]) share(x, top, l float64) power.Number {
	if math.IsInf(x, -1) || math.IsInf(top, 1) {
		return power.Number{}
	}
	d, err := difference(x, top)
	return power.ExpPair(d, err).Times(power.ExpPair(-l, 0))
}

// peak returns the softmax of the highest score of row i, whose loss is l.
func (w *Work[T]) peak(i int, l float64) power.Number {
	if kernel.IsFloat32[T]() {
		if l < 600 {
			return power.Number{Hi: scalar.Exp(-l)}
		}
		return power.ExpPair(-l, 0)
	}
	if _, u, ok := kernel.TargetFast[T](w.a[i], w.b[i]); ok {
		return power.Number{Hi: 1 / (1 + u)}
	}
	return w.target.peak[i]
}

// A softFactor is the factor of the shares of a row's gradient, its scale times T, as
// value·2^exp·(1+rest).
type softFactor struct {
	value, rest float64
	exp         int
}

// raise multiplies f by 2^n, for a value that is not small.
func (f *softFactor) raise(n int) {
	if f.value != 0 {
		v, e := math.Frexp(f.value)
		f.value, f.exp = v, f.exp+e+n
	}
}

// softFactorOf returns the product of a scale and of mass + lost.
func softFactorOf(scale, mass, lost float64) (f softFactor) {
	f.value = float64(scale * mass)
	if a := math.Abs(f.value); !(a >= 0x1p-20 && a <= 0x1p60) && scale != 0 && mass != 0 {
		a, x := math.Frexp(scale)
		b, y := math.Frexp(mass)
		scale, mass, lost = a, b, scalar.Ldexp(lost, -y)
		f.value, f.exp = float64(a*b), x+y
	}
	if f.value != 0 {
		f.rest = (math.FMA(scale, mass, -f.value) + float64(scale*lost)) / f.value
	}
	return f
}

// less returns g·2^exp·(1+rest) - scale·t.
func (f *softFactor) less(g, scale, t float64) float64 {
	d := lessProduct(g, float64(g*f.rest), f.exp, scale, t)
	if math.Abs(d) <= math.MaxFloat64 {
		return d
	}
	// Both may be beyond the numbers.
	const most = 1000
	return scalar.Ldexp(lessProduct(g, float64(g*f.rest), f.exp-most, scalar.Ldexp(scale, -most/2), scalar.Ldexp(t, -most/2)), most)
}

// lessProduct returns (g + rest)·2^exp - scale·t.
func lessProduct(g, rest float64, exp int, scale, t float64) float64 {
	if exp != 0 {
		g, rest = scalar.Ldexp(g, exp), scalar.Ldexp(rest, exp)
	}
	h := -float64(scale * t)
	lo := math.FMA(-scale, t, -h)
	d := g + h
	b := d - g
	return d + ((g - (d - b)) + (h - b) + (lo + rest))
}
