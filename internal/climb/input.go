package climb

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// An Input is what the functions of the library take of one row; each takes
// what it needs. Numbers of another type are values of that type.
type Input struct {
	Scores          []float64
	Positive        Flags     // the positive classes
	Mask            Flags     // the classes that take part; "" for all
	Soft            []float64 // soft labels
	Weights         []float64 // of the classes
	PositiveWeights []float64 // of BCE
	Threshold       float64
	Gamma, Margin   float64   // of Pairwise
	Focal           float64   // of BCE
	FocalPositive   float64   // of Asymmetric
	Shift           float64   // of Asymmetric
	Temperatures    []float64 // of TwoWay: T+ and T-
	Counts          []float64 // of DistributionBalanced: whole parts, of countedRows rows
	Balance         []float64 // of DistributionBalanced: α, β, μ, κ and λ
	Teacher         []float64 // scores of the teacher, for Distillation
	Temperature     float64   // of Distillation
	Smoothing       float64   // of labels, a sum of few powers of two
	RowWeight       float64   // 0 for none
	OtherWeight     float64   // if not 0, that of a second, equal row; the gradient is that of the mean
	Upstream        float64   // 0 for none
	K               int       // picks, the length of an order, or the hard negatives that are left
	Among           bool      // hard negatives: TopScores in place of TopNegatives
	Repeat          int       // if above 1, the row is the classes so many times over
}

// Flags has a 1 or a 0 for every class.
type Flags string

func (f Flags) bools() []bool {
	if f == "" {
		return nil
	}
	b := make([]bool, len(f))
	for i := range f {
		b[i] = f[i] == '1'
	}
	return b
}

// with returns f with class i set to v.
func (f Flags) with(i int, v byte) Flags { return f[:i] + Flags(v) + f[i+1:] }

func (f Flags) count() int { return strings.Count(string(f), "1") }

func (in *Input) clone() Input {
	c := *in
	c.Scores = slices.Clone(in.Scores)
	c.Soft = slices.Clone(in.Soft)
	c.Temperatures = slices.Clone(in.Temperatures)
	c.Counts, c.Balance = slices.Clone(in.Counts), slices.Clone(in.Balance)
	c.Teacher = slices.Clone(in.Teacher)
	c.Weights = slices.Clone(in.Weights)
	c.PositiveWeights = slices.Clone(in.PositiveWeights)
	return c
}

