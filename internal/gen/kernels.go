package gen

import (
	"path"
	"slices"
)

// packages are all packages with kernels and the assembly files of each.
var packages = []*pkg{
	{"", "logsumexp", []asmFile{
		{"logsumexp", coreKernels},
	}},
	{"internal/kernel", "dispatch", []asmFile{
		{"log", logKernels},
		{"bits", bitsKernels},
		{"copy", copyKernels},
		{"select", selectKernels},
		{"short", shortKernels},
		{"shortsums", shortSumsKernels},
		{"shortloss", shortLossKernels},
		{"finish", finishKernels},
		{"bce", bceKernels},
		{"focal", focalKernels},
		{"shifted", shiftedKernels},
		{"soft", softKernels},
		{"softmaxtargets", softmaxTargetKernels},
		{"softcolumns", softColumnKernels},
		{"side", sideKernels},
		{"subset", subsetKernels},
		{"sparse", sparseKernels},
		{"above", aboveKernels},
		{"keys", keyKernels},
		{"precisions", precisionKernels},
		{"maximum", maximumKernels},
		{"half", halfKernels},
	}},
	{"internal/ceiling", "ceiling", []asmFile{
		{"ceiling", ceilingKernels},
	}},
}

// A pkg is a package with kernels. The stem begins the names of the Go files with
// the choice of the tier.
type pkg struct {
	dir, stem string
	files     []asmFile
}

// An asmFile is the kernels of an assembly file for every architecture; in
// package kernel, stem.go has their twins.
type asmFile struct {
	stem    string
	kernels []*kernel
}

const modulePath = "github.com/zlpr/zlpr"

func (p *pkg) path(name string) string { return path.Join(p.dir, name) }

func (p *pkg) name() string {
	if p.dir == "" {
		return "zlpr"
	}
	return path.Base(p.dir)
}

func (p *pkg) kernels() (all []*kernel) {
	for _, f := range p.files {
		all = append(all, f.kernels...)
	}
	return all
}

// each calls emit for the forms of the kernels, type by type and tier by tier.
func (f *asmFile) each(tiers []tier, emit func(k *kernel, f form, e elem, t tier)) {
	for _, e := range elems {
		for _, t := range tiers {
			for _, k := range f.kernels {
				if !slices.Contains(k.types, e) {
					continue
				}
				for _, form := range k.forms {
					emit(k, form, e, t)
				}
			}
		}
	}
}

// both is the forms of a kernel with one body for each architecture.
func both(x86 func(*vec), neon func(*neonVec)) []form { return []form{{x86: x86, neon: neon}} }

// double and single are the types of kernels for one element type, or for none.
var (
	double = []elem{float64s}
	single = []elem{float32s}
)

// coreKernels are the kernels of log-sum-exp and softmax.
var coreKernels = []*kernel{
	{
		name: "sumExp", types: elems,
		params: "sum, err []float64, x []T, stride, rows, n int, p *kernel.RowParams[T]",
		doc: `writes Σ e^y·2^-c, y = min(max(x[i·stride+j], low), high), j < n, to sum[i] for
			every row i, with p = {magic of c, low, high}. float64 sums have an error: it goes
			to err[i]. For float32 err is left alone.`,
		forms: both(sumExp, neonSumExp),
	},
	{
		name: "scaleExp", types: elems,
		params: "dst []T, dstStride int, x []T, stride, rows, n int, p []kernel.RowParams[T], pStep, stream int",
		doc: `writes dst[i·dstStride+j] = e^y·2^-c·factor, y = x[i·stride+j], or 0 where y < low,
			with {magic of c, low, factor} = p[i·pStep]; past the caches unless stream is 0, where
			every row of dst begins at a multiple of 64 bytes.`,
		forms: both(scaleExp, neonScaleExp),
	},
	{
		name: "offset", types: elems, oneTwin: true,
		params: "dst []T, dstStride int, x []T, stride, rows, n int, m, l []T",
		doc:    `writes dst[i·dstStride+j] = (x[i·stride+j] - m[i]) - l[i].`,
		forms:  both(offset, neonOffset),
	},
}

// logKernels are the kernels of logarithms.
var logKernels = []*kernel{
	{
		name: "LogPair64", types: double,
		params: "dst, hi, lo []float64",
		doc: `writes dst[i] = log(hi[i]+lo[i]), for positive normal hi[i] ≥ |lo[i]|. Where lo is
			nil all of it are 0.`,
		args: "dst, hi, lo, n=len(dst)", optional: "lo",
		forms: []form{
			{
				name: "Alone", when: "lo == nil",
				x86:  func(v *vec) { logarithm(v, false, false) },
				neon: func(v *neonVec) { neonLogarithm(v, false, false) },
			},
			{
				x86:  func(v *vec) { logarithm(v, false, true) },
				neon: func(v *neonVec) { neonLogarithm(v, false, true) },
			},
		},
	},
	{
		name: "Log1p64", types: double,
		params: "dst, x []float64",
		doc:    `writes dst[i] = log(1+x[i]) for finite x[i] ≥ 0.`,
		args:   "dst, x, n=len(x)",
		forms:  both(func(v *vec) { logarithm(v, true, false) }, func(v *neonVec) { neonLogarithm(v, true, false) }),
	},
}

