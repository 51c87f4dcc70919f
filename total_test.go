package zlpr

import (
	"bytes"
	"context"
	"encoding"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zlpr/zlpr/internal/exact"
	"github.com/zlpr/zlpr/internal/kernel"
)

// TestTotal: rows that are cut into batches, of several evaluators, and merged in
// any order have the result of one batch, bit for bit.
func TestTotal(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 14))
	for range 100 {
		rows, n := 1+rng.IntN(300), 1+rng.IntN(70)
		b := &Batch[float32]{Scores: Matrix[float32]{rows, n, make([]float32, rows*n), n}}
		labels, mask := make([]uint8, rows*n), make([]uint8, rows*n)
		b.RowWeights = make([]float64, rows)
		for i := range labels {
			b.Scores.Data[i] = float32(3 * rng.NormFloat64())
			mask[i] = uint8(rng.IntN(2))
			labels[i] = mask[i] & uint8(rng.IntN(2))
		}
		for i := range b.RowWeights {
			b.RowWeights[i] = float64(rng.IntN(4)) * math.Ldexp(rng.Float64(), rng.IntN(200)-100)
		}
		if rng.IntN(2) == 0 {
			b.RowWeights = nil
		}
		b.Labels = &DenseLabels[uint8]{rows, n, labels, n}
		b.Mask = &DenseLabels[uint8]{rows, n, mask, n}
		reduction := Reduction(rng.IntN(3))
		var whole Total
		v, err := NewEvaluator[float32](ZLPR{}, Options{Reduction: reduction, Workers: 1 + rng.IntN(4)})
		require.NoError(t, err)
		want, wantErr := v.Evaluate(context.Background(), b, &Output[float32]{Total: &whole})

		var totals [3]Total
		v, err = NewEvaluator[float32](ZLPR{}, Options{})
		require.NoError(t, err)
		for r0 := 0; r0 < rows; {
			r1 := r0 + 1 + rng.IntN(rows-r0)
			part := &Batch[float32]{Scores: Matrix[float32]{r1 - r0, n, b.Scores.Data[r0*n:], n},
				Labels: &DenseLabels[uint8]{r1 - r0, n, labels[r0*n:], n}, Mask: &DenseLabels[uint8]{r1 - r0, n, mask[r0*n:], n}}
			if b.RowWeights != nil {
				part.RowWeights = b.RowWeights[r0:r1]
			}
			_, err := v.Evaluate(context.Background(), part, &Output[float32]{Total: &totals[rng.IntN(3)]})
			require.NoError(t, err)
			r0 = r1
		}
		totals[2].Merge(&totals[0])
		totals[2].Merge(&totals[1])
		got, err := totals[2].Result(reduction)
		require.Equal(t, wantErr, err)
		require.Equal(t, want, got)
		if wantErr == nil {
			got, err = whole.Result(reduction)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
}

// TestTotalOfNothing: no rows, rows that do not count, and an error.
func TestTotalOfNothing(t *testing.T) {
	var total Total
	r, err := total.Result(Sum)
	require.NoError(t, err)
	require.Equal(t, Result{}, r)
	_, err = total.Result(Mean)
	require.Equal(t, ErrNoRows, err)
	_, err = total.Result(Mean + 1)
	require.EqualError(t, err, "zlpr: Reduction: 3, want None, Sum or Mean")

	v, err := NewEvaluator[float64](ZLPR{}, Options{})
	require.NoError(t, err)
	b := &Batch[float64]{Scores: Matrix[float64]{2, 1, []float64{1, math.NaN()}, 1}, RowWeights: []float64{0, 1},
		Labels: &DenseLabels[uint8]{2, 1, []uint8{1, 1}, 1}}
	r, err = v.Evaluate(context.Background(), b, &Output[float64]{Total: &total})
	require.NoError(t, err)
	require.True(t, math.IsNaN(r.Sum))
	require.Equal(t, 1, r.Rows)
	require.Zero(t, r.Min, "NaN is neither smallest nor largest")
	before := total
	b.Labels = &DenseLabels[uint8]{2, 1, []uint8{1, 2}, 1}
	_, err = v.Evaluate(context.Background(), b, &Output[float64]{Total: &total})
	var e *DataError
	require.ErrorAs(t, err, &e)
	require.Equal(t, DataError{1, 0, LabelNotBinary, "label 2 is neither 0 nor 1"}, *e)
	require.Equal(t, before, total, "an error adds nothing")
}

// TestMeanOfAnyWeights: weights of any size leave the mean and its gradient as they
// are.
func TestMeanOfAnyWeights(t *testing.T) {
	scores := Matrix[float64]{3, 2, []float64{1, -2, 0.5, 3, -1, 0.25}, 2}
	b := &Batch[float64]{Scores: scores, Labels: &TargetLabels{Classes: 2, Targets: []int32{0, 1, 1}}}
	v, err := NewEvaluator[float64](ZLPR{}, Options{Reduction: Mean})
	require.NoError(t, err)
	b.RowWeights = []float64{1, 1, 1}
	want, err := v.Evaluate(context.Background(), b, nil)
	require.NoError(t, err)
	grad := Matrix[float64]{3, 2, make([]float64, 6), 2}
	wantGrad := Matrix[float64]{3, 2, make([]float64, 6), 2}
	_, err = v.Evaluate(context.Background(), b, &Output[float64]{Grad: wantGrad})
	require.NoError(t, err)
	for _, weight := range []float64{5e-324, 0x1p-1070, 0x1p-1000, 0x1p1000, 0x1p1023} {
		b.RowWeights = []float64{weight, weight, weight}
		got, err := v.Evaluate(context.Background(), b, nil)
		require.NoError(t, err)
		require.InEpsilon(t, want.Loss, got.Loss, 0x1p-52, "%v", weight)
		_, err = v.Evaluate(context.Background(), b, &Output[float64]{Grad: grad})
		require.NoError(t, err)
		for k, g := range grad.Data {
			require.InEpsilon(t, wantGrad.Data[k], g, 2*0x1p-52, "%v", weight)
		}
	}
}

// TestAddParts: where the parts are right their sum is the exact one, on every
// tier, and they are right wherever they are promised to be.
func TestAddParts(t *testing.T) {
	below := math.Nextafter(kernel.PartBound, 0)
	for _, c := range []struct {
		name  string
		right bool // for certain
		wrong bool // for certain
		value func(r *rand.Rand) float64
	}{
		{"one", true, false, func(*rand.Rand) float64 { return 1 }},
		{"zero", true, false, func(*rand.Rand) float64 { return 0 }},
		{"largest", true, false, func(*rand.Rand) float64 { return below }},
		{"just above the parts' halves", true, false, func(r *rand.Rand) float64 { return 0x1p-29 + 0x1p-74*float64(r.IntN(2)) }},
		{"usual", true, false, func(r *rand.Rand) float64 { return r.ExpFloat64() }},
		{"all magnitudes", true, false, func(r *rand.Rand) float64 {
			if r.IntN(10) == 0 {
				return 0
			}
			return math.Ldexp(1+r.Float64(), r.IntN(83)-66)
		}},
		{"tiny", false, false, func(r *rand.Rand) float64 { return math.Ldexp(1+r.Float64(), -66-r.IntN(60)) }},
		{"subnormal", false, true, func(*rand.Rand) float64 { return 5e-324 }},
		{"too large", false, true, func(*rand.Rand) float64 { return kernel.PartBound }},
		{"huge", false, true, func(*rand.Rand) float64 { return math.MaxFloat64 }},
		{"infinite", false, true, func(*rand.Rand) float64 { return math.Inf(1) }},
		{"NaN", false, true, func(*rand.Rand) float64 { return math.NaN() }},
		{"negative", false, true, func(*rand.Rand) float64 { return -1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			forEachTier(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(1, 2))
				for k := range 500 {
					x := make([]float64, 8*(1+r.IntN(kernel.MostParts/8)))
					if k == 0 {
						x = make([]float64, kernel.MostParts)
					}
					for i := range x {
						x[i] = r.Float64()
						if k%3 > 0 {
							x[i] = c.value(r)
						}
					}
					odd := r.IntN(len(x))
					x[odd] = c.value(r)
					var p kernel.LossParts
					kernel.AddParts(&p, x)
					if c.right || c.wrong {
						require.Equal(t, c.right, p.Right(), "%v", x)
					}
					if !p.Right() {
						continue
					}
					var want, got exact.Sum
					least, most := math.Inf(1), math.Inf(-1)
					for _, v := range x {
						want.Add(v)
						least, most = min(least, v), max(most, v)
					}
					for _, v := range p.Sum {
						got.Add(v)
					}
					require.Equal(t, want, got, fmt.Sprint(x))
					require.Equal(t, []float64{least, most}, []float64{p.Min, p.Max})
				}
			})
		})
	}
}

