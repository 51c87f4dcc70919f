package zlpr

// SoftmaxCrossEntropy is the softmax cross-entropy of a row with the target t:
//
//	L = log(1 + Σ_{i≠t} e^(s_i-s_t))
//
// A row has exactly one positive class. Only with TargetLabels it may have
// none: the target Ignore leaves the row out. The gradient is, with E the sum
// above,
//
//	∂L/∂s_i = e^(s_i-s_t) / (1+E) for i ≠ t,   ∂L/∂s_t = -E / (1+E)
//
// The class weight of the target multiplies the row's loss and gradient, not
// the weight by which Mean divides. With weight 0 both are 0, of
// an infinite loss, too.
//
// Special cases are those of Pairwise. The relative error of loss and gradient
// is below 4 ULP, as that of ZLPR: a loss near 0 is not log Σ e^s minus s_t.
type SoftmaxCrossEntropy struct{}

// Name returns "softmax".
func (SoftmaxCrossEntropy) Name() string { return "softmax" }

func (SoftmaxCrossEntropy) traits() (lossTraits, error) {
	return lossTraits{target: true, classWeights: true, sideCopies: true}, nil
}

func (SoftmaxCrossEntropy) eval32(c *lossChunk[float32]) error { return evalCrossEntropy(c) }
func (SoftmaxCrossEntropy) eval64(c *lossChunk[float64]) error { return evalCrossEntropy(c) }

func evalCrossEntropy[T Float](c *lossChunk[T]) error {
	if c.classWeights != nil && c.grad != nil {
		c.uniform.spoil()
		for i, t := range c.target {
			if t >= 0 {
				c.scale[i] *= c.classWeights[t]
			}
		}
	}
	evalSides(c, &sideRule{product: true, gamma: 1, target: true})
	if c.classWeights != nil {
		for i, t := range c.target {
			if t < 0 {
				continue
			}
			if w := c.classWeights[t]; w != 0 || c.loss[i] != c.loss[i] {
				c.loss[i] *= w
			} else {
				c.loss[i] = 0 // an infinite loss, too
			}
		}
	}
	return nil
}