// bitsKernels are the kernels that make bits.
var bitsKernels = []*kernel{
	{
		name: "PackBytes", types: single,
		params: "dst []uint64, src []uint8, stride, rows, n int", results: "good bool",
		doc: `writes the lowest bits of rows of n bytes as bits, each row in words of its own:
			row i goes from src[i·stride] on to dst[i·BitWords(n)] on. It reports whether all
			bytes are 0 or 1.`,
		args: "dst, dstStride=BitWords(n), src, stride, rows, n",
		// Masked loads of bytes are of AVX-512.
		whole: lengths{avx2: 64, avx512: 1, neon: 64}, more: true,
		forms: both(packBytes, neonPackBytes),
	},
	{
		name: "PackWords", types: elems,
		params: "dst []uint64, src []T, stride, rows, n int, one, zero uint64", results: "good bool",
		doc: `writes which of rows of n elements, as integers, are one, each row in words of its own:
			row i goes from src[i·stride] on to dst[i·BitWords(n)] on. It reports whether all
			elements are one or have no bits but those of zero.`,
		args:  "dst, dstStride=BitWords(n), src, stride, rows, n, one, zero",
		whole: lengths{avx2: 8, avx512: 1, neon: 8},
		forms: both(packWords, neonPackWords),
	},
}

// copyKernels are the kernels of a Copy.
var copyKernels = []*kernel{
	{
		name: "copyStream", types: single,
		params: "dst, x []float32",
		doc: `copies x, a multiple of 64 elements, to dst, past the caches where the tier can,
			and waits until all such stores are seen. dst begins at a multiple of 64 bytes.`,
		args:  "dst, x, n=len(x)",
		forms: []form{{x86: func(v *vec) { copying(v, true) }, noNEON: noStream}},
	},
}

// selectKernels are the kernels of the losses of two sums.
var selectKernels = []*kernel{
	{
		name: "SelectSums", types: elems,
		params:   "a, b []float64, x []T, stride, rows, n int, pos, neg []uint64, words int, h Rows16",
		optional: "x, x16",
		doc: `writes for every row i the sum of e^y, y clamped to the range of pivot 0, to a[i]
			over the elements of neg, y = x[i·stride+j], and to b[i] over those of pos, y = -x;
			where there is a NaN, both are. Bits beyond n are 0; a and b have room for a multiple of 8 rows.
			Where h has a kind its rows, of more than 64 elements, take the place of x, with its stride.`,
		forms: both(func(v *vec) { selectSums(v, false, false) }, func(v *neonVec) { neonSelectSums(v, false, false) }),
	},
	{
		name: "SelectExp", types: elems,
		params:   "a, b []float64, w []T, wStride int, x []T, stride, rows, n int, pos, neg []uint64, words int, h Rows16, c *Copy[T]",
		optional: "x, x16",
		doc: `is SelectSums and writes e^y, for pos -e^y, for others 0, to w[i·wStride+j], and
			anything on to the end of the row's last group. Meanwhile it makes the copy c.`,
		forms: []form{{
			x86: func(v *vec) { selectSums(v, false, true) }, copies: true,
			neon: func(v *neonVec) { neonSelectSums(v, false, true) },
		}},
	},
	{
		name: "TargetSums", types: elems,
		params: "a []float64, x []T, stride, rows, n int, neg []uint64, words int",
		doc:    `is SelectSums of the negatives alone.`,
		forms:  both(func(v *vec) { selectSums(v, true, false) }, func(v *neonVec) { neonSelectSums(v, true, false) }),
	},
	{
		name: "TargetExp", types: elems,
		params: "a []float64, w []T, wStride int, x []T, stride, rows, n int, neg []uint64, words int, c *Copy[T]",
		doc:    `is SelectExp of the negatives alone.`,
		forms: []form{{
			x86: func(v *vec) { selectSums(v, true, true) }, copies: true,
			neon: func(v *neonVec) { neonSelectSums(v, true, true) },
		}},
	},
	{
		name: "TargetScale", types: elems, oneTwin: true,
		params: "dst []T, dstStride int, w []T, wStride, rows, n int, f []T",
		doc:    `is SelectScale of negatives alone, by the factors f.`,
		forms:  both(func(v *vec) { selectScale(v, true) }, func(v *neonVec) { neonSelectScale(v, true) }),
	},
	{
		name: "SelectScale", types: elems, oneTwin: true,
		params: "dst []T, dstStride int, w []T, wStride, rows, n int, fa, fb []T",
		doc: `writes w·fa[i] where w = w[i·wStride+j] is at least the least normal exponential
			(2^-125.5, for float64 2^-1021.5), w·fb[i] where -w is, and 0 elsewhere, to
			dst[i·dstStride+j]. dst may be w, also with a smaller stride.`,
		forms: both(func(v *vec) { selectScale(v, false) }, func(v *neonVec) { neonSelectScale(v, false) }),
	},
}

