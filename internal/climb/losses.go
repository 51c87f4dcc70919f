package climb

import (
	"context"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/ref"
)

// A lossRule is a loss with its parameters and what it is exactly.
type lossRule struct {
	name         string
	uses         options
	loss         func(in *Input) zlpr.Loss
	exact        func(in *Input, r ref.Row) ref.Result
	factors      func(r ref.Row) ref.Result                               // what weights multiply, if it is the whole
	terms        func(in *Input, r ref.Row, want ref.Result) []*big.Float // of which derivatives are differences: what their errors are relative to
	shares       func(r ref.Row) []*big.Float                             // by class, a factor of its derivative
	family       bool                                                     // of k-subsets, with other bounds
	lossScale    func(in *Input, r ref.Row, want ref.Result) *big.Float   // what the loss's error is relative to; nil for the loss
	weighsLabels bool                                                     // factors of a row's results are weights times soft labels
}

func zlprRule(name string, uses options) lossRule {
	return lossRule{name: name, uses: hasLabels | uses,
		loss:  func(in *Input) zlpr.Loss { return zlpr.ZLPR{Threshold: in.fixedThreshold(uses)} },
		exact: func(_ *Input, r ref.Row) ref.Result { return r.ZLPR() },
	}
}

func softRule(name string, uses options) lossRule {
	return lossRule{name: name, uses: hasSoft | uses,
		loss:  func(in *Input) zlpr.Loss { return zlpr.SoftZLPR{Threshold: in.fixedThreshold(uses)} },
		exact: func(_ *Input, r ref.Row) ref.Result { return r.SoftZLPR() },
		terms: func(_ *Input, r ref.Row, want ref.Result) (terms []*big.Float) {
			for i, w := range want.Grad {
				terms = append(terms, softScale(&r, i, w))
			}
			return terms
		},
	}
}

func softBCERule(name string, uses options) lossRule {
	return lossRule{name: name, uses: hasSoft | uses, weighsLabels: true,
		loss: func(in *Input) zlpr.Loss {
			return zlpr.BCE{Threshold: in.fixedThreshold(uses), PositiveWeight: in.repeated(in.PositiveWeights)}
		},
		exact: func(in *Input, r ref.Row) ref.Result { result, _ := r.SoftBCE(in.PositiveWeights); return result },
		terms: func(in *Input, r ref.Row, _ ref.Result) []*big.Float {
			_, terms := r.SoftBCE(in.PositiveWeights)
			return terms
		},
	}
}

func softSoftmaxRule(name string, uses options) lossRule {
	return lossRule{name: name, uses: hasSoft | uses, weighsLabels: true,
		loss:   func(*Input) zlpr.Loss { return zlpr.SoftmaxCrossEntropy{} },
		exact:  func(_ *Input, r ref.Row) ref.Result { result, _ := r.SoftSoftmax(); return result },
		terms:  func(_ *Input, r ref.Row, _ ref.Result) []*big.Float { _, terms := r.SoftSoftmax(); return terms },
		shares: leastShares,
		factors: func(r ref.Row) ref.Result {
			r.Soft = slices.Clone(r.Soft)
			for i, w := range r.Weights {
				if w == 0 {
					r.Soft[i] = 0
				}
			}
			r.Weights = nil
			result, _ := r.SoftSoftmax()
			return result
		},
	}
}

// leastShares returns the softmax p of the classes that take part, or 1-p where that is
// less.
func leastShares(r ref.Row) []*big.Float {
	var scores []*big.Float
	for i, s := range r.Scores {
		if r.Mask == nil || r.Mask[i] {
			scores = append(scores, ref.New(s))
		}
	}
	p := ref.Softmax(scores)
	shares := make([]*big.Float, len(r.Scores))
	for i := range shares {
		if shares[i] = ref.New(1); r.Mask == nil || r.Mask[i] {
			shares[i], p = p[0], p[1:]
			if rest := ref.Sub(ref.New(1), shares[i]); rest.Cmp(shares[i]) < 0 {
				shares[i] = rest
			}
		}
	}
	return shares
}

