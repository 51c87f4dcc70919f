package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// ZLPR, pairwise and softmax cross-entropy depend on the scores through two
// sums alone, over the negatives N and the positives P:
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
type sideRule struct {
	product bool
	gamma   float64   // scale of the scores: the sums are of e^(γs) and e^(-γs)
	shift   float64   // γm, rounded
	rest    float64   // what the rounding left out
	target  bool      // P is the row's target alone
	weights []float64 // factors of the exponentials; nil: all 1
	soft    bool      // soft labels t: A = Σ (1-t)·e^s, B = Σ t·e^-s
}

// lossScratch is memory that losses keep from one chunk to the next.
type lossScratch[T Float] struct {
	a, b, u, v    []float64
	w             []T       // exponentials of the chunk
	fa, fb        []T       // factors of a row's gradient: of its negatives, its positives
	slow          []bool    // rows that evalSlow evaluates
	none          []uint64  // no bits
	ones          []float64 // scales of losses without gradient
	thresholdGrad []float64
	subset        *subsetCore
	bce           bceScratch[T]
	general       sideScratch[T]

	// Of one block of a row: arguments, factors and exponentials of the
	// terms, and their classes.
	y, factor, e []float64
	at           []int
	row          []float64 // a row's gradient
}

// keepLen is the length of the longest row whose exponentials are kept for the
// gradient: they stay in the nearer caches. Those of longer rows are evaluated
// again, keepBlock at a time.
const (
	keepLen   = 1 << 17
	keepBlock = 1 << 12
)

// evalSides evaluates a loss of two sums.
func evalSides[T Float](c *lossChunk[T], rule *sideRule) {
	if rule.general() {
		evalGeneral(c, rule)
		return
	}
	s := &c.scratch
	s.prepare(c.rows)
	pos := c.pos
	if rule.target {
		if len(s.none) < len(pos) {
			s.none = make([]uint64, len(pos))
		}
		pos = s.none
	}
	keep := c.grad != nil && (c.n <= keepLen || c.buffered)
	wStride := kernel.KeptStride[T](c.n)
	if keep {
		s.w = kernel.ResizeAligned(s.w, c.rows*wStride+64)
		kernel.SelectExp(s.a, s.b, s.w, wStride, c.x, c.stride, c.rows, c.n, pos, c.neg, c.words, &c.pending)
	} else {
		kernel.SelectSums(s.a, s.b, c.x, c.stride, c.rows, c.n, pos, c.neg, c.words)
	}
	if rule.target {
		// B = e^-s of the target.
		for i, t := range c.target {
			s.b[i] = 0
			if t >= 0 {
				s.b[i] = scalar.Exp(-float64(c.x[i*c.stride+t]))
			}
		}
	}
	var anySlow bool
	if rule.product {
		anySlow = c.finishProduct(rule, c.keepFactors)
	} else {
		anySlow = c.finishSum()
	}
	if anySlow {
		c.prepareSides(rule)
		c.evalSlow(rule)
	}
	if c.grad == nil {
		return
	}
	for i := 0; i < c.rows; {
		if anySlow && s.slow[i] {
			i++
			continue
		}
		end := c.rows
		if anySlow {
			for end = i + 1; end < c.rows && !s.slow[end]; end++ {
			}
		}
		if keep {
			kernel.SelectScale(c.grad[i*c.gradStride:], c.gradStride, s.w[i*wStride:], wStride, end-i, c.n, s.fa[i:], s.fb[i:])
		} else {
			c.longGradient(i, pos)
		}
		i = end
	}
	if rule.target {
		for i, t := range c.target {
			if t >= 0 && !(anySlow && s.slow[i]) {
				c.grad[i*c.gradStride+t] = T(-c.scale[i] * s.u[i] / (1 + s.u[i]))
			}
		}
	}
}

// longGradient writes the gradient of row i, a block at a time. (A chunk has one
// row of that length.)
func (c *lossChunk[T]) longGradient(i int, pos []uint64) {
	s := &c.scratch
	s.w = kernel.ResizeAligned(s.w, 3*keepBlock+64)
	x, out := c.row(i), c.gradRow(i)
	var a, b [8]float64
	for from := 0; from < c.n; from += keepBlock {
		n := min(keepBlock, c.n-from)
		p, q := pos[i*c.words+from/64:], c.neg[i*c.words+from/64:]
		kernel.SelectExp(a[:], b[:], s.w, n, x[from:], n, 1, n, p, q, kernel.BitWords(n), &c.pending)
		if !c.stream {
			kernel.SelectScale(out[from:], n, s.w, n, 1, n, s.fa[i:], s.fb[i:])
			continue
		}
		// The copies of two blocks take turns.
		buffer := s.w[keepBlock+64:][from/keepBlock%2*keepBlock:][:n]
		kernel.SelectScale(buffer, n, s.w, n, 1, n, s.fa[i:], s.fb[i:])
		c.pending = kernel.NewCopy(out[from:][:n], buffer)
	}
	c.pending.Finish()
}

