package zlpr

import (
	"bytes"
	"math"
	"sync"
	"unsafe"

	"github.com/zlpr/zlpr/internal/kernel"
)

// classFactors are the class weights of a batch as m·2^e, 1 ≤ m < 2, or m = 0 for
// weight 0: m in float64, and m and e in the form of the kernels' weights. The
// first worker that needs them computes them.
type classFactors[T Float] struct {
	lock  sync.Mutex
	given []float64 // the batch's; nil: all 1
	ready bool

	n       int
	of      []float64 // the weights of which m and weights are
	m       []float64
	weights []T
}

// begin gives the class weights of a batch.
func (f *classFactors[T]) begin(given []float64) { f.given, f.ready = given, false }

// get returns f, computed for n classes.
func (f *classFactors[T]) get(n int) *classFactors[T] {
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.ready {
		return f
	}
	f.ready = true
	if f.n == n && bytes.Equal(asBytes(f.of), asBytes(f.given)) {
		return f
	}
	f.n, f.of = n, append(f.of[:0], f.given...)
	f.m, f.weights = kernel.Resize(f.m, n), kernel.Resize(f.weights, kernel.WeightsLen[T](n))
	clear(f.weights)
	for j := range n {
		w := 1.0
		if f.given != nil {
			w = f.given[j]
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
