// Package sides evaluates the losses that depend on the scores through two sums
// alone, over the negatives N and the positives P of a row: ZLPR, pairwise and
// softmax cross-entropy.
//
//	A = Σ_N e^s,  B = Σ_P e^-s
//
//	sum of both: L = log1p(A·e^-s0) + log1p(B·e^s0)      ZLPR
//	product:     L = log1p(A·B·e^(γm))                   pairwise, cross-entropy
//
// A threshold or a margin is applied to A and B in float64, not to the scores:
// so no score is rounded. All terms are positive, so a small loss has small
// relative error. The gradient is the same exponentials times a factor:
//
//	∂L/∂s_i = e^s_i·∂L/∂A for i ∈ N,  ∂L/∂s_j = -e^-s_j·∂L/∂B for j ∈ P
package sides

import (
	"math"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
)

// A Rule is a loss of two sums.
type Rule struct {
	Product bool
	Gamma   float64 // scale of the scores: the sums are of e^(γs) and e^(-γs)
	Margin  float64 // m
	Target  bool    // P is the row's target alone, and its class weight multiplies the loss
	Soft    bool    // soft labels t: A = Σ (1-t)·e^s, B = Σ t·e^-s

	shift, rest float64 // γm rounded, and what the rounding left out
}

// A Work evaluates a loss for one worker, with memory of its own that it keeps
// from one chunk to the next.
type Work[T kernel.Float] struct {
	rule Rule
	c    *chunk.Chunk[T] // the chunk in work

	scale      []float64 // the factor of every row's gradient, if wanted: c.Scale, or own; NaN where it is no normal number
	own        []float64
	a, b, u, v []float64
	down, up   []float64 // e^-s0 and e^s0 of every row
	kept       []T       // exponentials of the chunk, but of those of inGrad rows
	labels     labelCheck
	inGrad     int    // so many rows of one target have them in the gradient
	fa, fb     []T    // factors of a row's gradient: of its negatives, its positives
	slow       []bool // rows that evalSlow evaluates
	normal     bool   // no kept exponential of short rows is below the smallest normal number
	apart      bool   // there are targets whose derivatives are set apart: their factor is 0
	smooth     smooth[T]
	target     softTarget[T] // of a loss of one target with soft labels
	targetRows softTargetRows[T]
	columns    softTargetColumns[T]
	settled    []bool         // rows whose loss stands: it has the same bits whatever the gradient takes
	none       []uint64       // no bits
	portion    kernel.Copy[T] // of the pending copy
	multiplier multipliers[T]
	multiplied bool // the kept exponentials are multiplied by class weights
	terms      softTerms[T]
	general[T]
}

// New returns a Work for the rule.
func New[T kernel.Float](rule Rule) *Work[T] {
	rule.shift = float64(rule.Gamma * rule.Margin)
	rule.rest = math.FMA(rule.Gamma, rule.Margin, -rule.shift)
	return &Work[T]{rule: rule}
}

// keepLen is the length of the longest row whose exponentials are kept for the
// gradient: they stay in the nearer caches. Those of longer rows are evaluated
// again, keepBlock at a time.
const (
	keepLen   = 1 << 17
	keepBlock = 1 << 12
)

// Eval evaluates the rows of a chunk.
func (w *Work[T]) Eval(c *chunk.Chunk[T]) {
	w.c = c
	switch {
	case w.rule.Target && c.Soft != nil:
		c.Widen()
		w.labels.check = c.CheckSoft
		switch {
		case w.takesColumns():
			w.evalSoftTargetColumns()
		case c.Class == nil && c.N > 0:
			w.evalSoftTargetRows()
		case w.labels.right():
			w.evalSoftTarget()
		}
		c.SoftError, w.labels = w.labels.err, labelCheck{}
	case w.smooths():
		c.Widen()
		w.evalSmooth()
	default:
		w.eval()
	}
	w.c = nil
}