// shortKernels are the kernels of short rows.
var shortKernels = []*kernel{
	{
		name: "ShortExp", types: single,
		params: "w, x []float32, pos, part []uint64", results: "normal bool",
		doc: `writes e^y, y = x[i] clamped to the range of pivot 0, to w[i], or -e^y of y = -x[i]
			where bit i of pos is set; 0 where part is not nil and has not bit i, which pos then
			has not either. It takes a multiple of ShortRows elements.`,
		args: "w, x, n=len(x), pos, part", optional: "part",
		forms: both(shortExp, neonShortExp),
	},
	{
		name: "ShortSums", types: single,
		params: "a, b []float64, w []float32, rows, n int",
		doc: `writes the sum of the positive elements of row i, w[i·n:][:n], to a[i] and that of
			the negative ones, less their signs, to b[i]; NaN to both where there is one. Rows are
			a multiple of 8, n is at most ShortRow, and w has ShortRoom.`,
		forms: both(shortSides, neonShortSides),
	},
	{
		name: "ShortScale", types: single,
		params: "dst []float32, dstStride int, w []float32, rows, n int, fa, fb []float32",
		doc:    `is SelectScale for rows of w without a gap, w[i·n:][:n], n at most ShortRow.`,
		forms:  both(shortScale, neonShortScale),
	},
	{
		name: "ShortJoins", types: single,
		params: "u, sum []float64, w, m []float32, rows, n int",
		doc: `writes Π (1+w) - 1, w not below 0, over row i, w[i·n:][:n], to u[i], and unless m is nil
			the sum of m[i·n:][:n] to sum[i]. Rows are a multiple of 8, n is at most ShortRow, and w
			and m have ShortRoom.`,
		optional: "sum, m",
		forms:    both(shortJoins, neonShortJoins),
	},
	{
		name: "ShortDifferences", types: elems, oneTwin: true,
		params: "y, lost, x []T, s0 []float64, rows, n int",
		doc: `writes x[i·n+j] - s0[i] to y[i·n+j], and what that is short of to lost, for rows of n.
			All have ShortRoom.`,
		forms: both(shortDifferences, neonShortDifferences),
	},
	{
		name: "ShortOdds", types: elems, oneTwin: true,
		params: "w, dst, x, lost []T, pos, part []uint64, scale []float64",
		doc: `writes e^y, y = x[i] or where bit i of pos is set -x[i], to w[i], and unless dst is
			nil scale[0]·w/(1+w), with the sign of y against x[i], to dst[i]; 0 where bit i of part
			is not set, which pos then has not either. Below the least normal number e^y is 0 or
			subnormal. It takes a multiple of ShortRows elements. Unless lost is nil, x is short of it.`,
		args: "w, dst, x, n=len(x), lost, pos, part, scale", optional: "dst, lost, scale",
		forms: both(shortOdds, neonShortOdds),
	},
	{
		name: "ShortSoft", types: elems, oneTwin: true,
		params: "w, m, dst, x, t []T, part []uint64, scale []float64",
		doc: `writes e = e^-|x[i]| to w[i], max(x[i], 0) - t[i]·x[i] to m[i] and, unless dst is nil, the
			derivative of BCE with the soft label t[i] times scale[0] to dst[i] (see SoftBCE); 0 where
			bit i of part is not set. It takes a multiple of ShortRows elements.`,
		args: "w, m, dst, x, n=len(x), t, part, scale", optional: "dst, scale",
		forms: both(shortSoft, neonShortSoft),
	},
	{
		name: "ShortLogs", types: double,
		params: "q, w, m []float64, rows, n int",
		doc: `writes the logarithms of the joins of the elements l, l+8, l+16 and l+24 of row i,
			w[i·n:][:n], to q[8·i+l], l < 8: log(Π (1+w)), w not below 0, or NaN where that is no
			number; and unless m is nil adds the sums of these elements of m. n is at most ShortRow,
			and w and m have ShortRoom.`,
		optional: "m",
		forms:    both(shortLogs, neonShortLogs),
	},
}

// shortSumsKernels are the kernels of log-sum-exp of short rows.
var shortSumsKernels = []*kernel{
	{
		name: "ShortPowers", types: elems,
		params: "w, x []T, p *RowParams[T]",
		doc: `writes e^y·2^-c, y = min(max(x[i], low), high), to w[i], with p = {magic of c, low, high}.
			It takes a multiple of 64 elements; w may be x.`,
		args:  "w, x, n=len(x), p",
		forms: both(shortPowers, neonShortPowers),
	},
	{
		name: "ShortTotals", types: elems,
		params: "sum, err []float64, w []T, rows, n int", results: "plain bool",
		doc: `writes the sum of row i, w[i·n:][:n], all of it positive, to sum[i]; of float64 its
			error to err[i]. The sums are those of log-sum-exp. It reports whether all of them are
			natural and none is almost all in the even or in the odd places (see coef.PlainRatio32). Rows are a
			multiple of 8, n is at most ShortRow, and w has ShortRoom.`,
		forms: both(shortTotals, neonShortTotals),
	},
}

// shortLossKernels are the kernels of losses of rows of 8 as a whole.
var shortLossKernels = []*kernel{
	{
		name: "ShortTwoSums", types: single,
		params: "u []float64, dst, x []float32, rows int, pos []uint64, scale []float64, one float64", results: "good bool",
		doc: `takes rows of 8 scores without a gap, of which bit 8·i+j of pos is the label of class j. With
			the sums a and b of ShortSums it writes

			u = a·b + one·(a+b)

			to u[i], and unless dst is nil the gradient of log1p(u) times scale[i] to dst: for one = 1
			that of FinishSums, for one = 0 that of FinishProduct. Rows are a multiple of 8. It
			reports whether no score is above coef.ShortScore32 in magnitude; where not,
			results are open, and so are gradients of scales that are not within ScaleLow and
			ScaleHigh.`,
		optional: "dst, scale",
		forms:    []form{{x86: shortTwoSums, noNEON: noEights}},
	},
	{
		name: "PackEights", types: single,
		params: "dst []uint64, targets []int32", results: "good bool",
		doc: `sets bit 8·i+targets[i] of dst and clears all others, for a multiple of 8 targets, at least
			8. It reports whether all are from 0 to 7; where not, dst is open.`,
		args:  "dst, targets, n=len(targets)",
		forms: []form{{x86: packEights, noNEON: noEights}},
	},
	{
		name: "PackTargets", types: single,
		params: "dst []uint64, targets []int32, n int", results: "good bool",
		doc: `sets bit n·i+targets[i] of dst and clears the others of n·len(targets), for a multiple
			of 8 targets, at least 8, and n at most ShortRow. What is behind these bits is open; there are
			256 from the last 8 rows on. It reports whether all targets are from 0 to n-1; where not,
			dst is open.`,
		args:  "dst, targets, count=len(targets), n",
		forms: []form{{x86: packTargets, noNEON: noTargets}},
	},
}

// noEights is why NEON has no kernels of rows of 8.
const noEights = "a register holds half a row, and the kernels of short rows are as good there"

