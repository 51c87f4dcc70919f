package main

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/zlpr/zlpr/internal/named"
	"github.com/zlpr/zlpr/internal/source"
	"github.com/zlpr/zlpr/metrics"
)

type evalFlags struct {
	lossFlags
	readFlags
	scores, labels, mask, lengths string
	rowWeights, classWeights      string
	loss, metrics, reduction      string
	predictTop                    int
	thresholdColumn               int
	topNegatives, topScores       int
	strict                        bool
	grad, perRow, predictions     string
	plots                         []string
	workers                       int
	json, hashes                  bool
	pageFlags
	areaBits int
	classFlags
	teacherFlags
	thresholdFlags
	partialFlags
}

// reductions are what the gradient may be of.
var reductions = []string{"none", "sum", "mean", meanClasses}

const meanClasses = "mean-classes"

// table is the flags of eval.
func (f *evalFlags) table() flagTable {
	*f = evalFlags{lossFlags: lossFlags{Parameters: named.Default}, loss: "zlpr", metrics: "all", reduction: "mean", classFlags: classFlags{zeroDivision: "0"}, thresholdColumn: -1, workers: runtime.GOMAXPROCS(0)}
	scores := []use{withFlag("scores", &f.scores)}
	// A threshold is for predictions by threshold, and drawn.
	predictions := func(where string, by func() bool) []use {
		return []use{{"metrics of predicted classes or --predictions" + where, func() bool { return f.predicts() && by() }}}
	}
	plots := use{"--plot or --html", func() bool { return len(f.plots) > 0 || f.html != "" }}
	above := append(predictions(" by threshold", f.byThreshold), plots)
	aboveS0 := append(predictions(" by s0", func() bool { return f.byThreshold() && !f.given() }), plots)
	npy := []string{".npy"}
	return slices.Concat(flagTable{
		{name: "scores", to: &f.scores, file: input, arg: true, doc: "scores `file`, pattern or manifest"},
		{name: "labels", to: &f.labels, file: input, arg: true, doc: "labels `file`, pattern or manifest"},
		{name: "loss", to: &f.loss, list: true, words: append(slices.Clone(lossNames), "all"),
			doc: "losses, separated by commas: " + strings.Join(lossNames, ", ") + ", all\n(without files: all)"},
		{name: "mask", to: &f.mask, file: input, uses: scores, doc: "mask `file`: 1 takes part, 0 is left out"},
		{name: "lengths", to: &f.lengths, file: input, uses: scores,
			doc: "lengths `file`, for padded scores: of rows×classes, batch×L×classes or\nspans batch×heads×L×L"},
		{name: "s0", to: &f.S0, uses: append(f.ofLosses(thresholdLosses...), aboveS0...),
			doc: "threshold of zlpr, zlpr-soft, bce, subset-padded and class-balanced"},
		{name: "threshold-column", to: &f.thresholdColumn, none: true, uses: f.ofLosses(thresholdLosses...),
			doc: "the `column` of the scores that is the threshold of its row, and no class"},
		{name: "predict-threshold", to: &f.predictThreshold, file: input, uses: above, doc: "a class is predicted above this score (default: s0), or a `file` as of\n--thresholds"},
		{name: "thresholds", to: &f.thresholds, file: input, uses: above, doc: "a class is predicted above its score in this `file`: what zlpr tune wrote, or\nan array of one number or one a class"},
		{name: "predict-top", to: &f.predictTop, uses: predictions("", func() bool { return true }),
			doc: "the `K` highest classes of a row are predicted; with --predict-threshold at\nmost K of those above it"},
		{name: "k", to: &f.K, uses: f.ofLosses("subset-padded"), doc: "K of subset-padded (default: the most positives of a row)"},
	}, f.lossFlags.table(f.ofLosses), flagTable{
		{name: "pos-weight", to: &f.PosWeight, file: input, uses: f.ofLosses("bce", "class-balanced"),
			doc: "weight of the positives in bce and class-balanced: a number, or a `file` with one a class"},
		{name: "row-weights", to: &f.rowWeights, file: input, uses: scores, doc: "weights `file`, one a row"},
		{name: "class-weights", to: &f.classWeights, file: input, uses: scores, doc: "weights `file`, one a class"},
		{name: "top-negatives", to: &f.topNegatives, uses: f.ofLosses(hardNegativeLosses...), doc: "only the `m` highest negatives of a row count"},
		{name: "top-scores", to: &f.topScores, uses: f.ofLosses(hardNegativeLosses...),
			doc: "only negatives among the `m` highest scores of a row count"},
		{name: "strict", to: &f.strict, doc: "a score that is NaN or infinite is an error"},
		{name: "reduction", to: &f.reduction, words: reductions,
			uses: []use{withFlag("grad", &f.grad), {"--reduction " + meanClasses, func() bool { return f.reduction == meanClasses }}},
			doc:  "what the gradient is of: none, sum, mean over the rows, or mean-classes, over\nthe elements that take part, which is reported too"},
		{name: "grad", to: &f.grad, file: output, ends: npy, doc: "write the gradient to this .npy `file`: in the scores' type, or a teacher's if\nwider, float32 for 16 bits"},
		{name: "per-row", to: &f.perRow, file: output, ends: npy, doc: "write the loss of every row to this .npy `file`"},
		{name: "predictions", to: &f.predictions, file: output, ends: npy, doc: "write the predicted classes to this .npy `file`"},
		{name: "metrics", to: &f.metrics, list: true, words: append(metrics.All(1, 3, 5), "all", "none"), doc: "all, none, or names separated by commas"},
		{name: "by-class", to: &f.byClass, file: output, ends: []string{".csv"}, doc: "write the results of every class to this .csv `file`"},
		{name: "classes", to: &f.worst, doc: "print the results of the `N` worst classes by F1 (with --by-class or --names: 20)"},
		{name: "names", to: &f.names, file: input, doc: "`file` with the names of the classes: one a line, or a JSON list"},
		{name: "area-bits", to: &f.areaBits, none: true, uses: []use{{"metrics that are areas or --by-class", f.asksAreas}},
			doc: "areas by the `N` leading bits of the scores, 8 to 22, with bounds, in constant\nmemory (default: of all scores; beyond 64 million by 20 bits, 16 a class)"},
		{name: "zero-division", to: &f.zeroDivision, words: zeroDivisions, uses: f.quotients(),
			doc: "what precision, recall, F1 and Jaccard are where the denominator is 0:\n0, 1 or nan, which averages leave out"},
		{name: "plot", to: &f.plots, file: output, ends: plotEndings, doc: "draw the histogram of the scores to this .svg or .png `file`"},
		{name: "workers", to: &f.workers, doc: "number of threads that compute"},
		{name: "json", to: &f.json, doc: "print one JSON object"},
		{name: "hash", to: &f.hashes, uses: []use{{"--json", func() bool { return f.json }}, withFlag("html", &f.html), withFlag("markdown", &f.markdown)}, doc: "report the SHA-256 of every file that is read"},
	}, f.teacherFlags.table(f.ofLosses(distilled...)), f.partialFlags.table(f), f.pageFlags.table(), f.readFlags.table(true))
}

