package zlpr

import (
	"context"
	"reflect"
	"sync"
	"unsafe"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
)

// A BFloat16 is a bfloat16: the upper half of the bits of a float32, 8 bits of
// exponent and 7 of fraction.
type BFloat16 uint16

// BFloat16Of returns f rounded to nearest, ties to even. A NaN becomes quiet and
// keeps the upper part of its payload.
func BFloat16Of(f float32) BFloat16 { return BFloat16(kernel.BFloat16Of(f)) }

// Float32 returns the float32 of the same value, NaN with the same bits.
func (h BFloat16) Float32() float32 { return kernel.Float32OfBFloat16(uint16(h)) }

// A Float16 is a binary16 of IEEE 754: 5 bits of exponent and 10 of fraction, up to
// 65504.
type Float16 uint16

// Float16Of returns f rounded to nearest, ties to even: ±Inf from 65520 on. A NaN
// becomes quiet and keeps the upper part of its payload.
func Float16Of(f float32) Float16 { return Float16(kernel.Float16Of(f)) }

// Float32 returns the float32 of the same value. A NaN becomes quiet and keeps its
// payload.
func (h Float16) Float32() float32 { return kernel.Float32OfFloat16(uint16(h)) }

// Score is the type of scores. 16-bit scores are widened a part at a time, in the
// nearest cache: results have the bits of those of the float32 scores of the same
// values, and outputs of the scores' type are these rounded once.
type Score interface{ Float | BFloat16 | Float16 }

// bytesOf returns the size of a score, a constant.
func bytesOf[T Score]() int {
	var x T
	return int(unsafe.Sizeof(x))
}

// typeName is the name of the type of scores: float32, float64, BFloat16, Float16.
func typeName[T Score]() string { return reflect.TypeFor[T]().Name() }

func isBFloat16[T Score]() bool {
	var x T
	_, ok := any(x).(BFloat16)
	return ok
}

// widen writes the float32 of 16-bit scores to dst, of the same length.
func widen[T Score](dst []float32, x []T) {
	kernel.Widen(dst, kernel.Cast[uint16](x), isBFloat16[T]())
}

// narrow writes x, rounded to 16 bits, to dst, of the same length.
func narrow[T Score](dst []T, x []float32) {
	kernel.Narrow(kernel.Cast[uint16](dst), x, isBFloat16[T]())
}

// widenRows writes the float32 of rows r0 to r1-1 of m, one after the other, to dst.
func widenRows[T Score](dst []float32, m Matrix[T], r0, r1 int) {
	if n := m.Cols; m.step() == n {
		widen(dst, m.Data[r0*n:r1*n])
	} else {
		for i := r0; i < r1; i++ {
			widen(dst[(i-r0)*n:][:n], m.Row(i))
		}
	}
}

// narrowRows writes x, rows of m one after the other, rounded to rows r0 to r1-1.
func narrowRows[T Score](m Matrix[T], x []float32, r0, r1 int) {
	if n := m.Cols; m.step() == n {
		narrow(m.Data[r0*n:r1*n], x)
	} else {
		for i := r0; i < r1; i++ {
			narrow(m.Row(i), x[(i-r0)*n:][:n])
		}
	}
}

// halfLen is about as many 16-bit scores as are widened at a time: blocks of a row,
// or rows.
const halfLen = 16 << 10

// nearLen is as many where what reads the scores takes whole rows or blocks that are
// short: they are still in the nearest cache then.
const nearLen = 4096

// fromMemory reports whether so many 16-bit scores are more than the caches hold.
func fromMemory(scores int) bool { return scores >= streamBytes/2 }

// A halfBuffer is a place for widened scores.
type halfBuffer struct{ x []float32 }

var halfBuffers = sync.Pool{New: func() any { return new(halfBuffer) }}

// takeHalf returns a place for n widened scores, to be given back.
func takeHalf(n int) *halfBuffer {
	b := halfBuffers.Get().(*halfBuffer)
	b.x = kernel.ResizeAligned(b.x, max(n, halfLen))[:n]
	return b
}

func (b *halfBuffer) give() { halfBuffers.Put(b) }

// ofRow returns the result of a function of a row: single or double on scores of
// these types, single on 16-bit scores widened.
func ofRow[T Score, R any](x []T, single func(x []float32) R, double func(x []float64) R) R {
	switch bytesOf[T]() {
	case 4:
		return single(kernel.Cast[float32](x))
	case 8:
		return double(kernel.Cast[float64](x))
	}
	b := takeHalf(len(x))
	defer b.give()
	widen(b.x, x)
	return single(b.x)
}

