package zlpr

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/power"
)

// wildScores are scores of any size with some special values: what a tier
// might treat differently.
func wildScores[T Float](rng *rand.Rand, n int) []T {
	x := make([]T, n)
	scale := math.Exp(rng.Float64()*16 - 8)
	specials := []float64{math.Inf(1), math.Inf(-1), math.NaN(), 0, math.Copysign(0, -1), 3e38, -3e38, 1e-40, -1e-40, 88.72, -87.3, 708.4, -745}
	rate := []int{0, 1000, 30}[rng.IntN(3)]
	for i := range x {
		x[i] = T(rng.NormFloat64() * scale)
		if rate > 0 && rng.IntN(rate) == 0 {
			x[i] = T(specials[rng.IntN(len(specials))])
			if rng.IntN(2) == 0 {
				x[i] = randomBits[T](rng)
			}
		}
	}
	return x
}

// randomBits returns a float of random bits.
func randomBits[T Float](rng *rand.Rand) T {
	if kernel.IsFloat32[T]() {
		return T(math.Float32frombits(rng.Uint32()))
	}
	return T(math.Float64frombits(rng.Uint64()))
}

// results are all results for one row.
type results[T Float] struct {
	max                T
	lse                []float64
	softmax, logarithm []T
}

// evaluate computes all results of a row. It fails if the row changes.
func evaluate[T Float](t *testing.T, x []T) results[T] {
	before := append([]T(nil), x...)
	r := results[T]{softmax: make([]T, len(x)), logarithm: make([]T, len(x))}
	r.max = Max(x)
	r.lse = append(r.lse, LogSumExp(x), Softmax(r.softmax, x), LogSoftmax(r.logarithm, x))
	kerneltest.SameBits(t, before, x, "input")
	return r
}

func (r *results[T]) same(t *testing.T, s *results[T], what ...any) {
	t.Helper()
	kerneltest.SameBits(t, []T{r.max}, []T{s.max}, append(what, "Max")...)
	kerneltest.SameBits(t, r.lse, s.lse, append(what, "LogSumExp")...)
	kerneltest.SameBits(t, r.softmax, s.softmax, append(what, "Softmax")...)
	kerneltest.SameBits(t, r.logarithm, s.logarithm, append(what, "LogSoftmax")...)
}

// testLengths are all lengths to beyond four times what a kernel's loop takes
// at once, and lengths around the blocks of a row.
func testLengths() []int {
	var lengths []int
	for n := range 4*64 + 4 {
		lengths = append(lengths, n)
	}
	return append(lengths, BlockLen-1, BlockLen, BlockLen+1, 2*BlockLen, 3*BlockLen+65, (batch+1)*BlockLen+1)
}

// TestTiers compares every tier with the generic one: every length, every
// offset from an aligned address, in place and not.
func TestTiers(t *testing.T) {
	kerneltest.ForBothTypes(t, testTiers[float32], testTiers[float64])
}

func testTiers[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range testLengths() {
		offsets := 16
		if n > 4*64+3 {
			offsets = 2
		}
		for offset := range offsets {
			buffer := make([]T, offset+n)
			x := buffer[offset:]
			copy(x, wildScores[T](rng, n))
			restore := forceTier(kernel.Generic)
			want := evaluate(t, x)
			restore()
			for _, tier := range kernel.Available() {
				restore := forceTier(tier)
				got := evaluate(t, x)
				want.same(t, &got, tier, n, offset)
				y := append(make([]T, offset, offset+n), x...)[offset:]
				Softmax(y, y)
				kerneltest.SameBits(t, want.softmax, y, tier, n, offset, "Softmax in place")
				copy(y, x)
				LogSoftmax(y, y)
				kerneltest.SameBits(t, want.logarithm, y, tier, n, offset, "LogSoftmax in place")
				restore()
			}
		}
	}
}

