package main

import (
	"context"
	"errors"
	"fmt"
	"github.com/zlpr/zlpr/internal/array"
	"io"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/linear"
	"github.com/zlpr/zlpr/internal/named"
	"github.com/zlpr/zlpr/metrics"
)

//go:generate go run . train --test-scores internal/sample/sample.npz --class-names internal/sample/names.txt
//go:generate go run . eval --plot ../../docs/sample.svg

type trainFlags struct {
	featureFlags
	lossFlags
	teacherFlags
	pageFlags
	pathFlags
	y, split, source  string
	loss              string
	l2, tolerance     float64
	iterations        int
	standardize       bool
	compare           bool
	seed              uint64
	out, testScores   string
	classNames        string
	plots             []string
	workers           int
	json              bool
	standardMean, std []float64
}

var (
	trainLosses      = []string{"zlpr", "bce", "softmax", "pairwise", "subset-padded", "asymmetric", "two-way", "distribution-balanced", "class-balanced", "class-balanced-softmax"}
	comparableLosses = []string{"bce", "zlpr", "pairwise", "subset-padded", "asymmetric", "two-way", "distribution-balanced", "class-balanced"}
)

func newTrain(s *session) *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Train a linear multi-label model",
		Long: `Fits scores = x·W + b to the minimum of

	mean over the train rows of the loss + (λ/2)·Σ W²

by L-BFGS, for bce by Newton's method class by class, and prints the metrics of the test rows: classes with a score above 0 are
predicted (by softmax the highest, by subset-padded at most K of them), with no
class weights and no tuned thresholds.

Without files it trains on Go's own source: a row is a file of GOROOT/src, its
labels the packages of the standard library that it imports (those imported by
10 files or more), its features its identifiers (those in 3 files or more,
without the names of packages), scaled to length 1. One file in five, by a
hash of its path, is a test row.

Features are .npy or CSV, a sparse matrix that scipy.sparse.save_npz wrote, the
three arrays of one (--x-csr), or libsvm text, which has the labels as well;
gzip and bzip2 are unpacked. Labels are rows × classes in the same formats; for
--loss softmax also one class number a row, -1 for a row that is left out.

With --teacher the loss is the divergence from a teacher's scores of the same rows, at
--temperature, and labels are for the metrics, and for the choices of --l2 auto.

--l2 auto chooses λ and one threshold, or one for every class (--per-class), on
validation rows held out of the train rows: a third of them, by --seed, or those
that have the number N of --validation in the split file. A path of λ goes from
strong to weak by factors of √10, each model starting from the one before, down to
where the measure of --select turns; it is cross-fitted, as zlpr tune says. Then
all train rows are trained on by the λ chosen. The threshold is saved with the
model, and zlpr predict --as classes takes it; measures are given at 0 and at it.

Training ends when the duality gap tells that the objective is within tolerance
of its minimum, so that every start leads to the same one (G and g being the
gradients by W and b, r the largest norm of a row, h the second derivatives by
b, class by class)

	(|G| + r·|g|)²/(2λ) + Σ g²/h  ≤  tolerance·objective

or where float64 cannot lower it any further: when 20 iterations lower it by
less than 1e-15 of it. With λ = 0 there is no gap, and training ends when 20
iterations lower the objective by less than tolerance/100 of it. The asymmetric loss is
not convex: its end is a point where the gradient is as small as that, and the gap
no bound.`,
		Example: `  zlpr train
  zlpr train --compare --plot train.svg
  zlpr train --l2 auto --select macro_f1 --per-class --out model.npz
  zlpr train --x X.npy --y Y.npy --split split.npy --standardize --out model.npz
  zlpr train --x-csr indptr.npy,indices.npy,data.npy --features 500 --y Y.npy --l2 1e-3`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTrain(cmd.Context(), s, &f) },
	}
	f.table().declare(cmd, s, f.check)
	f.set = cmd.Flags().Changed
	return cmd
}

