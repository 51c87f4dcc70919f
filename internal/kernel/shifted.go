package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file is the specification of the kernels of the terms r^γ·(-log(1-r)) of r = p - m,
// p = sigmoid(s): every tier gives the bits of these functions. With e = e^-s,
//
//	r = ((1-m) - m·e)/(1+e),  odds = r/(1-r) = ((1-m) - m·e)/(m·(1+e) + e)
//
// What the difference makes worse is computed to some 2^-61, as two numbers; plain, for
// scores of float32, as one. The logarithms are those of the kernels of log.go, and what
// that of r lacks is had from its exponential: r·e^-log(r) = 1 + δ.

func shiftedOdds64Generic(w []float64, n int, p []float64, plain bool) {
	m, rest, restLow := p[0], p[1], p[2]
	for i := range n {
		if plain {
			e := plainExp(w[coef.ShiftedY+i])
			num := rest - float64(m*e)
			d := 1 + e
			den := math.FMA(m, d, e)
			inverse := 1 / float64(d*den)
			of := float64(den * inverse)
			w[coef.ShiftedR+i] = max(float64(num*of), coef.ShiftedLeast)
			w[coef.ShiftedOddsAt+i] = max(float64(num*float64(d*inverse)), coef.ShiftedLeast)
			w[coef.ShiftedSlope+i] = float64(float64(e*of) * of)
			continue
		}
		e, c := expPair(w[coef.ShiftedY+i])
		// (1-m) - m·e
		h := float64(m * e)
		low := math.FMA(m, c, math.FMA(m, e, -h))
		num := rest - h
		low = ((rest - num) - h) + (restLow - low)
		// 1 + e
		d := 1 + e
		lack := (min(e, 1) - (d - max(e, 1))) + c
		// odds, then r
		den, denLow := math.FMA(m, d, e), math.FMA(m, lack, c)
		inverse := 1 / den
		odds := float64(num * inverse)
		left := math.FMA(-odds, denLow, math.FMA(-odds, den, num)+low)
		w[coef.ShiftedOddsAt+i] = max(math.FMA(left, inverse, odds), coef.ShiftedLeast)
		inverse = 1 / d
		q := float64(num * inverse)
		left = float64(math.FMA(-q, lack, math.FMA(-q, d, num)+low) * inverse)
		r := q + left
		w[coef.ShiftedLow+i] = left - (r - q)
		w[coef.ShiftedR+i] = max(r, coef.ShiftedLeast)
		// e/(1+e)², with what it misses by
		square := float64(d * d)
		squareLow := math.FMA(d, lack+lack, math.FMA(d, d, -square))
		slope := float64(float64(e*inverse) * inverse)
		left = math.FMA(-slope, squareLow, math.FMA(-slope, square, e)) + c
		w[coef.ShiftedSlope+i] = math.FMA(left, float64(inverse*inverse), slope)
	}
}

// plainExp returns e^y.
func plainExp(y float64) float64 {
	y = max(y, coef.ScaleLow64)
	t := math.FMA(y, coef.Log2E64, coef.Magic64)
	n := t - coef.Magic64
	r := math.FMA(n, -coef.Ln2Lo64, math.FMA(n, -coef.Ln2Hi64, y))
	square := float64(r * r)
	p := 1 + math.FMA(square, evenOdd(coef.Exp64[:], r, square), r)
	return float64(p * math.Float64frombits(math.Float64bits(t)<<52))
}

// evenOdd returns c[0] + c[1]·x + …, of an even number of coefficients.
func evenOdd(c []float64, x, square float64) float64 {
	even, odd := c[len(c)-2], c[len(c)-1]
	for i := len(c) - 4; i >= 0; i -= 2 {
		even, odd = math.FMA(even, square, c[i]), math.FMA(odd, square, c[i+1])
	}
	return math.FMA(odd, x, even)
}

// expPair returns e^y as two numbers, |y| up to 700: with the reduced argument r and what
// it lacks
//
//	e^r = 1 + r + r²/2 + r³/6 + r⁴·(1/24 + …)
//
// of which all but the last is computed as two numbers.
func expPair(y float64) (hi, lo float64) {
	t := math.FMA(y, coef.Log2E64, coef.Magic64)
	n := t - coef.Magic64
	y = math.FMA(n, -coef.Ln2Hi64, y) // exact
	x := float64(n * -coef.Ln2Lo64)
	r := y + x
	short := x - (r - y)
	square := float64(r * r)
	squareLow := math.FMA(r, r, -square)
	sixth := float64(r * coef.Sixth)
	sixthLow := math.FMA(r, coef.SixthLow, math.FMA(r, coef.Sixth, -sixth))
	cube := float64(square * sixth)
	low := math.FMA(squareLow, sixth, math.FMA(square, sixthLow, math.FMA(square, sixth, -cube)))
	low = math.FMA(float64(square*square), evenOdd(coef.ExpPair64[:], r, square), low)
	low = math.FMA(squareLow, 0.5, low)
	a := 1 + r
	rest := r - (a - 1)
	half := float64(square * 0.5)
	b := a + half
	rest += half - (b - a)
	a = b + cube
	rest += cube - (a - b)
	low = math.FMA(a, short, rest+low)
	b = a + low
	low -= b - a
	s := math.Float64frombits(math.Float64bits(t) << 52)
	return float64(b * s), float64(low * s)
}

func shiftedTerms64Generic(w []float64, n int, gamma float64, plain bool) {
	for i := range n {
		r, l, logR := w[coef.ShiftedR+i], w[coef.ShiftedLog1p+i], w[coef.ShiftedLog+i]
		y := float64(gamma * logR)
		var power float64
		if plain {
			power = plainExp(y)
		} else {
			e, c := expPair(-logR)
			d := math.FMA(w[coef.ShiftedLow+i], e, math.FMA(r, c, math.FMA(r, e, -1)))
			power, _ = focalPower(y, math.FMA(gamma, d, math.FMA(gamma, logR, -y)), false)
		}
		// 1/(1-r) = 1 + odds
		slope := math.FMA(gamma, l/r, 1+w[coef.ShiftedOddsAt+i])
		w[coef.ShiftedTerm+i] = float64(power * l)
		w[coef.ShiftedDerivative+i] = float64(float64(w[coef.ShiftedSlope+i]*power) * slope)
	}
}
