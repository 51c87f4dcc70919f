package zlpr_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/zlpr/zlpr"
)

func ExampleLogPartition() {
	// Pairs of four classes: e^(1+2) + e^(1+3) + e^(1+0) + e^(2+3) + e^(2+0) + e^(3+0).
	fmt.Printf("%.4f\n", zlpr.LogPartition([]float64{1, 2, 3, 0}, 2))
	// Output: 5.5345
}

func ExampleInclusionProbabilities() {
	scores := []float64{1, 2, 3, 0}
	p := make([]float64, len(scores))
	zlpr.InclusionProbabilities(p, scores, 2)
	fmt.Printf("%.3f\n", p)
	// Output: [0.306 0.694 0.881 0.119]
}

func ExampleSubsetSampler() {
	// 4 of 16384 classes, with probability ∝ e^(sum of scores).
	scores := make([]float32, 16384)
	for i := range scores {
		scores[i] = float32(i%100) / 10
	}
	sampler := zlpr.NewSubsetSampler(scores, 4)
	rng := rand.New(rand.NewPCG(1, 2))
	classes := make([]int, 0, 4)
	for range 3 {
		classes = sampler.Draw(rng, classes)
		fmt.Println(len(classes), zlpr.SubsetLogProbability(scores, classes) < 0)
	}
	// Output:
	// 4 true
	// 4 true
	// 4 true
}
