package subset

import (
	"math"
	"slices"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A tilt θ turns scores into independent items with success probabilities
// p = sigmoid(s - θ). It conditions the problem and cancels from every result,
// so a coarse one will do: a mean number of successes within
// max(1/2, σ/2) of the number of picks.
//
// θ = pivot + shift: the pivot is a score, or the threshold of the padded
// variant, and the shift is coarse.
type tilt struct {
	sign         float64 // -1: the items are failures, y = -s
	highest      float64 // the largest y
	pivot, shift float64 // θ of y = sign·s
	g            float64 // e^-shift: the odds of item i are e[i]·g
	mean, sigma  float64 // of the number of successes
}

const (
	shiftGrid   = 1 << 16 // shifts are multiples of 1/shiftGrid
	newtonSteps = 10
	lowestShift = -60 // below the highest score; further down the pivot is another
	nearShift   = -16 // e^(tiltLowest-nearShift) = e^-691 is below all that is promised
)

// exponentials fills c.e with e^(sign·x - pivot), zeros to a multiple of 32, and
// returns the sums of tiltExpGeneric.
func exponentials[T kernel.Float](c *Core, x []T, sign, pivot float64) (sum, squares float64) {
	n := len(x)
	c.e = grow(c.e, roundUp32(n))
	whole := n &^ 7
	if whole > 0 {
		sum, squares = kernel.TiltExp(c.e[:whole], x[:whole], sign, pivot)
	}
	if whole < n {
		var tail [8]float64
		for i := range tail {
			tail[i] = sign * farBelow(pivot) // odds 0
		}
		for i, v := range x[whole:] {
			tail[i] = float64(v)
		}
		s1, s2 := kernel.TiltExp(c.e[whole:], tail[:], sign, pivot)
		sum, squares = sum+s1, squares+s2
		whole += 8
	}
	clear(c.e[whole:])
	if c.factor != nil { // the sums are near enough
		for i, f := range c.factor {
			if sign > 0 {
				c.e[i] *= f
			} else {
				c.e[i] /= f
			}
		}
	}
	return sum, squares
}

// farBelow returns a number that lies so far below the pivot that its odds are 0.
func farBelow(pivot float64) float64 { return pivot - max(1024, math.Abs(pivot)) }

// reaches reports whether the exponentials e^(y - pivot) are right for all
// finite y up to the highest one.
func reaches(highest, pivot float64) bool {
	return math.Abs(highest) <= farthest && math.Abs(pivot) <= farthest && highest-pivot <= widest
}

// tiltTo finds a tilt of y = sign·x with mean k, 0 < k < len(x), and leaves the
// exponentials in c.e. It reports false as evaluateDense does.
//
// The sum of the odds, S at the highest score, bounds the shift from above by
// log(S/k). Where all the picks lie close below the highest score the search
// starts there; else the k-th highest score is the pivot, and the mean is at
// least k - 1/e at shift -log(n) - 1 and below k at log(n) + 1.
func tiltTo[T kernel.Float](c *Core, x []T, sign float64, k int) (tilt, bool) {
	pivot := highestOf(x, sign)
	if !reaches(pivot, pivot) {
		return tilt{}, false
	}
	sum, squares := exponentials(c, x, sign, pivot)
	if sum != sum {
		return tilt{}, false
	}
	// Equal odds t would give the mean n·t/(1+t); that with the two moments
	// of the odds in place of n and t.
	want := float64(k)
	highest := scalar.Log(sum / want)
	start := highest
	if left := 1 - want*squares/(sum*sum); left > 1e-3 {
		start += scalar.Log(left)
	}
	t := tilt{sign: sign, highest: pivot, pivot: pivot}
	if t.search(c.e, want, start, lowestShift, highest) {
		// Far down, exponentials that are 0 at this pivot may not be at θ.
		if t.shift > nearShift || !slices.Contains(c.e[:len(x)], 0) {
			return t, true
		}
	}
	c.sorted = grow(c.sorted, len(x))
	for i, v := range x {
		c.sorted[i] = sign * float64(v)
	}
	t.pivot = kthHighest(c.sorted, k)
	if !reaches(t.highest, t.pivot) {
		return t, false
	}
	exponentials(c, x, sign, t.pivot)
	reach := scalar.Log(float64(len(x))) + 1
	t.search(c.e, want, 0, -reach, reach)
	return t, true
}

// search moves the shift between low and high until the mean is near the one
// wanted, by Newton's method on log(mean), bracketed, and by bisection if that
// takes long. It reports false where the mean is too small at low.
func (t *tilt) search(e []float64, want, start, low, high float64) bool {
	shift := min(max(start, low), high)
	lowTried := false
	for step := 1; ; step++ {
		t.shift = math.Round(shift*shiftGrid) / shiftGrid
		t.g = scalar.Exp(-t.shift)
		mean, squares := kernel.TiltSums(e, t.g)
		variance := max(mean-squares, 0)
		t.mean, t.sigma = mean, math.Sqrt(variance)
		if math.Abs(mean-want) <= max(0.5, t.sigma/2) {
			return true
		}
		if mean > want {
			low, lowTried = t.shift, true
		} else {
			high = t.shift
			if t.shift <= low {
				return lowTried
			}
		}
		if high-low < 2.0/shiftGrid {
			return true
		}
		shift = t.shift + scalar.Log(mean/want)*mean/variance
		if !(shift > low && shift < high) || step > newtonSteps {
			shift = low + (high-low)/2 // the half is exact
			if !lowTried {
				shift = low
			}
		}
	}
}

// kthHighest returns the k-th highest element of x, k ≥ 1, and reorders x.
func kthHighest(x []float64, k int) float64 {
	for round := 0; len(x) > 32 && round < 64; round++ {
		a, b, c := x[0], x[len(x)/2], x[len(x)-1]
		pivot := max(min(a, b), min(max(a, b), c))
		// x[:i] > pivot, x[i:j] = pivot, x[j:] < pivot.
		i, j := 0, len(x)
		for at := 0; at < j; {
			switch v := x[at]; {
			case v > pivot:
				x[at], x[i] = x[i], v
				i, at = i+1, at+1
			case v < pivot:
				j--
				x[at], x[j] = x[j], v
			default:
				at++
			}
		}
		switch {
		case k <= i:
			x = x[:i]
		case k <= j:
			return pivot
		default:
			x, k = x[j:], k-j
		}
	}
	slices.Sort(x)
	return x[len(x)-k]
}
