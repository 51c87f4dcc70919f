package metrics

import "math/bits"

// BestEach returns thresholds, one per class, that together have the highest
// F1 of that average, and that F1. A class without scores has threshold 0.
//
// For the macro average the classes are independent of each other. For the
// micro average, F1 = 2·TP/(positives + predicted) is the largest λ for which
//
//	Σ over the classes of max (2·TP - λ·predicted) ≥ λ·positives
//
// where the maximum is over the thresholds of the class. Dinkelbach's method
// (Management Science 13(7), 1967) raises λ to the F1 of the maximising
// thresholds until it stays.
func (t *Tuner[T]) BestEach(average Average) (thresholds []float64, f1 float64, err error) {
	best := t.bestCuts(func(a, b *cut[T]) bool { return a.f1.less(b.f1) })
	if average == Micro {
		n, d := t.microF1(best)
		for n > 0 {
			next := t.bestCuts(func(a, b *cut[T]) bool {
				// 2·TP - λ·predicted grows from a to b, where both counts grow.
				return lessProduct(b.predicted-a.predicted, n, 2*(b.tp-a.tp), d)
			})
			best = next
			n1, d1 := t.microF1(next)
			if !lessProduct(n, d1, n1, d) { // λ stays
				break
			}
			n, d = n1, d1
		}
		f1 = ratio(n, d).over(1)
	} else {
		var sum fixed
		for _, c := range best {
			sum.add(c.f1)
		}
		f1 = sum.over(uint64(t.classes))
	}
	any := false
	thresholds = make([]float64, t.classes)
	for j, l := range t.scores.Lists {
		if len(l.Pos)+len(l.Neg) > 0 {
			thresholds[j] = best[j].threshold()
			any = true
		}
	}
	if !any {
		return nil, 0, errNoScores
	}
	return thresholds, f1, nil
}

// bestCuts returns the best cut of every class: the first that no later one
// betters.
func (t *Tuner[T]) bestCuts(better func(a, b *cut[T]) bool) []cut[T] {
	best := make([]cut[T], t.classes)
	_ = split(t.classes, 1, numWorkers(t.workers), func() func(j, _ int) error {
		var scratch []T
		return func(j, _ int) error {
			for c := range t.scores.Lists[j].cuts(&scratch) {
				if c.none || better(&best[j], &c) {
					best[j] = c
				}
			}
			return nil
		}
	})
	return best
}

// microF1 returns the numerator and the denominator of F1 over all classes.
func (t *Tuner[T]) microF1(cuts []cut[T]) (n, d uint64) {
	for j, c := range cuts {
		n += 2 * c.tp
		d += uint64(len(t.scores.Lists[j].Pos)) + c.predicted
	}
	return n, d
}

// lessProduct reports whether a·b < c·d.
func lessProduct(a, b, c, d uint64) bool {
	h1, l1 := bits.Mul64(a, b)
	h2, l2 := bits.Mul64(c, d)
	return h1 < h2 || h1 == h2 && l1 < l2
}
