package main

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/metrics"
)

type evalFlags struct {
	lossFlags
	scores, labels, mask, lengths string
	rowWeights, classWeights      string
	loss, metrics, reduction      string
	threshold                     float64
	topNegatives, topScores       int
	strict                        bool
	grad, perRow, predictions     string
	plots                         []string
	workers                       int
	json                          bool
}

func newEval() *cobra.Command {
	var f evalFlags
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Losses, gradient and metrics of a matrix of scores",
		Long: `Evaluates a matrix of scores (logits: no sigmoid or softmax before) against
labels. Without files it evaluates an embedded sample: the test rows of the
model that zlpr train fits to Go's own source, by all losses.

Scores are .npy (float16, float32, float64; any number of axes, of which the
last is the classes), an array of an .npz (file.npz:key), CSV, or a sparse
matrix that scipy.sparse.save_npz wrote, whose unlisted scores are -Inf. Labels
and masks are 0 or 1 in the same formats, of any type; labels may also be
multi-label libsvm or extreme-classification text (.txt, .svm), or integers of
one axis less: the number of the one positive class, -1 for none. Labels
between 0 and 1 are soft. The files may be larger than memory; only labels of
text are kept, and where the rows of a sparse matrix begin.

The metrics are ` + "micro_, macro_, weighted_ and samples_ f1, precision and\nrecall, subset_accuracy, hamming_loss, samples_jaccard, lrap, coverage_error,\nranking_loss, one_error, precision_at_K, recall_at_K, ndcg_at_K, psp_at_K,\npsndcg_at_K, micro_ and macro_ auc and average_precision." + ` The last four keep
all scores in memory. With all, K is 1, 3 and 5; it leaves out the last four
beyond 64 million scores, and psp and psndcg, whose propensities are from the
labels at hand.`,
		Example: `  zlpr eval
  zlpr eval --scores S.npy --labels Y.npy --loss zlpr,bce
  zlpr eval --scores S.npy --labels Y.npz --loss all --metrics none --json
  zlpr eval --scores dump.npz:logits --labels dump.npz:targets --loss softmax
  zlpr eval --scores spans.npy --labels Y.npy --lengths N.npy --grad G.npy`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runEval(cmd, &f)
		},
	}
	s := cmd.Flags()
	s.SortFlags = false
	s.StringVar(&f.scores, "scores", "", "scores `file`")
	s.StringVar(&f.labels, "labels", "", "labels `file`")
	s.StringVar(&f.loss, "loss", "zlpr", "losses, separated by commas: "+strings.Join(lossNames, ", ")+", all\n(without files: all)")
	s.StringVar(&f.mask, "mask", "", "mask `file`: 1 takes part, 0 is left out")
	s.StringVar(&f.lengths, "lengths", "", "lengths `file`, for padded scores: of rows×classes, batch×L×classes or\nspans batch×heads×L×L")
	s.Float64Var(&f.S0, "s0", 0, "threshold of zlpr, zlpr-soft, bce and subset-padded")
	s.Float64Var(&f.threshold, "predict-threshold", 0, "a class is predicted above this score (default: s0)")
	s.IntVar(&f.K, "k", 0, "K of subset-padded (default: the most positives of a row)")
	s.Float64Var(&f.Gamma, "gamma", 1, "scale of pairwise")
	s.Float64Var(&f.Margin, "margin", 0, "margin of pairwise")
	s.Float64Var(&f.Focal, "focal", 0, "focal exponent of bce")
	s.StringVar(&f.PosWeight, "pos-weight", "", "weight of the positives in bce: a number, or a `file` with one a class")
	s.StringVar(&f.rowWeights, "row-weights", "", "weights `file`, one a row")
	s.StringVar(&f.classWeights, "class-weights", "", "weights `file`, one a class")
	s.IntVar(&f.topNegatives, "top-negatives", 0, "only the `m` highest negatives of a row count")
	s.IntVar(&f.topScores, "top-scores", 0, "only negatives among the `m` highest scores of a row count")
	s.BoolVar(&f.strict, "strict", false, "a score that is NaN or infinite is an error")
	s.StringVar(&f.reduction, "reduction", "mean", "what the gradient is of: none, sum or mean")
	s.StringVar(&f.grad, "grad", "", "write the gradient to this .npy `file`: in the scores' type, float32 for float16")
	s.StringVar(&f.perRow, "per-row", "", "write the loss of every row to this .npy `file`")
	s.StringVar(&f.predictions, "predictions", "", "write the predicted classes to this .npy `file`")
	s.StringVar(&f.metrics, "metrics", "all", "all, none, or names separated by commas")
	s.StringSliceVar(&f.plots, "plot", nil, "draw the histogram of the scores to this .svg or .png `file`")
	s.IntVar(&f.workers, "workers", runtime.GOMAXPROCS(0), "number of threads that compute")
	s.BoolVar(&f.json, "json", false, "print one JSON object")
	completeWords(cmd, "loss", append(slices.Clone(lossNames), "all"))
	completeWords(cmd, "metrics", append(metrics.All(1, 3, 5), "all", "none"))
	completeWords(cmd, "reduction", []string{"none", "sum", "mean"})
	return cmd
}

