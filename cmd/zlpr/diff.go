package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/metrics"
	reports "github.com/zlpr/zlpr/report"
)

type diffFlags struct {
	evalFlags
	dumps      []string
	resamples  int
	seed       uint64
	confidence float64
	groups     string
	measure    string
	show       int // classes that gained, and that lost, most
}

func newDiff(s *session) *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff A B [C …] --labels Y",
		Short: "Which of two models is better, with intervals",
		Long: `Compares files of scores of the same rows against the same labels: every loss and
metric side by side, the difference B - A with its interval, and p.

The interval is the percentile interval of the paired bootstrap: as many rows as
there are, drawn with replacement, the same for both models and all measures;
the quantiles of the differences of all resamples. p is that of the two-sided
approximate randomisation test: in each of R resamples the models are swapped in
every row with probability ½, and p = (1 + #{|d*| ≥ |d|}) / (1 + R). Macro,
weighted and per-class metrics take the first 1,000 resamples; areas have a value
and no interval. Rows that belong together (of a document, a patient) are drawn
together by --groups. The results depend on --seed, not on --workers.

A difference is told where its interval leaves out 0. Of twenty measures that
differ by nothing, one such interval is to be expected: decide by the measure
that you chose before, --measure. With more than two files each further one is
compared with the first, and the best is in bold.

Rows whose class number is ignored are left out of everything.`,
		Example: `  zlpr diff old.npy new.npy --labels Y.npy
  zlpr diff old.npy new.npy --labels Y.npy --groups documents.npy --names names.txt
  zlpr diff a.npy b.npy c.npy --labels Y.npz --loss zlpr,bce --measure macro_f1 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDiff(cmd.Context(), s, &f) },
	}
	f.table().declare(cmd, s, f.check)
	f.set = cmd.Flags().Changed
	return cmd
}

// table is the flags of diff.
func (f *diffFlags) table() flagTable {
	*f = diffFlags{resamples: 10000, seed: 1, confidence: 0.95, show: 5}
	f.evalFlags.table() // for its defaults
	above := []use{{"metrics of predicted classes by threshold", func() bool { return f.predicts() && f.byThreshold() }}}
	classes := []use{{"macro or weighted metrics", f.comparesClasses}}
	return slices.Concat(flagTable{
		{name: "scores", to: &f.dumps, file: input, arg: true, doc: "scores `files`, patterns or manifests, two or more"},
		{name: "labels", to: &f.labels, file: input, doc: "labels `file`, pattern or manifest"},
		{name: "loss", to: &f.loss, list: true, words: append(slices.Clone(lossNames), "all"), doc: "losses, separated by commas: " + strings.Join(lossNames, ", ") + ", all"},
		{name: "metrics", to: &f.metrics, list: true, words: append(metrics.All(1, 3, 5), "all", "none"), doc: "all, none, or names separated by commas, as in eval"},
		{name: "measure", to: &f.measure, words: append(slices.Clone(lossNames), metrics.All(1, 3, 5)...), doc: "the `loss or metric` that decides (default: micro_f1)"},
		{name: "resamples", to: &f.resamples, doc: "number of resamples"},
		{name: "seed", to: &f.seed, doc: "seed of the random numbers"},
		{name: "confidence", to: &f.confidence, doc: "of the intervals, between 0 and 1"},
		{name: "groups", to: &f.groups, file: input, doc: "`file` with the number of the group of every row: rows of one are drawn together"},
		{name: "mask", to: &f.mask, file: input, doc: "mask `file`: 1 takes part, 0 is left out"},
		{name: "lengths", to: &f.lengths, file: input, doc: "lengths `file`, for padded scores"},
		{name: "row-weights", to: &f.rowWeights, file: input, doc: "weights `file`, one a row"},
		{name: "zero-division", to: &f.zeroDivision, words: zeroDivisions, uses: f.quotients(),
			doc: "what precision, recall, F1 and Jaccard are where the denominator is 0:\n0, 1 or nan, which averages leave out"},
		{name: "s0", to: &f.S0, uses: append(f.ofLosses(thresholdLosses...), above...), doc: "threshold of zlpr, bce, subset-padded and class-balanced"},
		{name: "predict-threshold", to: &f.predictThreshold, file: input, uses: above, doc: "a class is predicted above this score (default: s0); or a file, as --thresholds"},
		{name: "thresholds", to: &f.thresholds, file: input, uses: above, doc: "a class is predicted above its score in this `file`, by all models: what zlpr\ntune wrote, or an array of one number or one a class"},
		{name: "predict-top", to: &f.predictTop, uses: []use{{"metrics of predicted classes", f.predicts}}, doc: "the `K` highest classes of a row are predicted"},
		{name: "k", to: &f.K, uses: f.ofLosses("subset-padded"), doc: "K of subset-padded (default: the most positives of a row)"},
	}, f.lossFlags.table(f.ofLosses), flagTable{
		{name: "names", to: &f.names, file: input, uses: classes, doc: "`file` with the names of the classes: one a line, or a JSON list"},
		{name: "classes", to: &f.show, uses: classes, doc: "print the `N` classes that gained, and that lost, most"},
		{name: "workers", to: &f.workers, doc: "number of threads that compute"},
		{name: "json", to: &f.json, doc: "print one JSON object"},
	}, f.pageFlags.table(), f.readFlags.table(true))
}

// comparesClasses tells whether there is a metric by class.
func (f *diffFlags) comparesClasses() bool {
	return f.metrics == "all" || f.metrics != "none" && slices.ContainsFunc(f.metricNames(), func(name string) bool {
		formulas, _, err := metrics.Formulas([]string{name})
		return err == nil && formulas[0].ByClass()
	})
}

// check checks what can be checked without the files.
func (f *diffFlags) check() error {
	if len(f.dumps) < 2 {
		return usagef("give two files of scores or more, and their --labels: zlpr diff A B --labels Y")
	}
	f.scores = f.dumps[0]
	if err := f.fromManifest(); err != nil {
		return err
	}
	switch {
	case f.labels == "":
		return usagef("give the labels of the scores by --labels: zlpr diff A B --labels Y")
	case f.resamples < 1 || f.resamples > 1<<24:
		return usagef("--resamples %d: from 1 to 16777216", f.resamples)
	case !(f.confidence > 0 && f.confidence < 1):
		return usagef("--confidence %v: between 0 and 1", f.confidence)
	case f.set("classes") && f.show < 1:
		return usagef("--classes %d: at least 1", f.show)
	}
	return f.evalFlags.check()
}

func runDiff(ctx context.Context, s *session, f *diffFlags) error {
	start := time.Now()
	e := &evaluation{remedies: remedy{zlpr.ScoreNaN: "mend the score, leave it out by --mask, or leave metrics out (--metrics none)"},
		all: f.loss == "all", workers: f.workers, files: f.files(), shards: map[string]*array.Shards{}}
	chosen := &evalReport{Skipped: map[string]string{}}
	if err := f.begin(); err != nil {
		return err
	}
	if err := f.open(e); err != nil {
		return err
	}
	defer e.scores.Close()
	if err := f.openThresholds(&f.readFlags, e.scores.classes()); err != nil {
		return err
	}
	e.rule, e.zeroDivision = f.rule(), f.zero
	if e.soft != nil {
		return fmt.Errorf("%s: labels are soft; diff compares by labels 0 and 1", quoted(f.labels))
	}
	rows, classes := e.scores.rows(), e.scores.classes()
	models := []*evaluation{e}
	for _, name := range f.dumps[1:] {
		m, err := f.another(e, name)
		if err != nil {
			return err
		}
		defer m.scores.Close()
		models = append(models, m)
	}
	options := reports.Options{Resamples: f.resamples, Seed: f.seed, Confidence: f.confidence, Workers: f.workers}
	if f.groups != "" {
		var err error
		if options.Groups, err = f.openGroups(rows); err != nil {
			return err
		}
	}
	if err := f.end(); err != nil {
		return err
	}
	if err := f.openNames(e); err != nil {
		return err
	}
	if err := f.choose(ctx, e, chosen); err != nil {
		return err
	}
	e.byClass, e.tunes = false, false // Compare finds the classes; thresholds are not its task
	if f.metrics == "all" && tooMany(rows, classes) && slices.ContainsFunc(e.metrics, metrics.NeedsScores) {
		e.metrics = slices.DeleteFunc(e.metrics, metrics.NeedsScores)
		chosen.Warnings = append(chosen.Warnings, "areas (auc, average_precision) are left out: they need all scores in memory; ask for them by --metrics")
	}
	if !slices.ContainsFunc(e.metrics, metrics.NeedsScores) {
		e.microBits, e.classBits = 0, 0 // nothing is in bins
	}
	pages, err := s.out.createAll(f.html, f.markdown)
	if err != nil {
		return err
	}
	warnings := append(slices.Clone(f.warnings), chosen.Warnings...)
	if ignored := e.leaveOutIgnored(); ignored > 0 {
		warnings = append(warnings, fmt.Sprintf("left out: %s whose class number is ignored", array.Counted(ignored, "row")))
	}
	if f.measure != "" && !slices.Contains(e.metrics, f.measure) && !slices.ContainsFunc(e.losses, func(l namedLoss) bool { return l.name == f.measure }) {
		return usagef("--measure %s is none of the losses and metrics that are compared%s", f.measure, didYouMean(f.measure, "", e.metrics))
	}
	var kept []*reports.Rows
	for i, m := range models {
		if i > 0 {
			m.losses, m.metrics, m.propensity, m.rowWeights = e.losses, e.metrics, e.propensity, e.rowWeights
		}
		r, warned, err := f.keep(ctx, s, m, rows, classes)
		if err != nil {
			return err
		}
		kept, warnings = append(kept, r), append(warnings, warned...)
	}
	d := &diffReport{Version: version(), Tier: zlpr.Tier(), Rows: rows, Resamples: f.resamples, Seed: f.seed, Confidence: number(f.confidence),
		Skipped: chosen.Skipped, Inputs: f.inputs, names: f.dumps, classNames: e.names, show: f.show, measure: f.measure}
	for i, r := range kept[1:] {
		c, err := reports.Compare(ctx, kept[0], r, options)
		if err != nil {
			return err
		}
		d.add(c, i+1)
		kept[i+1] = nil
	}
	if d.Warnings = warnings; warnings == nil {
		d.Warnings = []string{}
	}
	d.Seconds = number(time.Since(start).Seconds())
	if f.asksPage() {
		if err := f.writePage(s, d.page(), pages); err != nil {
			return err
		}
	}
	if f.json {
		return s.finish(d.writeJSON)
	}
	return s.finish(d.writeText)
}

// another opens a further file of scores, which has the labels of e.
func (f *diffFlags) another(e *evaluation, name string) (*evaluation, error) {
	scores, err := f.openScores(name)
	if err != nil {
		return nil, err
	}
	if f.lengths != "" && len(scores.shape) == 4 {
		scores.flattenSpans()
	}
	rows, classes := e.scores.rows(), e.scores.classes()
	if scores.rows() != rows || scores.classes() != classes {
		scores.Close()
		return nil, array.Faultf(name, "%s of %s, but %s has %s of %d; diff compares scores of the same rows and classes", array.Counted(scores.rows(), "row"), array.Counted(scores.classes(), "class"), quoted(e.files["scores"]), array.Counted(rows, "row"), classes)
	}
	m := *e
	m.scores = scores
	m.files, m.shards = map[string]string{}, map[string]*array.Shards{}
	for what, file := range e.files {
		m.files[what] = file
	}
	for what, shards := range e.shards {
		m.shards[what] = shards
	}
	m.files["scores"], m.shards["scores"] = name, shardsOf(scores, rows)
	return &m, nil
}

// openGroups reads the number of the group of every row.
func (f *diffFlags) openGroups(rows int) ([]int, error) {
	a, err := f.openArray(f.groups, "")
	if err != nil {
		return nil, err
	}
	defer a.Close()
	if a.Len() != rows {
		return nil, array.Faultf(f.groups, "%s, but %s; give the number of the group of every row", array.Counted(a.Len(), "group"), array.Counted(rows, "row"))
	}
	groups := make([]int, rows)
	none := func(row int, value string) error {
		file, at, of := inShard(f.groups, a.Shards, row)
		return array.Faultf(file, "row %d%s: group %s is no integer", at, of, value)
	}
	if a.Type.IsFloat() { // as those of CSV are
		for i, g := range array.Copy[float64](a, 0, rows) {
			if g != math.Trunc(g) || math.Abs(g) >= 1<<53 || float64(int(g)) != g {
				return nil, none(i, short(g))
			}
			groups[i] = int(g)
		}
		return groups, nil
	}
	numbers, err := array.Integers[int64](a, nil, 0, rows)
	var fault *array.ElementError
	switch {
	case errors.As(err, &fault):
		return nil, none(fault.Index, fault.Value)
	case err != nil:
		return nil, err
	}
	for i, g := range numbers {
		if groups[i] = int(g); int64(groups[i]) != g {
			return nil, none(i, strconv.FormatInt(g, 10))
		}
	}
	return groups, nil
}

// leaveOutIgnored gives the rows whose class number is ignored weight 0, and returns
// how many there are.
func (e *evaluation) leaveOutIgnored() (ignored int) {
	b, ok := e.labels.(*targetBits)
	if !ok {
		return 0
	}
	weights := make([]float64, b.Len())
	for i, v := range array.Read[int64](b.Array, nil, 0, b.Len()) {
		switch {
		case v == zlpr.Ignore || v == b.ignore:
			ignored++
		case e.rowWeights != nil:
			weights[i] = e.rowWeights[i]
		default:
			weights[i] = 1
		}
	}
	if ignored > 0 {
		e.rowWeights = weights
	}
	return ignored
}

// keep evaluates a model and keeps what is needed of every row.
func (f *diffFlags) keep(ctx context.Context, s *session, e *evaluation, rows, classes int) (r *reports.Rows, warnings []string, err error) {
	var losses []string
	for _, l := range e.losses {
		losses = append(losses, l.name)
	}
	if r, err = reports.NewRowsZeroDivision(rows, classes, losses, e.metrics, e.zeroDivision); err != nil {
		return nil, nil, array.Faultf(e.files["scores"], "%v", err)
	}
	e.kept = r
	bar := s.progress("diff", rows)
	e.progress = bar
	result, err := e.run(ctx)
	bar.close()
	e.progress, e.kept = nil, nil
	if err != nil {
		return nil, nil, err
	}
	for i, l := range e.losses {
		loss, err := result.losses[i].Result(zlpr.Mean)
		if errors.Is(err, zlpr.ErrNoRows) {
			return nil, nil, e.noRows(l.name)
		} else if err != nil {
			return nil, nil, err
		}
		r.Values = append(r.Values, loss.Loss)
		if v := loss.Loss; math.IsNaN(v) || math.IsInf(v, 0) {
			warnings = append(warnings, fmt.Sprintf("%s: %s is %v", quoted(e.files["scores"]), l.name, v))
		}
	}
	for _, m := range result.metrics {
		r.Values = append(r.Values, m.Value)
	}
	if !result.logits {
		warnings = append(warnings, fmt.Sprintf("%s: all scores lie in [0, 1]: are they probabilities? The losses take logits", quoted(e.files["scores"])))
	}
	if result.lost > 0 {
		warnings = append(warnings, fmt.Sprintf("%s: %s", quoted(e.files["scores"]), unlisted(result.lost)))
	}
	return r, warnings, nil
}
