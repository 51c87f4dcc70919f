package metrics

import (
	"math/bits"

	"github.com/zlpr/zlpr"
)

// A counter is a worker of Add: it counts what the metrics need of its rows.
type counter[T zlpr.Float] struct {
	part[T]
	*needs
	*chunk[T]
	inverse []float64
	ranker  ranker[T]
	top     topMeasurer[T]
	planes  [3]planes
	pending int // rows in planes
	both    []uint64
}

func newCounter[T zlpr.Float](a *Accumulator[T], maxRows int) *counter[T] {
	c := &counter[T]{
		part:    a.newPart(),
		needs:   &a.kinds,
		chunk:   newChunk[T](a.classes, a.options.Rule, true, maxRows),
		inverse: a.inverse,
	}
	if c.byClass {
		for i := range c.planes {
			c.planes[i] = make(planes, c.w)
		}
		c.both = make([]uint64, maxRows*c.w)
	}
	if len(c.tops) > 0 {
		c.top = newTopMeasurer[T](a)
	}
	return c
}

// count takes in rows r0 to r1-1 of the batch.
func (c *counter[T]) count(r0, r1 int) error {
	if err := c.read(r0, r1); err != nil {
		return err
	}
	for r := range c.rows {
		elements := uint64(count(c.row(c.chunk.part, r)))
		if elements == 0 {
			continue
		}
		c.tally.Elements += elements
		c.tally.Rows++
		if c.thresholded {
			c.countPredicted(r)
		}
		x := c.batch.Scores.Row(c.r0 + r)
		positive, part := c.row(c.positive, r), c.row(c.chunk.part, r)
		if c.ranking {
			c.ranker.gather(x, positive, part)
			precision, coverage, loss := c.ranker.rankMeasures()
			c.tally.Precision.add(precision)
			c.tally.Coverage.add(fixed{Int: coverage})
			c.tally.Loss.add(loss)
		}
		if len(c.tops) > 0 {
			c.top.measure(x, positive, part, &c.tally)
		}
	}
	if c.byClass {
		c.countClasses()
	}
	if c.keep {
		c.scores.add(c.chunk)
	}
	return nil
}

// countPredicted compares the predicted classes of row r with the positives.
func (c *counter[T]) countPredicted(r int) {
	t := &c.tally
	var positive, predicted, both, wrong uint64
	y := c.row(c.positive, r)
	for i, p := range c.row(c.predicted, r) {
		positive += uint64(bits.OnesCount64(y[i]))
		predicted += uint64(bits.OnesCount64(p))
		both += uint64(bits.OnesCount64(p & y[i]))
	}
	wrong = positive + predicted - 2*both
	t.Positive += positive
	t.Predicted += predicted
	t.TruePositive += both
	if wrong == 0 {
		t.Exact++
	}
	for _, m := range c.samples {
		t.Sums[m.slot].add(m.of(positive, predicted, both))
	}
}

// countClasses adds the bits of the chunk to the counts by class.
func (c *counter[T]) countClasses() {
	if c.pending+c.rows > maxPlaneRows {
		c.drain()
	}
	c.pending += c.rows
	n := c.rows * c.w
	for i, p := range c.predicted[:n] {
		c.both[i] = p & c.positive[i]
	}
	c.planes[classPositive].add(c.positive, c.rows)
	c.planes[classPredicted].add(c.predicted, c.rows)
	c.planes[classTrue].add(c.both, c.rows)
}

func (c *counter[T]) drain() {
	for i, p := range c.planes {
		p.drain(c.tally.ByClass[i])
	}
	c.pending = 0
}

// finish completes the part.
func (c *counter[T]) finish() {
	if c.byClass {
		c.drain()
	}
}
