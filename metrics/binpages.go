package metrics

import (
	"math/bits"
	"slices"
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel"
)

// pages count keys, each in its own place. Keys that agree in their leading bits are a
// page, which is there once they are not few: so memory follows the range of the scores,
// not the number of bins.
//
// A place has the number of its keys in its high byte, and of those that are positives in
// its low byte, which is not above it: so the caches hold the places of hundreds of
// classes. What passes 255 is carried.
type pages struct {
	drop      uint8                       // bits that a key has beyond those of the bins
	within    uint32                      // the bits of a key within its page
	low       [1 << pageLead]*uint16      // the first place of the page of these leading bits, or nil
	high      *[1 << pageLead][]highCount // what was carried; nil before a count passes 255
	few       []uint32                    // labelled keys without a page
	fewOf     [1 << pageLead]uint8        // how many of these have those leading bits
	used      int                         // pages
	fresh     uint64                      // keys counted since pages were emptied, fewer than 2^32
	positives uint64                      // of positives, since then
	scores    uint64                      // keys counted ever
	room      []uint64                    // of pages to come
	touched   bool                        // what touch read, for it to be read
}

// A highCount are the keys that were carried from a place, and the positives among them.
type highCount struct{ all, positive uint32 }

// pageLead is the number of leading bits that choose a page; of a float32 a page has the
// numbers of a sign and of two exponents.
const pageLead = leastBinBits

// pageRoom is the number of bytes a score from which on pages are too empty: such scores
// are sorted.
const pageRoom = 8

// pagesRoom is the number of bytes that the pages of all classes may have, however few
// the scores are.
const pagesRoom = 1 << 26

// pagesAtOnce is the number of pages whose memory is allocated at once: as what an allocation
// costs is not small beside a page.
const pagesAtOnce = 4

// newPages returns pages for keys of that many bits.
func newPages(digits int) *pages {
	return &pages{drop: uint8(32 - digits), within: 1<<(digits-pageLead) - 1}
}

// pageBytes is the size of a page of keys of that many bits.
func pageBytes(digits int) int { return 2 << (digits - pageLead) }

// leads tell which leading bits keys have.
type leads [1 << pageLead]bool

// leadKeys is the number of keys that tell, where columns come, what pages there will be:
// settle looks at those that are there, whatever these keys said.
const leadKeys = 1 << 12

// labelled takes in those of labelled keys.
func (l *leads) labelled(keys []uint32) {
	for _, k := range keys {
		l[k<<1>>(32-pageLead)] = true
	}
}

// column takes in those of the first rows of a column.
func (l *leads) column(c *keyColumn, rows int) {
	rows = min(rows, len(c.key))
	if c.part == nil {
		for _, k := range c.key[:rows] {
			l[k>>(32-pageLead)] = true
		}
		return
	}
	for i, row := range c.part[:(rows+63)/64] {
		for block := c.key[64*i:]; row != 0; row &= row - 1 {
			l[block[bits.TrailingZeros64(row)]>>(32-pageLead)] = true
		}
	}
}

// size is how many bytes the pages have for keys of that many bits.
func (l *leads) size(digits int) (n int) {
	for _, is := range l {
		if is {
			n += pageBytes(digits)
		}
	}
	return n
}

// open makes the page of some leading bits, and counts those of the few keys that have them.
func (p *pages) open(lead uint32) {
	n := int(p.within+4) / 4 // whole words, see pageCounts
	if len(p.room) == 0 {
		p.room = make([]uint64, pagesAtOnce*n)
	}
	words := p.room[:n:n]
	p.room = p.room[n:]
	clear(words) // memory that is read first is faulted in twice
	p.low[lead] = (*uint16)(unsafe.Pointer(unsafe.SliceData(words)))
	p.used++
	if p.fewOf[lead] == 0 {
		return
	}
	others := p.few[:0]
	for _, k := range p.few {
		if k<<1>>(32-pageLead) == lead {
			p.count(k<<1, uint16(k>>31))
		} else {
			others = append(others, k)
		}
	}
	p.few, p.fewOf[lead] = others, 0
}

