package coef

// The logarithm: with s = f/(2+f) and z = s²,
//
//	log(1+f) = 2 atanh(s) = 2s + s·R(z) = f - (f²/2 - s·(f²/2 + R(z)))
//	R(z) = z·(L1 + L2·z + L3·z² + …) ≈ 2z/3 + 2z²/5 + 2z³/7 + …
const (
	LogSquare   = 0x1.e24cc825p-6      // z for 1+f in [√½, √2]
	Log1pSquare = 0x1.c71c71c71c71dp-4 // z for f in [0, 1]
)

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

// Log1p64 are L1 … L10 for z ≤ Log1pSquare, which spares log(1+f) for f in
// [0, 1] all case distinctions. Minimised as for Log64; the largest error of R
// is 2^-58.38.
var Log1p64 = [10]float64{
	0x1.5555555555535p-1,
	0x1.99999999a0787p-2,
	0x1.2492492089ff9p-2,
	0x1.c71c741db384ap-3,
	0x1.745cb3d3e5311p-3,
	0x1.3b1ddef780257p-3,
	0x1.10679a1a4dba6p-3,
	0x1.efdab6be27d61p-4,
	0x1.55a79c6f662eap-4,
	0x1.5c80962ed5af7p-3,
}

// Log1p32 are c1 … c9 of log(1+w)/w ≈ 1 + c1·w + … + c9·w⁹ for w in [0, 1].
// Minimised: the largest relative error, one coefficient after the other being
// rounded to float32; it is 2^-27.49, 0.09 of 2^-24.
var Log1p32 = [9]float32{
	-0x1.ffffd2p-2,
	0x1.554ddp-2,
	-0x1.ff23e6p-3,
	0x1.934b54p-3,
	-0x1.3a435ep-3,
	0x1.b4ae08p-4,
	-0x1.d6b08cp-5,
	0x1.4917cep-6,
	-0x1.af49cep-9,
}

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
