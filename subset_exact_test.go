package zlpr

import (
	"github.com/zlpr/zlpr/internal/subset"
	"math"
	"math/big"
	"math/rand/v2"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/ref"
)

// An exactLaw is the law of the subsets of a few classes by enumeration. The sum
// of a subset's scores is exact, whatever their size, and only differences of
// such sums are exponentiated.
type exactLaw struct {
	highest           *big.Float   // the largest sum of a subset with its paddings
	rest              *big.Float   // Σ e^(sum - highest) but for that one
	included, absent  []*big.Float // probabilities
	positives, spread *big.Float   // the sum of the positives; Σ of the |scores| of the highest sum
	paddings          *big.Float   // the expected number of them
}

const exactBits = 2400 // from 2^1024 with carries down to 2^-1074

func exactFloat(x float64) *big.Float { return new(big.Float).SetPrec(exactBits).SetFloat64(x) }

// newExactLaw enumerates the subsets of x that the law allows. pos are the
// positives, whose number is that of the picks without padding if loss is set;
// weights may be nil and go with loss.
func newExactLaw(x []float64, law subset.Law, pos []bool, weights []float64, loss bool) exactLaw {
	n := len(x)
	scores := make([]*big.Float, n)
	for i, s := range x {
		scores[i] = exactFloat(s)
		if weights != nil {
			l := ref.Log(ref.New(weights[i]))
			if pos[i] {
				l.Neg(l)
			}
			scores[i].Add(scores[i], l)
		}
	}
	picks := law.Picks
	l := exactLaw{positives: exactFloat(0)}
	count := 0
	for i, p := range pos {
		if p {
			count++
			l.positives.Add(l.positives, scores[i])
		}
	}
	if loss && !law.Padded {
		picks = count
	}
	pad := func(sum *big.Float, missing int) {
		if missing > 0 {
			sum.Add(sum, new(big.Float).Mul(exactFloat(law.Threshold), exactFloat(float64(missing))))
		}
	}
	pad(l.positives, picks-count)
	var best int
	sums := make([]*big.Float, 1<<n)
	for set := range sums {
		size, sum := 0, exactFloat(0)
		for i := range n {
			if set>>i&1 != 0 {
				size++
				sum.Add(sum, scores[i])
			}
		}
		if size > picks || !law.Padded && size < picks {
			continue
		}
		pad(sum, picks-size)
		sums[set] = sum
		if l.highest == nil || sum.Cmp(l.highest) > 0 {
			l.highest, best = sum, set
		}
	}
	l.rest, l.paddings, l.spread = ref.New(0), ref.New(0), ref.New(0)
	for range n {
		l.included, l.absent = append(l.included, ref.New(0)), append(l.absent, ref.New(0))
	}
	missing := picks
	for i, s := range x {
		if best>>i&1 != 0 {
			l.spread.Add(l.spread, ref.New(math.Abs(s)))
			missing--
		}
	}
	l.spread.Add(l.spread, ref.Mul(ref.New(float64(missing)), ref.New(math.Abs(law.Threshold))))
	total := ref.New(0)
	for set, sum := range sums {
		if sum == nil {
			continue
		}
		d := new(big.Float).Sub(sum, l.highest)
		if d.Cmp(big.NewFloat(-2000)) < 0 {
			continue
		}
		e := ref.Exp(d)
		total.Add(total, e)
		if sum != l.highest {
			l.rest.Add(l.rest, e)
		}
		size := 0
		for i := range n {
			part := l.absent
			if set>>i&1 != 0 {
				part = l.included
				size++
			}
			part[i].Add(part[i], e)
		}
		l.paddings.Add(l.paddings, ref.Mul(e, ref.New(float64(picks-size))))
	}
	for i := range n {
		l.included[i] = ref.Quo(l.included[i], total)
		l.absent[i] = ref.Quo(l.absent[i], total)
	}
	l.paddings = ref.Quo(l.paddings, total)
	return l
}

// logTotal returns log Z.
func (l exactLaw) logTotal() *big.Float {
	return new(big.Float).Add(l.highest, ref.Log1p(l.rest))
}

// loss returns log Z less the positives' sum.
func (l exactLaw) loss() *big.Float {
	d := new(big.Float).Sub(l.highest, l.positives)
	if d.Sign() == 0 {
		return ref.Log1p(l.rest)
	}
	return d.Add(d, ref.Log1p(l.rest))
}

// hostileScores makes a row of up to 7 scores of any size, many of which are
// equal or differ by little.
func hostileScores[T Float](rng *rand.Rand) []float64 {
	largest, smallest := math.MaxFloat64, 0x1p-1074
	if kernel.IsFloat32[T]() {
		largest, smallest = math.MaxFloat32, 0x1p-149
	}
	exponent := math.Log2(largest)
	pool := []float64{largest, -largest, smallest, -smallest, 0, largest / 2, -largest / 3}
	size := func() float64 {
		switch rng.IntN(6) {
		case 0:
			return math.Exp2(rng.Float64() * exponent)
		case 1:
			return math.Exp2(rng.Float64() * 70)
		case 2:
			return 400 * (1 + rng.Float64())
		}
		return math.Exp2(rng.Float64()*8 - 4)
	}
	n := 1 + rng.IntN(7)
	x := make([]float64, n)
	base := 0.0
	if rng.IntN(3) == 0 {
		base = size() * float64(1-2*rng.IntN(2))
	}
	for i := range x {
		switch r := rng.IntN(8); {
		case r == 0:
			x[i] = pool[rng.IntN(len(pool))]
		case r == 1 && i > 0:
			x[i] = x[rng.IntN(i)]
		case r == 2 && i > 0: // some ULPs away
			x[i] = x[rng.IntN(i)] * (1 + float64(rng.IntN(9)-4)*unit[T]())
		default:
			x[i] = base + size()*float64(1-2*rng.IntN(2))
		}
		x[i] = float64(T(min(max(x[i], -largest), largest)))
	}
	return x
}

// isSet reports whether bit i is set.
func isSet(bits []uint64, i int) bool { return bits[i/64]>>(i%64)&1 != 0 }
