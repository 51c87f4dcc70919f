package array

import (
	"errors"
	"math"
	"strings"
)

// A DType is the type of the elements of an array.
type DType uint8

const (
	Bool DType = iota
	Int8
	Uint8
	Int16
	Uint16
	Int32
	Uint32
	Int64
	Uint64
	Float16
	Float32
	Float64
	BFloat16 // numpy has no such type
	raw16    // numpy's raw elements of two bytes: so it stores bfloat16
)

// dtypes has numpy's code, without the byte order, the size and the name.
var dtypes = [...]struct {
	code string
	size int
	name string
}{
	Bool:    {"b1", 1, "bool"},
	Int8:    {"i1", 1, "int8"},
	Uint8:   {"u1", 1, "uint8"},
	Int16:   {"i2", 2, "int16"},
	Uint16:  {"u2", 2, "uint16"},
	Int32:   {"i4", 4, "int32"},
	Uint32:  {"u4", 4, "uint32"},
	Int64:   {"i8", 8, "int64"},
	Uint64:  {"u8", 8, "uint64"},
	Float16: {"f2", 2, "float16"},
	Float32: {"f4", 4, "float32"},
	Float64: {"f8", 8, "float64"},

	BFloat16: {"", 2, "bfloat16"},
	raw16:    {"V2", 2, "raw"},
}

// Size returns the number of bytes of an element.
func (t DType) Size() int { return dtypes[t].size }

// String returns numpy's name of the type.
func (t DType) String() string { return dtypes[t].name }

// IsFloat reports whether the type is a floating-point type.
func (t DType) IsFloat() bool { return t >= Float16 }

// descr returns the type as numpy's headers have it, little-endian.
func (t DType) descr() string {
	if t.Size() == 1 {
		return "|" + dtypes[t].code
	}
	return "<" + dtypes[t].code
}

// parseDescr is the inverse of descr, for both byte orders.
func parseDescr(s string) (t DType, bigEndian, ok bool) {
	if len(s) < 2 {
		return 0, false, false
	}
	order, code := s[0], s[1:]
	if !strings.ContainsRune("<>|=", rune(order)) {
		order, code = '<', s
	}
	for t, d := range dtypes {
		if d.code == code {
			return DType(t), order == '>', true
		}
	}
	return 0, false, false
}

// bfloat16 returns the number whose bits are the upper half of a float32's.
func bfloat16(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// Raw says whether raw elements of two bytes are bfloat16, and notes whether
// there were some.
type Raw struct{ BFloat16, Found bool }

// resolve gives an array of raw elements its type, or closes it.
func (a *Array) resolve(r *Raw) error {
	if a.Type != raw16 {
		return nil
	}
	if r == nil || !r.BFloat16 {
		a.Close()
		return errors.New("array type <V2, raw elements of 2 bytes: so numpy stores bfloat16; to read them as bfloat16 say --dtype bfloat16")
	}
	a.Type, r.Found = BFloat16, true
	return nil
}

// float16 returns the number that a half-precision number h is.
func float16(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0: // zero and subnormal: fraction·2^-24, exactly
		x := float32(fraction) * 0x1p-24
		return math.Float32frombits(math.Float32bits(x) | sign)
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}
