package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
)

// TestHashes compares the kernels' results with their recorded hashes.
func TestHashes(t *testing.T) {
	kerneltest.Hashes(t, []kerneltest.HashCase{
		kerneltest.Case("logPair64", 0x34437ddc0f177303, 0xf2b4835a95b9c9af, hashLogPair),
		kerneltest.Case("log1p64", 0xdbaf801204f44175, 0x2a14df8c150b17e3, hashLog1p),
		kerneltest.Case("selectSums/float32", 0x207fe844519286a0, 0x1913ad1980a1b08f, hashSelectSums[float32]),
		kerneltest.Case("selectSums/float64", 0xc7c759ec0f713af5, 0x32a2a1cddab8cbef, hashSelectSums[float64]),
		kerneltest.Case("selectExp/float32", 0x2273757c817f1c7f, 0x3466369a5b5e19e4, hashSelectExp[float32]),
		kerneltest.Case("selectExp/float64", 0x3f7c0e306799d4ed, 0xf1b4475d6ed48020, hashSelectExp[float64]),
		kerneltest.Case("selectScale/float32", 0xa08b55efdae98ff4, 0x2fc21203588c417a, hashSelectScale[float32]),
		kerneltest.Case("selectScale/float64", 0x2a2648349a4f4802, 0x7e95f7f24347e1cd, hashSelectScale[float64]),
		kerneltest.Case("finishSums/float32", 0x5652ff2c24b67fe3, 0xcf76498c36969e90, hashFinishSums[float32]),
		kerneltest.Case("finishSums/float64", 0x697ba985cdc34e19, 0x63c27fee8ab64c42, hashFinishSums[float64]),
		kerneltest.Case("shortExp", 0xe0609c592b667b5b, 0x0435fdc42aa7c4e9, hashShortExp),
		kerneltest.Case("shortSums", 0x24a71faba289839c, 0x9d3d1f895cf8afa4, hashShortSums),
		kerneltest.Case("shortPowers/float32", 0x2447a67882ca28d7, 0x5ab62363c18d891e, hashShortPowers[float32]),
		kerneltest.Case("shortPowers/float64", 0xa7a25b88156492b8, 0xd97ef180fdf89b00, hashShortPowers[float64]),
		kerneltest.Case("shortTotals/float32", 0x083890c212b7a447, 0xfe6a0991aaf20f4c, hashShortTotals[float32]),
		kerneltest.Case("shortTotals/float64", 0x8e86cb2f2c289625, 0x0bfb03ba1ef4a763, hashShortTotals[float64]),
		kerneltest.Case("shortScale", 0x55c273b5394ffb0b, 0xc855ea665d5ca466, hashShortScale),
		kerneltest.Case("shortTwoSums", 0x49c1a399db900ca0, 0x333f16cca138ea82, hashShortTwoSums),
		kerneltest.Case("packEights", 0x604a390031c8d876, 0x60ff52f0229f121d, hashPackEights),
		kerneltest.Case("packTargets", 0xc469dadfc6ff7e7f, 0x62d70a49b35aaef7, hashPackTargets),
		kerneltest.Case("targetSums/float32", 0x6ae3f4bb9ad9bf47, 0x699b1f09d0563f05, hashTargetSums[float32]),
		kerneltest.Case("targetSums/float64", 0x0647d3c005b7fb11, 0xc502627800f94146, hashTargetSums[float64]),
		kerneltest.Case("targetExp/float32", 0xb5db81b225140ee2, 0x32a13ad05719fccf, hashTargetExp[float32]),
		kerneltest.Case("targetExp/float64", 0x48cbd8b44986aa95, 0xa0b5f62332ae69bb, hashTargetExp[float64]),
		kerneltest.Case("targetScale/float32", 0x6584049684ccf859, 0xc3ccdbb06e8732eb, hashTargetScale[float32]),
		kerneltest.Case("targetScale/float64", 0xaa5731253b61cb0c, 0x51106de6358ccedc, hashTargetScale[float64]),
		kerneltest.Case("finishTarget/float32", 0xeff35a25acdd013c, 0xdcf8d16bfa5b64fb, hashFinishTarget[float32]),
		kerneltest.Case("finishTarget/float64", 0x1fd27b8989900852, 0x2945bc8f5a06e014, hashFinishTarget[float64]),
		kerneltest.Case("shortJoins", 0x8ad65cb38177ce25, 0xfaa103eb6a1d402d, hashShortJoins),
		kerneltest.Case("shortDifferences/float32", 0xf98fbaf0b5b28880, 0x14006e17fa7028aa, hashShortDifferences[float32]),
		kerneltest.Case("shortDifferences/float64", 0xaede9d77a576c492, 0x36c4d273f4992d7d, hashShortDifferences[float64]),
		kerneltest.Case("shortOdds/float32", 0x31401ef446bc3835, 0x8841758b098c46c6, hashShortOdds[float32]),
		kerneltest.Case("shortOdds/float64", 0xfa49d5588f58112a, 0x5617ae9004da3ef2, hashShortOdds[float64]),
		kerneltest.Case("shortJoins/linear", 0x077e20c61f8db200, 0x8c9a34fc11307d4c, hashShortJoinsLinear),
		kerneltest.Case("shortLogs/linear", 0xd401c06df043e526, 0xc9133d2ed89a1e82, hashShortLogsLinear),
		kerneltest.Case("shortSoft/float32", 0xb0f0739d99ab081e, 0xecd564a4b89fb02c, hashShortSoft[float32]),
		kerneltest.Case("shortSoft/float64", 0xf1f3f615ee4e4244, 0x535c2ed271303c5f, hashShortSoft[float64]),
		kerneltest.Case("shortLogs", 0x4375691733b85d68, 0xae0744ffb81c8b61, hashShortLogs),
		kerneltest.Case("finishJoins", 0x8d3c7e8274e710b2, 0x1729dc813afb2f81, hashFinishJoins),
		kerneltest.Case("finishProduct", 0xe541af028c789a25, 0x70340c8559bdad76, hashFinishProduct),
		kerneltest.Case("bce/float32", 0xac909a7e0bbee5cb, 0xfb8d143d716f5386, hashBCE[float32]),
		kerneltest.Case("weightedBCE/float32", 0x5e71803a5b88a8a7, 0xfa92ed0edbf87c2c, hashWeightedBCE[float32]),
		kerneltest.Case("weightedBCE/float64", 0x28af18f509940ea8, 0x29b1a76c2c5ddc95, hashWeightedBCE[float64]),
		kerneltest.Case("bce/float64", 0x4aa6464c09e0f8b6, 0x468ea72421620139, hashBCE[float64]),
		kerneltest.Case("focalBlock/float32", 0x755280b2db2c616a, 0x0802d6d68f80ad12, hashFocal[float32]),
		kerneltest.Case("focalBlock/float64", 0xc79394ecc652c066, 0x99747772ca714d6a, hashFocal[float64]),
		kerneltest.Case("sigmoidPowers/float32", 0x0d35a6af51954f1f, 0x077b101980f99e87, hashSigmoidPowers[float32]),
		kerneltest.Case("sigmoidPowers/float64", 0x2417046e878b4224, 0xcd4904cc54af899f, hashSigmoidPowers[float64]),
		kerneltest.Case("shiftedOdds64", 0x53e23c7cc85ca99f, 0x6cf19d5b0c50b196, hashShiftedOdds),
		kerneltest.Case("shiftedTerms64", 0x6eeb9b72a7bdb371, 0x1aab3e3087232dfc, hashShiftedTerms),
		kerneltest.Case("softBCE/float32", 0x97a2a0bd6644bb17, 0x83899d27259ece29, hashSoftBCE[float32]),
		kerneltest.Case("softBCE/float64", 0xe404e15676a8aca4, 0xaeb312b3be4253ce, hashSoftBCE[float64]),
		kerneltest.Case("plainLabels/float32", 0x3753cabff5a00c0e, 0x64029514bb4b1394, hashPlainLabels[float32]),
		kerneltest.Case("plainLabels/float64", 0xb5446d8cf290cf39, 0x394e0db8eb3dfe89, hashPlainLabels[float64]),
		kerneltest.Case("softTerms", 0x2881fd89d61cd392, 0x8c4cce1bcc7649c8, hashSoftTerms),
		kerneltest.Case("softTargets/float32", 0x9bd3a1c5345623b2, 0x47c2bb88b750da1a, hashSoftTargets[float32]),
		kerneltest.Case("softTargets/float64", 0x79865ed460976ba7, 0xec7b1123de402270, hashSoftTargets[float64]),
		kerneltest.Case("softTargetScale/float32", 0xc9831cfc7a6ccf5e, 0xe599edc0029f8673, hashSoftTargetScale[float32]),
		kerneltest.Case("softTargetScale/float64", 0x47576388809b5184, 0xdb979f32b0debd61, hashSoftTargetScale[float64]),
		kerneltest.Case("lessLabels/float32", 0xd4e0495327b01b73, 0x9ef9c06531c71d3b, hashLessLabels[float32]),
		kerneltest.Case("lessLabels/float64", 0x1d2a666d941785e2, 0x89ffe024a2fed6a3, hashLessLabels[float64]),
		kerneltest.Case("toColumns/float32", 0xede6d0cc9d4a4fd6, 0xbdf11f758ead0586, hashToColumns[float32]),
		kerneltest.Case("toColumns/float64", 0x0969dd4443673165, 0x39cec1f9c1d7cbac, hashToColumns[float64]),
		kerneltest.Case("toRows/float32", 0x986c6e25818ab0fd, 0xc742d3154d89ada7, hashToRows[float32]),
		kerneltest.Case("toRows/float64", 0xe1c0e148a3b95b46, 0x1d88f9276cf003ef, hashToRows[float64]),
		kerneltest.Case("softColumnSums/float32", 0xdfe7c38b18772871, 0xea8180aebecba875, hashSoftColumnSums[float32]),
		kerneltest.Case("softColumnSums/float64", 0xe78b3703d9991905, 0xe89417bfc7f6732d, hashSoftColumnSums[float64]),
		kerneltest.Case("knowPeaks/float32", 0xf72aa258c53314ca, 0x34013400cbf2b009, hashKnowPeaks[float32]),
		kerneltest.Case("knowPeaks/float64", 0x600ede909d05b189, 0x9554aa766976cd82, hashKnowPeaks[float64]),
		kerneltest.Case("softColumnFinish/float32", 0xc9e43a1be41aeacf, 0x4cdad081d0f56136, hashSoftColumnFinish[float32]),
		kerneltest.Case("softColumnFinish/float64", 0x8c2f344b667417bf, 0x1436590959365aa2, hashSoftColumnFinish[float64]),
		kerneltest.Case("softColumnScale/float32", 0xfc982c31ec3ee5f4, 0xfc28692bd8f8090a, hashSoftColumnScale[float32]),
		kerneltest.Case("softColumnScale/float64", 0x9bf705ee88ffac87, 0xdcd5e959c9ac1c6f, hashSoftColumnScale[float64]),
		kerneltest.Case("sideMax/float32", 0x44838edb947f50f3, 0x513af16f0827285a, hashSideMax[float32]),
		kerneltest.Case("sideMax/float64", 0x86c597bb3ede1d6f, 0xa705aa45e7befc45, hashSideMax[float64]),
		kerneltest.Case("sideSums/float32", 0x50f3d5fe607ca530, 0x5cb423cbecfc6df8, hashSideSums[float32]),
		kerneltest.Case("sideSums/float64", 0xf0b884932badf218, 0x0291e01eb81800e9, hashSideSums[float64]),
		kerneltest.Case("sideGrad/float32", 0x0a9dcaf02b491f20, 0x45fec45a3c16aac6, hashSideGrad[float32]),
		kerneltest.Case("sideGrad/float64", 0x210b6f1e48da682a, 0xbe0347af86102ee6, hashSideGrad[float64]),
		kerneltest.Case("weighSums/float32", 0xe32fe66d99b6dd77, 0x10ac2924a4906f9a, hashWeighSums[float32]),
		kerneltest.Case("weighSums/float64", 0xcfa03bbcfe9577e3, 0x5212c50c6b28e6ad, hashWeighSums[float64]),
		kerneltest.Case("softWeights/float32", 0xea8fc0c594921187, 0x38723080e04479b6, hashSoftWeights[float32]),
		kerneltest.Case("softWeights/float64", 0xeed08f33fd53b6b5, 0x1b012e74ef0a4f93, hashSoftWeights[float64]),
		kerneltest.Case("accumulate/float32", 0xbd88facc12edf797, 0xa61bfa2ca6cce152, hashAccumulate[float32]),
		kerneltest.Case("accumulate/float64", 0x694731dac86291df, 0xbd6fa29f86011ffc, hashAccumulate[float64]),
		kerneltest.Case("addParts", 0xc3c66766d3c7deff, 0x246d3122b1f12080, hashAddParts),
		kerneltest.Case("packBytes", 0x66ae9981c6835202, 0x53642e36b901a914, hashPackBytes),
		kerneltest.Case("packWords/float32", 0x1b461f832ff288fd, 0x8103f252f8bc061d, hashPackWords[float32]),
		kerneltest.Case("packWords/float64", 0x1b461f832ff288fd, 0x8103f252f8bc061d, hashPackWords[float64]),
		kerneltest.Case("tiltExp/float32", 0x8460bd15f28e7f96, 0x063bd3fb3487c5d9, hashTiltExp[float32]),
		kerneltest.Case("tiltExp/float64", 0x8460bd15f28e7f96, 0x063bd3fb3487c5d9, hashTiltExp[float64]),
		kerneltest.Case("tiltSums", 0x6a334583b102fcdd, 0x6a390cf7a821abbc, hashTiltSums),
		kerneltest.Case("tiltSplit", 0x8ee44e551cabae2e, 0xc083a9e9aa9cd4fb, hashTiltSplit),
		kerneltest.Case("espForward", 0x350b7349339b1cee, 0xca3b2eb9aa2dabe9, hashEspForward),
		kerneltest.Case("inclusion/float32", 0x1e82a2948ceb269d, 0xce9ce397694fc197, hashInclusion[float32]),
		kerneltest.Case("inclusion/float64", 0x83ef2a08ac33f844, 0x47d3a5b9dc28af59, hashInclusion[float64]),
		kerneltest.Case("correlate", 0xcfdaedbe827075f3, 0x5f73b1f2d75688a9, hashCorrelate),
		kerneltest.Case("sparseProduct", 0x5c2369907ca421f9, 0x9827caf589d0add1, hashSparseProduct),
		kerneltest.Case("copyStream", 0x7ae8c0f09ffe3fce, 0x89f82a0abdbd75dc, hashCopyStream),
		kerneltest.Case("keyColumns", 0xffe75314320dbabb, 0x7b9d58160948aa1d, hashKeyColumns),
		kerneltest.Case("above/float32", 0x22e6bb27dc0df0bf, 0x9d546a8e4eb270a5, hashAbove[float32]),
		kerneltest.Case("above/float64", 0x22e6bb27dc0df0bf, 0x9d546a8e4eb270a5, hashAbove[float64]),
		kerneltest.Case("maximum/float32", 0xd1c66c5b01e00e35, 0xea1bf9f169fbd759, hashMaximum[float32]),
		kerneltest.Case("maximum/float64", 0x3d810c12f3322acf, 0x081d3ac9f76471de, hashMaximum[float64]),
		kerneltest.Case("widenBFloat16", 0xc51c3f3c7f6c27ff, 0xebf5e2b5fd2fca7c, hashWiden(WidenBFloat16)),
		kerneltest.Case("widenFloat16", 0xf13db9203303752a, 0x21d17115fcb8d7e3, hashWiden(WidenFloat16)),
		kerneltest.Case("narrowBFloat16", 0x750f9b9c7e47ac0d, 0x1e1183398cbf3c3e, hashNarrow(NarrowBFloat16)),
		kerneltest.Case("narrowFloat16", 0xeaa0eb0ea605cb1b, 0x21559ce7969d8fec, hashNarrow(NarrowFloat16)),
	}, forEachTier)
}

