package zlpr

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/kernel"
)

// This file reads labels, masks and weights of a chunk: which classes of which
// rows take part, as positives and as negatives.

const (
	maskedPositive = "positive label on a class that is masked out"
	columnPositive = "positive label on the column of thresholds"
	noTarget       = "no positive label, but softmax cross-entropy needs one"
	manyTargets    = "more than one positive label: softmax cross-entropy takes one, zlpr, pairwise, bce and subset take any number"
	noClass        = -1
)

// halfScores widens 16-bit scores, or leaves it to the loss.
func (w *lossWorker[T]) halfScores() {
	j, c, o := &w.e.job, &w.chunk, &w.e.opts
	h := &c.Half
	h.X, h.Grad, h.Done = nil, nil, false
	if w.e.traits.near && !o.Strict && o.TopNegatives == 0 && o.TopScores == 0 && j.b.ThresholdColumn == 0 {
		h.X, h.Grad, h.BFloat16 = j.half.near(c.First, c.First+c.Rows)
		h.Far = fromMemory(j.b.Scores.Rows * c.N)
	}
	if h.X == nil {
		j.half.scores(kernel.As32(c.X), c.First, c.First+c.Rows)
	}
}

// read fills in the bits, and live, target and the row weights.
func (w *lossWorker[T]) read() error {
	j, c, t := &w.e.job, &w.chunk, &w.e.traits
	b, words := j.b, c.Words
	r0, r1 := c.First, c.First+c.Rows
	c.Pos, c.Neg = kernel.Resize(c.Pos, c.Rows*words), kernel.Resize(c.Neg, c.Rows*words)
	if cap(c.Live) < c.Rows {
		w.living = 0 // of the new ones
	}
	c.Live = kernel.Resize(c.Live, c.Rows)
	c.Soft, c.Teacher = nil, nil
	c.Fresh()
	if w.readFlat() {
		return nil
	}
	if t.soft {
		c.Soft, c.SoftStride = b.Soft.Data[min(r0*b.Soft.Stride, len(b.Soft.Data)):], b.Soft.Stride
		if j.half != nil {
			w.soft = kernel.ResizeAligned(w.soft, c.Rows*c.N)
			j.half.soft(kernel.As32(w.soft), r0, r1)
			c.Soft, c.SoftStride = w.soft, c.N
		}
	} else if t.teacher {
		c.Teacher, c.TeacherStride = b.Teacher.Data[min(r0*b.Teacher.Stride, len(b.Teacher.Data)):], b.Teacher.Stride
		if j.half != nil {
			w.soft = kernel.ResizeAligned(w.soft, c.Rows*c.N)
			j.half.teacher(kernel.As32(w.soft), r0, r1)
			c.Teacher, c.TeacherStride = w.soft, c.N
		}
	}
	if err := w.readBits(); err != nil {
		return err
	}
	c.CheckSoft, c.SoftError = nil, nil
	if t.soft && w.leavesCheck() {
		if w.softCheck == nil {
			w.softCheck = w.checkSoft
		}
		c.CheckSoft = w.softCheck
	} else if t.soft {
		if err := w.checkSoft(); err != nil {
			return err
		}
	}
	if len(j.classes.off) > 0 && !t.target {
		c.AllLive, c.Full = false, false
		for i := range c.Rows {
			pos, neg := c.Sides(i)
			var left uint64
			for k, off := range j.classes.off {
				pos[k] &^= off
				neg[k] &^= off
				left |= pos[k] | neg[k]
			}
			c.Live[i] = c.Live[i] && left != 0
		}
	}
	if targets, ok := b.Labels.(*TargetLabels); ok {
		w.ignore(targets)
	}
	if err := w.rowWeights(); err != nil {
		return err
	}
	if t.target && !t.soft {
		if err := w.targets(); err != nil {
			return err
		}
		if b.Smoothing != 0 {
			w.smoothTargets()
		}
		return nil
	}
	if t.mostAllowed > 0 {
		return w.atMost(t.mostAllowed)
	}
	return nil
}

