package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file is the specification of the kernels of weighted sums of e^(γx): every
// tier gives the bits of these functions. They serve the rows of the losses of
// two sums that have weights, soft labels, γ, or sums outside of the range of
// pivot 0 (see generalrow.go).
//
// Two arrays of bits, pos and neg, select elements: y = -x for those in pos and
// y = x for those in neg; no element is in both; the others take no part. The
// weight of element j is m·2^e, 1 ≤ m ≤ 2 and e an integer, or m = 0, which
// leaves the element out. So a weight has any magnitude, and no rounding of its own.
// Where the term is multiplied by a factor, m is. The term of an element is
//
//	m·2^e·e^(γy)·2^-c
//
// γ being a pair hi + lo of the element type, lo only for float32. γ·y is two
// numbers, h + l with |l| at most half an ULP of h (and lo·y): h is reduced
// exactly and l is added to the reduced argument,
//
//	h = hi·y;  l = fma(lo, y, fma(hi, y, -h))
//	t = fma(h, log2(e), magic - c + e);  n = t - (magic - c + e)
//	r = fma(n, -ln2Lo, fma(n, -ln2Hi, h) + l);  e^r = 1 + r·q(r)
//	term = fma(q, m·r, m)·2^(low bits of t, as exponent)
//
// A term whose power of two would lie below the smallest normal number is 0, and
// t is clamped so that it does not pass the largest. A sum of e^(ax+b) has e^b
// as a factor: its power of two goes into c, the rest multiplies the sum.
//
// Weights are kept by virtual vectors (see Lanes32): the m of a vector, then its
// e; the last vector of a row is whole.

// SideRows are rows and what selects and weights their elements.
type SideRows[T Float] struct {
	X               []T // row i is x[i·stride:][:n]
	Stride, Rows, N int
	Pos, Neg        []uint64 // of words a row
	Words           int
	Weights         []T // row i's begin at weights[i·weightStride]
	WeightStride    int // 0: all rows have the same
	Gamma           [2]T
}

// From returns the rows from row i on, to but without row end.
func (r SideRows[T]) From(i, end int) SideRows[T] {
	r.X, r.Rows = r.X[i*r.Stride:], end-i
	r.Pos, r.Neg = r.Pos[i*r.Words:], r.Neg[i*r.Words:]
	r.Weights = r.Weights[i*r.WeightStride:]
	return r
}

// A SideTop is what decides on the pivots of a row: of the negatives and of the
// positives the highest y, and the highest γy·log2(e) + e, roughly. They are
// -Inf where there are none, and NaN where there is a NaN. The sign of a zero is
// open.
type SideTop[T Float] struct{ Score, Power [2]T }

// sideMax32Generic writes the tops of every row.
func sideMax32Generic(top []SideTop[float32], r *SideRows[float32]) {
	sideMaxGeneric(top, r, func(y, e float32) float32 {
		return fma32(float32(r.Gamma[0]*y), coef.Log2E32, e)
	})
}

// sideMax64Generic is sideMax32Generic for float64.
func sideMax64Generic(top []SideTop[float64], r *SideRows[float64]) {
	sideMaxGeneric(top, r, func(y, e float64) float64 {
		return math.FMA(float64(r.Gamma[0]*y), coef.Log2E64, e)
	})
}

func sideMaxGeneric[T Float](top []SideTop[T], r *SideRows[T], power func(y, e T) T) {
	for i := range r.Rows {
		none := T(math.Inf(-1))
		t := SideTop[T]{[2]T{none, none}, [2]T{none, none}}
		w := r.Weights[i*r.WeightStride:]
		for j, x := range r.X[i*r.Stride:][:r.N] {
			p, q := r.Pos[i*r.Words+j/64]>>(j%64), r.Neg[i*r.Words+j/64]>>(j%64)
			k := WeightPlace[T](j)
			if (p|q)&1 == 0 || w[k] == 0 {
				continue
			}
			side := p & 1
			y := flip(x, p)
			if y != y {
				t.Score[side], t.Power[side] = y, y
			}
			if y > t.Score[side] {
				t.Score[side] = y
			}
			if v := power(y, w[k+LanesOf[T]()]); v > t.Power[side] {
				t.Power[side] = v
			}
		}
		for side, s := range t.Score {
			if s != s {
				t.Score[side], t.Power[side] = CanonicalNaN[T](), CanonicalNaN[T]()
			}
		}
		top[i] = t
	}
}

// A sideGroup is the terms of a group of two virtual vectors, and their t. What
// the term is where t is below the lowest is open.
type sideGroup[T Float] struct{ term, t [2 * Lanes32]T }

