package zlpr

import (
	"math"
	"slices"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
)

// seeds adds rows of both types.
func seeds(f *testing.F) {
	inf := math.Inf(1)
	for _, x := range [][]float64{
		{}, {0}, {1, 2, 3}, {-inf, -inf}, {inf, 1}, {math.NaN(), 1}, {3e38, 3e38}, {-3e38, 3e38},
		{88, 89, 90}, {-100, -101}, {700, 710, 720}, {2047, 2048, 2049}, {1e-40, -1e-40}, {0, -16.6356, -16.6356},
		{1e5, 1e5, 99999}, {0x1p61, 0x1p62, 0x1p63}, {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5},
	} {
		single := make([]float32, len(x))
		for i, v := range x {
			single[i] = float32(v)
		}
		f.Add(kerneltest.FuzzBytes(x...))
		f.Add(kerneltest.FuzzBytes(single...))
	}
}

// FuzzTiers compares all results of every tier with those of the generic one.
func FuzzTiers(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzTiers[float32](t, data)
		fuzzTiers[float64](t, data)
	})
}

func fuzzTiers[T Float](t *testing.T, data []byte) {
	x := kerneltest.FuzzFloats[T](data)
	defer forceTier(kernel.Generic)()
	want := evaluate(t, x)
	for _, tier := range kernel.Available()[1:] {
		kernel.Active = tier
		got := evaluate(t, x)
		want.same(t, &got, tier)
	}
}

// finiteRow returns the row of a fuzz input, cut to a length for which the
// reference is quick, and whether all its scores are finite.
func finiteRow[T Float](data []byte) ([]T, bool) {
	x := kerneltest.FuzzFloats[T](data)
	x = x[:min(len(x), 64)]
	for _, v := range x {
		if v-v != 0 {
			return nil, false
		}
	}
	return x, len(x) > 0
}

// FuzzReference compares LogSumExp, Softmax and LogSoftmax with big.Float.
func FuzzReference(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzReference[float32](t, data)
		fuzzReference[float64](t, data)
	})
}

func fuzzReference[T Float](t *testing.T, data []byte) {
	x, ok := finiteRow[T](data)
	if !ok {
		return
	}
	want := ref.LogSumExp(ref.Floats(x))
	got := evaluate(t, x)
	if err := ref.AbsError(got.lse[0], want, ref.One(want), unit[T]()); err > boundLSE {
		t.Errorf("LogSumExp(%x) = %x, off by %v ULP", x, got.lse[0], err)
	}
	if got.lse[0] < float64(Max(x)) {
		t.Errorf("LogSumExp(%x) = %x, less than Max", x, got.lse[0])
	}
	differences, below := exactExcess(x)
	smallest := 0x1p-124
	if !kernel.IsFloat32[T]() {
		smallest = 0x1p-1020
	}
	for i, d := range differences {
		logarithm := ref.Sub(d, below) // of one sign
		if err := logSoftmaxError(got.logarithm[i], logarithm); err > boundLogSoftmax {
			t.Errorf("LogSoftmax(%x)[%d] = %x, off by %v ULP", x, i, got.logarithm[i], err)
		}
		if l, _ := logarithm.Float64(); l < math.Log(smallest) {
			if got.softmax[i] > T(2*smallest) {
				t.Errorf("Softmax(%x)[%d] = %x, not tiny", x, i, got.softmax[i])
			}
			continue
		}
		if err := ref.RelError(float64(got.softmax[i]), ref.Exp(logarithm), unit[T]()); err > boundSoftmax {
			t.Errorf("Softmax(%x)[%d] = %x, off by %v ULP", x, i, got.softmax[i], err)
		}
	}
}

// FuzzShift: adding a power of two to scores on its grid is exact and adds it
// to the result.
func FuzzShift(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzShift[float32](t, data)
		fuzzShift[float64](t, data)
	})
}

func fuzzShift[T Float](t *testing.T, data []byte) {
	x, ok := finiteRow[T](data)
	if !ok {
		return
	}
	const shift = 64
	y := make([]T, len(x))
	for i, v := range x {
		// Quarters between -1024 and 1024.
		x[i] = T(math.Round(math.Mod(float64(v), 1024)*4) / 4)
		y[i] = x[i] + shift
	}
	a, b := LogSumExp(x), LogSumExp(y)
	if err := math.Abs(b-a-shift) / max(1, math.Abs(a), math.Abs(b)) / unit[T](); err > 2*boundLSE {
		t.Errorf("LogSumExp(%v) = %v, shifted by %v %v", x, a, shift, b)
	}
}

// FuzzSplit: an accumulator that gets the row in two parts and in reverse
// order, and a permuted row, give the result within twice the bound; cut at a
// block the bits.
func FuzzSplit(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzSplit[float32](t, data)
		fuzzSplit[float64](t, data)
	})
}

func fuzzSplit[T Float](t *testing.T, data []byte) {
	x := kerneltest.FuzzFloats[T](data)
	if len(x) == 0 {
		return
	}
	want := LogSumExp(x)
	near := func(got float64, what string) {
		if canonical(got) == canonical(want) || got != got && want != want {
			return
		}
		if err := math.Abs(got-want) / max(1, math.Abs(want)) / unit[T](); !(err <= 2*boundLSE) {
			t.Errorf("%s of %x: %v, not %v", what, x, got, want)
		}
	}
	at := int(data[0]) % len(x)
	var a, b Accumulator[T]
	a.Add(x[at:])
	b.Add(x[:at])
	a.Merge(&b)
	near(a.LogSumExp(), "split")
	reversed := slices.Clone(x)
	slices.Reverse(reversed)
	near(LogSumExp(reversed), "reverse")

	// The row again and again, to beyond a block.
	long := slices.Repeat(x, (BlockLen+100)/len(x)+1)
	a.Reset()
	b.Reset()
	a.Add(long[BlockLen:])
	b.Add(long[:BlockLen])
	a.Merge(&b)
	kerneltest.SameBits(t, []float64{LogSumExp(long)}, []float64{a.LogSumExp()}, "blocks")
}
