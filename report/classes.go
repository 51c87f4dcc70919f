package report

import (
	"context"
	"math"
	"math/bits"
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
	weights  []uint64 // of every row; nil: 1
	zero     metrics.ZeroDivision
	formulas []metrics.Formula // those by class
	each     []int             // the classes whose F1 is wanted for every resample
}

// weigh sets the weights of the rows, as integers: multiples of their largest one M times
// 2^-62·rows·classes, at most 2^-52·M, so that no sum of a resample is beyond 64 bits. Weights
// of 0 and 1 alone are none: the lists of rows of weight 0 are empty.
func (p *pair) weigh(of func(row int) float64) {
	most, plain := 0.0, true
	for i := range p.entries {
		w := of(i)
		most, plain = max(most, w), plain && (w == 0 || w == 1)
	}
	if plain {
		return
	}
	_, exponent := math.Frexp(most)
	room := min(52, 61-bits.Len(uint(len(p.entries)))-bits.Len(uint(p.classes)))
	p.weights = make([]uint64, len(p.entries))
	for i := range p.weights {
		p.weights[i] = uint64(math.RoundToEven(math.Ldexp(of(i), room-exponent)))
	}
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

// A count is of entries: of 32 bits, or of 64 where rows have weights.
type count interface{ uint32 | uint64 }

// A counter counts, for both models, what the metrics by class are made of.
type counter[C count] struct {
	*pair
	all                        []C // of every entry, when each row counts once
	times                      []uint8
	seen                       []C // how often each entry came, times the rows' weights
	positive, predicted, both  []uint64
	positive2, predicted2, hit []uint64
}

func newCounter[C count](p *pair, all []C) *counter[C] {
	c := &counter[C]{pair: p, all: all, times: make([]uint8, p.units), seen: make([]C, 8*p.classes)}
	for _, to := range []*[]uint64{&c.positive, &c.predicted, &c.both, &c.positive2, &c.predicted2, &c.hit} {
		*to = make([]uint64, p.classes)
	}
	return c
}

// count counts the entries of the rows, each as often as its unit came.
func (c *counter[C]) count() {
	clear(c.seen)
	seen := c.seen
	for i, row := range c.entries {
		u := i
		if c.unit != nil {
			u = int(c.unit[i])
		}
		times := C(c.times[u])
		if c.weights != nil {
			times *= C(c.weights[i])
		}
		if times != 0 {
			for _, e := range row {
				seen[e] += times
			}
		}
	}
}

// swapped makes of the counts of what is swapped those of all, swapped: an entry
// that one model alone predicts becomes the other's.
func (c *counter[C]) swapped() {
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
func (c *counter[C]) split() {
	for j := range c.classes {
		s := (*[8]C)(c.seen[8*j:])
		y := uint64(s[4]) + uint64(s[5]) + uint64(s[6]) + uint64(s[7])
		c.positive[j], c.positive2[j] = y, y
		c.both[j] = uint64(s[6]) + uint64(s[7])
		c.hit[j] = uint64(s[5]) + uint64(s[7])
		c.predicted[j] = uint64(s[2]) + uint64(s[3]) + c.both[j]
		c.predicted2[j] = uint64(s[1]) + uint64(s[3]) + c.hit[j]
	}
}

// values writes metric k of both models.
func (c *counter[C]) values(k int) (a, b float64) {
	f := c.formulas[k]
	return f.OfClasses(c.positive, c.predicted, c.both), f.OfClasses(c.positive2, c.predicted2, c.hit)
}

// f1 returns F1 of class j by both models; without positives and predictions what
// divisions by zero give.
func (c *counter[C]) f1(j int) (a, b float64) {
	of := func(positive, predicted, both uint64) float64 {
		if positive+predicted == 0 {
			return [...]float64{0, 1, math.NaN()}[c.zero]
		}
		return float64(2*both) / float64(positive+predicted)
	}
	return of(c.positive[j], c.predicted[j], c.both[j]), of(c.positive2[j], c.predicted2[j], c.hit[j])
}

// total counts every row once.
func total[C count](p *pair) *counter[C] {
	c := newCounter[C](p, nil)
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
func resample[C count](ctx context.Context, p *pair, kind int, seed uint64, all []C, resamples, workers int) (metrics, f1 []float64, err error) {
	n := len(p.formulas)
	metrics = make([]float64, resamples*n)
	if kind == drawing {
		f1 = make([]float64, len(p.each)*resamples)
	}
	err = share(ctx, resamples, workers, func() func(int) {
		c := newCounter(p, all)
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