// completeWords makes the shell complete a flag with words.
func completeWords(cmd *cobra.Command, flag string, words []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// sampleData is the sample that eval evaluates without files: see
// internal/sample.
//
//go:embed internal/sample/sample.npz
var sampleData []byte

const sampleName = "embedded sample"

func runEval(cmd *cobra.Command, f *evalFlags) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	ctx := cmd.Context()
	e := &evaluation{workers: f.workers, files: f.files(), options: zlpr.Options{
		Strict: f.strict, TopNegatives: f.topNegatives, TopScores: f.topScores}}
	report := &evalReport{Skipped: map[string]string{}, Tier: zlpr.Tier()}
	if err := f.open(e); err != nil {
		return err
	}
	defer e.scores.Close()
	report.read = fmt.Sprintf("%s (%s)", e.files["scores"], e.scores.describe())
	report.labels = fmt.Sprintf("%s (%s)", e.files["labels"], e.describeLabels())
	if err := f.choose(ctx, e, report); err != nil {
		return err
	}
	if err := f.create(e); err != nil {
		return err
	}
	defer e.grad.Abort()
	defer e.perRow.Abort()
	defer e.predictions.Abort()
	var out outputs
	defer out.abort()
	if err := out.create(f.plots...); err != nil {
		return err
	}
	e.progress = newProgress("eval", e.scores.rows())
	result, err := e.run(ctx)
	e.progress.close()
	if err != nil {
		return err
	}
	if err := report.fill(e, result); err != nil {
		return err
	}
	if len(f.plots) > 0 {
		if err := plotScores(e, f.threshold, &out, f.plots); err != nil {
			return err
		}
	}
	if err := out.commit(); err != nil {
		return err
	}
	for _, w := range []*array.Writer{e.grad, e.perRow, e.predictions} {
		if err := w.Commit(); err != nil {
			return err
		}
	}
	if f.json {
		return report.writeJSON(cmd.OutOrStdout())
	}
	return report.writeTable(cmd.OutOrStdout())
}

