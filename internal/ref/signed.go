package ref

import "math/big"

// A Signed is a sum of terms of either sign.
type Signed struct{ sum, top *big.Float } // sum·e^top

// SignedSum returns Σ b_i·e^(x_i), with errors below 2^-1000·Σ|b_i|·e^(x_i). x are finite;
// where all factors of every x add up to 0, the sum is 0.
func SignedSum(x, b []*big.Float) Signed {
	const prec = 1200
	var xs, factors []*big.Float
	for i := range x {
		found := false
		for k := range xs {
			if xs[k].Cmp(x[i]) == 0 {
				factors[k] = exactSum(factors[k], b[i])
				found = true
			}
		}
		if !found {
			xs, factors = append(xs, x[i]), append(factors, b[i])
		}
	}
	s := Signed{num(prec), nil}
	for i := range xs {
		if factors[i].Sign() != 0 && (s.top == nil || xs[i].Cmp(s.top) > 0) {
			s.top = xs[i]
		}
	}
	for i := range xs {
		if factors[i].Sign() != 0 {
			term := number(prec).SetExp(exactSum(xs[i], Neg(s.top))).Float()
			s.sum.Add(s.sum, num(prec).Mul(num(prec).Set(term), factors[i]))
		}
	}
	return s
}

// Sign returns the sign of the sum.
func (s Signed) Sign() int { return s.sum.Sign() }

// LogAbs returns the logarithm of its magnitude.
func (s Signed) LogAbs() *big.Float {
	abs := num(s.sum.Prec()).Abs(s.sum)
	return exactSum(s.top, number(abs.Prec()).SetFloat(abs).Log())
}
