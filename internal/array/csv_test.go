package array

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// TestSeparators: the first lines tell what separates fields.
func TestSeparators(t *testing.T) {
	for text, want := range map[string]string{
		"1,2\n3,4\n":                   "2×2",
		"1;2\n3;4\n":                   "2×2",
		"1\t2\n3\t4\n":                 "2×2",
		" 1   2 \n 3 4\n":              "2×2",
		"1, 2\n3, 4\n":                 "2×2",
		"a;b\n1;2\n3;4\n":              "2×2",
		"a b,c\n1,2\n":                 "1×2", // blanks in names
		"\"a;b;c\",d\n1,2\n":           "1×2",
		"# one, two; three\n1;2;3\n":   "1×3",
		"5\n6\n7\n":                    "3×1",
		"1.5e3;-2\r\n+3;inf\r\n":       "2×2",
		"\ufeff1;2":                    "1×2",
		"\"1\";\"2\"\n\"3\";\"4\"\n":   "2×2",
		"":                             "0×0",
		"\n\n# nothing\n":              "0×0",
		"x,y\n":                        "0×2",
		"1 2\t3\n4\t5 6\n":             "2×3",
		"1,2\n\n# half time\n   \n3,4": "2×2",
	} {
		a, err := readCSVText(text, CSVOptions{})
		require.NoError(t, err, text)
		require.Equal(t, want, ShapeString(a.Shape), text)
	}
	a, err := readCSVText("1 2;3\n", CSVOptions{Separator: ';', Header: No})
	require.ErrorContains(t, err, `row 0, column 0: "1 2" is not a number`)
	require.Nil(t, a)
	in := textInput("x.tsv", "1\t2\n")
	a, err = ReadCSV(in, CSVOptions{})
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, a.Shape)
}

// TestHeading: a first line that is not all numbers, or what the options say;
// what may be meant otherwise has a warning.
func TestHeading(t *testing.T) {
	for _, c := range []struct {
		text    string
		header  Choice
		rows    int
		warning string
	}{
		{"a,b\n1,2\n", Auto, 1, ""},
		{"a,b\n1,2\n", Yes, 1, ""},
		{"1,2\n1,2\n", Auto, 2, ""},
		{"1,2\n1,2\n", Yes, 1, ""},
		{"0,1\n1,2\n", Auto, 2, "--header yes"},
		{"\"0\",\"1\"\n1,2\n", Auto, 2, "--header yes"},
		{"0,1\n1,2\n", No, 2, ""},
		{"0,1\n1,2\n", Yes, 1, ""},
		{"1,x\n1,2\n", Auto, 1, `"x" is none`},
		{"1,x\n1,2\n", Yes, 1, ""},
		{",a\n1,2\n3,4\n", Auto, 2, ""},
		{",1\n1,2\n3,4\n", Auto, 2, `"" is none`}, // a missing score, most likely
		{"1,\n1,2\n3,4\n", Auto, 2, `"" is none`},
	} {
		var warnings []string
		a, err := readCSVText(c.text, CSVOptions{Header: c.header, Warn: func(s string) { warnings = append(warnings, s) }})
		require.NoError(t, err)
		require.Equal(t, c.rows, a.Shape[0], c.text)
		if c.warning == "" {
			require.Empty(t, warnings, c.text)
		} else {
			require.Len(t, warnings, 1, c.text)
			require.Contains(t, warnings[0], c.warning)
			require.Contains(t, warnings[0], "heading")
		}
	}
	_, err := readCSVText("a,b\n1,2\n", CSVOptions{Header: No})
	require.ErrorContains(t, err, `row 0, column 0: "a" is not a number; if the first line is a heading`)
}

// TestIndex: a column that data frames write before the data.
func TestIndex(t *testing.T) {
	const text = ",a,b\n0,5,6\n1,7,8\n2,9,9\n"
	var warnings []string
	o := CSVOptions{Warn: func(s string) { warnings = append(warnings, s) }}
	a, err := readCSVText(text, o)
	require.NoError(t, err)
	require.Equal(t, []int{3, 2}, a.Shape)
	require.Equal(t, []float64{5, 6, 7, 8, 9, 9}, All[float64](a))
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "--index-column")
	o.Index = No
	a, err = readCSVText(text, o)
	require.NoError(t, err)
	require.Equal(t, []int{3, 3}, a.Shape)
	o.Index = Yes
	a, err = readCSVText("id,a,b\nx,5,6\ny,7,8\n", o)
	require.NoError(t, err)
	require.Equal(t, []float64{5, 6, 7, 8}, All[float64](a))
	require.Len(t, warnings, 1)
	// Headings 0, 1, 2, … beside an index: they are no row, whether it counts or not.
	o.Index, warnings = Auto, nil
	a, err = readCSVText(",0,1\n0,5,6\n1,7,8\n", o)
	require.NoError(t, err)
	require.Equal(t, []float64{5, 6, 7, 8}, All[float64](a))
	require.Len(t, warnings, 1)
	o.Index, warnings = Yes, nil
	a, err = readCSVText(",0,1\nx,5,6\n7,7,8\n", o)
	require.NoError(t, err)
	require.Equal(t, []float64{5, 6, 7, 8}, All[float64](a))
	require.Empty(t, warnings)
	a, err = readCSVText("9,0,1\nx,5,6\n", o) // which may be a heading
	require.NoError(t, err)
	require.Equal(t, []float64{0, 1, 5, 6}, All[float64](a))
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "--header yes")
	// A column that does not count is data; one of words says what to do.
	a, err = readCSVText(",a\n0,5\n2,7\n", CSVOptions{})
	require.NoError(t, err)
	require.Equal(t, []int{2, 2}, a.Shape)
	_, err = readCSVText(",a\nx,5\n", CSVOptions{})
	require.ErrorContains(t, err, "--index-column yes")
}

