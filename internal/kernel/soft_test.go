package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// A softCase is arguments of the kernels of soft labels for rows of n elements.
type softCase[T Float] struct {
	x, t, dst, f               []T
	stride, tStride, dstStride int
	rows, n, words             int
	pos, part                  []uint64
	sum, product               []float64
}

func newSoftCase[T Float](r *kerneltest.Rand, rows, n int, gradient bool) *softCase[T] {
	c := &softCase[T]{rows: rows, n: n, stride: n + r.IntN(3), tStride: n + r.IntN(3)}
	c.pos, c.part, c.words = hashedSides(r, rows, n)
	for i, p := range c.pos {
		c.part[i] |= p
	}
	exp := r.IntN(12) - 4
	c.x = make([]T, rows*c.stride)
	for i := range c.x {
		c.x[i] = kerneltest.Score[T](r, exp)
	}
	c.t = softLabels[T](r, rows*c.tStride)
	if gradient {
		c.dstStride = n + r.IntN(3)
		c.dst = make([]T, rows*c.dstStride)
		for i := range c.dst {
			c.dst[i] = 77
		}
		for range rows {
			c.f = append(c.f, T(r.Positive(10)))
		}
	}
	c.sum = make([]float64, rows)
	if IsFloat32[T]() {
		c.product = make([]float64, rows*((n+coef.BCEBlock-1)/coef.BCEBlock))
	}
	return c
}

// softLabels returns n labels, some of them hard or small.
func softLabels[T Float](r *kerneltest.Rand, n int) []T {
	t := make([]T, n)
	for i := range t {
		t[i] = T(math.Ldexp(float64(r.IntN(1<<20+1)), -20-r.IntN(2)*r.IntN(128)))
		if r.IntN(3) == 0 {
			t[i] = T(r.IntN(2))
		}
	}
	return t
}

func (c *softCase[T]) bce() (results []float64) {
	SoftBCE(c.sum, c.product, c.dst, c.dstStride, c.x, c.stride, c.t, c.tStride, c.rows, c.n, c.part, c.words, c.f)
	results = append(append(results, c.sum...), c.product...)
	for _, g := range c.dst {
		results = append(results, float64(g))
	}
	return results
}

// softTerms returns the results of SoftTerms.
func softTerms(c *softCase[float32]) (results []float64) {
	sums, u, v := make([][2]float64, c.rows), make([]float32, c.rows*c.n), make([]float32, c.rows*c.n)
	SoftTerms(sums, u, v, c.n, c.x, c.stride, c.t, c.tStride, c.rows, c.n, c.part, c.words)
	for _, s := range sums {
		results = append(results, s[:]...)
	}
	for _, w := range slices.Concat(u, v) {
		results = append(results, float64(w))
	}
	return results
}

// TestSoftTerms is TestSoftKernels of a kernel of float32.
func TestSoftTerms(t *testing.T) {
	r := &kerneltest.Rand{Rand: rand.New(rand.NewPCG(35, 36))}
	for n := 1; n <= 300; n++ {
		c := newSoftCase[float32](r, 1+r.IntN(3), n, false)
		var want []float64
		for _, tier := range Available() {
			func() {
				defer forceTier(tier)()
				got := softTerms(c)
				canonicalNaNs(got)
				if tier == Generic {
					want = got
				}
				kerneltest.SameBits(t, want, got, n)
			}()
			if t.Failed() {
				t.Fatalf("tier %s, n = %d", tier, n)
			}
		}
	}
}

// targets returns the results of SoftTargets and of SoftTargetScale; less those of
// LessLabels.
func (c *softCase[T]) targets() (results []float64) {
	top, peaks := make([]T, c.rows), make([]Peak[T], c.rows)
	Maximum(top, c.x, c.stride, c.rows, c.n)
	a, distance, others := make([]float64, c.rows+8), make([]float64, c.rows+8), make([]float64, c.rows+8)
	w := make([]T, c.rows*c.n)
	most := SoftTargets(a, distance, others, peaks, w, c.n, c.x, c.stride, c.t, c.tStride, c.rows, c.n, top)
	for i, p := range peaks {
		results = append(results, a[i], distance[i], others[i], float64(p[0]), float64(p[1]))
	}
	factors := make([]T, c.rows)
	for i := range factors {
		factors[i] = 1.25 + T(i)
	}
	dst := make([]T, c.rows*c.n)
	least := SoftTargetScale(dst, c.n, w, c.n, c.t, c.tStride, c.rows, c.n, factors, factors, factors, factors)
	results = append(results, float64(most), float64(least))
	for _, v := range slices.Concat(w, dst) {
		results = append(results, float64(v))
	}
	return results
}

