// Package coef holds the constants of the range reductions and the
// coefficients of the polynomials, for the Go code and for the generator. Its
// tests prove the stated bounds again.
package coef

// Range reduction: x = n·ln(2) + r. Ln2Hi + Ln2Lo is ln(2) to twice the
// precision; n·Ln2Hi is exact within a fused multiply-add, and so is
// x - n·Ln2Hi, a multiple of Ln2Hi's last bit below 1/2.
const (
	Log2E32 = 0x1.715476p+0 // 1/ln(2) rounded to float32
	Ln2Hi32 = 0x1.62e43p-1
	Ln2Lo32 = -0x1.05c61p-29

	Log2E64 = 0x1.71547652b82fep+0 // 1/ln(2) rounded to float64
	Ln2Hi64 = 0x1.62e42fefa39efp-1
	Ln2Lo64 = 0x1.abc9e3b39803fp-56
)

// Exp32 are c2 … c6 of e^r ≈ 1 + r + r²·(c2 + c3·r + … + c6·r⁴) for
// |r| ≤ ln(2)/2, found for float32 arithmetic: evaluated by Horner's rule with
// fused multiply-adds after the range reduction the error is at most 0.891 ULP.
var Exp32 = [5]float32{
	0x1.fffffcp-2,
	0x1.555492p-3,
	0x1.5558b0p-5,
	0x1.12399cp-7,
	0x1.6a4eccp-10,
}

// Exp64 are c2 … c11 of e^r ≈ 1 + r + r²·(c2 + c3·r + … + c11·r⁹) for
// |r| ≤ ln(2)/2·(1 + 2⁻¹²): the minimax polynomial of the relative error,
// 3.64e-18 = 0.033·2⁻⁵³, rounded to float64.
var Exp64 = [10]float64{
	0x1.000000000000ap-1,
	0x1.55555555554fap-3,
	0x1.5555555550866p-5,
	0x1.1111111127c50p-7,
	0x1.6c16c1842f543p-10,
	0x1.a01a012a3dc92p-13,
	0x1.a01999fd4834ap-16,
	0x1.71df2574b3df6p-19,
	0x1.28ad8175f32e6p-22,
	0x1.ad7f5e4bdbebep-26,
}
