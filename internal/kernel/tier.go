package kernel

// A Tier is an implementation of the kernels. All tiers give the same bits.
type Tier uint8

const (
	Generic Tier = iota // pure Go
	AVX2                // AVX2, FMA, BMI1 and BMI2
	AVX512              // AVX-512 F, BW, DQ and VL
	NEON                // arm64
)

func (t Tier) String() string {
	return [...]string{"generic", "avx2", "avx512", "neon"}[t]
}

// Active is the tier in use. Only tests change it.
var Active = Best()

// Available returns the tiers that this CPU and build have, from the generic one
// up.
func Available() []Tier {
	switch best := Best(); best {
	case AVX512:
		return []Tier{Generic, AVX2, AVX512}
	case Generic:
		return []Tier{Generic}
	default:
		return []Tier{Generic, best}
	}
}
