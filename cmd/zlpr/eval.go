package main

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/named"
	"github.com/zlpr/zlpr/metrics"
)

func newEval(s *session) *cobra.Command {
	var f evalFlags
	cmd := &cobra.Command{
		Use:   "eval [SCORES LABELS]",
		Short: "Losses, gradient and metrics of a matrix of scores",
		Long: `Evaluates a matrix of scores (logits: no sigmoid or softmax before) against
labels. Without files it evaluates an embedded sample: the test rows of the
model that zlpr train fits to Go's own source, by all losses.

Scores are .npy (float16, float32, float64, bfloat16 by --dtype; any number of
axes, of which the last is the classes), an array of an .npz or a .safetensors
(file.npz:key; the only one needs no key), a tensor of what torch.save wrote
(file.pt:key, with dots between the keys of dictionaries and the places in
lists), CSV, or a sparse matrix that scipy.sparse.save_npz wrote, whose unlisted
scores are -Inf; - is standard input. Labels and masks are 0 or 1 in the same
formats, of any type; labels may also be multi-label libsvm or
extreme-classification text, or integers of one axis less: the number of the one
positive class, -1 for none. Labels between 0 and 1 are soft. Files are
recognised by their content, and by their name where that does not tell (.csv,
.svm, .txt); gzip, bzip2 and zstd are unpacked. They may be larger than memory:
they are mapped, or go through a temporary file.

What has an entry a row (scores, labels, mask, lengths, row weights) may be in
several files, one after another: a pattern in quotes ('out/s-*.npy') stands for
those that match it, in natural order; a manifest (.json) lists them:

  {"shards": [{"scores": "s-0.npy", "labels": "y-0.npy", "rows": 1000}, …]}

with the keys scores, labels, mask, lengths, row_weights and rows, which can be
left out, and names relative to its folder. The results, and the outputs, are
those of one file.

The metrics are ` + "micro_, macro_, weighted_ and samples_ f1, precision and\nrecall, subset_accuracy, hamming_loss, samples_jaccard, lrap, coverage_error,\nranking_loss, one_error, precision_at_K, recall_at_K, ndcg_at_K, psp_at_K,\npsndcg_at_K, micro_ and macro_ auc and average_precision." + ` The last four keep
all scores in memory; beyond 64 million scores, or with --area-bits, they are of
scores in bins, and the bounds are given between which they lie. With all, K is 1,
3 and 5; it leaves out psp and psndcg, whose propensities are from the labels at
hand.

The losses of a row of scores s, its positives P and negatives N, which zlpr
explain LOSS says more of; mean is over the rows:

` + lossLines(lossNames) + `
--reduction is what --grad is the gradient of. With mean-classes the losses are
reported a second time, as means over the elements that take part: the weighted
sum over Σ row weight × classes of the row that the mask does not leave out.
That is PyTorch's mean where there are no weights.`,
		Example: `  zlpr eval
  zlpr eval S.npy Y.npy --loss zlpr,bce
  zlpr eval 'out/scores-*.npy' 'out/labels-*.npy'
  zlpr eval manifest.json
  zlpr eval --scores S.npy --labels Y.npz --loss all --metrics none --json
  zlpr eval --scores dump.npz:logits --labels dump.npz:targets --loss softmax
  zlpr eval --scores spans.npy --labels Y.npy --lengths N.npy --grad G.npy`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runEval(cmd.Context(), s, &f) },
	}
	f.declare(cmd, s, f.check)
	return cmd
}

// sampleData is the sample that eval evaluates without files: see
// internal/sample.
//
//go:embed internal/sample/sample.npz
var sampleData []byte

// sampleNames are the names of its classes.
//
//go:embed internal/sample/names.txt
var sampleNames string

const sampleName = "embedded sample"