// noTargets is why NEON does not pack targets.
const noTargets = "its registers hold few of the bits, and Go's shifts are as fast"

// finishKernels are the kernels that finish and add up losses and gradients.
var finishKernels = []*kernel{
	{
		name: "FinishSums", types: elems,
		params: "loss []float64, fa, fb []T, a, b, scale []float64", results: "good bool",
		doc: `finishes a loss of two sums, for a multiple of 8 rows:

			loss = log1p(a) + log1p(b),  fa = scale·(1/(1+a)),  fb = scale·(1/(1+b))

			It reports whether all sums are natural or 0 and all factors fit; where not, the row's
			results are open. Where fa is nil there are no factors, and no scale.`,
		args: "loss, fa, fb, a, b, scale, rows=len(a)", optional: "fa, fb, scale",
		forms: finishForms("fa", finishSums, neonFinishSums),
	},
	{
		name: "FinishProduct", types: single,
		params: "loss []float64, fa, fb []float32, a, b, scale []float64", results: "good bool",
		doc: `is FinishSums of a loss of the product:

			loss = log1p(a·b),  fa = scale·(b/(1+a·b)),  fb = scale·(a/(1+a·b))

			A factor may be 0 where the other sum is, and as large as exponentials allow none of
			which is below the least normal one (see SelectScale).`,
		args: "loss, fa, fb, a, b, scale, rows=len(a)", optional: "fa, fb, scale",
		forms: finishForms("fa",
			func(v *vec, factors bool) { finishJoined(v, true, factors) },
			func(v *neonVec, factors bool) { neonFinishJoined(v, true, factors) }),
	},
	{
		name: "FinishTarget", types: elems,
		params: "loss []float64, fa, fb []T, a, b, scale []float64", results: "good bool",
		doc: `finishes softmax cross-entropy, for a multiple of 8 rows with the sums a over the
			classes but the target, whose score is b:

			loss = log1p(u),  u = a·e^-b,  fa = scale·(e^-b/(1+u)),  fb = -(scale·u)/(1+u)

			fb is the derivative by the target's score. It reports whether all sums are natural or
			0, all |b| at most TargetLimit, all u normal or 0, and all factors fa fit or are 0
			where a is; where not, the row's results are open. Where fa is nil there are no
			factors.`,
		args: "loss, fa, fb, a, b, scale, rows=len(a)", optional: "fa, fb, scale",
		forms: both(finishTarget, neonFinishTarget),
	},
	{
		name: "FinishJoins", types: single,
		params: "loss []float64, f []float32, u, scale []float64", results: "good bool",
		doc: `writes log1p(u[i]) to loss[i] and scale[i] to f[i], for a multiple of 8 rows. It
			reports whether all joins are right as they stand (see JoinRight) and all scales fit;
			where not, the row's results are open. Where f is nil there is no scale.`,
		args: "loss, f, u, scale, rows=len(u)", optional: "f, scale",
		forms: finishForms("f", finishJoins, neonFinishJoins),
	},
	{
		name: "Accumulate", types: elems, oneTwin: true,
		params: "dst []T, dstStride int, x []T, stride, rows, n int",
		doc:    `adds x[i·stride+j] to dst[i·dstStride+j].`,
		forms:  both(accumulate, neonAccumulate),
	},
	{
		name: "AddParts", types: double,
		params: "out *LossParts, x []float64",
		doc: `writes the parts of at most MostParts losses, a multiple of 8 and not 0. Where they
			are not right, they are open.`,
		args:  "out, x, n=len(x)",
		forms: both(addParts, neonAddParts),
	},
}

// finishForms are the forms of a kernel that finishes losses: without factors, where
// that argument is nil, and with them.
func finishForms(factors string, x86 func(v *vec, factors bool), neon func(v *neonVec, factors bool)) []form {
	return []form{
		{
			name: "Loss", when: factors + " == nil",
			x86: func(v *vec) { x86(v, false) }, neon: func(v *neonVec) { neon(v, false) },
		},
		{x86: func(v *vec) { x86(v, true) }, neon: func(v *neonVec) { neon(v, true) }},
	}
}

// bceKernels are the kernels of binary cross-entropy.
var bceKernels = []*kernel{
	{
		name: "BCE", types: elems,
		params:   "a *BCEArgs[T]",
		doc:      `writes the sums of softplus of every row, without weights, and the gradient.`,
		args:     "sum, product, dst, dstStride, c, x, stride, rows, n, pos, neg, words, scale, p, slope, kind, x16, dst16",
		optional: "sum, product, dst, x, scale, p, slope, x16, dst16",
		forms:    bceForms(),
	},
	{
		name: "WeightedBCE", types: elems,
		params: "a *BCEArgs[T]",
		doc: `writes the sums of the weighted terms of every row, the gradient unless Dst is nil,
			and the terms, of a single row, unless Terms is. The labels are Soft or, where that is nil,
			hard. Weights and Terms have room for a multiple of 64 elements.`,
		args:     "sum, terms, dst, dstStride, x, stride, t, tStride, rows, n, pos, neg, words, p, shifted=a.shifted(), negWeight, posWeight",
		optional: "terms, dst, t",
		forms:    both(emitWeightedBCE, emitNeonWeightedBCE),
	},
}

