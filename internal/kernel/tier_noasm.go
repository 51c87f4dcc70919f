//go:build (!amd64 && !arm64) || purego

package kernel

func Best() Tier { return Generic }

const hasFloat16 = false
