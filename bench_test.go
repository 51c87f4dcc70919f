package zlpr

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/zlpr/zlpr/internal/ceiling"
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
	benchTiers(b, run)
}

// benchTiers runs run on every tier.
func benchTiers(b *testing.B, run func(b *testing.B)) {
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

// memoryElements is 1 GiB of float32, beyond every last-level cache.
const memoryElements = 1 << 28

// memoryScores returns the first n of 1 GiB of scores, made once.
var memoryScores = sync.OnceValue(func() []float32 {
	x := make([]float32, memoryElements)
	pattern := normalScores[float32](1 << 20)
	for i := 0; i < len(x); i += len(pattern) {
		copy(x[i:], pattern)
	}
	return x
})

// memoryOutput is another 1 GiB, every page of it touched once.
var memoryOutput = sync.OnceValue(func() []float32 {
	x := make([]float32, memoryElements)
	for i := 0; i < len(x); i += 1024 {
		x[i] = 1
	}
	return x
})

// splitRows runs f on the parts of 0..rows-1, one a worker.
func splitRows(rows, workers int, f func(from, to int)) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { f(rows*w/workers, rows*(w+1)/workers) })
	}
	wg.Wait()
}

// BenchmarkLogSumExpMemory reads 1 GiB of scores from memory.
func BenchmarkLogSumExpMemory(b *testing.B) {
	for _, n := range []int{64, 1000, 30522} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("type=f32/n=%d/workers=%d/impl=best", n, workers), func(b *testing.B) {
				rows := memoryElements / n
				x, dst := memoryScores(), make([]float64, rows)
				for b.Loop() {
					splitRows(rows, workers, func(from, to int) {
						LogSumExpRows(dst[from:to], Matrix[float32]{Rows: to - from, Cols: n, Stride: n, Data: x[from*n : to*n]})
					})
				}
				perElement[float32](b, rows*n)
			})
		}
	}
}

// BenchmarkCeiling is the fastest plain read and copy of this machine: what
// the kernels are measured against.
func BenchmarkCeiling(b *testing.B) {
	for _, op := range []string{"read", "copy"} {
		for _, size := range []struct {
			name     string
			elements int
		}{{"L1", 4 << 10}, {"L2", 64 << 10}, {"1GiB", memoryElements}} {
			for _, workers := range []int{1, 2} {
				b.Run(fmt.Sprintf("op=%s/size=%s/workers=%d", op, size.name, workers), func(b *testing.B) {
					benchCeiling(b, op, size.elements, workers)
				})
			}
		}
	}
}

func benchCeiling(b *testing.B, op string, n, workers int) {
	large := n == memoryElements
	x, dst := memoryScores(), memoryOutput()
	// Each worker has n elements of its own, or its share of the memory; small
	// ones it takes many times.
	per, times := n, 1
	if large {
		per = n / workers
	} else {
		times = 1 << 20 / n
	}
	for b.Loop() {
		splitRows(workers, workers, func(from, _ int) {
			y := x[from*per:][:per]
			for range times {
				if op == "read" {
					ceiling.Read(y)
				} else {
					ceiling.Copy(dst[from*per:][:per], y, large)
				}
			}
		})
	}
	perElement[float32](b, per*times*workers)
}