// check checks what can be checked without the files.
func (f *evalFlags) check(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	switch {
	case (f.scores == "") != (f.labels == ""):
		return usagef("give both --scores and --labels, or none for the embedded sample")
	case f.workers < 1:
		return usagef("--workers %d: at least 1", f.workers)
	case f.K < 0:
		return usagef("--k %d: at least 1", f.K)
	case f.topNegatives < 0 || f.topScores < 0:
		return usagef("--top-negatives and --top-scores: at least 1")
	case f.S0-f.S0 != 0:
		return usagef("--s0 %v: a finite number", f.S0)
	case f.Margin-f.Margin != 0:
		return usagef("--margin %v: a finite number", f.Margin)
	case math.IsNaN(f.threshold):
		return usagef("--predict-threshold %v: a number", f.threshold)
	case !(f.Gamma > 0) || math.IsInf(f.Gamma, 1):
		return usagef("--gamma %v: a number above 0", f.Gamma)
	case !(f.Focal >= 0) || math.IsInf(f.Focal, 1):
		return usagef("--focal %v: a number of at least 0", f.Focal)
	case f.mask != "" && f.lengths != "":
		return usagef("--mask and --lengths exclude each other; put both into one mask")
	case !slices.Contains([]string{"none", "sum", "mean"}, f.reduction):
		return usagef("--reduction %q: choose none, sum or mean", f.reduction)
	}
	if !changed("predict-threshold") {
		f.threshold = f.S0
	}
	if f.scores == "" && !changed("loss") {
		f.loss = "all"
	}
	names := f.lossNames()
	for _, name := range names {
		if _, err := f.newLoss(name, nil); err != nil {
			return err
		}
	}
	if (f.grad != "" || f.perRow != "") && (len(names) != 1 || f.loss == "all") {
		return usagef("--grad and --per-row need one loss; choose it by --loss")
	}
	if f.metrics != "all" && f.metrics != "none" {
		// A row of one class is enough to have the names checked.
		for _, name := range f.metricNames() {
			_, err := metrics.NewAccumulator[float32](1, []string{name}, metrics.Options{Propensities: []float64{1}})
			if err != nil {
				return usagef("--metrics: unknown metric %q; zlpr eval --help lists them", name)
			}
		}
	}
	npy := []string{".npy"}
	return checkOutputs(append(plotOutputs(f.plots), output{"grad", f.grad, npy},
		output{"per-row", f.perRow, npy}, output{"predictions", f.predictions, npy})...)
}