// readBits reads labels and mask. Of soft labels and a teacher none is a bit.
func (w *lossWorker[T]) readBits() error {
	j, c, t := &w.e.job, &w.chunk, &w.e.traits
	b, words := j.b, c.Words
	full := b.Mask == nil && b.ThresholdColumn == 0 && words > 0
	bare := w.bare
	w.bare = bareBits{}
	if full && t.soft {
		if !bare.has(c.Rows, c.N) {
			bare.write(c.Pos, c.Neg, c.N)
		}
		if b.RowWeights == nil && b.ClassWeights == nil && w.e.opts.TopNegatives == 0 && w.e.opts.TopScores == 0 {
			w.bare = bare // nothing takes classes out
		}
		c.Full = true
		w.allLive()
		return nil
	}
	if t.soft || t.teacher {
		clear(c.Pos)
	} else if err := b.Labels.ReadRows(c.Pos, c.First, c.First+c.Rows); err != nil {
		return err
	}
	if b.Mask != nil {
		if err := b.Mask.ReadRows(c.Neg, c.First, c.First+c.Rows); err != nil {
			return ofMask(err)
		}
	}
	if !full {
		c.AllLive, c.Full = false, false
		return w.masked()
	}
	c.Full = true
	last := kernel.LastWord(c.N)
	if words == 1 {
		neg := c.Neg[:len(c.Pos)]
		for i, p := range c.Pos {
			neg[i] = ^p & last
		}
	} else {
		complement(c.Neg, c.Pos)
		for i := words - 1; i < len(c.Neg); i += words {
			c.Neg[i] &= last
		}
	}
	w.allLive()
	return nil
}

// bareBits remembers of how many rows of n classes the bits are those of soft labels: none
// is positive, and all classes take part.
type bareBits struct{ rows, n int }

// has reports whether the bits of so many rows of n classes are there.
func (b bareBits) has(rows, n int) bool { return b.n == n && rows <= b.rows }

// write writes the bits of rows of n classes.
func (b *bareBits) write(pos, neg []uint64, n int) {
	words := kernel.BitWords(n)
	clear(pos)
	for i := range min(words, len(neg)) {
		neg[i] = math.MaxUint64
	}
	if len(neg) > 0 {
		neg[words-1] = kernel.LastWord(n)
	}
	for have := words; have < len(neg); have *= 2 {
		copy(neg[have:], neg[:have])
	}
	*b = bareBits{len(neg) / words, n}
}

// complement writes the complements of the words of x to dst, which is as long.
func complement(dst, x []uint64) {
	for ; len(x) >= 8; x, dst = x[8:], dst[8:] {
		d, s := (*[8]uint64)(dst), (*[8]uint64)(x)
		d[0], d[1], d[2], d[3] = ^s[0], ^s[1], ^s[2], ^s[3]
		d[4], d[5], d[6], d[7] = ^s[4], ^s[5], ^s[6], ^s[7]
	}
	for i, w := range x {
		dst[i] = ^w
	}
}

// readFlat reads labels without bits of every row, if all classes take part, loss and
// labels allow it and nothing is wrong with these: of short rows as bits without gaps,
// of others as targets.
func (w *lossWorker[T]) readFlat() bool {
	j, c, o := &w.e.job, &w.chunk, &w.e.opts
	b := j.b
	if !w.e.traits.flatLabels || c.N == 0 || b.Smoothing != 0 || b.Mask != nil || b.RowWeights != nil ||
		b.ThresholdColumn != 0 || len(j.classes.off) > 0 || j.counting || o.Strict || o.TopNegatives > 0 || o.TopScores > 0 {
		return false
	}
	targets, one := b.Labels.(*TargetLabels)
	if w.e.traits.target && (!one || b.ClassWeights != nil) {
		return false // of other labels it takes the bits of every row to see that one is set
	}
	switch {
	case c.N <= kernel.ShortRow && kernel.IsFloat32[T]():
		l, ok := b.Labels.(interface {
			readFlat(dst []uint64, r0, r1 int) bool
		})
		if !ok || !c.ReadFlat(func(dst []uint64) bool { return l.readFlat(dst, c.First, c.First+c.Rows) }) {
			return false
		}
	case !w.e.traits.target || !c.ReadTargets(targets.Targets[c.First:]):
		return false
	}
	c.Full, c.OneTarget = true, w.e.traits.target
	w.bare = bareBits{} // those of these labels may be written
	w.allLive()
	return true
}

// allLive tells that all rows count.
func (w *lossWorker[T]) allLive() {
	c := &w.chunk
	if c.AllLive && c.Rows <= w.living {
		return
	}
	for i := range c.Live {
		c.Live[i] = true
	}
	c.AllLive, w.living = true, c.Rows
}

// atMost checks the number of positives of every row.
func (w *lossWorker[T]) atMost(most int) error {
	c := &w.chunk
	for i := range c.Rows {
		if pos, _ := c.Sides(i); kernel.CountBits(pos) > most {
			return &DataError{Row: c.First + i, Class: -1, Kind: LabelsAboveK, Reason: manyPositives}
		}
	}
	return nil
}

