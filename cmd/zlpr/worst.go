package main

import (
	"slices"

	"github.com/zlpr/zlpr/internal/partial"
)

// How much of a row is shown.
const (
	shownLabels = 20
	shownScores = 8
)

// A seenRow is what is shown of a row.
type seenRow struct {
	labels []int // the first positives
	more   int   // other positives
	top    []seenScore
}

// A seenScore is one of the highest scores of a row.
type seenScore struct {
	class    int
	score    float64
	positive bool
}

// look reads the labels and the highest scores of the worst rows.
func (e *evaluation) look(worst []worstRow) error {
	n := e.scores.classes()
	words, mask := make([]uint64, (n+63)/64), make([]uint64, (n+63)/64)
	var buffer, soft []float64
	for i := range worst {
		w := &worst[i]
		x := block(e.scores, &buffer, w.row, w.row+1)
		if e.labels != nil {
			if err := e.labels.block(w.row, w.row+1).ReadRows(words, 0, 1); err != nil {
				return e.explain(err, w.row)
			}
		}
		if e.mask != nil {
			if err := e.mask.block(w.row, w.row+1).ReadRows(mask, 0, 1); err != nil {
				return e.explain(err, w.row)
			}
		}
		w.seen = new(seenRow)
		var order []int
		is := make([]bool, n)
		for j, v := range x {
			if e.mask != nil && mask[j/64]>>(j%64)&1 == 0 || j == e.thresholdColumn-1 {
				continue
			}
			if v == v {
				order = append(order, j)
			}
			is[j] = words[j/64]>>(j%64)&1 == 1
			if e.soft != nil {
				is[j] = elements(e.soft, &soft, w.row*n+j, w.row*n+j+1)[0] > 0.5
			}
			switch {
			case is[j] && len(w.seen.labels) < shownLabels:
				w.seen.labels = append(w.seen.labels, j)
			case is[j]:
				w.seen.more++
			}
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case x[a] > x[b]:
				return -1
			case x[a] < x[b]:
				return 1
			}
			return 0
		})
		for _, j := range order[:min(len(order), shownScores)] {
			w.seen.top = append(w.seen.top, seenScore{j, x[j], is[j]})
		}
	}
	return nil
}

func encodeWorst(w *partial.Writer, worst []worstRow) {
	w.Count(len(worst))
	for _, v := range worst {
		w.Count(v.row)
		w.Float(v.loss)
		w.Bool(v.seen != nil)
		if v.seen == nil {
			continue
		}
		w.Count(len(v.seen.labels))
		for _, j := range v.seen.labels {
			w.Count(j)
		}
		w.Count(v.seen.more)
		w.Count(len(v.seen.top))
		for _, s := range v.seen.top {
			w.Count(s.class)
			w.Float(s.score)
			w.Bool(s.positive)
		}
	}
}

// decodeWorst reads what encodeWorst wrote of rows of so many classes.
func decodeWorst(r *partial.Reader, classes int) (worst []worstRow) {
	for range r.Length(10) {
		v := worstRow{row: r.Count(), loss: r.Float()}
		if r.Bool() {
			v.seen = new(seenRow)
			class := func() int {
				j := r.Count()
				r.Check(j < classes)
				return j
			}
			for range r.Length(1) {
				v.seen.labels = append(v.seen.labels, class())
			}
			v.seen.more = r.Count()
			for range r.Length(10) {
				v.seen.top = append(v.seen.top, seenScore{class(), r.Float(), r.Bool()})
			}
		}
		worst = append(worst, v)
	}
	r.Check(len(worst) <= worstRows)
	return worst
}
