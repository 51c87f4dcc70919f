package bce

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// row evaluates row i in the general way: with a focal exponent, and where the
// kernels do not serve (see rows.go). With x = ±(s-s0) by the label and e = e^-|x|,
//
//	softplus(x) = max(x, 0) + log1p(e)
//	sigmoid(x) = 1/(1+e) for x ≥ 0, e/(1+e) else
func (w *Work[T]) row(i int) {
	if !w.c.Live[i] {
		w.c.SetNothing(i)
		return
	}
	s0 := w.c.Threshold[i]
	if !(math.Abs(s0) <= math.MaxFloat64) {
		w.c.SetNaN(i)
		return
	}
	scale := 0.0
	if w.c.Derivatives() {
		scale = w.c.Scale[i]
		w.grads = kernel.Resize(w.grads, w.c.N)
		clear(w.grads)
	}
	b := w.blocks()
	var sum, err float64
	var slope signedSum
	w.beyond = 0
	w.large = w.large[:0]
	infinite := false
	step := w.step()
	for from := 0; from < w.c.N; from += step {
		m := w.gather(i, s0, from, min(from+step, w.c.N))
		if m == 0 {
			continue
		}
		b.exponentials(m)
		kernel.Log1p64(b.log1p[:m], b.e[:m])
		for k, v := range b.x[:m] {
			e, factor := b.e[k], b.factor[k]
			if v != v {
				w.c.SetNaN(i)
				return
			}
			infinite = infinite || v > math.MaxFloat64
			softplus := max(v, 0) + b.log1p[k]
			var term float64
			derivative := 1 / (1 + e)
			if v < 0 {
				derivative *= e
			}
			rest := w.lost(i, k, s0)
			if rest != 0 {
				softplus += float64(derivative * rest)
				derivative += float64(derivative * (1 - derivative) * rest)
			}
			sigmoid := derivative
			if term = softplus; w.rule.Focal != 0 {
				term, derivative = w.focalTerm(v, rest, e, b.log1p[k], softplus, sigmoid)
			}
			// What decides on the term does not depend on the scale.
			ofTerm := b.positive[k] != 1 || factor < 0x1p-960 || factor > 0x1p20
			if w.rule.Focal != 0 && derivative < 0x1p-1000 && !ofTerm {
				// It may be less than normal, but not nothing.
				below := max(-v, 0)
				ofTerm = float64(w.rule.Focal*(below+b.log1p[k]))+below < 760
			}
			g := factor * scale * derivative
			if !ofTerm && math.Abs(factor*scale) <= 0x1p20 {
				term = float64(factor * term)
			} else {
				weight := b.weight(k)
				t, d := w.extremeTerm(v, rest, e, softplus, sigmoid, term, derivative)
				g = d.Times(weight).Times(power.Number{Hi: scale}).Float()
				if term = float64(factor * term); ofTerm {
					term = t.Times(weight).Float()
				}
			}
			if !infinite {
				sum, err = kernel.TwoSum(sum, err, term)
			}
			if w.c.Derivatives() {
				if b.at[k] < 0 {
					g = -g
				}
				if math.IsInf(g, 0) && w.twoSided() && !infinite {
					w.noteLarge(k, derivative, scale)
					continue
				}
				w.grads[b.at[k]&math.MaxInt] += float64(g) // with soft labels there are two
				slope.add(-g)
			}
		}
	}
	for _, l := range w.large {
		g := l.slope.Plus(power.Number{Hi: w.grads[l.class]}).Float()
		slope.add(w.grads[l.class] - g)
		w.grads[l.class] = g
	}
	sum += w.beyond
	switch {
	case infinite || sum > math.MaxFloat64:
		w.c.Loss[i] = math.Inf(1)
	case w.rule.Focal == 0 && sum < 0x1p-900:
		w.c.Loss[i] = w.smallLoss(i, s0)
	default:
		w.c.Loss[i] = sum + err
	}
	if w.c.ThresholdGrad != nil {
		w.c.ThresholdGrad[i] = slope.value()
	}
	if w.c.Grad != nil {
		out := w.c.GradRow(i)
		for j, v := range w.grads {
			out[j] = T(v)
		}
	}
}

// A largeSlope is a part of a class's derivative that is beyond float64: the class
// may have another of the other sign.
type largeSlope struct {
	class int
	slope power.Number
}

// noteLarge notes the derivative of term k, which is scale times its factors times
// derivative.
func (w *Work[T]) noteLarge(k int, derivative, scale float64) {
	class, slope := w.block.at[k]&math.MaxInt, power.Number{Hi: derivative}.Times(w.block.weight(k)).Times(power.Number{Hi: scale})
	if w.block.at[k] < 0 {
		slope.Hi, slope.Lo = -slope.Hi, -slope.Lo
	}
	if last := len(w.large) - 1; last >= 0 && w.large[last].class == class {
		w.large[last].slope = w.large[last].slope.Plus(slope)
		return
	}
	w.large = append(w.large, largeSlope{class, slope})
}

