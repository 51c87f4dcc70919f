package coef

import "math"

// Magic numbers: adding one to x·log2(e) rounds it to an integer n and leaves
// n plus the exponent's bias in the low bits. Subtracting a pivot c from the
// magic number divides the exponential by 2^c.
const (
	Magic32 = 0x1.8p23 + 127
	Magic64 = 0x1.8p52 + 1023
)

// Exponents of two between which the exponential e^y·2^-c is computed: the
// kernels clamp y to (c + ClampLow)·ln(2) and (c + ClampHigh)·ln(2), which keeps
// it a finite normal number.
const (
	ClampLow32, ClampHigh32 = -125.9, 126.9
	ClampLow64, ClampHigh64 = -1021.9, 1022.9
)

// ScaleLow is an argument of an exponential at pivot 0 whose scale has the exponent field
// 0: the exponential is 0.
const (
	ScaleLow32 = -127 * math.Ln2
	ScaleLow64 = -1023 * math.Ln2
)

// ShiftedLeast stands for differences p - m and odds below it, which make no term.
const ShiftedLeast = 0x1p-200

// LeastTop is the highest score of a row from which on its exponential at pivot 0 is a normal
// number, and those below it by less than the precision are, too.
const LeastTop = -80

// Exponents of two from which on e^y is computed as 0, and as +Inf: the kernels of
// binary cross-entropy clamp y to ZeroExp·ln(2) and InfExp·ln(2), where the exponent
// field is 0 and all ones.
const (
	ZeroExp32, InfExp32 = -127, 128
	ZeroExp64, InfExp64 = -1023, 1024
)

// NoScore is what a score is above the threshold if its exponential is to be 0, and
// MostThreshold the magnitude up to which thresholds leave it that.
const (
	NoScore32, MostThreshold32 = -1024, 0x1p20
	NoScore64, MostThreshold64 = -4096, 0x1p40
)

// Exponentials that count in a softmax or a gradient are 2^Least or more:
// smaller ones, which may have been clamped, are 0. LeastExp is that number for
// the gradients, whose pivot is 0.
const (
	Least32 = -125.5
	Least64 = -1021.5

	LeastExp32 = math.Sqrt2 * 0x1p-126
	LeastExp64 = math.Sqrt2 * 0x1p-1022
)

// Sums at pivot 0 whose value lies between these are used as they are: no
// exponential was clamped from above, and those clamped from below add nothing.
const (
	NaturalLow32, NaturalHigh32 = 0x1p-60, 0x1p120
	NaturalLow64, NaturalHigh64 = 0x1p-900, 0x1p1000
)

// A row of log-sum-exp is plain where the lesser of the sums of its even and of its odd
// elements is at least 1/PlainRatio of the whole: then no score holds so much of it
// that the logarithm might come out below that score.
const (
	PlainRatio32 = 0x1p18
	PlainRatio64 = 0x1p30
)

// Softmax cross-entropy with a target's score of at most TargetLimit in magnitude is
// finished in float64 where the argument of log1p lies between TermLow and TermHigh or
// is 0.
const (
	TargetLimit       = 600
	TermLow, TermHigh = 0x1p-1000, 0x1p1000
)

// An exponential at pivot 0 may be multiplied by a factor whose magnitude lies
// between these: a normal number, and no exponential below the smallest normal
// number counts in the product.
const (
	FactorLow32, FactorHigh32 = 0x1p-126, 0x1p5
	FactorLow64, FactorHigh64 = 0x1p-1000, 0x1p5
)

// A join of exponentials of at most JoinBlock elements of float32 is right as it stands
// from JoinLow32 to JoinHigh32: those taken as 0 do not count beside the first, and one
// that was taken as +Inf makes it no number.
const JoinLow32, JoinHigh32 = 0x1p-95, 0x1p1000