// softKernels are the kernels of soft labels.
var softKernels = []*kernel{
	{
		name: "SoftBCE", types: elems,
		params: "sum, product []float64, dst []T, dstStride int, x []T, stride int, t []T, tStride, rows, n int, part []uint64, words int, f []T",
		doc: `writes the sums of BCE of every row with the soft labels t over the elements of part,
			and unless dst is nil the derivatives times f[i], 0 where an element takes no part, to
			dst[i·dstStride+j]: as those of BCE (see BCEArgs) product takes logarithms to come.
			dst may be x.`,
		optional: "product, dst, f",
		forms:    both(emitSoftBCE, emitNeonSoftBCE),
	},
	{
		name: "PlainLabels", types: elems,
		params: "t []T, stride, rows, n int", results: "plain bool",
		doc: `reports whether all labels t[i·stride+j], j < n, at least one, are 0 or from the
			least plain one (2^-100, for float64 2^-960) to 1.`,
		forms: both(plainLabels, neonPlainLabels),
	},
	{
		name: "SoftTerms", types: single,
		params: "sums [][2]float64, u, v []float32, wStride int, x []float32, stride int, t []float32, tStride, rows, n int, part []uint64, words int",
		doc: `writes (1-t)·w, t = t[i·tStride+j], w = e^x, x = x[i·stride+j], 0 below the range of
			pivot 0 and NaN above it, to u[i·wStride+j], and t/w, 0 for t = 0, to v[i·wStride+j], 0
			outside of part, and their sums to sums[i].`,
		forms: both(softTerms, neonSoftTerms),
	},
	{
		name: "LessLabels", types: elems,
		params: "dst []T, dstStride int, t []T, tStride, rows, n int, f []T",
		doc:    `takes f[i]·t[i·tStride+j] off dst[i·dstStride+j], with one rounding.`,
		forms:  both(lessLabels, neonLessLabels),
	},
}

// softmaxTargetKernels are the kernels of softmax cross-entropy with soft labels.
var softmaxTargetKernels = []*kernel{
	{
		name: "SoftTargets", types: elems,
		params: "a, distance, others []float64, peaks []Peak[T], w []T, wStride int, x []T, stride int, t []T, tStride, rows, n int, top []T", results: "bits uint64",
		doc: `takes the sums of softmax cross-entropy with soft labels t = t[i·tStride+j] over the
			elements of row i with a score x = x[i·stride+j] other than the highest, which it writes to
			top[i], but top[0] has to be there: Σ e^x to a[i], Σ t·(top[i]-x) to distance[i] and Σ t to others[i], which have room
			for a multiple of 8 rows. Of the others the label is peaks[i][0], of several the bits of
			all, and their number peaks[i][1]. Unless w is nil it writes e^x of all elements to
			w[i·wStride+j]. Exponentials below the smallest normal number are 0 or subnormal; where
			top[i] is above the range of pivot 0 all are NaN. Where a score is NaN distance[i] is
			NaN, and all else of the row is open. It returns the highest bits of all labels (see
			labelBits).`,
		optional: "w",
		forms:    both(softTargets, neonSoftTargets),
	},
	{
		name: "KnowPeaks", types: elems,
		params: "label []T, inverse []float64, peaks []Peak[T], top []T, sums []float64, room, rows int", results: "simple bool",
		doc: `takes the sums of SoftTargets, a, distance and others, which begin at multiples of room.
			It writes the labels of peaks, and to inverse the highest scores with their signs changed.
			It reports whether all rows are SimplePeak. Rows are a multiple of 8, at least 8.`,
		forms: []form{{x86: knowPeaks, noNEON: noKnowPeaks}},
	},
	{
		name: "SoftTargetScale", types: elems,
		params: "dst []T, dstStride int, w []T, wStride int, t []T, tStride, rows, n int, f, scale, most, peak []T", results: "bits uint64",
		doc: `writes w·f[i] - t[i·tStride+j]·scale[i], w = w[i·wStride+j], that of the label not rounded,
			or where w ≥ most[i] peak[i] to dst[i·dstStride+j]. It returns the lowest bits less one of
			all labels (see labelBits).`,
		forms: both(softTargetScale, neonSoftTargetScale),
	},
}

// softColumnKernels are the kernels of softmax cross-entropy with soft labels of short rows:
// of columns, in which rows lie side by side as softcolumns.go says.
var softColumnKernels = []*kernel{
	{
		name: "ToColumns", types: elems, oneTwin: true,
		params: "dst, x []T, stride, rows, n int",
		doc: `writes the columns of rows x[i·stride:][:n] to dst, aligned to 64 bytes. Rows are a multiple
			of LanesOf, n is at least 8.`,
		forms: []form{{x86: toColumns, noNEON: noColumns}},
	},
	{
		name: "ToRows", types: elems, oneTwin: true,
		params: "dst []T, stride int, x []T, rows, n int",
		doc:    `writes rows to dst[i·stride:][:n] whose columns are x, as those of ToColumns.`,
		forms:  []form{{x86: toRows, noNEON: noColumns}},
	},
	{
		name: "SoftColumnSums", types: elems,
		params: "sums []float64, room int, peaks, x, t, w []T, rows, n int", results: "bits uint64",
		doc: `takes the sums of softmax cross-entropy with soft labels over rows of at most MostColumns
			elements whose columns are those of scores x and labels t. Of the first element with the
			highest score top, the label goes to peaks[i], top to peaks[room+i] and e^-top to
			peaks[2·room+i]; over the others Σ e^x to sums[i], Σ t·(top-x) to sums[room+i] and Σ t to
			sums[2·room+i]. Unless w is nil it writes columns of e^x there. Beyond ColumnLimit e^-top
			is NaN; the rest is open where a score is above it or NaN. It returns the highest bits of
			all labels (see labelBits).`,
		optional: "w",
		forms:    both(softColumnSums, neonSoftColumnSums),
	},
	{
		name: "SoftColumnFinish", types: elems,
		params: "loss []float64, factors []T, sums []float64, room int, peaks []T, powers, scale []float64, rows int", results: "good bool",
		doc: `finishes rows of which SoftColumnSums has written sums and peaks, in which e^-top is unless
			powers is nil, which then has it: it writes the losses, and unless scale is nil what
			SoftColumnScale takes. It reports whether all rows are ColumnGood; where not, the row's results are open. Rows are a multiple of LanesOf.`,
		optional: "factors, powers, scale",
		forms:    []form{{x86: softColumnFinish, noNEON: noColumnFinish}},
	},
	{
		name: "SoftColumnScale", types: elems,
		params: "x, t, w []T, rows, n int, factors []T, room int", results: "bits uint64",
		doc: `makes of columns of exponentials w those of the gradient,

			w·factors[i] - t·factors[room+i]

			that of the label not rounded, or factors[3·room+i] where x is factors[2·room+i]. It returns
			what SoftTargetScale returns.`,
		forms: both(softColumnScale, neonSoftColumnScale),
	},
}

