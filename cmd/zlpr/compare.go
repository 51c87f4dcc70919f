package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr/internal/array"
)

type compareFlags struct {
	data    string
	sets    []string
	l2      []string
	workers int

	tolerance  float64
	iterations int
}

func newCompare() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "BCE against ZLPR on a folder of data sets",
		Long: `Trains every data set of a folder with bce and with zlpr, for every λ of a grid,
and prints a Markdown table of the metrics of the test rows. No λ is picked by
the test rows: all are printed.

A data set is a folder with Y.npy, split.npy and X.npy, which is standardised,
or X_indptr.npy, X_indices.npy and X_data.npy, which are taken as they are.`,
		Example: "  zlpr compare --data sets --l2 1e-1,1e-2,1e-3",
		RunE:    func(cmd *cobra.Command, _ []string) error { return runCompare(cmd, &f) },
	}
	s := cmd.Flags()
	s.SortFlags = false
	s.StringVar(&f.data, "data", "", "`directory` of the data sets")
	s.StringSliceVar(&f.sets, "sets", nil, "names of data sets (default: all, by size)")
	s.StringSliceVar(&f.l2, "l2", []string{"1e-1", "1e-2", "1e-3", "1e-4"}, "the grid of λ")
	s.Float64Var(&f.tolerance, "tolerance", defaultTolerance, "of the objective, relative")
	s.IntVar(&f.iterations, "iterations", defaultIterations, "at most this many")
	s.IntVar(&f.workers, "workers", runtime.GOMAXPROCS(0), "number of threads that compute")
	return cmd
}

func runCompare(cmd *cobra.Command, f *compareFlags) error {
	switch {
	case f.data == "":
		return usagef("give the folder of the data sets by --data")
	case f.workers < 1 || f.iterations < 1:
		return usagef("--workers and --iterations: at least 1")
	case !(f.tolerance > 0 && f.tolerance < 1):
		return usagef("--tolerance %v: between 0 and 1", f.tolerance)
	}
	var grid []float64
	for _, s := range f.l2 {
		v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || !(v > 0) {
			return usagef("--l2: %q is no positive number", s)
		}
		grid = append(grid, v)
	}
	if len(f.sets) == 0 {
		var err error
		if f.sets, err = findSets(f.data); err != nil {
			return err
		}
	}
	w := cmd.OutOrStdout()
	fmt.Fprintln(w, "| set | λ | loss | micro F1 | macro F1 | samples F1 | Hamming loss | iterations |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for _, set := range f.sets {
		t := trainFlags{y: filepath.Join(f.data, set, "Y.npy"), split: filepath.Join(f.data, set, "split.npy"),
			tolerance: f.tolerance, iterations: f.iterations, workers: f.workers}
		if err := t.findFeatures(filepath.Join(f.data, set)); err != nil {
			return err
		}
		d, err := t.openDataset(cmd.Context())
		if err != nil {
			return err
		}
		if t.standardize {
			mean, scale := d.train.x.Standardization()
			d.train.x.Standardize(mean, scale)
			d.test.x.Standardize(mean, scale)
		}
		for _, l2 := range grid {
			t.l2 = l2
			for _, loss := range []string{"bce", "zlpr"} {
				r, err := t.fit(cmd.Context(), d, loss)
				if err != nil {
					return fmt.Errorf("%s: %w", set, err)
				}
				fmt.Fprintf(w, "| %s | %g | %s | %.4f | %.4f | %.4f | %.4f | %s |\n", set, l2, loss,
					float64(r.Metrics["micro_f1"]), float64(r.Metrics["macro_f1"]), float64(r.Metrics["samples_f1"]),
					float64(r.Metrics["hamming_loss"]), r.ending())
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
	for _, j := range array.All[int32](indices) {
		f.features = max(f.features, int(j)+1)
	}
	f.csr = strings.Join([]string{filepath.Join(dir, "X_indptr.npy"), filepath.Join(dir, "X_indices.npy"), filepath.Join(dir, "X_data.npy")}, ",")
	return nil
}
