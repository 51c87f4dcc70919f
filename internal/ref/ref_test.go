package ref

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// digits50 are 50 digits of well-known values (OEIS A001113, A002162, A002392).
func TestKnownDigits(t *testing.T) {
	for _, c := range []struct {
		got  *big.Float
		want string
	}{
		{Exp(New(1)), "2.71828182845904523536028747135266249775724709369996"},
		{Exp(New(-1)), "0.36787944117144232159552377016146086744581113103177"},
		{Log(New(2)), "0.69314718055994530941723212145817656807550013436026"},
		{Log(New(10)), "2.30258509299404568401799145468436420760110148862877"},
		{Ln2(), "0.69314718055994530941723212145817656807550013436026"},
	} {
		if got := c.got.Text('f', 50); got != c.want {
			t.Errorf("%s, not %s", got, c.want)
		}
	}
}

// close reports a difference beyond 2^-Prec relative.
func sameTo(t *testing.T, x, y *big.Float, what ...any) {
	t.Helper()
	d := Sub(x, y)
	if d.Sign() != 0 && d.MantExp(nil) > y.MantExp(nil)-Prec {
		t.Errorf("%v: %g and %g differ by %g", what, x, y, d)
	}
}

// TestRelations: the functions are inverse to each other and obey the laws of
// exponents.
func TestRelations(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		x, y := New(rng.NormFloat64()*math.Exp(rng.NormFloat64()*3)), New(rng.NormFloat64())
		sameTo(t, Exp(Add(x, y)), Mul(Exp(x), Exp(y)), x, y)
		// log(e^x) loses what x is smaller than 1.
		d := Sub(Log(Exp(x)), x)
		if d.Sign() != 0 && d.MantExp(nil) > max(x.MantExp(nil), 0)-Prec {
			t.Errorf("log(exp(%g)) is off by %g", x, d)
		}
		small := ldexp(x, -60)
		sameTo(t, Exp(Log1p(small)), Add(New(1), small), small)
		sameTo(t, Sub(Softplus(x), Softplus(Neg(x))), x, x)
		sameTo(t, Add(Sigmoid(x), Sigmoid(Neg(x))), New(1), x)
	}
	// log1p by its series and by the logarithm meet.
	x := ldexp(New(1.25), -64)
	series := Log1p(x)
	exact := Sub(series, x)
	half := ldexp(Mul(x, x), -1)
	if q, _ := Quo(exact, half).Float64(); math.Abs(q+1) > 1e-15 {
		t.Errorf("log1p(x) - x = %g·x²/2", q)
	}
}

func TestLogSumExp(t *testing.T) {
	sameTo(t, LogSumExp(Floats([]float64{3, 3, 3, 3})), Add(New(3), Mul(New(2), Ln2())))
	sameTo(t, LogSumExp(Floats([]float32{0, -200})), Log1p(Exp(New(-200))))
	sameTo(t, LogSumExp(Floats([]float64{1e300, 0})), New(1e300))
}

func TestULPs(t *testing.T) {
	if u := ULPs(float32(1), New(1+0x1p-24)); u != 0.5 {
		t.Error(u)
	}
	if u := ULPs(1.0, New(1+0x1p-52)); u != 1 {
		t.Error(u)
	}
	if u := RelError(1+0x1p-23, New(1), 0x1p-23); u != 1 {
		t.Error(u)
	}
}

// Temperatures that are no powers of two leave the difference of large scores exact.
func TestTwoWayLarge(t *testing.T) {
	for _, m := range []float64{1, 1e30, 1e300, math.MaxFloat64} {
		for _, temperature := range []float64{1, 0.63, 0.92, 3e-9, 7e5} {
			r := Row{Scores: []float64{m, m}, Positive: []bool{true, false}}.TwoWay(temperature, 0.7*temperature)
			loss, _ := r.Loss.Float64()
			negative, _ := r.Grad[1].Float64()
			positive, _ := r.Grad[0].Float64()
			if loss != math.Ln2 || positive != -0.5 || negative != 0.5 {
				t.Errorf("%v, temperature %v: loss %v, gradient %v, %v", m, temperature, loss, positive, negative)
			}
		}
	}
}
