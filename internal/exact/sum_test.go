package exact

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// A term is w·x, or x alone.
type term struct {
	w, x    float64
	product bool
}

func (s *Sum) addTerm(t term) {
	if t.product {
		s.AddProduct(t.w, t.x)
	} else {
		s.Add(t.x)
	}
}

// reference returns the sum of finite terms by math/big, with 4400 bits exact.
func reference(terms []term) float64 {
	sum := new(big.Float).SetPrec(4400)
	for _, t := range terms {
		v := new(big.Float).SetPrec(106).SetFloat64(t.x)
		if t.product {
			v.Mul(v, big.NewFloat(t.w))
		}
		sum.Add(sum, v)
	}
	if sum.Sign() == 0 {
		return 0
	}
	f, _ := sum.Float64()
	return f
}

// anyFinite returns a float64 with all exponents equally likely.
func anyFinite(rng *rand.Rand) float64 {
	for {
		if x := math.Float64frombits(rng.Uint64()); x-x == 0 {
			return x
		}
	}
}

// within returns a float64 of magnitude 2^lo to 2^hi.
func within(rng *rand.Rand, lo, hi int) float64 {
	x := math.Ldexp(1+rng.Float64(), lo+rng.IntN(hi-lo))
	if rng.IntN(2) == 0 {
		return -x
	}
	return x
}

func randomTerms(rng *rand.Rand) []term {
	terms := make([]term, rng.IntN(60))
	lo := rng.IntN(2000) - 1074
	kind := rng.IntN(3)
	for i := range terms {
		t := term{product: rng.IntN(2) == 0}
		switch kind {
		case 0:
			t.w, t.x = anyFinite(rng), anyFinite(rng)
		case 1:
			t.w, t.x = within(rng, -3, 3), within(rng, lo, lo+20)
		case 2: // cancels what went before
			t.w, t.x = within(rng, -30, 30), within(rng, -60, 60)
			if i > 0 && rng.IntN(2) == 0 {
				t = terms[rng.IntN(i)]
				t.x = -t.x
			}
		}
		terms[i] = t
	}
	return terms
}

func same(x, y float64) bool {
	return math.Float64bits(x) == math.Float64bits(y) || x != x && y != y
}

// TestExact compares with math/big, in any order and any split.
func TestExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		terms := randomTerms(rng)
		want := reference(terms)
		var s Sum
		for _, x := range terms {
			s.addTerm(x)
		}
		if got := s.Float64(); !same(got, want) {
			t.Fatalf("sum of %v is %x, want %x", terms, got, want)
		}

		rng.Shuffle(len(terms), func(i, j int) { terms[i], terms[j] = terms[j], terms[i] })
		parts := make([]Sum, 1+rng.IntN(4))
		for _, x := range terms {
			parts[rng.IntN(len(parts))].addTerm(x)
		}
		merged := parts[0]
		for i := range parts[1:] {
			merged.Merge(&parts[i+1])
		}
		if merged != s {
			t.Fatalf("a split of %v gives another sum", terms)
		}
	}
}

// TestAddSlice compares with Add, one element at a time.
func TestAddSlice(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	special := []float64{0, math.Copysign(0, -1), 0x1p-1074, math.MaxFloat64, -math.MaxFloat64, math.Inf(1), math.NaN()}
	for range 3000 {
		x := make([]float64, rng.IntN(3000))
		lo := rng.IntN(1900) - 1074
		for i := range x {
			switch rng.IntN(100) {
			case 0:
				x[i] = anyFinite(rng)
			case 1:
				x[i] = special[rng.IntN(5)]
			default:
				x[i] = within(rng, lo, lo+1+rng.IntN(120))
			}
		}
		if len(x) > 0 && rng.IntN(10) == 0 {
			x[rng.IntN(len(x))] = special[rng.IntN(len(special))]
		}
		var one, all Sum
		for _, v := range x {
			one.Add(v)
		}
		all.AddSlice(x)
		if all != one {
			t.Fatalf("the sum of %v differs", x)
		}
	}
	// The window at its fullest.
	x := make([]float64, 4096)
	for i := range x {
		x[i] = -0x1.fffffffffffffp31
	}
	x[0], x[1024], x[2048], x[3072] = 1, 1, 1, 1
	var one, all Sum
	for _, v := range x {
		one.Add(v)
	}
	if all.AddSlice(x); all != one {
		t.Error("the sum of equal numbers differs")
	}
}

