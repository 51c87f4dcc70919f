package metrics

import (
	"math"
	"math/bits"
	"unsafe"

	"github.com/zlpr/zlpr"
)

// binSteps goes down through the bins in use, which are finished, and calls visit for
// every one with its key, how many positives it has, and the weights of the positives
// and of the negatives, in units of 2^low, which visit must not keep.
func binSteps[C count](b *bins, low int, visit func(key int, positives uint64, pos, neg *C)) {
	var none weighedBins
	w := b.weighed
	if w == nil {
		w = &none
	}
	i, k := len(b.Bin)-1, len(w.Key)-1
	var pos, neg, zero C // of every bin in turn, so that they are made once
	for i >= 0 || k >= 0 {
		pos, neg = zero, zero
		var positives uint64
		key := -1
		if i >= 0 {
			key = int(b.Bin[i].Key)
		}
		if k >= 0 {
			key = max(key, int(w.Key[k]))
		}
		if i >= 0 && int(b.Bin[i].Key) == key {
			set(&pos, b.Bin[i].Pos, -low)
			set(&neg, b.Bin[i].Neg, -low)
			positives = b.Bin[i].Pos
			i--
		}
		if k >= 0 && int(w.Key[k]) == key {
			addSum(&pos, w.at(2*k), w.Low, low)
			addSum(&neg, w.at(2*k+1), w.Low, low)
			positives += w.N[k]
			k--
		}
		visit(key, positives, &pos, &neg)
	}
}

// window has the bits of all weights, and those of their total.
func (b *bins) window() (w window) {
	if n := b.sum.Pos + b.sum.Neg; n > 0 {
		w = window{0, bits.Len64(n)}
	}
	if b.weighed != nil {
		w.unite(b.weighed.window())
	}
	return w
}

// empty reports whether there are no scores.
func (b *bins) empty() bool {
	return len(b.Bin) == 0 && !b.hasWeights()
}

// top is the highest key.
func (b *bins) top() (key int) {
	if n := len(b.Bin); n > 0 {
		key = int(b.Bin[n-1].Key)
	}
	if w := b.weighed; b.hasWeights() {
		key = max(key, int(w.Key[len(w.Key)-1]))
	}
	return key
}

// hasBoth reports whether there are positives and negatives.
func (b *bins) hasBoth() bool {
	pos, neg := b.total()
	if w := b.weighed; w != nil {
		for i := 0; i < len(w.Key); i++ {
			pos += min(1, w.N[i])
			if !isZero(w.at(2*i + 1)) {
				neg++
			}
		}
	}
	return pos > 0 && neg > 0
}

// viewMicro is the scores of all classes together as a list of those in bins.
func viewMicro[T zlpr.Float](b *binned) scores[T] {
	b.ready()
	return scores[T]{micro: &list[T]{Bins: &b.micro}}
}

// view is scores as lists of those in bins: nothing is copied.
func view[T zlpr.Float](b *binned) scores[T] {
	b.finish()
	s := scores[T]{Lists: make([]list[T], len(b.class)), micro: &list[T]{Bins: &b.micro}}
	for j := range b.class {
		s.Lists[j].Bins = &b.class[j]
	}
	return s
}

// lowest is the lowest number of the bin of a key, NaN for the bin of -Inf.
func lowest[T zlpr.Float](b *bins, key int) T {
	return numberAt[T](uint64(key) << (64 - b.Bits))
}

// highest is the highest number of the bin of a key, +Inf for the highest one.
func highest[T zlpr.Float](b *bins, key int) T {
	s := numberAt[T](uint64(key)<<(64-b.Bits) | (1<<(64-b.Bits) - 1))
	if s != s && key>>(b.Bits-1) != 0 {
		return T(math.Inf(1))
	}
	return s
}

// numberAt is the number of a place, as represent says: that of +0 is the lowest number
// above it.
func numberAt[T zlpr.Float](place uint64) T {
	var s T
	if unsafe.Sizeof(s) == 4 {
		b := uint32(place >> 32)
		switch {
		case b == 1<<31:
			return T(math.SmallestNonzeroFloat32)
		case b>>31 == 0:
			b = ^b
		default:
			b &^= 1 << 31
		}
		return T(math.Float32frombits(b))
	}
	switch {
	case place == 1<<63:
		return T(math.Float64frombits(1)) // the constant is no float32
	case place>>63 == 0:
		place = ^place
	default:
		place &^= 1 << 63
	}
	return T(math.Float64frombits(place))
}