// prepare makes room for the sums of rows. Those past the last, to a multiple
// of 8, are 0.
func (s *lossScratch[T]) prepare(rows int) {
	n := (rows + 7) &^ 7
	s.a, s.b = kernel.Resize(s.a, n), kernel.Resize(s.b, n)
	s.u, s.v = kernel.Resize(s.u, n), kernel.Resize(s.v, n)
	s.fa, s.fb = kernel.Resize(s.fa, n), kernel.Resize(s.fb, n)
	s.slow = kernel.Resize(s.slow, n)
}

// fastTerm reports whether log1p of x and the factors that follow from it can be
// taken in float64.
func fastTerm(x float64) bool { return x <= 0x1p1000 && x >= 0x1p-1000 || x == 0 }

// finishSum computes losses and factors of the gradient from the sums of all
// rows, and reports whether there are slow rows.
func (c *lossChunk[T]) finishSum() (anySlow bool) {
	s := &c.scratch
	clear(s.a[c.rows:])
	clear(s.b[c.rows:])
	scale := c.scale
	if c.grad == nil && c.thresholdGrad == nil {
		s.ones = kernel.ResizeOnes(s.ones, len(s.a))
		scale = s.ones
	}
	if c.zeroThreshold && kernel.FinishSums(c.loss[:len(s.a)], s.fa, s.fb, s.a, s.b, scale[:len(s.a)]) {
		if c.thresholdGrad != nil {
			c.thresholdGradient(s.a, s.b)
		}
		return false
	}
	u, v := s.u, s.v
	for i, s0 := range c.threshold {
		a, b := s.a[i], s.b[i]
		ok := kernel.FastSum[T](a) && kernel.FastSum[T](b)
		up, down := 1.0, 1.0
		if s0 != 0 {
			up, down = scalar.Exp(s0), scalar.Exp(-s0)
			a *= down
			b *= up
			ok = ok && math.Abs(s0) < 600 && fastTerm(a) && fastTerm(b)
		}
		if ok {
			// Without the scale these are within 2^±1000, whatever the threshold.
			f, g := scale[i]*(1/(1+a)*down), scale[i]*(1/(1+b)*up)
			ok = kernel.FactorFits[T](f) && kernel.FactorFits[T](g)
			s.fa[i], s.fb[i] = T(f), T(g)
		}
		if !ok {
			a, b, anySlow = 0, 0, true
		}
		u[i], v[i], s.slow[i] = a, b, !ok
	}
	kernel.Log1p64(s.a[:c.rows], u[:c.rows])
	kernel.Log1p64(s.b[:c.rows], v[:c.rows])
	for i := range c.rows {
		c.loss[i] = s.a[i] + s.b[i]
	}
	if c.thresholdGrad != nil {
		c.thresholdGradient(u, v)
	}
	return anySlow
}

// thresholdGradient computes the gradient by the thresholds.
func (c *lossChunk[T]) thresholdGradient(u, v []float64) {
	for i := range c.thresholdGrad {
		c.thresholdGrad[i] = c.scale[i] * thresholdSlope(u[i], v[i])
	}
}

// thresholdSlope returns v/(1+v) - u/(1+u).
func thresholdSlope(u, v float64) float64 {
	if u < 0x1p60 && v < 0x1p60 {
		return (v - u) / ((1 + u) * (1 + v))
	}
	return 1/(1+u) - 1/(1+v)
}

// finishProduct is finishSum for a loss of the product. fit takes the factors of
// row i, of the negatives and of the positives, or reports that they do not fit.
func (c *lossChunk[T]) finishProduct(rule *sideRule, fit func(i int, fa, fb float64) bool) (anySlow bool) {
	s := &c.scratch
	shift := scalar.Exp(rule.shift) * scalar.Exp(rule.rest)
	for i := range c.rows {
		a, b := s.a[i], s.b[i]
		ok := kernel.FastSum[T](a) && math.Abs(rule.shift) < 600
		if rule.target && c.target[i] >= 0 {
			ok = ok && fastTerm(b) && b != 0
		} else {
			ok = ok && kernel.FastSum[T](b)
		}
		u := float64(a * b)
		ok = ok && fastTerm(u)
		u = float64(u * shift)
		ok = ok && fastTerm(u)
		if ok && c.grad != nil {
			// b/(1+u) and a/(1+u) are in range, whatever the scale.
			f := shift / (1 + u)
			fa, fb := f*b*c.scale[i], f*a*c.scale[i]
			if rule.target {
				fb = 0 // the target's derivative is set apart
			}
			// A factor is 0 where the other side is empty, but not for its size.
			ok = (fa != 0 || b == 0) && (fb != 0 || a == 0 || rule.target) && fit(i, fa, fb)
		}
		if !ok {
			u, anySlow = 0, true
		}
		s.u[i], s.slow[i] = u, !ok
	}
	kernel.Log1p64(c.loss[:c.rows], s.u[:c.rows])
	return anySlow
}

// keepFactors keeps the factors of row i for exponentials at pivot 0, if they
// fit.
func (c *lossChunk[T]) keepFactors(i int, fa, fb float64) bool {
	c.scratch.fa[i], c.scratch.fb[i] = T(fa), T(fb)
	return (fa == 0 || kernel.FactorFits[T](fa)) && (fb == 0 || kernel.FactorFits[T](fb))
}
