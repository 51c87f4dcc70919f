package metrics

import (
	"slices"
	"sync"
	"unsafe"
)

// fewKeys is the number of keys up to which one worker counts them.
const fewKeys = 1 << 15

// A binCrew are workers that count in the bins of classes, each those of some.
type binCrew struct {
	split *split
	do    func(worker, class int)
	more  []*binWorker // workers but for the first
}

// A binWorker is a worker but for the first, whose these are of the binned itself. What
// it counted of all classes together are added to those by finish.
type binWorker struct {
	scratch binScratch
	micro   bins
}

// each calls do for so many classes, on workers where the keys to be counted are many.
func (b *binned) each(classes, keys int, do func(worker, class int)) {
	workers := min(b.workers, keys/fewKeys, classes)
	if workers <= 1 {
		for j := range classes {
			do(0, j)
		}
		return
	}
	if b.crew == nil {
		c := &binCrew{}
		c.split = newSplit(func(worker, j0, j1 int) error {
			for j := j0; j < j1; j++ {
				c.do(worker, j)
			}
			return nil
		})
		b.crew = c
	}
	for len(b.crew.more) < workers-1 {
		b.crew.more = append(b.crew.more, &binWorker{scratch: binScratch{room: b.scratch.room}, micro: bins{Bits: b.micro.Bits}})
	}
	b.crew.do = do
	if err := b.crew.split.run(classes, max(1, min(4, classes/(4*workers))), workers); err != nil {
		panic(err) // runtime.Goexit in none of these functions
	}
	b.crew.do = nil
}

// of a worker: its scratch and the bins of all classes that it counts in.
func (b *binned) worker(i int) (*binScratch, *bins) {
	if i == 0 {
		return b.scratch, &b.micro
	}
	w := b.crew.more[i-1]
	return &w.scratch, &w.micro
}

// reuse returns keys of no rows, with room for as many as the last had.
func (b *binned) reuse(cols int) *binKeys {
	if n := len(b.spare); n > 0 {
		k := b.spare[n-1]
		b.spare = b.spare[:n-1]
		return k
	}
	k := &binKeys{cols: cols}
	k.reserve(b.height)
	return k
}

// binLocks let several goroutines take scores into the same bins: who finds that many keys wait
// counts them, while those of the others wait for the next. No lock of waiting is held where
// that of counting is asked for.
type binLocks struct {
	waiting  sync.Mutex // of waiting, spare, empty and Rest
	counting sync.Mutex // of all else
}

// take adds the scores of parts, which give them away. They wait until they are many, so
// that a class has many of them at once. Several goroutines may call it, but for the same parts.
func (b *binned) take(parts ...*binned) {
	counted := false
	b.locks.waiting.Lock()
	for _, o := range parts {
		if o.keys != nil && o.keys.rows > 0 {
			b.wait(o)
			if n := len(b.spare); n > 0 {
				o.keys = b.spare[n-1]
				b.spare = b.spare[:n-1]
			}
		}
		counted = counted || o.counted
	}
	var many []*binKeys
	if b.keysWaiting() >= b.mostWaiting() || len(b.waiting) >= mostPieces {
		many = b.noneWaits()
	}
	b.locks.waiting.Unlock()
	if !counted && many == nil {
		return
	}
	b.locks.counting.Lock()
	if counted {
		b.takeCounted(parts)
	}
	b.countKeys(many)
	b.locks.counting.Unlock()
	b.locks.waiting.Lock()
	b.giveBack(many)
	b.locks.waiting.Unlock()
}

// takeCounted adds the scores of parts that are counted.
func (b *binned) takeCounted(parts []*binned) {
	b.locks.waiting.Lock() // of Rest
	defer b.locks.waiting.Unlock()
	b.each(len(b.class), mostKeys, func(worker, j int) {
		scratch, _ := b.worker(worker)
		for _, o := range parts {
			if o.counted {
				b.class[j].take(&o.class[j], scratch)
			}
		}
	})
	for _, o := range parts {
		if o.counted {
			b.micro.take(&o.micro, b.scratch)
			o.counted = false
		}
	}
	b.counted, b.stale = true, true
}

