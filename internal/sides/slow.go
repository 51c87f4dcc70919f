package sides

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file evaluates the rows of a loss of two sums for which pivot 0 does not
// serve. The sums are taken at the pivots of their highest terms; and where |γy|
// of the highest y is large, that y is subtracted from the scores of its side: the
// difference is exact where the term counts. What has been subtracted, the
// threshold and the margin are added up to twice the precision of float64, and
// become one exponential. Sums and factors are powers, so nothing overflows and
// nothing that counts underflows; NaN and infinite scores get their limits here.

// A sideValue is what is known about one side of a row.
type sideValue[T kernel.Float] struct {
	terms power.Number // the sum, where it is finite, of what is left of the scores
	class power.Class
	any   bool // there are terms, be it of -Inf
	slope slope

	shift bool // by has been subtracted from the scores
	by    T
}

// A slope is the derivative of the loss by the terms of a side, times a row's scale;
// where their sum is infinite the derivative by its one infinite score is limit.
type slope struct {
	power.Number
	limit    float64
	infinite bool
}

// evalSlow evaluates the slow rows. The passes are prepared.
func (w *Work[T]) evalSlow() {
	slow := w.slow
	for i := 0; i < w.c.Rows; i++ {
		if slow[i] {
			end := i + 1
			for end < w.c.Rows && slow[end] {
				end++
			}
			w.evalRows(i, end)
			i = end
		}
	}
}

// evalRows evaluates rows i to end-1.
func (w *Work[T]) evalRows(i, end int) {
	rows := end - i
	w.values, w.params = kernel.Resize(w.values, rows), kernel.Resize(w.params, rows)
	for k := range w.passes {
		w.top[k], w.sum[k] = kernel.Resize(w.top[k], rows), kernel.Resize(w.sum[k], rows)
		r := w.passes[k].From(i, end)
		kernel.SideMax(w.top[k], &r)
	}
	for side := range 2 {
		w.pivots(i, side)
	}
	for k := range w.passes {
		r := w.passes[k].From(i, end)
		kernel.SideSums(w.sum[k], &r, w.params, 1)
	}
	for j := range rows {
		for side := range 2 {
			v := &w.values[j][side]
			switch {
			case v.class != power.Finite:
			case v.shift:
				w.shiftedSum(i+j, side, v)
			default:
				v.terms.Hi = w.sum[w.pass(side)][j][side]
			}
		}
	}
	// The gradients of ordinary rows one after the other are one call.
	from := i
	for k := range w.log {
		w.log[k] = kernel.Resize(w.log[k], rows)
		clear(w.log[k])
	}
	for j := range rows {
		v := &w.values[j]
		nan := w.finishRow(i+j, v, &w.log[0][j], &w.log[1][j])
		ordinary := !nan
		for side := range v {
			ordinary = ordinary && !v[side].shift && !v[side].slope.infinite
			w.params[j][3*side], w.params[j][3*side+2] = slopeParams[T](v[side].slope.Number)
		}
		if ordinary {
			continue
		}
		if w.c.Grad != nil {
			if from < i+j {
				w.sideGradients(from, i+j, w.params[from-i:j])
			}
			if !nan {
				w.specialGradient(i+j, v)
			}
		}
		if nan {
			w.c.SetNaN(i + j)
		}
		from = i + j + 1
	}
	if w.c.Grad != nil && from < end {
		w.sideGradients(from, end, w.params[from-i:])
	}
	for k := range w.log {
		kernel.Log1p64(w.log[k], w.log[k])
	}
	for j, l := range w.log[0] {
		if !w.settled[i+j] {
			w.c.Loss[i+j] += l + w.log[1][j]
		}
	}
}

