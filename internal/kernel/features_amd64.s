//go:build !purego

#include "textflag.h"

// func features1() uint32
TEXT ·features1(SB), NOSPLIT, $0-4
	MOVL $1, AX
	XORL CX, CX
	CPUID
	MOVL CX, ret+0(FP)
	RET
