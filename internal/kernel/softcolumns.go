package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/scalar"
)

// This file is the specification of the kernels of softmax cross-entropy with soft labels of
// short rows. They are what softmaxtargets.go says, but rows lie side by side, as many as a
// virtual vector has lanes, a row in every lane: element j of row i is
//
//	x[(i/lanes·ColumnsLen(n) + j)·lanes + i%lanes]
//
// Four elements after the other are added in T, the sums of four in float64, of float64
// exactly. To the row's end there are elements with the lowest score and the label 0. The peak
// is the first element with the highest score, and its power e^-top is one of T too, NaN beyond ColumnLimit: all
// sums have two roundings to T at most.

// LeastColumns is the length of the shortest row that these kernels take.
const LeastColumns = 8

// MostColumns is the length of the longest row that these kernels take: a group of those of
// longer rows.
func MostColumns[T Float]() int { return 4 * LanesOf[T]() }

// HasColumns reports whether the tier has these kernels, and not only their twins.
func HasColumns() bool { return Active == AVX2 || Active == AVX512 }

// ColumnsLen is the number of columns of rows of n elements.
func ColumnsLen(n int) int { return (n + 3) &^ 3 }

// ColumnLimit is coef.ColumnLimit32 or coef.ColumnLimit64.
func ColumnLimit[T Float]() float64 {
	if IsFloat32[T]() {
		return coef.ColumnLimit32
	}
	return coef.ColumnLimit64
}

