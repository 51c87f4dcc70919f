package zlprbeam

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/lengths"
	"github.com/zlpr/zlpr/internal/source"
	"github.com/zlpr/zlpr/metrics"
)

// A Shard is some of the rows: the files that have them, and which they are.
type Shard struct {
	Number, Of int // counted from 0

	Scores, Labels, Mask, Lengths, RowWeights string // files; "": none

	First int // its first entry of the first axis among all; -1 where the manifest does not say
	Rows  int // its entries of the first axis; -1 where the manifest does not say
}

// shardsOf lists the shards of a manifest.
func shardsOf(m *source.Manifest) (list []Shard) {
	for k := range m.Len() {
		files := m.Shard(k)
		s := Shard{Number: k, Of: m.Len(), Scores: files[source.Scores], Labels: files[source.LabelsPart], Mask: files[source.Mask], Lengths: files[source.Lengths], RowWeights: files[source.RowWeights]}
		s.First, s.Rows = m.Entries(k)
		list = append(list, s)
	}
	return list
}

// failed names the shard in an error of it.
func (s *Shard) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("shard %d of %d, %s: %w", s.Number, s.Of, array.Quote(s.Scores), err)
}

// A reader reads the rows of a shard from its first to its last.
type reader struct {
	shard                         Shard
	scores, labels, mask, weights *input    // nil: none
	lengths                       zlpr.Bits // the mask that they make, or nil
	classWeights                  []float64 // nil: none
	warnings                      []string  // of files
	rows, classes                 int
	first                         int  // row among all; -1: not known
	targets                       bool // whether labels are class numbers
	soft                          bool
	at                            int // rows that were read
}

// openShard opens the files of a shard; with labelsOnly, those of labels alone.
func openShard(ctx context.Context, s Shard, soft bool, classWeights string) (r *reader, err error) {
	opened := &reader{shard: s, first: -1, soft: soft}
	defer func() {
		if err != nil {
			opened.Close()
		}
	}()
	r = opened
	if r.scores, err = openArray(ctx, s.Scores, source.Numbers, -1); err != nil {
		return nil, err
	}
	shape := r.scores.Shape
	switch {
	case len(shape) < 2:
		return nil, array.Faultf(s.Scores, "scores of one axis in a shard; write them as rows×classes")
	case !r.scores.Type.IsFloat():
		return nil, array.Faultf(s.Scores, "scores of type %s; write them as float16, bfloat16, float32 or float64 (are scores and labels exchanged?)", r.scores.Type)
	case s.Rows >= 0 && s.Rows != shape[0]:
		return nil, array.Faultf(s.Scores, "%d rows, but the manifest says %d; mend the manifest or the file", shape[0], s.Rows)
	}
	r.rows, r.classes = r.scores.Rows()
	if s.Lengths != "" {
		if err := r.openLengths(ctx, s.Lengths); err != nil {
			return nil, err
		}
	}
	if r.classes == 0 {
		return nil, array.Faultf(s.Scores, "empty: no classes")
	}
	if s.First >= 0 && shape[0] > 0 {
		r.first = s.First * (r.rows / shape[0])
	}
	if r.labels, err = r.open(ctx, s.Labels, "labels"); err != nil {
		return nil, err
	}
	if s.Mask != "" {
		if r.mask, err = r.open(ctx, s.Mask, "mask"); err != nil {
			return nil, err
		}
	}
	if s.RowWeights != "" {
		if r.weights, err = openArray(ctx, s.RowWeights, source.Numbers, -1); err != nil {
			return nil, err
		}
		if rows, cols := r.weights.Rows(); rows*cols != r.rows {
			return nil, array.Faultf(s.RowWeights, "%d row weights, but %d are needed", rows*cols, r.rows)
		}
	}
	if err := r.weigh(ctx, classWeights); err != nil {
		return nil, err
	}
	for _, in := range []*input{r.scores, r.labels, r.mask, r.weights} {
		if in != nil {
			r.warnings = append(r.warnings, in.warnings...)
		}
	}
	return r, nil
}

// openLengths opens the lengths of padded scores, of which a row may be a head.
func (r *reader) openLengths(ctx context.Context, name string) error {
	in, err := openArray(ctx, name, source.Numbers, -1)
	if err != nil {
		return err
	}
	defer in.Close()
	r.warnings = append(r.warnings, in.warnings...)
	var all array.Array
	rows, cols := in.Rows()
	if err := in.Read(&all, rows*cols); err != nil {
		return err
	}
	all.Shape = in.Shape
	r.lengths, err = lengths.Mask(&all, name, r.scores.Shape, func(i int) (file, place string) { return name, fmt.Sprintf("row %d", i) })
	if err == nil {
		r.rows, r.classes = r.lengths.Dims()
	}
	return err
}

