package ref

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestESP compares three routes to the elementary symmetric polynomials. At
// 1200 bits Newton's identities have digits to lose.
func TestESP(t *testing.T) {
	const prec = 1200
	rng := rand.New(rand.NewPCG(1, 4))
	for _, n := range []int{1, 2, 7, 14, 100} {
		x := make([]float64, n)
		for i := range x {
			x[i] = rng.NormFloat64() * 3
		}
		w := Weights(x, prec)
		floats := make([]*big.Float, n)
		for i := range floats {
			floats[i] = w[i].Float()
		}
		k := min(n, 60)
		want := ESP(w, k)
		compare := func(name string, got []*big.Float) {
			for j := range want {
				if e := relative(got[j], want[j].Float()); e > 1e-60 {
					t.Errorf("n %d, k %d: %s off by %g", n, j, name, e)
				}
			}
		}
		compare("Newton", espNewton(floats, k))
		if n <= 14 {
			compare("brute force", espBrute(floats, k))
		}
		// The law's total is e_k, and the probabilities are complementary.
		law := Subset(w, Adjoint(k, nil, prec))
		if e := relative(law.Total.Float(), want[k].Float()); e > 1e-60 {
			t.Errorf("n %d: total off by %g", n, e)
		}
		sum := integer(0, prec)
		for i := range w {
			one := new(big.Float).Add(law.Included[i], law.Absent[i])
			if e := relative(one, integer(1, prec)); e > 1e-60 {
				t.Errorf("n %d: probabilities off by %g", n, e)
			}
			sum.Add(sum, law.Included[i])
		}
		if e := relative(sum, integer(int64(k), prec)); e > 1e-60 {
			t.Errorf("n %d: sum of the probabilities off by %g", n, e)
		}
	}
}

// espNewton returns e_0 to e_k by Newton's identities from the power sums,
//
//	j·e_j = Σ_{i=1..j} (-1)^(i-1) e_(j-i) S_i.
//
// The terms alternate: digits are lost that the precision must provide.
func espNewton(vars []*big.Float, k int) []*big.Float {
	prec := vars[0].Prec()
	sums := make([]*big.Float, k+1)
	powers := make([]*big.Float, len(vars))
	for i := range powers {
		powers[i] = integer(1, prec)
	}
	for j := 1; j <= k; j++ {
		sums[j] = integer(0, prec)
		for i, z := range vars {
			powers[i].Mul(powers[i], z)
			addTo(sums[j], sums[j], powers[i])
		}
	}
	e := make([]*big.Float, k+1)
	for j := range e {
		e[j] = integer(0, prec)
	}
	e[0].SetInt64(1)
	for j := 1; j <= k; j++ {
		for i := 1; i <= j; i++ {
			term := new(big.Float).Mul(e[j-i], sums[i])
			if i%2 == 0 {
				term.Neg(term)
			}
			addTo(e[j], e[j], term)
		}
		e[j].Quo(e[j], integer(int64(j), prec))
	}
	return e
}

// espBrute returns e_0 to e_k by adding up all subsets.
func espBrute(vars []*big.Float, k int) []*big.Float {
	prec := vars[0].Prec()
	e := make([]*big.Float, k+1)
	for j := range e {
		e[j] = integer(0, prec)
	}
	for set := range 1 << len(vars) {
		product, size := integer(1, prec), 0
		for i, z := range vars {
			if set>>i&1 != 0 {
				product.Mul(product, z)
				size++
			}
		}
		if size <= k {
			addTo(e[size], e[size], product)
		}
	}
	return e
}
