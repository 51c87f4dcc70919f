package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/metrics"
	reports "github.com/zlpr/zlpr/report"
)

type calibrateFlags struct {
	evalFlags
	fit, by, out string
	link         reports.Link
}

// fits are what calibrate may fit.
var fits = []string{"temperature", "platt", "none"}

func newCalibrate(s *session) *cobra.Command {
	var f calibrateFlags
	cmd := &cobra.Command{
		Use:   "calibrate SCORES LABELS",
		Short: "Whether probabilities can be trusted, and a temperature that mends them",
		Long: `Tells how good the probabilities are that scores stand for, and fits what makes
them better, on a validation file: p = link(scale·s + shift), with the link

  sigmoid    1/(1+exp(-s)), of every class alone
  sigmoid2   1/(1+exp(-2s)), what ZLPR tends to
  softmax    of the one class of a row that is right

and, by --fit, the scale (temperature = 1/scale) or the scale and the shift
(platt) of the least log loss, by Newton's method. Reported are

  Brier score   mean of (p-y)²
  log loss      mean of -log p of the label
  ECE           Σ n_b/N·|mean p - mean y|, the expected calibration error, in 15
                bins of equal width and 15 of equal mass

over all elements that take part; of the softmax over the rows, p being the
probability of the target and y 1. The ECE is biased upwards: a model that is
calibrated has about what stands as "by chance". For the softmax the ECE of the
highest probability of every row, whether it is right, is told as well.

zlpr predict --calibration takes the output. Infinite scores are errors.`,
		Example: `  zlpr calibrate S.npy Y.npy
  zlpr calibrate S.npy Y.npy --fit platt --by sigmoid2 --out calibration.json
  zlpr predict --scores T.npy --as probabilities --calibration calibration.json --out P.npy`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runCalibrate(cmd.Context(), s, &f) },
	}
	f.table().declare(cmd, s, f.check)
	f.set = cmd.Flags().Changed
	return cmd
}

// table is the flags of calibrate.
func (f *calibrateFlags) table() flagTable {
	f.evalFlags = evalFlags{loss: "zlpr", thresholdColumn: -1, workers: runtime.GOMAXPROCS(0)}
	f.fit, f.by = "temperature", "sigmoid"
	pair, run := f.pairTables()
	return slices.Concat(pair, flagTable{
		{name: "fit", to: &f.fit, words: fits, doc: "temperature, platt (scale and shift) or none"},
		{name: "by", to: &f.by, words: links, doc: "how scores become probabilities: " + strings.Join(links, ", ")},
		{name: "out", to: &f.out, file: output, ends: []string{".json"}, doc: "write the calibration to this .json `file`"},
	}, run)
}

// check checks what can be checked without the files.
func (f *calibrateFlags) check() error {
	if err := f.checkPair("calibrate"); err != nil {
		return err
	}
	switch {
	case !slices.Contains(fits, f.fit):
		return usagef("--fit %q: choose %s%s", f.fit, strings.Join(fits, ", "), didYouMean(f.fit, "", fits))
	case !slices.Contains(links, f.by):
		return usagef("--by %q: choose %s%s", f.by, strings.Join(links, ", "), didYouMean(f.by, "", links))
	case f.by == "softmax" && f.fit == "platt":
		return usagef("--fit platt: a shift of all scores changes no softmax; choose --fit temperature")
	}
	f.link = reports.Link(slices.Index(links, f.by))
	return nil
}

