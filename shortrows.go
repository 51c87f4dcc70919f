package zlpr

import (
	"github.com/zlpr/zlpr/internal/kernel"
)

// Short rows, many at a time: their exponentials are evaluated one after the other,
// whatever the row, and the rows are then brought down to their sums side by side.

const (
	// shortLen is the number of elements taken at a time, in whole rows.
	shortLen = 2048

	// shortRows is the number of rows taken at a time at most.
	shortRows = 256

	// leastShort is the least number of rows for which that pays.
	leastShort = 24

	// powersLen is the number of elements of which ShortPowers takes a multiple.
	powersLen = 64
)

// shortPowers are the exponentials of some short rows at pivot 0.
type shortPowers[T Float] struct {
	w [shortLen + 16]T // 16: see kernel.ShortRoom
}

// shortMatrix reports whether a matrix is of enough short rows.
func shortMatrix[T Float](m Matrix[T]) bool {
	return 0 < m.Cols && m.Cols <= kernel.ShortRow && m.Rows >= leastShort
}

// shortStep returns the number of rows of n elements taken at a time: ShortPowers
// then has no rest.
func shortStep(n int) int {
	return min(shortLen/n&^(powersLen-1), shortRows)
}

// shortLogSumExpRows is logSumExpRows of rows of at most kernel.ShortRow elements.
func shortLogSumExpRows[T Float](dst []float64, m Matrix[T]) {
	m = m.strided()
	var s shortPowers[T]
	var err [shortRows]float64
	step := shortStep(m.Cols)
	for first := 0; first < m.Rows; first += step {
		part := m
		part.Rows, part.Data = min(step, m.Rows-first), m.Data[first*m.Stride:]
		out := dst[first:][:part.Rows]
		if s.sums(out, err[:], part) {
			logSums[T](out, out, err[:])
		} else {
			chunkLogSumExp(out, part)
		}
	}
}

// power writes the exponentials of the rows of m, and those of 0 on to a multiple of 8
// rows.
func (s *shortPowers[T]) power(m Matrix[T]) {
	count, whole := m.Rows*m.Cols, 0
	if m.Stride == m.Cols {
		if whole = count &^ (powersLen - 1); whole > 0 {
			kernel.ShortPowers(s.w[:], m.Data[:whole])
		}
		copy(s.w[whole:], m.Data[whole:count])
	} else {
		for i := range m.Rows {
			copy(s.w[i*m.Cols:], m.Data[i*m.Stride:][:m.Cols])
		}
	}
	if whole < count || m.Rows%8 != 0 {
		end := ((m.Rows+7)&^7*m.Cols + powersLen - 1) &^ (powersLen - 1)
		clear(s.w[count:end])
		kernel.ShortPowers(s.w[whole:], s.w[whole:end])
	}
}

// sums writes the sums of the rows of m to sum, and of float64 their errors to err. It
// reports whether all of them are plain (see kernel.ShortTotals).
func (s *shortPowers[T]) sums(sum, err []float64, m Matrix[T]) bool {
	s.power(m)
	rows, plain := m.Rows&^7, true
	if rows > 0 {
		plain = kernel.ShortTotals(sum, err, s.w[:], rows, m.Cols)
	}
	if rest := m.Rows - rows; rest > 0 {
		var a, b [8]float64
		plain = kernel.ShortTotals(a[:], b[:], s.w[rows*m.Cols:], 8, m.Cols) && plain
		copy(sum[rows:], a[:rest])
		copy(err[rows:], b[:rest])
	}
	return plain
}
