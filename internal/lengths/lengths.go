// Package lengths makes masks of the lengths of padded examples.
package lengths

import (
	"errors"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
)

// Mask returns the mask of padded scores of that shape, which tells what the lengths mean:
//
//	rows × classes            the first N[row] classes take part
//	batch × L × classes       the first N[example] positions take part
//	batch × heads × L × L     spans with start ≤ end < N[example] take part
//
// A row of the mask is one of the scores, but for spans, of which it is a head: the last
// two axes are its classes. Errors name the file of length i and its place as where says.
func Mask(a *array.Array, name string, shape []int, where func(i int) (file, place string)) (zlpr.Bits, error) {
	if a.Type.IsFloat() || a.Type == array.Bool {
		return nil, array.Faultf(name, "lengths must be integers, not %s", a.Type)
	}
	if len(shape) < 2 || len(a.Shape) != 1 || a.Len() != shape[0] {
		return nil, array.Faultf(name, "lengths of shape %s for scores of shape %s; give one length for each entry of the first axis",
			array.ShapeString(a.Shape), array.ShapeString(shape))
	}
	limit := shape[len(shape)-1]
	if len(shape) > 2 {
		limit = shape[len(shape)-2]
	}
	lengths := make([]int, a.Len())
	numbers, err := array.Integers[int64](a, nil, 0, a.Len())
	var e *array.ElementError
	if errors.As(err, &e) {
		file, place := where(e.Index)
		return nil, array.Faultf(file, "%s: length %s is not in 0..%d", place, e.Value, limit)
	}
	for i, n := range numbers {
		if lengths[i] = int(n); n < 0 || n > int64(limit) {
			file, place := where(i)
			return nil, array.Faultf(file, "%s: length %d is not in 0..%d", place, n, limit)
		}
	}
	switch {
	case len(shape) == 2:
		return &zlpr.LengthMask{Classes: shape[1], Lengths: lengths}, nil
	case len(shape) == 4 && shape[2] == shape[3]:
		return &zlpr.SpanMask{Heads: shape[1], L: shape[2], Lengths: lengths}, nil
	case len(shape) == 3:
		m := &zlpr.LengthMask{Classes: shape[2], Lengths: make([]int, shape[0]*shape[1])}
		for i, n := range lengths {
			for p := range n {
				m.Lengths[i*shape[1]+p] = shape[2]
			}
		}
		return m, nil
	}
	return nil, array.Faultf(name, "lengths do not go with scores of shape %s", array.ShapeString(shape))
}
