package metrics

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
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
	Propensities []float64
	Tally        tally
	Scores       scores[T]
}

const encodedVersion = 1

// MarshalBinary returns the metrics, options and sums of a, so that another
// process can merge them. The number of workers is not part of it.
func (a *Accumulator[T]) MarshalBinary() ([]byte, error) {
	var score T
	e := encoded[T]{
		Version:      encodedVersion,
		ScoreSize:    int(unsafe.Sizeof(score)),
		Classes:      a.classes,
		Threshold:    a.options.Rule.threshold,
		Each:         a.options.Rule.each,
		K:            a.options.Rule.k,
		TopOnly:      a.options.Rule.topOnly,
		Propensities: a.options.Propensities,
		Tally:        a.total.tally,
		Scores:       a.total.scores,
	}
	for _, m := range a.metrics {
		e.Names = append(e.Names, m.name)
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(e)
	return b.Bytes(), err
}

// UnmarshalBinary makes a the Accumulator that was marshalled, of the same
// type of scores. What a was before is lost, even after an error.
func (a *Accumulator[T]) UnmarshalBinary(data []byte) error {
	var e encoded[T]
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&e); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	var score T
	if e.Version != encodedVersion || e.ScoreSize != int(unsafe.Sizeof(score)) {
		return fmt.Errorf("metrics: version %d with scores of %d bytes", e.Version, e.ScoreSize)
	}
	if err := e.check(); err != nil {
		return err
	}
	rule := Rule{threshold: e.Threshold, each: e.Each, k: e.K, topOnly: e.TopOnly}
	b, err := NewAccumulator[T](e.Classes, e.Names, Options{Rule: rule, Propensities: e.Propensities})
	if err != nil {
		return err
	}
	if len(e.Tally.Sums) != b.kinds.slots {
		return errSums
	}
	b.total = part[T]{e.Tally, e.Scores}
	*a = *b
	return nil
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
					return errors.New("metrics: a score is NaN")
				}
			}
		}
	}
	return nil
}

var errSums = errors.New("metrics: sums do not fit the metrics")
