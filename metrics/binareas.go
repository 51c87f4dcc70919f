package metrics

import (
	"math/big"
	"math/bits"
	"slices"

	"github.com/zlpr/zlpr/internal/kernel"
)

// A binnedArea is an area: as if the scores of every bin were equal, and between
// which bounds it lies whatever they are.
type binnedArea struct {
	value float64
	Bounds
}

// areas returns the area under the ROC curve and the average precision; see
// list.areas, of whose values the bounds are bounds. All is ready, and steps is room.
//
// The pairs of a positive and a negative of different bins are known; those of
// one bin may be won, lost or equal. A positive of a bin with p positives and n
// negatives, below tp and fp in higher bins, has a precision of at most
// (tp+p)/(tp+p+fp), that of all positives of the bin being equal and above its
// negatives; the i-th of them one of at least (tp+i)/(tp+i+fp+n), that of all
// positives being different and below.
func (b *bins) areas(steps *stepsDown) (auc, ap binnedArea) {
	if b.hasWeights() {
		w := b.window()
		switch wordsFor(w, 1) {
		case 1:
			return weighedBinAreas[[1]uint64](b, w.Low)
		case 3:
			return weighedBinAreas[[3]uint64](b, w.Low)
		}
		return weighedBinAreas[[34]uint64](b, w.Low)
	}
	p, n := b.total()
	var sum areaSums
	if p+n < 1<<32 {
		b.down(steps, sum.add)
	} else {
		sum.addBins(b.Bin)
	}
	if p == 0 {
		return binnedArea{nan, exactly(nan)}, binnedArea{0, exactly(0)}
	}
	if n == 0 {
		auc = binnedArea{nan, exactly(nan)}
	} else {
		pairs := new(big.Int).Mul(toBig([]uint64{p}), toBig([]uint64{n}))
		won := func(lost [3]uint64) *big.Int { return new(big.Int).Sub(pairs, toBig(lost[:])) }
		worst, best := won(sum.most), won(sum.least)
		twice := new(big.Int).Lsh(pairs, 1)
		auc = binnedArea{quotientBig(new(big.Int).Add(worst, best), twice), Bounds{quotientBig(worst, pairs), quotientBig(best, pairs)}}
	}
	ap = binnedArea{sum.mid.over(p), Bounds{sum.low.over(p), sum.high.over(p)}}
	if b.Rest == 0 {
		auc.Bounds, ap.Bounds = exactly(auc.value), exactly(ap.value)
	}
	return auc, ap
}

// areaSums are the sums that areas are made of.
type areaSums struct {
	least, most    [3]uint64 // pairs that are lost
	low, mid, high fixed
}

// add adds steps: eight at a time where their positives are few, beside those before.
func (a *areaSums) add(s *stepsDown) {
	var sums [kernel.PrecisionSums]float64
	for i := 0; i < s.n; {
		if s.n-i >= 8 {
			done := kernel.Precisions(sums[:], s.counts[i:s.n], s.before[i:s.n])
			a.addSums(&sums)
			i += done
		}
		for end := min(i+8, s.n); i < end; i++ {
			c, before := s.counts[i], s.before[i]
			const low = 1<<32 - 1
			a.addStep(c&low, c>>32, before>>32, before&low)
		}
	}
}

// addBins adds bins, however many scores they have.
func (a *areaSums) addBins(list []bin) {
	var above, before uint64
	for _, v := range slices.Backward(list) {
		if v.Pos > 0 {
			a.addStep(v.Pos, v.Neg, above, before)
		}
		above += v.Neg
		before += v.Pos
	}
}

// addSums adds sums of kernel.Precisions.
func (a *areaSums) addSums(sums *[kernel.PrecisionSums]float64) {
	sum := func(at int) (n uint64) {
		for _, x := range sums[at:][:8] {
			n += uint64(x)
		}
		return n
	}
	addTo := func(f *fixed, at int, shift uint) {
		high, low := sum(at), sum(at+8)
		f.add(fixed{high >> (64 - shift), high << shift})
		f.add(fixed{0, low})
	}
	addProduct3(&a.least, sum(kernel.LostLeast), 1)
	addProduct3(&a.most, sum(kernel.LostMost), 1)
	addTo(&a.high, kernel.BestHigh, 32)
	addTo(&a.mid, kernel.MeanHigh, 32)
	addTo(&a.low, kernel.LeastHigh, 31)
}

// addStep adds a step.
func (a *areaSums) addStep(pos, neg, fp, tp uint64) {
	below := fp + neg
	addProduct3(&a.least, pos, fp)
	addProduct3(&a.most, pos, below)
	last := ratio(tp+pos, tp+pos+below)
	a.mid.add(last.times(pos))
	a.high.add(ratio(tp+pos, tp+pos+fp).times(pos))
	if pos <= mostTerms(tp) { // one chord, whose ends are one where there is one positive
		a.low.add(chord(ratio(tp+1, tp+1+below), last, pos))
	} else {
		a.low.add(leastPrecisions(tp, pos, below))
	}
}

// addProduct3 adds x·y to three words.
func addProduct3(to *[3]uint64, x, y uint64) {
	h, l := bits.Mul64(x, y)
	var carry uint64
	to[0], carry = bits.Add64(to[0], l, 0)
	to[1], carry = bits.Add64(to[1], h, carry)
	to[2] += carry
}

