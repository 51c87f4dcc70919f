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
		k := min(n, 60)
		want := ESP(w, k)
		compare := func(name string, got []*big.Float) {
			for j := range want {
				if e := relative(got[j], want[j]); e > 1e-60 {
					t.Errorf("n %d, k %d: %s off by %g", n, j, name, e)
				}
			}
		}
		compare("Newton", ESPNewton(w, k))
		if n <= 14 {
			compare("brute force", ESPBrute(w, k))
		}
		// The law's total is e_k, and the probabilities are complementary.
		law := Subset(w, Adjoint(k, nil, prec))
		if e := relative(law.Total, want[k]); e > 1e-60 {
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
