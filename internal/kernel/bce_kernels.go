package kernel

import "unsafe"

type (
	// A bceKernel evaluates rows, with the fields of BCEArgs for arguments.
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
func (a *BCEArgs[T]) run(kernels *bceKernels[T]) {
	form := 0
	if a.Shifted {
		form = 1
	}
	if a.Weighted() {
		form = 2
	}
	params := (*[3]T)(unsafe.SliceData(a.Params))
	negWeight, posWeight := unsafe.SliceData(a.NegWeight), unsafe.SliceData(a.PosWeight)
	if a.Dst == nil {
		kernels.sums[form](&a.Sum[0], unsafe.SliceData(a.Product), nil, 0,
			&a.X[0], a.Stride, a.Rows, a.N, &a.Pos[0], &a.Neg[0], a.Words, params, negWeight, posWeight)
		return
	}
	kernels.grads[form](&a.Sum[0], unsafe.SliceData(a.Product), &a.Dst[0], a.DstStride,
		&a.X[0], a.Stride, a.Rows, a.N, &a.Pos[0], &a.Neg[0], a.Words, params, negWeight, posWeight,
		unsafe.SliceData(a.Copy.to), unsafe.SliceData(a.Copy.from), a.Copy.blocks())
	a.Copy.done()
}

// BCE runs the kernel of the element type.
func BCE[T Float](a *BCEArgs[T]) {
	if IsFloat32[T]() {
		bce32((*BCEArgs[float32])(unsafe.Pointer(a)))
	} else {
		bce64((*BCEArgs[float64])(unsafe.Pointer(a)))
	}
}