// hashWiden and hashNarrow hash conversions of any bits.
func hashWiden(widen func([]float32, []uint16, int)) func(*kerneltest.Hash, *kerneltest.Rand) {
	return func(h *kerneltest.Hash, r *kerneltest.Rand) {
		src := make([]uint16, 1+r.IntN(70))
		for i := range src {
			src[i] = uint16(r.IntN(1 << 16))
		}
		dst := make([]float32, len(src))
		widen(dst, src, len(src))
		for _, f := range dst {
			h.Word(uint64(math.Float32bits(f)))
		}
	}
}

func hashNarrow(narrow func([]uint16, []float32, int)) func(*kerneltest.Hash, *kerneltest.Rand) {
	return func(h *kerneltest.Hash, r *kerneltest.Rand) {
		src := make([]float32, 1+r.IntN(70))
		for i := range src {
			b := uint32(r.Int64N(1 << 32))
			if i%2 == 0 { // of the exponents that float16 has
				b = b&0x807fffff | uint32(127-26+r.IntN(44))<<23
			}
			src[i] = math.Float32frombits(b)
		}
		dst := make([]uint16, len(src))
		narrow(dst, src, len(src))
		for _, d := range dst {
			h.Word(uint64(d))
		}
	}
}

func hashMaximum[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	x, stride, rows, n, _ := kerneltest.HashedRows[T](r)
	top := make([]T, rows)
	Maximum(top, x, stride, rows, n)
	for _, m := range top {
		kerneltest.AddHash(h, m+0) // the sign of a zero is open
	}
}

