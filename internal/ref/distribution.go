package ref

import "math/big"

// DistributionBalanced returns Σ r_i (y_i softplus(ν_i-s_i) + (1-y_i) softplus(λ (s_i-ν_i))/λ), r
// being α + sigmoid(β (q_i-μ)), of β = 0 α + 1/2, and q_i = (1/n_i)/Σ_P 1/n_j, +Inf of no positives, and
// ν_i = κ log(N/n_i - 1), n_i from 1 to N-1.
func (r Row) DistributionBalanced(counts []int, rows int, alpha, beta, mu, kappa, lambda float64) Result {
	result := r.newResult()
	inverse, shift := make([]*big.Float, len(counts)), make([]*big.Float, len(counts))
	for j, n := range counts {
		count := New(float64(max(1, n)))
		inverse[j] = Quo(New(1), count)
		shift[j] = Mul(New(kappa), Log(Quo(New(float64(max(1, rows-max(1, n)))), count)))
	}
	mass := newFloat()
	for _, j := range r.classes(true) {
		mass = Add(mass, inverse[j])
	}
	one := newFloat().SetInt64(1)
	for side, label := range []bool{false, true} {
		for _, j := range r.classes(label) {
			weight := Add(New(alpha), one)
			if beta == 0 {
				weight = Add(New(alpha), New(0.5))
			} else if mass.Sign() != 0 {
				weight = Add(New(alpha), Sigmoid(Mul(New(beta), Sub(Quo(inverse[j], mass), New(mu)))))
			}
			weight = Mul(weight, r.weight(j))
			y := exactSum(New(r.Scores[j]), Neg(shift[j]))
			scale := one
			if side == 0 {
				scale = New(lambda)
				y = exactProduct(y, scale)
			} else {
				y = new(big.Float).Neg(y)
			}
			result.Loss = Add(result.Loss, Mul(weight, Quo(Softplus(y), scale)))
			result.Grad[j] = Mul(weight, Sigmoid(y))
			if side == 1 {
				result.Grad[j] = Neg(result.Grad[j])
			}
		}
	}
	return result
}