// pivots decides on the pivots of a side of the rows from i on, given its tops: it
// sets all of their values but the sums, and the magic numbers of the pivots.
func (w *Work[T]) pivots(i, side int) {
	from, gamma := w.shiftFrom(), w.rule.Gamma
	values, params := w.values, w.params[:len(w.values)]
	for j, top := range w.top[w.pass(side)][:len(values)] {
		v := &values[j][side]
		score, pivot := float64(top.Score[side]), 0.0
		if math.Abs(float64(gamma*score)) < from {
			pivot = math.RoundToEven(float64(top.Power[side]))
			*v = sideValue[T]{class: power.Finite, any: true, terms: power.Number{Exp: int64(pivot)}}
		} else {
			*v = w.farValue(i+j, side, score)
		}
		params[j][3*side] = kernel.MagicOf[T](pivot)
	}
}

// farValue returns the value of a side of row i whose highest score is none, or too
// large for a pivot.
func (w *Work[T]) farValue(i, side int, score float64) sideValue[T] {
	switch {
	case score != score:
		return sideValue[T]{class: power.NotANumber, any: true}
	case score > math.MaxFloat64:
		return sideValue[T]{class: power.Infinite, any: true}
	case score < -math.MaxFloat64:
		return sideValue[T]{class: power.Nothing, any: w.anyTerm(i, side == 1)}
	}
	if side == 1 {
		score = -score
	}
	return sideValue[T]{class: power.Finite, any: true, shift: true, by: T(score)}
}

// shiftFrom returns the |γy| of a side's highest y from which on that is subtracted
// from the scores. With weights a term may count that lies far below the highest: y
// less than half of that would not be subtracted exactly.
func (w *Work[T]) shiftFrom() float64 {
	switch {
	case !w.isSoft() && w.weights() == nil:
		return coef.ShiftFrom
	case kernel.IsFloat32[T]():
		return coef.ShiftWeighted32
	}
	return coef.ShiftWeighted64
}

// oneSide returns one side of row i alone, with shifted scores where v says so.
func (w *Work[T]) oneSide(i, side int, v *sideValue[T]) kernel.SideRows[T] {
	r := w.passes[w.pass(side)].From(i, i+1)
	if side == 1 {
		r.Neg = w.noBits(w.c.Words)
	} else {
		r.Pos = w.noBits(w.c.Words)
	}
	if v.shift {
		w.shifted = kernel.Resize(w.shifted, w.c.N)
		for j, x := range w.c.Row(i) {
			w.shifted[j] = x - v.by
		}
		r.X = w.shifted
	}
	return r
}

// shiftedSum sets the sum of a side with shifted scores.
func (w *Work[T]) shiftedSum(i, side int, v *sideValue[T]) {
	r := w.oneSide(i, side, v)
	var top [1]kernel.SideTop[T]
	kernel.SideMax(top[:], &r)
	pivot := math.RoundToEven(float64(top[0].Power[side]))
	var p [1]kernel.SideParams[T]
	p[0][0], p[0][3] = kernel.MagicOf[T](pivot), kernel.MagicOf[T](pivot)
	var sum [1][2]float64
	kernel.SideSums(sum[:], &r, p[:], 0)
	v.terms = power.Number{Hi: sum[0][side], Exp: int64(pivot)}
}

// slopeParams returns the magic number and the factor with which a term times
// 2^-c times the factor is e^y·f. The factor is at least 2 in magnitude, so that the
// term is a number wherever the product is.
func slopeParams[T kernel.Float](f power.Number) (magic, factor T) {
	const most = 16000
	f = f.Tidy()
	if f.Shift != 0 || f.Hi == 0 {
		// e^y counts for nothing, and does not overflow at that pivot.
		return kernel.MagicOf[T](most), 0
	}
	return kernel.MagicOf[T](float64(2 - max(-most, min(most, f.Exp)))), T(4 * f.Hi)
}

