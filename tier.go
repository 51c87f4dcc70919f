package zlpr

import "github.com/zlpr/zlpr/internal/kernel"

// Tier returns the name of the kernels in use: "avx512" or "avx2" on amd64,
// "neon" on arm64, "generic" elsewhere and with the build tag purego. It is
// chosen once, from the features of the CPU; GODEBUG=cpu.avx512f=off or
// cpu.avx2=off takes features away. The results do not depend on it.
func Tier() string { return kernel.Active.String() }
