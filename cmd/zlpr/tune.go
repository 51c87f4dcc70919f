package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/atomicfile"
	"github.com/zlpr/zlpr/metrics"
)

// tuneFlags are the flags of tune: files are those of eval.
type tuneFlags struct {
	evalFlags
	measure    string
	target     float64
	perClass   bool
	out, curve string
	objective  metrics.Objective
}

// tuneMeasures are the measures that shells complete.
var tuneMeasures = []string{"micro_f1", "macro_f1", "samples_f1", "micro_recall", "macro_recall", "samples_recall", "micro_precision", "macro_precision", "samples_precision"}

func newTune(s *session) *cobra.Command {
	var f tuneFlags
	cmd := &cobra.Command{
		Use:   "tune SCORES LABELS",
		Short: "Thresholds that are best for a measure",
		Long: `Finds the threshold above which classes are to be predicted, or one for every
class (--per-class), on a validation file. The measure is

  micro_f1, macro_f1, samples_f1   or another F-score, such as micro_f2
  micro_recall, macro_recall, …    the highest recall with a precision of at
                                   least --target
  micro_precision, …               the highest precision with a recall of at
                                   least --target

A measure on the rows that its thresholds were tuned on is optimistic. The
cross-fitted one is not: the rows r with r mod 5 = f are predicted by
thresholds tuned on the others, f = 0 to 4, and the measure is taken once over
all these predictions.

The thresholds of --per-class are, for every class by itself, the best for macro
F-scores, and those that reach the target; for micro F-scores they are the best
together (Dinkelbach's method). zlpr eval and zlpr predict take the output by
--thresholds.

All scores are kept in memory; beyond 64 million, or with --area-bits, they are
counted in bins of their leading bits. Thresholds are then those between bins.`,
		Example: `  zlpr tune S.npy Y.npy --measure micro_f1 --out thresholds.json
  zlpr tune S.npy Y.npy --measure macro_f1 --per-class --out thresholds.json
  zlpr tune S.npy Y.npy --measure micro_recall --target 0.9 --curve curve.csv
  zlpr predict --scores T.npy --as classes --thresholds thresholds.json --out P.npz`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTune(cmd.Context(), s, &f) },
	}
	f.table().declare(cmd, s, f.check)
	f.set = cmd.Flags().Changed
	return cmd
}

// table is the flags of tune.
func (f *tuneFlags) table() flagTable {
	f.evalFlags = evalFlags{loss: "zlpr", thresholdColumn: -1, workers: runtime.GOMAXPROCS(0)}
	f.measure = "micro_f1"
	pair, run := f.pairTables()
	return slices.Concat(pair, flagTable{
		{name: "measure", to: &f.measure, words: tuneMeasures, doc: "what is to be the highest"},
		{name: "target", to: &f.target, uses: []use{{"--measure …_recall or …_precision", func() bool { return !strings.Contains(f.measure, "_f") }}},
			doc: "the least precision, or recall"},
		{name: "per-class", to: &f.perClass, doc: "a threshold for every class"},
		{name: "row-weights", to: &f.rowWeights, file: input, doc: "weights `file`, one a row"},
		{name: "area-bits", to: &f.areaBits, none: true, doc: "thresholds between bins of the `N` leading bits of the scores, 8 to 22, in\nconstant memory (default: between all scores; beyond 64 million by 20 bits,\n16 a class)"},
		{name: "out", to: &f.out, file: output, ends: []string{".json"}, doc: "write the thresholds to this .json `file`"},
		{name: "curve", to: &f.curve, file: output, ends: []string{".csv"},
			uses: []use{{"--measure micro_… or macro_…", func() bool { return !strings.HasPrefix(f.measure, "samples") }}},
			doc:  "write precision, recall and F1 by threshold to this .csv `file`, 1,000\nlines at most"},
	}, run)
}

