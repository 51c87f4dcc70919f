package coef

import (
	"flag"
	"math/big"
	"testing"

	"github.com/zlpr/zlpr/internal/ref"
)

var derive = flag.Bool("derive", false, "derive the coefficients anew and print them")

const grid = 1500

// expProblem: minimise |P(r)/e^r - 1| over |r| ≤ half, P = 1 + r + Σ c_i r^i.
func expProblem(half float64, degree int) problem {
	var p problem
	x := chebyshev(-half, half, grid)
	p.target = make([]*big.Float, len(x))
	p.basis = make([][]*big.Float, degree-1)
	for i := range p.basis {
		p.basis[i] = make([]*big.Float, len(x))
	}
	for k, x := range x {
		r := number(x)
		inverse := ref.Exp(number(-x))
		p.target[k] = sub(number(1), mul(add(number(1), r), inverse))
		power := mul(mul(r, r), inverse)
		for i := range p.basis {
			p.basis[i][k] = power
			power = mul(power, r)
		}
	}
	return p
}

func TestDeriveExp(t *testing.T) {
	if !*derive {
		t.Skip("needs -derive")
	}
	for _, c := range []struct {
		name   string
		degree int
		half   float64
		round  func(*big.Float) float64
	}{
		{"Exp32", 6, ExpReduced32, toFloat32},
		{"Exp64", 11, ExpReduced64, toFloat64},
	} {
		coefficients, e := expProblem(c.half, c.degree).rounded(t, c.round)
		t.Logf("%s: error 2^%.3f", c.name, log2(e))
		for i, v := range coefficients {
			t.Logf("\t%x, // c%d", v, i+2)
		}
	}
	ln2 := ref.Ln2()
	hi := toFloat64(ln2)
	t.Logf("Log2E64 %x Ln2Hi64 %x Ln2Lo64 %x", toFloat64(quo(number(1), ln2)), hi, toFloat64(sub(ln2, number(hi))))
	hi = toFloat32(ln2)
	t.Logf("Log2E32 %x Ln2Hi32 %x Ln2Lo32 %x", toFloat32(quo(number(1), ln2)), hi, toFloat32(sub(ln2, number(hi))))
}