func (f *evalFlags) lossNames() []string {
	if f.loss == "all" {
		return slices.Clone(lossNames)
	}
	var names []string
	for name := range strings.SplitSeq(f.loss, ",") {
		if name = strings.TrimSpace(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (f *evalFlags) metricNames() []string {
	names := strings.Split(f.metrics, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

// files says which file has what.
func (f *evalFlags) files() map[string]string {
	if f.scores == "" {
		return map[string]string{"scores": sampleName, "labels": sampleName}
	}
	m := map[string]string{"scores": f.scores, "labels": f.labels, "mask": f.mask, "lengths": f.lengths,
		"row-weights": f.rowWeights, "class-weights": f.classWeights}
	return m
}

// open opens the files.
func (f *evalFlags) open(e *evaluation) error {
	if f.scores == "" {
		return openSample(e)
	}
	var err error
	if e.scores, err = openScores(f.scores); err != nil {
		return err
	}
	shape := e.scores.shape
	if f.lengths != "" {
		if e.mask, err = openLengths(f.lengths, shape); err != nil {
			return err
		}
		e.files["mask"] = f.lengths
		if len(shape) == 4 {
			e.scores.flattenSpans() // a row is a head
		}
	}
	rows, classes := e.scores.rows(), e.scores.classes()
	if rows == 0 || classes == 0 {
		return fmt.Errorf("%s: empty: %d rows of %d classes; there is nothing to evaluate", f.scores, rows, classes)
	}
	if e.labels == nil {
		if e.labels, err = openBits(f.labels, "labels", e.scores); err != nil {
			return err
		}
	}
	if d, ok := e.labels.(*denseBits); ok && d.Type.IsFloat() {
		if e.firstSoft = firstSoft(d.Array); e.firstSoft >= 0 {
			e.labels, e.soft = nil, d.Array
		}
	}
	if e.labels != nil && f.loss == "zlpr-soft" {
		d, ok := e.labels.(*denseBits)
		if !ok {
			return fmt.Errorf("%s: zlpr-soft needs labels as a matrix; choose --loss zlpr for hard labels", f.labels)
		}
		e.labels, e.soft = nil, d.Array
	}
	if f.mask != "" {
		if e.mask, err = openBits(f.mask, "mask", e.scores); err != nil {
			return err
		}
	}
	if f.rowWeights != "" {
		if e.rowWeights, err = openWeights(f.rowWeights, "row weights", "row", rows); err != nil {
			return err
		}
	}
	if f.classWeights != "" {
		if e.classWeights, err = openWeights(f.classWeights, "class weights", "class", classes); err != nil {
			return err
		}
	}
	if f.strict && e.scores.csr != nil {
		return fmt.Errorf("%s: the scores that a sparse matrix does not list are -Inf, which --strict forbids; leave it out", f.scores)
	}
	if f.K > classes {
		return fmt.Errorf("%s: --k %d is more than the %d classes; choose at most %d", f.scores, f.K, classes, classes)
	}
	return nil
}

// firstSoft returns the place of the first label between 0 and 1, or -1.
func firstSoft(a *array.Array) int {
	var buffer []float64
	for from := 0; from < a.Len(); from += blockScores {
		for i, v := range elements(a, &buffer, from, min(from+blockScores, a.Len())) {
			if v > 0 && v < 1 {
				return from + i
			}
		}
	}
	return -1
}

func openSample(e *evaluation) error {
	z, err := array.ReadArchive(sampleName, sampleData)
	if err != nil {
		return err
	}
	scores, err := z.Open("scores")
	if err != nil {
		return err
	}
	labels, err := z.Open("labels")
	if err != nil {
		return err
	}
	e.scores = &scoreSource{name: sampleName, dtype: scores.Type, shape: scores.Shape, dense: scores}
	rows, classes := scores.Rows()
	e.labels = &denseBits{labels, rows, classes}
	return nil
}

// choose chooses losses and metrics that the labels allow.
func (f *evalFlags) choose(ctx context.Context, e *evaluation, report *evalReport) error {
	names := f.lossNames()
	rows, classes := e.scores.rows(), e.scores.classes()
	all := f.loss == "all"
	if err := f.chooseMetrics(e, report); err != nil {
		return err
	}
	mean := f.grad != "" && f.reduction == "mean"
	padded := slices.Contains(names, "subset-padded") && f.K == 0
	weighs := slices.ContainsFunc(e.metrics, func(s string) bool { return strings.HasPrefix(s, "ps") })
	e.factor = 1
	if mean {
		e.factor = 1 / float64(rows)
	}
	if len(names) == 1 {
		e.losses = []namedLoss{{name: names[0]}} // for the scan
	}
	if all && e.soft == nil || padded || weighs || mean && (e.mask != nil || e.rowWeights != nil || e.labels != nil && names[0] == "softmax") {
		s, err := e.scanLabels(ctx)
		if err != nil {
			return err
		}
		if all && e.soft == nil && !s.single {
			report.Skipped["softmax"] = s.reason
		}
		if padded {
			f.K = max(1, s.most)
			defer func() { f.K = 0 }()
		}
		if mean {
			if !(s.weights > 0) {
				return e.noRows(names[0])
			}
			e.factor = 1 / s.weights
		}
		if weighs {
			e.propensity = metrics.Propensities(s.positives, rows, 0.55, 1.5)
			report.Warnings = append(report.Warnings, "propensities are from the labels of this file, with A = 0.55 and B = 1.5")
		}
	}
	positiveWeight, err := f.positiveWeight(classes)
	if err != nil {
		return err
	}
	e.losses = nil
	for _, name := range names {
		if report.Skipped[name] != "" {
			continue
		}
		loss, err := f.newLoss(name, positiveWeight)
		if err != nil {
			return err
		}
		if (name == "zlpr-soft") != (e.soft != nil) {
			if all {
				report.Skipped[name] = "labels are hard"
				if e.soft != nil {
					report.Skipped[name] = "labels are soft"
				}
				continue
			}
			var buffer []float64
			return fmt.Errorf("%s: row %d, column %d: label %v is soft, which --loss %s does not take; write 0 or 1, or choose --loss zlpr-soft",
				f.labels, e.firstSoft/classes, e.firstSoft%classes, elements(e.soft, &buffer, e.firstSoft, e.firstSoft+1)[0], name)
		}
		options := e.options
		if _, err := zlpr.NewEvaluator[float32](loss, options); err != nil {
			if all {
				report.Skipped[name] = oneLine(err)
				continue
			}
			return usagef("loss %s: %w", name, err)
		}
		if e.classWeights != nil && all && !takesClassWeights(loss) {
			report.Skipped[name] = "takes no class weights"
			continue
		}
		e.losses = append(e.losses, namedLoss{name, loss})
	}
	return nil
}

// takesClassWeights asks the library.
func takesClassWeights(loss zlpr.Loss) bool {
	v, err := zlpr.NewEvaluator[float32](loss, zlpr.Options{Workers: 1})
	if err != nil {
		return false
	}
	_, err = v.Evaluate(context.Background(), &zlpr.Batch[float32]{
		Scores:       zlpr.Matrix[float32]{Rows: 1, Cols: 1, Data: []float32{0}, Stride: 1},
		Labels:       &zlpr.TargetLabels{Classes: 1, Targets: []int32{0}},
		ClassWeights: []float64{1},
	}, nil)
	return err == nil
}

func (f *evalFlags) chooseMetrics(e *evaluation, report *evalReport) error {
	e.rule = metrics.Above(f.threshold)
	if f.loss == "softmax" {
		e.rule = metrics.Top(1)
	}
	if f.metrics == "none" {
		return nil
	}
	if e.soft != nil {
		if f.metrics != "all" {
			return fmt.Errorf("%s: metrics need hard labels; use --metrics none", f.labels)
		}
		report.Warnings = append(report.Warnings, "no metrics: labels are soft")
		return nil
	}
	if f.metrics != "all" {
		e.metrics = f.metricNames()
		return nil
	}
	const keep = 64 << 20
	rows, classes := e.scores.rows(), e.scores.classes()
	for _, name := range metrics.All(1, 3, 5) {
		if metrics.NeedsScores(name) && rows*classes > keep {
			continue
		}
		e.metrics = append(e.metrics, name)
	}
	if rows*classes > keep {
		report.Warnings = append(report.Warnings, "areas (auc, average_precision) are left out: they need all scores in memory; ask for them by --metrics")
	}
	return nil
}

// positiveWeight returns the positive weight of every class.
func (f *evalFlags) positiveWeight(classes int) ([]float64, error) {
	if f.PosWeight == "" {
		return nil, nil
	}
	if w, err := strconv.ParseFloat(f.PosWeight, 64); err == nil {
		if !(w >= 0) || math.IsInf(w, 1) {
			return nil, usagef("--pos-weight %s: a number of at least 0, or a file", f.PosWeight)
		}
		return slices.Repeat([]float64{w}, classes), nil
	}
	return openWeights(f.PosWeight, "positive weights", "class", classes)
}

// create creates the output files.
func (f *evalFlags) create(e *evaluation) (err error) {
	rows, classes := e.scores.rows(), e.scores.classes()
	shape := e.scores.shape
	if e.scores.dense != nil && len(e.scores.dense.Shape) > 0 {
		shape = e.scores.dense.Shape // span scores keep their axes
	}
	t := array.Float32
	if e.scores.dtype == array.Float64 {
		t = array.Float64
	}
	defer func() {
		if err != nil {
			e.grad.Abort()
			e.perRow.Abort()
			e.predictions.Abort()
		}
	}()
	if f.grad != "" {
		if e.grad, err = array.Create(f.grad, t, shape, classes); err != nil {
			return err
		}
	}
	if f.perRow != "" {
		if e.perRow, err = array.Create(f.perRow, array.Float64, []int{rows}, 1); err != nil {
			return err
		}
	}
	if f.predictions != "" {
		e.predictions, err = array.Create(f.predictions, array.Uint8, shape, classes)
	}
	return err
}