// masked turns the mask in neg into the negatives.
func (w *lossWorker[T]) masked() error {
	j, c := &w.e.job, &w.chunk
	column := j.b.ThresholdColumn - 1
	for i := range c.Rows {
		pos, neg := c.Sides(i)
		if j.b.Mask == nil {
			clear(neg)
			kernel.SetBits(neg, 0, c.N)
		}
		var bad, left uint64
		for k, p := range pos {
			left |= neg[k]
			bad |= p &^ neg[k]
		}
		if bad != 0 {
			for k, p := range pos {
				if p &^= neg[k]; p != 0 {
					return &DataError{c.First + i, 64*k + bits.TrailingZeros64(p), LabelMasked, maskedPositive}
				}
			}
		}
		if column >= 0 {
			k, bit := column/64, uint64(1)<<(column%64)
			if pos[k]&bit != 0 {
				return &DataError{c.First + i, column, LabelOnThresholds, columnPositive}
			}
			neg[k] &^= bit
			left = 0
			for _, v := range neg {
				left |= v
			}
		}
		for k, p := range pos {
			neg[k] &^= p
		}
		c.Live[i] = left != 0
	}
	return nil
}

// leavesCheck reports whether the check of the soft labels is left to the loss: that of one
// target reads all of them once. (Rows of weight 0 have no bits then.)
func (w *lossWorker[T]) leavesCheck() bool {
	j, c, o := &w.e.job, &w.chunk, &w.e.opts
	b := j.b
	return w.e.traits.target && c.Full && c.N > 0 && b.RowWeights == nil && b.ClassWeights == nil && !j.counting && !o.Strict && o.TopNegatives == 0 && o.TopScores == 0
}

// checkSoft checks the soft labels: in [0, 1] where the class takes part, 0
// elsewhere.
func (w *lossWorker[T]) checkSoft() error {
	j, c := &w.e.job, &w.chunk
	c.SmallLabels = false
	if c.Full && c.N > 0 && c.Rows > 0 && w.plainSoft() {
		return nil
	}
	least := T(kernel.PlainLabel[T]())
	for i := range c.Rows {
		_, part := c.Sides(i)
		row := c.Soft[i*c.SoftStride:][:c.N]
		for k, v := range row {
			if v == 0 {
				continue
			}
			switch {
			case v != v:
				return notBinary(c.First+i, k, float64(v))
			case !(v >= 0 && v <= 1):
				return &DataError{c.First + i, k, SoftLabelRange, "soft label " + decimal(float64(v)) + " is not in [0, 1]"}
			case v < least:
				c.SmallLabels = true
			}
			switch {
			case part[k/64]>>(k%64)&1 != 0:
			case k == j.b.ThresholdColumn-1:
				return &DataError{c.First + i, k, LabelOnThresholds, columnPositive}
			default:
				return &DataError{c.First + i, k, LabelMasked, maskedPositive}
			}
		}
	}
	return nil
}

// plainSoft reports that all soft labels are plain.
func (w *lossWorker[T]) plainSoft() bool {
	c := &w.chunk
	rows, n := c.Rows, c.N
	if c.SoftStride == n {
		rows, n = 1, rows*n // without gaps they are as good as one
	}
	return kernel.PlainLabels(c.Soft, c.SoftStride, rows, n)
}

// allAtMost reports whether all b are at most top, as integers. Of the bits of
// floats, those of numbers from +0 to that with the bits top are.
func allAtMost(b []uint64, top uint64) bool {
	var x, y int64 // their signs
	for ; len(b) >= 4; b = b[4:] {
		b0, b1, b2, b3 := int64(b[0]), int64(b[1]), int64(b[2]), int64(b[3])
		x |= (int64(top) - b0) | b0 | (int64(top) - b1) | b1
		y |= (int64(top) - b2) | b2 | (int64(top) - b3) | b3
	}
	for _, v := range b {
		x |= (int64(top) - int64(v)) | int64(v)
	}
	return x|y >= 0
}

// rowWeights fills in the row weights and takes out rows of weight 0.
func (w *lossWorker[T]) rowWeights() error {
	j, c := &w.e.job, &w.chunk
	if j.b.RowWeights == nil {
		if j.counting {
			w.weight = kernel.Resize(w.weight, c.Rows)
			for i := range w.weight {
				w.weight[i] = 1
			}
		}
		return nil
	}
	w.weight = kernel.Resize(w.weight, c.Rows)
	copy(w.weight, j.b.RowWeights[c.First:])
	for i, v := range w.weight {
		if !(v >= 0) || !finiteNumber(v) {
			return &DataError{c.First + i, -1, WeightRange, "row weight " + decimal(v) + " is not finite and at least 0"}
		}
		if v == 0 {
			w.leaveOut(i)
		}
	}
	return nil
}

// ignore takes out rows without a target, which else are rows without positives.
func (w *lossWorker[T]) ignore(targets *TargetLabels) {
	for i, target := range targets.Targets[w.chunk.First:][:w.chunk.Rows] {
		if target == Ignore {
			w.leaveOut(i)
		}
	}
}

