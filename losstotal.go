package zlpr

import "github.com/zlpr/zlpr/internal/kernel"

// A lossTotal sums up rows, in any order.
type lossTotal struct {
	Total
	positives int // the most of a row
}

func (t *lossTotal) merge(u *lossTotal) {
	t.Merge(&u.Total)
	t.positives = max(t.positives, u.positives)
}

// prepareLoss sets the place of the losses: room for a multiple of 8, as kernels
// write them. That is their place in the output where it has the room.
func (w *lossWorker[T]) prepareLoss() {
	c, out := &w.chunk, w.e.job.out.Losses
	c.inPlace = out != nil && c.rows%8 == 0
	if c.inPlace {
		c.loss = out[c.first:][:c.rows]
		return
	}
	w.loss = kernel.Resize(w.loss, (c.rows+7)&^7)
	c.loss = w.loss[:c.rows]
}

// sumUp adds the rows' losses to the totals.
func (w *lossWorker[T]) sumUp() {
	j, c, t := &w.e.job, &w.chunk, &w.total
	rows, loss, live := c.rows, c.loss, c.live
	if !c.allLive {
		rows = 0
		for i, live := range c.live {
			if live {
				rows++
			} else {
				c.loss[i] = 0
			}
		}
	}
	if j.b.RowWeights != nil {
		for i, live := range c.live {
			if live {
				t.sum.AddProduct(w.weight[i], c.loss[i])
				t.weight.Add(w.weight[i])
				c.loss[i] *= w.weight[i]
			}
		}
	} else {
		t.weight.Add(float64(rows))
		if c.allLive {
			done := t.addParts(loss)
			loss, live = loss[done:], live[done:]
		}
		t.sum.AddSlice(loss)
	}
	t.rows += rows
	t.extremes(loss, live)
	if j.out.Losses != nil && !c.inPlace {
		copy(j.out.Losses[c.first:], c.loss)
	}
}

// addParts adds as many losses of live rows as a kernel can add at once, and
// returns their number.
func (t *lossTotal) addParts(loss []float64) (done int) {
	n := len(loss) &^ 7
	if n == 0 {
		return 0
	}
	p := kernel.AddParts(loss[:n])
	if !p.Right() {
		return 0
	}
	for _, v := range p.Sum {
		t.sum.Add(v)
	}
	t.span(p.Min, p.Max)
	return n
}
