package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file is the specification of the kernels of weighted sums of e^(γx): every
// tier gives the bits of these functions. They serve the rows of the losses of
// two sums that have weights, soft labels, γ, or sums outside of the range of
// pivot 0 (see generalrow.go).
//
// Two arrays of bits, pos and neg, select elements: y = -x for those in pos and
// y = x for those in neg; no element is in both; the others take no part. The
// weight of element j is m·2^e, 1 ≤ m ≤ 2 and e an integer, or m = 0, which
// leaves the element out. So a weight has any magnitude and costs one rounding.
// The term of an element is
//
//	m·2^e·e^(γy)·2^-c
//
// γ being a pair hi + lo of the element type, lo only for float32. γ·y is two
// numbers, h + l with |l| at most half an ULP of h (and lo·y): h is reduced
// exactly and l is added to the reduced argument,
//
//	h = hi·y;  l = fma(lo, y, fma(hi, y, -h))
//	t = fma(h, log2(e), magic - c + e);  n = t - (magic - c + e)
//	r = fma(n, -ln2Lo, fma(n, -ln2Hi, h) + l)
//	term = p(r)·2^(low bits of t, as exponent)·m
//
// A term whose power of two would lie below the smallest normal number is 0, and
// t is clamped so that it does not pass the largest. A sum of e^(ax+b) has e^b
// as a factor: its power of two goes into c, the rest multiplies the sum.
//
// Weights are kept by virtual vectors (see logsumexp_generic.go): the m of a
// vector, then its e; the last vector of a row is whole.

// sideRows are rows and what selects and weights their elements.
type sideRows[T Float] struct {
	x               []T // row i is x[i·stride:][:n]
	stride, rows, n int
	pos, neg        []uint64 // of words a row
	words           int
	weights         []T // row i's begin at weights[i·weightStride]
	weightStride    int // 0: all rows have the same
	gamma           [2]T
}

// from returns the rows from row i on, to but without row end.
func (r sideRows[T]) from(i, end int) sideRows[T] {
	r.x, r.rows = r.x[i*r.stride:], end-i
	r.pos, r.neg = r.pos[i*r.words:], r.neg[i*r.words:]
	r.weights = r.weights[i*r.weightStride:]
	return r
}

// lanesOf is the number of elements of a virtual vector.
func lanesOf[T Float]() int {
	if isFloat32[T]() {
		return lanes32
	}
	return lanes64
}

// weightsLen is the number of elements that the weights of a row of n take.
func weightsLen[T Float](n int) int {
	lanes := lanesOf[T]()
	return (n + lanes - 1) / lanes * lanes * 2
}

// weightPlace returns where the m of element j is in the weights of a row; its e
// is a virtual vector on.
func weightPlace[T Float](j int) int { return j + j&^(lanesOf[T]()-1) }

// Limits of t: with a smaller one the term is 0, a larger one is clamped.
const (
	lowest32, highest32 = 0x1.8p23 + 1, 0x1.8p23 + 254
	lowest64, highest64 = 0x1.8p52 + 1, 0x1.8p52 + 2046
)

// A sideTop is what decides on the pivots of a row: of the negatives and of the
// positives the highest y, and the highest γy·log2(e) + e, roughly. They are
// -Inf where there are none, and NaN where there is a NaN. The sign of a zero is
// open.
type sideTop[T Float] struct{ score, power [2]T }

// sideMax32Generic writes the tops of every row.
func sideMax32Generic(top []sideTop[float32], r *sideRows[float32]) {
	sideMaxGeneric(top, r, func(y, e float32) float32 {
		return fma32(float32(r.gamma[0]*y), coef.Log2E32, e)
	})
}

// sideMax64Generic is sideMax32Generic for float64.
func sideMax64Generic(top []sideTop[float64], r *sideRows[float64]) {
	sideMaxGeneric(top, r, func(y, e float64) float64 {
		return math.FMA(float64(r.gamma[0]*y), coef.Log2E64, e)
	})
}

func sideMaxGeneric[T Float](top []sideTop[T], r *sideRows[T], power func(y, e T) T) {
	for i := range r.rows {
		none := T(math.Inf(-1))
		t := sideTop[T]{[2]T{none, none}, [2]T{none, none}}
		w := r.weights[i*r.weightStride:]
		for j, x := range r.x[i*r.stride:][:r.n] {
			p, q := r.pos[i*r.words+j/64]>>(j%64), r.neg[i*r.words+j/64]>>(j%64)
			k := weightPlace[T](j)
			if (p|q)&1 == 0 || w[k] == 0 {
				continue
			}
			side := p & 1
			y := flip(x, p)
			if y != y {
				t.score[side], t.power[side] = y, y
			}
			if y > t.score[side] {
				t.score[side] = y
			}
			if v := power(y, w[k+lanesOf[T]()]); v > t.power[side] {
				t.power[side] = v
			}
		}
		for side, s := range t.score {
			if s != s {
				t.score[side], t.power[side] = canonicalNaN[T](), canonicalNaN[T]()
			}
		}
		top[i] = t
	}
}