func hashLogPair(h *kerneltest.Hash, r *kerneltest.Rand) {
	n := 1 + r.IntN(40)
	hi, lo, dst := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range hi {
		hi[i] = r.Positive(900)
		lo[i] = float64(hi[i]*0x1p-53) * r.Float64()
	}
	LogPair64(dst, hi, lo)
	kerneltest.AddHash(h, dst...)
}

// TestLogAlone: without the lower parts LogPair64 is that of zeros.
func TestLogAlone(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		r := kerneltest.Rand{Rand: rand.New(rand.NewPCG(13, 14))}
		for n := 1; n < 70; n++ {
			hi, want, got := make([]float64, n), make([]float64, n), make([]float64, n)
			for i := range hi {
				hi[i] = r.Positive(900)
			}
			hi[r.IntN(n)] = 1
			LogPair64(want, hi, make([]float64, n))
			LogPair64(got, hi, nil)
			for i := range got {
				if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
					t.Fatalf("log(%v) = %v, want %v", hi[i], got[i], want[i])
				}
			}
		}
	})
}

func hashLog1p(h *kerneltest.Hash, r *kerneltest.Rand) {
	x := r.ManyOdds(1+r.IntN(40), 1+r.IntN(900))
	dst := make([]float64, len(x))
	Log1p64(dst, x)
	kerneltest.AddHash(h, dst...)
}

// hashedSides makes the bits of rows: an element is positive, negative or
// neither.
func hashedSides(r *kerneltest.Rand, rows, n int) (pos, neg []uint64, words int) {
	words = (n + 63) / 64
	pos, neg = make([]uint64, rows*words), make([]uint64, rows*words)
	for i := range rows {
		for j := range n {
			switch bit := uint64(1) << (j % 64); r.IntN(4) {
			case 0:
				pos[i*words+j/64] |= bit
			case 1, 2:
				neg[i*words+j/64] |= bit
			}
		}
	}
	return pos, neg, words
}

func hashSelectSums[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	x, stride, rows, n, _ := kerneltest.HashedRows[T](r)
	pos, neg, words := hashedSides(r, rows, n)
	var a, b [8]float64
	SelectSums(a[:], b[:], x, stride, rows, n, pos, neg, words, Rows16{})
	kerneltest.AddHash(h, a[:rows]...)
	kerneltest.AddHash(h, b[:rows]...)
}

func hashSelectExp[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	x, stride, rows, n, _ := kerneltest.HashedRows[T](r)
	pos, neg, words := hashedSides(r, rows, n)
	var a, b [8]float64
	wStride := KeptStride[T](n)
	w := make([]T, rows*wStride+64)
	SelectExp(a[:], b[:], w, wStride, x, stride, rows, n, pos, neg, words, Rows16{}, &Copy[T]{})
	kerneltest.AddHash(h, a[:rows]...)
	kerneltest.AddHash(h, b[:rows]...)
	for i := range rows {
		kerneltest.AddHash(h, w[i*wStride:][:n]...)
	}
}

