package bce

import (
	"math"
	"unsafe"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file evaluates the rows of a chunk by the kernels, and those for which
// they do not serve by row.

// classWeights are the weights of the classes as the kernels take them.
type classWeights[T kernel.Float] struct {
	number   int      // of those of which they are
	neg, pos []T      // nil: all are 1
	off      []uint64 // positives of weight 0
	flat     [2][]T   // neg and pos for rows without gaps, again and again
	most     float64  // the largest, at least 1
	least    float64  // the smallest but 0, at most 1
	usable   bool
}

// Scales of the gradient up to gradientScale leave no entry that counts to
// exponentials below the smallest normal number.
func gradientScale[T kernel.Float]() (plain, most float64) {
	if kernel.IsFloat32[T]() {
		return 0x1p5, 0x1p100
	}
	return 0x1p20, 0x1p1000
}

// mostThreshold is the magnitude of thresholds up to which kernels take them.
func mostThreshold[T kernel.Float]() float64 {
	if kernel.IsFloat32[T]() {
		return coef.MostThreshold32
	}
	return coef.MostThreshold64
}

// compute makes the weights of a chunk.
func (w *classWeights[T]) compute(c *chunk.Chunk[T], rule *Rule) {
	w.neg, w.pos, w.off, w.flat = w.neg[:0], w.pos[:0], w.off[:0], [2][]T{w.flat[0][:0], w.flat[1][:0]}
	w.most, w.least, w.usable = 1, 1, true
	if c.Class == nil && len(rule.PositiveWeight) == 0 {
		return
	}
	size := 64 * c.Words // of whole groups
	w.neg, w.pos = kernel.Resize(w.neg, size), kernel.Resize(w.pos, size)
	clear(w.neg)
	clear(w.pos)
	_, most := gradientScale[T]()
	for j := range c.N {
		factor := 1.0
		if c.Class != nil {
			factor = c.Class[j]
		}
		positive := factor * rule.positiveWeight(j)
		if positive == 0 {
			if len(w.off) == 0 {
				w.off = kernel.Resize(w.off, c.Words)
				clear(w.off)
			}
			w.off[j/64] |= 1 << (j % 64)
		}
		for _, v := range [2]float64{factor, positive} {
			w.most = max(w.most, v)
			if v != 0 {
				w.least = min(w.least, v)
			}
			w.usable = w.usable && (v == 0 || v >= 1/most && v <= most)
		}
		w.neg[j], w.pos[j] = T(factor), T(positive)
	}
}

// ofShortRows returns the weights of so many elements of rows without gaps, and room.
func (w *classWeights[T]) ofShortRows(n, count int) (neg, pos []T) {
	size := (count + 63) &^ 63
	if len(w.flat[0]) != size {
		for side, of := range [2][]T{w.neg[:n], w.pos[:n]} {
			flat := kernel.Resize(w.flat[side], size)
			for done := copy(flat, of); done < size; done *= 2 {
				copy(flat[done:], flat[:done])
			}
			w.flat[side] = flat
		}
	}
	return w.flat[0], w.flat[1]
}

// scalesFit reports whether the gradient with these scales needs nothing but the kernels.
func (w *classWeights[T]) scalesFit(scales []float64) bool {
	plain, most := gradientScale[T]()
	for _, s := range scales {
		if s = math.Abs(s); !(s*w.most <= plain && s >= 1/most) {
			return false
		}
	}
	return true
}

// kernelRows evaluates all rows, unless the weights are out of the kernels' range.
func (w *Work[T]) kernelRows() bool {
	c, weights := w.c, &w.weights
	steps, root, ok := kernel.FocalExponent(w.rule.Focal)
	if w.rule.Focal != 0 && !ok {
		return false
	}
	w.batchWeights()
	if !weights.usable {
		return false
	}
	a := &w.args
	*a = kernel.BCEArgs[T]{
		Sum: c.Loss, X: c.X, Stride: c.Stride, Rows: c.Rows, N: c.N, Pos: w.weightyPos(), Neg: c.Neg, Words: c.Words,
		Shifted: !c.ZeroThreshold, Copy: c.Pending,
	}
	if len(weights.neg) > 0 {
		a.NegWeight, a.PosWeight = weights.neg, weights.pos
		a.Shifted = a.Shifted || w.rule.Focal != 0
	}
	if c.Grad != nil && unsafe.SliceData(c.Grad) == unsafe.SliceData(c.X) {
		w.saveScores()
	}
	w.derivativesFor(a)
	plain, right := a.Plain() && w.rule.Focal == 0, false
	if plain {
		fits := c.ThresholdGrad == nil && (a.Dst == nil || w.scalesFit())
		direct := fits && a.Dst != nil && c.Half.Grad != nil
		right = w.evaluate(direct)
		c.Half.Done = direct
		if right && fits {
			return true
		}
	}
	c.Widen()
	anySlow := w.setParams()
	a.Params = w.params
	if kernel.IsFloat32[T]() && c.ThresholdGrad != nil && w.rule.Focal == 0 && a.Shifted && !a.Weighted() {
		a.Slope = c.ThresholdGrad
	}
	switch {
	case w.rule.Focal != 0:
		w.evaluateFocal(steps, root)
	case !plain:
		right = w.evaluate(false)
	}
	w.complete(anySlow, right)
	return true
}

// batchWeights makes the weights of the batch, unless they are there.
func (w *Work[T]) batchWeights() {
	if weights := &w.weights; weights.number != w.c.Classes || w.c.Classes == 0 {
		weights.number = w.c.Classes
		weights.compute(w.c, &w.rule)
	}
}

// derivativesFor gives a a place for the gradient, where one is needed.
func (w *Work[T]) derivativesFor(a *kernel.BCEArgs[T]) {
	c := w.c
	switch {
	case c.Grad != nil:
		a.Dst, a.DstStride = c.Grad, c.GradStride
	case c.ThresholdGrad != nil || w.rule.Focal != 0:
		w.grad = kernel.Resize(w.grad, c.Rows*c.N)
		a.Dst, a.DstStride = w.grad, c.N
	}
	if a.Dst != nil {
		a.Scale = c.Scale
	}
}

// complete evaluates rows again for which the kernels do not serve, unless all losses
// are known to be right, and completes the derivatives.
func (w *Work[T]) complete(anySlow, right bool) {
	c, a := w.c, &w.args
	low := w.leastLoss(w.weights.most)
	inRange := func(v float64) bool { return v >= low && v <= math.MaxFloat64 }
	if w.rule.Focal == 0 && !a.Weighted() && !right {
		for i, v := range c.Loss[:c.Rows] {
			if !inRange(v) {
				w.wideRow(i)
				w.narrowAgain(i)
			}
		}
	}
	if c.Derivatives() {
		w.slopes(a)
	}
	for i, v := range c.Loss[:c.Rows] {
		switch {
		case !inRange(v) || anySlow && w.slow[i] == all:
			w.row(i)
		case anySlow && w.slow[i] == gradientOnly:
			w.row(i)
			c.Loss[i] = v // the same bits whatever the gradient takes
		default:
			continue
		}
		w.narrowAgain(i)
	}
}

// narrowAgain rounds the gradient of row i, which has been evaluated again, if those of
// the others are rounded.
func (w *Work[T]) narrowAgain(i int) {
	if c := w.c; c.Half.Done {
		c.Narrow(c.GradRow(i), i*c.N)
	}
}

// wideRow evaluates row i again, by the kernel with weights: it takes scores of which
// the others have no exponential.
func (w *Work[T]) wideRow(i int) {
	a := &w.wide
	*a = w.args
	a.NegWeight, a.PosWeight = w.unitWeights()
	a.Rows = 1
	a.Sum, a.X = a.Sum[i:], a.X[i*a.Stride:]
	a.Pos, a.Neg = a.Pos[i*a.Words:], a.Neg[i*a.Words:]
	if a.Dst != nil {
		a.Dst = a.Dst[i*a.DstStride:]
	}
	if len(w.params) == 0 {
		w.params = append(w.params, kernel.BCEParams[T]{})
		a.Params = w.params
		w.params = w.params[:0]
	} else {
		a.Params = w.params[i:]
	}
	kernel.WeightedBCE(a)
}

// unitWeights returns weights of 1.
func (w *Work[T]) unitWeights() (neg, pos []T) {
	ones := w.onesOf(64 * w.c.Words)
	return ones, ones
}

// onesOf returns n numbers 1.
func (w *Work[T]) onesOf(n int) []T {
	if len(w.ones) < n {
		w.ones = make([]T, n)
		for i := range w.ones {
			w.ones[i] = 1
		}
	}
	return w.ones[:n]
}

// evaluate has the kernels evaluate the rows of args; direct, the gradient comes to its
// place of 16-bit elements, and c.Grad is open. It reports whether all losses are known to
// be right as they stand.
func (w *Work[T]) evaluate(direct bool) bool {
	a, c := &w.args, w.c
	if a.Weighted() {
		a.Copy.Finish()
		kernel.WeightedBCE(a)
		return false
	}
	if !kernel.IsFloat32[T]() {
		kernel.BCE(a)
		return false
	}
	blocks := a.Blocks()
	used := c.Rows * blocks
	w.product, w.logs = kernel.Resize(w.product, chunk.Room(used)), kernel.Resize(w.logs, chunk.Room(used))
	for i := used; i < len(w.product); i++ {
		w.product[i] = 1
	}
	a.Product = w.product[:used]
	w.nearBCE(direct)
	logs := w.logs
	if blocks == 1 {
		logs = c.Loss[:len(w.product)]
	}
	right := kernel.FinishJoins(logs, nil, w.product, nil)
	if !right {
		for i, u := range a.Product {
			if !kernel.JoinRight(u) {
				logs[i] = math.NaN()
				if u >= 0 && u <= math.MaxFloat64 {
					logs[i] = scalar.Log1pSum(u)
				}
			}
		}
	}
	if blocks != 1 {
		for i := range c.Rows {
			c.Loss[i] = sumOfLogs(logs[i*blocks:][:blocks])
		}
	}
	return right
}

// nearBCE has the kernels evaluate the rows of args in parts: rows, or of a long one
// blocks, as many as the scores are in the nearest cache of, each with a share of the
// pending copy. Direct, the gradient takes the place of the widened scores there. Kernels
// that take 16-bit floats have them all at once.
func (w *Work[T]) nearBCE(direct bool) {
	a, c := &w.args, w.c
	if !c.Near() {
		kernel.BCE(a)
		return
	}
	b := &w.near
	*b = *a
	if kernel.Sixteen(c.Half.Kind()) && (a.Dst == nil || direct) {
		b.Kind, b.X16, b.X = c.Half.Kind(), c.Half.X, nil
		b.Stride = c.N
		if direct {
			b.Dst16, b.Dst, b.DstStride = c.Half.Grad, nil, c.N
		}
		kernel.BCE(b)
		w.near = kernel.BCEArgs[T]{}
		return
	}
	b.Copy = &w.portion
	step, length := c.NearRows(), min(c.N, c.NearLen())
	for i := 0; i < c.Rows; i += step {
		b.Rows = min(step, c.Rows-i)
		for j := 0; j < c.N; j += length {
			b.N = min(length, c.N-j)
			from, to := i*c.N+j, (i+b.Rows-1)*c.N+j+b.N
			w.portion = a.Copy.Split(b.Rows * kernel.BitWords(b.N))
			b.X, b.Stride = c.Widened(from, to), c.N
			b.Pos, b.Neg = a.Pos[i*a.Words+j/64:], a.Neg[i*a.Words+j/64:]
			b.Product = a.Product[i*a.Blocks()+j/coef.JoinBlock:]
			if a.Dst != nil {
				b.Dst, b.Scale = a.Dst[i*a.DstStride+j:], a.Scale[i:]
			}
			if direct {
				b.Dst, b.DstStride = b.X, b.Stride
			}
			kernel.BCE(b)
			if direct {
				c.Narrow(b.Dst, from)
			}
		}
	}
	w.near = kernel.BCEArgs[T]{}
}

// scalesFit reports whether the kernels take all factors of the gradient.
func (w *Work[T]) scalesFit() bool {
	for _, s := range w.c.Scale[:w.c.Rows] {
		if !kernel.FactorFits[T](s) {
			return false
		}
	}
	return true
}

// sumOfLogs adds the logarithms of a row's blocks.
func sumOfLogs(p []float64) float64 {
	var sum [4]float64
	for ; len(p) >= 4; p = p[4:] {
		for l := range sum {
			sum[l] += p[l]
		}
	}
	for l, v := range p {
		sum[l] += v
	}
	return (sum[0] + sum[2]) + (sum[1] + sum[3])
}

// weightyPos returns the positives whose weight is not 0: the others take no part.
func (w *Work[T]) weightyPos() []uint64 {
	off := w.weights.off
	if len(off) == 0 {
		return w.c.Pos
	}
	w.pos = append(w.pos[:0], w.c.Pos...)
	for i, p := range w.pos {
		w.pos[i] = p &^ off[i%len(off)]
	}
	return w.pos
}

// saveScores is keepScores for the kernels of args.
func (w *Work[T]) saveScores() {
	w.keepScores()
	w.args.X, w.args.Stride = w.x, w.stride
}

// A slowness tells what of a row is evaluated in the general way.
type slowness uint8

const (
	nothing slowness = iota
	gradientOnly
	all
)

// setParams sets the rows' parameters and notes which rows are slow, and reports
// whether there are any.
func (w *Work[T]) setParams() (anySlow bool) {
	gradient := w.c.Derivatives()
	if !gradient && w.args.Plain() && w.rule.Focal == 0 {
		w.params = w.params[:0]
		return false
	}
	w.params, w.slow = kernel.Resize(w.params, w.c.Rows), kernel.Resize(w.slow, w.c.Rows)
	_, most := gradientScale[T]()
	for i, s0 := range w.c.Threshold {
		p := &w.params[i]
		if i > 0 && sameBits(s0, w.c.Threshold[i-1]) && (!gradient || sameBits(w.c.Scale[i], w.c.Scale[i-1])) {
			*p, w.slow[i] = w.params[i-1], w.slow[i-1]
			continue
		}
		hi := T(s0)
		lo := s0 - float64(hi)
		slow := nothing
		*p = kernel.BCEParams[T]{1, hi, T(lo)}
		if gradient {
			p[0] = T(w.c.Scale[i])
			size := math.Abs(w.c.Scale[i])
			if !(size*w.weights.most <= most) || w.weights.most > 1 && size != 0 && size < 1/most {
				slow = gradientOnly
			}
		}
		if !(math.Abs(lo) <= 0x1p-18 && math.Abs(s0) <= mostThreshold[T]()) {
			// It would take the reduced argument out of the polynomial's range.
			slow = all
		}
		w.slow[i] = slow
		anySlow = anySlow || slow != nothing
	}
	return anySlow
}

func sameBits(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

// slopes completes the gradient, and sums up the thresholds' derivatives.
func (w *Work[T]) slopes(a *kernel.BCEArgs[T]) {
	plain, _ := gradientScale[T]()
	for i, scale := range w.c.Scale[:w.c.Rows] {
		if math.Abs(scale)*w.weights.most > plain {
			w.small(i, a.Dst[i*a.DstStride:][:w.c.N])
		}
	}
	switch {
	case w.c.ThresholdGrad == nil:
	case a.Slope != nil:
		for i, v := range a.Slope[:w.c.Rows] {
			// Additions in float32 may have gone beyond the numbers.
			if a.Slope[i] = -v; v-v != 0 || math.Abs(w.c.Scale[i])*w.weights.most > plain {
				a.Slope[i] = -sumOf(a.Dst[i*a.DstStride:][:w.c.N])
			}
		}
	default:
		w.thresholdSlopes(a.Dst, a.DstStride)
	}
}

// small computes derivatives again that are 0, or have lost digits, because their
// exponential is below the smallest normal number, or with a focal exponent so small that
// they have lost digits, but count by their factor.
func (w *Work[T]) small(i int, g []T) {
	pos, neg := w.c.Sides(i)
	weights, row, s0, scale := &w.weights, w.scores(i), w.c.Threshold[i], w.c.Scale[i]
	least := 0x1p-1021
	switch focal := w.rule.Focal != 0; {
	case kernel.IsFloat32[T]() && focal:
		least = 0x1p-105
	case kernel.IsFloat32[T]():
		least = 0x1p-125
	case focal:
		least = 0x1p-955
	}
	size := math.Abs(scale) * weights.most * least
	for j, v := range g {
		if math.Abs(float64(v)) > size {
			continue
		}
		bit := uint64(1) << (j % 64)
		x := float64(row[j])
		y, short, factor := x-s0, differenceError(x, s0), 1.0
		switch {
		case pos[j/64]&bit != 0:
			y, short = -y, -short
			if len(weights.pos) > 0 {
				factor = float64(weights.pos[j])
			}
			factor = -factor
		case neg[j/64]&bit != 0:
			if len(weights.neg) > 0 {
				factor = float64(weights.neg[j])
			}
		default:
			continue
		}
		if w.rule.Focal == 0 {
			if math.Abs(float64(v)) > least*math.Abs(factor)*math.Abs(scale) {
				continue // small by its weight alone
			}
			// sigmoid(y) = e^y, where e^y is that small.
			e := power.Exp(y).Times(power.Number{Hi: factor}).Times(power.Number{Hi: scale})
			g[j] = T(e.Float() * (1 + short))
			continue
		}
		e := scalar.Exp(-math.Abs(y))
		log1p := scalar.Log1p(e)
		sigmoid := 1 / (1 + e)
		if y < 0 {
			sigmoid *= e
		}
		softplus := max(y, 0) + log1p
		softplus += float64(sigmoid * short)
		sigmoid += float64(sigmoid * (1 - sigmoid) * short)
		term, derivative := w.focalTerm(y, short, e, log1p, softplus, sigmoid)
		_, d := w.extremeTerm(y, short, e, softplus, sigmoid, term, derivative)
		g[j] = T(d.Times(power.Number{Hi: factor}).Times(power.Number{Hi: scale}).Float())
	}
}

// sumOf returns the sum of x, whose terms may be of either sign: of float32 in
// float64, of float64 in twice its precision, rounded. Four sums at a time do not wait for
// one another.
func sumOf[T kernel.Float](x []T) float64 {
	var sum signedSum
	if kernel.IsFloat32[T]() {
		var a, b, c, d float64
		for ; len(x) >= 4; x = x[4:] {
			a, b, c, d = a+float64(x[0]), b+float64(x[1]), c+float64(x[2]), d+float64(x[3])
		}
		sum.sum = (a + b) + (c + d)
	} else {
		var a, b, c signedSum
		for ; len(x) >= 4; x = x[4:] {
			sum.add(float64(x[0]))
			a.add(float64(x[1]))
			b.add(float64(x[2]))
			c.add(float64(x[3]))
		}
		for _, s := range [...]signedSum{a, b, c} {
			sum.add(s.sum)
			sum.err += s.err
		}
	}
	for _, v := range x {
		sum.add(float64(v))
	}
	return sum.value()
}

// A signedSum is a sum and the errors of its additions.
type signedSum struct{ sum, err float64 }

// add adds x, which is no product.
func (s *signedSum) add(x float64) {
	t := s.sum + x
	b := t - s.sum
	s.err += (s.sum - (t - b)) + (x - b)
	s.sum = t
}

// value returns the sum; where it is infinite the errors are no numbers.
func (s *signedSum) value() float64 {
	if v := s.sum + s.err; v == v {
		return v
	}
	return s.sum
}
