package report

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
)

// Options say how Compare draws.
type Options struct {
	// Resamples is the number of resamples, of the bootstrap and of the
	// randomisation; 0: 10,000. Metrics by class take the first 1,000 of them.
	Resamples int

	// Seed chooses the random numbers: equal seeds give equal results.
	Seed uint64

	// Confidence is that of the intervals, between 0 and 1; 0: 0.95.
	Confidence float64

	// Groups has the number of the group of every row, from 0 on; rows of one
	// group are drawn, and swapped, together. nil: every row alone.
	Groups []int

	// Workers is the number of goroutines, 0: as many as GOMAXPROCS. Results do
	// not depend on it.
	Workers int
}

const classResamples = 1000 // of metrics by class, at most

// A Difference is a loss or a metric of two models. What is not defined, or has no
// interval, is NaN.
type Difference struct {
	Name          string
	LowerIsBetter bool
	A, B          float64
	Difference    float64 // B - A
	Low, High     float64 // the interval of the difference
	P             float64
}

// A ClassDifference is the F1 of a class by two models.
type ClassDifference struct {
	Class      int
	A, B       float64
	Difference float64
	Low, High  float64
}

// A Comparison is what Compare finds.
type Comparison struct {
	Losses, Metrics []Difference
	Classes         []ClassDifference // nil without metrics by class
	Units           int               // rows, or groups of them, that are drawn
	Resamples       int
	Confidence      float64
}

