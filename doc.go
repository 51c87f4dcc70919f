// Package zlpr evaluates classification losses on CPUs: log-sum-exp and
// softmax, softmax cross-entropy, the multi-label loss ZLPR and its family,
// and the k-subset ("combinatorial") softmax, each with its gradient.
//
// [LogSumExp], [Softmax], [LogSoftmax] and their forms for matrices take scores
// alone; an [Accumulator] takes a row in parts. An [Evaluator] evaluates a [Loss] on
// a [Batch] of scores and labels: [SoftmaxCrossEntropy], [BCE], [Pairwise], [ZLPR],
// [SoftZLPR], [Subset] or [PaddedSubset]. [LogPartition], [InclusionProbabilities]
// and [SubsetSampler] serve the law of k-subsets itself.
//
// What holds everywhere:
//
//   - Scores are logits, any real numbers: no sigmoid or softmax before. They are a
//     [Matrix], rows × classes, row-major with a stride; axes before the last are
//     flattened to rows. Labels and masks are [Bits] in any format; a mask's 1 takes
//     part, and the score of a class that is left out is not read as a value.
//   - Losses are float64 for every type of scores, gradients have the scores' type.
//     Sums over rows are exactly rounded, whatever their order. 16-bit scores,
//     [BFloat16] and [Float16], give the results of the float32 of the same values,
//     those of the scores' type rounded once more.
//   - An error bound in ULP is relative: 2^-23 for float32 scores, 2^-52 for float64.
//     Tests against math/big pin every bound.
//   - Every finite score is legal everywhere. A NaN among the scores that take part
//     makes its row's results the canonical NaN; an infinite score has its limit, as
//     each loss says under "Special cases"; [Options].Strict reports both instead.
//   - Outputs must not overlap inputs or each other, but where a function says that
//     it works in place.
//   - Functions on slices panic on programmers' errors with a message that begins
//     with "zlpr: ". An Evaluator returns errors; what is wrong with the data of a row
//     is a [*DataError], which names the row and the class.
//   - The results have the same bits on every CPU and architecture, with the build
//     tag purego, for every number of workers, label format and split of the rows.
//     [Tier] tells which kernels are in use.
//   - Functions may run at the same time on different outputs. An Evaluator, an
//     Accumulator, a [Total] and a [PlackettLuceSampler] are for one goroutine at a
//     time; a SubsetSampler may be shared.
package zlpr

//go:generate go run ./asm