// intoRow is ofRow for functions that write as many elements to dst, which may be x.
func intoRow[T Score, R any](dst, x []T, single func(dst, x []float32) R, double func(dst, x []float64) R) R {
	switch bytesOf[T]() {
	case 4:
		return single(kernel.Cast[float32](dst), kernel.Cast[float32](x))
	case 8:
		return double(kernel.Cast[float64](dst), kernel.Cast[float64](x))
	}
	b := takeHalf(len(x))
	defer b.give()
	widen(b.x, x)
	r := single(b.x, b.x)
	narrow(dst, b.x)
	return r
}

// widened calls f with 16-bit rows of m widened, some at a time, and the number of the
// first of them. It may write to them.
func widened[T Score](m Matrix[T], f func(first int, rows Matrix[float32])) {
	n := m.Cols
	many := max(1, halfLen/max(n, 1))
	b := takeHalf(min(many, m.Rows) * n)
	defer b.give()
	for first := 0; first < m.Rows; first += many {
		rows := Matrix[float32]{Rows: min(many, m.Rows-first), Cols: n, Data: b.x, Stride: n}
		widenRows(b.x[:rows.Rows*n], m, first, first+rows.Rows)
		f(first, rows)
	}
}

// cast returns m, whose scores are of type U in truth.
func cast[U, T Score](m Matrix[T]) Matrix[U] {
	return Matrix[U]{m.Rows, m.Cols, kernel.Cast[U](m.Data), m.Stride}
}

// intoRows writes the results of a function of rows to the rows of dst, and to lse
// unless that is nil.
func intoRows[T Score](dst Matrix[T], lse []float64, m Matrix[T],
	single func(dst Matrix[float32], lse []float64, m Matrix[float32]),
	double func(dst Matrix[float64], lse []float64, m Matrix[float64])) {
	switch bytesOf[T]() {
	case 4:
		single(cast[float32](dst), lse, cast[float32](m))
	case 8:
		double(cast[float64](dst), lse, cast[float64](m))
	default:
		widened(m, func(first int, rows Matrix[float32]) {
			var l []float64
			if lse != nil {
				l = lse[first:][:rows.Rows]
			}
			single(rows, l, rows)
			narrowRows(dst, rows.Data[:rows.Rows*rows.Cols], first, first+rows.Rows)
		})
	}
}

// halfLogSumExpRows is LogSumExpRows of 16-bit scores.
func halfLogSumExpRows[T Score](dst []float64, m Matrix[T]) {
	n := m.Cols
	if n == 0 || n > BlockLen {
		for i := range dst {
			dst[i] = LogSumExp(m.rowOrEmpty(i))
		}
		return
	}
	b := takeHalf(nearLen)
	defer b.give()
	near := Matrix[float32]{Cols: n, Data: b.x, Stride: n}
	if n <= kernel.ShortRow && m.Rows >= leastShort {
		var s shortPowers[float32]
		var err [shortRows]float64
		step := shortStep(n)
		for first := 0; first < m.Rows; first += step {
			near.Rows = min(step, m.Rows-first)
			widenRows(near.Data[:near.Rows*n], m, first, first+near.Rows)
			s.logSumExp(dst[first:][:near.Rows], err[:], near)
		}
		return
	}
	var s sums
	var top [batch]float32 // a score of every row
	p := kernel.PivotParams[float32](0)
	step := max(1, nearLen/n)
	if fromMemory(m.Rows * n) {
		step = max(1, chunk.FarLen/n)
	}
	for first := 0; first < m.Rows; first += batch {
		rows := min(batch, m.Rows-first)
		for i := 0; i < rows; i += step {
			k := min(step, rows-i)
			widenRows(near.Data[:k*n], m, first+i, first+i+k)
			sumExp(s.hi[i:], s.err[i:], near.Data, n, k, n, &p)
			for j := range k {
				top[i+j] = near.Data[j*n]
			}
		}
		out := dst[first:][:rows]
		if kernel.AllNatural[float32](s.hi[:rows]) {
			if logSums[float32](out, s.hi[:], s.err[:]); !anyPeaked(out, top[:], 1) {
				continue
			}
		}
		for i := range out {
			out[i] = LogSumExp(m.Row(first + i))
		}
	}
}

// halfMaxRows is MaxRows of 16-bit scores.
func halfMaxRows[T Score](dst []T, m Matrix[T]) {
	widened(m, func(first int, rows Matrix[float32]) {
		b := takeHalf(rows.Rows)
		defer b.give()
		maxRows(b.x, rows)
		narrow(dst[first:][:rows.Rows], b.x)
	})
}

// orNil returns p if it is right.
func orNil[E any](p *E, ok bool) *E {
	if !ok {
		return nil
	}
	return p
}

// valueOf returns the first of two results.
func valueOf(value, _ float64) float64 { return value }

// valueAt returns the value of score j.
func valueAt[T Score](x []T, j int) float64 {
	return ofRow(x[j:j+1],
		func(x []float32) float64 { return float64(x[0]) },
		func(x []float64) float64 { return x[0] })
}