// keyKernels are the kernels of scores in bins.
var keyKernels = []*kernel{
	{
		name: "KeyColumns", types: single,
		params: "dst []uint32, height int, x []float32, stride, rows int",
		doc: `writes the bits of x[i·stride+j], those of -0 for +0, to dst[j·height+i], for 8 columns j
			and every row i. Rows are a multiple of 8, which is not 0.`,
		forms: []form{{x86: keyColumns, noNEON: noKeys}},
	},
	{
		name: "CountKeys", types: single,
		params: "low *[256]*uint16, keys, next []uint32, positive, left []uint64, shift int", results: "counted, room int",
		args: "low, keys, next, positive, left, bytes=8*len(positive), most=len(left), shift",
		doc: `counts keys, 64 for every word of positive, in pages: low[k>>24][k<<8>>shift], the product being
			cut to 32 bits, gains 256, and 1 where the bit of the key in positive is 1. Of a place that
			would pass 65535 and becomes 0, what is above it, and of a key without a page 65536 and
			its bit, with 2^32 times the key, are left for the caller. It ends where there is no
			room for more, and returns how many keys were counted and how much room there is.
			So many keys from next on may be read ahead.`,
		forms:  []form{{x86: countKeys, noNEON: noCounts}},
		noHash: "it computes nothing; TestCountKeys looks at it",
	},
}

// precisionKernels are the kernels of areas of bins.
var precisionKernels = []*kernel{
	{
		name: "Precisions", types: double,
		params: "sums []float64, counts, before []uint64", results: "done int",
		args: "sums, counts, before, eights=len(counts)/8",
		doc: `writes the sums of areas over steps of bins, each with its counts and those of all bins before it,
			negatives times 2^32 and positives, fewer than 2^32 together: LostLeast and the others say
			where, of eights of at most 256 steps, to sums. It ends before eight of which one has more than
			before/64 + 1 or 2^14 positives, and returns how many steps are in the sums.`,
		forms:  []form{{x86: precisions, noNEON: noPrecisions}},
		noHash: "its sums are whole numbers, whose lanes are not those of all tiers; TestPrecisions looks at them",
	},
	{
		name: "PlaceSteps", types: double,
		params: "counts, before []uint64, places []uint16, rising int, sums uint64", results: "done, steps int, end uint64",
		args: "counts, before, places, first=2*(len(places)-8)*(1-rising), move=32*rising-16, eights=len(places)/8, rising, room=len(counts)-8, sums",
		doc: `writes the steps of places: the counts of each that has positives, and those of all places before
			it, negatives times 2^32 and positives. A place has all of them times 256 and the
			positives; what is before the first place is in sums. Eight places at a time, from the
			first on where rising is 1, from the last down where it is 0, as long as there is room
			for eight steps. It returns how many places are done, the steps, and the sums after
			them, of which neither passes 2^32.`,
		forms:  []form{{x86: placeSteps, noNEON: noPrecisions}},
		noHash: "it computes nothing; TestPlaceSteps looks at it",
	},
}

// noCounts is why NEON does not count keys.
const noCounts = "no instruction of it would save one"

// noPrecisions is why NEON neither makes steps nor adds up precisions.
const noPrecisions = "its loop in Go takes a few percent of what bins take"

// noKeys is why NEON has no kernel of keys.
const noKeys = "the twin reads four rows at once"

// noColumns is why NEON has no kernels that turn rows to columns, and noColumnFinish why it has
// none that finishes them.
const (
	noColumns      = "it computes nothing: the twin serves"
	noColumnFinish = "the twin makes one logarithm a row"
	noKnowPeaks    = "Go finishes these rows there"
)

// focalKernels are the kernels of focal binary cross-entropy.
var focalKernels = []*kernel{
	{
		name: "FocalBlock", types: elems,
		params: "a *FocalArgs[T]",
		doc: `writes the sums of the focal terms of every row, or the terms, and the gradient.
			Kept has four numbers for each of 64 elements of every word and of one more.`,
		optional: "sum, terms, powers, negWeight, posWeight",
		forms: []form{
			focalForm("Terms", "a.Terms != nil", focalKind{terms: true}),
			focalForm("Weighted", "a.Shifted", focalKind{weighted: true}),
			focalForm("", "", focalKind{}),
		},
	},
	{
		name: "SigmoidPowers", types: elems,
		params: "h, x []T, stride, rows, n int, pos, neg []uint64, words int, p []BCEParams[T], f []T",
		doc: `writes sigmoid(y)^f of rows to h, for the elements of pos and neg, row i from
			64·i·words on: y = x - s0, of pos s0 - x, s0 = p[i][1] + p[i][2]; f = f[0] + f[1], at most
			MostFocalExponent. Other elements of a group are open, but no NaN; where x is NaN they may be.`,
		forms: both(sigmoidPowers, neonSigmoidPowers),
	},
}

