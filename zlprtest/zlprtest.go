package zlprtest

import (
	"fmt"
	"math"
	"math/big"
	"strings"

	"github.com/zlpr/zlpr/internal/ref"
)

// Row is one row: the scores of the classes with their labels.
type Row struct {
	Scores       []float64 // not NaN where a class takes part
	Positive     []bool    // hard labels, for all losses but zlpr-soft
	Soft         []float64 // labels in [0, 1], for zlpr-soft; for softmax and bce in place of hard ones
	Teacher      []float64 // a teacher's scores, finite: makes softmax, bce and zlpr distillations
	Mask         []bool    // the classes that take part; nil: all
	ClassWeights []float64 // ≥ 0; nil: ones. Weight 0 leaves a class out, but of softmax, where it is the target's that counts
	Threshold    float64   // s0, for bce, zlpr, zlpr-soft and subset-padded
}

// Loss is a loss function, by the name that it has in package zlpr, with its
// parameters. With w for the class weights, N for the negative classes that
// take part, P for the positive ones and k for their number:
//
//	softmax        w_t log(1 + Σ_N e^(s_i-s_t)), P = {t}
//	bce            Σ w_i p_i q_i^Focal softplus(-y_i), y = s0-s in N, s-s0 in P,
//	               q = sigmoid(-y), p = PositiveWeight in P, 1 in N
//	pairwise       log(1 + Σ_N w_i e^(γ(s_i+m)) Σ_P w_j e^(-γ s_j))
//	zlpr           log(1 + Σ_N w_i e^(s_i-s0)) + log(1 + Σ_P w_j e^(s0-s_j))
//	zlpr-soft      log(1 + Σ w_i (1-t_i) e^(s_i-s0)) + log(1 + Σ w_i t_i e^(s0-s_i))
//	asymmetric     Σ_P w (1-p)^γ+ (-log p) + Σ_N w r^γ- (-log(1-r)), p = sigmoid(s), r = max(p-m, 0)
//	distribution-balanced  Σ_P w r softplus(ν-s) + Σ_N w r softplus(λ(s-ν))/λ, r = α + sigmoid(β(q-μ)),
//	               q = (1/n)/Σ_P 1/n_j, ν = κ log(N/n - 1), λ = NegativeScale, 0 meaning 1
//	class-balanced, class-balanced-softmax  bce, and softmax, with the class weights w times
//	               v = c (1-β)/(1-β^n), Σ v being the number of classes
//	two-way        softplus(T- log Σ_N e^(s/T-) + T+ log Σ_P e^(-s/T+)); no class weights
//	softmax, soft  Σ w_i t_i (log Σ e^s - s_i)
//	bce, soft      Σ w_i ((1-t_i) softplus(s_i-s0) + p_i t_i softplus(s0-s_i)), p = PositiveWeight
//	softmax, bce and zlpr with a teacher: T² times what the loss of the scores over T is
//	               with the teacher's labels, softmax(z/T), sigmoid(z/T) or, of zlpr as
//	               zlpr-soft, sigmoid(2z/T), above that of z/T
//	subset         log Σ_j e_j(u) e_j(v), u = w e^(s-s0) in N, v = w e^(s0-s) in P
//	subset-padded  log Σ_b e_b(v) Σ_(a ≤ K-k+b) e_a(u)
//
// e_j being the elementary symmetric polynomials. See Su Jianlin,
// spaces.ac.cn/archives/7359 and 9064; Su, Zhu, Murtadha, Pan, Wen and Liu,
// arXiv 2208.02955.
type Loss struct {
	Name           string
	PositiveWeight []float64 // of bce and class-balanced, one a class; nil: ones
	Focal          float64   // exponent of bce and class-balanced
	Gamma, Margin  float64   // γ and m of pairwise; γ = 0 means 1
	// Of asymmetric: the exponents of positives (γ+) and negatives (γ-), and m.
	GammaPositive, GammaNegative, Shift float64
	// Of two-way: T+ and T-; 0 means 1.
	PositiveTemperature, NegativeTemperature float64
	Temperature                              float64 // T of a distillation; 0 means 1
	Counts                                   []int   // of distribution-balanced and class-balanced, one a class
	Rows                                     int     // of distribution-balanced
	Alpha, Beta, Mu, Kappa, NegativeScale    float64 // of distribution-balanced; Beta also of class-balanced, below 1
	K                                        int     // of subset-padded; 0 means the number of positives
}

