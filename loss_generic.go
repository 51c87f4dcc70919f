package zlpr

import "math"

// This file is the specification of the kernels of the losses: every tier gives
// the bits of these functions.
//
// A row is cut into groups of four virtual vectors (see logsumexp_generic.go),
// 64 elements of float32 or 32 of float64. Two arrays of bits, pos and neg, of
// the given number of words a row, select elements: y = -x for those in pos and
// y = x for those in neg; the others take no part.

// selectSums32Generic writes Σ e^y, y = min(max(±x[i·stride+j], low), high)
// with the limits of pivot 0, over neg to a[i] and over pos to b[i].
//
// The exponentials of a group are added lane by lane as (0+1)+(2+3), then lane
// l+8 to lane l, all in float32; these 8 sums are added to the float64
// accumulators.
func selectSums32Generic(a, b []float64, x []float32, stride, rows, n int, pos, neg []uint64, words int) {
	limits := pivotParams[float32](0)
	for i := range rows {
		row := x[i*stride:][:n]
		p, q := pos[i*words:][:words], neg[i*words:][:words]
		var acc [2][8]float64 // over neg, over pos
		for g := range p {
			group := row[64*g : min(64*g+64, n)]
			if p[g]|q[g] == 0 {
				continue
			}
			var w [4][lanes32]float32
			for k := 0; k < len(group); k += 2 * lanes32 {
				var y [2 * lanes32]float32
				m := copy(y[:], group[k:])
				for j := range m {
					y[j] = flip(y[j], p[g]>>(k+j))
				}
				var e [2 * lanes32]float32
				exp32(&e, y[:m], limits[0], limits[1], limits[2])
				w[k/lanes32] = [lanes32]float32(e[:lanes32])
				w[k/lanes32+1] = [lanes32]float32(e[lanes32:])
			}
			for s, bits := range [2]uint64{q[g], p[g]} {
				if bits == 0 {
					continue
				}
				var sum [lanes32]float32
				for l := range sum {
					sum[l] = (only(w[0][l], bits>>l) + only(w[1][l], bits>>(16+l))) +
						(only(w[2][l], bits>>(32+l)) + only(w[3][l], bits>>(48+l)))
				}
				for l := range acc[s] {
					acc[s][l] += float64(sum[l] + sum[8+l])
				}
			}
		}
		a[i], b[i] = eight(&acc[0]), eight(&acc[1])
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

// eight adds 8 lanes in the order (l, l+4), (l, l+2), (l, l+1).
func eight(acc *[8]float64) float64 {
	for half := 4; half > 0; half /= 2 {
		for l := range half {
			acc[l] += acc[half+l]
		}
	}
	return acc[0]
}

// selectSums64Generic is selectSums32Generic for float64. The sums of a group's
// lanes are added to the accumulators exactly; the errors are added apart, and
// to the result at the end.
func selectSums64Generic(a, b []float64, x []float64, stride, rows, n int, pos, neg []uint64, words int) {
	limits := pivotParams[float64](0)
	for i := range rows {
		row := x[i*stride:][:n]
		var acc, e [2][lanes64]float64
		for k := 0; k < n; k += 32 {
			group := row[k:min(k+32, n)]
			p, q := pos[i*words+k/64]>>(k&32), neg[i*words+k/64]>>(k&32)
			var w [4 * lanes64]float64
			for h := 0; h < len(group); h += 2 * lanes64 {
				var y, out [2 * lanes64]float64
				m := copy(y[:], group[h:])
				for j := range m {
					y[j] = flip(y[j], p>>(h+j))
				}
				exp64(&out, y[:m], limits[0], limits[1], limits[2])
				copy(w[h:], out[:])
			}
			for s, bits := range [2]uint64{q, p} {
				for l := range acc[s] {
					sum := (only(w[l], bits>>l) + only(w[8+l], bits>>(8+l))) +
						(only(w[16+l], bits>>(16+l)) + only(w[24+l], bits>>(24+l)))
					acc[s][l], e[s][l] = twoSum(acc[s][l], e[s][l], sum)
				}
			}
		}
		for s := range acc {
			c, d := &acc[s], &e[s]
			for half := lanes64 / 2; half > 0; half /= 2 {
				for l := range half {
					c[l], d[l] = twoSum(c[l], d[l]+d[half+l], c[half+l])
				}
			}
		}
		a[i], b[i] = acc[0][0]+e[0][0], acc[1][0]+e[1][0]
	}
}

// A gradParams are the parameters of a row's gradient: for the negatives and
// for the positives the magic number of the pivot, the lowest y whose
// exponential is not 0, and the factor.
type gradParams[T Float] [6]T

// selectGrad32Generic writes e^y·2^-c·factor, or 0 where y < low, for y = x over
// neg with p[i][:3] = {magic of c, low, factor}, for y = -x over pos with
// p[i][3:], to dst[i·dstStride+j]; 0 elsewhere.
func selectGrad32Generic(dst []float32, dstStride int, x []float32, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float32]) {
	for i := range rows {
		row, out, q := x[i*stride:][:n], dst[i*dstStride:][:n], &p[i]
		for k := 0; k < n; k += 2 * lanes32 {
			pw, nw := pos[i*words+k/64]>>(k&32), neg[i*words+k/64]>>(k&32)
			m := min(2*lanes32, n-k)
			var y, wn, wp [2 * lanes32]float32
			for j, v := range row[k : k+m] {
				y[j] = flip(v, pw>>j)
			}
			inf := float32(math.Inf(1))
			if uint32(nw) != 0 {
				exp32(&wn, y[:m], q[0], q[1], inf)
			}
			if uint32(pw) != 0 {
				exp32(&wp, y[:m], q[3], q[4], inf)
			}
			selectTerms(out[k:k+m], y[:], wn[:], wp[:], pw, nw, (*gradParams[float32])(q))
		}
	}
}

// selectTerms writes the terms of some elements of a row.
func selectTerms[T Float](out, y, wn, wp []T, pw, nw uint64, q *gradParams[T]) {
	for j := range out {
		switch {
		case nw>>j&1 != 0 && y[j] >= q[1]:
			out[j] = wn[j] * q[2]
		case pw>>j&1 != 0 && y[j] >= q[4]:
			out[j] = wp[j] * q[5]
		default:
			out[j] = 0
		}
	}
}

// selectGrad64Generic is selectGrad32Generic for float64.
func selectGrad64Generic(dst []float64, dstStride int, x []float64, stride, rows, n int, pos, neg []uint64, words int, p []gradParams[float64]) {
	for i := range rows {
		row, out, q := x[i*stride:][:n], dst[i*dstStride:][:n], &p[i]
		for k := 0; k < n; k += 2 * lanes64 {
			pw, nw := pos[i*words+k/64]>>(k&63), neg[i*words+k/64]>>(k&63)
			m := min(2*lanes64, n-k)
			var y, wn, wp [2 * lanes64]float64
			for j, v := range row[k : k+m] {
				y[j] = flip(v, pw>>j)
			}
			if uint16(nw) != 0 {
				exp64(&wn, y[:m], q[0], q[1], math.Inf(1))
			}
			if uint16(pw) != 0 {
				exp64(&wp, y[:m], q[3], q[4], math.Inf(1))
			}
			selectTerms(out[k:k+m], y[:], wn[:], wp[:], pw, nw, q)
		}
	}
}
