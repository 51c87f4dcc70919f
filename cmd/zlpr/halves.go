package main

import (
	"context"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/kernel"
)

// A halfLosses evaluates losses of 16-bit scores as they lie in the file. The kernels
// widen what they read; a pass that does it before them waits for the memory while
// nothing is computed.
type halfLosses interface {
	// evaluate is that of the loss of number k, on the scores whose bits are x, with all
	// else that b and out have.
	evaluate(k int, x []uint16, b *zlpr.Batch[float32], out *zlpr.Output[float32]) error
}

// evaluatorsOf are a halfLosses.
type evaluatorsOf[T zlpr.BFloat16 | zlpr.Float16] []*zlpr.Evaluator[T]

func (v evaluatorsOf[T]) evaluate(k int, x []uint16, b *zlpr.Batch[float32], out *zlpr.Output[float32]) error {
	n := b.Scores.Cols
	of := zlpr.Batch[T]{
		Scores: zlpr.Matrix[T]{Rows: b.Scores.Rows, Cols: n, Data: kernel.Cast[T](x), Stride: n}, Labels: b.Labels, Mask: b.Mask,
		RowWeights: b.RowWeights, ClassWeights: b.ClassWeights, Smoothing: b.Smoothing, ThresholdColumn: b.ThresholdColumn,
	}
	_, err := v[k].Evaluate(context.Background(), &of, &zlpr.Output[T]{Losses: out.Losses, Total: out.Total})
	return err
}

// newHalfLosses returns that of an evaluation of 16-bit scores that wants nothing but
// losses, which are those of float32; else nil.
func newHalfLosses(e *evaluation, options zlpr.Options) (halfLosses, error) {
	others := e.scores.csr != nil || e.teacher != nil || e.soft != nil || e.grad != nil || e.predictions != nil ||
		len(e.metrics) > 0 || e.byClass || e.pictures || e.kept != nil || e.values != nil
	switch {
	case others:
		return nil, nil
	case e.scores.dtype == array.BFloat16:
		return newEvaluators[zlpr.BFloat16](e, options)
	case e.scores.dtype == array.Float16:
		return newEvaluators[zlpr.Float16](e, options)
	}
	return nil, nil
}

func newEvaluators[T zlpr.BFloat16 | zlpr.Float16](e *evaluation, options zlpr.Options) (v evaluatorsOf[T], err error) {
	for _, l := range e.losses {
		one, err := zlpr.NewEvaluator[T](l.loss, options)
		if err != nil {
			return nil, err
		}
		v = append(v, one)
	}
	return v, nil
}

// halves returns the bits of the scores of rows r0 to r1-1, where the losses are
// evaluated on them; else nil.
func (w *evalWorker[T]) halves(r0, r1 int) []uint16 {
	if w.half == nil {
		return nil
	}
	n := w.e.scores.classes()
	x, ok := array.Halves(w.e.scores.dense, r0*n, r1*n)
	if !ok {
		return nil
	}
	ahead(w.e.scores.dense, r0*n, r1*n)
	reach(x)
	return x
}
