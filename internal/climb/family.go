package climb

import (
	"math"
	"math/big"
	"slices"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/ref"
)

// The bounds of the k-subset family: of log Z, of probabilities and, for float32
// results, of what is rounded once.
const (
	boundLogZ        = 4e-15
	boundChance      = 1e-14
	boundFamily      = 1e-13
	boundOnce        = 0.6
	boundPlackett    = 2e-15
	rowLogZ          = "log of the k-subset partition function, of max(1, \\|log Z\\|, Σ\\|s\\| of the k highest)"
	rowChance        = "inclusion and exclusion probabilities, from 1e-280"
	rowFamilyLoss    = "subset losses, from 1e-300"
	rowFamilySlope   = "their gradients, from 1e-280; the threshold's of Σ\\|∂L/∂s\\|"
	rowPlackettOrder = "Plackett-Luce log-probabilities, from -1e-300"
)

// chance returns a Quantity that is rounded once where it is a float32.
func chance[T zlpr.Float](name string, bound float64, row string) Quantity {
	if isSingle[T]() {
		return Quantity{name, boundOnce, "ULP", row}
	}
	return Quantity{name, bound, "relative", row}
}

// chanceError is the error of a probability or a derivative of the family: below
// 1e-280 it is an absolute one of 1e-300 for float64.
func chanceError[T zlpr.Float](got T, want *big.Float) float64 {
	if isSingle[T]() {
		if !below(want, math.MaxFloat32) {
			return relative(got, want, abs(want), 0, 1)
		}
		return ref.ULPs(got, want)
	}
	if below(want, 1e-280) {
		w, _ := want.Float64()
		if math.Abs(float64(got)-w) < 1e-300+boundFamily*math.Abs(w) {
			return 0
		}
		return math.Inf(1)
	}
	return relative(got, want, abs(want), 0, 1)
}

// partition is the partition function with the probabilities of the classes.
func partition[T zlpr.Float](padded bool) *Function {
	name, uses := "subset law", hasPicks
	if padded {
		name, uses = "padded subset law", hasPicks|hasThreshold
	}
	f := &Function{
		Name: name + ", " + typeName[T](), single: isSingle[T](), uses: uses,
		Quantities: []Quantity{
			{"log Z", boundLogZ, "relative", rowLogZ},
			chance[T]("inclusion", boundChance, rowChance), chance[T]("exclusion", boundChance, rowChance),
		},
	}
	f.errors = func(in *Input, e []float64) {
		x := narrow[T](in.Scores)
		included, excluded := make([]T, len(x)), make([]T, len(x))
		var logZ float64
		var threshold *float64
		if padded {
			threshold = &in.Threshold
			logZ = zlpr.PaddedLogPartition(x, in.K, in.Threshold)
			zlpr.PaddedInclusionProbabilities(included, x, in.K, in.Threshold)
			zlpr.PaddedExclusionProbabilities(excluded, x, in.K, in.Threshold)
		} else {
			logZ = zlpr.LogPartition(x, in.K)
			zlpr.InclusionProbabilities(included, x, in.K)
			zlpr.ExclusionProbabilities(excluded, x, in.K)
		}
		want := ref.LogPartition(x, in.K, threshold)
		scale := ref.One(want)
		if highest := in.highestSum(threshold); highest.Cmp(scale) > 0 {
			scale = highest
		}
		e[0] = relative(logZ, want, scale, 0, 1)
		const precision = ref.Prec + 64
		law := ref.Subset(ref.Weights(x, precision), ref.Adjoint(in.K, threshold, precision))
		for i := range x {
			e[1] = max(e[1], chanceError(included[i], law.Included[i]))
			e[2] = max(e[2], chanceError(excluded[i], law.Absent[i]))
		}
	}
	return f
}

// highestSum returns the sum of the magnitudes of the K highest scores, or of
// scores and paddings.
func (in *Input) highestSum(threshold *float64) *big.Float {
	x := slices.Clone(in.Scores)
	if threshold != nil {
		x = append(x, slices.Repeat([]float64{*threshold}, in.K)...)
	}
	slices.Sort(x)
	sum := ref.New(0)
	for _, v := range x[len(x)-in.K:] {
		sum = ref.Add(sum, ref.New(math.Abs(v)))
	}
	return sum
}

func subsetRule(name string, uses options) lossRule {
	return lossRule{name: name, uses: hasLabels | uses, family: true,
		loss:  func(*Input) zlpr.Loss { return zlpr.Subset{} },
		exact: func(_ *Input, r ref.Row) ref.Result { return r.Subset() },
	}
}

func paddedRule(name string, uses options) lossRule {
	return lossRule{name: name, uses: hasLabels | hasPicks | uses, family: true,
		loss: func(in *Input) zlpr.Loss {
			return zlpr.PaddedSubset{K: in.K, Threshold: in.fixedThreshold(uses)}
		},
		exact: func(in *Input, r ref.Row) ref.Result { return r.PaddedSubset(in.K) },
	}
}

// logProbability is the logarithm of the probability of the positives.
func logProbability[T zlpr.Float](padded bool) *Function {
	name, uses := "SubsetLogProbability", hasLabels
	if padded {
		name, uses = "PaddedSubsetLogProbability", hasLabels|hasPicks|hasThreshold
	}
	f := &Function{
		Name: name + ", " + typeName[T](), single: isSingle[T](), uses: uses,
		Quantities: []Quantity{{"value", boundFamily, "relative", rowFamilyLoss}},
	}
	f.errors = func(in *Input, e []float64) {
		x, r := narrow[T](in.Scores), in.row()
		var classes []int
		for i, p := range r.Positive {
			if p {
				classes = append(classes, i)
			}
		}
		got, want := 0.0, r.Subset().Loss
		if padded {
			got, want = zlpr.PaddedSubsetLogProbability(x, classes, in.K, in.Threshold), r.PaddedSubset(in.K).Loss
		} else {
			got = zlpr.SubsetLogProbability(x, classes)
		}
		e[0] = relative(-got, want, want, 1e-300, 1)
	}
	return f
}

// plackettLuce is the logarithm of the probability of the order of the first K
// classes.
func plackettLuce[T zlpr.Float]() *Function {
	f := &Function{
		Name: "PlackettLuceLogProbability, " + typeName[T](), single: isSingle[T](), uses: hasPicks,
		Quantities: []Quantity{{"value", boundPlackett, "relative", rowPlackettOrder}},
	}
	f.errors = func(in *Input, e []float64) {
		want := ref.New(0)
		for t := range in.K {
			var left []*big.Float // after draw t, less the score drawn
			for _, v := range in.Scores[t+1:] {
				left = append(left, ref.Sub(ref.New(v), ref.New(in.Scores[t])))
			}
			if len(left) > 0 {
				want = ref.Add(want, ref.Softplus(ref.LogSumExp(left)))
			}
		}
		got := -zlpr.PlackettLuceLogProbability(narrow[T](in.Scores), upTo(in.K))
		e[0] = relative(got, want, want, 1e-300, 1)
		if got < 0 {
			e[0] = math.Inf(1)
		}
	}
	return f
}
