package sparse

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/zlpr/zlpr/internal/array"
)

// ReadText reads a text file with labels and features: lines of
//
//	label,label,... feature:value feature:value ...
//
// as multi-label libsvm has them (features usually counted from 1; without a
// comma there is one label), or as in the extreme classification repository,
// where a first line "rows features labels" gives the sizes and all numbers
// count from 0. A line that begins with a space, or with a feature, has no
// labels. Without the first line the sizes are the largest numbers plus 1.
//
// classes and features, if not 0, say how many there are.
func ReadText(path string, classes, features int) (x, y *Matrix, err error) {
	f, err := os.Open(path)
	if err != nil {
		var e *os.PathError
		if errors.As(err, &e) {
			err = fmt.Errorf("%s: %w", path, e.Err)
		}
		return nil, nil, err
	}
	defer f.Close()
	x, y, err = readText(f, classes, features)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	x.Name, y.Name = path, path
	return x, y, nil
}

func readText(r io.Reader, classes, features int) (x, y *Matrix, err error) {
	b := bufio.NewReaderSize(r, 1<<20)
	x, y = &Matrix{RowPtr: []int64{0}}, &Matrix{RowPtr: []int64{0}}
	var values []float32
	rows := -1
	for line := 1; ; line++ {
		text, err := b.ReadString('\n')
		if err != nil && err != io.EOF {
			return nil, nil, err
		}
		end := err == io.EOF
		text = strings.TrimRight(text, "\r\n")
		if i := strings.IndexByte(text, '#'); i >= 0 {
			text = text[:i]
		}
		switch header := strings.Fields(text); {
		case text == "" && end:
		case line == 1 && len(header) == 3 && !strings.ContainsAny(text, ":,"):
			var sizes [3]int
			for i, field := range header {
				if sizes[i], err = strconv.Atoi(field); err != nil || sizes[i] < 0 {
					return nil, nil, fmt.Errorf("line 1: %q is not a size", field)
				}
			}
			rows, features, classes = sizes[0], sizes[1], sizes[2]
		default:
			if values, err = parseLine(text, x, y, values); err != nil {
				return nil, nil, fmt.Errorf("line %d: %w", line, err)
			}
		}
		if end {
			break
		}
	}
	x.Rows, y.Rows = len(x.RowPtr)-1, len(y.RowPtr)-1
	if rows >= 0 && rows != x.Rows {
		return nil, nil, fmt.Errorf("the first line says %d rows, but %d are there; the file is truncated or its first line wrong", rows, x.Rows)
	}
	x.Cols, y.Cols = max(features, 0), max(classes, 0)
	for _, m := range []struct {
		*Matrix
		given bool
		what  string
	}{{x, features > 0, "feature"}, {y, classes > 0, "label"}} {
		for _, j := range m.Indices {
			if int(j) >= m.Cols {
				if m.given {
					return nil, nil, fmt.Errorf("%s %d of %d", m.what, j, m.Cols)
				}
				m.Cols = int(j) + 1
			}
		}
	}
	x.Values = array.New("", []int{len(values)}, values)
	return x, y, nil
}

// parseLine adds a line to the matrices.
func parseLine(text string, x, y *Matrix, values []float32) ([]float32, error) {
	for i, field := range strings.Split(text, " ") {
		name, value, isFeature := strings.Cut(field, ":")
		switch {
		case field == "":
		case isFeature:
			j, err := index(name)
			if err != nil {
				return values, fmt.Errorf("feature %q: %w", name, err)
			}
			v, err := strconv.ParseFloat(value, 32)
			if err != nil {
				return values, fmt.Errorf("feature %s: %q is not a number", name, value)
			}
			x.Indices, values = append(x.Indices, j), append(values, float32(v))
		case i > 0:
			return values, fmt.Errorf("%q is no feature:value", field)
		default:
			for label := range strings.SplitSeq(field, ",") {
				j, err := index(label)
				if err != nil {
					return values, fmt.Errorf("label %q: %w", label, err)
				}
				y.Indices = append(y.Indices, j)
			}
		}
	}
	x.RowPtr = append(x.RowPtr, int64(len(x.Indices)))
	y.RowPtr = append(y.RowPtr, int64(len(y.Indices)))
	return values, nil
}

// index parses a column.
func index(s string) (int32, error) {
	j, err := strconv.ParseUint(s, 10, 64)
	switch {
	case err != nil:
		return 0, errors.New("not a number counted from 0")
	case j >= math.MaxInt32:
		return 0, errLong
	}
	return int32(j), nil
}
