package report

import (
	"math"
	"slices"
)

// numBins is the number of bins of reliability data.
const numBins = 15

// Quantiles finds the 14 edges between 15 bins of equal mass of any number of values
// of at least 0, exactly and in constant memory, in two to four passes over the values: the first
// counts them by the 16 leading bits, the next look into the cells that hold an edge.
// Edge k is numpy's percentile 100·k/15, by linear interpolation.
//
// In every pass all values are added, then Next is called, until it returns true.
// Quantiles of parts of the values are merged before it is called: Part returns one
// for a part.
type Quantiles struct {
	digits int       // that are known of the cells
	cells  []uint64  // the leading bits of the values that are looked for, rising
	counts []uint64  // 65,536 for each cell
	keep   []float64 // instead of counts, when they are few
	few    bool
	total  uint64

	places []place
	edges  []float64 // once they are known
}

// A place is a value by its rank.
type place struct {
	rank uint64 // among the values of its cell
	cell uint64
	from uint64 // rank among all
}

// mostKept is how many values are kept and sorted.
const mostKept = 1 << 21

// NewQuantiles returns Quantiles of no values.
func NewQuantiles() *Quantiles {
	return &Quantiles{cells: []uint64{0}, counts: make([]uint64, 1<<16)}
}

// Part returns Quantiles for a part of the values of this pass.
func (q *Quantiles) Part() *Quantiles {
	p := &Quantiles{digits: q.digits, cells: q.cells, few: q.few, edges: q.edges}
	if !q.few {
		p.counts = make([]uint64, len(q.counts))
	}
	return p
}

// Add adds values. A NaN is none.
func (q *Quantiles) Add(values []float64) {
	if q.edges != nil {
		return
	}
	shift := 48 - 16*q.digits
	for _, v := range values {
		key := math.Float64bits(v + 0) // -0 as 0
		at := 0
		if q.digits > 0 {
			var ok bool
			if at, ok = slices.BinarySearch(q.cells, key>>(shift+16)); !ok {
				continue
			}
		}
		if q.few {
			q.keep = append(q.keep, v)
		} else {
			q.counts[at<<16|int(key>>shift&0xffff)]++
		}
	}
}

// Merge adds the values of a part. It panics if p is nil.
func (q *Quantiles) Merge(p *Quantiles) {
	if p == nil {
		panic("zlpr: Merge of a nil Quantiles")
	}
	for i, n := range p.counts {
		q.counts[i] += n
	}
	q.keep = append(q.keep, p.keep...)
}

// Next ends a pass, and reports whether the edges are known.
func (q *Quantiles) Next() bool {
	switch {
	case q.edges != nil:
		return true
	case q.few:
		q.finish()
		return true
	case q.digits == 0:
		for _, n := range q.counts {
			q.total += n
		}
		if q.total == 0 {
			q.edges = []float64{}
			return true
		}
		for k := range numBins - 1 {
			i, _ := position(k+1, q.total)
			q.places = append(q.places, place{rank: i, from: i}, place{rank: min(i+1, q.total-1), from: min(i+1, q.total-1)})
		}
	}
	var cells []uint64
	inside := uint64(0)
	for k := range q.places {
		p := &q.places[k]
		at := 0
		if q.digits > 0 {
			at, _ = slices.BinarySearch(q.cells, p.cell)
		}
		counts, digit := q.counts[at<<16:][:1<<16], 0
		for p.rank >= counts[digit] {
			p.rank -= counts[digit]
			digit++
		}
		p.cell = p.cell<<16 | uint64(digit)
		if !slices.Contains(cells, p.cell) {
			cells = append(cells, p.cell)
			inside += counts[digit]
		}
	}
	slices.Sort(cells)
	q.cells = cells
	if q.digits++; q.digits == 4 {
		q.known(func(p place) float64 { return math.Float64frombits(p.cell) })
		return true
	}
	if q.few = inside <= mostKept; q.few {
		q.counts = nil
	} else {
		q.counts = make([]uint64, len(cells)<<16)
	}
	return false
}

// finish finds the places among the values that were kept.
func (q *Quantiles) finish() {
	slices.Sort(q.keep)
	shift := 64 - 16*q.digits
	q.known(func(p place) float64 {
		first, _ := slices.BinarySearchFunc(q.keep, p.cell, func(v float64, cell uint64) int {
			if math.Float64bits(v)>>shift < cell {
				return -1
			}
			return 1
		})
		return q.keep[first+int(p.rank)]
	})
	q.keep = nil
}

// known makes the edges of the values at the places.
func (q *Quantiles) known(value func(place) float64) {
	for k := range numBins - 1 {
		_, t := position(k+1, q.total)
		q.edges = append(q.edges, lerp(value(q.places[2*k]), value(q.places[2*k+1]), t))
	}
}

// Edges returns the edges, once Next has returned true: none of no values.
func (q *Quantiles) Edges() []float64 { return q.edges }

// position is where percentile 100·k/15 of n values is: t beyond value i. It is
// computed as numpy does.
func position(k int, n uint64) (i uint64, t float64) {
	const step = 1.0 / numBins
	q := float64(float64(float64(k)*step)*100) / 100
	place := float64(float64(n-1) * q)
	i = uint64(place)
	return i, place - float64(i) // exact
}

// lerp is a value t beyond a, on the way to b.
func lerp(a, b, t float64) float64 {
	if t >= 0.5 {
		return b - float64((b-a)*(1-t))
	}
	return a + float64((b-a)*t)
}
