package metrics

// bestEach finds one threshold per class; see Tuner.BestEach.
func (v *solverOf[T, C]) bestEach(average Average) (thresholds []float64, f1 float64, err error) {
	best, err := v.bestCuts(func(a, b *cut[T, C]) bool { return a.sumF1().less(b.sumF1()) })
	if err != nil {
		return nil, 0, err
	}
	classes := len(v.scores.Lists)
	if average == Micro {
		best, f1, err = v.dinkelbach(best)
		if err != nil {
			return nil, 0, err
		}
	} else {
		var sum fixed
		for _, c := range best {
			sum.add(c.sumF1())
		}
		f1 = sum.over(uint64(classes))
	}
	any := false
	thresholds = make([]float64, classes)
	for j := range thresholds {
		if v.scores.Lists[j].len() > 0 {
			thresholds[j] = best[j].threshold()
			any = true
		}
	}
	if !any {
		return nil, 0, errNoScores
	}
	return thresholds, f1, nil
}

// dinkelbach raises the micro F1, n/d, of the cuts until it stays.
func (v *solverOf[T, C]) dinkelbach(best []cut[T, C]) ([]cut[T, C], float64, error) {
	n, d := v.microF1(best)
	for n != *new(C) {
		next, err := v.bestCuts(func(a, b *cut[T, C]) bool {
			// 2·TP - λ·predicted grows from a to b, where both counts grow.
			predicted, gain := b.predicted, b.tp
			minus(&predicted, &a.predicted)
			minus(&gain, &a.tp)
			plus(&gain, &gain)
			return lessProduct(&predicted, &n, &gain, &d)
		})
		if err != nil {
			return nil, 0, err
		}
		best = next
		n1, d1 := v.microF1(next)
		if !lessProduct(&n, &d1, &n1, &d) { // λ stays
			break
		}
		n, d = n1, d1
	}
	return best, ratioOf(&n, &d).over(1), nil
}

// bestCuts returns the best cut of every class: the first that no later one
// betters.
func (v *solverOf[T, C]) bestCuts(better func(a, b *cut[T, C]) bool) ([]cut[T, C], error) {
	classes := len(v.scores.Lists)
	best := make([]cut[T, C], classes)
	err := newSplit(func(_, j, _ int) error {
		for c := range cuts[T, C](&v.scores.Lists[j], v.low) {
			if c.none || better(&best[j], c) {
				best[j] = *c
			}
		}
		return nil
	}).run(classes, 1, numWorkers(v.workers))
	return best, err
}

// microF1 returns the numerator and the denominator of F1 over all classes.
func (v *solverOf[T, C]) microF1(best []cut[T, C]) (n, d C) {
	for j := range best {
		c := &best[j]
		plus(&n, &c.tp)
		plus(&n, &c.tp)
		positive := positives[T, C](&v.scores.Lists[j], v.low)
		plus(&d, &positive)
		plus(&d, &c.predicted)
	}
	return n, d
}
