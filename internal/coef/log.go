package coef

// Log64 are the coefficients of R(z) = z·(L1 + L2·z + … + L7·z⁶), z = s²,
// s = f/(2+f), in
//
//	log(1+f) = f - (f²/2 - s·(f²/2 + R))
//
// for 1+f in [√½, √2], |s| ≤ 0.1716: those of fdlibm's e_log.c (Sun
// Microsystems, 1993), with |log(1+f) approximated - exact|/s below 2^-58.45.
var Log64 = [7]float64{
	0x1.5555555555593p-1,
	0x1.999999997fa04p-2,
	0x1.2492494229359p-2,
	0x1.c71c51d8e78afp-3,
	0x1.7466496cb03dep-3,
	0x1.39a09d078c69fp-3,
	0x1.2f112df3e5244p-3,
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
