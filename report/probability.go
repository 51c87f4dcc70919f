package report

import (
	"math"
	"math/bits"
	"strconv"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/scalar"
	"github.com/zlpr/zlpr/metrics"
)

// A Link makes probabilities of scores.
type Link uint8

const (
	Sigmoid  Link = iota // 1/(1+e^-s), of every class alone
	Sigmoid2             // 1/(1+e^-2s), what the optimum of ZLPR on soft labels has
	Softmax              // e^s / Σ e^s, of the one class of a row that is right
)

var links = [...]string{"sigmoid", "sigmoid2", "softmax"}

// String is the name of the link.
func (l Link) String() string { return links[l] }

// factor is what the sigmoid's argument is multiplied by.
func (l Link) factor() float64 {
	if l == Sigmoid2 {
		return 2
	}
	return 1
}

// A Calibration makes calibrated probabilities of scores: p = link(Scale·s + Shift).
// Its temperature is 1/Scale.
type Calibration struct {
	Link         Link
	Scale, Shift float64
}

// Of returns the probability of a score, by the sigmoids: within 4 ULP for a shift
// of 0, else that of a score that is 2 ULP of |Scale·s| + |Shift| away. A NaN stays.
func (c Calibration) Of(s float64) float64 {
	return scalar.Sigmoid(c.Link.factor() * c.logit(s))
}

// logit is Scale·s + Shift.
func (c Calibration) logit(s float64) float64 { return float64(c.Scale*s) + c.Shift }

// Elements are the scores of some rows that take part, with their labels.
type Elements struct {
	S    []float64
	Y    []bool
	Ends []int // of the scores of each row
	part []uint64
	y    []uint64
	p    []float64
}

// Gather fills e with the rows of a batch. Classes that the mask leaves out, rows
// of weight 0 and rows whose target is zlpr.Ignore are not there; other weights,
// thresholds and soft labels are not looked at. With targets every row that is there
// has one positive class. The error is a *zlpr.DataError where a score that takes
// part is NaN or infinite or a label is none.
func Gather[T zlpr.Float](e *Elements, b *metrics.Batch[T], targets bool) error {
	rows, n := b.Scores.Rows, b.Scores.Cols
	w := (n + 63) / 64
	e.S, e.Y, e.Ends = e.S[:0], e.Y[:0], e.Ends[:0]
	for len(e.y) < w {
		e.y, e.part = append(e.y, 0), append(e.part, 0)
	}
	y, part := e.y[:w], e.part[:w]
	ignore, _ := b.Labels.(*zlpr.TargetLabels)
	for r := range rows {
		if b.RowWeights != nil && b.RowWeights[r] == 0 || ignore != nil && ignore.Targets[r] == zlpr.Ignore {
			continue
		}
		if err := b.Labels.ReadRows(y, r, r+1); err != nil {
			return err
		}
		for k := range part {
			part[k] = ^uint64(0)
		}
		if n%64 != 0 {
			part[w-1] = 1<<(n%64) - 1
		}
		if b.Mask != nil {
			if err := b.Mask.ReadRows(part, r, r+1); err != nil {
				return err
			}
		}
		x := b.Scores.Row(r)
		begin, positives := len(e.S), 0
		for k, word := range part {
			if bad := y[k] &^ word; bad != 0 {
				return &zlpr.DataError{Row: r, Class: 64*k + bits.TrailingZeros64(bad), Kind: zlpr.LabelMasked, Reason: "positive label on a class that is left out"}
			}
			positives += bits.OnesCount64(y[k])
			for ; word != 0; word &= word - 1 {
				i := bits.TrailingZeros64(word)
				s := float64(x[64*k+i])
				if s-s != 0 {
					kind, reason := zlpr.ScoreInfinite, "score is "+strconv.FormatFloat(s, 'g', -1, 64)
					if s != s {
						kind, reason = zlpr.ScoreNaN, "score is NaN"
					}
					return &zlpr.DataError{Row: r, Class: 64*k + i, Kind: kind, Reason: reason}
				}
				e.S, e.Y = append(e.S, s), append(e.Y, y[k]>>i&1 != 0)
			}
		}
		if len(e.S) == begin {
			continue
		}
		if targets && positives != 1 {
			kind, reason := zlpr.LabelMissing, "no positive label, softmax takes one"
			if positives > 1 {
				kind, reason = zlpr.LabelsTooMany, "more than one positive label, softmax takes one"
			}
			return &zlpr.DataError{Row: r, Class: -1, Kind: kind, Reason: reason}
		}
		e.Ends = append(e.Ends, len(e.S))
	}
	return nil
}

// each calls f for the scores and labels of every row.
func (e *Elements) each(f func(s []float64, y []bool)) {
	begin := 0
	for _, end := range e.Ends {
		f(e.S[begin:end], e.Y[begin:end])
		begin = end
	}
}

// softmax is what a row of one target says.
type softmax struct {
	target          float64 // its probability
	loss            float64 // -log of it
	top             float64 // the highest probability
	right           bool    // whether that is the target's
	slope, variance float64 // Σ p·(s - s_t), and the variance of s under p
}

// row evaluates the softmax of a row. Of equal scores the lowest class is highest.
func (c Calibration) row(s []float64, y []bool, p []float64) (r softmax) {
	highest, target := 0, 0
	for i := range s {
		if y[i] {
			target = i
		}
		if c.Scale*s[i] > c.Scale*s[highest] {
			highest = i
		}
	}
	rest := 0.0
	for i, v := range s {
		if p[i] = 1; i != highest {
			p[i] = scalar.Exp(float64(c.Scale*v) - float64(c.Scale*s[highest]))
			rest += p[i]
		}
	}
	sum := 1 + rest
	mean := 0.0
	for i := range p {
		p[i] /= sum
		mean += float64(p[i] * s[i])
		r.slope += float64(p[i] * (s[i] - s[target]))
	}
	for i := range p {
		d := s[i] - mean
		r.variance += float64(p[i] * float64(d*d))
	}
	r.target, r.top, r.right = p[target], p[highest], highest == target
	r.loss = max(0, float64(c.Scale*s[highest])-float64(c.Scale*s[target])+scalar.Log1p(rest))
	return r
}

// Values returns what quantiles are taken of: the probabilities of all elements, of
// the softmax those of the targets, or, with top, the highest of each row. They are
// valid until the next call.
func (c Calibration) Values(e *Elements, top bool) []float64 {
	p := e.p[:0]
	if c.Link != Softmax {
		for _, s := range e.S {
			p = append(p, c.Of(s))
		}
		e.p = p
		return p
	}
	var room []float64
	e.each(func(s []float64, y []bool) {
		for len(room) < len(s) {
			room = append(room, 0)
		}
		r := c.row(s, y, room[:len(s)])
		if top {
			p = append(p, r.top)
		} else {
			p = append(p, r.target)
		}
	})
	e.p = p
	return p
}

// softplus is log(1 + e^x), and the sigmoid of x.
func softplus(x float64) (loss, p float64) {
	e := scalar.Exp(-math.Abs(x))
	loss = scalar.Log1p(e)
	if x > 0 {
		return x + loss, 1 / (1 + e)
	}
	return loss, e / (1 + e)
}
