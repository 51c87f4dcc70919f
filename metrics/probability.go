package metrics

import (
	"errors"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A Link says how scores become probabilities. Those of the subset softmax are
// in zlpr.InclusionProbabilities and zlpr.PaddedInclusionProbabilities.
type Link uint8

const (
	// Softmax is e^s / Σ e^s over the classes of the row that take part: the
	// probabilities of softmax cross-entropy.
	Softmax Link = iota

	// Sigmoid is 1/(1+e^-s), each class by itself: the probabilities of binary
	// cross-entropy, and of ZLPR trained on hard labels with few positives a
	// row; it is exact for one class.
	Sigmoid

	// DoubleSigmoid is 1/(1+e^-2s): the optimum of ZLPR trained on soft
	// labels, and what ZLPR trained on hard labels tends to when a row has
	// many positives. Where the truth is 0.2, the optimum of hard labels reads
	// 0.059 here with one class, 0.119 with 10 and 0.197 with 200.
	DoubleSigmoid
)

// Probabilities writes the probabilities that the scores of b imply to dst,
// which may be the scores themselves. Labels are not looked at. With learned
// thresholds s0 the sigmoids are those of s - s0. An element that is left out
// has probability 0. A NaN score gives NaN, with Softmax for its whole row.
//
// The results are the same bits on all machines. The error of the sigmoids is
// below 3 ULP of T, the difference s - s0 being rounded to float64 before; that
// of Softmax is the one of zlpr.Softmax.
func Probabilities[T zlpr.Score](dst zlpr.Matrix[T], b *Batch[T], link Link, workers int) error {
	if b == nil {
		return errNoBatch
	}
	from, err := checked(b, b.Scores.Cols, false)
	if err != nil {
		return err
	}
	to, err := checked(&Batch[T]{Scores: dst}, from.Scores.Cols, false)
	if err != nil || dst.Rows != from.Scores.Rows {
		return errors.New("metrics: the probabilities have not the shape of the scores")
	}
	if link > DoubleSigmoid {
		return errors.New("metrics: unknown link")
	}
	if isDouble[T]() {
		to := any(&to.Scores).(*zlpr.Matrix[float64])
		return probabilities(any(&from).(*Batch[float64]), nil, link, workers, to.Row, nil)
	}
	var h half[T]
	c, half, err := h.checked(&from, from.Scores.Cols, false)
	if err != nil {
		return err
	}
	if half == nil {
		to := any(&to.Scores).(*zlpr.Matrix[float32])
		return probabilities(&c, nil, link, workers, to.Row, nil)
	}
	return probabilities(&c, half, link, workers, nil, func(r int, p []float32) { narrow16(to.Scores.Row(r), p) })
}

// probabilities writes the probabilities of a batch that is right to the rows of dst,
// or gives every row to take, if there is one.
func probabilities[T zlpr.Float](from *Batch[T], half halfScores, link Link, workers int, dst func(r int) []T, take func(r int, p []T)) error {
	s := from.Scores
	n := usedRows(s)
	size := chunkRows(s.Cols, n)
	workers = workersFor(workers, n, size)
	chunks, rooms, rows := make([]*chunk[T], workers), make([][]T, workers), make([][]T, workers)
	for i := range chunks {
		chunks[i] = newChunk[T](s.Cols, Rule{}, false, size)
		chunks[i].batch, chunks[i].half = from, half
		rooms[i], rows[i] = make([]T, s.Cols), make([]T, s.Cols)
	}
	return newSplit(func(worker, r0, r1 int) error {
		c := chunks[worker]
		if err := c.readBits(r0, r1); err != nil {
			return err
		}
		for r := range c.rows {
			x, to := c.scores(r), rows[worker]
			if take == nil {
				to = dst(r0 + r)
			}
			s0 := c.rowThreshold(r)
			part := c.row(c.part, r)
			if link == Softmax {
				softmaxOf(to, x, rooms[worker], part)
			} else {
				sigmoids(to, x, s0, link, part)
			}
			if take != nil {
				take(r0+r, to)
			}
		}
		return nil
	}).run(n, size, workers)
}

// softmaxOf is the softmax over the classes that take part.
func softmaxOf[T zlpr.Float](dst, x, kept []T, part []uint64) {
	kept = kept[:0]
	for j, s := range x {
		if takes(part, j) {
			kept = append(kept, s)
		}
	}
	zlpr.Softmax(kept, kept)
	i := 0
	for j := range dst {
		dst[j] = 0
		if takes(part, j) {
			dst[j] = kept[i]
			i++
		}
	}
}

// sigmoids is 1/(1+e^-z), z = s - s0 or twice that.
func sigmoids[T zlpr.Float](dst, x []T, s0 T, link Link, part []uint64) {
	for j, s := range x {
		dst[j] = 0
		if takes(part, j) {
			z := float64(s) - float64(s0)
			if link == DoubleSigmoid {
				z *= 2
			}
			dst[j] = T(scalar.Sigmoid(z))
		}
	}
}

// takes reports whether class j takes part.
func takes(part []uint64, j int) bool { return part[j/64]>>(j%64)&1 != 0 }
