package metrics

import (
	"math"
	"math/bits"
	"strconv"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/kernel"
)

// chunkWords is about the number of words of bits in a chunk of rows.
const chunkWords = 2048

// A chunk is some rows of a batch, its bits read and checked. Word i of row r
// of each bit array is at r·w + i; bits past the last class are zero.
type chunk[T zlpr.Float] struct {
	batch     *Batch[T]
	half      halfScores // in place of the scores of the batch; or nil
	x         []T        // the scores, row r at r·stride
	stride    int
	wide      []T // those of half
	rule      Rule
	labelled  bool
	byRow     bool // rows have weights or thresholds, or classes the weight 0
	maxRows   int
	w         int // words a row
	r0, rows  int // first row and number of rows
	positive  []uint64
	part      []uint64 // takes part
	predicted []uint64
	listed    []uint64 // takes part and is listed; the same as part, but for Rule.Listed
	full      []uint64 // of one row: all classes
	off       []uint64 // those of weight 0; empty: none, or they leave no row out
	t         []T      // the thresholds of the row
	lowest    []T      // -Inf for every class, for Rule.Listed
	best      selection[T]
}

func newChunk[T zlpr.Float](classes int, rule Rule, labelled bool, maxRows int) *chunk[T] {
	w := (classes + 63) / 64
	c := &chunk[T]{
		rule: rule, labelled: labelled, maxRows: maxRows, w: w,
		positive:  make([]uint64, maxRows*w),
		part:      make([]uint64, maxRows*w),
		predicted: make([]uint64, maxRows*w),
		full:      make([]uint64, w),
		t:         make([]T, classes, max(classes, 64)),
	}
	c.listed = c.part
	if rule.listed {
		c.listed = make([]uint64, maxRows*w)
		c.lowest = make([]T, max(classes, 64))
		for i := range c.lowest {
			c.lowest[i] = T(math.Inf(-1))
		}
	}
	for i := range c.full {
		c.full[i] = ^uint64(0)
	}
	if rest := classes % 64; rest > 0 {
		c.full[w-1] = 1<<rest - 1
	}
	return c
}

// begin goes over to the batch b.
func (c *chunk[T]) begin(b *Batch[T], half halfScores) {
	c.batch, c.half = b, half
	c.setClassesOff(b)
	c.byRow = b.RowWeights != nil || b.Thresholds != nil || b.ThresholdColumn > 0 || len(c.off) > 0
	thresholds(c.rule, c.t)
}

// setClassesOff notes the classes of weight 0.
func (c *chunk[T]) setClassesOff(b *Batch[T]) {
	c.off = c.off[:0]
	for j, w := range b.ClassWeights {
		if w != 0 {
			continue
		}
		if len(c.off) == 0 {
			c.off = kernel.Resize(c.off, c.w)
			clear(c.off)
		}
		c.off[j/64] |= 1 << (j % 64)
	}
}

// scores returns the scores of row r of the chunk.
func (c *chunk[T]) scores(r int) []T { return c.x[r*c.stride:][:c.batch.Scores.Cols] }

// readScores finds the scores, widened from those of half.
func (c *chunk[T]) readScores(r0, r1 int) {
	s := &c.batch.Scores
	if c.half == nil {
		c.x, c.stride = s.Data[r0*s.Stride:], s.Stride
		return
	}
	if n := (r1 - r0) * s.Cols; cap(c.wide) < n {
		c.wide = make([]T, n)
	}
	c.x, c.stride = c.wide[:(r1-r0)*s.Cols], s.Cols
	c.half.widen(kernel.As32(c.x), r0, r1)
}

// row returns the words of row r of the chunk.
func (c *chunk[T]) row(words []uint64, r int) []uint64 {
	return words[r*c.w:][:c.w]
}

// read reads rows r0 to r1-1 of the batch and predicts their classes.
func (c *chunk[T]) read(r0, r1 int) error {
	if err := c.readBits(r0, r1); err != nil {
		return err
	}
	for r := range c.rows {
		if err := c.predict(r); err != nil {
			return err
		}
	}
	return nil
}

// readBits reads labels and mask.
func (c *chunk[T]) readBits(r0, r1 int) error {
	c.r0, c.rows = r0, r1-r0
	n := c.rows * c.w
	c.readScores(r0, r1)
	if c.labelled {
		if err := c.batch.Labels.ReadRows(c.positive[:n], r0, r1); err != nil {
			return err
		}
	}
	if c.batch.Mask != nil {
		if err := c.batch.Mask.ReadRows(c.part[:n], r0, r1); err != nil {
			return ofMask(err)
		}
	} else {
		for r := range c.rows {
			copy(c.row(c.part, r), c.full)
		}
	}
	if targets, ok := c.batch.Labels.(*zlpr.TargetLabels); ok && c.labelled {
		for r, target := range targets.Targets[r0:r1] {
			if target == zlpr.Ignore {
				clear(c.row(c.part, r))
			}
		}
	}
	if column := c.batch.ThresholdColumn - 1; column >= 0 {
		for r := range c.rows {
			c.row(c.part, r)[column/64] &^= 1 << (column % 64)
		}
	}
	return nil
}

