package zlpr

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestHashes compares every kernel's results for random short blocks with the
// recorded hash of them: the same on every tier and every architecture. The
// inputs are made without rounding, so that they are the same everywhere.
func TestHashes(t *testing.T) {
	const blocks = 100_000
	if testing.Short() {
		t.Skip("takes many blocks")
	}
	for _, k := range []struct {
		name string
		want uint64
		// block hashes the results of one block.
		block func(h *resultHash, r *rawRand)
	}{
		{"sumExp/float32", 0xf3df9baa90d275d6, hashSumExp[float32]},
		{"sumExp/float64", 0xf53eca09ae1f943d, hashSumExp[float64]},
		{"scaleExp/float32", 0xafaaf90ba4f8c03b, hashScaleExp[float32]},
		{"scaleExp/float64", 0x1dbbf77ac31c4c7e, hashScaleExp[float64]},
		{"scaleExpStream/float32", 0xafaaf90ba4f8c03b, hashScaleExpStream[float32]}, // as scaleExp
		{"scaleExpStream/float64", 0x1dbbf77ac31c4c7e, hashScaleExpStream[float64]},
		{"maximum/float32", 0x1fa7d6886aaf483a, hashMaximum[float32]},
		{"maximum/float64", 0x36ce122df9cf715b, hashMaximum[float64]},
		{"offset/float32", 0x97e0adb809915ca7, hashOffset[float32]},
		{"offset/float64", 0x90c1bd489a6125ba, hashOffset[float64]},
		{"logPair", 0xc1d604d10d3f9eee, hashLogPair},
		{"log1p", 0x1cfe6ac89127eaeb, hashLog1p},
		{"selectSums/float32", 0x92059fc8e5b1ca3a, hashSelectSums[float32]},
		{"selectSums/float64", 0x63a5e6154dde5501, hashSelectSums[float64]},
		{"selectExp/float32", 0xf31efe6c308adf80, hashSelectExp[float32]},
		{"selectExp/float64", 0x0e96307902f6dbe0, hashSelectExp[float64]},
		{"selectScale/float32", 0x2bd505112a4fad5b, hashSelectScale[float32]},
		{"selectScale/float64", 0x6284dfed2711f29d, hashSelectScale[float64]},
		{"finishSums/float32", 0xdb78748f95df4201, hashFinishSums[float32]},
		{"finishSums/float64", 0xa70410869fcb99a6, hashFinishSums[float64]},
		{"bce/float32", 0x580c0c2b0f3c2e46, hashBCE[float32]},
		{"bce/float64", 0x527bd74ceb350bfa, hashBCE[float64]},
		{"sideMax/float32", 0xb63052c4470739e7, hashSideMax[float32]},
		{"sideMax/float64", 0x47216c32c4cd5c3b, hashSideMax[float64]},
		{"sideSums/float32", 0x84e684c12516122c, hashSideSums[float32]},
		{"sideSums/float64", 0x9253eb5962f017f9, hashSideSums[float64]},
		{"sideGrad/float32", 0xf3cec5db98bb75d6, hashSideGrad[float32]},
		{"sideGrad/float64", 0xf765fa62340a217e, hashSideGrad[float64]},
		{"softWeights/float32", 0xa40f826384c66be2, hashSoftWeights[float32]},
		{"softWeights/float64", 0x901bf9c7fe9a2412, hashSoftWeights[float64]},
		{"softUnit", 0xa8bbd2d0986d2c83, hashSoftUnit},
		{"accumulate/float32", 0xfe7a367622e5e149, hashAccumulate[float32]},
		{"accumulate/float64", 0x5192c00692da9f7f, hashAccumulate[float64]},
		{"addParts", 0xea2b3ce0ef231bd7, hashAddParts},
		{"packBytes", 0x2cffb9485a25eb66, hashPackBytes},
		{"tiltExp/float32", 0x994c318f8ffa6df5, hashTiltExp[float32]},
		{"tiltExp/float64", 0x994c318f8ffa6df5, hashTiltExp[float64]},
		{"tiltSums", 0x64e6d5126d07b593, hashTiltSums},
		{"tiltSplit", 0x1f3da81f012d86a7, hashTiltSplit},
		{"espForward", 0x8fe9bd840ef85036, hashEspForward},
		{"inclusion/float32", 0x1b1d7feefd0eec8d, hashInclusion[float32]},
		{"inclusion/float64", 0x10c9788298379b92, hashInclusion[float64]},
		{"correlate", 0x5b4daa5c53ad5bc6, hashCorrelate},
	} {
		t.Run(k.name, func(t *testing.T) {
			forEachTier(t, func(t *testing.T) {
				var h resultHash
				r := rawRand{rand.New(rand.NewPCG(11, 12))}
				for range blocks {
					k.block(&h, &r)
				}
				if uint64(h) != k.want {
					t.Errorf("hash %#016x, want %#016x", uint64(h), k.want)
				}
			})
		})
	}
}

