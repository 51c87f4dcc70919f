package sparse

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

// places are the entries of a matrix: those of a place in their order.
type places map[[2]int64][]float64

// sums adds up the entries of every place.
func (p places) sums() map[[2]int64]float64 {
	s := map[[2]int64]float64{}
	for at, values := range p {
		s[at] = values[0]
		for _, v := range values[1:] {
			s[at] += v
		}
	}
	return s
}

// repeated reports whether a place has two entries.
func (p places) repeated() bool {
	for _, values := range p {
		if len(values) > 1 {
			return true
		}
	}
	return false
}

// entries returns the entries of a matrix, and checks that no place has two.
func entries(t *testing.T, m *Matrix) map[[2]int64]float64 {
	t.Helper()
	got := map[[2]int64]float64{}
	require.Len(t, m.RowPtr, m.Rows+1)
	for i := range m.Rows {
		for k := m.RowPtr[i]; k < m.RowPtr[i+1]; k++ {
			at := [2]int64{int64(i), int64(m.Indices[k])}
			require.NotContains(t, got, at)
			got[at] = 1
			if m.Values != nil {
				got[at] = array.Read[float64](m.Values, nil, int(k), int(k)+1)[0]
			}
		}
	}
	return got
}

// sameEntries compares entries, all NaNs being the same.
func sameEntries(t *testing.T, want, got map[[2]int64]float64) {
	t.Helper()
	require.Equal(t, len(want), len(got))
	for at, v := range want {
		x, ok := got[at]
		require.True(t, ok, "%v is missing", at)
		if x != v && (x == x || v == v) {
			t.Fatalf("%v: %v, not %v", at, x, v)
		}
	}
}

// simpleCSR is an independent reader of CSR arrays.
func simpleCSR(indptr, indices []int64, values []float64, rows, cols int64) (places, bool) {
	if rows < 0 || cols < 0 || int64(len(indptr)) != rows+1 || len(indices) != len(values) || indptr[0] != 0 {
		return nil, false
	}
	for _, j := range indices {
		if j != int64(int32(j)) {
			return nil, false
		}
	}
	p := places{}
	for i := range rows {
		if indptr[i+1] < indptr[i] {
			return nil, false
		}
	}
	if indptr[rows] > int64(len(indices)) {
		return nil, false
	}
	for i := range rows {
		for k := indptr[i]; k < indptr[i+1]; k++ {
			if indices[k] < 0 || indices[k] >= cols {
				return nil, false
			}
			at := [2]int64{i, indices[k]}
			p[at] = append(p[at], values[k])
		}
	}
	return p, true
}

// save writes a sparse matrix as scipy does.
func save(t testing.TB, indptr, indices []int64, values []float64, rows, cols int64) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	require.NoError(t, array.Add(z, "indptr", false, []int{len(indptr)}, indptr))
	require.NoError(t, array.Add(z, "indices", true, []int{len(indices)}, indices))
	require.NoError(t, array.Add(z, "data", false, []int{len(values)}, values))
	require.NoError(t, array.Add(z, "shape", false, []int{2}, []int64{rows, cols}))
	require.NoError(t, z.Close())
	path := filepath.Join(t.TempDir(), "m.npz")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

func open(path string, repeated Repeated) (*Matrix, error) {
	z, err := array.OpenArchive(path)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return Open(path, z, repeated)
}