func runCalibrate(ctx context.Context, s *session, f *calibrateFlags) error {
	start := time.Now()
	e := &evaluation{workers: f.workers, remedies: remedy{zlpr.ScoreNaN: mendOrMask, zlpr.ScoreInfinite: mendOrMask,
		zlpr.LabelMissing: "choose --by sigmoid", zlpr.LabelsTooMany: "choose --by sigmoid"}}
	if err := f.openInputs(e); err != nil {
		return err
	}
	defer e.scores.Close()
	switch {
	case e.soft != nil:
		return array.Faultf(f.labels, "labels are soft, and calibrate needs 0 and 1")
	case e.scores.csr != nil:
		return array.Faultf(f.scores, "a sparse matrix has no scores of the classes that it does not list; calibrate needs all")
	}
	files, err := s.out.createAll(f.out, f.html, f.markdown)
	if err != nil {
		return err
	}
	c := &calibration{evaluation: e, targets: f.by == "softmax"}
	if _, ok := e.labels.(*targetBits); ok {
		c.targets = true
	}
	r, err := c.run(ctx, s, f)
	if err != nil {
		return err
	}
	r.Warnings, r.Inputs = append([]string{}, f.warnings...), f.inputs
	r.Seconds, r.Tier, r.Version = number(time.Since(start).Seconds()), zlpr.Tier(), version()
	if f.out != "" {
		if err := writeJSON(files[f.out], r); err != nil {
			return fileError(f.out, err)
		}
	}
	if f.asksPage() {
		if err := f.writePage(s, r.page(f.scores), files); err != nil {
			return err
		}
	}
	if f.json {
		return s.finish(func(w io.Writer) error { return writeJSON(w, r) })
	}
	return s.finish(r.writeText)
}

// A calibration goes over scores and labels as often as it takes.
type calibration struct {
	*evaluation
	targets bool // whether every row has one positive class
}

// run fits, and tells the errors before and after, and by the other links.
func (c *calibration) run(ctx context.Context, s *session, f *calibrateFlags) (*calibrateReport, error) {
	before := reports.Calibration{Link: f.link, Scale: 1}
	after := before
	if f.fit != "none" {
		var err error
		if after, err = c.fit(ctx, s, reports.NewFit(f.link, f.fit == "platt")); err != nil {
			return nil, err
		}
	}
	all := []reports.Calibration{before, after}
	for l := reports.Sigmoid; l <= reports.Softmax; l++ {
		if l != f.link && (l != reports.Softmax || c.targets) {
			all = append(all, reports.Calibration{Link: l, Scale: 1})
		}
	}
	found, rows, err := c.judge(ctx, s, all)
	if err != nil {
		return nil, err
	}
	if found[0].Elements == 0 {
		return nil, c.noRows("calibrate")
	}
	return newCalibrateReport(f, after, all, found, rows), nil
}

// fit fits until the minimum is found.
func (c *calibration) fit(ctx context.Context, s *session, fit *reports.Fit) (reports.Calibration, error) {
	for {
		parts := make([]*reports.Fit, c.workers)
		for i := range parts {
			parts[i] = fit.Part()
		}
		if err := c.pass(ctx, s, "fit", func(worker int, e *reports.Elements) { parts[worker].Add(e) }); err != nil {
			return reports.Calibration{}, err
		}
		for _, p := range parts {
			fit.Merge(p)
		}
		done, err := fit.Next()
		switch {
		case errors.Is(err, reports.ErrNoElements):
			return reports.Calibration{}, c.noRows("calibrate")
		case errors.Is(err, reports.ErrSeparable):
			return reports.Calibration{}, array.Faultf(c.files["scores"], "no calibration has the least log loss: the scores tell the labels without an error, or all labels are alike; fit on other rows, or choose --fit none")
		case err != nil || done:
			return fit.Calibration(), err
		}
	}
}

// judge finds the errors of several calibrations, and the number of rows.
func (c *calibration) judge(ctx context.Context, s *session, all []reports.Calibration) ([]reports.Errors, int, error) {
	type search struct {
		of  reports.Calibration
		top bool
		*reports.Quantiles
	}
	var searches []search
	for _, of := range all {
		searches = append(searches, search{of, false, reports.NewQuantiles()})
		if of.Link == reports.Softmax {
			searches = append(searches, search{of, true, reports.NewQuantiles()})
		}
	}
	for done := false; !done; {
		parts := make([][]*reports.Quantiles, c.workers)
		for i := range parts {
			for _, q := range searches {
				parts[i] = append(parts[i], q.Part())
			}
		}
		err := c.pass(ctx, s, "quantiles", func(worker int, e *reports.Elements) {
			for k, q := range searches {
				if q.Edges() == nil {
					parts[worker][k].Add(q.of.Values(e, q.top))
				}
			}
		})
		if err != nil {
			return nil, 0, err
		}
		done = true
		for k, q := range searches {
			for _, p := range parts {
				q.Merge(p[k])
			}
			done = q.Next() && done
		}
	}
	edges := func(of reports.Calibration, top bool) []float64 {
		for _, q := range searches {
			if q.of == of && q.top == top {
				return q.Edges()
			}
		}
		return nil
	}
	parts := make([][]*reports.Reliability, c.workers)
	rows := make([]int, c.workers)
	for i := range parts {
		for _, of := range all {
			parts[i] = append(parts[i], reports.NewReliability(of, edges(of, false), edges(of, true)))
		}
	}
	err := c.pass(ctx, s, "calibrate", func(worker int, e *reports.Elements) {
		rows[worker] += len(e.Ends)
		for _, r := range parts[worker] {
			r.Add(e)
		}
	})
	if err != nil {
		return nil, 0, err
	}
	var found []reports.Errors
	total := rows[0]
	for i, p := range parts[1:] {
		total += rows[i+1]
		for k, r := range p {
			parts[0][k].Merge(r)
		}
	}
	for _, r := range parts[0] {
		found = append(found, r.Errors())
	}
	return found, total, nil
}

