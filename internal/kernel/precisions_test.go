package kernel

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPrecisions: the sums are those of whole numbers, in any lanes; of few and of many negatives,
// of precisions of 1 and of powers of 2, and up to eight steps of which one is coarse.
func TestPrecisions(t *testing.T) {
	forEachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 1))
		for range 2000 {
			n := 8 * (1 + r.IntN(32))
			pos, neg, above, before := make([]uint64, n), make([]uint64, n), make([]uint64, n), make([]uint64, n)
			counts, sumsBefore := make([]uint64, n), make([]uint64, n)
			fp := r.Uint64N(1 << r.IntN(32))
			tp := 64 + r.Uint64N(1<<r.IntN(31))
			if r.IntN(4) == 0 {
				fp = 0
			}
			mostNeg, mostPos := uint64(1)<<r.IntN(20), min(1<<14, 1<<r.IntN(15))
			coarse := -1
			for i := range pos {
				pos[i], neg[i] = min(1+r.Uint64N(uint64(mostPos)), tp/64+1), r.Uint64N(mostNeg)
				if r.IntN(3) == 0 {
					neg[i] = 0
				}
				if r.IntN(400) == 0 {
					pos[i] = tp/64 + 2
				}
				if coarse < 0 && (pos[i] > tp/64+1 || pos[i] > 1<<14) {
					coarse = i
				}
				above[i], before[i] = fp, tp
				counts[i], sumsBefore[i] = neg[i]<<32|pos[i], fp<<32|tp
				fp, tp = fp+neg[i], tp+pos[i]
				if fp+tp >= 1<<32 { // from here on there are none
					fp, tp = 0, 64
				}
			}
			want := n
			if coarse >= 0 {
				want = coarse &^ 7
			}
			sums := make([]float64, PrecisionSums)
			if done := Precisions(sums, counts, sumsBefore); done != want {
				t.Fatalf("%d of %d steps, not %d", done, n, want)
			}
			got := func(at int) *big.Int {
				var sum uint64
				for _, s := range sums[at:][:8] {
					sum += uint64(s)
				}
				return new(big.Int).SetUint64(sum)
			}
			both := func(high, low int) *big.Int {
				x := got(high)
				return x.Add(x.Lsh(x, 32), got(low))
			}
			least := both(LeastHigh, LeastLow) // of which the high half is not halved
			least.Sub(least, new(big.Int).Lsh(got(LeastHigh), 31))
			is := []*big.Int{got(LostLeast), got(LostMost), both(BestHigh, BestLow), both(MeanHigh, MeanLow), least}
			sum := make([]*big.Int, len(is))
			for i := range sum {
				sum[i] = new(big.Int)
			}
			for i := range want {
				times := func(x *big.Int) *big.Int { return x.Mul(x, new(big.Int).SetUint64(pos[i])) }
				ratio := func(a, b uint64) *big.Int {
					x := new(big.Int).SetUint64(a)
					return x.Div(x.Lsh(x, 64), new(big.Int).SetUint64(b))
				}
				below, end := above[i]+neg[i], before[i]+pos[i]
				sum[0].Add(sum[0], times(new(big.Int).SetUint64(above[i])))
				sum[1].Add(sum[1], times(new(big.Int).SetUint64(below)))
				sum[2].Add(sum[2], times(ratio(end, end+above[i])))
				last := ratio(end, end+below)
				sum[3].Add(sum[3], times(new(big.Int).Set(last)))
				first := ratio(before[i]+1, before[i]+1+below)
				chord := times(first.Add(first, last))
				sum[4].Add(sum[4], chord.Rsh(chord, 1))
			}
			for i := range sum {
				if is[i].Cmp(sum[i]) != 0 {
					t.Fatalf("sum %d of %d steps is %d, not %d", i, want, is[i], sum[i])
				}
			}
		}
	})
}

// TestPlaceSteps: places with positives are steps, in either order, of few and of many positives, and
// up to those for which there is no room.
func TestPlaceSteps(t *testing.T) {
	type step struct{ counts, before uint64 }
	forEachTier(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 2))
		for range 2000 {
			places := make([]uint16, 8*(1+r.IntN(40)))
			share := r.Float64()
			for i := range places {
				if all := r.IntN(256); r.Float64() < share {
					places[i] = uint16(all<<8 | r.IntN(all+1))
				}
			}
			above, before := r.Uint64N(1<<31), r.Uint64N(1<<30)
			end := above<<32 | before
			size, rising := 8*(1+r.IntN(32)), r.IntN(2)
			var want []step
			done := 0
			for done < len(places) && len(want) <= size-8 {
				for range 8 {
					at := done
					if rising == 0 {
						at = len(places) - 1 - done
					}
					pos := uint64(places[at] & 0xff)
					neg := uint64(places[at]>>8) - pos
					if pos > 0 {
						want = append(want, step{neg<<32 | pos, end})
					}
					end += neg<<32 + pos
					done++
				}
			}
			to := [2][]uint64{}
			for i := range to {
				to[i] = slices.Repeat([]uint64{77}, size+1)
			}
			gotDone, steps, gotEnd := PlaceSteps(to[0][:size], to[1][:size], places, rising, above<<32|before)
			if gotDone != done || steps != len(want) || gotEnd != end {
				t.Fatalf("%d of %d places, %d steps, %#x, not %d, %d, %#x", gotDone, len(places), steps, gotEnd, done, len(want), end)
			}
			for i, s := range want {
				if got := (step{to[0][i], to[1][i]}); got != s {
					t.Fatalf("step %d of %d places is %v, not %v", i, len(places), got, s)
				}
			}
			for i := range to {
				if to[i][size] != 77 {
					t.Fatalf("%d steps of room: written beyond", size)
				}
			}
		}
	})
}
