package main

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/exact"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/named"
	"github.com/zlpr/zlpr/metrics"
	reports "github.com/zlpr/zlpr/report"
)

// An evaluation is one pass over files of scores and labels: losses, gradient
// and metrics, block by block.
type evaluation struct {
	scores       *scoreSource
	teacher      *scoreSource // or nil: the losses are divergences from it then, without labels
	labels       bitSource    // nil with soft labels, and perhaps with a teacher
	soft         *array.Array // soft labels
	firstSoft    int          // place of the first one between 0 and 1; -1: there is none
	assumed      bool         // whether they are soft by those of other shards alone
	mask         bitSource    // or nil
	rowWeights   []float64    // or nil
	classWeights []float64    // or nil

	remedies        remedy // of the command, or nil
	smoothing       float64
	thresholdColumn int // as zlpr.Batch has it

	losses     []namedLoss
	all        bool // whether losses, and metrics, for which no row counts are skipped
	options    zlpr.Options
	k          int     // of subset-padded; 0 without it
	factor     float64 // of the gradient
	elements   bool    // whether losses are divided by the elements that take part, too
	metrics    []string
	rule       metrics.Rule
	propensity []float64
	classOptions
	tunes       bool // whether another threshold is looked for
	pictures    bool // whether the scores are shown
	workers     int
	files       map[string]string        // what is in which file, for messages
	shards      map[string]*array.Shards // what is in several files, counted in rows
	grad        *array.Writer            // or nil
	perRow      *array.Writer
	predictions *array.Writer
	progress    *progress
	kept        *reports.Rows // what a comparison needs of every row; or nil

	softmaxFault *softmaxFault // why softmax does not take the labels, or nil

	partial bool         // whether other rows are evaluated elsewhere
	values  *fingerprint // of what is read, or nil
}

type namedLoss struct {
	name string
	loss zlpr.Loss
}

// A lossResult is the loss of all rows.
type lossResult struct {
	zlpr.Total
	elements exact.Sum  // Σ row weight × classes that take part, where it is asked for
	worst    []worstRow // highest first
}

type worstRow struct {
	row  int
	loss float64
	seen *seenRow // what is shown of it; nil where it was not looked at
}

// worstRows is how many rows of the highest loss are kept.
const worstRows = 5

