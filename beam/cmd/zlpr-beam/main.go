// Zlpr-beam evaluates the shards of a manifest in a pipeline of Apache Beam.
//
//	zlpr-beam --manifest m.json --loss all --out report.json
//	zlpr-beam --manifest gs://b/m.json --loss zlpr --grad gs://b/g --out gs://b/report.json --runner dataflow …
//
// The flags of losses and metrics are those of zlpr eval; --runner and the flags of
// runners are those of Beam's SDK. Without --runner it runs on Prism, in this
// process.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/memfs"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/s3"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"

	zlprbeam "github.com/zlpr/zlpr/beam"
)

var (
	options = zlprbeam.Options{Parameters: zlprbeam.DefaultParameters}

	manifest  = flag.String("manifest", "", "`file` that lists the shards: their scores, labels, mask or lengths, and row_weights")
	out       = flag.String("out", "", "write the report, an object of JSON, to this `file`")
	grad      = flag.String("grad", "", "write the gradient of every shard to this `folder`, as .npy files")
	losses    = flag.String("loss", "zlpr", "losses, separated by commas, or all")
	measures  = flag.String("metrics", "all", "all, none, or names separated by commas")
	posWeight = flag.String("pos-weight", "", "weight of the positives in bce")
	threshold = flag.String("predict-threshold", "", "a class is predicted above this score (default: s0)")
)

func init() {
	p := &options.Parameters
	flag.Float64Var(&p.S0, "s0", p.S0, "threshold of zlpr, zlpr-soft, bce, subset-padded and class-balanced")
	flag.IntVar(&p.K, "k", p.K, "K of subset-padded (default: the most positives of a row)")
	flag.Float64Var(&p.Gamma, "gamma", p.Gamma, "scale of pairwise")
	flag.Float64Var(&p.Margin, "margin", p.Margin, "margin of pairwise")
	flag.Float64Var(&p.Focal, "focal", p.Focal, "focal exponent of bce and class-balanced")
	flag.Float64Var(&p.GammaPositive, "gamma-positive", p.GammaPositive, "exponent of the positives of asymmetric")
	flag.Float64Var(&p.GammaNegative, "gamma-negative", p.GammaNegative, "exponent of the negatives of asymmetric")
	flag.Float64Var(&p.Shift, "shift", p.Shift, "probability below which negatives of asymmetric count for nothing")
	flag.Float64Var(&p.PositiveTemperature, "positive-temperature", p.PositiveTemperature, "temperature of the positives of two-way")
	flag.Float64Var(&p.NegativeTemperature, "negative-temperature", p.NegativeTemperature, "temperature of the negatives of two-way")
	flag.Float64Var(&p.Beta, "beta", p.Beta, "β of the effective numbers of samples of class-balanced")
	flag.StringVar(&options.ClassWeights, "class-weights", "", "`file` of the weights of the classes")
	flag.BoolVar(&options.Soft, "soft", false, "labels lie between 0 and 1")
	flag.BoolVar(&options.Strict, "strict", false, "a score that is NaN or infinite is an error")
	flag.IntVar(&options.PredictTop, "predict-top", 0, "the `K` highest classes of a row are predicted")
	flag.IntVar(&options.AreaBits, "area-bits", 0, "areas by the `N` leading bits of the scores, 8 to 22, with bounds, in constant memory")
	flag.StringVar(&options.Reduction, "reduction", "mean", "what the gradient is of: none, sum or mean")
	flag.IntVar(&options.Workers, "workers", runtime.GOMAXPROCS(0), "threads that compute a shard")
}

// take takes the flags that are text.
func take() error {
	switch {
	case *manifest == "":
		return fmt.Errorf("give the --manifest that lists the shards")
	case *out == "":
		return fmt.Errorf("give the file of the report: --out report.json")
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case *grad != "" && (*losses == "all" || strings.Contains(*losses, ",")):
		return fmt.Errorf("--grad needs one loss; choose it by --loss")
	}
	if *losses != "" {
		options.Losses = strings.Split(*losses, ",")
	}
	if *measures != "none" {
		options.Metrics = strings.Split(*measures, ",")
	}
	for _, f := range []struct {
		name, text string
		to         **float64
	}{{"pos-weight", *posWeight, &options.PosWeight}, {"predict-threshold", *threshold, &options.PredictThreshold}} {
		if f.text == "" {
			continue
		}
		x, err := strconv.ParseFloat(f.text, 64)
		if err != nil {
			return fmt.Errorf("--%s %q is no number", f.name, f.text)
		}
		*f.to = &x
	}
	return options.Check()
}

func run(ctx context.Context) error {
	if err := zlprbeam.CheckManifest(ctx, *manifest); err != nil {
		return err
	}
	p, s := beam.NewPipelineWithRoot()
	results := zlprbeam.Evaluate(s, beam.Create(s, *manifest), options)
	zlprbeam.Write(s, *out, zlprbeam.Report(s, results, options))
	if *grad != "" {
		zlprbeam.Gradients(s, *grad, results, options)
	}
	return beamx.Run(ctx, p)
}

func main() {
	flag.Parse()
	beam.Init()
	if err := take(); err != nil {
		fmt.Fprintln(os.Stderr, "zlpr-beam:", err)
		os.Exit(2)
	}
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "zlpr-beam:", cause(err))
		os.Exit(1)
	}
}

// failed is what Beam says before the error of a function of the pipeline.
var failed = regexp.MustCompile(`(?s)^.*(?:DoFn|CombineFn|MergeAccumulators)[^\n]*\n`)

// cause returns the line of an error of a pipeline that says what is wrong; around it
// Beam describes the stage.
func cause(err error) string {
	text := failed.ReplaceAllString(err.Error(), "")
	line, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(text), "caused by:\n"), "\n")
	if line == "" {
		return err.Error()
	}
	return line
}
