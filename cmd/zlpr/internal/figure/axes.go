package figure

import (
	"math"
	"strconv"
)

// An Axis is a range of values with its label.
type Axis struct {
	Min, Max float64
	label    string
	log      bool
	names    []string // of 0, 1, 2, …, instead of numbers
}

// A tick is a place on an axis, with a label or small.
type tick struct {
	value float64
	label string
}

// include widens the range to values.
func (a *Axis) include(values []float64) {
	for _, v := range values {
		a.Min, a.Max = min(a.Min, v), max(a.Max, v)
	}
}

// settle gives a range that has no width one.
func (a *Axis) settle() {
	switch {
	case a.Min > a.Max: // there is nothing
		a.Min, a.Max = 0, 1
	case a.Min == a.Max && a.log:
		a.Min, a.Max = a.Min/10, a.Max*10
	case a.Min == a.Max:
		around := max(1, 1e-3*math.Abs(a.Min))
		a.Min, a.Max = a.Min-around, a.Max+around
	}
}

// at is where a value is in the range, from 0 to 1.
func (a *Axis) at(v float64) float64 {
	lo, hi := a.Min, a.Max
	if a.log {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(v)
	}
	if math.IsInf(hi-lo, 0) {
		lo, hi, v = lo/2, hi/2, v/2
	}
	return (v - lo) / (hi - lo)
}

// ticks are the ticks in the range.
func (a *Axis) ticks() (list []tick) {
	switch {
	case a.names != nil:
		for i, name := range a.names {
			list = append(list, tick{float64(i), name})
		}
	case a.log:
		list = powers(a.Min, a.Max)
	default:
		list = rounds(a.Min, a.Max)
	}
	inside := list[:0]
	for _, t := range list {
		if at := a.at(t.value); at >= 0 && at <= 1 {
			inside = append(inside, t)
		}
	}
	return inside
}

// rounds are ticks at multiples of 1, 2 or 5 times a power of ten, about six
// of them, in as many digits as tell them apart. Where numbers end, they are the ends.
func rounds(lo, hi float64) (ticks []tick) {
	const about = 6
	ends := []tick{{lo, strconv.FormatFloat(lo, 'g', 6, 64)}, {hi, strconv.FormatFloat(hi, 'g', 6, 64)}}
	span := hi - lo
	if !(span > 0) || math.IsInf(span, 0) {
		return ends
	}
	exponent := math.Floor(math.Log10(span / about))
	step := math.Pow(10, exponent)
	for _, factor := range []float64{1, 2, 5, 10} {
		if step = factor * math.Pow(10, exponent); span/step <= about {
			break
		}
	}
	first, last := math.Ceil(lo/step-1e-9), math.Floor(hi/step+1e-9)
	if !(step > 0) || !(math.Abs(first) < 1<<50) || !(last-first < 100) {
		return ends
	}
	digits := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	for k := first; k <= last; k++ {
		v := k * step
		label := strconv.FormatFloat(v, 'f', digits, 64)
		if size := math.Max(math.Abs(lo), math.Abs(hi)); digits > 6 || size >= 1e7 {
			label = strconv.FormatFloat(v, 'g', 6, 64)
		}
		if k == 0 {
			label = "0"
		}
		ticks = append(ticks, tick{v, label})
	}
	return ticks
}

// powers are ticks at powers of ten, a dozen of them at most, with small ones
// between them where there is room.
func powers(lo, hi float64) (ticks []tick) {
	const most = 12
	first, last := int(math.Floor(math.Log10(lo))), int(math.Ceil(math.Log10(hi)))
	each := (last-first)/most + 1
	for e := first; e <= last; e++ {
		v := math.Pow(10, float64(e))
		if e%each != 0 {
			ticks = append(ticks, tick{v, ""})
			continue
		}
		ticks = append(ticks, tick{v, strconv.FormatFloat(v, 'g', 2, 64)})
		for k := 2; k < 10 && each == 1; k++ {
			small := tick{float64(k) * v, ""}
			if last-first <= 2 && (k == 2 || k == 5) {
				small.label = strconv.FormatFloat(small.value, 'g', 2, 64)
			}
			ticks = append(ticks, small)
		}
	}
	return ticks
}