// lost returns what rounding s-s0 has lost of argument k of the block of row i.
func (w *Work[T]) lost(i, k int, s0 float64) float64 {
	x, at := w.block.x[k], w.block.at[k]
	if s0 == 0 || !(math.Abs(x) < math.MaxFloat64) {
		return 0
	}
	rest := differenceError(float64(w.scores(i)[at&math.MaxInt]), s0)
	if at < 0 {
		return -rest
	}
	return rest
}

// smallLoss returns the loss of row i where it is so small that terms count whose
// exponential is below the smallest normal number: softplus(x) = e^x there. Small
// weights make losses small, too.
func (w *Work[T]) smallLoss(i int, s0 float64) float64 {
	const up = 600
	var sum, err float64
	b, step := w.block, w.step()
	for from := 0; from < w.c.N; from += step {
		for k, v := range b.x[:w.gather(i, s0, from, min(from+step, w.c.N))] {
			if v < -1500 {
				continue // 0, whatever the factor
			}
			rest := w.lost(i, k, s0)
			t := power.ExpPair(v, rest)
			if v > -40 { // the weight is small
				e := scalar.Exp(-math.Abs(v))
				t = power.Number{Hi: max(v, 0) + (scalar.Log1p(e) + float64(scalar.Sigmoid(v)*rest))}
			}
			t = t.Times(b.weight(k))
			t.Exp += up
			sum, err = kernel.TwoSum(sum, err, t.Float())
		}
	}
	return scalar.Ldexp(sum+err, -up)
}

// extremeTerm returns a term and its derivative where e^x, e^-|x| = e, or a power of
// the sigmoid may be too small for float64.
func (w *Work[T]) extremeTerm(x, rest, e, softplus, sigmoid, term, derivative float64) (t, d power.Number) {
	if min(term, derivative) >= 0x1p-900 || !(math.Abs(x) <= math.MaxFloat64) {
		return power.Number{Hi: term}, power.Number{Hi: derivative}
	}
	t, d = power.Number{Hi: softplus}, power.Number{Hi: sigmoid}
	f := w.rule.Focal
	if f != 0 {
		d.Hi += float64(f * float64(sigmoidOfMinus(x, rest, e)*softplus))
	}
	if x < -600 {
		// softplus(x) and sigmoid(x) are e^x; sigmoid(-x) is 1 - e^x, as good as 1.
		t = power.ExpPair(x, rest)
		d = t.Times(power.Number{Hi: f + 1})
	}
	if f != 0 {
		hi, lo := w.logPower(x, rest, e, scalar.Log1p(e))
		p := power.ExpPair(hi, lo)
		t, d = t.Times(p), d.Times(p)
	}
	return t, d
}

// focalTerm returns sigmoid(x)^f·softplus(x) and its derivative by x, where x is
// short of rest.
func (w *Work[T]) focalTerm(x, rest, e, log1p, softplus, sigmoid float64) (term, derivative float64) {
	if x > math.MaxFloat64 {
		return x, 1
	}
	hi, lo := w.logPower(x, rest, e, log1p)
	power := scalar.Exp(hi)
	power += float64(power * lo)
	other := sigmoidOfMinus(x, rest, e)
	return float64(power * softplus), power * (float64(w.rule.Focal*float64(other*softplus)) + sigmoid)
}

// sigmoidOfMinus returns sigmoid(-(x+rest)), given e = e^-|x|.
func sigmoidOfMinus(x, rest, e float64) float64 {
	s := 1 / (1 + e)
	if x >= 0 {
		s *= e
	}
	return s - float64(s*(1-s)*rest)
}

// logPower returns f·log(sigmoid(x+rest)) = f·(min(x, 0) - log1p(e)) as a sum of two
// numbers. The error of a logarithm counts f times: where that is not small and the
// scores are not float32, it is taken in twice the precision.
func (w *Work[T]) logPower(x, rest, e, log1p float64) (hi, lo float64) {
	f := w.rule.Focal
	if f*x < -1e300 {
		return f * x, 0
	}
	l := pair{log1p, 0}
	if f*log1p > 0.5 && !kernel.IsFloat32[T]() {
		l = log1pPair(expPair(-math.Abs(x), 0))
	}
	if x < 0 {
		l = l.plus(pair{-x, 0})
	}
	if x < 0 {
		rest /= 1 + e // the derivative of log(sigmoid) is sigmoid(-x)
	} else {
		rest *= e / (1 + e)
	}
	l = l.plus(pair{-rest, 0})
	l = l.times(pair{-f, 0})
	l = normal(l.hi, l.lo)
	return l.hi, l.lo
}

// differenceError returns what rounding a - b has lost, nothing where either is infinite.
func differenceError(a, b float64) float64 {
	d := a - b
	if math.Abs(d) > 0x1p1000 {
		if math.IsInf(a, 0) || math.IsInf(b, 0) {
			return 0
		}
		// What follows must not leave the numbers.
		return 0x1p60 * differenceError(0x1p-60*a, 0x1p-60*b)
	}
	t := d - a
	return (a - (d - t)) - (b + t)
}

