package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
	"github.com/zlpr/zlpr/metrics"
	reports "github.com/zlpr/zlpr/report"
)

type predictFlags struct {
	featureFlags
	model, scores string
	as, by        string
	top           int
	thresholdFlags
	out, to        string
	path, key, how string // of out
	calibration    string
	calibrated     *reports.Calibration // or nil
	workers        int
}

// What predict writes, and how scores become probabilities.
var (
	predictions = []string{"scores", "probabilities", "classes"}
	links       = []string{"sigmoid", "sigmoid2", "softmax"}
)

func newPredict(s *session) *cobra.Command {
	var f predictFlags
	cmd := &cobra.Command{
		Use:   "predict",
		Short: "Scores, probabilities and classes, of a trained model or of scores",
		Long: `Writes the scores x·W + b of the rows of a matrix of features, as float32, or
what --as says of these or of a file of scores:

  scores          as they are
  probabilities   of every class: --by sigmoid 1/(1+exp(-s)), sigmoid2
                  1/(1+exp(-2s)), as for ZLPR on soft labels, or softmax;
                  with --calibration what zlpr calibrate found
  classes         0 and 1: 1 above --predict-threshold, or for the K highest

With --top K only the K highest scores of a row are written, the lowest column
first where they are equal, or their probabilities; in arrays and CSV all others
are -Inf, or 0. A model that was trained with --standardize standardises features
itself. The output is what its ending says: .npy, .npz (a sparse matrix as
scipy.sparse.save_npz writes it; out.npz:key: an array), .safetensors, .csv,
.svm (libsvm) or .txt (extreme classification), or what --to does.`,
		Example: `  zlpr predict --model model.npz --x X.npy --out S.npy
  zlpr predict --scores S.npy --as classes --top 5 --out top.txt
  zlpr predict --scores 'out/s-*.npy' --as probabilities --out P.npy`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPredict(s, &f) },
	}
	f.table().declare(cmd, s, f.check)
	f.set = cmd.Flags().Changed
	return cmd
}

// table is the flags of predict.
func (f *predictFlags) table() flagTable {
	f.as, f.by, f.workers = "scores", "sigmoid", runtime.GOMAXPROCS(0)
	as := func(what string) []use {
		return []use{{"--as " + what, func() bool { return f.as == what }}}
	}
	t := flagTable{{name: "model", to: &f.model, file: input, doc: "model `file` that zlpr train wrote"}}
	return slices.Concat(t, f.featureFlags.table(), flagTable{
		{name: "scores", to: &f.scores, file: input, doc: "scores `file`, pattern or manifest, instead of a model"},
		{name: "as", to: &f.as, words: predictions, doc: strings.Join(predictions, ", ")},
		{name: "by", to: &f.by, words: links, uses: as("probabilities"), doc: "how scores become probabilities: " + strings.Join(links, ", ")},
		{name: "calibration", to: &f.calibration, file: input, uses: as("probabilities"), doc: "link, scale and shift of the probabilities: the `file` that zlpr calibrate wrote"},
		{name: "top", to: &f.top, doc: "only the `K` highest of a row"},
		{name: "predict-threshold", to: &f.predictThreshold, file: input, uses: as("classes"), doc: "a class is predicted above this score; with --top at most K of those; or a\n`file` as of --thresholds"},
		{name: "thresholds", to: &f.thresholds, file: input, uses: as("classes"), doc: "a class is predicted above its score in this `file`: what zlpr tune wrote, or\nan array of one number or one a class"},
		{name: "out", to: &f.out, file: output, doc: "write to this `file`"},
		{name: "to", to: &f.to, words: outFormats, doc: "format of the output: " + strings.Join(outFormats, ", ") + "\n(default: as its ending says)"},
		{name: "workers", to: &f.workers, doc: "number of threads that compute"},
	}, f.readFlags.table(false))
}

// check checks what can be checked without the files.
func (f *predictFlags) check() error {
	features := f.x != "" || f.csr != ""
	switch {
	case f.scores != "" && (f.model != "" || features):
		return usagef("give --scores, or --model and --x, not both")
	case f.scores == "" && (f.model == "" || !features), f.x != "" && f.csr != "", f.out == "":
		return usagef("give --model and --x (or --x-csr), or --scores, and --out")
	case !slices.Contains(predictions, f.as):
		return usagef("--as %q: choose %s%s", f.as, strings.Join(predictions, ", "), didYouMean(f.as, "", predictions))
	case !slices.Contains(links, f.by):
		return usagef("--by %q: choose %s%s", f.by, strings.Join(links, ", "), didYouMean(f.by, "", links))
	case f.set("by") && f.calibration != "":
		return usagef("--calibration says by which link, too; leave out --by")
	case f.set("top") && f.top < 1:
		return usagef("--top %d: at least 1", f.top)
	case f.workers < 1:
		return usagef("--workers %d: at least 1", f.workers)
	}
	if err := f.checkThresholds(0); err != nil {
		return err
	}
	var err error
	if f.path, f.key, f.how, err = checkOutput(f.out, f.to); err != nil {
		return err
	}
	if f.key == "" {
		f.key = f.as
	}
	return f.featureFlags.check()
}

