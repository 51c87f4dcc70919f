package zlpr

import (
	"math"

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
	power power // the sum, where it is finite
	class class
	any   bool // there are terms, be it of -Inf
	slope slope

	// Where scores are shifted: by what, and e^(γ·highest y).
	shift bool
	by    T
	base  power
}

// A slope is the derivative of the loss by A or by B, times a row's scale; where
// that sum is infinite the derivative by its one infinite score is limit.
type slope struct {
	power
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
	g.values, g.params = resize(g.values, rows), resize(g.params, rows)
	for k := range g.passes {
		g.top[k], g.sum[k] = resize(g.top[k], rows), resize(g.sum[k], rows)
		r := g.passes[k].from(i, end)
		sideMax(g.top[k], &r)
	}
	for j := range rows {
		for side := range 2 {
			top := &g.top[g.pass(side)][j]
			c.pivot(i+j, side, float64(top.score[side]), float64(top.power[side]), &g.values[j][side], g.params[j][3*side:], rule)
		}
	}
	for k := range g.passes {
		r := g.passes[k].from(i, end)
		sideSums(g.sum[k], &r, g.params, 1)
	}
	for j := range rows {
		for side := range 2 {
			v := &g.values[j][side]
			switch {
			case v.class != finite:
			case v.shift:
				c.shiftedSum(i+j, side, v, rule)
			default:
				v.power.hi = g.sum[g.pass(side)][j][side]
			}
		}
	}
	// The gradients of ordinary rows one after the other are one call.
	from := i
	for k := range g.log {
		g.log[k] = resize(g.log[k], rows)
		clear(g.log[k])
	}
	for j := range rows {
		v := &g.values[j]
		nan := c.finishRow(i+j, v, &g.log[0][j], &g.log[1][j], rule)
		ordinary := !nan
		for side := range v {
			ordinary = ordinary && !v[side].shift && !v[side].slope.infinite
			g.params[j][3*side], g.params[j][3*side+2] = slopeParams[T](v[side].slope.power)
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
		log1p64(g.log[k], g.log[k])
	}
	for j, l := range g.log[0] {
		c.loss[i+j] += l + g.log[1][j]
	}
}

// pivot decides on the pivot of a side, given its tops: it sets all of v but the
// sum, and the magic number of the pivot.
func (c *lossChunk[T]) pivot(i, side int, score, power float64, v *sideValue[T], p []T, rule *sideRule) {
	*v = sideValue[T]{class: finite}
	y := float64(rule.gamma * score)
	pivot := 0.0
	switch {
	case y != y:
		v.class, v.any = notANumber, true
	case y > math.MaxFloat64:
		v.class, v.any = infinite, true
	case y < -math.MaxFloat64:
		v.class, v.any = nothing, c.anyTerm(i, side == 1, rule)
	case math.Abs(y) >= shiftFrom:
		v.any, v.shift = true, true
		v.by = T(score)
		if side == 1 {
			v.by = -v.by
		}
		v.base = expPower(y)
		if math.Abs(y) < 1<<50 {
			v.base.hi *= scalar.Exp(math.FMA(rule.gamma, score, -y))
		}
	default:
		v.any = true
		pivot = math.RoundToEven(power)
		v.power.exp = int64(pivot)
	}
	p[0] = magicOf[T](pivot)
}

// magicOf returns the magic number of a pivot.
func magicOf[T Float](pivot float64) T {
	if isFloat32[T]() {
		return T(magic32 - pivot)
	}
	return T(magic64 - pivot)
}

// oneSide returns one side of row i alone, with shifted scores where v says so.
func (c *lossChunk[T]) oneSide(i, side int, v *sideValue[T]) sideRows[T] {
	s := &c.scratch
	g := &s.general
	r := g.passes[g.pass(side)].from(i, i+1)
	if side == 1 {
		r.neg = s.noBits(c.words)
	} else {
		r.pos = s.noBits(c.words)
	}
	if v.shift {
		g.shifted = resize(g.shifted, c.n)
		for j, x := range c.row(i) {
			g.shifted[j] = x - v.by
		}
		r.x = g.shifted
	}
	return r
}

// shiftedSum sets the sum of a side with shifted scores.
func (c *lossChunk[T]) shiftedSum(i, side int, v *sideValue[T], rule *sideRule) {
	r := c.oneSide(i, side, v)
	var top [1]sideTop[T]
	sideMax(top[:], &r)
	pivot := math.RoundToEven(float64(top[0].power[side]))
	var p [1]gradParams[T]
	p[0][0], p[0][3] = magicOf[T](pivot), magicOf[T](pivot)
	var sum [1][2]float64
	sideSums(sum[:], &r, p[:], 0)
	v.power = power{hi: sum[0][side], exp: int64(pivot)}.times(v.base)
}

// slopeParams returns the magic number and the factor with which a term times
// 2^-c times the factor is e^y·f.
func slopeParams[T Float](f power) (magic, factor T) {
	f = f.tidy()
	if f.shift != 0 || f.hi == 0 {
		// e^y counts for nothing, and does not overflow at that pivot.
		return magicOf[T](8000), 0
	}
	return magicOf[T](float64(-max(-8000, min(8000, f.exp)))), T(f.hi)
}

// specialGradient writes the gradient of a row with shifted scores or an
// infinite sum.
func (c *lossChunk[T]) specialGradient(i int, v *[2]sideValue[T], rule *sideRule) {
	g := &c.scratch.general
	g.row = resize(g.row, c.n)
	clear(g.row)
	for side := range v {
		if v[side].slope.infinite {
			c.addLimit(i, side, v[side].slope.limit, rule)
			continue
		}
		f := v[side].slope.power
		if v[side].shift {
			f = f.times(v[side].base)
		}
		var p [1]gradParams[T]
		p[0][3*side], p[0][3*side+2] = slopeParams[T](f)
		if len(g.passes) > 1 {
			deepen(&p[0], c.scale[i])
		}
		r := c.oneSide(i, side, &v[side])
		sideGrad(g.row, c.n, &r, p[:], g.row, c.n)
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
	if a.class == notANumber || b.class == notANumber {
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
	if v.class == infinite {
		v.slope = slope{limit: scale, infinite: true}
		return math.Inf(1), math.Inf(1)
	}
	p := v.power
	if a := math.Abs(scale); shift == 0 && p.shift == 0 && -800 < p.exp && p.exp < 800 && p.hi <= 0x1p100 && 0x1p-100 <= a && a <= 0x1p100 {
		// The usual case, in float64.
		u = float64(p.hi * math.Float64frombits(uint64(1023+p.exp)<<52))
		*x, v.slope = u, slope{power: power{hi: scale / (1 + u)}}
		return u, 0
	}
	if shift == 0 {
		v.slope = slope{power: p.over1p().times(power{hi: scale})}
	} else {
		factor := expPower(shift)
		p = p.times(factor)
		v.slope = slope{power: factor.times(p.over1p()).times(power{hi: scale})}
	}
	*x, rest = p.log1pArgument()
	return p.float(), rest
}

// productRow returns the slopes of a loss of the product, and the loss but for
// log1p of x, or nan.
func productRow(a, b power, ka, kb class, rule *sideRule, scale float64) (loss, x float64, fa, fb slope, nan bool) {
	if ka == infinite || kb == infinite {
		if ka == nothing || kb == nothing {
			return 0, 0, fa, fb, true
		}
		fa = slope{limit: scale, infinite: ka == infinite}
		fb = slope{limit: -scale, infinite: kb == infinite}
		if !fa.infinite {
			fa.power = a.inverse().times(power{hi: scale})
		}
		if !fb.infinite {
			fb.power = b.inverse().times(power{hi: -scale})
		}
		return math.Inf(1), 0, fa, fb, false
	}
	shift := expPower(rule.shift)
	shift.hi *= scalar.Exp(rule.rest)
	p := a.times(b).times(shift)
	f := shift.times(p.over1p())
	fa.power = f.times(b).times(power{hi: scale})
	fb.power = f.times(a).times(power{hi: -scale})
	x, loss = p.log1pArgument()
	return loss, x, fa, fb, false
}

// inverse returns 1/p.
func (p power) inverse() power {
	p = p.tidy()
	return power{hi: 1 / p.hi, exp: -p.exp, shift: -p.shift}
}

// nanRow makes row i's loss NaN, and its gradients where its classes take part.
func (c *lossChunk[T]) nanRow(i int) {
	nan := canonicalNaN[float64]()
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
			g = canonicalNaN[T]()
		}
		c.grad[i*c.gradStride+j] = g
	}
}

// addLimit adds to the row's gradient that of a side with an infinite sum: all of
// it at the one infinite argument, or NaN where there are several.
func (c *lossChunk[T]) addLimit(i, side int, limit float64, rule *sideRule) {
	g := &c.scratch.general
	bits, w := c.side(i, side == 1, rule), g.passes[g.pass(side)].from(i, i+1).weights
	count := 0
	for pass := range 2 {
		for j, x := range c.row(i) {
			if bits[j/64]>>(j%64)&1 == 0 || w[weightPlace[T](j)] == 0 {
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
				g.row[j] = canonicalNaN[T]()
			case pass == 1 && top:
				g.row[j] += T(limit)
			}
		}
	}
}
