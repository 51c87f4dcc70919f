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
		show(t, c.name, expProblem(c.half, c.degree), 2, c.round)
	}
	ln2 := ref.Ln2()
	hi := toFloat64(ln2)
	t.Logf("Log2E64 %x Ln2Hi64 %x Ln2Lo64 %x", toFloat64(quo(number(1), ln2)), hi, toFloat64(sub(ln2, number(hi))))
	hi = toFloat32(ln2)
	t.Logf("Log2E32 %x Ln2Hi32 %x Ln2Lo32 %x", toFloat32(quo(number(1), ln2)), hi, toFloat32(sub(ln2, number(hi))))
}

// atanhRest returns (2 atanh(s) - 2s)/s = 2 Σ_(i≥1) z^i/(2i+1), z = s².
func atanhRest(z *big.Float) *big.Float {
	sum, power := number(0), number(2)
	for i := int64(3); ; i += 2 {
		power = mul(power, z)
		term := quo(power, number(float64(i)))
		if term.Sign() == 0 || term.MantExp(nil) < -bits {
			return sum
		}
		sum = add(sum, term)
	}
}

// logProblem: minimise |R(z) - Σ L_i z^i| for 0 ≤ z ≤ end, i = 1 … degree.
func logProblem(end float64, degree int) problem {
	p := problem{basis: make([][]*big.Float, degree)}
	for _, z := range chebyshev(0, end, grid)[1:] {
		z := number(z)
		p.target = append(p.target, atanhRest(z))
		power := number(1)
		for i := range p.basis {
			power = mul(power, z)
			p.basis[i] = append(p.basis[i], power)
		}
	}
	return p
}

// log1pHyperbolicProblem: minimise |(b + z·(1/2 - d·C(z)))/log(1+e) - 1| for 0 < e ≤ 1,
// b = e/(1+e), z = e·b, d = e + b, C = Σ c_i z^i, i ≤ degree.
func log1pHyperbolicProblem(degree int) problem {
	p := problem{basis: make([][]*big.Float, degree+1)}
	for _, e := range chebyshev(0, 1, grid)[1:] {
		e := number(e)
		b := quo(e, add(number(1), e))
		z, log := mul(e, b), ref.Log1p(e)
		p.target = append(p.target, sub(quo(add(b, mul(z, number(0.5))), log), number(1)))
		power := quo(mul(z, add(e, b)), log)
		for i := range p.basis {
			p.basis[i] = append(p.basis[i], power)
			power = mul(power, z)
		}
	}
	return p
}

func TestDeriveLog(t *testing.T) {
	if !*derive {
		t.Skip("needs -derive")
	}
	show(t, "Log64", logProblem(LogSquare, len(Log64)), 1, toFloat64)
	show(t, "LogShort64", logProblem(LogSquare, len(LogShort64)), 1, toFloat64)
	show(t, "LogWide64", logProblem(LogWideSquare, len(LogWide64)), 1, toFloat64)
	show(t, "Log1pHyperbolic32", log1pHyperbolicProblem(len(Log1pHyperbolic32)-1), 0, toFloat32)
	show(t, "Log1pHyperbolic64", log1pHyperbolicProblem(len(Log1pHyperbolic64)-1), 0, toFloat64)
	show(t, "Log1pUnit32", logProblem(Log1pSquare, len(Log1pUnit32)), 1, toFloat32)
}

// show prints the coefficients, the first being that of power first.
func show(t *testing.T, name string, p problem, first int, round func(*big.Float) float64) {
	t.Helper()
	c, e := p.rounded(t, round)
	t.Logf("%s: error 2^%.3f", name, log2(e))
	for i, v := range c {
		t.Logf("\t%x, // degree %d", v, first+i)
	}
}