// Names returns the names of the losses.
func Names() []string {
	return []string{"softmax", "bce", "pairwise", "zlpr", "zlpr-soft", "subset", "subset-padded", "asymmetric", "two-way", "distribution-balanced", "class-balanced", "class-balanced-softmax"}
}

// Result is the loss of a row and its derivatives, with relative errors below
// 2^-160 but for two derivatives that are differences: the error of that by the
// threshold is below 2^-160·Σ|Grad|, and that of a derivative with soft labels below
// 2^-160 times the larger of its two terms. What is below 2^-2^31, the least
// big.Float, is 0.
type Result struct {
	Loss          *big.Float
	Grad          []*big.Float // by the scores; 0 for classes left out
	ThresholdGrad *big.Float   // by the threshold
}

// Float64 returns the result rounded to float64.
func (r Result) Float64() (loss float64, grad []float64, thresholdGrad float64) {
	grad = make([]float64, len(r.Grad))
	for i, g := range r.Grad {
		grad[i], _ = g.Float64()
	}
	loss, _ = r.Loss.Float64()
	thresholdGrad, _ = r.ThresholdGrad.Float64()
	return loss, grad, thresholdGrad
}

// Evaluate returns the loss of a row and its derivatives, for finite scores,
// thresholds, weights and parameters of any size. With infinite scores it
// returns the limit in which all of them grow alike: a negative class at +Inf
// or a positive one at -Inf makes the loss +Inf, several of them share the
// derivative; a negative at -Inf or a positive at +Inf adds nothing.
//
// It is an error if the name is none of Names, if lengths differ, if a score
// that takes part is NaN, a parameter infinite or NaN, Gamma, Focal or a weight
// negative or a soft label not in [0, 1], if a positive class is masked out, if
// softmax has not exactly one positive class, and if K is below the number of
// positives.
func (l Loss) Evaluate(row Row) (Result, error) {
	if err := l.check(row); err != nil {
		return Result{}, err
	}
	r := ref.Row{
		Scores: row.Scores, Positive: row.Positive, Soft: row.Soft, Mask: row.Mask,
		Weights: row.ClassWeights, Threshold: row.Threshold,
	}
	positives := 0
	for i, p := range row.Positive {
		if p && (row.ClassWeights == nil || row.ClassWeights[i] != 0 || l.Name == "softmax" || l.Name == "class-balanced-softmax") {
			positives++
		}
	}
	var result ref.Result
	switch {
	case row.Teacher != nil:
		of := map[string]ref.Divergence{"softmax": ref.SoftmaxDivergence, "bce": ref.BCEDivergence, "zlpr": ref.ZLPRDivergence}
		d, ok := of[l.Name]
		if !ok || l.Focal != 0 || l.PositiveWeight != nil || row.Threshold != 0 || l.Name == "softmax" && row.ClassWeights != nil {
			return Result{}, fmt.Errorf("zlprtest: no distillation of %s with these parameters", l.Name)
		}
		t := l.Temperature
		if t == 0 {
			t = 1
		}
		result, _ = r.Distillation(d, row.Teacher, t)
		return Result{result.Loss, result.Grad, result.Threshold}, nil
	case l.soft(row) && l.Name == "softmax":
		result, _ = r.SoftSoftmax()
		return Result{result.Loss, result.Grad, result.Threshold}, nil
	case l.soft(row) && l.Name == "bce":
		if l.Focal != 0 {
			return Result{}, fmt.Errorf("zlprtest: soft labels with a focal exponent")
		}
		result, _ = r.SoftBCE(l.PositiveWeight)
		return Result{result.Loss, result.Grad, result.Threshold}, nil
	}
	switch l.Name {
	case "softmax":
		if positives != 1 {
			return Result{}, fmt.Errorf("zlprtest: softmax with %d positive classes", positives)
		}
		result = r.SoftmaxCrossEntropy()
	case "bce":
		result = r.BCE(l.PositiveWeight, l.Focal)
	case "pairwise":
		gamma := l.Gamma
		if gamma == 0 {
			gamma = 1
		}
		result = r.Pairwise(gamma, l.Margin)
	case "zlpr":
		result = r.ZLPR()
	case "asymmetric":
		result, _ = r.Asymmetric(l.GammaPositive, l.GammaNegative, l.Shift)
	case "two-way":
		if row.ClassWeights != nil {
			return Result{}, fmt.Errorf("zlprtest: two-way takes no class weights")
		}
		temperature := func(t float64) float64 {
			if t == 0 {
				return 1
			}
			return t
		}
		result = r.TwoWay(temperature(l.PositiveTemperature), temperature(l.NegativeTemperature))
	case "distribution-balanced":
		lambda := l.NegativeScale
		if lambda == 0 {
			lambda = 1
		}
		result = r.DistributionBalanced(l.Counts, l.Rows, l.Alpha, l.Beta, l.Mu, l.Kappa, lambda)
	case "class-balanced":
		result = r.ClassBalanced(l.Counts, l.Beta, func(r ref.Row) ref.Result { return r.BCE(l.PositiveWeight, l.Focal) })
	case "class-balanced-softmax":
		if positives != 1 {
			return Result{}, fmt.Errorf("zlprtest: softmax with %d positive classes", positives)
		}
		result = r.ClassBalancedSoftmax(l.Counts, l.Beta)
	case "zlpr-soft":
		result = r.SoftZLPR()
	case "subset":
		result = r.Subset()
	case "subset-padded":
		k := l.K
		if k == 0 {
			k = positives
		}
		if k < positives {
			return Result{}, fmt.Errorf("zlprtest: K is %d, with %d positive classes", k, positives)
		}
		result = r.PaddedSubset(k)
	default:
		return Result{}, fmt.Errorf("zlprtest: no loss %q", l.Name)
	}
	return Result{result.Loss, result.Grad, result.Threshold}, nil
}

