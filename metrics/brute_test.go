package metrics

import (
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/exact"
)

// denseBits is a matrix of bits for the tests.
type denseBits [][]bool

func (d denseBits) Dims() (rows, classes int) {
	if len(d) == 0 {
		return 0, 0
	}
	return len(d), len(d[0])
}

func (d denseBits) ReadRows(dst []uint64, r0, r1 int) error {
	for _, row := range d[r0:r1] {
		w := (len(row) + 63) / 64
		clear(dst[:w])
		for j, bit := range row {
			if bit {
				dst[j/64] |= 1 << (j % 64)
			}
		}
		dst = dst[w:]
	}
	return nil
}

// A sample is a row of the brute-force definitions: the elements that take
// part.
type sample struct {
	weight    float64
	class     []int
	score     []float64
	positive  []bool
	predicted []bool
}

// brute has data in the plainest form and the definitions of the metrics,
// written down without regard to speed.
type brute struct {
	classes int
	sparse  bool     // -Inf is no candidate
	rows    []sample // those that count
	inverse []float64
}

func newBrute[T zlpr.Float](b *Batch[T], rule Rule, inverse []float64) *brute {
	d := &brute{classes: b.Scores.Cols, inverse: inverse}
	for r := range b.Scores.Rows {
		x := b.Scores.Row(r)
		s := sample{weight: 1}
		if b.RowWeights != nil {
			if s.weight = b.RowWeights[r]; s.weight == 0 {
				continue
			}
		}
		var above []bool
		for j := range x {
			threshold := rule.threshold
			switch {
			case b.Thresholds != nil:
				threshold = float64(b.Thresholds[r])
			case b.ThresholdColumn > 0:
				threshold = float64(x[b.ThresholdColumn-1])
			case rule.each != nil:
				threshold = rule.each[j]
			}
			if b.Mask != nil && !b.Mask.(denseBits)[r][j] || j == b.ThresholdColumn-1 {
				continue
			}
			s.class = append(s.class, j)
			s.score = append(s.score, float64(x[j]))
			s.positive = append(s.positive, b.Labels.(denseBits)[r][j])
			candidate := rule.topOnly && !(rule.listed && math.IsInf(float64(x[j]), -1))
			above = append(above, candidate || !rule.topOnly && float64(x[j]) > threshold)
		}
		if len(s.class) == 0 {
			continue
		}
		s.predicted = make([]bool, len(above))
		n := 0
		for _, i := range s.order() {
			if above[i] && (rule.k == 0 || n < rule.k) {
				s.predicted[i] = true
				n++
			}
		}
		d.rows = append(d.rows, s)
	}
	return d
}

// order returns the elements by falling score, equal ones by class.
func (s *sample) order() []int {
	order := make([]int, len(s.score))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return s.score[order[a]] > s.score[order[b]] })
	return order
}

