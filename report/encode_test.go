package report

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReliabilityTravels: parts that were marshalled have, merged, the Errors of
// all elements.
func TestReliabilityTravels(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	edges := make([]float64, numBins-1)
	for i := range edges {
		edges[i] = float64((i+1)*(i+1)) / numBins / numBins
	}
	for _, link := range []Link{Sigmoid, Sigmoid2, Softmax} {
		c := Calibration{link, 0.7, 0.1}
		var tops []float64
		if link == Softmax {
			c.Shift, tops = 0, edges
		}
		all, merged := NewReliability(c, edges, tops), NewReliability(c, edges, tops)
		for _, e := range elements(t, rng, 300, 9, link == Softmax) {
			part := NewReliability(c, edges, tops)
			part.Add(e)
			all.Add(e)
			data, err := part.MarshalBinary()
			require.NoError(t, err)
			var arrived Reliability
			require.NoError(t, arrived.UnmarshalBinary(data))
			again, err := arrived.MarshalBinary()
			require.NoError(t, err)
			require.Equal(t, data, again)
			require.NoError(t, merged.Same(&arrived))
			merged.Merge(&arrived)
			require.Error(t, arrived.UnmarshalBinary(data[:len(data)-1]))
		}
		require.Equal(t, fmt.Sprint(all.Errors()), fmt.Sprint(merged.Errors())) // where there is no Top, it is NaN
	}
	a, b := NewReliability(Calibration{Sigmoid, 1, 0}, edges, nil), NewReliability(Calibration{Sigmoid, 2, 0}, edges, nil)
	require.EqualError(t, a.Same(b), "report: merge of sigmoid of 1·s + 0 and sigmoid of 2·s + 0")
	require.Error(t, a.Same(NewReliability(Calibration{Sigmoid, 1, 0}, nil, nil)))
}

// FuzzUnmarshal reads what may be no Reliability; what is taken for one has the
// same bytes again, and can be used.
func FuzzUnmarshal(f *testing.F) {
	r := NewReliability(Calibration{Sigmoid, 1, 0}, nil, nil)
	r.Add(&Elements{S: []float64{1, -2}, Y: []bool{true, false}, Ends: []int{2}})
	data, err := r.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	edges := make([]float64, 14)
	for i := range edges {
		edges[i] = float64(i+1) / 15
	}
	for _, link := range []Link{Sigmoid, Sigmoid2, Softmax} { // of other links, with edges
		r := NewReliability(Calibration{link, 0.5, -1}, edges, edges)
		r.Add(&Elements{S: []float64{3, -2, 0.5, 1}, Y: []bool{true, false, false, true}, Ends: []int{2, 4}})
		data, err := r.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n := max(0, len(data)-4)
		sealed := binary.LittleEndian.AppendUint32(bytes.Clone(data[:n]), crc32.Checksum(data[:n], crc32.MakeTable(crc32.Castagnoli)))
		for _, data := range [][]byte{data, sealed} {
			var r Reliability
			if r.UnmarshalBinary(data) == nil {
				if again, _ := r.MarshalBinary(); !bytes.Equal(again, data) {
					t.Errorf("%x became %x", data, again)
				}
				r.Errors()
			}
		}
	})
}
