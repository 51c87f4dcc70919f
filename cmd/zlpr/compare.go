package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/named"
)

type compareFlags struct {
	data    string
	source  string // of Go, a further set
	sets    []string
	losses  []string
	l2      []string
	grid    []float64 // of l2
	auto    bool      // λ and threshold are chosen by measure
	measure string
	lossFlags
	resamplingFlags
	workers int
	json    bool

	tolerance  float64
	iterations int
}

func newCompare(s *session) *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "BCE against ZLPR on a folder of data sets",
		Long: `Trains every data set of a folder by --losses, bce and zlpr, for every λ of a grid,
and prints a Markdown table of the metrics of the test rows. No λ is picked by
the test rows: all are printed.

With --l2 auto every loss has its own λ and its own threshold, chosen by --select on
validation rows held out of the train rows, as zlpr train --l2 auto does, and the
table has the test rows' metrics at that threshold, with the differences from the first
loss and their intervals, by paired resamples of the test rows as of zlpr diff.

A data set is a folder with Y.npy, split.npy and X.npy, which is standardised,
or X_indptr.npy, X_indices.npy and X_data.npy, which are taken as they are.`,
		Example: `  zlpr compare --data sets --l2 1e-1,1e-2,1e-3
  zlpr compare --data sets --l2 auto --losses bce,zlpr,asymmetric`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runCompare(cmd.Context(), s, &f) },
	}
	f.table().declare(cmd, s, f.check)
	return cmd
}

// table is the flags of compare.
func (f *compareFlags) table() flagTable {
	*f = compareFlags{lossFlags: lossFlags{Parameters: named.Default}, losses: []string{"bce", "zlpr"}, measure: "micro_f1", resamplingFlags: resamplingFlags{resamples: 10000, seed: 1, confidence: 0.95}, l2: []string{"1e-1", "1e-2", "1e-3", "1e-4"}, tolerance: defaultTolerance, iterations: defaultIterations,
		workers: runtime.GOMAXPROCS(0)}
	auto := []use{{"--l2 auto", func() bool { return slices.Equal(f.l2, []string{"auto"}) }}}
	return append(flagTable{
		{name: "data", to: &f.data, file: input, doc: "`directory` of the data sets"},
		{name: "source", to: &f.source, file: input, doc: "`directory` of Go's source: the data set of zlpr train without files, as the set go"},
		{name: "sets", to: &f.sets, file: input, doc: "names of data sets (default: all, by size)"},
		{name: "losses", to: &f.losses, list: true, words: comparableLosses, doc: "losses, with the first of which the others are compared, of\n" + strings.Join(comparableLosses, ", ")},
		{name: "l2", to: &f.l2, words: []string{"auto"}, doc: "the grid of λ; or auto: each loss has the λ and the threshold that validation rows\nchoose"},
		{name: "select", to: &f.measure, words: tuneMeasures[:3], uses: auto, doc: "the measure that is to be the highest on the validation rows"},
		{name: "resamples", to: &f.resamples, uses: auto, doc: "number of resamples"},
		{name: "seed", to: &f.seed, uses: auto, doc: "seed of the resamples"},
		{name: "confidence", to: &f.confidence, uses: auto, doc: "of the intervals, between 0 and 1"},
		{name: "tolerance", to: &f.tolerance, doc: "of the objective, relative"},
		{name: "iterations", to: &f.iterations, doc: "at most this many"},
		{name: "workers", to: &f.workers, doc: "number of threads that compute"},
		{name: "json", to: &f.json, doc: "print one JSON object"},
	}, f.lossFlags.table(func(names ...string) []use { return ofTrained(names, func() []string { return f.losses }) })...)
}

// check checks what can be checked without the files.
func (f *compareFlags) check() error {
	switch {
	case f.data == "" && f.source == "":
		return usagef("give the folder of the data sets by --data")
	case f.workers < 1 || f.iterations < 1:
		return usagef("--workers and --iterations: at least 1")
	case !(f.tolerance > 0 && f.tolerance < 1):
		return usagef("--tolerance %v: between 0 and 1", f.tolerance)
	}
	if err := f.lossFlags.check(); err != nil {
		return err
	}
	if len(f.losses) == 0 {
		return usagef("--losses: give at least one loss")
	}
	for k, name := range f.losses {
		if f.losses[k] = strings.TrimSpace(name); !slices.Contains(comparableLosses, f.losses[k]) {
			return unknownLoss(f.losses[k], comparableLosses)
		} else if slices.Contains(f.losses[:k], f.losses[k]) {
			return usagef("--losses: %s is there twice", f.losses[k])
		}
	}
	f.grid = nil
	if f.auto = slices.Equal(f.l2, []string{"auto"}); f.auto {
		if _, err := selection(f.measure, 0); err != nil {
			return err
		}
		return f.resamplingFlags.check()
	}
	for _, s := range f.l2 {
		v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || !(v > 0 && v <= 1e300) {
			return usagef("--l2: %q is no number above 0, and at most 1e300", s)
		}
		f.grid = append(f.grid, v)
	}
	if len(f.grid) == 0 {
		return usagef("--l2: give at least one λ")
	}
	return nil
}

