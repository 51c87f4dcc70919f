package metrics

import "slices"

// A labelled key has the label of a score at bit 31 and below it the leading bits of its
// place, of which those of bins are the first ones. An absent one belongs to a score that
// does not take part: as a place it would be that of a NaN.
const absent = ^uint32(0)

// pages count labelled keys, each in its own place. The keys of one label that agree in
// their leading bits are a page, which is there from its first key on: so memory follows
// the range of the scores, not the number of bins.
//
// A count is 256·high + low: what is counted all the time are bytes, of which the caches
// hold those of hundreds of classes.
type pages struct {
	drop   uint8                 // bits that a labelled key has beyond those of the bins
	within uint32                // the bits of a place within its page
	place  [2 << pageLead]uint32 // where the page of these leading bits begins
	low    []uint8               // page 0 stays empty, and stands for those that are not there
	high   []uint32              // as long as low, but nil before a count passes 255
	fresh  uint64                // keys counted since pages were emptied, fewer than 2^32
	scores uint64                // and ever
}

// pageLead is the number of leading bits that choose a page; of a float32 a page has the
// numbers of a sign and of two exponents.
const pageLead = leastBinBits

// pageRoom is the number of places a score from which on pages are too empty: such scores
// are sorted.
const pageRoom = 8

// newPages returns pages for keys of that many bits.
func newPages(digits int) *pages {
	n := 1 << (digits - pageLead)
	return &pages{drop: uint8(31 - digits), within: uint32(n - 1), low: make([]uint8, n)}
}

// pageKeys is how many keys pages would have for some labelled keys.
func pageKeys(labelled []uint32, digits int) int {
	var used [2 << pageLead / 64]uint64
	for _, k := range labelled {
		k >>= 31 - pageLead
		used[k/64] |= 1 << (k % 64)
	}
	return ones(used[:]) << (digits - pageLead)
}

// open makes the page of some leading bits.
//
//go:noinline
func (p *pages) open(lead uint32) uint32 {
	at := len(p.low)
	p.place[lead] = uint32(at)
	p.low = append(p.low, make([]uint8, p.within+1)...)
	if p.high != nil {
		p.high = append(p.high, make([]uint32, p.within+1)...)
	}
	return uint32(at)
}

// add counts labelled keys but for those that are absent.
func (p *pages) add(keys []uint32) {
	low, drop, within := p.low, p.drop&31, p.within
	gone := 0
	for _, k := range keys {
		at := p.place[k>>(31-pageLead)]
		if at == 0 || k == absent {
			if k == absent {
				gone++
				continue
			}
			at = p.open(k >> (31 - pageLead))
			low = p.low
		}
		at += k >> drop & within
		count := low[at] + 1
		low[at] = count
		if count == 0 {
			p.carry(at, 1)
		}
	}
	n := uint64(len(keys) - gone)
	p.fresh += n
	p.scores += n
}

// carry adds 256·n to a count.
//
//go:noinline
func (p *pages) carry(at, n uint32) {
	if p.high == nil {
		p.high = make([]uint32, len(p.low))
	}
	p.high[at] += n
}

// enough is the number of keys that are worth being counted at once: of each line of the
// cache that counts are in, several of them are counted.
func (p *pages) enough() int { return len(p.low) / 4 }

// sparse tells whether there are more places than sorted bins would need.
func (p *pages) sparse() bool {
	return uint64(len(p.low)) > pageRoom*p.scores+uint64(p.within)+1
}

// empty appends the bins in use to list, by rising keys, and sets all counts to 0.
func (p *pages) empty(list []bin) []bin {
	const leads = 1 << pageLead
	size := int(p.within) + 1
	for lead := range leads {
		n, y := int(p.place[lead]), int(p.place[leads+lead])
		if n|y == 0 {
			continue
		}
		to := len(list)
		list = slices.Grow(list, size)[:to+size]
		key := uint32(lead<<(31-pageLead)) >> p.drop
		for i := range size {
			neg, pos := p.count(n+i), p.count(y+i)
			list[to] = bin{key + uint32(i), pos, neg}
			if neg|pos != 0 {
				to++
			}
		}
		list = list[:to]
	}
	clear(p.low)
	clear(p.high)
	p.fresh = 0
	return list
}

func (p *pages) count(at int) uint64 {
	if p.high == nil {
		return uint64(p.low[at])
	}
	return uint64(p.high[at])<<8 | uint64(p.low[at])
}

// take adds the counts of o, which gives them away.
func (p *pages) take(o *pages) {
	if o.fresh == 0 {
		return
	}
	for lead, from := range o.place {
		if from == 0 {
			continue
		}
		to := p.place[lead]
		if to == 0 {
			to = p.open(uint32(lead))
		}
		for i := range p.within + 1 {
			n := uint64(p.low[to+i]) + uint64(o.low[from+i])
			p.low[to+i] = uint8(n)
			if o.high != nil {
				n += uint64(o.high[from+i]) << 8
			}
			if n > 255 {
				p.carry(to+i, uint32(n>>8))
			}
		}
	}
	p.fresh += o.fresh
	p.scores += o.fresh
	clear(o.low)
	clear(o.high)
	o.fresh = 0
}
