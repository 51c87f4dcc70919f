package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// TestSixteen: kernels give of 16-bit floats the bits that they give of the same float32,
// gradients rounded, and their twins as well.
func TestSixteen(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		r := &kerneltest.Rand{Rand: rand.New(rand.NewPCG(31, 32))}
		for n := 1; n <= 400; n++ {
			for _, kind := range sixteens() {
				newSixteenCase(r, 1+r.IntN(20), n, kind).check(t)
			}
		}
	})
}

// sixteens are the kinds of floats that kernels of the tier take.
func sixteens() (kinds []int) {
	for _, kind := range []int{BFloat16, Float16} {
		if Sixteen(kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// A sixteenCase is rows of 16-bit floats, without gaps, and the same in float32.
type sixteenCase struct {
	kind, rows, n int
	half          []uint16
	wide          []float32
	pos, neg      []uint64
	words         int
	scale         []float64
}

func newSixteenCase(r *kerneltest.Rand, rows, n, kind int) *sixteenCase {
	c := &sixteenCase{kind: kind, rows: rows, n: n, half: make([]uint16, rows*n), wide: make([]float32, rows*n)}
	anything := r.IntN(8) == 0 // NaN among it
	for i := range c.half {
		if c.half[i] = sixteenOf(kerneltest.Score[float32](r, 3), kind); anything && r.IntN(50) == 0 {
			c.half[i] = uint16(r.IntN(1 << 16))
		}
	}
	c.pos, c.neg, c.words = hashedSides(r, rows, n)
	if r.IntN(2) == 0 { // groups are whole
		for k, p := range c.pos {
			c.neg[k] = ^p
			if k%c.words == c.words-1 {
				c.neg[k] &= LastWord(n)
			}
		}
	}
	ties := r.IntN(4) == 0 // between bfloat16: half of these scales, of score 0
	for i := range rows {
		scale := 1 + r.Float64()
		if ties {
			scale = 1 + float64(2*r.IntN(128)+1)/256
			c.half[i*n+r.IntN(n)] = 0
		}
		c.scale = append(c.scale, math.Ldexp(scale, r.IntN(20)-10))
	}
	Widen(c.wide, c.half, kind == BFloat16)
	return c
}

// args are the arguments of BCE of the float32, or of the 16-bit floats.
func (c *sixteenCase) args(sixteen, grad bool) *BCEArgs[float32] {
	a := &BCEArgs[float32]{Rows: c.rows, N: c.n, Stride: c.n, Pos: c.pos, Neg: c.neg, Words: c.words, Copy: &Copy[float32]{}}
	a.Product = make([]float64, c.rows*a.Blocks())
	if sixteen {
		a.Kind, a.X16 = c.kind, c.half
	} else {
		a.X = c.wide
	}
	if grad {
		a.Scale, a.DstStride = c.scale, c.n
		if sixteen {
			a.Dst16 = make([]uint16, len(c.half))
		} else {
			a.Dst = make([]float32, len(c.half))
		}
	}
	return a
}

func (c *sixteenCase) check(t *testing.T) {
	t.Helper()
	for _, grad := range []bool{false, true} {
		want, got, twin := c.args(false, grad), c.args(true, grad), c.args(true, grad)
		BCE(want)
		BCE(got)
		bce32Generic(twin)
		if !slices.EqualFunc(want.Product, got.Product, sameFloat) || !slices.EqualFunc(want.Product, twin.Product, sameNumber) {
			t.Fatalf("BCE of %d rows of %d, kind %d: products are %v, of the twin %v, want %v", c.rows, c.n, c.kind, got.Product, twin.Product, want.Product)
		}
		for i, g := range want.Dst {
			h := sixteenOf(g, c.kind)
			row := want.Product[i/c.n*want.Blocks():][:want.Blocks()]
			open := slices.ContainsFunc(row, func(p float64) bool { return !finite(p) })
			if got.Dst16[i] != h || twin.Dst16[i] != h && !open {
				t.Fatalf("BCE of %d rows of %d, kind %d: gradient %d is %#x, of the twin %#x, want %#x of %v", c.rows, c.n, c.kind, i, got.Dst16[i], twin.Dst16[i], h, g)
			}
		}
	}
	if c.n < LeastSixteen {
		return
	}
	stride := KeptStride[float32](c.n)
	sums := func(h Rows16, x []float32, exp func(a, b []float64, w []float32, wStride int, x []float32, stride, rows, n int, pos, neg []uint64, words int, h Rows16, c *Copy[float32])) (all []float64) {
		var out [4][]float64
		for i := range out {
			out[i] = make([]float64, c.rows+8) // kernels write the sums of 8 rows
		}
		a, b, d, e := out[0], out[1], out[2], out[3]
		w := make([]float32, c.rows*stride+64)
		exp(a, b, w, stride, x, c.n, c.rows, c.n, c.pos, c.neg, c.words, h, &Copy[float32]{})
		SelectSums(d, e, x, c.n, c.rows, c.n, c.pos, c.neg, c.words, h)
		for i := range c.rows {
			all = append(all, a[i], b[i], d[i], e[i])
			for _, v := range w[i*stride:][:c.n] {
				all = append(all, float64(v))
			}
		}
		return all
	}
	h := Rows16{c.kind, c.half}
	want := sums(Rows16{}, c.wide, SelectExp[float32])
	if got := sums(h, nil, SelectExp[float32]); !slices.EqualFunc(want, got, sameFloat) {
		t.Fatalf("SelectExp of %d rows of %d, kind %d: %v, want %v", c.rows, c.n, c.kind, got, want)
	}
	if got := sums(h, nil, selectExp32Generic); !slices.EqualFunc(want, got, sameFloat) {
		t.Fatalf("twin of SelectExp of %d rows of %d, kind %d: %v, want %v", c.rows, c.n, c.kind, got, want)
	}
}

// sameFloat reports whether a and b have the same bits, or are NaN both.
func sameFloat(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b
}

// sameNumber reports whether a and b have the same bits, or are no numbers both.
func sameNumber(a, b float64) bool { return sameFloat(a, b) || !finite(a) && !finite(b) }

func finite(x float64) bool { return x-x == 0 }
