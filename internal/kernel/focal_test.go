package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// focalCase is arguments of the kernels for rows of n random elements; kind counts
// the forms.
func focalCase[T Float](r *kerneltest.Rand, rows, n, kind int) *FocalArgs[T] {
	b := elementCase[T](r, rows, n, 2*kind*2+1)
	a := &FocalArgs[T]{
		Sum: b.Sum, Dst: b.Dst, DstStride: b.DstStride, X: b.X, Stride: b.Stride, Rows: b.Rows, N: b.N,
		Pos: b.Pos, Neg: b.Neg, Words: b.Words, Params: b.Params, Shifted: b.Shifted,
		NegWeight: b.NegWeight, PosWeight: b.PosWeight,
	}
	for i := range a.Params {
		if p := &a.Params[i]; p[1]-p[1] != 0 {
			p[1] = 0 // thresholds are finite
		}
	}
	f := []float64{0.5, 1, 1.5, 2, 2.5, 3, 0.3, 4, 7.25, 32}[r.IntN(10)]
	var ok bool
	if a.Steps, a.Root, ok = FocalExponent(f); !ok {
		a.Root = FromPower
	}
	a.Exponent[0] = T(f)
	if a.Root == FromPower {
		a.Powers = make([]T, 64*rows*a.Words)
		f := ExponentParts[T](f)
		SigmoidPowers(a.Powers, a.X, a.Stride, a.Rows, a.N, a.Pos, a.Neg, a.Words, a.Params, f[:])
	}
	return a
}

// focalKinds is the number of kinds of focalCase: plain, and with thresholds and
// weights.
const focalKinds = 2

// TestFocalKernels compares the kernels of every tier with the generic ones, for
// every length and start of a row.
func TestFocalKernels(t *testing.T) {
	kerneltest.ForBothTypes(t, testFocalKernels[float32], testFocalKernels[float64])
}

func testFocalKernels[T Float](t *testing.T) {
	r := &kerneltest.Rand{Rand: rand.New(rand.NewPCG(31, 32))}
	for n := 1; n <= 300; n++ {
		for kind := range focalKinds {
			a := focalCase[T](r, 1+r.IntN(3), n, kind)
			if r.IntN(2) == 0 {
				a.Params[0][0] *= -1 // signs of zeros
			}
			if r.IntN(4) == 0 {
				a.X[r.IntN(len(a.X))] = []T{T(math.Inf(1)), T(math.Inf(-1)), T(math.NaN()), 1e30, -1e30}[r.IntN(5)]
			}
			if a.Root == FromPower {
				for i := range a.X {
					if a.X[i] != a.X[i] {
						a.X[i] = 1
					}
				}
				testSigmoidPowers(t, a)
			}
			offset := r.IntN(16)
			a.X = append(make([]T, offset), a.X...)[offset:]
			dst := append([]T(nil), a.Dst...)
			results := func() (all []float64) {
				all = append(all, a.Sum...)
				for _, v := range a.Dst {
					all = append(all, float64(v))
				}
				return all
			}
			restore := forceTier(Generic)
			Focal(a)
			want := results()
			restore()
			// The terms of a row, where that is a form.
			var terms []T
			flat := *a
			flat.Rows, flat.Terms = 1, make([]T, 64*a.Words)
			if kind == 0 {
				restore := forceTier(Generic)
				Focal(&flat)
				restore()
				terms = append(terms, flat.Terms[:n]...)
			}
			for _, tier := range Available()[1:] {
				if kind == 0 {
					restore := forceTier(tier)
					Focal(&flat)
					restore()
					for j, v := range terms {
						if u := flat.Terms[j]; u != v && v == v {
							t.Fatalf("%v, n=%d, f=%v: term %d is %v, generic %v", tier, n, a.Exponent, j, u, v)
						}
					}
				}
				copy(a.Dst, dst)
				restore := forceTier(tier)
				Focal(a)
				restore()
				for i, v := range results() {
					if math.Float64bits(v) != math.Float64bits(want[i]) && (v == v || want[i] == want[i]) {
						t.Fatalf("%v, n=%d, kind %d, f=%v, number %d of %d: %v, generic %v", tier, n, kind, a.Exponent, i, len(want), v, want[i])
					}
				}
			}
		}
	}
}

// testSigmoidPowers compares the powers of every tier with the generic ones, and sets
// those of a.
func testSigmoidPowers[T Float](t *testing.T, a *FocalArgs[T]) {
	powers := func() []T {
		h := make([]T, len(a.Powers))
		SigmoidPowers(h, a.X, a.Stride, a.Rows, a.N, a.Pos, a.Neg, a.Words, a.Params, []T{a.Exponent[0], a.Exponent[0] / (1 << 25)})
		return h
	}
	restore := forceTier(Generic)
	a.Powers = powers()
	restore()
	for _, tier := range Available()[1:] {
		restore := forceTier(tier)
		got := powers()
		restore()
		for i := range a.Rows {
			for j := range a.N {
				at := 64*i*a.Words + j
				if g, w := float64(got[at]), float64(a.Powers[at]); math.Float64bits(g) != math.Float64bits(w) {
					t.Fatalf("%v, n=%d, f=%v: power of %v is %v, generic %v", tier, a.N, a.Exponent, a.X[i*a.Stride+j], g, w)
				}
			}
			for _, v := range got[64*i*a.Words:][:64*a.Words] {
				if v != v {
					t.Fatalf("%v, n=%d: a power beyond the row is NaN", tier, a.N)
				}
			}
		}
	}
}