func bceRule(name string, uses options) lossRule {
	return lossRule{name: name, uses: hasLabels | uses,
		loss: func(in *Input) zlpr.Loss {
			return zlpr.BCE{Threshold: in.fixedThreshold(uses), PositiveWeight: in.repeated(in.PositiveWeights), Focal: in.Focal}
		},
		exact: func(in *Input, r ref.Row) ref.Result { return r.BCE(in.PositiveWeights, in.Focal) },
	}
}

func pairwiseRule(name string, uses options) lossRule {
	gamma := func(in *Input) float64 {
		if in.Gamma == 0 {
			return 1
		}
		return in.Gamma
	}
	return lossRule{name: name, uses: hasLabels | uses,
		loss:  func(in *Input) zlpr.Loss { return zlpr.Pairwise{Gamma: gamma(in), Margin: in.Margin} },
		exact: func(in *Input, r ref.Row) ref.Result { return r.Pairwise(gamma(in), in.Margin) },
	}
}

func softmaxRule(name string, uses options) lossRule {
	return lossRule{name: name, uses: hasTarget | uses,
		loss: func(*Input) zlpr.Loss { return zlpr.SoftmaxCrossEntropy{} },
		exact: func(_ *Input, r ref.Row) ref.Result {
			for i := range r.Weights { // only that of the target counts
				if !r.Positive[i] {
					r.Weights[i] = 1
				} else if r.Weights[i] == 0 {
					return ref.Row{Scores: make([]float64, len(r.Scores)), Positive: make([]bool, len(r.Scores))}.Pairwise(1, 0)
				}
			}
			return r.SoftmaxCrossEntropy()
		},
		factors: func(r ref.Row) ref.Result { r.Weights = nil; return r.SoftmaxCrossEntropy() },
	}
}

// asymmetricRule is the asymmetric loss, with a shift or without.
func asymmetricRule(name string, uses options) lossRule {
	rule := lossRule{name: name, uses: hasLabels | hasAsymmetry | hasFocal | uses,
		loss: func(in *Input) zlpr.Loss {
			return zlpr.Asymmetric{GammaPositive: in.FocalPositive, GammaNegative: in.Focal, Shift: in.Shift}
		},
		exact: func(in *Input, r ref.Row) ref.Result {
			result, _ := r.Asymmetric(in.FocalPositive, in.Focal, in.Shift)
			return result
		},
	}
	if uses&hasShift == 0 {
		return rule
	}
	// The bound is 4 ULP times 1 + (1+γ)·2^-10·m/r.
	excess := func(in *Input, near *big.Float) *big.Float {
		return ref.Add(ref.New(1), ref.Mul(near, ref.New((1+in.Focal)*0x1p-10)))
	}
	rule.terms = func(in *Input, r ref.Row, want ref.Result) (terms []*big.Float) {
		_, near := r.Asymmetric(in.FocalPositive, in.Focal, in.Shift)
		for i, g := range want.Grad {
			terms = append(terms, ref.Mul(abs(g), excess(in, near[i])))
		}
		return terms
	}
	rule.lossScale = func(in *Input, r ref.Row, want ref.Result) *big.Float {
		_, near := r.Asymmetric(in.FocalPositive, in.Focal, in.Shift)
		most := ref.New(0)
		for _, x := range near {
			if x.Cmp(most) > 0 {
				most = x
			}
		}
		return ref.Mul(want.Loss, excess(in, most))
	}
	return rule
}