func (l Loss) classBalanced() bool { return strings.HasPrefix(l.Name, "class-balanced") }

// soft reports whether the labels are soft.
func (l Loss) soft(row Row) bool {
	return l.Name == "zlpr-soft" || row.Soft != nil && (l.Name == "softmax" || l.Name == "bce") && row.Positive == nil
}

// check returns what is wrong with the numbers and the lengths.
func (l Loss) check(row Row) error {
	n := len(row.Scores)
	for _, s := range []struct {
		name   string
		length int
		needed bool
	}{
		{"Positive", len(row.Positive), !l.soft(row) && row.Teacher == nil},
		{"Counts", len(l.Counts), l.Name == "distribution-balanced" || l.classBalanced()},
		{"Teacher", len(row.Teacher), row.Teacher != nil},
		{"Soft", len(row.Soft), l.soft(row)},
		{"Mask", len(row.Mask), row.Mask != nil},
		{"ClassWeights", len(row.ClassWeights), row.ClassWeights != nil},
		{"PositiveWeight", len(l.PositiveWeight), l.PositiveWeight != nil},
	} {
		if s.needed && s.length != n {
			return fmt.Errorf("zlprtest: %d scores, but %s has length %d", n, s.name, s.length)
		}
	}
	for _, x := range []float64{row.Threshold, l.Focal, l.Gamma, l.Margin, l.GammaPositive, l.GammaNegative, l.Shift, l.PositiveTemperature, l.NegativeTemperature, l.Alpha, l.Beta, l.Mu, l.Kappa, l.NegativeScale} {
		if !finite(x) {
			return fmt.Errorf("zlprtest: a parameter is %g", x)
		}
	}
	if least := min(l.Focal, l.Gamma, l.GammaPositive, l.GammaNegative, l.Shift, l.PositiveTemperature, l.NegativeTemperature, l.Alpha, l.Beta, l.Kappa, l.NegativeScale); least < 0 {
		return fmt.Errorf("zlprtest: a parameter is %g", least)
	}
	if l.classBalanced() && l.Beta >= 1 {
		return fmt.Errorf("zlprtest: Beta is %g", l.Beta)
	}
	for _, n := range l.Counts {
		if n < 0 {
			return fmt.Errorf("zlprtest: a count is %d", n)
		}
	}
	if !finite(l.Temperature) || l.Temperature < 0 {
		return fmt.Errorf("zlprtest: Temperature is %g", l.Temperature)
	}
	for i, z := range row.Teacher {
		if (row.Mask == nil || row.Mask[i]) && !finite(z) {
			return fmt.Errorf("zlprtest: the teacher's score of class %d is %g", i, z)
		}
	}
	if l.Shift >= 1 {
		return fmt.Errorf("zlprtest: Shift is %g", l.Shift)
	}
	for i, s := range row.Scores {
		in := row.Mask == nil || row.Mask[i]
		switch {
		case in && math.IsNaN(s):
			return fmt.Errorf("zlprtest: class %d: score is %g", i, s)
		case !in && !l.soft(row) && row.Teacher == nil && row.Positive[i]:
			return fmt.Errorf("zlprtest: class %d: positive, but masked out", i)
		case row.ClassWeights != nil && !weight(row.ClassWeights[i]):
			return fmt.Errorf("zlprtest: class %d: weight is %g", i, row.ClassWeights[i])
		case l.PositiveWeight != nil && !weight(l.PositiveWeight[i]):
			return fmt.Errorf("zlprtest: class %d: positive weight is %g", i, l.PositiveWeight[i])
		case l.soft(row) && in && !(row.Soft[i] >= 0 && row.Soft[i] <= 1):
			return fmt.Errorf("zlprtest: class %d: soft label is %g", i, row.Soft[i])
		}
	}
	return nil
}

