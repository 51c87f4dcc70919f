package metrics

import (
	"errors"
	"fmt"
	"math"

	"github.com/zlpr/zlpr/internal/scalar"
)

// minPropensity bounds propensities from below, so that sums of their inverses
// stay in range.
const minPropensity = 1.0 / (1 << 32)

// inverses checks propensities and returns their inverses.
func inverses(propensities []float64, classes int) ([]float64, error) {
	if propensities == nil {
		return nil, errors.New("no propensities")
	}
	if len(propensities) != classes {
		return nil, fmt.Errorf("%d propensities for %d classes", len(propensities), classes)
	}
	w := make([]float64, classes)
	for j, p := range propensities {
		if !(p >= minPropensity && p <= 1) {
			return nil, fmt.Errorf("propensity %v of class %d is not in [2^-32, 1]", p, j)
		}
		w[j] = 1 / p
	}
	return w, nil
}

// Propensities returns the propensity of every class, the probability that a
// label that holds was also noted, by the model of Jain, Prabhu and Varma,
// "Extreme Multi-label Loss Functions for Recommendation, Tagging, Ranking &
// Other Missing Label Applications", KDD 2016:
//
//	p = 1 / (1 + C·(n + B)^-A),  C = (log rows - 1)·(B + 1)^A
//
// where n is how often the class is positive in the rows of the training set.
// The paper's A and B are 0.5 and 0.4 for Wikipedia, 0.6 and 2.6 for Amazon,
// and 0.55 and 1.5 otherwise. Where the logarithm is below 1, that is for at
// most two rows, C is 0.
func Propensities(positive []int, rows int, a, b float64) []float64 {
	p := make([]float64, len(positive))
	c := max(0, scalar.Log(float64(rows))-1) * scalar.Exp(a*scalar.Log(b+1))
	for j, n := range positive {
		p[j] = 1 / (1 + float64(c*scalar.Exp(-a*scalar.Log(float64(n)+b))))
	}
	return p
}

// discounts returns the first n discounts of the cumulative gain, 1/log2(i+2)
// of place i, and the sums of the first 0, 1, ..., n of them.
func discounts(n int) (discounts, sums []float64) {
	discounts, sums = make([]float64, n), make([]float64, n+1)
	for i := range n {
		discounts[i] = math.Ln2 / scalar.Log(float64(i+2))
		sums[i+1] = sums[i] + discounts[i]
	}
	return
}