func (c *softCase[T]) less() (results []float64) {
	dst := append([]T(nil), c.x...)
	f := make([]T, c.rows)
	for i := range f {
		f[i] = 1.25 + T(i)
	}
	LessLabels(dst, c.stride, c.t, c.tStride, c.rows, c.n, f)
	for _, g := range dst {
		results = append(results, float64(g))
	}
	return results
}

// TestSoftKernels compares the kernels of every tier with the generic ones, for every
// length and start of a row.
func TestSoftKernels(t *testing.T) {
	kerneltest.ForBothTypes(t, testSoftKernels[float32], testSoftKernels[float64])
}

func testSoftKernels[T Float](t *testing.T) {
	r := &kerneltest.Rand{Rand: rand.New(rand.NewPCG(31, 32))}
	for n := 1; n <= 1200; n++ {
		if n == 200 {
			n = 500
		}
		if n == 520 {
			n = 1000
		}
		c := newSoftCase[T](r, 1+r.IntN(3), n, n%2 == 0 || n < 140)
		offset := r.IntN(16)
		c.x = append(make([]T, offset), c.x...)[offset:]
		all := func(tier Tier) []float64 {
			defer forceTier(tier)()
			return slices.Concat(c.bce(), c.targets(), c.less())
		}
		want := all(Generic)
		for _, tier := range Available()[1:] {
			for i := range c.dst {
				c.dst[i] = 77
			}
			got := all(tier)
			canonicalNaNs(want)
			canonicalNaNs(got)
			kerneltest.SameBits(t, want, got, n)
			if t.Failed() {
				t.Fatalf("tier %s, n = %d", tier, n)
			}
		}
	}
}

// plainCase returns labels of a row and whether they are plain.
func plainCase[T Float](r *kerneltest.Rand, n int) []T {
	t := make([]T, n)
	for i := range t {
		t[i] = T(math.Ldexp(float64(r.IntN(1<<20+1)), -20))
	}
	odd := []float64{0, 1, math.Copysign(0, -1), PlainLabel[T](), PlainLabel[T]() / 2, math.SmallestNonzeroFloat32, -0.5, 1.5, math.NaN(), math.Inf(1), math.Inf(-1)}
	t[r.IntN(n)] = T(odd[r.IntN(len(odd))])
	return t
}

// TestPlainLabels compares the tiers.
func TestPlainLabels(t *testing.T) {
	kerneltest.ForBothTypes(t, testPlainLabels[float32], testPlainLabels[float64])
}

func testPlainLabels[T Float](t *testing.T) {
	r := &kerneltest.Rand{Rand: rand.New(rand.NewPCG(37, 38))}
	count := 0
	for n := range 3000 {
		n = 1 + n%150
		x := plainCase[T](r, n)
		if rest := len(x) % 3; rest == 0 && n > 3 {
			x = x[1:] // unaligned
		}
		want := true
		for i, tier := range Available() {
			func() {
				defer forceTier(tier)()
				got := PlainLabels(x, len(x), 1, len(x))
				if i == 0 {
					want = got
				}
				if got != want {
					t.Fatalf("tier %s, n = %d: %v, want %v", tier, n, got, want)
				}
			}()
		}
		if want {
			count++
		}
	}
	if count < 300 || count > 2700 {
		t.Errorf("%d of 3000 are plain", count)
	}
}