// specialGradient writes the gradient of a row with shifted scores or an
// infinite sum.
func (w *Work[T]) specialGradient(i int, v *[2]sideValue[T]) {
	w.row = kernel.Resize(w.row, w.c.N)
	clear(w.row)
	for side := range v {
		if v[side].slope.infinite {
			w.addLimit(i, side, v[side].slope.limit)
			continue
		}
		var p [1]kernel.SideParams[T]
		p[0][3*side], p[0][3*side+2] = slopeParams[T](v[side].slope.Number)
		if len(w.passes) > 1 {
			deepen(&p[0], w.c.Scale[i])
		}
		r := w.oneSide(i, side, &v[side])
		w.half = kernel.Resize(w.half, w.c.N)
		kernel.SideGrad(w.half, w.c.N, &r, p[:])
		kernel.Accumulate(w.row, w.c.N, w.half, w.c.N, 1, w.c.N)
	}
	copy(w.c.GradRow(i), w.row)
}

// finishRow computes the slopes of the sides of row i and, unless it is settled, its
// loss but for log1p of x and y, or reports that all is NaN.
func (w *Work[T]) finishRow(i int, v *[2]sideValue[T], x, y *float64) (nan bool) {
	a, b := &v[0], &v[1]
	if a.class == power.NotANumber || b.class == power.NotANumber {
		return true
	}
	scale := w.scaleOf(i)
	rest := 0.0
	if w.rule.Product {
		if a.any && b.any {
			rest, nan = w.finishProductRow(i, v, scale, x)
		}
	} else {
		s0 := w.c.Threshold[i]
		if !w.c.Live[i] {
			s0 = 0
		}
		if !(math.Abs(s0) <= math.MaxFloat64) {
			return true
		}
		minus := scale
		minus.Hi, minus.Lo = -scale.Hi, -scale.Lo
		du, restA := a.finishSum(0, s0, scale, x)
		dv, restB := b.finishSum(1, s0, minus, y)
		rest = restA + restB
		if w.c.ThresholdGrad != nil {
			w.c.ThresholdGrad[i] = w.c.Scale[i] * thresholdSlope(du, dv)
		}
	}
	if !w.settled[i] {
		w.c.Loss[i] = rest
	}
	return nan
}

// scaleOf returns the factor of the gradient of row i. (One that comes before the
// terms' exponentials is γ: ∂L/∂s = γ·∂L/∂(γs).)
func (w *Work[T]) scaleOf(i int) power.Number {
	if !w.c.Derivatives() {
		return power.Number{Hi: 1}
	}
	if w.rule.Target && w.c.Soft != nil {
		return power.Number{Hi: w.scale[i]} // with all that multiplies it
	}
	scale := power.Number{Hi: w.c.Scale[i]}
	if w.rule.Gamma != 1 {
		scale = scale.Times(power.Number{Hi: w.rule.Gamma})
	}
	if class := w.targetWeight(i); class != 1 {
		scale = scale.Times(power.Number{Hi: class})
	}
	return scale
}

// finishSum sets the slope of a side with the threshold s0, and returns u, its sum,
// and log1p(u) but for log1p of x.
func (v *sideValue[T]) finishSum(side int, s0 float64, scale power.Number, x *float64) (u, rest float64) {
	if v.class == power.Infinite {
		v.slope = slope{limit: scale.Float(), infinite: true}
		return math.Inf(1), math.Inf(1)
	}
	p := v.terms
	if a := math.Abs(scale.Hi); s0 == 0 && !v.shift && -800 < p.Exp && p.Exp < 800 && p.Hi <= 0x1p100 && 0x1p-100 <= a && a <= 0x1p100 && scale.Exp == 0 {
		// The usual case, in float64.
		u = float64(p.Hi * math.Float64frombits(uint64(1023+p.Exp)<<52))
		*x, v.slope = u, slope{Number: power.Number{Hi: scale.Hi / (1 + u)}}
		return u, 0
	}
	d, err := difference(float64(v.by), s0)
	if side == 1 {
		d, err = -d, -err
	}
	p = p.Times(power.ExpPair(d, err))
	v.setSlope(p, scale)
	*x, rest = p.Log1pArgument()
	return p.Float(), rest
}