// ProductHigh32 is the highest factor of a loss of the product, for rows that have
// no exponential below the smallest normal number.
const ProductHigh32 = 0x1p120

// The kernel of rows of 8 classes takes scores of at most ShortScore32 in magnitude: both sums of
// a row are 0 or from NaturalLow32 to 2^61, and no exponential is below the smallest normal
// number.
const ShortScore32 = 40

// Limits of t = γy·log2(e) + magic in the kernels of one side: with a t below
// Lowest the term is 0, one above Highest is clamped. The exponents of 2 are
// those of the normal numbers.
const (
	Lowest32, Highest32 = 0x1.8p23 + 1, 0x1.8p23 + 254
	Lowest64, Highest64 = 0x1.8p52 + 1, 0x1.8p52 + 2046
)

// Limits of y in the odds e^y of the k-subsets: below TiltLowest they are 0,
// above TiltHighest they are cut, so that no product of odds overflows.
const (
	TiltLowest  = -707
	TiltHighest = 680
)

// SoftShift64 is the power of two by which a soft label of float64 is multiplied before it
// is taken apart: the product is a normal number for every label above 0. Those of float32
// are widened.
const SoftShift64 = 128

// PartMagic round to the three parts of a loss: adding and subtracting one
// leaves a multiple of 2^-28, 2^-73 or 2^-118.
var PartMagic = [3]float64{0x1.8p24, 0x1.8p-21, 0x1.8p-66}

// BCEBlock is the number of float32 elements of a row whose binary
// cross-entropies share a logarithm.
const BCEBlock = 512

// JoinBlock is BCEBlock of hard labels: the product of its 1 + e^y has to be a number.
const JoinBlock = 128

// ShiftFrom is the magnitude of arguments from which on the highest of a sum is
// subtracted from them: there the difference is exact where the exponential of it
// counts. Below, the exponentials are divided by a power of two instead.
const ShiftFrom = 2048

// ShiftWeighted is ShiftFrom where the terms have weights: a term that lies as far
// below the highest as two weights can lie apart is less than half of it below.
const (
	ShiftWeighted32 = 3200
	ShiftWeighted64 = 4500
)

// A soft label of at least PlainLabel counts for so much that exponentials below the
// smallest normal number do not beside it: in a gradient of binary cross-entropy, and in
// one of softmax cross-entropy whose scale is at least LeastScale. Up to MostScale nothing of
// short rows is beyond the numbers.
const (
	PlainLabel32 = 0x1p-70
	PlainLabel64 = 0x1p-900
	LeastScale   = 0x1p-26
	MostScale    = 0x1p60
)

// ColumnLimit is the magnitude of the highest score of a short row with soft labels up to which
// its exponential, its reciprocal and the sum of the others' are numbers of the scores' type.
const (
	ColumnLimit32 = 80
	ColumnLimit64 = TargetLimit
)

// LargeLoss is the loss of a target up to which its share is well above a half: no other
// class has an exponential as large.
const LargeLoss = 0.688

// ShiftedPlane is the distance of the numbers that the kernels of the
// asymmetric loss with a shift keep of an element: y = -s, r and
// what it lacks, log(r), the odds, log(1+odds) = -log(1-r) and the derivative p·(1-p) of
// r. The term takes the place of y, its derivative that of what r lacks.
const (
	ShiftedPlane = 264

	ShiftedY = ShiftedPlane * (iota - 1)
	ShiftedR
	ShiftedLow
	ShiftedLog
	ShiftedOddsAt
	ShiftedLog1p
	ShiftedSlope
	ShiftedLen

	ShiftedTerm, ShiftedDerivative = ShiftedY, ShiftedLow
)

// LeastProducts is a sum of products of distances and labels beside which what is lost of every
// product below the smallest normal number, at most 2^-149 or 2^-1074, does not count, of up to
// 2^32 of them.
const (
	LeastProducts32 = 0x1p-80
	LeastProducts64 = 0x1p-960
)