// twoWayRule is the row part of the two-way loss. For float64 the bound is
// 4·(1 + T+ + T-) ULP.
func twoWayRule[T zlpr.Float](name string, uses options) lossRule {
	rule := lossRule{name: name, uses: hasLabels | hasTemperatures | uses,
		loss: func(in *Input) zlpr.Loss {
			return zlpr.TwoWay{PositiveTemperature: in.Temperatures[0], NegativeTemperature: in.Temperatures[1]}
		},
		exact: func(in *Input, r ref.Row) ref.Result { return r.TwoWay(in.Temperatures[0], in.Temperatures[1]) },
	}
	if isSingle[T]() {
		return rule
	}
	excess := func(in *Input) *big.Float { return ref.New(1 + in.Temperatures[0] + in.Temperatures[1]) }
	rule.terms = func(in *Input, r ref.Row, want ref.Result) (terms []*big.Float) {
		for _, g := range want.Grad {
			terms = append(terms, ref.Mul(abs(g), excess(in)))
		}
		return terms
	}
	rule.lossScale = func(in *Input, _ ref.Row, want ref.Result) *big.Float { return ref.Mul(want.Loss, excess(in)) }
	return rule
}

// distributionRule is the distribution-balanced loss. For float64 the bound is
// 16 + 4·β·max(1, |μ|) + 8·max(1, λ)·max |ν| ULP.
func distributionRule[T zlpr.Float](name string, uses options) lossRule {
	of := func(in *Input) zlpr.DistributionBalanced {
		l := zlpr.DistributionBalanced{Rows: countedRows, Alpha: in.Balance[0], Beta: in.Balance[1], Mu: in.Balance[2], Kappa: in.Balance[3], NegativeScale: in.Balance[4]}
		for _, n := range in.Counts {
			l.Counts = append(l.Counts, int(n))
		}
		return l
	}
	rule := lossRule{name: name, uses: hasLabels | hasBalance | uses,
		loss: func(in *Input) zlpr.Loss { return of(in) },
		exact: func(in *Input, r ref.Row) ref.Result {
			l := of(in)
			return r.DistributionBalanced(l.Counts, l.Rows, l.Alpha, l.Beta, l.Mu, l.Kappa, l.NegativeScale)
		},
	}
	if isSingle[T]() {
		return rule
	}
	excess := func(in *Input) *big.Float {
		l, most := of(in), 0.0
		for _, n := range l.Counts {
			count := float64(max(1, n))
			most = max(most, l.Kappa*math.Abs(math.Log(max(1, countedRows-count)/count)))
		}
		return ref.New((16 + 4*l.Beta*max(1, math.Abs(l.Mu)) + 8*max(1, l.NegativeScale)*most) / ulps)
	}
	rule.terms = func(in *Input, r ref.Row, want ref.Result) (terms []*big.Float) {
		for _, g := range want.Grad {
			terms = append(terms, ref.Mul(abs(g), excess(in)))
		}
		return terms
	}
	rule.lossScale = func(in *Input, _ ref.Row, want ref.Result) *big.Float { return ref.Mul(want.Loss, excess(in)) }
	return rule
}

// distillationRule is a divergence from a teacher. For float64 the bound is 8 ULP.
func distillationRule[T zlpr.Float](loss zlpr.Loss, of ref.Divergence, uses options) lossRule {
	exact := func(in *Input, r ref.Row) (ref.Result, []*big.Float) {
		return r.Distillation(of, in.Teacher, in.Temperature)
	}
	excess := ref.New(1)
	if !isSingle[T]() {
		excess = ref.New(2)
	}
	rule := lossRule{name: zlpr.Distillation{Loss: loss}.Name(), uses: hasTeacher | uses,
		loss: func(in *Input) zlpr.Loss {
			return zlpr.Distillation{Loss: loss, Temperature: in.Temperature}
		},
		exact: func(in *Input, r ref.Row) ref.Result { result, _ := exact(in, r); return result },
		terms: func(in *Input, r ref.Row, want ref.Result) (terms []*big.Float) {
			_, larger := exact(in, r)
			for i, g := range want.Grad {
				if of == ref.BCEDivergence {
					larger[i] = abs(g)
				}
				terms = append(terms, ref.Mul(larger[i], excess))
			}
			return terms
		},
		lossScale: func(in *Input, _ ref.Row, want ref.Result) *big.Float { return ref.Mul(want.Loss, excess) },
	}
	if uses != 0 {
		rule.name += ", options"
	}
	return rule
}

