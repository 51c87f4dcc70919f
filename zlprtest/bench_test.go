package zlprtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// BenchmarkEvaluate takes rows of 20 classes: normal scores, and finite numbers
// of any size with thresholds and class weights of any size.
func BenchmarkEvaluate(b *testing.B) {
	for _, name := range Names() {
		for _, size := range []string{"normal", "any"} {
			for _, k := range []int{1, 2, 10} {
				if strings.HasSuffix(name, "softmax") && k > 1 {
					continue
				}
				b.Run(fmt.Sprintf("loss=%s/scores=%s/classes=20/k=%d", name, size, k), func(b *testing.B) {
					rng := rand.New(rand.NewPCG(1, 1))
					rows := make([]Row, 64)
					for i := range rows {
						rows[i] = benchRow(rng, size == "any", k)
						if name == "two-way" {
							rows[i].ClassWeights = nil // it takes none
						}
					}
					loss := Loss{Name: name, Counts: make([]int, 20), Rows: 1}
					for i := 0; b.Loop(); i++ {
						if _, err := loss.Evaluate(rows[i%len(rows)]); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

func benchRow(rng *rand.Rand, any bool, k int) Row {
	const n = 20
	var r Row
	number := func() float64 {
		x := math.NaN()
		for !finite(x) {
			x = math.Float64frombits(rng.Uint64())
		}
		return x
	}
	for i := range n {
		x := 2 * rng.NormFloat64()
		if any {
			x = number()
			r.ClassWeights = append(r.ClassWeights, math.Abs(number()))
		}
		r.Scores = append(r.Scores, x)
		r.Positive = append(r.Positive, i < k)
		r.Soft = append(r.Soft, rng.Float64())
	}
	if any {
		r.Threshold = number()
	}
	return r
}

func BenchmarkLogPartition(b *testing.B) {
	for _, size := range []string{"normal", "any"} {
		for _, k := range []int{2, 10} {
			b.Run(fmt.Sprintf("scores=%s/classes=20/k=%d", size, k), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(1, 1))
				x := benchRow(rng, size == "any", k).Scores
				for b.Loop() {
					LogPartition(x, k)
					SubsetProbabilities(x, k)
				}
			})
		}
	}
}