// keysWaiting is the number of keys that wait.
func (b *binned) keysWaiting() (n int) {
	for _, k := range b.waiting {
		n += k.rows * k.cols
	}
	return n
}

// noneWaits returns the keys that wait, and none waits.
func (b *binned) noneWaits() []*binKeys {
	keys := b.waiting
	b.waiting, b.empty = b.empty, nil
	return keys
}

// giveBack has keys, which are counted, serve again.
func (b *binned) giveBack(keys []*binKeys) {
	for _, k := range keys {
		k.clear()
	}
	b.spare = append(b.spare, keys...)
	if b.empty == nil {
		b.empty = keys[:0]
	}
}

const (
	fewWaitingKeys  = 1 << 21
	mostWaitingKeys = 5 << 20 // more would be quicker to count, but their memory takes longer
	mostPieces      = 64      // that wait
)

// mostWaiting is the number of keys that wait at most: few enough for the cache, but the more bins there are, the more
// keys it takes until some are in each line of the cache that counts are in.
func (b *binned) mostWaiting() int {
	n := 0
	if len(b.class) > 0 {
		n = len(b.class) << (b.class[0].Bits - 5)
	}
	return min(max(n, fewWaitingKeys), mostWaitingKeys)
}

// wait has the keys of o wait, which may be b.
func (b *binned) wait(o *binned) {
	o.keys.end()
	b.waiting = append(b.waiting, o.keys)
	o.height, o.keys = o.keys.height, nil
	var all uint64
	for j, rest := range o.seen.rest {
		all |= rest
		if len(b.class) > 0 {
			b.class[j].Rest |= rest << b.class[j].Bits
		}
	}
	b.micro.Rest |= all << b.micro.Bits
}

// count counts the keys that wait, and those of b.
func (b *binned) count() {
	if b.keys != nil && b.keys.rows > 0 {
		b.wait(b)
	}
	keys := b.noneWaits()
	b.countKeys(keys)
	b.giveBack(keys)
}

// countKeys counts keys.
func (b *binned) countKeys(list []*binKeys) {
	if len(list) == 0 {
		return
	}
	keys, classes := 0, list[0].cols
	for _, k := range list {
		keys += k.rows * k.cols
	}
	b.counted, b.stale = true, true
	isSum := b.isSum()
	b.each(classes, keys, func(worker, j int) {
		scratch, micro := b.worker(worker)
		scratch.columns = scratch.columns[:0]
		for _, k := range list {
			scratch.columns = append(scratch.columns, k.column(j))
		}
		switch {
		case len(b.class) == 0:
			micro.count(scratch.columns, scratch)
		case isSum:
			b.class[j].count(scratch.columns, scratch)
		default:
			countBoth(&b.class[j], micro, scratch.columns, scratch)
		}
		clear(scratch.columns)
	})
}

// finish counts all that is pending, and leaves every class with its bins in Bin.
func (b *binned) finish() {
	b.ready()
	b.eachPending(func(c *bins, s *binScratch) { c.finishCounts(s) })
}

// ready counts all that is pending. The bins of all classes together are in Bin then;
// those of a class may be in pages.
func (b *binned) ready() { b.readyEach(nil) }

// readyEach is ready, and calls do for every class when that is ready: beside the sum of the
// classes, for which their pages are read, too. There are at most b.workers.
func (b *binned) readyEach(do func(worker, class int)) {
	if b.scratch == nil {
		return // there are no bins
	}
	b.count()
	if b.crew != nil {
		for _, w := range b.crew.more {
			b.micro.take(&w.micro, b.scratch)
		}
	}
	b.eachPending((*bins).ready)
	sums := b.isSum() && b.stale
	if sums || do != nil {
		all := 0
		for j := range b.class {
			all += len(b.class[j].Bin) + b.class[j].work()
		}
		b.each(len(b.class), all, func(worker, j int) {
			if sums {
				scratch, _ := b.worker(worker)
				scratch.sum.addClass(&b.class[j])
			}
			if do != nil {
				do(worker, j)
			}
		})
	}
	if sums {
		b.sumClasses()
	}
	b.micro.finish(b.scratch)
}

