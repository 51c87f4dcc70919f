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
	if e.Classes < 0 {
		return fmt.Errorf("metrics: %d classes", e.Classes)
	}
	rule := Rule{threshold: e.Threshold, each: e.Each, k: e.K, topOnly: e.TopOnly}
	b, err := NewAccumulator[T](e.Classes, e.Names, Options{Rule: rule, Propensities: e.Propensities})
	if err != nil {
		return err
	}
	// The shapes are those of the empty sums.
	empty := b.total
	for i := range e.Tally.ByClass {
		if len(e.Tally.ByClass[i]) != len(empty.tally.ByClass[i]) {
			return errSums
		}
	}
	if len(e.Tally.Sums) != len(empty.tally.Sums) || len(e.Scores.Lists) != len(empty.scores.Lists) {
		return errSums
	}
	b.total = part[T]{e.Tally, e.Scores}
	*a = *b
	return nil
}

var errSums = errors.New("metrics: sums do not fit the metrics")
