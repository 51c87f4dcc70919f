// Package zlprbeam evaluates shards of scores and labels in a pipeline of Apache
// Beam: the losses and measures that zlpr eval has of all rows, bit for bit, and
// the gradient of every shard.
//
//	p, s := beam.NewPipelineWithRoot()
//	options := zlprbeam.Options{Losses: []string{"all"}, Parameters: zlprbeam.DefaultParameters, Metrics: []string{"all"}}
//	results := zlprbeam.Evaluate(s, beam.Create(s, "gs://bucket/manifest.json"), options)
//	zlprbeam.Write(s, "gs://bucket/report.json", zlprbeam.Report(s, results, options))
//
// A manifest lists the shards, as docs/shards.md describes it: their scores and
// labels, and a mask or lengths and row weights where there are some, of any file system
// that Beam knows and the program imports (local, gs, s3, memfs). One DoFn evaluates a
// shard, reading .npy files and tensors of safetensors files, compressed or not, once,
// from their beginning, in the memory of two blocks; arrays of .npz and .pt archives, CSV,
// and labels as sparse matrices or lists it reads from a copy in the worker's temporary
// folder. Scores that are sparse are an error. One CombineFn makes one result of all.
//
// Results are exact sums and counts, so that they do not depend on how the runner
// bundles, retries or merges. Areas (auc, average_precision) keep all scores up to
// 64 million: then a result is as long as these.
//
// It is tested on Prism, Beam's own runner on one machine. On others it relies on
// Beam's portability.
package zlprbeam

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/zlpr/zlpr/metrics"
)

func init() {
	register.DoFn3x1[context.Context, string, func(Shard), error](&listFn{})
	register.DoFn3x1[context.Context, Shard, func([]byte), error](&scanFn{})
	register.DoFn3x0[Shard, func(*[]byte) bool, func(Task)](&takeScanFn{})
	register.DoFn3x1[context.Context, Task, func(Result), error](&evaluateFn{})
	register.DoFn2x1[Result, func(float64), error](&factorFn{})
	register.DoFn3x0[Task, func(*float64) bool, func(Task)](&takeFactorFn{})
	register.DoFn3x1[context.Context, Task, func(string), error](&gradientFn{})
	register.DoFn2x1[Result, func(string), error](&reportFn{})
	register.DoFn2x1[context.Context, string, error](&writeFn{})
	register.Combiner1[[]byte](&scanAll{})
	register.Combiner1[Result](&mergeAll{})
	register.Iter1[[]byte]()
	register.Iter1[float64]()
	register.Emitter1[Shard]()
	register.Emitter1[Task]()
	register.Emitter1[float64]()
	register.Emitter1[[]byte]()
	register.Emitter1[Result]()
	register.Emitter1[string]()
	beam.RegisterType(reflect.TypeFor[Shard]())
	beam.RegisterType(reflect.TypeFor[Task]())
	beam.RegisterType(reflect.TypeFor[Result]())
	beam.RegisterCoder(reflect.TypeFor[Result](), encodeResult, decodeResult)
}

// Results are what Evaluate makes.
type Results struct {
	tasks  beam.PCollection // Task, of a shard each
	merged beam.PCollection // Result, one
}

// A Task is a shard to be evaluated, with what depends on others: one element, and no side
// input, for Prism looks again and again, on a core of its own, whether a step that has
// side inputs is ready, as long as it runs. What is known of all labels has a number a
// class, where the shard has a row.
type Task struct {
	Shard  Shard
	Scan   []byte  // of all labels; empty where nothing depends on them
	Factor float64 // of the gradient
}

// Evaluate evaluates the shards of manifests, names of files. It panics if the
// options are wrong, as Options.Check says.
func Evaluate(s beam.Scope, manifests beam.PCollection, o Options) Results {
	s = s.Scope("zlpr.Evaluate")
	if err := o.Check(); err != nil {
		panic("zlprbeam: " + err.Error())
	}
	shards := beam.Reshuffle(s, beam.ParDo(s, &listFn{}, manifests))
	scan := beam.Create(s, []byte{})
	if o.needsScan() {
		scan = beam.Combine(s, &scanAll{}, beam.ParDo(s, &scanFn{}, shards))
	}
	tasks := beam.Reshuffle(s, beam.ParDo(s, &takeScanFn{}, shards, beam.SideInput{Input: scan}))
	return Results{tasks, beam.Combine(s, &mergeAll{o}, beam.ParDo(s, &evaluateFn{o}, tasks))}
}

// Report returns the report of all rows, one string: an object of JSON, whose keys
// mean what those of zlpr eval --json mean.
func Report(s beam.Scope, r Results, o Options) beam.PCollection {
	return beam.ParDo(s.Scope("zlpr.Report"), &reportFn{o}, r.merged)
}

// Gradients writes the gradient of the one loss of the options to a folder, a .npy
// file a shard, gradient-00000-of-00007.npy and so on, and returns their names. A
// mean is that over all rows, so that the files put together are the gradient of one
// run.
func Gradients(s beam.Scope, folder string, r Results, o Options) beam.PCollection {
	if len(o.Losses) != 1 || o.all() {
		panic("zlprbeam: a gradient is of one loss; choose it")
	}
	s = s.Scope("zlpr.Gradients")
	factor := beam.ParDo(s, &factorFn{o}, r.merged)
	tasks := beam.Reshuffle(s, beam.ParDo(s, &takeFactorFn{}, r.tasks, beam.SideInput{Input: factor}))
	return beam.ParDo(s, &gradientFn{o, folder}, tasks)
}

