package bce

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// A pair is the sum of two numbers, the second some ULP of the first at most. The
// relative errors of its arithmetic are some 2^-100; where the first numbers of a sum
// have different signs, of the larger.
type pair struct{ hi, lo float64 }

// plus returns a + b.
func (a pair) plus(b pair) pair {
	if math.Abs(a.hi) < math.Abs(b.hi) {
		a, b = b, a
	}
	return a.plusSmaller(b)
}

// plusSmaller returns a + b, |a| ≥ |b|.
func (a pair) plusSmaller(b pair) pair {
	s := a.hi + b.hi
	return pair{s, (b.hi - (s - a.hi)) + (a.lo + b.lo)}
}

func (a pair) times(b pair) pair {
	p := float64(a.hi * b.hi)
	return pair{p, math.FMA(a.hi, b.hi, -p) + math.FMA(a.hi, b.lo, float64(a.lo*b.hi))}
}

func (a pair) over(b pair) pair {
	q := a.hi / b.hi
	rest := math.FMA(-q, b.hi, a.hi) + math.FMA(-q, b.lo, a.lo)
	return normal(q, rest/b.hi)
}

// normal returns hi + lo, |lo| being small beside |hi|.
func normal(hi, lo float64) pair {
	s := hi + lo
	return pair{s, lo - (s - hi)}
}

// inverseFactorials and inverseOdd are 1/k! and 1/(2k+1), the first ones as pairs.
var (
	inverseFactorials [17]pair
	inverseOdd        [22]pair
)

func init() {
	f := pair{1, 0}
	for k := range inverseFactorials {
		if k > 0 {
			f = f.over(pair{float64(k), 0})
		}
		inverseFactorials[k] = f
	}
	for k := range inverseOdd {
		inverseOdd[k] = pair{1, 0}.over(pair{float64(2*k + 1), 0})
	}
}

// expPair returns e^(x+short) for -700 < x ≤ 0 and a small short, with a relative
// error below 2^-64. After the reduction, |r| ≤ ln(2)/2, the terms from r⁵ on are
// below 2^-14: for them float64 will do.
func expPair(x, short float64) pair {
	n := math.Round(x * coef.Log2E64)
	r := normal(math.FMA(-n, coef.Ln2Hi64, x), float64(-n*coef.Ln2Lo64)+short)
	const whole = 5
	t := 0.0
	for k := len(inverseFactorials) - 1; k > whole; k-- {
		t = math.FMA(t, r.hi, inverseFactorials[k].hi)
	}
	p := inverseFactorials[whole].plusSmaller(pair{float64(t * r.hi), 0})
	for k := whole - 1; k >= 0; k-- {
		p = inverseFactorials[k].plusSmaller(p.times(r))
	}
	scale := math.Float64frombits(uint64(1023+int(n)) << 52)
	return pair{float64(p.hi * scale), float64(p.lo * scale)}
}

// log1pPair returns log(1+e), -1/2 ≤ e ≤ 1, with a relative error below 2^-64:
//
//	2s·(1 + z/3 + z²/5 + …),  s = e/(2+e),  z = s² ≤ 1/9
//
// From z³ on float64 will do.
func log1pPair(e pair) pair {
	s := e.over(pair{2, 0}.plusSmaller(e))
	z := s.times(s)
	const whole = 3
	t, last := 0.0, len(inverseOdd)-1
	if z.hi < 0x1p-7 {
		last = 10 // z¹¹ is below 2^-76
	}
	for k := last; k > whole; k-- {
		t = math.FMA(t, z.hi, inverseOdd[k].hi)
	}
	p := inverseOdd[whole].plusSmaller(pair{float64(t * z.hi), 0})
	for k := whole - 1; k >= 0; k-- {
		p = inverseOdd[k].plusSmaller(p.times(z))
	}
	return p.times(pair{float64(2 * s.hi), float64(2 * s.lo)})
}
