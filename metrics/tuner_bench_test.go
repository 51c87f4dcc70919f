package metrics

import (
	"fmt"
	"testing"

	"github.com/zlpr/zlpr"
)

// BenchmarkTuner takes in a validation set of 2^20 scores and finds thresholds.
func BenchmarkTuner(b *testing.B) {
	for _, n := range []int{30, 1000} {
		d := newBenchData(n)
		batch := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: d.rows, Cols: n, Stride: n, Data: d.scores}, Labels: d.bits}
		for name, best := range map[string]func(*Tuner[float32]) error{
			"best-micro": func(t *Tuner[float32]) error { _, _, err := t.Best(Micro); return err },
			"best-macro": func(t *Tuner[float32]) error { _, _, err := t.Best(Macro); return err },
			"each-micro": func(t *Tuner[float32]) error { _, _, err := t.BestEach(Micro); return err },
		} {
			b.Run(fmt.Sprintf("job=%s/n=%d", name, n), func(b *testing.B) {
				b.SetBytes(int64(4 * d.rows * n))
				for b.Loop() {
					t := NewTuner[float32](n, 1)
					if err := t.Add(batch); err != nil {
						b.Fatal(err)
					}
					if err := best(t); err != nil {
						b.Fatal(err)
					}
				}
				perElement(b, d)
			})
		}
	}
}