// TestRows compares the functions of matrices with those of rows, for strides
// beyond the columns, streaming stores and a mix of ordinary and wild rows.
func TestRows(t *testing.T) {
	forEachTier(t, func(t *testing.T) { kerneltest.ForBothTypes(t, testRows[float32], testRows[float64]) })
}

func testRows[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, shape := range []struct{ rows, cols int }{
		{0, 5}, {5, 0}, {1, 1}, {3, 8}, {130, 20}, {200, 64}, {70, 33}, {9, 1000}, {3, BlockLen}, {2, BlockLen + 1},
	} {
		for _, pad := range []int{0, 3} {
			m := Matrix[T]{Rows: shape.rows, Cols: shape.cols, Stride: shape.cols + pad}
			m.Data = make([]T, m.Rows*m.Stride)
			for i := range m.Rows {
				if m.Cols > 0 && rng.IntN(10) > 0 {
					for j := range m.Row(i) {
						m.Row(i)[j] = T(rng.NormFloat64())
					}
				} else if m.Cols > 0 {
					copy(m.Row(i), wildScores[T](rng, m.Cols))
				}
			}
			top := make([]T, m.Rows)
			lse, lse2, lse3 := make([]float64, m.Rows), make([]float64, m.Rows), make([]float64, m.Rows)
			soft, logs := m, m
			soft.Data, logs.Data = make([]T, len(m.Data)), make([]T, len(m.Data))
			MaxRows(top, m)
			LogSumExpRows(lse, m)
			SoftmaxRows(soft, lse2, m)
			LogSoftmaxRows(logs, lse3, m)
			for i := range m.Rows {
				want := evaluate(t, m.rowOrEmpty(i))
				got := results[T]{top[i], []float64{lse[i], lse2[i], lse3[i]}, soft.rowOrEmpty(i), logs.rowOrEmpty(i)}
				want.same(t, &got, shape, pad, i)
			}
			for i := range len(m.Data) / max(m.Stride, 1) {
				for j := m.Cols; j < m.Stride; j++ {
					if soft.Data[i*m.Stride+j] != 0 || logs.Data[i*m.Stride+j] != 0 {
						t.Fatal("written between the rows")
					}
				}
			}
		}
	}
}

// TestShortRows compares LogSumExpRows with LogSumExp at every length of short rows:
// plain ones, rows of which one score holds almost all, and wild ones, as many as fill
// chunks and a few more or less.
func TestShortRows(t *testing.T) {
	forEachTier(t, func(t *testing.T) { kerneltest.ForBothTypes(t, testShortRows[float32], testShortRows[float64]) })
}

func testShortRows[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for n := 1; n <= kernel.ShortRow+1; n++ {
		step := shortStep(min(n, kernel.ShortRow))
		for _, kind := range []string{"plain", "peaked", "wild"} {
			rows := []int{leastShort - 1, leastShort, 64, step - 1, step, step + 9, 2*step + 32}[rng.IntN(7)]
			m := Matrix[T]{Rows: rows, Cols: n, Stride: n + rng.IntN(2)*rng.IntN(5)}
			m.Data = make([]T, m.Rows*m.Stride-(m.Stride-n))
			for i := range m.Data {
				m.Data[i] = T(rng.NormFloat64() * 3)
			}
			for i := range rows {
				switch {
				case rng.IntN(rows) > 2:
				case kind == "peaked":
					m.Row(i)[rng.IntN(n)] = T(8 + rng.IntN(40))
				case kind == "wild":
					copy(m.Row(i), wildScores[T](rng, n))
				}
			}
			lse := make([]float64, rows)
			LogSumExpRows(lse, m)
			for i, got := range lse {
				if want := LogSumExp(m.Row(i)); math.Float64bits(got) != math.Float64bits(want) {
					t.Fatalf("%d %s rows of %d: row %d %v is %v, want %v", rows, kind, n, i, m.Row(i), got, want)
				}
			}
		}
	}
}

// TestStreaming compares streaming stores with ordinary ones.
func TestStreaming(t *testing.T) {
	forEachTier(t, func(t *testing.T) { kerneltest.ForBothTypes(t, testStreaming[float32], testStreaming[float64]) })
}