func runPredict(s *session, f *predictFlags) error {
	if f.scores != "" {
		return f.fromScores(s)
	}
	m, err := openModel(f.model)
	if err != nil {
		return err
	}
	if f.features == 0 {
		f.features = m.features
	}
	if !f.given() && len(m.thresholds) == 1 {
		f.threshold = m.thresholds[0]
	} else if !f.given() {
		f.each = m.thresholds
	}
	if err := f.begin(); err != nil {
		return err
	}
	x, err := f.open(f.features)
	if err != nil {
		return err
	}
	defer x.Close()
	if err := f.end(); err != nil {
		return err
	}
	s.warnings = f.warnings
	rows, cols := x.Dims()
	if cols != m.features {
		return array.Faultf(x.name, "%s, the model %s has %d; they must agree", array.Counted(cols, "feature"), quoted(f.model), m.features)
	}
	if rows == 0 {
		return array.Faultf(x.name, "empty: no rows of features; there is nothing to predict")
	}
	p, err := newPredictor[float32](s, f, f.model, []int{rows, m.classes})
	if err != nil {
		return err
	}
	defer p.close()
	p.explain = func(err error, r0 int) error { return explain(err, r0, map[string]string{"scores": x.name}) }
	if err := m.predict(x, f.workers, p.write); err != nil {
		return err
	}
	return p.finish()
}

// fromScores predicts by a file of scores.
func (f *predictFlags) fromScores(s *session) error {
	if err := f.begin(); err != nil {
		return err
	}
	scores, err := f.openScores(f.scores)
	if err != nil {
		return err
	}
	defer scores.Close()
	if err := f.end(); err != nil {
		return err
	}
	s.warnings = f.warnings
	if rows, n := scores.rows(), scores.classes(); rows == 0 || n == 0 {
		return array.Faultf(f.scores, "empty: %s of %s; there is nothing to predict", array.Counted(rows, "row"), array.Counted(n, "class"))
	}
	if scores.dtype == array.Float64 {
		return predictScores[float64](s, f, scores)
	}
	return predictScores[float32](s, f, scores)
}

func predictScores[T zlpr.Float](s *session, f *predictFlags, scores *scoreSource) error {
	p, err := newPredictor[T](s, f, scores.name, scores.shape)
	if err != nil {
		return err
	}
	defer p.close()
	p.explain = func(err error, r0 int) error {
		return explainBy(remedy{zlpr.ScoreNaN: "mend the score"}, err, func(_ string, row, class int) (file, place string) { return scores.where(r0+row, class) })
	}
	if scores.csr != nil {
		p.rule = p.rule.Listed()
	}
	var buffer []T
	rows := scores.rows()
	size := blockRows(rows, scores.classes())
	for r0 := 0; r0 < rows; r0 += size {
		if err := p.write(r0, block(scores, &buffer, r0, min(r0+size, rows))); err != nil {
			return err
		}
	}
	return p.finish()
}

// A predictor writes what is predicted by scores.
type predictor[T zlpr.Float] struct {
	*predictFlags
	s       *session
	classes int
	rule    metrics.Rule
	out     rowWriter
	bar     *progress
	explain func(err error, r0 int) error // where an error of a block is

	nans     int   // scores of NaN of which NaN is written
	firstNaN error // where the first one is

	probabilities []T
	block         rowBlock
}

