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
func precisionsGeneric(sums []float64, pos, neg, above, before []uint64) (done int) {
	var sum [PrecisionSums]uint64
	for ; done+8 <= len(pos); done += 8 {
		if anyCoarse(pos[done:][:8], before[done:]) {
			break
		}
		for lane := range 8 {
			i := done + lane
			pos, above, below, end := pos[i], above[i], above[i]+neg[i], before[i]+pos[i]
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
			first, rest := ratio(before[i]+1, before[i]+1+below, pos)
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
func anyCoarse(pos, before []uint64) bool {
	for i, p := range pos {
		if 64*p > min(before[i]+64, 1<<20) {
			return true
		}
	}
	return false
}

// placeStepsGeneric makes the steps of places, eight at a time, as long as there is room for as many.
func placeStepsGeneric(pos, neg, above, before []uint64, places []uint16, rising int, sums uint64) (done, steps int, end uint64) {
	turn := 7 * (1 - rising)
	for ; done < len(places) && steps <= len(pos)-8; done += 8 {
		first := done
		if rising == 0 {
			first = len(places) - 8 - done
		}
		eight := (*[8]uint16)(places[first:])
		for i := range eight {
			place := uint64(eight[i^turn])
			p := place & 0xff
			n := place>>8 - p
			pos[steps], neg[steps], above[steps], before[steps] = p, n, sums>>32, sums&(1<<32-1)
			steps += int((p + 0xff) >> 8) // one more where there are positives
			sums += n<<32 + p
		}
	}
	return done, steps, sums
}
