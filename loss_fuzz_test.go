package zlpr

import (
	"math"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
)

// lossSeeds adds rows with their labels and mask in bits.
func lossSeeds(f *testing.F) {
	for _, x := range [][]float32{
		{0}, {1, -2}, {-50, -60, 50, 70}, {-80, -90, -100}, {88, 89, -88}, {1e-8, -1e-8, 3},
		{3e38, -3e38, 1}, {-87.5, 87.5}, {17, 17, 17, 17}, {2047, 2049, -2048}, {1e-40, 0, -1e-40},
	} {
		for _, bits := range []uint64{0, 1, 0x55, ^uint64(0)} {
			f.Add(kerneltest.FuzzBytes(x...), bits, ^uint64(0))
			f.Add(kerneltest.FuzzBytes(x...), bits, uint64(0xb))
		}
	}
}

// fuzzRow returns a row of finite scores, at most 64.
func fuzzRow[T Float](data []byte, labels, mask uint64) (lossCase[T], bool) {
	c := lossCase[T]{scores: kerneltest.FuzzFloats[T](data)}
	n := len(c.scores)
	if n == 0 || n > 64 {
		return c, false
	}
	for i, x := range c.scores {
		// Below that the reference keeps all digits.
		if !(math.Abs(float64(x)) < 1e8) {
			return c, false
		}
		c.mask = append(c.mask, mask>>i&1 != 0)
		c.positive = append(c.positive, labels&mask>>i&1 != 0)
	}
	return c, true
}

// FuzzLossValue compares losses and gradients with the reference.
func FuzzLossValue(f *testing.F) {
	lossSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte, labels, mask uint64) {
		fuzzLossValue[float32](t, data, labels, mask)
		fuzzLossValue[float64](t, data, labels, mask)
	})
}

// shiftedRow is row with a threshold.
func (c *lossCase[T]) shiftedRow(s0 float64) ref.Row {
	d := *c
	d.threshold = s0
	return d.row()
}

func fuzzLossValue[T Float](t *testing.T, data []byte, labels, mask uint64) {
	c, ok := fuzzRow[T](data, labels, mask)
	if !ok {
		return
	}
	for _, l := range []struct {
		loss Loss
		want ref.Result
	}{
		{ZLPR{}, c.row().ZLPR()},
		{Pairwise{}, c.row().Pairwise(1, 0)},
		{Pairwise{Gamma: 0.7, Margin: 2}, c.row().Pairwise(0.7, 2)},
		{BCE{}, c.row().BCE(nil, 0)},
		{BCE{Threshold: 0.3}, c.shiftedRow(0.3).BCE(nil, 0)},
	} {
		_, losses, grad := evalBatch(t, l.loss, Options{}, c.batch(), Output[T]{})
		checkRow(t, l.loss.Name(), losses[0], grad, l.want, 4, 4)
	}
}

// FuzzLossTiers compares all bits of every tier with those of the generic one,
// for any scores.
func FuzzLossTiers(f *testing.F) {
	lossSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte, labels, mask uint64) {
		fuzzLossTiers[float32](t, data, labels, mask)
		fuzzLossTiers[float64](t, data, labels, mask)
	})
}

func fuzzLossTiers[T Float](t *testing.T, data []byte, labels, mask uint64) {
	x := kerneltest.FuzzFloats[T](data)
	n := len(x)
	if n == 0 {
		return
	}
	c := lossCase[T]{scores: x}
	for i := range x {
		c.mask = append(c.mask, mask>>(i%64)&1 != 0)
		c.positive = append(c.positive, labels&mask>>(i%64)&1 != 0)
	}
	for _, loss := range []Loss{ZLPR{}, ZLPR{Threshold: 0.5}, Pairwise{}, Pairwise{Gamma: 2}, BCE{}, BCE{Threshold: 0.3}, BCE{PositiveWeight: []float64{3}}, BCE{Focal: 2}} {
		restore := forceTier(kernel.Generic)
		want := runOnce(t, loss, Options{}, c.batch())
		restore()
		for _, tier := range kernel.Available() {
			restore := forceTier(tier)
			requireSame(t, want, runOnce(t, loss, Options{}, c.batch()), loss.Name()+" "+tier.String())
			restore()
		}
	}
}

