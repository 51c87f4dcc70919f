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
	a, distance, others := make([]float64, c.rows+8), make([]float64, c.rows+8), make([]float64, c.rows+8)
	w := make([]T, c.rows*c.n)
	Maximum(top[:1], c.x, c.stride, 1, c.n)
	most := SoftTargets(a, distance, others, peaks, w, c.n, c.x, c.stride, c.t, c.tStride, c.rows, c.n, top)
	for i, p := range peaks {
		if math.IsNaN(distance[i]) { // what else there is of the row is open
			clear(w[i*c.n:][:c.n])
			results = append(results, distance[i])
			continue
		}
		results = append(results, float64(top[i]), a[i], distance[i], others[i], float64(p[0]), float64(p[1]))
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

// columnResults are those of the kernels of columns: of sums and peaks where these are not open.
type columnResults[T Float] struct {
	x, t                 []T // columns
	sums, peaks, powers  []float64
	losses, factors, dst []float64
	most, least          uint64
	finished             bool
}

func (c *softCase[T]) columns() *columnResults[T] {
	r := &columnResults[T]{}
	lanes, m := LanesOf[T](), ColumnsLen(c.n)
	columns := func() []T {
		x := ResizeAligned[T](nil, c.rows*m)
		for i := range x {
			x[i] = T(-math.MaxFloat32)
		}
		return x
	}
	w := columns()
	r.x, r.t = columns(), columns()
	clear(r.t)
	ToColumns(r.x, c.x, c.stride, c.rows, c.n)
	ToColumns(r.t, c.t, c.tStride, c.rows, c.n)
	sums, peaks := make([]float64, 3*c.rows), make([]T, 3*c.rows)
	r.most = SoftColumnSums(sums, c.rows, peaks, r.x, r.t, w, c.rows, c.n)
	again := make([]float64, len(sums))
	SoftColumnSums(again, c.rows, peaks, r.x, r.t, nil, c.rows, c.n)
	loss, scale, factors := make([]float64, c.rows), make([]float64, c.rows), make([]T, 4*c.rows)
	for i := range scale {
		scale[i] = (0.75 + float64(i)) * float64(1-i%2*2)
	}
	if r.finished = SoftColumnFinish(loss, factors, sums, c.rows, peaks, nil, scale, c.rows); r.finished {
		r.losses = append(r.losses, loss...)
		r.factors = asFloat64(factors)
		clear(loss)
		if SoftColumnFinish(loss, nil, sums, c.rows, peaks, nil, nil, c.rows) {
			r.losses = append(r.losses, loss...)
		}
	} else {
		for i := range factors {
			factors[i] = 1.25 + T(i)
		}
	}
	for i := range c.rows {
		if !c.columnOpen(i) {
			for k := range 3 {
				r.sums = append(r.sums, sums[k*c.rows+i], again[k*c.rows+i])
				r.peaks = append(r.peaks, float64(peaks[k*c.rows+i]))
			}
			for j := range c.n {
				r.powers = append(r.powers, float64(w[i/lanes*m*lanes+i%lanes+j*lanes]))
			}
		}
	}
	copy(w, r.x) // no exponentials that are open
	r.least = SoftColumnScale(r.x, r.t, w, c.rows, c.n, factors, c.rows)
	stride := c.n + 2
	dst := make([]T, c.rows*stride)
	ToRows(dst, stride, w, c.rows, c.n)
	canonicalNaNs(dst)
	r.dst = asFloat64(dst)
	canonicalNaNs(r.sums)
	canonicalNaNs(r.peaks)
	return r
}

// columnOpen reports whether the results of row i are open.
func (c *softCase[T]) columnOpen(i int) bool {
	most := T(ColumnLimit[T]())
	for _, v := range c.x[i*c.stride:][:c.n] {
		if !(v <= most) {
			return true
		}
	}
	return false
}

// all returns all of them.
func (r *columnResults[T]) all() []float64 {
	return slices.Concat(asFloat64(r.x), asFloat64(r.t), r.sums, r.peaks, r.powers, r.losses, r.factors, r.dst, []float64{float64(r.most), float64(r.least)})
}

func asFloat64[T Float](x []T) (y []float64) {
	for _, v := range x {
		y = append(y, float64(v))
	}
	return y
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
	finishes := 0
	lengths := MostColumns[T]() - LeastColumns + 1
	for round := range 4 * lengths {
		n := LeastColumns + round%lengths
		c := newColumnCase[T](r, n)
		got := c.columns()
		func() {
			defer forceTier(Generic)()
			want := c.columns()
			if got.finished != want.finished {
				t.Fatalf("n = %d: finished is %t, want %t", n, got.finished, want.finished)
			}
			kerneltest.SameBits(t, want.all(), got.all(), n)
		}()
		if t.Failed() {
			t.FailNow()
		}
		if !got.finished {
			continue
		}
		finishes++
		top, peaks := make([]T, c.rows), make([]Peak[T], c.rows)
		a, distance, others := make([]float64, c.rows+8), make([]float64, c.rows+8), make([]float64, c.rows+8)
		Maximum(top[:1], c.x, c.stride, 1, n)
		SoftTargets(a, distance, others, peaks, nil, 0, c.x, c.stride, c.t, c.tStride, c.rows, n, top)
		for i := range c.rows {
			if peaks[i][1] > 1 {
				continue
			}
			near := 4*math.Nextafter(1, 2) - 4
			if IsFloat32[T]() {
				near = 0x1p-21
			}
			for k, want := range []float64{a[i], distance[i], others[i]} {
				if got := got.sums[6*i+2*k]; math.Abs(got-want) > near*want {
					t.Errorf("n = %d: sum %d is %v, of longer rows %v", n, k, got, want)
				}
			}
			for k, want := range []float64{float64(peaks[i][0]), float64(top[i])} {
				if got := got.peaks[3*i+k]; got != want {
					t.Errorf("n = %d: the peak has %v, of longer rows %v", n, got, want)
				}
			}
		}
	}
	if finishes < 40 {
		t.Errorf("%d cases were finished", finishes)
	}
}