// weighedBinAreas is areas with weights, in units of 2^low. The i-th of the positives
// of a bin, of weight w, that adds up with those above it to c, has a precision of at
// least f(tp+c), f(x) = x/(x+fp+n). Being concave and increasing, f has
//
//	Σ w·f(tp+c) ≥ ∫ f from tp to tp+p ≥ Σ of the areas below its chords
//
// which, the values of f being cut to multiples of 2^-64, are lowered by as much.
func weighedBinAreas[C count](b *bins, low int) (auc, ap binnedArea) {
	var tp, fp C
	words := len(tp)
	least, most := make([]uint64, 2*words+1), make([]uint64, 2*words+1) // pairs that are lost
	// Sums of positives times precisions, in units of 2^-64, those of worst of 2^-65.
	best, mid, worst := make([]uint64, words+3), make([]uint64, words+3), make([]uint64, words+3)
	times := func(to []uint64, c *C, f fixed) { addMul(to, wordsOf(c), []uint64{f.Frac, f.Int}) }
	zero := *new(C)
	binSteps(b, low, func(_ int, positives uint64, pos, neg *C) {
		below := fp // the negatives above the bin, and those in it
		plus(&below, neg)
		addMul(least, wordsOf(pos), wordsOf(&fp))
		addMul(most, wordsOf(pos), wordsOf(&below))
		if *pos != zero {
			end := tp
			plus(&end, pos)
			precision := func(tp, fp *C) fixed {
				sum := *tp
				plus(&sum, fp)
				return ratioOf(tp, &sum)
			}
			times(best, pos, precision(&end, &fp))
			f := precision(&end, &below)
			times(mid, pos, f)
			if positives == 1 || below == zero {
				f.add(f)
				times(worst, pos, f)
			} else {
				addChords(worst, &tp, pos, &below)
			}
			tp = end
		}
		fp = below
	})
	p, n := toBig(wordsOf(&tp)), toBig(wordsOf(&fp))
	if p.Sign() == 0 {
		return binnedArea{nan, exactly(nan)}, binnedArea{0, exactly(0)}
	}
	if pairs := new(big.Int).Mul(p, n); pairs.Sign() == 0 {
		auc = binnedArea{nan, exactly(nan)}
	} else {
		won := func(lost []uint64) *big.Int { return new(big.Int).Sub(pairs, toBig(lost)) }
		high, low := won(least), won(most)
		twice := new(big.Int).Lsh(pairs, 1)
		auc = binnedArea{quotientBig(new(big.Int).Add(low, high), twice), Bounds{quotientBig(low, pairs), quotientBig(high, pairs)}}
	}
	unit, half := new(big.Int).Lsh(p, 64), new(big.Int).Lsh(p, 65)
	ap = binnedArea{quotientBig(toBig(mid), unit), Bounds{quotientBig(toBig(worst), half), quotientBig(toBig(best), unit)}}
	if b.Rest == 0 {
		auc.Bounds, ap.Bounds = exactly(auc.value), exactly(ap.value)
	}
	return auc, ap
}

// addChords adds the areas below the chords of x/(x+fp), cut into 16 from tp to tp+p,
// in units of 2^-65, to sum.
func addChords[C count](sum []uint64, tp, p, fp *C) {
	const chords, shift = 16, 4
	piece := *p
	for i, words := 0, wordsOf(&piece); i < len(words); i++ {
		words[i] >>= shift
		if i+1 < len(words) {
			words[i] |= words[i+1] << (64 - shift)
		}
	}
	f := func(x *C) fixed {
		total := *x
		plus(&total, fp)
		return ratioOf(x, &total)
	}
	x, rest := *tp, *p
	from := f(&x)
	for k := range chords {
		length := piece
		if k == chords-1 {
			length = rest
		}
		minus(&rest, &length)
		plus(&x, &length)
		to := f(&x)
		ends := from
		ends.add(to)
		if two := (fixed{Frac: 2}); two.less(ends) {
			ends.sub(two)
			addMul(sum, wordsOf(&length), []uint64{ends.Frac, ends.Int})
		}
		from = to
	}
}

// leastPrecisions is a lower bound of Σ f(tp+i), i from 1 to p, f(x) = x/(x+fp):
// the sum of the chords of at most 64 pieces, below which f, being concave, does not
// fall. f falls short of a term by at most (d/tp)²/16 of it where a piece has d terms:
// the terms of a piece are at most tp/64, for which this is 1.6e-5, and one where these
// are fewer than 64 pieces.
func leastPrecisions(tp, p, fp uint64) (sum fixed) {
	f := func(x uint64) fixed { return ratio(x, x+fp) }
	pieces := min(64, (p-1)/mostTerms(tp)+1)
	for k := range pieces {
		a, e := share(p, k, pieces), share(p, k+1, pieces) // the terms from a+1 to e
		if e-a == 1 {
			sum.add(f(tp + e))
			continue
		}
		sum.add(chord(f(tp+a+1), f(tp+e), e-a))
	}
	return sum
}

// mostTerms is how many terms a piece of leastPrecisions has at most, but for the number
// of pieces.
func mostTerms(tp uint64) uint64 { return tp/64 + 1 }

// chord is the sum of so many terms that lie on a chord from one to another.
func chord(from, to fixed, terms uint64) fixed {
	from.add(to)
	from = from.times(terms)
	return fixed{from.Int / 2, from.Int<<63 | from.Frac>>1}
}

// share is p·k/n, rounded down, k ≤ n.
func share(p, k, n uint64) uint64 {
	h, l := bits.Mul64(p, k)
	if h == 0 {
		return l / n
	}
	q, _ := bits.Div64(h, l, n)
	return q
}