// eval evaluates the rows of the chunk, of one target with hard labels.
func (w *Work[T]) eval() {
	c := w.c
	w.scale = c.Scale
	soft := w.rule.Target && c.Soft != nil
	weighted := w.rule.Target && c.Class != nil && !soft
	if soft && c.Derivatives() {
		w.ownScale()
		for i, t := range c.Target {
			if t >= 0 {
				w.scale[i] = w.target.factor[i].value
			}
		}
	}
	if weighted && c.Derivatives() {
		w.ownScale()
		for i := range c.Target {
			class := w.targetWeight(i)
			scale := w.scale[i] * class
			if !middling(scale) && w.scale[i] != 0 && class != 0 {
				scale = math.NaN()
			}
			w.scale[i] = scale
		}
	}
	switch {
	case w.hasSoftTerms():
		w.evalSoftTerms()
	case w.isGeneral():
		c.Widen()
		w.evalGeneral()
	case w.rule.Target && !w.isShort():
		c.Widen()
		w.evalTarget()
	default:
		w.evalPlain()
	}
	if weighted {
		for i, t := range c.Target {
			if t < 0 {
				continue
			}
			if weight := c.Class[t]; weight != 0 || c.Loss[i] != c.Loss[i] {
				c.Loss[i] *= weight
			} else {
				c.Loss[i] = 0 // an infinite loss, too
			}
		}
	}
	w.scale = nil
}

// targetWeight returns the class weight of row i's target, for a loss of one target.
func (w *Work[T]) targetWeight(i int) float64 {
	if w.rule.Target && w.c.Class != nil && w.c.Target[i] >= 0 {
		return w.c.Class[w.c.Target[i]]
	}
	return 1
}

// ownScale makes scale a copy.
func (w *Work[T]) ownScale() {
	w.own = append(w.own[:0], w.scale...)
	w.scale = w.own
}

// weights returns the factors of the exponentials; nil: all 1.
func (w *Work[T]) weights() []float64 {
	if w.rule.Target {
		return nil
	}
	return w.c.Class
}

// evalPlain evaluates the sums at pivot 0, and by evalSlow the rows for which
// that does not serve.
func (w *Work[T]) evalPlain() {
	w.prepare(w.c.Rows)
	short := w.isShort()
	if !short {
		w.c.Unpack()
	}
	w.multiplied = w.weights() != nil
	keep := w.multiplied || w.c.Grad != nil && (w.c.N <= keepLen || w.c.Buffered)
	wStride := kernel.KeptStride[T](w.c.N)
	if short {
		w.c.Pending.Finish()
		if w.eightRows() {
			w.apart = false
			return
		}
		w.shortSums()
	} else if keep {
		w.kept = kernel.ResizeAligned(w.kept, w.c.Rows*wStride+64)
		a, b := w.a, w.b
		if w.multiplied {
			a, b = w.u, w.v
		}
		w.eachNear(func(i, rows int, x []T, stride int, h kernel.Rows16, pending *kernel.Copy[T]) {
			at, kept := i*w.c.Words, w.kept
			if w.c.Grad != nil {
				kept = kept[i*wStride:]
			}
			kernel.SelectExp(a[i:], b[i:], kept, wStride, x, stride, rows, w.c.N, w.c.Pos[at:], w.c.Neg[at:], w.c.Words, h, pending)
			if w.multiplied {
				kernel.WeighSums(w.a[i:], w.b[i:], kept, wStride, rows, w.c.N, w.multiplier.m, w.multiplier.lo)
			}
		})
	} else {
		w.eachNear(func(i, rows int, x []T, stride int, h kernel.Rows16, _ *kernel.Copy[T]) {
			at := i * w.c.Words
			kernel.SelectSums(w.a[i:], w.b[i:], x, stride, rows, w.c.N, w.c.Pos[at:], w.c.Neg[at:], w.c.Words, h)
		})
	}
	scale := w.unscaleSums()
	var anySlow bool
	if w.rule.Product {
		anySlow = w.finishProduct(scale)
	} else {
		anySlow = w.finishSum(scale)
	}
	w.multiplied = false
	near := w.c.Half.Grad != nil && (short || keep) && !w.rule.Product
	step := max(1, chunk.NearGradLen/w.c.N)
	if anySlow {
		w.c.Widen()
		w.prepareSides()
		w.evalSlow()
	}
	if w.c.Grad == nil {
		return
	}
	for i := 0; i < w.c.Rows; {
		if anySlow && w.slow[i] {
			if near {
				w.c.Narrow(w.c.GradRow(i), i*w.c.N)
			}
			i++
			continue
		}
		end := w.c.Rows
		if anySlow {
			for end = i + 1; end < w.c.Rows && !w.slow[end]; end++ {
			}
		}
		if near {
			end = min(end, i+step)
			w.nearGradient(i, end, short, wStride)
		} else if short {
			kernel.ShortScale(kernel.As32(w.c.Grad[i*w.c.GradStride:]), w.c.GradStride, kernel.As32(w.kept[i*w.c.N:]), end-i, w.c.N, kernel.As32(w.fa[i:]), kernel.As32(w.fb[i:]))
		} else if keep {
			kernel.SelectScale(w.c.Grad[i*w.c.GradStride:], w.c.GradStride, w.kept[i*wStride:], wStride, end-i, w.c.N, w.fa[i:], w.fb[i:])
		} else {
			w.longGradient(i)
		}
		i = end
	}
	w.c.Half.Done = near
	if w.rule.Product && w.apart {
		for i, t := range w.c.Target {
			if t >= 0 && !(anySlow && w.slow[i]) && w.fb[i] == 0 {
				w.c.Grad[i*w.c.GradStride+t] = T(-w.scale[i] * w.u[i] / (1 + w.u[i]))
			}
		}
	}
}