func finite(x float64) bool { return math.Abs(x) <= math.MaxFloat64 }
func weight(x float64) bool { return x >= 0 && finite(x) }

// LogSumExp returns log Σ e^x[i] with a relative error below 2^-160. It panics
// where x is empty or has a NaN.
func LogSumExp(x []float64) *big.Float {
	checkScores(x)
	if len(x) == 0 {
		panic("zlprtest: LogSumExp of an empty slice")
	}
	return ref.LogSumExp(ref.Floats(x))
}

// Softmax returns e^x[i] / Σ e^x[j] with relative errors below 2^-160; +Inf, or
// -Inf where all are that, share alike. It panics where LogSumExp does.
func Softmax(x []float64) []*big.Float {
	checkScores(x)
	if len(x) == 0 {
		panic("zlprtest: Softmax of an empty slice")
	}
	return ref.Softmax(ref.Floats(x))
}

// LogPartition returns log Z_k, Z_k being the sum over all subsets of k scores
// of e^(sum of the subset), with a relative error below 2^-160: 0 for k = 0 and
// -Inf for k > len(x). It panics if k < 0 or a score is NaN.
func LogPartition(x []float64, k int) *big.Float {
	checkScores(x)
	checkPicks(k)
	return ref.LogPartition(x, k, nil)
}

// PaddedLogPartition returns log Σ_(j≤k) e^((k-j)·threshold) Z_j, otherwise as
// LogPartition. It panics as well if the threshold is infinite or NaN.
func PaddedLogPartition(x []float64, k int, threshold float64) *big.Float {
	checkScores(x)
	checkPicks(k)
	checkThreshold(threshold)
	return ref.LogPartition(x, k, &threshold)
}

// SubsetProbabilities returns for each class the probability that it belongs
// to a subset of k classes, if a subset has one in proportion to e^(sum of its
// scores), and the probability that it does not, with relative errors below
// 2^-160. It panics if k < 0 or k > len(x), and where a score is NaN.
func SubsetProbabilities(x []float64, k int) (included, excluded []*big.Float) {
	checkScores(x)
	checkPicks(k)
	if k > len(x) {
		panic("zlprtest: no subset has so many classes")
	}
	law := ref.Subset(ref.Weights(x, workPrec), ref.Adjoint(k, nil, workPrec))
	return law.Included, law.Absent
}

// PaddedSubsetProbabilities does the same for subsets of up to k classes with
// probabilities in proportion to e^(sum of scores + (k-size)·threshold). It
// panics if k < 0, where a score is NaN, and if the threshold is infinite or
// NaN.
func PaddedSubsetProbabilities(x []float64, k int, threshold float64) (included, excluded []*big.Float) {
	checkScores(x)
	checkPicks(k)
	checkThreshold(threshold)
	law := ref.Subset(ref.Weights(x, workPrec), ref.Adjoint(k, &threshold, workPrec))
	return law.Included, law.Absent
}

// workPrec is the precision of the probabilities' computation.
const workPrec = ref.Prec + 64

func checkScores(x []float64) {
	for _, v := range x {
		if math.IsNaN(v) {
			panic("zlprtest: a score is NaN")
		}
	}
}

func checkPicks(k int) {
	if k < 0 {
		panic("zlprtest: k is negative")
	}
}

func checkThreshold(s0 float64) {
	if !finite(s0) {
		panic("zlprtest: a threshold is infinite or NaN")
	}
}

// ULP32 returns |got-want| in units of 2^-23·|want|: what package zlpr calls an
// ULP where the scores are float32. It is 0 where both are zero or the same
// infinity, and +Inf where only want is or got is infinite or NaN.
func ULP32(got float64, want *big.Float) float64 { return ref.RelError(got, want, 0x1p-23) }

// ULP64 is ULP32 with units of 2^-52·|want|, for float64 scores.
func ULP64(got float64, want *big.Float) float64 { return ref.RelError(got, want, 0x1p-52) }

// Spacings returns |got-want| in units of the distance between the numbers of
// type T next to want, that of the smallest normal numbers at least.
func Spacings[T float32 | float64](got T, want *big.Float) float64 { return ref.ULPs(got, want) }
