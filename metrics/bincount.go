package metrics

import "slices"

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
		b.crew.more = append(b.crew.more, &binWorker{micro: bins{Bits: b.micro.Bits}})
	}
	b.crew.do = do
	if err := b.crew.split.run(classes, max(1, min(16, classes/(4*workers))), workers); err != nil {
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

// count counts the scores that are not counted yet.
func (b *binned) count() { b.take(b) }

// take adds the scores of the parts, which give them away, and may be b for those that
// are not counted yet.
func (b *binned) take(parts ...*binned) {
	classes, keys := len(b.class), 0
	for _, o := range parts {
		if o.keys.rows == 0 {
			continue
		}
		classes = o.keys.cols
		keys += o.keys.rows * o.keys.cols
		var all uint64
		for j, rest := range o.keys.rest {
			all |= rest
			if len(b.class) > 0 {
				b.class[j].Rest |= rest << b.class[j].Bits
			}
		}
		b.micro.Rest |= all << b.micro.Bits
		b.counted, b.stale = true, true
	}
	isSum := b.isSum()
	if keys > 0 || slices.ContainsFunc(parts, func(o *binned) bool { return o != b && o.counted }) {
		b.each(classes, keys, func(worker, j int) {
			scratch, micro := b.worker(worker)
			for _, o := range parts {
				if o != b && o.counted && len(b.class) > 0 {
					b.class[j].take(&o.class[j], scratch)
				}
				if o.keys.rows == 0 {
					continue
				}
				column, weights := o.keys.column(j), o.keys.weight
				if len(b.class) > 0 {
					b.class[j].countRows(column, weights, scratch)
				}
				if !isSum {
					micro.countRows(column, weights, scratch)
				}
			}
		})
	}
	for _, o := range parts {
		o.keys.clear()
		if o != b && o.counted {
			b.micro.take(&o.micro, b.scratch)
			b.counted, b.stale, o.counted = true, true, false
		}
	}
}

// finish counts all that is pending.
func (b *binned) finish() {
	if b.scratch == nil {
		return // there are no bins
	}
	b.count()
	if b.crew != nil {
		for _, w := range b.crew.more {
			b.micro.take(&w.micro, b.scratch)
		}
	}
	pending := 0
	for j := range b.class {
		pending += b.class[j].work()
	}
	b.each(len(b.class), pending, func(worker, j int) {
		scratch, _ := b.worker(worker)
		b.class[j].finish(scratch)
	})
	if b.isSum() {
		b.sumClasses()
	}
	b.micro.finish(b.scratch)
}

// work is about how many keys finish has to look at.
func (b *bins) work() int {
	n := len(b.pending)
	if b.pages != nil && b.pages.fresh > 0 {
		n += len(b.pages.low)
	}
	if b.weighed != nil {
		n += 16 * len(b.weighed.pending)
	}
	return n
}

// sumClasses makes the bins of all classes together, where these are stale.
func (b *binned) sumClasses() {
	if !b.stale {
		return
	}
	b.stale = false
	all := 0
	for j := range b.class {
		all += len(b.class[j].Bin)
		b.micro.Rest |= b.class[j].Rest
	}
	b.each(len(b.class), all, func(worker, j int) {
		scratch, _ := b.worker(worker)
		scratch.sum.add(b.class[j].Bin, b.micro.Bits)
	})
	sum := &b.scratch.sum
	if b.crew != nil {
		for _, w := range b.crew.more {
			w.scratch.sum.pour(sum, b.micro.Bits)
		}
	}
	b.micro = bins{Bits: b.micro.Bits, Rest: b.micro.Rest}
	b.micro.merge(sum.empty(nil, b.micro.Bits))
	for j := range b.class {
		if b.class[j].hasWeights() {
			b.micro.weights().merge(&b.class[j].weighed.keyedSums)
		}
	}
}

// merge adds the scores of o, which holds the same after it.
func (b *binned) merge(o *binned) {
	o.finish()
	add := func(to, from *bins) {
		to.Rest |= from.Rest
		to.merge(slices.Clone(from.Bin)) // o may be b
		if from.hasWeights() {
			to.weights().merge(&from.weighed.keyedSums)
		}
	}
	b.finish()
	b.counted, b.stale = true, true
	if !b.isSum() {
		add(&b.micro, &o.micro)
	}
	for j := range b.class {
		add(&b.class[j], &o.class[j])
	}
}

// A binSum adds bins up. Those that agree in their leading bits are a page, which is there
// from its first bin on.
type binSum struct {
	place [1 << pageLead]int // where the page of these leading bits begins, plus 1
	count [][2]uint64        // positives, negatives
}

// add adds bins of so many bits.
func (s *binSum) add(list []bin, digits int) {
	within := uint32(1)<<(digits-pageLead) - 1
	for i := range list {
		v := &list[i]
		lead := v.Key >> (digits - pageLead)
		if s.place[lead] == 0 {
			s.place[lead] = len(s.count) + 1
			s.count = append(s.count, make([][2]uint64, within+1)...)
		}
		c := &s.count[s.place[lead]-1+int(v.Key&within)]
		c[0] += v.Pos
		c[1] += v.Neg
	}
}

// pour adds s, whose bins have so many bits, to the sum of others, and empties it.
func (s *binSum) pour(to *binSum, digits int) { to.add(s.empty(nil, digits), digits) }

// empty appends the bins in use to list, by rising keys.
func (s *binSum) empty(list []bin, digits int) []bin {
	size := 1 << (digits - pageLead)
	for lead, at := range s.place {
		if at == 0 {
			continue
		}
		for i, c := range s.count[at-1:][:size] {
			if c[0]|c[1] != 0 {
				list = append(list, bin{uint32(lead*size + i), c[0], c[1]})
			}
		}
	}
	*s = binSum{count: s.count[:0]}
	return list
}