// setSlope sets the slope of a side where the loss is log1p(p) and p is the terms
// times some factor. Not that factor times 1/(1+p): both may be beyond all numbers.
func (v *sideValue[T]) setSlope(p, scale power.Number) {
	v.slope = slope{}
	if v.terms.Hi != 0 {
		v.slope.Number = p.Share().Times(v.terms.Inverse()).Times(scale)
	}
}

// finishProductRow sets the slopes of a loss of the product, and returns the loss
// but for log1p of x, or nan.
func (w *Work[T]) finishProductRow(i int, v *[2]sideValue[T], scale power.Number, x *float64) (rest float64, nan bool) {
	a, b := &v[0], &v[1]
	minus := scale
	minus.Hi, minus.Lo = -scale.Hi, -scale.Lo
	if a.class == power.Infinite || b.class == power.Infinite {
		if a.class == power.Nothing || b.class == power.Nothing {
			return 0, true
		}
		infinite := power.Number{Hi: 1, Shift: math.Inf(1)}
		a.setSlope(infinite, scale)
		b.setSlope(infinite, minus)
		a.slope.limit, a.slope.infinite = scale.Float(), a.class == power.Infinite
		b.slope.limit, b.slope.infinite = minus.Float(), b.class == power.Infinite
		return math.Inf(1), false
	}
	p := a.terms.Times(b.terms).Times(w.marginOf(float64(a.by), float64(b.by)))
	a.setSlope(p, scale)
	b.setSlope(p, minus)
	if w.rule.Target && w.c.Soft != nil && w.c.Grad != nil {
		w.target.peak[i] = p.Over1p()
	}
	*x, rest = p.Log1pArgument()
	return rest, false
}

// marginOf returns e^(γ(a-b+m)) for scores a and b.
func (w *Work[T]) marginOf(a, b float64) power.Number {
	m, up := w.rule.Margin, 0
	if max(math.Abs(a), math.Abs(b), math.Abs(m)) > 0x1p1000 {
		a, b, m, up = a*0x1p-4, b*0x1p-4, m*0x1p-4, 4
	}
	// The sum is exact: where d + m is rounded, its error is small beside it.
	d, e := difference(a, b)
	sum, f := difference(m, -d)
	hi, lo := difference(sum, -(e + f))
	// The product, whose exponent may be beyond all numbers.
	g, k := math.Frexp(w.rule.Gamma)
	h, j := math.Frexp(hi)
	y := float64(g * h)
	rest := math.FMA(g, h, -y) + float64(g*scalar.Ldexp(lo, -j))
	y, rest = scalar.Ldexp(y, j+k+up), scalar.Ldexp(rest, j+k+up)
	return power.ExpPair(y, rest)
}

// difference returns a - b rounded, and what that has lost; nothing where it is
// infinite.
func difference(a, b float64) (d, err float64) {
	d = a - b
	if math.Abs(d) > math.MaxFloat64 {
		return d, 0
	}
	t := d - a
	return d, (a - (d - t)) - (b + t)
}

// addLimit adds to the row's gradient that of a side with an infinite sum: all of
// it at the one infinite argument, or NaN where there are several.
func (w *Work[T]) addLimit(i, side int, limit float64) {
	bits, weights := w.side(i, side == 1), w.passes[w.pass(side)].From(i, i+1).Weights
	count := 0
	for pass := range 2 {
		for j, x := range w.c.Row(i) {
			if bits[j/64]>>(j%64)&1 == 0 || weights[kernel.WeightPlace[T](j)] == 0 {
				continue
			}
			y := float64(x)
			if side == 1 {
				y = -y
			}
			top := y > math.MaxFloat64
			switch {
			case pass == 0 && top:
				count++
			case pass == 1 && count > 1:
				w.row[j] = kernel.CanonicalNaN[T]()
			case pass == 1 && top:
				w.row[j] += T(limit)
			}
		}
	}
}