// pass hands all rows to visit, which workers call at the same time.
func (c *calibration) pass(ctx context.Context, s *session, what string, visit func(worker int, e *reports.Elements)) error {
	if c.scores.dtype == array.Float64 {
		return passOver[float64](ctx, c, s, what, visit)
	}
	return passOver[float32](ctx, c, s, what, visit)
}

func passOver[T zlpr.Float](ctx context.Context, c *calibration, s *session, what string, visit func(worker int, e *reports.Elements)) error {
	rows, n := c.scores.rows(), c.scores.classes()
	size := max(1, blockRows(rows, n)/4) // elements take more room than scores
	blocks := (rows + size - 1) / size
	bar := s.progress(what, rows)
	defer bar.close()
	var next, failed atomic.Int64
	failed.Store(int64(blocks))
	errs, at := make([]error, c.workers), make([]int64, c.workers)
	var wait sync.WaitGroup
	for i := range c.workers {
		wait.Go(func() {
			var buffer []T
			var words []uint64
			var e reports.Elements
			for ctx.Err() == nil {
				k := next.Add(1) - 1
				if k >= failed.Load() {
					return
				}
				r0 := int(k) * size
				r1 := min(r0+size, rows)
				err := array.Guard(func() error {
					x := block(c.scores, &buffer, r0, r1)
					width := (n + 63) / 64
					words = slices.Grow(words[:0], (r1-r0)*width)[:(r1-r0)*width]
					labels, err := c.readLabels(words, r0, r1)
					if err != nil {
						return err
					}
					b := metrics.Batch[T]{Scores: matrix(x, n), Labels: labels}
					if c.mask != nil {
						b.Mask = maskBits{c.mask.block(r0, r1)}
					}
					if err := reports.Gather(&e, &b, c.targets); err != nil {
						return c.explain(err, r0)
					}
					visit(i, &e)
					return nil
				})
				if err != nil {
					errs[i], at[i] = err, k
					for old := failed.Load(); k < old && !failed.CompareAndSwap(old, k); {
						old = failed.Load()
					}
					return
				}
				bar.add(r1 - r0)
			}
		})
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil && at[i] == failed.Load() {
			return err
		}
	}
	return ctx.Err()
}

// readCalibration reads what calibrate wrote.
func readCalibration(path string) (c reports.Calibration, err error) {
	text, err := readText(path, "calibrations")
	if err != nil {
		return c, err
	}
	var (
		by           string
		scale, shift *float64
	)
	object, err := jsonObject(text)
	for key, to := range map[string]any{"by": &by, "scale": &scale, "shift": &shift} {
		if err == nil && object[key] != nil {
			err = json.Unmarshal(object[key], to)
		}
	}
	switch {
	case errors.Is(err, errTwice):
		return c, array.Faultf(path, "%v; write it by zlpr calibrate --out", err)
	case err != nil || scale == nil || shift == nil:
		return c, array.Faultf(path, `no JSON object with "by", "scale" and "shift"; write it by zlpr calibrate --out`)
	}
	link := slices.Index(links, by)
	if link < 0 {
		return c, array.Faultf(path, `"by" is %s, not %s; write it by zlpr calibrate --out`, quoted(by), strings.Join(links, ", "))
	}
	return reports.Calibration{Link: reports.Link(link), Scale: *scale, Shift: *shift}, nil
}
