// Package named has the losses by the names that users give them, with what the
// command and other programs say of them.
package named

import (
	"slices"

	"github.com/zlpr/zlpr"
)

// A Loss is all that programs know of a loss: its name, how it is made of the
// parameters, and what help and explain say. A new loss is an entry of Losses.
type Loss struct {
	Name string
	Line string // one line of help: what it is, by its formula

	Formula  string // of a row, several lines
	Gradient string // by the scores
	When     string // when to use it
	Flags    string // of eval and train that go with it, "" if none do
	Papers   []string

	Target   bool // exactly one class of a row is right
	Balances bool // it depends on how many rows have a label, Counts and Rows of the parameters

	Make func(f *Parameters, positiveWeight []float64) zlpr.Loss
}

// Losses are the losses, in the order of reports.
var Losses = []Loss{
	{
		Name: "softmax",
		Line: "log(1 + Σ_{i≠t} e^(s_i-s_t)), t the one positive class: softmax cross-entropy",
		Formula: `L = log(1 + Σ_{i≠t} e^(s_i-s_t)) = log Σ e^(s_i) - s_t
t is the row's target, its one positive class; soft labels t_i in [0, 1] give
L = Σ t_i·(log Σ e^s - s_i)`,
		Gradient: `∂L/∂s_i = p_i          for i ≠ t, p = softmax(s)
∂L/∂s_t = p_t - 1`,
		When: `Exactly one class of a row is right (multi-class). A row with several labels
is an error: take zlpr, bce or pairwise. A row without one counts only as
class number -1, which leaves it out. The prediction is the highest score.`,
		Papers: []string{"Milakov and Gimelshein, Online normalizer calculation for softmax, arXiv 1805.02867",
			"Blanchard, Higham and Higham, Accurately computing the log-sum-exp and softmax functions, IMA J. Numer. Anal. 41(4), 2021"},
		Target: true,
		Make:   func(*Parameters, []float64) zlpr.Loss { return zlpr.SoftmaxCrossEntropy{} },
	},
	{
		Name: "bce",
		Line: "Σ_N softplus(s-s0) + Σ_P w·softplus(s0-s): binary cross-entropy, a sum over classes",
		Formula: `L = Σ_N softplus(s_i-s0) + Σ_P w_j·softplus(s0-s_j),   softplus(x) = log(1+e^x)
N and P are the row's negatives and positives, w the positive weight; with the
focal exponent f each softplus(x) is multiplied by sigmoid(x)^f. It is a sum
over the classes, as the other losses are; PyTorch's mean over all elements is
--reduction mean-classes. Soft labels t give (1-t)·softplus(s-s0) + w·t·softplus(s0-s).`,
		Gradient: `∂L/∂s_i = sigmoid(s_i-s0)          for negatives
∂L/∂s_j = -w_j·sigmoid(s0-s_j)     for positives (f = 0)`,
		When: `Probabilities of single classes are wanted: trained on hard labels, they are
sigmoid(s-s0). Every class is a problem of its own, so with many classes and
few positives the negatives outweigh: then compare zlpr, a positive weight, or
a tuned threshold.`,
		Flags:  "--s0, --pos-weight, --focal, --threshold-column, --top-negatives, --top-scores",
		Papers: []string{"Lin et al., Focal Loss for Dense Object Detection, arXiv 1708.02002 (focal exponent)"},
		Make: func(f *Parameters, w []float64) zlpr.Loss {
			return zlpr.BCE{Threshold: f.S0, PositiveWeight: w, Focal: f.Focal}
		},
	},
	{
		Name: "pairwise",
		Line: "log(1 + Σ_N e^(γ(s+m))·Σ_P e^(-γs)): every positive above every negative",
		Formula: `L = log(1 + Σ_N e^(γ(s_i+m)) · Σ_P e^(-γ s_j))
γ is the scale, m the margin`,
		Gradient: `∂L/∂s_i = γ·softmax_N(γs)_i·q      for negatives
∂L/∂s_j = -γ·softmax_P(-γs)_j·q    for positives
q = sigmoid(log of the product of the two sums)`,
		When: `Only the order of the classes of a row matters (ranking, precision at K):
there is no threshold, and a constant added to a row changes nothing. Rows
without positives or without negatives have loss 0.`,
		Flags: "--gamma, --margin, --top-negatives, --top-scores",
		Papers: []string{"Sun et al., Circle Loss, arXiv 2002.10857, formula 1",
			"Su, spaces.ac.cn/archives/7359 (in Chinese)"},
		Make: func(f *Parameters, _ []float64) zlpr.Loss { return zlpr.Pairwise{Gamma: f.Gamma, Margin: f.Margin} },
	},
	{
		Name:    "zlpr",
		Line:    "log(1 + Σ_N e^(s-s0)) + log(1 + Σ_P e^(s0-s)): positives above, negatives below s0",
		Formula: `L = log(1 + Σ_N e^(s_i-s0)) + log(1 + Σ_P e^(s0-s_j))`,
		Gradient: `∂L/∂s_i = e^(s_i-s0) / (1 + Σ_N e^(s-s0))     for negatives
∂L/∂s_j = -e^(s0-s_j) / (1 + Σ_P e^(s0-s))    for positives
∂L/∂s0 = -Σ ∂L/∂s_i`,
		When: `A row has any number of labels out of many classes. Classes above s0 are
predicted; the gradient goes to the classes that are most wrong, so the number
of classes needs no weight to balance it. Scores are not those of sigmoid(s):
with many expected positives a row the probability tends to sigmoid(2s); fit
it where probabilities are wanted.`,
		Flags: "--s0, --threshold-column, --top-negatives, --top-scores",
		Papers: []string{"Su, Zhu, Murtadha, Pan, Wen and Liu, ZLPR: A Novel Loss for Multi-label Classification, arXiv 2208.02955",
			"Su, Generalising softmax + cross-entropy to multi-label classification, spaces.ac.cn/archives/7359 (in Chinese)"},
		Make: func(f *Parameters, _ []float64) zlpr.Loss { return zlpr.ZLPR{Threshold: f.S0} },
	},
	{
		Name: "zlpr-soft",
		Line: "log(1 + Σ (1-t)·e^(s-s0)) + log(1 + Σ t·e^(s0-s)): zlpr of labels t in [0, 1]",
		Formula: `L = log(1 + Σ (1-t_i)·e^(s_i-s0)) + log(1 + Σ t_i·e^(s0-s_i))
t are the labels, in [0, 1]; 0 and 1 drop a term`,
		Gradient: `∂L/∂s_i = (1-t_i)·e^(s_i-s0)/(1 + Σ (1-t)·e^(s-s0)) - t_i·e^(s0-s_i)/(1 + Σ t·e^(s0-s))`,
		When: `Labels are shares: of annotators, of a teacher, smoothed. At the optimum
t = sigmoid(2·(s-s0)). For labels 0 and 1 it is zlpr.`,
		Flags:  "--s0, --threshold-column",
		Papers: []string{"Su, spaces.ac.cn/archives/9064 (in Chinese)"},
		Make:   func(f *Parameters, _ []float64) zlpr.Loss { return zlpr.SoftZLPR{Threshold: f.S0} },
	},
	{
		Name: "subset",
		Line: "log Σ_{|S|=k} e^(Σ_S s) - Σ_P s, k = |P|: softmax over all subsets of k classes",
		Formula: `L = log Z_k - Σ_P s_j,   Z_k = Σ over the subsets S of k classes of e^(Σ_S s)
k is the row's number of positives`,
		Gradient: `∂L/∂s_i = π_i          for negatives, π_i the probability that class i is drawn
∂L/∂s_j = π_j - 1      for positives`,
		When: `The number of labels of a row is known, and the set is to be drawn as a whole:
with k = 1 it is softmax. Rows without positives, or of positives alone, have
loss 0. It costs more than the others.`,
		Papers: []string{"Chen, Dempster and Liu, Biometrika 81(3), 1994 (conditional Poisson sampling)",
			"Ahmed et al., SIMPLE, arXiv 2210.01941", "Berrada, Zisserman and Kumar, arXiv 1802.07595 (smooth top-k)"},
		Make: func(*Parameters, []float64) zlpr.Loss { return zlpr.Subset{} },
	},
	{
		Name: "subset-padded",
		Line: "log Σ_{j≤K} e^((K-j)·s0)·Z_j - Σ_P s - (K-k)·s0: subset of up to K classes",
		Formula: `L = log Σ_{j≤K} e^((K-j)·s0)·Z_j - Σ_P s_j - (K-k)·s0
Z_j = Σ over the subsets S of j classes of e^(Σ_S s), k the row's number of positives`,
		Gradient: `∂L/∂s_i = π_i          for negatives, π_i the probability that class i is drawn
∂L/∂s_j = π_j - 1      for positives
∂L/∂s0 = expected number of paddings - (K-k)`,
		When: `Sets of up to K labels, their number unknown. It lies between zlpr (K just
above k) and bce, which it is for K = classes.`,
		Flags:  "--k, --s0, --threshold-column",
		Papers: []string{"Su, spaces.ac.cn/archives/7359 (in Chinese), the padded variant"},
		Make: func(f *Parameters, _ []float64) zlpr.Loss {
			return zlpr.PaddedSubset{K: f.K, Threshold: f.S0}
		},
	},
	{
		Name: "asymmetric",
		Line: "Σ_P (1-p)^γ+·(-log p) + Σ_N r^γ-·(-log(1-r)), p = sigmoid(s), r = max(p-m, 0)",
		Formula: `L = Σ_P (1-p_j)^γ+·(-log p_j) + Σ_N r_i^γ-·(-log(1-r_i))
p = sigmoid(s), r = max(p-m, 0); γ+ = 0, γ- = 4 and m = 0.05 where no flag says otherwise`,
		Gradient: `∂L/∂s_j = -(1-p)^γ+·(γ+·p·(-log p) + (1-p))             for positives
∂L/∂s_i = p·(1-p)·r^γ-·(γ-·(-log(1-r))/r + 1/(1-r))     for negatives, 0 where p ≤ m`,
		When: `Many classes, few positives, and some labels missing: easy negatives count for
little, and those with p below m for nothing.`,
		Flags:  "--gamma-positive, --gamma-negative, --shift, --top-negatives, --top-scores",
		Papers: []string{"Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021, arXiv 2009.14119"},
		Make: func(f *Parameters, _ []float64) zlpr.Loss {
			return zlpr.Asymmetric{GammaPositive: f.GammaPositive, GammaNegative: f.GammaNegative, Shift: f.Shift}
		},
	},
	{
		Name: "two-way",
		Line: "softplus(T-·log Σ_N e^(s/T-) + T+·log Σ_P e^(-s/T+)): the row part of the two-way loss",
		Formula: `L = softplus(T-·log Σ_N e^(s_i/T-) + T+·log Σ_P e^(-s_j/T+))
T+ = 4 and T- = 1 where no flag says otherwise. The class part is the same loss on the
transposed matrices.`,
		Gradient: `∂L/∂s_i = σ·softmax_N(s/T-)_i       for negatives, σ the sigmoid of softplus's argument
∂L/∂s_j = -σ·softmax_P(-s/T+)_j     for positives`,
		When: `The order of the classes of a row matters, as with pairwise (both temperatures
1); a higher T+ spreads the gradient over the positives. Rows without positives
or without negatives have loss 0.`,
		Flags:  "--positive-temperature, --negative-temperature, --top-negatives, --top-scores",
		Papers: []string{"Kobayashi, Two-Way Multi-Label Loss, CVPR 2023"},
		Make: func(f *Parameters, _ []float64) zlpr.Loss {
			return zlpr.TwoWay{PositiveTemperature: f.PositiveTemperature, NegativeTemperature: f.NegativeTemperature}
		},
	},
	{
		Name: "distribution-balanced",
		Line: "Σ_P r·softplus(ν-s) + Σ_N r·softplus(λ(s-ν))/λ: bce for labels with a long tail",
		Formula: `L = Σ_P r_j·softplus(ν_j-s_j) + Σ_N r_i·softplus(λ·(s_i-ν_i))/λ
r_i = α + sigmoid(β·(q_i-μ)), q_i = (1/n_i)/Σ_P 1/n_j, ν_i = κ·log(N/n_i - 1)
n_j is how many of N rows have label j: of all labels at hand, in training of the train
rows; α = 0.1, β = 10, μ = 0.3, κ = 0.05, λ = 2`,
		Gradient: `∂L/∂s_j = -r_j·sigmoid(ν_j-s_j)         for positives
∂L/∂s_i = r_i·sigmoid(λ·(s_i-ν_i))     for negatives`,
		When: `A few classes are frequent and many are rare, and the rare ones come with the
frequent ones: the weights undo what that does to rows sampled by class, and
negatives of rare classes are let be.`,
		Flags:    "--top-negatives, --top-scores",
		Papers:   []string{"Wu et al., Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed Datasets, ECCV 2020, arXiv 2007.09654"},
		Balances: true,
		Make: func(f *Parameters, _ []float64) zlpr.Loss {
			return zlpr.NewDistributionBalanced(f.Counts, f.Rows)
		},
	},
	{
		Name: "class-balanced",
		Line: "Σ_N v·softplus(s) + Σ_P v·softplus(-s), v ∝ (1-β)/(1-β^n): bce by effective numbers",
		Formula: `L = Σ_N v_i·softplus(s_i-s0) + Σ_P v_j·w_j·softplus(s0-s_j)
v_j = (1-β)/(1-β^n_j), times what makes their sum the number of classes; (1-β^n)/(1-β) is
the effective number of samples. n_j is how many rows have label j: of all labels at hand,
in training of the train rows; β = 0.999 where no flag says otherwise. With the focal
exponent f each softplus(x) is multiplied by sigmoid(x)^f: the class-balanced focal loss.`,
		Gradient: `that of bce, times v_i`,
		When: `Classes are of very different sizes, and each is to count for what its samples tell:
β = 0 weighs all alike, β near 1 by 1/n.`,
		Flags:    "--beta, --s0, --pos-weight, --focal, --threshold-column, --top-negatives, --top-scores",
		Papers:   []string{classBalancedPaper},
		Balances: true,
		Make: func(f *Parameters, w []float64) zlpr.Loss {
			return zlpr.ClassBalanced{Loss: zlpr.BCE{Threshold: f.S0, PositiveWeight: w, Focal: f.Focal}, Counts: f.Counts, Beta: f.Beta}
		},
	},
	{
		Name: "class-balanced-softmax",
		Line: "v_t·log(1 + Σ_{i≠t} e^(s_i-s_t)), v ∝ (1-β)/(1-β^n): softmax by effective numbers",
		Formula: `L = v_t·log(1 + Σ_{i≠t} e^(s_i-s_t))
t is the row's target, its one positive class; v is that of class-balanced.`,
		Gradient: `that of softmax, times v_t`,
		When: `Exactly one class of a row is right, and the classes are of very different sizes. What is
said of softmax holds.`,
		Flags:    "--beta",
		Papers:   []string{classBalancedPaper},
		Target:   true,
		Balances: true,
		Make: func(f *Parameters, _ []float64) zlpr.Loss {
			return zlpr.ClassBalanced{Loss: zlpr.SoftmaxCrossEntropy{}, Counts: f.Counts, Beta: f.Beta}
		},
	},
}