// shiftedKernels are the kernels of the asymmetric loss with a shift.
var shiftedKernels = []*kernel{
	{
		name: "ShiftedOdds64", types: double,
		params: "w []float64, n int, p []float64, plain bool",
		doc: `writes r, what it lacks, the odds and the slope of n elements, a multiple of 8, with
			p = {m, 1-m, what that lacks}; plain, not what r lacks. y is between -200 and 200.`,
		forms: shiftedForms(emitShiftedOdds, emitNeonShiftedOdds),
	},
	{
		name: "ShiftedTerms64", types: double,
		params: "w []float64, n int, gamma float64, plain bool",
		doc:    `writes the terms and their derivatives of n elements, a multiple of 8.`,
		forms:  shiftedForms(emitShiftedTerms, emitNeonShiftedTerms),
	},
}

func shiftedForms(x86 func(*vec, bool), neon func(*neonVec, bool)) []form {
	return []form{
		{
			name: "Plain", when: "plain",
			x86:  func(v *vec) { x86(v, true) },
			neon: func(v *neonVec) { neon(v, true) },
		},
		{
			x86:  func(v *vec) { x86(v, false) },
			neon: func(v *neonVec) { neon(v, false) },
		},
	}
}

func focalForm(name, when string, kind focalKind) form {
	return form{
		name: name, when: when,
		x86:  func(v *vec) { emitFocal(v, kind) },
		neon: func(v *neonVec) { emitNeonFocal(v, kind) },
	}
}

// bceForms are the forms of the kernels of binary cross-entropy: without and with
// the gradient, each plain and with thresholds.
func bceForms() (forms []form) {
	for _, grad := range []bool{false, true} {
		for _, f := range []form{
			{
				name: "Shifted", when: "a.Shifted",
				x86:  func(v *vec) { emitBCEJoin(v, true, grad) },
				neon: func(v *neonVec) { emitNeonBCEJoin(v, true, grad) },
			},
			{
				x86:  func(v *vec) { emitBCEJoin(v, false, grad) },
				neon: func(v *neonVec) { emitNeonBCEJoin(v, false, grad) },
			},
		} {
			switch {
			case grad:
				f.name, f.copies = "Grad"+f.name, true
			case f.when == "":
				f.name, f.when = "Sums", "!a.Gradient()"
			default:
				f.name, f.when = "Sums"+f.name, "!a.Gradient() && "+f.when
			}
			forms = append(forms, f)
		}
	}
	return forms
}

// sideKernels are the kernels of weighted sums of e^(γx).
var sideKernels = []*kernel{
	{
		name: "SideMax", types: elems,
		params: "top []SideTop[T], r *SideRows[T]",
		doc: `writes to top[i] the maximum of y = x[i·stride+j] over neg, of y = -x over pos, and
			those of γy·log2(e) + e: -Inf for none, the canonical NaN where there is one. The
			sign of a zero is open.`,
		forms: both(sideMax, neonSideMax),
	},
	{
		name: "SideSums", types: elems,
		params: "sum [][2]float64, r *SideRows[T], p []SideParams[T], pStep int",
		doc: `writes the sums of m·2^e·e^(γy)·2^-c over neg, y = x[i·stride+j], to sum[i][0] and
			over pos, y = -x, to sum[i][1], with the magic numbers of c in p[i·pStep][0] and [3].`,
		forms: both(sideSums, neonSideSums),
	},
	{
		name: "SideGrad", types: elems,
		params: "dst []T, dstStride int, r *SideRows[T], p []SideParams[T]",
		doc: `writes to dst[i·dstStride+j], with the magic number of c and the factor in p[i][0],
			[2] for the classes of neg, y = x, and p[i][3], [5] for those of pos, y = -x:
			m·2^e·e^(γy)·2^-c·factor, or 0 where that without the factor is below the smallest
			normal number and for other classes.`,
		forms: both(sideGrad, neonSideGrad),
	},
	{
		name: "WeighSums", types: elems,
		params: "a, b []float64, w []T, wStride, rows, n int, m, lo []T",
		doc: `multiplies the kept exponentials w[i·wStride+j] (see SelectExp) by the weights m[j],
			for float32 m[j]+lo[j], which have room for a multiple of 32 elements, and writes for
			every row i the sum of the products above 0 to a[i], and of those below, less their
			signs, to b[i].`,
		args: "a, b, w, wStride, rows, n, m, lo", optional: "lo",
		forms: both(weighSums, neonWeighSums),
	},
	{
		name: "SoftWeights", types: elems,
		params: "neg, pos, t []T, stride, rows, n int, part []uint64, words int, class []float64, exponents []T",
		doc: `writes the weights of soft labels t over the elements of part: of 1-t to neg and of
			t to pos, in rows of WeightsLen(n). The class weight of element j is class[j]·2^e,
			e of exponents, which have the form of weights; class[j] is 0 or 1 to 2.`,
		args:  "neg, pos, wStride=WeightsLen[T](n), t, stride, rows, n, part, words, class, exponents",
		whole: everywhere(8),
		forms: both(softWeights, neonSoftWeights),
	},
}

