package zlpr

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zlpr/zlpr/internal/kernel"
)

// readAll returns the bits of all rows.
func readAll(t *testing.T, b Bits) []uint64 {
	t.Helper()
	rows, classes := b.Dims()
	dst := make([]uint64, rows*kernel.BitWords(classes))
	for i := range dst {
		dst[i] = 0xdead // must be overwritten
	}
	require.NoError(t, b.ReadRows(dst, 0, rows))
	return dst
}

func dense[E LabelElement](rows, cols, stride int, y []uint8, zero, one E) *DenseLabels[E] {
	data := make([]E, rows*stride)
	for i := range rows {
		for j := range stride {
			data[i*stride+j] = zero
			if j < cols && y[i*cols+j] == 1 {
				data[i*stride+j] = one
			}
		}
	}
	return &DenseLabels[E]{rows, cols, data, stride}
}

func sparse(rows, cols int, y []uint8, r *rand.Rand) *SparseLabels {
	l := &SparseLabels{Classes: cols, RowPtr: []int64{0}}
	for i := range rows {
		from := len(l.Indices)
		for j := range cols {
			if y[i*cols+j] == 1 {
				l.Indices = append(l.Indices, int32(j))
			}
		}
		row := l.Indices[from:]
		r.Shuffle(len(row), func(a, b int) { row[a], row[b] = row[b], row[a] })
		l.RowPtr = append(l.RowPtr, int64(len(l.Indices)))
	}
	return l
}

func randomLabels(r *rand.Rand, rows, cols int, share float64) []uint8 {
	y := make([]uint8, rows*cols)
	for i := range y {
		if r.Float64() < share {
			y[i] = 1
		}
	}
	return y
}

// All formats give the same bits.
func TestLabelFormats(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, cols := range []int{0, 1, 7, 8, 9, 31, 63, 64, 65, 127, 128, 129, 200, 1000} {
		for _, pad := range []int{0, 1, 13} {
			const rows = 5
			y, stride := randomLabels(r, rows, cols, 0.3), cols+pad
			w := kernel.BitWords(cols)
			want := make([]uint64, rows*w)
			for i := range rows {
				for j := range cols {
					want[i*w+j/64] |= uint64(y[i*cols+j]) << (j % 64)
				}
			}
			withZeros := sparse(rows, cols, y, r)
			withZeros.Values = make([]float32, len(withZeros.Indices))
			for i := range withZeros.Values {
				withZeros.Values[i] = 1
			}
			if cols > 0 { // an explicit zero
				withZeros.Indices = append(withZeros.Indices, 0)
				withZeros.Values = append(withZeros.Values, 0)
				withZeros.RowPtr[rows]++
			}
			packed := &BitLabels{rows, cols, make([]uint64, rows*(w+pad)), w + pad}
			for i := range rows {
				copy(packed.Words[i*(w+pad):], want[i*w:][:w])
				if cols%64 != 0 {
					packed.Words[i*(w+pad)+w-1] |= ^uint64(0) << (cols % 64)
				}
			}
			for name, l := range map[string]Bits{
				"uint8":   dense[uint8](rows, cols, stride, y, 0, 1),
				"bool":    dense(rows, cols, stride, y, false, true),
				"int8":    dense[int8](rows, cols, stride, y, 0, 1),
				"int32":   dense[int32](rows, cols, stride, y, 0, 1),
				"int64":   dense[int64](rows, cols, stride, y, 0, 1),
				"float32": dense(rows, cols, stride, y, float32(math.Copysign(0, -1)), 1),
				"float64": dense[float64](rows, cols, stride, y, 0, 1),
				"sparse":  sparse(rows, cols, y, r),
				"values":  withZeros,
				"bits":    packed,
			} {
				require.Equal(t, want, readAll(t, l), "%s, %d columns", name, cols)
				if w > 0 {
					part := make([]uint64, 2*w)
					require.NoError(t, l.ReadRows(part, 2, 4))
					require.Equal(t, want[2*w:4*w], part, name)
				}
			}
		}
	}
}

