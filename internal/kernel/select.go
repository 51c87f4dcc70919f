package kernel

import "github.com/zlpr/zlpr/internal/coef"

// This file is the specification of the kernels of the losses: every tier gives
// the bits of these functions.
//
// A row is cut into groups of four virtual vectors (see Lanes32), 64 elements of
// float32 or 32 of float64. Two arrays of bits, pos and neg, of
// the given number of words a row, select elements: y = -x for those in pos and
// y = x for those in neg; the others take no part.

// selectSums32Generic writes Σ e^y, y = min(max(±x[i·stride+j], low), high)
// with the limits of pivot 0, over neg to a[i] and over pos to b[i].
//
// The exponentials of a group are added lane by lane as (0+1)+(2+3), then lane
// l+8 to lane l, all in float32; these 8 sums are added to the float64
// accumulators. A NaN of either side is in both sums.
func selectSums32Generic(a, b []float64, x []float32, stride, rows, n int, pos, neg []uint64, words int, h Rows16) {
	selectExp32Generic(a, b, nil, 0, x, stride, rows, n, pos, neg, words, h, &Copy[float32]{})
}

// selectExp32Generic makes the copy, is selectSums32Generic and writes the
// exponentials to w[i·wStride+j]: those of pos negative, 0 where an element is in
// neither. Kernels may write on to the end of the row's last group.
func selectExp32Generic(a, b []float64, w []float32, wStride int, x []float32, stride, rows, n int, pos, neg []uint64, words int, h Rows16, pending *Copy[float32]) {
	pending.Finish()
	limits := PivotParams[float32](0)
	for i := range rows {
		var acc [2][8]float64 // over neg, over pos
		var room [64]float32
		for g := range words {
			group := h.scores(&room, x, i*stride+64*g, min(64, n-64*g))
			p, q := sideBits(pos, i*words+g), neg[i*words+g]
			if w == nil && p|q == 0 {
				continue
			}
			var e [4 * Lanes32]float32
			for k := 0; k < len(group); k += 2 * Lanes32 {
				var y [2 * Lanes32]float32
				m := copy(y[:], group[k:])
				for j := range m {
					y[j] = flip(y[j], p>>(k+j))
				}
				Exp32((*[2 * Lanes32]float32)(e[k:]), y[:m], limits[0], limits[1], limits[2])
			}
			if w != nil {
				keepExp(w[i*wStride+64*g:], e[:len(group)], p, q)
			}
			for s, bits := range [2]uint64{q, p} {
				if bits == 0 {
					continue
				}
				var sum [Lanes32]float32
				for l := range sum {
					sum[l] = (only(e[l], bits>>l) + only(e[16+l], bits>>(16+l))) +
						(only(e[32+l], bits>>(32+l)) + only(e[48+l], bits>>(48+l)))
				}
				for l := range acc[s] {
					acc[s][l] += float64(sum[l] + sum[8+l])
				}
			}
		}
		putSums(a, b, i, eight(&acc[0]), eight(&acc[1]))
	}
}

// sideBits returns a word of a side, 0 of none.
func sideBits(side []uint64, word int) uint64 {
	if side == nil {
		return 0
	}
	return side[word]
}

// putSums sets a[i] and b[i], both NaN where one is; without b there is one side.
func putSums(a, b []float64, i int, x, y float64) {
	if b == nil {
		a[i] = x
		return
	}
	if x != x || y != y {
		x, y = CanonicalNaN[float64](), CanonicalNaN[float64]()
	}
	a[i], b[i] = x, y
}

// targetSums32Generic is selectSums32Generic without positives.
func targetSums32Generic(a []float64, x []float32, stride, rows, n int, neg []uint64, words int) {
	selectExp32Generic(a, nil, nil, 0, x, stride, rows, n, nil, neg, words, Rows16{}, &Copy[float32]{})
}

// targetExp32Generic is selectExp32Generic without positives.
func targetExp32Generic(a []float64, w []float32, wStride int, x []float32, stride, rows, n int, neg []uint64, words int, pending *Copy[float32]) {
	selectExp32Generic(a, nil, w, wStride, x, stride, rows, n, nil, neg, words, Rows16{}, pending)
}

// targetSums64Generic is selectSums64Generic without positives.
func targetSums64Generic(a []float64, x []float64, stride, rows, n int, neg []uint64, words int) {
	selectExp64Generic(a, nil, nil, 0, x, stride, rows, n, nil, neg, words, Rows16{}, &Copy[float64]{})
}