// blockLen is the number of terms of a row that are evaluated at a time.
const blockLen = 4096

// step returns the number of classes that have so many terms at most.
func (w *Work[T]) step() int {
	if w.twoSided() {
		return blockLen / 2
	}
	return blockLen
}

// A block is some terms of a row: their arguments x, their factors, e^-|x| and
// log(1+e^-|x|), and their classes, with the sign bit set for a positive.
type block struct {
	x, factor, e, log1p [blockLen]float64
	positive            [blockLen]float64 // another factor, 1 but where the product is no normal number
	at                  [blockLen]int
}

// weight returns the factor of term k, whatever its size.
func (b *block) weight(k int) power.Number {
	return power.Number{Hi: b.factor[k]}.Times(power.Number{Hi: b.positive[k]})
}

// blocks returns the Work's block.
func (w *Work[T]) blocks() *block {
	if w.block == nil {
		w.block = new(block)
	}
	return w.block
}

// exponentials sets e of m terms; 0 where it is below the smallest normal number.
func (b *block) exponentials(m int) {
	const low, rarely = coef.Least64 * math.Ln2, coef.TiltLowest
	room := (m + 31) &^ 31
	for k, x := range b.x[:m] {
		b.e[k] = math.Abs(x)
	}
	clear(b.e[m:room])
	kernel.TiltExp(b.e[:room], b.e[:room], -1, 0)
	for k, x := range b.x[:m] {
		y := -math.Abs(x)
		if y >= rarely {
			continue
		}
		// The kernel's range ends a little earlier.
		b.e[k] = 0
		if y >= low {
			var e [2 * kernel.Lanes64]float64
			kernel.Exp64(&e, []float64{y}, coef.Magic64, low, 0)
			b.e[k] = e[0]
		}
	}
}

// gather collects the terms of classes from to to-1 of row i.
func (w *Work[T]) gather(i int, s0 float64, from, to int) int {
	c := w.block
	pos, neg := w.c.Sides(i)
	row, m := w.scores(i), 0
	if w.twoSided() {
		return w.gatherSoft(i, s0, from, to)
	}
	for k := from / 64; k < kernel.BitWords(to); k++ {
		for v := pos[k] | neg[k]; v != 0; v &= v - 1 {
			b := bits.TrailingZeros64(v)
			j := 64*k + b
			y, positive := float64(row[j])-s0, pos[k]>>b&1 != 0
			m = c.push(m, w.factor(j), w.positive(j, positive), y, j, positive)
		}
	}
	return m
}

// factor returns the weight of class j, positive that of a positive or a negative.
func (w *Work[T]) factor(j int) float64 {
	if w.c.Class != nil {
		return w.c.Class[j]
	}
	return 1
}

func (w *Work[T]) positive(j int, positive bool) float64 {
	if positive {
		return w.rule.positiveWeight(j)
	}
	return 1
}

// push adds a term of class j to the m of the block, y being s-s0, and returns how
// many there are.
func (b *block) push(m int, factor, other, y float64, j int, positive bool) int {
	if positive {
		y, j = -y, j|math.MinInt
	}
	if factor == 0 || other == 0 {
		return m
	}
	if product := factor * other; product >= 0x1p-1022 && product <= math.MaxFloat64 {
		factor, other = product, 1
	}
	b.x[m], b.factor[m], b.positive[m], b.at[m] = y, factor, other, j
	return m + 1
}

// twoSided reports whether a class has two terms.
func (w *Work[T]) twoSided() bool { return w.c.Soft != nil || w.smooth.rows }

// gatherSoft is gather for soft labels, and smoothed ones.
func (w *Work[T]) gatherSoft(i int, s0 float64, from, to int) (m int) {
	b := w.block
	pos, neg := w.c.Sides(i)
	row := w.scores(i)
	for j := from; j < to; j++ {
		bit := uint64(1) << (j % 64)
		if (pos[j/64]|neg[j/64])&bit == 0 {
			continue
		}
		var up, down float64
		if w.c.Soft != nil {
			down = float64(w.c.Soft[i*w.c.SoftStride+j])
			up = 1 - down
		} else if up, down = 1-w.c.Smoothing/2, w.c.Smoothing/2; pos[j/64]&bit != 0 { // halves are exact
			up, down = down, up
		}
		x, factor := float64(row[j]), w.factor(j)
		y := x - s0
		down = float64(w.rule.positiveWeight(j) * down)
		if math.Abs(y) > math.MaxFloat64 && math.Abs(x) <= math.MaxFloat64 {
			// A label may bring it back to the numbers: what is beyond them counts apart.
			y = math.Copysign(math.MaxFloat64, y)
			rest := 2 * (math.Abs(x/2-s0/2) - math.MaxFloat64/2) // halves and twice are exact
			share := up
			if y < 0 {
				share = down
			}
			w.beyond += power.Number{Hi: factor}.Times(power.Number{Hi: share}).Times(power.Number{Hi: rest}).Float()
		}
		m = b.push(m, factor, up, y, j, false)
		m = b.push(m, factor, down, y, j, true)
	}
	return m
}
