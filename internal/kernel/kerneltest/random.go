package kerneltest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"unsafe"
)

// A Hash is a hash of the bits of numbers in order. All NaN count as one.
type Hash uint64

func (h *Hash) Word(bits uint64) {
	*h = (*h ^ Hash(bits)) * 0x9e3779b97f4a7c15
	*h ^= *h >> 32
}

func AddHash[T Float](h *Hash, x ...T) {
	for _, v := range x {
		if v != v {
			v = NaN[T]()
		}
		h.Word(BitsOf(v))
	}
}

// A Rand makes random numbers from bits alone: the distributions of package
// rand call functions whose last bits depend on the CPU.
type Rand struct{ *rand.Rand }

// Score returns a number of magnitude up to 2^exp, and seldom -Inf or NaN.
func Score[T Float](r *Rand, exp int) T {
	switch r.IntN(200) {
	case 0:
		return T(math.Inf(-1))
	case 1:
		return NaN[T]()
	}
	// A multiple of 2^-23 below 1 in magnitude: exact for either type.
	u := float64(r.Int64N(1<<24)-1<<23) * 0x1p-23
	return T(u * powerOfTwo(exp))
}

// Positive returns a number from 2^-exp to 2^exp.
func (r *Rand) Positive(exp int) float64 {
	return (1 + float64(r.Int64N(1<<52))*0x1p-52) * powerOfTwo(r.IntN(2*exp)-exp)
}

// powerOfTwo returns 2^exp, a normal number. Products with it are exact, and take
// a tenth of the time of math.Ldexp.
func powerOfTwo(exp int) float64 { return math.Float64frombits(uint64(exp+1023) << 52) }

// Odds returns a number of those, and seldom 0.
func (r *Rand) Odds(exp int) float64 {
	if r.IntN(30) == 0 {
		return 0
	}
	return r.Positive(exp)
}

func (r *Rand) ManyOdds(n, exp int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = r.Odds(exp)
	}
	return x
}

// Eights returns a length that the kernels of the k-subset softmax take.
func (r *Rand) Eights() int { return 8 * (1 + r.IntN(5)) }

// Length is mostly short, and sometimes longer than any kernel's group.
func (r *Rand) Length() int {
	n := 1 + r.IntN(40)
	if r.IntN(16) == 0 {
		n += 64
	}
	return n
}

// HashedRows makes one or two rows of scores, with a gap between, and their
// maximum.
func HashedRows[T Float](r *Rand) (x []T, stride, rows, n int, top float64) {
	rows, n = 1+r.IntN(2), r.Length()
	stride = n + r.IntN(3)
	x = make([]T, rows*stride)
	exp := r.IntN(14) - 3
	top = math.Inf(-1)
	for i := range x {
		x[i] = Score[T](r, exp)
		if float64(x[i]) > top {
			top = float64(x[i])
		}
	}
	return x, stride, rows, n, max(top, -2048)
}

// FuzzFloats reads floats from the bytes of a fuzz input.
func FuzzFloats[T Float](data []byte) []T {
	var x []T
	if isFloat32[T]() {
		for ; len(data) >= 4; data = data[4:] {
			x = append(x, T(math.Float32frombits(binary.LittleEndian.Uint32(data))))
		}
		return x
	}
	for ; len(data) >= 8; data = data[8:] {
		x = append(x, T(math.Float64frombits(binary.LittleEndian.Uint64(data))))
	}
	return x
}

// FuzzBytes is the inverse of FuzzFloats.
func FuzzBytes[T Float](x ...T) []byte {
	var data []byte
	for _, v := range x {
		if isFloat32[T]() {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
		} else {
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(float64(v)))
		}
	}
	return data
}

// Float is the type of scores and gradients.
type Float interface{ float32 | float64 }

// NaN is the canonical NaN: quiet, with an empty payload.
func NaN[T Float]() T { return T(math.Float64frombits(0x7ff8 << 48)) }

func isFloat32[T Float]() bool {
	var x T
	return unsafe.Sizeof(x) == 4
}
