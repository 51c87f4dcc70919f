package main

import (
	"fmt"
	"io"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
)

type sampleFlags struct {
	readFlags
	scores string
	k      int
	draws  int
	law    string
	s0     float64
	padded bool
	seed   uint64
	out    string
}

func newSample(s *session) *cobra.Command {
	var f sampleFlags
	cmd := &cobra.Command{
		Use:   "sample",
		Short: "Draw k-subsets of the classes",
		Long: `Draws subsets of k classes from every row of scores, exactly:

  subset          P(S) ∝ exp(sum of the scores of S): the law of the k-subset
                  softmax, conditional Poisson sampling
  plackett-luce   one after another by the softmax of what is left; the order
                  counts

With --padded a row draws up to k classes, by the law of the padded subset
softmax of threshold s0. Prints "row: class class ..." a draw, or writes int32
of shape rows × draws × k, filled up with -1.`,
		Example: `  zlpr sample --k 3
  zlpr sample --scores S.npy --k 5 --draws 100 --seed 7 --out subsets.npy
  zlpr sample --scores S.npy --k 5 --law plackett-luce`,
		RunE: func(*cobra.Command, []string) error { return runSample(s, &f) },
	}
	f.table().declare(cmd, s, f.check)
	f.set = cmd.Flags().Changed
	return cmd
}

// table is the flags of sample.
func (f *sampleFlags) table() flagTable {
	*f = sampleFlags{draws: 1, law: "subset", seed: 1}
	return append(flagTable{
		{name: "scores", to: &f.scores, file: input, doc: "scores `file` (default: the first rows of the embedded sample)"},
		{name: "k", to: &f.k, doc: "number of classes of a subset"},
		{name: "draws", to: &f.draws, doc: "number of subsets of a row"},
		{name: "law", to: &f.law, words: laws, doc: "subset or plackett-luce"},
		{name: "padded", to: &f.padded, uses: []use{{"--law subset", func() bool { return f.law == "subset" }}}, doc: "at most k classes"},
		{name: "s0", to: &f.s0, uses: []use{{"--padded", func() bool { return f.padded }}}, doc: "threshold, with --padded"},
		{name: "seed", to: &f.seed, doc: "seed of the random numbers; row r draws by (seed, r)"},
		{name: "out", to: &f.out, file: output, ends: []string{".npy"}, doc: "write the subsets to this .npy `file`"},
	}, f.readFlags.table(false)...)
}

var laws = []string{"subset", "plackett-luce"}

// check checks what can be checked without the files.
func (f *sampleFlags) check() error {
	switch {
	case f.k < 1:
		return usagef("--k: give the number of classes of a subset, at least 1")
	case f.draws < 1:
		return usagef("--draws %d: at least 1", f.draws)
	case !slices.Contains(laws, f.law):
		return usagef("--law %q: choose subset or plackett-luce%s", f.law, didYouMean(f.law, "", laws))
	case f.s0-f.s0 != 0:
		return usagef("--s0 %v: a finite number", f.s0)
	}
	return nil
}

func runSample(s *session, f *sampleFlags) error {
	if err := f.begin(); err != nil {
		return err
	}
	e := &evaluation{}
	var err error
	rows := 10
	if f.scores == "" {
		err = openSample(e)
	} else if e.scores, err = f.openScores(f.scores); err == nil {
		rows = e.scores.rows()
	}
	if err != nil {
		return err
	}
	defer e.scores.Close()
	if err := f.end(); err != nil {
		return err
	}
	s.warnings = f.warnings
	n := e.scores.classes()
	if rows == 0 || n == 0 {
		return fmt.Errorf("%s: empty: %s of %s; there is nothing to draw from", quoted(e.scores.name), array.Counted(rows, "row"), array.Counted(n, "class"))
	}
	if f.k > n {
		return fmt.Errorf("%s: --k %d is more than the %s; choose at most %d", quoted(e.scores.name), f.k, array.Counted(n, "class"), n)
	}
	if f.out != "" && f.draws > math.MaxInt/rows/f.k {
		return fmt.Errorf("%s: --draws %d of %s are more subsets than a file can hold", quoted(e.scores.name), f.draws, array.Counted(rows, "row"))
	}
	if f.out == "" {
		return s.finish(func(w io.Writer) error {
			return f.each(e.scores, rows, func(row int, draw func() []int) error { return f.print(w, row, draw) })
		})
	}
	out, err := s.out.createArray(f.out, array.Int32, []int{rows, f.draws, f.k}, f.k)
	if err != nil {
		return err
	}
	bar := s.progress("sample", rows)
	defer bar.close()
	var buffer []int32
	err = f.each(e.scores, rows, func(row int, draw func() []int) error {
		bar.set(row)
		return f.write(out, &buffer, row, draw)
	})
	if err != nil {
		return err
	}
	return s.finish(func(io.Writer) error { return nil })
}

