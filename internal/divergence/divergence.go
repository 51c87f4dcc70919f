// Package divergence evaluates, with temperature T and the law that a teacher's scores z
// give, how far a student's scores s are from it: T²·D at b = z/T and a = s/T. With
// d = a - b and the law π of the teacher, all three divergences are made of
//
//	log E e^d - E d
//
// softmax: π = softmax(b). BCE: for every class, 1 with the probability sigmoid(b), of d,
// and 0, of 0. ZLPR: h = w/(e^b + e^-b) and 1 of d = 0, over their sum, of both d and -d:
//
//	log((1 + Σ (1-t)·w·e^a)/(1 + Σ h)) + log((1 + Σ t·w·e^-a)/(1 + Σ h)),  t = sigmoid(2b)
//
// since (1-t)·w·e^a = h·e^d and t·w·e^-a = h·e^-d. With any c near E d, δ = d - c and
// φ(x) = e^x - 1 - x ≥ 0,
//
//	S = E φ(δ),  m = E δ,  log E e^d - E d = log(1+S+m) - m = S - ψ(S+m),  ψ(y) = y - log(1+y)
//
// S has terms of one sign and m is about 0: nothing cancels, however small it is.
package divergence

import (
	"math"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// A Kind is a divergence.
type Kind int

const (
	Softmax Kind = iota
	BCE
	ZLPR
)

// A Rule has the parameters.
type Rule struct {
	Kind        Kind
	Temperature float64
}

// A Work evaluates a divergence for one worker, with memory of its own that it keeps
// from one chunk to the next.
type Work[T kernel.Float] struct {
	rule    Rule
	inverse float64 // 1/T

	// The classes of the row that take part.
	index []int     // nil for all
	n     int       // their number
	z, s  []float64 // scores of the teacher and the student
	class []float64 // class weights; nil: all 1

	// Of a fast row, to a multiple of 8. Short parts: what the numbers lack.
	b, bShort, d, dShort []float64
	least, most          float64 // of d
	dropped              bool    // classes of no mass
	w                    []float64
	e                    []float64 // e^(d-c)
	low, more            []float64 // numbers of every class
	grad                 []float64
	slow                 slow
}

// New returns a Work for the rule.
func New[T kernel.Float](rule Rule) *Work[T] {
	return &Work[T]{rule: rule, inverse: 1 / rule.Temperature}
}

// Eval evaluates the rows of a chunk.
func (w *Work[T]) Eval(c *chunk.Chunk[T]) {
	for i := range c.Rows {
		if !c.Live[i] {
			c.SetNothing(i)
			continue
		}
		w.gather(c, i)
		w.row(c, i)
	}
}

// gather takes the scores of row i that take part.
func (w *Work[T]) gather(c *chunk.Chunk[T], i int) {
	x, teacher := c.Row(i), c.Teacher[i*c.TeacherStride:][:c.N]
	room := (c.N + 7) &^ 7
	w.z, w.s = kernel.Resize(w.z, room), kernel.Resize(w.s, room)
	w.index, w.n, w.class = w.index[:0], c.N, c.Class
	if c.Full {
		z, s := w.z[:len(teacher)], w.s[:len(teacher)]
		x = x[:len(teacher)]
		for j, v := range teacher {
			z[j], s[j] = float64(v), float64(x[j])
		}
		return
	}
	_, part := c.Sides(i)
	k := 0
	for j, v := range teacher {
		if part[j/64]>>(j%64)&1 != 0 {
			w.index = append(w.index, j)
			w.z[k], w.s[k] = float64(v), float64(x[j])
			k++
		}
	}
	w.n = k
	if c.Class != nil {
		w.slow.class = kernel.Resize(w.slow.class, k)
		for k, j := range w.index {
			w.slow.class[k] = c.Class[j]
		}
		w.class = w.slow.class
	}
}

// row evaluates row i.
func (w *Work[T]) row(c *chunk.Chunk[T], i int) {
	w.grad = kernel.Resize(w.grad, len(w.z))
	scale, want := 1.0, c.Grad != nil
	if want {
		scale = c.Scale[i]
	}
	f := float64(scale * w.rule.Temperature)
	fits := scale == 0 || math.Abs(f) >= 0x1p-600 && math.Abs(f) <= 0x1p600
	loss, ok := w.fastRow(f, want && fits)
	switch {
	case !ok:
		loss = w.slowRow(scale)
	case want && (!fits || w.dropped && w.heavy(f)):
		w.slowRow(scale) // the loss has the same bits whatever the gradient takes
	}
	c.Loss[i] = loss
	if want {
		w.store(c, i)
	}
}

// store writes the row's gradient.
func (w *Work[T]) store(c *chunk.Chunk[T], i int) {
	dst := c.GradRow(i)
	if len(w.index) == 0 && w.n == c.N {
		g := w.grad[:len(dst)]
		for j, v := range g {
			dst[j] = T(v)
		}
		return
	}
	clear(dst)
	for k, j := range w.index {
		dst[j] = T(w.grad[k])
	}
}

// fastRow evaluates a row of ordinary scores, and reports false for another.
func (w *Work[T]) fastRow(f float64, want bool) (loss float64, ok bool) {
	if !w.quotients() {
		return 0, false
	}
	var d float64
	switch w.rule.Kind {
	case Softmax:
		d, ok = w.softmax(f, want)
	case BCE:
		d, ok = w.bernoulli(f, want)
	default:
		d, ok = w.twoSided(f, want)
	}
	if w.dropped && !(d > lowest) {
		return 0, false
	}
	return float64(float64(w.rule.Temperature*d) * w.rule.Temperature), ok
}

// farthest is the largest |d| of fast rows, about its mean for softmax and ZLPR. A class with
// e^b and e^(b-|d|) below e^-furthest adds nothing that counts to a divergence above least.
const (
	farthest = 300
	furthest = 700
	lowest   = 0x1p-450
)

// heavy reports whether the gradient's factors make a number of what a class that has been
// dropped would add to it.
func (w *Work[T]) heavy(f float64) bool {
	most := 1.0
	for _, c := range w.class {
		most = max(most, c)
	}
	return !(math.Abs(f)*most <= 0x1p8)
}

// quotients sets b and d, of softmax less those of the class of the teacher's highest score:
// its share is at least 1/n, and the variance of d at least 1/n of the square of its mean.
// float64 scores have their short parts. It reports whether b and d are numbers.
func (w *Work[T]) quotients() bool {
	n, room := w.n, len(w.z)
	w.low = kernel.Resize(w.low, 2*room)
	w.b, w.d, w.w, w.e = kernel.Resize(w.b, room), kernel.Resize(w.d, room), kernel.Resize(w.w, room), kernel.Resize(w.e, room)
	z := w.z[:n]
	s, b, d := w.s[:len(z)], w.b[:len(z)], w.d[:len(z)]
	zTop, top, topShort := 0.0, 0.0, 0.0
	if w.rule.Kind == Softmax {
		m := 0
		for k, v := range z {
			if v > z[m] {
				m = k
			}
		}
		zTop = z[m]
		top, topShort = difference(s[m], zTop)
	}
	inverse, single := w.inverse, kernel.IsFloat32[T]()
	if !single {
		w.bShort, w.dShort = kernel.Resize(w.bShort, room), kernel.Resize(w.dShort, room)
	}
	// Of whole numbers of the same order as those of d and |b|, without jumps or the latency of
	// floating-point numbers; NaN is beyond the infinite ones.
	least, most, size := int64(math.MaxInt64), int64(math.MinInt64), int64(0)
	w.dropped = false
	for k, v := range z {
		x, short := difference(s[k], v)
		y, rest := difference(x, top)
		rest += short - topShort
		var p, q float64
		if single {
			p, q = float64((v-zTop)*inverse), float64((y+rest)*inverse)
		} else {
			q, w.dShort[k] = w.quotient(normalized(y, rest))
			p, w.bShort[k] = w.quotient(difference(v, zTop))
		}
		if a := math.Abs(p); a > furthest {
			if !(math.Abs(q)-a < -furthest) {
				return false
			}
			// As far away as this, without mass.
			w.dropped = true
			p, q = math.Copysign(2*furthest, p), 0
			if !single {
				w.bShort[k], w.dShort[k] = 0, 0
			}
		}
		b[k], d[k] = p, q
		size = max(size, int64(math.Float64bits(math.Abs(p))))
		i := ordered(int64(math.Float64bits(q)))
		least, most = min(least, i), max(most, i)
	}
	w.least, w.most = math.Float64frombits(uint64(ordered(least))), math.Float64frombits(uint64(ordered(most)))
	for k := n; k < room; k++ {
		w.b[k], w.d[k] = 0, 0
	}
	return math.Float64frombits(uint64(size)) <= math.MaxFloat64 && math.Abs(w.least) <= math.MaxFloat64 && math.Abs(w.most) <= math.MaxFloat64
}

// ordered returns the bits of a number as a whole number of its order, and these as those.
func ordered(bits int64) int64 { return bits ^ bits>>63&math.MaxInt64 }

// quotient returns (x + rest)/T and what it lacks, up to two ULP.
func (w *Work[T]) quotient(x, rest float64) (q, short float64) {
	q = float64(x * w.inverse)
	return q, float64((math.FMA(-q, w.rule.Temperature, x) + rest) * w.inverse)
}

// difference returns a - b and what it lacks.
func difference(a, b float64) (d, short float64) {
	d = a - b
	return d, differenceShort(a, b, d)
}