// smoothed makes a rule that of smoothed labels: soft(r) is the loss of soft labels and
// the terms of its derivatives.
func smoothed(rule lossRule, soft func(in *Input, r ref.Row) (ref.Result, []*big.Float)) lossRule {
	row := func(in *Input, r ref.Row) ref.Row {
		r.Soft = make([]float64, len(r.Scores))
		m := 2.0
		if rule.uses&hasTarget != 0 {
			m = 0
			for i := range r.Scores {
				if r.Mask == nil || r.Mask[i] {
					m++
				}
			}
		}
		for i := range r.Soft {
			if r.Mask == nil || r.Mask[i] {
				r.Soft[i] = in.Smoothing / m
				if r.Positive[i] {
					r.Soft[i] += 1 - in.Smoothing
				}
			}
		}
		return r
	}
	rule.name += ", smoothed"
	rule.uses |= hasSmoothing
	rule.weighsLabels = false
	rule.exact = func(in *Input, r ref.Row) ref.Result { result, _ := soft(in, row(in, r)); return result }
	rule.terms = func(in *Input, r ref.Row, _ ref.Result) []*big.Float { _, terms := soft(in, row(in, r)); return terms }
	if rule.factors != nil {
		rule.factors = func(r ref.Row) ref.Result { r.Weights = nil; return r.SoftmaxCrossEntropy() }
		rule.shares = leastShares
	}
	return rule
}

// fixedThreshold returns the threshold that the loss has as a parameter.
func (in *Input) fixedThreshold(uses options) float64 {
	if uses&hasLearned != 0 {
		return 0
	}
	return in.Threshold
}

// repeated returns the values of all classes of the row.
func (in *Input) repeated(x []float64) []float64 {
	if x == nil {
		return nil
	}
	return slices.Repeat(x, max(1, in.Repeat))
}

// smoothedZLPR returns ZLPR of the smoothed labels, and the sums of the magnitudes of the
// terms of its derivatives.
func smoothedZLPR(_ *Input, r ref.Row) (result ref.Result, terms []*big.Float) {
	result = r.SoftZLPR()
	for i, w := range result.Grad {
		terms = append(terms, softScale(&r, i, w))
	}
	return result, terms
}