// A sideGroup is the terms of a group of two virtual vectors, and their t. What
// the term is where t is below the lowest is open.
type sideGroup[T Float] struct{ term, t [2 * lanes32]T }

// terms32 computes the terms of x, at most 32 elements whose bits in pos are p,
// with the magic numbers of the pivots of the two sides.
func terms32(g *sideGroup[float32], x []float32, p uint64, w []float32, magic, gamma [2]float32) {
	var r, s, poly [2 * lanes32]float64
	wild := uint32(0)
	for j, x := range x {
		y := flip(x, p>>j)
		h := float32(gamma[0] * y)
		l := fma32(gamma[1], y, fma32(gamma[0], y, -h))
		m := float64(magic[p>>j&1] + w[weightPlace[float32](j)+lanes32])
		t := (float64(h)*coef.Log2E32 + (m + round23)) - round23 // an exact product; see exp32
		if t > highest32 {
			t = highest32
		}
		g.t[j] = float32(t)
		if t < lowest32 {
			continue
		}
		n := float32(t - m)
		z := fma32(n, -coef.Ln2Lo32, fma32(n, -coef.Ln2Hi32, h)+l)
		if !(z <= 0.35 && z >= -0.35) { // clamped, or NaN
			wild |= 1 << j
			poly[j], z = float64(polynomial32(z)), 0
		}
		r[j] = float64(z)
		s[j] = math.Float64frombits((math.Float64bits(t+round23) + 1023 - 127) << 52)
	}
	saved := poly
	expPolynomials(&poly, r[:len(x)])
	for j := range x {
		if wild>>j&1 != 0 {
			poly[j] = saved[j]
		}
		g.term[j] = float32(float32(poly[j]*s[j]) * w[weightPlace[float32](j)])
	}
}

// polynomial32 is the polynomial of exp32 for any r.
func polynomial32(r float32) float32 {
	c := &coef.Exp32
	p := c[len(c)-1]
	for j := len(c) - 2; j >= 0; j-- {
		p = fma32(p, r, c[j])
	}
	return fma32(fma32(p, r, 1), r, 1)
}

// fma32 returns a·b + c, rounded once. In float64 products are exact; rounding
// the sum to float64 first does no harm, unless that is half-way between two
// float32 or the result is subnormal.
func fma32(a, b, c float32) float32 {
	s := float64(a)*float64(b) + float64(c)
	if x := math.Float64bits(s); x&(1<<29-1) != 1<<28 && (x<<1>>53 >= 1023-126 || x<<1 == 0) {
		return float32(s)
	}
	return oddFMA32(float64(a)*float64(b), float64(c))
}

// oddFMA32 returns p + q, rounded to odd in float64: then rounding that to
// float32 is right. It may be fused with what p is: products are exact.
func oddFMA32(p, q float64) float32 {
	s := p + q
	d := s - p
	if e := (p - (s - d)) + (q - d); e > 0 || e < 0 {
		if b := math.Float64bits(s); b&1 == 0 {
			if (e > 0) == (s > 0) {
				b++
			} else {
				b--
			}
			s = math.Float64frombits(b)
		}
	}
	return float32(s)
}

// terms64 is terms32 for float64, of at most 16 elements.
func terms64(g *sideGroup[float64], x []float64, p uint64, w []float64, magic, gamma [2]float64) {
	c := &coef.Exp64
	for j, x := range x {
		y := flip(x, p>>j)
		h := float64(gamma[0] * y)
		l := math.FMA(gamma[0], y, -h)
		m := magic[p>>j&1] + w[weightPlace[float64](j)+lanes64]
		t := math.FMA(h, coef.Log2E64, m)
		if t > highest64 {
			t = highest64
		}
		g.t[j] = t
		if t < lowest64 {
			continue
		}
		n := t - m
		r := math.FMA(n, -coef.Ln2Lo64, math.FMA(n, -coef.Ln2Hi64, h)+l)
		q := c[len(c)-1]
		for j := len(c) - 2; j >= 0; j-- {
			q = math.FMA(q, r, c[j])
		}
		q = math.FMA(math.FMA(q, r, 1), r, 1)
		g.term[j] = float64(float64(q*math.Float64frombits(math.Float64bits(t)<<52)) * w[weightPlace[float64](j)])
	}
}

