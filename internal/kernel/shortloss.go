package kernel

import (
	"math"

	"github.com/zlpr/zlpr/internal/coef"
)

// This file is the specification of the kernel of rows of EightRow classes that makes of bits of
// labels the arguments of the losses' logarithms, and gradients, in one go. Where scores are
// moderate nothing has to be clamped and all factors fit: for those it gives the bits of the
// kernels of short rows one after the other, ShortExp, ShortSums, FinishSums or FinishProduct
// and ShortScale. FinishJoins makes the losses.

// EightRow is the number of classes of the rows that the kernel takes, and ScaleLow and
// ScaleHigh are the limits of their scales.
const (
	EightRow            = 8
	ScaleLow, ScaleHigh = 0x1p-60, coef.FactorHigh32
)

// HasEights reports whether the tier has the kernels. Others have the twins, and faster ways.
func HasEights() bool { return Active == AVX2 || Active == AVX512 }

// shortTwoSumsGeneric writes u = a·b + one·(a+b), a and b being the sums of a row's sides, and unless
// dst is nil the gradient of log1p(u).
func shortTwoSumsGeneric(u []float64, dst, x []float32, rows int, pos []uint64, scale []float64, one float64) (good bool) {
	good = true
	for i := 0; i < rows; i += 4 {
		var w [4 * EightRow]float32
		var a, b [4]float64
		var fa, fb [4]float32
		k := EightRow * i
		for _, v := range x[k:][:len(w)] {
			good = good && float32(math.Abs(float64(v))) <= coef.ShortScore32
		}
		only := [1]uint64{pos[k/64] >> (k % 64)}
		shortExpGeneric(w[:], x[k:][:len(w)], only[:], nil)
		shortSumsGeneric(a[:], b[:], w[:], len(a), EightRow)
		for j, v := range a {
			q := math.FMA(v, b[j], float64(one*(v+b[j])))
			u[i+j] = q
			if dst != nil {
				inverse := 1 / (1 + q)
				fa[j] = float32(scale[i+j] * float64((b[j]+one)*inverse))
				fb[j] = float32(scale[i+j] * float64((v+one)*inverse))
			}
		}
		if dst != nil {
			shortScaleGeneric(dst[k:], EightRow, w[:], len(a), EightRow, fa[:], fb[:])
		}
	}
	return good
}

// packEightsGeneric sets bit 8·i+targets[i] of dst.
func packEightsGeneric(dst []uint64, targets []int32) (good bool) {
	good = true
	for i, t := range targets {
		if i%8 == 0 {
			dst[i/8] = 0
		}
		good = good && uint32(t) < EightRow
		dst[i/8] |= 1 << (EightRow*(i%8) + int(t&(EightRow-1)))
	}
	return good
}

// PackedTargets returns how many of the targets of rows of n PackTargets takes, where there is
// place for so many words of bits: 0 where the tier has no such kernel.
func PackedTargets(words, targets, n int) int {
	room := 64*words - 256
	if !HasEights() || room < 0 {
		return 0
	}
	return min(targets&^7, (room/(8*n)+1)*8)
}

// packTargetsGeneric sets bit n·i+targets[i] of dst.
func packTargetsGeneric(dst []uint64, targets []int32, n int) (good bool) {
	clear(dst[:BitWords(n*len(targets))])
	for i, t := range targets {
		if uint32(t) >= uint32(n) {
			return false
		}
		bit := n*i + int(t)
		dst[bit/64] |= 1 << (bit % 64)
	}
	return true
}
