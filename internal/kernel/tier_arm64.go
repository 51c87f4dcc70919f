//go:build !purego

package kernel

// Best needs no detection: every arm64 CPU has NEON.
func Best() Tier { return NEON }

// hasFloat16 tells whether the tier has the conversions of float16.
const hasFloat16 = true
