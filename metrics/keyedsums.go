package metrics

import (
	"math/bits"
	"slices"
)

// keyedSums are exact sums of row weights by key: width sums for every key in use,
// and how many numbers above 0 were added to the first of them. What they hold does
// not depend on the order in which it came, nor on how it was merged.
type keyedSums struct {
	Key   []uint32 // rising
	N     []uint64
	sums  // those of key i from width·i on
	width int
}

func newKeyedSums(width int) keyedSums {
	return keyedSums{sums: newSums(0, roomOfRows), width: width}
}

// push appends a key above all others, whose sums are 0.
func (k *keyedSums) push(key uint32) {
	k.Key, k.N = append(k.Key, key), append(k.N, 0)
	k.n += k.width
	for range k.width * k.Words {
		k.Word = append(k.Word, 0)
	}
}

// last is sum i of the last key.
func (k *keyedSums) last(i int) []uint64 { return k.at(k.n - k.width + i) }

// reset empties k for keys whose weights are of the window.
func (k *keyedSums) reset(w window, below int) {
	k.Key, k.N, k.Word, k.n = k.Key[:0], k.N[:0], k.Word[:0], 0
	k.Low, k.Words = 0, 0
	k.cover(w, below)
}

// merge adds o, from the highest key down, so that all take their places within the
// slices. o may be k.
func (k *keyedSums) merge(o *keyedSums) {
	if len(o.Key) == 0 {
		return
	}
	if k == o {
		c := *o
		c.Key, c.N, c.Word = slices.Clone(o.Key), slices.Clone(o.N), slices.Clone(o.Word)
		o = &c
	}
	low, high := o.Low, o.Low+o.Words
	if k.Words > 0 {
		low, high = min(low, k.Low), max(high, k.Low+k.Words)
	}
	k.resize(low, high-low)
	fresh := 0
	for i, j := 0, 0; j < len(o.Key); j++ {
		for i < len(k.Key) && k.Key[i] < o.Key[j] {
			i++
		}
		if i == len(k.Key) || k.Key[i] != o.Key[j] {
			fresh++
		}
	}
	n, block := len(k.Key), k.width*k.Words
	k.Key, k.N = slices.Grow(k.Key, fresh)[:n+fresh], slices.Grow(k.N, fresh)[:n+fresh]
	k.Word = slices.Grow(k.Word, fresh*block)[:(n+fresh)*block]
	k.n = (n + fresh) * k.width
	i, j := n-1, len(o.Key)-1
	for to := n + fresh - 1; j >= 0; to-- {
		dst := k.Word[to*block:][:block]
		own := i >= 0 && k.Key[i] >= o.Key[j]
		other := i < 0 || o.Key[j] >= k.Key[i]
		if own {
			copy(dst, k.Word[i*block:][:block])
			k.Key[to], k.N[to] = k.Key[i], k.N[i]
			i--
		} else {
			clear(dst)
			k.Key[to], k.N[to] = o.Key[j], 0
		}
		if other {
			for s := range k.width {
				addWide(dst[s*k.Words+o.Low-k.Low:(s+1)*k.Words], o.at(j*o.width+s))
			}
			k.N[to] += o.N[j]
			j--
		}
	}
}

// window has all bits that are set in a sum, and those of the total of all.
func (k *keyedSums) window() (w window) {
	if k.Words == 0 || len(k.Key) == 0 {
		return w
	}
	total := make([]uint64, k.Words+1)
	low := -1
	for i := range k.n {
		sum := k.at(i)
		addWide(total, sum)
		for j, word := range sum {
			if word != 0 {
				if at := 64*j + bits.TrailingZeros64(word); low < 0 || at < low {
					low = at
				}
				break
			}
		}
	}
	for j := len(total) - 1; j >= 0; j-- {
		if total[j] != 0 {
			return window{64*k.Low + low, 64*(k.Low+j) + bits.Len64(total[j])}
		}
	}
	return w
}

// addSum adds a, in units of 2^(64·words), to c, in units of 2^low: no bit of a is
// below those.
func addSum[C count](c *C, a []uint64, words, low int) {
	dst := wordsOf(c)
	for i, w := range a {
		switch at := 64*(words+i) - low; {
		case w == 0:
		case at < 0:
			addShifted(dst, w>>-at, 0)
		default:
			addShifted(dst, w, at)
		}
	}
}
