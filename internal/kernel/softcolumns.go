package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file is the specification of the kernels of softmax cross-entropy with soft labels of
// short rows, that of softmaxtargets.go for rows of which most of a group would be empty. They
// take as many rows as a virtual vector has lanes, a row in every lane: element j of row i is
//
//	x[(i/lanes·n + j)·lanes + i%lanes]
//
// A row's elements come in the order of its lanes there, so the sums are the same.

// LeastColumns is the length of the shortest row that these kernels take.
const LeastColumns = 8

// MostColumns is the length of the longest row that these kernels take: a group.
func MostColumns[T Float]() int { return 4 * LanesOf[T]() }

// HasColumns reports whether the tier has these kernels. Others have the twins, and the kernels
// of longer rows.
func HasColumns() bool { return Active == AVX2 || Active == AVX512 }

// column returns the place of element 0 of row i, and the distance to the next.
func column[T Float](i, n int) (at, step int) {
	lanes := LanesOf[T]()
	return i/lanes*n*lanes + i%lanes, lanes
}

// toColumnsGeneric writes the columns of rows to dst.
func toColumnsGeneric[T Float](dst, x []T, stride, rows, n int) {
	for i := range rows {
		at, step := column[T](i, n)
		for j, v := range x[i*stride:][:n] {
			dst[at+j*step] = v
		}
	}
}

// toRowsGeneric writes the rows of columns to dst.
func toRowsGeneric[T Float](dst []T, stride int, x []T, rows, n int) {
	for i := range rows {
		at, step := column[T](i, n)
		row := dst[i*stride:][:n]
		for j := range row {
			row[j] = x[at+j*step]
		}
	}
}

// softColumnSums32Generic writes the sums of every row's exponentials w, products and labels t,
// without those of the highest score, that score, and the sum of all labels to out, room apart;
// the label of that score to label.
func softColumnSums32Generic(out []float64, room int, label, x, t, w []float32, rows, n int) (bits uint64) {
	good := true
	for i := range rows {
		g := newColumnGroup(x, t, w, i, n)
		var sums [3][8]float64
		for l := range 8 {
			q := g.products(l, fma32)
			sums[0][l] = float64(four(&g.power, l) + four(&g.power, 8+l))
			sums[1][l] = float64(q + g.products(8+l, fma32))
			sums[2][l] = float64(four(&g.others, l) + four(&g.others, 8+l))
		}
		good = g.write(out[i:], room, label[i:], eight(&sums[0]), eight(&sums[1]), eight(&sums[2])) && good
	}
	if !good {
		return math.MaxUint64
	}
	return mostBits(t, rows*n, 1, rows*n)
}

// softColumnSums64Generic is softColumnSums32Generic for float64.
func softColumnSums64Generic(out []float64, room int, label, x, t, w []float64, rows, n int) (bits uint64) {
	good := true
	for i := range rows {
		g := newColumnGroup(x, t, w, i, n)
		var sums [3][8]float64
		for l := range 8 {
			sums[0][l], sums[1][l], sums[2][l] = four(&g.power, l), g.products(l, math.FMA), four(&g.others, l)
		}
		good = g.write(out[i:], room, label[i:], eightExactly(&sums[0]), eightExactly(&sums[1]), eightExactly(&sums[2])) && good
	}
	if !good {
		return math.MaxUint64
	}
	return mostBits(t, rows*n, 1, rows*n)
}

// powersRange is the range of the arguments of these exponentials.
func powersRange[T Float]() (low, high T) {
	p := PivotParams[T](0)
	if IsFloat32[T]() {
		return T(coef.ScaleLow32), p[2]
	}
	return T(coef.ScaleLow64), p[2]
}

// SoftPowers is what ShortPowers takes for these exponentials.
func SoftPowers[T Float]() RowParams[T] {
	p := PivotParams[T](0)
	p[1], p[2] = powersRange[T]()
	return p
}

// A columnGroup is the elements of a row.
type columnGroup[T Float] struct {
	targetGroup[T]
	top, topLabel T
	count         int // of elements with that score
}

// newColumnGroup returns those of row i.
func newColumnGroup[T Float](x, t, w []T, i, n int) (g columnGroup[T]) {
	at, step := column[T](i, n)
	g.top = x[at]
	for j := range n {
		g.top = max(g.top, x[at+j*step])
	}
	for j := range n {
		k := at + j*step
		g.distance[j], g.label[j] = g.top-x[k], t[k]
		if x[k] == g.top {
			g.topLabel = t[k]
			g.count++
		} else {
			g.power[j], g.others[j] = w[k], t[k]
		}
	}
	return g
}

// write writes a row's results, and reports whether they are good.
func (g *columnGroup[T]) write(out []float64, room int, label []T, powers, products, others float64) bool {
	out[0], out[room], out[2*room], out[3*room] = powers, products, others, float64(g.top)
	out[4*room] = others + float64(g.topLabel)
	label[0] = g.topLabel
	_, high := powersRange[T]()
	return g.count == 1 && g.top >= coef.LeastTop && g.top <= high && powers > 0 && powers <= math.MaxFloat64 &&
		products <= math.MaxFloat64 && others <= math.MaxFloat64 && !SmallProducts[T](products, others)
}

// four returns the sum of a lane of a group's virtual vectors.
func four[T Float](v *[4 * Lanes32]T, l int) T {
	lanes := LanesOf[T]()
	return (v[l] + v[lanes+l]) + (v[2*lanes+l] + v[3*lanes+l])
}

