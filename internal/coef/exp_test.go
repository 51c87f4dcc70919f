package coef

import (
	"math/big"
	"testing"

	"github.com/zlpr/zlpr/internal/ref"
)

// largestOn returns the largest |f| on n points of [a, b], with the point.
func largestOn(a, b float64, n int, f func(x float64) *big.Float) (worst, at float64) {
	for _, x := range chebyshev(a, b, n) {
		if e, _ := number(0).Abs(f(x)).Float64(); e > worst {
			worst, at = e, x
		}
	}
	return worst, at
}

// horner returns Σ c[i] x^i, exactly as far as the precision goes.
func horner(x float64, c []float64) *big.Float { return hornerOf(number(x), c) }

func hornerOf(x *big.Float, c []float64) *big.Float {
	s := number(0)
	for i := len(c) - 1; i >= 0; i-- {
		s = add(mul(s, x), number(c[i]))
	}
	return s
}

func exp32() []float64 {
	c := []float64{1, 1}
	for _, v := range Exp32 {
		c = append(c, float64(v))
	}
	return c
}

func exp64() []float64 { return append([]float64{1, 1}, Exp64[:]...) }

func TestExpPolynomials(t *testing.T) {
	for _, c := range []struct {
		name         string
		coefficients []float64
		half         float64
		bound        float64 // log2 of the relative error
	}{
		{"Exp32", exp32(), ExpReduced32, -28.25},
		{"Exp64", exp64(), ExpReduced64, -57.915},
	} {
		worst, at := largestOn(-c.half, c.half, 5001, func(r float64) *big.Float {
			return sub(quo(horner(r, c.coefficients), ref.Exp(number(r))), number(1))
		})
		t.Logf("%s: error 2^%.4f at %x", c.name, log2(number(worst)), at)
		if log2(number(worst)) > c.bound {
			t.Errorf("%s: error above 2^%g", c.name, c.bound)
		}
	}
}

// TestExpReduction proves the bound on r: it is largest half-way between two
// multiples of ln 2, where n·ln2 and the rounded product n/Log2E differ most.
func TestExpReduction(t *testing.T) {
	ln2 := ref.Ln2()
	for _, c := range []struct {
		log2e, argument, reduced float64
	}{
		{float64(Log2E32), ExpArgument32, ExpReduced32},
		{Log2E64, ExpArgument64, ExpReduced64},
	} {
		// |x Log2E - n| ≤ 1/2, so |x - n ln2| ≤ ln2/2 + |x| |1 - ln2·Log2E|.
		slope := number(0).Abs(sub(number(1), mul(ln2, number(c.log2e))))
		r := add(mul(ln2, number(0.5)), mul(number(c.argument), slope))
		if r.Cmp(number(c.reduced)) > 0 {
			t.Errorf("|r| reaches %g, above %g", r, c.reduced)
		}
	}
}

func TestLn2(t *testing.T) {
	ln2 := ref.Ln2()
	for _, c := range []struct {
		hi, lo float64
		round  func(*big.Float) float64
		log2e  float64
	}{
		{float64(Ln2Hi32), float64(Ln2Lo32), toFloat32, float64(Log2E32)},
		{Ln2Hi64, Ln2Lo64, toFloat64, Log2E64},
	} {
		hi := c.round(ln2)
		if c.hi != hi || c.lo != c.round(sub(ln2, number(hi))) || c.log2e != c.round(quo(number(1), ln2)) {
			t.Errorf("%x + %x, %x are not ln 2 and its inverse", c.hi, c.lo, c.log2e)
		}
	}
}