// ofMask makes the error of a mask, which is read as labels are, one of a mask.
func ofMask(err error) error {
	e, ok := err.(*zlpr.DataError)
	if !ok || e.Kind == zlpr.OtherData || e.Kind == zlpr.LengthRange {
		return err
	}
	return &zlpr.DataError{Row: e.Row, Class: e.Class, Kind: zlpr.MaskInvalid, Reason: "mask: " + e.Reason}
}

// rowThreshold returns the threshold that row r of the chunk brings, 0 where
// it brings none.
func (c *chunk[T]) rowThreshold(r int) T {
	switch b := c.batch; {
	case b.Thresholds != nil:
		return b.Thresholds[c.r0+r]
	case b.ThresholdColumn > 0:
		return c.scores(r)[b.ThresholdColumn-1]
	}
	return 0
}

// predict checks row r of the chunk and writes its predicted bits. A row of
// weight 0 is left out, and one of which only classes of weight 0 are left.
func (c *chunk[T]) predict(r int) error {
	x := c.scores(r)
	part, predicted := c.row(c.part, r), c.row(c.predicted, r)
	if c.labelled {
		for i, y := range c.row(c.positive, r) {
			if bad := y &^ part[i]; bad != 0 {
				return &zlpr.DataError{Row: c.r0 + r, Class: i*64 + bits.TrailingZeros64(bad),
					Kind: zlpr.LabelMasked, Reason: "positive label on a class that is left out"}
			}
		}
	}
	if c.byRow {
		if out, err := c.readRow(r); out || err != nil {
			return err
		}
	}
	if aboveRow(predicted, x, c.t) {
		if j := firstNaN(x, part); j >= 0 {
			return &zlpr.DataError{Row: c.r0 + r, Class: j, Kind: zlpr.ScoreNaN, Reason: "score is NaN"}
		}
	}
	if c.rule.listed {
		listed := c.row(c.listed, r)
		aboveRow(listed, x, c.lowest)
		for i := range listed {
			listed[i] &= part[i]
		}
	}
	if c.rule.topOnly {
		copy(predicted, c.row(c.listed, r))
	} else {
		for i := range predicted {
			predicted[i] &= part[i]
		}
	}
	if k := c.rule.k; k > 0 && ones(predicted) > k {
		top := c.best.top(x, predicted, k)
		clear(predicted)
		for _, e := range top {
			predicted[e.class/64] |= 1 << (e.class % 64)
		}
	}
	return nil
}

// readRow checks the weight of row r of the chunk and takes its threshold. It
// reports whether that weight is 0, or those of all classes that are left, and takes
// the row out then.
func (c *chunk[T]) readRow(r int) (out bool, err error) {
	b := c.batch
	if b.RowWeights != nil {
		switch w := b.RowWeights[c.r0+r]; {
		case !(w >= 0 && w <= math.MaxFloat64):
			return false, &zlpr.DataError{Row: c.r0 + r, Class: -1, Kind: zlpr.WeightRange,
				Reason: "row weight " + strconv.FormatFloat(w, 'g', -1, 64) + " is not finite and at least 0"}
		case w == 0:
			c.clear(r)
			return true, nil
		}
	}
	if len(c.off) > 0 && subset(c.row(c.part, r), c.off) {
		c.clear(r)
		return true, nil
	}
	if b.Thresholds == nil && b.ThresholdColumn == 0 {
		return false, nil
	}
	s0 := c.rowThreshold(r)
	if s0 != s0 && ones(c.row(c.part, r)) > 0 {
		return false, &zlpr.DataError{Row: c.r0 + r, Class: b.ThresholdColumn - 1, Kind: zlpr.ThresholdNotFinite, Reason: "threshold is NaN"}
	}
	for j := range c.t {
		c.t[j] = s0
	}
	return false, nil
}

// clear takes row r out of the chunk.
func (c *chunk[T]) clear(r int) {
	for _, bits := range [...][]uint64{c.part, c.listed, c.predicted, c.positive} {
		clear(c.row(bits, r))
	}
}

// subset reports whether all bits of x are in y.
func subset(x, y []uint64) bool {
	for i, v := range x {
		if v&^y[i] != 0 {
			return false
		}
	}
	return true
}

// firstNaN returns the first class that takes part and has a NaN, else -1.
func firstNaN[T zlpr.Float](x []T, part []uint64) int {
	for j, s := range x {
		if s != s && part[j/64]>>(j%64)&1 != 0 {
			return j
		}
	}
	return -1
}

// ones returns the number of set bits.
func ones(words []uint64) int {
	n := 0
	for _, word := range words {
		n += bits.OnesCount64(word)
	}
	return n
}

// chunkRows is the number of rows of a chunk: a multiple of 8, for the planes,
// where there are so many.
func chunkRows(classes, rows int) int {
	n := chunkWords / max(1, (classes+63)/64) &^ 7
	return max(1, min(rows, max(8, n)))
}
