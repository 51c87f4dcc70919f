package metrics

import (
	"bytes"
	"encoding"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHostile: bytes that were cut off anywhere are an error; where one was changed, and
// the checksum with it, they are an error or have results, in memory in proportion.
func TestHostile(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 19))
	b := randomBatch[float32](rng, 4, 3)
	b.Thresholds, b.ThresholdColumn, b.RowWeights = nil, 0, nil
	weighted := *b
	weighted.RowWeights = []float64{1, 0.5, 2, 3}
	tried, step := 0, 1
	if testing.Short() {
		step = 5
	}
	try := func(m encoding.BinaryMarshaler, read func(data []byte) (use func(), err error)) {
		whole, err := m.MarshalBinary()
		require.NoError(t, err)
		for n := 0; n < len(whole); n += step {
			for _, data := range [][]byte{whole[:n], sealed(whole[:n])} {
				_, err := read(data)
				require.Error(t, err, "%d of %d bytes", n, len(whole))
			}
			for _, v := range []byte{whole[n] ^ 1, whole[n] ^ 0x80, 0xff} {
				data := bytes.Clone(whole)
				data[n] = v
				data = sealed(data)
				var before, after runtime.MemStats
				if v == 0xff { // counts are huge then
					runtime.ReadMemStats(&before)
				}
				use, err := read(data)
				if v == 0xff {
					runtime.ReadMemStats(&after)
				}
				require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<16+256*len(data)), "byte %d is %d", n, v)
				if err == nil {
					use()
					tried++
				}
			}
		}
	}
	for _, options := range []Options{{}, {ByClass: true}, {ByClass: true, MicroBits: 9, ClassBits: 8}} {
		for _, batch := range []*Batch[float32]{b, &weighted} {
			options.Propensities = []float64{1, 1, 0.5}
			a, err := NewAccumulator[float32](3, append(All(1), "psp_at_1"), options)
			require.NoError(t, err)
			require.NoError(t, a.Add(batch))
			whole := must(t, a)
			try(a, func(data []byte) (func(), error) {
				x := new(Accumulator[float32])
				err := x.UnmarshalBinary(data)
				return func() {
					y := new(Accumulator[float32])
					require.NoError(t, y.UnmarshalBinary(whole))
					_ = y.Merge(x)
					for _, x := range []*Accumulator[float32]{x, y} {
						_, _ = x.Results()
						_, _ = x.Classes()
						_, _ = x.ScoreBins()
						_, _, _ = x.BestThreshold()
					}
					_ = x.CountScores(9, 8)
					_, _ = x.Results()
				}, err
			})
		}
	}
	// Of classes of which no bytes are kept there may be many.
	for _, names := range [][]string{{"micro_f1"}, {"lrap"}, {"micro_auc"}} {
		for _, options := range []Options{{}, {MicroBits: 9, ClassBits: 8}} {
			a, err := NewAccumulator[float32](300, names, options)
			require.NoError(t, err)
			require.NoError(t, new(Accumulator[float32]).UnmarshalBinary(must(t, a)))
			try(a, func(data []byte) (func(), error) {
				x := new(Accumulator[float32])
				err := x.UnmarshalBinary(data)
				return func() { _, _ = x.Results() }, err
			})
		}
	}
	shares, scan := NewGradientShares(3), NewLabelScan(3)
	require.NoError(t, AddGradient(shares, b.Scores))
	scan.AddRow([]uint64{5})
	try(shares, func(data []byte) (func(), error) {
		x := new(GradientShares)
		err := x.UnmarshalBinary(data)
		return func() { _ = x.Merge(shares); x.Shares() }, err
	})
	try(scan, func(data []byte) (func(), error) {
		x := new(LabelScan)
		err := x.UnmarshalBinary(data)
		return func() { _ = x.Merge(scan) }, err
	})
	t.Logf("%d were taken for results", tried)
	require.Greater(t, tried, 1000)
}

func must(t *testing.T, m encoding.BinaryMarshaler) []byte {
	data, err := m.MarshalBinary()
	require.NoError(t, err)
	return data
}