// FuzzLabels: dense, packed and sparse labels of the same classes are the same
// bits, and what is no label is an error.
func FuzzLabels(f *testing.F) {
	f.Add([]byte{0, 1, 1, 0}, uint8(2))
	f.Add([]byte{1, 2}, uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, rows uint8) {
		if rows == 0 || len(data) < int(rows) {
			return
		}
		n := len(data) / int(rows)
		d := &DenseLabels[uint8]{int(rows), n, data, n}
		w := kernel.BitWords(n)
		bits := make([]uint64, int(rows)*w)
		err := d.ReadRows(bits, 0, int(rows))
		s := &SparseLabels{Classes: n, RowPtr: []int64{0}}
		for i := range int(rows) {
			for j, v := range data[i*n:][:n] {
				if v > 1 {
					if err == nil || err.(*DataError).Row > i {
						t.Fatalf("row %d, class %d: label %d, error %v", i, j, v, err)
					}
					return
				}
				if v == 1 {
					s.Indices = append(s.Indices, int32(n-1-j))
				}
			}
			s.RowPtr = append(s.RowPtr, int64(len(s.Indices)))
		}
		if err != nil {
			t.Fatal(err)
		}
		for k := range s.Indices {
			s.Indices[k] = int32(n-1) - s.Indices[k]
		}
		same := make([]uint64, len(bits))
		if err := s.ReadRows(same, 0, int(rows)); err != nil {
			t.Fatal(err)
		}
		for k := range bits {
			if bits[k] != same[k] {
				t.Fatalf("word %d: %x dense, %x sparse", k, bits[k], same[k])
			}
		}
	})
}

// FuzzWeightedValue compares losses and gradients with class weights, soft
// labels and γ with the reference.
func FuzzWeightedValue(f *testing.F) {
	f.Add(kerneltest.FuzzBytes[float32](1, -2, 3, 50), uint64(5), uint64(0x1234567), 1.5)
	f.Add(kerneltest.FuzzBytes[float32](-90, -91, -89.5), uint64(1), uint64(0xfedcba), 1e-2)
	f.Add(kerneltest.FuzzBytes[float64](700, -800, 1e-9, 3), uint64(2), uint64(0xf0f0f0), 40.0)
	f.Add(kerneltest.FuzzBytes[float32](3000, 2990, -2049), uint64(2), uint64(0x777), 1.0)
	f.Fuzz(func(t *testing.T, data []byte, labels, weights uint64, gamma float64) {
		if gamma >= 1e-3 && gamma <= 1e3 {
			fuzzWeightedValue[float32](t, data, labels, weights, gamma)
			fuzzWeightedValue[float64](t, data, labels, weights, gamma)
		}
	})
}

func fuzzWeightedValue[T Float](t *testing.T, data []byte, labels, weights uint64, gamma float64) {
	c, ok := fuzzRow[T](data, labels, ^uint64(0))
	if !ok {
		return
	}
	for i, x := range c.scores {
		if math.Abs(float64(x)) > 1e5 {
			return // e^(γx) stays within the reference
		}
		w := weights >> (i * 7 % 57) & 127
		c.weights = append(c.weights, math.Ldexp(float64(w), int(w)-64))
		c.soft = append(c.soft, T(math.Ldexp(float64(w%9), -3-int(w/9)*(i%3)*3)))
	}
	hard := c
	hard.soft = nil
	for _, l := range []struct {
		c    *lossCase[T]
		loss Loss
		want ref.Result
	}{
		{&hard, ZLPR{}, hard.row().ZLPR()},
		{&hard, Pairwise{Gamma: gamma}, hard.row().Pairwise(gamma, 0)},
		{&c, SoftZLPR{}, c.row().SoftZLPR()},
	} {
		if lossError, gradError := generalErrors(t, l.c, l.loss, l.want); lossError > 4 || gradError > 4 {
			t.Errorf("%+v: loss off by %.3g ULP, gradient by %.3g", l.loss, lossError, gradError)
		}
	}
}
