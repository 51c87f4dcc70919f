package metrics

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
)

// Samples is the average over the rows: of an Objective, not of a Tuner's curves.
const Samples = samples

// An Objective is what thresholds are tuned for: an F-score, or the highest recall
// with a precision, or precision with a recall, of at least a target.
type Objective struct {
	m      metric
	target float64
	b, one uint64 // β² = b/one
}

// NewObjective returns the objective of a metric's name: micro_, macro_ or
// samples_ with f1 or another F-score, for which the target is 0; or with recall
// or precision, whose target, in (0, 1], is the least of the other one. β is taken
// as its shortest decimal; the numerator and the denominator of β² are at most
// 2^20.
func NewObjective(name string, target float64) (Objective, error) {
	m, err := parse(name)
	if err != nil {
		return Objective{}, err
	}
	o := Objective{m: m, target: target, b: 1, one: 1}
	switch {
	case m.kind > fBeta || m.average == weighted:
		return o, fmt.Errorf("metrics: thresholds are not tuned for %s, but for F-scores, recall and precision, with micro, macro or samples", name)
	case m.kind == fBeta && target != 0:
		return o, fmt.Errorf("metrics: %s has no target", name)
	case m.kind != fBeta && !(target > 0 && target <= 1):
		return o, fmt.Errorf("metrics: %s needs a target in (0, 1]", name)
	case m.kind == fBeta:
		beta, _ := new(big.Rat).SetString(strconv.FormatFloat(m.beta, 'g', -1, 64))
		square := beta.Mul(beta, beta)
		const most = 1 << 20
		if square.Num().BitLen() > 21 || square.Denom().BitLen() > 21 || square.Num().Int64() > most || square.Denom().Int64() > most {
			return o, fmt.Errorf("metrics: %s: β has too many digits", name)
		}
		o.b, o.one = square.Num().Uint64(), square.Denom().Uint64()
	}
	return o, nil
}

// Name returns the name of the metric.
func (o Objective) Name() string { return o.m.name }

// ErrTarget is the error of tuning where no threshold reaches the objective's target.
var ErrTarget = errTarget

var (
	errObjective = errors.New("metrics: the Objective was not made by NewObjective")
	errTarget    = errors.New("metrics: no threshold reaches the target")
)

// multiple is k·c.
func multiple[C count](c *C, k uint64) C {
	if k == 1 {
		return *c
	}
	var p C
	if len(p) == 1 {
		p[0] = (*c)[0] * k
		return p
	}
	addMul(wordsOf(&p), wordsOf(c), []uint64{k})
	return p
}

// valueOf is the measure of the objective, cut to a multiple of 2^-64: for F-beta
//
//	(one + b)·tp / (b·positive + one·predicted), β² = b/one
func valueOf[C count](o *Objective, positive, predicted, tp *C) fixed {
	switch o.m.kind {
	case precision:
		return ratioOf(tp, predicted)
	case recall:
		return ratioOf(tp, positive)
	}
	n, d, p := multiple(tp, o.b+o.one), multiple(positive, o.b), multiple(predicted, o.one)
	plus(&d, &p)
	return ratioOf(&n, &d)
}

// otherOf is the measure that has a target, 1 for an F-score.
func otherOf[C count](o *Objective, positive, predicted, tp *C) fixed {
	switch o.m.kind {
	case precision:
		return ratioOf(tp, positive)
	case recall:
		return ratioOf(tp, predicted)
	}
	return fixed{Int: 1}
}

// A choice is of the thresholds seen so far the best: the highest value of those that
// reach the target or, while there is none, the one that comes nearest to it.
type choice struct {
	most       fixed
	found, met bool
}

// takes reports whether the threshold of a value, and of the other measure, sums
// over n, is better than those before.
func (c *choice) takes(o *Objective, value, other fixed, n uint64) bool {
	ok := o.m.kind == fBeta || o.met(other, n)
	rank := value
	if !ok {
		rank = other
	}
	if c.found && (c.met && !ok || c.met == ok && !c.most.less(rank)) {
		return false
	}
	*c = choice{rank, true, ok}
	return true
}

// met reports whether the mean of sum over n reaches the target, rounded as a
// float64 is.
func (o *Objective) met(sum fixed, n uint64) bool {
	near := sum.float() / float64(n)
	if math.Abs(near-o.target) < 1e-12 {
		near = sum.over(n)
	}
	return near >= o.target
}