func TestMasks(t *testing.T) {
	require.Equal(t, []uint64{0, 0, 7, 0, ^uint64(0), 1<<5 - 1},
		readAll(t, &LengthMask{69, []int{0, 3, 69}}))
	require.Equal(t, []uint64{4, 0, 1}, readAll(t, &TargetLabels{3, []int32{2, Ignore, 0}}))

	const l = 9
	m := &SpanMask{Heads: 2, L: l, Lengths: []int{4, 0, 9}}
	got, w := readAll(t, m), kernel.BitWords(l*l)
	for row := range 6 {
		for s := range l {
			for e := range l {
				j := s*l + e
				want := s <= e && e < m.Lengths[row/2]
				require.Equal(t, want, got[row*w+j/64]>>(j%64)&1 == 1)
			}
		}
	}
}

func TestLabelErrors(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		labels     Bits
		row, class int
	}{
		"two":        {&DenseLabels[uint8]{2, 70, slices.Concat(make([]uint8, 139), []uint8{2}), 70}, 1, 69},
		"minus one":  {&DenseLabels[int8]{2, 2, []int8{0, 1, 1, -1}, 2}, 1, 1},
		"int32":      {&DenseLabels[int32]{2, 2, []int32{0, 256, 1, 1}, 2}, 0, 1},
		"half":       {&DenseLabels[float32]{1, 2, []float32{1, 0.5}, 2}, 0, 1},
		"NaN":        {&DenseLabels[float64]{1, 2, []float64{1, nan}, 2}, 0, 1},
		"repeated":   {&SparseLabels{Classes: 5, RowPtr: []int64{0, 0, 3}, Indices: []int32{4, 1, 4}}, 1, 4},
		"range":      {&SparseLabels{Classes: 5, RowPtr: []int64{0, 2}, Indices: []int32{4, 5}}, 0, 5},
		"negative":   {&SparseLabels{Classes: 5, RowPtr: []int64{0, 2}, Indices: []int32{4, -1}}, 0, -1},
		"value":      {&SparseLabels{Classes: 5, RowPtr: []int64{0, 1}, Indices: []int32{4}, Values: []float32{2}}, 0, 4},
		"NaN value":  {&SparseLabels{Classes: 5, RowPtr: []int64{0, 1}, Indices: []int32{4}, Values: []float32{float32(nan)}}, 0, 4},
		"decreasing": {&SparseLabels{Classes: 5, RowPtr: []int64{0, 2, 1}, Indices: []int32{4, 1}}, 1, -1},
		"beyond":     {&SparseLabels{Classes: 5, RowPtr: []int64{0, 2, 3}, Indices: []int32{4, 1}}, 1, -1},
		"target":     {&TargetLabels{5, []int32{0, 5}}, 1, 5},
		"ignore":     {&TargetLabels{5, []int32{0, -2}}, 1, -2},
		"length":     {&LengthMask{5, []int{0, 6}}, 1, -1},
		"span":       {&SpanMask{2, 3, []int{0, 4}}, 2, -1},
	} {
		rows, classes := c.labels.Dims()
		err := c.labels.ReadRows(make([]uint64, rows*kernel.BitWords(classes)), 0, rows)
		var data *DataError
		require.True(t, errors.As(err, &data), name)
		require.Equal(t, [2]int{c.row, c.class}, [2]int{data.Row, data.Class}, name)
	}
	for name, l := range map[string]Bits{
		"short":        &DenseLabels[uint8]{2, 3, make([]uint8, 5), 3},
		"stride":       &DenseLabels[bool]{2, 3, make([]bool, 50), 2},
		"negative":     &DenseLabels[bool]{-2, 3, make([]bool, 50), 3},
		"short bits":   &BitLabels{2, 65, make([]uint64, 3), 2},
		"bit stride":   &BitLabels{2, 65, make([]uint64, 30), 1},
		"values":       &SparseLabels{Classes: 2, RowPtr: []int64{0, 1}, Indices: []int32{0}, Values: []float32{}},
		"many classes": &SpanMask{1, math.MaxInt, []int{1}},
	} {
		require.ErrorContains(t, l.ReadRows(make([]uint64, 8), 0, 1), ", want ", name)
	}
	l := &DenseLabels[uint8]{2, 3, make([]uint8, 6), 3}
	require.EqualError(t, l.ReadRows(make([]uint64, 8), 1, 3), "zlpr: ReadRows: rows 1 to 3, want some of 0 to 2")
	require.EqualError(t, l.ReadRows(make([]uint64, 1), 0, 2), "zlpr: ReadRows: room for 1 words, want 1 for each of 2 rows")
}