// String returns the input as a composite literal without its type.
func (in Input) String() string {
	var parts []string
	v := reflect.ValueOf(in)
	for i := range v.NumField() {
		field := v.Field(i)
		if field.IsZero() || field.Kind() == reflect.Slice && field.Len() == 0 {
			continue
		}
		var text string
		switch x := field.Interface().(type) {
		case []float64:
			numbers := make([]string, len(x))
			for i, n := range x {
				numbers[i] = hex(n)
			}
			text = "[]float64{" + strings.Join(numbers, ", ") + "}"
		case float64:
			text = hex(x)
		case Flags:
			text = strconv.Quote(string(x))
		default:
			text = fmt.Sprint(x)
		}
		parts = append(parts, v.Type().Field(i).Name+": "+text)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// hex returns a literal of x, decimal where that is short.
func hex(x float64) string {
	if math.Signbit(x) && x == 0 {
		return "negativeZero"
	}
	if short := strconv.FormatFloat(x, 'g', -1, 64); len(short) <= 6 {
		return short
	}
	return strconv.FormatFloat(x, 'x', -1, 64)
}

var negativeZero = math.Copysign(0, -1)

// options says what an input of a function has besides scores.
type options uint

const (
	hasLabels options = 1 << iota
	hasTarget         // one positive class
	hasMask
	hasSoft
	hasWeights
	hasPositiveWeights
	hasThreshold // a float64
	hasLearned   // a threshold of the scores' type
	hasGamma
	hasFocal
	hasSmoothing
	hasAsymmetry // another focal exponent of the positives
	hasShift
	hasTemperatures
	hasBalance // Counts and Balance
	hasTeacher
	hasScale // row weights and Upstream
	hasPicks
	hasHardNegatives
	hasRepeat
)

// numbers returns the numbers of an input that may be moved, the scores first.
func (f *Function) numbers(in *Input) []number {
	largest := math.MaxFloat64
	if f.single {
		largest = math.MaxFloat32
	}
	var n []number
	add := func(at *float64, low, high float64, single bool) {
		n = append(n, number{at, low, high, single})
	}
	most := largest
	if f.uses&hasTeacher != 0 {
		most = min(largest, 0x1p900) // what the bound is for
	}
	for i := range in.Scores {
		add(&in.Scores[i], -most, most, f.single)
	}
	for i := range in.Teacher {
		add(&in.Teacher[i], -min(largest, 0x1p900), min(largest, 0x1p900), f.single)
	}
	for i := range in.Soft {
		add(&in.Soft[i], 0, 1, f.single)
	}
	for _, w := range [][]float64{in.Weights, in.PositiveWeights} {
		for i := range w {
			add(&w[i], 0, math.MaxFloat64, false)
		}
	}
	for i := range in.Counts {
		add(&in.Counts[i], 0, countedRows, false)
	}
	for i := range in.Balance {
		add(&in.Balance[i], [...]float64{0, 0, -8, 0, 0x1p-10}[i], [...]float64{0x1p10, 0x1p8, 8, 0x1p8, 0x1p10}[i], false)
	}
	for i := range in.Temperatures {
		add(&in.Temperatures[i], 0x1p-10, 0x1p20, false)
	}
	for _, o := range []struct {
		options
		at        *float64
		low, high float64
		single    bool
	}{
		{hasThreshold, &in.Threshold, -math.MaxFloat64, math.MaxFloat64, false},
		{hasLearned, &in.Threshold, -largest, largest, f.single},
		{hasGamma, &in.Gamma, 0x1p-1022, math.MaxFloat64, false},
		{hasGamma, &in.Margin, -math.MaxFloat64, math.MaxFloat64, false},
		{hasFocal, &in.Focal, 0, 0x1p900, false}, // times 1-q, a normal number, to 1
		{hasAsymmetry, &in.FocalPositive, 0, 0x1p900, false},
		{hasTeacher, &in.Temperature, 0x1p-10, 0x1p10, false},
		{hasShift, &in.Shift, 0x1p-30, 1 - 0x1p-20, false},
		{hasScale, &in.RowWeight, 0x1p-1022, math.MaxFloat64, false},
		{hasScale, &in.Upstream, 0x1p-1022, math.MaxFloat64, false},
	} {
		if f.uses&o.options != 0 {
			add(o.at, o.low, o.high, o.single)
		}
	}
	if in.OtherWeight != 0 {
		add(&in.OtherWeight, 0x1p-1022, math.MaxFloat64, false)
	}
	return n
}

// countedRows is of how many rows Counts are.
const countedRows = 1000

// maxClasses is the number of classes of an input.
const maxClasses = 24

// reshape changes what is not a number: labels, the number of classes, of picks.
func (f *Function) reshape(rng *rand.Rand, in *Input) {
	n := len(in.Scores)
	switch choice := rng.IntN(6); {
	case choice == 0 && n > 0: // swap two classes
		i, j := rng.IntN(n), rng.IntN(n)
		in.Scores[i], in.Scores[j] = in.Scores[j], in.Scores[i]
	case choice == 1 && n > 1 && f.uses&hasTarget == 0: // one class less
		in.setClasses(slices.Delete(upTo(n), n-1, n))
	case choice == 2 && n < maxClasses: // a class once more
		in.setClasses(append(upTo(n), rng.IntN(n)))
	case choice == 3 && f.uses&hasTarget != 0:
		in.Positive = Flags(strings.Repeat("0", n)).with(rng.IntN(n), '1')
	case choice == 3 && f.uses&hasLabels != 0:
		i := rng.IntN(n)
		in.Positive = in.Positive.with(i, in.Positive[i]^1)
	case choice == 4 && f.uses&(hasPicks|hasHardNegatives) != 0:
		in.K = max(0, in.K+1-2*rng.IntN(2))
	case choice == 5 && in.Mask != "":
		i := rng.IntN(n)
		in.Mask = in.Mask.with(i, in.Mask[i]^1)
	}
}

func upTo(n int) []int {
	x := make([]int, n)
	for i := range x {
		x[i] = i
	}
	return x
}

// setClasses makes the classes of in those listed.
func (in *Input) setClasses(classes []int) {
	take := func(x []float64) []float64 {
		if x == nil {
			return nil
		}
		y := make([]float64, len(classes))
		for i, k := range classes {
			y[i] = x[k]
		}
		return y
	}
	flags := func(x Flags) Flags {
		if x == "" {
			return ""
		}
		var y strings.Builder
		for _, k := range classes {
			y.WriteByte(x[k])
		}
		return Flags(y.String())
	}
	in.Scores, in.Soft, in.Weights, in.PositiveWeights = take(in.Scores), take(in.Soft), take(in.Weights), take(in.PositiveWeights)
	in.Teacher, in.Counts = take(in.Teacher), take(in.Counts)
	in.Positive, in.Mask = flags(in.Positive), flags(in.Mask)
}

// repair makes an input one that the function takes.
func (f *Function) repair(in *Input) {
	n := len(in.Scores)
	if f.uses&hasTarget != 0 {
		first := max(0, strings.IndexByte(string(in.Positive), '1'))
		in.Positive = Flags(strings.Repeat("0", n)).with(first, '1')
	}
	for i := range in.Mask {
		if in.Mask[i] == '0' {
			if f.uses&hasTarget != 0 && in.Positive[i] == '1' {
				in.Mask = in.Mask.with(i, '1')
			} else if f.uses&hasLabels != 0 {
				in.Positive = in.Positive.with(i, '0')
			}
			if in.Soft != nil && in.Mask[i] == '0' {
				in.Soft[i] = 0
			}
		}
	}
	switch {
	case f.uses&hasPicks == 0:
	case f.uses&(hasLabels|hasSoft) == hasLabels: // the positives and paddings
		in.K = max(in.K, in.Positive.count())
	case f.uses&hasThreshold == 0:
		in.K = min(in.K, n)
	}
	if f.uses&hasHardNegatives != 0 {
		in.K = max(in.K, 1)
	}
}
