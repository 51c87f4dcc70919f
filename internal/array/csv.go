package array

import (
	"bufio"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// openCSV reads numbers as float64. A first line that has no number at all is
// taken as names of columns. In .tsv files tabs separate.
func openCSV(path string) (*Array, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(bufio.NewReaderSize(f, 1<<20))
	r.ReuseRecord = true
	r.TrimLeadingSpace = true
	r.Comment = '#'
	if strings.EqualFold(filepath.Ext(path), ".tsv") {
		r.Comma = '\t'
	}
	var s spill
	defer s.discard()
	rows, cols := 0, 0
	var out []byte
	for first := true; ; first = false {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			if errors.Is(err, csv.ErrFieldCount) {
				return nil, fmt.Errorf("row %d has %d columns, the rows above %d", rows, len(record), cols)
			}
			return nil, err
		}
		if first {
			if cols = len(record); isHeading(record) {
				continue
			}
		}
		out = out[:0]
		for j, field := range record {
			x, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
			if err != nil && !errors.Is(err, strconv.ErrRange) {
				return nil, fmt.Errorf("row %d, column %d: %q is not a number", rows, j, field)
			}
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(x))
		}
		if _, err := s.Write(out); err != nil {
			return nil, err
		}
		rows++
	}
	return s.array(path, func(a *Array, b []byte) error {
		a.Type, a.Shape, a.data = Float64, []int{rows, cols}, b
		return nil
	})
}

func isHeading(record []string) bool {
	for _, field := range record {
		if _, err := strconv.ParseFloat(strings.TrimSpace(field), 64); err == nil {
			return false
		}
	}
	return true
}
