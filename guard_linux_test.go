package zlpr

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/power"
)

// TestGuardPages: no tier reads or writes outside of its slices.
func TestGuardPages(t *testing.T) {
	forEachTier(t, func(t *testing.T) { kerneltest.ForBothTypes(t, testGuardPages[float32], testGuardPages[float64]) })
}

func testGuardPages[T Float](t *testing.T) {
	const longest = BlockLen + 70
	rng := rand.New(rand.NewPCG(9, 10))
	for _, atEnd := range []bool{false, true} {
		in, out := kerneltest.Guarded[T](t, longest, atEnd), kerneltest.Guarded[T](t, longest, atEnd)
		sums := kerneltest.Guarded[float64](t, batch, atEnd)
		for n := 1; n <= longest; n++ {
			if n == 140 {
				n = BlockLen - 70
			}
			x, y := in[:n], out[:n]
			s, e := sums[:1], sums[1:2]
			if atEnd {
				x, y = in[longest-n:], out[longest-n:]
				s, e = sums[batch-1:], sums[batch-2:]
			}
			for i := range x {
				x[i] = T(rng.NormFloat64())
			}
			want := LogSumExp(append([]T(nil), x...))
			kerneltest.SameBits(t, []float64{want, want, want}, []float64{LogSumExp(x), Softmax(y, x), LogSoftmax(y, x)}, n)
			Max(x)
			p := [1]kernel.RowParams[T]{kernel.PivotParams[T](0)}
			sumExp(s, e, x, n, 1, n, &p[0])
			p[0] = scaleParams[T](power.Number{Hi: 3})
			scale(y, n, x, n, 1, n, p[:], 0, true)
		}
		for n := 1; n <= kernel.ShortRow; n++ {
			for rows := leastShort; rows <= leastShort+9; rows++ {
				x, y := kerneltest.Touching(in, rows*n, atEnd), kerneltest.Touching(out, rows*n, atEnd)
				m := Matrix[T]{Rows: rows, Cols: n, Stride: n, Data: x}
				lse := kerneltest.Touching(sums, rows, atEnd)
				LogSumExpRows(lse, m)
				m.Data = y
				LogSoftmaxRows(m, lse, Matrix[T]{Rows: rows, Cols: n, Stride: n, Data: x})
				SoftmaxRows(m, lse, Matrix[T]{Rows: rows, Cols: n, Stride: n, Data: x})
			}
		}
		// Many rows, whose results fill the guarded slice.
		const n = 5
		hi, lo := sums, make([]float64, batch)
		p := kernel.PivotParams[T](0)
		rows := in[:batch*n]
		if atEnd {
			rows = in[longest-batch*n:]
		}
		for i := range rows {
			rows[i] = T(rng.NormFloat64())
		}
		sumExp(hi, lo, rows, n, batch, n, &p)
		for rest := 1; rest <= batch; rest++ {
			part := sums[:rest]
			if atEnd {
				part = sums[batch-rest:]
			}
			for i := range part {
				part[i] = 1 + rng.Float64()
			}
			kernel.LogPair64(part, part, make([]float64, rest))
			for i := range part {
				part[i] = rng.Float64()
			}
			kernel.Log1p64(part, part)
		}
		kernel.Maximum(out[:1], rows, n, 1, n)
	}
}

// TestGradientGuardPages: exponentials that are kept in the gradient's place stay within it,
// and the gradient has the bits that it has with space between its rows.
func TestGradientGuardPages(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		kerneltest.ForBothTypes(t, testGradientGuardPages[float32], testGradientGuardPages[float64])
	})
}

func testGradientGuardPages[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, n := range []int{64, 65, 100, 1000, 20001} {
		rows := 1 + 50000/n
		x := normalScores[T](rows * n)
		x[rng.IntN(n)] = 1000 // of a row that pivot 0 does not serve
		targets := make([]int32, rows)
		for i := range targets {
			targets[i] = int32(rng.IntN(n))
		}
		b := &Batch[T]{Scores: Matrix[T]{rows, n, x, n}, Labels: &TargetLabels{n, targets}}
		_, _, apart := evalBatch(t, SoftmaxCrossEntropy{}, Options{Workers: 1}, b, Output[T]{Grad: Matrix[T]{rows, n, make([]T, rows*(n+3)), n + 3}})
		for _, workers := range []int{1, 2} {
			for _, atEnd := range []bool{false, true} {
				out := kerneltest.Guarded[T](t, rows*n, atEnd)
				evalBatch(t, SoftmaxCrossEntropy{}, Options{Workers: workers}, b, Output[T]{Grad: Matrix[T]{rows, n, out, n}})
				for i := range rows {
					kerneltest.SameBits(t, apart[i*(n+3):][:n], out[i*n:][:n], fmt.Sprintf("n=%d row=%d workers=%d", n, i, workers))
				}
			}
		}
	}
}
