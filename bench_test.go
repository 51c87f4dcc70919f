package zlpr

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel"
)

// The benchmarks' data: scores normal with standard deviation 2.
func normalScores[T Float](n int) []T {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	x := make([]T, n)
	for i := range x {
		x[i] = T(2 * rng.NormFloat64())
	}
	return x
}

// benchSizes are the row lengths of the benchmarks in cache.
var benchSizes = []int{8, 20, 64, 256, 1000, 4096, 30522, 131072}

// benchElements is the number of elements of a batch that fits the L2 cache
// together with an output of its size.
func benchRows[T Float](n int) int {
	bytes := 8
	if kernel.IsFloat32[T]() {
		bytes = 4
	}
	return max(1, 256<<10/(n*bytes))
}

// perElement reports ns/elem and sets the bytes.
func perElement[T Float](b *testing.B, elements int) {
	bytes := 8
	if kernel.IsFloat32[T]() {
		bytes = 4
	}
	b.SetBytes(int64(elements * bytes))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(elements), "ns/elem")
}

// benchImpls runs the naive loop, then run on every tier that the CPU has.
func benchImpls(b *testing.B, naive, run func(b *testing.B)) {
	b.Run("impl=naive", naive)
	for _, t := range kernel.Available() {
		b.Run("impl="+t.String(), func(b *testing.B) {
			defer forceTier(t)()
			run(b)
		})
	}
}

func naiveLogSumExp[T Float](x []T) float64 {
	m := x[0]
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v - m))
	}
	return float64(m) + math.Log(sum)
}

func naiveSoftmax[T Float](dst, x []T) {
	m := x[0]
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	sum := 0.0
	for i, v := range x {
		e := math.Exp(float64(v - m))
		sum += e
		dst[i] = T(e)
	}
	for i := range dst {
		dst[i] = T(float64(dst[i]) / sum)
	}
}

func benchTypes(b *testing.B, f32, f64 func(b *testing.B, n int)) {
	for _, t := range []struct {
		name string
		run  func(b *testing.B, n int)
	}{{"f32", f32}, {"f64", f64}} {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("type=%s/n=%d", t.name, n), func(b *testing.B) { t.run(b, n) })
		}
	}
}

func BenchmarkLogSumExp(b *testing.B) {
	benchTypes(b, benchLogSumExp[float32], benchLogSumExp[float64])
}

func benchLogSumExp[T Float](b *testing.B, n int) {
	rows := benchRows[T](n)
	m := Matrix[T]{Rows: rows, Cols: n, Stride: n, Data: normalScores[T](rows * n)}
	dst := make([]float64, rows)
	benchImpls(b, func(b *testing.B) {
		for b.Loop() {
			for i := range dst {
				dst[i] = naiveLogSumExp(m.Row(i))
			}
		}
		perElement[T](b, rows*n)
	}, func(b *testing.B) {
		for b.Loop() {
			LogSumExpRows(dst, m)
		}
		perElement[T](b, rows*n)
	})
}

func BenchmarkSoftmax(b *testing.B) {
	benchTypes(b, benchSoftmax[float32], benchSoftmax[float64])
}

func benchSoftmax[T Float](b *testing.B, n int) {
	rows := benchRows[T](n)
	m := Matrix[T]{Rows: rows, Cols: n, Stride: n, Data: normalScores[T](rows * n)}
	dst := m
	dst.Data = make([]T, rows*n)
	benchImpls(b, func(b *testing.B) {
		for b.Loop() {
			for i := range rows {
				naiveSoftmax(dst.Row(i), m.Row(i))
			}
		}
		perElement[T](b, rows*n)
	}, func(b *testing.B) {
		for b.Loop() {
			SoftmaxRows(dst, nil, m)
		}
		perElement[T](b, rows*n)
	})
}

func BenchmarkLogSoftmax(b *testing.B) {
	benchTypes(b, benchLogSoftmax[float32], benchLogSoftmax[float64])
}

func benchLogSoftmax[T Float](b *testing.B, n int) {
	rows := benchRows[T](n)
	m := Matrix[T]{Rows: rows, Cols: n, Stride: n, Data: normalScores[T](rows * n)}
	dst := m
	dst.Data = make([]T, rows*n)
	benchImpls(b, func(b *testing.B) {
		for b.Loop() {
			for i := range rows {
				lse, x := naiveLogSumExp(m.Row(i)), m.Row(i)
				for j := range x {
					dst.Data[i*n+j] = T(float64(x[j]) - lse)
				}
			}
		}
		perElement[T](b, rows*n)
	}, func(b *testing.B) {
		for b.Loop() {
			LogSoftmaxRows(dst, nil, m)
		}
		perElement[T](b, rows*n)
	})
}