// TestSparseParts: rows of all lengths, empty ones among them, give the bits that
// they have by themselves, and the first label out of order is found wherever it
// is.
func TestSparseParts(t *testing.T) {
	require.NoError(t, (&SparseLabels{Classes: 5}).ReadRows(nil, 0, 0))
	rng := rand.New(rand.NewPCG(7, 8))
	trials := 300
	if testing.Short() {
		trials = 60
	}
	for trial := range trials {
		classes := 1 + rng.IntN(700)
		rows := 1 + rng.IntN(600)
		density := []float64{0.002, 0.02, 0.2, 1}[trial%4]
		l := &SparseLabels{Classes: classes, RowPtr: []int64{int64(rng.IntN(3))}}
		l.Indices = make([]int32, l.RowPtr[0])
		w := kernel.BitWords(classes)
		want := make([]uint64, rows*w)
		for r := range rows {
			for _, j := range rng.Perm(classes) {
				if rng.Float64() < density && rng.IntN(rows) > r/2 {
					l.Indices = append(l.Indices, int32(j))
					want[r*w+j/64] |= 1 << (j % 64)
				}
			}
			l.RowPtr = append(l.RowPtr, int64(len(l.Indices)))
		}
		l.Indices = append(l.Indices, -1) // of no row
		r0 := rng.IntN(rows)
		r1 := r0 + rng.IntN(rows-r0+1)
		got := make([]uint64, (r1-r0)*w)
		require.NoError(t, l.ReadRows(got, r0, r1))
		require.Equal(t, want[r0*w:r1*w], got)

		begin, end := l.RowPtr[0], l.RowPtr[rows]
		if begin == end {
			continue
		}
		all := make([]uint64, rows*w)
		k := begin + rng.Int64N(end-begin)
		row := sort.Search(rows, func(r int) bool { return l.RowPtr[r+1] > k })
		good := l.Indices[k]
		for _, bad := range []int32{-1, int32(classes), int32(classes) + 64, math.MaxInt32, math.MinInt32} {
			l.Indices[k] = bad
			require.Equal(t, noSuchClass(row, int(bad), classes), l.ReadRows(all, 0, rows))
		}
		l.Indices[k] = good
		if other := l.RowPtr[row]; other != k {
			l.Indices[k] = l.Indices[other]
			require.Equal(t, &DataError{row, int(l.Indices[k]), LabelRepeated, "class is listed twice"}, l.ReadRows(all, 0, rows))
			l.Indices[k] = good
		}
		for _, p := range []int64{-1, int64(len(l.Indices)) + 1, math.MaxInt64, math.MinInt64} {
			r := rng.IntN(rows + 1)
			kept := l.RowPtr[r]
			l.RowPtr[r] = p
			require.ErrorContains(t, l.ReadRows(all, 0, rows), "row pointers")
			l.RowPtr[r] = kept
		}
	}
}

type yesNo uint16

// TestLabelTypes: labels of every type, named ones too, are the same bits; what is
// neither 0 nor 1 is an error that shows the value; a stride of 0 means the classes.
func TestLabelTypes(t *testing.T) {
	testLabelType[int](t, -1)
	testLabelType[int8](t, -1)
	testLabelType[int16](t, -300)
	testLabelType[int32](t, -1)
	testLabelType[int64](t, -1<<40)
	testLabelType[uint](t, 2)
	testLabelType[uint8](t, 255)
	testLabelType[uint16](t, 256)
	testLabelType[yesNo](t, 256)
	testLabelType[uint32](t, 1<<31)
	testLabelType[uint64](t, 1<<32)
	testLabelType[float32](t, 0.5)
	testLabelType[float64](t, 0x1p-1000)
	type yes bool
	l := &DenseLabels[yes]{Rows: 1, Cols: 3, Data: []yes{true, false, true}}
	bits := make([]uint64, 1)
	require.NoError(t, l.ReadRows(bits, 0, 1))
	require.Equal(t, []uint64{5}, bits)
}