// pairTables are the flags of commands on scores and labels: what is read of these, and the
// others, which come last.
func (f *evalFlags) pairTables() (pair, run flagTable) {
	pair = flagTable{
		{name: "scores", to: &f.scores, file: input, arg: true, doc: "scores `file`, pattern or manifest"},
		{name: "labels", to: &f.labels, file: input, arg: true, doc: "labels `file`, pattern or manifest"},
		{name: "mask", to: &f.mask, file: input, doc: "mask `file`: 1 takes part, 0 is left out"},
		{name: "lengths", to: &f.lengths, file: input, doc: "lengths `file`, for padded scores"},
	}
	run = slices.Concat(flagTable{
		{name: "workers", to: &f.workers, doc: "number of threads that compute"},
		{name: "json", to: &f.json, doc: "print one JSON object"},
	}, f.pageFlags.table(), f.readFlags.table(true))
	return pair, run
}

// ofLosses is the use of a flag that is for these losses.
func (f *evalFlags) ofLosses(names ...string) []use {
	return []use{{"--loss " + strings.Join(names, ", "), func() bool {
		return slices.ContainsFunc(f.lossNames(), func(name string) bool { return slices.Contains(names, name) })
	}}}
}

// predicts tells whether predicted classes are looked at, by a metric that is
// asked for or as an output.
func (f *evalFlags) predicts() bool {
	return f.predictions != "" || f.asksClasses() || f.asksPage() || f.metrics == "all" || f.metrics != "none" && slices.ContainsFunc(f.metricNames(), metrics.NeedsRule)
}

