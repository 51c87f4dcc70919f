package zlpr

import (
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