// FuzzCSR reads matrices as the simple reader does: the sums of repeated
// entries, or an error for them.
func FuzzCSR(f *testing.F) {
	f.Add([]byte{0, 2, 1, 2}, []byte{0, 3, 1, 2, 2}, int64(3), int64(4), uint8(0), int64(0))
	f.Add([]byte{0, 2, 1, 2}, []byte{0, 3, 1, 2, 4}, int64(3), int64(1)<<40, uint8(2), int64(1)<<32)
	f.Add([]byte{0, 5}, []byte{0, 0, 1, 2, 0}, int64(1), int64(3), uint8(0), int64(0))
	f.Fuzz(func(t *testing.T, lengths, columns []byte, rows, cols int64, at uint8, add int64) {
		if len(lengths) == 0 {
			return
		}
		var indptr, indices []int64
		var values []float64
		n := int64(0)
		for _, k := range lengths {
			n += int64(int8(k))
			indptr = append(indptr, n)
		}
		for i, j := range columns {
			indices = append(indices, int64(j))
			values = append(values, 1/float64(i+1))
		}
		if len(indices) > 0 { // a column that is far away
			indices[int(at)%len(indices)] += add
		}
		want, ok := simpleCSR(indptr, indices, values, rows, cols)
		path := save(t, indptr, indices, values, rows, cols)
		m, err := open(path, Sum)
		require.Equal(t, ok, err == nil, "%v", err)
		refused, err := open(path, Refuse)
		require.Equal(t, ok && !want.repeated(), err == nil, "%v", err)
		if err != nil {
			require.Contains(t, err.Error(), "m.npz")
		} else {
			require.NoError(t, refused.Close())
		}
		if !ok {
			return
		}
		defer m.Close()
		require.Equal(t, [2]int64{rows, cols}, [2]int64{int64(m.Rows), int64(m.Cols)})
		sameEntries(t, want.sums(), entries(t, m))
	})
}

