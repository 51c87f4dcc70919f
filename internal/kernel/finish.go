package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// finishSumsGeneric writes log1p(a[i]) + log1p(b[i]) to loss[i], scale[i]·(1/(1+a[i]))
// to fa[i] and scale[i]·(1/(1+b[i])) to fb[i]. It reports whether all sums are
// Natural or 0 and all factors fit; where not, the results are open.
func finishSumsGeneric[T Float](loss []float64, fa, fb []T, a, b, scale []float64) bool {
	good := true
	for i, u := range a {
		v, s := b[i], scale[i]
		if !(FastSum[T](u) && FastSum[T](v)) {
			good = false
			continue
		}
		f, g := s*(1/(1+u)), s*(1/(1+v))
		good = good && FactorFits[T](f) && FactorFits[T](g)
		loss[i] = scalar.Log1pFinite(u) + scalar.Log1pFinite(v)
		fa[i], fb[i] = T(f), T(g)
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
// terms is 0.
func FastSum[T Float](x float64) bool { return Natural[T](x) || x == 0 }