func runEval(ctx context.Context, s *session, f *evalFlags) error {
	e := &evaluation{firstSoft: -1, all: f.loss == "all", workers: f.workers, thresholdColumn: f.thresholdColumn + 1, smoothing: f.smoothing, elements: f.reduction == meanClasses,
		options: zlpr.Options{Strict: f.strict, TopNegatives: f.topNegatives, TopScores: f.topScores}}
	report := &evalReport{Skipped: map[string]string{}, Tier: zlpr.Tier(), Version: version()}
	if err := f.openInputs(e); err != nil {
		return err
	}
	defer e.scores.Close()
	if err := f.openThresholds(&f.readFlags, e.scores.classes()); err != nil {
		return err
	}
	e.rule = f.rule()
	if err := f.openNames(e); err != nil {
		return err
	}
	if err := f.softAsOthers(ctx, e); err != nil {
		return err
	}
	e.zeroDivision = f.zero
	report.Warnings = append(report.Warnings, f.warnings...)
	report.read = fmt.Sprintf("%s (%s)", quoted(e.files["scores"]), e.scores.describe())
	if name := e.files["labels"]; name != "" {
		report.labels = fmt.Sprintf("%s (%s)", quoted(name), e.describeLabels())
	}
	if name := e.files["teacher"]; name != "" {
		report.teacher = quoted(name)
	}
	if err := f.choose(ctx, e, report); err != nil {
		return err
	}
	travel, err := f.createPartial(s, e)
	if err != nil {
		return err
	}
	plots, err := s.out.createAll(f.plots...)
	if err != nil {
		return err
	}
	pages, err := s.out.createAll(f.html, f.markdown)
	if err != nil {
		return err
	}
	if err := f.create(s, e); err != nil {
		return err
	}
	table, err := f.createClasses(s)
	if err != nil {
		return err
	}
	bar := s.progress("eval", e.scores.rows())
	e.progress = bar
	result, err := e.run(ctx)
	bar.close()
	if err != nil {
		return err
	}
	if travel != nil { // before fill, which says what merging says again
		travel.begin(e, report, f)
		if e.assumed {
			report.Warnings = append(report.Warnings, "labels are 0 or 1 here, and taken as soft ones: to be merged with shards that have some between")
		}
	}
	if err := report.fill(e, result); err != nil {
		return err
	}
	if travel != nil || f.asksPage() {
		if err := e.look(report.worst); err != nil {
			return err
		}
	}
	if travel != nil {
		if err := f.addSoft(ctx, e, travel); err != nil {
			return err
		}
		if err := travel.write(e, result); err != nil {
			return err
		}
	}
	if e.byClass {
		report.show = f.worst
		if err := report.fillClasses(e, result, table); err != nil {
			return err
		}
	}
	if f.hashes {
		if err := f.hash(); err != nil {
			return err
		}
	}
	report.Inputs, report.Parameters = f.inputs, f.parameters(e)
	if err := f.draw(e, report, result.bins, plots, pages, s); err != nil {
		return err
	}
	if f.json {
		return s.finish(report.writeJSON)
	}
	return s.finish(report.writeTable)
}

// files says which file has what.
func (f *evalFlags) files() map[string]string {
	m := map[string]string{"scores": f.scores, "teacher": f.teacher, "labels": f.labels, "mask": f.mask, "lengths": f.lengths,
		"row-weights": f.rowWeights, "class-weights": f.classWeights,
		"grad": f.grad, "per-row": f.perRow, "predictions": f.predictions, "by-class": f.byClass}
	if f.scores == "" {
		m["scores"], m["labels"] = sampleName, sampleName
	}
	return m
}

// openInputs opens the files as the flags say, and checks that every flag of reading
// had an effect.
func (f *evalFlags) openInputs(e *evaluation) error {
	e.files, e.shards = f.files(), map[string]*array.Shards{}
	if err := f.begin(); err != nil {
		return err
	}
	if err := f.open(e); err != nil {
		return err
	}
	if err := f.end(); err != nil {
		e.scores.Close()
		return err
	}
	return nil
}

