package metrics

import (
	"math/bits"

	"github.com/zlpr/zlpr"
)

// A counter is a worker of Add: it counts what the metrics need of its rows.
type counter[T zlpr.Float] struct {
	part[T]
	state *state[T]
	out   *RowOutput // of the batch, or nil
	*needs
	*chunk[T]
	ranker  ranker[T]
	top     topMeasurer[T]
	one     tally // of one row, where rows have weights
	planes  [3]planes
	pending int // rows in planes
	both    []uint64
}

func newCounter[T zlpr.Float](s *state[T], maxRows int) *counter[T] {
	c := &counter[T]{
		part:  s.newPart(),
		state: s,
		needs: &s.kinds,
		chunk: newChunk[T](s.classes, s.options.Rule, true, maxRows),
		one:   newTally(s.kinds.slots, 0, false),
	}
	if c.byClass {
		for i := range c.planes {
			c.planes[i] = make(planes, c.w)
		}
		c.both = make([]uint64, maxRows*c.w)
	}
	if len(c.tops) > 0 {
		c.top = newTopMeasurer[T](s)
	}
	return c
}

// begin goes over to a batch with row weights of that window.
func (c *counter[T]) begin(b *Batch[T], half halfScores, weights window) {
	c.chunk.begin(b, half)
	if b.RowWeights == nil {
		return
	}
	if c.weighed == nil {
		c.weighed = c.state.newWeighed()
	}
	c.weighed.cover(weights)
}

// count takes in rows r0 to r1-1 of the batch.
func (c *counter[T]) count(r0, r1 int) error {
	if err := c.read(r0, r1); err != nil {
		return err
	}
	weights := c.batch.RowWeights
	t := &c.tally
	if weights != nil || c.out != nil {
		t = &c.one
	}
	for r := range c.rows {
		elements := uint64(ones(c.row(c.chunk.part, r)))
		if elements == 0 {
			continue
		}
		t.Elements += elements
		t.Rows++
		if c.thresholded {
			c.countPredicted(r, t)
		}
		x := c.chunk.scores(r)
		positive := c.row(c.positive, r)
		if c.ranking {
			c.ranker.gather(x, positive, c.row(c.chunk.part, r))
			precision, coverage, loss := c.ranker.rankMeasures()
			t.Precision.add(precision)
			t.Coverage.add(fixed{Int: coverage})
			t.Loss.add(loss)
		}
		if len(c.tops) > 0 {
			c.top.measure(x, positive, c.row(c.listed, r), t)
		}
		if t == &c.one {
			c.takeRow(r, weights)
		}
	}
	if c.out != nil {
		c.out.bits(c.r0, c.positive[:c.rows*c.w], c.predicted[:c.rows*c.w], c.w)
	}
	if c.byClass && weights == nil {
		c.countClasses()
	}
	if c.byRow && (c.batch.Thresholds != nil || c.batch.ThresholdColumn > 0) {
		c.tally.OwnThresholds += uint64(c.rows)
	}
	if c.keep {
		c.part.scores.add(c.chunk)
	}
	if c.needs.binned {
		addBinned(&c.part.binned, c.chunk, 0, 1)
	}
	return nil
}

// takeRow hands out and adds row r, which c.one has counted.
func (c *counter[T]) takeRow(r int, weights []float64) {
	weight := 1.0
	if weights != nil {
		weight = weights[c.r0+r]
	}
	if c.out != nil {
		c.out.row(c.r0+r, &c.one, weight)
	}
	if weights != nil {
		c.weigh(r, weight)
		return
	}
	c.tally.merge(&c.one)
	c.one.clear()
}

// weigh adds row r, which c.one has counted, times its weight.
func (c *counter[T]) weigh(r int, weight float64) {
	m, e := parts(weight)
	c.weighed.Rows++
	c.weighed.add(m, e, &c.one)
	c.one.clear()
	if !c.byClass {
		return
	}
	positive, predicted := c.row(c.positive, r), c.row(c.predicted, r)
	both := c.row(c.both, r)
	for i, p := range predicted {
		both[i] = p & positive[i]
	}
	for kind, row := range [3][]uint64{positive, predicted, both} {
		c.weighed.addClasses(kind, m, e, row)
	}
}

// countPredicted compares the predicted classes of row r with the positives.
func (c *counter[T]) countPredicted(r int, t *tally) {
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
		v := m.settled(m.of(positive, predicted, both), positive > 0, predicted > 0)
		if v.none {
			continue
		}
		t.Sums[m.slot].add(v.fixed)
		if m.zero == ZeroDivisionNaN {
			t.Sums[m.slot+1].Int++
		}
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