// lossFunctions returns the losses of one row with all their options.
func lossFunctions[T zlpr.Float]() []*Function {
	var all []*Function
	for _, rule := range []lossRule{
		softmaxRule("cross-entropy", 0),
		softmaxRule("cross-entropy, mask, class and row weights", hasMask|hasWeights|hasScale),
		zlprRule("ZLPR", hasRepeat),
		zlprRule("ZLPR, threshold", hasThreshold|hasRepeat),
		zlprRule("ZLPR, learned threshold", hasLearned|hasRepeat),
		zlprRule("ZLPR, class weights", hasWeights|hasRepeat),
		zlprRule("ZLPR, row weights", hasScale),
		zlprRule("ZLPR, all", hasLearned|hasWeights|hasMask|hasScale|hasHardNegatives),
		softSoftmaxRule("soft cross-entropy", 0),
		softSoftmaxRule("soft cross-entropy, mask, class and row weights", hasMask|hasWeights|hasScale),
		softRule("soft ZLPR", hasRepeat),
		softRule("soft ZLPR, all", hasLearned|hasWeights|hasMask|hasScale),
		pairwiseRule("pairwise", hasRepeat),
		pairwiseRule("pairwise, γ and margin", hasGamma|hasRepeat),
		pairwiseRule("pairwise, class weights", hasWeights|hasRepeat),
		pairwiseRule("pairwise, all", hasGamma|hasWeights|hasMask|hasScale|hasHardNegatives),
		bceRule("BCE", hasRepeat),
		bceRule("BCE, threshold", hasThreshold|hasRepeat),
		bceRule("BCE, learned threshold", hasLearned|hasRepeat),
		bceRule("BCE, weights", hasWeights|hasPositiveWeights),
		bceRule("BCE, focal exponent", hasFocal|hasRepeat),
		bceRule("BCE, all but the focal exponent", hasLearned|hasWeights|hasPositiveWeights|hasMask|hasScale|hasHardNegatives),
		bceRule("BCE, all with the focal exponent", hasLearned|hasWeights|hasPositiveWeights|hasFocal|hasMask|hasScale|hasHardNegatives),
		softBCERule("soft BCE", hasRepeat),
		softBCERule("soft BCE, learned threshold", hasLearned|hasRepeat),
		softBCERule("soft BCE, weights", hasWeights|hasPositiveWeights),
		softBCERule("soft BCE, all", hasLearned|hasWeights|hasPositiveWeights|hasMask|hasScale),
		smoothed(bceRule("BCE, learned threshold and weights", hasLearned|hasWeights|hasPositiveWeights|hasMask), func(in *Input, r ref.Row) (ref.Result, []*big.Float) {
			return r.SoftBCE(in.PositiveWeights)
		}),
		smoothed(zlprRule("ZLPR", 0), smoothedZLPR),
		smoothed(zlprRule("ZLPR, learned threshold and weights", hasLearned|hasWeights|hasMask), smoothedZLPR),
		smoothed(softmaxRule("cross-entropy, mask and class weights", hasMask|hasWeights), func(_ *Input, r ref.Row) (ref.Result, []*big.Float) {
			return r.SoftSoftmax()
		}),
		distillationRule[T](zlpr.SoftmaxCrossEntropy{}, ref.SoftmaxDivergence, 0),
		distillationRule[T](zlpr.SoftmaxCrossEntropy{}, ref.SoftmaxDivergence, hasMask|hasScale),
		distillationRule[T](zlpr.BCE{}, ref.BCEDivergence, 0),
		distillationRule[T](zlpr.BCE{}, ref.BCEDivergence, hasWeights|hasMask|hasScale),
		distillationRule[T](zlpr.ZLPR{}, ref.ZLPRDivergence, 0),
		distillationRule[T](zlpr.ZLPR{}, ref.ZLPRDivergence, hasWeights|hasMask|hasScale),
		twoWayRule[T]("two-way", 0),
		twoWayRule[T]("two-way, mask and hard negatives", hasMask|hasScale|hasHardNegatives),
		asymmetricRule("asymmetric", 0),
		asymmetricRule("asymmetric, weights, mask and hard negatives", hasWeights|hasMask|hasScale|hasHardNegatives),
		asymmetricRule("asymmetric, shift", hasShift),
		asymmetricRule("asymmetric, shift, weights and mask", hasShift|hasWeights|hasMask|hasScale),
		distributionRule[T]("distribution-balanced", 0),
		distributionRule[T]("distribution-balanced, weights, mask and hard negatives", hasWeights|hasMask|hasScale|hasHardNegatives),
		subsetRule("subset loss", 0),
		subsetRule("subset loss, all", hasMask|hasWeights|hasScale),
		paddedRule("padded subset loss", hasThreshold),
		paddedRule("padded subset loss, all", hasLearned|hasMask|hasWeights|hasScale),
	} {
		all = append(all, lossFunction[T](rule))
	}
	return all
}

// The bound of all losses and their gradients but those of the k-subset family.
const (
	ulps         = 4
	rowLoss      = "ZLPR, pairwise, cross-entropy, BCE, with all options: loss, at any magnitude"
	rowGradient  = "their gradients ≥ 2⁻¹²⁰"
	rowThreshold = "their derivative by the threshold, of Σ\\|∂L/∂s\\|"
)

func lossFunction[T zlpr.Float](rule lossRule) *Function {
	f := &Function{Name: rule.name + ", " + typeName[T](), single: isSingle[T](), uses: rule.uses}
	if rule.family {
		f.Quantities = []Quantity{{"loss", boundFamily, "relative", rowFamilyLoss}, chance[T]("gradient", boundFamily, rowFamilySlope)}
		if rule.uses&hasLearned != 0 {
			f.Quantities = append(f.Quantities, chance[T]("threshold gradient", boundFamily, rowFamilySlope))
		}
	} else {
		f.Quantities = []Quantity{{"loss", ulps, "ULP", rowLoss}, {"gradient", ulps, "ULP", rowGradient}}
		if rule.uses&hasLearned != 0 {
			f.Quantities = append(f.Quantities, Quantity{"threshold gradient", ulps, "ULP", rowThreshold})
		}
	}
	f.errors = func(in *Input, e []float64) {
		if !in.sensible() || rule.weighsLabels && !in.normalLabels() {
			return
		}
		lossErrors[T](rule, in, e)
	}
	return f
}