// weigh takes the class weights of a file.
func (r *reader) weigh(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	in, err := openArray(ctx, name, source.Numbers, -1)
	if err != nil {
		return err
	}
	defer in.Close()
	r.warnings = append(r.warnings, in.warnings...)
	rows, cols := in.Rows()
	if rows*cols != r.classes {
		return array.Faultf(name, "%d class weights, but %d are needed", rows*cols, r.classes)
	}
	var all array.Array
	if err := in.Read(&all, r.classes); err != nil {
		return err
	}
	r.classWeights = array.Copy[float64](&all, 0, r.classes)
	for i, w := range r.classWeights {
		if !(w >= 0) || math.IsInf(w, 1) {
			return array.Faultf(name, "class %d: weight %v is not finite and at least 0; mend the weight", i, w)
		}
	}
	return nil
}

// open opens labels or a mask, of the shape of the scores, or class numbers.
func (r *reader) open(ctx context.Context, name, what string) (*input, error) {
	in, err := openArray(ctx, name, source.Labels, r.classes)
	if err != nil {
		return nil, err
	}
	shape := r.scores.Shape
	axisLess := slices.Equal(in.Shape, shape[:len(shape)-1])
	rows, classes := in.Rows()
	switch {
	case r.soft && in.csr != nil:
		in.Close()
		return nil, array.Faultf(name, "soft labels as a sparse matrix or lists; write them as an array")
	case slices.Equal(in.Shape, shape), min(len(in.Shape), len(shape)) == 2 && rows == r.rows && classes == r.classes, axisLess && r.classes == 1:
	case axisLess && what == "labels" && !in.Type.IsFloat() && in.Type != array.Bool && !r.soft:
		r.targets = true
	default:
		in.Close()
		return nil, array.Faultf(name, "%s of shape %s, scores of shape %s; %s must have the shape of the scores%s", what,
			array.ShapeString(in.Shape), array.ShapeString(shape), what, map[bool]string{true: ", or be class numbers, integers of one axis less"}[what == "labels" && r.classes > 1])
	}
	return in, nil
}

// Close closes the files.
func (r *reader) Close() error {
	for _, in := range []*input{r.scores, r.labels, r.mask, r.weights} {
		if in != nil {
			in.Close()
		}
	}
	return nil
}

// A block is some of the rows of a shard, in memory.
type block struct {
	first, rows                   int // of the shard
	scores, labels, mask, weights array.Array
}

// read reads the next n rows.
func (r *reader) read(b *block, n int) error {
	b.first, b.rows = r.at, n
	r.at += n
	width := r.classes
	if r.targets {
		width = 1
	}
	if err := r.scores.Read(&b.scores, n*r.classes); err != nil {
		return err
	}
	if err := r.labels.Read(&b.labels, n*width); err != nil {
		return err
	}
	if r.mask != nil {
		if err := r.mask.Read(&b.mask, n*r.classes); err != nil {
			return err
		}
	}
	if r.weights != nil {
		return r.weights.Read(&b.weights, n)
	}
	return nil
}

// blocks calls do with all rows, n of them at a time at most, once even if there
// are none: then the ends of the files are read. The next block is read while do
// is busy with one.
func (r *reader) blocks(ctx context.Context, n int, do func(*block) error) error {
	type next struct {
		b   *block
		err error
	}
	free, full := make(chan *block, 2), make(chan next, 2)
	free <- new(block)
	free <- new(block)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(full)
		for left := r.rows; ; left -= n {
			select {
			case b := <-free:
				err := r.read(b, min(n, left))
				full <- next{b, err}
				if err != nil || left <= n {
					return
				}
			case <-stop:
				return
			}
		}
	}()
	defer func() { close(stop); <-done }()
	for v := range full {
		if v.err != nil {
			return v.err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(v.b); err != nil {
			return err
		}
		free <- v.b
	}
	return nil
}

// bitsOf are the 0 and 1 of an array.
func bitsOf(a *array.Array, rows, classes int) zlpr.Bits {
	n := rows * classes
	switch a.Type {
	case array.Bool, array.Uint8:
		as := *a
		as.Type = array.Uint8
		if v, ok := array.View[uint8](&as, 0, n); ok {
			return dense(v, rows, classes)
		}
	case array.Int8:
		if v, ok := array.View[int8](a, 0, n); ok {
			return dense(v, rows, classes)
		}
	case array.Float16, array.BFloat16, array.Float32:
		return dense(array.Read[float32](a, nil, 0, n), rows, classes)
	case array.Float64:
		return dense(array.Read[float64](a, nil, 0, n), rows, classes)
	}
	return dense(array.Read[int64](a, nil, 0, n), rows, classes)
}

