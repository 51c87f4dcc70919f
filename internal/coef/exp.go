// Package coef holds the constants of the range reductions and the
// coefficients of the polynomials, for the Go code and for the generator. Its
// tests prove the stated bounds again.
package coef

// Range reduction: x = n·ln(2) + r. Ln2Hi + Ln2Lo is ln(2) to twice the
// precision; n·Ln2Hi is exact within a fused multiply-add, and so is
// x - n·Ln2Hi, a multiple of Ln2Hi's last bit below 1/2. n being x·Log2E
// rounded, |r| exceeds ln(2)/2 only by what the rounding of Log2E makes; for
// |x| ≤ ExpArgument it stays within ExpReduced.
const (
	Log2E32 = 0x1.715476p+0 // 1/ln(2) rounded to float32
	Ln2Hi32 = 0x1.62e43p-1
	Ln2Lo32 = -0x1.05c61p-29

	Log2E64 = 0x1.71547652b82fep+0 // 1/ln(2) rounded to float64
	Ln2Hi64 = 0x1.62e42fefa39efp-1
	Ln2Lo64 = 0x1.abc9e3b39803fp-56

	ExpArgument32 = 3000
	ExpReduced32  = 0x1.62fp-2
	ExpArgument64 = 1 << 15
	ExpReduced64  = 0x1.62e42ffp-2
)

// Exp32 are c2 … c6 of e^r ≈ 1 + r + r²·(c2 + c3·r + … + c6·r⁴) for
// |r| ≤ ExpReduced32, found for float32 arithmetic: evaluated by Horner's rule
// with fused multiply-adds after the range reduction the error is at most 0.891
// ULP; that of the polynomial is 2^-28.25, relative.
var Exp32 = [5]float32{
	0x1.fffffcp-2,
	0x1.555492p-3,
	0x1.5558b0p-5,
	0x1.12399cp-7,
	0x1.6a4eccp-10,
}

// Exp64 are c2 … c11 of e^r ≈ 1 + r + r²·(c2 + c3·r + … + c11·r⁹) for
// |r| ≤ ExpReduced64: the minimax polynomial of the relative error, one
// coefficient after the other rounded to float64. The error is 2^-57.915 =
// 0.033·2⁻⁵³.
var Exp64 = [10]float64{
	0x1.000000000000ap-1,
	0x1.555555555550dp-3,
	0x1.55555555507bap-5,
	0x1.111111112453ep-7,
	0x1.6c16c184319e8p-10,
	0x1.a01a013850defp-13,
	0x1.a0199a21bb23cp-16,
	0x1.71df0cc01f5d1p-19,
	0x1.28ad4c1ef8771p-22,
	0x1.ad9ef35de5e88p-26,
}

// ExpPair64 are 1/k!, k = 4 … 15, for e^r in twice the precision, |r| ≤ ExpReduced64: the rest of
// the series is below 2^-68. Sixth and SixthLow are 1/6.
var ExpPair64 = [12]float64{
	1. / 24, 1. / 120, 1. / 720, 1. / 5040, 1. / 40320, 1. / 362880, 1. / 3628800, 1. / 39916800,
	1. / 479001600, 1. / 6227020800, 1. / 87178291200, 1. / 1307674368000,
}

const (
	Sixth    = 0x1.5555555555555p-3
	SixthLow = 0x1.5555555555555p-57
)
