package metrics

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/zlpr/zlpr"
)

// Bounds are the ends of an interval that has a value for certain; they are equal
// where the value is known.
type Bounds struct{ Low, High float64 }

// exactly are the bounds of a value that is known.
func exactly(v float64) Bounds { return Bounds{v, v} }

// The numbers of leading bits by which scores can be counted.
const (
	leastBinBits = 8
	mostBinBits  = 22
)

// bins count the positives and the negatives that take part by the leading bits of
// their scores: of sortKey, whose order is that of the scores. Only bins in use
// are there. What bins hold does not depend on the order of the scores, nor on
// how they are merged.
type bins struct {
	Bits int
	// Rest has every bit that is set, beyond the leading ones, in the
	// representation of a score. Where it is 0 all scores of a bin are equal.
	Rest uint64
	Bin  []bin // by rising keys

	pending []uint32 // 2·key, and 1 for a positive: not in Bin yet
}

var (
	errBins       = errors.New("metrics: MicroBits and ClassBits are not both 0, or both in [8, 22]")
	errBinWeights = errors.New("metrics: rows have weights, scores in bins have none")
)

func (o *Options) checkBins() error {
	for _, n := range [...]int{o.MicroBits, o.ClassBits} {
		if (n != 0 || o.MicroBits+o.ClassBits != 0) && (n < leastBinBits || n > mostBinBits) {
			return errBins
		}
	}
	return nil
}

// raiseBits raises the bits to those that make areas of scores of that size exact:
// of the float32 that is a Float16 all bits beyond the first 19 are 0.
func (o *Options) raiseBits(size uintptr) {
	if size == 2 && o.checkBins() == nil && o.MicroBits > 0 {
		o.MicroBits, o.ClassBits = max(o.MicroBits, 19), max(o.ClassBits, 19)
	}
}

// A bin has the counts of the scores of one key.
type bin struct {
	Key      uint32
	Pos, Neg uint64
}

// A binned is the bins of all classes together and of every class.
type binned struct {
	micro   bins
	class   []bins // empty where no metric needs them
	scratch *binScratch
}

// A binScratch has what a worker needs to sort pending scores: the counts of each
// key, and a bit for each key in use.
type binScratch struct {
	count [][2]uint32 // negatives, positives
	used  []uint64
	bins  []bin
}

// newBinned returns bins without scores.
func newBinned(microBits, classBits, classes int, byClass bool) binned {
	b := binned{micro: bins{Bits: microBits}, scratch: &binScratch{}}
	if byClass {
		b.class = make([]bins, classes)
		for j := range b.class {
			b.class[j].Bits = classBits
		}
	}
	return b
}

// represent returns the sortKey of a score and its representation, both in the
// high bits of 64; both zeros are +0.
func represent[T zlpr.Float](s T) (key, bits uint64) {
	s += 0
	if unsafe.Sizeof(s) == 4 {
		return sortKey(s) << 32, uint64(math.Float32bits(float32(s))) << 32
	}
	return sortKey(s), math.Float64bits(float64(s))
}

// addBinned takes in the rows of a chunk.
func addBinned[T zlpr.Float](b *binned, c *chunk[T]) {
	micro := &b.micro
	for j := range c.batch.Scores.Cols {
		var class *bins
		if len(b.class) > 0 {
			class = &b.class[j]
		}
		i, bit := j/64, uint64(1)<<(j%64)
		for r := range c.rows {
			at := r*c.w + i
			if c.part[at]&bit == 0 {
				continue
			}
			positive := uint32(0)
			if c.positive[at]&bit != 0 {
				positive = 1
			}
			key, rep := represent(c.x[r*c.stride+j])
			micro.add(key, rep, positive)
			if class != nil {
				class.add(key, rep, positive)
			}
		}
		if class != nil {
			class.settle(b.scratch)
		}
		micro.settle(b.scratch)
	}
}

// addKept takes in scores that were kept, all of one class or of all classes.
func addKept[T zlpr.Float](b *binned, class *bins, l *list[T]) {
	for positive, scores := range [2][]T{l.Neg, l.Pos} {
		for _, s := range scores {
			key, rep := represent(s)
			b.micro.add(key, rep, uint32(positive))
			if class != nil {
				class.add(key, rep, uint32(positive))
				class.settle(b.scratch)
			}
			b.micro.settle(b.scratch)
		}
	}
}

func (a *accumulator[T]) CountScores(microBits, classBits int) error {
	if err := a.enter(); err != nil {
		return err
	}
	defer a.turn.Give()
	options := Options{MicroBits: microBits, ClassBits: classBits}
	switch err := options.checkBins(); {
	case err != nil:
		return err
	case a.kinds.binned && (microBits != a.options.MicroBits || classBits != a.options.ClassBits):
		return fmt.Errorf("metrics: scores are in bins of %d and %d bits already", a.options.MicroBits, a.options.ClassBits)
	case !a.kinds.keep || microBits == 0:
		return nil
	}
	lists := a.total.scores.Lists
	for i := range lists {
		if len(lists[i].Weighed) > 0 {
			return errBinWeights
		}
	}
	a.options.MicroBits, a.options.ClassBits = microBits, classBits
	a.kinds.count()
	a.total.binned = newBinned(microBits, classBits, a.classes, a.kinds.binnedByClass)
	for i := range lists {
		var class *bins
		if a.kinds.binnedByClass {
			class = &a.total.binned.class[i]
		}
		addKept(&a.total.binned, class, &lists[i])
		lists[i] = list[T]{}
	}
	a.total.scores, a.counters = scores[T]{}, nil
	return nil
}

