package main

import (
	"io"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr/internal/array"
)

type predictFlags struct {
	featureFlags
	model, out string
	workers    int
}

func newPredict(s *session) *cobra.Command {
	var f predictFlags
	cmd := &cobra.Command{
		Use:   "predict",
		Short: "Scores of a trained model",
		Long: `Writes the scores x·W + b of the rows of a matrix of features, as float32. A
model that was trained with --standardize standardises them itself.`,
		Example: `  zlpr predict --model model.npz --x X.npy --out S.npy
  zlpr eval --scores S.npy --labels Y.npy`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPredict(s, &f) },
	}
	f.table().declare(cmd, s, f.check)
	f.set = cmd.Flags().Changed
	return cmd
}

// table is the flags of predict.
func (f *predictFlags) table() flagTable {
	f.workers = runtime.GOMAXPROCS(0)
	t := flagTable{{name: "model", to: &f.model, file: input, doc: "model `file` that zlpr train wrote"}}
	return slices.Concat(t, f.featureFlags.table(), flagTable{
		{name: "out", to: &f.out, file: output, ends: []string{".npy"}, doc: "write the scores to this .npy `file`"},
		{name: "workers", to: &f.workers, doc: "number of threads that compute"},
	}, f.readFlags.table(false))
}

// check checks what can be checked without the files.
func (f *predictFlags) check() error {
	switch {
	case f.model == "" || f.out == "" || (f.x == "") == (f.csr == ""):
		return usagef("give --model, --x (or --x-csr) and --out")
	case f.workers < 1:
		return usagef("--workers %d: at least 1", f.workers)
	}
	return f.featureFlags.check()
}

func runPredict(s *session, f *predictFlags) error {
	m, err := openModel(f.model)
	if err != nil {
		return err
	}
	if f.features == 0 {
		f.features = m.features
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
		return array.Faultf(x.name, "%d features, the model %s has %d; they must agree", cols, quoted(f.model), m.features)
	}
	if rows == 0 {
		return array.Faultf(x.name, "empty: no rows of features; there is nothing to predict")
	}
	w, err := s.out.createArray(f.out, array.Float32, []int{rows, m.classes}, m.classes)
	if err != nil {
		return err
	}
	bar := s.progress("predict", rows)
	err = m.predict(x, f.workers, func(row int, scores []float32) error {
		bar.add(len(scores) / max(1, m.classes))
		return writeRows(w, f.out, row, scores)
	})
	bar.close()
	if err != nil {
		return err
	}
	return s.finish(func(io.Writer) error { return nil })
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
		} else if len(shape) != 1 || a.Len() != shape[0] {
			err = array.Faultf(path, "%s is of shape %s; write the model by zlpr train", quoted(key), array.ShapeString(a.Shape))
		}
		return array.Copy[float64](a, 0, a.Len())
	}
	m.w = read("W")
	m.b = read("b", m.classes)
	if z.Has("scale") {
		m.mean, m.scale = read("mean", m.features), read("scale", m.features)
	}
	if err == nil && (m.features == 0 || m.classes == 0) {
		err = array.Faultf(path, "a model of %d features and %d classes; write it by zlpr train", m.features, m.classes)
	}
	return m, err
}