// halfRows reads and writes rows r0 to r1-1 of a batch of 16-bit scores.
type halfRows interface {
	scores(dst []float32, r0, r1 int)
	soft(dst []float32, r0, r1 int)
	teacher(dst []float32, r0, r1 int)
	gradient(g []float32, r0, r1 int)

	// near returns rows of scores and of the gradient's place, if it is wanted, where there
	// are no gaps; and whether they are bfloat16.
	near(r0, r1 int) (scores, grad []uint16, bfloat16 bool)
	streams() bool // whether the gradient may go past the caches
}

// A halfJob is a batch of 16-bit scores: the batch of float32 that takes its place,
// whose matrices have no data, and what these are read from.
type halfJob[T Score] struct {
	b   *Batch[T]
	out *Output[T]

	batch  Batch[float32]
	output Output[float32]

	thresholds, thresholdGrad []float32
}

// evaluate evaluates a batch that is right.
func (h *halfJob[T]) evaluate(e *engine[float32], ctx context.Context, b *Batch[T], out *Output[T]) (Result, error) {
	h.b, h.out = b, out
	defer func() {
		h.b, h.out = nil, nil
		h.batch, h.output = Batch[float32]{}, Output[float32]{}
	}()
	shape := Matrix[float32]{Rows: b.Scores.Rows, Cols: b.Scores.Cols, Stride: b.Scores.Cols}
	h.batch = Batch[float32]{
		Scores: shape, Labels: b.Labels, Mask: b.Mask,
		Thresholds: widenedInto(&h.thresholds, b.Thresholds), ThresholdColumn: b.ThresholdColumn,
		RowWeights: b.RowWeights, ClassWeights: b.ClassWeights, Smoothing: b.Smoothing,
	}
	if b.hasSoft() {
		h.batch.Soft = shape
	}
	if b.Teacher.Data != nil {
		h.batch.Teacher = shape
	}
	h.output = Output[float32]{
		Losses: out.Losses, ThresholdGrad: widenedInto(&h.thresholdGrad, out.ThresholdGrad),
		Upstream: out.Upstream, RowUpstream: out.RowUpstream, Accumulate: out.Accumulate, Total: out.Total,
	}
	if out.Grad.Data != nil {
		h.output.Grad = shape
		h.output.Grad.Data = []float32{} // wanted
	}
	r, err := e.evaluate(ctx, &h.batch, &h.output, h)
	if err == nil && out.ThresholdGrad != nil {
		narrow(out.ThresholdGrad, h.thresholdGrad)
	}
	return r, err
}

// widenedInto returns x widened in room, or nil for nil.
func widenedInto[T Score](room *[]float32, x []T) []float32 {
	if x == nil {
		return nil
	}
	if cap(*room) < len(x) || *room == nil {
		*room = make([]float32, len(x))
	}
	*room = (*room)[:len(x)]
	widen(*room, x)
	return *room
}

func (h *halfJob[T]) scores(dst []float32, r0, r1 int)  { widenRows(dst, h.b.Scores, r0, r1) }
func (h *halfJob[T]) soft(dst []float32, r0, r1 int)    { widenRows(dst, h.b.Soft, r0, r1) }
func (h *halfJob[T]) teacher(dst []float32, r0, r1 int) { widenRows(dst, h.b.Teacher, r0, r1) }

// gradient writes the gradient of rows, or adds it to what is there.
func (h *halfJob[T]) gradient(g []float32, r0, r1 int) {
	if h.out.Accumulate {
		n := h.out.Grad.Cols
		var before [256]float32
		for i := r0; i < r1; i++ {
			row, add := h.out.Grad.Row(i), g[(i-r0)*n:][:n]
			for len(row) > 0 {
				m := min(len(row), len(before))
				widen(before[:m], row[:m])
				for k, v := range before[:m] {
					add[k] += v
				}
				row, add = row[m:], add[m:]
			}
		}
	}
	narrowRows(h.out.Grad, g, r0, r1)
}

func (h *halfJob[T]) near(r0, r1 int) (scores, grad []uint16, bfloat16 bool) {
	m, g := h.b.Scores, h.out.Grad
	if m.step() != m.Cols || g.Data != nil && (g.step() != g.Cols || h.out.Accumulate) {
		return nil, nil, false
	}
	if g.Data != nil && !same(g, m) {
		grad = kernel.Cast[uint16](g.Data[r0*m.Cols : r1*m.Cols])
	}
	return kernel.Cast[uint16](m.Data[r0*m.Cols : r1*m.Cols]), grad, isBFloat16[T]()
}

func (h *halfJob[T]) streams() bool {
	g := h.out.Grad
	return len(g.Data) > 0 && !h.out.Accumulate && g.step() == g.Cols && !same(g, h.b.Scores) && fromMemory(g.Rows*g.Cols)
}
