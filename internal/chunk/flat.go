package chunk

import (
	"math/bits"

	"github.com/zlpr/zlpr/internal/kernel"
)

// FlatPos returns the positives of short rows as bits without gaps: class j of
// row i is bit i·N+j. Bits past the last row's are 0.
func (c *Chunk[T]) FlatPos() []uint64 {
	if !c.onlyFlat {
		c.flatPos = flatten(c.flatPos, c.Pos, c.Rows, c.N)
	}
	return c.flatPos
}

// ReadFlat takes the positives from read in that form; all other classes are
// negatives. Where read reports that it cannot read them, there are none.
//
// Pos and Neg are open then, until Unpack.
func (c *Chunk[T]) ReadFlat(read func(dst []uint64) bool) bool {
	c.flatPos = kernel.Resize(c.flatPos, kernel.BitWords(c.Rows*c.N))
	c.onlyFlat = read(c.flatPos)
	return c.onlyFlat
}

// ReadTargets takes the positives from targets, one of each row: all other classes are
// negatives. It reports whether all targets are classes; where not, there are none.
//
// Neg and Target are there then, Pos after Unpack.
func (c *Chunk[T]) ReadTargets(targets []int32) bool {
	c.Target = kernel.Resize(c.Target, c.Rows)
	n, words, last := c.N, c.Words, kernel.LastWord(c.N)
	neg, target := c.Neg, c.Target
	targets = targets[:len(target)]
	for i, t := range targets {
		if uint(t) >= uint(n) {
			return false
		}
		target[i] = int(t)
	}
	if words == 1 {
		neg = neg[:len(target)]
		for i, t := range target {
			neg[i] = last &^ (1 << (t & 63))
		}
	} else {
		for i := range neg {
			neg[i] = ^uint64(0)
		}
		for _, t := range target {
			neg[words-1] = last
			neg[t/64] &^= 1 << (t % 64)
			neg = neg[words:]
		}
	}
	c.onlyTarget = true
	return true
}

// Fresh tells that new positives are read: into Pos and Neg, if by nothing else.
func (b *Bits) Fresh() { b.onlyFlat, b.onlyTarget = false, false }

// Unpack makes sure that Pos and Neg are there.
func (c *Chunk[T]) Unpack() {
	if c.onlyTarget {
		c.onlyTarget = false
		clear(c.Pos)
		for i, t := range c.Target {
			c.Pos[i*c.Words+t/64] = 1 << (t % 64)
		}
	}
	if !c.onlyFlat {
		return
	}
	c.onlyFlat = false
	last, at := kernel.LastWord(c.N), 0
	for i := range c.Rows {
		p := c.flatPos[at/64] >> (at % 64)
		if left := 64 - at%64; left < c.N {
			p |= c.flatPos[at/64+1] << left
		}
		c.Pos[i], c.Neg[i] = p&last, ^p&last
		at += c.N
	}
	if c.OneTarget {
		c.Target = kernel.Resize(c.Target, c.Rows)
		for i, p := range c.Pos[:c.Rows] {
			c.Target[i] = bits.TrailingZeros64(p)
		}
	}
}

// FlatPart returns in this form which classes take part; nil if all do.
func (c *Chunk[T]) FlatPart() []uint64 {
	if c.Full {
		return nil
	}
	c.part = kernel.Resize(c.part, len(c.Pos))
	for i, p := range c.Pos {
		c.part[i] = p | c.Neg[i]
	}
	c.flatPart = flatten(c.flatPart, c.part, c.Rows, c.N)
	return c.flatPart
}

// flatten writes rows of n ≤ 64 bits, a word each, without gaps.
func flatten(dst, rowBits []uint64, rows, n int) []uint64 {
	dst = kernel.Resize(dst, kernel.BitWords(rows*n))
	var word uint64
	filled, k := 0, 0
	for _, p := range rowBits[:rows] {
		word |= p << filled
		if filled += n; filled >= 64 {
			dst[k] = word
			k++
			filled -= 64
			word = p >> (n - filled)
		}
	}
	if filled > 0 {
		dst[k] = word
	}
	return dst
}

// ShortExp returns the exponentials of short rows of float32, without gaps, with the
// signs of their sides, in kept if that has the room; and whether none is below the
// smallest normal number (see kernel.ShortExp).
func (c *Chunk[T]) ShortExp(kept []T) (w []T, normal bool) {
	x, n := c.X, c.Rows*c.N
	if c.Stride != c.N {
		c.flat = kernel.Resize(c.flat, n)
		for i := range c.Rows {
			copy(c.flat[i*c.N:][:c.N], c.Row(i))
		}
		x = c.flat
	}
	w = kernel.ResizeAligned(kept, kernel.ShortRoom(Room(c.Rows)*c.N+kernel.ShortRows))
	pos, part := c.FlatPos(), c.FlatPart()
	whole := n &^ (kernel.ShortRows - 1)
	normal = true
	step := max(whole, 1)
	if c.Near() {
		step = c.NearLen()
	}
	for from := 0; from < whole; from += step {
		to := min(from+step, whole)
		of := part
		if of != nil {
			of = of[from/64:]
		}
		block := kernel.ShortExp(kernel.As32(w[from:]), kernel.As32(c.flatScores(x, from, to)), pos[from/64:], of)
		normal = normal && block
	}
	if whole < n {
		// What is left, as a whole group.
		var y [kernel.ShortRows]float32
		copy(y[:], kernel.As32(c.flatScores(x, whole, n)))
		last := [2]uint64{pos[whole/64] >> (whole % 64)}
		var of []uint64
		if part != nil {
			last[1] = part[whole/64] >> (whole % 64)
			of = last[1:]
		}
		rest := kernel.ShortExp(kernel.As32(w[whole:]), y[:], last[:1], of)
		normal = normal && rest
	}
	return w, normal
}

// flatScores returns scores from from to to-1 of x, rows without gaps, or of Half.
func (c *Chunk[T]) flatScores(x []T, from, to int) []T {
	if c.Near() {
		return c.Widened(from, to)
	}
	return x[from:to]
}
