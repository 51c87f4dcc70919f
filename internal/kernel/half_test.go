package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A halfFormat is a 16-bit float format as IEEE 754 defines such: a sign, bits of
// exponent and of fraction.
type halfFormat struct {
	name     string
	exp      int // bits
	widen    func(dst []float32, src []uint16, n int)
	narrow   func(dst []uint16, src []float32, n int)
	of       func(float32) uint16
	quietens bool // widening makes NaN quiet
}

func halfFormats() []halfFormat {
	return []halfFormat{
		{"bfloat16", 8, WidenBFloat16, NarrowBFloat16, BFloat16Of, false},
		{"float16", 5, WidenFloat16, NarrowFloat16, Float16Of, true},
	}
}

// value returns the number that h stands for, by the definition.
func (f *halfFormat) value(h uint16) float64 {
	bits := 15 - f.exp
	exp, frac := int(h&0x7fff)>>bits, float64(int(h)&(1<<bits-1))
	bias := 1<<(f.exp-1) - 1
	v := math.Ldexp(1+math.Ldexp(frac, -bits), exp-bias)
	switch {
	case exp == 0:
		v = math.Ldexp(frac, 1-bias-bits)
	case exp == 1<<f.exp-1 && frac == 0:
		v = math.Inf(1)
	case exp == 1<<f.exp-1:
		return math.NaN()
	}
	if h>>15 != 0 {
		return -v
	}
	return v
}

// all returns the 65,536 patterns.
func allHalves() []uint16 {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	return all
}

// TestWidenHalf widens every pattern: to the value that the format defines, and NaN
// to one with the same payload.
func TestWidenHalf(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		for _, f := range halfFormats() {
			all := allHalves()
			got := make([]float32, len(all))
			f.widen(got, all, len(all))
			for i, v := range got {
				want := f.value(all[i])
				if want == want {
					require.Equal(t, math.Float64bits(want), math.Float64bits(float64(v)), "%s %#04x", f.name, i)
					continue
				}
				bits := uint32(i>>15)<<31 | 0x7f800000 | uint32(i)&(1<<(15-f.exp)-1)<<(23-15+f.exp)
				if f.quietens {
					bits |= 0x400000
				}
				require.Equal(t, bits, math.Float32bits(v), "%s %#04x", f.name, i)
			}
		}
	})
}

// TestNarrowOneOfMany narrows many numbers without a tie but one that is, or a NaN, at
// every place in turn: kernels take blocks of the others faster.
func TestNarrowOneOfMany(t *testing.T) {
	const n = 3*64 + 48
	rng := rand.New(rand.NewPCG(5, 16))
	x := make([]float32, n)
	want, got := make([]uint16, n), make([]uint16, n)
	for i := range x {
		x[i] = math.Float32frombits(rng.Uint32N(2)<<31 | rng.Uint32N(0x7f80)<<16 | rng.Uint32N(0x7fff) | 1)
	}
	x[70], x[71], x[72] = 0, float32(math.Inf(-1)), math.MaxFloat32
	for _, f := range halfFormats() {
		for i, v := range x {
			want[i] = f.of(v)
		}
		forEachTier(t, func(t *testing.T) {
			f.narrow(got, x, n)
			require.Equal(t, want, got, f.name)
			for i, v := range x {
				for _, special := range []uint32{0x3f808000, 0xbf818000, 0x8000, 0x7f7f8000, 0x7f800001, 0xffffffff, 0x7fc08000} {
					x[i] = math.Float32frombits(special)
					f.narrow(got, x, n)
					if w := f.of(x[i]); got[i] != w {
						t.Fatalf("%s of %#08x at %d: %#04x, want %#04x", f.name, special, i, got[i], w)
					}
					got[i] = want[i]
					require.Equal(t, want, got, "%s of %#08x at %d", f.name, special, i)
				}
				x[i] = v
			}
		})
	}
}

// TestNarrowHalf narrows the values of the format, the numbers half way between two
// of them and those beside these, and compares with a search among all values.
func TestNarrowHalf(t *testing.T) {
	for _, f := range halfFormats() {
		infinity := uint16(0x7fff) &^ (1<<(15-f.exp) - 1)
		var values []float64 // by pattern, up to 2^(emax+1) in place of infinity
		for h := uint16(0); h < infinity; h++ {
			values = append(values, f.value(h))
		}
		last := len(values) - 1
		values = append(values, 2*values[last]-values[last-1])
		var in []float32
		var want []uint16
		for h, v := range values {
			next := v
			if h <= last {
				next = values[h+1]
			}
			middle := v + (next-v)/2
			for _, x := range []float64{v, middle} {
				x32 := float32(x)
				for _, y := range []float32{x32, math.Nextafter32(x32, 0), math.Nextafter32(x32, float32(math.Inf(1)))} {
					if float64(y) > math.MaxFloat32 {
						continue
					}
					i, _ := slices.BinarySearch(values, float64(y)) // the first that is not below y
					if i > 0 && i < len(values) {
						below, above := float64(y)-values[i-1], values[i]-float64(y)
						if below < above || below == above && i%2 == 1 {
							i--
						}
					}
					h := min(uint16(i), infinity)
					in, want = append(in, y, -y), append(want, h, h|0x8000)
				}
			}
		}
		in, want = append(in, float32(math.Inf(1)), float32(math.Inf(-1))), append(want, infinity, infinity|0x8000)
		for _, payload := range []uint32{1, 0x1fff, 0x2000, 0x400000, 0x7fffff, 0x412345} {
			h := infinity | 1<<(14-f.exp) | uint16(payload>>(23-15+f.exp))
			in = append(in, math.Float32frombits(0x7f800000|payload), math.Float32frombits(0xff800000|payload))
			want = append(want, h, h|0x8000)
		}
		got := make([]uint16, len(in))
		forEachTier(t, func(t *testing.T) {
			f.narrow(got, in, len(in))
			for i := range in {
				if got[i] != want[i] || f.of(in[i]) != want[i] {
					t.Fatalf("%s of %v (%#08x): %#04x, want %#04x", f.name, in[i], math.Float32bits(in[i]), got[i], want[i])
				}
			}
		})
	}
}
