package kernel

import "math/bits"

// The sums of Precisions: of products of positives and negatives, and of positives times
// precisions, in units of 2^-32 and of 2^-64. Eight lanes of each are whole numbers, below 2^53.
const (
	LostLeast = 8 * iota
	LostMost
	BestHigh
	BestLow
	MeanHigh
	MeanLow
	LeastHigh
	LeastLow
	PrecisionSums
)

// precisionsGeneric adds up the areas over steps of bins, eight at a time, up to those one of which
// has so many positives that the chord of their precisions is too coarse.
func precisionsGeneric(sums []float64, counts, before []uint64) (done int) {
	var sum [PrecisionSums]uint64
	for ; done+8 <= len(counts); done += 8 {
		if anyCoarse(counts[done:][:8], before[done:]) {
			break
		}
		for lane := range 8 {
			neg, pos := halves(counts[done+lane])
			above, before := halves(before[done+lane])
			below, end := above+neg, before+pos
			sum[LostLeast+lane] += pos * above
			sum[LostMost+lane] += pos * below
			ratio := func(a, b, times uint64) (high, low uint64) {
				if a == b {
					return times << 32, 0
				}
				q, _ := bits.Div64(a, 0, b)
				return q >> 32 * times, q & (1<<32 - 1) * times
			}
			high, low := ratio(end, end+above, pos)
			sum[BestHigh+lane] += high
			sum[BestLow+lane] += low
			high, low = ratio(end, end+below, pos)
			sum[MeanHigh+lane] += high
			sum[MeanLow+lane] += low
			first, rest := ratio(before+1, before+1+below, pos)
			sum[LeastHigh+lane] += high + first
			sum[LeastLow+lane] += (low + rest) / 2
		}
	}
	for i, s := range sum {
		sums[i] = float64(s)
	}
	return done
}

// anyCoarse tells whether eight steps have one whose positives are not few beside those before.
func anyCoarse(counts, before []uint64) bool {
	for i, c := range counts {
		_, pos := halves(c)
		_, before := halves(before[i])
		if 64*pos > min(before+64, 1<<20) {
			return true
		}
	}
	return false
}

// halves are the high and the low half of a word.
func halves(w uint64) (high, low uint64) { return w >> 32, w & (1<<32 - 1) }

// placeStepsGeneric makes the steps of places, eight at a time, as long as there is room for as many.
func placeStepsGeneric(counts, before []uint64, places []uint16, rising int, sums uint64) (done, steps int, end uint64) {
	turn := 7 * (1 - rising)
	for ; done < len(places) && steps <= len(counts)-8; done += 8 {
		first := done
		if rising == 0 {
			first = len(places) - 8 - done
		}
		eight := (*[8]uint16)(places[first:])
		for i := range eight {
			place := uint64(eight[i^turn])
			pos := place & 0xff
			count := (place>>8-pos)<<32 | pos
			counts[steps], before[steps] = count, sums
			steps += int((pos + 0xff) >> 8) // one more where there are positives
			sums += count
		}
	}
	return done, steps, sums
}
