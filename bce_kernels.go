package zlpr

import "unsafe"

// A bceKernel evaluates rows, with the fields of bceArgs for arguments.
type bceKernel[T Float] func(sum, product *float64, dst *T, dstStride int, x *T, stride, rows, n int,
	pos, neg *uint64, words int, p *[3]T, negWeight, posWeight *T)

// run calls the kernel, of those with and without gradient, of the form that
// the arguments ask for: none, thresholds, weights, or a gradient past the
// caches.
func (a *bceArgs[T]) run(kernels *[2][4]bceKernel[T]) {
	form, gradient := 0, 0
	if a.shifted {
		form = 1
	}
	if a.weighted() {
		form = 2
	}
	if a.dst != nil {
		gradient = 1
		if a.stream && form == 0 {
			form = 3
		}
	}
	kernels[gradient][form](&a.sum[0], unsafe.SliceData(a.product), unsafe.SliceData(a.dst), a.dstStride,
		&a.x[0], a.stride, a.rows, a.n, &a.pos[0], &a.neg[0], a.words,
		(*[3]T)(unsafe.SliceData(a.params)), unsafe.SliceData(a.negWeight), unsafe.SliceData(a.posWeight))
}

// bceSum runs the kernel of the element type.
func bceSum[T Float](a *bceArgs[T]) {
	if isFloat32[T]() {
		bce32((*bceArgs[float32])(unsafe.Pointer(a)))
	} else {
		bce64((*bceArgs[float64])(unsafe.Pointer(a)))
	}
}