// eachPending calls do for every class, on workers where much is pending.
func (b *binned) eachPending(do func(c *bins, s *binScratch)) {
	pending := 0
	for j := range b.class {
		pending += b.class[j].work()
	}
	b.each(len(b.class), pending, func(worker, j int) {
		scratch, _ := b.worker(worker)
		do(&b.class[j], scratch)
	})
}

// work is about how many keys finish has to look at.
func (b *bins) work() int {
	n := len(b.pending)
	if b.pages != nil && b.pages.fresh > 0 {
		n += b.pages.size() / 2
	}
	if b.weighed != nil {
		n += 16 * len(b.weighed.pending)
	}
	return n
}

// sumClasses makes the bins of all classes together of the sums of workers.
func (b *binned) sumClasses() {
	b.stale = false
	sum := &b.scratch.sum
	if b.crew != nil {
		for _, w := range b.crew.more {
			w.scratch.sum.pour(sum, b.micro.Bits)
		}
	}
	for j := range b.class {
		b.micro.Rest |= b.class[j].Rest
	}
	list := sum.empty(b.micro.Bin, b.micro.Bits)
	b.micro = bins{Bits: b.micro.Bits, Rest: b.micro.Rest, Bin: list}
	for i := range list {
		b.micro.sum.Pos += list[i].Pos
		b.micro.sum.Neg += list[i].Neg
	}
	for j := range b.class {
		if b.class[j].hasWeights() {
			b.micro.weights().merge(&b.class[j].weighed.keyedSums)
		}
	}
}

// merge adds the scores of o, which holds the same after it. Classes that both have in pages
// stay there.
func (b *binned) merge(o *binned) {
	o.ready()
	add := func(to, from *bins) {
		to.Rest |= from.Rest
		to.merge(slices.Clone(from.Bin)) // o may be b
		if from.hasWeights() {
			to.weights().merge(&from.weighed.keyedSums)
		}
	}
	b.ready()
	b.counted, b.stale = true, true
	if !b.isSum() {
		add(&b.micro, &o.micro)
	}
	for j := range b.class {
		to, from := &b.class[j], &o.class[j]
		if to != from && to.onlyPages() && from.onlyPages() {
			to.Rest |= from.Rest
			to.pages.plus(from.pages)
			to.settle(b.scratch)
			continue
		}
		to.finishCounts(b.scratch)
		from.finishCounts(o.scratch)
		add(to, from)
	}
}

// A binSum adds bins up. Those that agree in their leading bits are a page, which is there
// from its first bin on.
type binSum struct {
	page   [1 << pageLead][][2]uint64 // positives, negatives of the keys with these leading bits
	used   [1 << pageLead]bool        // whether the page has some
	narrow [1 << pageLead]*narrowSum
}

// A narrowSum adds up places of pages: as many as 16 bits have room for the sums of.
type narrowSum struct {
	all, positive []uint16
	pages         int
}

// mostNarrow is the number of pages of whose places, at most 255 each, the sum has 16 bits.
const mostNarrow = 65535 / 255

// open are the counts of the keys with these leading bits, of so many, to be added to.
func (s *binSum) open(lead, size int) [][2]uint64 {
	if s.page[lead] == nil {
		s.page[lead] = make([][2]uint64, size)
	}
	s.used[lead] = true
	return s.page[lead]
}

// addClass adds the bins of a class, which is ready.
func (s *binSum) addClass(b *bins) {
	s.add(b.Bin, b.Bits)
	if p := b.pages; p != nil && p.fresh > 0 {
		s.addPages(p)
	}
}

// add adds bins of so many bits.
func (s *binSum) add(list []bin, digits int) {
	size := 1 << (digits - pageLead)
	for i := range list {
		v := &list[i]
		c := &s.open(int(v.Key>>(digits-pageLead)), size)[v.Key&uint32(size-1)]
		c[0] += v.Pos
		c[1] += v.Neg
	}
}