// newPredictor begins the output, for scores of that shape, of the file of that
// name.
func newPredictor[T zlpr.Float](s *session, f *predictFlags, name string, shape []int) (*predictor[T], error) {
	n := shape[len(shape)-1]
	if f.calibration != "" {
		c, err := readCalibration(f.calibration)
		if err != nil {
			return nil, err
		}
		f.by, f.calibrated = c.Link.String(), &c
	}
	if f.top > n {
		return nil, array.Faultf(name, "--top %d is more than the %s; choose at most %d", f.top, array.Counted(n, "class"), n)
	}
	info := matrixInfo{rows: product(shape[:len(shape)-1]), cols: n, shape: shape, dtype: array.Float32, missing: math.Inf(-1), key: f.key}
	var t T
	if _, double := any(t).(float64); double {
		info.dtype = array.Float64
	}
	switch f.as {
	case "classes":
		info.dtype, info.labels, info.missing = array.Uint8, true, 0
	case "probabilities":
		info.missing = 0
	}
	if err := f.openThresholds(&f.readFlags, n); err != nil {
		return nil, err
	}
	p := &predictor[T]{predictFlags: f, s: s, classes: n, rule: f.above()}
	if f.top > 0 {
		p.rule = metrics.Top(f.top)
		if f.given() {
			p.rule = f.above().AtMost(f.top)
		}
	}
	var err error
	if p.out, err = s.out.newRowWriter(f.path, f.how, info); err != nil {
		return nil, err
	}
	p.bar = s.progress("predict", info.rows)
	return p, nil
}

func (p *predictor[T]) close() {
	p.bar.close()
	p.out.discard()
}

func (p *predictor[T]) finish() error {
	if p.nans > 0 {
		p.warnOfNaN()
	}
	if err := p.out.finish(); err != nil {
		return err
	}
	return p.s.finish(func(io.Writer) error { return nil })
}

// write predicts by the scores of rows from row r0 on.
func (p *predictor[T]) write(r0 int, scores []T) error {
	x := matrix(scores, p.classes)
	var chosen *zlpr.BitLabels
	if p.top > 0 || p.as == "classes" {
		var err error
		if chosen, err = metrics.Predict(&metrics.Batch[T]{Scores: x}, p.rule, p.workers); err != nil {
			return p.explain(err, r0)
		}
	}
	if chosen == nil {
		p.noteNaN(r0, scores)
	}
	values, each := scores, p.as == "probabilities" && p.by != "softmax"
	if p.as == "probabilities" && (p.by == "softmax" || chosen == nil) {
		var err error
		if values, err = p.link(x); err != nil {
			return err
		}
	}
	b := &p.block
	b.rows = x.Rows
	if chosen == nil {
		b.setDense(any(values))
	} else {
		b.list(chosen)
		for i := 0; p.as != "classes" && i < x.Rows; i++ {
			for _, j := range b.indices[b.ptr[i]:b.ptr[i+1]] {
				v := values[i*p.classes+int(j)]
				if each {
					v = p.sigmoid(v)
				}
				b.values = append(b.values, float64(v))
			}
		}
	}
	p.bar.add(x.Rows)
	return p.out.write(b)
}

// noteNaN notes the NaN scores of rows from row r0 on: what is written of them is NaN.
func (p *predictor[T]) noteNaN(r0 int, scores []T) {
	for j, v := range scores {
		if v == v {
			continue
		}
		if p.nans++; p.nans == 1 {
			p.firstNaN = p.explain(&zlpr.DataError{Row: j / p.classes, Class: j % p.classes, Kind: zlpr.ScoreNaN, Reason: "score is NaN"}, r0)
		}
	}
}

// warnOfNaN says that what was written has NaN.
func (p *predictor[T]) warnOfNaN() {
	what := "it"
	if p.as == "probabilities" && p.by == "softmax" {
		what = "its row"
	}
	all := ""
	if p.nans > 1 {
		all = fmt.Sprintf(" (%d scores in all)", p.nans)
	}
	p.s.warnings = append(p.s.warnings, fmt.Sprintf("%v; what is written of %s is NaN%s", p.firstNaN, what, all))
}

// setDense makes the rows of a block dense ones.
func (b *rowBlock) setDense(values any) {
	switch x := values.(type) {
	case []float32:
		b.single = x
	case []float64:
		b.double = x
	}
}

// list makes the lists of a block, without values, of the labels of rows.
func (b *rowBlock) list(y *zlpr.BitLabels) {
	b.rows, b.ptr, b.indices, b.values = y.Rows, append(b.ptr[:0], 0), b.indices[:0], b.values[:0]
	for i := range y.Rows {
		for k, word := range y.Words[i*y.Stride:][:y.Stride] {
			for ; word != 0; word &= word - 1 {
				b.indices = append(b.indices, int32(64*k+bits.TrailingZeros64(word)))
			}
		}
		b.ptr = append(b.ptr, int64(len(b.indices)))
	}
}

