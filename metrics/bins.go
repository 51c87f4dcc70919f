package metrics

import (
	"cmp"
	"errors"
	"fmt"
	"math"
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
//
// Both zeros are in the bin of the numbers just below them, so that threshold 0 lies
// between two bins.
type bins struct {
	Bits int
	// Rest has every bit that is set, beyond the leading ones, in the
	// representation of a score. Where it is 0 all scores of a bin are equal.
	Rest uint64
	Bin  []bin // by rising keys
	sum  bin   // of them all

	// Not in Bin yet: labelled keys in any order, and those in pages where there are
	// enough of them.
	pending []uint32
	pages   *pages // nil where there were few

	weighed *weighedBins // of rows with weights; nil before the first
}

// weighedBins are the bins of rows with weights: for every key the sum of the weights
// of the positives, of which N says how many they are, and that of the negatives.
type weighedBins struct {
	keyedSums
	pending []weighedKey // not there yet
}

// A weighedKey is a score in bins: 2·key, and 1 for a positive.
type weighedKey struct {
	key    uint32
	weight float64
}

var errBins = errors.New("metrics: MicroBits and ClassBits are not both 0, or both in [8, 22]")

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
	// micro are those of all classes. Where classes have as many bits it is their sum,
	// which is made by finish.
	micro   bins
	class   []bins     // empty where no metric needs them
	keys    *binKeys   // of rows of which a later one may be at fault; nil for none
	height  int        // the rows that the last keys had room for
	waiting []*binKeys // of rows without fault that are not counted yet
	spare   []*binKeys // without rows
	empty   []*binKeys // for waiting, while what waited is counted
	locks   *binLocks
	seen    restBits // of keys
	counted bool     // whether there may be scores in bins
	stale   bool     // whether micro is to be made
	scratch *binScratch
	workers int
	crew    *binCrew // nil before the first need of several workers
}

// A binScratch has what a worker needs to sort pending scores: the counts of each
// key, and a bit for each key in use. And it has the sum of classes, as far as this
// worker made it.
type binScratch struct {
	count   [][2]uint32 // negatives, positives
	used    []uint64
	bins    []bin
	columns []keyColumn
	room    int // the bytes that the pages of a class may have, however few scores it has
	weighed []weighedKey
	sums    keyedSums
	sum     binSum
}

// newBinned returns bins without scores, which up to so many workers count.
func newBinned(microBits, classBits, classes int, byClass bool, workers int) binned {
	b := binned{micro: bins{Bits: microBits}, scratch: &binScratch{}, workers: workers, locks: new(binLocks)}
	if classes > 0 {
		b.scratch.room = pagesRoom / classes
	}
	if byClass {
		b.class = make([]bins, classes)
		for j := range b.class {
			b.class[j].Bits = classBits
		}
	}
	return b
}

// isSum tells whether the bins of all classes together are made of those of classes.
func (b *binned) isSum() bool { return len(b.class) > 0 && b.class[0].Bits == b.micro.Bits }

// represent returns the place of a score in the order of scores, as sortKey does, and
// its representation, both in the high bits of 64. Both zeros are +0, and in the place
// below it, that of -0.
func represent[T zlpr.Float](s T) (key, bits uint64) {
	key, s = sortKey(s), s+0
	if unsafe.Sizeof(s) == 4 {
		key, bits = key<<32, uint64(math.Float32bits(float32(s)))<<32
	} else {
		bits = math.Float64bits(float64(s))
	}
	if bits == 0 {
		key--
	}
	return key, bits
}

// addBinned takes in every step-th row of a chunk, from one on.
func addBinned[T zlpr.Float](b *binned, c *chunk[T], from, step int) {
	cols := c.batch.Scores.Cols
	if b.seen.rest == nil {
		b.seen = newRestBits(cols)
	}
	if b.keys != nil && b.keys.isFull(c.rows) {
		b.count()
	}
	if b.keys == nil {
		b.keys = b.reuse(cols)
	}
	addRest(&b.seen, c, from, step)
	addKeys(b.keys, c, from, step)
}