// columns returns the results of the kernels of columns, bounds of the labels' bits behind them,
// and whether sums are good and rows are finished.
func (c *softCase[T]) columns() (results []T, sums []float64, good, finished bool) {
	size := (c.rows*c.n + 63) &^ 63
	x, t, w := ResizeAligned[T](nil, size), ResizeAligned[T](nil, size), ResizeAligned[T](nil, size)
	ToColumns(x, c.x, c.stride, c.rows, c.n)
	ToColumns(t, c.t, c.tStride, c.rows, c.n)
	p := SoftPowers[T]()
	ShortPowers(w, x, &p)
	sums = make([]float64, 5*c.rows)
	label, factors := make([]T, c.rows), make([]T, 4*c.rows)
	most := SoftColumnSums(sums, c.rows, label, x, t, w, c.rows, c.n)
	good = most < math.MaxUint64
	if good {
		results = label
	} else {
		clear(sums)
	}
	loss, scale := make([]float64, c.rows), make([]float64, c.rows)
	for i := range scale {
		scale[i] = (0.75 + float64(i)) * float64(1-i%2*2)
	}
	if finished = good && SoftColumnFinish(loss, factors, sums, c.rows, label, scale, c.rows); finished {
		sums = append(sums, loss...)
		clear(loss)
		SoftColumnFinish(loss, nil, sums, c.rows, label, nil, c.rows)
		sums = append(sums, loss...)
	} else {
		for i := range factors {
			factors[i] = 1.25 + T(i)
		}
	}
	least := SoftColumnScale(x, t, w, c.rows, c.n, factors, c.rows)
	stride := c.n + 2
	dst := make([]T, c.rows*stride)
	ToRows(dst, stride, w, c.rows, c.n)
	return slices.Concat(results, x[:c.rows*c.n], factors, dst), append(sums, float64(most), float64(least)), good, finished
}

// newColumnCase returns one of these kernels.
func newColumnCase[T Float](r *kerneltest.Rand, n int) *softCase[T] {
	c := newSoftCase[T](r, LanesOf[T]()*(1+r.IntN(3)), n, false)
	if exp := r.IntN(10); exp < 8 { // no extreme scores
		for i := range c.x {
			c.x[i] = T(math.Ldexp(float64(r.IntN(1<<24)-1<<23), exp-23))
		}
	}
	return c
}

// TestSoftColumns compares the kernels of columns of every tier with the generic ones, and
// these with those of longer rows.
func TestSoftColumns(t *testing.T) {
	kerneltest.ForBothTypes(t, testSoftColumns[float32], testSoftColumns[float64])
}

func testSoftColumns[T Float](t *testing.T) {
	r := &kerneltest.Rand{Rand: rand.New(rand.NewPCG(37, 38))}
	goods, finishes := 0, 0
	lengths := MostColumns[T]() - LeastColumns + 1
	for round := range 4 * lengths {
		n := LeastColumns + round%lengths
		c := newColumnCase[T](r, n)
		results, sums, good, finished := c.columns()
		func() {
			defer forceTier(Generic)()
			want, wantSums, wantGood, wantFinished := c.columns()
			if good != wantGood || finished != wantFinished {
				t.Fatalf("n = %d: good is %t, want %t, finished %t, want %t", n, good, wantGood, finished, wantFinished)
			}
			canonicalNaNs(results)
			canonicalNaNs(want)
			kerneltest.SameBits(t, want, results, n)
			kerneltest.SameBits(t, wantSums, sums, n)
		}()
		if !good {
			continue
		}
		goods++
		if finished {
			finishes++
		}
		top, peaks := make([]T, c.rows), make([]Peak[T], c.rows)
		Maximum(top, c.x, c.stride, c.rows, n)
		a, distance, others := make([]float64, c.rows+8), make([]float64, c.rows+8), make([]float64, c.rows+8)
		SoftTargets(a, distance, others, peaks, nil, 0, c.x, c.stride, c.t, c.tStride, c.rows, n, top)
		for i := range top {
			want := []float64{a[i], distance[i], others[i], float64(top[i]), float64(peaks[i][0]), others[i] + float64(peaks[i][0])}
			got := []float64{sums[i], sums[c.rows+i], sums[2*c.rows+i], sums[3*c.rows+i], float64(results[i]), sums[4*c.rows+i]}
			kerneltest.SameBits(t, want, got, n, i)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	if goods < 50 || finishes < 40 {
		t.Errorf("%d cases were good, %d finished", goods, finishes)
	}
}