// hashedTerms returns rows of kept exponentials.
func hashedTerms[T Float](r *kerneltest.Rand) (w []T, stride, rows, n int) {
	w, stride, rows, n, _ = kerneltest.HashedRows[T](r)
	for i := range w {
		if w[i] = T(math.Ldexp(1+math.Abs(float64(w[i]))*0x1p-20, r.IntN(250)-125)); r.IntN(9) == 0 {
			w[i] = normalExp[T]() * T(r.IntN(3))
		}
	}
	for i := range w {
		if r.IntN(3) == 0 {
			w[i] = -w[i]
		}
	}
	return w, stride, rows, n
}

func hashSelectScale[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	w, stride, rows, n := hashedTerms[T](r)
	dst, fa, fb := make([]T, len(w)), make([]T, rows), make([]T, rows)
	for i := range fa {
		fa[i], fb[i] = T(r.Positive(20)), T(r.Positive(20))
	}
	SelectScale(dst, stride, w, stride, rows, n, fa, fb)
	kerneltest.AddHash(h, dst...)
}

func hashShortExp(h *kerneltest.Hash, r *kerneltest.Rand) {
	x := make([]float32, ShortRows*(1+r.IntN(3)))
	exp := r.IntN(10) - 3
	for i := range x {
		x[i] = kerneltest.Score[float32](r, exp)
	}
	pos, neg, words := hashedSides(r, 1, len(x))
	part := make([]uint64, words)
	for i := range part {
		part[i] = pos[i] | neg[i]
	}
	if r.IntN(2) == 0 {
		part = nil
	}
	w := make([]float32, len(x))
	if !ShortExp(w, x, pos, part) {
		h.Word(1)
	}
	kerneltest.AddHash(h, w...)
}

func hashShortPowers[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	x := make([]T, 64*(1+r.IntN(2)))
	for i := range x {
		x[i] = kerneltest.Score[T](r, 11)
	}
	w := make([]T, len(x))
	p := PivotParams[T](0)
	ShortPowers(w, x, &p)
	kerneltest.AddHash(h, w...)
	ShortPowers(x, x, &p)
	kerneltest.AddHash(h, x...)
}

func hashShortTotals[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	rows, n := 8*(1+r.IntN(3)), 1+r.IntN(ShortRow)
	w := make([]T, ShortRoom(rows*n))
	// Some sums are not natural, some almost all in the even elements.
	low, odd := []int{0, 0, 0, -55}[r.IntN(4)], []int{0, 0, -18, -32}[r.IntN(4)]
	for i := range w {
		exp := low + r.IntN(10) - 5
		if i%n%2 == 1 {
			exp += odd
		}
		w[i] = T(math.Ldexp(1+float64(r.IntN(1<<20))/(1<<20), exp))
	}
	if r.IntN(8) == 0 {
		w[r.IntN(rows*n)] = kerneltest.NaN[T]()
	}
	sum, err := make([]float64, rows), make([]float64, rows)
	if ShortTotals(sum, err, w, rows, n) {
		h.Word(1)
	}
	kerneltest.AddHash(h, sum...)
	kerneltest.AddHash(h, err...)
}

// hashedShortRows makes short rows of kept exponentials.
func hashedShortRows(r *kerneltest.Rand) (w []float32, rows, n int) {
	rows, n = 8*(1+r.IntN(3)), 1+r.IntN(ShortRow)
	w = make([]float32, ShortRoom(rows*n))
	for i := range w {
		w[i] = float32(r.Positive(100)) * float32(1-2*r.IntN(2))
		if r.IntN(9) == 0 {
			w[i] = normalExp[float32]() * float32(r.IntN(5)-2)
		}
	}
	return w, rows, n
}

func hashShortSums(h *kerneltest.Hash, r *kerneltest.Rand) {
	w, rows, n := hashedShortRows(r)
	if r.IntN(9) == 0 {
		w[r.IntN(rows*n)] = kerneltest.NaN[float32]()
	}
	a, b := make([]float64, rows), make([]float64, rows)
	ShortSums(a, b, w, rows, n)
	kerneltest.AddHash(h, a...)
	kerneltest.AddHash(h, b...)
}

func hashShortScale(h *kerneltest.Hash, r *kerneltest.Rand) {
	w, rows, n := hashedShortRows(r)
	rows -= r.IntN(8)
	stride := n + r.IntN(3)
	dst, fa, fb := make([]float32, rows*stride), make([]float32, rows), make([]float32, rows)
	for i := range fa {
		fa[i], fb[i] = float32(r.Positive(20)), float32(r.Positive(20))
	}
	ShortScale(dst, stride, w, rows, n, fa, fb)
	kerneltest.AddHash(h, dst...)
}

// hashShortTwoSums takes rows of which some have a score that is too large.
func hashShortTwoSums(h *kerneltest.Hash, r *kerneltest.Rand) {
	rows := 8 * (1 + r.IntN(4))
	x, u, scale := make([]float32, EightRow*rows), make([]float64, rows), r.ManyOdds(rows, 3)
	exp := r.IntN(8) - 2
	for i := range x {
		for x[i] = kerneltest.Score[float32](r, exp); x[i]-x[i] != 0 && r.IntN(8) > 0; {
			x[i] = 1
		}
	}
	for i := range scale {
		scale[i] = (1 + scale[i]) * float64(1-2*r.IntN(2))
	}
	pos := make([]uint64, rows/8)
	for i := range pos {
		pos[i] = r.Uint64() & r.Uint64()
	}
	var dst []float32
	if r.IntN(2) == 0 {
		dst = make([]float32, len(x))
	}
	if !ShortTwoSums(u, dst, x, rows, pos, scale, float64(r.IntN(2))) {
		h.Word(1)
		return
	}
	kerneltest.AddHash(h, u...)
	kerneltest.AddHash(h, dst...)
}

// hashPackEights takes targets of which some are no class.
func hashPackEights(h *kerneltest.Hash, r *kerneltest.Rand) {
	targets := make([]int32, 8*(1+r.IntN(5)))
	for i := range targets {
		targets[i] = int32(r.IntN(8))
	}
	if r.IntN(3) == 0 {
		targets[r.IntN(len(targets))] = []int32{-1, 8, 1 << 30, -1 << 31}[r.IntN(4)]
	}
	dst := make([]uint64, len(targets)/8)
	for i := range dst {
		dst[i] = r.Uint64()
	}
	if !PackEights(dst, targets) {
		h.Word(1)
		return
	}
	for _, v := range dst {
		h.Word(v)
	}
}

// hashPackTargets is hashPackEights of rows of other lengths.
func hashPackTargets(h *kerneltest.Hash, r *kerneltest.Rand) {
	n, targets := 1+r.IntN(ShortRow), make([]int32, 8*(1+r.IntN(5)))
	for i := range targets {
		targets[i] = int32(r.IntN(n))
	}
	if r.IntN(3) == 0 {
		targets[r.IntN(len(targets))] = []int32{-1, int32(n), 1 << 30, -1 << 31}[r.IntN(4)]
	}
	dst := make([]uint64, BitWords(n*(len(targets)-8)+256))
	for i := range dst {
		dst[i] = r.Uint64()
	}
	if !PackTargets(dst, targets, n) {
		h.Word(1)
		return
	}
	bits := n * len(targets)
	for i, v := range dst[:BitWords(bits)] {
		h.Word(v & (1<<min(64, bits-64*i) - 1))
	}
}