// table is the flags of train.
func (f *trainFlags) table() flagTable {
	f.lambda, f.measure, f.Parameters = "1e-5", "micro_f1", named.Default
	f.loss, f.tolerance, f.iterations, f.workers = "zlpr", defaultTolerance, defaultIterations, runtime.GOMAXPROCS(0)
	features := []use{withFlag("x", &f.x), withFlag("x-csr", &f.csr)}
	distills := []use{{"--loss " + strings.Join(distilled, ", "), func() bool { return slices.Contains(distilled, f.loss) }}}
	npz := []string{".npz"}
	auto := []use{{"--l2 auto", func() bool { return f.auto }}}
	return slices.Concat(f.featureFlags.table(), flagTable{
		{name: "y", to: &f.y, file: input, uses: features, doc: "labels `file`, rows × classes"},
		{name: "split", to: &f.split, file: input, uses: features, doc: "split `file`: 0 train row, 1 test row (default: all are train rows)"},
		{name: "source", to: &f.source, file: input, uses: []use{{"training without --x", func() bool { return f.x == "" && f.csr == "" }}},
			doc: "`directory` of Go's source, without --x (default: GOROOT/src)"},
		{name: "loss", to: &f.loss, words: trainLosses, doc: strings.Join(trainLosses, ", ")},
		{name: "k", to: &f.K, uses: []use{{"--loss subset-padded", func() bool { return f.loss == "subset-padded" }}},
			doc: "K of subset-padded (default: the most positives of a train row)"},
		{name: "l2", to: &f.lambda, words: []string{"auto"}, doc: "λ, the weight of Σ W²/2; or auto: chosen, with a threshold, on validation rows"},
		{name: "select", to: &f.measure, words: tuneMeasures, uses: auto, doc: "the measure that is to be the highest on the validation rows"},
		{name: "target", to: &f.target, uses: []use{{"--select …_recall or …_precision", func() bool { return f.auto && !strings.Contains(f.measure, "_f") }}},
			doc: "the least precision with --select …_recall, or recall with …_precision"},
		{name: "validation", to: &f.validation, uses: []use{{"--l2 auto and --split", func() bool { return f.auto && f.split != "" }}},
			doc: "train rows that are `N` in the split file are the validation rows (default: a\nthird of the train rows, by --seed)"},
		{name: "per-class", to: &f.perClass, uses: auto, doc: "choose a threshold for every class"},
		{name: "standardize", to: &f.standardize,
			doc: "standardise features by the train rows' mean and population standard deviation;\na constant feature is divided by 1"},
		{name: "tolerance", to: &f.tolerance, doc: "of the objective, relative"},
		{name: "iterations", to: &f.iterations, doc: "at most this many"},
		{name: "seed", to: &f.seed, doc: "start from random weights of this seed (default: from 0)"},
		{name: "compare", to: &f.compare, doc: "train with bce and with zlpr, side by side"},
		{name: "out", to: &f.out, file: output, ends: npz, doc: "write the model to this .npz `file`"},
		{name: "test-scores", to: &f.testScores, file: output, ends: npz, doc: "write scores and labels of the test rows to this .npz `file`"},
		{name: "class-names", to: &f.classNames, file: output, ends: []string{".txt"}, uses: []use{{"training without --x", func() bool { return f.x == "" && f.csr == "" }}},
			doc: "write the names of the classes to this .txt `file`, for eval --names"},
		{name: "plot", to: &f.plots, file: output, ends: plotEndings, doc: "draw objective, precision-recall and scores to this .svg or .png `file`"},
		{name: "workers", to: &f.workers, doc: "number of threads that compute"},
		{name: "json", to: &f.json, doc: "print one JSON object"},
	}, f.lossFlags.table(func(names ...string) []use { return ofTrained(names, func() []string { return f.trained() }) }),
		f.teacherFlags.table(distills), f.pageFlags.table(), f.readFlags.table(true))
}

// table is the flags that say where features are.
func (f *featureFlags) table() flagTable {
	counted := []use{withFlag("x-csr", &f.csr), withFlag("x", &f.x)}
	return flagTable{
		{name: "x", to: &f.x, file: input, doc: "features `file`, rows × features"},
		{name: "x-csr", to: &f.csr, file: input, list: true, doc: "features as `indptr.npy,indices.npy,data.npy`"},
		{name: "features", to: &f.features, uses: counted, doc: "number of features, with --x-csr or text"},
	}
}

// check checks what can be checked without the files.
func (f *featureFlags) check() error {
	if f.features < 0 {
		return usagef("--features %d: at least 1", f.features)
	}
	return nil
}

// What Fit is asked for, unless the user says otherwise.
const (
	defaultTolerance  = 1e-10
	defaultIterations = 5000
)

