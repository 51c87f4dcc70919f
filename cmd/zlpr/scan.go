package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/exact"
	"github.com/zlpr/zlpr/internal/named"
)

// A scan is what must be known of the labels before the scores are read.
type scan struct {
	rows      int
	positives []int        // of every class
	most      int          // positives of a row
	fault     softmaxFault // of the first row that softmax does not take
	total     zlpr.Total   // the weights of the rows that count
	elements  exact.Sum    // and these times the classes that take part
}

// A softmaxFault is a row that has not one positive label.
type softmaxFault struct{ row, positives int }

// skip notes it as the reason why losses of one target are left out.
func (f softmaxFault) skip(skipped map[string]string) {
	for _, name := range lossNames {
		if named.OneTarget(name) {
			skipped[name] = f.reason()
		}
	}
}

func (f softmaxFault) reason() string {
	return fmt.Sprintf("row %d has %d positive labels, softmax takes one", f.row, f.positives)
}

// scan reads all labels. What depends on which rows count it asks the library,
// by scores of 0: the rows that count for the loss of that name if counts, and
// whether softmax takes the labels if targets.
func (e *evaluation) scan(ctx context.Context, counts, targets bool, name string) (*scan, error) {
	rows, n := e.scores.rows(), e.scores.classes()
	s := &scan{rows: rows, positives: make([]int, n), fault: softmaxFault{positives: 1}}
	size, width := blockRows(rows, n), (n+63)/64
	words, mask, zeros := make([]uint64, size*width), make([]uint64, size*width), make([]float32, size*n)
	options := zlpr.Options{Workers: e.workers}
	softmax, _ := zlpr.NewEvaluator[float32](zlpr.SoftmaxCrossEntropy{}, options)
	counter := softmax
	switch { // all losses but softmax count the same rows
	case e.labels == nil:
		counter, _ = zlpr.NewEvaluator[float32](zlpr.SoftZLPR{}, options)
	case !named.OneTarget(name) || e.teacher != nil:
		counter, _ = zlpr.NewEvaluator[float32](zlpr.ZLPR{}, options)
	}
	targets = targets && e.labels != nil && e.teacher == nil
	for r0 := 0; r0 < rows; r0 += size {
		r1 := min(r0+size, rows)
		b := zlpr.Batch[float32]{Scores: matrix(zeros[:(r1-r0)*n], n), ClassWeights: e.classWeights}
		if e.labels == nil {
			b.Soft = b.Scores
		} else {
			labels, err := e.readLabels(words[:(r1-r0)*width], r0, r1)
			if err != nil {
				return nil, err
			}
			b.Labels = labels
			s.count(words[:(r1-r0)*width], width)
		}
		if e.mask != nil {
			// Here, and not by the evaluator's workers, a file that became
			// shorter is an error.
			if err := (maskBits{e.mask.block(r0, r1)}).ReadRows(mask, 0, r1-r0); err != nil {
				return nil, e.explain(err, r0)
			}
			b.Mask = &zlpr.BitLabels{Rows: r1 - r0, Cols: n, Words: mask, Stride: width}
		}
		if targets {
			_, err := softmax.Evaluate(ctx, &b, nil)
			var fault *zlpr.DataError
			switch {
			case errors.As(err, &fault) && (fault.Kind == zlpr.LabelMissing || fault.Kind == zlpr.LabelsTooMany):
				k := 0
				for _, word := range words[fault.Row*width:][:width] {
					k += bits.OnesCount64(word)
				}
				s.fault = softmaxFault{r0 + fault.Row, k}
				targets = false
			case err != nil:
				return nil, e.explain(err, r0)
			}
		}
		if counts {
			if e.rowWeights != nil {
				b.RowWeights = e.rowWeights[r0:r1]
			}
			if !named.OneTarget(name) {
				b.ThresholdColumn = e.thresholdColumn
			}
			if _, err := counter.Evaluate(ctx, &b, &zlpr.Output[float32]{Total: &s.total}); err != nil {
				return nil, e.explain(err, r0)
			}
			labels := b.Labels
			if e.teacher != nil {
				labels = nil // they leave no row out
			}
			if err := e.addElements(&s.elements, labels, r0, r1); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// count counts the positives of rows of that many words.
func (s *scan) count(words []uint64, width int) {
	for ; len(words) > 0; words = words[width:] {
		k := 0
		for w, word := range words[:width] {
			k += bits.OnesCount64(word)
			for ; word != 0; word &= word - 1 {
				s.positives[64*w+bits.TrailingZeros64(word)]++
			}
		}
		s.most = max(s.most, k)
	}
}

// readLabels reads the labels of rows r0 to r1-1 as bits to words, and returns
// them: class numbers as they are, which may leave rows out.
func (e *evaluation) readLabels(words []uint64, r0, r1 int) (zlpr.Bits, error) {
	labels := e.labels.block(r0, r1)
	if err := labels.ReadRows(words, 0, r1-r0); err != nil {
		return nil, e.explain(err, r0)
	}
	if _, ok := labels.(*zlpr.TargetLabels); ok {
		return labels, nil
	}
	n := e.scores.classes()
	return &zlpr.BitLabels{Rows: r1 - r0, Cols: n, Words: words, Stride: (n + 63) / 64}, nil
}

// meanFactor returns the factor that makes a gradient of the sum that of the
// mean over the rows, or over the elements that take part.
func (e *evaluation) meanFactor(loss string, s *scan) (float64, error) {
	r, err := s.total.Result(zlpr.Sum)
	if err != nil {
		return 0, err
	}
	weight := r.Weight
	if e.elements && weight > 0 {
		weight = s.elements.Float64()
	}
	if !(weight > 0) {
		return 0, e.noRows(loss)
	}
	factor := 1 / weight
	if factor == 0 || math.IsInf(factor, 1) {
		return 0, fmt.Errorf("%s: the weights add up to %g, by which a mean's gradient cannot be divided; scale the weights",
			quoted(e.files["row-weights"]), weight)
	}
	return factor, nil
}

// explain is explain for rows of the evaluation's files, from row first on.
func (e *evaluation) explain(err error, first int) error {
	return explainBy(e.remedies, err, func(what string, row, class int) (file, place string) { return e.where(what, row+first, class) })
}

// place says where a row and a class of scores are, or a row alone with class
// -1: with the leading axes where there are some.
func (s *scoreSource) place(row, class int) string {
	text := fmt.Sprintf("row %d", row)
	axes := s.shape[:len(s.shape)-1]
	if len(axes) > 1 {
		index, left := make([]int, len(axes)), row
		for i := len(axes) - 1; i >= 0; i-- {
			index[i], left = left%axes[i], left/axes[i]
		}
		switch {
		case s.dense != nil && len(s.dense.Shape) > len(s.shape): // spans
			text += fmt.Sprintf(" (batch %d, head %d)", index[0], index[1])
			if class >= 0 {
				length := s.dense.Shape[len(s.dense.Shape)-1]
				return text + fmt.Sprintf(", column %d (start %d, end %d)", class, class/length, class%length)
			}
		case len(axes) == 2:
			text += fmt.Sprintf(" (batch %d, position %d)", index[0], index[1])
		default:
			text += " (index"
			for i, k := range index {
				text += fmt.Sprintf("%s%d", []string{" ", ","}[min(i, 1)], k)
			}
			text += ")"
		}
	}
	if class >= 0 {
		text += fmt.Sprintf(", column %d", class)
	}
	return text
}