// hashedNegatives makes the bits of rows: most elements are negative, and of some
// rows all but one.
func hashedNegatives(r *kerneltest.Rand, rows, n int) (neg []uint64, words int) {
	words = (n + 63) / 64
	neg = make([]uint64, rows*words)
	for i := range rows {
		share := 1 + r.IntN(4)
		for j := range n {
			if share == 1 || r.IntN(share) > 0 {
				neg[i*words+j/64] |= 1 << (j % 64)
			}
		}
		target := r.IntN(n)
		neg[i*words+target/64] &^= 1 << (target % 64)
	}
	return neg, words
}

func hashTargetSums[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	x, stride, rows, n, _ := kerneltest.HashedRows[T](r)
	neg, words := hashedNegatives(r, rows, n)
	var a [8]float64
	TargetSums(a[:], x, stride, rows, n, neg, words)
	kerneltest.AddHash(h, a[:rows]...)
}

func hashTargetExp[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	x, stride, rows, n, _ := kerneltest.HashedRows[T](r)
	neg, words := hashedNegatives(r, rows, n)
	var a [8]float64
	wStride := KeptStride[T](n)
	w := make([]T, rows*wStride+64)
	TargetExp(a[:], w, wStride, x, stride, rows, n, neg, words, &Copy[T]{})
	kerneltest.AddHash(h, a[:rows]...)
	for i := range rows {
		kerneltest.AddHash(h, w[i*wStride:][:n]...)
	}
}

func hashTargetScale[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	w, stride, rows, n, _ := kerneltest.HashedRows[T](r)
	for i := range w {
		if w[i] = T(math.Ldexp(1+math.Abs(float64(w[i]))*0x1p-20, r.IntN(250)-125)); r.IntN(9) == 0 {
			w[i] = normalExp[T]() * T(r.IntN(3))
		}
	}
	dst, f := make([]T, len(w)), make([]T, rows)
	for i := range f {
		f[i] = T(r.Positive(20))
	}
	TargetScale(dst, stride, w, stride, rows, n, f)
	kerneltest.AddHash(h, dst...)
}

func hashFinishTarget[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	hashFinish(h, r, func(loss []float64, fa, fb []T, a, b, scale []float64) bool {
		s := make([]float64, len(b)) // scores, most of them moderate
		for i, v := range b {
			if s[i] = v - 3; v > 500 {
				s[i] = 0x1p-50 * v
			}
		}
		return FinishTarget(loss, fa, fb, a, s, scale)
	})
}

func hashShortJoins(h *kerneltest.Hash, r *kerneltest.Rand) {
	w, rows, n := hashedShortRows(r)
	for i, v := range w {
		w[i] = max(v, -v)
	}
	u := make([]float64, rows)
	ShortJoins(u, nil, w, nil, rows, n)
	kerneltest.AddHash(h, numbers(u)...)
}

func hashShortJoinsLinear(h *kerneltest.Hash, r *kerneltest.Rand) {
	m, rows, n := hashedShortRows(r)
	w := make([]float32, len(m))
	for i := range w {
		w[i] = float32(r.Positive(100))
	}
	u, sum := make([]float64, rows), make([]float64, rows)
	ShortJoins(u, sum, w, m, rows, n)
	kerneltest.AddHash(h, numbers(u)...)
	kerneltest.AddHash(h, numbers(sum)...)
}

func hashShortSoft[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	c := newSoftCase[T](r, 1, ShortRows*(1+r.IntN(3)), false)
	if r.IntN(2) == 0 {
		for i := range c.part {
			c.part[i] = math.MaxUint64
		}
	}
	w, m, dst := make([]T, c.n), make([]T, c.n), make([]T, c.n)
	ShortSoft(w, m, nil, c.x[:c.n], c.t, c.part, nil)
	kerneltest.AddHash(h, numbers(w)...)
	kerneltest.AddHash(h, numbers(m)...)
	ShortSoft(w, m, dst, c.x[:c.n], c.t, c.part, []float64{r.Positive(10)})
	for _, results := range [][]T{w, m, dst} {
		kerneltest.AddHash(h, numbers(results)...)
	}
}

func hashShortOdds[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	x := make([]T, ShortRows*(1+r.IntN(3)))
	exp := r.IntN(10) - 3
	for i := range x {
		x[i] = kerneltest.Score[T](r, exp)
	}
	pos, part := make([]uint64, BitWords(len(x))), make([]uint64, BitWords(len(x)))
	for i := range pos {
		part[i] = math.MaxUint64
		if r.IntN(2) == 0 {
			part[i] = r.Uint64()
		}
		pos[i] = r.Uint64() & part[i]
	}
	w, dst := make([]T, len(x)), make([]T, len(x))
	ShortOdds(w, nil, x, nil, pos, part, nil)
	kerneltest.AddHash(h, numbers(w)...)
	ShortOdds(w, dst, x, nil, pos, part, []float64{r.Positive(10)})
	kerneltest.AddHash(h, numbers(w)...)
	kerneltest.AddHash(h, numbers(dst)...)
	lost := make([]T, len(x))
	for i := range lost {
		lost[i] = T((2*r.Float64() - 1) * 0x1p-18)
	}
	ShortOdds(w, nil, x, lost, pos, part, nil)
	kerneltest.AddHash(h, numbers(w)...)
	ShortOdds(w, dst, x, lost, pos, part, []float64{r.Positive(10)})
	kerneltest.AddHash(h, numbers(w)...)
	kerneltest.AddHash(h, numbers(dst)...)
}

func hashShortDifferences[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	rows, n := 1+r.IntN(5), 1+r.IntN(ShortRow)
	count, exp := rows*n, r.IntN(10)-3
	room := ShortRoom(count)
	y, lost, x, s0 := make([]T, room), make([]T, room), make([]T, room), make([]float64, rows)
	for i := range count {
		x[i] = kerneltest.Score[T](r, exp)
	}
	for i := range s0 {
		s0[i] = kerneltest.Score[float64](r, exp)
	}
	ShortDifferences(y, lost, x, s0, rows, n)
	kerneltest.AddHash(h, numbers(y[:count])...)
	kerneltest.AddHash(h, numbers(lost[:count])...)
}

func hashShortLogs(h *kerneltest.Hash, r *kerneltest.Rand) {
	w, q, rows, n := hashedShortLogs(r)
	ShortLogs(q, w, nil, rows, n)
	kerneltest.AddHash(h, numbers(q)...)
}

func hashShortLogsLinear(h *kerneltest.Hash, r *kerneltest.Rand) {
	w, q, rows, n := hashedShortLogs(r)
	m := make([]float64, len(w))
	for i := range m {
		m[i] = r.Positive(300)
	}
	ShortLogs(q, w, m, rows, n)
	kerneltest.AddHash(h, numbers(q)...)
}

