// Package zlpr evaluates classification losses on CPUs: log-sum-exp and
// softmax, softmax cross-entropy, the multi-label loss ZLPR and its family,
// and the k-subset ("combinatorial") softmax, each with its gradient.
//
// # Same bits everywhere
//
// There is one algorithm, on virtual lanes. AVX-512, AVX2, NEON and pure Go
// (elsewhere, and with the build tag purego) give identical results, for every
// number of workers and every format of labels. The files *_generic.go are the
// specification. [Tier] tells which kernels are in use.
//
// # Types
//
// Scores are float32 or float64, raw logits without a sigmoid or softmax.
// Sums, losses and logarithms of sums are float64 for both; gradients and
// probabilities have the scores' type. A matrix is row-major with a stride: a
// [Matrix] has the fields of gonum's blas64.General.
//
// # Special values
//
// For the functions of a row of scores:
//
//	scores                  Max      LogSumExp   Softmax          LogSoftmax
//	none                    -Inf     -Inf        none             none
//	a NaN                   NaN      NaN         all NaN          all NaN
//	one +Inf, no NaN        +Inf     +Inf        1 there, else 0  0 there, else -Inf
//	several +Inf, no NaN    +Inf     +Inf        all NaN          all NaN
//	all -Inf                -Inf     -Inf        all NaN          all NaN
//	some -Inf               maximum  of others   0 there          -Inf there
//	finite, of any size     maximum  finite      sums to 1        finite
//
// Every NaN result is the canonical quiet NaN, and Max(-0, +0) = +0.
//
// # Errors
//
// The functions of slices and matrices panic, before they write anything, with
// a constant message that begins "zlpr: " where lengths or shapes do not fit:
// that is an error of the program. What is wrong in the data of a batch is
// returned as a *[DataError], which names row and class.
//
// # Accuracy
//
// Every function states its bound; a test compares it with math/big. An ULP of
// a result for float32 scores is 2^-23 relative, for float64 scores 2^-52. The
// package zlprtest gives the exact values to other tests.
//
// The last two releases of Go are supported.
package zlpr

//go:generate go run ./asm