// A resultHash is a hash of the bits of numbers in order. All NaN count as one.
type resultHash uint64

func (h *resultHash) word(bits uint64) {
	*h = (*h ^ resultHash(bits)) * 0x9e3779b97f4a7c15
	*h ^= *h >> 32
}

func addHash[T Float](h *resultHash, x ...T) {
	for _, v := range x {
		if v != v {
			v = canonicalNaN[T]()
		}
		h.word(bitsOf(v))
	}
}

// A rawRand makes random numbers from bits alone: the distributions of package
// rand call functions whose last bits depend on the CPU.
type rawRand struct{ *rand.Rand }

// score returns a number of magnitude up to 2^exp, and seldom -Inf or NaN.
func score[T Float](r *rawRand, exp int) T {
	switch r.IntN(200) {
	case 0:
		return T(math.Inf(-1))
	case 1:
		return canonicalNaN[T]()
	}
	// A multiple of 2^-23 below 1 in magnitude: exact for either type.
	u := float64(r.Int64N(1<<24)-1<<23) * 0x1p-23
	return T(math.Ldexp(u, exp))
}

// positive returns a number from 2^-exp to 2^exp.
func (r *rawRand) positive(exp int) float64 {
	return math.Ldexp(1+float64(r.Int64N(1<<52))*0x1p-52, r.IntN(2*exp)-exp)
}

// odds returns a number of those, and seldom 0.
func (r *rawRand) odds(exp int) float64 {
	if r.IntN(30) == 0 {
		return 0
	}
	return r.positive(exp)
}

func (r *rawRand) manyOdds(n, exp int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = r.odds(exp)
	}
	return x
}

// eights returns a length that the kernels of the k-subset softmax take.
func (r *rawRand) eights() int { return 8 * (1 + r.IntN(5)) }

// length is mostly short, and sometimes longer than any kernel's group.
func (r *rawRand) length() int {
	n := 1 + r.IntN(40)
	if r.IntN(16) == 0 {
		n += 64
	}
	return n
}

// hashedRows makes one or two rows of scores, with a gap between, and their
// maximum.
func hashedRows[T Float](r *rawRand) (x []T, stride, rows, n int, top float64) {
	rows, n = 1+r.IntN(2), r.length()
	stride = n + r.IntN(3)
	x = make([]T, rows*stride)
	exp := r.IntN(14) - 3
	top = math.Inf(-1)
	for i := range x {
		x[i] = score[T](r, exp)
		if float64(x[i]) > top {
			top = float64(x[i])
		}
	}
	return x, stride, rows, n, max(top, -2048)
}

func hashSumExp[T Float](h *resultHash, r *rawRand) {
	x, stride, rows, n, top := hashedRows[T](r)
	p := pivotParams[T](math.RoundToEven(top * math.Log2E))
	var sum, err [2]float64
	sumExp(sum[:rows], err[:rows], x, stride, rows, n, &p)
	addHash(h, sum[:rows]...)
	addHash(h, err[:rows]...)
}

func hashScaleExp[T Float](h *resultHash, r *rawRand)       { hashScale[T](h, r, false) }
func hashScaleExpStream[T Float](h *resultHash, r *rawRand) { hashScale[T](h, r, true) }

