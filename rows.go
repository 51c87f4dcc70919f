package zlpr

import (
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
)

// The functions of a row for every row of a matrix. Rows are taken many at a
// time: short rows do not pay a call each, and the second pass over a row finds
// it in the cache.

// chunkBytes bounds the rows taken at a time.
const chunkBytes = 128 << 10

// streamBytes is the size of an output from which on it is written past the
// caches.
const streamBytes = 16 << 20

// chunkRows returns the number of rows of n elements taken at a time, for rows
// of at most a block.
func chunkRows[T Float](n int) int {
	size := 8
	if kernel.IsFloat32[T]() {
		size = 4
	}
	return max(1, min(batch, chunkBytes/(size*max(n, 1))))
}

// A rowChunk is some rows of a matrix, of at most a block each, and their sums of
// exponentials. It moves through the matrix:
//
//	var c rowChunk[T]
//	for c.begin(m); c.next(nil); {
//
// (A variable of the loop would be copied every time, with its sums.)
type rowChunk[T Float] struct {
	m       Matrix[T]
	first   int // number of the first row
	x       []T // from the first row on
	stride  int
	rows, n int
	step    int // rows at a time
	sums
	all, plain bool // all sums are natural, and none may be that of a peaked row
}

// begin sets the chunk, a new one, before the matrix's first row.
func (c *rowChunk[T]) begin(m Matrix[T]) {
	c.m, c.stride, c.n, c.step = m.strided(), m.step(), m.Cols, chunkRows[T](m.Cols)
}

// next takes the next rows, if there are any; short rows where there is a place of
// their exponentials.
func (c *rowChunk[T]) next(short *shortPowers[T]) bool {
	c.first += c.rows
	c.rows = min(c.step, c.m.Rows-c.first)
	if c.rows <= 0 {
		return false
	}
	c.x = c.m.Data[c.first*c.stride:]
	if short != nil {
		c.plain = short.sums(c.hi[:], c.err[:], Matrix[T]{c.rows, c.n, c.x, c.stride})
	} else {
		p := kernel.PivotParams[T](0)
		sumExp(c.hi[:], c.err[:], c.x, c.stride, c.rows, c.n, &p)
	}
	c.all = c.plain || kernel.AllNatural[T](c.hi[:c.rows])
	return true
}

// power returns the sum of exponentials of row i.
func (c *rowChunk[T]) power(i int) (power.Number, power.Class) {
	if kernel.Natural[T](c.hi[i]) {
		return naturalPower(c.hi[i], c.err[i]).Normalized(), power.Finite
	}
	p, k := blockPower(c.row(i))
	if k == power.Finite {
		p = p.Normalized()
	}
	return p, k
}

func (c *rowChunk[T]) row(i int) []T { return c.x[i*c.stride:][:c.n] }

// logs writes the logarithms of the sums of the rows to dst.
func (c *rowChunk[T]) logs(dst []float64) {
	if !c.all {
		for i := range dst {
			p, k := c.power(i)
			dst[i], _ = blockLog(c.row(i), p, k)
		}
		return
	}
	logSums[T](dst, c.hi[:], c.err[:])
	if !c.plain && anyPeaked(dst, c.x, c.stride) {
		for i, l := range dst {
			if mayBePeaked(l, c.row(i)) {
				p, k := c.power(i)
				dst[i], _ = blockLog(c.row(i), p, k)
			}
		}
	}
}

// logSums writes the logarithms of natural sums; those of float32 have no errors.
func logSums[T Float](dst, hi, err []float64) {
	if kernel.IsFloat32[T]() {
		err = nil
	}
	kernel.LogPair64(dst, hi, err)
}

// MaxRows writes the maximum of every row of m to dst, with the special cases
// of Max. It panics unless len(dst) = m.Rows and m lies within its data.
func MaxRows[T Score](dst []T, m Matrix[T]) {
	m.check()
	checkRows(len(dst), m.Rows)
	switch bytesOf[T]() {
	case 4:
		maxRows(kernel.Cast[float32](dst), cast[float32](m))
	case 8:
		maxRows(kernel.Cast[float64](dst), cast[float64](m))
	default:
		halfMaxRows(dst, m)
	}
}

// maxRows is MaxRows.
func maxRows[T Float](dst []T, m Matrix[T]) {
	if m.Cols == 0 || m.Rows == 0 {
		for i := range dst {
			dst[i] = maxOf[T](nil)
		}
		return
	}
	kernel.Maximum(dst, m.Data, m.step(), m.Rows, m.Cols)
	for i, v := range dst {
		dst[i] = signZero(v, m.Row(i))
	}
}

func checkRows(got, rows int) {
	if got != rows {
		panic(badRows)
	}
}

// LogSumExpRows writes LogSumExp of every row of m to dst, with the same bits.
// It panics unless len(dst) = m.Rows and m lies within its data.
func LogSumExpRows[T Score](dst []float64, m Matrix[T]) {
	m.check()
	checkRows(len(dst), m.Rows)
	switch bytesOf[T]() {
	case 4:
		logSumExpRows(dst, cast[float32](m))
	case 8:
		logSumExpRows(dst, cast[float64](m))
	default:
		halfLogSumExpRows(dst, m)
	}
}