// quotient tells whether a metric is one of those that --zero-division is for.
func quotient(name string) bool {
	average, _, _ := strings.Cut(name, "_")
	return slices.Contains([]string{"micro", "macro", "weighted", "samples"}, average) && metrics.NeedsRule(name)
}

// quotients is the use of --zero-division: a result may be a quotient of 0 by 0.
func (f *evalFlags) quotients() []use {
	return []use{{"precision, recall, F-scores, Jaccard or results by class", func() bool {
		return f.asksClasses() || f.asksPage() || f.metrics == "all" || slices.ContainsFunc(f.metricNames(), quotient)
	}}}
}

// byPropensity tells whether a metric weighs labels by their propensities.
func byPropensity(name string) bool { return strings.HasPrefix(name, "ps") }

// byThreshold tells whether a class is predicted by its score alone.
func (f *evalFlags) byThreshold() bool {
	return f.given() && f.predictTop > 0 || f.predictTop == 0 && !named.OneTarget(f.loss)
}

// rule is which classes are predicted.
func (f *evalFlags) rule() metrics.Rule {
	switch {
	case f.predictTop > 0 && f.byThreshold():
		return f.above().AtMost(f.predictTop)
	case f.predictTop > 0:
		return metrics.Top(f.predictTop)
	case f.byThreshold():
		return f.above()
	}
	return metrics.Top(1) // of one target
}

// lossNames are the losses that are asked for.
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