// sensible reports whether the factors of a row's results are normal numbers,
// as the bounds ask for.
func (in *Input) sensible() bool {
	for _, w := range [][]float64{in.Weights, in.PositiveWeights} {
		for i, x := range w {
			if x != 0 && !normal(x) || len(in.PositiveWeights) > 0 && x != 0 && (in.Soft != nil || in.Positive[i] == '1') && in.Weights != nil && !normal(in.Weights[i]*in.PositiveWeights[i]) {
				return false
			}
			if in.Repeat > 1 && !normal(x*float64(in.Repeat)) && x != 0 {
				return false
			}
		}
	}
	if math.IsInf(in.Gamma*in.Margin, 0) {
		return false
	}
	sum := in.RowWeight + in.OtherWeight
	return in.RowWeight == 0 || normal(in.RowWeight) && normal(in.rowScale()) && normal(sum) && normal(in.Upstream/sum)
}

// normalLabels reports whether soft labels times weights are normal numbers.
func (in *Input) normalLabels() bool {
	for _, w := range [][]float64{in.Weights, in.PositiveWeights} {
		for i, x := range w {
			if x != 0 && in.Soft[i] != 0 && !normal(x*in.Soft[i]) {
				return false
			}
		}
	}
	return true
}

func normal(x float64) bool { return math.Abs(x) >= 0x1p-1022 && math.Abs(x) <= math.MaxFloat64 }

// rowScale returns the factor of the row's gradients.
func (in *Input) rowScale() float64 {
	scale := 1.0
	if in.RowWeight != 0 {
		scale = in.RowWeight
	}
	if in.OtherWeight != 0 {
		scale /= in.RowWeight + in.OtherWeight
	}
	if in.Upstream != 0 {
		scale *= in.Upstream
	}
	return scale
}

// row returns the row of the reference: classes that are there several times
// have a weight so many times as large.
func (in *Input) row() ref.Row {
	r := ref.Row{
		Scores: in.Scores, Positive: in.Positive.bools(), Soft: in.Soft,
		Mask: in.Mask.bools(), Weights: slices.Clone(in.Weights), Threshold: in.Threshold,
	}
	if in.Repeat > 1 {
		if r.Weights == nil {
			r.Weights = slices.Repeat([]float64{1}, len(in.Scores))
		}
		for i := range r.Weights {
			r.Weights[i] *= float64(in.Repeat)
		}
	}
	return r
}

// hard leaves of a row's negatives those that the options of hard negatives do:
// a class of weight 0 is none, ties go to the lowest index.
func (in *Input) hard(r *ref.Row) {
	if r.Mask == nil {
		r.Mask = slices.Repeat([]bool{true}, len(r.Scores))
	}
	var candidates []int
	for i := range r.Scores {
		if r.Mask[i] && (r.Weights == nil || r.Weights[i] != 0) && (in.Among || !r.Positive[i]) {
			candidates = append(candidates, i)
		}
	}
	slices.SortStableFunc(candidates, func(i, j int) int {
		switch {
		case r.Scores[i] > r.Scores[j]:
			return -1
		case r.Scores[i] < r.Scores[j]:
			return 1
		}
		return 0
	})
	for _, i := range candidates[min(in.K, len(candidates)):] {
		if !r.Positive[i] {
			r.Mask[i] = false
		}
	}
}

// evaluation is what the library makes of an input.
type evaluation[T zlpr.Float] struct {
	loss      float64
	grad      []T
	threshold T
}

