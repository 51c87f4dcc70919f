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
	"unsafe"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
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
	down       []float64 // e^-s0 of every row
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

// weighBlock is about as many bytes of exponentials as are kept before they are multiplied by
// weights: so many that starting a kernel does not count, and so few that the caches have them.
const weighBlock = 128 << 10

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
	return few && c.N <= keepLen && w.multiplier.get(c.Batch, c.N, count, w.weights())
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

// eachNear calls a kernel with rows from i on, as many as its scores are in the nearest
// cache of, and a share of the pending copy.
func (w *Work[T]) eachNear(call func(i, rows int, x []T, stride int, h kernel.Rows16, pending *kernel.Copy[T])) {
	c := w.c
	near, sixteen := c.Near(), c.Near() && kernel.Sixteen(c.Half.Kind()) && c.N >= kernel.LeastSixteen
	step := max(1, weighBlock/int(unsafe.Sizeof(T(0)))/max(1, c.N))
	switch {
	case near && !sixteen:
		step = c.NearRows()
	case !w.multiplied:
		step = c.Rows
	}
	for i := 0; i < c.Rows; i += step {
		rows := min(step, c.Rows-i)
		w.portion = c.Pending.Split(rows * c.Words)
		x, stride, h := c.X, c.Stride, kernel.Rows16{}
		switch {
		case sixteen:
			x, stride, h = nil, c.N, kernel.Rows16{Kind: c.Half.Kind(), X: c.Half.X[i*c.N:]}
		case near:
			x, stride = c.Widened(i*c.N, (i+rows)*c.N), c.N
		default:
			x = x[i*stride:]
		}
		call(i, rows, x, stride, h, &w.portion)
	}
	c.Pending.Finish()
}

// nearGradient brings the gradient of rows i to end-1 to its place of 16-bit elements.
func (w *Work[T]) nearGradient(i, end int, short bool, wStride int) {
	c, n := w.c, w.c.N
	switch {
	case short:
		g := c.NearGrad((end - i) * n)
		kernel.ShortScale(kernel.As32(g), n, kernel.As32(w.kept[i*n:]), end-i, n, kernel.As32(w.fa[i:]), kernel.As32(w.fb[i:]))
		c.Narrow(g, i*n)
	case n <= chunk.NearGradLen:
		g := c.NearGrad((end - i) * n)
		kernel.SelectScale(g, n, w.kept[i*wStride:], wStride, end-i, n, w.fa[i:], w.fb[i:])
		c.Narrow(g, i*n)
	default: // one row
		for from := 0; from < n; from += chunk.NearGradLen {
			m := min(chunk.NearGradLen, n-from)
			g := c.NearGrad(m)
			kernel.SelectScale(g, m, w.kept[i*wStride+from:], m, 1, m, w.fa[i:], w.fb[i:])
			c.Narrow(g, i*n+from)
		}
	}
}

// longGradient writes the gradient of row i, a block at a time. (A chunk has one
// row of that length.)
func (w *Work[T]) longGradient(i int) {
	w.kept = kernel.ResizeAligned(w.kept, 3*keepBlock+64)
	x, out := w.c.Row(i), w.c.GradRow(i)
	for from := 0; from < w.c.N; from += keepBlock {
		n := min(keepBlock, w.c.N-from)
		w.blockExp(x[from:], n, i*w.c.Words+from/64)
		if !w.c.Stream {
			w.blockScale(out[from:], n, i)
			continue
		}
		// The copies of two blocks take turns.
		buffer := w.kept[keepBlock+64:][from/keepBlock%2*keepBlock:][:n]
		w.blockScale(buffer, n, i)
		*w.c.Pending = kernel.NewCopy(out[from:][:n], buffer)
	}
	w.c.Pending.Finish()
}

// blockExp keeps the exponentials of a block of n scores whose bits begin at that
// word.
func (w *Work[T]) blockExp(x []T, n, word int) {
	var a, b [8]float64
	if w.rule.Target {
		kernel.TargetExp(a[:], w.kept, n, x, n, 1, n, w.c.Neg[word:], kernel.BitWords(n), w.c.Pending)
	} else {
		kernel.SelectExp(a[:], b[:], w.kept, n, x, n, 1, n, w.c.Pos[word:], w.c.Neg[word:], kernel.BitWords(n), kernel.Rows16{}, w.c.Pending)
	}
}

