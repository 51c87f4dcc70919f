package subset

import "math"

// A sum2 is a sum in twice the working precision.
type sum2 struct{ high, low float64 }

func (s *sum2) add(x float64) {
	x = float64(x) // rounded, where add is inlined and x is a product
	t := s.high + x
	b := t - s.high
	s.low += (s.high - (t - b)) + (x - b)
	s.high = t
}

// addProduct adds a·b.
func (s *sum2) addProduct(a, b float64) {
	p := float64(a * b)
	s.add(p)
	s.low += math.FMA(a, b, -p)
}

// addDifference adds a - b.
func (s *sum2) addDifference(a, b float64) {
	d, err := twoDifference(a, b)
	s.add(d)
	s.low += err
}

// value returns the sum, ±Inf where that lies beyond the numbers and all terms
// have one sign.
func (s *sum2) value() float64 {
	if math.IsInf(s.high, 0) {
		return s.high // low is NaN
	}
	return s.high + s.low
}

// twoDifference returns a - b rounded and the error.
func twoDifference(a, b float64) (d, err float64) {
	a, b = float64(a), float64(b) // rounded, where they are products and this is inlined
	d = a - b
	t := d - a
	return d, (a - (d - t)) - (b + t)
}
