package zlpr

import (
	"math"
	"unsafe"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
)

// This file hands out the places of losses and gradients, brings them to where they
// belong, and sums the losses up.

// bufferLen is the length of the longest row whose gradient is kept in a buffer.
const bufferLen = 1 << 15

// prepareGradient sets the places and factors of the gradients.
func (w *lossWorker[T]) prepareGradient() {
	j, c := &w.e.job, &w.chunk
	out := j.out
	column := j.b.ThresholdColumn > 0 && out.Grad.Data != nil
	c.Grad, c.ThresholdGrad, c.GradBehind = nil, nil, 0
	c.Stream = j.stream
	c.Buffered = j.stream && w.e.traits.sideCopies && c.N <= bufferLen
	if out.ThresholdGrad != nil || column {
		w.thresholdGrad = kernel.Resize(w.thresholdGrad, chunk.Room(c.Rows))
		c.ThresholdGrad = w.thresholdGrad
	}
	switch {
	case out.Grad.Data == nil || c.N == 0:
	case out.Accumulate || c.Buffered || j.half != nil:
		c.Grad, c.GradStride = w.buffer(), c.N
	default:
		c.Grad, c.GradStride = out.Grad.Data[c.First*out.Grad.Stride:], out.Grad.Stride
		if len(j.active) == 1 { // which takes the chunks in their order
			c.GradBehind = (j.b.Scores.Rows - c.First - c.Rows) * c.GradStride
		}
	}
	if c.Grad == nil && c.ThresholdGrad == nil {
		w.lifted = w.lifted[:0]
		return
	}
	w.scales()
	w.halfGradient()
}

// halfGradient sets the place of the rounded gradient of a loss that brings it there.
func (w *lossWorker[T]) halfGradient() {
	c := &w.chunk
	h := &c.Half
	switch {
	case c.Grad == nil || len(w.lifted) > 0:
		h.Grad = nil
	case h.Grad != nil && w.e.job.halfStream:
		b := &w.halfGrad[w.turn]
		*b = kernel.ResizeAligned(*b, (len(h.Grad)+1)/2)
		h.Grad = unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(*b))), len(h.Grad))
	}
}

// scales sets the factors of the rows' gradients.
func (w *lossWorker[T]) scales() {
	j, c := &w.e.job, &w.chunk
	w.lifted = w.lifted[:0]
	if j.b.RowWeights == nil && j.out.RowUpstream == nil && w.within(j.factor).Exp == 0 {
		c.Scale, c.OneScale = w.uniform.fill(c.Scale, j.factor.Value, c.Rows), true
		return
	}
	c.OneScale = false
	c.Scale = kernel.Resize(c.Scale, chunk.Room(c.Rows))
	w.uniform.spoil()
	for i := range c.Rows {
		weight, upstream := 1.0, 1.0
		if j.b.RowWeights != nil && w.weight[i] != 0 { // a row of weight 0 does not count, and any scale fits
			weight = w.weight[i]
		}
		if j.out.RowUpstream != nil {
			upstream = j.out.RowUpstream[c.First+i]
		}
		scale := w.within(j.factor.Times(weight, upstream))
		c.Scale[i] = scale.Value
		if scale.Exp != 0 {
			if len(w.lifted) == 0 {
				w.lifted = kernel.Resize(w.lifted, c.Rows)
				clear(w.lifted)
			}
			w.lifted[i] = scale.Exp
		}
	}
	for i := c.Rows; i < len(c.Scale); i++ {
		c.Scale[i] = 1
	}
}

// within returns f with a value whose products are numbers of the type of gradients.
// Of soft labels a gradient is the difference of two, which both may lie beyond.
func (w *lossWorker[T]) within(f power.Factor) power.Factor {
	most := 900 // soft labels may add up to some 2^30
	if kernel.IsFloat32[T]() {
		most = 90
	}
	if !w.e.traits.soft && w.e.job.b.Smoothing == 0 || f.Exp <= 0 && math.Abs(f.Value) < math.Ldexp(1, most) {
		return f
	}
	_, e := math.Frexp(f.Value)
	return power.Factor{Value: math.Ldexp(f.Value, most-e), Exp: f.Exp + e - most}
}

// lower multiplies the gradients by the powers of two that their scales were
// without.
func (w *lossWorker[T]) lower() {
	c := &w.chunk
	for i, exp := range w.lifted {
		if exp == 0 {
			continue
		}
		if c.ThresholdGrad != nil {
			c.ThresholdGrad[i] = math.Ldexp(c.ThresholdGrad[i], exp)
		}
		if c.Grad != nil {
			row := c.GradRow(i)
			for k, g := range row {
				row[k] = T(math.Ldexp(float64(g), exp))
			}
		}
	}
}