// open opens the files.
func (f *evalFlags) open(e *evaluation) error {
	if f.scores == "" {
		err := openSample(e)
		if err == nil {
			f.noteSample(e)
		}
		return err
	}
	var err error
	if e.scores, err = f.openScores(f.scores); err != nil {
		return err
	}
	shape := e.scores.shape
	if f.lengths != "" {
		if e.mask, e.shards["mask"], err = f.openLengths(f.lengths, e.scores); err != nil {
			return err
		}
		e.files["mask"] = f.lengths
		if len(shape) == 4 {
			e.scores.flattenSpans() // a row is a head
		}
	}
	rows, classes := e.scores.rows(), e.scores.classes()
	e.shards["scores"] = shardsOf(e.scores, rows)
	if s := e.shards["mask"]; s != nil {
		e.shards["mask"] = s.Rows(rows)
	}
	if rows == 0 && !f.isPart() || classes == 0 {
		return fmt.Errorf("%s: empty: %s of %s; there is nothing to evaluate", f.scores, array.Counted(rows, "row"), array.Counted(classes, "class"))
	}
	if f.teacher != "" {
		if err := f.openTeacher(e); err != nil {
			return err
		}
	}
	if e.labels == nil && f.labels != "" {
		if e.labels, err = f.openBits(f.labels, "labels", e.scores); err != nil {
			return err
		}
		e.shards["labels"] = shardsOf(e.labels, rows)
	}
	if d, ok := e.labels.(*denseBits); ok && d.Type.IsFloat() {
		if e.firstSoft = firstSoft(d.Array); e.firstSoft >= 0 && e.teacher != nil {
			return fmt.Errorf("%s: soft labels beside --teacher, which takes their place; leave one of both out", quoted(f.labels))
		} else if e.firstSoft >= 0 {
			e.labels, e.soft = nil, d.Array
		}
	}
	if e.labels != nil && f.loss != "all" && slices.Contains(f.lossNames(), "zlpr-soft") {
		d, ok := e.labels.(*denseBits)
		if !ok {
			return fmt.Errorf("%s: zlpr-soft needs labels as a matrix; choose --loss zlpr for hard labels", f.labels)
		}
		e.labels, e.soft = nil, d.Array
	}
	if f.mask != "" {
		if e.mask, err = f.openBits(f.mask, "mask", e.scores); err != nil {
			return err
		}
		e.shards["mask"] = shardsOf(e.mask, rows)
	}
	if f.rowWeights != "" {
		if e.rowWeights, err = f.openWeights(f.rowWeights, "row weights", "row", rows, e.shards["scores"]); err != nil {
			return err
		}
	}
	if f.classWeights != "" {
		if e.classWeights, err = f.openWeights(f.classWeights, "class weights", "class", classes, nil); err != nil {
			return err
		}
	}
	if f.strict && e.scores.csr != nil {
		return fmt.Errorf("%s: the scores that a sparse matrix does not list are -Inf, which --strict forbids; leave it out", f.scores)
	}
	if f.thresholdColumn >= classes {
		return fmt.Errorf("%s: --threshold-column %d: there are %s, counted from 0", quoted(f.scores), f.thresholdColumn, array.Counted(classes, "column"))
	}
	if f.K > classes {
		return fmt.Errorf("%s: --k %d is more than the %s; choose at most %d", f.scores, f.K, array.Counted(classes, "class"), classes)
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
	if err := f.chooseMetrics(e, report); err != nil {
		return err
	}
	f.chooseBins(e)
	if err := f.chooseClasses(e); err != nil {
		return err
	}
	e.tunes = f.tunes(e.metrics)
	e.pictures = (f.asksPage() || len(f.plots) > 0) && (e.labels != nil || e.soft != nil)
	names, all := f.lossNames(), f.loss == "all"
	rows, classes := e.scores.rows(), e.scores.classes()
	weighs := slices.ContainsFunc(e.metrics, byPropensity)
	padded := slices.Contains(names, "subset-padded") && f.K == 0 && e.teacher == nil
	mean := f.grad != "" && (f.reduction == "mean" || e.elements)
	e.factor = 1
	balanced := named.Balance(names) && e.soft == nil && e.teacher == nil
	if balanced && !all && f.isPart() && f.labelScan == "" {
		return usagef("loss %s: its counts are those of the labels of all shards; give what zlpr scan says of them by --scan", f.loss)
	}
	if err := f.needsScan(padded && e.soft == nil, weighs); err != nil {
		return err
	}
	if f.divisorFrom != "" {
		mean = false
		var err error
		if e.factor, err = f.divisor(e, names[0]); err != nil {
			return err
		}
	}
	if mean {
		e.factor = 1 / float64(rows)
		if e.elements {
			e.factor = 1 / (float64(rows) * float64(classes-min(e.thresholdColumn, 1)))
		}
	}
	k := f.K
	counts := mean && (e.mask != nil || e.rowWeights != nil || e.labels != nil && e.teacher == nil && named.OneTarget(names[0])) // not all rows alike
	flags := f.lossFlags
	if all && e.soft == nil && e.teacher == nil || padded || balanced || weighs || counts {
		s, err := e.scan(ctx, counts, all, names[0])
		if err != nil {
			return err
		}
		if s.fault.positives != 1 {
			s.fault.skip(report.Skipped)
			e.softmaxFault = &s.fault
		}
		if f.labelScan != "" {
			if err := f.takeScan(s, classes); err != nil {
				return err
			}
		}
		if padded {
			k = max(1, s.most)
		}
		flags.Counts, flags.Rows = s.positives, s.rows
		if counts {
			if e.factor, err = e.meanFactor(names[0], s); err != nil {
				return err
			}
		}
		if weighs {
			e.propensity = metrics.Propensities(s.positives, s.rows, propensityA, propensityB)
			report.Warnings = append(report.Warnings, "propensities are from all labels, with A = 0.55 and B = 1.5")
		}
	}
	positiveWeight, err := f.positiveWeight(classes)
	if err != nil {
		return err
	}
	flags.K = k
	if slices.Contains(names, "subset-padded") {
		e.k = k
	}
	for _, name := range names {
		if report.Skipped[name] != "" {
			continue
		}
		loss, err := flags.newLoss(name, positiveWeight)
		if err != nil {
			return err
		}
		if e.teacher != nil {
			if !slices.Contains(distilled, name) {
				report.Skipped[name] = "it has no form for a teacher"
				continue
			}
			loss = f.distill(loss)
		}
		if name == "zlpr-soft" && e.soft == nil || e.soft != nil && !slices.Contains(named.SoftLosses, name) {
			if all {
				report.Skipped[name] = "labels are hard"
				if e.soft != nil {
					report.Skipped[name] = "labels are soft"
				}
				continue
			}
			if e.firstSoft < 0 {
				return usagef("--loss zlpr-soft reads labels as soft, which %s does not take; evaluate them apart", name)
			}
			var buffer []float64
			file, place := e.where("labels", e.firstSoft/classes, e.firstSoft%classes)
			return fmt.Errorf("%s: %s: label %v is soft, which --loss %s does not take; write 0 or 1, or choose --loss %s",
				quoted(file), place,
				elements(e.soft, &buffer, e.firstSoft, e.firstSoft+1)[0], name, strings.Join(named.SoftLosses, " or --loss "))
		}
		if err := e.accepts(loss); err != nil {
			if all {
				report.Skipped[name] = oneLine(err)
				continue
			}
			return usagef("loss %s: %s", name, flagNames.Replace(err.Error()))
		}
		e.losses = append(e.losses, namedLoss{name, loss})
	}
	return nil
}

// tunes tells whether another threshold is looked for, that of the highest micro
// F1: where scores are kept.
func (f *evalFlags) tunes(names []string) bool {
	return f.byThreshold() && f.predictTop == 0 && f.thresholdColumn < 0 && f.each == nil &&
		slices.Contains(names, "micro_f1") && slices.ContainsFunc(names, metrics.NeedsScores)
}

// accepts asks the library, by a row of two classes, whether a loss goes with
// the options.
func (e *evaluation) accepts(loss zlpr.Loss) error {
	row := zlpr.Matrix[float32]{Rows: 1, Cols: 2, Data: make([]float32, 2), Stride: 2}
	b := zlpr.Batch[float32]{ThresholdColumn: min(e.thresholdColumn, 1) * 2, Smoothing: e.smoothing}
	switch {
	case e.teacher != nil:
		b.Teacher = row
	case e.soft != nil:
		b.Soft = row
	}
	if e.classWeights != nil {
		b.ClassWeights = []float64{1, 1}
	}
	return named.Accepts(loss, e.options, &b)
}

func (f *evalFlags) chooseMetrics(e *evaluation, report *evalReport) error {
	if f.metrics == "none" {
		return nil
	}
	if e.labels == nil && e.soft == nil {
		if f.metrics != "all" {
			return usagef("metrics need labels; give them by --labels, or use --metrics none")
		}
		report.Warnings = append(report.Warnings, "no metrics: there are no labels")
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
	e.metrics = metrics.All(1, 3, 5)
	return nil
}

// create begins the output files.
func (f *evalFlags) create(s *session, e *evaluation) (err error) {
	rows, classes := e.scores.rows(), e.scores.classes()
	shape := e.scores.shape
	if e.scores.dense != nil && len(e.scores.dense.Shape) > 0 {
		shape = e.scores.dense.Shape // span scores keep their axes
	}
	t := array.Float32
	if e.double() {
		t = array.Float64
	}
	if e.grad, err = s.out.createArray(f.grad, t, shape, classes); err != nil {
		return err
	}
	if e.perRow, err = s.out.createArray(f.perRow, array.Float64, []int{rows}, 1); err != nil {
		return err
	}
	e.predictions, err = s.out.createArray(f.predictions, array.Uint8, shape, classes)
	return err
}
