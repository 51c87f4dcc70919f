package main

import (
	"slices"

	"github.com/zlpr/zlpr/metrics"
)

// A keeper holds what a comparison needs of the rows of a block.
type keeper struct {
	losses [][]float64
	out    metrics.RowOutput
	mask   []uint64
}

// loss takes loss k of the rows.
func (k *keeper) loss(i int, losses []float64) {
	for len(k.losses) <= i {
		k.losses = append(k.losses, nil)
	}
	k.losses[i] = append(k.losses[i][:0], losses...)
}

// keepRows measures a block and keeps what it finds of every row.
func (w *evalWorker[T]) keepRows(b *metrics.Batch[T], r0 int) error {
	kept, k := w.e.kept, &w.keep
	rows, words := b.Scores.Rows, (b.Scores.Cols+63)/64
	k.out.Terms = slices.Grow(k.out.Terms[:0], rows*kept.Terms())[:rows*kept.Terms()]
	if kept.ByClass() {
		k.out.Positive = slices.Grow(k.out.Positive[:0], rows*words)[:rows*words]
		k.out.Predicted = slices.Grow(k.out.Predicted[:0], rows*words)[:rows*words]
	}
	if w.metrics != nil {
		if err := w.metrics.AddRows(b, &k.out); err != nil {
			return err
		}
	} else if err := k.count(b.Mask, b.RowWeights, rows, words, kept.Terms()); err != nil {
		return err
	}
	return kept.Set(r0, rows, k.losses[:len(w.evaluators)], &k.out)
}

// count writes which rows count, where there are no metrics that say so.
func (k *keeper) count(mask interface {
	ReadRows(dst []uint64, r0, r1 int) error
}, weights []float64, rows, words, terms int) error {
	clear(k.out.Terms)
	if mask != nil {
		k.mask = slices.Grow(k.mask[:0], rows*words)[:rows*words]
		if err := mask.ReadRows(k.mask, 0, rows); err != nil {
			return err
		}
	}
	for i := range rows {
		counts := 1.0
		if weights != nil {
			counts = weights[i]
		}
		if mask != nil && !slices.ContainsFunc(k.mask[i*words:][:words], func(word uint64) bool { return word != 0 }) {
			counts = 0
		}
		k.out.Terms[i*terms+metrics.RowsTerm] = counts
	}
	return nil
}