// terms32 computes the terms of x, at most 32 elements whose bits in pos are p,
// with the magic numbers of the pivots of the two sides, times their factors.
func terms32(g *sideGroup[float32], x []float32, p uint64, w []float32, magic, factor, gamma [2]float32) {
	var r, s, poly [2 * Lanes32]float64
	var rest [2 * Lanes32]float32 // where it is wild
	wild := uint32(0)
	for j, x := range x {
		y := flip(x, p>>j)
		h := float32(gamma[0] * y)
		l := fma32(gamma[1], y, fma32(gamma[0], y, -h))
		m := float64(magic[p>>j&1] + w[WeightPlace[float32](j)+Lanes32])
		t := (float64(h)*coef.Log2E32 + (m + round23)) - round23 // an exact product; see exp32
		if t > coef.Highest32 {
			t = coef.Highest32
		}
		g.t[j] = float32(t)
		if t < coef.Lowest32 {
			continue
		}
		n := float32(t - m)
		z := fma32(n, -coef.Ln2Lo32, fma32(n, -coef.Ln2Hi32, h)+l)
		if !(z <= 0.35 && z >= -0.35) { // clamped, or NaN
			wild |= 1 << j
			rest[j] = z
			poly[j], z = float64(quotient32(z)), 0
		}
		r[j] = float64(z)
		s[j] = math.Float64frombits((math.Float64bits(t+round23) + 1023 - 127) << 52)
	}
	saved := poly
	expQuotients(&poly, r[:len(x)])
	for j := range x {
		z := float32(r[j])
		if wild>>j&1 != 0 {
			poly[j], z = saved[j], rest[j]
		}
		m := float32(w[WeightPlace[float32](j)] * factor[p>>j&1])
		k := float32(m * z)
		// fma32, where the result is no subnormal number.
		v := poly[j]*float64(k) + float64(m) // the product is exact
		if math.Float64bits(v)&(1<<29-1) == 1<<28 {
			v = float64(oddFMA32(poly[j]*float64(k), float64(m)))
		}
		g.term[j] = float32(float64(float32(v)) * s[j])
	}
}

