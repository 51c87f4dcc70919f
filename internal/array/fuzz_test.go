package array

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// simpleNPY is an independent reader of .npy: regular expressions for the
// header, an index for every element. It takes some headers that are damaged.
func simpleNPY(b []byte) (shape []int, values []float64, ok bool) {
	if len(b) < 12 || !bytes.HasPrefix(b, []byte("\x93NUMPY")) {
		return nil, nil, false
	}
	start, length := 10, int(binary.LittleEndian.Uint16(b[8:]))
	if b[6] > 1 {
		start, length = 12, int(binary.LittleEndian.Uint32(b[8:]))
	}
	if length > len(b)-start {
		return nil, nil, false
	}
	dict, data := string(b[start:start+length]), b[start+length:]
	field := func(pattern string) string {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(dict); m != nil {
			return m[1]
		}
		return ""
	}
	count := 1
	for s := range strings.SplitSeq(field(`['"]shape['"]\s*:\s*\(([^)]*)\)`), ",") {
		if s = strings.TrimSuffix(strings.TrimSpace(s), "L"); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil || n < 0 || n > 1<<20 {
				return nil, nil, false
			}
			shape, count = append(shape, n), count*n
		}
	}
	var order binary.ByteOrder = binary.LittleEndian
	descr := field(`['"]descr['"]\s*:\s*['"]([^'"]*)['"]`)
	if strings.HasPrefix(descr, ">") {
		order = binary.BigEndian
	}
	decode, size := simpleType(strings.TrimLeft(descr, "<>|="), order)
	if decode == nil || len(data) != count*size {
		return nil, nil, false
	}
	fortran := field(`['"]fortran_order['"]\s*:\s*(True|False)`) == "True"
	for i := range count {
		at, rest, stride := 0, i, 1
		if fortran { // the place of element i of C order, whose last index is the fastest
			index := make([]int, len(shape))
			for axis := len(shape) - 1; axis >= 0; axis-- {
				index[axis], rest = rest%shape[axis], rest/shape[axis]
			}
			for axis, n := range shape {
				at, stride = at+index[axis]*stride, stride*n
			}
		} else {
			at = i
		}
		values = append(values, decode(data[at*size:][:size]))
	}
	return shape, values, true
}

func simpleType(code string, order binary.ByteOrder) (func([]byte) float64, int) {
	switch code {
	case "b1", "u1":
		return func(b []byte) float64 { return float64(b[0]) }, 1
	case "i1":
		return func(b []byte) float64 { return float64(int8(b[0])) }, 1
	case "u2":
		return func(b []byte) float64 { return float64(order.Uint16(b)) }, 2
	case "i2":
		return func(b []byte) float64 { return float64(int16(order.Uint16(b))) }, 2
	case "u4":
		return func(b []byte) float64 { return float64(order.Uint32(b)) }, 4
	case "i4":
		return func(b []byte) float64 { return float64(int32(order.Uint32(b))) }, 4
	case "u8":
		return func(b []byte) float64 { return float64(order.Uint64(b)) }, 8
	case "i8":
		return func(b []byte) float64 { return float64(int64(order.Uint64(b))) }, 8
	case "V2": // bfloat16
		return func(b []byte) float64 { return float64(math.Float32frombits(uint32(order.Uint16(b)) << 16)) }, 2
	case "f4":
		return func(b []byte) float64 { return float64(math.Float32frombits(order.Uint32(b))) }, 4
	case "f8":
		return func(b []byte) float64 { return math.Float64frombits(order.Uint64(b)) }, 8
	case "f2":
		return func(b []byte) float64 {
			h := order.Uint16(b)
			sign := 1 - 2*float64(h>>15)
			switch e, m := int(h>>10&31), float64(h&1023); e {
			case 0:
				return math.Copysign(math.Ldexp(m, -24), sign)
			case 31:
				if m != 0 {
					return math.NaN()
				}
				return math.Inf(int(sign))
			default:
				return sign * math.Ldexp(1+m/1024, e-15)
			}
		}, 2
	}
	return nil, 0
}

// sameValues compares numbers, all NaNs being the same.
func sameValues(t *testing.T, want, got []float64) {
	t.Helper()
	require.Equal(t, len(want), len(got))
	for i := range want {
		if want[i] != got[i] && (want[i] == want[i] || got[i] == got[i]) || want[i] == 0 && math.Signbit(want[i]) != math.Signbit(got[i]) {
			t.Fatalf("element %d: %v, not %v", i, got[i], want[i])
		}
	}
}