// check checks what can be checked without the files.
func (f *tuneFlags) check() error {
	if err := f.checkPair("tune"); err != nil {
		return err
	}
	switch {
	case f.perClass && strings.HasPrefix(f.measure, "samples"):
		return usagef("--measure %s is tuned by one threshold for all classes; leave out --per-class", f.measure)
	case f.set("area-bits") && (f.areaBits < 8 || f.areaBits > 22):
		return usagef("--area-bits %d: 8 to 22", f.areaBits)
	case f.set("target") && !(f.target > 0 && f.target <= 1):
		return usagef("--target %v: a number above 0, at most 1", f.target)
	}
	target := f.target
	if strings.Contains(f.measure, "_f") {
		target = 0 // which checkUses finds
	}
	var err error
	if f.objective, err = metrics.NewObjective(f.measure, target); err != nil {
		if suffix := f.measure; strings.HasSuffix(suffix, "_recall") || strings.HasSuffix(suffix, "_precision") {
			return usagef("--measure %s: give the least precision, or recall, by --target", f.measure)
		}
		return usagef("--measure %q: choose micro_f1, macro_f1, samples_f1, another F-score, recall or precision%s", f.measure, didYouMean(f.measure, "", tuneMeasures))
	}
	return nil
}

func runTune(ctx context.Context, s *session, f *tuneFlags) error {
	e := &evaluation{workers: f.workers, remedies: remedy{zlpr.ScoreNaN: mendOrMask}}
	if err := f.openInputs(e); err != nil {
		return err
	}
	defer e.scores.Close()
	s.warnings = f.warnings
	if e.soft != nil {
		return array.Faultf(f.labels, "labels are soft, and measures need hard ones")
	}
	if e.scores.dtype == array.Float64 {
		return tune[float64](ctx, s, f, e)
	}
	return tune[float32](ctx, s, f, e)
}

func tune[T zlpr.Float](ctx context.Context, s *session, f *tuneFlags, e *evaluation) error {
	files, err := s.out.createAll(f.out, f.curve, f.html, f.markdown)
	if err != nil {
		return err
	}
	t, err := metrics.NewCrossTuner[T](e.scores.classes(), f.workers, f.objective)
	if err != nil {
		return err
	}
	if f.chooseBins(e); e.microBits > 0 {
		classBits := e.classBits
		if !f.perClass && !strings.HasPrefix(f.measure, "macro") {
			classBits = 0
		}
		if err := t.CountScores(e.microBits, classBits); err != nil {
			return err
		}
	}
	if err := addAll(ctx, s, e, t); err != nil {
		return err
	}
	found, err := t.Tune(f.perClass)
	if err != nil {
		return array.Faultf(f.scores, "%s: %s", f.measure, strings.TrimPrefix(err.Error(), "metrics: "))
	}
	report := newTuneReport(f, e, found)
	if f.out != "" {
		if err := fileError(f.out, writeJSON(files[f.out], report)); err != nil {
			return err
		}
	}
	var points []metrics.Point
	if f.curve != "" || f.asksPage() && !strings.HasPrefix(f.measure, "samples") {
		for p := range t.Curve() {
			points = append(points, p)
		}
	}
	if f.curve != "" {
		if err := fileError(f.curve, writeCurve(files[f.curve], points)); err != nil {
			return err
		}
	}
	if f.asksPage() {
		bins, err := t.ScoreBins()
		if err != nil {
			return err
		}
		if err := f.writePage(s, f.page(e, report, points, bins), files); err != nil {
			return err
		}
	}
	if f.json {
		return s.finish(func(w io.Writer) error { return writeJSON(w, report) })
	}
	return s.finish(report.writeTable)
}

// addAll adds all rows of an evaluation.
func addAll[T zlpr.Float](ctx context.Context, s *session, e *evaluation, t *metrics.CrossTuner[T]) error {
	rows, n := e.scores.rows(), e.scores.classes()
	size, width := blockRows(rows, n), (n+63)/64
	words, mask := make([]uint64, size*width), make([]uint64, size*width)
	var buffer, scores []T
	bar := s.progress("tune", rows)
	defer bar.close()
	for r0 := 0; r0 < rows; r0 += size {
		if err := ctx.Err(); err != nil {
			return err
		}
		r1 := min(r0+size, rows)
		// Files are read here, where one that became shorter is an error, and not by
		// the workers.
		scores = append(scores[:0], block(e.scores, &buffer, r0, r1)...)
		b := metrics.Batch[T]{Scores: matrix(scores, n)}
		var err error
		if b.Labels, err = e.readLabels(words[:(r1-r0)*width], r0, r1); err != nil {
			return err
		}
		if e.mask != nil {
			if err := (maskBits{e.mask.block(r0, r1)}).ReadRows(mask, 0, r1-r0); err != nil {
				return e.explain(err, r0)
			}
			b.Mask = &zlpr.BitLabels{Rows: r1 - r0, Cols: n, Words: mask, Stride: width}
		}
		if e.rowWeights != nil {
			b.RowWeights = e.rowWeights[r0:r1]
		}
		if err := t.Add(&b); err != nil {
			return e.explain(err, r0)
		}
		bar.add(r1 - r0)
	}
	return nil
}