// products returns that of the products.
func (g *columnGroup[T]) products(l int, fma func(x, y, z T) T) T {
	lanes := LanesOf[T]()
	q := T(g.distance[l] * g.label[l])
	for k := lanes; k < 4*lanes; k += lanes {
		q = fma(g.distance[k+l], g.label[k+l], q)
	}
	return q
}

// eightExactly is eight, with the errors of the sums.
func eightExactly(c *[8]float64) float64 {
	var d [8]float64
	for half := 4; half > 0; half /= 2 {
		for l := range half {
			c[l], d[l] = TwoSum(c[l], d[l]+d[half+l], c[half+l])
		}
	}
	return c[0] + d[0]
}

// softColumnFinish32Generic finishes rows as finishTarget32Generic does, with their products
// and labels.
func softColumnFinish32Generic(loss []float64, factors []float32, sums []float64, room int, label []float32, scale []float64, rows int) bool {
	good := true
	for i := range rows {
		f := columnFinish[float32]{log1p: scalar.Log1pSum}
		good = f.finish(loss[i:], factors, sums[i:], room, scale, i) && good
		if scale != nil {
			factors[3*room+i] = float32(f.product - float64(float32(f.share)))
		}
	}
	return good
}

// softColumnFinish64Generic is softColumnFinish32Generic for float64.
func softColumnFinish64Generic(loss, factors, sums []float64, room int, label, scale []float64, rows int) bool {
	good := true
	for i := range rows {
		f := columnFinish[float64]{log1p: scalar.Log1pFinite}
		good = f.finish(loss[i:], factors, sums[i:], room, scale, i) && good
		if scale != nil {
			_, err := TwoSum(f.others, 0, label[i])
			factors[3*room+i], _ = ExactPeak(scale[i], f.factor, f.mass, err, f.others, -f.share)
		}
	}
	return good
}

// ExactPeak returns scale·others + product, of which product is factor times what is left
// when mass + err times the scale stands in the factor's place, and the share of the product that it has lost.
func ExactPeak(scale, factor, mass, err, others, product float64) (d, rest float64) {
	if factor != 0 {
		rest = (math.FMA(scale, mass, -factor) + float64(scale*err)) / factor
	}
	h := float64(scale * others)
	lo := math.FMA(scale, others, -h)
	d = product + h
	b := d - product
	return d + ((product - (d - b)) + (h - b) + (lo + float64(product*rest))), rest
}

// A columnFinish is a row of these kernels: for the derivative by the highest score
// the scale times the others' labels and, to be taken off, times T·(1-p).
type columnFinish[T Float] struct {
	log1p                                func(float64) float64
	others, mass, factor, product, share float64
}

// finish finishes row i but for that derivative.
func (f *columnFinish[T]) finish(loss []float64, factors []T, sums []float64, room int, scale []float64, i int) bool {
	a, distance, top := sums[0], sums[room], sums[3*room]
	f.others, f.mass = sums[2*room], sums[4*room]
	_, high := powersRange[T]()
	if above := top - coef.LeastTop; !(a > 0 && FastSum[T](a) && above >= 0 && above <= min(coef.TargetLimit, float64(high))-coef.LeastTop) {
		return false
	}
	b := scalar.Exp(-top)
	u := float64(a * b)
	if !(u >= coef.TermLow && u <= coef.ColumnTermHigh) {
		return false
	}
	l := f.log1p(u)
	loss[0] = float64(l*f.mass) + distance
	good := loss[0] >= 0 && loss[0] <= math.MaxFloat64 && !SmallProducts[T](distance, f.others)
	if scale == nil {
		return good
	}
	f.factor = float64(scale[i] * f.mass)
	g, target := TargetFactors(b, u, f.factor)
	f.product, f.share = float64(scale[i]*f.others), -target
	most := T(top)
	if l > coef.LargeLoss {
		most = T(math.Inf(1))
	}
	factors[i], factors[room+i], factors[2*room+i] = T(g), T(scale[i]), most
	s := math.Abs(scale[i])
	return good && s >= coef.LeastScale && s <= coef.MostScale && FactorFits[T](g)
}

// softColumnScale32Generic makes exponentials w gradients, as softTargetScale32Generic does.
func softColumnScale32Generic(x, t, w []float32, rows, n int, factors []float32, room int) (bits uint64) {
	for i := range rows {
		at, step := column[float32](i, n)
		f, scale, most, peak := factors[i], factors[room+i], factors[2*room+i], factors[3*room+i]
		for k := at; k < at+n*step; k += step {
			e := w[k]
			w[k] = peak
			if x[k] != most {
				w[k] = fma32(-scale, t[k], float32(e*f))
			}
		}
	}
	return leastBits(t, rows*n, 1, rows*n)
}

// softColumnScale64Generic is softColumnScale32Generic for float64.
func softColumnScale64Generic(x, t, w []float64, rows, n int, factors []float64, room int) (bits uint64) {
	for i := range rows {
		at, step := column[float64](i, n)
		f, scale, most, peak := factors[i], factors[room+i], factors[2*room+i], factors[3*room+i]
		for k := at; k < at+n*step; k += step {
			e := w[k]
			w[k] = peak
			if x[k] != most {
				w[k] = math.FMA(-scale, t[k], float64(e*f))
			}
		}
	}
	return leastBits(t, rows*n, 1, rows*n)
}