// groups calls f for the groups of row i: with the place of the group's first
// element, its number of elements, its bits in pos and neg, and its weights.
func (r *sideRows[T]) groups(i int, f func(from, m int, p, q uint64, w []T)) {
	size := 2 * lanesOf[T]()
	for from := 0; from < r.n; from += size {
		shift := from % 64
		p, q := r.pos[i*r.words+from/64]>>shift, r.neg[i*r.words+from/64]>>shift
		f(from, min(size, r.n-from), p, q, r.weights[i*r.weightStride+2*from:])
	}
}

// sideSums32Generic writes Σ of the terms over neg to sum[i][0] and over pos to
// sum[i][1]; the magic numbers of row i are p[i·pStep][0] and [3]. A NaN gives
// NaN; a term too large for float32 gives NaN or a sum above 2^126.
//
// The two terms of a lane are added, then lane l+8 to lane l, all in float32;
// these 8 sums are added to the float64 accumulators, group by group.
func sideSums32Generic(sum [][2]float64, r *sideRows[float32], p []gradParams[float32], pStep int) {
	for i := range r.rows {
		q := &p[i*pStep]
		var acc [2][8]float64
		r.groups(i, func(from, m int, pos, neg uint64, w []float32) {
			var g sideGroup[float32]
			terms32(&g, r.x[i*r.stride+from:][:m], pos, w, [2]float32{q[0], q[3]}, r.gamma)
			for s, bits := range [2]uint64{neg, pos} {
				bits = countedTerms(&g, w, bits, m, lowest32)
				for l := range acc[s] {
					low := only(g.term[l], bits>>l) + only(g.term[16+l], bits>>(16+l))
					high := only(g.term[8+l], bits>>(8+l)) + only(g.term[24+l], bits>>(24+l))
					acc[s][l] += float64(low + high)
				}
			}
		})
		sum[i] = [2]float64{eight(&acc[0]), eight(&acc[1])}
	}
}

// countedTerms returns the bits of the m elements of a group whose terms count
// in a sum: NaN among them.
func countedTerms[T Float](g *sideGroup[T], w []T, bits uint64, m int, lowest T) uint64 {
	for j := range m {
		if g.t[j] < lowest || w[weightPlace[T](j)] == 0 {
			bits &^= 1 << j
		}
	}
	return bits & (1<<m - 1)
}

// sideSums64Generic is sideSums32Generic for float64. The sum of the two terms
// of a lane is added to the lane exactly; the errors are added apart, and to the
// result at the end.
func sideSums64Generic(sum [][2]float64, r *sideRows[float64], p []gradParams[float64], pStep int) {
	for i := range r.rows {
		q := &p[i*pStep]
		var acc, e [2][lanes64]float64
		r.groups(i, func(from, m int, pos, neg uint64, w []float64) {
			var g sideGroup[float64]
			terms64(&g, r.x[i*r.stride+from:][:m], pos, w, [2]float64{q[0], q[3]}, r.gamma)
			for s, bits := range [2]uint64{neg, pos} {
				bits = countedTerms(&g, w, bits, m, lowest64)
				for l := range acc[s] {
					acc[s][l], e[s][l] = twoSum(acc[s][l], e[s][l], only(g.term[l], bits>>l)+only(g.term[8+l], bits>>(8+l)))
				}
			}
		})
		for s := range acc {
			c, d := &acc[s], &e[s]
			for half := lanes64 / 2; half > 0; half /= 2 {
				for l := range half {
					c[l], d[l] = twoSum(c[l], d[l]+d[half+l], c[half+l])
				}
			}
			sum[i][s] = c[0] + d[0]
		}
	}
}

// sideGrad32Generic writes the terms of row i times p[i][2] over neg and times
// p[i][5] over pos, 0 for other elements, to dst[i·dstStride+j]; with add, plus
// add[i·addStride+j].
func sideGrad32Generic(dst []float32, dstStride int, r *sideRows[float32], p []gradParams[float32], add []float32, addStride int) {
	for i := range r.rows {
		r.groups(i, func(from, m int, pos, neg uint64, w []float32) {
			var g sideGroup[float32]
			terms32(&g, r.x[i*r.stride+from:][:m], pos, w, [2]float32{p[i][0], p[i][3]}, r.gamma)
			g.scale(m, pos, neg, w, &p[i], lowest32)
			writeTerms(dst[i*dstStride+from:][:m], &g, add, i*addStride+from)
		})
	}
}