func testStreaming[T Float](t *testing.T) {
	for _, cols := range []int{1, 7, 16, 64, 100, 257} {
		for offset := range 17 {
			const rows = 5
			x := normalScores[T](rows * cols)
			q := make([]kernel.RowParams[T], rows)
			for i := range q {
				q[i] = scaleParams[T](power.Number{Hi: float64(3 + i)})
			}
			want, got := make([]T, rows*cols+offset+8), make([]T, rows*cols+offset+8)
			scale(want[offset:], cols, x, cols, rows, cols, q, 1, false)
			scale(got[offset:], cols, x, cols, rows, cols, q, 1, true)
			kerneltest.SameBits(t, want, got, cols, offset)
		}
	}
}

// TestSpecialValues is the table of the doc comments.
func TestSpecialValues(t *testing.T) {
	forEachTier(t, func(t *testing.T) { kerneltest.ForBothTypes(t, testSpecialValues[float32], testSpecialValues[float64]) })
}

func testSpecialValues[T Float](t *testing.T) {
	inf, nan, big := T(math.Inf(1)), kernel.CanonicalNaN[T](), T(3e38)
	payload := T(math.Float64frombits(0xfff0dead_00000000))
	tiny := T(math.Float32frombits(1))
	negativeZero := T(math.Copysign(0, -1))
	ln2 := math.Ln2
	for _, c := range []struct {
		name    string
		x       []T
		max     T
		lse     float64
		softmax []T
	}{
		{"empty", nil, -inf, math.Inf(-1), nil},
		{"zero", []T{0}, 0, 0, []T{1}},
		{"negative zeros", []T{negativeZero, negativeZero}, negativeZero, ln2, []T{0.5, 0.5}},
		{"both zeros", []T{negativeZero, 0, negativeZero, 0}, 0, 2 * ln2, []T{0.25, 0.25, 0.25, 0.25}},
		{"NaN", []T{1, nan, 2}, nan, math.NaN(), []T{nan, nan, nan}},
		{"NaN with a payload", []T{payload}, nan, math.NaN(), []T{nan}},
		{"NaN and +Inf", []T{inf, nan}, nan, math.NaN(), []T{nan, nan}},
		{"NaN and -Inf", []T{-inf, nan}, nan, math.NaN(), []T{nan, nan}},
		{"+Inf", []T{1, inf, 2}, inf, math.Inf(1), []T{0, 1, 0}},
		{"+Inf twice", []T{inf, inf}, inf, math.Inf(1), []T{nan, nan}},
		{"+Inf and -Inf", []T{-inf, inf}, inf, math.Inf(1), []T{0, 1}},
		{"-Inf", []T{-inf, 0, -inf}, 0, 0, []T{0, 1, 0}},
		{"all -Inf", []T{-inf, -inf}, -inf, math.Inf(-1), []T{nan, nan}},
		{"one -Inf", []T{-inf}, -inf, math.Inf(-1), []T{nan}},
		{"large", []T{big, big}, big, float64(big) + ln2, []T{0.5, 0.5}},
		{"large negative", []T{-big, -big}, -big, -float64(big) + ln2, []T{0.5, 0.5}},
		{"large of both signs", []T{-big, big}, big, float64(big), []T{0, 1}},
		{"subnormal", []T{tiny, -tiny}, tiny, ln2, []T{0.5, 0.5}},
		{"beyond exp", []T{1000, 1000}, 1000, 1000 + ln2, []T{0.5, 0.5}},
		{"below exp", []T{-1000, -1000}, -1000, -1000 + ln2, []T{0.5, 0.5}},
		{"subtracted", []T{5000, 5000}, 5000, 5000 + ln2, []T{0.5, 0.5}},
		{"far apart", []T{0, -1000}, 0, math.Exp(-1000), []T{1, 0}},
	} {
		// The row at several places of longer rows: what is added counts nothing.
		for _, n := range []int{len(c.x), len(c.x) + 40, BlockLen + 100} {
			for _, first := range []int{0, n - len(c.x)} {
				if len(c.x) == 0 && n > 0 {
					continue
				}
				x, soft := make([]T, n), make([]T, n)
				for i := range x {
					x[i] = -inf
					if len(c.softmax) > 0 && c.softmax[0] != c.softmax[0] {
						soft[i] = nan
					}
				}
				copy(x[first:], c.x)
				copy(soft[first:], c.softmax)
				got := evaluate(t, x)
				what := []any{c.name, n, first}
				kerneltest.SameBits(t, []T{c.max}, []T{got.max}, what...)
				for _, lse := range got.lse {
					if math.IsNaN(c.lse) || math.IsInf(c.lse, 0) {
						kerneltest.SameBits(t, []float64{float64(canonical(c.lse))}, []float64{lse}, what...)
					} else {
						assert.InDelta(t, c.lse, lse, 2e-7*max(1, math.Abs(c.lse)), what)
					}
				}
				kerneltest.SameBits(t, soft, got.softmax, append(what, "softmax")...)
			}
		}
	}
}

