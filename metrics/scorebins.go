package metrics

import (
	"math"
	"math/big"

	"github.com/zlpr/zlpr"
)

// A ScoreBin is the elements, of all classes together, whose scores lie from Low to
// High: how many of them are positives and how many negatives, weighted by RowWeights.
// Low and High are the lowest and the highest number that belongs to the bin; they are
// equal where no score has a bit beyond those of the bins.
type ScoreBin struct {
	Low, High          float64
	Positive, Negative float64 // rounded once
}

// pictureBits are the bits of bins made of scores that are kept.
const pictureBits = 20

// ScoreBins returns the scores in bins, from the lowest up: those of
// Options.MicroBits, else by 20 leading bits. Histograms, curves and reliability data
// are made of it. It needs a metric of which NeedsScores reports true, or
// Options.ByClass.
func (a *Accumulator[T]) ScoreBins() ([]ScoreBin, error) {
	if a == nil {
		return nil, errMade
	}
	return a.of().ScoreBins()
}

func (a *accumulator[T]) ScoreBins() ([]ScoreBin, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.turn.Give()
	switch {
	case a.kinds.binned:
		a.total.binned.ready()
		return scoreBins[T](&a.total.binned.micro), nil
	case !a.kinds.keep:
		return nil, errKept
	}
	b := newBinned(pictureBits, 0, 0, false, 1)
	for i := range a.total.scores.Lists {
		addKept(&b, nil, &a.total.scores.Lists[i])
	}
	b.finish()
	return scoreBins[T](&b.micro), nil
}

// ScoreBins returns the scores in bins, from the lowest up: those of CountScores for
// all classes together, else by 20 leading bits.
func (t *CrossTuner[T]) ScoreBins() ([]ScoreBin, error) {
	if err := t.enter(); err != nil {
		return nil, err
	}
	defer t.turn.Give()
	if t.inBins != nil {
		t.inBins.bins.finish(&t.inBins.room)
		return scoreBins[T](&t.inBins.bins), nil
	}
	digits := t.folds[0].microBits
	if digits == 0 {
		digits = pictureBits
	}
	b := newBinned(digits, 0, 0, false, 1)
	if t.bySample != nil {
		weights := make(map[int]float64, len(t.bySample.rows))
		for _, r := range t.bySample.rows {
			weights[r.row] = r.weight
		}
		for i := range t.bySample.entries {
			e := &t.bySample.entries[i]
			place(&b.micro, e.score, e.positive, weights[e.row], b.scratch)
		}
	}
	for f := range t.folds {
		g := &t.folds[f]
		if g.microBits > 0 {
			g.binned.finish()
			b.merge(&binned{micro: g.binned.micro, scratch: b.scratch})
			continue
		}
		for i := range g.scores.Lists {
			addKept(&b, nil, &g.scores.Lists[i])
		}
	}
	b.finish()
	return scoreBins[T](&b.micro), nil
}

// place takes in a score of a row with a weight, which may be 1.
func place[T zlpr.Float](b *bins, score T, positive bool, weight float64, s *binScratch) {
	key, rep := represent(score)
	is := uint32(0)
	if positive {
		is = 1
	}
	if weight == 1 {
		b.add(key, rep, is)
	} else {
		b.weigh(key, rep, is, weight)
	}
	b.settle(s)
}

// scoreBins are bins, which are finished, as they are shown.
func scoreBins[T zlpr.Float](b *bins) []ScoreBin {
	var none weighedBins
	w := b.weighed
	if w == nil {
		w = &none
	}
	list := make([]ScoreBin, 0, max(len(b.Bin), len(w.Key)))
	for i, k := 0, 0; i < len(b.Bin) || k < len(w.Key); {
		key := math.MaxInt
		if i < len(b.Bin) {
			key = int(b.Bin[i].Key)
		}
		if k < len(w.Key) {
			key = min(key, int(w.Key[k]))
		}
		v := ScoreBin{Low: float64(lowest[T](b, key)), High: float64(highest[T](b, key))}
		if v.Low != v.Low {
			v.Low = math.Inf(-1)
			if v.High != v.High {
				v.High = v.Low
			}
		}
		if b.Rest == 0 { // the number that has no more bits: of both ends the one nearer to 0
			switch {
			case v.Low > 0 && key != 1<<(b.Bits-1):
				v.High = v.Low
			case v.High <= 0:
				v.Low = v.High
			}
		}
		v.Low, v.High = v.Low+0, v.High+0
		var pos, neg uint64
		if i < len(b.Bin) && int(b.Bin[i].Key) == key {
			pos, neg = b.Bin[i].Pos, b.Bin[i].Neg
			i++
		}
		if k < len(w.Key) && int(w.Key[k]) == key {
			v.Positive, v.Negative = w.with(2*k, pos), w.with(2*k+1, neg)
			k++
		} else {
			v.Positive, v.Negative = float64(pos), float64(neg)
		}
		list = append(list, v)
	}
	return list
}

// with is sum i and n more, rounded to float64 once.
func (s *sums) with(i int, n uint64) float64 {
	if n == 0 {
		return s.float64(s.at(i))
	}
	low := min(s.Low, 0)
	x, y := toBig(s.at(i)), new(big.Int).SetUint64(n)
	x.Lsh(x, uint(64*(s.Low-low))).Add(x, y.Lsh(y, uint(-64*low)))
	f := new(big.Float).SetInt(x)
	v, _ := f.SetMantExp(f, 64*low).Float64()
	return v
}
