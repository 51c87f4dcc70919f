package kernel

import "github.com/zlpr/zlpr/internal/scalar"

// This file is the specification of the kernels of short rows: every tier gives
// the bits of these functions.
//
// The elements of short rows without a gap are evaluated one after the other,
// whatever the row: no lane is left empty where a row ends. Then the rows are
// brought down to their sums, several side by side, a row in each lane of the
// result. The lanes of a row are added in a fixed order: l and l+16, l and l+8, and so
// on. At most three additions of a term are in float32, as in a group of longer rows
// (see select.go): the others, and the last, are in float64.

// ShortRow is the length of the longest short row, and ShortRows the number of
// which there must be a multiple.
const (
	ShortRow  = 32
	ShortRows = 64
)

// ShortRoom is the number of elements that the place of as many exponentials of
// short rows takes: kernels read on to the end of a register.
func ShortRoom(n int) int { return n + 16 }

// shortExpGeneric writes e^x[i], or -e^-x[i] where bit i of pos is set, to w[i],
// x clamped to the range of pivot 0; and 0 where part is not nil and has not bit
// i. It reports whether none of these exponentials, of all elements, is below
// normalExp.
func shortExpGeneric(w, x []float32, pos, part []uint64) bool {
	limits := PivotParams[float32](0)
	normal := true
	for k := 0; k < len(x); k += 2 * Lanes32 {
		var y, e [2 * Lanes32]float32
		p, q := pos[k/64]>>(k%64), ^uint64(0)
		if part != nil {
			q = part[k/64] >> (k % 64)
		}
		for j, v := range x[k:][:len(y)] {
			y[j] = flip(v, p>>j)
		}
		Exp32(&e, y[:], limits[0], limits[1], limits[2])
		for j, v := range e {
			normal = normal && !(v < normalExp[float32]())
			w[k+j] = flip(only(v, q>>j), p>>j)
		}
	}
	return normal
}

// shortSumsGeneric writes the sums of the positive elements of every row of n to
// a and those of the negative ones, less their signs, to b.
func shortSumsGeneric(a, b []float64, w []float32, rows, n int) {
	for i := range rows {
		var e [2][ShortRow]float32
		for j, v := range w[i*n:][:n] {
			// A NaN is in both.
			if !(v <= 0) {
				e[0][j] = v
			}
			if !(v >= 0) {
				e[1][j] = -v
			}
		}
		var sums [2]float64
		for s := range e {
			sums[s] = shortSum(&e[s], n)
		}
		a[i], b[i] = sums[0], sums[1]
	}
}

// shortSum returns the sum of a row of n, 0 after its end.
func shortSum(e *[ShortRow]float32, n int) float64 {
	var lanes [4]float32
	for l := range lanes {
		lanes[l] = four32(e, l) + four32(e, 4+l)
	}
	if n <= ShortRow/2 {
		return float64(lanes[0]+lanes[2]) + float64(lanes[1]+lanes[3])
	}
	return (float64(lanes[0]) + float64(lanes[2])) + (float64(lanes[1]) + float64(lanes[3]))
}

// four32 returns the sum of lanes l, l+8, l+16 and l+24.
func four32(e *[ShortRow]float32, l int) float32 { return (e[l] + e[16+l]) + (e[8+l] + e[24+l]) }

// shortScaleGeneric is selectScaleGeneric for rows without a gap.
func shortScaleGeneric(dst []float32, dstStride int, w []float32, rows, n int, fa, fb []float32) {
	selectScaleGeneric(dst, dstStride, w, n, rows, n, fa, fb)
}

// shortJoinsGeneric writes Π (1+w) - 1 over every row to u. Lanes are joined in that
// order too (see bce.go). Unless m is nil, it writes the sums of that to sum.
func shortJoinsGeneric(u, sum []float64, w, m []float32, rows, n int) {
	for i := range rows {
		if m != nil {
			var e [ShortRow]float32
			copy(e[:], m[i*n:][:n])
			sum[i] = shortSum(&e, n)
		}
		var e [ShortRow]float32
		copy(e[:], w[i*n:][:n])
		eight := func(l int) float32 { return join32(join32(e[l], e[16+l]), join32(e[8+l], e[24+l])) }
		var lanes [4]float32
		for l := range lanes {
			lanes[l] = join32(eight(l), eight(4+l))
		}
		if n <= ShortRow/2 {
			u[i] = join64(float64(join32(lanes[0], lanes[2])), float64(join32(lanes[1], lanes[3])))
		} else {
			even, odd := join64(float64(lanes[0]), float64(lanes[2])), join64(float64(lanes[1]), float64(lanes[3]))
			u[i] = join64(even, odd)
		}
	}
}

// shortOddsGeneric writes w = e^y, y = x[i] or -x[i] where bit i of pos is set, to w[i],
// and w/(1+w)·scale[0], of the sign of y against x[i], to dst[i] unless that is nil; 0
// where bit i of part is not set. Unless lost is nil, the exponentials are those of x + lost.
func shortOddsGeneric[T Float](w, dst, x, lost []T, pos, part []uint64, scale []float64) {
	a := BCEArgs[T]{X: x, Rows: 1, N: len(x), Pos: pos, Neg: part, Words: len(pos), Dst: dst, Scale: scale}
	for k := 0; k < len(x); k += 32 {
		var e [32]T
		if lost != nil {
			a.powersOf(&e, 0, k, lost[k:])
		} else {
			a.powers(&e, 0, k)
		}
		copy(w[k:], e[:])
	}
}

// shortDifferencesGeneric writes x - s0 of every row's s0 to y, and what that is short of to
// lost.
func shortDifferencesGeneric[T Float](y, lost, x []T, s0 []float64, rows, n int) {
	for i := range rows {
		hi := T(s0[i])
		p := [1]BCEParams[T]{{1, hi, T(s0[i] - float64(hi))}}
		a := BCEArgs[T]{Shifted: true, Params: p[:]}
		for j := range n {
			y[i*n+j], lost[i*n+j] = a.difference(0, x[i*n+j], 0)
		}
	}
}

// shortSoftGeneric writes e^-|x| to w, the linear parts to m and unless dst is nil the
// derivatives times scale[0] to dst (see softElements).
func shortSoftGeneric[T Float](w, m, dst, x, t []T, part []uint64, scale []float64) {
	for k := 0; k < len(x); k += 32 {
		var s softElements[T]
		in := part[k/64] >> (k % 64)
		s.evaluate(x[k:][:32], t[k:], in)
		copy(w[k:], s.e[:])
		copy(m[k:], s.m[:])
		if dst == nil {
			continue
		}
		s.gradient(dst[k:], 32, T(scale[0]))
		for j, g := range dst[k:][:32] {
			dst[k+j] = only(g, in>>j)
		}
	}
}

// shortLogsGeneric writes log(Π (1+w)), or NaN where that is no number, over the elements
// l, l+8, l+16 and l+24 of every row to q, l < 8; and unless m is nil adds the sums of these
// elements of m.
func shortLogsGeneric(q, w, m []float64, rows, n int) {
	for i := range rows {
		var e, linear [ShortRow]float64
		copy(e[:], w[i*n:][:n])
		if m != nil {
			copy(linear[:], m[i*n:][:n])
		}
		for l := range Lanes64 {
			p := join64(join64(e[l], e[8+l]), join64(e[16+l], e[24+l]))
			v := scalar.Log1pFinite(p) + (p - p)
			if m != nil {
				v += (linear[l] + linear[8+l]) + (linear[16+l] + linear[24+l])
			}
			q[Lanes64*i+l] = v
		}
	}
}
