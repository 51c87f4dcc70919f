package zlprbeam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/named"
	"github.com/zlpr/zlpr/metrics"
)

// What propensities are made of, as zlpr eval makes them.
const propensityA, propensityB = 0.55, 1.5

// A float is what scores are evaluated as.
type float interface{ float32 | float64 }

// A lossEvaluator evaluates one loss.
type lossEvaluator[T float] struct {
	name string
	*zlpr.Evaluator[T]
	total *zlpr.Total
}

// An evaluation is of the rows of a shard.
type evaluation[T float] struct {
	*Options
	r       *reader
	workers int

	losses  []lossEvaluator[T]
	metrics *metrics.Accumulator[T] // or nil
	result  *state

	factor float64 // of the gradient
	to     *output // of it; nil: no gradient

	scores, soft, grad []T
	words              []uint64
}

// newEvaluation prepares the evaluation of what r reads. What depends on all labels
// is from scan, which may be nil where nothing does.
func newEvaluation[T float](o *Options, r *reader, scan *metrics.LabelScan) (*evaluation[T], error) {
	e := &evaluation[T]{Options: o, r: r, workers: o.Workers, factor: 1}
	if e.workers == 0 {
		e.workers = runtime.GOMAXPROCS(0)
	}
	half := r.scores.Type == array.Float16
	e.result = &state{shards: []shardRows{{r.shard.Scores, r.rows}}, classes: r.classes, double: r.scores.Type == array.Float64, half: half, rows: r.rows,
		skipped: map[string]string{}, tiers: []string{zlpr.Tier()}, warnings: r.warnings, totals: map[string]*zlpr.Total{}}
	if scan != nil && len(scan.Positives()) != r.classes {
		return nil, array.Faultf(r.shard.Scores, "%d classes, others have %d; all shards have the same classes", r.classes, len(scan.Positives()))
	}
	parameters := o.Parameters
	if o.countsK() {
		parameters.K = max(1, scan.Most())
	}
	if o.balances() {
		parameters.Counts, parameters.Rows = scan.Positives(), scan.Rows()
	}
	var positive []float64
	if o.PosWeight != nil {
		positive = slices.Repeat([]float64{*o.PosWeight}, r.classes)
	}
	for _, name := range o.lossNames() {
		if o.all() && o.Soft != slices.Contains(named.SoftLosses, name) && (o.Soft || name == "zlpr-soft") {
			e.result.skipped[name] = "labels are soft"
			if !o.Soft {
				e.result.skipped[name] = "labels are hard"
			}
			continue
		}
		loss := named.FindLoss(name).Make(&parameters, positive)
		if err := e.accepts(loss); err != nil {
			if o.all() {
				e.result.skipped[name] = strings.TrimPrefix(err.Error(), "zlpr: ")
				continue
			}
			return nil, fmt.Errorf("loss %s: %w", name, err)
		}
		v, err := zlpr.NewEvaluator[T](loss, zlpr.Options{Workers: e.workers, Strict: o.Strict, Reduction: zlpr.None})
		if err != nil {
			return nil, fmt.Errorf("loss %s: %w", name, err)
		}
		total := new(zlpr.Total)
		e.losses = append(e.losses, lossEvaluator[T]{name, v, total})
		e.result.totals[name] = total
	}
	return e, nil
}

// accepts asks the library, by a row of two classes, whether a loss goes with the class
// weights, where there are some.
func (e *evaluation[T]) accepts(loss zlpr.Loss) error {
	if e.r.classWeights == nil {
		return nil
	}
	b := zlpr.Batch[float32]{ClassWeights: []float64{1, 1}}
	if e.Soft {
		b.Soft = zlpr.Matrix[float32]{Rows: 1, Cols: 2, Data: make([]float32, 2), Stride: 2}
	}
	return named.Accepts(loss, zlpr.Options{Strict: e.Strict}, &b)
}

// measure prepares the metrics.
func (e *evaluation[T]) measure(scan *metrics.LabelScan) (err error) {
	names := e.metricNames()
	if len(names) == 0 {
		return nil
	}
	options := metrics.Options{Rule: e.rule(), Workers: e.workers, MicroBits: e.AreaBits, ClassBits: e.AreaBits}
	if e.weighs() {
		options.Propensities = metrics.Propensities(scan.Positives(), scan.Rows(), propensityA, propensityB)
	}
	if e.metrics, err = metrics.NewAccumulator[T](e.r.classes, names, options); err != nil {
		return err
	}
	e.result.measured = e.metrics
	return nil
}

// run evaluates all rows.
func (e *evaluation[T]) run(ctx context.Context) error {
	return e.r.blocks(ctx, blockRows(e.r.classes)*e.workers, func(b *block) error { return e.add(ctx, b) })
}

