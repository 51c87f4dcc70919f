package metrics

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unsafe"
)

// pages count keys, each in its own place, and those of positives once more. Keys that
// agree in their leading bits are a page, which is there from its first key on: so memory
// follows the range of the scores, not the number of bins.
type pages struct {
	drop          uint8  // bits that a key has beyond those of the bins
	within        uint32 // the bits of a key within its page
	all, positive counts
	fresh         uint64 // keys counted since pages were emptied, fewer than 2^32
	positives     uint64 // of positives, since then
	scores        uint64 // keys counted ever
}

// counts are 256·high + low: what is counted all the time are bytes, of which the caches
// hold those of hundreds of classes.
type counts struct {
	low  [1 << pageLead]*uint8    // the first of the bytes of the page of these leading bits, or nil
	high *[1 << pageLead][]uint32 // nil before a count passes 255
	used int                      // pages
}

// pageLead is the number of leading bits that choose a page; of a float32 a page has the
// numbers of a sign and of two exponents.
const pageLead = leastBinBits

// pageRoom is the number of places a score from which on pages are too empty: such scores
// are sorted.
const pageRoom = 8

// pagesRoom is the number of places that the pages of all classes may have, however few
// the scores are.
const pagesRoom = 1 << 26

// newPages returns pages for keys of that many bits.
func newPages(digits int) *pages {
	return &pages{drop: uint8(32 - digits), within: 1<<(digits-pageLead) - 1}
}

// leads are the leading bits of keys of all labels, and of those of positives.
type leads [2][1 << pageLead / 64]uint64

func (l *leads) add(lead, label uint32) {
	l[0][lead/64] |= 1 << (lead % 64)
	l[1][lead/64] |= uint64(label) << (lead % 64)
}

// labelled takes in those of labelled keys.
func (l *leads) labelled(keys []uint32) {
	for _, k := range keys {
		l.add(k<<1>>(32-pageLead), k>>31)
	}
}

// column takes in those of a column.
func (l *leads) column(c *keyColumn) {
	for r, k := range c.key {
		if c.has(r) {
			l.add(k>>(32-pageLead), c.label(r))
		}
	}
}

// places is how many places the pages have for keys of that many bits.
func (l *leads) places(digits int) int {
	return (ones(l[0][:]) + ones(l[1][:])) << (digits - pageLead)
}

// open makes the page of some leading bits.
//
//go:noinline
func (p *pages) open(c *counts, lead uint32) *uint8 {
	c.low[lead] = unsafe.SliceData(make([]uint8, p.within+1))
	c.used++
	return c.low[lead]
}

// carry adds 256·n to the count of a key.
//
//go:noinline
func (p *pages) carry(c *counts, key, n uint32) {
	if c.high == nil {
		c.high = new([1 << pageLead][]uint32)
	}
	lead := key >> (32 - pageLead)
	if c.high[lead] == nil {
		c.high[lead] = make([]uint32, p.within+1)
	}
	c.high[lead][key>>p.drop&p.within] += n
}

// add counts a column.
func (p *pages) add(c *keyColumn) {
	if c.part == nil {
		p.addAll(c.key)
		p.fresh += uint64(len(c.key))
	} else {
		p.fresh += p.addSome(&p.all, c.key, c.part)
	}
	p.positives += p.addSome(&p.positive, c.key, c.positive)
}

// addAll counts keys, without their labels.
func (p *pages) addAll(keys []uint32) {
	c, drop, within := &p.all, p.drop&31, uintptr(p.within)
	for _, k := range keys {
		page := c.low[k>>(32-pageLead)]
		if page == nil {
			page = p.open(c, k>>(32-pageLead))
		}
		at := (*uint8)(unsafe.Add(unsafe.Pointer(page), uintptr(k>>drop)&within)) // the page has within+1
		count := *at + 1
		*at = count
		if count == 0 {
			p.carry(c, k, 1)
		}
	}
}

// addBoth counts a column of which all takes part in pages of one number of bits and in
// those of another one.
func addBoth(p, q *pages, column *keyColumn) {
	keys := column.key
	c, drop, within := &p.all, p.drop&31, uintptr(p.within)
	d, qdrop, qwithin := &q.all, q.drop&31, uintptr(q.within)
	for _, k := range keys {
		lead := k >> (32 - pageLead)
		page, other := c.low[lead], d.low[lead]
		if page == nil {
			page = p.open(c, lead)
		}
		if other == nil {
			other = q.open(d, lead)
		}
		at := (*uint8)(unsafe.Add(unsafe.Pointer(page), uintptr(k>>drop)&within))
		count := *at + 1
		*at = count
		if count == 0 {
			p.carry(c, k, 1)
		}
		at = (*uint8)(unsafe.Add(unsafe.Pointer(other), uintptr(k>>qdrop)&qwithin))
		count = *at + 1
		*at = count
		if count == 0 {
			q.carry(d, k, 1)
		}
	}
	p.fresh += uint64(len(keys))
	q.fresh += uint64(len(keys))
	p.positives += p.addSome(&p.positive, keys, column.positive)
	q.positives += q.addSome(&q.positive, keys, column.positive)
}

// addSome counts the keys of the rows whose bits are set, and returns how many these are.
func (p *pages) addSome(c *counts, keys []uint32, rows []uint64) (n uint64) {
	drop, within := p.drop&31, uintptr(p.within)
	for i, row := range rows {
		n += uint64(bits.OnesCount64(row))
		block := keys[64*i:]
		for ; row != 0; row &= row - 1 {
			k := block[bits.TrailingZeros64(row)]
			page := c.low[k>>(32-pageLead)]
			if page == nil {
				page = p.open(c, k>>(32-pageLead))
			}
			at := (*uint8)(unsafe.Add(unsafe.Pointer(page), uintptr(k>>drop)&within))
			count := *at + 1
			*at = count
			if count == 0 {
				p.carry(c, k, 1)
			}
		}
	}
	return n
}

