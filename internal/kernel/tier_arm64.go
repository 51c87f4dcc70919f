//go:build !purego

package kernel

// Best needs no detection: every arm64 CPU has NEON.
func Best() Tier { return NEON }