// A tuneReport is what tune writes.
type tuneReport struct {
	Measure     string  `json:"measure"`
	Target      *number `json:"target,omitempty"`
	Value       number  `json:"value"`
	CrossFitted number  `json:"cross_fitted"`
	Untuned     number  `json:"untuned"` // with threshold 0
	Rows        int     `json:"rows"`
	Classes     int     `json:"classes"`
	Unmet       *int    `json:"unmet,omitempty"` // classes that do not reach the target
	Thresholds  any     `json:"thresholds"`      // a number, or a list

	each []float64
}

func newTuneReport(f *tuneFlags, e *evaluation, t metrics.Tuning) *tuneReport {
	r := &tuneReport{Measure: f.measure, Value: number(t.Value), CrossFitted: number(t.CrossFitted), Untuned: number(t.Untuned),
		Rows: e.scores.rows(), Classes: e.scores.classes(), Thresholds: number(t.Threshold), each: t.Thresholds}
	if f.target != 0 {
		target := number(f.target)
		r.Target = &target
	}
	if f.perClass {
		list := make([]number, len(t.Thresholds))
		for j, v := range t.Thresholds {
			list[j] = number(v)
		}
		r.Thresholds = list
		if f.target != 0 {
			r.Unmet = &t.Unmet
		}
	}
	return r
}

// neverReached is the warning of classes that do not reach the target.
func (r *tuneReport) neverReached() string {
	if *r.Unmet == 1 {
		return "1 class does not reach the target: it is never predicted"
	}
	return fmt.Sprintf("%d classes do not reach the target: they are never predicted", *r.Unmet)
}

// what is the measure, with its target.
func (r *tuneReport) what() string {
	if r.Target == nil {
		return r.Measure
	}
	other := "precision"
	if strings.HasSuffix(r.Measure, "precision") {
		other = "recall"
	}
	return fmt.Sprintf("%s with %s of at least %v", r.Measure, other, float64(*r.Target))
}

func (r *tuneReport) writeTable(w io.Writer) error {
	t := newTable(w)
	t.row("rows × classes", fmt.Sprintf("%d × %d", r.Rows, r.Classes))
	t.row("measure", r.what())
	t.gap()
	t.row("", "value")
	t.row("threshold 0", short(float64(r.Untuned)))
	t.row("tuned", short(float64(r.Value)), "on the rows that it was tuned on")
	if v := float64(r.CrossFitted); math.IsNaN(v) {
		t.row("cross-fitted", "none", "too few rows")
	} else {
		t.row("cross-fitted", short(v), "rows r mod 5 = f by thresholds of the other rows")
	}
	t.gap()
	if r.each == nil {
		t.row("threshold", strconv.FormatFloat(float64(r.Thresholds.(number)), 'g', -1, 64))
		return t.flush()
	}
	sorted := slices.Sorted(slices.Values(r.each))
	n := len(sorted)
	t.row("thresholds", "lowest", "median", "highest")
	t.row(strconv.Itoa(n), short(sorted[0]), short(sorted[n/2]), short(sorted[n-1]))
	if r.Unmet != nil && *r.Unmet > 0 {
		t.row("warning", r.neverReached())
	}
	return t.flush()
}

// curveLines is how many points of a curve are written, at most.
const curveLines = 1000

// writeCurve writes points, evenly spaced ones where there are many, as CSV.
func writeCurve(to *atomicfile.File, points []metrics.Point) error {
	w := csv.NewWriter(to)
	err := w.Write([]string{"threshold", "precision", "recall", "f1"})
	lines := min(len(points), curveLines)
	for i := 0; i < lines && err == nil; i++ {
		p := points[i*(len(points)-1)/max(1, lines-1)]
		var cells []string
		for _, v := range [...]float64{p.Threshold, p.Precision, p.Recall, p.F1} {
			cells = append(cells, strconv.FormatFloat(v, 'g', -1, 64))
		}
		err = w.Write(cells)
	}
	w.Flush()
	return errors.Join(err, w.Error())
}
