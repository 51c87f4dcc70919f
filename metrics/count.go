package metrics

import (
	"math/bits"
	"unsafe"

	"github.com/zlpr/zlpr"
)

// A count is a sum of weights of rows in units of a power of two: of one word
// where the weights are few bits apart, in particular without weights, of three
// for ordinary weights, of 34 for any.
type count interface {
	[1]uint64 | [3]uint64 | [34]uint64
}

// wordsFor is the length of counts that hold twice the sum of n weights of the
// window, in units of 2^w.Low.
func wordsFor(w window, n int) int {
	switch b := w.High - w.Low + bits.Len(uint(n)) + 1; {
	case b <= 64:
		return 1
	case b <= 3*64:
		return 3
	}
	return 34 // 2^-1074 to 2^1024 are 2098 bits; 2^64 of them, twice: 2163
}

// wordsOf returns the words of c.
func wordsOf[C count](c *C) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(c)), len(*c))
}

// plus adds b to a.
func plus[C count](a, b *C) {
	if len(*a) == 1 {
		(*a)[0] += (*b)[0]
		return
	}
	var carry uint64
	for i := 0; i < len(*a); i++ {
		(*a)[i], carry = bits.Add64((*a)[i], (*b)[i], carry)
	}
}

// minus takes b ≤ a from a.
func minus[C count](a, b *C) {
	if len(*a) == 1 {
		(*a)[0] -= (*b)[0]
		return
	}
	var borrow uint64
	for i := 0; i < len(*a); i++ {
		(*a)[i], borrow = bits.Sub64((*a)[i], (*b)[i], borrow)
	}
}

// ratioOf is a/b, a ≤ b, cut to a multiple of 2^-64, and 0 where b is 0.
func ratioOf[C count](a, b *C) fixed {
	if len(*a) == 1 {
		return ratio((*a)[0], (*b)[0])
	}
	return ratioWide(wordsOf(a), wordsOf(b))
}

// lessProduct reports whether a·b < c·d.
func lessProduct[C count](a, b, c, d *C) bool {
	if len(*a) == 1 {
		return lessProduct1((*a)[0], (*b)[0], (*c)[0], (*d)[0])
	}
	return lessProductWide(wordsOf(a), wordsOf(b), wordsOf(c), wordsOf(d))
}

func lessProduct1(a, b, c, d uint64) bool {
	h1, l1 := bits.Mul64(a, b)
	h2, l2 := bits.Mul64(c, d)
	return h1 < h2 || h1 == h2 && l1 < l2
}

func lessProductWide(a, b, c, d []uint64) bool {
	var x, y [2 * 34]uint64
	n := 2 * len(a)
	addMul(x[:n], a, b)
	addMul(y[:n], c, d)
	return cmpWide(x[:n], y[:n]) < 0
}

// set makes c = m·2^at.
func set[C count](c *C, m uint64, at int) {
	if len(*c) == 1 {
		(*c)[0] = m << at
		return
	}
	*c = *new(C)
	addShifted(wordsOf(c), m, at)
}

// steps goes down through the scores of l, whose parts it sorts, and calls visit
// for every distinct one with the weights of the positives and of the negatives
// at it, in units of 2^low, which visit must not keep. Of scores in bins it is the
// lowest number of every bin, NaN for that of -Inf.
func steps[T zlpr.Float, C count](l *list[T], low int, visit func(score T, pos, neg *C)) {
	if l.Bins != nil {
		binSteps(l.Bins, low, func(key int, _ uint64, pos, neg *C) { visit(lowest[T](l.Bins, key), pos, neg) })
		return
	}
	var pos, neg C
	if len(l.Weighed) > 0 {
		x := l.falling()
		for len(x) > 0 {
			s := x[0].Score
			pos, neg = *new(C), *new(C)
			for ; len(x) > 0 && x[0].Score == s; x = x[1:] {
				addWeight(&pos, &neg, x[0].Weight, low)
			}
			visit(s, &pos, &neg)
		}
		return
	}
	var scratch []T
	sortScores(l.Pos, &scratch)
	sortScores(l.Neg, &scratch)
	p, n := len(l.Pos), len(l.Neg)
	for p > 0 || n > 0 {
		var s T
		if n == 0 || p > 0 && l.Pos[p-1] >= l.Neg[n-1] {
			s = l.Pos[p-1]
		} else {
			s = l.Neg[n-1]
		}
		p0, n0 := p, n
		for p > 0 && l.Pos[p-1] == s {
			p--
		}
		for n > 0 && l.Neg[n-1] == s {
			n--
		}
		if len(pos) == 1 {
			pos[0], neg[0] = uint64(p0-p)<<-low, uint64(n0-n)<<-low
		} else {
			set(&pos, uint64(p0-p), -low)
			set(&neg, uint64(n0-n), -low)
		}
		visit(s, &pos, &neg)
	}
}

// addWeight adds the absolute value of a weight to pos, or to neg if it is
// negative.
func addWeight[C count](pos, neg *C, weight float64, low int) {
	to := pos
	if weight < 0 {
		to, weight = neg, -weight
	}
	m, e := parts(weight)
	if len(*to) == 1 {
		(*to)[0] += m << (e - low)
		return
	}
	addShifted(wordsOf(to), m, e-low)
}
