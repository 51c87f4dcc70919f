package metrics

import (
	"unsafe"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/kernel"
)

// halfScores are scores of 16 bits, which are widened to float32 a chunk at a time.
type halfScores interface {
	widen(dst []float32, r0, r1 int)
}

// half is halfScores, and what takes the place of a batch of them.
type half[T zlpr.Score] struct {
	scores     zlpr.Matrix[T]
	thresholds []float32
}

// isDouble reports whether scores are computed with as float64.
func isDouble[T zlpr.Score]() bool {
	var x T
	return unsafe.Sizeof(x) == 8
}

// checked is the function of that name for scores that are computed with as float32:
// for those of 16 bits the batch has no scores, but h has.
func (h *half[T]) checked(b *Batch[T], classes int, labels bool) (Batch[float32], halfScores, error) {
	if b, ok := any(b).(*Batch[float32]); ok {
		c, err := checked(b, classes, labels)
		return c, nil, err
	}
	c, err := checked(b, classes, labels)
	if err != nil {
		return Batch[float32]{}, nil, err
	}
	h.scores = c.Scores
	wide := Batch[float32]{
		Scores: zlpr.Matrix[float32]{Rows: c.Scores.Rows, Cols: c.Scores.Cols, Stride: c.Scores.Cols},
		Labels: c.Labels, Mask: c.Mask, ThresholdColumn: c.ThresholdColumn,
		RowWeights: c.RowWeights, ClassWeights: c.ClassWeights,
	}
	if c.Thresholds != nil {
		h.thresholds = append(h.thresholds[:0], make([]float32, len(c.Thresholds))...)
		widen(h.thresholds, c.Thresholds)
		wide.Thresholds = h.thresholds
	}
	return wide, h, nil
}

func (h *half[T]) widen(dst []float32, r0, r1 int) {
	n := h.scores.Cols
	for i := r0; i < r1; i++ {
		widen(dst[(i-r0)*n:][:n], h.scores.Row(i))
	}
}

// widen writes the float32 of 16-bit scores to dst.
func widen[T zlpr.Score](dst []float32, x []T) {
	kernel.Widen(dst, kernel.Cast[uint16](x), isBFloat16[T]())
}

// narrow16 writes x rounded to 16 bits to dst.
func narrow16[T zlpr.Score](dst []T, x []float32) {
	kernel.Narrow(kernel.Cast[uint16](dst), x, isBFloat16[T]())
}

func isBFloat16[T zlpr.Score]() bool {
	var x T
	_, ok := any(x).(zlpr.BFloat16)
	return ok
}
