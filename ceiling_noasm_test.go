//go:build !amd64 || purego

package zlpr

// ceilingRead reads x.
func ceilingRead(x []float32) {
	var sum float32
	for _, v := range x {
		sum += v
	}
	sink32 = sum
}

// ceilingCopy copies x.
func ceilingCopy(dst, x []float32, _ bool) { copy(dst, x) }

var sink32 float32