// blockScale writes the gradient of a block of row i.
func (w *Work[T]) blockScale(dst []T, n, i int) {
	if w.rule.Target {
		kernel.TargetScale(dst, n, w.kept, n, 1, n, w.fa[i:])
	} else {
		kernel.SelectScale(dst, n, w.kept, n, 1, n, w.fa[i:], w.fb[i:])
	}
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

// fastTerm reports whether log1p of x and the factors that follow from it can be
// taken in float64.
func fastTerm(x float64) bool { return x <= 0x1p1000 && x >= 0x1p-1000 || x == 0 }

// finishSum computes losses and factors of the gradient, which has these scales, from the
// sums of all rows, and reports whether there are slow rows.
func (w *Work[T]) finishSum(scale []float64) (anySlow bool) {
	clear(w.a[w.c.Rows:])
	clear(w.b[w.c.Rows:])
	fa, fb := w.fa, w.fb
	if !w.c.Derivatives() {
		scale, fa, fb = nil, nil, nil
	}
	u, v := w.a, w.b
	if w.c.ZeroThreshold {
		if !kernel.FinishSums(w.c.Loss, fa, fb, w.a, w.b, scale) {
			anySlow = w.findSlow(scale)
		}
	} else {
		u, v = w.u, w.v
		anySlow = w.finishShifted(scale)
	}
	if w.c.ThresholdGrad != nil {
		w.thresholdGradient(u, v)
	}
	return anySlow
}

// findSlow finds the rows that FinishSums has not finished. scale is nil without
// derivatives.
func (w *Work[T]) findSlow(scale []float64) (anySlow bool) {
	for i := range w.c.Rows {
		a, b := w.a[i], w.b[i]
		ok := kernel.FastSum[T](a) && kernel.FastSum[T](b)
		w.settled[i] = ok
		if !ok {
			w.a[i], w.b[i] = 0, 0
		} else if scale != nil {
			f, g := kernel.SumFactors[T](a, b, scale[i])
			ok = kernel.FactorFits[T](f) && kernel.FactorFits[T](g)
		}
		w.slow[i] = !ok
		anySlow = anySlow || !ok
	}
	return anySlow
}

// finishShifted is finishSum with thresholds.
func (w *Work[T]) finishShifted(scale []float64) (anySlow bool) {
	rows, joined := w.c.Rows, false
	u, v := w.u, w.v
	clear(u[rows:])
	clear(v[rows:])
	if kernel.IsFloat32[T]() {
		anySlow, joined = w.shiftSums(scale)
		joined = kernel.FinishSums[T](w.c.Loss, nil, nil, u, v, nil) && joined
	} else {
		for i := range rows {
			w.shiftRow(i, scale)
			anySlow = anySlow || w.slow[i]
		}
	}
	if joined {
		return anySlow
	}
	kernel.Log1p64(w.a[:rows], u[:rows])
	kernel.Log1p64(w.b[:rows], v[:rows])
	for i := range rows {
		w.c.Loss[i] = w.a[i] + w.b[i]
		if kernel.IsFloat32[T]() && kernel.FastSum[T](u[i]) && kernel.FastSum[T](v[i]) {
			w.c.Loss[i] = kernel.JoinedLoss(u[i], v[i])
		}
	}
	return anySlow
}

// shiftSums sets the arguments u and v of the losses of all rows, and the factors of their
// gradients. It reports whether there are slow rows, and whether all arguments are natural
// or 0: then the losses are joined logarithms.
func (w *Work[T]) shiftSums(scale []float64) (anySlow, joined bool) {
	w.thresholdPowers()
	rows := w.c.Rows
	a, b, u, v, slow, settled := w.a[:rows], w.b[:rows], w.u[:rows], w.v[:rows], w.slow[:rows], w.settled[:rows]
	joined = true
	for i, s0 := range w.c.Threshold[:rows] {
		down := w.down[i]
		up := 1 / down
		x, y := a[i]*down, b[i]*up
		if !(kernel.FastSum[T](a[i]) && kernel.FastSum[T](b[i]) && math.Abs(s0) < 600 && kernel.FastSum[T](x) && kernel.FastSum[T](y)) {
			w.shiftRow(i, scale)
			anySlow, joined = anySlow || slow[i], false
			continue
		}
		u[i], v[i], slow[i], settled[i] = x, y, false, true
		if scale == nil {
			continue
		}
		f, g := kernel.SumFactors[T](x, y, scale[i])
		f, g = f*down, g*up
		w.fa[i], w.fb[i] = T(f), T(g)
		// The factor of a side without terms does not count.
		if !((kernel.FactorFits[T](f) || x == 0) && (kernel.FactorFits[T](g) || y == 0)) {
			slow[i], anySlow = true, true
		}
	}
	return anySlow, joined
}

// shiftRow sets the arguments u and v of the loss of row i, and the factors of its gradient.
func (w *Work[T]) shiftRow(i int, scale []float64) {
	a, b, s0 := w.a[i], w.b[i], w.c.Threshold[i]
	ok := kernel.FastSum[T](a) && kernel.FastSum[T](b)
	up, down := 1.0, 1.0
	if s0 != 0 {
		up, down = scalar.Exp(s0), scalar.Exp(-s0)
		a *= down
		b *= up
		ok = ok && math.Abs(s0) < 600 && fastTerm(a) && fastTerm(b)
	}
	w.settled[i] = ok
	if !ok {
		a, b = 0, 0
	} else if scale != nil {
		// Without the scale these are within 2^±1000, whatever the threshold.
		f, g := scale[i]*(1/(1+a)*down), scale[i]*(1/(1+b)*up)
		if s0 == 0 {
			f, g = kernel.SumFactors[T](a, b, scale[i])
		}
		ok = kernel.FactorFits[T](f) && kernel.FactorFits[T](g)
		w.fa[i], w.fb[i] = T(f), T(g)
	}
	w.u[i], w.v[i], w.slow[i] = a, b, !ok
}

// thresholdPowers sets down to e^-s0 of every row; it is open where |s0| is 600 or more.
// For float32 their errors do not matter.
func (w *Work[T]) thresholdPowers() {
	n := len(w.a)
	w.down = kernel.Resize(w.down, n)
	clear(w.down[copy(w.down, w.c.Threshold[:w.c.Rows]):])
	kernel.TiltExp(w.down, w.down, -1, 0)
}

// thresholdGradient computes the gradient by the thresholds.
func (w *Work[T]) thresholdGradient(u, v []float64) {
	for i := range w.c.Rows {
		w.c.ThresholdGrad[i] = w.scale[i] * thresholdSlope(u[i], v[i])
	}
}

// thresholdSlope returns v/(1+v) - u/(1+u).
func thresholdSlope(u, v float64) float64 {
	if u < 0x1p60 && v < 0x1p60 {
		return (v - u) / ((1 + u) * (1 + v))
	}
	return 1/(1+u) - 1/(1+v)
}

// joined reports whether the kernel finishes a loss of the product.
func (w *Work[T]) joined() bool {
	return kernel.IsFloat32[T]() && w.rule.shift == 0 && w.rule.rest == 0
}

// allNormal reports whether no exponential below the smallest normal number counts
// beside the factors that FinishProduct has left.
func (w *Work[T]) allNormal() bool {
	if w.isShort() && w.normal {
		return true
	}
	// Of longer rows the kernel has seen that all are 0 or large enough, of others fits.
	// The magnitudes of numbers are in the order of their bits; the factor of a side
	// without terms does not count, and the bits of other sums are above 0.
	const magnitude = 1<<31 - 1
	rows := w.c.Rows
	fa, fb, a, b := kernel.As32(w.fa)[:rows], kernel.As32(w.fb)[:rows], w.a[:rows], w.b[:rows]
	var of [2]uint32
	for i, f := range fa {
		some, others := -int64(math.Float64bits(a[i]))>>63, -int64(math.Float64bits(b[i]))>>63
		of[0] = max(of[0], math.Float32bits(f)&magnitude&uint32(some))
		of[1] = max(of[1], math.Float32bits(fb[i])&magnitude&uint32(others))
	}
	return max(of[0], of[1]) <= math.Float32bits(coef.FactorHigh32)
}

// fitOrNone reports whether a factor fits or is 0.
func fitOrNone[T kernel.Float](f T) bool { return f == 0 || kernel.FactorFits[T](float64(f)) }

// finishProduct is finishSum for a loss of the product.
func (w *Work[T]) finishProduct(scale []float64) (anySlow bool) {
	w.apart = w.rule.Target
	joined := w.joined()
	if joined {
		clear(w.a[w.c.Rows:])
		clear(w.b[w.c.Rows:])
		of, fa, fb := scale, w.fa, w.fb
		if !w.c.Derivatives() {
			of, fa, fb = nil, nil, nil
		}
		if kernel.FinishProduct(w.c.Loss, kernel.As32(fa), kernel.As32(fb), w.a, w.b, of) && (w.c.Grad == nil || w.allNormal()) {
			w.apart = false
			return false
		}
		w.c.Unpack()
	}
	shift := scalar.Exp(w.rule.shift) * scalar.Exp(w.rule.rest)
	for i := range w.c.Rows {
		a, b := w.a[i], w.b[i]
		if joined && kernel.FastSum[T](a) && kernel.FastSum[T](b) {
			// The loss stands.
			w.settled[i], w.slow[i], w.u[i] = true, false, 0
			if w.c.Grad != nil && !(w.productFits(i, w.fa[i], a, b) && w.productFits(i, w.fb[i], b, a)) {
				w.slow[i], anySlow = true, true
			}
			continue
		}
		w.settled[i] = false
		if joined {
			b = w.targetTerm(i, b)
		}
		ok := kernel.FastSum[T](a) && math.Abs(w.rule.shift) < 600
		if w.rule.Target && w.c.Target[i] >= 0 {
			ok = ok && fastTerm(b) && b != 0
		} else {
			ok = ok && kernel.FastSum[T](b)
		}
		u := float64(a * b)
		// The margin may bring back what the product of the sums has not kept.
		ok = ok && fastTerm(u) && (u != 0 || a == 0 || b == 0)
		u = float64(u * shift)
		ok = ok && fastTerm(u)
		w.settled[i] = ok
		if !ok {
			u = 0
		} else if w.c.Grad != nil {
			// b/(1+u) and a/(1+u) are in range, whatever the scale.
			f := shift / (1 + u)
			fa, fb := f*b*scale[i], f*a*scale[i]
			if w.rule.Target {
				fb = 0 // the target's derivative is set apart
				ok = math.Abs(scale[i]*u) <= math.MaxFloat64
			}
			// A factor is 0 where the other side is empty, but not for its size.
			ok = ok && (fa != 0 || b == 0) && (fb != 0 || a == 0 || w.rule.Target) && w.keepFactors(i, fa, fb)
		}
		w.u[i], w.slow[i] = u, !ok
		anySlow = anySlow || !ok
	}
	kernel.Log1p64(w.v[:w.c.Rows], w.u[:w.c.Rows])
	for i, l := range w.v[:w.c.Rows] {
		if !joined || !(kernel.FastSum[T](w.a[i]) && kernel.FastSum[T](w.b[i])) {
			w.c.Loss[i] = l
		}
	}
	return anySlow
}

// productFits reports whether FinishProduct's factor f of a side fits row i: own is that
// side's sum and other the other's.
func (w *Work[T]) productFits(i int, f T, own, other float64) bool {
	return own == 0 || kernel.ProductFits(float64(f), other) &&
		(fitOrNone(f) || w.isShort() && (w.normal || kernel.NormalTerms(w.kept[i*w.c.N:][:w.c.N])))
}

// targetTerm returns e^-s of row i's target s, if the loss has one; b else.
func (w *Work[T]) targetTerm(i int, b float64) float64 {
	switch {
	case !w.rule.Target:
		return b
	case w.c.Target[i] < 0:
		return 0
	}
	return scalar.Exp(-float64(w.c.X[i*w.c.Stride+w.c.Target[i]]))
}

// keepFactors keeps the factors of row i for exponentials at pivot 0, if they
// fit.
func (w *Work[T]) keepFactors(i int, fa, fb float64) bool {
	w.fa[i], w.fb[i] = T(fa), T(fb)
	return (fa == 0 || kernel.FactorFits[T](fa)) && (fb == 0 || kernel.FactorFits[T](fb))
}
