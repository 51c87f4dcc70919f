package zlpr

import (
	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// ClassBalanced is Loss with the class weights w of ClassBalancedWeights(Counts, Beta), for
// classes of which there are n_j:
//
//	w_j ∝ (1-β) / (1-β^n_j),   Σ w_j = the number of classes
//
// Of BCE{} it is the class-balanced sigmoid cross-entropy, with a focal exponent the
// class-balanced focal loss, of SoftmaxCrossEntropy{} the class-balanced softmax. Weights
// mean what Batch.ClassWeights mean: they multiply a class's term of BCE, and the row's loss
// by the target's weight of SoftmaxCrossEntropy; class weights of the batch multiply them. (The
// authors, whose rows have one label, multiply all terms of a row's BCE by the weight of that
// label.) Labels, thresholds, special cases and gradients are those of Loss. To its error
// bounds, for the weights, 64 ULP come for float64 scores, 1 ULP for float32 scores.
//
// See Cui, Jia, Lin, Song and Belongie, "Class-Balanced Loss Based on Effective Number of
// Samples", CVPR 2019, arXiv 1901.05555.
type ClassBalanced struct {
	Loss   Loss    // BCE or SoftmaxCrossEntropy
	Counts []int   // n of every class; one without positives counts as with one
	Beta   float64 // 0 ≤ β < 1; the paper has 0.9 to 0.9999
}

// Name returns "class-balanced" for BCE, else "class-balanced-softmax".
func (l ClassBalanced) Name() string {
	if _, ok := l.Loss.(SoftmaxCrossEntropy); ok {
		return "class-balanced-softmax"
	}
	return "class-balanced"
}

func (l ClassBalanced) traits() (lossTraits, error) {
	const counts = "ClassBalanced.Counts"
	switch l.Loss.(type) {
	case BCE, SoftmaxCrossEntropy:
	case nil:
		return lossTraits{}, fieldError("ClassBalanced.Loss", "there is none, want BCE or SoftmaxCrossEntropy")
	default:
		return lossTraits{}, fieldError("ClassBalanced.Loss", "%s, want BCE or SoftmaxCrossEntropy", l.Loss.Name())
	}
	t, err := l.Loss.traits()
	switch {
	case err != nil:
		return lossTraits{}, err
	case !(l.Beta >= 0 && l.Beta < 1):
		return lossTraits{}, fieldError("ClassBalanced.Beta", "%v, want at least 0 and below 1", l.Beta)
	case len(l.Counts) == 0:
		return lossTraits{}, fieldError(counts, "there are none, want one for each class")
	case t.perClass > 0 && t.perClass != len(l.Counts):
		return lossTraits{}, fieldError(counts, "%d, want one for each of %d classes of %s", len(l.Counts), t.perClass, t.perClassField)
	}
	for j, n := range l.Counts {
		if n < 0 {
			return lossTraits{}, fieldError(counts, "%d of class %d, want at least 0", n, j)
		}
	}
	t.perClass, t.perClassField = len(l.Counts), counts
	t.flatLabels = false // works with class weights take bits
	return t, nil
}

func (l ClassBalanced) work32() work[float32] { return newBalanced(l, l.Loss.work32()) }
func (l ClassBalanced) work64() work[float64] { return newBalanced(l, l.Loss.work64()) }

// A balanced evaluates rows by another work, with more class weights.
type balanced[T Float] struct {
	work    work[T]
	weights []float64
	product []float64 // by those of the batch
	number  int       // of the weights that it is of
}

func newBalanced[T Float](l ClassBalanced, of work[T]) *balanced[T] {
	return &balanced[T]{work: of, weights: ClassBalancedWeights(l.Counts, l.Beta)}
}

// Eval evaluates the rows of a chunk.
func (b *balanced[T]) Eval(c *chunk.Chunk[T]) {
	given := c.Class
	if c.Class = b.weights; given != nil {
		if b.number != c.Classes || c.Classes == 0 {
			b.number, b.product = c.Classes, kernel.Resize(b.product, len(given))
			for j, w := range given {
				b.product[j] = float64(w * b.weights[j])
			}
		}
		c.Class = b.product
	}
	b.work.Eval(c)
	c.Class = given
}
