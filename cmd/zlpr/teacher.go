package main

import (
	"math"
	"slices"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
)

// distilled are the losses that have a divergence from a teacher.
var distilled = []string{"softmax", "bce", "zlpr"}

// teacherFlags make losses divergences from a teacher's scores.
type teacherFlags struct {
	teacher     string
	temperature float64
}

// table is the flags, for losses that on tells.
func (f *teacherFlags) table(losses []use) flagTable {
	f.temperature = 1
	return flagTable{
		{name: "teacher", to: &f.teacher, file: input, uses: losses,
			doc: "a teacher's scores `file`: softmax, bce and zlpr are T²·D(teacher ‖ scores) at\nscores over T; labels are for metrics alone then, and may be left out"},
		{name: "temperature", to: &f.temperature, uses: []use{withFlag("teacher", &f.teacher)}, doc: "temperature `T` of --teacher"},
	}
}

// check checks what can be checked without the files.
func (f *teacherFlags) check(names []string, all bool) error {
	if t := f.temperature; !(t > 0) || math.IsInf(t, 1) {
		return usagef("--temperature %v: a number above 0", t)
	}
	if f.teacher == "" || all {
		return nil
	}
	for _, name := range names {
		if !slices.Contains(distilled, name) {
			return usagef("--teacher: %s has no form for a teacher; choose --loss %s", name, strings.Join(distilled, ", "))
		}
	}
	return nil
}

// checkLoss checks that there is no teacher beside smoothed labels, or a parameter
// that its divergences do not have.
func (f *teacherFlags) checkLoss(loss *lossFlags, all bool) error {
	switch {
	case f.teacher == "":
	case loss.smoothing != 0:
		return usagef("--smoothing and --teacher exclude each other: a teacher takes the place of labels")
	case all: // whose losses may be others
	case loss.S0 != 0:
		return usagef("--s0 and --teacher exclude each other; classes are predicted above --predict-threshold")
	case loss.Focal != 0 || loss.PosWeight != "":
		return usagef("--focal and --pos-weight exclude --teacher: the divergence of bce has no parameter")
	}
	return nil
}

// distill returns the loss, of a teacher if there is one.
func (f *teacherFlags) distill(loss zlpr.Loss) zlpr.Loss {
	if f.teacher == "" {
		return loss
	}
	return zlpr.Distillation{Loss: loss, Temperature: f.temperature}
}

// openTeacher opens the scores of the teacher of scores of those shapes.
func (f *evalFlags) openTeacher(e *evaluation) error {
	t, err := f.openScoresAs("teacher", f.teacher)
	if err != nil {
		return err
	}
	e.teacher = t
	if f.lengths != "" && len(t.shape) == 4 {
		t.flattenSpans()
	}
	if !slices.Equal(t.shape, e.scores.shape) {
		return array.Faultf(f.teacher, "a teacher's scores of shape %s, scores of shape %s; they must agree", array.ShapeString(t.shape), array.ShapeString(e.scores.shape))
	}
	e.shards["teacher"] = shardsOf(t, t.rows())
	return checkPairs("teacher", e.shards["teacher"], e.shards["scores"])
}

// openTeacher returns the scores that the teacher has for the train rows. The file has
// those of all rows.
func (f *trainFlags) openTeacher(d *dataset) ([]float64, error) {
	t, err := f.openScoresAs("teacher", f.teacher)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	rows := d.train.x.Rows + d.test.x.Rows + d.leftOut
	if t.rows() != rows || t.classes() != d.classes {
		return nil, array.Faultf(f.teacher, "a teacher's scores of shape %s; %d×%d are needed, those of all rows", array.ShapeString(t.shape), rows, d.classes)
	}
	var buffer []float64
	scores := make([]float64, 0, len(d.train.rows)*d.classes)
	for _, row := range d.train.rows {
		scores = append(scores, block(t, &buffer, row, row+1)...)
		for j, v := range scores[len(scores)-d.classes:] {
			if v-v != 0 {
				return nil, array.Faultf(f.teacher, "row %d, column %d: teacher's score is %v; training takes finite ones", row, j, v)
			}
		}
	}
	return scores, nil
}