// evaluate reports whether the row counts, too.
func evaluate[T zlpr.Float](rule lossRule, in *Input) (result evaluation[T], counts bool) {
	options := zlpr.Options{Workers: 1}
	if rule.uses&hasHardNegatives != 0 {
		if in.Among {
			options.TopScores = in.K
		} else {
			options.TopNegatives = in.K
		}
	}
	rows, n := 1, len(in.Scores)*max(1, in.Repeat)
	weights := []float64{in.RowWeight}
	if in.OtherWeight != 0 {
		rows = 2
		weights = append(weights, in.OtherWeight)
		options.Reduction = zlpr.Mean
	}
	matrix := func(x []float64) zlpr.Matrix[T] {
		return zlpr.Matrix[T]{Rows: rows, Cols: n, Data: narrow[T](slices.Repeat(x, rows*max(1, in.Repeat)))}
	}
	bits := func(f Flags) zlpr.Bits {
		return &zlpr.DenseLabels[bool]{Rows: rows, Cols: n, Data: Flags(strings.Repeat(string(f), rows*max(1, in.Repeat))).bools()}
	}
	b := &zlpr.Batch[T]{Scores: matrix(in.Scores), ClassWeights: in.repeated(in.Weights), Smoothing: in.Smoothing}
	if in.RowWeight != 0 {
		b.RowWeights = weights
	}
	switch {
	case rule.uses&hasTeacher != 0:
		b.Teacher = matrix(in.Teacher)
	case rule.uses&hasSoft != 0:
		b.Soft = matrix(in.Soft)
	default:
		b.Labels = bits(in.Positive)
	}
	if in.Mask != "" {
		b.Mask = bits(in.Mask)
	}
	out := &zlpr.Output[T]{Losses: make([]float64, rows), Grad: matrix(in.Scores), Upstream: in.Upstream}
	if rule.uses&hasLearned != 0 {
		b.Thresholds = narrow[T](slices.Repeat([]float64{in.Threshold}, rows))
		out.ThresholdGrad = make([]T, rows)
	}
	e, err := zlpr.NewEvaluator[T](rule.loss(in), options)
	if err == nil {
		_, err = e.Evaluate(context.Background(), b, out)
	}
	if err == zlpr.ErrNoRows {
		return result, false
	}
	if err != nil {
		panic(err)
	}
	result = evaluation[T]{loss: out.Losses[0], grad: out.Grad.Data[:len(in.Scores)]}
	if out.ThresholdGrad != nil {
		result.threshold = out.ThresholdGrad[0]
	}
	return result, true
}

func lossErrors[T zlpr.Float](rule lossRule, in *Input, e []float64) {
	r := in.row()
	if rule.uses&hasHardNegatives != 0 {
		in.hard(&r)
	}
	got, counts := evaluate[T](rule, in)
	if !counts {
		return
	}
	want := rule.exact(in, r)

	rowWeight, factor := in.factors()
	if rule.family {
		familyErrors(rule, got, want, rowWeight, factor, e)
		return
	}
	if rule.factors != nil && r.Weights != nil && !within(rule.factors(r).Loss, 0x1p-1000, math.MaxFloat64) {
		return
	}
	if in.RowWeight == 0 || within(want.Loss, 0x1p-1000, math.MaxFloat64) {
		loss := ref.Mul(want.Loss, rowWeight)
		scale := loss
		if rule.lossScale != nil {
			scale = ref.Mul(rule.lossScale(in, r, want), rowWeight)
		}
		e[0] = relative(got.loss, loss, scale, 0x1p-1000, unit[T]())
	}
	smallest, largest := 0x1p-120, math.MaxFloat32
	if !isSingle[T]() {
		smallest, largest = 0x1p-1000, math.MaxFloat64
	}
	sum := ref.New(0)
	var terms, shares []*big.Float
	if rule.terms != nil {
		terms = rule.terms(in, r, want)
	}
	if rule.shares != nil {
		shares = rule.shares(r)
	}
	for i, g := range got.grad {
		w, scale := want.Grad[i], abs(want.Grad[i])
		if terms != nil {
			scale = terms[i]
		}
		if in.Repeat > 1 {
			w, scale = ref.Quo(w, ref.New(float64(in.Repeat))), ref.Quo(scale, ref.New(float64(in.Repeat)))
		}
		sum = ref.Add(sum, scale)
		if w.Sign() != 0 && (!within(scale, smallest, largest) || shares != nil && !within(shares[i], smallest, 2)) {
			counts = false // a factor of the result is no normal number
			continue
		}
		if terms != nil && !below(ref.Mul(scale, factor), largest) && below(ref.Mul(w, factor), largest) {
			counts = false // of two terms beyond the numbers
			continue
		}
		e[1] = max(e[1], relative(g, ref.Mul(w, factor), ref.Mul(scale, factor), smallest, unit[T]()))
	}
	if rule.uses&hasLearned != 0 && counts {
		if in.Repeat > 1 {
			sum = ref.Mul(sum, ref.New(float64(in.Repeat)))
		}
		if sum = ref.Mul(sum, factor); below(sum, largest) {
			e[2] = relative(got.threshold, ref.Mul(want.Threshold, factor), sum, smallest, unit[T]())
		}
	}
}