// through sends a value through its bytes, which are those of what arrives, too.
func through(t *testing.T, from encoding.BinaryMarshaler, to interface {
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}) []byte {
	t.Helper()
	data, err := from.MarshalBinary()
	if err == nil {
		err = to.UnmarshalBinary(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := to.MarshalBinary(); !bytes.Equal(again, data) {
		t.Error("not the same bytes again")
	}
	return data
}

// TestTotalTravels: shards of rows whose Totals were marshalled and merged, in any
// order, have the Result of all rows.
func TestTotalTravels(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, weighted := range []bool{false, true} {
		const rows, n = 300, 7
		x, y, weights := make([]float32, rows*n), make([]uint8, rows*n), make([]float64, rows)
		for i := range x {
			x[i], y[i] = float32(rng.NormFloat64()*20), uint8(rng.IntN(2))
		}
		for i := range weights {
			weights[i] = math.Ldexp(rng.Float64(), rng.IntN(200)-100)
		}
		evaluate := func(r0, r1 int) *Total {
			var total Total
			b := Batch[float32]{Scores: Matrix[float32]{r1 - r0, n, x[r0*n : r1*n], n},
				Labels: &DenseLabels[uint8]{r1 - r0, n, y[r0*n : r1*n], n}}
			if weighted {
				b.RowWeights = weights[r0:r1]
			}
			e, err := NewEvaluator[float32](ZLPR{}, Options{})
			if err == nil {
				_, err = e.Evaluate(context.Background(), &b, &Output[float32]{Total: &total})
			}
			if err != nil {
				t.Fatal(err)
			}
			return &total
		}
		want, err := evaluate(0, rows).Result(Mean)
		if err != nil {
			t.Fatal(err)
		}
		var merged Total
		for _, cut := range [][2]int{{200, 201}, {0, 111}, {201, rows}, {111, 111}, {111, 200}} {
			var u Total
			if cut[0] == cut[1] {
				through(t, new(Total), &u)
			} else if data := through(t, evaluate(cut[0], cut[1]), &u); len(data) > 200 {
				t.Errorf("%d bytes", len(data))
			}
			merged.Merge(&u)
		}
		if got, err := merged.Result(Mean); got != want {
			t.Errorf("weighted %v: %+v, %v, want %+v", weighted, got, err, want)
		}
	}
}

// TestAccumulatorTravels: parts of a row that were marshalled give its LogSumExp.
func TestAccumulatorTravels(t *testing.T) {
	t.Run("float32", accumulatorTravels[float32])
	t.Run("float64", accumulatorTravels[float64])
	t.Run("BFloat16", accumulatorTravels[BFloat16])
}

func accumulatorTravels[T Score](t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	for _, scale := range []float64{1, 30, 300} {
		x := make([]T, 3*BlockLen+17)
		for i := range x {
			v := rng.NormFloat64() * scale
			if bytesOf[T]() == 2 {
				*(any(&x[i]).(*BFloat16)) = BFloat16(math.Float32bits(float32(v)) >> 16)
			} else {
				setScore(&x[i], v)
			}
		}
		for _, special := range []int{0, 1, 2} { // nothing, one peak, nothing but -Inf
			if bytesOf[T]() == 2 && special > 0 {
				continue
			}
			if special == 1 {
				setScore(&x[5], 5000)
			}
			if special == 2 {
				for i := range x {
					setScore(&x[i], math.Inf(-1))
				}
			}
			var merged Accumulator[T]
			for at := len(x) / BlockLen * BlockLen; at >= 0; at -= BlockLen {
				var a, b Accumulator[T]
				a.Add(x[at:min(len(x), at+BlockLen)])
				if data := through(t, &a, &b); len(data) > 300 {
					t.Errorf("%d bytes", len(data))
				}
				merged.Merge(&b)
			}
			var again Accumulator[T]
			through(t, &merged, &again)
			if got, want := again.LogSumExp(), LogSumExp(x); math.Float64bits(got) != math.Float64bits(want) {
				t.Errorf("scale %v, special %d: %v, want %v", scale, special, got, want)
			}
		}
	}
}

func setScore[T Score](x *T, v float64) {
	switch x := any(x).(type) {
	case *float32:
		*x = float32(v)
	case *float64:
		*x = v
	}
}

// TestForeign: the bytes of another type, of other scores, or cut off are errors,
// and change nothing.
func TestForeign(t *testing.T) {
	var a Accumulator[float32]
	a.Add([]float32{1, 2})
	data, _ := a.MarshalBinary()
	var total Total
	total.rows = 7
	var b Accumulator[float64]
	if total.UnmarshalBinary(data) == nil || b.UnmarshalBinary(data) == nil || a.UnmarshalBinary(data[:len(data)-1]) == nil || total.UnmarshalBinary(nil) == nil {
		t.Error("no error")
	}
	if total.rows != 7 || a.LogSumExp() != LogSumExp([]float32{1, 2}) {
		t.Error("changed by an error")
	}
}

// FuzzUnmarshal reads what may be no results; what is taken for some has the same
// bytes again, and can be used.
func FuzzUnmarshal(f *testing.F) {
	var a Accumulator[float32]
	a.Add([]float32{1, 2, 300})
	data, _ := a.MarshalBinary()
	f.Add(data)
	var total Total
	total.sum.Add(-3)
	total.weight.Add(1)
	total.rows = 1
	total.span(-3, -3)
	data, _ = total.MarshalBinary()
	f.Add(data)
	// Of soft labels, with row weights and a mask, as evaluators sum.
	for _, b := range []Batch[float32]{
		{Scores: Matrix[float32]{Rows: 2, Cols: 3, Stride: 3, Data: []float32{1, -2, 0.5, 3, 0, -1}},
			Soft: Matrix[float32]{Rows: 2, Cols: 3, Stride: 3, Data: []float32{0, 1, 0.25, 1, 0, 0.5}}},
		{Scores: Matrix[float32]{Rows: 2, Cols: 3, Stride: 3, Data: []float32{1, -2, 0.5, 3, 0, -1}}, RowWeights: []float64{0x1p-1074, 1e300},
			Labels: &TargetLabels{Targets: []int32{1, 2}, Classes: 3}},
	} {
		var sum Total
		e, err := NewEvaluator[float32](BCE{}, Options{Workers: 1})
		if err == nil {
			_, err = e.Evaluate(context.Background(), &b, &Output[float32]{Total: &sum})
		}
		if err != nil {
			f.Fatal(err)
		}
		data, _ = sum.MarshalBinary()
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, sealed(data)} {
			var a Accumulator[float32]
			var total Total
			if total.UnmarshalBinary(data) == nil {
				if again, _ := total.MarshalBinary(); !bytes.Equal(again, data) {
					t.Errorf("%x became %x", data, again)
				}
				_, _ = total.Result(Mean)
			}
			if a.UnmarshalBinary(data) == nil {
				if again, _ := a.MarshalBinary(); !bytes.Equal(again, data) {
					t.Errorf("%x became %x", data, again)
				}
				b := a
				b.busy = 0
				a.Merge(&b)
				a.LogSumExp()
			}
		}
	})
}

// sealed returns data with the checksum that they need.
func sealed(data []byte) []byte {
	n := max(0, len(data)-4)
	return binary.LittleEndian.AppendUint32(bytes.Clone(data[:n]), crc32.Checksum(data[:n], crc32.MakeTable(crc32.Castagnoli)))
}
