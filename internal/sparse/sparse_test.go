package sparse

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

// read reads text of which nothing is known.
func read(text string) (*Text, error) {
	return readText("x", array.NewLines(strings.NewReader(text)), TextOptions{Classes: -1, Features: -1})
}

func TestText(t *testing.T) {
	got, err := read("3 5 4\n0,3 1:0.5 4:2\n 2:1\n2\n")
	require.NoError(t, err)
	x, y := got.X, got.Y
	require.Equal(t, 5, x.Cols)
	require.Equal(t, 4, y.Cols)
	require.Equal(t, []int64{0, 2, 2, 3}, y.RowPtr)
	require.Equal(t, []int32{0, 3, 2}, y.Indices)
	require.Equal(t, []int64{0, 2, 3, 3}, x.RowPtr)
	require.Equal(t, []int32{1, 4, 2}, x.Indices)
	require.Equal(t, []float64{0.5, 2, 1}, array.All[float64](x.Values))

	// Without the first line the sizes are what occurs.
	got, err = read("1 1:1 7:1 # comment\r\n1,4 3:1")
	require.NoError(t, err)
	require.Equal(t, 8, got.X.Cols)
	require.Equal(t, 5, got.Y.Cols)
	require.Equal(t, 2, got.Y.Rows)
}

func TestTextErrors(t *testing.T) {
	for text, want := range map[string]string{
		"2 5 4\n0 1:1\n":    "the first line says 2 rows, but 1 are there",
		"1 5 4\n4 1:1\n":    "row 0 (line 2): label 4, but there are 4",
		"1 5 4\n0 5:1\n":    "row 0 (line 2): feature 5, but there are 5",
		"0 a:1\n":           "row 0 (line 1): feature \"a\": not a number",
		"0 1:b\n":           "row 0 (line 1): feature 1: \"b\" is not a number",
		"0 1:1 2\n":         "row 0 (line 1): \"2\" is no feature:value",
		"0,-1 1:1\n":        "label \"-1\": not a number",
		"2147483648 1:1\n":  "more than 2^31-1 columns",
		"1 1:1\n0, 1:1\n":   "row 1 (line 2): label \"\"",
		"1 x 2\n0 1:1 2:1 ": "line 1",
	} {
		_, err := read(text)
		require.ErrorContains(t, err, want, text)
	}
}

// TestComments: what follows # is no part of a line; lines with nothing else are
// no rows. Blank lines are rows under a line of sizes, and only there.
func TestComments(t *testing.T) {
	for text, rows := range map[string]int{
		"# 3 5 4\n#\n0 1:1 # x\n\n \t\n2 0:1#y\r\n": 2,
		"0\n1\n\n":                       2,
		"4 5 4\n0 1:1\n\n#\n2\n\n":       4,
		"3 5 4\n0 1:1\n\n2\n\n\n":        3,
		"# sizes\n\n2 5 4 # of it\n\n\n": 2,
		"0 2 2\n":                        0,
		"":                               0,
	} {
		got, err := read(text)
		require.NoError(t, err, text)
		require.Equal(t, rows, got.X.Rows, text)
		require.Equal(t, rows, got.Y.Rows, text)
	}
}

// TestLabelMatrix: lists of label:1 are labels, with a line of sizes and
// without; features beside labels are none.
func TestLabelMatrix(t *testing.T) {
	for text, want := range map[string]string{
		"0:1.0 2:1.0\n3:1.0\n1:1 2:1\n": "[0 2 3 5] [0 2 3 1 2] 4",
		"3 5\n0:1.0 2:1.0\n\n1:1 2:1\n": "[0 2 2 4] [0 2 1 2] 5",
		"0,3 7:1\n\n2 0:1\n":            "[0 2 3] [0 3 2] 4",
		"2 5 4\n0:1\n1:1\n":             "[0 0 0] [] 4",
		"0,3\n2\n":                      "[0 2 3] [0 3 2] 4",
		"2 5\n0,3\n2\n":                 "[0 2 3] [0 3 2] 5",
	} {
		got, err := readText("x", array.NewLines(strings.NewReader(text)), TextOptions{Classes: -1, Features: -1, Labels: true})
		require.NoError(t, err, text)
		m, err := got.LabelMatrix(-1)
		require.NoError(t, err, text)
		require.Equal(t, want, fmt.Sprint(m.RowPtr, " ", m.Indices, " ", m.Cols), text)
	}
	got, err := readText("x", array.NewLines(strings.NewReader("0:1\n4:1\n")), TextOptions{Classes: 4, Features: -1, Labels: true})
	require.NoError(t, err)
	_, err = got.LabelMatrix(4)
	require.EqualError(t, err, "x: row 1: column 4, but there are 4, counted from 0")
}

// TestOneBased: labels and features count from 1, but for features beside the
// labels that are wanted.
func TestOneBased(t *testing.T) {
	o := TextOptions{Classes: 3, Features: -1, OneBased: true}
	got, err := readText("x", array.NewLines(strings.NewReader("1,3 1:5\n2 4:1\n")), o)
	require.NoError(t, err)
	require.Equal(t, []int32{0, 2, 1}, got.Y.Indices)
	require.Equal(t, []int32{0, 3}, got.X.Indices)
	require.False(t, got.Y.FromOne())
	for text, want := range map[string]string{
		"0 1:1\n": "label \"0\": not a number counted from 1",
		"1 0:1\n": "feature \"0\": not a number counted from 1",
		"4 1:1\n": "label 4, but there are 3, counted from 1",
	} {
		_, err = readText("x", array.NewLines(strings.NewReader(text)), o)
		require.ErrorContains(t, err, want)
	}
	o.Labels = true
	got, err = readText("x", array.NewLines(strings.NewReader("1,3 0:5\n")), o)
	require.NoError(t, err)
	require.Equal(t, []int32{0, 2}, got.Y.Indices)
	got, err = read("1,3 1:5\n2\n")
	require.NoError(t, err)
	require.True(t, got.Y.FromOne())
}

// TestValues: features are float64, to the last bit; repeated ones add up.
func TestValues(t *testing.T) {
	got, err := read("0 1:0.1 3:1e300 1:0.2 2:-inf\n")
	require.NoError(t, err)
	require.Equal(t, []int32{1, 2, 3}, got.X.Indices)
	tenth, fifth := 0.1, 0.2
	require.Equal(t, []float64{tenth + fifth, math.Inf(-1), 1e300}, array.All[float64](got.X.Values))
	_, err = read("0 1:1e309\n")
	require.ErrorContains(t, err, `feature 1: "1e309" is beyond the range of float64`)
}

// TestLongText reads more than is kept in memory, in one line of it too.
func TestLongText(t *testing.T) {
	var b strings.Builder
	b.WriteString("0")
	const n = 2 << 20
	for i := range n {
		b.WriteString(" ")
		b.WriteString(strconv.Itoa(i))
		b.WriteString(":1")
	}
	b.WriteString("\n1 7:3\n")
	got, err := read(b.String())
	require.NoError(t, err)
	require.Equal(t, []int64{0, n, n + 1}, got.X.RowPtr)
	for i := range n {
		if got.X.Indices[i] != int32(i) {
			t.Fatal(i)
		}
	}
	require.Equal(t, []float64{1, 3}, array.Read[float64](got.X.Values, nil, n-1, n+1))
	require.NoError(t, got.Close())
}