// buffer returns a place for the gradients of a chunk; that of the last chunk
// stays as it is.
func (w *lossWorker[T]) buffer() []T {
	w.turn ^= 1
	b := &w.grad[w.turn]
	*b = kernel.ResizeAligned(*b, w.chunk.Rows*w.chunk.N)
	return *b
}

// A filled remembers that all elements of a slice, to its capacity, are one
// value.
type filled struct {
	value float64
	valid bool
}

// fill returns x with room for n rows and all elements that value.
func (f *filled) fill(x []float64, value float64, n int) []float64 {
	room := chunk.Room(n)
	if cap(x) < room || !f.valid || f.value != value {
		x = kernel.Resize(x, max(room, cap(x)))
		for i := range x {
			x[i] = value
		}
		*f = filled{value, true}
	}
	return x[:room]
}

// spoil tells that the elements are being written.
func (f *filled) spoil() { f.valid = false }

// writeGradient brings the gradients to their places.
func (w *lossWorker[T]) writeGradient() {
	j, c := &w.e.job, &w.chunk
	out := j.out
	w.lower()
	if out.ThresholdGrad != nil {
		for i, g := range c.ThresholdGrad[:c.Rows] {
			if p := &out.ThresholdGrad[c.First+i]; out.Accumulate {
				*p += T(g)
			} else {
				*p = T(g)
			}
		}
	}
	if c.Grad == nil {
		return
	}
	if column := j.b.ThresholdColumn - 1; column >= 0 {
		for i, g := range c.ThresholdGrad[:c.Rows] {
			c.Grad[i*c.GradStride+column] = T(g)
		}
	}
	if c.Buffered {
		w.pending.Finish()
		from := c.First * c.N
		w.pending = kernel.NewCopy(out.Grad.Data[from:][:c.Rows*c.N], c.Grad)
	}
	if j.half != nil {
		w.writeHalf()
		return
	}
	if out.Accumulate {
		kernel.Accumulate(out.Grad.Data[c.First*out.Grad.Stride:], out.Grad.Stride, c.Grad, c.N, c.Rows, c.N)
	}
}

// writeHalf is writeGradient of 16-bit gradients.
func (w *lossWorker[T]) writeHalf() {
	j, c := &w.e.job, &w.chunk
	if !c.Half.Done {
		j.half.gradient(kernel.As32(c.Grad[:c.Rows*c.N]), c.First, c.First+c.Rows)
	} else if j.halfStream {
		w.pending.Finish()
		_, place, _ := j.half.near(c.First, c.First+c.Rows)
		w.pending = kernel.NewCopy16[T](place, c.Half.Grad)
	}
}

// A lossTotal sums up rows, in any order.
type lossTotal struct {
	Total
	positives int // the most of a row
}

func (t *lossTotal) merge(u *lossTotal) {
	t.Merge(&u.Total)
	t.positives = max(t.positives, u.positives)
}

// prepareLoss sets the place of the losses: that in the output where it has the
// room that kernels take.
func (w *lossWorker[T]) prepareLoss() {
	c, out := &w.chunk, w.e.job.out.Losses
	w.inPlace = out != nil && c.Rows%8 == 0
	if w.inPlace {
		c.Loss = out[c.First:][:c.Rows]
		return
	}
	w.loss = kernel.Resize(w.loss, chunk.Room(c.Rows))
	c.Loss = w.loss
}

// sumUp adds the rows' losses to the totals.
func (w *lossWorker[T]) sumUp() {
	j, c, t := &w.e.job, &w.chunk, &w.total
	rows, loss, live := c.Rows, c.Loss[:c.Rows], c.Live
	if !c.AllLive {
		rows = 0
		for i, live := range c.Live {
			if live {
				rows++
			} else {
				c.Loss[i] = 0
			}
		}
	}
	if j.b.RowWeights != nil {
		for i, live := range c.Live {
			if live {
				t.sum.AddProduct(w.weight[i], c.Loss[i])
				t.weight.Add(w.weight[i])
				c.Loss[i] *= w.weight[i]
			}
		}
	} else {
		t.weight.Add(float64(rows))
		if c.AllLive {
			done := t.addParts(loss)
			loss, live = loss[done:], live[done:]
		}
		t.sum.AddSlice(loss)
	}
	t.rows += rows
	t.extremes(loss, live)
	if j.out.Losses != nil && !w.inPlace {
		copy(j.out.Losses[c.First:], c.Loss[:c.Rows])
	}
}

// addParts adds losses of live rows as far as a kernel can, and returns their
// number.
func (t *lossTotal) addParts(loss []float64) (done int) {
	var p kernel.LossParts
	for len(loss)-done >= 8 {
		n := min(len(loss)-done, kernel.MostParts) &^ 7
		kernel.AddParts(&p, loss[done:][:n])
		if !p.Right() {
			break
		}
		for _, v := range p.Sum {
			t.sum.Add(v)
		}
		t.span(p.Min, p.Max)
		done += n
	}
	return done
}
