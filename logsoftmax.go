package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// LogSoftmax writes x[i] - log Σ e^x[j] to dst[i] and returns LogSumExp(x). dst
// may be x itself; they must not overlap otherwise. It panics if the lengths
// differ.
//
// Special cases are:
//
//	one score: exactly 0
//	one +Inf and no NaN: 0 there, -Inf elsewhere
//	several +Inf, a NaN, or nothing but -Inf: NaN everywhere
//
// Every entry is within 4 ULP of the true log-probability, relative, 2^-23 or 2^-52,
// however close to 0 it is, and never above 0; entries whose magnitude is below the
// smallest normal number may be 0. Adding a number to all scores changes nothing where
// the sums are exact.
func LogSoftmax[T Score](dst, x []T) float64 {
	if len(dst) != len(x) {
		panic(badLength)
	}
	return intoRow(dst, x, logSoftmax[float32], logSoftmax[float64])
}

// logSoftmax is LogSoftmax.
func logSoftmax[T Float](dst, x []T) float64 {
	p, c, lse := rowSum(x)
	logSoftmaxRow(dst, x, p, c)
	return lse
}

// LogSoftmaxRows writes LogSoftmax of every row of m to the rows of dst, and
// LogSumExp of every row to lse unless that is nil, with the same bits. dst may
// be m itself; they must not overlap otherwise. It panics if the shapes differ
// or a matrix does not lie within its data.
func LogSoftmaxRows[T Score](dst Matrix[T], lse []float64, m Matrix[T]) {
	checkOutput(dst, lse, m)
	intoRows(dst, lse, m, logSoftmaxRows[float32], logSoftmaxRows[float64])
}

// logSoftmaxRows is LogSoftmaxRows.
func logSoftmaxRows[T Float](dst Matrix[T], lse []float64, m Matrix[T]) {
	dst = dst.strided()
	if m.Cols == 0 || m.Cols > BlockLen {
		for i := range m.Rows {
			l := logSoftmax(dst.rowOrEmpty(i), m.rowOrEmpty(i))
			if lse != nil {
				lse[i] = l
			}
		}
		return
	}
	if shortMatrix(m) {
		var s shortPowers[T]
		logSoftmaxChunks(dst, lse, m, &s)
		return
	}
	logSoftmaxChunks(dst, lse, m, nil)
}

// logSoftmaxChunks is logSoftmaxRows of rows of at most a block, short ones where there
// is a place of their exponentials.
func logSoftmaxChunks[T Float](dst Matrix[T], lse []float64, m Matrix[T], short *shortPowers[T]) {
	var e excesses[T]
	var room excessRoom[T]
	e.room = &room
	var c rowChunk[T]
	for c.begin(m); c.next(short); {
		if lse != nil {
			c.logs(lse[c.first:][:c.rows])
		}
		c.logSoftmax(dst.Data[c.first*dst.Stride:], dst.Stride, &e)
	}
}

// logSoftmaxRow writes the log-softmax of a row whose sum is p of the class c.
func logSoftmaxRow[T Float](dst, x []T, p power.Number, c power.Class) {
	switch {
	case len(x) == 0:
	case c != power.Finite:
		logSoftmaxLimit(dst, x, c)
	case len(x) <= BlockLen:
		var rows rowChunk[T]
		rows.begin(Matrix[T]{Rows: 1, Cols: len(x), Stride: len(x), Data: x})
		rows.next(nil)
		rows.logSoftmax(dst, len(x), new(excesses[T]))
	default:
		m := maxOf(x)
		writeLog(dst, x, m, longExcess(x, p, m))
	}
}

// logSoftmaxLimit writes the log-softmax of a row whose sum is not finite.
func logSoftmaxLimit[T Float](dst, x []T, c power.Class) {
	softmaxLimit(dst, x, c)
	for i, v := range dst {
		if v == v {
			dst[i] = T(math.Log(float64(v))) // exact: 0 or -Inf
		}
	}
}

// logSoftmax writes the log-softmax of the chunk's rows, with room for their excesses.
func (c *rowChunk[T]) logSoftmax(dst []T, stride int, e *excesses[T]) {
	for i := 0; i < c.rows; {
		end := i
		if c.all {
			end = c.rows
		}
		for end < c.rows && kernel.Natural[T](c.hi[end]) {
			end++
		}
		if i < end {
			rows := Matrix[T]{end - i, c.n, c.x[i*c.stride:], c.stride}
			e.of(rows, c.hi[i:end], c.err[i:end])
			offset(dst[i*stride:], stride, rows.Data, c.stride, rows.Rows, c.n, e.top[:], e.logs(rows.Rows))
		}
		for i = end; i < c.rows && !kernel.Natural[T](c.hi[i]); i++ {
			x, out := c.row(i), dst[i*stride:][:c.n]
			if _, k := c.power(i); k != power.Finite {
				logSoftmaxLimit(out, x, k)
				continue
			}
			m := maxOf(x)
			writeLog(out, x, m, anyExcess(x, indexOf(x, m)))
		}
	}
}

// writeLog writes (x - m) - log1p(E) for a row.
func writeLog[T Float](dst, x []T, m T, excess float64) {
	l := [1]T{T(scalar.Log1pFinite(excess))}
	offset(dst, len(x), x, len(x), 1, len(x), []T{m}, l[:])
}
