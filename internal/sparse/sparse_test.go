package sparse

import (
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