// canonical replaces a NaN by the canonical one.
func canonical(x float64) float64 {
	if x != x {
		return kernel.CanonicalNaN[float64]()
	}
	return x
}

// TestAccumulator cuts a row at block boundaries and merges the parts in any
// order.
func TestAccumulator(t *testing.T) {
	forEachTier(t, func(t *testing.T) { kerneltest.ForBothTypes(t, testAccumulator[float32], testAccumulator[float64]) })
}

func testAccumulator[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	rounds := 200
	if testing.Short() {
		rounds = 50
	}
	for range rounds {
		n := rng.IntN(8 * BlockLen)
		x := wildScores[T](rng, n)
		if rng.IntN(2) == 0 {
			// A different order of magnitude in every block.
			for i := range x {
				x[i] = T(rng.NormFloat64()) + T(i/BlockLen)*T(rng.NormFloat64()*100)
			}
		}
		want := LogSumExp(x)
		var whole Accumulator[T]
		var parts []Accumulator[T]
		for from := 0; from < n; {
			to := min(n, from+BlockLen*(1+rng.IntN(3)))
			whole.Add(x[from:to])
			var a Accumulator[T]
			a.Add(x[from:to])
			parts = append(parts, a)
			from = to
		}
		kerneltest.SameBits(t, []float64{want}, []float64{whole.LogSumExp()}, "added", n)
		rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		var merged Accumulator[T]
		for i := range parts {
			merged.Merge(&parts[i])
		}
		kerneltest.SameBits(t, []float64{want}, []float64{merged.LogSumExp()}, "merged", n)
		merged.Reset()
		kerneltest.SameBits(t, []float64{math.Inf(-1)}, []float64{merged.LogSumExp()}, "reset")
	}
}

// TestPanics gives every function what it cannot take. Nothing is written.
func TestPanics(t *testing.T) {
	x, y := make([]float32, 4), []float32{7, 7, 7}
	require.PanicsWithValue(t, badLength, func() { Softmax(y, x) })
	require.PanicsWithValue(t, badLength, func() { LogSoftmax(y, x) })
	good := Matrix[float32]{Rows: 1, Cols: 3, Stride: 3, Data: y}
	lse := []float64{7}
	for _, bad := range []Matrix[float32]{
		{Rows: -1, Cols: 3, Stride: 3, Data: x},
		{Rows: 1, Cols: -1, Stride: 3, Data: x},
		{Rows: 1, Cols: 3, Stride: 2, Data: x},
		{Rows: 2, Cols: 3, Stride: 3, Data: x},
		{Rows: math.MaxInt, Cols: 2, Stride: math.MaxInt, Data: x},
		{Rows: 1, Cols: 3, Stride: 3},
	} {
		require.PanicsWithValue(t, badMatrix, func() { MaxRows(y[:1], bad) })
		require.PanicsWithValue(t, badMatrix, func() { LogSumExpRows(lse, bad) })
		require.PanicsWithValue(t, badMatrix, func() { SoftmaxRows(good, lse, bad) })
		require.PanicsWithValue(t, badMatrix, func() { LogSoftmaxRows(bad, lse, good) })
	}
	require.PanicsWithValue(t, badRows, func() { MaxRows(y[:2], good) })
	require.PanicsWithValue(t, badRows, func() { LogSumExpRows(nil, good) })
	require.PanicsWithValue(t, badRows, func() { SoftmaxRows(good, lse[:0], good) })
	other := Matrix[float32]{Rows: 1, Cols: 4, Stride: 4, Data: x}
	require.PanicsWithValue(t, badShape, func() { SoftmaxRows(good, nil, other) })
	require.PanicsWithValue(t, badShape, func() { LogSoftmaxRows(good, nil, other) })
	assert.Equal(t, []float32{7, 7, 7}, y)
	assert.Equal(t, []float64{7}, lse)
}

