package metrics

// rankMeasures returns the ranking measures of a row, scikit-learn's
// label_ranking_average_precision_score, coverage_error and
// label_ranking_loss: with n(j) the negatives and p(j) the positives that score
// at least as much as the positive j,
//
//	precision = mean over j of p(j) / (p(j)+n(j)), 1 where the row has one kind of label only
//	coverage  = max over j of p(j)+n(j), 0 without a positive
//	loss      = Σ_j n(j) / (positives · negatives), 0 where the row has one kind of label only
func (k *ranker[T]) rankMeasures() (precision fixed, coverage uint64, loss fixed) {
	above := k.rank()
	p, n := len(k.pos), len(k.neg)
	if p == 0 {
		return fixed{Int: 1}, 0, fixed{}
	}
	// The lowest positive has the most above it.
	coverage = uint64(p) + above[0]
	if n == 0 {
		return fixed{Int: 1}, coverage, fixed{}
	}
	var pairs uint64
	sum := 0.0
	for j, first := 0, 0; j < p; j++ {
		if k.keys[j] != k.keys[first] {
			first = j
		}
		pj, nj := p-first, above[j]
		pairs += nj
		sum += float64(pj) / float64(uint64(pj)+nj)
	}
	return toFixed(sum / float64(p)), coverage, ratio(pairs, uint64(p)*uint64(n))
}
