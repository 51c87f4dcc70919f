package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file evaluates the rows of a loss of two sums for which pivot 0 does not
// serve. The sums are taken at the pivots of their highest terms; and where |γy|
// of the highest y is shiftFrom or more, that y is subtracted from the scores of
// its side: the difference is exact where the term counts. Sums and factors are
// powers, so nothing overflows and nothing that counts underflows; NaN and
// infinite scores get their limits here.

// A sideValue is what is known about one side of a row.
type sideValue[T Float] struct {
	power power.Number // the sum, where it is finite
	class power.Class
	any   bool // there are terms, be it of -Inf
	slope slope

	// Where scores are shifted: by what, and e^(γ·highest y).
	shift bool
	by    T
	base  power.Number
}

// A slope is the derivative of the loss by A or by B, times a row's scale; where
// that sum is infinite the derivative by its one infinite score is limit.
type slope struct {
	power.Number
	limit    float64
	infinite bool
}

// evalSlow evaluates the slow rows. The passes are prepared.
func (c *lossChunk[T]) evalSlow(rule *sideRule) {
	slow := c.scratch.slow
	for i := 0; i < c.rows; i++ {
		if slow[i] {
			end := i + 1
			for end < c.rows && slow[end] {
				end++
			}
			c.evalRows(i, end, rule)
			i = end
		}
	}
}

// evalRows evaluates rows i to end-1.
func (c *lossChunk[T]) evalRows(i, end int, rule *sideRule) {
	g := &c.scratch.general
	rows := end - i
	g.values, g.params = kernel.Resize(g.values, rows), kernel.Resize(g.params, rows)
	for k := range g.passes {
		g.top[k], g.sum[k] = kernel.Resize(g.top[k], rows), kernel.Resize(g.sum[k], rows)
		r := g.passes[k].From(i, end)
		kernel.SideMax(g.top[k], &r)
	}
	for j := range rows {
		for side := range 2 {
			top := &g.top[g.pass(side)][j]
			c.pivot(i+j, side, float64(top.Score[side]), float64(top.Power[side]), &g.values[j][side], g.params[j][3*side:], rule)
		}
	}
	for k := range g.passes {
		r := g.passes[k].From(i, end)
		kernel.SideSums(g.sum[k], &r, g.params, 1)
	}
	for j := range rows {
		for side := range 2 {
			v := &g.values[j][side]
			switch {
			case v.class != power.Finite:
			case v.shift:
				c.shiftedSum(i+j, side, v, rule)
			default:
				v.power.Hi = g.sum[g.pass(side)][j][side]
			}
		}
	}
	// The gradients of ordinary rows one after the other are one call.
	from := i
	for k := range g.log {
		g.log[k] = kernel.Resize(g.log[k], rows)
		clear(g.log[k])
	}
	for j := range rows {
		v := &g.values[j]
		nan := c.finishRow(i+j, v, &g.log[0][j], &g.log[1][j], rule)
		ordinary := !nan
		for side := range v {
			ordinary = ordinary && !v[side].shift && !v[side].slope.infinite
			g.params[j][3*side], g.params[j][3*side+2] = slopeParams[T](v[side].slope.Number)
		}
		if ordinary {
			continue
		}
		if c.grad != nil {
			if from < i+j {
				c.sideGradients(from, i+j, g.params[from-i:j])
			}
			if !nan {
				c.specialGradient(i+j, v, rule)
			}
		}
		if nan {
			c.nanRow(i + j)
		}
		from = i + j + 1
	}
	if c.grad != nil && from < end {
		c.sideGradients(from, end, g.params[from-i:])
	}
	for k := range g.log {
		kernel.Log1p64(g.log[k], g.log[k])
	}
	for j, l := range g.log[0] {
		c.loss[i+j] += l + g.log[1][j]
	}
}

// pivot decides on the pivot of a side, given its tops: it sets all of v but the
// sum, and the magic number of the pivot.
func (c *lossChunk[T]) pivot(i, side int, score, highest float64, v *sideValue[T], p []T, rule *sideRule) {
	*v = sideValue[T]{class: power.Finite}
	y := float64(rule.gamma * score)
	pivot := 0.0
	switch {
	case y != y:
		v.class, v.any = power.NotANumber, true
	case y > math.MaxFloat64:
		v.class, v.any = power.Infinite, true
	case y < -math.MaxFloat64:
		v.class, v.any = power.Nothing, c.anyTerm(i, side == 1, rule)
	case math.Abs(y) >= shiftFrom:
		v.any, v.shift = true, true
		v.by = T(score)
		if side == 1 {
			v.by = -v.by
		}
		v.base = power.Exp(y)
		if math.Abs(y) < 1<<50 {
			v.base.Hi *= scalar.Exp(math.FMA(rule.gamma, score, -y))
		}
	default:
		v.any = true
		pivot = math.RoundToEven(highest)
		v.power.Exp = int64(pivot)
	}
	p[0] = kernel.MagicOf[T](pivot)
}

// oneSide returns one side of row i alone, with shifted scores where v says so.
func (c *lossChunk[T]) oneSide(i, side int, v *sideValue[T]) kernel.SideRows[T] {
	s := &c.scratch
	g := &s.general
	r := g.passes[g.pass(side)].From(i, i+1)
	if side == 1 {
		r.Neg = s.noBits(c.words)
	} else {
		r.Pos = s.noBits(c.words)
	}
	if v.shift {
		g.shifted = kernel.Resize(g.shifted, c.n)
		for j, x := range c.row(i) {
			g.shifted[j] = x - v.by
		}
		r.X = g.shifted
	}
	return r
}