// withDefaults checks options for that many rows.
func (o Options) withDefaults(rows int) (Options, error) {
	if o.Resamples == 0 {
		o.Resamples = 10000
	}
	if o.Confidence == 0 {
		o.Confidence = 0.95
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	switch {
	case o.Resamples < 1 || o.Resamples > 1<<30:
		return o, fmt.Errorf("report: %d resamples, not in 1..2^30", o.Resamples)
	case !(o.Confidence > 0 && o.Confidence < 1):
		return o, fmt.Errorf("report: confidence %v, not between 0 and 1", o.Confidence)
	case o.Groups != nil && len(o.Groups) != rows:
		return o, fmt.Errorf("report: %d groups for %d rows", len(o.Groups), rows)
	}
	return o, nil
}

// ErrNoRows is the error of a comparison of no rows that count.
var ErrNoRows = errors.New("report: no row counts")

// Compare compares the models A and B of the same rows.
//
// The intervals are percentile intervals of the paired bootstrap (Efron,
// Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13): of n units,
// which are rows or groups, n are drawn with replacement, the same for both models
// and for all losses and metrics; from the differences of all resamples the
// quantiles (1-confidence)/2 and (1+confidence)/2 are taken, between two of them by
// linear interpolation as numpy does. A resample in which a metric is not defined
// is left out of its interval. Confidence in the end points is that of a Monte
// Carlo estimate: of 10,000 resamples the quantile 0.025 is one between 0.022 and
// 0.028, 19 times of 20.
//
// P is that of the two-sided approximate randomisation test (Noreen, "Computer-
// Intensive Methods for Testing Hypotheses", 1989): in each of R resamples the
// models are swapped in every unit with probability ½;
//
//	p = (1 + the number of resamples with |d*| ≥ |d|) / (1 + R)
//
// where differences that are within 2^-33·(|A| + |B|) of one another are equal: of
// thirds, 1/3 + 2/3 and 1 are a tie.
//
// Losses and metrics that are made of sums over rows take all resamples, macro,
// weighted and per-class metrics the first 1,000 of them; the areas, which are made
// of all scores, have a value and no interval. Where more than 4,096 classes are
// compared, those with the largest differences have intervals. A difference that
// is not finite has neither interval nor P, nor has any where there is one unit alone.
//
// All of it is the same, bit for bit, for any number of workers and on every
// machine. Sums over resamples are exact, of losses and terms that are rounded to a
// multiple of 2^-50·n·M at most, n being the number of units and M the largest of
// them; a mean is within that of its definition. Metrics by class take weights of rows, other
// than 0 and 1, rounded to a multiple of M times 2^-61·rows·classes, or 2^-52.
func Compare(ctx context.Context, a, b *Rows, options Options) (*Comparison, error) {
	if err := a.alike(b); err != nil {
		return nil, err
	}
	o, err := options.withDefaults(a.rows)
	if err != nil {
		return nil, err
	}
	c := &comparer{Options: o, a: a, b: b}
	if err := c.group(); err != nil {
		return nil, err
	}
	r := &Comparison{Units: c.n, Resamples: o.Resamples, Confidence: o.Confidence}
	if err := c.points(r); err != nil {
		return nil, err
	}
	if err := c.bySums(ctx, r); err != nil {
		return nil, err
	}
	if a.byClass {
		if err := c.byClasses(ctx, r); err != nil {
			return nil, err
		}
	}
	if c.n < 2 { // one unit is drawn the same every time
		nan := math.NaN()
		for k := range len(r.Losses) + len(r.Metrics) {
			d := r.at(k)
			d.Low, d.High, d.P = nan, nan, nan
		}
		for j := range r.Classes {
			r.Classes[j].Low, r.Classes[j].High = nan, nan
		}
	}
	return r, nil
}

// A comparer compares two models.
type comparer struct {
	Options
	a, b *Rows
	n    int      // units
	unit []uint32 // of every row; nil: its number
}

// group numbers the units.
func (c *comparer) group() error {
	c.n = c.a.rows
	if c.Groups == nil {
		return nil
	}
	c.unit = make([]uint32, c.a.rows)
	numbers := map[int]uint32{}
	for i, g := range c.Groups {
		u, ok := numbers[g]
		if !ok {
			u = uint32(len(numbers))
			numbers[g] = u
		}
		c.unit[i] = u
	}
	c.n = len(numbers)
	return nil
}

// points fills in the values of all rows.
func (c *comparer) points(r *Comparison) error {
	values := [2][]float64{}
	for m, rows := range []*Rows{c.a, c.b} {
		n := len(rows.losses) + len(rows.formulas)
		sums := rows.sums()
		if !(sums[len(rows.losses)] > 0) {
			return ErrNoRows
		}
		if values[m] = rows.Values; rows.Values != nil {
			if len(rows.Values) != n {
				return fmt.Errorf("report: %d values of %d losses and metrics", len(rows.Values), n)
			}
			continue
		}
		spread := make([]float64, rows.terms)
		for k := range n {
			values[m] = append(values[m], rows.value(k, sums, spread))
		}
	}
	nan := math.NaN()
	for k, a := range values[0] {
		d := Difference{A: a, B: values[1][k], Difference: values[1][k] - a, Low: nan, High: nan, P: nan}
		if i := k - len(c.a.losses); i >= 0 {
			d.Name, d.LowerIsBetter = c.a.formulas[i].Name(), c.a.formulas[i].LowerIsBetter()
			r.Metrics = append(r.Metrics, d)
		} else {
			d.Name, d.LowerIsBetter = c.a.losses[k], true
			r.Losses = append(r.Losses, d)
		}
	}
	return nil
}

// at returns loss or metric k.
func (r *Comparison) at(k int) *Difference {
	if k < len(r.Losses) {
		return &r.Losses[k]
	}
	return &r.Metrics[k-len(r.Losses)]
}

// unitsOf adds up the rows of every unit: the columns of A, then those columns of B
// that differ. Column c of B is number of[c].
func (c *comparer) unitsOf() (u *units, of []int) {
	w := c.a.width()
	of = make([]int, w)
	width := w
	var pairs [][2]int
	for k := range w {
		of[k] = k
		for i := range c.a.rows {
			if math.Float64bits(c.a.x[i*w+k]) != math.Float64bits(c.b.x[i*w+k]) {
				of[k] = width
				pairs = append(pairs, [2]int{k, width})
				width++
				break
			}
		}
	}
	x := make([]float64, c.n*width)
	for i := range c.a.rows {
		at := i
		if c.unit != nil {
			at = int(c.unit[i])
		}
		dst := x[at*width:][:width]
		for k, v := range c.a.x[i*w:][:w] {
			dst[k] += v
		}
		for k, v := range c.b.x[i*w:][:w] {
			if of[k] != k {
				dst[of[k]] += v
			}
		}
	}
	return newUnits(c.n, width, x, pairs), of
}

// bySums fills in intervals and p of what is made of sums over rows.
func (c *comparer) bySums(ctx context.Context, r *Comparison) error {
	u, of := c.unitsOf()
	sums, err := u.resample(ctx, drawing, c.Seed, c.Resamples, c.Workers)
	if err != nil {
		return err
	}
	all := make([]float64, u.width)
	for i := range u.n {
		add(all, u.x[i*u.width:])
	}
	n := len(r.Losses) + len(r.Metrics)
	swaps, err := c.swaps(ctx, u, of)
	if err != nil {
		return err
	}
	differences := make([]float64, n*c.Resamples)
	stars := make([]float64, n*c.Resamples)
	observed := make([]float64, n)
	const size = 256
	blocks := (c.Resamples + size - 1) / size
	err = share(ctx, blocks+1, c.Workers, func() func(int) {
		v := c.newValuer(u, of)
		real := make([]float64, u.width)
		return func(block int) {
			if block == blocks {
				copy(real, all)
				v.differences(real, observed, 1)
				return
			}
			for i := block * size; i < min((block+1)*size, c.Resamples); i++ {
				copy(real, sums[i*u.width:])
				v.differences(real, differences[i:], c.Resamples)
				copy(real, all)
				for k, to := range of {
					if to != k {
						s := swaps[i*(u.width-len(of))+to-len(of)]
						real[k] += s
						real[to] -= s
					}
				}
				v.differences(real, stars[i:], c.Resamples)
			}
		}
	})
	if err != nil {
		return err
	}
	return share(ctx, n, c.Workers, func() func(int) {
		return func(k int) {
			if d := r.at(k); !math.IsNaN(observed[k]) && finite(d.Difference) {
				d.Low, d.High = interval(differences[k*c.Resamples:][:c.Resamples], c.Confidence)
				d.P = probability(stars[k*c.Resamples:][:c.Resamples], observed[k], math.Abs(d.A)+math.Abs(d.B))
			}
		}
	})
}

// swaps returns, of every resample of the randomisation, what swapping adds to the
// sums of A in the columns in which the models differ: Σ of B - A over the units
// that are swapped. That is exact, as all sums are.
func (c *comparer) swaps(ctx context.Context, u *units, of []int) ([]float64, error) {
	width := u.width - len(of)
	d := &units{n: u.n, width: width, x: make([]float64, u.n*width)}
	for i := range u.n {
		for k, to := range of {
			if to != k {
				d.x[i*width+to-len(of)] = u.x[i*u.width+to] - u.x[i*u.width+k]
			}
		}
	}
	return d.resample(ctx, swapping, c.Seed, c.Resamples, c.Workers)
}

// A valuer makes losses and metrics of sums.
type valuer struct {
	c      *comparer
	u      *units
	of     []int
	b      []float64
	spread []float64
}

func (c *comparer) newValuer(u *units, of []int) *valuer {
	return &valuer{c, u, of, make([]float64, len(of)), make([]float64, c.a.terms)}
}

// differences writes the differences of all losses and metrics, of sums in integers,
// to every step-th place of dst.
func (v *valuer) differences(sums, dst []float64, step int) {
	v.u.real(sums)
	for k, from := range v.of {
		v.b[k] = sums[from]
	}
	n := len(v.c.a.losses) + len(v.c.a.formulas)
	for k := range n {
		dst[k*step] = v.c.b.value(k, v.b, v.spread) - v.c.a.value(k, sums, v.spread)
	}
}

// byClasses fills in the classes, and intervals and p of the metrics by class.
func (c *comparer) byClasses(ctx context.Context, r *Comparison) error {
	entries, err := join(ctx, c.a, c.b, c.Workers)
	if err != nil {
		return err
	}
	p := &pair{classes: c.a.classes, entries: entries, unit: c.unit, units: c.n, zero: c.a.zero}
	w := c.a.width()
	p.weigh(func(row int) float64 { return c.a.x[row*w+len(c.a.losses)] })
	if p.weights != nil {
		return compareClasses[uint64](ctx, c, p, r)
	}
	return compareClasses[uint32](ctx, c, p, r)
}

// compareClasses is byClasses of a pair.
func compareClasses[C count](ctx context.Context, c *comparer, p *pair, r *Comparison) error {
	var which []*Difference
	for k, f := range c.a.formulas {
		if f.ByClass() {
			p.formulas = append(p.formulas, f)
			which = append(which, &r.Metrics[k])
		}
	}
	total := total[C](p)
	nan := math.NaN()
	for j := range p.classes {
		a, b := total.f1(j)
		r.Classes = append(r.Classes, ClassDifference{Class: j, A: a, B: b, Difference: b - a, Low: nan, High: nan})
	}
	observed := make([]float64, len(which))
	for k, d := range which {
		a, b := total.values(k)
		observed[k] = b - a
		if c.a.Values == nil {
			d.A, d.B, d.Difference = a, b, b-a
		}
	}
	p.each = farthest(r.Classes, mostIntervals)
	n := min(c.Resamples, classResamples)
	drawn, f1, err := resample(ctx, p, drawing, c.Seed, total.all, n, c.Workers)
	if err != nil {
		return err
	}
	swapped, _, err := resample(ctx, p, swapping, c.Seed, total.all, n, c.Workers)
	if err != nil {
		return err
	}
	column := func(x []float64, k int) []float64 {
		y := make([]float64, n)
		for i := range y {
			y[i] = x[i*len(which)+k]
		}
		return y
	}
	for k, d := range which {
		if finite(d.Difference) {
			d.Low, d.High = interval(column(drawn, k), c.Confidence)
			d.P = probability(column(swapped, k), observed[k], math.Abs(d.A)+math.Abs(d.B))
		}
	}
	return share(ctx, len(p.each), c.Workers, func() func(int) {
		return func(i int) {
			d := &r.Classes[p.each[i]]
			d.Low, d.High = interval(f1[i*n:][:n], c.Confidence)
		}
	})
}

// tie is how near two differences are that are equal but for rounding, as a share of
// the values: above all errors of sums over 10^7 rows.
const tie = 0x1p-33

func finite(x float64) bool { return x-x == 0 }

// probability is (1 + the number of resamples with |d*| ≥ |d|)/(1 + resamples), of
// the difference d of values of that size.
func probability(stars []float64, d, size float64) float64 {
	n := 1
	least := math.Abs(d) - float64(tie*size)
	for _, s := range stars {
		if math.Abs(s) >= least {
			n++
		}
	}
	return float64(n) / float64(1+len(stars))
}

// interval returns the quantiles of x that leave out (1-confidence)/2 on either
// side. It sorts x.
func interval(x []float64, confidence float64) (low, high float64) {
	slices.Sort(x) // NaN first
	for len(x) > 0 && math.IsNaN(x[0]) {
		x = x[1:]
	}
	return quantile(x, (1-confidence)/2), quantile(x, (1+confidence)/2)
}

// quantile returns that of sorted numbers, NaN for none: as numpy.quantile, that of
// place q·(n-1), between two numbers by linear interpolation.
func quantile(x []float64, q float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	place := float64(q * float64(len(x)-1))
	i := min(int(place), len(x)-1)
	j := min(i+1, len(x)-1)
	t := place - float64(i) // exact
	if x[i] == x[j] {
		return x[i]
	}
	if t >= 0.5 {
		return x[j] - float64((x[j]-x[i])*(1-t))
	}
	return x[i] + float64((x[j]-x[i])*t)
}