// TestNoAllocations: no function allocates.
func TestNoAllocations(t *testing.T) {
	forEachTier(t, func(t *testing.T) { kerneltest.ForBothTypes(t, testNoAllocations[float32], testNoAllocations[float64]) })
}

func testNoAllocations[T Float](t *testing.T) {
	for _, shape := range [][2]int{{4, 20}, {40, 20}, {4, 2 * BlockLen}} {
		rows, n := shape[0], shape[1]
		x := normalScores[T](rows * n)
		x[3*n] = 5000 // a row off the fast path
		y := make([]T, len(x))
		m := Matrix[T]{Rows: rows, Cols: n, Stride: n, Data: x}
		dst := Matrix[T]{Rows: rows, Cols: n, Stride: n, Data: y}
		lse, top := make([]float64, rows), make([]T, rows)
		var a, b Accumulator[T]
		for name, f := range map[string]func(){
			"Max":            func() { Max(x) },
			"LogSumExp":      func() { LogSumExp(x) },
			"Softmax":        func() { Softmax(y, x) },
			"LogSoftmax":     func() { LogSoftmax(y, x) },
			"MaxRows":        func() { MaxRows(top, m) },
			"LogSumExpRows":  func() { LogSumExpRows(lse, m) },
			"SoftmaxRows":    func() { SoftmaxRows(dst, lse, m) },
			"LogSoftmaxRows": func() { LogSoftmaxRows(dst, lse, m) },
			"Accumulator":    func() { a.Add(x); b.Merge(&a); b.LogSumExp() },
		} {
			assert.Zero(t, testing.AllocsPerRun(5, f), fmt.Sprint(name, n))
		}
	}
}

// TestLogSumExpFarApart: the excess of a maximum above scores so far below it that
// the exponents of both powers of two together leave 64 bits is 0.
func TestLogSumExpFarApart(t *testing.T) {
	x := []float64{0x1.6341538e48ff2p+61, -0x1.6fb472682b242p+61}
	if got := LogSumExp(x); got != x[0] {
		t.Errorf("%v, not %v", got, x[0])
	}
	p := []float64{0, 0}
	LogSoftmax(p, []float64{0x1p62, 0x1p62 - 512})
	if want := -math.Exp(-512); math.Abs(p[0]/want-1) > 0x1p-48 || p[1] != -512 {
		t.Errorf("%v, not %v, -512", p, want)
	}
}

// TestLogSumExpInParts: the sum of a part beyond the natural range is not below the
// highest score either.
func TestLogSumExpInParts(t *testing.T) {
	x := []float32{-0x1.589cc6p+00, -0x1.6d101p+04, 0x1.5d51ecp+06, -0x1.589cc6p+00}
	for k := range x {
		var a Accumulator[float32]
		a.Add(x[:k])
		a.Add(x[k:])
		if got := a.LogSumExp(); got != LogSumExp(x) || got < float64(Max(x)) {
			t.Errorf("cut at %d: %v, not %v", k, got, LogSumExp(x))
		}
	}
}