// multiplies reports whether class weights multiply kept exponentials. With float64 scores
// and thresholds too many roundings would come together.
func (w *Work[T]) multiplies() bool {
	c := w.c
	count := c.N
	if w.isShort() {
		count *= chunk.Room(c.Rows)
	}
	few := kernel.IsFloat32[T]() || c.ZeroThreshold
	return few && c.N <= keepLen && w.multiplier.get(c.Classes, c.N, count, w.weights())
}

// unscaleSums multiplies the sums of exponentials and multipliers by their scale, if there
// are such, and returns the scales of the gradient times that. Where a sum of the
// exponentials alone, in u and v, is not natural, theirs is NaN.
func (w *Work[T]) unscaleSums() []float64 {
	if !w.multiplied {
		return w.scale
	}
	by, most := w.multiplier.scale, coef.NaturalHigh64
	if kernel.IsFloat32[T]() {
		most = coef.NaturalHigh32
	}
	rows := w.c.Rows
	a, b, u, v := w.a[:rows], w.b[:rows], w.u[:rows], w.v[:rows]
	for i := range a {
		a[i] *= by
		b[i] *= by
		if !(u[i] <= most && v[i] <= most) {
			a[i], b[i] = math.NaN(), math.NaN()
		}
	}
	if !w.c.Derivatives() {
		return nil
	}
	w.own = kernel.Resize(w.own, len(w.scale)) // free: a loss of one target has no multipliers
	for i, s := range w.scale {
		w.own[i] = by * s
	}
	return w.own
}

// prepare makes room for the sums of rows. Those past the last, to a multiple
// of 8, are 0.
func (w *Work[T]) prepare(rows int) {
	n := chunk.Room(rows)
	// Kernels write the sums of 8 rows, wherever they begin.
	w.a, w.b = kernel.Resize(w.a, n+8)[:n], kernel.Resize(w.b, n+8)[:n]
	w.u, w.v = kernel.Resize(w.u, n+8)[:n], kernel.Resize(w.v, n+8)[:n]
	w.fa, w.fb = kernel.Resize(w.fa, n), kernel.Resize(w.fb, n)
	w.slow, w.settled = kernel.Resize(w.slow, n), kernel.Resize(w.settled, n)
}