// saveAs writes arrays and a format as scipy does.
func saveAs(t testing.TB, format string, first, second []int64, values []float64, rows, cols int64) string {
	names := map[string][2]string{"csc": {"indptr", "indices"}, "coo": {"row", "col"}}[format]
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	require.NoError(t, array.Add(z, names[0], true, []int{len(first)}, first))
	require.NoError(t, array.Add(z, names[1], false, []int{len(second)}, second))
	require.NoError(t, array.Add(z, "data", false, []int{len(values)}, values))
	require.NoError(t, array.Add(z, "shape", false, []int{2}, []int64{rows, cols}))
	w, err := z.Create("format.npy")
	require.NoError(t, err)
	dict := "{'descr': '|S3', 'fortran_order': False, 'shape': (), }"
	_, err = w.Write(append(append([]byte("\x93NUMPY\x01\x00"), byte(len(dict)), 0), dict+format...))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	path := filepath.Join(t.TempDir(), "m.npz")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

// FuzzConvert reads matrices of columns and of coordinates as a simple reader
// does: the sums of repeated entries, or an error for them.
func FuzzConvert(f *testing.F) {
	f.Add(false, []byte{2, 0, 2, 1, 0}, []byte{0, 3, 1, 2, 2}, int64(3), int64(4), uint8(0), int64(0))
	f.Add(false, []byte{0, 0}, []byte{1, 1}, int64(1), int64(1)<<33, uint8(1), int64(1)<<32)
	f.Add(true, []byte{0, 2, 1, 2}, []byte{0, 3, 1, 2, 2}, int64(4), int64(3), uint8(0), int64(0))
	f.Add(true, []byte{0, 2, 3}, []byte{0, 0, 1, 2, 0}, int64(3), int64(2), uint8(0), int64(0))
	f.Add(true, []byte{0, 2, 255}, []byte{0, 0, 1, 2, 0}, int64(3), int64(2), uint8(0), int64(0))
	f.Fuzz(func(t *testing.T, columns bool, a, b []byte, rows, cols int64, at uint8, add int64) {
		if rows > 1<<20 {
			return // a few entries do not justify them
		}
		var first, second []int64
		var values []float64
		n := int64(0)
		for _, v := range a {
			if n += int64(int8(v)); columns {
				first = append(first, n)
			} else {
				first = append(first, int64(v))
			}
		}
		for i, v := range b {
			second = append(second, int64(v))
			values = append(values, 1/float64(i+1))
		}
		if len(second) > 0 {
			second[int(at)%len(second)] += add
		}
		want, ok, format := places{}, true, "coo"
		if columns {
			format = "csc"
			var turned places
			if ok = len(first) > 0; ok {
				turned, ok = simpleCSR(first, second, values, cols, rows)
			}
			for place, v := range turned {
				want[[2]int64{place[1], place[0]}] = v
			}
		} else if ok = rows >= 0 && cols >= 0 && len(first) == len(second); ok {
			for k := range first {
				if first[k] >= rows || second[k] < 0 || second[k] >= cols || second[k] != int64(int32(second[k])) {
					ok = false
					break
				}
				place := [2]int64{first[k], second[k]}
				want[place] = append(want[place], values[k])
			}
		}
		path := saveAs(t, format, first, second, values, rows, cols)
		m, err := open(path, Sum)
		require.Equal(t, ok, err == nil, "%v", err)
		refused, err := open(path, Refuse)
		require.Equal(t, ok && !want.repeated(), err == nil, "%v", err)
		if err != nil {
			require.Contains(t, err.Error(), "m.npz")
		} else {
			require.NoError(t, refused.Close())
		}
		if !ok {
			return
		}
		defer m.Close()
		require.Equal(t, [2]int64{rows, cols}, [2]int64{int64(m.Rows), int64(m.Cols)})
		sameEntries(t, want.sums(), entries(t, m))
	})
}

// A simpleLists is what an independent reader of lists finds.
type simpleLists struct {
	x, y             places
	rows             int64
	features, labels int64
}

// readSimple reads lists of labels and features line by line.
func readSimple(text string) (l simpleLists, ok bool) {
	l = simpleLists{x: places{}, y: places{}}
	if strings.Contains(text, "\x00") {
		return l, false
	}
	header := []int64(nil)
	first := true
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(text, "\ufeff")), "\n")
	for i, line := range lines {
		line, comment, noted := strings.Cut(line, "#")
		_ = comment
		body := strings.Trim(line, " \t\r")
		if body == "" {
			if !noted && header != nil && l.rows < header[0] && i < len(lines)-1 {
				l.rows++
			}
			continue
		}
		fields := strings.FieldsFunc(body, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' })
		if first {
			first = false
			if n := len(strings.Fields(line)); (n == 2 || n == 3) && !strings.ContainsAny(line, ":,") {
				for k, field := range strings.Fields(line) {
					n, err := strconv.ParseInt(field, 10, 64)
					if err != nil || n < 0 || k > 0 && n > math.MaxInt32 {
						return l, false
					}
					header = append(header, n)
				}
				continue
			}
		}
		for k, field := range fields {
			name, value, isFeature := strings.Cut(field, ":")
			if isFeature {
				j, ok := simpleIndex(name)
				v, err := strconv.ParseFloat(value, 64)
				if !ok || err != nil || strings.ContainsAny(value, "_") || header != nil && j >= header[1] {
					return l, false
				}
				l.x[[2]int64{l.rows, j}] = append(l.x[[2]int64{l.rows, j}], v)
				l.features = max(l.features, j+1)
				continue
			}
			if k > 0 || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "\r") {
				return l, false
			}
			for label := range strings.SplitSeq(field, ",") {
				j, ok := simpleIndex(label)
				if !ok || header != nil && j >= header[len(header)-1] || l.y[[2]int64{l.rows, j}] != nil {
					return l, false
				}
				l.y[[2]int64{l.rows, j}] = []float64{1}
				l.labels = max(l.labels, j+1)
			}
		}
		l.rows++
	}
	if header != nil {
		l.features, l.labels = header[1], header[len(header)-1]
		if l.rows != header[0] || len(header) == 2 && len(l.x) > 0 && len(l.y) > 0 {
			return l, false
		}
	}
	return l, true
}

func simpleIndex(s string) (int64, bool) {
	j, err := strconv.ParseInt(s, 10, 64)
	return j, err == nil && j >= 0 && j < math.MaxInt32 && !strings.ContainsAny(s, "+-_")
}

