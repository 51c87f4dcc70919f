package zlpr

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/partial"
	"github.com/zlpr/zlpr/internal/power"
)

// Max returns the largest element of x.
//
// Special cases are:
//
//	Max of an empty slice = -Inf
//	Max with a NaN = NaN
//	Max(-0, +0) = +0
func Max[T Score](x []T) T {
	top := [1]T{}
	MaxRows(top[:], Matrix[T]{1, len(x), x, len(x)})
	return top[0]
}

// maxOf is Max.
func maxOf[T Float](x []T) T {
	top := [1]T{T(math.Inf(-1))}
	if len(x) > 0 {
		kernel.Maximum(top[:], x, len(x), 1, len(x))
	}
	return signZero(top[0], x)
}

// signZero returns m, the maximum of x, as +0 where it is a zero and x has +0.
func signZero[T Float](m T, x []T) T {
	if m != 0 {
		return m
	}
	for _, v := range x {
		if v == 0 && !math.Signbit(float64(v)) {
			return 0
		}
	}
	return T(math.Copysign(0, -1))
}

// LogSumExp returns log Σ e^x[i], without overflow or underflow.
//
// Special cases are:
//
//	LogSumExp of an empty slice = -Inf
//	LogSumExp with a NaN = NaN
//	LogSumExp with +Inf and no NaN = +Inf
//	LogSumExp of nothing but -Inf = -Inf
//	LogSumExp of one score, alone or among -Inf, is that score
//
// The result is never below Max(x).
//
// The error is below 1.5 ULP of max(|result|, 1), an ULP being 2^-23 relative
// for float32 scores and 2^-52 for float64, whatever the number of scores; the
// worst found by search is 0.82 ULP for float32 and 0.99 ULP for float64. For
// float32 that is proved: an exponential is off by at most 0.892 ULP (every
// input was tried), the sum of a pair by another half, and all else is done in
// float64. See
// Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and
// softmax functions", IMA Journal of Numerical Analysis 41(4), 2021.
func LogSumExp[T Score](x []T) float64 {
	switch bytesOf[T]() {
	case 4:
		_, _, l := rowSum(kernel.Cast[float32](x))
		return l
	case 8:
		_, _, l := rowSum(kernel.Cast[float64](x))
		return l
	}
	var s expSum
	addHalves(&s, x)
	return s.log()
}

// addHalves is addScores of 16-bit scores.
func addHalves[T Score](s *expSum, x []T) {
	b := takeHalf(nearLen)
	defer b.give()
	var place sums
	for len(x) > 0 {
		n := min(len(x), nearLen)
		widen(b.x[:n], x[:n])
		addBlocks(s, b.x[:n], &place)
		x = x[n:]
	}
}

const (
	badLength = "zlpr: slices differ in length"
	badShape  = "zlpr: matrices differ in shape"
	badRows   = "zlpr: one result a row is needed"
)

// Softmax writes e^x[i] / Σ e^x[j] to dst[i] and returns LogSumExp(x). dst may
// be x itself; they must not overlap otherwise. It panics if the lengths differ.
//
// Special cases are:
//
//	one +Inf and no NaN: 1 there, 0 elsewhere
//	several +Inf, a NaN, or nothing but -Inf: NaN everywhere
//
// The error of an entry of at least 2^-124, for float64 2^-1020, is below 3 ULP,
// 2^-23 or 2^-52 relative; smaller entries may be 0.
func Softmax[T Score](dst, x []T) float64 {
	if len(dst) != len(x) {
		panic(badLength)
	}
	return intoRow(dst, x, softmax[float32], softmax[float64])
}

// softmax is Softmax.
func softmax[T Float](dst, x []T) float64 {
	p, c, lse := rowSum(x)
	softmaxRow(dst, x, p, c, len(x) >= streamBytes/4)
	return lse
}

// softmaxRow writes the softmax of a row, given its sum of exponentials,
// streaming or not.
func softmaxRow[T Float](dst, x []T, p power.Number, c power.Class, stream bool) {
	if c != power.Finite {
		softmaxLimit(dst, x, c)
		return
	}
	if len(x) == 0 {
		return
	}
	if math.Abs(float64(p.Exp)) > coef.ShiftFrom || p.Shift != 0 {
		// Take the maximum away: exact where the exponential counts.
		m := maxOf(x)
		for i, v := range x {
			dst[i] = v - m
		}
		x = dst
		p, _, _ = rowSum(x)
	}
	q := [1]kernel.RowParams[T]{scaleParams[T](p)}
	scale(dst, len(x), x, len(x), 1, len(x), q[:], 0, stream)
}

