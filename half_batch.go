package zlpr

import (
	"context"
)

// halfRows reads and writes rows r0 to r1-1 of a batch of 16-bit scores.
type halfRows interface {
	scores(dst []float32, r0, r1 int)
	soft(dst []float32, r0, r1 int)
	gradient(g []float32, r0, r1 int)
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

func (h *halfJob[T]) scores(dst []float32, r0, r1 int) { widenRows(dst, h.b.Scores, r0, r1) }
func (h *halfJob[T]) soft(dst []float32, r0, r1 int)   { widenRows(dst, h.b.Soft, r0, r1) }

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
