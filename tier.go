package zlpr

// A tier is an implementation of the kernels. All tiers give the same bits.
type tier uint8

const (
	tierGeneric tier = iota // pure Go
	tierAVX2                // AVX2, FMA and BMI2
	tierAVX512              // AVX-512 F, BW, DQ and VL
	tierNEON                // arm64
)

func (t tier) String() string {
	return [...]string{"generic", "avx2", "avx512", "neon"}[t]
}

// activeTier is the tier in use. Only tests change it.
var activeTier = bestTier()

// Tier returns the name of the kernels in use: "avx512" or "avx2" on amd64,
// "neon" on arm64, "generic" elsewhere and with the build tag purego. It is
// chosen once, from the features of the CPU; GODEBUG=cpu.avx512f=off or
// cpu.avx2=off takes features away. The results do not depend on it.
func Tier() string { return activeTier.String() }
