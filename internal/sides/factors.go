package sides

import (
	"bytes"
	"math"
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel"
)

// factors are the class weights of a batch as m·2^e, 1 ≤ m < 2, or m = 0 for
// weight 0: m in float64, and m and e in the form of the kernels' weights.
type factors[T kernel.Float] struct {
	batch   int // for which they are right
	n       int
	of      []float64 // the weights of which m and weights are
	m       []float64
	weights []T
}

// get returns f, computed for a batch of n classes with the weights given; nil: all
// 1.
func (f *factors[T]) get(batch, n int, given []float64) *factors[T] {
	if f.batch == batch && batch != 0 {
		return f
	}
	f.batch = batch
	if f.n == n && bytes.Equal(asBytes(f.of), asBytes(given)) {
		return f
	}
	f.n, f.of = n, append(f.of[:0], given...)
	f.m, f.weights = kernel.Resize(f.m, n), kernel.Resize(f.weights, kernel.WeightsLen[T](n))
	clear(f.weights)
	for j := range n {
		w := 1.0
		if given != nil {
			w = given[j]
		}
		m, e := math.Frexp(w)
		f.m[j] = 2 * m
		if m != 0 {
			k := kernel.WeightPlace[T](j)
			f.weights[k], f.weights[k+kernel.LanesOf[T]()] = T(2*m), T(e-1)
		}
	}
	return f
}

// asBytes returns the bytes of x: to compare them is quicker than to compare
// numbers.
func asBytes(x []float64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 8*len(x))
}