// column returns the place of element 0 of row i, and the distance to the next.
func column[T Float](i, n int) (at, step int) {
	lanes := LanesOf[T]()
	return i/lanes*ColumnsLen(n)*lanes + i%lanes, lanes
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

// softColumnSums32Generic writes the sums of rows to sums, room apart, and what is known of their
// peaks to peaks: labels, scores and powers.
func softColumnSums32Generic(sums []float64, room int, peaks, x, t, w []float32, rows, n int) (bits uint64) {
	p := PivotParams[float32](0)
	var g columnRow[float32]
	var e [2 * Lanes32]float32
	for i := range rows {
		g.read(x, t, i, n)
		for j := 0; j <= g.n; j += len(e) {
			Exp32(&e, g.x[j:min(g.n+1, j+len(e))], p[0], float32(coef.ScaleLow32), p[2])
			copy(g.e[j:], e[:])
		}
		g.setPower()
		g.keep(w, i, n)
		var acc [3]float64
		for j := 0; j < g.n; j += 4 {
			for k, v := range g.four(j, fma32) {
				acc[k] += float64(v)
			}
		}
		g.write(sums, room, peaks, i, acc)
	}
	return columnBits(t, rows, n)
}

// softColumnSums64Generic is softColumnSums32Generic for float64.
func softColumnSums64Generic(sums []float64, room int, peaks, x, t, w []float64, rows, n int) (bits uint64) {
	p := PivotParams[float64](0)
	var g columnRow[float64]
	var e [2 * Lanes64]float64
	for i := range rows {
		g.read(x, t, i, n)
		for j := 0; j <= g.n; j += len(e) {
			Exp64(&e, g.x[j:min(g.n+1, j+len(e))], p[0], float64(coef.ScaleLow64), p[2])
			copy(g.e[j:], e[:])
		}
		g.setPower()
		g.keep(w, i, n)
		var acc, err [3]float64
		for j := 0; j < g.n; j += 4 {
			for k, v := range g.four(j, fma64) {
				acc[k], err[k] = TwoSum(acc[k], err[k], v)
			}
		}
		for k := range acc {
			acc[k] += err[k]
		}
		g.write(sums, room, peaks, i, acc)
	}
	return columnBits(t, rows, n)
}

// columnBits is mostBits of columns.
func columnBits[T Float](t []T, rows, n int) uint64 {
	size := rows * ColumnsLen(n)
	return mostBits(t, size, 1, size)
}

// A columnRow is a row of n columns.
type columnRow[T Float] struct {
	x, t, e           [6 * Lanes32]T
	n, peak           int
	top, label, power T
}

// read makes g row i, without exponentials.
func (g *columnRow[T]) read(x, t []T, i, n int) {
	g.n, g.peak = ColumnsLen(n), 0
	at, step := column[T](i, n)
	for j := range g.n {
		g.x[j], g.t[j] = x[at+j*step], t[at+j*step]
		if g.x[j] > g.x[g.peak] {
			g.peak = j
		}
	}
	g.top, g.label = g.x[g.peak], g.t[g.peak]
	g.x[g.n] = -g.top
}

// setPower sets e^-top, which comes behind the row's exponentials.
func (g *columnRow[T]) setPower() {
	if g.power = g.e[g.n]; !(math.Abs(float64(g.top)) <= ColumnLimit[T]()) {
		g.power = CanonicalNaN[T]()
	}
}

// keep writes the exponentials to w, unless that is nil.
func (g *columnRow[T]) keep(w []T, i, n int) {
	if w == nil {
		return
	}
	at, step := column[T](i, n)
	for j, e := range g.e[:g.n] {
		w[at+j*step] = e
	}
}

// four returns the sums of exponentials, products and labels of four elements from j on.
func (g *columnRow[T]) four(j int, fma func(x, y, z T) T) (sums [3]T) {
	var d, e, t [4]T
	for k := range d {
		d[k] = g.top - g.x[j+k]
		if j+k != g.peak {
			e[k], t[k] = g.e[j+k], g.t[j+k]
		}
	}
	q := T(d[0] * g.t[j])
	for k := 1; k < 4; k++ {
		q = fma(d[k], g.t[j+k], q)
	}
	return [3]T{(e[0] + e[1]) + (e[2] + e[3]), q, (t[0] + t[1]) + (t[2] + t[3])}
}

// fma64 is math.FMA, whose value as a function is not the processor's instruction.
func fma64(x, y, z float64) float64 { return math.FMA(x, y, z) }

// write writes the results of row i.
func (g *columnRow[T]) write(sums []float64, room int, peaks []T, i int, acc [3]float64) {
	for k, v := range acc {
		sums[k*room+i] = v
	}
	peaks[i], peaks[room+i], peaks[2*room+i] = g.label, g.top, g.power
}

// softColumnFinish32Generic finishes rows as finishTarget32Generic does, with their products
// and labels.
func softColumnFinish32Generic(loss []float64, factors []float32, sums []float64, room int, peaks []float32, powers, scale []float64, rows int) bool {
	good := true
	for i := range rows {
		f, ofLoss, ofGradient := newColumnFinish(sums, room, peaks, powers, scale, i, scalar.Log1pSum)
		good = good && ofLoss && ofGradient
		loss[i] = f.loss
		if scale != nil {
			f.write(factors, room, i, float32(f.product-float64(float32(f.share))))
		}
	}
	return good
}

// softColumnFinish64Generic is softColumnFinish32Generic for float64.
func softColumnFinish64Generic(loss, factors, sums []float64, room int, peaks, powers, scale []float64, rows int) bool {
	good := true
	for i := range rows {
		f, ofLoss, ofGradient := newColumnFinish(sums, room, peaks, powers, scale, i, scalar.Log1pFinite)
		good = good && ofLoss && ofGradient
		loss[i] = f.loss
		if scale != nil {
			_, err := TwoSum(f.others, 0, peaks[i])
			peak, _ := ExactPeak(f.scale, f.factor, f.mass, err, f.others, -f.share)
			f.write(factors, room, i, peak)
		}
	}
	return good
}

// ColumnGood reports whether SoftColumnFinish finishes the loss of row i, and if scale is not nil
// the gradient.
func ColumnGood[T Float](sums []float64, room int, peaks []T, scale []float64, i int) (loss, gradient bool) {
	log1p := scalar.Log1pFinite
	if IsFloat32[T]() {
		log1p = scalar.Log1pSum
	}
	_, loss, gradient = newColumnFinish(sums, room, peaks, nil, scale, i, log1p)
	return loss, gradient
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
	loss, others, mass, top, log          float64
	scale, factor, weight, product, share float64
}

// newColumnFinish finishes row i but for that derivative.
func newColumnFinish[T Float](sums []float64, room int, peaks []T, powers, scale []float64, i int, log1p func(float64) float64) (f columnFinish[T], loss, gradient bool) {
	a, distance := sums[i], sums[room+i]
	var b float64
	if powers != nil {
		b = powers[i]
	} else {
		b = float64(peaks[2*room+i])
	}
	f.others, f.top = sums[2*room+i], float64(peaks[room+i])
	f.mass = f.others + float64(peaks[i])
	// u is below the number of classes, so it is too large nowhere.
	u := float64(a * b)
	if !(a >= naturalLow[T]() && u >= coef.TermLow) {
		return f, false, false
	}
	f.log = log1p(u)
	f.loss = float64(f.log*f.mass) + distance
	loss = f.loss >= 0 && f.loss <= math.MaxFloat64 && !SmallProducts[T](f.loss, f.others)
	if scale == nil {
		return f, loss, true
	}
	f.scale = scale[i]
	f.factor = float64(f.scale * f.mass)
	weight, target := TargetFactors(b, u, f.factor)
	f.weight, f.product, f.share = weight, float64(f.scale*f.others), -target
	s := math.Abs(f.scale)
	return f, loss, s >= coef.LeastScale && s <= coef.MostScale && FactorFits[T](weight)
}

// write writes what the gradient of row i takes.
func (f *columnFinish[T]) write(factors []T, room, i int, peak T) {
	most := T(f.top)
	if f.log > coef.LargeLoss {
		most = T(math.Inf(1))
	}
	factors[i], factors[room+i], factors[2*room+i], factors[3*room+i] = T(f.weight), T(f.scale), most, peak
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
	size := rows * ColumnsLen(n)
	return leastBits(t, size, 1, size)
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
	size := rows * ColumnsLen(n)
	return leastBits(t, size, 1, size)
}
