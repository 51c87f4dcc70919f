package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"math/bits"
	"math/rand/v2"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
)

type sampleFlags struct {
	scores string
	k      int
	draws  int
	law    string
	s0     float64
	padded bool
	seed   uint64
	out    string

	progress *progress // with --out
}

func newSample() *cobra.Command {
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
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runSample(cmd.Context(), cmd.OutOrStdout(), &f)
		},
	}
	s := cmd.Flags()
	s.SortFlags = false
	s.StringVar(&f.scores, "scores", "", "scores `file` (default: the first rows of the embedded sample)")
	s.IntVar(&f.k, "k", 0, "number of classes of a subset")
	s.IntVar(&f.draws, "draws", 1, "number of subsets of a row")
	s.StringVar(&f.law, "law", "subset", "subset or plackett-luce")
	s.BoolVar(&f.padded, "padded", false, "at most k classes")
	s.Float64Var(&f.s0, "s0", 0, "threshold, with --padded")
	s.Uint64Var(&f.seed, "seed", 1, "seed of the random numbers; row r draws by (seed, r)")
	s.StringVar(&f.out, "out", "", "write the subsets to this .npy `file`")
	completeWords(cmd, "law", []string{"subset", "plackett-luce"})
	return cmd
}

func runSample(ctx context.Context, stdout io.Writer, f *sampleFlags) error {
	switch {
	case f.k < 1:
		return usagef("--k: give the number of classes of a subset, at least 1")
	case f.draws < 1:
		return usagef("--draws %d: at least 1", f.draws)
	case f.law != "subset" && f.law != "plackett-luce":
		return usagef("--law %q: choose subset or plackett-luce", f.law)
	case f.padded && f.law != "subset":
		return usagef("--padded goes with --law subset")
	case f.s0-f.s0 != 0:
		return usagef("--s0 %v: a finite number", f.s0)
	case f.s0 != 0 && !f.padded:
		return usagef("--s0 goes with --padded")
	}
	if err := checkOutputs(output{"out", f.out, []string{".npy"}}); err != nil {
		return err
	}
	e := &evaluation{}
	var err error
	rows := 10
	if f.scores == "" {
		err = openSample(e)
	} else if e.scores, err = openScores(f.scores); err == nil {
		rows = e.scores.rows()
	}
	if err != nil {
		return err
	}
	defer e.scores.Close()
	n := e.scores.classes()
	if rows == 0 || n == 0 {
		return fmt.Errorf("%s: empty: %d rows of %d classes; there is nothing to draw from", e.scores.name, rows, n)
	}
	if f.k > n {
		return fmt.Errorf("%s: --k %d is more than the %d classes; choose at most %d", e.scores.name, f.k, n, n)
	}
	w := bufio.NewWriter(stdout)
	var out *array.Writer
	if f.out != "" {
		if out, err = array.Create(f.out, array.Int32, []int{rows, f.draws, f.k}, f.draws*f.k); err != nil {
			return err
		}
		defer out.Abort()
		bar := newProgress("sample", rows)
		defer bar.close()
		f.progress = bar
	}
	var buffer []float64
	drawn := make([]int32, f.draws*f.k)
	for r := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		x := block(e.scores, &buffer, r, r+1)
		if err := f.checkRow(x); err != nil {
			return fmt.Errorf("%s: row %d%w", e.scores.name, r, err)
		}
		draw := f.sampler(x, rand.New(rand.NewPCG(f.seed, uint64(r))))
		for d := range f.draws {
			subset := draw()
			if out != nil {
				row := drawn[d*f.k:][:f.k]
				for i := range row {
					row[i] = -1
					if i < len(subset) {
						row[i] = int32(subset[i])
					}
				}
				continue
			}
			fmt.Fprintf(w, "%d:", r)
			for _, j := range subset {
				fmt.Fprintf(w, " %d", j)
			}
			fmt.Fprintln(w)
		}
		if out != nil {
			if err := array.WriteRows(out, r, drawn); err != nil {
				return err
			}
			f.progress.add(1)
		}
	}
	if err := out.Commit(); err != nil {
		return err
	}
	return w.Flush()
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
		return fmt.Errorf(": %d scores are +Inf, a subset has %d classes; raise --k", certain, f.k)
	case possible < f.k && !f.padded:
		return fmt.Errorf(": %d scores are above -Inf, too few for %d classes; lower --k", possible, f.k)
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
