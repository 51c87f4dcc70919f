package metrics

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/zlpr/zlpr"
)

// chunkWords is about the number of words of bits in a chunk of rows.
const chunkWords = 2048

// A chunk is some rows of a batch, its bits read and checked. Word i of row r
// of each bit array is at r·w + i; bits past the last class are zero.
type chunk[T zlpr.Float] struct {
	batch     *Batch[T]
	rule      Rule
	labelled  bool
	maxRows   int
	w         int // words a row
	r0, rows  int // first row and number of rows
	positive  []uint64
	part      []uint64 // takes part
	predicted []uint64
	full      []uint64 // of one row: all classes
	t         []T      // the thresholds of the row
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
	for i := range c.full {
		c.full[i] = ^uint64(0)
	}
	if rest := classes % 64; rest > 0 {
		c.full[w-1] = 1<<rest - 1
	}
	return c
}

// begin goes over to the batch b.
func (c *chunk[T]) begin(b *Batch[T]) {
	c.batch = b
	thresholds(c.rule, c.t)
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
	if c.labelled {
		if err := c.batch.Labels.ReadRows(c.positive[:n], r0, r1); err != nil {
			return err
		}
	}
	if c.batch.Mask != nil {
		if err := c.batch.Mask.ReadRows(c.part[:n], r0, r1); err != nil {
			return err
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

// rowThreshold returns the threshold that row r of the chunk brings, 0 where
// it brings none.
func (c *chunk[T]) rowThreshold(r int) T {
	switch b := c.batch; {
	case b.Thresholds != nil:
		return b.Thresholds[c.r0+r]
	case b.ThresholdColumn > 0:
		return b.Scores.Row(c.r0 + r)[b.ThresholdColumn-1]
	}
	return 0
}

// predict checks row r of the chunk and writes its predicted bits.
func (c *chunk[T]) predict(r int) error {
	b := c.batch
	x := b.Scores.Row(c.r0 + r)
	part, predicted := c.row(c.part, r), c.row(c.predicted, r)
	if b.Thresholds != nil || b.ThresholdColumn > 0 {
		s0 := c.rowThreshold(r)
		if s0 != s0 && count(part) > 0 {
			return &zlpr.DataError{Row: c.r0 + r, Class: b.ThresholdColumn - 1, Kind: zlpr.ThresholdNotFinite, Reason: "threshold is NaN"}
		}
		for j := range c.t {
			c.t[j] = s0
		}
	}
	if c.labelled {
		for i, y := range c.row(c.positive, r) {
			if bad := y &^ part[i]; bad != 0 {
				return &zlpr.DataError{Row: c.r0 + r, Class: i*64 + bits.TrailingZeros64(bad),
					Kind: zlpr.LabelMasked, Reason: "positive label on a class that is left out"}
			}
		}
	}
	if aboveRow(predicted, x, c.t) {
		if j := firstNaN(x, part); j >= 0 {
			return &zlpr.DataError{Row: c.r0 + r, Class: j, Kind: zlpr.ScoreNaN, Reason: "score is NaN"}
		}
	}
	if c.rule.topOnly {
		copy(predicted, part)
	} else {
		for i := range predicted {
			predicted[i] &= part[i]
		}
	}
	if k := c.rule.k; k > 0 && count(predicted) > k {
		top := c.best.top(x, predicted, k)
		clear(predicted)
		for _, e := range top {
			predicted[e.class/64] |= 1 << (e.class % 64)
		}
	}
	return nil
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

// count returns the number of set bits.
func count(words []uint64) int {
	n := 0
	for _, word := range words {
		n += bits.OnesCount64(word)
	}
	return n
}

// numWorkers returns the number of workers that an option asks for.
func numWorkers(n int) int {
	if n <= 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}

// split cuts rows into chunks of at most size rows and has workers take them
// in turn; each worker has one of the functions that start returns. The error
// is that of the lowest rows.
func split(rows, size, workers int, start func() func(r0, r1 int) error) error {
	chunks := (rows + size - 1) / size
	var next, failed atomic.Int64
	failed.Store(int64(chunks))
	errs := make([]error, chunks)
	work := func(f func(r0, r1 int) error) {
		for {
			i := next.Add(1) - 1
			if i >= failed.Load() { // chunks is the bound while none failed
				return
			}
			if errs[i] = f(int(i)*size, min(int(i+1)*size, rows)); errs[i] != nil {
				for f := failed.Load(); i < f && !failed.CompareAndSwap(f, i); f = failed.Load() {
				}
			}
		}
	}
	if workers = min(workers, chunks); workers <= 1 {
		work(start())
	} else {
		var wg sync.WaitGroup
		for range workers {
			f := start()
			wg.Go(func() { work(f) })
		}
		wg.Wait()
	}
	if i := failed.Load(); i < int64(chunks) {
		return errs[i]
	}
	return nil
}

// chunkRows is the number of rows of a chunk: a multiple of 8, for the planes,
// where there are so many.
func chunkRows(classes, rows int) int {
	n := chunkWords / max(1, (classes+63)/64) &^ 7
	return max(1, min(rows, max(8, n)))
}
