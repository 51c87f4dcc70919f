package zlpr

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkHalf compares 16-bit scores with float32, in the cache.
func BenchmarkHalf(b *testing.B) {
	for _, n := range []int{8, 20, 64, 1000, 30522} {
		b.Run(fmt.Sprintf("job=logsumexp/n=%d", n), func(b *testing.B) {
			b.Run("type=f32", func(b *testing.B) { benchHalfRows[float32](b, n) })
			b.Run("type=bf16", func(b *testing.B) { benchHalfRows[BFloat16](b, n) })
			b.Run("type=f16", func(b *testing.B) { benchHalfRows[Float16](b, n) })
		})
		for _, loss := range []Loss{ZLPR{}, BCE{}} {
			for _, op := range []string{"loss", "lossgrad"} {
				b.Run(fmt.Sprintf("job=%s/op=%s/n=%d", loss.Name(), op, n), func(b *testing.B) {
					b.Run("type=f32", func(b *testing.B) { benchHalfLoss[float32](b, loss, op, n) })
					b.Run("type=bf16", func(b *testing.B) { benchHalfLoss[BFloat16](b, loss, op, n) })
					b.Run("type=f16", func(b *testing.B) { benchHalfLoss[Float16](b, loss, op, n) })
				})
			}
		}
	}
}

// halfMatrix returns the benchmarks' scores in rows of n.
func halfMatrix[T Score](n int) Matrix[T] {
	rows := benchRows[float32](n)
	m := Matrix[T]{Rows: rows, Cols: n, Data: make([]T, rows*n), Stride: n}
	x := normalScores[float32](rows * n)
	if bytesOf[T]() == 4 {
		copy(any(m.Data).([]float32), x)
	} else {
		narrow(m.Data, x)
	}
	return m
}

func benchHalfRows[T Score](b *testing.B, n int) {
	m := halfMatrix[T](n)
	lse := make([]float64, m.Rows)
	benchTiers(b, func(b *testing.B) {
		for b.Loop() {
			LogSumExpRows(lse, m)
		}
		perElement[float32](b, m.Rows*n)
	})
}

func benchHalfLoss[T Score](b *testing.B, loss Loss, op string, n int) {
	m := halfMatrix[T](n)
	batch := &Batch[T]{Scores: m, Labels: labelFormat("u8", m.Rows, n, benchLabels(m.Rows, n, 0.1))}
	out := &Output[T]{Losses: make([]float64, m.Rows)}
	if op == "lossgrad" {
		out.Grad = Matrix[T]{Rows: m.Rows, Cols: n, Data: make([]T, m.Rows*n), Stride: n}
	}
	benchTiers(b, func(b *testing.B) {
		e, err := NewEvaluator[T](loss, Options{Workers: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Evaluate(context.Background(), batch, out); err != nil {
				b.Fatal(err)
			}
		}
		perElement[float32](b, m.Rows*n)
	})
}