// Write writes a string, as Report returns it, to a file, which has its name once it
// is complete.
func Write(s beam.Scope, name string, text beam.PCollection) {
	beam.ParDo0(s.Scope("zlpr.Write"), &writeFn{name}, text)
}

// listFn lists the shards of a manifest.
type listFn struct{}

func (*listFn) ProcessElement(ctx context.Context, manifest string, emit func(Shard)) error {
	m, err := readManifest(ctx, manifest)
	if err != nil {
		return err
	}
	for _, shard := range shardsOf(m) {
		emit(shard)
	}
	return nil
}

// scanFn counts the labels of a shard.
type scanFn struct{}

func (*scanFn) ProcessElement(ctx context.Context, shard Shard, emit func([]byte)) error {
	scan, err := scanLabels(ctx, shard)
	if err != nil {
		return shard.failed(err)
	}
	data, err := scan.MarshalBinary()
	if err == nil {
		emit(data)
	}
	return err
}

// scanAll merges what scanFn counted.
type scanAll struct{}

func (*scanAll) CreateAccumulator() []byte { return nil }

func (*scanAll) MergeAccumulators(a, b []byte) ([]byte, error) {
	x, err := unmarshalScan(a)
	if x == nil || err != nil {
		return b, err
	}
	y, err := unmarshalScan(b)
	if y == nil || err != nil {
		return a, err
	}
	if err := x.Merge(y); err != nil {
		return nil, fmt.Errorf("labels of shards that are none of one whole: %w", err)
	}
	return x.MarshalBinary()
}

// unmarshalScan is the inverse of MarshalBinary; nothing is nil.
func unmarshalScan(data []byte) (*metrics.LabelScan, error) {
	if len(data) == 0 {
		return nil, nil
	}
	scan := new(metrics.LabelScan)
	return scan, scan.UnmarshalBinary(data)
}

// takeScanFn makes the task of a shard.
type takeScanFn struct{}

func (*takeScanFn) ProcessElement(shard Shard, scans func(*[]byte) bool, emit func(Task)) {
	task := Task{Shard: shard}
	if scans(&task.Scan) { // else a shard has failed: a runner may come here before it ends the job
		emit(task)
	}
}

// evaluateFn evaluates a shard.
type evaluateFn struct{ Options Options }

func (f *evaluateFn) ProcessElement(ctx context.Context, task Task, emit func(Result)) error {
	scan, err := unmarshalScan(task.Scan)
	if err != nil {
		return err
	}
	result, err := evaluateShard(ctx, task.Shard, &f.Options, scan)
	if err != nil {
		return task.Shard.failed(err)
	}
	emit(Result{result})
	return nil
}

// mergeAll merges what evaluateFn knows.
type mergeAll struct{ Options Options }

func (*mergeAll) CreateAccumulator() Result { return Result{} }

func (f *mergeAll) MergeAccumulators(a, b Result) (Result, error) {
	switch {
	case b.state == nil:
		return a, nil
	case a.state == nil:
		return b.clone() // it will be changed, and others may see it, too
	case a.rows+b.rows > most/a.classes: // its scores are counted in bins
		var err error
		if b, err = b.clone(); err != nil {
			return a, err
		}
	}
	return a, a.merge(b.state, &f.Options)
}

// clone returns a result that shares nothing with r.
func (r Result) clone() (Result, error) {
	data, err := encodeResult(r)
	if err != nil {
		return Result{}, err
	}
	return decodeResult(data)
}

// reportFn makes the report.
type reportFn struct{ Options Options }

func (f *reportFn) ProcessElement(r Result, emit func(string)) error {
	text, err := r.report(&f.Options)
	if err == nil {
		emit(string(text))
	}
	return err
}

// factorFn makes the factor of the gradient.
type factorFn struct{ Options Options }

func (f *factorFn) ProcessElement(all Result, emit func(float64)) error {
	factor := 1.0
	if r := f.Options.Reduction; r == "" || r == "mean" {
		var err error
		if factor, err = meanFactor(all.totals[f.Options.Losses[0]]); err != nil {
			return err
		}
	}
	emit(factor)
	return nil
}

// takeFactorFn gives a task the factor of the gradient.
type takeFactorFn struct{}

func (*takeFactorFn) ProcessElement(task Task, factors func(*float64) bool, emit func(Task)) {
	if factors(&task.Factor) { // else a shard has failed: a runner may come here before it ends the job
		emit(task)
	}
}

// gradientFn writes the gradient of a shard.
type gradientFn struct {
	Options Options
	Folder  string
}

func (f *gradientFn) ProcessElement(ctx context.Context, task Task, emit func(string)) error {
	scan, err := unmarshalScan(task.Scan)
	if err != nil {
		return err
	}
	shard := task.Shard
	name := fmt.Sprintf("%s/gradient-%05d-of-%05d.npy", strings.TrimSuffix(f.Folder, "/"), shard.Number, shard.Of)
	if err := gradientOfShard(ctx, shard, &f.Options, scan, task.Factor, name); err != nil {
		return shard.failed(err)
	}
	emit(name)
	return nil
}

// writeFn writes a file.
type writeFn struct{ Name string }

func (f *writeFn) ProcessElement(ctx context.Context, text string) error {
	return writeFile(ctx, f.Name, []byte(text))
}
