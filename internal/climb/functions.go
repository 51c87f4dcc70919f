package climb

import (
	"math"
	"math/big"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/ref"
)

// Functions returns all functions, for both types.
func Functions() []*Function {
	return append(functionsOf[float32](), functionsOf[float64]()...)
}

func functionsOf[T zlpr.Float]() []*Function {
	all := []*Function{
		logSumExp[T](),
		softmax[T](),
		logSoftmax[T](),
		signedLogSumExp[T](),
	}
	all = append(all, lossFunctions[T]()...)
	return append(all,
		logProbability[T](false), logProbability[T](true),
		partition[T](false), partition[T](true),
		plackettLuce[T](),
		subsetSampler[T](), luceSampler[T](),
		probabilities[T](), rowMeasures[T](),
	)
}

// Exponential is e^x as the kernels compute it, for arguments whose exponential
// is a normal number.
func Exponential[T zlpr.Float](exp func(x T) T, bound float64) *Function {
	f := &Function{
		Name: "exponential, " + typeName[T](), single: isSingle[T](),
		Quantities: []Quantity{{"value", bound, "ULP", "exponential: float32 (every input was tried), float64"}},
	}
	low, high := -0x1.5d589ep+6, 88.37
	if !f.single {
		low, high = -0x1.6232bdd7abcd2p+9, 709.0
	}
	f.errors = func(in *Input, e []float64) {
		for _, x := range in.Scores {
			if low <= x && x <= high {
				e[0] = max(e[0], ref.ULPs(exp(T(x)), ref.Exp(ref.New(x))))
			}
		}
	}
	return f
}

const rowLogSumExp = "LogSumExp, any length to 2²⁴, of max(\\|result\\|, 1); never below Max"

// logSumExp is LogSumExp of the whole row and of an Accumulator that takes it in
// two parts.
func logSumExp[T zlpr.Float]() *Function {
	f := &Function{
		Name: "LogSumExp, " + typeName[T](), single: isSingle[T](), uses: hasRepeat,
		Quantities: []Quantity{{"value", 1.5, "ULP", rowLogSumExp}, {"in parts", 1.5, "ULP", rowLogSumExp}},
	}
	f.errors = func(in *Input, e []float64) {
		x := narrow[T](in.repeated(in.Scores))
		want := ref.LogSumExp(ref.Floats(in.Scores))
		if in.Repeat > 1 {
			want = ref.Add(want, ref.Log(ref.New(float64(in.Repeat))))
		}
		var a, b zlpr.Accumulator[T]
		cut := len(in.Scores) / 2
		a.Add(x[cut:])
		b.Add(x[:cut])
		a.Merge(&b)
		for i, got := range []float64{zlpr.LogSumExp(x), a.LogSumExp()} {
			e[i] = relative(got, want, ref.One(want), 0, unit[T]())
			if got < float64(zlpr.Max(x)) || len(x) == 1 && got != in.Scores[0] {
				e[i] = math.Inf(1)
			}
		}
	}
	return f
}

// logProbabilities returns the logarithms of the softmax, relatively exact, of a
// row that has its classes so many times over.
func logProbabilities(x []float64, repeat int) []*big.Float {
	all := make([]*big.Float, len(x))
	for i := range x {
		// -log1p(Σ e^(x_j - x_i)) of the others; the class itself comes again.
		others := []*big.Float{}
		for j := range x {
			if j != i {
				others = append(others, ref.Sub(ref.New(x[j]), ref.New(x[i])))
			}
		}
		l := ref.New(0)
		if len(others) > 0 {
			l = ref.Softplus(ref.LogSumExp(others))
		}
		if repeat > 1 {
			l = ref.Add(l, ref.Log(ref.New(float64(repeat))))
		}
		all[i] = ref.Neg(l)
	}
	return all
}

func softmax[T zlpr.Float]() *Function {
	f := &Function{
		Name: "Softmax, " + typeName[T](), single: isSingle[T](), uses: hasRepeat,
		Quantities: []Quantity{{"entry", 3, "ULP", "Softmax, entries ≥ 2⁻¹²⁴"}},
	}
	smallest := 0x1p-124
	if !f.single {
		smallest = 0x1p-1020
	}
	f.errors = func(in *Input, e []float64) {
		p := narrow[T](in.repeated(in.Scores))
		zlpr.Softmax(p, p)
		for i, l := range logProbabilities(in.Scores, in.Repeat) {
			want := ref.Exp(l)
			e[0] = max(e[0], relative(p[i], want, want, smallest, unit[T]()))
		}
	}
	return f
}

func logSoftmax[T zlpr.Float]() *Function {
	f := &Function{
		Name: "LogSoftmax, " + typeName[T](), single: isSingle[T](), uses: hasRepeat,
		Quantities: []Quantity{{"entry", 4, "ULP", "LogSoftmax, every entry, at any shift of the scores; never above 0"}},
	}
	smallest := 0x1p-126
	if !f.single {
		smallest = 0x1p-1022
	}
	f.errors = func(in *Input, e []float64) {
		l := narrow[T](in.repeated(in.Scores))
		zlpr.LogSoftmax(l, l)
		for i, want := range logProbabilities(in.Scores, in.Repeat) {
			e[0] = max(e[0], relative(l[i], want, want, smallest, unit[T]()))
			if l[i] > 0 {
				e[0] = math.Inf(1)
			}
		}
	}
	return f
}
