package metrics

import (
	"math"
	"slices"
	"unsafe"

	"github.com/zlpr/zlpr"
)

// radixBits is the size of a digit of the radix sort.
const radixBits = 11

// radixFrom is the length from which on the radix sort is used.
const radixFrom = 512

// sortScores sorts scores, none of them NaN. -0 and +0 count as equal.
func sortScores[T zlpr.Float](x []T, scratch *[]T) {
	if len(x) < radixFrom {
		slices.Sort(x)
		return
	}
	if slices.IsSorted(x) {
		return
	}
	if cap(*scratch) < len(x) {
		*scratch = make([]T, len(x))
	}
	sorted := radixSort(x, (*scratch)[:len(x)], sortKey[T])
	if &sorted[0] != &x[0] {
		copy(x, sorted)
	}
}

// radixSort sorts x by keys, with scratch of the same length. It returns the
// one of the two that holds the result.
func radixSort[E any](x, scratch []E, key func(E) uint64) []E {
	if len(x) == 0 {
		return x
	}
	const (
		digits = (64 + radixBits - 1) / radixBits
		mask   = 1<<radixBits - 1
	)
	var places [digits][mask + 1]int
	for _, e := range x {
		k := key(e)
		for d := range places {
			places[d][k>>(d*radixBits)&mask]++
		}
	}
	from, to := x, scratch
	for d := range places {
		shift, place := d*radixBits, &places[d]
		if place[key(x[0])>>shift&mask] == len(x) {
			continue // all have this digit
		}
		sum := 0
		for i, n := range place {
			place[i] = sum
			sum += n
		}
		for _, e := range from {
			p := &place[key(e)>>shift&mask]
			to[*p] = e
			*p++
		}
		from, to = to, from
	}
	return from
}

// sortKey maps scores to unsigned integers of the same order; both zeros have
// the same key.
func sortKey[T zlpr.Float](s T) uint64 {
	s += 0 // -0 + 0 is +0
	if unsafe.Sizeof(s) == 4 {
		b := math.Float32bits(float32(s))
		return uint64(b ^ (uint32(int32(b)>>31) | 1<<31))
	}
	b := math.Float64bits(float64(s))
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}
