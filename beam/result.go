package zlprbeam

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"fmt"
	"maps"
	"slices"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/metrics"
)

// A Result is what an evaluation knows of some rows, of which with those of others
// it makes what it knows of all. The zero value is of none.
type Result struct{ *state }

// A measurer is a metrics.Accumulator.
type measurer interface {
	Results() ([]metrics.Result, error)
	CountScores(microBits, classBits int) error
	Bins() (microBits, classBits int)
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// A shardRows is a shard of a result, and the rows that it has.
type shardRows struct {
	Name string
	Rows int
}

// A softmaxFault is a row that softmax does not take.
type softmaxFault struct {
	Shard      string
	First, Row int // the shard's first among all, or -1; the row, of the shard
	Positives  int
}

// reason says what is wrong with the row.
func (f *softmaxFault) reason() string {
	if f.First < 0 {
		return fmt.Sprintf("row %d of %s has %d positive labels, softmax takes one", f.Row, array.Quote(f.Shard), f.Positives)
	}
	return fmt.Sprintf("row %d has %d positive labels, softmax takes one", f.First+f.Row, f.Positives)
}

// before tells whether f is of an earlier row than o; of rows that have no place,
// by the names of their shards.
func (f *softmaxFault) before(o *softmaxFault) bool {
	if f.First >= 0 && o.First >= 0 {
		return f.First+f.Row < o.First+o.Row
	}
	return array.Natural(f.Shard, o.Shard) < 0
}

// A state is what is in a Result.
type state struct {
	shards       []shardRows
	classes      int
	double, half bool
	rows         int
	positives    int
	logits       bool // whether a score lies outside [0, 1]
	totals       map[string]*zlpr.Total
	skipped      map[string]string // why losses are left out
	softmax      *softmaxFault     // why softmax is
	measured     measurer          // or nil
	tiers        []string
	warnings     []string // of files
}

// merge adds the rows of o, which stays as it is.
func (s *state) merge(o *state, options *Options) error {
	what := ""
	switch {
	case s.classes != o.classes:
		what = fmt.Sprintf("%d and %d classes", s.classes, o.classes)
	case s.double != o.double:
		what = "float64 scores and others"
	case s.half != o.half:
		what = "float16 scores and others"
	}
	if what != "" {
		return fmt.Errorf("%s and %s cannot be shards of one whole: %s", array.Quote(s.shards[0].Name), array.Quote(o.shards[0].Name), what)
	}
	for name, total := range s.totals {
		if more := o.totals[name]; more != nil {
			total.Merge(more)
		} else {
			delete(s.totals, name)
		}
	}
	if o.softmax != nil && (s.softmax == nil || o.softmax.before(s.softmax)) {
		s.softmax = o.softmax
	}
	s.shards = append(s.shards, o.shards...)
	s.rows += o.rows
	s.positives += o.positives
	s.logits = s.logits || o.logits
	s.tiers, s.warnings = union(s.tiers, o.tiers), union(s.warnings, o.warnings)
	if s.measured == nil {
		return nil
	}
	if err := s.bin(options); err != nil { // of all rows: then those of o are, too
		return err
	}
	if s.binned() {
		if micro, class := s.measured.Bins(); micro > 0 {
			if err := o.measured.CountScores(micro, class); err != nil {
				return err
			}
		}
	}
	switch m := s.measured.(type) {
	case *metrics.Accumulator[float32]:
		return m.Merge(o.measured.(*metrics.Accumulator[float32]))
	case *metrics.Accumulator[float64]:
		return m.Merge(o.measured.(*metrics.Accumulator[float64]))
	}
	return nil
}

// union adds to a list what it lacks of another.
func union(list, more []string) []string {
	for _, v := range more {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// most is how many scores are kept for areas; beyond, they are counted in bins.
var most = 64 << 20

// binned tells whether scores are counted in bins because there are many.
func (s *state) binned() bool { return s.rows > most/s.classes }

// bin counts the scores in bins where there are many, as zlpr eval does.
func (s *state) bin(o *Options) error {
	if s.measured == nil || o.AreaBits > 0 || !s.binned() {
		return nil
	}
	if s.half { // these make areas exact
		return s.measured.CountScores(20, 19)
	}
	return s.measured.CountScores(20, 16)
}

// A message is a state on its way.
type message struct {
	Shards          []shardRows
	Classes         int
	Double, Half    bool
	Rows, Positives int
	Logits          bool
	Totals          map[string][]byte
	Skipped         map[string]string
	Softmax         *softmaxFault
	Measured        []byte
	Tiers, Warnings []string
}

// encodeResult is the coder of a Result.
func encodeResult(r Result) ([]byte, error) {
	if r.state == nil {
		return nil, nil
	}
	s := r.state
	m := message{Shards: s.shards, Classes: s.classes, Double: s.double, Half: s.half, Rows: s.rows, Positives: s.positives, Logits: s.logits,
		Skipped: s.skipped, Softmax: s.softmax, Tiers: s.tiers, Warnings: s.warnings, Totals: map[string][]byte{}}
	var err error
	for _, name := range slices.Sorted(maps.Keys(s.totals)) {
		if m.Totals[name], err = s.totals[name].MarshalBinary(); err != nil {
			return nil, err
		}
	}
	if s.measured != nil {
		if m.Measured, err = s.measured.MarshalBinary(); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	err = gob.NewEncoder(&b).Encode(&m)
	return b.Bytes(), err
}

// decodeResult is the inverse of encodeResult.
func decodeResult(data []byte) (Result, error) {
	if len(data) == 0 {
		return Result{}, nil
	}
	var m message
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&m); err != nil {
		return Result{}, err
	}
	s := &state{shards: m.Shards, classes: m.Classes, double: m.Double, half: m.Half, rows: m.Rows, positives: m.Positives, logits: m.Logits,
		skipped: m.Skipped, softmax: m.Softmax, tiers: m.Tiers, warnings: m.Warnings, totals: map[string]*zlpr.Total{}}
	for name, block := range m.Totals {
		s.totals[name] = new(zlpr.Total)
		if err := s.totals[name].UnmarshalBinary(block); err != nil {
			return Result{}, err
		}
	}
	if len(m.Measured) > 0 {
		s.measured = new(metrics.Accumulator[float32])
		if m.Double {
			s.measured = new(metrics.Accumulator[float64])
		}
		if err := s.measured.UnmarshalBinary(m.Measured); err != nil {
			return Result{}, err
		}
	}
	return Result{s}, nil
}