// keep keeps a key without a page, or makes its page.
//
//go:noinline
func (p *pages) keep(key uint32, label uint16) {
	lead := key >> (32 - pageLead)
	p.few = append(p.few, labelled(key, uint32(label)))
	if p.fewOf[lead]++; uint32(p.fewOf[lead]) >= min(placesOfKey, (p.within+1)/placesOfKey) {
		p.open(lead)
	}
}

// placesOfKey is for how many places of a page one key is few, and how many keys are not, however
// many places there are.
const placesOfKey = 64

// carry takes 256 keys like one, so many of them positives, to the high counts.
//
//go:noinline
func (p *pages) carry(key, positives uint32) {
	h := p.highOf(key>>(32-pageLead), key>>p.drop&p.within)
	h.all += 256
	h.positive += positives
}

// highOf is the high count of place i of a page.
func (p *pages) highOf(lead, i uint32) *highCount {
	if p.high == nil {
		p.high = new([1 << pageLead][]highCount)
	}
	if p.high[lead] == nil {
		p.high[lead] = make([]highCount, p.within+1)
	}
	return &p.high[lead][i]
}

// add counts a column, after which those of next come.
func (p *pages) add(c *keyColumn, next []uint32) {
	if c.part == nil {
		p.addAll(c.key, next, c.positive)
		p.fresh += uint64(len(c.key))
	} else {
		p.addSome(c.key, c.positive, c.part)
		p.fresh += uint64(ones(c.part))
	}
	p.positives += uint64(ones(c.positive))
}

// A leftKeys has room for the keys that kernel.CountKeys leaves, in a block at least.
type leftKeys [64]uint64

// addAll counts keys, the bits of positive being those that are positives', and reads ahead of
// the keys that come next.
func (p *pages) addAll(keys, next []uint32, positive []uint64) {
	shift := pageLead + int(p.drop)
	var left leftKeys
	for len(keys) >= 64 {
		whole := len(keys) / 64
		n, room := kernel.CountKeys(&p.low, keys, ahead(next, keys), positive[:whole], left[:], shift)
		p.addLeft(left[:len(left)-room])
		next = next[min(len(next), n):]
		keys, positive = keys[n&^63:], positive[n/64:]
		if n < 64*whole {
			p.addBlock(keys[n&63:64], positive[0]>>(n&63), &left)
			keys, positive = keys[64:], positive[1:]
		}
	}
	if len(keys) > 0 {
		p.addBlock(keys, positive[0], &left)
	}
}

// addLeft counts keys that kernel.CountKeys left, of whose pages some may be there by now.
func (p *pages) addLeft(left []uint64) {
	for _, v := range left {
		if key, count := uint32(v>>32), uint32(v); count&(1<<16) == 0 {
			p.carry(key, count)
		} else {
			p.count(key, uint16(count))
		}
	}
}

// ahead is next or, where there is nothing, keys, which are read in any case.
func ahead(next, keys []uint32) []uint32 {
	if len(next) == 0 {
		return keys
	}
	return next
}

// addBlock counts at most 64 keys.
func (p *pages) addBlock(keys []uint32, labels uint64, left *leftKeys) {
	_, room := kernel.CountSome(&p.low, keys, labels, left[:], pageLead+int(p.drop))
	p.addLeft(left[:len(left)-room])
}

// addBoth counts a column of which all takes part in pages of one number of bits and in
// those of another one: a block of keys is in the nearest cache for the second.
func addBoth(p, q *pages, c *keyColumn) {
	const block = 1 << 12
	for r := 0; r < len(c.key); r += block {
		end := min(len(c.key), r+block)
		positive := c.positive[r/64 : (end+63)/64]
		p.addAll(c.key[r:end], c.key[end:], positive)
		q.addAll(c.key[r:end], nil, positive)
	}
	n, positives := uint64(len(c.key)), uint64(ones(c.positive))
	p.fresh, p.positives = p.fresh+n, p.positives+positives
	q.fresh, q.positives = q.fresh+n, q.positives+positives
}

