package metrics

import (
	"math"
	"math/bits"
	"slices"

	"github.com/zlpr/zlpr"
)

// A ranker relates the positives of a row to its negatives.
//
// No measure here depends on the order of the negatives among themselves.
// So only the positives are sorted, and each negative is placed among them.
// Both go by buckets: a bucket holds the scores of an interval, all intervals
// have one length, and there are several of them for every positive.
type ranker[T zlpr.Float] struct {
	pos, neg []T
	keys     []uint64 // sortKey of the positives, rising once ranked, and padding
	counts   []uint64 // what rank returns
	starts   []uint32 // the positives in lower buckets

	// Where runs is not nil, runs[i] is the number of positives of the key of
	// i, if that is the last of them, and ties the number of pairs of a
	// positive and a negative of equal score.
	runs []uint64
	ties uint64
}

const (
	bucketsEach = 8  // buckets for a positive
	fewScores   = 4  // so many positives need no buckets
	maxInBucket = 12 // more in one bucket: bisection

	// maxBuckets is small enough for the rounding errors of buckets.of not to
	// reach past the bucket after the last.
	maxBuckets = 1 << 18
)

// gather takes in the scores of a row that take part.
func (k *ranker[T]) gather(x []T, positive, part []uint64) {
	if cap(k.pos) < len(x)+1 {
		k.pos, k.neg = make([]T, len(x)+1), make([]T, len(x)+1)
	}
	pos, neg := k.pos[:len(x)+1], k.neg[:len(x)+1]
	p, n := 0, 0
	for i := range part {
		y, take := positive[i], part[i]
		row := x[i*64 : min(len(x), i*64+64)]
		// Every score is written to both, the ends move by the bits.
		for _, s := range row {
			pos[p], neg[n] = s, s
			p += int(y & 1)
			n += int(take &^ y & 1)
			y >>= 1
			take >>= 1
		}
	}
	k.pos, k.neg = pos[:p], neg[:n]
}

// rank sorts the keys of the positives and returns above with above[j] = the
// number of negatives that score at least as much as the positive of keys[j].
// It is valid until the next call.
func (k *ranker[T]) rank() (above []uint64) {
	p := len(k.pos)
	k.counts = zeroed(k.counts, p+1)
	if p == 0 {
		return nil
	}
	b, most := k.sortPositives()
	if k.runs != nil {
		k.countRuns()
	}
	if most <= maxInBucket {
		k.placeByBucket(b, most)
	} else {
		k.placeByBisection()
	}
	// counts[i] = the negatives with i positives at or below them. The sum
	// from i on are those that score at least as much as positive i-1.
	for i := p - 1; i > 0; i-- {
		k.counts[i] += k.counts[i+1]
	}
	return k.counts[1:]
}

// buckets says which bucket a score belongs to. A higher score never has a
// lower bucket, for each of the three steps keeps the order.
type buckets[T zlpr.Float] struct{ low, high, scale T }

func (b buckets[T]) of(s T) int {
	return int((min(max(s, b.low), b.high) - b.low) * b.scale)
}

// sortPositives writes the sorted keys of the positives, followed by padding
// that is above all scores, and the starts of the buckets. It returns the
// buckets and the largest number of positives in one.
func (k *ranker[T]) sortPositives() (b buckets[T], most int) {
	p := len(k.pos)
	k.keys = zeroed(k.keys, p+maxInBucket)
	keys := k.keys[:p]
	for i := p; i < len(k.keys); i++ {
		k.keys[i] = math.MaxUint64
	}
	b.low, b.high = slices.Min(k.pos), slices.Max(k.pos)
	n := 0
	if p > fewScores {
		n = min(bucketsEach*p, maxBuckets)
		b.scale = T(n) / (b.high - b.low)
	}
	if !(b.scale > 0 && b.scale <= math.MaxFloat32) {
		b, n = buckets[T]{}, 0 // few, infinite, equal or nearly so: one bucket
	}
	k.starts = zeroed(k.starts, n+2)
	starts := k.starts
	for _, s := range k.pos {
		starts[b.of(s)+1]++
	}
	var sum uint32
	for i, c := range starts {
		most = max(most, int(c))
		sum += c
		starts[i] = sum
	}
	// Now starts[i] is the place of the first score of bucket i, and becomes
	// that of the next.
	for _, s := range k.pos {
		at := &starts[b.of(s)]
		keys[*at] = sortKey(s)
		*at++
	}
	copy(starts[1:], starts) // the end of a bucket is the start of the next
	starts[0] = 0
	if most <= maxInBucket {
		insertionSort(keys)
	} else {
		slices.Sort(keys)
	}
	return b, most
}

// countRuns fills runs and clears ties.
func (k *ranker[T]) countRuns() {
	k.runs, k.ties = zeroed(k.runs, len(k.pos)), 0
	n := uint64(0)
	for i, key := range k.keys[:len(k.pos)] {
		n++
		if k.keys[i+1] != key { // padding follows the last
			k.runs[i], n = n, 0
		}
	}
}

// insertionSort sorts keys of which none is far from its place.
func insertionSort(keys []uint64) {
	for i := 1; i < len(keys); i++ {
		key, j := keys[i], i
		for ; j > 0 && keys[j-1] > key; j-- {
			keys[j] = keys[j-1]
		}
		keys[j] = key
	}
}

// placeByBucket adds 1 to counts[i] for every negative with exactly i of the
// positives at or below it.
func (k *ranker[T]) placeByBucket(b buckets[T], most int) {
	for _, s := range k.neg {
		// All positives in lower buckets are below s, those in higher ones and
		// the padding are above; of the bucket itself the first that are not
		// above s count.
		at := int(k.starts[b.of(s)])
		key := sortKey(s)
		var above uint64
		for _, y := range k.keys[at : at+most] {
			_, less := bits.Sub64(key, y, 0)
			above += less
		}
		k.place(key, at+most-int(above))
	}
}

// place counts a negative with n positives at or below it.
func (k *ranker[T]) place(key uint64, n int) {
	k.counts[n]++
	if k.runs != nil && n > 0 && k.keys[n-1] == key {
		k.ties += k.runs[n-1]
	}
}

// placeByBisection does the same where many positives share a bucket.
func (k *ranker[T]) placeByBisection() {
	keys := k.keys[:len(k.pos)]
	for _, s := range k.neg {
		// Without branches: the answer is in [at, at+n]. How n falls depends
		// on the number of positives alone.
		key := sortKey(s)
		at, n := 0, len(keys)
		for n > 1 {
			half := n >> 1
			_, below := bits.Sub64(key, keys[at+half-1], 0)
			at += half & (int(below) - 1)
			n -= half
		}
		_, below := bits.Sub64(key, keys[at], 0)
		k.place(key, at+1-int(below))
	}
}

// zeroed returns n zeros, in the memory of s where that suffices.
func zeroed[E uint32 | uint64](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	s = s[:n]
	clear(s)
	return s
}
