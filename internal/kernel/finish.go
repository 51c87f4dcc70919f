package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// finishSums64Generic writes log1p(a[i]) + log1p(b[i]) to loss[i] and, unless fa is
// nil, scale[i]·(1/(1+a[i])) to fa[i] and scale[i]·(1/(1+b[i])) to fb[i]. It reports
// whether all sums are Natural or 0 and all factors fit; where not, the row's results
// are open.
func finishSums64Generic(loss []float64, fa, fb []float64, a, b, scale []float64) bool {
	good := true
	for i, u := range a {
		v := b[i]
		if !(FastSum[float64](u) && FastSum[float64](v)) {
			good = false
			continue
		}
		loss[i] = scalar.Log1pFinite(u) + scalar.Log1pFinite(v)
		if fa != nil {
			fa[i], fb[i] = scale[i]*(1/(1+u)), scale[i]*(1/(1+v))
			good = good && FactorFits[float64](fa[i]) && FactorFits[float64](fb[i])
		}
	}
	return good
}

// finishSums32Generic is finishSums64Generic for sums of float32, of which the
// product is in range. There is one logarithm and one division:
//
//	log1p(a) + log1p(b) = log1p(u),  u = a·b + (a+b)
//	1/(1+a) = (1+b)/(1+u),  1/(1+b) = (1+a)/(1+u)
func finishSums32Generic(loss []float64, fa, fb []float32, a, b, scale []float64) bool {
	good := true
	for i, x := range a {
		y := b[i]
		if !(FastSum[float32](x) && FastSum[float32](y)) {
			good = false
			continue
		}
		loss[i] = JoinedLoss(x, y)
		if fa != nil {
			f, g := joinedFactors(x, y, scale[i])
			good = good && FactorFits[float32](f) && FactorFits[float32](g)
			fa[i], fb[i] = float32(f), float32(g)
		}
	}
	return good
}

// JoinedLoss returns log1p(a) + log1p(b) of two sums of float32.
func JoinedLoss(a, b float64) float64 { return scalar.Log1pSum(join64(a, b)) }

// joinedFactors returns scale/(1+a) and scale/(1+b).
func joinedFactors(a, b, scale float64) (float64, float64) {
	inverse := 1 / (1 + join64(a, b))
	return scale * float64((1+b)*inverse), scale * float64((1+a)*inverse)
}

// SumFactors returns the factors of finishSums of natural sums.
func SumFactors[T Float](a, b, scale float64) (float64, float64) {
	if IsFloat32[T]() {
		return joinedFactors(a, b, scale)
	}
	return scale * (1 / (1 + a)), scale * (1 / (1 + b))
}

// finishProductGeneric is finishSums32Generic for log1p(a·b), whose derivatives are
// b/(1+a·b) and a/(1+a·b). A factor may be 0 where the other sum is, and as large as
// ProductFits says.
func finishProductGeneric(loss []float64, fa, fb []float32, a, b, scale []float64) bool {
	good := true
	for i, x := range a {
		y := b[i]
		if !(FastSum[float32](x) && FastSum[float32](y)) {
			good = false
			continue
		}
		u := float64(x * y)
		loss[i] = scalar.Log1pSum(u)
		if fa != nil {
			inverse := 1 / (1 + u)
			f, g := scale[i]*float64(y*inverse), scale[i]*float64(x*inverse)
			good = good && ProductFits(f, y) && ProductFits(g, x)
			fa[i], fb[i] = float32(f), float32(g)
		}
	}
	return good
}

// finishJoinsGeneric writes log1p(u[i]) to loss[i] and, unless f is nil, scale[i] to
// f[i]. It reports whether all u are right (see JoinRight) and all scales fit;
// where not, the row's results are open.
func finishJoinsGeneric(loss []float64, f []float32, u, scale []float64) bool {
	good := true
	for i, v := range u {
		if !JoinRight(v) {
			good = false
			continue
		}
		loss[i] = scalar.Log1pSum(v)
		if f != nil {
			good = good && FactorFits[float32](scale[i])
			f[i] = float32(scale[i])
		}
	}
	return good
}

// JoinRight reports whether a join of exponentials of float32 is right as it stands:
// none of them was too large, and those that are below the smallest normal number do
// not count.
func JoinRight(u float64) bool { return u >= coef.JoinLow32 && u <= coef.JoinHigh32 }

// ProductFits reports whether the exponentials of a side, none of them below the
// smallest normal number, may be multiplied by the factor f of a loss of the product,
// other being the sum of the other side.
func ProductFits(f, other float64) bool {
	a := math.Abs(f)
	return a >= coef.FactorLow32 && a <= coef.ProductHigh32 || f == 0 && other == 0
}

// NormalTerms reports whether none of the kept exponentials w is below the smallest
// normal number.
func NormalTerms[T Float](w []T) bool {
	low := normalExp[T]()
	for _, v := range w {
		if v < low && v > 0 || v > -low && v < 0 {
			return false
		}
	}
	return true
}

// TargetLimit is the magnitude of a target's score up to which FinishTarget takes
// its exponential.
const TargetLimit = coef.TargetLimit

