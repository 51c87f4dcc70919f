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
	register.DoFn4x1[context.Context, Shard, func(*[]byte) bool, func(Result), error](&evaluateFn{})
	register.DoFn5x1[context.Context, Shard, func(*[]byte) bool, func(*Result) bool, func(string), error](&gradientFn{})
	register.DoFn2x1[Result, func(string), error](&reportFn{})
	register.DoFn2x1[context.Context, string, error](&writeFn{})
	register.Combiner1[[]byte](&scanAll{})
	register.Combiner1[Result](&mergeAll{})
	register.Iter1[[]byte]()
	register.Iter1[Result]()
	register.Emitter1[Shard]()
	register.Emitter1[[]byte]()
	register.Emitter1[Result]()
	register.Emitter1[string]()
	beam.RegisterType(reflect.TypeFor[Shard]())
	beam.RegisterType(reflect.TypeFor[Result]())
	beam.RegisterCoder(reflect.TypeFor[Result](), encodeResult, decodeResult)
}

// Results are what Evaluate makes.
type Results struct {
	shards beam.PCollection // Shard
	scan   beam.PCollection // []byte, one
	merged beam.PCollection // Result, one
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
	parts := beam.ParDo(s, &evaluateFn{o}, shards, beam.SideInput{Input: scan})
	return Results{shards, scan, beam.Combine(s, &mergeAll{o}, parts)}
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
	return beam.ParDo(s.Scope("zlpr.Gradients"), &gradientFn{o, folder}, r.shards, beam.SideInput{Input: r.scan}, beam.SideInput{Input: r.merged})
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

// evaluateFn evaluates a shard.
type evaluateFn struct{ Options Options }

func (f *evaluateFn) ProcessElement(ctx context.Context, shard Shard, scans func(*[]byte) bool, emit func(Result)) error {
	var labels []byte
	if !scans(&labels) {
		return nil // a shard has failed: a runner may come here before it ends the job
	}
	scan, err := unmarshalScan(labels)
	if err != nil {
		return err
	}
	result, err := evaluateShard(ctx, shard, &f.Options, scan)
	if err != nil {
		return shard.failed(err)
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

// gradientFn writes the gradient of a shard.
type gradientFn struct {
	Options Options
	Folder  string
}

func (f *gradientFn) ProcessElement(ctx context.Context, shard Shard, scans func(*[]byte) bool, merged func(*Result) bool, emit func(string)) error {
	var labels []byte
	var all Result
	if !scans(&labels) || !merged(&all) {
		return nil // a shard has failed: a runner may come here before it ends the job
	}
	scan, err := unmarshalScan(labels)
	if err != nil {
		return err
	}
	factor := 1.0
	if r := f.Options.Reduction; r == "" || r == "mean" {
		if factor, err = meanFactor(all.totals[f.Options.Losses[0]]); err != nil {
			return err
		}
	}
	name := fmt.Sprintf("%s/gradient-%05d-of-%05d.npy", strings.TrimSuffix(f.Folder, "/"), shard.Number, shard.Of)
	if err := gradientOfShard(ctx, shard, &f.Options, scan, factor, name); err != nil {
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