// addSome counts the keys of the rows whose bits are set in part.
func (p *pages) addSome(keys []uint32, positive, part []uint64) {
	for i, row := range part {
		for block := keys[64*i:]; row != 0; row &= row - 1 {
			r := bits.TrailingZeros64(row)
			p.count(block[r], uint16(positive[i]>>r&1))
		}
	}
}

// addLabelled counts labelled keys.
func (p *pages) addLabelled(keys []uint32) {
	for _, k := range keys {
		p.count(k<<1, uint16(k>>31))
		p.positives += uint64(k >> 31)
	}
	p.fresh += uint64(len(keys))
}

// count counts a key with its label.
func (p *pages) count(k uint32, label uint16) {
	page := p.low[k>>(32-pageLead)]
	if page == nil {
		p.keep(k, label)
		return
	}
	at := (*uint16)(unsafe.Add(unsafe.Pointer(page), 2*uintptr(k>>p.drop&p.within)))
	count := uint32(*at) + uint32(label) + 1<<8
	if *at = uint16(count); count >= 1<<16 {
		*at = 0
		p.carry(k, count&0xffff)
	}
}

// size is how many bytes the pages have.
func (p *pages) size() int { return 2 * p.used * int(p.within+1) }

// lineBytes is the size of a line of the cache.
const lineBytes = 64

// touch reads the pages in order, where so many keys will be counted in most lines of them:
// the processor sees what comes next, as it does not where keys jump about.
func (p *pages) touch(keys int) {
	const fewBytes = 4 * lineBytes // of a page in which there is no order to be seen
	if 2*(p.within+1) < fewBytes || keys < 4*p.size()/lineBytes {
		return
	}
	var sum uint64
	for lead := range p.low {
		word := p.counts(lead).word
		for i := 0; i < len(word); i += lineBytes / 8 {
			sum |= word[i]
		}
	}
	p.touched = sum != 0
}

// enough is the number of keys that are worth being counted at once: of each line of the
// cache that counts are in, some are counted.
func (p *pages) enough() int { return p.size() / lineBytes }

// sparse tells whether pages are larger than there is room for, and than sorted bins
// would need.
func (p *pages) sparse(room int) bool {
	return p.size() > room && uint64(p.size()) > pageRoom*(p.scores+p.fresh)+2*uint64(p.within+1)
}

// A pageCounts are the counts of a page; without low all are 0. Words of it have four
// places each, in the order of the machine.
type pageCounts struct {
	low  []uint16
	word []uint64
	high []highCount
}

// counts are those of the page of some leading bits.
func (p *pages) counts(lead int) (v pageCounts) {
	if p.low[lead] == nil {
		return v
	}
	v.low = unsafe.Slice(p.low[lead], p.within+1)
	v.word = unsafe.Slice((*uint64)(unsafe.Pointer(p.low[lead])), (p.within+4)/4)
	if p.high != nil {
		v.high = p.high[lead]
	}
	return v
}

// at is the number of keys in place i, and of positives among them.
func (v *pageCounts) at(i int) (all, positive uint64) {
	all, positive = uint64(v.low[i]>>8), uint64(v.low[i]&0xff)
	if v.high != nil {
		all += uint64(v.high[i].all)
		positive += uint64(v.high[i].positive)
	}
	return all, positive
}

const (
	lowBytes = 0x00ff00ff00ff00ff
	oneEach  = 0x0001000100010001 // times four lanes of 16 bits: their sum is in the highest
)

// A sparePage has room for the places of a page.
type sparePage [1 << (mostBinBits - pageLead) / 4]uint64