// goSet is the name of the set of Go's source.
const goSet = "go"

// A comparison is what compare prints of one training.
type comparison struct {
	Set string `json:"set"`
	*trainReport
	Differences map[string]differenceReport `json:"differences,omitempty"` // from the set's first loss, of --l2 auto
}

func runCompare(ctx context.Context, s *session, f *compareFlags) error {
	sets := f.sets
	if len(sets) == 0 && f.data != "" {
		var err error
		if sets, err = findSets(f.data); err != nil {
			return err
		}
	}
	results := []comparison{}
	err := f.each(ctx, s, sets, func(c comparison) error {
		if f.json {
			results = append(results, c)
			return nil
		}
		if f.auto {
			return writeChosen(s.stdout, c)
		}
		_, err := fmt.Fprintf(s.stdout, "| %s | %g | %s | %.4f | %.4f | %.4f | %.4f | %s |\n", c.Set, float64(c.L2), c.Loss,
			float64(c.Metrics["micro_f1"]), float64(c.Metrics["macro_f1"]), float64(c.Metrics["samples_f1"]),
			float64(c.Metrics["hamming_loss"]), c.ending())
		return err
	})
	if err != nil {
		return err
	}
	return s.finish(func(w io.Writer) error {
		if !f.json {
			return nil
		}
		return writeJSON(w, struct {
			Results []comparison `json:"results"`
		}{results})
	})
}

// each trains every data set by every λ and both losses. A table is printed as
// it comes.
func (f *compareFlags) each(ctx context.Context, s *session, sets []string, result func(comparison) error) error {
	if !f.json {
		head := chosenHead
		if !f.auto {
			head = "| set | λ | loss | micro F1 | macro F1 | samples F1 | Hamming loss | iterations |\n" +
				"|---|---|---|---|---|---|---|---|\n"
		}
		_, err := fmt.Fprint(s.stdout, head)
		if err != nil {
			return err
		}
	}
	if f.source != "" {
		sets = append(slices.Clone(sets), goSet)
	}
	for _, set := range sets {
		t := trainFlags{lossFlags: f.lossFlags, tolerance: f.tolerance, iterations: f.iterations, workers: f.workers}
		if f.source != "" && set == goSet {
			t.source = f.source
		} else {
			t.y, t.split = filepath.Join(f.data, set, "Y.npy"), filepath.Join(f.data, set, "split.npy")
			if err := t.findFeatures(filepath.Join(f.data, set)); err != nil {
				return err
			}
		}
		d, err := t.openDataset(ctx)
		if err != nil {
			return err
		}
		if t.standardize {
			mean, scale := d.train.x.Standardization()
			d.train.x.Standardize(mean, scale)
			d.test.x.Standardize(mean, scale)
		}
		if f.auto {
			if err := f.eachChosen(ctx, s, &t, d, set, result); err != nil {
				return err
			}
		}
		for _, t.l2 = range f.grid {
			for _, loss := range f.losses {
				r, err := t.fit(ctx, s, d, loss)
				if err != nil {
					return fmt.Errorf("%s: %w", quoted(set), err)
				}
				if err := result(comparison{Set: set, trainReport: r}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// findSets returns the folders that have labels, the smallest first.
func findSets(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fileError(dir, err)
	}
	size := map[string]int64{}
	var sets []string
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(dir, e.Name(), "Y.npy")); err == nil {
			sets = append(sets, e.Name())
			size[e.Name()] = info.Size()
		}
	}
	slices.SortFunc(sets, func(a, b string) int { return int(size[a] - size[b]) })
	if len(sets) == 0 {
		return nil, fmt.Errorf("%s: no folder with Y.npy in it", dir)
	}
	return sets, nil
}

// findFeatures sets the features: dense ones, which are standardised, or sparse
// ones.
func (f *trainFlags) findFeatures(dir string) error {
	dense := filepath.Join(dir, "X.npy")
	if _, err := os.Stat(dense); err == nil {
		f.x, f.standardize = dense, true
		return nil
	}
	indices, err := array.Open(filepath.Join(dir, "X_indices.npy"))
	if err != nil {
		return err
	}
	defer indices.Close()
	// As many features as occur: those that do not have weight 0.
	numbers, err := array.As[int32](indices)
	var e *array.ElementError
	if errors.As(err, &e) {
		return array.Faultf(indices.Name, "column %s is no number from 0 to 2^31-1", e.Value)
	} else if err != nil {
		return err
	}
	defer numbers.Close()
	if numbers.Len() == 0 {
		return array.Faultf(indices.Name, "empty: there are no features")
	} else {
		f.features = max(f.features, int(slices.Max(array.All[int32](numbers)))+1)
	}
	f.csr = strings.Join([]string{filepath.Join(dir, "X_indptr.npy"), filepath.Join(dir, "X_indices.npy"), filepath.Join(dir, "X_data.npy")}, ",")
	return nil
}
