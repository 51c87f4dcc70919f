package figure

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// roundTicks are ticks at multiples of 1, 2 or 5 times a power of ten, about six
// of them, in as many digits as tell them apart.
type roundTicks struct{}

func (roundTicks) Ticks(lo, hi float64) []plot.Tick {
	const about = 6
	span := hi - lo
	if !(span > 0) || math.IsInf(span, 0) {
		return plot.DefaultTicks{}.Ticks(lo, hi)
	}
	exponent := math.Floor(math.Log10(span / about))
	step := math.Pow(10, exponent)
	for _, factor := range []float64{1, 2, 5, 10} {
		if step = factor * math.Pow(10, exponent); span/step <= about {
			break
		}
	}
	first, last := math.Ceil(lo/step-1e-9), math.Floor(hi/step+1e-9)
	if !(step > 0) || !(math.Abs(first) < 1<<50) || !(last-first < 100) { // the numbers end
		return plot.DefaultTicks{}.Ticks(lo, hi)
	}
	digits := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	var ticks []plot.Tick
	for k := first; k <= last; k++ {
		v := k * step
		label := strconv.FormatFloat(v, 'f', digits, 64)
		if size := math.Max(math.Abs(lo), math.Abs(hi)); digits > 6 || size >= 1e7 {
			label = strconv.FormatFloat(v, 'g', 6, 64)
		}
		if k == 0 {
			label = "0"
		}
		ticks = append(ticks, plot.Tick{Value: v, Label: label})
	}
	return ticks
}
