package sparse

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

// TestRepeated: entries of a place add up in the order in which they are
// stored, in float64; the rows are sorted then. As labels they are an error
// that names the row and the column.
func TestRepeated(t *testing.T) {
	inf := math.Inf(1)
	path := save(t, []int64{0, 4, 4, 7}, []int64{2, 0, 2, 1, 3, 3, 3}, []float64{0.5, -1, 1.25, 0.25, 1e16, 1, -1e16}, 3, 4)
	m, err := open(path, Sum)
	require.NoError(t, err)
	require.Equal(t, []int64{0, 3, 3, 4}, m.RowPtr)
	require.Equal(t, []int32{0, 1, 2, 3}, m.Indices)
	require.Equal(t, []float64{-1, 0.25, 1.75, 0}, array.All[float64](m.Values))
	require.Equal(t, []float64{-1, 0.25, 1.75, -inf}, Block(m, new([]float64), 0, 1, -inf))
	require.Equal(t, []float64{-inf, -inf, -inf, 0}, Block(m, new([]float64), 2, 3, -inf))
	require.NoError(t, m.Close())
	_, err = open(path, Refuse)
	require.EqualError(t, err, path+": row 0, column 2: listed twice; list every class once: in scipy, sum_duplicates")
	// A listed -Inf is an entry like others.
	m, err = open(save(t, []int64{0, 2}, []int64{0, 0}, []float64{-inf, 5}, 1, 1), Sum)
	require.NoError(t, err)
	require.Equal(t, []float64{-inf}, array.All[float64](m.Values))
}

// TestUnsorted: the columns of a row may stand in any order.
func TestUnsorted(t *testing.T) {
	m, err := open(save(t, []int64{0, 3}, []int64{5, 0, 3}, []float64{1, 2, 3}, 1, 6), Refuse)
	require.NoError(t, err)
	require.Equal(t, []int32{5, 0, 3}, m.Indices)
}

// TestSizes: what does not agree is an error that says what.
func TestSizes(t *testing.T) {
	values := []float64{1, 1, 1}
	for _, c := range []struct {
		indptr, indices []int64
		rows, cols      int64
		want            string
	}{
		{[]int64{0, 2}, []int64{0, 1, 2, 1}, 1, 3, "4 indices and 3 values"},
		{[]int64{0, 4}, []int64{0, 1, 2}, 1, 3, "indptr ends at 4, but there are 3 indices"},
		{[]int64{0, 2, 1}, []int64{0, 1, 2}, 2, 3, "row 1: indptr decreases"},
		{[]int64{1, 2}, []int64{0, 1, 2}, 1, 3, "indptr does not begin with 0"},
		{[]int64{}, []int64{0, 1, 2}, 0, 3, "indptr does not begin with 0"},
		{[]int64{0, 3}, []int64{0, 1, 2}, 2, 3, "indptr is of 1 row, the shape of 2"},
		{[]int64{0, 3}, []int64{0, 1, 2}, 1, -3, "shape 1×-3: a size is negative"},
		{[]int64{0, 0, 1, 3}, []int64{0, 1, 3}, 3, 3, "row 2: column 3, but there are 3, counted from 0"},
		{[]int64{0, 0, 1, 3}, []int64{0, 1, 1<<32 + 1}, 3, 3, "row 2: column 4294967297, but there are 3"},
		{[]int64{0, 0, 3, 3}, []int64{0, 1, -1 << 32}, 3, 1 << 62, "row 1: column -4294967296, but there are 4611686018427387904, counted from 0; more than 2^31-1 cannot be read"},
	} {
		path := save(t, c.indptr, c.indices, values, c.rows, c.cols)
		_, err := open(path, Sum)
		require.ErrorContains(t, err, path)
		if c.cols > math.MaxInt {
			c.want = "more than this machine can address"
		}
		require.ErrorContains(t, err, c.want)
	}
	if math.MaxInt == math.MaxInt32 {
		return
	}
	// As many columns as anyone likes, if those that are listed can be.
	m, err := open(save(t, []int64{0, 3}, []int64{0, 1, math.MaxInt32}, values, 1, 1<<61), Sum)
	require.NoError(t, err)
	require.Equal(t, int64(1)<<61, int64(m.Cols))
}
