package metrics

import "fmt"

// ZeroDivision is what a precision, a recall, an F-score or a Jaccard index is
// whose denominator is 0: a precision where nothing is predicted, a recall where
// nothing is positive, the others where nothing is either. It is scikit-learn's
// zero_division.
type ZeroDivision uint8

const (
	ZeroDivisionZero ZeroDivision = iota // 0
	ZeroDivisionOne                      // 1
	ZeroDivisionNaN                      // NaN, which averages leave out
)

// String returns what a division by zero gives.
func (z ZeroDivision) String() string {
	if z > ZeroDivisionNaN {
		return "none of the constants"
	}
	return [...]string{"0", "1", "NaN"}[z]
}

func (z ZeroDivision) check() error {
	if z > ZeroDivisionNaN {
		return fmt.Errorf("metrics: ZeroDivision %d, not one of its constants", uint8(z))
	}
	return nil
}

// undefined reports whether the denominator of m is 0, of whether something is
// positive and something is predicted.
func (m metric) undefined(positive, predicted bool) bool {
	switch m.kind {
	case precision:
		return !predicted
	case recall:
		return !positive
	}
	return !positive && !predicted
}

// A measured is a measure of counts, which averages leave out where it is none.
type measured struct {
	fixed
	none bool
}

// settled is the value v of m, or what divisions by zero give in its place.
func (m metric) settled(v fixed, positive, predicted bool) measured {
	if m.zero == ZeroDivisionZero || !m.undefined(positive, predicted) {
		return measured{fixed: v} // of a division by zero 0
	}
	return measured{fixed{Int: 1}, m.zero == ZeroDivisionNaN}
}

// float64 is the value, rounded once.
func (v measured) float64() float64 {
	if v.none {
		return nan
	}
	return v.over(1)
}