// TestRounding checks ties, their neighbours and the ends of the range.
func TestRounding(t *testing.T) {
	const least = 0x1p-1074
	for _, c := range []struct {
		terms []term
		want  float64
	}{
		{nil, 0},
		{[]term{{x: math.Copysign(0, -1)}}, 0},
		{[]term{{x: 1}, {x: -1}}, 0},
		{[]term{{x: 1}, {x: 0x1p-53}}, 1},
		{[]term{{x: 1 + 0x1p-52}, {x: 0x1p-53}}, 1 + 0x1p-51},
		{[]term{{x: 1}, {x: 0x1p-53}, {x: least}}, 1 + 0x1p-52},
		{[]term{{x: 1}, {x: 0x1p-53}, {w: least, x: least, product: true}}, 1 + 0x1p-52},
		{[]term{{x: 1}, {x: 0x1p-53}, {w: -least, x: least, product: true}}, 1},
		{[]term{{x: -1}, {x: -0x1p-53}, {w: -least, x: least, product: true}}, -1 - 0x1p-52},
		{[]term{{w: least, x: 0.5, product: true}}, 0},
		{[]term{{w: least, x: 1.5, product: true}}, 2 * least},
		{[]term{{w: least, x: 0.5, product: true}, {w: least, x: least, product: true}}, least},
		{[]term{{w: 0x1p-1022 - least, x: 1, product: true}, {w: least, x: 0.5, product: true}}, 0x1p-1022},
		{[]term{{x: math.MaxFloat64}, {x: math.MaxFloat64}}, math.Inf(1)},
		{[]term{{x: -math.MaxFloat64}, {x: -0x1p970}}, math.Inf(-1)},
		{[]term{{x: math.MaxFloat64}, {x: 0x1p970}, {x: -least}}, math.MaxFloat64},
		{[]term{{x: math.MaxFloat64}, {x: math.MaxFloat64}, {x: -math.MaxFloat64}}, math.MaxFloat64},
		{[]term{{w: math.MaxFloat64, x: math.MaxFloat64, product: true}, {x: 3}, {w: -math.MaxFloat64, x: math.MaxFloat64, product: true}}, 3},
	} {
		var s Sum
		for _, x := range c.terms {
			s.addTerm(x)
		}
		if got := s.Float64(); !same(got, c.want) {
			t.Errorf("sum of %v is %x, want %x", c.terms, got, c.want)
		}
	}
}

func TestSpecial(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		terms []term
		want  float64
	}{
		{[]term{{x: inf}, {x: 3}}, inf},
		{[]term{{x: -inf}, {x: math.MaxFloat64}}, -inf},
		{[]term{{x: inf}, {x: -inf}}, nan},
		{[]term{{x: nan}, {x: inf}}, nan},
		{[]term{{w: 0, x: inf, product: true}}, nan},
		{[]term{{w: -2, x: inf, product: true}}, -inf},
		{[]term{{w: 0, x: nan, product: true}}, nan},
	} {
		var s, first Sum
		for i, x := range c.terms {
			s.addTerm(x)
			if i == 0 {
				first.addTerm(x)
			}
		}
		if got := s.Float64(); !same(got, c.want) {
			t.Errorf("sum of %v is %g, want %g", c.terms, got, c.want)
		}
		var rest Sum
		for _, x := range c.terms[1:] {
			rest.addTerm(x)
		}
		rest.Merge(&first)
		if got := rest.Float64(); !same(got, c.want) {
			t.Errorf("merged sum of %v is %g, want %g", c.terms, got, c.want)
		}
	}
}

func TestAllocations(t *testing.T) {
	x := []float64{1, -1e300, 1e-300}
	var s, other Sum
	if n := testing.AllocsPerRun(100, func() {
		s.AddSlice(x)
		s.AddProduct(3, x[1])
		other.Merge(&s)
		_ = other.Float64()
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// FuzzSum reads terms of eight bytes; an odd seed multiplies neighbours.
func FuzzSum(f *testing.F) {
	f.Add(uint64(1), 1.0, 0x1p-53, 0x1p-1074, -1.0)
	f.Add(uint64(2), math.MaxFloat64, math.MaxFloat64, -math.MaxFloat64, 1.0)
	f.Fuzz(func(t *testing.T, seed uint64, a, b, c, d float64) {
		x := []float64{a, b, c, d}
		var terms []term
		for i := range 4 {
			if x[i]-x[i] != 0 {
				return
			}
			terms = append(terms, term{w: x[i], x: x[(i+1)%4], product: seed>>i&1 != 0})
		}
		var s Sum
		for _, x := range terms {
			s.addTerm(x)
		}
		if got, want := s.Float64(), reference(terms); !same(got, want) {
			t.Errorf("sum of %v is %x, want %x", terms, got, want)
		}
	})
}

func BenchmarkAddSlice(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	x := make([]float64, 1024)
	for i := range x {
		x[i] = rng.ExpFloat64()
	}
	var s Sum
	for b.Loop() {
		s.AddSlice(x)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(x)), "ns/elem")
}

// TestScaled: the same as Float64 where that is a normal number, and right
// beyond.
func TestScaled(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for range 20000 {
		var s Sum
		for _, term := range randomTerms(rng) {
			s.addTerm(term)
		}
		m, exp := s.Scaled()
		f := s.Float64()
		if a := math.Abs(f); a == 0 && m == 0 || a != a || a >= 0x1p-1022 && a <= math.MaxFloat64 {
			if !same(math.Ldexp(m, exp), f) {
				t.Fatalf("%v·2^%d, not %v", m, exp, f)
			}
		}
		if math.Abs(m) > 1<<53 || m != math.Trunc(m) {
			t.Fatalf("%v is no integer of 53 bits", m)
		}
	}
	var s Sum
	s.Add(math.MaxFloat64)
	s.Add(math.MaxFloat64)
	if m, exp := s.Scaled(); m != 1<<53-1 || exp != 972 {
		t.Fatalf("2·MaxFloat64: %v·2^%d", m, exp)
	}
	s = Sum{}
	s.AddProduct(5e-324, -0.75)
	if m, exp := s.Scaled(); m != -3<<51 || exp != -1076-51 {
		t.Fatalf("-0.75·2^-1074: %v·2^%d", m, exp)
	}
	s.Add(math.Inf(1))
	if m, exp := s.Scaled(); !math.IsInf(m, 1) || exp != 0 {
		t.Fatalf("+Inf: %v·2^%d", m, exp)
	}
}