func hashScale[T Float](h *resultHash, r *rawRand, stream bool) {
	x, stride, rows, n, top := hashedRows[T](r)
	p := make([]rowParams[T], rows)
	for i := range p {
		p[i] = scaleParams[T](power{hi: r.positive(1), exp: int64(top*math.Log2E) + 1})
	}
	dst := make([]T, len(x))
	scale(dst, stride, x, stride, rows, n, p, 1, stream)
	addHash(h, dst...)
}

func hashMaximum[T Float](h *resultHash, r *rawRand) {
	x, stride, rows, n, _ := hashedRows[T](r)
	top := make([]T, rows)
	maximum(top, x, stride, rows, n)
	for _, m := range top {
		addHash(h, m+0) // the sign of a zero is open
	}
}

func hashOffset[T Float](h *resultHash, r *rawRand) {
	x, stride, rows, n, _ := hashedRows[T](r)
	s, dst := make([]float64, rows), make([]T, len(x))
	for i := range s {
		s[i] = r.positive(8)
	}
	offset(dst, stride, x, stride, rows, n, s)
	addHash(h, dst...)
}

func hashLogPair(h *resultHash, r *rawRand) {
	n := 1 + r.IntN(40)
	hi, lo, dst := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range hi {
		hi[i] = r.positive(900)
		lo[i] = float64(hi[i]*0x1p-53) * r.Float64()
	}
	logPair64(dst, hi, lo)
	addHash(h, dst...)
}

func hashLog1p(h *resultHash, r *rawRand) {
	x := r.manyOdds(1+r.IntN(40), 1+r.IntN(900))
	dst := make([]float64, len(x))
	log1p64(dst, x)
	addHash(h, dst...)
}

// hashedSides makes the bits of rows: an element is positive, negative or
// neither.
func hashedSides(r *rawRand, rows, n int) (pos, neg []uint64, words int) {
	words = (n + 63) / 64
	pos, neg = make([]uint64, rows*words), make([]uint64, rows*words)
	for i := range rows {
		for j := range n {
			switch bit := uint64(1) << (j % 64); r.IntN(4) {
			case 0:
				pos[i*words+j/64] |= bit
			case 1, 2:
				neg[i*words+j/64] |= bit
			}
		}
	}
	return pos, neg, words
}

func hashSelectSums[T Float](h *resultHash, r *rawRand) {
	x, stride, rows, n, _ := hashedRows[T](r)
	pos, neg, words := hashedSides(r, rows, n)
	var a, b [8]float64
	selectSums(a[:], b[:], x, stride, rows, n, pos, neg, words)
	addHash(h, a[:rows]...)
	addHash(h, b[:rows]...)
}

func hashSelectExp[T Float](h *resultHash, r *rawRand) {
	x, stride, rows, n, _ := hashedRows[T](r)
	pos, neg, words := hashedSides(r, rows, n)
	var a, b [8]float64
	wStride := keptStride[T](n)
	w := make([]T, rows*wStride+64)
	selectExp(a[:], b[:], w, wStride, x, stride, rows, n, pos, neg, words, &sideCopy[T]{})
	addHash(h, a[:rows]...)
	addHash(h, b[:rows]...)
	for i := range rows {
		addHash(h, w[i*wStride:][:n]...)
	}
}

func hashSelectScale[T Float](h *resultHash, r *rawRand) {
	w, stride, rows, n, _ := hashedRows[T](r)
	for i := range w {
		if w[i] = T(math.Ldexp(1+math.Abs(float64(w[i]))*0x1p-20, r.IntN(250)-125)); r.IntN(9) == 0 {
			w[i] = normalExp[T]() * T(r.IntN(3))
		}
	}
	for i := range w {
		if r.IntN(3) == 0 {
			w[i] = -w[i]
		}
	}
	dst, fa, fb := make([]T, len(w)), make([]T, rows), make([]T, rows)
	for i := range fa {
		fa[i], fb[i] = T(r.positive(20)), T(r.positive(20))
	}
	selectScale(dst, stride, w, stride, rows, n, fa, fb)
	addHash(h, dst...)
}

