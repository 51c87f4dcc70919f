package zlpr

import (
	"fmt"
	"sync"
	"testing"

	"github.com/zlpr/zlpr/internal/ceiling"
)

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
