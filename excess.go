package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
	"github.com/zlpr/zlpr/internal/scalar"
)

// With the maximum m = x[k] of a row, and its excess E over a row of m alone,
//
//	LSE(x) = m + L,  log-softmax: x[i] - LSE(x) = (x[i]-m) - L
//	L = log1p(E),  E = Σ_{j≠k} e^(x[j]-m)
//
// Both terms of an entry are at most 0, and so nothing cancels: entries have small
// relative error however close to 0 they are, whatever the shift of the scores.

// leastExcess is the least excess of a row of n that the sum of exponentials less
// that of the maximum gives within the bounds. Where the maximum shares its lane, the
// sum of a pair is rounded.
func leastExcess[T Float](n int) float64 {
	switch {
	case n <= kernel.LanesOf[T]():
		return 0x1p-20
	case kernel.IsFloat32[T]():
		return 0.25
	}
	return 0.375
}

// excesses are the maxima of at most batch rows, of at most a block each, whose sums of
// exponentials at pivot 0 are natural, and their excesses. With w = e^m as it is in the
// sum,
//
//	E = (Σ e^x - w)·e^-m
type excesses[T Float] struct {
	top              [batch]T
	excess           [batch]float64
	w, factors       [batch]float64
	exponentials, ls [batch]T
	low              [batch]uint8 // rows of which too little is left

	// Where rows of at most roomRow elements are evaluated without their maxima; nil
	// for a place that lasts for one time.
	room *excessRoom[T]
}

// roomRow is the length of the longest row of which an excessRoom has copies.
const roomRow = 64

// An excessRoom is a place for copies of rows and for their sums.
type excessRoom[T Float] struct {
	rows [16 * roomRow]T
	sums sums
}

// of finds the maxima and the excesses of the rows of m, given their sums.
func (e *excesses[T]) of(m Matrix[T], hi, err []float64) {
	rows := m.Rows
	kernel.Maximum(e.top[:rows], m.Data, m.Stride, rows, m.Cols)
	room := (rows + 31) &^ 31
	kernel.TiltExp(e.factors[:room], e.top[:room], -1, 0)
	p := [1]kernel.RowParams[T]{kernel.PivotParams[T](0)}
	p[0][2] = 1
	scaleExp(e.exponentials[:], rows, e.top[:], rows, 1, rows, p[:], 0, 0)
	convert(e.w[:rows], e.exponentials[:rows])
	excess, hi, err := e.excess[:rows], hi[:rows], err[:rows]
	w, factor := e.w[:rows], e.factors[:rows]
	least, count := leastExcess[T](m.Cols), 0
	for i := range excess {
		d := ((hi[i] - w[i]) + err[i]) * factor[i]
		excess[i] = d
		e.low[count%batch] = uint8(i)
		count += int(math.Float64bits(d-least) >> 63) // 1 where d < least, without a branch
	}
	if count > 0 {
		e.without(excess, e.low[:count], m, factor)
	}
}

// logs returns log1p(E) of the first rows.
func (e *excesses[T]) logs(rows int) []T {
	if rows > 1 {
		kernel.Log1p64(e.w[:rows], e.excess[:rows])
		convert(e.ls[:rows], e.w[:rows])
	} else {
		e.ls[0] = T(scalar.Log1pFinite(e.excess[0]))
	}
	return e.ls[:rows]
}

// convert writes the elements of x to dst, of the same length, in its type. Four
// conversions at a time do not wait for one another.
func convert[D, S Float](dst []D, x []S) {
	for len(x) >= 4 && len(dst) >= 4 {
		a, b, c, d := D(x[0]), D(x[1]), D(x[2]), D(x[3])
		dst[0], dst[1], dst[2], dst[3] = a, b, c, d
		dst, x = dst[4:], x[4:]
	}
	for i, v := range x {
		dst[i] = D(v)
	}
}

// without writes the excess of the rows of those numbers without taking the maximum into
// the sum,
//
//	E = Σ_{j≠k} e^x[j] · e^-m
//
// of copies of the rows with -Inf in its place.
func (e *excesses[T]) without(excess []float64, rows []uint8, m Matrix[T], factor []float64) {
	switch {
	case m.Cols > roomRow:
		var room [BlockLen]T
		var s sums
		copiedExcesses(room[:], &s, excess, rows, e.top[:], m, factor)
	case e.room == nil:
		var room excessRoom[T]
		copiedExcesses(room.rows[:], &room.sums, excess, rows, e.top[:], m, factor)
	default:
		copiedExcesses(e.room.rows[:], &e.room.sums, excess, rows, e.top[:], m, factor)
	}
}