// TestCSVErrors name the row and the column.
func TestCSVErrors(t *testing.T) {
	for text, want := range map[string]string{
		"1,2\n3,4,5\n":                           "row 1 has 3 columns, the rows above 2 (line 2)",
		"a,b\n\n1\n":                             "row 0 has 1 column, the heading 2 (line 3)",
		"1,2\n3,\n":                              `row 1, column 1: "" is not a number; fill it in`,
		"1;2\n3;0,5\n":                           `row 1, column 1: "0,5" is not a number; write decimal points`,
		"1,2\n3,1e400\n":                         `row 1, column 1: "1e400" is beyond the range of float64`,
		"1,2\n3,1_000\n":                         `row 1, column 1: "1_000" is not a number`,
		"1,2\n3,\"4\n":                           "line 2: a quoted field does not end",
		"1,2\n3,\"4\"5\n":                        `line 2: "5" after a quoted field`,
		"1,2\n3,4\x00\n":                         "line 2: a NUL byte: this is no text",
		"1,\"" + strings.Repeat("x", maxField+2): "line 1: a field of more than 65536 bytes",
		"1," + strings.Repeat("x", 4*maxField):   "line 1: a field of more than 65536 bytes",
	} {
		_, err := readCSVText(text, CSVOptions{})
		require.ErrorContains(t, err, want, text[:min(len(text), 20)])
		require.ErrorContains(t, err, "x.csv: ")
		require.Less(t, len(err.Error()), 200)
	}
}

// TestLongLine: a line may be longer than what is kept of it in memory.
func TestLongLine(t *testing.T) {
	const n = 3 << 20
	a, err := readCSVText(strings.Repeat("1;", n)+"2\n"+strings.Repeat("3;", n)+"4", CSVOptions{})
	require.NoError(t, err)
	require.Equal(t, []int{2, n + 1}, a.Shape)
	require.Equal(t, []float64{1, 2, 3}, Read[float64](a, nil, n-1, n+2))
	require.NoError(t, a.Close())
}

// TestCarriageReturns: lines end in a line feed, a carriage return, or both, however
// the text comes.
func TestCarriageReturns(t *testing.T) {
	want := []float64{1, 2, 3, 4, 5, 6}
	for _, end := range []string{"\n", "\r", "\r\n", " \r", "\r\n\r\n", "\n\r", "\r\r\n"} {
		for _, text := range []string{"1,2" + end + "3,4" + end + "5,6", "1,2" + end + "3,4" + end + "5,6" + end, "# of\ta" + end + end + "1;2" + end + "3;4" + end + "5;6" + end,
			"a,\"b" + end + "\"" + end + "1,2" + end + "3,4" + end + "5,6" + end} {
			for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(iotest.HalfReader(strings.NewReader(text)))} {
				a, err := ReadCSV(&Input{Name: "x.csv", Format: Text, size: -1, r: newBuffered(r)}, CSVOptions{})
				require.NoError(t, err, "%q", text)
				require.Equal(t, []int{3, 2}, a.Shape, "%q", text)
				require.Equal(t, want, append([]float64{}, All[float64](a)...), "%q", text)
				a.Close()
			}
		}
	}
	for _, width := range []int{peekSize, 2 * peekSize} { // where what is read at a time ends
		for from := width - 8; from < width+8; from++ {
			text := strings.Repeat(" ", from) + "1\r2\r\n3\r\r\n4\r"
			a, err := readCSVText(text, CSVOptions{})
			require.NoError(t, err, from)
			require.Equal(t, []float64{1, 2, 3, 4}, append([]float64{}, All[float64](a)...), from)
			a.Close()
			_, err = readCSVText(text+"x\r", CSVOptions{})
			require.ErrorContains(t, err, "row 4, column 0: \"x\" is not a number", from)
		}
	}
	require.Equal(t, "a\nb\r\n\nc\n", string(EndLines([]byte("a\rb\r\n\rc\r"))))
}
