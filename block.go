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
	kernel.Maximum(top[:], x, len(x), 1, len(x))
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

	sumOnly bool // no logarithm is wanted

	// The logarithm is not below top, the highest of the maxima of peaked blocks:
	// if one score holds almost all of the sum, its block is peaked. That of one
	// peaked block is alone.
	top    float64
	topped bool
	blocks int // with a score above -Inf
	alone  float64
}

// block notes a block's logarithm, which is little above its maximum if it is
// peaked.
func (s *expSum) block(l float64, peaked bool) {
	s.blocks++
	s.alone = l
	if peaked {
		s.reach(l)
	}
}

// plainly reports whether a block of scores x with a natural sum is not peaked, of
// which the exponent of the sum and any score can tell.
func plainly[T Float](x []T, sum float64) bool {
	below, distance := peakedRange[T]()
	// The logarithm lies between those of two powers of two.
	low := float64(int64(math.Float64bits(sum)>>52)-1023) * math.Ln2
	for _, v := range x[:min(len(x), 4)] {
		if d := low - float64(v); d > 2*below && d < distance-0.7 {
			return true
		}
	}
	return false
}

// reach raises top.
func (s *expSum) reach(l float64) {
	if !s.topped || l > s.top {
		s.top, s.topped = l, true
	}
}

// log returns the logarithm of the sum.
func (s *expSum) log() float64 {
	return s.logOf(s.result())
}

// logOf is log, given the result.
func (s *expSum) logOf(p power.Number, c power.Class) float64 {
	if c != power.Finite {
		return c.Log(p)
	}
	if s.blocks == 1 && s.topped {
		return s.alone
	}
	l := c.Log(p) // of one plain block its logarithm
	if s.topped {
		l = max(l, s.top)
	}
	return l
}

// addScores adds the exponentials of x, whose blocks begin at its start.
func addScores[T Float](s *expSum, x []T) {
	var b sums
	addBlocks(s, x, &b)
}

// addBlocks is addScores with a place for the blocks' sums.
func addBlocks[T Float](s *expSum, x []T, b *sums) {
	p := kernel.PivotParams[T](0)
	for len(x) > 0 {
		rows, n := min(len(x)/BlockLen, batch), BlockLen
		if rows == 0 {
			rows, n = 1, len(x)
		}
		sumExp(b.hi[:], b.err[:], x, n, rows, n, &p)
		for i := range rows {
			block := x[i*n:][:n]
			q, c := naturalPower(b.hi[i], b.err[i]), power.Finite
			natural := kernel.Natural[T](q.Hi)
			if !natural {
				q, c = blockPower(block)
			}
			if c == power.Finite {
				s.powers.Add(q)
				switch {
				case s.sumOnly:
				case natural && plainly(block, q.Hi):
					s.blocks++
				default:
					s.block(blockLog(block, q.Normalized(), c))
				}
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
	if s.blocks == 0 {
		s.alone = t.alone
	}
	s.blocks += t.blocks
	if t.topped {
		s.reach(t.top)
	}
}

// result returns the sum, where it is finite.
func (s *expSum) result() (power.Number, power.Class) {
	if s.class != power.Finite {
		return power.Number{}, s.class
	}
	return s.powers.Value(), power.Finite
}

// rowSum returns the sum of exponentials of a row and its logarithm.
func rowSum[T Float](x []T) (p power.Number, c power.Class, l float64) {
	if len(x) == 0 {
		return p, power.Nothing, math.Inf(-1)
	}
	if len(x) > BlockLen {
		var s expSum
		addScores(&s, x)
		p, c = s.result()
		return p, c, s.logOf(p, c)
	}
	var hi, err [1]float64
	q := kernel.PivotParams[T](0)
	sumExp(hi[:], err[:], x, len(x), 1, len(x), &q)
	p, c = naturalPower(hi[0], err[0]), power.Finite
	if !kernel.Natural[T](p.Hi) {
		p, c = blockPower(x)
	}
	if c == power.Finite {
		p = p.Normalized()
	}
	l, _ = blockLog(x, p, c)
	return p, c, l
}

// naturalPower returns a natural sum at pivot 0. Of the error, what clamped
// exponentials may have added does not count.
func naturalPower(hi, err float64) power.Number {
	if math.Abs(err) < BlockLen*0x1p-1021 {
		err = 0
	}
	return power.Number{Hi: hi, Lo: err}
}