func (a *accumulator[T]) Bins() (microBits, classBits int) {
	return a.options.MicroBits, a.options.ClassBits
}

// add takes in a score.
func (b *bins) add(key, rep uint64, positive uint32) {
	b.Rest |= rep << b.Bits
	b.pending = append(b.pending, uint32(key>>(64-b.Bits))<<1|positive)
}

// settle counts the pending scores where there are many, as they are to the bins
// in use.
func (b *bins) settle(s *binScratch) {
	if len(b.pending) >= max(1<<(b.Bits-5), len(b.Bin)) {
		b.finish(s)
	}
}

// finish counts all pending scores.
func (b *bins) finish(s *binScratch) {
	if len(b.pending) == 0 {
		return
	}
	s.bins = s.bins[:0]
	if len(b.pending) < 64 {
		slices.Sort(b.pending)
		for _, p := range b.pending {
			if n := len(s.bins); n == 0 || s.bins[n-1].Key != p>>1 {
				s.bins = append(s.bins, bin{Key: p >> 1})
			}
			last := &s.bins[len(s.bins)-1]
			last.Pos += uint64(p & 1)
			last.Neg += uint64(p&1 ^ 1)
		}
	} else {
		s.sort(b.pending, b.Bits)
	}
	b.pending = b.pending[:0]
	b.merge(s.bins)
}

// sort makes bins of the pending scores of that many bits.
func (s *binScratch) sort(pending []uint32, digits int) {
	if len(s.count) < 1<<digits {
		s.count, s.used = make([][2]uint32, 1<<digits), make([]uint64, 1<<digits/64)
	}
	for _, p := range pending {
		s.count[p>>1][p&1]++
		s.used[p>>7] |= 1 << (p >> 1 % 64)
	}
	for i, word := range s.used[:1<<digits/64] {
		for ; word != 0; word &= word - 1 {
			key := i*64 + bits.TrailingZeros64(word)
			s.bins = append(s.bins, bin{uint32(key), uint64(s.count[key][1]), uint64(s.count[key][0])})
			s.count[key] = [2]uint32{}
		}
		s.used[i] = 0
	}
}

// merge adds bins of rising keys, from the highest down, so that they take their
// places within the slice.
func (b *bins) merge(o []bin) {
	fresh := 0
	for i, k := 0, 0; k < len(o); k++ {
		for i < len(b.Bin) && b.Bin[i].Key < o[k].Key {
			i++
		}
		if i == len(b.Bin) || b.Bin[i].Key != o[k].Key {
			fresh++
		}
	}
	i, k := len(b.Bin)-1, len(o)-1
	b.Bin = slices.Grow(b.Bin, fresh)[:len(b.Bin)+fresh]
	for to := len(b.Bin) - 1; k >= 0; to-- {
		switch {
		case i < 0 || o[k].Key > b.Bin[i].Key:
			b.Bin[to] = o[k]
			k--
		case o[k].Key < b.Bin[i].Key:
			b.Bin[to] = b.Bin[i]
			i--
		default:
			b.Bin[to] = bin{o[k].Key, b.Bin[i].Pos + o[k].Pos, b.Bin[i].Neg + o[k].Neg}
			i--
			k--
		}
	}
}

// take adds the scores of o, which gives them away.
func (b *binned) take(o *binned) {
	move := func(to, from *bins) {
		to.Rest |= from.Rest
		from.Rest = 0
		to.merge(from.Bin)
		from.Bin = from.Bin[:0]
		to.pending = append(to.pending, from.pending...)
		from.pending = from.pending[:0]
		to.settle(b.scratch)
	}
	move(&b.micro, &o.micro)
	for j := range b.class {
		move(&b.class[j], &o.class[j])
	}
}

// finish counts all that is pending.
func (b *binned) finish() {
	b.micro.finish(b.scratch)
	for j := range b.class {
		b.class[j].finish(b.scratch)
	}
}

// merge adds the scores of o, which holds the same after it.
func (b *binned) merge(o *binned) {
	o.finish()
	add := func(to, from *bins) {
		to.Rest |= from.Rest
		to.merge(slices.Clone(from.Bin)) // o may be b
	}
	b.finish()
	add(&b.micro, &o.micro)
	for j := range b.class {
		add(&b.class[j], &o.class[j])
	}
}

// total is the number of positives and of negatives.
func (b *bins) total() (pos, neg uint64) {
	for i := range b.Bin {
		pos += b.Bin[i].Pos
		neg += b.Bin[i].Neg
	}
	return pos, neg
}

// A binnedArea is an area: as if the scores of every bin were equal, and between
// which bounds it lies whatever they are.
type binnedArea struct {
	value float64
	Bounds
}

