package climb

import (
	"math"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/ref"
)

// signedLogSumExp is SignedLogSumExp with the weights as factors, those of positive
// classes below 0. Its error is one of the bound that it returns.
func signedLogSumExp[T zlpr.Float]() *Function {
	f := &Function{
		Name: "SignedLogSumExp, " + typeName[T](), single: isSingle[T](), uses: hasLabels | hasWeights,
		Quantities: []Quantity{{"value", 1, "relative", "SignedLogSumExp, of the bound that it returns"}},
	}
	f.errors = func(in *Input, e []float64) {
		x, b := narrow[T](in.Scores), narrow[T](in.Weights)
		for i := range b {
			if math.IsInf(float64(b[i]), 0) {
				return
			}
			if in.Positive[i] == '1' {
				b[i] = -b[i]
			}
		}
		lse, sign, bound := zlpr.SignedLogSumExp(x, b)
		sum := ref.SignedSum(ref.Floats(x), ref.Floats(b))
		switch {
		case sum.Sign() == 0:
			if sign != 0 || bound != 0 || !math.IsInf(lse, -1) {
				e[0] = math.Inf(1)
			}
		case math.IsInf(bound, 1):
		case sum.Sign() != int(sign):
			e[0] = math.Inf(1)
		default:
			e[0], _ = ref.Quo(abs(ref.Sub(ref.New(lse), sum.LogAbs())), ref.New(bound)).Float64()
		}
	}
	return f
}
