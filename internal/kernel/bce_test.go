package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// bceCase is arguments of the kernels for rows of n random elements; kind counts
// the forms, with and without gradient. Thresholds are within the kernels' range.
func bceCase[T Float](r *kerneltest.Rand, rows, n, kind int) *BCEArgs[T] {
	a := elementCase[T](r, rows, n, kind)
	for i, p := range a.Params {
		if !(math.Abs(float64(p[1])) <= coef.MostThreshold32) {
			a.Params[i][1] = 3
		}
	}
	if a.Weighted() {
		a.Shifted = r.IntN(2) == 0 // else hi and lo do not count
	}
	return a
}

// elementCase is bceCase with any thresholds.
func elementCase[T Float](r *kerneltest.Rand, rows, n, kind int) *BCEArgs[T] {
	stride := n + r.IntN(3)
	a := &BCEArgs[T]{X: make([]T, rows*stride), Stride: stride, Rows: rows, N: n, Copy: &Copy[T]{}}
	a.Pos, a.Neg, a.Words = hashedSides(r, rows, n)
	exp := r.IntN(12) - 4
	for i := range a.X {
		a.X[i] = kerneltest.Score[T](r, exp)
	}
	for range rows {
		p := BCEParams[T]{T(r.Positive(10))}
		if kind/2 > 0 {
			p[1] = kerneltest.Score[T](r, exp)
			if IsFloat32[T]() {
				p[2] = T(math.Ldexp(float64(r.Int64N(1<<24)-1<<23), -42))
			}
		}
		a.Params = append(a.Params, p)
		a.Scale = append(a.Scale, float64(p[0]))
	}
	if kind/2 > 0 {
		// Scores at the threshold, but for its low part.
		for range rows {
			i := r.IntN(rows)
			a.X[i*a.Stride+r.IntN(n)] = a.Params[i][1]
		}
	}
	a.Shifted = kind/2 > 0
	if kind/2 >= 2 {
		a.NegWeight, a.PosWeight = make([]T, 64*a.Words), make([]T, 64*a.Words)
		for j := range n {
			a.NegWeight[j], a.PosWeight[j] = T(r.Positive(3)), T(r.Positive(3))
		}
	}
	if kind/2 == 3 {
		a.SoftStride = n + r.IntN(3)
		a.Soft = softLabels[T](r, rows*a.SoftStride)
		if rows == 1 {
			a.Terms = make([]T, 64*a.Words)
		}
	}
	if kind%2 == 1 {
		a.DstStride = n + r.IntN(3)
		a.Dst = make([]T, rows*a.DstStride)
		for i := range a.Dst {
			a.Dst[i] = 77
		}
	}
	a.Sum = make([]float64, rows)
	if IsFloat32[T]() && kind == 3 && rows != 2 {
		a.Slope = make([]float64, rows)
	}
	if IsFloat32[T]() && kind/2 < 2 {
		a.Product = make([]float64, rows*a.Blocks())
	}
	return a
}

// evaluateCase evaluates a bceCase.
func evaluateCase[T Float](a *BCEArgs[T]) {
	if a.Weighted() {
		a.Copy.Finish()
		WeightedBCE(a)
	} else {
		BCE(a)
	}
}

// numbers returns x with NaN for what is no number: which of NaN and +Inf that is, is
// open.
func numbers[T Float](x []T) []T {
	x = slices.Clone(x)
	for i, v := range x {
		if v-v != 0 {
			x[i] = CanonicalNaN[T]()
		}
	}
	return x
}

// bceKinds is the number of kinds of bceCase.
const bceKinds = 8

// TestBCEKernels compares the kernels of every tier with the generic ones, for
// every length and start of a row.
func TestBCEKernels(t *testing.T) {
	kerneltest.ForBothTypes(t, testBCEKernels[float32], testBCEKernels[float64])
}

func testBCEKernels[T Float](t *testing.T) {
	r := &kerneltest.Rand{Rand: rand.New(rand.NewPCG(21, 22))}
	for n := 1; n <= 1200; n++ {
		if n == 200 {
			n = 480
		}
		if n == 540 {
			n = 1000
		}
		for kind := range bceKinds {
			if n > 140 && (n+kind)%4 > 0 {
				continue
			}
			a := bceCase[T](r, 1+r.IntN(3), n, kind)
			offset := r.IntN(16)
			a.X = append(make([]T, offset), a.X...)[offset:]
			// The copy is shorter and longer than the rows.
			from := make([]T, r.IntN(2*n+200))
			for i := range from {
				from[i] = T(i + 1)
			}
			dst := append([]T(nil), a.Dst...)
			results := func() (all []float64) {
				all = slices.Concat(numbers(a.Sum), numbers(a.Product), numbers(a.Slope))
				for _, v := range slices.Concat(a.Dst, a.Terms) {
					all = append(all, float64(v))
				}
				return all
			}
			restore := forceTier(Generic)
			evaluateCase(a)
			want := results()
			restore()
			for _, tier := range Available()[1:] {
				copy(a.Dst, dst)
				to := make([]T, len(from))
				*a.Copy = NewCopy(to, from)
				restore := forceTier(tier)
				evaluateCase(a)
				restore()
				if a.Dst == nil {
					a.Copy.Finish() // kernels of the loss alone may leave it
				}
				if !slices.Equal(to, from) {
					t.Fatalf("%v, n=%d, kind %d: copied %v", tier, n, kind, to)
				}
				for i, v := range results() {
					if math.Float64bits(v) != math.Float64bits(want[i]) && (v == v || want[i] == want[i]) {
						t.Fatalf("%v, n=%d, kind %d, number %d of %d: %v, generic %v", tier, n, kind, i, len(want), v, want[i])
					}
				}
			}
		}
	}
}
