package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
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

// blockPower returns the sum of exponentials of a block that is not natural.
func blockPower[T Float](x []T) (power.Number, power.Class) {
	top := [1]T{}
	maximum(top[:], x, len(x), 1, len(x))
	m := float64(top[0])
	switch {
	case m != m:
		return power.Number{}, power.NotANumber
	case m > math.MaxFloat64:
		return power.Number{}, power.Infinite
	case m < -math.MaxFloat64:
		return power.Number{}, power.Nothing
	}
	var hi, err [1]float64
	if math.Abs(m) < coef.ShiftFrom {
		c := math.RoundToEven(m * math.Log2E)
		p := kernel.PivotParams[T](c)
		sumExp(hi[:], err[:], x, len(x), 1, len(x), &p)
		return power.Number{Hi: hi[0], Lo: err[0], Exp: int64(c)}, power.Finite
	}
	var shifted [BlockLen]T
	for i, v := range x {
		shifted[i] = v - top[0]
	}
	p := kernel.PivotParams[T](0)
	sumExp(hi[:], err[:], shifted[:len(x)], len(x), 1, len(x), &p)
	if math.Abs(m) >= 1<<62 {
		return power.Number{Hi: hi[0], Lo: err[0], Shift: m}, power.Finite
	}
	// e^m = 2^exp·e^r
	exp, r := scalar.Reduce(m)
	f := scalar.Exp(r)
	h := float64(hi[0] * f)
	return power.Number{Hi: h, Lo: math.FMA(hi[0], f, -h) + float64(err[0]*f), Exp: exp}, power.Finite
}

// An expSum is the sum of exponentials of any number of scores.
type expSum struct {
	powers power.Sum
	class  power.Class
}

// addScores adds the exponentials of x, whose blocks begin at its start.
func addScores[T Float](s *expSum, x []T) {
	p := kernel.PivotParams[T](0)
	var b sums
	for len(x) > 0 {
		rows, n := min(len(x)/BlockLen, batch), BlockLen
		if rows == 0 {
			rows, n = 1, len(x)
		}
		sumExp(b.hi[:], b.err[:], x, n, rows, n, &p)
		for i := range rows {
			q, c := power.Number{Hi: b.hi[i], Lo: b.err[i]}, power.Finite
			if !kernel.Natural[T](q.Hi) {
				q, c = blockPower(x[i*n:][:n])
			}
			if c == power.Finite {
				s.powers.Add(q)
			}
			s.class = max(s.class, c)
		}
		x = x[rows*n:]
	}
}

// merge adds the scores that t has seen.
func (s *expSum) merge(t *expSum) {
	s.powers.Merge(&t.powers)
	s.class = max(s.class, t.class)
}

// result returns the sum, where it is finite.
func (s *expSum) result() (power.Number, power.Class) {
	if s.class != power.Finite {
		return power.Number{}, s.class
	}
	return s.powers.Value(), power.Finite
}

// rowPower returns the sum of exponentials of a row.
func rowPower[T Float](x []T) (power.Number, power.Class) {
	if len(x) == 0 {
		return power.Number{}, power.Nothing
	}
	if len(x) > BlockLen {
		var s expSum
		addScores(&s, x)
		return s.result()
	}
	var hi, err [1]float64
	p := kernel.PivotParams[T](0)
	sumExp(hi[:], err[:], x, len(x), 1, len(x), &p)
	if kernel.Natural[T](hi[0]) {
		return power.Number{Hi: hi[0], Lo: err[0]}.Normalized(), power.Finite
	}
	q, c := blockPower(x)
	if c == power.Finite {
		q = q.Normalized()
	}
	return q, c
}
