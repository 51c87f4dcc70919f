package zlpr

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
)

// boundLogSoftmax bounds the relative error of an entry of LogSoftmax, in ULP.
const boundLogSoftmax = 4

// exactExcess returns x - max x, and log1p(E) of the others.
func exactExcess[T Float](x []T) (differences []*big.Float, l *big.Float) {
	k := slices.Index(x, slices.Max(x))
	top := ref.New(float64(x[k]))
	e := ref.New(0)
	for i, v := range x {
		d := ref.Sub(ref.New(float64(v)), top)
		differences = append(differences, d)
		if i != k && d.Cmp(ref.New(-1e6)) > 0 {
			e = ref.Add(e, ref.Exp(d))
		}
	}
	return differences, ref.Log1p(e)
}

// logSoftmaxError returns the relative error of an entry in ULP; +Inf for one above
// 0. What lies below the smallest normal number may be 0.
func logSoftmaxError[T Float](got T, want *big.Float) float64 {
	smallest, largest := 0x1p-126, math.MaxFloat32
	if !kernel.IsFloat32[T]() {
		smallest, largest = 0x1p-1022, math.MaxFloat64
	}
	w, _ := want.Float64()
	switch {
	case !(got <= 0):
		return math.Inf(1)
	case math.Abs(w) < smallest:
		return math.Abs(float64(got)-w) / smallest
	case math.Abs(w) > largest/2 && math.IsInf(float64(got), -1):
		return 0
	}
	return ref.RelError(float64(got), want, unit[T]())
}

// TestLogSoftmaxError: every entry is within the bound, relative, for rows whose
// maximum holds any part of the sum, whatever their shift; LogSumExp is at least Max.
// The test logs the worst that it finds.
func TestLogSoftmaxError(t *testing.T) {
	kerneltest.ForBothTypes(t, testLogSoftmaxError[float32], testLogSoftmaxError[float64])
}

func testLogSoftmaxError[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	worst := 0.0
	check := func(x []T) {
		t.Helper()
		differences, below := exactExcess(x)
		got := make([]T, len(x))
		lse := LogSoftmax(got, x)
		if lse != LogSumExp(x) || lse < float64(Max(x)) {
			t.Errorf("LogSumExp(%v) = %v", x, lse)
		}
		for i, d := range differences {
			e := logSoftmaxError(got[i], ref.Sub(d, below))
			if e > boundLogSoftmax {
				t.Fatalf("LogSoftmax(%v)[%d] = %v, off by %v ULP", x, i, got[i], e)
			}
			worst = max(worst, e)
		}
	}
	greatest := math.MaxFloat32
	if !kernel.IsFloat32[T]() {
		greatest = math.MaxFloat64
	}
	largest := T(greatest)
	for _, x := range [][]T{
		{3}, {-largest}, {largest}, {0, 18}, {1e8, 1e8}, {1e16, 1e16}, {largest, largest}, {-largest, -largest, -largest},
		{0, -largest}, {largest, -largest}, {0, -700}, {0, -80}, {85, 0}, {500, 499}, {-3000, -3001, -2990}, {1e16, 0, 1e16},
		{5000, 4990, 1}, {-5000, 4990}, {88.5, 88}, {-600, -601},
	} {
		check(x)
	}
	rounds := 4000
	if testing.Short() {
		rounds = 300
	}
	for range rounds {
		n := []int{2, 3, 8, 20, 64, 65, 150}[rng.IntN(7)]
		x := make([]T, n)
		spread := math.Ldexp(1, rng.IntN(12)-4)
		shift := math.Ldexp(rng.NormFloat64(), rng.IntN(24)-8)
		for i := range x {
			x[i] = T(shift + spread*rng.NormFloat64())
		}
		// The maximum stands out by any distance.
		x[rng.IntN(n)] = T(shift + spread + math.Ldexp(rng.Float64(), rng.IntN(10)-3))
		check(x)
	}
	for _, n := range []int{BlockLen - 1, BlockLen, BlockLen + 1, 3*BlockLen + 7} {
		x := normalScores[T](n)
		check(x)
		x[n/2] = 30
		check(x)
		x[n/2] = -largest
		check(x)
	}
	t.Logf("worst %.3f ULP", worst)
}

// TestLogSoftmaxShift: a shift that is exact changes nothing.
func TestLogSoftmaxShift(t *testing.T) {
	kerneltest.ForBothTypes(t, testLogSoftmaxShift[float32], testLogSoftmaxShift[float64])
}

func testLogSoftmaxShift[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(53, 54))
	for range 300 {
		n := 1 + rng.IntN(100)
		x, y := make([]T, n), make([]T, n)
		a, b := make([]T, n), make([]T, n)
		shift := T(rng.IntN(200) - 100)
		for i := range x {
			x[i] = T(rng.IntN(1<<12)-1<<11) / 256
			y[i] = x[i] + shift
		}
		LogSoftmax(a, x)
		LogSoftmax(b, y)
		for i := range a {
			if d := math.Abs(float64(a[i] - b[i])); d > 2*boundLogSoftmax*unit[T]()*math.Abs(float64(a[i])) {
				t.Fatalf("%v shifted by %v: %v, %v", x[i], shift, a[i], b[i])
			}
		}
	}
}

// TestLogSumExpExact: one score, alone or among -Inf, is its own log-sum-exp; so it
// is for rows of a matrix and for accumulators.
func TestLogSumExpExact(t *testing.T) {
	kerneltest.ForBothTypes(t, testLogSumExpExact[float32], testLogSumExpExact[float64])
}

func testLogSumExpExact[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(55, 56))
	if got := LogSumExp([]T{0, T(math.Inf(-1))}); got != 0 { // 2^-1022 once
		t.Errorf("LogSumExp of 0 and -Inf = %v", got)
	}
	for range 2000 {
		n := []int{1, 2, 7, 40, BlockLen + 5}[rng.IntN(5)]
		x := make([]T, n)
		for i := range x {
			x[i] = T(math.Inf(-1))
		}
		v := T(math.Ldexp(rng.NormFloat64(), rng.IntN(120)-20))
		x[rng.IntN(n)] = v
		var a Accumulator[T]
		a.Add(x)
		var rows [1]float64
		LogSumExpRows(rows[:], Matrix[T]{1, n, x, n})
		for _, got := range []float64{LogSumExp(x), rows[0], a.LogSumExp()} {
			if got != float64(v) {
				t.Fatalf("LogSumExp of %v among %d = %v", v, n, got)
			}
		}
	}
	// Never below the maximum.
	for range 20000 {
		x := make([]T, 2+rng.IntN(20))
		top := 4 * math.Ldexp(rng.NormFloat64(), rng.IntN(2)*rng.IntN(70))
		for i := range x {
			x[i] = T(top - 40*rng.Float64())
		}
		x[rng.IntN(len(x))] = T(top)
		if l := LogSumExp(x); l < float64(Max(x)) {
			t.Fatalf("LogSumExp(%v) = %v, less than Max", x, l)
		}
	}
}