// A measurer is a metrics.Accumulator.
type measurer interface {
	Results() ([]metrics.Result, error)
	Classes() ([]metrics.ClassResult, error)
	BestThreshold() (threshold, f1 float64, err error)
	ScoreBins() ([]metrics.ScoreBin, error)
	CountScores(microBits, classBits int) error
	Bins() (microBits, classBits int)
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// An evalResult is what an evaluation found.
type evalResult struct {
	losses    []lossResult
	measured  measurer // what the metrics are of, or nil
	pictured  measurer // what pictures are of where it is not the same, or nil
	bins      []metrics.ScoreBin
	metrics   []metrics.Result
	classes   []metrics.ClassResult // by class, if that is asked for
	shared    *metrics.GradientShares
	shares    []float64    // of the gradient
	tuned     *tunedReport // another threshold, if one is looked for
	positives int
	rows      int  // that are in the files
	logits    bool // whether a score lies outside [0, 1]
	lost      int  // positive labels without a listed score
	seconds   float64
}

func (r *lossResult) note(row int, loss float64) {
	if len(r.worst) == worstRows && !(loss > r.worst[worstRows-1].loss) {
		return
	}
	i, _ := slices.BinarySearchFunc(r.worst, loss, func(w worstRow, x float64) int {
		if w.loss >= x {
			return -1
		}
		return 1
	})
	r.worst = slices.Insert(r.worst, i, worstRow{row: row, loss: loss})
	r.worst = r.worst[:min(len(r.worst), worstRows)]
}

func (r *lossResult) merge(o *lossResult) {
	r.Merge(&o.Total)
	r.elements.Merge(&o.elements)
	r.worst = append(r.worst, o.worst...)
	slices.SortFunc(r.worst, func(a, b worstRow) int {
		if a.loss != b.loss {
			if a.loss > b.loss {
				return -1
			}
			return 1
		}
		return a.row - b.row
	})
	r.worst = r.worst[:min(len(r.worst), worstRows)]
}

// noRows is the error of a mean over nothing.
func (e *evaluation) noRows(loss string) error {
	return array.Faultf(e.files["scores"], "no row counts for %s: all are masked out, ignored or of weight 0", loss)
}

// run evaluates in the scores' precision; float16 is computed as float32.
func (e *evaluation) run(ctx context.Context) (*evalResult, error) {
	if e.double() {
		return evaluate[float64](ctx, e)
	}
	return evaluate[float32](ctx, e)
}

// double tells whether it is computed in float64: scores, or a teacher's, are.
func (e *evaluation) double() bool {
	return e.scores.dtype == array.Float64 || e.teacher != nil && e.teacher.dtype == array.Float64
}

// An evalWorker evaluates blocks.
type evalWorker[T zlpr.Float] struct {
	e          *evaluation
	evaluators []*zlpr.Evaluator[T]
	half       halfLosses // or nil
	metrics    *metrics.Accumulator[T]
	pictured   *metrics.Accumulator[T] // or nil
	results    []lossResult
	shares     *metrics.GradientShares // or nil
	positives  int
	lost       int

	scores, soft, grad []T
	bits               []uint16 // of the block's scores, where the losses are of them
	teacher            []T
	losses             []float64
	words, maskWords   []uint64
	predicted          []uint8
	keep               keeper
}

// newEvalWorker returns a worker, whose metrics are of the same scores in bins as those of the
// first, nil for none.
func newEvalWorker[T zlpr.Float](e *evaluation, first *evalWorker[T]) (*evalWorker[T], error) {
	w := &evalWorker[T]{e: e, results: make([]lossResult, len(e.losses))}
	options := e.options
	options.Workers, options.Reduction = 1, zlpr.None
	for _, l := range e.losses {
		v, err := zlpr.NewEvaluator[T](l.loss, options)
		if err != nil {
			return nil, fmt.Errorf("loss %s: %w", l.name, err)
		}
		w.evaluators = append(w.evaluators, v)
	}
	var err error
	if w.half, err = newHalfLosses(e, options); err != nil {
		return nil, err
	}
	if e.byClass && len(e.losses) > 0 {
		w.shares = metrics.NewGradientShares(e.scores.classes())
	}
	switch {
	case len(e.metrics) == 0 && !e.byClass:
	case first != nil:
		if w.metrics, err = first.metrics.Fork(); err != nil {
			return nil, err
		}
	default:
		w.metrics, err = metrics.NewAccumulator[T](e.scores.classes(), e.metrics,
			metrics.Options{Rule: e.rule, Sparse: e.scores.csr != nil, Propensities: e.propensity, Workers: 1,
				ZeroDivision: e.zeroDivision, ByClass: e.byClass, MicroBits: e.microBits, ClassBits: e.classBits})
		if err != nil {
			return nil, usageError{err}
		}
	}
	if e.pictures && !e.keepsScores() {
		if w.pictured, err = metrics.NewAccumulator[T](e.scores.classes(), []string{"micro_auc"}, pictureOptions); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// keepsScores tells whether metrics, or results by class, keep the scores or count them
// in bins.
func (e *evaluation) keepsScores() bool {
	return e.byClass || slices.ContainsFunc(e.metrics, metrics.NeedsScores)
}

// evaluate shares the blocks among the workers. All results are sums that do
// not depend on who evaluates which block.
func evaluate[T zlpr.Float](ctx context.Context, e *evaluation) (*evalResult, error) {
	start := time.Now()
	rows, classes := e.scores.rows(), e.scores.classes()
	size := blockRows(rows, classes)
	blocks := (rows + size - 1) / max(1, size)
	workers := make([]*evalWorker[T], max(1, min(e.workers, blocks)))
	for i := range workers {
		var err error
		if workers[i], err = newEvalWorker(e, workers[0]); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var logits atomic.Bool
	var wait sync.WaitGroup
	errs := make([]error, len(workers)) // of the worker's last block
	at := make([]int64, len(workers))
	for i, w := range workers {
		wait.Go(func() {
			for ctx.Err() == nil {
				k := next.Add(1) - 1
				if k >= int64(blocks) {
					return
				}
				r0 := int(k) * size
				r1 := min(r0+size, rows)
				if err := array.Guard(func() error { return w.block(r0, r1, &logits) }); err != nil {
					errs[i], at[i] = err, k
					cancel(err)
					return
				}
				e.progress.add(r1 - r0)
			}
		})
	}
	wait.Wait()
	// Of several errors the one of the first rows.
	first := -1
	for i, err := range errs {
		if err != nil && (first < 0 || at[i] < at[first]) {
			first = i
		}
	}
	if first >= 0 {
		return nil, errs[first]
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &evalResult{losses: make([]lossResult, len(e.losses)), rows: rows, logits: logits.Load()}
	for i, w := range workers {
		for k := range r.losses {
			r.losses[k].merge(&w.results[k])
		}
		r.positives += w.positives
		r.lost += w.lost
		if i > 0 && w.metrics != nil {
			if err := workers[0].metrics.Merge(w.metrics); err != nil {
				return nil, err
			}
		}
		if i > 0 && w.pictured != nil {
			if err := workers[0].pictured.Merge(w.pictured); err != nil {
				return nil, err
			}
		}
	}
	if s := workers[0].shares; s != nil {
		for _, w := range workers[1:] {
			if err := s.Merge(w.shares); err != nil {
				return nil, err
			}
		}
		r.shared = s
	}
	if m := workers[0].metrics; m != nil {
		r.measured = m
	}
	if m := workers[0].pictured; m != nil {
		r.pictured = m
	}
	if err := e.conclude(r); err != nil {
		return nil, err
	}
	r.seconds = time.Since(start).Seconds()
	return r, nil
}

// conclude takes the metrics from what was measured.
func (e *evaluation) conclude(r *evalResult) (err error) {
	if r.shared != nil {
		r.shares = r.shared.Shares()
	}
	if e.pictures && r.pictured != nil {
		if r.bins, err = r.pictured.ScoreBins(); err != nil {
			return err
		}
	}
	if r.measured == nil {
		return nil
	}
	if e.pictures && e.keepsScores() {
		if r.bins, err = r.measured.ScoreBins(); err != nil {
			return err
		}
	}
	r.metrics, err = r.measured.Results()
	if err == nil && e.byClass {
		r.classes, err = r.measured.Classes()
	}
	if err == nil && e.tunes {
		r.tuned, err = betterThreshold(r.measured)
	}
	switch {
	case errors.Is(err, metrics.ErrNoRows) && (e.all || e.partial): // fill says so
	case errors.Is(err, metrics.ErrNoRows) && len(e.losses) > 0:
		return e.noRows(e.losses[0].name)
	case errors.Is(err, metrics.ErrNoRows):
		return e.noRows("the metrics")
	case err != nil:
		return err
	}
	return nil
}

// block evaluates rows r0 to r1-1.
func (w *evalWorker[T]) block(r0, r1 int, logits *atomic.Bool) error {
	e, n := w.e, w.e.scores.classes()
	var x []T
	if w.bits = nil; logits.Load() {
		w.bits = w.halves(r0, r1)
	}
	if w.bits == nil {
		x = block(e.scores, &w.scores, r0, r1)
	}
	b := zlpr.Batch[T]{Scores: zlpr.Matrix[T]{Rows: r1 - r0, Cols: n, Data: x, Stride: n}, ClassWeights: e.classWeights, Smoothing: e.smoothing}
	if e.soft != nil {
		b.Soft = matrix(elements(e.soft, &w.soft, r0*n, r1*n), n)
	}
	if e.rowWeights != nil {
		b.RowWeights = e.rowWeights[r0:r1]
	}
	b.ThresholdColumn = e.thresholdColumn
	if e.mask != nil {
		b.Mask = maskBits{e.mask.block(r0, r1)}
	}
	if !logits.Load() && outsideUnit(x) {
		logits.Store(true)
	}
	if err := w.labels(&b, r0, x); err != nil {
		return err
	}
	if e.values != nil {
		w.fingerprint(&b, r0)
	}
	if err := w.evaluate(&b, r0); err != nil {
		return err
	}
	return w.measure(&b, r0)
}

// outsideUnit reports whether a score lies outside [0, 1].
func outsideUnit[T zlpr.Float](x []T) bool {
	for _, v := range x {
		if v < 0 || v > 1 {
			return true
		}
	}
	return false
}

// labels reads the labels of a block once, counts them, and hands them on as
// bits.
func (w *evalWorker[T]) labels(b *zlpr.Batch[T], r0 int, x []T) error {
	if w.e.labels == nil {
		return nil
	}
	rows, n := b.Scores.Rows, b.Scores.Cols
	width := (n + 63) / 64
	w.words = slices.Grow(w.words[:0], rows*width)[:rows*width]
	var err error
	if b.Labels, err = w.e.readLabels(w.words, r0, r0+rows); err != nil {
		return err
	}
	for _, word := range w.words {
		w.positives += bits.OnesCount64(word)
	}
	if w.e.scores.csr == nil {
		return nil
	}
	for i := range rows {
		for k, word := range w.words[i*width:][:width] {
			for ; word != 0; word &= word - 1 {
				if x[i*n+64*k+bits.TrailingZeros64(word)] == T(math.Inf(-1)) {
					w.lost++
				}
			}
		}
	}
	return nil
}

// evaluate computes the losses of a block, and the gradient.
func (w *evalWorker[T]) evaluate(b *zlpr.Batch[T], r0 int) error {
	e, rows, n := w.e, b.Scores.Rows, b.Scores.Cols
	w.losses = slices.Grow(w.losses[:0], rows)[:rows]
	if e.teacher != nil {
		of := *b
		of.Labels, of.Teacher = nil, matrix(block(e.teacher, &w.teacher, r0, r0+rows), n)
		b = &of
	}
	for k, v := range w.evaluators {
		out := zlpr.Output[T]{Losses: w.losses, Total: &w.results[k].Total}
		shares := w.shares != nil && k == e.sharesOf()
		if e.grad != nil || shares {
			w.grad = kernel.Resize(w.grad, rows*n)
			out.Grad, out.Upstream = matrix(w.grad, n), e.factor
		}
		if err := w.loss(k, v, b, &out); err != nil {
			return e.explain(err, r0)
		}
		if shares {
			if err := metrics.AddGradient(w.shares, out.Grad); err != nil {
				return err
			}
		}
		w.results[k].noteAll(r0, w.losses)
		if e.kept != nil {
			w.keep.loss(k, w.losses)
		}
		if e.elements {
			if err := e.addElements(&w.results[k].elements, b.Labels, r0, r0+rows); err != nil {
				return err
			}
		}
		if e.perRow != nil {
			if err := writeRows(e.perRow, e.files["per-row"], r0, w.losses); err != nil {
				return err
			}
		}
		if e.grad != nil {
			if err := writeRows(e.grad, e.files["grad"], r0, w.grad); err != nil {
				return err
			}
		}
	}
	return nil
}

// loss evaluates the loss of number k, whose evaluator is v.
func (w *evalWorker[T]) loss(k int, v *zlpr.Evaluator[T], b *zlpr.Batch[T], out *zlpr.Output[T]) error {
	single, ok := any(b).(*zlpr.Batch[float32])
	if w.bits == nil || !ok {
		_, err := v.Evaluate(context.Background(), b, out)
		return err
	}
	return w.half.evaluate(k, w.bits, single, any(out).(*zlpr.Output[float32]))
}

// noteAll notes the losses of rows from r0 on.
func (r *lossResult) noteAll(r0 int, losses []float64) {
	floor := math.Inf(-1)
	if len(r.worst) == worstRows {
		floor = r.worst[worstRows-1].loss
	}
	for i, v := range losses {
		if v > floor {
			r.note(r0+i, v)
			if len(r.worst) == worstRows {
				floor = r.worst[worstRows-1].loss
			}
		}
	}
}

// measure adds a block to the metrics and writes its predictions.
func (w *evalWorker[T]) measure(b *zlpr.Batch[T], r0 int) error {
	batch := metrics.Batch[T]{Scores: b.Scores, Labels: b.Labels, Mask: b.Mask, ThresholdColumn: w.e.thresholdColumn}
	if w.e.rowWeights != nil {
		batch.RowWeights = w.e.rowWeights[r0:][:b.Scores.Rows]
	}
	if !w.e.oneTarget() {
		batch.ClassWeights = w.e.classWeights
	}
	switch {
	case w.e.kept != nil:
		if err := w.keepRows(&batch, r0); err != nil {
			return w.e.explain(err, r0)
		}
	case w.metrics != nil:
		if err := w.metrics.Add(&batch); err != nil {
			return w.e.explain(err, r0)
		}
	}
	if w.pictured != nil {
		if err := w.picture(&batch, r0); err != nil {
			return w.e.explain(err, r0)
		}
	}
	if w.e.predictions == nil {
		return nil
	}
	rule := w.e.rule
	if w.e.scores.csr != nil {
		rule = rule.Listed()
	}
	p, err := metrics.Predict(&batch, rule, 1)
	if err != nil {
		return w.e.explain(err, r0)
	}
	rows, n := b.Scores.Rows, b.Scores.Cols
	w.predicted = kernel.Resize(w.predicted, rows*n)
	for i := range rows {
		row := p.Words[i*p.Stride:]
		for j := range n {
			w.predicted[i*n+j] = uint8(row[j/64] >> (j % 64) & 1)
		}
	}
	return writeRows(w.e.predictions, w.e.files["predictions"], r0, w.predicted)
}

// oneTarget reports whether all losses are of one target, in which classes of weight 0
// leave no row out.
func (e *evaluation) oneTarget() bool {
	return !slices.ContainsFunc(e.losses, func(l namedLoss) bool { return !named.OneTarget(l.name) })
}

// picture adds a block to what pictures are of; a soft label counts as the one that it
// is nearer to.
func (w *evalWorker[T]) picture(b *metrics.Batch[T], r0 int) error {
	if w.e.soft == nil {
		return w.pictured.Add(b)
	}
	rows, n := b.Scores.Rows, b.Scores.Cols
	width := (n + 63) / 64
	hard := &zlpr.BitLabels{Rows: rows, Cols: n, Words: make([]uint64, rows*width), Stride: width}
	for i, y := range elements(w.e.soft, &w.soft, r0*n, (r0+rows)*n) {
		if y > 0.5 {
			hard.Words[i/n*width+i%n/64] |= 1 << (i % n % 64)
		}
	}
	b.Labels = hard
	return w.pictured.Add(b)
}
