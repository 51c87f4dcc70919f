package metrics

import (
	"math"
	"math/big"
	"math/bits"
	"slices"
)

// A finite weight above 0 is m·2^e, m odd.
func parts(weight float64) (m uint64, e int) {
	b := math.Float64bits(weight)
	m, e = b&(1<<52-1), int(b>>52)&0x7ff
	if e == 0 {
		e = 1 // subnormal
	} else {
		m |= 1 << 52
	}
	zeros := bits.TrailingZeros64(m)
	return m >> zeros, e - 1075 + zeros
}

// A window is a range of bits: those of weight 2^low to 2^(high-1).
type window struct{ Low, High int }

// include widens the window to hold a weight above 0.
func (w *window) include(weight float64) {
	m, e := parts(weight)
	w.unite(window{e, e + bits.Len64(m)})
}

// unite widens the window to hold that of o.
func (w *window) unite(o window) {
	switch {
	case w.empty():
		*w = o
	case !o.empty():
		*w = window{min(w.Low, o.Low), max(w.High, o.High)}
	}
}

func (w window) empty() bool { return w.Low == w.High }

// windowOf is the window of row weights; those that are no weights are passed
// over, they are found when their rows are read.
func windowOf(weights []float64) (w window) {
	for _, v := range weights {
		if v > 0 && v <= math.MaxFloat64 {
			w.include(v)
		}
	}
	return w
}

// sums are exact sums of row weights times non-negative numbers. Each has as many
// words as the weights' range of bits asks for, in units of 2^(64·Low): three or
// four for weights of one size. So neither the order nor the split of the rows
// changes a sum, and weights that are all scaled by a power of two scale it
// exactly.
type sums struct {
	Low, Words int
	Word       []uint64
	n          int
	room       int // bits that sums have above a weight
}

// newSums returns n sums of which the factors of weights stay, in all, below
// 2^room.
func newSums(n, room int) sums { return sums{n: n, room: room} }

// cover makes room for weights of the window.
func (s *sums) cover(w window, below int) {
	if w.empty() {
		return
	}
	low := floorDiv(w.Low-below, 64)
	high := floorDiv(w.High+s.room, 64) + 1
	if s.Words > 0 {
		low, high = min(low, s.Low), max(high, s.Low+s.Words)
	}
	s.resize(low, high-low)
}

// resize changes the units and the words of the sums, none of which is cut.
func (s *sums) resize(low, words int) {
	if low == s.Low && words == s.Words {
		return
	}
	word := make([]uint64, s.n*words)
	if s.Words > 0 {
		for i := range s.n {
			copy(word[i*words+s.Low-low:], s.at(i))
		}
	}
	s.Low, s.Words, s.Word = low, words, word
}

// at returns sum i.
func (s *sums) at(i int) []uint64 { return s.Word[i*s.Words:][:s.Words] }

// float64 is a number of the length of a sum, rounded to float64.
func (s *sums) float64(a []uint64) float64 {
	x := new(big.Float).SetInt(toBig(a))
	v, _ := x.SetMantExp(x, 64*s.Low).Float64()
	return v
}

// place is the bit of the sums that 2^e has.
func (s *sums) place(e int) int { return e - 64*s.Low }

// merge adds the sums of o.
func (s *sums) merge(o *sums) {
	if o.Words == 0 {
		return
	}
	low, high := o.Low, o.Low+o.Words
	if s.Words > 0 {
		low, high = min(low, s.Low), max(high, s.Low+s.Words)
	}
	s.resize(low, high-low)
	for i := range s.n {
		addWide(s.at(i)[o.Low-s.Low:], o.at(i))
	}
}

// clone returns a copy.
func (s *sums) clone() sums {
	c := *s
	c.Word = slices.Clone(s.Word)
	return c
}

// clear makes all sums 0.
func (s *sums) clear() { clear(s.Word) }

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// A weighed holds what a tally holds, of rows that have weights: of every row its
// numbers times its weight.
type weighed struct {
	Rows    uint64 // rows that count
	Sums    sums   // of the numbers of a tally, in the order of its numbers
	ByClass sums   // positive, predicted, both: three for every class
}

// The bits by which sums may exceed a weight: 2^63 rows of numbers below 2^64, and
// 2^63 rows.
const (
	roomOfNumbers = 63 + 64
	roomOfRows    = 63
)

func newWeighed(slots, classes int, byClass bool) *weighed {
	w := &weighed{Sums: newSums(numSlots+slots, roomOfNumbers)}
	if byClass {
		w.ByClass = newSums(3*classes, roomOfRows)
	}
	return w
}

// cover makes room for weights of the window.
func (w *weighed) cover(win window) {
	w.Sums.cover(win, 64) // the numbers are multiples of 2^-64
	w.ByClass.cover(win, 0)
}

// add adds the numbers of t times the weight m·2^e.
func (w *weighed) add(m uint64, e int, t *tally) {
	at := w.Sums.place(e - 64)
	i := 0
	t.each(func(v fixed) {
		addProduct(w.Sums.at(i), m, v, at)
		i++
	})
}

// addClasses adds the weight m·2^e to the classes' sums of that kind whose bit is
// set.
func (w *weighed) addClasses(kind int, m uint64, e int, row []uint64) {
	at := w.ByClass.place(e)
	for i, word := range row {
		for ; word != 0; word &= word - 1 {
			addShifted(w.ByClass.at(3*(i*64+bits.TrailingZeros64(word))+kind), m, at)
		}
	}
}

// merge adds o.
func (w *weighed) merge(o *weighed) {
	w.Rows += o.Rows
	w.Sums.merge(&o.Sums)
	w.ByClass.merge(&o.ByClass)
}

// clear makes w empty.
func (w *weighed) clear() {
	w.Rows = 0
	w.Sums.clear()
	w.ByClass.clear()
}

// with returns the sums of w and of the tally of rows without weights, which have
// weight 1.
func (w *weighed) with(t *tally) *weighed {
	c := &weighed{Rows: w.Rows + t.Rows, Sums: w.Sums.clone(), ByClass: w.ByClass.clone()}
	if t.Rows == 0 {
		return c
	}
	c.cover(window{0, 1})
	c.add(1, 0, t)
	at := c.ByClass.place(0)
	for kind, counts := range t.ByClass {
		for j, n := range counts {
			addShifted(c.ByClass.at(3*j+kind), n, at)
		}
	}
	return c
}

// number is the sum of number i, in the same units for all i.
func (w *weighed) number(i int) *big.Int { return toBig(w.Sums.at(i)) }
