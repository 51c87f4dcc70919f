package metrics

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// FuzzBrute compares all metrics with their definitions on small matrices with
// many equal scores, masks, learned thresholds and infinities.
func FuzzBrute(f *testing.F) {
	for seed := range uint64(16) {
		f.Add(seed, seed%7, seed%5)
	}
	f.Fuzz(func(t *testing.T, seed, rows, classes uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		if seed%2 == 0 {
			testBrute[float32](t, rng, 1+int(rows%12), 1+int(classes%20))
		} else {
			testBrute[float64](t, rng, 1+int(rows%12), 1+int(classes%20))
		}
	})
}

// FuzzUnmarshal reads what may be no Accumulator; what it takes for one has
// results.
func FuzzUnmarshal(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	b := randomBatch[float32](rng, 4, 3)
	for _, names := range [][]string{All(1), {"lrap", "micro_auc"}, {"psp_at_1"}} {
		a, err := NewAccumulator[float32](3, names, Options{Rule: AboveEach([]float64{0, 1, 2}), Propensities: []float64{1, 1, 0.5}})
		if err != nil {
			f.Fatal(err)
		}
		if err := a.Add(b); err != nil {
			f.Fatal(err)
		}
		data, err := a.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	tuner := NewTuner[float32](3, 1)
	scan := NewLabelScan(3)
	scan.AddRow([]uint64{5})
	if err := tuner.Add(b); err != nil {
		f.Fatal(err)
	}
	shares := NewGradientShares(3)
	if err := AddGradient(shares, b.Scores); err != nil {
		f.Fatal(err)
	}
	b.Thresholds, b.ThresholdColumn = nil, 0
	b.RowWeights = []float64{1, 0.5, 2, 3}
	seeds := []encoding.BinaryMarshaler{tuner, scan, shares}
	// Row weights, a mask, division by zero; by class; scores in bins, those of all
	// classes of their own or the sum of the classes'; of scores kept before.
	for _, o := range []Options{
		{}, {ByClass: true}, {ByClass: true, ZeroDivision: ZeroDivisionNaN}, {Rule: Top(2)}, {Sparse: true},
		{MicroBits: 9, ClassBits: 8}, {MicroBits: 8, ClassBits: 8}, {MicroBits: 10, ClassBits: 10, ByClass: true},
	} {
		for _, weights := range [][]float64{nil, b.RowWeights, {0x1p-1074, 1e300, 0, 1}} {
			part := *b
			part.RowWeights = weights
			a, err := NewAccumulator[float32](3, []string{"macro_auc", "micro_average_precision", "samples_f1", "ndcg_at_2"}, o)
			if err = errors.Join(err, a.Add(&part)); err != nil {
				f.Fatal(err)
			}
			seeds = append(seeds, a)
			if !o.ByClass {
				continue
			}
			late, err := NewAccumulator[float32](3, []string{"macro_auc"}, Options{ByClass: true})
			if err = errors.Join(err, late.Add(&part), late.CountScores(9, 9)); err != nil {
				f.Fatal(err)
			}
			seeds = append(seeds, late)
		}
	}
	for _, name := range []string{"micro_f1", "macro_f1", "samples_f1"} {
		for _, digits := range []int{0, 8} {
			o, err := NewObjective(name, 0)
			if err != nil {
				f.Fatal(err)
			}
			x, err := NewCrossTuner[float32](3, 1, o)
			if err != nil {
				f.Fatal(err)
			}
			if digits > 0 {
				err = x.CountScores(digits, digits)
			}
			if err := errors.Join(err, x.Add(b)); err != nil {
				f.Fatal(err)
			}
			seeds = append(seeds, x)
		}
	}
	for _, m := range seeds {
		data, err := m.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, sealed(data)} {
			var a Accumulator[float32]
			var tuner Tuner[float32]
			var scan LabelScan
			same := func(m encoding.BinaryMarshaler) {
				if again, err := m.MarshalBinary(); err != nil || !bytes.Equal(again, data) {
					t.Errorf("%x became %x, %v", data, again, err)
				}
			}
			if a.UnmarshalBinary(data) == nil {
				same(&a)
				_, _ = a.Results()
				_, _ = a.ScoreBins()
				_, _, _ = a.BestThreshold()
				_, _ = a.Classes()
				_ = a.Merge(&a)
			}
			if tuner.UnmarshalBinary(data) == nil {
				same(&tuner)
				_, _, _ = tuner.Best(Macro)
			}
			var cross CrossTuner[float32]
			if cross.UnmarshalBinary(data) == nil {
				same(&cross)
				_, _ = cross.Tune(false)
				_, _ = cross.Tune(true)
				_, _ = cross.ScoreBins()
			}
			if scan.UnmarshalBinary(data) == nil {
				same(&scan)
			}
			var shares GradientShares
			if shares.UnmarshalBinary(data) == nil {
				same(&shares)
				_ = shares.Merge(NewGradientShares(3))
				shares.Shares()
			}
		}
	})
}

// sealed returns data with the checksum that they need.
func sealed(data []byte) []byte {
	n := max(0, len(data)-4)
	return binary.LittleEndian.AppendUint32(bytes.Clone(data[:n]), crc32.Checksum(data[:n], crc32.MakeTable(crc32.Castagnoli)))
}