// within reports low ≤ |x| < high.
func within(x *big.Float, low, high float64) bool { return !below(x, low) && below(x, high) }

// factors returns what multiplies the row's loss, and its gradient.
func (in *Input) factors() (loss, gradient *big.Float) {
	loss = ref.New(1)
	if in.RowWeight != 0 {
		loss = ref.New(in.RowWeight)
	}
	gradient = loss
	if in.Upstream != 0 {
		gradient = ref.Mul(gradient, ref.New(in.Upstream))
	}
	if in.OtherWeight != 0 {
		gradient = ref.Quo(gradient, ref.Add(ref.New(in.RowWeight), ref.New(in.OtherWeight)))
	}
	return loss, gradient
}

// familyErrors are the errors of a loss of the k-subset family. Where it is
// multiplied, what is multiplied must have its relative accuracy.
func familyErrors[T zlpr.Float](rule lossRule, got evaluation[T], want ref.Result, rowWeight, factor *big.Float, e []float64) {
	scaled := rule.uses&hasScale != 0
	if !scaled || within(want.Loss, 1e-300, math.MaxFloat64) {
		loss := ref.Mul(want.Loss, rowWeight)
		e[0] = relative(got.loss, loss, loss, 1e-300, 1)
	}
	lowest, largest, unit := 1e-280, math.MaxFloat64, 1.0
	if isSingle[T]() {
		lowest, largest, unit = 0x1p-120, math.MaxFloat32, 0x1p-23
	}
	sum, counts := ref.New(0), true
	for i, g := range got.grad {
		if scaled && want.Grad[i].Sign() != 0 && !within(want.Grad[i], lowest, largest) {
			counts = false
			continue
		}
		w := ref.Mul(want.Grad[i], factor)
		sum = ref.Add(sum, abs(w))
		e[1] = max(e[1], chanceError(g, w))
	}
	if rule.uses&hasLearned != 0 && counts && below(sum, largest) {
		e[2] = relative(got.threshold, ref.Mul(want.Threshold, factor), sum, lowest, unit)
	}
}

// softScale returns the sum of the magnitudes of the two terms of a derivative
// of soft ZLPR.
func softScale(r *ref.Row, i int, grad *big.Float) *big.Float {
	// That of the positives is the gradient of the positive side alone.
	side := ref.Row{Scores: r.Scores, Mask: r.Mask, Threshold: r.Threshold}
	side.Positive = slices.Repeat([]bool{true}, len(r.Scores))
	side.Weights = make([]float64, len(r.Scores))
	for j, t := range r.Soft {
		side.Weights[j] = t
		if r.Weights != nil {
			side.Weights[j] *= r.Weights[j] // rounded: this is only a scale
		}
	}
	positive := side.ZLPR().Grad[i] // not above 0
	return ref.Add(abs(ref.Sub(grad, positive)), abs(positive))
}
