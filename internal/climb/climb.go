// Package climb searches for the inputs on which the documented error bounds of
// the library are nearest to being broken, and records them.
//
// A Function is a function of the library with its options, for one type of
// scores: it makes random inputs and compares what it gets with the exact values
// of package ref. Climb starts from such inputs and moves single numbers by units
// in the last place, by powers of two and to special values, towards a larger
// error. The worst inputs found are the Witnesses: a table of exact inputs, which
// pins the bounds.
package climb

import (
	"math"
	"math/rand/v2"
)

// A Function is a function of the library, with its options, for one type of
// scores.
type Function struct {
	Name       string // with the options, and the type
	Quantities []Quantity

	single bool                         // scores are float32
	uses   options                      // what an input has besides scores
	errors func(in *Input, e []float64) // the errors of all quantities
}

// A Quantity is a result of a function with a documented bound of its error.
type Quantity struct {
	Name  string
	Bound float64
	Unit  string // of the bound: "ULP", or "relative" for 1
	Row   string // of the accuracy table
}

// Errors returns the errors of the function's quantities on an input, +Inf
// where a result is wrong altogether, and 0 where nothing is promised.
func (f *Function) Errors(in Input) []float64 {
	e := make([]float64, len(f.Quantities))
	f.errors(&in, e)
	return e
}

// A Find is an input and the error of one quantity of a function there.
type Find struct {
	Function, Quantity string
	Error              float64
	Input              Input
}

// Broken reports whether the error of a find is not below the bound.
func (q Quantity) Broken(err float64) bool { return !(err < q.Bound) }

// patience is the number of moves without a larger error after which a climb
// ends.
const patience = 60

// Climb evaluates the function on about so many inputs and returns the worst
// that it finds of each quantity.
func (f *Function) Climb(rng *rand.Rand, evaluations int) []Find {
	worst := make([]Find, len(f.Quantities))
	for i, q := range f.Quantities {
		worst[i] = Find{Function: f.Name, Quantity: q.Name, Error: -1}
	}
	errors := make([]float64, len(f.Quantities))
	evaluate := func(in *Input) {
		clear(errors)
		f.errors(in, errors)
		evaluations--
		for i, e := range errors {
			if e > worst[i].Error || e != e {
				worst[i].Error, worst[i].Input = e, in.clone()
			}
		}
	}
	for target := 0; evaluations > 0; target = (target + 1) % len(f.Quantities) {
		// The best of some random inputs, now and then the worst input known.
		var best Input
		highest := -1.0
		for range 8 {
			in := f.random(rng)
			if evaluate(&in); errors[target] > highest {
				highest, best = errors[target], in.clone()
			}
		}
		if rng.IntN(3) == 0 && worst[target].Error < f.Quantities[target].Bound {
			highest, best = worst[target].Error, worst[target].Input.clone()
		}
		for idle := 0; idle < patience && evaluations > 0; idle++ {
			in := best.clone()
			for range 1 + rng.IntN(2) {
				f.move(rng, &in)
			}
			f.repair(&in)
			evaluate(&in)
			if e := errors[target]; e >= highest {
				if e > highest {
					idle = 0
				}
				highest, best = e, in
			}
		}
	}
	return worst
}

// A number is one that a climb may move, with the range in which it may be.
type number struct {
	at        *float64
	low, high float64
	single    bool // it is a float32
}

// set sets the number to x, rounded and brought into its range.
func (n number) set(x float64) {
	if x != x {
		return
	}
	if n.single {
		x = float64(float32(x))
	}
	*n.at = min(max(x, n.low), n.high)
}

// step returns the number so many numbers of its type above x, or below.
func (n number) step(x float64, steps int64) float64 {
	if n.single {
		return float64(math.Float32frombits(uint32(unordered(ordered(int64(math.Float32bits(float32(x))), 31)+steps, 31))))
	}
	return math.Float64frombits(uint64(unordered(ordered(int64(math.Float64bits(x)), 63)+steps, 63)))
}

// ordered maps the bits of numbers whose sign is bit sign to integers in their
// order, unordered back.
func ordered(bits int64, sign uint) int64 {
	if bits>>sign&1 != 0 {
		return -(bits & (1<<sign - 1))
	}
	return bits
}

func unordered(n int64, sign uint) int64 {
	if n < 0 {
		return -n | 1<<sign
	}
	return n
}

// move moves one number of an input, all scores together, or its labels.
func (f *Function) move(rng *rand.Rand, in *Input) {
	numbers := f.numbers(in)
	if len(numbers) == 0 || rng.IntN(8) == 0 {
		f.reshape(rng, in)
		return
	}
	n := numbers[rng.IntN(len(numbers))]
	x := *n.at
	sign := float64(1 - 2*rng.IntN(2))
	switch rng.IntN(10) {
	case 0, 1, 2: // by ULPs
		digits := 52
		if n.single {
			digits = 23
		}
		n.set(n.step(x, int64(sign)*(1+rng.Int64N(int64(1)<<rng.IntN(digits)))))
	case 3: // by a power of two
		n.set(x * math.Ldexp(1, int(sign)*(1+rng.IntN(1<<rng.IntN(8)))))
	case 4, 5: // by a little, or a lot
		n.set(x * (1 + rng.NormFloat64()*math.Exp(-20*rng.Float64())))
	case 6: // by a difference
		n.set(x + rng.NormFloat64()*math.Exp(10*rng.Float64()-8))
	case 7: // to a special value
		n.set(special(rng, n))
	case 8: // next to another number, or to its negative
		other := numbers[rng.IntN(len(numbers))]
		y := sign * *other.at
		if rng.IntN(2) == 0 {
			y *= 1 + rng.NormFloat64()*math.Exp(-36*rng.Float64())
		}
		n.set(y)
	case 9: // all scores, together
		factor, shift := 1.0, 0.0
		switch rng.IntN(3) {
		case 0:
			factor = math.Ldexp(1, int(sign))
		case 1:
			factor = 1 + rng.NormFloat64()*math.Exp(-20*rng.Float64())
		case 2:
			shift = rng.NormFloat64() * math.Exp(20*rng.Float64()-10)
		}
		for _, n := range numbers[:len(in.Scores)] {
			n.set(factor**n.at + shift)
		}
	}
}

// special returns a number at which branches lie.
func special(rng *rand.Rand, n number) float64 {
	smallest := 0x1p-1074
	normal, limit := 0x1p-1022, 745.2
	if n.single {
		smallest, normal, limit = 0x1p-149, 0x1p-126, 103.97
	}
	values := []float64{
		0, 1, smallest, normal, n.high, n.low, math.Ldexp(1, rng.IntN(60)-30), math.Ln2, 37.4, 16.6, 64, limit,
		n.high / 2, math.Ldexp(1, -rng.IntN(150)), math.Ldexp(1, rng.IntN(120)), 87.33, 708.4, 2047, 2048,
	}
	x := values[rng.IntN(len(values))]
	if rng.IntN(2) == 0 {
		x = -x
	}
	return x
}
