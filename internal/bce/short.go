package bce

import (
	"math"
	"unsafe"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// This file evaluates short rows, with weights or thresholds but not with both, many rows as
// one (see kernel/short.go): the exponentials, or the terms with weights or a focal exponent,
// and the gradient of their elements, whatever the row, then the rows' products, logarithms or
// sums side by side. A row for which that is out of range is evaluated again, as a long one.

// short is memory for short rows.
type short[T kernel.Float] struct {
	kept      []T                 // exponentials, or terms
	sigmoids  []T                 // where the gradient has no place without gaps or the rows have factors of their own
	y, missed []T                 // scores less thresholds, and what these are short of
	joins     []float64           // of float32
	logs8     []float64           // of float64: 8 of each row
	sum, err  []float64           // of these
	last      [kernel.ShortRows]T // the elements that make no whole group
	lastLost  [kernel.ShortRows]T
	lastGrad  [kernel.ShortRows]T
	all       []uint64
	allLen    int
	one       [1]kernel.BCEParams[T]
	whole     [1]float64 // the sum of all rows
}

// isShort reports whether the chunk's rows are evaluated here.
func (w *Work[T]) isShort() bool {
	c := w.c
	if _, _, ok := kernel.FocalExponent(w.rule.Focal); !ok && w.rule.Focal != 0 {
		return false
	}
	weighted, shifted := w.hasWeights(), !c.ZeroThreshold || c.ThresholdGrad != nil
	switch {
	case !(0 < c.N && c.N <= kernel.ShortRow):
		return false
	case !weighted && !shifted:
		return true
	case weighted && shifted || w.rule.Focal != 0 || c.Soft != nil:
		return false
	case shifted:
		return true
	}
	w.batchWeights()
	return w.weights.usable && len(w.weights.off) == 0
}

// hasWeights reports whether the terms have weights.
func (w *Work[T]) hasWeights() bool { return w.c.Class != nil || len(w.rule.PositiveWeight) > 0 }

// shortRows evaluates all rows.
func (w *Work[T]) shortRows() {
	c := w.c
	c.Pending.Finish()
	if c.Stride != c.N || c.Grad != nil && unsafe.SliceData(c.Grad) == unsafe.SliceData(c.X) {
		w.keepScores()
	}
	rows, count := chunk.Room(c.Rows), c.Rows*c.N
	part := c.FlatPart()
	if part == nil {
		part = w.allPart(count)
	}
	var dst []T
	scale, apart := one[:], false
	grad, stride := c.Grad, c.GradStride
	if c.Grad == nil && c.ThresholdGrad != nil {
		w.grad = kernel.Resize(w.grad, count)
		grad, stride = w.grad, c.N
	}
	if grad != nil {
		if apart = stride != c.N || !c.OneScale; apart {
			w.sigmoids = kernel.ResizeAligned(w.sigmoids, kernel.ShortRoom(rows*c.N))
			dst = w.sigmoids
		} else {
			dst, scale = grad, c.Scale
		}
	}
	weighted := w.hasWeights()
	direct := !weighted && c.ZeroThreshold && c.ThresholdGrad == nil && c.Half.Grad != nil && dst != nil && !apart && c.Soft == nil && kernel.FactorFits[T](c.Scale[0])
	w.kept = kernel.ResizeAligned(w.kept, kernel.ShortRoom(rows*c.N+kernel.ShortRows))
	right := true
	if c.Soft != nil {
		w.shortSoft(rows, dst, part, scale)
	} else if weighted || w.rule.Focal != 0 {
		c.Widen()
		direct = false
		if w.one[0][0] = T(scale[0]); weighted {
			right = w.weightedShort(dst, part)
		} else {
			right = w.focalRows(dst, part)
		}
	} else {
		thresholds := true // are such as the kernels take
		if c.ZeroThreshold {
			w.nearOdds(dst, part, scale, direct)
		} else {
			thresholds = w.shiftedOdds(dst, part, scale)
		}
		if kernel.IsFloat32[T]() {
			right = w.joinRows(rows)
		} else {
			right = w.addLogs(rows, nil)
		}
		right = right && thresholds
	}
	if apart {
		for i, v := range c.Scale[:c.Rows] {
			out, f := grad[i*stride:][:c.N], T(v)
			for j, g := range w.sigmoids[i*c.N:][:len(out)] {
				out[j] = g * f // zeros have the signs that the kernels give them
			}
		}
	}
	if c.Soft != nil {
		w.completePlain()
		return
	}
	c.Half.Done = direct
	scales := c.Scale
	if !apart {
		scales = c.Scale[:min(1, len(c.Scale))]
	}
	switch {
	case !right:
	case grad == nil || !weighted && (!apart && kernel.FactorFits[T](c.Scale[0]) || w.scalesFit()),
		weighted && w.weights.scalesFit(scales):
		if c.ThresholdGrad != nil {
			w.thresholdSlopes(grad, stride)
		}
		return
	}
	c.Widen()
	c.Unpack()
	w.batchWeights()
	w.args = kernel.BCEArgs[T]{
		Sum: c.Loss, X: w.x, Stride: w.stride, N: c.N, Pos: c.Pos, Neg: c.Neg, Words: c.Words,
		Dst: grad, DstStride: stride, Shifted: !c.ZeroThreshold,
	}
	if weighted {
		w.args.NegWeight, w.args.PosWeight = w.weights.neg, w.weights.pos
	}
	anySlow := w.setParams()
	w.complete(anySlow, right)
}

var one = [1]float64{1}

// weightedShort evaluates rows with weights, their gradient times that of one to dst, and
// reports whether all losses are right.
func (w *Work[T]) weightedShort(dst []T, part []uint64) (right bool) {
	c, a := w.c, &w.args
	count, pos := c.Rows*c.N, c.FlatPos()
	*a = kernel.BCEArgs[T]{
		Sum: w.whole[:], Terms: w.kept, Dst: dst, DstStride: count, X: w.x, Stride: count, Rows: 1, N: count,
		Pos: pos, Neg: part, Words: len(pos), Params: w.one[:],
	}
	a.NegWeight, a.PosWeight = w.weights.ofShortRows(c.N, count)
	kernel.WeightedBCE(a)
	return w.addTerms(w.weights.most)
}

// addTerms sets the losses, which are sums of terms with weights of at most most, and reports
// whether all are right.
func (w *Work[T]) addTerms(most float64) (right bool) {
	c := w.c
	count, rows := c.Rows*c.N, chunk.Room(c.Rows)
	for i := range w.kept[count:] {
		w.kept[count+i] = 1 // sums that are right
	}
	w.sum, w.err = kernel.Resize(w.sum, rows), kernel.Resize(w.err, rows)
	right = kernel.ShortTotals(w.sum, w.err, w.kept, rows, c.N)
	copy(c.Loss, w.sum[:c.Rows])
	if !kernel.IsFloat32[T]() {
		for i, e := range w.err[:c.Rows] {
			c.Loss[i] += e
		}
	}
	if !right || most > 1 {
		low := w.leastLoss(most)
		right = true
		for _, v := range c.Loss[:c.Rows] {
			right = right && v >= low && v <= math.MaxFloat64
		}
	}
	return right
}

// nearOdds keeps the exponentials of all elements and writes their gradient to dst;
// direct, it takes the place of the widened scores on its way to that of 16-bit elements.
func (w *Work[T]) nearOdds(dst []T, part []uint64, scale []float64, direct bool) {
	c := w.c
	pos, count := c.FlatPos(), c.Rows*c.N
	if !c.Near() {
		w.odds(w.kept, dst, w.x[:count], nil, pos, part, scale)
		return
	}
	step := c.NearLen()
	for from := 0; from < count; from += step {
		to := min(from+step, count)
		x := c.Widened(from, to)
		var out []T
		switch {
		case direct:
			out = x
		case dst != nil:
			out = dst[from:to]
		}
		w.odds(w.kept[from:], out, x, nil, pos[from/64:], part[from/64:], scale)
		if direct {
			c.Narrow(out, from)
		}
	}
}

// shiftedOdds is nearOdds with thresholds. It reports whether all are in the kernels' range.
func (w *Work[T]) shiftedOdds(dst []T, part []uint64, scale []float64) bool {
	c := w.c
	c.Widen()
	n, count := c.N, c.Rows*c.N
	room := kernel.ShortRoom(count)
	w.y, w.missed = kernel.ResizeAligned(w.y, room), kernel.ResizeAligned(w.missed, room)
	// Behind a row kernels may read 16 elements: the last rows are copied.
	direct := max(0, count-16) / n
	if direct > 0 {
		kernel.ShortDifferences(w.y, w.missed, w.x, c.Threshold, direct, n)
	}
	for i := direct; i < c.Rows; i++ {
		copy(w.last[:], w.x[i*n:][:n])
		kernel.ShortDifferences(w.y[i*n:], w.missed[i*n:], w.last[:], c.Threshold[i:], 1, n)
	}
	w.odds(w.kept, dst, w.y[:count], w.missed, c.FlatPos(), part, scale)
	least := mostThreshold[T]()
	if kernel.IsFloat32[T]() {
		least = 0x1p5 // beyond that its error may count
	}
	var most uint64
	for _, s0 := range c.Threshold[:c.Rows] {
		most = max(most, math.Float64bits(s0)&math.MaxInt64)
	}
	return most <= math.Float64bits(least)
}

// odds is kernel.ShortOdds of any number of elements.
func (s *short[T]) odds(w, dst, x, lost []T, pos, part []uint64, scale []float64) {
	whole := len(x) &^ (kernel.ShortRows - 1)
	var out []T
	if whole > 0 {
		if dst != nil {
			out = dst[:whole]
		}
		kernel.ShortOdds(w, out, x[:whole], lost, pos, part, scale)
	}
	if whole == len(x) {
		return
	}
	// What is left, as a whole group.
	copy(s.last[:], x[whole:])
	if lost != nil {
		copy(s.lastLost[:], lost[whole:len(x)])
		lost = s.lastLost[:]
	}
	k := whole / 64
	if out = nil; dst != nil {
		out = s.lastGrad[:]
	}
	kernel.ShortOdds(w[whole:], out, s.last[:], lost, pos[k:], part[k:], scale)
	copy(dst[min(whole, len(dst)):], out)
}

// joinRows sets the losses of float32, which are logarithms of joins, NaN where such a one
// is not right, and reports whether all are.
func (w *Work[T]) joinRows(rows int) bool {
	c := w.c
	w.joins = kernel.Resize(w.joins, rows)
	kernel.ShortJoins(w.joins, nil, kernel.As32(w.kept), nil, rows, c.N)
	for i := c.Rows; i < rows; i++ {
		w.joins[i] = 1
	}
	if kernel.FinishJoins(c.Loss, nil, w.joins, nil) {
		return true
	}
	for i, u := range w.joins[:c.Rows] {
		if !kernel.JoinRight(u) {
			c.Loss[i] = math.NaN()
		}
	}
	return false
}

// addLogs sets the losses of float64, which are sums of logarithms and, unless they are nil,
// of linear parts, and reports whether all are right.
func (w *Work[T]) addLogs(rows int, linear []float64) bool {
	c := w.c
	w.logs8 = kernel.Resize(w.logs8, kernel.ShortRoom(8*rows))
	w.sum, w.err = kernel.Resize(w.sum, rows), kernel.Resize(w.err, rows)
	kernel.ShortLogs(w.logs8, kernel.As64(w.kept), linear, c.Rows, c.N)
	clear(w.logs8[8*c.Rows : 8*rows])
	kernel.ShortTotals(w.sum, w.err, w.logs8, rows, 8)
	low, right := w.leastLoss(1), true
	loss, err := c.Loss[:c.Rows], w.err[:c.Rows]
	for i, v := range w.sum[:c.Rows] {
		v += err[i]
		right = right && v >= low && v <= math.MaxFloat64
		loss[i] = v
	}
	return right
}

// allPart returns the bits of so many elements, all of which take part.
func (s *short[T]) allPart(count int) []uint64 {
	if s.allLen != count {
		s.allLen = count
		s.all = kernel.Resize(s.all, kernel.BitWords(count))
		for i := range s.all {
			s.all[i] = math.MaxUint64
		}
		s.all[len(s.all)-1] = kernel.LastWord(count)
	}
	return s.all
}
