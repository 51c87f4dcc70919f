package sides

import (
	"math"

	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A pair is hi + lo, |lo| at most half an ULP of hi or little more: a number in nearly
// twice the precision of float64, as long as nothing overflows or underflows.
type pair struct{ hi, lo float64 }

// pairOf returns p, which must be within the float64.
func pairOf(p power.Number) pair {
	p = p.Tidy()
	return pair{scalar.Ldexp(p.Hi, int(p.Exp)), scalar.Ldexp(p.Lo, int(p.Exp))}
}

// pairProduct returns x·y.
func pairProduct(x, y float64) pair {
	hi := float64(x * y)
	return pair{hi, math.FMA(x, y, -hi)}
}

// times returns p·q.
func (p pair) times(q pair) pair {
	hi := float64(p.hi * q.hi)
	return pair{hi, math.FMA(p.hi, q.hi, -hi) + math.FMA(p.hi, q.lo, float64(p.lo*q.hi))}.tidy()
}

// over1p returns p/(1+u), u ≥ 0, rounded once.
func (p pair) over1p(u pair) float64 {
	sum := 1 + u.hi
	rest := min(1, u.hi) - (sum - max(1, u.hi)) + u.lo
	inverse := 1 / sum
	q := float64(p.hi * inverse)
	return q + float64((math.FMA(-q, sum, p.hi)+math.FMA(-q, rest, p.lo))*inverse)
}

// tidy makes lo at most half an ULP of hi.
func (p pair) tidy() pair {
	hi := p.hi + p.lo
	return pair{hi, p.lo - (hi - p.hi)}
}