func dense[E zlpr.LabelElement](data []E, rows, classes int) zlpr.Bits {
	return &zlpr.DenseLabels[E]{Rows: rows, Cols: classes, Data: data, Stride: classes}
}

// targetsOf are class numbers; -1 leaves a row out.
func (r *reader) targetsOf(b *block) (zlpr.Bits, error) {
	targets := make([]int32, b.rows)
	for i := range targets {
		v, err := array.Integers[int32](&b.labels, nil, i, i+1)
		if err != nil || v[0] < zlpr.Ignore || int(v[0]) >= r.classes {
			return nil, array.Faultf(r.shard.Labels, "row %d: class number %s of %d, counted from 0; -1 leaves a row out", b.first+i, b.labels.Format(i), r.classes)
		}
		targets[i] = v[0]
	}
	return &zlpr.TargetLabels{Classes: r.classes, Targets: targets}, nil
}

// labelBits reads the labels of a block to words, and returns them.
func (r *reader) labelBits(b *block, words *[]uint64) (zlpr.Bits, error) {
	labels := bitsOf
	var bits zlpr.Bits
	if r.targets {
		var err error
		if bits, err = r.targetsOf(b); err != nil {
			return nil, err
		}
	} else {
		bits = labels(&b.labels, b.rows, r.classes)
	}
	width := (r.classes + 63) / 64
	*words = slices.Grow((*words)[:0], b.rows*width)[:b.rows*width]
	if err := bits.ReadRows(*words, 0, b.rows); err != nil {
		return nil, r.explain(err, b)
	}
	if r.targets {
		return bits, nil
	}
	return &zlpr.BitLabels{Rows: b.rows, Cols: r.classes, Words: *words, Stride: width}, nil
}

// weightsOf are the row weights of a block.
func (r *reader) weightsOf(b *block) []float64 {
	if r.weights == nil {
		return nil
	}
	return array.Read[float64](&b.weights, nil, 0, b.rows)
}

// explain names the file, the row and the column of an error of the library.
func (r *reader) explain(err error, b *block) error {
	e, ok := err.(*zlpr.DataError)
	if !ok {
		return err
	}
	file := r.shard.Labels
	switch e.Kind {
	case zlpr.MaskInvalid:
		file = r.shard.Mask
	case zlpr.WeightRange:
		file = r.shard.RowWeights
	case zlpr.ScoreNaN, zlpr.ScoreInfinite, zlpr.ThresholdNotFinite:
		file = r.shard.Scores
	}
	if e.Class < 0 {
		return array.Faultf(file, "row %d: %s", b.first+e.Row, e.Reason)
	}
	return array.Faultf(file, "row %d, column %d: %s", b.first+e.Row, e.Class, e.Reason)
}

// A rowsOf are so many rows of other bits, from one on.
type rowsOf struct {
	zlpr.Bits
	first, rows int
}

func (b *rowsOf) Dims() (rows, classes int) {
	_, classes = b.Bits.Dims()
	return b.rows, classes
}

func (b *rowsOf) ReadRows(dst []uint64, r0, r1 int) error {
	return b.Bits.ReadRows(dst, b.first+r0, b.first+r1)
}

// maskBits are a mask: its errors say so.
type maskBits struct{ zlpr.Bits }

func (b maskBits) ReadRows(dst []uint64, r0, r1 int) error {
	err := b.Bits.ReadRows(dst, r0, r1)
	if e, ok := err.(*zlpr.DataError); ok {
		return &zlpr.DataError{Row: e.Row, Class: e.Class, Kind: zlpr.MaskInvalid, Reason: "mask: " + e.Reason}
	}
	return err
}

// scanLabels counts the labels of a shard, of which it reads the scores' shape
// alone.
func scanLabels(ctx context.Context, s Shard) (*metrics.LabelScan, error) {
	r, err := openShard(ctx, s, false, "")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	scan := metrics.NewLabelScan(r.classes)
	var b block
	var words []uint64
	size, width, n := blockRows(r.classes), (r.classes+63)/64, r.classes
	if r.targets {
		n = 1
	}
	for at := 0; at == 0 || at < r.rows; at += size {
		b.first, b.rows = at, min(size, r.rows-at)
		if err := r.labels.Read(&b.labels, b.rows*n); err != nil {
			return nil, err
		}
		if _, err := r.labelBits(&b, &words); err != nil {
			return nil, err
		}
		for i := range b.rows {
			scan.AddRow(words[i*width:][:width])
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return scan, nil
}

// blockRows is the number of rows of a block: about as many scores as the
// second-level cache of a core holds.
func blockRows(classes int) int { return max(1, min((1<<18)/classes, 1<<15)) }

// ones counts the bits that are set.
func ones(words []uint64) (n int) {
	for _, w := range words {
		n += bits.OnesCount64(w)
	}
	return n
}
