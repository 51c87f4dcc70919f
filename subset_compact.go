package zlpr

import (
	"math"

	"github.com/zlpr/zlpr/internal/scalar"
)

// A compactRow is a copy of a row's finite scores that take part, and what there
// is beside them.
type compactRow struct {
	x, out    []float64 // scores; what is asked for
	pos       []uint64
	positives int  // in all, infinite ones too
	ups       int  // scores of +Inf
	downs     int  // scores of -Inf
	nan       bool // there is a NaN
	infinite  bool // a negative at +Inf or a positive at -Inf: the loss is +Inf
}

// readCompact fills in the row of a query.
func readCompact[T Float](w *compactRow, q *subsetQuery, x []T) {
	*w = compactRow{x: w.x[:0], out: w.out, pos: grow(w.pos, (len(x)+63)/64)}
	clear(w.pos)
	w.nan = q.threshold-q.threshold != 0
	for i, s := range x {
		if !q.takesPart(i) {
			continue
		}
		s, positive := float64(s), q.positive(i)
		if q.weights != nil && q.weights[i] != 1 {
			// The weight multiplies e^s of a negative, e^-s of a positive.
			shift := scalar.Log(q.weights[i])
			if positive {
				shift = -shift
			}
			s += shift
		}
		if positive {
			w.positives++
		}
		switch {
		case s != s:
			w.nan = true
		case math.IsInf(s, 1):
			w.ups++
			w.infinite = w.infinite || !positive
		case math.IsInf(s, -1):
			w.downs++
			w.infinite = w.infinite || positive
		default:
			if positive {
				w.pos[len(w.x)>>6] |= 1 << (len(w.x) & 63)
			}
			// Cut so that differences are finite.
			w.x = append(w.x, min(max(s, -0x1p1022), 0x1p1022))
		}
	}
	w.infinite = w.infinite && q.what == gradientOutput
}

// takesPart reports whether class i takes part.
func (q *subsetQuery) takesPart(i int) bool {
	return (q.part == nil || isSet(q.part, i)) && (q.weights == nil || q.weights[i] != 0)
}

// positive reports whether class i is a positive of a loss.
func (q *subsetQuery) positive(i int) bool { return q.what == gradientOutput && isSet(q.pos, i) }

// evaluateCompact is evaluateSubset by a copy of the scores that are finite
// and take part. Infinite scores follow the limit: +Inf is picked before all
// others, -Inf after all others, equal ones with equal probability.
func evaluateCompact[T Float](c *subsetCore, q *subsetQuery, x, dst []T) (value, push float64) {
	w := &c.compact
	readCompact(w, q, x)
	n, loss := len(w.x), q.what == gradientOutput
	inner := *q
	inner.pos, inner.part, inner.weights = w.pos, nil, nil
	if loss && !q.padded {
		inner.picks = w.positives
	}
	inner.picks -= w.ups // of the finite scores

	// The probabilities of +Inf, of a finite score where all have the same, and
	// of -Inf.
	pUp, pFinite, pDown := 1.0, math.NaN(), 0.0
	switch {
	case w.nan:
		pUp, pDown = math.NaN(), math.NaN()
		value, push = math.NaN(), math.NaN()
	case inner.picks < 0:
		pUp, pFinite = float64(inner.picks+w.ups)/float64(w.ups), 0
		value = math.Inf(1)
	case !q.padded && inner.picks > n:
		pFinite, pDown = 1, float64(inner.picks-n)/float64(w.downs)
		value = math.Inf(-1)
		if w.ups > 0 {
			value = math.NaN()
		}
	default:
		if w.infinite {
			// The loss is infinite; its gradient is made of probabilities.
			inner.what, inner.scale = inclusionOutput, 1
		}
		var out []float64
		if dst != nil {
			w.out = grow(w.out, n)
			out = w.out
		}
		value, push, _ = evaluateDense(c, &inner, w.x, out)
		if !loss && w.ups > 0 {
			value = math.Inf(1)
		}
	}
	if w.infinite && !w.nan {
		value, push = math.Inf(1), math.NaN()
	}
	if dst == nil {
		return value, push
	}

	next := 0 // of the finite scores
	for i, s := range x {
		var p float64
		switch {
		case !q.takesPart(i):
			dst[i] = 0
			continue
		case w.nan:
			p = math.NaN()
		case math.IsInf(float64(s), 1):
			p = pUp
		case math.IsInf(float64(s), -1):
			p = pDown
		case pFinite == pFinite:
			p = pFinite
			next++
		case inner.what == q.what: // has been scaled
			dst[i] = T(w.out[next])
			next++
			continue
		default:
			p = w.out[next]
			next++
		}
		switch {
		case q.positive(i):
			p--
		case q.what == exclusionOutput:
			p = 1 - p
		}
		dst[i] = T(p * q.scale)
	}
	return value, push
}
