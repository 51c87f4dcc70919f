package main

import (
	"archive/zip"
	"errors"
	"io"

	"github.com/zlpr/zlpr/internal/array"
)

// writeModel writes the model: W, b, and the thresholds and the standardisation if there are any.
func (f *trainFlags) writeModel(file io.Writer, d *dataset, r *trainReport) error {
	return writeNPZ(file, f.out, func(z *zip.Writer) error {
		err := array.Add(z, "W", false, []int{d.features, d.classes}, r.model.W)
		err = errors.Join(err, array.Add(z, "b", false, []int{d.classes}, r.model.B))
		err = errors.Join(err, array.Add(z, "objective", false, nil, []float64{float64(r.Objective)}))
		if r.choice != nil {
			list := r.choice.thresholds()
			err = errors.Join(err, array.Add(z, "threshold", false, []int{len(list)}, list))
		}
		if f.standardize {
			err = errors.Join(err,
				array.Add(z, "mean", false, []int{d.features}, f.standardMean),
				array.Add(z, "scale", false, []int{d.features}, f.std))
		}
		return err
	})
}

// writeTestScores writes scores as float32, and labels.
func writeTestScores(file io.Writer, path string, p part, classes int, scores []float64) error {
	rows := p.x.Rows
	s, y := make([]float32, len(scores)), make([]uint8, len(scores))
	for i, v := range scores {
		s[i] = float32(v)
		r, j := i/classes, i%classes
		y[i] = uint8(p.y.Words[r*p.y.Stride+j/64] >> (j % 64) & 1)
	}
	return writeNPZ(file, path, func(z *zip.Writer) error {
		err := array.Add(z, "scores", true, []int{rows, classes}, s)
		return errors.Join(err, array.Add(z, "labels", true, []int{rows, classes}, y))
	})
}

// writeNPZ writes the arrays of an .npz file that is to be called path.
func writeNPZ(file io.Writer, path string, write func(*zip.Writer) error) error {
	z := zip.NewWriter(file)
	return fileError(path, errors.Join(write(z), z.Close()))
}