// hashedShortLogs makes short rows of terms, and a place for their logarithms.
func hashedShortLogs(r *kerneltest.Rand) (w, q []float64, rows, n int) {
	rows, n = 1+r.IntN(20), 1+r.IntN(ShortRow)
	w, q = make([]float64, ShortRoom(rows*n)), make([]float64, 8*rows)
	for i := range w {
		w[i] = r.Positive(300)
		if r.IntN(50) == 0 {
			w[i] = []float64{0, math.Inf(1), kerneltest.NaN[float64]()}[r.IntN(3)]
		}
	}
	return w, q, rows, n
}

func hashFinishJoins(h *kerneltest.Hash, r *kerneltest.Rand) {
	u, scale := r.ManyOdds(8*(1+r.IntN(4)), 80+r.IntN(30)), r.ManyOdds(32, 6)
	scale = scale[:len(u)]
	loss, f := make([]float64, len(u)), make([]float32, len(u))
	if FinishJoins(loss, nil, u, nil) {
		kerneltest.AddHash(h, loss...)
	}
	if !FinishJoins(loss, f, u, scale) {
		h.Word(1)
		return
	}
	kerneltest.AddHash(h, loss...)
	kerneltest.AddHash(h, f...)
}

func hashFinishSums[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	hashFinish(h, r, FinishSums[T])
}

func hashFinishProduct(h *kerneltest.Hash, r *kerneltest.Rand) {
	hashFinish(h, r, FinishProduct)
}

func hashFinish[T Float](h *kerneltest.Hash, r *kerneltest.Rand, finish func(loss []float64, fa, fb []T, a, b, scale []float64) bool) {
	n, exp := 8*(1+r.IntN(4)), 58
	a, b, scale := r.ManyOdds(n, exp), r.ManyOdds(n, exp), r.ManyOdds(n, 3)
	for i := range scale {
		scale[i]++
	}
	loss := make([]float64, n)
	if !finish(loss, nil, nil, a, b, nil) {
		h.Word(2)
	}
	kerneltest.AddHash(h, loss...)
	fa, fb, again := make([]T, n), make([]T, n), make([]float64, n)
	if !finish(again, fa, fb, a, b, scale) {
		h.Word(1)
		return
	}
	kerneltest.AddHash(h, fa...)
	kerneltest.AddHash(h, fb...)
	kerneltest.AddHash(h, again...)
}

func hashAccumulate[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	x, stride, rows, n, _ := kerneltest.HashedRows[T](r)
	dst := make([]T, len(x))
	for i := range dst {
		dst[i] = kerneltest.Score[T](r, 3)
	}
	Accumulate(dst, stride, x, stride, rows, n)
	kerneltest.AddHash(h, dst...)
}

func hashAddParts(h *kerneltest.Hash, r *kerneltest.Rand) {
	var p LossParts
	AddParts(&p, r.ManyOdds(r.Eights(), 16))
	if !p.Right() {
		h.Word(1)
		return
	}
	kerneltest.AddHash(h, p.Sum[:]...)
	kerneltest.AddHash(h, p.Min, p.Max)
}

func hashPackBytes(h *kerneltest.Hash, r *kerneltest.Rand) {
	rows, n := 1+r.IntN(2), 4*r.Length()
	src := make([]uint8, rows*n)
	for i := range src {
		src[i] = uint8(r.IntN(2))
	}
	if r.IntN(2) == 0 {
		src[r.IntN(len(src))] = uint8(r.IntN(256))
	}
	dst := make([]uint64, rows*BitWords(n))
	if !PackBytes(dst, src, n, rows, n) {
		h.Word(1)
	}
	for _, w := range dst {
		h.Word(w)
	}
}

func hashPackWords[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	rows, n := 1+r.IntN(2), 4*r.Length()+r.IntN(4)
	stride := n + r.IntN(2)
	src := make([]T, rows*stride)
	for i := range src {
		if src[i] = T(r.IntN(2)); src[i] == 0 && r.IntN(2) == 0 {
			src[i] = -src[i]
		}
	}
	if r.IntN(2) == 0 {
		src[r.IntN(len(src))] = T(r.IntN(4)) / 2
	}
	one, zero := kerneltest.BitsOf(T(1)), uint64(1)<<63
	if IsFloat32[T]() {
		zero = 1 << 31
	}
	dst := make([]uint64, rows*BitWords(n))
	for i := range dst {
		dst[i] = r.Uint64()
	}
	if !PackWords(dst, src, stride, rows, n, one, zero*uint64(r.IntN(2))) {
		h.Word(1)
	}
	for _, w := range dst {
		h.Word(w)
	}
}

func hashTiltExp[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	x := make([]T, r.Eights())
	exp := r.IntN(12) - 2
	for i := range x {
		x[i] = kerneltest.Score[T](r, exp)
	}
	e := make([]float64, len(x))
	sum, squares := TiltExp(e, x, float64(1-2*r.IntN(2)), float64(kerneltest.Score[float64](r, exp)))
	kerneltest.AddHash(h, e...)
	kerneltest.AddHash(h, sum, squares)
}

func hashTiltSums(h *kerneltest.Hash, r *kerneltest.Rand) {
	sum, squares := TiltSums(r.ManyOdds(r.Eights(), 50), r.Positive(10))
	kerneltest.AddHash(h, sum, squares)
}

// hashedShifted makes the numbers of elements of which none is far from p = m.
func hashedShifted(r *kerneltest.Rand) (w []float64, n int, p []float64, plain bool) {
	w, n, plain = make([]float64, coef.ShiftedLen), r.Eights(), r.IntN(2) == 0
	for i := range n {
		if y := kerneltest.Score[float64](r, 5); y == y { // no NaN comes to the kernels
			w[coef.ShiftedY+i] = max(y, -40)
		}
	}
	m := min(r.Positive(8), 0.9)
	return w, n, []float64{m, 1 - m, (1 - (1 - m)) - m}, plain
}

func hashShiftedOdds(h *kerneltest.Hash, r *kerneltest.Rand) {
	w, n, p, plain := hashedShifted(r)
	ShiftedOdds64(w, n, p, plain)
	kerneltest.AddHash(h, w...)
}

func hashShiftedTerms(h *kerneltest.Hash, r *kerneltest.Rand) {
	w, n, p, plain := hashedShifted(r)
	ShiftedOdds64(w, n, p, plain)
	LogPair64(w[coef.ShiftedLog:][:n], w[coef.ShiftedR:][:n], nil)
	Log1p64(w[coef.ShiftedLog1p:][:n], w[coef.ShiftedOddsAt:][:n])
	ShiftedTerms64(w, n, r.Positive(3), plain)
	kerneltest.AddHash(h, w...)
}

func hashTiltSplit(h *kerneltest.Hash, r *kerneltest.Rand) {
	e := r.ManyOdds(r.Eights(), 10)
	split, above := make([]float64, len(e)), make([]uint8, len(e)/8)
	largest := TiltSplit(split, above, e, r.Positive(3), r.Positive(5))
	kerneltest.AddHash(h, split...)
	kerneltest.AddHash(h, largest)
	for _, b := range above {
		h.Word(uint64(b))
	}
}

