package ref

import "math/big"

// ClassBalancedWeights returns (1-β)/(1-β^n) of every class, n at least 1, times what makes
// their sum the number of classes.
func ClassBalancedWeights(counts []int, beta float64) []*big.Float {
	w, sum := make([]*big.Float, len(counts)), newFloat()
	for j, n := range counts {
		if w[j] = New(1); beta != 0 {
			power := Mul(New(float64(max(1, n))), Log(New(beta)))
			w[j] = Quo(Sub(New(1), New(beta)), Neg(Expm1(power)))
		}
		sum = Add(sum, w[j])
	}
	for j := range w {
		w[j] = Quo(Mul(w[j], New(float64(len(w)))), sum)
	}
	return w
}

// ClassBalanced returns a loss that is a sum over the classes with the weights of
// ClassBalancedWeights.
func (r Row) ClassBalanced(counts []int, beta float64, of func(Row) Result) Result {
	result := r.newResult()
	for j, w := range ClassBalancedWeights(counts, beta) {
		if !r.counts(j) {
			continue
		}
		one := r
		one.Mask = make([]bool, len(r.Scores))
		one.Mask[j] = true
		term := of(one)
		result.Loss = Add(result.Loss, Mul(w, term.Loss))
		result.Grad[j] = Mul(w, term.Grad[j])
	}
	return result.shifted()
}

// ClassBalancedSoftmax returns SoftmaxCrossEntropy times the target's weight of
// ClassBalancedWeights.
func (r Row) ClassBalancedSoftmax(counts []int, beta float64) Result {
	result := r.SoftmaxCrossEntropy()
	r.Weights = nil // they leave no class out
	w := ClassBalancedWeights(counts, beta)[r.classes(true)[0]]
	result.Loss = Mul(w, result.Loss)
	for j, g := range result.Grad {
		result.Grad[j] = Mul(w, g)
	}
	return result
}
