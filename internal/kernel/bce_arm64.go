//go:build !purego

package kernel

// The kernels of the tiers.
var (
	bceNEONx32 = bceKernels[float32]{
		[3]bceKernel[float32]{bceSums32NEON, bceSumsShifted32NEON, bceSumsWeighted32NEON},
		[3]bceGradKernel[float32]{bceGrad32NEON, bceGradShifted32NEON, bceGradWeighted32NEON},
	}
	bceNEONx64 = bceKernels[float64]{
		[3]bceKernel[float64]{bceSums64NEON, bceSumsShifted64NEON, bceSumsWeighted64NEON},
		[3]bceGradKernel[float64]{bceGrad64NEON, bceGradShifted64NEON, bceGradWeighted64NEON},
	}
)

func bce32(a *BCEArgs[float32]) {
	a.Copy.Finish() // kernels of NEON leave it alone
	if Active == NEON {
		a.run(&bceNEONx32)
	} else {
		bce32Generic(a)
	}
}

func bce64(a *BCEArgs[float64]) {
	a.Copy.Finish() // kernels of NEON leave it alone
	if Active == NEON {
		a.run(&bceNEONx64)
	} else {
		bce64Generic(a)
	}
}