// page are the counts of the page of these leading bits of places, that of the i-th place
// at i^turn: below 0 keys fall as places rise. Those of keys without a page are in spare.
func (p *pages) page(place int, spare *sparePage) (v pageCounts, turn int) {
	lead := keyOf(uint32(place)<<(32-pageLead)) >> (32 - pageLead)
	turn = turnOf(place, int(p.within)+1)
	if p.fewOf[lead] == 0 {
		return p.counts(int(lead)), turn
	}
	v.word = spare[:(p.within+4)/4]
	v.low = unsafe.Slice((*uint16)(unsafe.Pointer(spare)), p.within+1)
	clear(v.word)
	for _, k := range p.few {
		if k<<1>>(32-pageLead) == lead {
			v.low[k<<1>>p.drop&p.within] += 1<<8 + uint16(k>>31)
		}
	}
	return v, turn
}

// down calls visit for every place where positives are, from the highest down, many at
// once, in the memory of steps, which are none.
func (p *pages) down(steps *stepsDown, visit func(*stepsDown)) {
	var sums uint64 // negatives times 2^32 and positives, both fewer than that
	var spare sparePage
	for place := 1<<pageLead - 1; place >= 0; place-- {
		v, turn := p.page(place, &spare)
		if v.low == nil {
			continue
		}
		if v.high == nil && len(v.low) >= 8 {
			rising := min(1, turn) // keys, below 0
			for rest := v.low; len(rest) > 0; {
				steps.pour(visit, 8)
				done, n, end := kernel.PlaceSteps(steps.counts[steps.n:], steps.before[steps.n:], rest, rising, sums)
				steps.n += n
				sums = end
				if rising > 0 {
					rest = rest[done:]
				} else {
					rest = rest[:len(rest)-done]
				}
			}
			continue
		}
		for i := len(v.low) - 1; i >= 0; i-- {
			all, pos := v.at(i ^ turn)
			counts := (all-pos)<<32 | pos
			if pos != 0 {
				steps.pour(visit, 1)
				steps.push(counts, sums)
			}
			sums += counts
		}
	}
	visit(steps)
}

// empty appends the bins in use to list, by rising places, and sets all counts to 0.
func (p *pages) empty(list []bin) []bin {
	var spare sparePage
	for place := range 1 << pageLead {
		v, turn := p.page(place, &spare)
		size := len(v.low)
		to := len(list)
		list = slices.Grow(list, size)[:to+size]
		for i := range size {
			all, pos := v.at(i ^ turn)
			list[to] = bin{uint32(place*size + i), pos, all - pos}
			if all != 0 {
				to++
			}
		}
		list = list[:to]
		clear(v.low)
		clear(v.high)
	}
	p.scores += p.fresh
	p.fresh, p.positives = 0, 0
	p.few, p.fewOf = p.few[:0], [1 << pageLead]uint8{}
	return list
}

// take adds the counts of o, which gives them away.
func (p *pages) take(o *pages) {
	if o.fresh == 0 {
		return
	}
	p.plus(o)
	for lead := range o.low {
		from := o.counts(lead)
		clear(from.low)
		clear(from.high)
	}
	o.few, o.fewOf = o.few[:0], [1 << pageLead]uint8{}
	o.fresh, o.positives = 0, 0
}

// plus adds the counts of o, which is not p.
func (p *pages) plus(o *pages) {
	for lead := range o.low {
		from := o.counts(lead)
		if from.low == nil {
			continue
		}
		if p.low[lead] == nil {
			p.open(uint32(lead))
		}
		low := p.counts(lead).low
		for i := range low {
			all, positive := from.at(i)
			all += uint64(low[i] >> 8)
			positive += uint64(low[i] & 0xff)
			if all > 255 {
				h := p.highOf(uint32(lead), uint32(i))
				h.all += uint32(all)
				h.positive += uint32(positive)
				all, positive = 0, 0
			}
			low[i] = uint16(all<<8 | positive)
		}
	}
	for _, k := range o.few {
		p.count(k<<1, uint16(k>>31))
	}
	p.fresh += o.fresh
	p.positives += o.positives
}
