//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

// Best demands every feature that a tier's kernels use.
func Best() Tier {
	x := &cpu.X86
	switch avx2 := x.HasAVX && x.HasAVX2 && x.HasFMA && x.HasBMI1 && x.HasBMI2; {
	case avx2 && x.HasAVX512 && x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL:
		return AVX512
	case avx2:
		return AVX2
	}
	return Generic
}

// hasFloat16 tells whether the AVX2 tier has the conversions of float16: no tier
// stands on them. AVX-512 has its own.
var hasFloat16 = features1()>>29&1 != 0

// features1 returns register ECX of CPUID's leaf 1, of which package cpu does not
// tell the bit of the conversions.
func features1() uint32