func runTrain(ctx context.Context, s *session, f *trainFlags) error {
	files, err := s.out.createAll(append(slices.Clone(f.plots), f.out, f.testScores, f.classNames, f.html, f.markdown)...)
	if err != nil {
		return err
	}
	if err := f.begin(); err != nil {
		return err
	}
	d, err := f.openDataset(ctx)
	if err != nil {
		return err
	}
	if f.teacher != "" {
		if d.train.teacher, err = f.openTeacher(d); err != nil {
			return err
		}
	}
	if err := f.end(); err != nil {
		return err
	}
	s.warnings = f.warnings
	if f.standardize {
		f.standardMean, f.std = d.train.x.Standardization()
		d.train.x.Standardize(f.standardMean, f.std)
		d.test.x.Standardize(f.standardMean, f.std)
	}
	names := f.trained()
	var reports []*trainReport
	for _, name := range names {
		r, err := f.fit(ctx, s, d, name)
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	main := reports[slices.Index(names, f.loss)]
	measured := d.measured()
	if len(f.plots) > 0 || f.asksPage() {
		plots, err := plotTraining(reports, measured)
		if err != nil {
			return err
		}
		if err := writePlots(files, f.plots, plots[:]...); err != nil {
			return err
		}
		if f.asksPage() {
			if err := f.writePage(s, f.page(d, main, reports, plots), files); err != nil {
				return err
			}
		}
	}
	if f.testScores != "" {
		if err := writeTestScores(files[f.testScores], f.testScores, measured, d.classes, main.scores); err != nil {
			return err
		}
	}
	if f.classNames != "" {
		_, err := io.WriteString(files[f.classNames], strings.Join(d.names, "\n")+"\n")
		if err := fileError(f.classNames, err); err != nil {
			return err
		}
	}
	if f.out != "" {
		if err := f.writeModel(files[f.out], d, main); err != nil {
			return err
		}
	}
	return s.finish(func(w io.Writer) error {
		if f.json {
			return writeTrainJSON(w, main, reports, f.compare)
		}
		if err := writePath(w, f, reports); err != nil {
			return err
		}
		return writeTrainTable(w, d, reports)
	})
}

// trained are the losses that are trained by.
func (f *trainFlags) trained() []string {
	switch {
	case !f.compare:
		return []string{f.loss}
	case f.loss == "bce" || f.loss == "zlpr":
		return []string{"bce", "zlpr"}
	}
	return []string{"bce", "zlpr", f.loss}
}

// ofTrained is the use of a flag that is for losses of these names, where some are
// trained by.
func ofTrained(names []string, trained func() []string) []use {
	return []use{{"--loss " + strings.Join(names, ", "), func() bool {
		return slices.ContainsFunc(trained(), func(name string) bool { return slices.Contains(names, name) })
	}}}
}

// check checks what can be checked without the files.
func (f *trainFlags) check() error {
	if f.auto = f.lambda == "auto"; !f.auto {
		v, err := strconv.ParseFloat(f.lambda, 64)
		if err != nil || !(v >= 0) || v > 1e300 {
			return usagef("--l2 %v: a number of at least 0, and at most 1e300, or auto", f.lambda)
		}
		f.l2 = v
	}
	if err := f.checkPath(); err != nil {
		return err
	}
	if err := f.lossFlags.check(); err != nil {
		return err
	}
	if err := f.checkLoss(&f.lossFlags, false); err != nil {
		return err
	}
	if err := f.teacherFlags.check([]string{f.loss}, false); err != nil {
		return err
	}
	switch {
	case !slices.Contains(trainLosses, f.loss):
		return unknownLoss(f.loss, trainLosses)
	case f.x != "" && f.csr != "":
		return usagef("--x and --x-csr exclude each other")
	case f.csr != "" && f.y == "":
		return usagef("give the labels of the features by --y")
	case !(f.tolerance > 0 && f.tolerance < 1):
		return usagef("--tolerance %v: between 0 and 1", f.tolerance)
	case f.iterations < 1 || f.workers < 1 || f.set("k") && f.K < 1:
		return usagef("--iterations, --workers and --k: at least 1")
	}
	return f.featureFlags.check()
}

// measured returns the test rows, or the train rows where there are none.
func (d *dataset) measured() part {
	if d.test.x.Rows > 0 {
		return d.test
	}
	return d.train
}

// fit fits a model and measures it.
func (f *trainFlags) fit(ctx context.Context, s *session, d *dataset, name string) (*trainReport, error) {
	loss, rule, err := f.trainLoss(name, d)
	if err != nil {
		return nil, err
	}
	o, l2 := f.fitting(d, name), f.l2
	start := time.Now()
	var chosen *choice
	if f.auto {
		if chosen, err = f.choose(ctx, s, d, loss, name); err != nil {
			return nil, err
		}
		l2, o.Start = chosen.l2, chosen.start
	}
	o.L2, o.Teacher = l2, d.train.teacher
	bar := s.progress("train "+name, f.iterations)
	o.Progress = func(iteration int, _, _ float64) { bar.set(iteration) }
	model, err := linear.Fit(ctx, d.train.x, d.train.y, loss, o)
	bar.close()
	if err != nil {
		return nil, f.explainFit(d, d.train, err)
	}
	r := &trainReport{Loss: name, L2: number(l2), Objective: number(model.Objective), GradientNorm: number(model.Gradient), Gap: number(model.Gap),
		Iterations: model.Iterations, Converged: model.Converged, Seconds: number(time.Since(start).Seconds()),
		MetricsRows: "test", model: model, rule: rule}
	measured := d.measured()
	if d.test.x.Rows == 0 {
		r.MetricsRows = "train"
	}
	r.scores = make([]float64, measured.x.Rows*d.classes)
	measured.x.Multiply(r.scores, model.W, model.B, d.classes, f.workers)
	if r.results, r.Metrics, err = f.measures(d, r.scores, rule); err != nil {
		return nil, err
	}
	if chosen != nil {
		r.choice, r.Threshold, r.Path = chosen, thresholdNumbers(chosen.tuning), chosen.path
		if r.atThreshold, r.MetricsAtThreshold, err = f.measures(d, r.scores, chosen.rule()); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// fitting is what a fit is asked for, but λ.
func (f *trainFlags) fitting(d *dataset, name string) linear.Options {
	o := linear.Options{Tolerance: f.tolerance, Iterations: f.iterations, Workers: f.workers}
	if slices.Contains(named.SmoothLosses, name) {
		o.Smoothing = f.smoothing
	}
	if f.seed != 0 {
		rng := rand.New(rand.NewPCG(f.seed, 1))
		o.Start = make([]float64, (d.features+1)*d.classes)
		for i := range o.Start {
			o.Start[i] = rng.NormFloat64()
		}
	}
	return o
}

// explainFit says where the error of a fit to some rows is.
func (f *trainFlags) explainFit(d *dataset, rows part, err error) error {
	var e *zlpr.DataError
	if errors.As(err, &e) {
		row := rows.rows[e.Row]
		return explainAt(&zlpr.DataError{Row: row, Class: e.Class, Kind: e.Kind, Reason: e.Reason},
			func(_ string, row, class int) (file, place string) {
				return placeInShard(d.labels, d.shards, row, class)
			})
	}
	return fmt.Errorf("%s: %w", quoted(d.describe), err)
}

// measures are the metrics of scores of the rows measured.
func (f *trainFlags) measures(d *dataset, scores []float64, rule metrics.Rule) ([]metrics.Result, map[string]number, error) {
	a, err := metrics.NewAccumulator[float64](d.classes, metrics.All(1, 3, 5), metrics.Options{Rule: rule, Workers: f.workers})
	if err != nil {
		return nil, nil, err
	}
	if err := a.Add(&metrics.Batch[float64]{Scores: matrix(scores, d.classes), Labels: d.measured().y}); err != nil {
		return nil, nil, err
	}
	results, err := a.Results()
	values := map[string]number{}
	for _, m := range results {
		values[m.Name] = number(m.Value)
	}
	return results, values, err
}

// matrix is data as a matrix of that many columns.
func matrix[T zlpr.Float](data []T, cols int) zlpr.Matrix[T] {
	return zlpr.Matrix[T]{Rows: len(data) / max(1, cols), Cols: cols, Data: data, Stride: cols}
}

// trainLoss returns the loss of that name and the rule that belongs to it.
func (f *trainFlags) trainLoss(name string, d *dataset) (zlpr.Loss, metrics.Rule, error) {
	flags := f.lossFlags
	rule := metrics.Above(0)
	if named.OneTarget(name) {
		rule = metrics.Top(1)
	}
	if named.Balance([]string{name}) {
		flags.Rows = d.train.y.Rows
		flags.Counts = make([]int, d.classes)
		for i := range flags.Rows {
			for k, word := range d.train.y.Words[i*d.train.y.Stride:][:d.train.y.Stride] {
				for ; word != 0; word &= word - 1 {
					flags.Counts[64*k+bits.TrailingZeros64(word)]++
				}
			}
		}
	}
	if name == "subset-padded" {
		if flags.K == 0 {
			flags.K = mostPositives(d.train.y)
		}
		if flags.K > d.classes {
			return nil, rule, fmt.Errorf("--k %d is more than the %s; choose at most %d", flags.K, array.Counted(d.classes, "class"), d.classes)
		}
		rule = rule.AtMost(max(1, flags.K))
	}
	loss, err := flags.newLoss(name, nil)
	return f.distill(loss), rule, err
}