// addKept takes in scores that were kept, all of one class or of all classes.
func addKept[T zlpr.Float](b *binned, class *bins, l *list[T]) {
	for positive, scores := range [2][]T{l.Neg, l.Pos} {
		for _, s := range scores {
			key, rep := represent(s)
			for _, to := range b.of(class) {
				to.add(key, rep, uint32(positive))
				to.settle(b.scratch)
			}
		}
	}
	for _, v := range l.Weighed {
		key, rep := represent(v.Score)
		positive := uint32(0)
		if v.Weight > 0 {
			positive = 1
		}
		for _, to := range b.of(class) {
			to.weigh(key, rep, positive, math.Abs(v.Weight))
			to.settle(b.scratch)
		}
	}
	b.stale = true
}

// of are the bins that count a score of a class, nil where classes have none.
func (b *binned) of(class *bins) []*bins {
	switch {
	case class == nil:
		return []*bins{&b.micro}
	case b.isSum():
		return []*bins{class}
	}
	return []*bins{class, &b.micro}
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
	a.options.MicroBits, a.options.ClassBits = microBits, classBits
	a.kinds.count()
	a.total.binned = newBinned(microBits, classBits, a.classes, a.kinds.binnedByClass, numWorkers(a.options.Workers))
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
func (b *bins) add(place, rep uint64, positive uint32) {
	b.Rest |= rep << b.Bits
	b.pending = append(b.pending, labelled(keyOf(uint32(place>>32)), positive))
}

// count counts columns of keys.
func (b *bins) count(columns []keyColumn, s *binScratch) {
	inPages := b.begin(columns, s)
	for i := range columns {
		b.addColumn(&columns[i], following(columns, i), inPages)
	}
	b.settle(s)
}

// countBoth counts columns of keys in the bins of a class and in those of all classes.
func countBoth(class, micro *bins, columns []keyColumn, s *binScratch) {
	inClass, inMicro := class.begin(columns, s), micro.begin(columns, s)
	for i := range columns {
		c := &columns[i]
		if inClass && inMicro && c.part == nil && len(c.weight) == 0 {
			addBoth(class.pages, micro.pages, c)
			continue
		}
		class.addColumn(c, nil, inClass)
		micro.addColumn(c, nil, inMicro)
	}
	class.settle(s)
	micro.settle(s)
}

// begin tells whether columns are to be counted in pages, which have no keys pending then.
func (b *bins) begin(columns []keyColumn, s *binScratch) bool {
	n := len(b.pending)
	for i := range columns {
		n += columns[i].size()
	}
	if b.pages == nil && n >= 1<<(b.Bits-leastBinBits) && s.room > 0 {
		var used leads
		used.labelled(b.pending)
		rows := leadKeys
		for i := range columns {
			used.column(&columns[i], rows)
			rows -= min(rows, len(columns[i].key))
		}
		if used.size(b.Bits) <= s.room {
			b.pages = newPages(b.Bits)
		}
	}
	if b.pages == nil || n < b.pages.enough() {
		return false
	}
	b.countPending()
	b.pages.touch(n)
	return true
}

// following are the keys of the column after the i-th, which lie elsewhere.
func following(columns []keyColumn, i int) []uint32 {
	if i+1 == len(columns) {
		return nil
	}
	return columns[i+1].key
}

// addColumn counts a column, which those of next follow, in pages, or has it pending.
func (b *bins) addColumn(c *keyColumn, next []uint32, inPages bool) {
	switch {
	case len(c.weight) > 0:
		b.countWeights(c)
	case inPages:
		b.pages.add(c, next)
	default:
		b.wait(c)
	}
}

// wait has a column of keys pending.
func (b *bins) wait(c *keyColumn) {
	b.pending = slices.Grow(b.pending, len(c.key))
	for r, key := range c.key {
		if c.has(r) {
			b.pending = append(b.pending, labelled(key, c.label(r)))
		}
	}
}

// countWeights has a column of keys of rows with weights pending.
func (b *bins) countWeights(c *keyColumn) {
	w := b.weights()
	for r, key := range c.key {
		if c.has(r) {
			w.pending = append(w.pending, weighedKey{placeOf(key)>>(32-b.Bits)<<1 | c.label(r), c.weight[r]})
		}
	}
}

// key is the leading bits of the place of a labelled key.
func (b *bins) key(k uint32) uint32 { return placeOf(k<<1) >> (32 - b.Bits) }

// weigh takes in a score of a row with a weight.
func (b *bins) weigh(key, rep uint64, positive uint32, weight float64) {
	b.Rest |= rep << b.Bits
	w := b.weights()
	w.pending = append(w.pending, weighedKey{uint32(key>>(64-b.Bits))<<1 | positive, weight})
}

// hasWeights reports whether there are scores of rows with weights. All is finished.
func (b *bins) hasWeights() bool { return b.weighed != nil && len(b.weighed.Key) > 0 }

// weights are the bins of rows with weights, made if there are none.
func (b *bins) weights() *weighedBins {
	if b.weighed == nil {
		b.weighed = &weighedBins{keyedSums: newKeyedSums(2)}
	}
	return b.weighed
}

// settle counts the pending scores where there are many: in pages, or where these would
// have too few scores for their room, in Bin.
func (b *bins) settle(s *binScratch) {
	switch n := len(b.pending); {
	case b.pages == nil && n >= max(1<<(b.Bits-5), len(b.Bin)):
		var used leads
		if used.labelled(b.pending); used.size(b.Bits) <= pageRoom*n {
			b.pages = newPages(b.Bits)
			b.countPending()
		} else {
			b.finishCounts(s)
		}
	case b.pages != nil && n >= b.pages.enough():
		b.countPending()
	}
	if p := b.pages; p != nil && (p.fresh >= 1<<31 || p.sparse(s.room)) {
		b.finishCounts(s)
		if p.sparse(s.room) {
			b.pages = nil
		}
	}
	if w := b.weighed; w != nil && len(w.pending) >= max(1<<(b.Bits-5), len(w.Key)) {
		w.finish(s)
	}
}

// countPending counts the pending scores in pages.
func (b *bins) countPending() {
	b.pages.addLabelled(b.pending)
	b.pending = b.pending[:0]
}

// ready counts all pending scores: in pages, where no scores are in bins.
func (b *bins) ready(s *binScratch) {
	if b.weighed != nil {
		b.weighed.finish(s)
	}
	if b.pages != nil && len(b.Bin) == 0 && !b.hasWeights() {
		b.countPending()
	} else {
		b.finishCounts(s)
	}
}

// onlyPages reports whether all scores are in pages. All is ready.
func (b *bins) onlyPages() bool {
	return b.pages != nil && b.pages.fresh > 0 && len(b.Bin) == 0 && len(b.pending) == 0 && !b.hasWeights()
}

// finish counts all pending scores in Bin.
func (b *bins) finish(s *binScratch) {
	b.ready(s)
	b.finishCounts(s)
}

// total are the counts of all scores of rows without weights. All is ready.
func (b *bins) total() (pos, neg uint64) {
	pos, neg = b.sum.Pos, b.sum.Neg
	if p := b.pages; p != nil {
		pos += p.positives
		neg += p.fresh - p.positives
	}
	return pos, neg
}

// stepsDown are bins with positives: the counts of each, and of all higher bins, negatives times
// 2^32 and positives.
type stepsDown struct {
	n              int
	counts, before [256]uint64
}

// push appends a bin, where there is room for one.
func (s *stepsDown) push(counts, before uint64) {
	i := s.n & 255
	s.counts[i], s.before[i] = counts, before
	s.n++
}

// pour calls visit with the steps where there is room for fewer than so many more, and takes
// them out.
func (s *stepsDown) pour(visit func(*stepsDown), room int) {
	if s.n > len(s.counts)-room {
		visit(s)
		s.n = 0
	}
}

// down calls visit for every bin with positives, from the highest down, many at once, in the
// memory of steps. All is ready, and there are fewer than 2^32 scores.
func (b *bins) down(steps *stepsDown, visit func(*stepsDown)) {
	steps.n = 0
	if p := b.pages; p != nil && p.fresh > 0 {
		p.down(steps, visit)
		return
	}
	var before uint64
	for _, v := range slices.Backward(b.Bin) {
		counts := v.Neg<<32 | v.Pos
		if v.Pos > 0 {
			steps.pour(visit, 1)
			steps.push(counts, before)
		}
		before += counts
	}
	visit(steps)
}

// finish adds all pending weights.
func (w *weighedBins) finish(s *binScratch) {
	if len(w.pending) == 0 {
		return
	}
	sorted := w.pending
	if len(sorted) < radixFrom {
		slices.SortFunc(sorted, func(a, b weighedKey) int { return cmp.Compare(a.key, b.key) })
	} else {
		s.weighed = slices.Grow(s.weighed[:0], len(sorted))[:len(sorted)]
		sorted = radixSort(sorted, s.weighed, func(v weighedKey) uint64 { return uint64(v.key) })
	}
	var win window
	for _, v := range sorted {
		win.include(v.weight)
	}
	if s.sums.width == 0 {
		s.sums = newKeyedSums(2)
	}
	sum := &s.sums
	sum.reset(win, 0)
	for i, v := range sorted {
		if i == 0 || sorted[i-1].key>>1 != v.key>>1 {
			sum.push(v.key >> 1)
		}
		m, e := parts(v.weight)
		addShifted(sum.last(int(v.key&1^1)), m, sum.place(e))
		sum.N[len(sum.N)-1] += uint64(v.key & 1)
	}
	w.pending = w.pending[:0]
	w.merge(sum)
}

// finishCounts counts all scores of rows without weights.
func (b *bins) finishCounts(s *binScratch) {
	if p := b.pages; p != nil {
		b.countPending()
		if p.fresh > 0 {
			s.bins = p.empty(s.bins[:0])
			b.merge(s.bins)
		}
	}
	if len(b.pending) == 0 {
		return
	}
	s.bins = s.bins[:0]
	if len(b.pending) < 64 {
		slices.SortFunc(b.pending, func(x, y uint32) int { return cmp.Compare(b.key(x), b.key(y)) })
		for _, k := range b.pending {
			if n := len(s.bins); n == 0 || s.bins[n-1].Key != b.key(k) {
				s.bins = append(s.bins, bin{Key: b.key(k)})
			}
			last := &s.bins[len(s.bins)-1]
			last.Pos += uint64(k >> 31)
			last.Neg += uint64(k>>31 ^ 1)
		}
	} else {
		s.sort(b)
	}
	b.pending = b.pending[:0]
	b.merge(s.bins)
}

// sort makes bins of the pending scores of b.
func (s *binScratch) sort(b *bins) {
	digits := b.Bits
	if len(s.count) < 1<<digits {
		s.count, s.used = make([][2]uint32, 1<<digits), make([]uint64, 1<<digits/64)
	}
	for _, k := range b.pending {
		key := b.key(k)
		s.count[key][k>>31]++
		s.used[key/64] |= 1 << (key % 64)
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
	for i := range o {
		b.sum.Pos += o[i].Pos
		b.sum.Neg += o[i].Neg
	}
	if len(b.Bin) == 0 {
		b.Bin = append(b.Bin, o...)
		return
	}
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
func (b *bins) take(o *bins, s *binScratch) {
	b.Rest |= o.Rest
	o.Rest = 0
	b.merge(o.Bin)
	o.Bin, o.sum = o.Bin[:0], bin{}
	switch {
	case o.pages == nil:
	case b.pages == nil:
		b.pages, o.pages = o.pages, nil
	default:
		b.pages.take(o.pages)
	}
	b.pending = append(b.pending, o.pending...)
	o.pending = o.pending[:0]
	if w := o.weighed; w != nil && len(w.Key)+len(w.pending) > 0 {
		own := b.weights()
		own.merge(&w.keyedSums)
		own.pending = append(own.pending, w.pending...)
		w.reset(window{}, 0)
		w.pending = w.pending[:0]
	}
	b.settle(s)
}