// areas returns the area under the ROC curve and the average precision; see
// list.areas, of whose values the bounds are bounds. All is finished.
//
// The pairs of a positive and a negative of different bins are known; those of
// one bin may be won, lost or equal. A positive of a bin with p positives and n
// negatives, below tp and fp in higher bins, has a precision of at most
// (tp+p)/(tp+p+fp), that of all positives of the bin being equal and above its
// negatives; the i-th of them one of at least (tp+i)/(tp+i+fp+n), that of all
// positives being different and below.
func (b *bins) areas() (auc, ap binnedArea) {
	p, n := b.total()
	var tp, fp uint64
	var least, most [3]uint64 // pairs that are lost
	var low, mid, high fixed
	product := func(to *[3]uint64, x, y uint64) {
		h, l := bits.Mul64(x, y)
		addWide(to[:], []uint64{l, h})
	}
	for i := len(b.Bin) - 1; i >= 0; i-- {
		v := b.Bin[i]
		product(&least, v.Pos, fp)
		product(&most, v.Pos, fp+v.Neg)
		if v.Pos > 0 {
			high.add(ratio(tp+v.Pos, tp+v.Pos+fp).times(v.Pos))
			mid.add(ratio(tp+v.Pos, tp+v.Pos+fp+v.Neg).times(v.Pos))
			low.add(leastPrecisions(tp, v.Pos, fp+v.Neg))
		}
		tp += v.Pos
		fp += v.Neg
	}
	if p == 0 {
		return binnedArea{nan, exactly(nan)}, binnedArea{0, exactly(0)}
	}
	if n == 0 {
		auc = binnedArea{nan, exactly(nan)}
	} else {
		pairs := new(big.Int).Mul(toBig([]uint64{p}), toBig([]uint64{n}))
		won := func(lost [3]uint64) *big.Int { return new(big.Int).Sub(pairs, toBig(lost[:])) }
		worst, best := won(most), won(least)
		twice := new(big.Int).Lsh(pairs, 1)
		auc = binnedArea{quotientBig(new(big.Int).Add(worst, best), twice), Bounds{quotientBig(worst, pairs), quotientBig(best, pairs)}}
	}
	ap = binnedArea{mid.over(p), Bounds{low.over(p), high.over(p)}}
	if b.Rest == 0 {
		auc.Bounds, ap.Bounds = exactly(auc.value), exactly(ap.value)
	}
	return auc, ap
}

// leastPrecisions is a lower bound of Σ f(tp+i), i from 1 to p, f(x) = x/(x+fp):
// the sum, of more than 64 terms that of 64 chords, below which f, being concave,
// does not fall.
func leastPrecisions(tp, p, fp uint64) (sum fixed) {
	f := func(x uint64) fixed { return ratio(x, x+fp) }
	const chords = 64
	for k := range uint64(chords) {
		// From a+1 to e, of p.
		a, e := part64(p, k, chords), part64(p, k+1, chords)
		if a == e {
			continue
		}
		if e-a == 1 {
			sum.add(f(tp + e))
			continue
		}
		ends := f(tp + a + 1)
		ends.add(f(tp + e))
		ends = ends.times(e - a)
		sum.add(fixed{ends.Int / 2, ends.Int<<63 | ends.Frac>>1})
	}
	return sum
}

// part64 is p·k/n, rounded down.
func part64(p, k, n uint64) uint64 {
	h, l := bits.Mul64(p, k)
	q, _ := bits.Div64(h, l, n)
	return q
}

// bestThreshold returns the threshold of the highest micro F1 of those below a
// bin, or above all; the highest of those that are equally good. All is finished.
func bestThreshold[T zlpr.Float](b *bins) (threshold, f1 float64, err error) {
	p, _ := b.total()
	if len(b.Bin) == 0 {
		return 0, 0, errNoScores
	}
	var tp, predicted uint64
	var most fixed
	at := len(b.Bin) // the lowest bin that is predicted
	for i := len(b.Bin) - 1; i >= 0; i-- {
		if s := lowest[T](b, i); s != s {
			break // has -Inf, which is never predicted
		}
		tp += b.Bin[i].Pos
		predicted += b.Bin[i].Pos + b.Bin[i].Neg
		if f := ratio(2*tp, p+predicted); most.less(f) {
			most, at = f, i
		}
	}
	if at == len(b.Bin) {
		return math.MaxFloat64, 0, nil
	}
	return float64(before(lowest[T](b, at))), most.over(1), nil
}

// lowest is the lowest number that belongs to bin i, NaN for the bin of -Inf.
func lowest[T zlpr.Float](b *bins, i int) T {
	var s T
	if unsafe.Sizeof(s) == 4 {
		key := uint32(uint64(b.Bin[i].Key) << (64 - b.Bits) >> 32)
		if key>>31 == 0 {
			key = ^key
		} else {
			key &^= 1 << 31
		}
		return T(math.Float32frombits(key))
	}
	key := uint64(b.Bin[i].Key) << (64 - b.Bits)
	if key>>63 == 0 {
		key = ^key
	} else {
		key &^= 1 << 63
	}
	return T(math.Float64frombits(key))
}