func testLabelType[E interface {
	LabelElement
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}](t *testing.T, bad E) {
	const rows, n = 3, 70
	l := &DenseLabels[E]{Rows: rows, Cols: n, Data: make([]E, rows*n)}
	want := make([]uint64, 2*rows)
	for i := range l.Data {
		if i%3 == 0 {
			l.Data[i] = 1
			want[i/n*2+i%n/64] |= 1 << (i % n % 64)
		}
	}
	got := make([]uint64, 2*rows)
	require.NoError(t, l.ReadRows(got, 0, rows))
	require.Equal(t, want, got)
	again := make([]uint64, 2*rows)
	require.NoError(t, (&BitLabels{Rows: rows, Cols: n, Words: got}).ReadRows(again, 0, rows))
	require.Equal(t, want, again)
	l.Data[n+65] = bad
	require.Equal(t, notBinary(1, 65, float64(bad)), l.ReadRows(got, 0, rows))
}

// TestSparseLabelsOf: lists of classes become labels; a number that is no class names
// its row, however large it is.
func TestSparseLabelsOf(t *testing.T) {
	l, err := SparseLabelsOf([][]int{{2, 0}, nil, {1}}, 3)
	require.NoError(t, err)
	bits := make([]uint64, 3)
	require.NoError(t, l.ReadRows(bits, 0, 3))
	require.Equal(t, []uint64{5, 0, 2}, bits)
	for _, class := range []int{-1, 3, math.MaxInt} {
		_, err = SparseLabelsOf([][]int{{0}, {class}}, 3)
		require.Equal(t, noSuchClass(1, class, 3), err)
	}
}

// Labels of absurdly many classes have no room for their bits, which is an error.
func TestAbsurdClasses(t *testing.T) {
	for _, classes := range []int{math.MaxInt, math.MaxInt - 62, math.MaxInt - 63, math.MaxInt / 2} {
		for _, labels := range []Bits{
			&TargetLabels{Classes: classes, Targets: make([]int32, 1000)},
			&LengthMask{Classes: classes, Lengths: make([]int, 1000)},
			&SparseLabels{Classes: classes, RowPtr: make([]int64, 1001)},
		} {
			for _, rows := range []int{1, 2, 64, 1000} {
				require.Error(t, labels.ReadRows(make([]uint64, 1000), 0, rows))
			}
		}
	}
}

// Targets as bits without gaps are the bits of the rows, one after the other; what is no
// class is found wherever it is.
func TestFlatTargets(t *testing.T) { forEachTier(t, testFlatTargets) }

func testFlatTargets(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for n := 1; n <= kernel.ShortRow; n++ {
		for _, rows := range []int{1, 3, 64, 65, 67, 200} {
			l := &TargetLabels{n, make([]int32, rows)}
			for i := range l.Targets {
				l.Targets[i] = int32(rng.IntN(n))
			}
			flat, bits := make([]uint64, kernel.BitWords(rows*n)), make([]uint64, rows)
			for i := range flat {
				flat[i] = rng.Uint64()
			}
			require.True(t, l.readFlat(flat, 0, rows))
			require.NoError(t, l.ReadRows(bits, 0, rows))
			for i := range 64 * len(flat) {
				want := i < rows*n && bits[i/n]>>(i%n)&1 != 0
				require.Equal(t, want, flat[i/64]>>(i%64)&1 != 0, "n=%d rows=%d bit %d", n, rows, i)
			}
			for _, bad := range []int32{int32(n), -1, math.MinInt32, math.MaxInt32} {
				at := rng.IntN(rows)
				good := l.Targets[at]
				l.Targets[at] = bad
				require.False(t, l.readFlat(flat, 0, rows))
				l.Targets[at] = good
			}
		}
	}
}
