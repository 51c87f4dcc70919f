package metrics

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/zlpr/zlpr"
)

// words are bits that are there already: reading is copying.
type words struct {
	rows, classes int
	bits          []uint64
}

func (b *words) Dims() (rows, classes int) { return b.rows, b.classes }

func (b *words) ReadRows(dst []uint64, r0, r1 int) error {
	w := (b.classes + 63) / 64
	copy(dst, b.bits[r0*w:r1*w])
	return nil
}

// benchData has scores with standard deviation 2 and one label in ten, as
// bytes and as bits.
type benchData struct {
	rows, n int
	scores  []float32
	labels  []byte
	bits    *words
}

func newBenchData(n int) *benchData {
	rng := rand.New(rand.NewPCG(1, 2))
	d := &benchData{rows: max(8, 1<<20/n), n: n}
	w := (n + 63) / 64
	d.scores, d.labels = make([]float32, d.rows*n), make([]byte, d.rows*n)
	d.bits = &words{d.rows, n, make([]uint64, d.rows*w)}
	for i := range d.scores {
		d.scores[i] = float32(2 * rng.NormFloat64())
		if rng.IntN(10) == 0 {
			d.labels[i] = 1
			d.bits.bits[i/n*w+i%n/64] |= 1 << (i % n % 64)
		}
	}
	return d
}

var benchSizes = []int{30, 100, 1000, 10000}

// benchMetrics are the sets of metrics that are measured, and the plain loops
// that compute the same.
var benchMetrics = []struct {
	name  string
	names []string
	naive func(*benchData) float64
}{
	{"thresholded", []string{"micro_f1", "macro_f1", "weighted_f1", "samples_f1", "subset_accuracy", "hamming_loss"}, naiveThresholded},
	{"ranking", []string{"lrap", "coverage_error", "ranking_loss"}, naiveRanking},
	{"top", []string{"one_error", "precision_at_5", "ndcg_at_5"}, nil},
	{"auc", []string{"micro_auc", "macro_auc", "micro_average_precision", "macro_average_precision"}, nil},
}

func BenchmarkMetrics(b *testing.B) {
	for _, m := range benchMetrics {
		for _, n := range benchSizes {
			d := newBenchData(n)
			if m.naive != nil {
				b.Run(fmt.Sprintf("metric=%s/n=%d/impl=naive", m.name, n), func(b *testing.B) {
					b.SetBytes(int64(4 * d.rows * n))
					for b.Loop() {
						m.naive(d)
					}
					perElement(b, d)
				})
			}
			b.Run(fmt.Sprintf("metric=%s/n=%d/impl=best", m.name, n), func(b *testing.B) {
				b.SetBytes(int64(4 * d.rows * n))
				batch := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: d.rows, Cols: n, Stride: n, Data: d.scores}, Labels: d.bits}
				for b.Loop() {
					a, err := NewAccumulator[float32](n, m.names, Options{Workers: 1})
					if err != nil {
						b.Fatal(err)
					}
					if err := a.Add(batch); err != nil {
						b.Fatal(err)
					}
					if _, err := a.Results(); err != nil {
						b.Fatal(err)
					}
				}
				perElement(b, d)
			})
		}
	}
}

func perElement(b *testing.B, d *benchData) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(d.scores)), "ns/element")
}

// naiveThresholded is the loop over bytes: F1 by class, by row and over all,
// exact rows and wrong elements.
func naiveThresholded(d *benchData) float64 {
	tp, fp, fn := make([]int, d.n), make([]int, d.n), make([]int, d.n)
	sum, exact := 0.0, 0
	for r := range d.rows {
		x, y := d.scores[r*d.n:][:d.n], d.labels[r*d.n:][:d.n]
		rowTP, rowFP, rowFN := 0, 0, 0
		for j, s := range x {
			switch {
			case s > 0 && y[j] != 0:
				tp[j]++
				rowTP++
			case s > 0:
				fp[j]++
				rowFP++
			case y[j] != 0:
				fn[j]++
				rowFN++
			}
		}
		if all := 2*rowTP + rowFP + rowFN; all > 0 {
			sum += 2 * float64(rowTP) / float64(all)
		}
		if rowFP+rowFN == 0 {
			exact++
		}
	}
	allTP, wrong, macro, weighted := 0, 0, 0.0, 0.0
	for j := range tp {
		allTP += tp[j]
		wrong += fp[j] + fn[j]
		if all := 2*tp[j] + fp[j] + fn[j]; all > 0 {
			f := 2 * float64(tp[j]) / float64(all)
			macro += f
			weighted += f * float64(tp[j]+fn[j])
		}
	}
	return sum + float64(exact) + 2*float64(allTP)/float64(2*allTP+wrong) + macro + weighted
}

// naiveRanking sorts each row once and goes through it group by group of equal
// scores: label ranking average precision, coverage, ranking loss.
func naiveRanking(d *benchData) float64 {
	precision, coverage, loss := 0.0, 0.0, 0.0
	order := make([]int, d.n)
	for r := range d.rows {
		x, y := d.scores[r*d.n:][:d.n], d.labels[r*d.n:][:d.n]
		for j := range order {
			order[j] = j
		}
		sort.Slice(order, func(a, b int) bool { return x[order[a]] > x[order[b]] })
		positives, negatives, lost, sum, last := 0, 0, 0, 0.0, 0
		for i := 0; i < len(order); {
			j, p := i, 0
			for ; j < len(order) && x[order[j]] == x[order[i]]; j++ {
				p += int(y[order[j]])
			}
			positives += p
			negatives += j - i - p
			lost += p * negatives
			if p > 0 {
				sum += float64(p) * float64(positives) / float64(j)
				last = j
			}
			i = j
		}
		coverage += float64(last)
		if positives == 0 || negatives == 0 {
			precision++
			continue
		}
		precision += sum / float64(positives)
		loss += float64(lost) / (float64(positives) * float64(negatives))
	}
	return precision + coverage + loss
}

// TestNaive checks the plain loops, so that what they are compared with
// computes the same.
func TestNaive(t *testing.T) {
	d := newBenchData(100)
	if got := ones(d.bits.bits); got != bytesSet(d.labels) {
		t.Fatal("the bits are not the bytes")
	}
	b := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: d.rows, Cols: d.n, Stride: d.n, Data: d.scores}, Labels: d.bits}
	for _, m := range benchMetrics[:2] {
		a, err := NewAccumulator[float32](d.n, m.names, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Add(b); err != nil {
			t.Fatal(err)
		}
		results, err := a.Results()
		if err != nil {
			t.Fatal(err)
		}
		want := 0.0
		for _, r := range results {
			switch r.Name {
			case "lrap", "coverage_error", "ranking_loss", "samples_f1", "subset_accuracy":
				want += r.Value * float64(d.rows) // a sum over rows
			case "macro_f1":
				want += r.Value * float64(d.n)
			case "weighted_f1":
				want += r.Value * float64(bytesSet(d.labels))
			case "micro_f1":
				want += r.Value
			}
		}
		if got := m.naive(d); got-want > 1e-9*want || want-got > 1e-9*want {
			t.Errorf("%s: plain loop %v, metrics %v", m.name, got, want)
		}
	}
}

func bytesSet(b []byte) (n int) {
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return
}