// each calls row for all rows, with what draws a subset of it.
func (f *sampleFlags) each(scores *scoreSource, rows int, row func(row int, draw func() []int) error) error {
	var buffer []float64
	for r := range rows {
		x := block(scores, &buffer, r, r+1)
		if err := f.checkRow(x); err != nil {
			file, place := scores.where(r, -1)
			return fmt.Errorf("%s: %s%w", quoted(file), place, err)
		}
		if err := row(r, f.sampler(x, rand.New(rand.NewPCG(f.seed, uint64(r))))); err != nil {
			return err
		}
	}
	return nil
}

// print prints the subsets of a row.
func (f *sampleFlags) print(w io.Writer, row int, draw func() []int) error {
	var line []byte
	for range f.draws {
		line = append(strconv.AppendInt(line[:0], int64(row), 10), ':')
		for _, j := range draw() {
			line = strconv.AppendInt(append(line, ' '), int64(j), 10)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// write writes the subsets of a row to a file, filled up with -1, as many at a
// time as buffer holds.
func (f *sampleFlags) write(out *array.Writer, buffer *[]int32, row int, draw func() []int) error {
	size := max(1, min(f.draws, 1<<18/f.k))
	if *buffer == nil {
		*buffer = make([]int32, size*f.k)
	}
	for d := 0; d < f.draws; d += size {
		drawn := (*buffer)[:min(size, f.draws-d)*f.k]
		for at := 0; at < len(drawn); at += f.k {
			subset := draw()
			for i := range f.k {
				drawn[at+i] = -1
				if i < len(subset) {
					drawn[at+i] = int32(subset[i])
				}
			}
		}
		if err := writeRows(out, f.out, row*f.draws+d, drawn); err != nil {
			return err
		}
	}
	return nil
}

// checkRow checks that k classes can be drawn from the row x.
func (f *sampleFlags) checkRow(x []float64) error {
	certain, possible := 0, 0
	for j, v := range x {
		switch {
		case v != v:
			return fmt.Errorf(", column %d: score is NaN; mend the score", j)
		case math.IsInf(v, 1) && f.law == "plackett-luce":
			return fmt.Errorf(", column %d: score is +Inf; mend the score, or choose --law subset", j)
		case math.IsInf(v, 1):
			certain++
		}
		if !math.IsInf(v, -1) {
			possible++
		}
	}
	switch {
	case certain > f.k:
		return fmt.Errorf(": +Inf: %s, a subset has %s; raise --k", array.Counted(certain, "score"), array.Counted(f.k, "class"))
	case possible < f.k && !f.padded:
		return fmt.Errorf(": above -Inf: %s, too few for %s; lower --k", array.Counted(possible, "score"), array.Counted(f.k, "class"))
	}
	return nil
}

// sampler returns a function that draws a subset of the row x.
func (f *sampleFlags) sampler(x []float64, rng *rand.Rand) func() []int {
	dst := make([]int, f.k)
	switch {
	case f.law == "plackett-luce":
		s := zlpr.NewPlackettLuceSampler(x)
		return func() []int { return s.Draw(rng, dst) }
	case f.padded:
		s := zlpr.NewPaddedSubsetSampler(x, f.k, f.s0)
		return func() []int { return s.Draw(rng, dst) }
	}
	s := zlpr.NewSubsetSampler(x, f.k)
	return func() []int { return s.Draw(rng, dst) }
}

// countPositives returns the number of labels.
func countPositives(y *zlpr.BitLabels) (n int) {
	for _, word := range y.Words {
		n += bits.OnesCount64(word)
	}
	return n
}

// mostPositives returns the most labels of a row.
func mostPositives(y *zlpr.BitLabels) (most int) {
	for i := range y.Rows {
		n := 0
		for _, word := range y.Words[i*y.Stride:][:y.Stride] {
			n += bits.OnesCount64(word)
		}
		most = max(most, n)
	}
	return most
}
