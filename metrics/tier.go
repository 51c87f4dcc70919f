package metrics

// A tier is an implementation of the kernels. All tiers give the same bits.
type tier uint8

const (
	tierGeneric tier = iota // pure Go
	tierAVX2
	tierAVX512 // AVX-512 F, BW, DQ and VL
	tierNEON
)

func (t tier) String() string {
	return [...]string{"generic", "avx2", "avx512", "neon"}[t]
}

// activeTier is the tier in use. Only tests change it.
var activeTier = bestTier()