func divide(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// confusion has true and false positives and false negatives.
type confusion struct{ tp, fp, fn float64 }

func (c *confusion) add(positive, predicted bool, weight float64) {
	switch {
	case positive && predicted:
		c.tp += weight
	case predicted:
		c.fp += weight
	case positive:
		c.fn += weight
	}
}

func (c confusion) measure(name string) float64 {
	switch name {
	case "precision":
		return divide(c.tp, c.tp+c.fp)
	case "recall":
		return divide(c.tp, c.tp+c.fn)
	case "jaccard":
		return divide(c.tp, c.tp+c.fp+c.fn)
	}
	beta, _ := strconv.ParseFloat(name[1:], 64)
	p, r := c.measure("precision"), c.measure("recall")
	return divide((1+beta*beta)*p*r, beta*beta*p+r)
}

// byClass returns the confusions of all classes, of all rows, and their sum.
func (d *brute) confusions() (classes, rows []confusion, sum confusion) {
	classes = make([]confusion, d.classes)
	for _, s := range d.rows {
		var row confusion
		for i, j := range s.class {
			classes[j].add(s.positive[i], s.predicted[i], s.weight)
			row.add(s.positive[i], s.predicted[i], s.weight)
			sum.add(s.positive[i], s.predicted[i], s.weight)
		}
		rows = append(rows, row)
	}
	return
}

// mean is the mean of f over the rows.
func (d *brute) mean(f func(sample) float64) float64 {
	sum, weights := 0.0, 0.0
	for _, s := range d.rows {
		sum += s.weight * f(s)
		weights += s.weight
	}
	return sum / weights
}

// value computes a metric from its definition.
func (d *brute) value(name string) float64 {
	if prefix, digits, ok := strings.Cut(name, "_at_"); ok {
		k, _ := strconv.Atoi(digits)
		return d.valueAt(prefix, k)
	}
	switch name {
	case "subset_accuracy":
		return d.mean(func(s sample) float64 {
			for i := range s.class {
				if s.positive[i] != s.predicted[i] {
					return 0
				}
			}
			return 1
		})
	case "hamming_loss":
		wrong, all := 0.0, 0.0
		for _, s := range d.rows {
			for i := range s.class {
				all += s.weight
				if s.positive[i] != s.predicted[i] {
					wrong += s.weight
				}
			}
		}
		return wrong / all
	case "lrap":
		return d.mean(func(s sample) float64 {
			sum, n := 0.0, 0.0
			for i := range s.class {
				if s.positive[i] {
					n++
					sum += s.atLeast(s.score[i], true) / (s.atLeast(s.score[i], true) + s.atLeast(s.score[i], false))
				}
			}
			if n == 0 {
				return 1
			}
			return sum / n
		})
	case "coverage_error":
		return d.mean(func(s sample) float64 {
			most := 0.0
			for i := range s.class {
				if s.positive[i] {
					most = max(most, s.atLeast(s.score[i], true)+s.atLeast(s.score[i], false))
				}
			}
			return most
		})
	case "ranking_loss":
		return d.mean(func(s sample) float64 {
			lost, pairs := 0.0, 0.0
			for i := range s.class {
				for j := range s.class {
					if s.positive[i] && !s.positive[j] {
						pairs++
						if s.score[i] <= s.score[j] {
							lost++
						}
					}
				}
			}
			return divide(lost, pairs)
		})
	case "one_error":
		errors, n := 0.0, 0.0
		for _, s := range d.rows {
			if s.positives() > 0 {
				n += s.weight
				if best := d.candidates(s); len(best) == 0 || !s.positive[best[0]] {
					errors += s.weight
				}
			}
		}
		return errors / n
	}
	average, measure, _ := strings.Cut(name, "_")
	if measure == "auc" || measure == "average_precision" {
		return d.area(average, measure)
	}
	classes, rows, all := d.confusions()
	switch average {
	case "micro":
		return all.measure(measure)
	case "samples":
		sum, weights := 0.0, 0.0
		for i, c := range rows {
			sum += d.rows[i].weight * c.measure(measure)
			weights += d.rows[i].weight
		}
		return sum / weights
	}
	sum, weights := 0.0, 0.0
	for _, c := range classes {
		weight := 1.0
		if average == "weighted" {
			weight = c.tp + c.fn
		}
		weights += weight
		sum += weight * c.measure(measure)
	}
	if average == "weighted" {
		return divide(sum, weights)
	}
	return sum / weights
}

func (s *sample) positives() float64 {
	n := 0.0
	for _, y := range s.positive {
		if y {
			n++
		}
	}
	return n
}

// atLeast is the number of positives, or of negatives, that score t or more.
func (s *sample) atLeast(t float64, positive bool) float64 {
	n := 0.0
	for i, x := range s.score {
		if s.positive[i] == positive && x >= t {
			n++
		}
	}
	return n
}

// candidates are the places of order that have a score.
func (d *brute) candidates(s sample) []int {
	order := s.order()
	if d.sparse {
		order = slices.DeleteFunc(order, func(i int) bool { return math.IsInf(s.score[i], -1) })
	}
	return order
}

func (d *brute) valueAt(measure string, k int) float64 {
	discount := func(i int) float64 { return 1 / math.Log2(float64(i+2)) }
	hits := func(s sample) (n float64) {
		for place, i := range d.candidates(s) {
			if place < k && s.positive[i] {
				n++
			}
		}
		return
	}
	ideal := func(s sample) (sum float64) {
		for i := 0; i < k && float64(i) < s.positives(); i++ {
			sum += discount(i)
		}
		return
	}
	switch measure {
	case "precision":
		return d.mean(func(s sample) float64 { return hits(s) / float64(k) })
	case "recall":
		return d.mean(func(s sample) float64 { return divide(hits(s), s.positives()) })
	case "ndcg":
		return d.mean(func(s sample) float64 {
			// The mean gain over all orders of equal scores.
			sum := 0.0
			for place, i := range d.candidates(s) {
				if place >= k {
					break
				}
				same, positive := 0.0, 0.0
				for j := range s.class {
					if s.score[j] == s.score[i] {
						same++
						if s.positive[j] {
							positive++
						}
					}
				}
				sum += positive / same * discount(place)
			}
			return divide(sum, ideal(s))
		})
	}
	got, best := 0.0, 0.0
	for _, s := range d.rows {
		scale := 1.0
		gain := func(int) float64 { return 1 }
		if measure == "psndcg" {
			gain = discount
			scale = ideal(s)
		}
		for place, i := range d.candidates(s) {
			if place < k && s.positive[i] {
				got += s.weight * d.inverse[s.class[i]] * gain(place) / scale
			}
		}
		var weights []float64
		for i, j := range s.class {
			if s.positive[i] {
				weights = append(weights, d.inverse[j])
			}
		}
		sort.Sort(sort.Reverse(sort.Float64Slice(weights)))
		for place, w := range weights {
			if place < k {
				best += s.weight * w * gain(place) / scale
			}
		}
	}
	return got / best
}

// area is the area under the ROC curve or the average precision.
func (d *brute) area(average, measure string) float64 {
	type element struct{ score, weight float64 }
	of := func(use func(class int) bool) (value float64, both bool) {
		var pos, neg []element
		for _, s := range d.rows {
			for i, j := range s.class {
				switch e := (element{s.score[i], s.weight}); {
				case !use(j):
				case s.positive[i]:
					pos = append(pos, e)
				default:
					neg = append(neg, e)
				}
			}
		}
		if measure == "auc" {
			var won, pairs exact.Sum // they have so many terms
			for _, p := range pos {
				for _, n := range neg {
					pairs.AddProduct(p.weight, n.weight)
					if p.score > n.score {
						won.AddProduct(p.weight, n.weight)
					} else if p.score == n.score {
						won.AddProduct(0.5*p.weight, n.weight)
					}
				}
			}
			return won.Float64() / pairs.Float64(), len(pos) > 0 && len(neg) > 0
		}
		sum, weights := 0.0, 0.0
		for _, p := range pos {
			tp, fp := 0.0, 0.0
			for _, q := range pos {
				if q.score >= p.score {
					tp += q.weight
				}
			}
			for _, n := range neg {
				if n.score >= p.score {
					fp += n.weight
				}
			}
			sum += p.weight * tp / (tp + fp)
			weights += p.weight
		}
		return divide(sum, weights), len(pos) > 0 && len(neg) > 0
	}
	if average == "micro" {
		v, _ := of(func(int) bool { return true })
		return v
	}
	sum, n := 0.0, 0.0
	for j := range d.classes {
		if v, ok := of(func(c int) bool { return c == j }); ok {
			sum += v
			n++
		}
	}
	return sum / n
}