// add evaluates a block.
func (e *evaluation[T]) add(ctx context.Context, b *block) error {
	r, n := e.r, e.r.classes
	e.scores = array.Read(&b.scores, e.scores, 0, b.rows*n)
	e.result.logits = e.result.logits || outsideUnit(e.scores)
	batch := zlpr.Batch[T]{Scores: matrix(e.scores, n), RowWeights: r.weightsOf(b), ClassWeights: r.classWeights}
	if r.mask != nil {
		batch.Mask = maskBits{bitsOf(&b.mask, b.rows, n)}
	}
	if r.lengths != nil {
		batch.Mask = &rowsOf{r.lengths, b.first, b.rows}
	}
	if e.Soft {
		e.soft = array.Read(&b.labels, e.soft, 0, b.rows*n)
		batch.Soft = matrix(e.soft, n)
	} else {
		var err error
		if batch.Labels, err = r.labelBits(b, &e.words); err != nil {
			return err
		}
		e.result.positives += ones(e.words)
	}
	for k := 0; k < len(e.losses); k++ {
		l := &e.losses[k]
		out := zlpr.Output[T]{Total: l.total}
		if e.to != nil {
			e.grad = slices.Grow(e.grad[:0], b.rows*n)[:b.rows*n]
			out.Grad, out.Upstream = matrix(e.grad, n), e.factor
		}
		_, err := l.Evaluate(ctx, &batch, &out)
		var fault *zlpr.DataError
		switch {
		case err == nil:
		case e.all() && named.OneTarget(l.name) && errors.As(err, &fault) && (fault.Kind == zlpr.LabelMissing || fault.Kind == zlpr.LabelsTooMany):
			e.skipTarget(b, fault.Row)
			k--
			continue
		default:
			return r.explain(err, b)
		}
		if e.to != nil {
			if err := array.New("", []int{len(e.grad)}, e.grad).CopyElements(e.to, 0, len(e.grad)); err != nil {
				return array.Named(e.to.name, err)
			}
		}
	}
	if e.metrics != nil {
		if !slices.ContainsFunc(e.losses, func(l lossEvaluator[T]) bool { return !named.OneTarget(l.name) }) {
			batch.ClassWeights = nil // those of 0 leave no row out
		}
		if err := e.metrics.Add(&batch); err != nil {
			return r.explain(err, b)
		}
	}
	return nil
}

// skipTarget leaves losses of one target out, because of a row that has not one positive label.
func (e *evaluation[T]) skipTarget(b *block, row int) {
	width := (e.r.classes + 63) / 64
	e.losses = slices.DeleteFunc(e.losses, func(l lossEvaluator[T]) bool { return named.OneTarget(l.name) })
	maps.DeleteFunc(e.result.totals, func(name string, _ *zlpr.Total) bool { return named.OneTarget(name) })
	e.result.softmax = &softmaxFault{Shard: e.r.shard.Scores, First: e.r.first, Row: b.first + row, Positives: ones(e.words[row*width:][:width])}
}

// outsideUnit reports whether a score lies outside [0, 1].
func outsideUnit[T float](x []T) bool {
	for _, v := range x {
		if v < 0 || v > 1 {
			return true
		}
	}
	return false
}

func matrix[T float](data []T, cols int) zlpr.Matrix[T] {
	return zlpr.Matrix[T]{Rows: len(data) / cols, Cols: cols, Data: data, Stride: cols}
}

// evaluateShard evaluates a shard.
func evaluateShard(ctx context.Context, s Shard, o *Options, scan *metrics.LabelScan) (*state, error) {
	r, err := openShard(ctx, s, o.Soft, o.ClassWeights)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.scores.Type == array.Float64 {
		return evaluate[float64](ctx, o, r, scan)
	}
	return evaluate[float32](ctx, o, r, scan)
}

func evaluate[T float](ctx context.Context, o *Options, r *reader, scan *metrics.LabelScan) (*state, error) {
	e, err := newEvaluation[T](o, r, scan)
	if err == nil {
		err = e.measure(scan)
	}
	if err == nil {
		err = e.run(ctx)
	}
	if err == nil {
		err = e.result.bin(o)
	}
	return e.result, err
}

// gradientOfShard writes the gradient of a shard to a file, of a loss, times factor.
func gradientOfShard(ctx context.Context, s Shard, o *Options, scan *metrics.LabelScan, factor float64, name string) error {
	r, err := openShard(ctx, s, o.Soft, o.ClassWeights)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.scores.Type == array.Float64 {
		return writeGradient[float64](ctx, o, r, scan, factor, name)
	}
	return writeGradient[float32](ctx, o, r, scan, factor, name)
}

func writeGradient[T float](ctx context.Context, o *Options, r *reader, scan *metrics.LabelScan, factor float64, name string) error {
	e, err := newEvaluation[T](o, r, scan)
	if err != nil {
		return err
	}
	if e.to, err = create(ctx, name); err != nil {
		return err
	}
	defer e.to.discard()
	e.factor = factor
	t := array.Float32
	if r.scores.Type == array.Float64 {
		t = array.Float64
	}
	if _, err := e.to.Write(array.Header(t, r.scores.Shape)); err != nil {
		return array.Named(name, err)
	}
	if err := e.run(ctx); err != nil {
		return err
	}
	return e.to.commit()
}

// meanFactor is the factor of the gradient of a mean over the rows of a total.
func meanFactor(total *zlpr.Total) (float64, error) {
	r, err := total.Result(zlpr.Sum)
	if err != nil {
		return 0, err
	}
	if !(r.Weight > 0) {
		return 0, errors.New("no row counts, so that there is no mean")
	}
	factor := 1 / r.Weight
	if factor == 0 || math.IsInf(factor, 1) {
		return 0, fmt.Errorf("the weights add up to %g, by which a mean's gradient cannot be divided; scale the weights", r.Weight)
	}
	return factor, nil
}
