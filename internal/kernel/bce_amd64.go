//go:build !purego

package kernel

// The kernels of the tiers.
var (
	bceAVX512x32 = bceKernels[float32]{
		[3]bceKernel[float32]{bceSums32AVX512, bceSumsShifted32AVX512, bceSumsWeighted32AVX512},
		[3]bceGradKernel[float32]{bceGrad32AVX512, bceGradShifted32AVX512, bceGradWeighted32AVX512},
	}
	bceAVX512x64 = bceKernels[float64]{
		[3]bceKernel[float64]{bceSums64AVX512, bceSumsShifted64AVX512, bceSumsWeighted64AVX512},
		[3]bceGradKernel[float64]{bceGrad64AVX512, bceGradShifted64AVX512, bceGradWeighted64AVX512},
	}
	bceAVX2x32 = bceKernels[float32]{
		[3]bceKernel[float32]{bceSums32AVX2, bceSumsShifted32AVX2, bceSumsWeighted32AVX2},
		[3]bceGradKernel[float32]{bceGrad32AVX2, bceGradShifted32AVX2, bceGradWeighted32AVX2},
	}
	bceAVX2x64 = bceKernels[float64]{
		[3]bceKernel[float64]{bceSums64AVX2, bceSumsShifted64AVX2, bceSumsWeighted64AVX2},
		[3]bceGradKernel[float64]{bceGrad64AVX2, bceGradShifted64AVX2, bceGradWeighted64AVX2},
	}
)

func bce32(a *BCEArgs[float32]) {
	switch Active {
	case AVX512:
		a.run(&bceAVX512x32)
	case AVX2:
		a.run(&bceAVX2x32)
	default:
		a.Copy.Finish()
		bce32Generic(a)
	}
}

func bce64(a *BCEArgs[float64]) {
	switch Active {
	case AVX512:
		a.run(&bceAVX512x64)
	case AVX2:
		a.run(&bceAVX2x64)
	default:
		a.Copy.Finish()
		bce64Generic(a)
	}
}