// copiedExcesses is without with room for copies of rows, and for their sums.
func copiedExcesses[T Float](room []T, s *sums, excess []float64, rows []uint8, top []T, m Matrix[T], factor []float64) {
	p := kernel.PivotParams[T](0)
	x, stride, n := m.Data, m.Stride, m.Cols
	for len(rows) > 0 {
		count := min(len(rows), len(room)/n)
		for i, r := range rows[:count] {
			row := room[i*n:][:n]
			copy(row, x[int(r)*stride:])
			row[indexOf(row, top[r])] = T(math.Inf(-1))
		}
		sumExp(s.hi[:], s.err[:], room, n, count, n, &p)
		for i, r := range rows[:count] {
			if kernel.Natural[T](s.hi[i]) {
				excess[r] = naturalPower(s.hi[i], s.err[i]).Times(power.Number{Hi: factor[r]}).Float()
			} else {
				row := x[int(r)*stride:][:n]
				excess[r] = anyExcess(row, indexOf(row, top[r]))
			}
		}
		rows = rows[count:]
	}
}

// indexOf returns the place of the first element that is m, which is the maximum.
func indexOf[T Float](x []T, m T) int {
	const step = 64
	from := 0
	if blocks := len(x) / step; 1 < blocks && blocks <= BlockLen/step {
		var tops [BlockLen / step]T
		kernel.Maximum(tops[:blocks], x, step, blocks, step)
		for from < blocks && tops[from] != m {
			from++
		}
		from *= step
	}
	for x[from] != m {
		from++
	}
	return from
}

// longExcess returns the excess of a row whose sum is p and whose finite maximum is m.
// The errors of p are small to an excess of 1.6.
func longExcess[T Float](x []T, p power.Number, m T) float64 {
	if e := p.Times(power.Exp(-float64(m))).Float() - 1; e >= 1.6 {
		return e
	}
	return anyExcess(x, indexOf(x, m))
}

// anyExcess returns the excess of a row whose finite maximum is x[k], in the
// general way.
func anyExcess[T Float](x []T, k int) float64 {
	s := expSum{sumOnly: true}
	addScores(&s, x[:k])
	addScores(&s, x[k+1:])
	p, c := s.result()
	if c != power.Finite {
		return 0 // the others are -Inf
	}
	return p.Times(power.Exp(-float64(x[k]))).Float()
}

// blockLog returns the logarithm of the sum of exponentials of a block. Where one
// score may hold almost all of it the logarithm can lie below the maximum, and
// counts in its last places: there it is m + log1p(E), exact for one score.
func blockLog[T Float](x []T, p power.Number, c power.Class) (l float64, alone bool) {
	l = c.Log(p)
	if c != power.Finite {
		return l, false
	}
	below, _ := peakedRange[T]()
	if size := math.Abs(l); size >= coef.ShiftFrom {
		// The parts of a large logarithm are rounded: by a few of its last places.
		below = max(below, size*0x1p-50)
	} else if !mayBePeaked(l, x) {
		return l, false
	}
	m := maxOf(x)
	if l-float64(m) > below {
		return l, false
	}
	return float64(m) + scalar.Log1pFinite(anyExcess(x, indexOf(x, m))), true
}

// peakedRange returns what LSE - m must be above for the error of an exponential
// not to take it below 0, and a distance: where LSE - m is less all other scores lie
// farther than that below the maximum.
func peakedRange[T Float]() (below, distance float64) {
	if kernel.IsFloat32[T]() {
		return 0x1p-22, 15
	}
	return 0x1p-50, 34
}

// mayBePeaked reports whether a row may be in that range, by one score: it is the
// maximum, or another.
func mayBePeaked[T Float](l float64, x []T) bool {
	below, distance := peakedRange[T]()
	d := l - float64(x[0])
	return !(d > below && d < distance)
}

// anyPeaked is mayBePeaked for any of some rows.
func anyPeaked[T Float](l []float64, x []T, stride int) bool {
	below, distance := peakedRange[T]()
	// The bits of the differences are in their order, NaN last; those of at most below
	// wrap round.
	least := math.Float64bits(below) + 1
	bits := func(l float64, v T) uint64 { return math.Float64bits(l-float64(v)) - least }
	at, a, b := 0, uint64(0), uint64(0)
	// Four conversions at a time do not wait for one another.
	for ; len(l) >= 4; l = l[4:] {
		d0, d1 := bits(l[0], x[at]), bits(l[1], x[at+stride])
		d2, d3 := bits(l[2], x[at+2*stride]), bits(l[3], x[at+3*stride])
		a, b = max(a, d0, d2), max(b, d1, d3)
		at += 4 * stride
	}
	for i, v := range l {
		a = max(a, bits(v, x[at+i*stride]))
	}
	return max(a, b) >= math.Float64bits(distance)-least
}