func hashEspForward(h *kerneltest.Hash, r *kerneltest.Rand) {
	d := 5 * (1 + r.IntN(3))
	f := make([]float64, 8*(d+1))
	for l := range 8 {
		f[l] = 1
	}
	EspForward(f, r.ManyOdds(32*(1+r.IntN(2)), 4), d)
	kerneltest.AddHash(h, f...)
}

func hashInclusion[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	dst := make([]T, r.Eights())
	Inclusion(dst, r.ManyOdds(len(dst), 4), r.ManyOdds(1+r.IntN(12), 4), r.Positive(4))
	kerneltest.AddHash(h, dst...)
}

func hashCorrelate(h *kerneltest.Hash, r *kerneltest.Rand) {
	dst := make([]float64, r.Eights())
	b := r.ManyOdds(1+r.IntN(20), 10)
	Correlate(dst, r.ManyOdds(len(dst)+len(b)-1, 10), b)
	kerneltest.AddHash(h, dst...)
}

func hashSparseProduct(h *kerneltest.Hash, r *kerneltest.Rand) {
	n, columns, rows := 1+r.IntN(20), 8+r.IntN(30), 1+r.IntN(9)
	indices := make([]int32, n)
	for i := range indices {
		indices[i] = int32(r.IntN(rows))
	}
	dst := r.ManyOdds(8, 10)
	SparseProduct(dst, indices, r.ManyOdds(n, 10), r.ManyOdds(rows*columns, 10), columns)
	kerneltest.AddHash(h, dst...)
}

func hashedWeight(r *kerneltest.Rand, m, e int) (float64, float64) {
	if r.IntN(20) == 0 {
		return 0, 0
	}
	return 1 + math.Ldexp(float64(r.IntN(1<<m)), -m), float64(r.IntN(2*e+1) - e)
}

func hashedSideRows[T Float](r *kerneltest.Rand) (*SideRows[T], []SideParams[T]) {
	s := &SideRows[T]{}
	s.X, s.Stride, s.Rows, s.N, _ = kerneltest.HashedRows[T](r)
	s.Pos, s.Neg, s.Words = hashedSides(r, s.Rows, s.N)
	s.WeightStride = WeightsLen[T](s.N)
	s.Weights = make([]T, s.Rows*s.WeightStride)
	for i := range s.Rows {
		for j := range s.N {
			k := i*s.WeightStride + WeightPlace[T](j)
			m, e := hashedWeight(r, 20, 9)
			s.Weights[k], s.Weights[k+LanesOf[T]()] = T(m), T(e)
		}
	}
	gamma := r.Positive(3)
	s.Gamma = GammaPair[T](gamma)
	top := 0.0
	for _, v := range s.X {
		if a := math.Abs(float64(v)); a > top && a <= math.MaxFloat64 {
			top = a
		}
	}
	p := make([]SideParams[T], s.Rows)
	for i := range p {
		for k := 0; k < 6; k += 3 {
			p[i][k] = MagicOf[T](min(6000, math.Ceil(float64(gamma*top)*1.5)) - float64(r.IntN(20)))
			p[i][k+2] = T(1 + float64(r.IntN(1<<20))*0x1p-20)
		}
	}
	return s, p
}

func hashSideMax[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	s, _ := hashedSideRows[T](r)
	top := make([]SideTop[T], s.Rows)
	SideMax(top, s)
	for _, t := range top {
		kerneltest.AddHash(h, t.Score[0]+0, t.Score[1]+0, t.Power[0]+0, t.Power[1]+0)
	}
}

func hashSideSums[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	s, p := hashedSideRows[T](r)
	sums := make([][2]float64, s.Rows)
	SideSums(sums, s, p, 1)
	for _, v := range sums {
		kerneltest.AddHash(h, v[0], v[1])
	}
}

func hashSideGrad[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	s, p := hashedSideRows[T](r)
	dst := make([]T, len(s.X))
	SideGrad(dst, s.Stride, s, p)
	kerneltest.AddHash(h, dst...)
}

func hashWeighSums[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	w, stride, rows, n := hashedTerms[T](r)
	m, lo := make([]T, n+32), make([]T, n+32)
	for j := range n {
		if m[j], lo[j] = T(r.Positive(10)), T(r.Positive(10))*0x1p-26; r.IntN(9) == 0 {
			m[j], lo[j] = 0, 0
		}
	}
	a, b := make([]float64, rows), make([]float64, rows)
	WeighSums(a, b, w, stride, rows, n, m, lo)
	canonicalNaNs(w)
	kerneltest.AddHash(h, w...)
	kerneltest.AddHash(h, a...)
	kerneltest.AddHash(h, b...)
}

func hashSoftWeights[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	rows, n := 1+r.IntN(2), r.Length()
	t, class, exponents := make([]T, rows*n), make([]float64, n), make([]T, WeightsLen[T](n))
	for i := range t {
		t[i] = T(math.Ldexp(float64(r.IntN(1<<20+1)), -20-r.IntN(2)*r.IntN(100)))
	}
	for j := range class {
		m, e := hashedWeight(r, 50, 300)
		class[j], exponents[WeightPlace[T](j)+LanesOf[T]()] = m, T(e)
	}
	_, part, words := hashedSides(r, rows, n)
	neg, pos := make([]T, rows*WeightsLen[T](n)), make([]T, rows*WeightsLen[T](n))
	SoftWeights(neg, pos, t, n, rows, n, part, words, class, exponents)
	kerneltest.AddHash(h, neg...)
	kerneltest.AddHash(h, pos...)
}

func hashBCE[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	hashBCECase(h, bceCase[T](r, 1+r.IntN(2), r.Length(), r.IntN(4)))
}

func hashWeightedBCE[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	hashBCECase(h, bceCase[T](r, 1+r.IntN(2), r.Length(), 4+r.IntN(bceKinds-4)))
}

func hashBCECase[T Float](h *kerneltest.Hash, a *BCEArgs[T]) {
	evaluateCase(a)
	kerneltest.AddHash(h, numbers(a.Sum)...)
	kerneltest.AddHash(h, numbers(a.Product)...)
	kerneltest.AddHash(h, numbers(a.Slope)...)
	kerneltest.AddHash(h, a.Dst...)
	kerneltest.AddHash(h, a.Terms...)
}

func hashSoftBCE[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	c := newSoftCase[T](r, 1+r.IntN(2), r.Length(), r.IntN(2) == 0)
	kerneltest.AddHash(h, c.bce()...)
}

func hashPlainLabels[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	plain, x := 0.0, plainCase[T](r, 1+r.IntN(100))
	if PlainLabels(x, len(x), 1, len(x)) {
		plain = 1
	}
	kerneltest.AddHash(h, plain)
}

func hashSoftTerms(h *kerneltest.Hash, r *kerneltest.Rand) {
	results := softTerms(newSoftCase[float32](r, 1+r.IntN(2), r.Length(), false))
	canonicalNaNs(results)
	kerneltest.AddHash(h, results...)
}