// quotient32 is expQuotients for any r.
func quotient32(r float32) float32 {
	c := &coef.Exp32
	p := c[len(c)-1]
	for j := len(c) - 2; j >= 0; j-- {
		p = fma32(p, r, c[j])
	}
	return fma32(p, r, 1)
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
func terms64(g *sideGroup[float64], x []float64, p uint64, w []float64, magic, factor, gamma [2]float64) {
	for j, x := range x {
		y := flip(x, p>>j)
		h := float64(gamma[0] * y)
		l := math.FMA(gamma[0], y, -h)
		m := magic[p>>j&1] + w[WeightPlace[float64](j)+Lanes64]
		t := math.FMA(h, coef.Log2E64, m)
		if t > coef.Highest64 {
			t = coef.Highest64
		}
		g.t[j] = t
		if t < coef.Lowest64 {
			continue
		}
		n := t - m
		r := math.FMA(n, -coef.Ln2Lo64, math.FMA(n, -coef.Ln2Hi64, h)+l)
		k := float64(w[WeightPlace[float64](j)] * factor[p>>j&1])
		g.term[j] = math.FMA(scalar.ExpQuotient(r), float64(k*r), k) * math.Float64frombits(math.Float64bits(t)<<52)
	}
}

// groups calls f for the groups of row i: with the place of the group's first
// element, its number of elements, its bits in pos and neg, and its weights.
func (r *SideRows[T]) groups(i int, f func(from, m int, p, q uint64, w []T)) {
	size := 2 * LanesOf[T]()
	for from := 0; from < r.N; from += size {
		shift := from % 64
		p, q := r.Pos[i*r.Words+from/64]>>shift, r.Neg[i*r.Words+from/64]>>shift
		f(from, min(size, r.N-from), p, q, r.Weights[i*r.WeightStride+2*from:])
	}
}

// sideSums32Generic writes Σ of the terms over neg to sum[i][0] and over pos to
// sum[i][1]; the magic numbers of row i are p[i·pStep][0] and [3]. A NaN gives
// NaN; a term too large for float32 gives NaN or a sum above 2^126.
//
// The two terms of a lane are added, then lane l+8 to lane l, all in float32;
// these 8 sums are added to the float64 accumulators, group by group.
func sideSums32Generic(sum [][2]float64, r *SideRows[float32], p []SideParams[float32], pStep int) {
	for i := range r.Rows {
		q := &p[i*pStep]
		var acc [2][8]float64
		r.groups(i, func(from, m int, pos, neg uint64, w []float32) {
			var g sideGroup[float32]
			terms32(&g, r.X[i*r.Stride+from:][:m], pos, w, [2]float32{q[0], q[3]}, [2]float32{1, 1}, r.Gamma)
			for s, bits := range [2]uint64{neg, pos} {
				bits = countedTerms(&g, w, bits, m, coef.Lowest32)
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
		if g.t[j] < lowest || w[WeightPlace[T](j)] == 0 {
			bits &^= 1 << j
		}
	}
	return bits & (1<<m - 1)
}

// sideSums64Generic is sideSums32Generic for float64. The sum of the two terms
// of a lane is added to the lane exactly; the errors are added apart, and to the
// result at the end.
func sideSums64Generic(sum [][2]float64, r *SideRows[float64], p []SideParams[float64], pStep int) {
	for i := range r.Rows {
		q := &p[i*pStep]
		var acc, e [2][Lanes64]float64
		r.groups(i, func(from, m int, pos, neg uint64, w []float64) {
			var g sideGroup[float64]
			terms64(&g, r.X[i*r.Stride+from:][:m], pos, w, [2]float64{q[0], q[3]}, [2]float64{1, 1}, r.Gamma)
			for s, bits := range [2]uint64{neg, pos} {
				bits = countedTerms(&g, w, bits, m, coef.Lowest64)
				for l := range acc[s] {
					acc[s][l], e[s][l] = TwoSum(acc[s][l], e[s][l], only(g.term[l], bits>>l)+only(g.term[8+l], bits>>(8+l)))
				}
			}
		})
		for s := range acc {
			sum[i][s] = eightWithErrors(&acc[s], &e[s])
		}
	}
}

// sideGrad32Generic writes the terms of row i times p[i][2] over neg and times
// p[i][5] over pos, 0 for other elements, to dst[i·dstStride+j].
func sideGrad32Generic(dst []float32, dstStride int, r *SideRows[float32], p []SideParams[float32]) {
	for i := range r.Rows {
		r.groups(i, func(from, m int, pos, neg uint64, w []float32) {
			var g sideGroup[float32]
			terms32(&g, r.X[i*r.Stride+from:][:m], pos, w, [2]float32{p[i][0], p[i][3]}, [2]float32{p[i][2], p[i][5]}, r.Gamma)
			g.clear(m, pos|neg, w, coef.Lowest32)
			copy(dst[i*dstStride+from:][:m], g.term[:])
		})
	}
}

// sideGrad64Generic is sideGrad32Generic for float64.
func sideGrad64Generic(dst []float64, dstStride int, r *SideRows[float64], p []SideParams[float64]) {
	for i := range r.Rows {
		r.groups(i, func(from, m int, pos, neg uint64, w []float64) {
			var g sideGroup[float64]
			terms64(&g, r.X[i*r.Stride+from:][:m], pos, w, [2]float64{p[i][0], p[i][3]}, [2]float64{p[i][2], p[i][5]}, r.Gamma)
			g.clear(m, pos|neg, w, coef.Lowest64)
			copy(dst[i*dstStride+from:][:m], g.term[:])
		})
	}
}

// clear makes those of the first m terms 0 that do not count.
func (g *sideGroup[T]) clear(m int, in uint64, w []T, lowest T) {
	for j := range m {
		if in>>j&1 == 0 || !(g.t[j] >= lowest) || w[WeightPlace[T](j)] == 0 {
			g.term[j] = 0
		}
	}
}

// weighSums32Generic multiplies kept exponentials (see selectExp32Generic) by the weights
// m[j]+lo[j], which float32 alone does not hold: as fma(w, m, w·lo). It writes the sums of the products above 0 to a, and of those below, less their
// signs, to b, added in the order of sideSums32Generic. A NaN is in both sums.
func weighSums32Generic(a, b []float64, w []float32, wStride, rows, n int, m, lo []float32) {
	for i := range rows {
		var acc [2][8]float64
		row := w[i*wStride:][:n]
		for from := 0; from < n; from += 2 * Lanes32 {
			var terms [2][2 * Lanes32]float32
			part := row[from:min(from+2*Lanes32, n)]
			for j, e := range part {
				part[j] = fma32(e, m[from+j], float32(e*lo[from+j]))
			}
			splitSides(part, terms[0][:], terms[1][:])
			for s := range acc {
				t := &terms[s]
				for l := range acc[s] {
					low, high := t[l]+t[16+l], t[8+l]+t[24+l]
					acc[s][l] += float64(low + high)
				}
			}
		}
		a[i], b[i] = eight(&acc[0]), eight(&acc[1])
	}
}

// weighSums64Generic is weighSums32Generic for float64, in the order of
// sideSums64Generic.
func weighSums64Generic(a, b []float64, w []float64, wStride, rows, n int, m, _ []float64) {
	for i := range rows {
		var acc, e [2][Lanes64]float64
		row := w[i*wStride:][:n]
		for from := 0; from < n; from += 2 * Lanes64 {
			var terms [2][2 * Lanes64]float64
			part := row[from:min(from+2*Lanes64, n)]
			for j, e := range part {
				part[j] = e * m[from+j]
			}
			splitSides(part, terms[0][:], terms[1][:])
			for s := range acc {
				t := &terms[s]
				for l := range acc[s] {
					acc[s][l], e[s][l] = TwoSum(acc[s][l], e[s][l], t[l]+t[8+l])
				}
			}
		}
		a[i], b[i] = eightWithErrors(&acc[0], &e[0]), eightWithErrors(&acc[1], &e[1])
	}
}

// splitSides writes the terms of w above 0 and those below, less their signs: a NaN to
// both.
func splitSides[T Float](w, above, below []T) {
	for j, p := range w {
		if !(p <= 0) {
			above[j] = p
		}
		below[j] = above[j] - p
	}
}

// eightWithErrors adds 8 lanes in the order of eight, and their errors.
func eightWithErrors(sum, err *[Lanes64]float64) float64 {
	for half := Lanes64 / 2; half > 0; half /= 2 {
		for l := range half {
			sum[l], err[l] = TwoSum(sum[l], err[l]+err[half+l], sum[half+l])
		}
	}
	return sum[0] + err[0]
}

// softWeights32Generic writes the weights of soft labels t over the elements of
// part from element from on: of 1-t to neg and of t to pos, in rows of
// WeightsLen(n). The class weight of element j is class[j]·2^e, e of exponents,
// which have the form of weights; class[j] is 0 or 1 to 2. The products are
// rounded once to float64, then to float32.
func softWeights32Generic(neg, pos []float32, t []float32, stride, rows, n int, part []uint64, words int, class []float64, exponents []float32, from int) {
	softWeightsGeneric(neg, pos, t, stride, rows, n, part, words, class, exponents, from, 0)
}

// softWeights64Generic is softWeights32Generic for float64, whose labels may be
// subnormal.
func softWeights64Generic(neg, pos []float64, t []float64, stride, rows, n int, part []uint64, words int, class []float64, exponents []float64, from int) {
	softWeightsGeneric(neg, pos, t, stride, rows, n, part, words, class, exponents, from, coef.SoftShift64)
}

func softWeightsGeneric[T Float](neg, pos []T, t []T, stride, rows, n int, part []uint64, words int, class []float64, exponents []T, from, shift int) {
	scale := math.Float64frombits(uint64(1023+shift) << 52)
	size, lanes := WeightsLen[T](n), LanesOf[T]()
	for i := range rows {
		for j := from; j < n; j++ {
			v, k := float64(t[i*stride+j]), WeightPlace[T](j)
			in := part[i*words+j/64]>>(j%64)&1 != 0
			set := func(w []T, u float64, bias int) {
				m, e := T(0), T(0)
				if in && u != 0 {
					b := math.Float64bits(u)
					m = T(math.Float64frombits(b&(1<<52-1) | 1023<<52))
					e = T(int(b>>52)-bias) + exponents[k+lanes]
				}
				w[i*size+k], w[i*size+k+lanes] = m, e
			}
			set(neg, math.FMA(-v, class[j], class[j]), 1023)
			set(pos, float64(v*scale)*class[j], 1023+shift)
		}
	}
}

// A SideParams are the parameters of a row's gradient: for the negatives and
// for the positives the magic number of the pivot and the factor, at 0 and 2 and
// at 3 and 5.
type SideParams[T Float] [6]T

// ZeroPivot returns the parameters of pivot 0, without factors.
func ZeroPivot[T Float]() SideParams[T] {
	return SideParams[T]{0: MagicOf[T](0), 3: MagicOf[T](0)}
}

// GammaPair returns γ as a sum of two numbers of the element type.
func GammaPair[T Float](gamma float64) [2]T {
	hi := T(gamma)
	return [2]T{hi, T(gamma - float64(hi))}
}
