package climb

import (
	"math"
	"math/rand/v2"
)

// one of the values.
func one[E any](rng *rand.Rand, values ...E) E { return values[rng.IntN(len(values))] }

// random makes an input to start from: scores around a center of any size, some
// equal or special, with weights and parameters of many magnitudes.
func (f *Function) random(rng *rand.Rand) Input {
	var in Input
	n := 1 + rng.IntN(4)
	if rng.IntN(4) == 0 {
		n = 1 + rng.IntN(maxClasses)
	}
	center := one(rng, 0, 0, 0, 0, 3, -3, -40, 60, -90, 300, -700, 1000, -2040, 5000, 1e5, 1e17, -1e30)
	spread := one(rng, 0.1, 1, 1, 3, 10, 30, 300)
	if f.uses&hasGamma != 0 {
		in.Gamma = one(rng, 1, 1, 0.7, 1.7, 1e-3, 13, 1e3, 1+1e-7, math.Pi*1e-30, 1e37, 1e300)
		in.Margin = one(rng, 0, 0, 0.3, -2, rng.NormFloat64(), -center)
		if rng.IntN(2) == 0 { // arguments of the exponentials of that magnitude
			center, spread = center/in.Gamma, spread/in.Gamma
		}
	}
	peaked := rng.IntN(6) == 0 // one score, and others of about half its last place
	if peaked {
		center = 5 * rng.NormFloat64()
	}
	for i := range n {
		x := center + spread*rng.NormFloat64()
		switch choice := rng.IntN(12); {
		case peaked:
			x = center
			if i > 0 {
				x += rng.Float64() - one(rng, 17.1, 37.2)
			}
		case choice == 0:
			x = -x
		case choice == 1:
			x = one(rng, 0, 1e-30, -1e-30, 2*center, math.MaxFloat64, -math.MaxFloat64)
		case choice == 2 && i > 0:
			x = one(rng, in.Scores...)
		}
		in.Scores = append(in.Scores, 0)
		f.numbers(&in)[len(in.Scores)-1].set(x)
	}
	if f.uses&hasTeacher != 0 {
		f.randomTeacher(rng, &in)
	}
	f.randomClasses(rng, &in)
	f.randomParameters(rng, &in, center)
	f.repair(&in)
	return in
}

// randomTeacher makes the scores those of a teacher, and those of a student at any distance
// from them.
func (f *Function) randomTeacher(rng *rand.Rand, in *Input) {
	in.Teacher = make([]float64, len(in.Scores))
	distance := one(rng, 1e-12, 1e-7, 1e-4, 0.01, 0.1, 0.5, 1, 1, 5, 30, 400)
	all := one(rng, 0, 0, 0, 1.5, -700, 1e6) // a constant is none to the softmax
	numbers := f.numbers(in)
	n := len(in.Scores)
	for i := range n {
		numbers[i].set(in.Scores[i])
		in.Teacher[i] = in.Scores[i]
		if rng.IntN(5) > 0 {
			numbers[i].set(in.Scores[i] + distance*rng.NormFloat64() + all)
		}
	}
	in.Temperature = one(rng, 1, 1, 2, 4, 0.5, 0.1+5*rng.Float64())
}

