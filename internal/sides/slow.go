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
// of the highest y is coef.ShiftFrom or more, that y is subtracted from the scores of
// its side: the difference is exact where the term counts. Sums and factors are
// powers, so nothing overflows and nothing that counts underflows; NaN and
// infinite scores get their limits here.

// A sideValue is what is known about one side of a row.
type sideValue[T kernel.Float] struct {
	power power.Number // the sum, where it is finite
	class power.Class
	any   bool // there are terms, be it of -Inf
	slope slope

	// Where scores are shifted: by what, and e^(γ·highest y).
	shift bool
	by    T
	base  power.Number
	terms power.Number // the sum of the shifted terms
}

// A slope is the derivative of the loss by A or by B, times a row's scale; where
// that sum is infinite the derivative by its one infinite score is limit.
type slope struct {
	power.Number
	share    power.Number // the derivative by the sum's logarithm, times the scale
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
	for j := range rows {
		for side := range 2 {
			top := &w.top[w.pass(side)][j]
			w.pivot(i+j, side, float64(top.Score[side]), float64(top.Power[side]), &w.values[j][side], w.params[j][3*side:])
		}
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
				v.power.Hi = w.sum[w.pass(side)][j][side]
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
		w.c.Loss[i+j] += l + w.log[1][j]
	}
}

// pivot decides on the pivot of a side, given its tops: it sets all of v but the
// sum, and the magic number of the pivot.
func (w *Work[T]) pivot(i, side int, score, highest float64, v *sideValue[T], p []T) {
	*v = sideValue[T]{class: power.Finite}
	y := float64(w.rule.Gamma * score)
	pivot := 0.0
	switch {
	case y != y:
		v.class, v.any = power.NotANumber, true
	case y > math.MaxFloat64:
		v.class, v.any = power.Infinite, true
	case y < -math.MaxFloat64:
		v.class, v.any = power.Nothing, w.anyTerm(i, side == 1)
	case math.Abs(y) >= coef.ShiftFrom:
		v.any, v.shift = true, true
		v.by = T(score)
		if side == 1 {
			v.by = -v.by
		}
		v.base = power.Exp(y)
		if math.Abs(y) < 1<<50 {
			v.base.Hi *= scalar.Exp(math.FMA(w.rule.Gamma, score, -y))
		}
	default:
		v.any = true
		pivot = math.RoundToEven(highest)
		v.power.Exp = int64(pivot)
	}
	p[0] = kernel.MagicOf[T](pivot)
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
	v.power = v.terms.Times(v.base)
}

// slopeParams returns the magic number and the factor with which a term times
// 2^-c times the factor is e^y·f.
func slopeParams[T kernel.Float](f power.Number) (magic, factor T) {
	f = f.Tidy()
	if f.Shift != 0 || f.Hi == 0 {
		// e^y counts for nothing, and does not overflow at that pivot.
		return kernel.MagicOf[T](8000), 0
	}
	return kernel.MagicOf[T](float64(-max(-8000, min(8000, f.Exp)))), T(f.Hi)
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
		f := v[side].slope.Number
		if v[side].shift {
			// Not f times the base: both may be beyond all numbers.
			f = v[side].slope.share.Times(v[side].terms.Inverse())
		}
		var p [1]kernel.SideParams[T]
		p[0][3*side], p[0][3*side+2] = slopeParams[T](f)
		if len(w.passes) > 1 {
			deepen(&p[0], w.scale[i])
		}
		r := w.oneSide(i, side, &v[side])
		kernel.SideGrad(w.row, w.c.N, &r, p[:], w.row, w.c.N)
	}
	copy(w.c.GradRow(i), w.row)
}

// finishRow computes the slopes of the sides of row i and its loss but for log1p
// of x and y, or reports that all is NaN.
func (w *Work[T]) finishRow(i int, v *[2]sideValue[T], x, y *float64) (nan bool) {
	a, b := &v[0], &v[1]
	scale := 1.0
	if w.c.Derivatives() {
		scale = w.scale[i]
	}
	if a.class == power.NotANumber || b.class == power.NotANumber {
		return true
	}
	if w.rule.Product {
		w.c.Loss[i] = 0
		if a.any && b.any {
			w.c.Loss[i], *x, a.slope, b.slope, nan = productRow(a.power, b.power, a.class, b.class, &w.rule, scale)
		}
		return nan
	}
	s0 := w.c.Threshold[i]
	if !w.c.Live[i] {
		s0 = 0
	}
	if !(math.Abs(s0) <= math.MaxFloat64) {
		return true
	}
	du, restA := a.finishSum(-s0, scale, x)
	dv, restB := b.finishSum(s0, -scale, y)
	w.c.Loss[i] = restA + restB
	if w.c.ThresholdGrad != nil {
		w.c.ThresholdGrad[i] = scale * thresholdSlope(du, dv)
	}
	return false
}

// finishSum sets the slope of a side and returns u = e^shift times its sum, and
// log1p(u) but for log1p of x.
func (v *sideValue[T]) finishSum(shift, scale float64, x *float64) (u, rest float64) {
	if v.class == power.Infinite {
		v.slope = slope{limit: scale, infinite: true}
		return math.Inf(1), math.Inf(1)
	}
	p := v.power
	if a := math.Abs(scale); shift == 0 && p.Shift == 0 && -800 < p.Exp && p.Exp < 800 && p.Hi <= 0x1p100 && 0x1p-100 <= a && a <= 0x1p100 {
		// The usual case, in float64.
		u = float64(p.Hi * math.Float64frombits(uint64(1023+p.Exp)<<52))
		*x, v.slope = u, slope{Number: power.Number{Hi: scale / (1 + u)}}
		return u, 0
	}
	if shift == 0 {
		v.slope = slope{Number: p.Over1p().Times(power.Number{Hi: scale})}
	} else {
		factor := power.Exp(shift)
		p = p.Times(factor)
		v.slope = slope{Number: factor.Times(p.Over1p()).Times(power.Number{Hi: scale})}
	}
	v.slope.share = p.Share().Times(power.Number{Hi: scale})
	*x, rest = p.Log1pArgument()
	return p.Float(), rest
}

// productRow returns the slopes of a loss of the product, and the loss but for
// log1p of x, or nan.
func productRow(a, b power.Number, ka, kb power.Class, rule *Rule, scale float64) (loss, x float64, fa, fb slope, nan bool) {
	if ka == power.Infinite || kb == power.Infinite {
		if ka == power.Nothing || kb == power.Nothing {
			return 0, 0, fa, fb, true
		}
		fa = slope{limit: scale, infinite: ka == power.Infinite}
		fb = slope{limit: -scale, infinite: kb == power.Infinite}
		if !fa.infinite {
			fa.Number = a.Inverse().Times(power.Number{Hi: scale})
		}
		if !fb.infinite {
			fb.Number = b.Inverse().Times(power.Number{Hi: -scale})
		}
		return math.Inf(1), 0, fa, fb, false
	}
	shift := power.Exp(rule.Shift)
	shift.Hi *= scalar.Exp(rule.Rest)
	p := a.Times(b).Times(shift)
	f := shift.Times(p.Over1p())
	fa.Number = f.Times(b).Times(power.Number{Hi: scale})
	fb.Number = f.Times(a).Times(power.Number{Hi: -scale})
	fa.share = p.Share().Times(power.Number{Hi: scale})
	fb.share = p.Share().Times(power.Number{Hi: -scale})
	x, loss = p.Log1pArgument()
	return loss, x, fa, fb, false
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
			y := w.rule.Gamma * float64(x)
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
