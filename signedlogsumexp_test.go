package zlpr

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/ref"
)

// TestSignedLogSumExp: the error is below the bound, and the sign right where the bound
// is finite.
func TestSignedLogSumExp(t *testing.T) {
	t.Run("float32", testSignedLogSumExp[float32])
	t.Run("float64", testSignedLogSumExp[float64])
}

func testSignedLogSumExp[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(95, 96))
	finite, tight := 0, 0
	h := fnv.New64a()
	for range 3000 {
		n := 1 + r.IntN(8)
		var x, b []T
		center, spread := []float64{0, 0, 50, -700, 1e4, -1e20}[r.IntN(6)], []float64{0.1, 2, 30, 1e3}[r.IntN(4)]
		for range n {
			x = append(x, T(center+float64(spread*r.NormFloat64())))
			b = append(b, T(r.NormFloat64()))
			switch r.IntN(4) {
			case 0: // all but cancel another
				k := r.IntN(len(x))
				x = append(x, x[k]+T(float64(r.IntN(3))*float64(r.IntN(3))*1e-6))
				b = append(b, -b[k])
			case 1:
				b[len(b)-1] *= 1e-30
			}
		}
		lse, sign, bound := SignedLogSumExp(x, b)
		fmt.Fprintf(h, "%x %v %x ", math.Float64bits(lse), sign, math.Float64bits(bound))
		sum := ref.SignedSum(ref.Floats(x), ref.Floats(b))
		if sum.Sign() == 0 {
			require.Equal(t, []float64{math.Inf(-1), 0, 0}, []float64{lse, sign, bound}, "%v %v", x, b)
			continue
		}
		if math.IsInf(bound, 1) {
			continue
		}
		finite++
		require.Equal(t, sum.Sign(), int(sign), "%v %v", x, b)
		err := ref.Sub(ref.New(lse), sum.LogAbs())
		e, _ := err.Abs(err).Float64()
		require.LessOrEqual(t, e, bound, "%v %v", x, b)
		if bound > 0x1p-40 {
			tight++ // by cancellation
		}
	}
	require.Greater(t, finite, 2000)
	require.Greater(t, tight, 100)
	want := map[int]uint64{4: 0x3eeade6d187df841, 8: 0xb6df5e61181bb2e6}
	require.Equal(t, want[bytesOf[T]()], h.Sum64(), "the bits")
}

// TestSignedLogSumExpLimits: special cases, and rows.
func TestSignedLogSumExpLimits(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct{ x, b, want []float64 }{
		{nil, nil, []float64{-inf, 0, 0}},
		{[]float64{1, 1}, []float64{1, -1}, []float64{-inf, 0, 0}},
		{[]float64{1e300, 3, 1e300}, []float64{0.1, 0, -0.1}, []float64{-inf, 0, 0}},
		{[]float64{1, 1, 1}, []float64{1e308, 1e308, -2e307}, []float64{1 + math.Log(1.8) + 308*math.Ln10, 1, -1}},
		{[]float64{0, math.Ln2}, []float64{3, -1}, []float64{0, 1, -1}},
		{[]float64{inf, 0}, []float64{-1, 5}, []float64{inf, -1, 0}},
		{[]float64{inf, inf}, []float64{-1, 5}, []float64{nan, nan, nan}},
		{[]float64{inf, 0}, []float64{0, 1}, []float64{0, 1, -1}},
		{[]float64{-inf, 0}, []float64{1, -1}, []float64{0, -1, -1}},
		{[]float64{nan}, []float64{0}, []float64{nan, nan, nan}},
	} {
		lse, sign, bound := SignedLogSumExp(c.x, c.b)
		got := []float64{lse, sign, bound}
		for k, w := range c.want {
			switch {
			case w != w:
				require.True(t, got[k] != got[k], "%v", c)
			case k == 2 && w < 0: // a small one
				require.True(t, bound > 0 && bound < 1e-12, "%v: %v", c, bound)
			case k == 0 && !math.IsInf(w, 0):
				require.InDelta(t, w, lse, 1e-12*max(1, math.Abs(w)), "%v", c)
			default:
				require.Equal(t, w, got[k], "%v", c)
			}
		}
	}
	lse1, _, bound1 := SignedLogSumExp([]float64{1e299, -1e300}, []float64{1, 0x1p60})
	require.Equal(t, 1e299, lse1, "far below, what a difference leaves out counts for nothing")
	require.LessOrEqual(t, bound1, 0x1.01p-52*1e299)
	x, b := MatrixOf([][]float64{{0, 1}, {2, 2}}), MatrixOf([][]float64{{1, 1}, {-1, 1}})
	lse, sign, bound := make([]float64, 2), make([]float64, 2), make([]float64, 2)
	SignedLogSumExpRows(lse, sign, bound, x, b)
	for i := range 2 {
		l, s, e := SignedLogSumExp(x.Row(i), b.Row(i))
		require.Equal(t, []float64{l, s, e}, []float64{lse[i], sign[i], bound[i]})
	}
	require.Panics(t, func() { SignedLogSumExp([]float64{1}, nil) })
	require.Panics(t, func() { SignedLogSumExpRows(lse[:1], nil, nil, x, b) })
}

// FuzzSignedLogSumExp: any order of the terms gives the same sign and logarithms within
// both bounds.
func FuzzSignedLogSumExp(f *testing.F) {
	f.Add(1.0, 2.0, 1.0, -1.0, 3.0, 0.5)
	f.Fuzz(func(t *testing.T, x, y, z, a, b, c float64) {
		xs, bs := []float64{x, y, z}, []float64{a, b, c}
		l1, s1, e1 := SignedLogSumExp(xs, bs)
		slices.Reverse(xs)
		slices.Reverse(bs)
		l2, s2, e2 := SignedLogSumExp(xs, bs)
		if e1 != e1 || e2 != e2 {
			if e1 == e1 || e2 == e2 {
				t.Fatal("NaN in one order alone")
			}
			return
		}
		if !math.IsInf(e1, 0) && !math.IsInf(e2, 0) && (s1 != s2 || math.Abs(l1-l2) > e1+e2) {
			t.Fatalf("%v %v: %v %v and %v %v", xs, bs, l1, s1, l2, s2)
		}
	})
}
