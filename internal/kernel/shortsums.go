package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file is the specification of the kernels of log-sum-exp of short rows: every
// tier gives the bits of these functions. As with the losses the exponentials of many
// rows are evaluated one after the other, and then rows are brought down to their
// sums side by side. The sums are those of root's sumExp at pivot 0: a row's lanes are
// added in that order.

// shortPowers32Generic writes e^y·2^-c, x[i] clamped, to w[i], with p = {magic of c, low, high}.
func shortPowers32Generic(w, x []float32, p *RowParams[float32]) {
	var e [2 * Lanes32]float32
	for len(x) > 0 {
		Exp32(&e, x[:len(e)], p[0], p[1], p[2])
		copy(w, e[:])
		w, x = w[len(e):], x[len(e):]
	}
}

// shortPowers64Generic is shortPowers32Generic for float64.
func shortPowers64Generic(w, x []float64, p *RowParams[float64]) {
	var e [2 * Lanes64]float64
	for len(x) > 0 {
		Exp64(&e, x[:len(e)], p[0], p[1], p[2])
		copy(w, e[:])
		w, x = w[len(e):], x[len(e):]
	}
}

// shortTotals32Generic writes the sums of rows of n to sum. It reports whether all are
// plain.
func shortTotals32Generic(sum, _ []float64, w []float32, rows, n int) bool {
	all := true
	for i := range rows {
		var e [ShortRow]float32
		copy(e[:], w[i*n:][:n])
		var acc [Lanes32]float64
		for l := range acc {
			acc[l] = float64(e[l] + e[Lanes32+l])
		}
		for half := Lanes32 / 2; half > 1; half /= 2 {
			for l := range half {
				acc[l] += acc[half+l]
			}
		}
		sum[i] = acc[0] + acc[1]
		all = plain(acc[0], acc[1], sum[i], coef.PlainRatio32, coef.NaturalLow32, coef.NaturalHigh32) && all
	}
	return all
}

// shortTotals64Generic is shortTotals32Generic for float64. The errors of the sums go
// to err.
func shortTotals64Generic(sum, err, w []float64, rows, n int) bool {
	all := true
	for i := range rows {
		var x [ShortRow]float64
		copy(x[:], w[i*n:][:n])
		var acc, e [Lanes64]float64
		for l := range acc {
			acc[l], e[l] = TwoSum(x[l]+x[Lanes64+l], 0, x[2*Lanes64+l]+x[3*Lanes64+l])
		}
		for half := Lanes64 / 2; half > 1; half /= 2 {
			for l := range half {
				acc[l], e[l] = TwoSum(acc[l], e[l]+e[half+l], acc[half+l])
			}
		}
		sum[i], err[i] = TwoSum(acc[0], e[0]+e[1], acc[1])
		all = plain(acc[0], acc[1], sum[i], coef.PlainRatio64, coef.NaturalLow64, coef.NaturalHigh64) && all
	}
	return all
}

// plain reports whether a sum of two parts is natural and neither part almost all of
// it.
func plain(a, b, sum, ratio, low, high float64) bool {
	return math.Min(a, b)*ratio >= sum && sum >= low && sum <= high
}
