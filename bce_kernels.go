package zlpr

import "unsafe"

type (
	// A bceKernel evaluates rows, with the fields of bceArgs for arguments.
	bceKernel[T Float] func(sum, product *float64, dst *T, dstStride int, x *T, stride, rows, n int,
		pos, neg *uint64, words int, p *[3]T, negWeight, posWeight *T)

	// A bceGradKernel writes the gradient as well. Meanwhile it makes a copy.
	bceGradKernel[T Float] func(sum, product *float64, dst *T, dstStride int, x *T, stride, rows, n int,
		pos, neg *uint64, words int, p *[3]T, negWeight, posWeight *T, to, from *T, blocks int)

	// bceKernels are the kernels of a tier, by form: plain, with thresholds, and
	// with those and weights.
	bceKernels[T Float] struct {
		sums  [3]bceKernel[T]
		grads [3]bceGradKernel[T]
	}
)

// run calls the kernel that the arguments ask for.
func (a *bceArgs[T]) run(kernels *bceKernels[T]) {
	form := 0
	if a.shifted {
		form = 1
	}
	if a.weighted() {
		form = 2
	}
	params := (*[3]T)(unsafe.SliceData(a.params))
	negWeight, posWeight := unsafe.SliceData(a.negWeight), unsafe.SliceData(a.posWeight)
	if a.dst == nil {
		kernels.sums[form](&a.sum[0], unsafe.SliceData(a.product), nil, 0,
			&a.x[0], a.stride, a.rows, a.n, &a.pos[0], &a.neg[0], a.words, params, negWeight, posWeight)
		return
	}
	kernels.grads[form](&a.sum[0], unsafe.SliceData(a.product), &a.dst[0], a.dstStride,
		&a.x[0], a.stride, a.rows, a.n, &a.pos[0], &a.neg[0], a.words, params, negWeight, posWeight,
		unsafe.SliceData(a.copy.to), unsafe.SliceData(a.copy.from), a.copy.blocks())
	a.copy.done()
}

// bceSum runs the kernel of the element type.
func bceSum[T Float](a *bceArgs[T]) {
	if isFloat32[T]() {
		bce32((*bceArgs[float32])(unsafe.Pointer(a)))
	} else {
		bce64((*bceArgs[float64])(unsafe.Pointer(a)))
	}
}