func hashSoftTargets[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	c := newSoftCase[T](r, 1+r.IntN(2), r.Length(), false)
	results := c.targets()
	canonicalNaNs(results)
	kerneltest.AddHash(h, results...)
}

func hashSoftTargetScale[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	c := newSoftCase[T](r, 1+r.IntN(2), r.Length(), true)
	SoftTargetScale(c.dst, c.dstStride, c.x, c.stride, c.t, c.tStride, c.rows, c.n, c.f, c.f, c.f, c.f)
	canonicalNaNs(c.dst)
	kerneltest.AddHash(h, c.dst...)
}

func hashToColumns[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	c := newColumnCase[T](r, LeastColumns+r.IntN(MostColumns[T]()-LeastColumns+1))
	x := ResizeAligned[T](nil, c.rows*ColumnsLen(c.n))
	ToColumns(x, c.x, c.stride, c.rows, c.n)
	kerneltest.AddHash(h, x...)
}

func hashToRows[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	c := newColumnCase[T](r, LeastColumns+r.IntN(MostColumns[T]()-LeastColumns+1))
	dst := make([]T, c.rows*c.stride)
	x := ResizeAligned[T](nil, c.rows*ColumnsLen(c.n))
	copy(x, c.x)
	ToRows(dst, c.stride, x, c.rows, c.n)
	kerneltest.AddHash(h, dst...)
}

func hashSoftColumnSums[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	c := newColumnCase[T](r, LeastColumns+r.IntN(MostColumns[T]()-LeastColumns+1)).columns()
	kerneltest.AddHash(h, c.sums...)
	kerneltest.AddHash(h, c.peaks...)
	kerneltest.AddHash(h, c.powers...)
}

func hashKnowPeaks[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	rows := 8 * (1 + r.IntN(4))
	room := rows + r.IntN(9)
	label, top, sums := make([]T, rows), make([]T, rows), make([]float64, 3*room)
	peaks, inverse := make([]Peak[T], rows), make([]float64, rows)
	low, high, least := coef.NaturalLow64, coef.NaturalHigh64, coef.LeastProducts64
	if IsFloat32[T]() {
		low, high, least = coef.NaturalLow32, coef.NaturalHigh32, coef.LeastProducts32
	}
	for i := range rows {
		peaks[i] = Peak[T]{T(r.IntN(100)), 1}
		top[i] = kerneltest.Score[T](r, 30)
		for k, v := range [3]float64{1, 1, 1} {
			sums[k*room+i] = v + float64(r.IntN(1000))
		}
	}
	// One row is at a border, or beyond it.
	i, pick := r.IntN(rows), func(x ...float64) float64 { return x[r.IntN(len(x))] }
	below := func(x float64) float64 { return math.Nextafter(x, math.Inf(-1)) }
	above := func(x float64) float64 { return math.Nextafter(x, math.Inf(1)) }
	switch r.IntN(5) {
	case 0:
		peaks[i][1] = T(pick(0, 2, 1, math.NaN()))
	case 1:
		top[i] = T(pick(coef.LeastTop, coef.TargetLimit, -80.5, 600.5, 0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1)))
	case 2:
		sums[i] = pick(low, below(low), high, above(high), 0, -1, math.NaN(), math.Inf(1))
	case 3:
		sums[room+i] = pick(least, below(least), 0, math.MaxFloat64, math.Inf(1), math.NaN())
	case 4:
		sums[room+i], sums[2*room+i] = pick(below(least), 0, math.Inf(1), math.NaN()), pick(0, math.SmallestNonzeroFloat64)
	}
	if KnowPeaks(label, inverse, peaks, top, sums, room, rows) {
		h.Word(1)
	}
	kerneltest.AddHash(h, label...)
	kerneltest.AddHash(h, inverse...)
}

func hashSoftColumnFinish[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	c := newColumnCase[T](r, LeastColumns+r.IntN(MostColumns[T]()-LeastColumns+1)).columns()
	kerneltest.AddHash(h, c.losses...)
	kerneltest.AddHash(h, c.factors...)
}

func hashSoftColumnScale[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	c := newColumnCase[T](r, LeastColumns+r.IntN(MostColumns[T]()-LeastColumns+1)).columns()
	kerneltest.AddHash(h, c.dst...)
	kerneltest.AddHash(h, float64(c.most), float64(c.least))
}

func hashLessLabels[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	c := newSoftCase[T](r, 1+r.IntN(2), r.Length(), false)
	results := c.less()
	canonicalNaNs(results)
	kerneltest.AddHash(h, results...)
}

func hashCopyStream(h *kerneltest.Hash, r *kerneltest.Rand) {
	x := make([]float32, 64*(1+r.IntN(3)))
	for i := range x {
		x[i] = kerneltest.Score[float32](r, 3)
	}
	dst := ResizeAligned[float32](nil, len(x))
	copyStream(dst, x)
	kerneltest.AddHash(h, dst...)
}

func hashKeyColumns(h *kerneltest.Hash, r *kerneltest.Rand) {
	rows, stride := 8*(1+r.IntN(3)), 8+r.IntN(9)
	height := rows + r.IntN(9)
	x, dst := make([]float32, (rows-1)*stride+8), make([]uint32, 8*height)
	for i := range x {
		if x[i] = kerneltest.Score[float32](r, 3); r.IntN(4) == 0 {
			x[i] = float32(math.Copysign(0, float64(x[i])))
		}
	}
	KeyColumns(dst, height, x, stride, rows)
	for _, k := range dst {
		kerneltest.AddHash(h, float64(k))
	}
}

func hashAbove[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	dst := make([]uint64, 1+r.IntN(2))
	x, t := make([]T, 64*len(dst)), make([]T, 64*len(dst))
	for i := range x {
		// Small integers: equal ones are frequent.
		x[i], t[i] = T(r.IntN(9)), T(r.IntN(9))
	}
	if r.IntN(2) == 0 {
		x[r.IntN(len(x))] = kerneltest.NaN[T]()
	}
	t[r.IntN(len(t))] = T(math.Inf(1 - 2*r.IntN(2)))
	if !Above(dst, x, t) {
		h.Word(1)
	}
	for _, w := range dst {
		h.Word(w)
	}
}

func hashSigmoidPowers[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	a := focalCase[T](r, 1+r.IntN(3), 1+r.IntN(200), r.IntN(focalKinds))
	for i, x := range a.X {
		if x != x {
			a.X[i] = 1
		}
	}
	powers := make([]T, 64*a.Rows*a.Words)
	f := ExponentParts[T](math.Ldexp(1+r.Float64(), r.IntN(15)-10))
	SigmoidPowers(powers, a.X, a.Stride, a.Rows, a.N, a.Pos, a.Neg, a.Words, a.Params, f[:])
	for i := range a.Rows {
		kerneltest.AddHash(h, powers[64*i*a.Words:][:a.N]...)
	}
}

func hashFocal[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	a := focalCase[T](r, 1+r.IntN(3), 1+r.IntN(200), r.IntN(focalKinds))
	Focal(a)
	kerneltest.AddHash(h, a.Sum...)
	kerneltest.AddHash(h, a.Dst...)
}