// subsetKernels are the kernels of the k-subset softmax. All compute in float64
// and run through multiples of 8 elements.
var subsetKernels = []*kernel{
	{
		name: "TiltExp", types: elems, oneTwin: true,
		params: "e []float64, x []T, sign, pivot float64", results: "sum, squares float64",
		doc: `writes e[i] = w + w·ε, w = e^min(d, highest), or 0 where d < lowest, for the
			rounded difference d = sign·x[i] - pivot, sign = ±1, and its error ε. It returns
			Σ m and Σ m², m = min(e[i], 1).`,
		args:  "e, x, n=len(x), sign, pivot",
		forms: both(tiltExp, neonTiltExp),
	},
	{
		name: "TiltSums", types: double,
		params: "e []float64, odds float64", results: "sum, squares float64",
		doc: `returns Σ p and Σ p² with p = t/(1+t), t = e[i]·odds: the mean of the number of
			successes, and what its variance Σ p - Σ p² lacks of it.`,
		args:  "e, n=len(e), odds",
		forms: both(tiltSums, neonTiltSums),
	},
	{
		name: "TiltSplit", types: double,
		params: "r []float64, above []uint8, e []float64, odds, cut float64", results: "largest float64",
		doc: `writes the odds r[i] = t = e[i]·odds where t ≤ cut and 0 elsewhere, bit i%8 of
			above[i/8] telling where, and returns the largest r.`,
		args:  "r, above, e, n=len(e), odds, cut",
		forms: both(tiltSplit, neonTiltSplit),
	},
	{
		name: "EspForward", types: double,
		params: "f, r []float64, d int",
		doc: `multiplies the polynomials of 8 lanes, coefficient j of lane l at f[8j+l] and the
			constant one being 1, by (1 + r·x) for each r of the lane, cut at degree d, a
			multiple of 5. The lanes have a multiple of 4 items each.`,
		args:  "f, r, sweeps=len(r)/32, fives=d/5",
		forms: both(espForward, neonEspForward),
	},
	{
		name: "Inclusion", types: elems, oneTwin: true,
		params: "dst []T, r, c []float64, scale float64",
		doc: `writes dst[i] = r·H(-r)·scale, r = r[i], for the polynomial H with the coefficients
			c, at least one, by Horner's rule from the highest.`,
		args:  "dst, r, n=len(dst), c, terms=len(c), scale",
		forms: both(inclusion, neonInclusion),
	},
	{
		name: "Correlate", types: double,
		params: "dst, x, y []float64",
		doc: `writes dst[j] = Σ_i y[i]·x[i+j], added up from i = 0 by fma starting from 0. x has
			at least len(dst) + len(y) - 1 elements.`,
		args:  "dst, n=len(dst), x, y, terms=len(y)",
		forms: both(correlate, neonCorrelate),
	},
}

// sparseKernels are those of sparse matrices.
var sparseKernels = []*kernel{
	{
		name: "SparseProduct", types: double,
		params: "dst []float64, indices []int32, values, v []float64, columns int",
		doc: `adds Σ_k values[k]·v[columns·indices[k]+l] to dst[l], l < 8, in the order of k;
			indices are not empty.`,
		args:  "dst, indices, n=len(indices), values, v, columns",
		forms: both(sparseProduct, neonSparseProduct),
	},
}

// aboveKernels are the kernels of predictions.
var aboveKernels = []*kernel{
	{
		name: "Above", types: elems, oneTwin: true,
		params: "dst []uint64, x, t []T", results: "numbers bool",
		doc: `writes the bits x[j] > t[j] to dst, len(dst) ≥ 1 whole words of 64, the first as the
			lowest, and reports whether all scores are numbers, not NaN.`,
		args:  "dst, x, t, words=len(dst)",
		forms: both(above, neonAbove),
	},
}

// maximumKernels are those of the highest score.
var maximumKernels = []*kernel{
	{
		name: "Maximum", types: elems, oneTwin: true,
		params: "max, x []T, stride, rows, n int",
		doc: `writes the maximum over j < n of x[i·stride+j] to max[i] for every row i: -Inf for
			an empty row, the canonical NaN where there is a NaN. The sign of a zero is open.`,
		forms: both(maximum, neonMaximum),
	},
}

// halfKernels are the conversions between 16-bit floats and float32.
var halfKernels = []*kernel{
	{
		name: "WidenBFloat16", types: single,
		params: "dst []float32, src []uint16, n int",
		doc:    `writes the float32 of n bfloat16.`,
		whole:  everywhere(halfStep),
		forms:  both(widenBFloat16, neonWidenBFloat16),
	},
	{
		name: "widenFloat16", types: single,
		params: "dst []float32, src []uint16, n int",
		doc:    `writes the float32 of n float16; NaN become quiet.`,
		whole:  everywhere(halfStep),
		forms:  both(widenFloat16, neonWidenFloat16),
	},
	{
		name: "NarrowBFloat16", types: single,
		params: "dst []uint16, src []float32, n int",
		doc:    `writes the bfloat16 nearest to n float32, ties to even; NaN become quiet.`,
		whole:  everywhere(halfStep),
		forms:  both(narrowBFloat16, neonNarrowBFloat16),
	},
	{
		name: "narrowFloat16", types: single,
		params: "dst []uint16, src []float32, n int",
		doc:    `writes the float16 nearest to n float32, ties to even; NaN become quiet.`,
		whole:  everywhere(halfStep),
		forms:  both(narrowFloat16, neonNarrowFloat16),
	},
}

// ceilingKernels are what the benchmarks measure the others against: the fastest
// plain read and copy.
var ceilingKernels = []*kernel{
	{
		name: "Read", types: single,
		params: "x []float32",
		doc:    `reads x, a multiple of 64 elements.`,
		args:   "x, n=len(x)",
		forms:  []form{{x86: read, noNEON: noCeiling}},
		noHash: "it has no result",
	},
	{
		name: "Copy", types: single,
		params: "dst, x []float32, stream bool",
		doc:    `copies x, a multiple of 64 elements, to dst; past the caches where it may stream.`,
		args:   "dst, x, n=len(x)",
		forms: []form{
			{name: "Stream", when: "stream", x86: func(v *vec) { copying(v, true) }, noNEON: noCeiling},
			{x86: func(v *vec) { copying(v, false) }, noNEON: noCeiling},
		},
		noHash: "it computes nothing; TestCopy looks at it",
	},
}

// noCeiling is why there is no NEON form of what only measures.
const noCeiling = "the benchmarks with a ceiling are those of amd64"
