package metrics

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/zlpr/zlpr"
)

// encoded is an Accumulator in transit.
type encoded[T zlpr.Float] struct {
	Version      int
	ScoreSize    int // bytes
	Classes      int
	Names        []string
	Threshold    float64
	Each         []float64
	K            int
	TopOnly      bool
	Listed       bool
	Sparse       bool
	Propensities []float64
	Tally        tally
	Weighed      *weighed // nil where no row has a weight
	Scores       scores[T]
}

const encodedVersion = 2

func (a *accumulator[T]) MarshalBinary() ([]byte, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.turn.Give()
	var score T
	e := encoded[T]{
		Version:      encodedVersion,
		ScoreSize:    int(unsafe.Sizeof(score)),
		Classes:      a.classes,
		Threshold:    a.options.Rule.threshold,
		Each:         a.options.Rule.each,
		K:            a.options.Rule.k,
		TopOnly:      a.options.Rule.topOnly,
		Listed:       a.options.Rule.listed,
		Sparse:       a.options.Sparse,
		Propensities: a.options.Propensities,
		Tally:        a.total.tally,
		Weighed:      a.total.weighed,
		Scores:       a.total.scores,
	}
	for _, m := range a.metrics {
		e.Names = append(e.Names, m.name)
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(e)
	return b.Bytes(), err
}

func (a *accumulator[T]) UnmarshalBinary(data []byte) error {
	if !a.turn.Take() {
		return errUsed
	}
	defer a.turn.Give()
	var e encoded[T]
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&e); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	var score T
	if e.Version != encodedVersion || e.ScoreSize != int(unsafe.Sizeof(score)) {
		return fmt.Errorf("metrics: version %d with scores of %d bytes, not version %d with scores of %d", e.Version, e.ScoreSize, encodedVersion, unsafe.Sizeof(score))
	}
	if err := e.check(); err != nil {
		return err
	}
	rule := Rule{threshold: e.Threshold, each: e.Each, k: e.K, topOnly: e.TopOnly, listed: e.Listed}
	s, err := newState[T](e.Classes, e.Names, Options{Rule: rule, Sparse: e.Sparse, Propensities: e.Propensities})
	if err != nil {
		return err
	}
	if len(e.Tally.Sums) != s.kinds.slots {
		return errSums
	}
	if e.Weighed != nil {
		w := s.newWeighed()
		w.Rows = e.Weighed.Rows
		if !w.Sums.restore(&e.Weighed.Sums) || !w.ByClass.restore(&e.Weighed.ByClass) {
			return errSums
		}
		s.total.weighed = w
	}
	s.total.tally, s.total.scores = e.Tally, e.Scores
	a.state, a.split, a.counters = s, nil, nil
	return nil
}

// restore takes over sums that were encoded, and reports whether they fit.
func (s *sums) restore(from *sums) bool {
	const most = 64 // far more words than the range of float64 needs
	if from.Words < 0 || from.Words > most || from.Low < -most || from.Low > most || len(from.Word) != s.n*from.Words {
		return false
	}
	s.Low, s.Words, s.Word = from.Low, from.Words, from.Word
	return true
}

// check reports whether the sums are those of the metrics and classes.
func (e *encoded[T]) check() error {
	var n needs
	for _, name := range e.Names {
		m, err := parse(name)
		if err != nil {
			return err
		}
		n.include(m)
	}
	byClass, lists := 0, 0
	if n.byClass {
		byClass = e.Classes
	}
	switch {
	case n.keepByClass:
		lists = e.Classes
	case n.keep:
		lists = 1
	}
	for _, counts := range e.Tally.ByClass {
		if len(counts) != byClass {
			return errSums
		}
	}
	if len(e.Scores.Lists) != lists {
		return errSums
	}
	for _, l := range e.Scores.Lists {
		for _, scores := range [][]T{l.Pos, l.Neg} {
			for _, s := range scores {
				if s != s {
					return errScoreNaN
				}
			}
		}
		for _, s := range l.Weighed {
			if s.Score != s.Score {
				return errScoreNaN
			}
			if w := math.Abs(s.Weight); !(w > 0 && w <= math.MaxFloat64) {
				return errSums
			}
		}
	}
	return nil
}

var (
	errSums     = errors.New("metrics: sums do not fit the metrics")
	errScoreNaN = errors.New("metrics: a score is NaN")
)
