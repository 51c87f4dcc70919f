package array

import "encoding/binary"

// Blank returns an array of n zeros whose elements can be set, in any order: in
// memory or, where it is long, in a temporary file.
func Blank(name string, t DType, n int) (*Array, error) {
	s := spill{name: name, change: true}
	defer s.discard()
	zeros := make([]byte, min(n*t.Size(), 1<<20))
	for left := n * t.Size(); left > 0; left -= min(left, len(zeros)) {
		if _, err := s.Write(zeros[:min(left, len(zeros))]); err != nil {
			return nil, err
		}
	}
	return s.array(func(a *Array, data []byte) error {
		a.Type, a.Shape, a.data = t, []int{n}, data
		return nil
	})
}

// SetInteger sets element i of a Blank of Int32 or Int64.
func (a *Array) SetInteger(i int, v int64) {
	if b := a.bytes(i, i+1); a.Type == Int32 {
		binary.LittleEndian.PutUint32(b, uint32(v))
	} else {
		binary.LittleEndian.PutUint64(b, uint64(v))
	}
}

// SetFrom sets element i of a Blank to element j of an array of its type.
func (a *Array) SetFrom(i int, from *Array, j int) { copy(a.bytes(i, i+1), from.bytes(j, j+1)) }