const classBalancedPaper = "Cui, Jia, Lin, Song and Belongie, Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, arXiv 1901.05555"

// LossNames are the names of the losses, in the order of the table.
var LossNames = func() (names []string) {
	for _, e := range Losses {
		names = append(names, e.Name)
	}
	return names
}()

// SoftLosses are the names of those that take soft labels, SmoothLosses of those that
// smooth hard ones.
var (
	SoftLosses   = []string{"softmax", "bce", "zlpr-soft"}
	SmoothLosses = []string{"softmax", "bce", "zlpr"}
)

// OneTarget reports whether exactly one class of a row is right for the loss of that name.
func OneTarget(name string) bool {
	e := FindLoss(name)
	return e != nil && e.Target
}

// Balance reports whether one of these losses depends on how many rows have a label.
func Balance(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		e := FindLoss(name)
		return e != nil && e.Balances
	})
}

// Parameters are those of the losses.
type Parameters struct {
	S0     float64
	K      int
	Gamma  float64
	Margin float64
	Focal  float64

	GammaPositive, GammaNegative, Shift      float64 // of asymmetric
	PositiveTemperature, NegativeTemperature float64 // of two-way

	Beta float64 // of class-balanced

	Counts []int // of losses that balance: positives of every class,
	Rows   int   // of so many rows
}

// Default has what the parameters are where nobody says otherwise.
var Default = Parameters{Gamma: 1, GammaNegative: 4, Shift: 0.05, PositiveTemperature: 4, NegativeTemperature: 1, Beta: 0.999}

// FindLoss returns the loss of that name, nil if there is none.
func FindLoss(name string) *Loss {
	i := slices.IndexFunc(Losses, func(e Loss) bool { return e.Name == name })
	if i < 0 {
		return nil
	}
	return &Losses[i]
}