// scaleParams returns scaleExp's parameters for the factor 1/p: a pivot c with
// 2^c/p in (1, 2], so that no result that is kept lies below the smallest
// normal number.
func scaleParams[T Float](p power.Number) kernel.RowParams[T] {
	b := math.Float64bits(p.Hi)
	c := float64(int64(b>>52)-1022) + float64(p.Exp)
	factor := T(2 / math.Float64frombits(b&(1<<52-1)|0x3ff<<52))
	if kernel.IsFloat32[T]() {
		return kernel.RowParams[T]{T(coef.Magic32 - c), T((c + coef.Least32) * math.Ln2), factor}
	}
	return kernel.RowParams[T]{T(coef.Magic64 - c), T((c + coef.Least64) * math.Ln2), factor}
}

// softmaxLimit writes the softmax of a row whose sum is not finite.
func softmaxLimit[T Float](dst, x []T, c power.Class) {
	at := -1
	if c == power.Infinite {
		for i, v := range x {
			if float64(v) > math.MaxFloat64 {
				if at >= 0 {
					c = power.NotANumber
				}
				at = i
			}
		}
	}
	fill := T(0)
	if c != power.Infinite {
		fill = kernel.CanonicalNaN[T]()
	}
	for i := range dst {
		dst[i] = fill
	}
	if c == power.Infinite {
		dst[at] = 1
	}
}

// An Accumulator takes the sum of exponentials of a row in parts: of the scores
// as they come, or of shards on several workers or machines. Its zero value is
// the empty row.
//
// It is for one goroutine at a time: its methods panic while another one uses it.
//
// The result has the bits of LogSumExp of the whole row where every part but
// the last is a whole number of blocks of BlockLen scores; otherwise it has the
// same error bound. The order of the parts does not matter.
type Accumulator[T Score] struct {
	sum  expSum
	busy uint32 // 1 while a goroutine uses it
}

// Add adds the scores of x.
func (a *Accumulator[T]) Add(x []T) {
	a.take()
	switch bytesOf[T]() {
	case 4:
		addScores(&a.sum, kernel.Cast[float32](x))
	case 8:
		addScores(&a.sum, kernel.Cast[float64](x))
	default:
		addHalves(&a.sum, x)
	}
	a.give()
}

// Merge adds the scores that b has seen. b stays as it is. It panics if b is nil.
func (a *Accumulator[T]) Merge(b *Accumulator[T]) {
	if b == nil {
		panic("zlpr: Merge of a nil Accumulator")
	}
	a.take()
	defer a.give()
	if b != a {
		b.take()
		defer b.give()
	}
	sum := b.sum
	a.sum.merge(&sum)
}

// LogSumExp returns log Σ e^x over the scores seen, with the special cases and
// the error bound of the function LogSumExp.
func (a *Accumulator[T]) LogSumExp() float64 {
	a.take()
	defer a.give()
	return a.sum.log()
}

// Reset empties the accumulator.
func (a *Accumulator[T]) Reset() {
	a.take()
	a.sum = expSum{}
	a.give()
}

// take makes the accumulator this goroutine's, until give.
func (a *Accumulator[T]) take() {
	if atomic.SwapUint32(&a.busy, 1) != 0 {
		panic("zlpr: Accumulator used by two goroutines")
	}
}

func (a *Accumulator[T]) give() { atomic.StoreUint32(&a.busy, 0) }

// MarshalBinary returns the scores that a has seen, as far as their LogSumExp
// goes, for UnmarshalBinary in another process: at most 300 bytes, however many
// there were. The format is that of docs/partial.md.
func (a *Accumulator[T]) MarshalBinary() ([]byte, error) {
	a.take()
	defer a.give()
	s := &a.sum
	w := partial.NewWriter(partial.Exponential)
	w.Text(typeName[T]())
	w.Uint(uint64(s.class))
	s.powers.Encode(w)
	w.Count(s.blocks)
	w.Float(s.alone)
	w.Bool(s.topped)
	w.Float(s.top)
	return w.Bytes(), nil
}

// UnmarshalBinary makes a the Accumulator that was marshalled, of the same type of
// scores. The errors are those of Total.UnmarshalBinary; after one a stays as it
// is.
func (a *Accumulator[T]) UnmarshalBinary(data []byte) error {
	a.take()
	defer a.give()
	var s expSum
	r, err := partial.NewReader(data, partial.Exponential)
	if err == nil {
		if name := r.Text(); name != typeName[T]() && r.Check(name != "") {
			return fmt.Errorf("zlpr: Accumulator: of %q scores, not of %s", name, typeName[T]())
		}
		s.class = power.Class(min(r.Uint(), math.MaxUint8))
		s.powers.Decode(r)
		s.blocks, s.alone, s.topped, s.top = r.Count(), r.Float(), r.Bool(), r.Float()
		finite := func(x float64) bool { return x-x == 0 }
		r.Check(s.class <= power.NotANumber && finite(s.alone) && finite(s.top) &&
			(s.class != power.Finite || s.powers.Terms()))
		err = r.End()
	}
	if err != nil {
		return fmt.Errorf("zlpr: Accumulator: %w", err)
	}
	a.sum = s
	return nil
}
