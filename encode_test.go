package zlpr

import (
	"bytes"
	"context"
	"encoding"
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"testing"
)

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