// logSumExpRows is LogSumExpRows.
func logSumExpRows[T Float](dst []float64, m Matrix[T]) {
	if m.Cols == 0 || m.Cols > BlockLen {
		for i := range dst {
			_, _, dst[i] = rowSum(m.rowOrEmpty(i))
		}
		return
	}
	if shortMatrix(m) {
		shortLogSumExpRows(dst, m)
		return
	}
	chunkLogSumExp(dst, m)
}

// chunkLogSumExp is logSumExpRows of rows of at most a block.
func chunkLogSumExp[T Float](dst []float64, m Matrix[T]) {
	var c rowChunk[T]
	for c.begin(m); c.next(nil); {
		c.logs(dst[c.first:][:c.rows])
	}
}

// rowOrEmpty is Row, also for a matrix of no columns and no data.
func (m Matrix[T]) rowOrEmpty(i int) []T {
	if m.Cols == 0 {
		return nil
	}
	return m.Row(i)
}

// checkOutput panics unless dst and lse fit m.
func checkOutput[T Score](dst Matrix[T], lse []float64, m Matrix[T]) {
	m.check()
	dst.check()
	if dst.Rows != m.Rows || dst.Cols != m.Cols {
		panic(badShape)
	}
	if lse != nil {
		checkRows(len(lse), m.Rows)
	}
}

// SoftmaxRows writes Softmax of every row of m to the rows of dst, and
// LogSumExp of every row to lse unless that is nil, with the same bits. dst may
// be m itself; they must not overlap otherwise. It panics if the shapes differ
// or a matrix does not lie within its data.
func SoftmaxRows[T Score](dst Matrix[T], lse []float64, m Matrix[T]) {
	checkOutput(dst, lse, m)
	intoRows(dst, lse, m, softmaxRows[float32], softmaxRows[float64])
}

// softmaxRows is SoftmaxRows.
func softmaxRows[T Float](dst Matrix[T], lse []float64, m Matrix[T]) {
	stream := m.Rows*m.Cols >= streamBytes/4
	dst = dst.strided()
	if m.Cols == 0 || m.Cols > BlockLen {
		for i := range m.Rows {
			x := m.rowOrEmpty(i)
			p, c, l := rowSum(x)
			if lse != nil {
				lse[i] = l
			}
			softmaxRow(dst.rowOrEmpty(i), x, p, c, stream)
		}
		return
	}
	if shortMatrix(m) {
		var s shortPowers[T]
		softmaxChunks(dst, lse, m, stream, &s)
		return
	}
	softmaxChunks(dst, lse, m, stream, nil)
}

// softmaxChunks is softmaxRows of rows of at most a block, short ones where there is a
// place of their exponentials.
func softmaxChunks[T Float](dst Matrix[T], lse []float64, m Matrix[T], stream bool, short *shortPowers[T]) {
	var c rowChunk[T]
	for c.begin(m); c.next(short); {
		if lse != nil {
			c.logs(lse[c.first:][:c.rows])
		}
		out := dst.Data[c.first*dst.Stride:]
		if !c.all {
			for i := range c.rows {
				p, k := c.power(i)
				softmaxRow(out[i*dst.Stride:][:c.n], c.row(i), p, k, stream)
			}
			continue
		}
		var q [batch]kernel.RowParams[T]
		for i := range c.rows {
			q[i] = scaleParams[T](power.Number{Hi: c.hi[i] + c.err[i]})
		}
		scale(out, dst.Stride, c.x, c.stride, c.rows, c.n, q[:], 1, stream)
	}
}

// scale is scaleExp, streaming where that is asked for and possible.
func scale[T Float](dst []T, dstStride int, x []T, stride, rows, n int, p []kernel.RowParams[T], pStep int, stream bool) {
	if !stream {
		scaleExp(dst, dstStride, x, stride, rows, n, p, pStep, 0)
		return
	}
	if kernel.Misaligned(dst) == 0 && (rows == 1 || kernel.Misaligned(dst[dstStride:]) == 0) {
		scaleExp(dst, dstStride, x, stride, rows, n, p, pStep, 1)
		return
	}
	for i := range rows {
		d, y, q := dst[i*dstStride:], x[i*stride:], p[i*pStep:]
		head := min(kernel.Misaligned(d), n)
		if head > 0 {
			scaleExp(d, head, y, head, 1, head, q, 0, 0)
		}
		if head < n {
			scaleExp(d[head:], n, y[head:], n, 1, n-head, q, 0, 1)
		}
	}
}

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
		s.logSumExp(dst[first:][:part.Rows], err[:], part)
	}
}

// logSumExp is shortLogSumExpRows of at most shortStep rows, with a place for errors.
func (s *shortPowers[T]) logSumExp(dst, err []float64, m Matrix[T]) {
	if s.sums(dst, err, m) {
		logSums[T](dst, dst, err)
	} else {
		chunkLogSumExp(dst, m)
	}
}

// power writes the exponentials of the rows of m, and those of 0 on to a multiple of 8
// rows.
func (s *shortPowers[T]) power(m Matrix[T]) {
	count, whole := m.Rows*m.Cols, 0
	p := kernel.PivotParams[T](0)
	if m.Stride == m.Cols {
		if whole = count &^ (powersLen - 1); whole > 0 {
			kernel.ShortPowers(s.w[:], m.Data[:whole], &p)
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
		kernel.ShortPowers(s.w[whole:], s.w[whole:end], &p)
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
