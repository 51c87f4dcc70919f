package ref

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func parse(t *testing.T, s string) *big.Float {
	t.Helper()
	x, _, err := big.ParseFloat(s, 10, 220, big.ToNearestEven)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// relative returns |got-want|/|want|, 0 if both are zero.
func relative(got, want *big.Float) float64 {
	if got.Cmp(want) == 0 {
		return 0
	}
	d := num(64).Sub(num(1000).Set(got), num(1000).Set(want))
	r, _ := num(64).Quo(d, want).Float64()
	return math.Abs(r)
}

// The digits are those of published tables of the constants.
func TestKnownValues(t *testing.T) {
	const (
		e      = "2.71828182845904523536028747135266249775724709369995957496696762772407663"
		logTwo = "0.69314718055994530941723212145817656807550013436025525412068000949339362"
		logTen = "2.30258509299404568401799145468436420760110148862877297603332790096757261"
		sqrte  = "1.64872127070012814684865078781416357165377610071014801157507931164066102"
	)
	for _, c := range []struct {
		name string
		got  *big.Float
		want string
	}{
		{"Exp(1)", exp(New(1), 200), e},
		{"Exp(0.5)", exp(New(0.5), 200), sqrte},
		{"Ln2", ln2(200), logTwo},
		{"Log(2)", log(New(2), 200), logTwo},
		{"Log(10)", log(New(10), 200), logTen},
		{"Log1p(9)", log1p(New(9), 200), logTen},
		{"Softplus(0)", softplus(New(0), 200), logTwo},
	} {
		if r := relative(c.got, parse(t, c.want)); r > 0x1p-199 {
			t.Errorf("%s = %.60g, want %s", c.name, c.got, c.want)
		}
	}
}

// TestInverse checks each function against its inverse, to precisions that
// the condition number of the pair leaves.
func TestInverse(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 3000 {
		x := math.Exp2(80*rng.Float64() - 60) // 2^-60 … 2^20
		if rng.IntN(2) == 0 {
			x = -x
		}
		f := New(x)
		if r := relative(log(exp(f, 320), 200), f); r > 0x1p-199 {
			t.Errorf("Log(exp(%g)): off by %g", x, r)
		}
		if x > -40 { // else 1 + Expm1 cancels
			if r := relative(log1p(expm1(f, 320), 200), f); r > 0x1p-199 {
				t.Errorf("Log1p(expm1(%g)): off by %g", x, r)
			}
			if r := relative(log(expm1(softplus(f, 320), 320), 200), f); r > 0x1p-199 {
				t.Errorf("Log(expm1(softplus(%g))): off by %g", x, r)
			}
		}
		logistic := num(200).Mul(sigmoid(f, 250), num(300).Add(integer(1, 8), exp(num(53).Neg(f), 300)))
		if r := relative(logistic, integer(1, 8)); r > 0x1p-199 {
			t.Errorf("Sigmoid(%g): off by %g", x, r)
		}
	}
}

// TestPrecisions: a result is that of a higher precision, rounded.
func TestPrecisions(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 1000 {
		x := New(math.Exp2(12*rng.Float64() - 10))
		for name, f := range map[string]func(*big.Float, uint) *big.Float{
			"exp": exp, "expm1": expm1, "log": log, "log1p": log1p, "softplus": softplus, "sigmoid": sigmoid,
		} {
			want := f(x, 500)
			for _, prec := range []uint{24, 53, 113, 160, 200, 333} {
				got := f(x, prec)
				if got.Prec() != prec {
					t.Fatalf("%s has precision %d, want %d", name, got.Prec(), prec)
				}
				if r := relative(got, want); r > math.Ldexp(1.001, -int(prec)) {
					t.Errorf("%s(%g) to %d bits: off by %g", name, x, prec, r)
				}
			}
		}
	}
}

func TestLimits(t *testing.T) {
	inf := new(big.Float).SetInf(false)
	minusInf := new(big.Float).SetInf(true)
	if !exp(inf, 100).IsInf() || !exp(New(3e38), 100).IsInf() {
		t.Error("Exp of a huge number is not +Inf")
	}
	if exp(minusInf, 100).Sign() != 0 || exp(New(-3e38), 100).Sign() != 0 {
		t.Error("Exp of a hugely negative number is not 0")
	}
	if l := log(exp(New(-7e8), 200), 100); relative(l, New(-7e8)) > 0x1p-99 {
		t.Errorf("Log(exp(-7e8)) = %g", l)
	}
	if softplus(New(3e38), 100).Cmp(New(3e38)) != 0 {
		t.Error("Softplus of a huge number is not the number")
	}
	if l := log(num(10), 100); !l.IsInf() || l.Sign() > 0 {
		t.Error("Log(0) is not -Inf")
	}
	if l := log1p(New(-1), 100); !l.IsInf() || l.Sign() > 0 {
		t.Error("Log1p(-1) is not -Inf")
	}
	if log(New(1), 100).Sign() != 0 || expm1(num(10), 100).Sign() != 0 || log1p(num(10), 100).Sign() != 0 {
		t.Error("zeros are not exact")
	}
}