// targetExp64Generic is selectExp64Generic without positives.
func targetExp64Generic(a []float64, w []float64, wStride int, x []float64, stride, rows, n int, neg []uint64, words int, pending *Copy[float64]) {
	selectExp64Generic(a, nil, w, wStride, x, stride, rows, n, nil, neg, words, Rows16{}, pending)
}

// keepExp writes exponentials as selectExp does.
func keepExp[T Float](w, e []T, pos, neg uint64) {
	for j, v := range e {
		w[j] = only(v, neg>>j) - only(v, pos>>j)
	}
}

// flip changes the sign of x where bit 0 of bits is set.
func flip[T Float](x T, bits uint64) T {
	if bits&1 != 0 {
		return -x
	}
	return x
}

// only returns x where bit 0 of bits is set, else 0.
func only[T Float](x T, bits uint64) T {
	if bits&1 != 0 {
		return x
	}
	return 0
}

// selectSums64Generic is selectSums32Generic for float64. The sums of a group's
// lanes are added to the accumulators exactly; the errors are added apart, and
// to the result at the end.
func selectSums64Generic(a, b []float64, x []float64, stride, rows, n int, pos, neg []uint64, words int, h Rows16) {
	selectExp64Generic(a, b, nil, 0, x, stride, rows, n, pos, neg, words, h, &Copy[float64]{})
}

// selectExp64Generic is selectExp32Generic for float64.
func selectExp64Generic(a, b []float64, w []float64, wStride int, x []float64, stride, rows, n int, pos, neg []uint64, words int, _ Rows16, pending *Copy[float64]) {
	pending.Finish()
	limits := PivotParams[float64](0)
	for i := range rows {
		row := x[i*stride:][:n]
		var acc, e [2][Lanes64]float64
		for k := 0; k < n; k += 32 {
			group := row[k:min(k+32, n)]
			p, q := sideBits(pos, i*words+k/64)>>(k&32), neg[i*words+k/64]>>(k&32)
			var terms [4 * Lanes64]float64
			for h := 0; h < len(group); h += 2 * Lanes64 {
				var y, out [2 * Lanes64]float64
				m := copy(y[:], group[h:])
				for j := range m {
					y[j] = flip(y[j], p>>(h+j))
				}
				Exp64(&out, y[:m], limits[0], limits[1], limits[2])
				copy(terms[h:], out[:])
			}
			if w != nil {
				keepExp(w[i*wStride+k:], terms[:len(group)], p, q)
			}
			for s, bits := range [2]uint64{q, p} {
				for l := range acc[s] {
					sum := (only(terms[l], bits>>l) + only(terms[8+l], bits>>(8+l))) +
						(only(terms[16+l], bits>>(16+l)) + only(terms[24+l], bits>>(24+l)))
					acc[s][l], e[s][l] = TwoSum(acc[s][l], e[s][l], sum)
				}
			}
		}
		for s := range acc {
			c, d := &acc[s], &e[s]
			for half := Lanes64 / 2; half > 0; half /= 2 {
				for l := range half {
					c[l], d[l] = TwoSum(c[l], d[l]+d[half+l], c[half+l])
				}
			}
		}
		putSums(a, b, i, acc[0][0]+e[0][0], acc[1][0]+e[1][0])
	}
}

// normalExp returns the least exponential that counts in a gradient: smaller
// ones, which may have been clamped, are 0.
func normalExp[T Float]() T {
	if IsFloat32[T]() {
		return T(coef.LeastExp32)
	}
	least := coef.LeastExp64 // a variable: no number of float32
	return T(least)
}

// selectScaleGeneric writes w·fa[i], where w = w[i·wStride+j] is normalExp or more,
// w·fb[i] where -w is, and 0 elsewhere to dst[i·dstStride+j].
func selectScaleGeneric[T Float](dst []T, dstStride int, w []T, wStride, rows, n int, fa, fb []T) {
	low := normalExp[T]()
	for i := range rows {
		out := dst[i*dstStride:][:n]
		for j, e := range w[i*wStride:][:n] {
			switch {
			case e >= low:
				out[j] = e * fa[i]
			case e <= -low:
				out[j] = e * fb[i]
			default:
				out[j] = 0
			}
		}
	}
}

// targetScaleGeneric writes w·f[i] where w = w[i·wStride+j] is normalExp or more, and
// 0 elsewhere to dst[i·dstStride+j].
func targetScaleGeneric[T Float](dst []T, dstStride int, w []T, wStride, rows, n int, f []T) {
	low := normalExp[T]()
	for i := range rows {
		out := dst[i*dstStride:][:n]
		for j, e := range w[i*wStride:][:n] {
			if out[j] = 0; e >= low {
				out[j] = e * f[i]
			}
		}
	}
}
