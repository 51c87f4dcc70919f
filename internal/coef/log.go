package coef

// The logarithm: with s = f/(2+f) and z = s²,
//
//	log(1+f) = 2 atanh(s) = 2s + s·R(z) = f - (f²/2 - s·(f²/2 + R(z)))
//	R(z) = z·(L1 + L2·z + L3·z² + …) ≈ 2z/3 + 2z²/5 + 2z³/7 + …
const LogSquare = 0x1.e24cc825p-6 // z for 1+f in [√½, √2]

// Log64 are L1 … L7 for z ≤ LogSquare. Minimised: the largest error of R, one
// coefficient after the other being rounded to float64; it is 2^-58.49. (The
// logarithm itself is at least 2s.)
var Log64 = [7]float64{
	0x1.5555555555592p-1,
	0x1.999999997ff19p-2,
	0x1.24924941e155dp-2,
	0x1.c71c521450bdep-3,
	0x1.74663ced88dd5p-3,
	0x1.39a1e8c406a7bp-3,
	0x1.2f03ba7b2af25p-3,
}

// LogShort64 are L1 … L4 for z ≤ LogSquare, for logarithms of which float32 has more than
// enough. Minimised as Log64; the error of R is 2^-36.60.
var LogShort64 = [4]float64{
	0x1.555554fd9ca37p-1,
	0x1.999a7a8b043c3p-2,
	0x1.2438d790cc51ap-2,
	0x1.e2f66422a4f09p-3,
}

// LogWide64 are L1 … L8 for z ≤ LogWideSquare. Minimised as Log64; the error of R is
// 2^-61.65.
var LogWide64 = [8]float64{
	0x1.555555555554fp-1,
	0x1.999999999c175p-2,
	0x1.24924921e4c26p-2,
	0x1.c71c748f337fep-3,
	0x1.745c4b02b18bp-3,
	0x1.3b35bb36fd0b8p-3,
	0x1.0dcbfb1280514p-3,
	0x1.1b7ebe5a198aap-3,
}

// LogWideSquare is z for f = 1/2.
const LogWideSquare = 0.04

// Log1pUnit32 are L1 … L4 of R for z ≤ Log1pSquare, which is log(1+e) for e in
// [0, 1]. Minimised as Log64, rounded to float32; the error of R is
// 2^-26.70. (The logarithm itself is at least 2s.)
var Log1pUnit32 = [4]float32{
	0x1.5555p-1,
	0x1.99d29ep-2,
	0x1.1eb3a2p-2,
	0x1.1f0578p-2,
}

// Log1pSquare is z for e = 1.
const Log1pSquare = 1.0 / 9

// ln(2) in two parts for k·ln(2) with a whole number k below 2^21: k·Ln2Head is
// exact.
const (
	Ln2Head = 0x1.62e42feep-1
	Ln2Tail = 0x1.a39ef35793c76p-33
)

// LogOffset brings the significand to [√½, √2): adding it to the bits of a
// number carries into the exponent where the significand is √2 or more.
const (
	SqrtHalfBits = 0x3fe6a09e667f3bcd // of √½, rounded up
	LogOffset    = 0x3ff0000000000000 - SqrtHalfBits
)

// Log1pHyperbolic32 and 64 are c0, c1, … of C in
//
//	log(1+e) = b + z·(1/2 - d·C(z)),  b = e/(1+e),  z = e·b,  d = e + b
//
// for e in [0, 1]: with L = log(1+e) d is 2·sinh(L) and z is 2·cosh(L) - 2, so that L/d is a
// function of z, whose nearest singularity, at -4, is far away. Minimised: the
// largest relative error of the logarithm, one coefficient after the other being rounded; it is
// 2^-25.664 and 2^-56.630.
var Log1pHyperbolic32 = [4]float32{
	0x1.5554b6p-04,
	-0x1.10dfdcp-06,
	0x1.ca8c78p-09,
	-0x1.3f5daep-11,
}

var Log1pHyperbolic64 = [10]float64{
	0x1.5555555555529p-04,
	-0x1.111111110b3efp-06,
	0x1.d41d41cd0ba54p-09,
	-0x1.a019ff9ebe1f0p-11,
	0x1.7a45de604f87fp-13,
	-0x1.5d2525faf0ff5p-15,
	0x1.4567713c724b3p-17,
	-0x1.2daa2cbd5c37ap-19,
	0x1.01b7221281e8ep-21,
	-0x1.2a0a8f3f0842ep-24,
}
