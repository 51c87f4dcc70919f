package metrics

import (
	"unsafe"

	"github.com/zlpr/zlpr"
)

// Options are the settings of an Accumulator.
type Options struct {
	// Rule says which classes are predicted. The zero Rule predicts those with
	// a score above 0.
	Rule Rule

	// Sparse says that the scores come from a sparse matrix, where a class that
	// the matrix does not list has score -Inf: it is no candidate in one_error, in
	// the metrics at K and in predictions, as by Rule.Listed. A row may then have
	// fewer candidates than K; precision_at_K is over K all the same. In the
	// ranking metrics and in the areas -Inf is a score like others either way.
	Sparse bool

	// Propensities has the propensity of every class, in [2^-32, 1], for the
	// metrics psp_at_K and psndcg_at_K; see Propensities.
	Propensities []float64

	// ZeroDivision is what precision, recall, F-scores and Jaccard indices are
	// where their denominator is 0.
	ZeroDivision ZeroDivision

	// ByClass keeps what Classes needs: counts, and all scores.
	ByClass bool

	// MicroBits and ClassBits, both in [8, 22], have scores counted in bins, and not
	// kept, where an area or ByClass needs them: by so many leading bits of the
	// score, in the order of scores, for all classes together and for every class.
	// Memory is then constant. Areas get bounds; they are exact where no score has
	// a bit that is set beyond these, as those of 16 bits by MicroBits and ClassBits
	// of 19 (which Accumulators of such scores raise them to) or, for BFloat16, 16.
	// 0: scores are kept.
	MicroBits, ClassBits int

	// Workers is the number of goroutines; 0: as many as GOMAXPROCS. Results
	// do not depend on it. After a batch they stay awake for up to 50 µs, in case
	// another follows.
	Workers int
}

// An Accumulator computes metrics of batches of rows. Everything is kept as
// integers and sums in fixed point: the results do not depend, in any bit, on
// the order of the rows, nor on how they are cut into batches and shared
// between workers and Accumulators.
//
// Memory is constant, except for the metrics of which NeedsScores reports
// true, and with Options.ByClass: for these every score that takes part is kept.
//
// It is for one goroutine at a time; Add works in parallel itself. A second one
// that comes meanwhile gets an error, in Rows a panic, and changes nothing.
type Accumulator[T zlpr.Score] struct {
	// That of the type that is computed in, and what 16-bit scores need.
	single accumulator[float32]
	double accumulator[float64]
	half   half[T]
}

// A Result is the value of a metric.
type Result struct {
	Name string
	// Value is NaN where there is nothing to take the metric of: an area under
	// the ROC curve without positives or without negatives, a macro average of
	// areas over no class, one_error and the propensity-scored metrics without
	// a positive. Of an area of scores in bins it is that of equal scores within
	// each bin.
	Value float64
	// Bounds are Value twice, or those of an area of scores in bins: what the
	// Value would be of scores that are kept lies between.
	Bounds Bounds
}

// NewAccumulator returns an Accumulator for scores of that number of classes
// and the metrics of these names.
//
// The error names the first metric that is none, propensities that are missing
// or out of range, or a Rule that does not fit.
func NewAccumulator[T zlpr.Score](classes int, names []string, options Options) (*Accumulator[T], error) {
	a := new(Accumulator[T])
	var err error
	options.raiseBits(unsafe.Sizeof(*new(T)))
	if isDouble[T]() {
		a.double.state, err = newState[float64](classes, names, options)
	} else {
		a.single.state, err = newState[float32](classes, names, options)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Add takes in the rows of b. The error is a *zlpr.DataError where an element
// is at fault: a NaN score that takes part, a label that is no label, a row
// weight that is negative or not finite. After an error the Accumulator is as it
// was before. So it is after a panic of the labels' or the mask's ReadRows, which
// is raised here, whichever goroutine it came from.
//
// Once batches of that size were added, Add allocates nothing, except for
// metrics that keep scores.
func (a *Accumulator[T]) Add(b *Batch[T]) error { return a.AddRows(b, nil) }

// Merge adds the rows that o has seen, which stays as it is. Both have the same
// number of classes, the same metrics in the same order, and the same options but
// for Workers; otherwise the error says what differs.
func (a *Accumulator[T]) Merge(o *Accumulator[T]) error {
	switch {
	case a == nil || o == nil:
		return errMade
	case isDouble[T]():
		return a.double.merge(&o.double)
	}
	return a.single.merge(&o.single)
}

// Fork returns an Accumulator without rows, of the same classes, metrics and options, for another
// goroutine: what it takes in is to be merged into a. Both count scores in the same bins, so that
// they need the memory of one and little is left to merge.
//
// From then on both take rows, at the same time, and nothing else but a.Merge of the other, once,
// and Rows; all else is an error. When all that were forked are merged, a is as if it had taken
// all rows, and works in as many goroutines as all together, at most GOMAXPROCS or its own.
func (a *Accumulator[T]) Fork() (*Accumulator[T], error) {
	if a == nil {
		return nil, errMade
	}
	o := new(Accumulator[T])
	var err error
	if isDouble[T]() {
		err = a.double.forkTo(&o.double)
	} else {
		err = a.single.forkTo(&o.single)
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// accumulation is what does not depend on the type of scores.
type accumulation interface {
	Rows() int
	CountScores(microBits, classBits int) error
	Bins() (microBits, classBits int)
	Results() ([]Result, error)
	Classes() ([]ClassResult, error)
	BestThreshold() (threshold, f1 float64, err error)
	ScoreBins() ([]ScoreBin, error)
	MarshalBinary() ([]byte, error)
	UnmarshalBinary(data []byte) error
}

func (a *Accumulator[T]) of() accumulation {
	if isDouble[T]() {
		return &a.double
	}
	return &a.single
}

// CountScores counts in bins the scores that were kept, as if Options.MicroBits and
// ClassBits had been these from the beginning. It is an error where scores are in bins
// of other bits; where none are needed it does nothing.
func (a *Accumulator[T]) CountScores(microBits, classBits int) error {
	if a == nil {
		return errMade
	}
	return a.of().CountScores(microBits, classBits)
}

// Bins returns the bits of the bins in which scores are counted, 0 where they are
// kept or not needed.
func (a *Accumulator[T]) Bins() (microBits, classBits int) { return a.of().Bins() }

// Rows returns the number of rows that count: those of which something takes
// part and whose weight is above 0. It panics while another goroutine uses the
// Accumulator.
func (a *Accumulator[T]) Rows() int { return a.of().Rows() }

// Results returns the values of the metrics, in the order in which
// NewAccumulator had their names. It is ErrNoRows if no row counts. More
// batches may be added afterwards.
func (a *Accumulator[T]) Results() ([]Result, error) {
	if a == nil {
		return nil, errMade
	}
	return a.of().Results()
}

// MarshalBinary returns the metrics, options and sums of a, so that another
// process can merge them: in the format of docs/partial.md, which later releases
// read. The number of workers is not part of it.
func (a *Accumulator[T]) MarshalBinary() ([]byte, error) {
	if a == nil {
		return nil, errMade
	}
	return a.of().MarshalBinary()
}

// UnmarshalBinary makes a the Accumulator that was marshalled, of the same
// type of scores. What is none, is damaged, or comes from a later format or from
// kernels of another specification is an error that says so; then a is as it was
// before.
func (a *Accumulator[T]) UnmarshalBinary(data []byte) error {
	if a == nil {
		return errMade
	}
	return a.of().UnmarshalBinary(data)
}