// TargetFast reports whether FinishTarget finishes the loss of a row: a is the sum
// over the classes but the target, whose score is s. It returns e^-s and a·e^-s.
func TargetFast[T Float](a, s float64) (b, u float64, fast bool) {
	if !(FastSum[T](a) && math.Abs(s) <= TargetLimit) {
		return 0, 0, false
	}
	b = scalar.Exp(-s)
	u = float64(a * b)
	return b, u, u == 0 || u >= coef.TermLow && u <= coef.TermHigh
}

// TargetFactors returns the factor of a row's exponentials and the derivative by the
// target's score.
func TargetFactors(b, u, scale float64) (f, target float64) {
	inverse := 1 / (1 + u)
	return scale * float64(b*inverse), -float64(float64(scale*u) * inverse)
}

// TargetFits reports whether those are in range, a being the row's sum.
func TargetFits[T Float](a, f, target float64) bool {
	return (FactorFits[T](f) || f == 0 && a == 0) && math.Abs(target) <= math.MaxFloat64
}

// finishTarget32Generic writes log1p(u), u = a[i]·e^-b[i], to loss[i] and, unless fa is
// nil, the TargetFactors to fa[i] and fb[i]. It reports whether all rows are
// TargetFast, and their factors TargetFits; where not, the row's results are open.
func finishTarget32Generic(loss []float64, fa, fb []float32, a, b, scale []float64) bool {
	return finishTarget(loss, fa, fb, a, b, scale, scalar.Log1pSum)
}

// finishTarget64Generic is finishTarget32Generic for float64.
func finishTarget64Generic(loss []float64, fa, fb []float64, a, b, scale []float64) bool {
	return finishTarget(loss, fa, fb, a, b, scale, scalar.Log1pFinite)
}

func finishTarget[T Float](loss []float64, fa, fb []T, a, b, scale []float64, log1p func(float64) float64) bool {
	good := true
	for i, x := range a {
		e, u, fast := TargetFast[T](x, b[i])
		if !fast {
			good = false
			continue
		}
		loss[i] = log1p(u)
		if fa != nil {
			f, g := TargetFactors(e, u, scale[i])
			good = good && TargetFits[T](x, f, g)
			fa[i], fb[i] = T(f), T(g)
		}
	}
	return good
}

// FactorFits reports whether an exponential at pivot 0 may be multiplied by the
// factor f: that is a normal number, and no exponential below the smallest
// normal number counts in the product.
func FactorFits[T Float](f float64) bool {
	low, high := coef.FactorLow64, coef.FactorHigh64
	if IsFloat32[T]() {
		low, high = coef.FactorLow32, coef.FactorHigh32
	}
	f = math.Abs(f)
	return f >= low && f <= high
}

// accumulateGeneric adds x[i·stride+j] to dst[i·dstStride+j].
func accumulateGeneric[T Float](dst []T, dstStride int, x []T, stride, rows, n int) {
	for i := range rows {
		out := dst[i*dstStride:][:n]
		for j, v := range x[i*stride:][:n] {
			out[j] += v
		}
	}
}

// MostParts is the number of losses whose parts can be added exactly, and
// PartBound the bound of these.
const (
	MostParts = 1 << 8
	PartBound = 0x1p17
)

// LossParts are Σx in three parts, all sums exact, with the extremes of x.
// They are right if all x are in [0, PartBound) and nothing is left: so it is if
// those that are not 0 are at least 2^-66.
type LossParts struct {
	Sum      [3]float64
	rest     float64 // what is left of all, its bits or'ed
	Min, Max float64
}

func (p *LossParts) Right() bool {
	return math.Float64bits(p.rest) == 0 && p.Min >= 0 && p.Max < PartBound
}

// addPartsGeneric computes the parts of at most MostParts losses, a multiple of
// 8. Where they are not right, they are open.
func addPartsGeneric(p *LossParts, x []float64) {
	*p = LossParts{Min: x[0], Max: x[0]}
	var rest uint64
	for _, v := range x {
		p.Min, p.Max = min(p.Min, v), max(p.Max, v)
		for j, m := range coef.PartMagic {
			part := float64(v+m) - m
			p.Sum[j] += part
			v -= part
		}
		rest |= math.Float64bits(v)
	}
	p.rest = math.Float64frombits(rest)
}

// FastSum reports whether a sum at pivot 0 is right as it stands; that of no
// terms is 0. It takes no jumps, for sums of no terms come and go.
func FastSum[T Float](x float64) bool {
	low, high := coef.NaturalLow64, coef.NaturalHigh64
	if IsFloat32[T]() {
		low, high = coef.NaturalLow32, coef.NaturalHigh32
	}
	// The bits of sums are in their order, NaN last; those below low wrap round.
	b, least := math.Float64bits(x), math.Float64bits(low)
	some := uint64(int64(b<<1|-(b<<1)) >> 63) // all ones, but of 0 and -0
	return (b-least)&some <= math.Float64bits(high)-least
}

// naturalLow is the least natural sum.
func naturalLow[T Float]() float64 {
	if IsFloat32[T]() {
		return coef.NaturalLow32
	}
	return coef.NaturalLow64
}
