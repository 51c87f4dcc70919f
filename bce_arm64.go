//go:build !purego

package zlpr

// The kernels by whether they write the gradient, and by form.
var (
	bceNEONx32 = [2][4]bceKernel[float32]{
		{bceSums32NEON, bceSumsShifted32NEON, bceSumsWeighted32NEON},
		{bceGrad32NEON, bceGradShifted32NEON, bceGradWeighted32NEON, bceGrad32NEON},
	}
	bceNEONx64 = [2][4]bceKernel[float64]{
		{bceSums64NEON, bceSumsShifted64NEON, bceSumsWeighted64NEON},
		{bceGrad64NEON, bceGradShifted64NEON, bceGradWeighted64NEON, bceGrad64NEON},
	}
)

func bce32(a *bceArgs[float32]) {
	if activeTier == tierNEON {
		a.run(&bceNEONx32)
	} else {
		bce32Generic(a)
	}
}

func bce64(a *bceArgs[float64]) {
	if activeTier == tierNEON {
		a.run(&bceNEONx64)
	} else {
		bce64Generic(a)
	}
}