// leaveOut takes out row i.
func (w *lossWorker[T]) leaveOut(i int) {
	c := &w.chunk
	c.AllLive, c.Full = false, false
	pos, neg := c.Sides(i)
	clear(pos)
	clear(neg)
	c.Live[i] = false
}

// targets finds the one positive of every row.
func (w *lossWorker[T]) targets() error {
	c := &w.chunk
	c.Target = kernel.Resize(c.Target, c.Rows)
	for i := range c.Rows {
		c.Target[i] = noClass
		if !c.Live[i] {
			continue
		}
		pos, _ := c.Sides(i)
		for k, p := range pos {
			if p == 0 {
				continue
			}
			if c.Target[i] >= 0 || p&(p-1) != 0 {
				return &DataError{c.First + i, -1, LabelsTooMany, manyTargets}
			}
			c.Target[i] = 64*k + bits.TrailingZeros64(p)
		}
		if c.Target[i] < 0 {
			return &DataError{c.First + i, -1, LabelMissing, noTarget}
		}
	}
	return nil
}

// smoothTargets makes soft labels of the targets: all classes that take part are in neg
// then.
func (w *lossWorker[T]) smoothTargets() {
	c, epsilon := &w.chunk, w.e.job.b.Smoothing
	w.soft = kernel.ResizeAligned(w.soft, c.Rows*c.N)
	c.Soft, c.SoftStride = w.soft, c.N
	c.SmallLabels = false
	for i := range c.Rows {
		pos, neg := c.Sides(i)
		for k, p := range pos {
			neg[k] |= p
		}
		clear(pos)
		row := w.soft[i*c.N:][:c.N]
		if c.Target[i] < 0 {
			clear(row)
			continue
		}
		count := c.N
		if !c.Full {
			count = kernel.CountBits(neg)
		}
		share := epsilon / float64(count)
		c.SmallLabels = c.SmallLabels || share < kernel.PlainLabel[T]()
		if c.Full && i > 0 {
			copy(row, w.soft)
			row[c.Target[0]] = T(share)
		} else {
			for j := range row {
				row[j] = 0
				if neg[j/64]>>(j%64)&1 != 0 {
					row[j] = T(share)
				}
			}
		}
		row[c.Target[i]] = T((1 - epsilon) + share)
	}
}

// thresholds fills in the threshold of every row.
func (w *lossWorker[T]) thresholds() {
	j, c := &w.e.job, &w.chunk
	b, fixed := j.b, w.e.traits.threshold
	if b.Thresholds == nil && b.ThresholdColumn == 0 {
		c.Threshold = w.fixed.fill(c.Threshold, fixed, c.Rows)[:c.Rows]
		c.ZeroThreshold = fixed == 0
		return
	}
	w.fixed.spoil()
	c.Threshold = kernel.Resize(c.Threshold, c.Rows)
	c.ZeroThreshold = false
	if b.ThresholdColumn > 0 {
		for i := range c.Threshold {
			c.Threshold[i] = float64(c.X[i*c.Stride+b.ThresholdColumn-1])
		}
		return
	}
	for i, v := range b.Thresholds[c.First:][:c.Rows] {
		c.Threshold[i] = float64(v)
	}
}

// strict finds the first NaN or infinite score that takes part.
func (w *lossWorker[T]) strict() error {
	j, c := &w.e.job, &w.chunk
	for i := range c.Rows {
		if err := w.allFinite(i, c.Row(i), "score"); err != nil {
			return err
		}
		if c.Teacher != nil {
			if err := w.allFinite(i, c.Teacher[i*c.TeacherStride:][:c.N], "teacher's score"); err != nil {
				return err
			}
		}
		if c.Live[i] && !finiteNumber(c.Threshold[i]) {
			return &DataError{c.First + i, j.b.ThresholdColumn - 1, ThresholdNotFinite, "threshold is " + decimal(c.Threshold[i])}
		}
	}
	return nil
}

// allFinite finds the first score of row i that is NaN or infinite and takes part.
func (w *lossWorker[T]) allFinite(i int, row []T, what string) error {
	c := &w.chunk
	var sum T // NaN where a score is not finite
	for _, v := range row {
		sum += v - v
	}
	if sum == 0 {
		return nil
	}
	pos, neg := c.Sides(i)
	for k, v := range row {
		if v-v != 0 && (pos[k/64]|neg[k/64])>>(k%64)&1 != 0 {
			return badScore(c.First+i, k, float64(v), what)
		}
	}
	return nil
}

// badScore is the error of a score that is NaN or infinite.
func badScore(row, class int, value float64, what string) *DataError {
	kind := ScoreInfinite
	if value != value {
		kind = ScoreNaN
	}
	return &DataError{row, class, kind, what + " is " + decimal(value)}
}
