package report

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkSums measures the sums of resamples of 100,000 rows by one worker, as
// diff has them: additions that a loop over the rows would take, a second.
func BenchmarkSums(b *testing.B) {
	const rows = 100_000
	for kind, width := range map[int]int{drawing: 44, swapping: 21} {
		b.Run(fmt.Sprintf("kind=%d/rows=%d/width=%d", kind, rows, width), func(b *testing.B) {
			x := make([]float64, rows*width)
			for i := range x {
				x[i] = rand.Float64()
			}
			u := newUnits(rows, width, x, nil)
			const resamples = 256
			for b.Loop() {
				if _, err := u.resample(context.Background(), kind, 1, resamples, 1); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/resamples*1e3, "ms/resample")
		})
	}
}

// BenchmarkDraw measures the draws of a resample.
func BenchmarkDraw(b *testing.B) {
	for _, kind := range []int{drawing, swapping} {
		b.Run(fmt.Sprintf("kind=%d/rows=100000", kind), func(b *testing.B) {
			counts := make([]uint8, 100_000)
			for b.Loop() {
				counted(counts, 1, kind, 7)
			}
		})
	}
}