// checkArray compares an array with the simple reader's.
func checkArray(t *testing.T, a *Array, file []byte) {
	t.Helper()
	shape, values, ok := simpleNPY(file)
	require.True(t, ok, "the simple reader finds it damaged: %q", file[:min(len(file), 200)])
	require.Equal(t, len(shape), len(a.Shape))
	for i := range shape {
		require.Equal(t, shape[i], a.Shape[i])
	}
	sameValues(t, values, append([]float64{}, All[float64](a)...))
	if a.Type.IsFloat() {
		return
	}
	for i := range a.Len() {
		text := a.Format(i)
		switch a.Type {
		case Bool:
			require.Equal(t, strconv.FormatBool(values[i] != 0), text)
		case Uint64:
			n, err := strconv.ParseUint(text, 10, 64)
			require.NoError(t, err)
			require.Equal(t, values[i], float64(n))
		default:
			n, err := strconv.ParseInt(text, 10, 64)
			require.NoError(t, err)
			require.Equal(t, values[i], float64(n))
		}
		// No integer is cut.
		narrow, err := Integers[int32](a, nil, i, i+1)
		if fits := values[i] == math.Trunc(values[i]) && math.Abs(values[i]+0.5) < 1<<31; a.Type != Bool {
			require.Equal(t, fits, err == nil, text)
			if fits {
				require.Equal(t, text, strconv.Itoa(int(narrow[0])))
			}
		}
		wide, err := Integers[int64](a, nil, i, i+1)
		require.Equal(t, a.Type != Uint64 || len(text) < 19 || text <= "9223372036854775807" && len(text) == 19, err == nil, text)
		if err == nil && a.Type != Bool {
			require.Equal(t, text, strconv.FormatInt(wide[0], 10))
		}
	}
}

// buildNPY makes an .npy file of what a fuzzer gives.
func buildNPY(kind, dims uint8, data []byte) []byte {
	t := DType(int(kind) % int(BFloat16))
	shape := [][]int{{}, {int(dims >> 4)}, {int(dims >> 4), int(dims & 15)}, {int(dims >> 5), int(dims >> 3 & 3), int(dims & 7)}}[int(kind>>4)&3]
	text := "("
	for _, n := range shape {
		text += strconv.Itoa(n) + ","
	}
	descr := strings.TrimLeft(t.descr(), "<|")
	descr = []string{"<", ">"}[kind>>6&1] + descr
	dict := "{'descr': '" + descr + "', 'fortran_order': " + []string{"False", "True"}[kind>>7] + ", 'shape': " + text + "), }"
	dict += strings.Repeat(" ", 63-(10+len(dict))%64) + "\n"
	b := append([]byte(magic), 1, 0, byte(len(dict)), byte(len(dict)>>8))
	b = append(b, dict...)
	for i := range product(shape) * t.Size() {
		v := byte(i * 37)
		if len(data) > 0 {
			v = data[i%len(data)]
		}
		b = append(b, v)
	}
	return b
}

func writeFile(t testing.TB, name string, b []byte) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

// FuzzNPY reads arrays of all types and orders as the simple reader does; a
// file of which a byte is changed, or that is cut, is read as the same, or an
// error.
func FuzzNPY(f *testing.F) {
	for kind := range int(BFloat16) {
		f.Add(uint8(kind), uint8(0x34), []byte{1, 0, 255, 7}, uint16(0), uint8(0))
		f.Add(uint8(kind|0xe0), uint8(0x53), []byte{0, 128, 3}, uint16(40), uint8(1))
	}
	f.Fuzz(func(t *testing.T, kind, dims uint8, data []byte, at uint16, change uint8) {
		file := buildNPY(kind, dims, data)
		if change != 0 {
			if i := int(at) % len(file); change == 255 {
				file = file[:i]
			} else {
				file[i] ^= change
			}
		}
		for _, packed := range []bool{false, true} { // mapped, and read as a stream
			var a *Array
			var err error
			if packed {
				a, err = readStream("x", bytes.NewReader(file))
			} else {
				a = &Array{Name: "x"}
				err = a.interpret(file)
			}
			if err != nil {
				require.NotZero(t, change, "%v", err)
				continue
			}
			require.NoError(t, a.resolve(&Raw{BFloat16: true}))
			checkArray(t, a, file)
			require.NoError(t, a.Close())
		}
		checkStream(t, "x.npy", "", file)
	})
}

