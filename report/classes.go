package report

import (
	"context"
	"math"
	"slices"

	"github.com/zlpr/zlpr/metrics"
)

// A pair has the classes of every row that are positive or predicted by one of two
// models, and computes the metrics by class of resamples.
type pair struct {
	classes  int
	entries  [][]uint32 // of every row: class·8 + 4 if it is positive + 2 if A + 1 if B predicts it
	unit     []uint32   // of every row; nil: its number
	units    int
	formulas []metrics.Formula // those by class
	each     []int             // the classes whose F1 is wanted for every resample
}

// join makes a pair of the lists of two models.
func join(ctx context.Context, a, b *Rows, workers int) ([][]uint32, error) {
	entries := make([][]uint32, a.rows)
	const size = 1 << 10
	err := share(ctx, (a.rows+size-1)/size, workers, func() func(int) {
		return func(k int) {
			first, last := k*size, min((k+1)*size, a.rows)
			room := 0
			for i := first; i < last; i++ {
				room += union(a.lists[i], b.lists[i], func(uint32) {})
			}
			all := make([]uint32, 0, room)
			for i := first; i < last; i++ {
				begin := len(all)
				union(a.lists[i], b.lists[i], func(e uint32) { all = append(all, e) })
				entries[i] = all[begin:len(all):len(all)]
			}
		}
	})
	return entries, err
}

// union visits the classes of two lists, and returns how many there are.
func union(a, b []uint32, visit func(uint32)) (n int) {
	for ; len(a) > 0 || len(b) > 0; n++ {
		var e uint32
		switch {
		case len(b) == 0 || len(a) > 0 && a[0]>>2 < b[0]>>2:
			e = a[0]>>1<<2 | a[0]&1<<1
			a = a[1:]
		case len(a) == 0 || b[0]>>2 < a[0]>>2:
			e = b[0]>>1<<2 | b[0]&1
			b = b[1:]
		default:
			e = (a[0]|b[0])>>1<<2 | a[0]&1<<1 | b[0]&1
			a, b = a[1:], b[1:]
		}
		visit(e)
	}
	return n
}

// A counter counts, for both models, what the metrics by class are made of.
type counter struct {
	*pair
	all                        []uint32 // of every entry, when each row counts once
	times                      []uint8
	seen                       []uint32 // how often each entry came
	positive, predicted, both  []uint64
	positive2, predicted2, hit []uint64
}

func (p *pair) newCounter(all []uint32) *counter {
	c := &counter{pair: p, all: all, times: make([]uint8, p.units), seen: make([]uint32, 8*p.classes)}
	for _, to := range []*[]uint64{&c.positive, &c.predicted, &c.both, &c.positive2, &c.predicted2, &c.hit} {
		*to = make([]uint64, p.classes)
	}
	return c
}

// count counts the entries of the rows, each as often as its unit came.
func (c *counter) count() {
	clear(c.seen)
	seen := c.seen
	for i, row := range c.entries {
		u := i
		if c.unit != nil {
			u = int(c.unit[i])
		}
		if times := uint32(c.times[u]); times != 0 {
			for _, e := range row {
				seen[e] += times
			}
		}
	}
}

// swapped makes of the counts of what is swapped those of all, swapped: an entry
// that one model alone predicts becomes the other's.
func (c *counter) swapped() {
	for e := 0; e < len(c.seen); e += 4 {
		s, all := c.seen[e:][:4], c.all[e:][:4]
		s[1], s[2] = all[1]-s[1]+s[2], all[2]-s[2]+s[1]
		s[3] = all[3]
	}
	// Entries of the 4 that no model predicts stay.
	for e := 4; e < len(c.seen); e += 8 {
		c.seen[e] = c.all[e]
	}
}

// split makes the counts of both models of those of the entries.
func (c *counter) split() {
	for j := range c.classes {
		s := (*[8]uint32)(c.seen[8*j:])
		y := uint64(s[4]) + uint64(s[5]) + uint64(s[6]) + uint64(s[7])
		c.positive[j], c.positive2[j] = y, y
		c.both[j] = uint64(s[6]) + uint64(s[7])
		c.hit[j] = uint64(s[5]) + uint64(s[7])
		c.predicted[j] = uint64(s[2]) + uint64(s[3]) + c.both[j]
		c.predicted2[j] = uint64(s[1]) + uint64(s[3]) + c.hit[j]
	}
}

// values writes metric k of both models.
func (c *counter) values(k int) (a, b float64) {
	f := c.formulas[k]
	return f.OfClasses(c.positive, c.predicted, c.both), f.OfClasses(c.positive2, c.predicted2, c.hit)
}

// f1 returns F1 of class j by both models; 0 without positives and predictions.
func (c *counter) f1(j int) (a, b float64) {
	of := func(positive, predicted, both uint64) float64 {
		if positive+predicted == 0 {
			return 0
		}
		return float64(2*both) / float64(positive+predicted)
	}
	return of(c.positive[j], c.predicted[j], c.both[j]), of(c.positive2[j], c.predicted2[j], c.hit[j])
}

// total counts every row once.
func (p *pair) total() *counter {
	c := p.newCounter(nil)
	for i := range c.times {
		c.times[i] = 1
	}
	c.count()
	c.split()
	c.all = c.seen
	return c
}

// resample returns of every resample the differences of the metrics, resamples ×
// metrics, and those of the F1 of the classes that are wanted, class by class.
func (p *pair) resample(ctx context.Context, kind int, seed uint64, all []uint32, resamples, workers int) (metrics, f1 []float64, err error) {
	n := len(p.formulas)
	metrics = make([]float64, resamples*n)
	if kind == drawing {
		f1 = make([]float64, len(p.each)*resamples)
	}
	err = share(ctx, resamples, workers, func() func(int) {
		c := p.newCounter(all)
		return func(r int) {
			counted(c.times, seed, kind, r)
			c.count()
			if kind == swapping {
				c.swapped()
			}
			c.split()
			for k := range n {
				a, b := c.values(k)
				metrics[r*n+k] = b - a
			}
			if kind == drawing {
				for i, j := range p.each {
					a, b := c.f1(j)
					f1[i*resamples+r] = b - a
				}
			}
		}
	})
	return metrics, f1, err
}

// mostIntervals is the largest number of classes that have intervals.
const mostIntervals = 1 << 12

// farthest returns the classes whose differences are largest, at most so many, in
// rising order.
func farthest(classes []ClassDifference, most int) []int {
	order := make([]int, len(classes))
	for j := range order {
		order[j] = j
	}
	if len(order) > most {
		slices.SortStableFunc(order, func(i, j int) int {
			a, b := math.Abs(classes[i].Difference), math.Abs(classes[j].Difference)
			switch {
			case a > b:
				return -1
			case a < b:
				return 1
			}
			return i - j
		})
		order = order[:most]
		slices.Sort(order)
	}
	return order
}
