// Package metrics has prediction rules and multi-label metrics for the score
// matrices of package zlpr.
//
// An Accumulator computes metrics by name, batch by batch. Where scikit-learn
// has the metric, its conventions for ties, for rows and classes without
// positives and for divisions by zero hold here too, those of zero_division=0.
//
// # Thresholded metrics
//
// Of the positives y and the predicted classes p, with TP = |y ∧ p|:
//
//	precision        TP / |p|
//	recall           TP / |y|
//	f1, f2, f0.5 ... F-beta, (1+β²)·TP / (β²·|y| + |p|)
//	jaccard          TP / |y ∨ p|
//
// each 0 where the denominator is 0, or what Options.ZeroDivision says, and each in
// four averages:
//
//	micro_...        of the counts of all elements
//	macro_...        the mean over all classes
//	weighted_...     that mean weighted by the positives of the class; 0 without positives
//	samples_...      the mean over the rows
//
// and
//
//	subset_accuracy  share of the rows predicted without an error
//	hamming_loss     share of the elements predicted wrongly
//
// # Ranking metrics
//
// With n(s) the negatives of the row that score s or more, and p(s) the
// positives: a negative of equal score counts as ranked above.
//
//	lrap             mean over the positives of p(s)/(p(s)+n(s)); 1 for a row with only one kind of label
//	coverage_error   p(s)+n(s) of the lowest positive, averaged over rows; 0 for a row without positives
//	ranking_loss     share of the pairs of a positive and a negative that scores as much or more; 0 for a row with only one kind of label
//	one_error        share of the rows with a positive whose highest score is not one
//
// # Metrics at K
//
//	precision_at_K   positives among the K highest scores, over K
//	recall_at_K      the same over the positives of the row; 0 without positives
//	ndcg_at_K        scikit-learn's ndcg_score: equal scores share their gain; 0 without positives
//	psp_at_K         propensity-scored precision, as a share of the best possible
//	psndcg_at_K      propensity-scored nDCG, as a share of the best possible
//
// All rows count, except in one_error. Save in ndcg_at_K, of equal scores the
// one of the lowest class counts as higher. The propensity-scored metrics
// (Jain, Prabhu, Varma, "Extreme Multi-label Loss Functions for
// Recommendation, Tagging, Ranking & Other Missing Label Applications", KDD
// 2016) weigh each positive by its inverse propensity, see Propensities; the
// sum over all rows is divided by the sum that the best ranking would have, as
// the extreme classification repository does.
//
// # Areas
//
//	micro_auc, macro_auc                              area under the ROC curve; equal scores count half
//	micro_average_precision, macro_average_precision  Σ (recall gained)·precision over the distinct scores
//
// micro_ is over all elements, macro_ the mean over the classes that have both
// labels. Without pairs to compare the area is NaN; without a positive the
// micro average precision is 0. These metrics need all scores at once:
// NeedsScores.
//
// With Options.MicroBits and ClassBits the scores are counted in bins instead, in
// constant memory: by the leading bits of the score, in the order of scores. An
// area then has bounds, Result.Bounds, which hold for certain: the pairs of a
// positive and a negative of one bin may all be won or all be lost, and its positives may
// all be above its negatives or all be below. Row weights count exactly. Value is the area
// of equal scores within each bin. The bounds are equal, and the area exact, where no
// score has a bit that is set beyond the leading ones.
//
// # Classes and thresholds
//
// With Options.ByClass, Classes has the results of every class. A Tuner has the
// thresholds that are best for F1 and their curves; a CrossTuner those for any
// F-score, or for a target, and what they are worth on other rows. GradientShares
// tells which classes a loss comes from.
//
// # Masks
//
// Elements left out by a mask are not there, for any metric: a class's counts
// are of the rows in which it takes part, a row's ranking is of the classes
// that do. A row of which nothing is left does not count, nor does one of which
// only classes are left whose weight in Batch.ClassWeights is 0: what counts in
// the loss counts here.
//
// # Row weights
//
// With Batch.RowWeights a row counts as often as its weight w says, as by
// scikit-learn's sample_weight: a count is Σ w over its elements, a mean over rows
// is Σ w·x / Σ w, a pair in an area under the ROC curve counts as the product of
// its weights. A row without weights has weight 1. Weight 0 leaves the row out of
// everything, its scores are not looked at. A weight that is negative, infinite or
// NaN is a *zlpr.DataError.
//
// The sums are exact. So an integer weight gives, bit for bit, what as many copies
// of the row would give, and multiplying all weights by one number changes
// nothing, as long as the products are exact, as those by powers of two are.
// Weights may be any numbers, however far apart.
//
// # Scores
//
// A NaN that takes part is an error. Infinities are scores like others; but see
// Options.Sparse for -Inf that stands for classes that a sparse matrix does not
// list. Both zeros are equal.
//
// # Accuracy
//
// Counts, sums of weights and the areas' numbers of pairs are exact, and a metric
// is one quotient of such numbers, rounded once, or a mean of terms each of which
// is cut to a multiple of 2^-64: it is within 1 ULP plus 2^-63 of its definition.
// Only the terms of these rows are computed in float64, with u = 2^-53:
//
//	lrap              with n positives, a relative error of (n+2)·u at most
//	ndcg_at_K         2·(K+4)·u, the discounts being within 2u
//	psp_at_K          (K+2)·u
//	psndcg_at_K       2·(K+4)·u
//	samples_f2 ...    F-beta other than F1, 6·u
//
// Results are the same bits on all machines, for any number of workers, order of
// rows and split into batches.
package metrics