// shiftedSum sets the sum of a side with shifted scores.
func (c *lossChunk[T]) shiftedSum(i, side int, v *sideValue[T], rule *sideRule) {
	r := c.oneSide(i, side, v)
	var top [1]kernel.SideTop[T]
	kernel.SideMax(top[:], &r)
	pivot := math.RoundToEven(float64(top[0].Power[side]))
	var p [1]kernel.SideParams[T]
	p[0][0], p[0][3] = kernel.MagicOf[T](pivot), kernel.MagicOf[T](pivot)
	var sum [1][2]float64
	kernel.SideSums(sum[:], &r, p[:], 0)
	v.power = power.Number{Hi: sum[0][side], Exp: int64(pivot)}.Times(v.base)
}

// slopeParams returns the magic number and the factor with which a term times
// 2^-c times the factor is e^y·f.
func slopeParams[T Float](f power.Number) (magic, factor T) {
	f = f.Tidy()
	if f.Shift != 0 || f.Hi == 0 {
		// e^y counts for nothing, and does not overflow at that pivot.
		return kernel.MagicOf[T](8000), 0
	}
	return kernel.MagicOf[T](float64(-max(-8000, min(8000, f.Exp)))), T(f.Hi)
}

// specialGradient writes the gradient of a row with shifted scores or an
// infinite sum.
func (c *lossChunk[T]) specialGradient(i int, v *[2]sideValue[T], rule *sideRule) {
	g := &c.scratch.general
	g.row = kernel.Resize(g.row, c.n)
	clear(g.row)
	for side := range v {
		if v[side].slope.infinite {
			c.addLimit(i, side, v[side].slope.limit, rule)
			continue
		}
		f := v[side].slope.Number
		if v[side].shift {
			f = f.Times(v[side].base)
		}
		var p [1]kernel.SideParams[T]
		p[0][3*side], p[0][3*side+2] = slopeParams[T](f)
		if len(g.passes) > 1 {
			deepen(&p[0], c.scale[i])
		}
		r := c.oneSide(i, side, &v[side])
		kernel.SideGrad(g.row, c.n, &r, p[:], g.row, c.n)
	}
	copy(c.gradRow(i), g.row)
}

// finishRow computes the slopes of the sides of row i and its loss but for log1p
// of x and y, or reports that all is NaN.
func (c *lossChunk[T]) finishRow(i int, v *[2]sideValue[T], x, y *float64, rule *sideRule) (nan bool) {
	a, b := &v[0], &v[1]
	scale := 1.0
	if c.scale != nil && (c.grad != nil || c.thresholdGrad != nil) {
		scale = c.scale[i]
	}
	if a.class == power.NotANumber || b.class == power.NotANumber {
		return true
	}
	if rule.product {
		c.loss[i] = 0
		if a.any && b.any {
			c.loss[i], *x, a.slope, b.slope, nan = productRow(a.power, b.power, a.class, b.class, rule, scale)
		}
		return nan
	}
	s0 := c.threshold[i]
	if !c.live[i] {
		s0 = 0
	}
	if !finiteNumber(s0) {
		return true
	}
	du, restA := a.finishSum(-s0, scale, x)
	dv, restB := b.finishSum(s0, -scale, y)
	c.loss[i] = restA + restB
	if c.thresholdGrad != nil {
		c.thresholdGrad[i] = scale * thresholdSlope(du, dv)
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
	*x, rest = p.Log1pArgument()
	return p.Float(), rest
}

// productRow returns the slopes of a loss of the product, and the loss but for
// log1p of x, or nan.
func productRow(a, b power.Number, ka, kb power.Class, rule *sideRule, scale float64) (loss, x float64, fa, fb slope, nan bool) {
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
	shift := power.Exp(rule.shift)
	shift.Hi *= scalar.Exp(rule.rest)
	p := a.Times(b).Times(shift)
	f := shift.Times(p.Over1p())
	fa.Number = f.Times(b).Times(power.Number{Hi: scale})
	fb.Number = f.Times(a).Times(power.Number{Hi: -scale})
	x, loss = p.Log1pArgument()
	return loss, x, fa, fb, false
}

// nanRow makes row i's loss NaN, and its gradients where its classes take part.
func (c *lossChunk[T]) nanRow(i int) {
	nan := kernel.CanonicalNaN[float64]()
	c.loss[i] = nan
	if c.thresholdGrad != nil {
		c.thresholdGrad[i] = nan
	}
	if c.grad == nil {
		return
	}
	pos, neg := c.bits(i)
	for j := range c.gradRow(i) {
		g := T(0)
		if (pos[j/64]|neg[j/64])>>(j%64)&1 != 0 {
			g = kernel.CanonicalNaN[T]()
		}
		c.grad[i*c.gradStride+j] = g
	}
}

// addLimit adds to the row's gradient that of a side with an infinite sum: all of
// it at the one infinite argument, or NaN where there are several.
func (c *lossChunk[T]) addLimit(i, side int, limit float64, rule *sideRule) {
	g := &c.scratch.general
	bits, w := c.side(i, side == 1, rule), g.passes[g.pass(side)].From(i, i+1).Weights
	count := 0
	for pass := range 2 {
		for j, x := range c.row(i) {
			if bits[j/64]>>(j%64)&1 == 0 || w[kernel.WeightPlace[T](j)] == 0 {
				continue
			}
			y := rule.gamma * float64(x)
			if side == 1 {
				y = -y
			}
			top := y > math.MaxFloat64
			switch {
			case pass == 0 && top:
				count++
			case pass == 1 && count > 1:
				g.row[j] = kernel.CanonicalNaN[T]()
			case pass == 1 && top:
				g.row[j] += T(limit)
			}
		}
	}
}