// checkLists compares a reading of text with the simple one.
func checkLists(t *testing.T, text string) {
	got, err := read(text)
	want, ok := readSimple(text)
	require.Equal(t, ok, err == nil, "%v", err)
	if err != nil {
		return
	}
	defer got.Close()
	require.Equal(t, want.rows, int64(got.X.Rows))
	require.Equal(t, want.rows, int64(got.Y.Rows))
	require.Equal(t, want.features, int64(got.X.Cols))
	require.Equal(t, want.labels, int64(got.Y.Cols))
	sameEntries(t, want.x.sums(), entries(t, got.X))
	sameEntries(t, want.y.sums(), entries(t, got.Y))
}

// FuzzLibsvm reads lists without sizes as the simple reader does.
func FuzzLibsvm(f *testing.F) {
	for _, text := range []string{"0,3 1:0.5 4:2\n 2:1\n2\n", "# note\n\n1\t1:1\t7:1e5 # comment\r\n1,4 3:1", "0:1.0 2:1.0\n", "1,1 2:3\n",
		"1 2:1 2:3 1:nan\n", "0 4294967296:1\n", "a\n", "\ufeff0 1:1", " \n\t\n", "3\r\n", "0 0:1 1:2\r1 2:3\r\r\n\r2 0:4\r"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkLists(t, text) })
}

// FuzzXMC reads lists under a line of sizes as the simple reader does.
func FuzzXMC(f *testing.F) {
	f.Add(uint8(3), "5 4", "0,3 1:0.5 4:2\n 2:1\n2\n")
	f.Add(uint8(2), "5", "0:1 3:1\n\n# note\n")
	f.Add(uint8(2), "0 0", "0:1\n\n")
	f.Fuzz(func(t *testing.T, rows uint8, sizes, text string) {
		checkLists(t, strconv.Itoa(int(rows))+" "+sizes+"\n"+text)
	})
}

// FuzzParts reads three arrays of any integer type: no index is cut.
func FuzzParts(f *testing.F) {
	f.Add(uint8(0), []byte{0, 1, 2}, int64(9))
	f.Add(uint8(3), []byte{0, 1, 2, 255, 255, 255, 255, 255, 255, 255, 255}, int64(9))
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte, cols int64) {
		dir := t.TempDir()
		path := func(name string, b []byte) string {
			p := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(p, b, 0o600))
			return p
		}
		codes := []string{"|i1", "|u1", "<i4", "<u4", "<i8", "<u8", "<i2", ">u8"}
		size := []int{1, 1, 4, 4, 8, 8, 2, 8}[kind%8]
		n := len(raw) / size
		raw = raw[:n*size]
		header := "{'descr': '" + codes[kind%8] + "', 'fortran_order': False, 'shape': (" + strconv.Itoa(n) + ",), }"
		file := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
		file = append(append(file, header...), raw...)
		var b bytes.Buffer
		require.NoError(t, array.WriteTo(&b, []int{2}, []int64{0, int64(n)}))
		indptr := path("indptr.npy", slices.Clone(b.Bytes()))
		b.Reset()
		require.NoError(t, array.WriteTo(&b, []int{n}, make([]float32, n)))
		m, err := OpenParts(indptr, path("indices.npy", file), path("data.npy", b.Bytes()), int(min(max(cols, 0), math.MaxInt32)), Sum)
		want := true
		var columns []uint64
		for i := range n {
			v := append(make([]byte, 0, 8), raw[i*size:][:size]...)
			if codes[kind%8][0] == '>' {
				slices.Reverse(v)
			}
			negative := codes[kind%8][1] == 'i' && v[size-1] > 127
			u := binary.LittleEndian.Uint64(append(v, make([]byte, 8-size)...))
			want = want && !negative && u < math.MaxInt32 && int64(u) < cols
			columns = append(columns, u)
		}
		if cols > math.MaxInt32 {
			return
		}
		require.Equal(t, want, err == nil, "%v %v", columns, err)
		if err == nil {
			slices.Sort(columns)
			require.Len(t, m.Indices, len(slices.Compact(columns)))
			require.NoError(t, m.Close())
		}
	})
}
