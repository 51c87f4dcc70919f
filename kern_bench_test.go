package zlpr

import "testing"

func BenchmarkKern(b *testing.B) {
	const n = 4096
	x := normalScores[float32](n)
	y := benchLabels(1, n, 0.1)
	w := bitWords(n)
	pos, neg := make([]uint64, w), make([]uint64, w)
	packBytes(pos, y, n, 1, n)
	for i := range neg {
		neg[i] = ^pos[i]
	}
	var a, c [8]float64
	g := make([]float32, n)
	per := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/elem")
	}
	for _, t := range availableTiers() {
		if t == tierGeneric {
			continue
		}
		b.Run(t.String(), func(b *testing.B) {
			defer forceTier(t)()
			b.Run("sumExp", func(b *testing.B) {
				p := pivotParams[float32](0)
				for b.Loop() {
					sumExp(a[:], c[:], x, n, 1, n, &p)
				}
				per(b)
			})
			b.Run("selectSums", func(b *testing.B) {
				for b.Loop() {
					selectSums(a[:], c[:], x, n, 1, n, pos, neg, w)
				}
				per(b)
			})
			fa, fb := []float32{0.5}, []float32{0.5}
			b.Run("selectScale", func(b *testing.B) {
				for b.Loop() {
					selectScale(g, n, x, n, 1, n, fa, fb)
				}
				per(b)
			})
			e := resizeAligned([]float32(nil), n+64)
			b.Run("selectExp", func(b *testing.B) {
				for b.Loop() {
					selectExp(a[:], c[:], e, n, x, n, 1, n, pos, neg, w, &sideCopy[float32]{})
				}
				per(b)
			})
			b.Run("pack", func(b *testing.B) {
				for b.Loop() {
					packBytes(pos, y, n, 1, n)
				}
				per(b)
			})
		})
	}
}