func hashFinishSums[T Float](h *resultHash, r *rawRand) {
	n, exp := 8*(1+r.IntN(4)), 58
	a, b, scale := r.manyOdds(n, exp), r.manyOdds(n, exp), r.manyOdds(n, 3)
	for i := range scale {
		scale[i]++
	}
	fa, fb, loss := make([]T, n), make([]T, n), make([]float64, n)
	if !finishSums(loss, fa, fb, a, b, scale) {
		h.word(1)
		return
	}
	addHash(h, fa...)
	addHash(h, fb...)
	addHash(h, loss...)
}

func hashAccumulate[T Float](h *resultHash, r *rawRand) {
	x, stride, rows, n, _ := hashedRows[T](r)
	dst := make([]T, len(x))
	for i := range dst {
		dst[i] = score[T](r, 3)
	}
	accumulate(dst, stride, x, stride, rows, n)
	addHash(h, dst...)
}

func hashAddParts(h *resultHash, r *rawRand) {
	p := addParts(r.manyOdds(r.eights(), 16))
	if !p.right() {
		h.word(1)
		return
	}
	addHash(h, p.sum[:]...)
	addHash(h, p.min, p.max)
}

func hashPackBytes(h *resultHash, r *rawRand) {
	rows, n := 1+r.IntN(2), 4*r.length()
	src := make([]uint8, rows*n)
	for i := range src {
		src[i] = uint8(r.IntN(2))
	}
	if r.IntN(2) == 0 {
		src[r.IntN(len(src))] = uint8(r.IntN(256))
	}
	dst := make([]uint64, rows*bitWords(n))
	if !packBytes(dst, src, n, rows, n) {
		h.word(1)
	}
	for _, w := range dst {
		h.word(w)
	}
}

func hashTiltExp[T Float](h *resultHash, r *rawRand) {
	x := make([]T, r.eights())
	exp := r.IntN(12) - 2
	for i := range x {
		x[i] = score[T](r, exp)
	}
	e := make([]float64, len(x))
	sum, squares := tiltExp(e, x, float64(1-2*r.IntN(2)), float64(score[float64](r, exp)))
	addHash(h, e...)
	addHash(h, sum, squares)
}

func hashTiltSums(h *resultHash, r *rawRand) {
	sum, squares := tiltSums(r.manyOdds(r.eights(), 50), r.positive(10))
	addHash(h, sum, squares)
}

func hashTiltSplit(h *resultHash, r *rawRand) {
	e := r.manyOdds(r.eights(), 10)
	split, above := make([]float64, len(e)), make([]uint8, len(e)/8)
	largest := tiltSplit(split, above, e, r.positive(3), r.positive(5))
	addHash(h, split...)
	addHash(h, largest)
	for _, b := range above {
		h.word(uint64(b))
	}
}

func hashEspForward(h *resultHash, r *rawRand) {
	d := 5 * (1 + r.IntN(3))
	f := make([]float64, 8*(d+1))
	for l := range 8 {
		f[l] = 1
	}
	espForward(f, r.manyOdds(32*(1+r.IntN(2)), 4), d)
	addHash(h, f...)
}

func hashInclusion[T Float](h *resultHash, r *rawRand) {
	dst := make([]T, r.eights())
	inclusion(dst, r.manyOdds(len(dst), 4), r.manyOdds(1+r.IntN(12), 4), r.positive(4))
	addHash(h, dst...)
}

func hashCorrelate(h *resultHash, r *rawRand) {
	dst := make([]float64, r.eights())
	b := r.manyOdds(1+r.IntN(20), 10)
	correlate(dst, r.manyOdds(len(dst)+len(b)-1, 10), b)
	addHash(h, dst...)
}

func hashedWeight(r *rawRand, m, e int) (float64, float64) {
	if r.IntN(20) == 0 {
		return 0, 0
	}
	return 1 + math.Ldexp(float64(r.IntN(1<<m)), -m), float64(r.IntN(2*e+1) - e)
}

