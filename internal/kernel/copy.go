package kernel

import "unsafe"

// copyBlock is the number of bytes that kernels copy at a time.
const copyBlock = 256

// A Copy is a copy to memory that is still to be made: a chunk's gradient,
// on the way from a buffer in the near caches to its place. Kernels make it
// while they compute the next chunk, past the caches, so that writing takes no
// time of its own. Its zero value copies nothing.
//
// Kernels make it without a fence. What a worker has written is seen once it is
// done all the same: the atomic operation by which it looks for another chunk waits
// for such stores, too, and copyStream has its own fence.
type Copy[T Float] struct {
	to, from []T // whole blocks; to begins at a multiple of 64 bytes
}

// NewCopy returns the copy of from to to, of the same length. It copies at
// once what is not in whole blocks.
func NewCopy[T Float](to, from []T) Copy[T] {
	head := min(Misaligned(to), len(to))
	perBlock := copyBlock / int(unsafe.Sizeof(to[0]))
	end := head + (len(to)-head)/perBlock*perBlock
	copy(to[:head], from)
	copy(to[end:], from[end:])
	return Copy[T]{to[head:end], from[head:end]}
}

// NewCopy16 is NewCopy of 16-bit elements.
func NewCopy16[T Float](to, from []uint16) Copy[T] {
	const perBlock = copyBlock / 2
	head := min(int(-uintptr(unsafe.Pointer(unsafe.SliceData(to)))%64/2), len(to))
	end := head + (len(to)-head)/perBlock*perBlock
	copy(to[:head], from)
	copy(to[end:], from[end:])
	if head == end {
		return Copy[T]{}
	}
	var x T
	n := (end - head) * 2 / int(unsafe.Sizeof(x))
	return Copy[T]{
		unsafe.Slice((*T)(unsafe.Pointer(&to[head])), n),
		unsafe.Slice((*T)(unsafe.Pointer(&from[head])), n),
	}
}

// Split takes so many blocks out, the first ones, or all.
func (c *Copy[T]) Split(blocks int) Copy[T] {
	var x T
	n := min(blocks*copyBlock/int(unsafe.Sizeof(x)), len(c.to))
	first := Copy[T]{c.to[:n], c.from[:n]}
	c.to, c.from = c.to[n:], c.from[n:]
	return first
}

// blocks is the number of blocks.
func (c *Copy[T]) blocks() int {
	var x T
	return len(c.to) * int(unsafe.Sizeof(x)) / copyBlock
}

// done tells that a kernel has made the copy.
func (c *Copy[T]) done() { *c = Copy[T]{} }

// Finish makes the copy, if nobody has.
func (c *Copy[T]) Finish() {
	if n := c.blocks() * copyBlock / 4; n > 0 {
		copyStream(unsafe.Slice((*float32)(unsafe.Pointer(&c.to[0])), n), unsafe.Slice((*float32)(unsafe.Pointer(&c.from[0])), n))
	}
	c.done()
}

// Streaming reports whether the tier can write past the caches.
func Streaming() bool { return Active == AVX2 || Active == AVX512 }

// copyStreamGeneric copies x to dst, through the caches.
func copyStreamGeneric(dst, x []float32) { copy(dst, x) }