// FuzzNPZ reads archives, whose bytes are changed, as archive/zip and the simple
// reader do.
func FuzzNPZ(f *testing.F) {
	f.Add(uint8(10), uint8(0x34), []byte{1, 0, 255, 7}, uint16(0), uint8(0))
	f.Add(uint8(11), uint8(0x34), []byte{0, 0, 0, 0}, uint16(120), uint8(4))
	f.Fuzz(func(t *testing.T, kind, dims uint8, data []byte, at uint16, change uint8) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for key, method := range map[string]uint16{"s": zip.Store, "d": zip.Deflate} {
			w, err := z.CreateHeader(&zip.FileHeader{Name: key + ".npy", Method: method})
			require.NoError(t, err)
			_, err = w.Write(buildNPY(kind, dims, data))
			require.NoError(t, err)
		}
		require.NoError(t, z.Close())
		file := b.Bytes()
		file[int(at)%len(file)] ^= change
		path := writeFile(t, "x.npz", file)
		archive, err := OpenArchive(path)
		if err != nil {
			require.NotZero(t, change, "%v", err)
			return
		}
		archive.raw = &Raw{BFloat16: true}
		defer archive.Close()
		for _, key := range archive.Keys() {
			a, err := archive.Open(key)
			if err != nil {
				require.NotZero(t, change, "%v", err)
				require.Contains(t, err.Error(), "x.npz")
				continue
			}
			reference, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
			require.NoError(t, err)
			for _, member := range reference.File {
				if member.Name != key+".npy" {
					continue
				}
				r, err := member.Open()
				require.NoError(t, err)
				content, err := io.ReadAll(r)
				if err == zip.ErrChecksum && member.Method == zip.Store { // what follows the data does not count
					require.Equal(t, member.CRC32, crc32.ChecksumIEEE(content))
				} else {
					require.NoError(t, err)
				}
				checkArray(t, a, content)
			}
			require.NoError(t, a.Close())
		}
	})
}

// simpleCSV is an independent reader of CSV without quotes, separated by
// commas: rows of numbers under a line of names, or without.
func simpleCSV(text string) (rows [][]float64, ok bool) {
	if strings.Contains(text, "\x00") {
		return nil, false
	}
	cols := -1
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(text, "\ufeff")), "\n") {
		if line = strings.TrimLeft(line, " \t\r"); line == "" || line[0] == '#' {
			continue
		}
		var row []float64
		numbers := true
		for field := range strings.SplitSeq(line, ",") {
			field = strings.TrimSpace(field)
			x, err := strconv.ParseFloat(field, 64)
			row = append(row, x)
			numbers = numbers && err == nil && !strings.Contains(field, "_")
		}
		switch {
		case cols < 0 && !numbers:
			cols = len(row)
			continue
		case cols < 0:
			cols = len(row)
		}
		if !numbers || len(row) != cols {
			return nil, false
		}
		rows = append(rows, row)
	}
	return rows, true
}

// FuzzCSV reads as the simple reader, and as encoding/csv where there are
// quotes.
func FuzzCSV(f *testing.F) {
	f.Add("a,b\n1,2\r\n-3e5, inf\n")
	f.Add("\ufeff1\n\n2\n# note\n3")
	f.Add("\"1\",\"2\"\n3,\"4\"\n")
	f.Add("1,2,\n")
	f.Add("1,2\r3,4\r\r\n5,6\r")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := readCSVText(text, CSVOptions{Separator: ',', Index: No})
		if err == nil {
			defer a.Close()
		}
		if !strings.Contains(text, `"`) {
			want, ok := simpleCSV(text)
			require.Equal(t, ok, err == nil, "%v", err)
			if ok {
				require.Equal(t, len(want), a.Shape[0])
				sameValues(t, flatten(want), append([]float64{}, All[float64](a)...))
			}
			return
		}
		r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
		r.TrimLeadingSpace, r.Comment = true, '#'
		records, csvErr := r.ReadAll()
		if err != nil || csvErr != nil || len(records) != a.Shape[0] {
			return // another idea of quotes, or a heading
		}
		for i, record := range records {
			for j, field := range record {
				if x, err := strconv.ParseFloat(strings.TrimSpace(field), 64); err == nil {
					sameValues(t, []float64{x}, All[float64](a)[i*len(record)+j:][:1])
				}
			}
		}
	})
}

// readCSVText reads text as if it were a file.
func readCSVText(text string, o CSVOptions) (*Array, error) {
	return ReadCSV(textInput("x.csv", text), o)
}

// textInput is text as an input.
func textInput(name, text string) *Input {
	return &Input{Name: name, Format: Text, size: -1, r: newBuffered(strings.NewReader(text))}
}

func flatten(rows [][]float64) []float64 {
	out := []float64{}
	for _, row := range rows {
		out = append(out, row...)
	}
	return out
}