// addPages adds the bins of pages.
func (s *binSum) addPages(p *pages) {
	var spare sparePage
	for place := range 1 << pageLead {
		v, turn := p.page(place, &spare)
		if v.low == nil {
			continue
		}
		n := s.narrow[place]
		if n == nil {
			n = &narrowSum{all: make([]uint16, 4*len(v.word)), positive: make([]uint16, 4*len(v.word))}
			s.narrow[place] = n
		}
		n.add(&v)
		if n.pages == mostNarrow {
			n.spill(s.open(place, len(v.low)), turn)
		}
		if v.high == nil {
			continue
		}
		to := s.open(place, len(v.low))
		for i := range to {
			h := v.high[i^turn]
			to[i][0] += uint64(h.positive)
			to[i][1] += uint64(h.all - h.positive)
		}
	}
}

// add adds the low counts of a page.
func (n *narrowSum) add(v *pageCounts) {
	n.pages++
	all := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(n.all))), len(v.word))
	positive := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(n.positive))), len(v.word))
	for i, w := range v.word {
		all[i] += w >> 8 & lowBytes
		positive[i] += w & lowBytes
	}
}

// plus adds o, and empties it.
func (n *narrowSum) plus(o *narrowSum) {
	n.pages += o.pages
	for i := range n.all {
		n.all[i] += o.all[i]
		n.positive[i] += o.positive[i]
	}
	o.clear()
}

// spill adds a narrow sum to counts, of which the i-th is its number i^turn, and empties it.
func (n *narrowSum) spill(to [][2]uint64, turn int) {
	for i := range to {
		all, positive := n.all[i^turn], n.positive[i^turn]
		to[i][0] += uint64(positive)
		to[i][1] += uint64(all - positive)
	}
	n.clear()
}

func (n *narrowSum) clear() {
	clear(n.all)
	clear(n.positive)
	n.pages = 0
}

// turnOf is the turn of a page of these leading bits of places, of so many; see pages.page.
func turnOf(place, size int) int {
	if place < 1<<(pageLead-1) {
		return size - 1
	}
	return 0
}

// pour adds s, whose bins have so many bits, to the sum of others, and empties it.
func (s *binSum) pour(to *binSum, digits int) {
	size := 1 << (digits - pageLead)
	for place, n := range s.narrow {
		if n == nil || n.pages == 0 {
			continue
		}
		switch own := to.narrow[place]; {
		case own == nil:
			to.narrow[place], s.narrow[place] = n, nil
		case own.pages+n.pages <= mostNarrow:
			own.plus(n)
		default:
			n.spill(to.open(place, size), turnOf(place, size))
		}
	}
	for lead, used := range s.used {
		if !used {
			continue
		}
		sum := to.open(lead, size)
		for i, c := range s.page[lead] {
			sum[i][0] += c[0]
			sum[i][1] += c[1]
		}
		clear(s.page[lead])
	}
	s.used = [1 << pageLead]bool{}
}

// empty returns the bins in use, by rising keys, in the memory of list if that has enough.
func (s *binSum) empty(list []bin, digits int) []bin {
	list = list[:0]
	size := 1 << (digits - pageLead)
	most := 0
	for place, n := range s.narrow {
		isNarrow := n != nil && n.pages > 0
		if isNarrow && s.used[place] {
			n.spill(s.page[place], turnOf(place, size))
		}
		if isNarrow || s.used[place] {
			most += size
		}
	}
	if cap(list) < most {
		list = make([]bin, 0, most)
	}
	for place, n := range s.narrow {
		first := uint32(place * size)
		switch {
		case s.used[place]:
			for i, c := range s.page[place] {
				if c[0]|c[1] != 0 {
					list = append(list, bin{first + uint32(i), c[0], c[1]})
				}
			}
			clear(s.page[place])
		case n != nil && n.pages > 0:
			turn := turnOf(place, size)
			for i := range size {
				if all, positive := n.all[i^turn], n.positive[i^turn]; all != 0 {
					list = append(list, bin{first + uint32(i), uint64(positive), uint64(all - positive)})
				}
			}
			n.clear()
		}
	}
	s.used = [1 << pageLead]bool{}
	return list
}