// randomClasses fills what an input has for every class besides a score.
func (f *Function) randomClasses(rng *rand.Rand, in *Input) {
	n := len(in.Scores)
	flags := func(share float64) Flags {
		b := make([]byte, n)
		for i := range b {
			b[i] = '0'
			if rng.Float64() < share {
				b[i] = '1'
			}
		}
		return Flags(b)
	}
	if f.uses&(hasLabels|hasTarget) != 0 {
		in.Positive = flags(one(rng, 0.0, 0.1, 0.4, 0.7))
		if rng.IntN(3) == 0 { // as a trained model has it
			for i, x := range in.Scores {
				in.Positive = in.Positive.with(i, "01"[b2i(x > 0)])
			}
		}
	}
	if f.uses&hasMask != 0 {
		in.Mask = flags(0.7)
	}
	if f.uses&hasSoft != 0 {
		for range n {
			t := one(rng, rng.Float64(), 0, 1, math.Ldexp(rng.Float64(), -rng.IntN(140)), 1-math.Ldexp(rng.Float64(), -rng.IntN(30)))
			if f.single {
				t = float64(float32(t))
			}
			in.Soft = append(in.Soft, t)
		}
	}
	weights := func() (w []float64) {
		exponent := one(rng, 0, 2, 3, 30, 200)
		for range n {
			w = append(w, math.Ldexp(1+rng.Float64(), rng.IntN(2*exponent+1)-exponent))
		}
		return w
	}
	if f.uses&hasWeights != 0 {
		in.Weights = weights()
	}
	if f.uses&hasPositiveWeights != 0 {
		in.PositiveWeights = weights()
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// randomParameters fills what an input has once; scores lie around center.
func (f *Function) randomParameters(rng *rand.Rand, in *Input, center float64) {
	if f.uses&(hasThreshold|hasLearned) != 0 {
		in.Threshold = one(rng, 0, 1.5, center, rng.NormFloat64(), 0x1p-15, in.Scores[0])
		if f.uses&hasLearned != 0 && f.single {
			in.Threshold = float64(float32(in.Threshold))
		}
	}
	if f.uses&hasFocal != 0 {
		in.Focal = one(rng, 0.5, 1, 2, 2, 3, 10, 30, 5*rng.Float64())
	}
	if f.uses&hasAsymmetry != 0 {
		in.FocalPositive = one(rng, 0, 0, 1, 2, 5*rng.Float64())
		in.Focal = one(rng, 0, 4, 4, 1, 2.5, 5*rng.Float64())
	}
	if f.uses&hasBalance != 0 {
		in.Balance = []float64{0.1, 10, 0.3, 0.05, 2}
		if rng.IntN(2) == 0 {
			in.Balance = []float64{one(rng, 0, 0.1, rng.Float64()), one(rng, 0, 1, 10, 30*rng.Float64()), 2*rng.Float64() - 0.5, one(rng, 0, 0.05, 3*rng.Float64()), one(rng, 1, 2, 5*rng.Float64()+0.1)}
		}
		for range in.Scores {
			in.Counts = append(in.Counts, one(rng, 0, 1, 500, 999, countedRows, countedRows*rng.Float64()))
		}
	}
	if f.uses&hasTemperatures != 0 {
		in.Temperatures = []float64{one(rng, 1, 4, 4, 0.5, 10*rng.Float64()+0.01), one(rng, 1, 1, 2, 5*rng.Float64()+0.01)}
	}
	if f.uses&hasShift != 0 {
		in.Shift = one(rng, 0.05, 0.05, 0.2, 0.001, 0.9*rng.Float64()+0.01)
	}
	if f.uses&hasSmoothing != 0 {
		in.Smoothing = one(rng, 0.125, 0.0625, 0.5, 0x1p-20, 0x1p-40, 0.984375)
	}
	if f.uses&hasScale != 0 {
		in.RowWeight = math.Exp(one(rng, 1.0, 1, 10, 100) * rng.NormFloat64())
		in.Upstream = math.Exp(one(rng, 1.0, 1, 10, 100) * rng.NormFloat64())
		if rng.IntN(2) == 0 {
			in.OtherWeight = math.Exp(one(rng, 1.0, 1, 10, 100) * rng.NormFloat64())
		}
	}
	if f.uses&hasPicks != 0 {
		in.K = rng.IntN(len(in.Scores) + 1)
	}
	if f.uses&hasHardNegatives != 0 {
		in.K = 1 + rng.IntN(len(in.Scores))
		in.Among = rng.IntN(2) == 0
	}
	if f.uses&hasRepeat != 0 && rng.IntN(3) == 0 {
		in.Repeat = one(rng, 2, 3, 4, 8, 16, 17, 64, 100, 700, 1<<12)
	}
}
