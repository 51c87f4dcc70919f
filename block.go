package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/scalar"
)

// BlockLen is the length of the blocks in which a row is read. A row's sum of
// exponentials is the exact sum of its blocks' sums.
const BlockLen = 4096

// batch is the number of rows, or of blocks of a row, whose sums are taken by
// one call of a kernel.
const batch = 64

// sums are the results of one call of sumExp.
type sums struct{ hi, err [batch]float64 }

// shiftFrom is the magnitude from which on the maximum of a block is subtracted
// from its scores: there the difference is exact where the exponential of it
// counts. Below, the exponentials are divided by a power of two instead.
const shiftFrom = 2048

// pivotParams returns sumExp's parameters for the pivot c: scores are clamped to
// (c-125.9)·ln(2) and (c+126.9)·ln(2), for float64 (c-1021.9)·ln(2) and
// (c+1022.9)·ln(2).
func pivotParams[T Float](c float64) rowParams[T] {
	if isFloat32[T]() {
		return rowParams[T]{T(magic32 - c), T((c - 125.9) * math.Ln2), T((c + 126.9) * math.Ln2)}
	}
	return rowParams[T]{T(magic64 - c), T((c - 1021.9) * math.Ln2), T((c + 1022.9) * math.Ln2)}
}

// natural reports whether the sum at pivot 0 may be used as it is.
func natural[T Float](sum float64) bool {
	if isFloat32[T]() {
		return sum >= naturalLow32 && sum <= naturalHigh32
	}
	return sum >= naturalLow64 && sum <= naturalHigh64
}

// A class tells what the sum of exponentials of a block or row is.
type class uint8

const (
	nothing  class = iota // no score above -Inf
	finite                // a power
	infinite              // +Inf among the scores, no NaN
	notANumber
)

// blockPower returns the sum of exponentials of a block that is not natural.
func blockPower[T Float](x []T) (power, class) {
	top := [1]T{}
	maximum(top[:], x, len(x), 1, len(x))
	m := float64(top[0])
	switch {
	case m != m:
		return power{}, notANumber
	case m > math.MaxFloat64:
		return power{}, infinite
	case m < -math.MaxFloat64:
		return power{}, nothing
	}
	var hi, err [1]float64
	if math.Abs(m) < shiftFrom {
		c := math.RoundToEven(m * math.Log2E)
		p := pivotParams[T](c)
		sumExp(hi[:], err[:], x, len(x), 1, len(x), &p)
		return power{hi: hi[0], lo: err[0], exp: int64(c)}, finite
	}
	var shifted [BlockLen]T
	for i, v := range x {
		shifted[i] = v - top[0]
	}
	p := pivotParams[T](0)
	sumExp(hi[:], err[:], shifted[:len(x)], len(x), 1, len(x), &p)
	if math.Abs(m) >= 1<<62 {
		return power{hi: hi[0], lo: err[0], shift: m}, finite
	}
	// e^m = 2^exp·e^r
	exp, r := scalar.Reduce(m)
	f := scalar.Exp(r)
	h := float64(hi[0] * f)
	return power{hi: h, lo: math.FMA(hi[0], f, -h) + float64(err[0]*f), exp: exp}, finite
}

// An expSum is the sum of exponentials of any number of scores.
type expSum struct {
	powers powerSum
	class  class
}

// addScores adds the exponentials of x, whose blocks begin at its start.
func addScores[T Float](s *expSum, x []T) {
	p := pivotParams[T](0)
	var b sums
	for len(x) > 0 {
		rows, n := min(len(x)/BlockLen, batch), BlockLen
		if rows == 0 {
			rows, n = 1, len(x)
		}
		sumExp(b.hi[:], b.err[:], x, n, rows, n, &p)
		for i := range rows {
			q, c := power{hi: b.hi[i], lo: b.err[i]}, finite
			if !natural[T](q.hi) {
				q, c = blockPower(x[i*n:][:n])
			}
			if c == finite {
				s.powers.add(q)
			}
			s.class = max(s.class, c)
		}
		x = x[rows*n:]
	}
}

// merge adds the scores that t has seen.
func (s *expSum) merge(t *expSum) {
	s.powers.merge(&t.powers)
	s.class = max(s.class, t.class)
}

// result returns the sum, where it is finite.
func (s *expSum) result() (power, class) {
	if s.class != finite {
		return power{}, s.class
	}
	return s.powers.power(), finite
}

// rowPower returns the sum of exponentials of a row.
func rowPower[T Float](x []T) (power, class) {
	if len(x) == 0 {
		return power{}, nothing
	}
	if len(x) > BlockLen {
		var s expSum
		addScores(&s, x)
		return s.result()
	}
	var hi, err [1]float64
	p := pivotParams[T](0)
	sumExp(hi[:], err[:], x, len(x), 1, len(x), &p)
	if natural[T](hi[0]) {
		return power{hi: hi[0], lo: err[0]}.normalized(), finite
	}
	q, c := blockPower(x)
	if c == finite {
		q = q.normalized()
	}
	return q, c
}

// log returns the logarithm of a sum of exponentials.
func (c class) log(p power) float64 {
	switch c {
	case nothing:
		return math.Inf(-1)
	case finite:
		return p.log()
	case infinite:
		return math.Inf(1)
	}
	return canonicalNaN[float64]()
}