// metricNames are the metrics that are asked for by their names.
func (f *evalFlags) metricNames() []string {
	names := strings.Split(f.metrics, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

// fromManifest takes from a manifest of scores whatever else it lists, unless
// there is a flag for it.
func (f *evalFlags) fromManifest() error {
	if !source.IsManifest(f.scores) {
		return nil
	}
	m, err := source.ReadManifest(f.scores)
	if err != nil {
		return err
	}
	for part, to := range map[source.Part]*string{source.LabelsPart: &f.labels, source.Mask: &f.mask, source.Lengths: &f.lengths,
		source.RowWeights: &f.rowWeights} {
		if *to == "" && m.Has(part) {
			*to = f.scores
		}
	}
	return nil
}

// checkPair checks the flags of a command on scores and labels alone.
func (f *evalFlags) checkPair(command string) error {
	if err := f.fromManifest(); err != nil {
		return err
	}
	if f.scores == "" || f.labels == "" {
		return usagef("give scores and labels: zlpr %s SCORES LABELS", command)
	}
	return f.checkShared()
}

// checkShared checks the flags that all commands on scores and labels have.
func (f *evalFlags) checkShared() error {
	switch {
	case f.workers < 1:
		return usagef("--workers %d: at least 1", f.workers)
	case f.mask != "" && f.lengths != "":
		return usagef("--mask and --lengths exclude each other; put both into one mask")
	}
	return nil
}

// needsLabels tells whether there must be labels.
func (f *evalFlags) needsLabels() bool { return f.teacher == "" }

// check checks what can be checked without the files.
func (f *evalFlags) check() error {
	if err := f.fromManifest(); err != nil {
		return err
	}
	if err := f.fromShard(); err != nil {
		return err
	}
	switch {
	case f.teacher != "" && f.scores == "":
		return usagef("--teacher: give the scores of its student by --scores")
	case f.teacher != "" && f.partial != "":
		return usagef("--teacher and --partial exclude each other")
	case f.needsLabels() && f.scores != "" && f.labels == "" && source.IsManifest(f.scores):
		return usagef("%s lists no labels; add them to its shards, or give --labels", quoted(f.scores))
	case f.needsLabels() && f.scores != "" && f.labels == "":
		return usagef("give both --scores and --labels: %s is alone; or zlpr eval SCORES LABELS", quoted(f.scores))
	case f.needsLabels() && (f.scores == "") != (f.labels == ""):
		return usagef("give both --scores and --labels, or none for the embedded sample")
	case f.checkShared() != nil:
		return f.checkShared()
	case f.hashes && f.checkHash() != nil:
		return f.checkHash()
	case f.set("k") && f.K < 1:
		return usagef("--k %d: at least 1", f.K)
	case f.set("area-bits") && (f.areaBits < 8 || f.areaBits > 22):
		return usagef("--area-bits %d: 8 to 22", f.areaBits)
	case f.set("classes") && f.worst < 1:
		return usagef("--classes %d: at least 1", f.worst)
	case f.set("predict-top") && f.predictTop < 1:
		return usagef("--predict-top %d: at least 1", f.predictTop)
	case f.set("top-negatives") && f.topNegatives < 1 || f.set("top-scores") && f.topScores < 1:
		return usagef("--top-negatives and --top-scores: at least 1")
	case f.set("threshold-column") && f.thresholdColumn < 0:
		return usagef("--threshold-column %d: columns are counted from 0", f.thresholdColumn)
	case f.S0-f.S0 != 0:
		return usagef("--s0 %v: a finite number", f.S0)
	case f.thresholdColumn >= 0 && (f.set("s0") || f.given()):
		return usagef("--threshold-column takes the place of --s0, --predict-threshold and --thresholds; leave these out")
	case !slices.Contains(reductions, f.reduction):
		return usagef("--reduction %q: choose none, sum, mean or mean-classes%s", f.reduction, didYouMean(f.reduction, "", reductions))
	}
	if err := f.lossFlags.check(); err != nil {
		return err
	}
	if err := f.checkLoss(&f.lossFlags, f.loss == "all"); err != nil {
		return err
	}
	if err := f.checkDigests(); err != nil {
		return err
	}
	if err := f.checkThresholds(f.S0); err != nil {
		return err
	}
	if f.scores == "" && !f.set("loss") {
		f.loss = "all"
	}
	names := f.lossNames()
	for _, name := range names {
		if _, err := f.newLoss(name, nil); err != nil {
			return err
		}
	}
	if err := f.teacherFlags.check(names, f.loss == "all"); err != nil {
		return err
	}
	if err := f.checkClasses(); err != nil {
		return err
	}
	if _, err := f.positiveNumber(); err != nil {
		return err
	}
	if (f.grad != "" || f.perRow != "") && (len(names) != 1 || f.loss == "all") {
		return usagef("--grad and --per-row need one loss; choose it by --loss")
	}
	if f.metrics == "all" || f.metrics == "none" {
		return nil
	}
	for _, name := range f.metricNames() {
		if name == "all" || name == "none" {
			return usagef("--metrics: %s stands alone; leave the other names out", name)
		}
		// A row of one class is enough to have the names checked.
		_, err := metrics.NewAccumulator[float32](1, []string{name}, metrics.Options{Propensities: []float64{1}})
		if err != nil {
			return usagef("--metrics: unknown metric %q%s; zlpr eval --help lists them", name, didYouMean(name, "", metricWords()))
		}
	}
	return nil
}

// metricWords are the names that a misspelt metric may have been meant to be.
func metricWords() []string {
	names := append(metrics.All(1, 3, 5), "all", "none")
	for _, k := range []int{1, 3, 5} {
		names = append(names, fmt.Sprintf("psp_at_%d", k), fmt.Sprintf("psndcg_at_%d", k))
	}
	for _, average := range []string{"micro", "macro", "weighted"} {
		names = append(names, average+"_jaccard")
	}
	return names
}

// checkHash checks that what is hashed can be read twice.
func (f *evalFlags) checkHash() error {
	if _, err := strconv.ParseFloat(f.PosWeight, 64); err != nil && f.PosWeight != "" {
		if err := rereadable("hash", "pos-weight", f.PosWeight); err != nil {
			return err
		}
	}
	for _, in := range []struct{ flag, name string }{{"teacher", f.teacher}, {"scores", f.scores}, {"labels", f.labels}, {"mask", f.mask}, {"lengths", f.lengths},
		{"row-weights", f.rowWeights}, {"class-weights", f.classWeights}} {
		if err := rereadable("hash", in.flag, in.name); err != nil {
			return err
		}
	}
	return nil
}

// positiveNumber returns the number that --pos-weight is, or nil where it is a
// file or nothing.
func (f *evalFlags) positiveNumber() (*float64, error) {
	w, err := strconv.ParseFloat(f.PosWeight, 64)
	if err != nil {
		return nil, nil
	}
	if !(w >= 0) || math.IsInf(w, 1) {
		return nil, usagef("--pos-weight %s: a number of at least 0, or a file", f.PosWeight)
	}
	return &w, nil
}

// positiveWeight returns the positive weight of every class.
func (f *evalFlags) positiveWeight(classes int) ([]float64, error) {
	if f.PosWeight == "" {
		return nil, nil
	}
	if w, _ := f.positiveNumber(); w != nil {
		return slices.Repeat([]float64{*w}, classes), nil
	}
	return f.openWeights(f.PosWeight, "positive weights", "class", classes, nil)
}