func hashedSideRows[T Float](r *rawRand) (*sideRows[T], []gradParams[T]) {
	s := &sideRows[T]{}
	s.x, s.stride, s.rows, s.n, _ = hashedRows[T](r)
	s.pos, s.neg, s.words = hashedSides(r, s.rows, s.n)
	s.weightStride = weightsLen[T](s.n)
	s.weights = make([]T, s.rows*s.weightStride)
	for i := range s.rows {
		for j := range s.n {
			k := i*s.weightStride + weightPlace[T](j)
			m, e := hashedWeight(r, 20, 9)
			s.weights[k], s.weights[k+lanesOf[T]()] = T(m), T(e)
		}
	}
	gamma := r.positive(3)
	s.gamma = gammaPair[T](gamma)
	top := 0.0
	for _, v := range s.x {
		if a := math.Abs(float64(v)); a > top && a <= math.MaxFloat64 {
			top = a
		}
	}
	p := make([]gradParams[T], s.rows)
	for i := range p {
		for k := 0; k < 6; k += 3 {
			p[i][k] = magicOf[T](min(6000, math.Ceil(float64(gamma*top)*1.5)) - float64(r.IntN(20)))
			p[i][k+2] = T(1 + float64(r.IntN(1<<20))*0x1p-20)
		}
	}
	return s, p
}

func hashSideMax[T Float](h *resultHash, r *rawRand) {
	s, _ := hashedSideRows[T](r)
	top := make([]sideTop[T], s.rows)
	sideMax(top, s)
	for _, t := range top {
		addHash(h, t.score[0]+0, t.score[1]+0, t.power[0]+0, t.power[1]+0)
	}
}

func hashSideSums[T Float](h *resultHash, r *rawRand) {
	s, p := hashedSideRows[T](r)
	sums := make([][2]float64, s.rows)
	sideSums(sums, s, p, 1)
	for _, v := range sums {
		addHash(h, v[0], v[1])
	}
}

func hashSideGrad[T Float](h *resultHash, r *rawRand) {
	s, p := hashedSideRows[T](r)
	dst, add := make([]T, len(s.x)), make([]T, len(s.x))
	sideGrad(dst, s.stride, s, p, nil, 0)
	addHash(h, dst...)
	for i := range add {
		add[i] = T(r.IntN(100) - 50)
	}
	sideGrad(dst, s.stride, s, p, add, s.stride)
	addHash(h, dst...)
}

func hashSoftWeights[T Float](h *resultHash, r *rawRand) {
	rows, n := 1+r.IntN(2), r.length()
	t, class, exponents := make([]T, rows*n), make([]float64, n), make([]T, weightsLen[T](n))
	for i := range t {
		t[i] = T(math.Ldexp(float64(r.IntN(1<<20+1)), -20-r.IntN(2)*r.IntN(100)))
	}
	for j := range class {
		m, e := hashedWeight(r, 50, 300)
		class[j], exponents[weightPlace[T](j)+lanesOf[T]()] = m, T(e)
	}
	_, part, words := hashedSides(r, rows, n)
	neg, pos := make([]T, rows*weightsLen[T](n)), make([]T, rows*weightsLen[T](n))
	softWeights(neg, pos, t, n, rows, n, part, words, class, exponents)
	addHash(h, neg...)
	addHash(h, pos...)
}

func hashSoftUnit(h *resultHash, r *rawRand) {
	rows, n := 1+r.IntN(2), r.length()
	t := make([]float32, rows*n)
	for i := range t {
		t[i] = float32(math.Ldexp(float64(r.IntN(1<<20+1)), -20-r.IntN(2)*r.IntN(128)))
	}
	_, part, words := hashedSides(r, rows, n)
	neg, pos := make([]float32, rows*weightsLen[float32](n)), make([]float32, rows*weightsLen[float32](n))
	softWeights(neg, pos, t, n, rows, n, part, words, nil, nil)
	addHash(h, neg...)
	addHash(h, pos...)
}
