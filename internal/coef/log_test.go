package coef

import (
	"math"
	"math/big"
	"testing"

	"github.com/zlpr/zlpr/internal/ref"
)

func log1pUnit32() []float64 {
	var c []float64
	for _, v := range Log1pUnit32 {
		c = append(c, float64(v))
	}
	return c
}

func TestLogPolynomials(t *testing.T) {
	for _, c := range []struct {
		name  string
		l     []float64
		end   float64 // of z
		bound float64 // log2 of the error of R
	}{
		{"Log64", Log64[:], LogSquare, -58.49},
		{"LogShort64", LogShort64[:], LogSquare, -36.60},
		{"LogWide64", LogWide64[:], LogWideSquare, -61.65},
		{"Log1pUnit32", log1pUnit32(), Log1pSquare, -26.70},
	} {
		worst, at := largestOn(0, c.end, 5001, func(z float64) *big.Float {
			return sub(mul(number(z), horner(z, c.l)), atanhRest(number(z)))
		})
		t.Logf("%s: error 2^%.4f at z = %x", c.name, log2(number(worst)), at)
		if log2(number(worst)) > c.bound {
			t.Errorf("%s: error above 2^%g", c.name, c.bound)
		}
	}
}

// TestLog1pHyperbolic bounds the errors of Log1pHyperbolic32 and 64, those of the logarithm.
func TestLog1pHyperbolic(t *testing.T) {
	for _, c := range []struct {
		name  string
		c     []float64
		bound float64
	}{
		{"float32", coefficientsOf(Log1pHyperbolic32[:]), -25.664},
		{"float64", Log1pHyperbolic64[:], -56.630},
	} {
		worst, at := largestOn(0x1p-30, 1, 5001, func(x float64) *big.Float {
			e := number(x)
			b := quo(e, add(number(1), e))
			z := mul(e, b)
			rest := sub(number(0.5), mul(add(e, b), hornerOf(z, c.c)))
			return sub(quo(add(b, mul(z, rest)), ref.Log1p(e)), number(1))
		})
		t.Logf("%s: error 2^%.4f at e = %x", c.name, log2(number(worst)), at)
		if log2(number(worst)) > c.bound {
			t.Errorf("%s: error above 2^%g", c.name, c.bound)
		}
	}
}

func coefficientsOf(c []float32) (all []float64) {
	for _, v := range c {
		all = append(all, float64(v))
	}
	return all
}

// TestLogIntervals checks the ends of the intervals and the constants that
// lead to them.
func TestLogIntervals(t *testing.T) {
	for _, c := range []struct {
		f   float64 // an end of the interval of f
		end float64
	}{
		{math.Float64frombits(SqrtHalfBits) - 1, LogSquare},
		{2*math.Float64frombits(SqrtHalfBits) - 1, LogSquare},
	} {
		s := quo(number(c.f), number(2+c.f))
		z := mul(s, s)
		if z.Cmp(number(c.end)) > 0 || z.Cmp(number(c.end*(1-1e-10))) < 0 {
			t.Errorf("z reaches %g, not %g", z, c.end)
		}
	}
	half := math.Float64frombits(SqrtHalfBits)
	if below := math.Nextafter(half, 0); half*half < 0.5 || below*below >= 0.5 {
		t.Errorf("%x is not √½ rounded up", half)
	}

	ln2 := ref.Ln2()
	if head := math.Float64bits(Ln2Head); head&(1<<21-1) != 0 {
		t.Errorf("Ln2Head ends at bit %x: its product with a number of 21 bits is not exact", head)
	}
	if tail := toFloat64(sub(ln2, number(Ln2Head))); tail != Ln2Tail {
		t.Errorf("Ln2Tail is not %x", tail)
	}
}