// link returns the probabilities of scores.
func (p *predictor[T]) link(x zlpr.Matrix[T]) ([]T, error) {
	n := p.classes
	y := kernel.Resize(p.probabilities, len(x.Data))
	p.probabilities = y
	if p.by == "softmax" {
		return y, shared(p.workers, x.Rows, func(r0, r1 int) {
			if p.calibrated != nil {
				p.softmax(y[r0*n:r1*n], x.Data[r0*n:r1*n])
				return
			}
			zlpr.SoftmaxRows(matrix(y[r0*n:r1*n], n), nil, matrix(x.Data[r0*n:r1*n], n))
		})
	}
	return y, shared(p.workers, len(y), func(from, to int) {
		for i, v := range x.Data[from:to] {
			y[from+i] = p.sigmoid(v)
		}
	})
}

// softmax writes the calibrated probabilities of rows, computed in float64.
func (p *predictor[T]) softmax(y, x []T) {
	wide := make([]float64, p.classes)
	row := matrix(wide, p.classes)
	for at := 0; at < len(x); at += p.classes {
		for j, v := range x[at:][:p.classes] {
			if wide[j] = float64(v); !math.IsInf(wide[j], 0) {
				wide[j] *= p.calibrated.Scale
			}
		}
		zlpr.SoftmaxRows(row, nil, row)
		for j, v := range wide {
			y[at+j] = T(v)
		}
	}
}

// sigmoid returns the probability of a score alone.
func (p *predictor[T]) sigmoid(v T) T {
	if c := p.calibrated; c != nil {
		if math.IsInf(float64(v), -1) { // no score, whatever the scale
			return 0
		}
		return T(c.Of(float64(v)))
	}
	if p.by == "sigmoid2" {
		return T(scalar.Sigmoid(2 * float64(v)))
	}
	return T(scalar.Sigmoid(float64(v)))
}

// shared calls f for all of 0 to n-1, in ranges that workers share. It may read
// arrays.
func shared(workers, n int, f func(from, to int)) error {
	workers = max(1, min(workers, n))
	errs := make([]error, workers)
	var wait sync.WaitGroup
	for i := range workers {
		wait.Go(func() {
			errs[i] = array.Guard(func() error {
				f(i*n/workers, (i+1)*n/workers)
				return nil
			})
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// predict computes the scores of all rows and hands them to write, block by
// block.
func (m *model) predict(x *features, workers int, write func(row int, scores []float32) error) error {
	rows, cols := x.Dims()
	size := blockRows(rows, max(cols, m.classes))
	scores, rounded := make([]float64, size*m.classes), make([]float32, size*m.classes)
	for r0 := 0; r0 < rows; r0 += size {
		b, err := x.rows(r0, min(r0+size, rows))
		if err != nil {
			return err
		}
		if m.scale != nil {
			b.Standardize(m.mean, m.scale)
		}
		n := b.Rows * m.classes
		b.Multiply(scores[:n], m.w, m.b, m.classes, workers)
		for i, v := range scores[:n] {
			rounded[i] = float32(v)
		}
		if err := write(r0, rounded[:n]); err != nil {
			return err
		}
	}
	return nil
}

// A model is what zlpr train wrote.
type model struct {
	features, classes int
	w, b, mean, scale []float64
	thresholds        []float64 // one, or one a class, or none
}

func openModel(path string) (*model, error) {
	z, err := array.OpenArchive(path)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	m := &model{}
	read := func(key string, shape ...int) []float64 {
		if err != nil {
			return nil
		}
		var a *array.Array
		if a, err = z.Open(key); err != nil {
			return nil
		}
		defer a.Close()
		if key == "W" && len(a.Shape) == 2 {
			m.features, m.classes = a.Shape[0], a.Shape[1]
		} else if !slices.Contains(shape, a.Len()) {
			err = array.Faultf(path, "%s is of shape %s; write the model by zlpr train", quoted(key), array.ShapeString(a.Shape))
		}
		return array.Copy[float64](a, 0, a.Len())
	}
	m.w = read("W")
	m.b = read("b", m.classes)
	if z.Has("threshold") {
		m.thresholds = read("threshold", 1, m.classes)
		for j, v := range m.thresholds {
			if math.IsNaN(v) && err == nil {
				err = array.Faultf(path, "the threshold of class %d is NaN; write the model by zlpr train", j)
			}
		}
	}
	if z.Has("scale") {
		m.mean, m.scale = read("mean", m.features), read("scale", m.features)
	}
	if err == nil && (m.features == 0 || m.classes == 0) {
		err = array.Faultf(path, "a model of %s and %s; write it by zlpr train", array.Counted(m.features, "feature"), array.Counted(m.classes, "class"))
	}
	return m, err
}