// addLabelled counts labelled keys.
func (p *pages) addLabelled(keys []uint32) {
	for _, k := range keys {
		p.count(&p.all, k<<1)
		if k>>31 != 0 {
			p.count(&p.positive, k<<1)
			p.positives++
		}
	}
	p.fresh += uint64(len(keys))
}

func (p *pages) count(c *counts, k uint32) {
	page := c.low[k>>(32-pageLead)]
	if page == nil {
		page = p.open(c, k>>(32-pageLead))
	}
	at := (*uint8)(unsafe.Add(unsafe.Pointer(page), uintptr(k>>p.drop&p.within)))
	if *at++; *at == 0 {
		p.carry(c, k, 1)
	}
}

// places is how many places the pages have.
func (p *pages) places() int { return (p.all.used + p.positive.used) * int(p.within+1) }

// enough is the number of keys that are worth being counted at once: of each line of the
// cache that counts are in, some are counted.
func (p *pages) enough() int { return p.places() / 64 }

// sparse tells whether there are more places than there is room for, and than sorted bins
// would need.
func (p *pages) sparse(room int) bool {
	return p.places() > room && uint64(p.places()) > pageRoom*(p.scores+p.fresh)+uint64(p.within)+1
}

// A pageCounts are the counts of a page; without low all are 0.
type pageCounts struct {
	low  []uint8
	high []uint32
}

func (p *pages) counts(c *counts, lead int) (v pageCounts) {
	if c.low[lead] == nil {
		return v
	}
	v.low = unsafe.Slice(c.low[lead], p.within+1)
	if c.high != nil {
		v.high = c.high[lead]
	}
	return v
}

func (v *pageCounts) at(i int) (n uint64) {
	if v.low != nil {
		n = uint64(v.low[i])
	}
	if v.high != nil {
		n |= uint64(v.high[i]) << 8
	}
	return n
}

// none tells whether the eight counts from i on are 0 for certain.
func (v *pageCounts) none(i int) bool {
	return v.low == nil || v.high == nil && binary.LittleEndian.Uint64(v.low[i:]) == 0
}

// eight is the sum of the eight counts from i on.
func (v *pageCounts) eight(i int) (n uint64) {
	const pairs = 0x00ff00ff00ff00ff
	w := binary.LittleEndian.Uint64(v.low[i:])
	n = (w&pairs + w>>8&pairs) * 0x0001000100010001 >> 48
	if v.high != nil {
		for _, h := range v.high[i:][:8] {
			n += uint64(h) << 8
		}
	}
	return n
}

// at are the counts of the places with these leading bits, that of the i-th place at i^turn:
// below 0 keys fall as places rise.
func (p *pages) at(place int) (all, positive pageCounts, turn int) {
	lead := int(keyOf(uint32(place)<<(32-pageLead)) >> (32 - pageLead))
	if place < 1<<(pageLead-1) {
		turn = int(p.within)
	}
	return p.counts(&p.all, lead), p.counts(&p.positive, lead), turn
}

// down calls visit for every place where positives are, from the highest down, with how
// many they are, how many negatives are there, and how many in higher places.
func (p *pages) down(visit func(pos, neg, above uint64)) {
	var above uint64
	for place := 1<<pageLead - 1; place >= 0; place-- {
		all, positive, turn := p.at(place)
		if all.low == nil {
			continue
		}
		for i := int(p.within); i >= 0; i-- {
			if first := i&^7 ^ turn&^7; i%8 == 7 && positive.none(first) {
				above += all.eight(first)
				i -= 7
				continue
			}
			pos := positive.at(i ^ turn)
			neg := all.at(i^turn) - pos
			if pos != 0 {
				visit(pos, neg, above)
			}
			above += neg
		}
	}
}

// empty appends the bins in use to list, by rising places, and sets all counts to 0.
func (p *pages) empty(list []bin) []bin {
	size := int(p.within) + 1
	for place := range 1 << pageLead {
		all, positive, turn := p.at(place)
		if all.low == nil {
			continue
		}
		to := len(list)
		list = slices.Grow(list, size)[:to+size]
		for i := range size {
			n, pos := all.at(i^turn), positive.at(i^turn)
			list[to] = bin{uint32(place*size + i), pos, n - pos}
			if n != 0 {
				to++
			}
		}
		list = list[:to]
		for _, v := range [2]pageCounts{all, positive} {
			clear(v.low)
			clear(v.high)
		}
	}
	p.scores += p.fresh
	p.fresh, p.positives = 0, 0
	return list
}

// take adds the counts of o, which gives them away.
func (p *pages) take(o *pages) {
	if o.fresh == 0 {
		return
	}
	p.takeCounts(&p.all, o, &o.all)
	p.takeCounts(&p.positive, o, &o.positive)
	p.fresh += o.fresh
	p.positives += o.positives
	o.fresh, o.positives = 0, 0
}

func (p *pages) takeCounts(to *counts, o *pages, from *counts) {
	for lead := range from.low {
		v := o.counts(from, lead)
		if v.low == nil {
			continue
		}
		if to.low[lead] == nil {
			p.open(to, uint32(lead))
		}
		low := p.counts(to, lead).low
		for i := range low {
			n := uint64(low[i]) + v.at(i)
			low[i] = uint8(n)
			if n > 255 {
				p.carry(to, uint32(lead)<<(32-pageLead)|uint32(i)<<p.drop, uint32(n>>8))
			}
		}
		clear(v.low)
		clear(v.high)
	}
}