// sideGrad64Generic is sideGrad32Generic for float64.
func sideGrad64Generic(dst []float64, dstStride int, r *sideRows[float64], p []gradParams[float64], add []float64, addStride int) {
	for i := range r.rows {
		r.groups(i, func(from, m int, pos, neg uint64, w []float64) {
			var g sideGroup[float64]
			terms64(&g, r.x[i*r.stride+from:][:m], pos, w, [2]float64{p[i][0], p[i][3]}, r.gamma)
			g.scale(m, pos, neg, w, &p[i], lowest64)
			writeTerms(dst[i*dstStride+from:][:m], &g, add, i*addStride+from)
		})
	}
}

// scale multiplies the first m terms by the factors of their sides, and makes
// those that do not count 0.
func (g *sideGroup[T]) scale(m int, pos, neg uint64, w []T, p *gradParams[T], lowest T) {
	factor := [2]T{p[2], p[5]}
	for j := range m {
		if (pos|neg)>>j&1 != 0 && g.t[j] >= lowest && w[weightPlace[T](j)] != 0 {
			g.term[j] = T(g.term[j] * factor[pos>>j&1])
		} else {
			g.term[j] = 0
		}
	}
}

// writeTerms writes the terms to dst, plus add from element at on unless that is
// nil; dst may be there.
func writeTerms[T Float](dst []T, g *sideGroup[T], add []T, at int) {
	if add == nil {
		copy(dst, g.term[:])
		return
	}
	for j, v := range add[at:][:len(dst)] {
		dst[j] = g.term[j] + v
	}
}

// softWeights32Generic writes the weights of soft labels t over the elements of
// part from element from on: of 1-t to neg and of t to pos, in rows of
// weightsLen(n). The class weight of element j is class[j]·2^e, e of exponents,
// which have the form of weights; class[j] is 0 or 1 to 2. The products are
// rounded to float64, then to float32.
func softWeights32Generic(neg, pos []float32, t []float32, stride, rows, n int, part []uint64, words int, class []float64, exponents []float32, from int) {
	softWeightsGeneric(neg, pos, t, stride, rows, n, part, words, class, exponents, from, 0)
}

// softWeights64Generic is softWeights32Generic for float64, whose labels may be
// subnormal.
func softWeights64Generic(neg, pos []float64, t []float64, stride, rows, n int, part []uint64, words int, class []float64, exponents []float64, from int) {
	softWeightsGeneric(neg, pos, t, stride, rows, n, part, words, class, exponents, from, softShift)
}

// softShift makes 2^softShift·t a normal number for every t > 0 of float64.
const softShift = 128

func softWeightsGeneric[T Float](neg, pos []T, t []T, stride, rows, n int, part []uint64, words int, class []float64, exponents []T, from, shift int) {
	scale := math.Float64frombits(uint64(1023+shift) << 52)
	size, lanes := weightsLen[T](n), lanesOf[T]()
	for i := range rows {
		for j := from; j < n; j++ {
			v, k := float64(t[i*stride+j]), weightPlace[T](j)
			in := part[i*words+j/64]>>(j%64)&1 != 0
			set := func(w []T, u float64, bias int) {
				m, e := T(0), T(0)
				if u *= class[j]; in && u != 0 {
					b := math.Float64bits(u)
					m = T(math.Float64frombits(b&(1<<52-1) | 1023<<52))
					e = T(int(b>>52)-bias) + exponents[k+lanes]
				}
				w[i*size+k], w[i*size+k+lanes] = m, e
			}
			set(neg, 1-v, 1023)
			set(pos, v*scale, 1023+shift)
		}
	}
}

// softUnit32Generic writes the weights of soft labels t over the elements of part
// from element from on, where all classes have weight 1: of 1-t, rounded to
// float32, to neg and of t to pos.
func softUnit32Generic(neg, pos []float32, t []float32, stride, rows, n int, part []uint64, words, from int) {
	size := weightsLen[float32](n)
	for i := range rows {
		for j := from; j < n; j++ {
			k := i*size + weightPlace[float32](j)
			in := part[i*words+j/64]>>(j%64)&1 != 0
			set := func(w []float32, u float32, bias int) {
				m, e := float32(0), float32(0)
				if in && u != 0 {
					b := math.Float32bits(u)
					m, e = math.Float32frombits(b&(1<<23-1)|127<<23), float32(int(b>>23)-bias)
				}
				w[k], w[k+lanes32] = m, e
			}
			v := t[i*stride+j]
			set(neg, 1-v, 127)
			set(pos, v*0x1p64, 127+64) // no subnormal number
		}
	}
}
