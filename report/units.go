package report

import (
	"context"
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/crew"
	"sync/atomic"
)

// Units are what is drawn: rows, or groups of rows, each with a vector of numbers.
// The numbers are integers, so small that every sum of a resample, and every sum
// on the way to it, is a float64 without rounding: so the order in which they are
// added does not matter, resamples that are permutations of one another have equal
// sums, and ties are ties.
//
// Number x of column c stands for x·2^exponent[c]. With n units of at most M,
// 2^exponent ≤ n·M·2^-49: the mean of a column over a resample is changed by at most
// n·M·2^-50, a thousandth of a millionth of M for a million rows.
type units struct {
	n, width int
	x        []float64
	exponent []int
	finite   []bool // whether a column has finite numbers alone; the others are 0
}

// newUnits makes units of n×width numbers, which it overwrites. The columns of a
// pair have one exponent.
func newUnits(n, width int, x []float64, pairs [][2]int) *units {
	u := &units{n: n, width: width, x: x, exponent: make([]int, width), finite: make([]bool, width)}
	most := make([]float64, width)
	for c := range width {
		for i := range n {
			most[c] = max(most[c], math.Abs(x[i*width+c])) // a NaN stays
		}
	}
	for _, p := range pairs {
		m := max(most[p[0]], most[p[1]])
		most[p[0]], most[p[1]] = m, m
	}
	for c, m := range most {
		u.finite[c] = m <= math.MaxFloat64
		if m > 0 {
			_, e := math.Frexp(m)
			u.exponent[c] = e + bits.Len(uint(n)) - 51
		}
		for i := range n {
			v := &x[i*width+c]
			if !u.finite[c] {
				*v = 0
				continue
			}
			*v = math.RoundToEven(math.Ldexp(*v, -u.exponent[c]))
		}
	}
	return u
}

// real turns sums of integers into the numbers that they stand for.
func (u *units) real(sums []float64) {
	for c, e := range u.exponent {
		if sums[c] = math.Ldexp(sums[c], e); !u.finite[c] {
			sums[c] = math.NaN()
		}
	}
}

// A plan says how the sums of resamples are computed: codes of each digits, one a
// unit, whose sums stand in a table; for so many resamples at a time, that the
// table of a code is read as often as possible and the codes stay small.
type plan struct {
	each      int // units of a code
	digit     int // bits of a unit's count in it
	resamples int
	stride    int // codes of a resample
}

// mostCodes is how many bytes the codes of a worker may take.
const mostCodes = 16 << 20

// newPlan finds the cheapest plan: additions are (2^(digit·each) + resamples) for
// each·resamples units.
func newPlan(n, digit, resamples int) plan {
	best, least := plan{}, math.Inf(1)
	for each := 1; each*digit <= 6; each++ {
		stride := (n+each-1)/each + 1
		k := max(1, min(256, mostCodes/stride, resamples))
		cost := float64(int(1)<<(digit*each)+k) / float64(each*k)
		if cost < least {
			best, least = plan{each, digit, k, stride}, cost
		}
	}
	return best
}

// A summer computes the sums of resamples.
type summer struct {
	*units
	plan
	kind   int
	seed   uint64
	counts []uint8
	codes  []uint8
	more   []excess
	table  []float64
}

// excess is what a unit was drawn more often than its code says.
type excess struct {
	unit  uint32
	times uint8
}

func newSummer(u *units, p plan, kind int, seed uint64) *summer {
	return &summer{units: u, plan: p, kind: kind, seed: seed, counts: make([]uint8, u.n),
		codes: make([]uint8, p.resamples*p.stride), table: make([]float64, u.width<<(p.digit*p.each))}
}

// sum writes the sums of resamples from first on to dst, count × width.
func (s *summer) sum(dst []float64, first, count int) {
	clear(dst)
	for r := range count {
		counted(s.counts, s.seed, s.kind, first+r)
		s.more = s.more[:0]
		s.encode(s.codes[r*s.stride:][:s.stride])
		for _, m := range s.more {
			x, sum := s.x[int(m.unit)*s.width:][:s.width], dst[r*s.width:][:s.width]
			for c, v := range x {
				sum[c] += float64(float64(m.times) * v) // exact
			}
		}
	}
	for k := range (s.n + s.each - 1) / s.each {
		s.tabulate(k)
		for r := range count {
			if code := int(s.codes[r*s.stride+k]); code != 0 {
				add(dst[r*s.width:][:s.width], s.table[code*s.width:])
			}
		}
	}
}

// encode writes the codes of the counts.
func (s *summer) encode(codes []uint8) {
	most := uint8(1)<<s.digit - 1
	k, shift, code := 0, 0, uint8(0)
	for i, c := range s.counts {
		if c > most {
			s.more = append(s.more, excess{uint32(i), c - most})
			c = most
		}
		code |= c << shift
		if shift += s.digit; shift == s.digit*s.each {
			codes[k] = code
			k, shift, code = k+1, 0, 0
		}
	}
	if shift > 0 {
		codes[k] = code
	}
}

// tabulate fills the table for code k: entry e is Σ of the digits of e times the
// vectors of the units.
func (s *summer) tabulate(k int) {
	w, size := s.width, 1
	for i := k * s.each; i < min((k+1)*s.each, s.n); i++ {
		x := s.x[i*w:][:w]
		for e := size; e < size<<s.digit; e++ {
			dst, from := s.table[e*w:][:w], s.table[(e-size)*w:][:w]
			for c, v := range x {
				dst[c] = from[c] + v
			}
		}
		size <<= s.digit
	}
}

// add adds x to dst.
func add(dst, x []float64) {
	x = x[:len(dst)]
	for len(dst) >= 4 {
		d, y := (*[4]float64)(dst), (*[4]float64)(x)
		d[0] += y[0]
		d[1] += y[1]
		d[2] += y[2]
		d[3] += y[3]
		dst, x = dst[4:], x[4:]
	}
	for i, v := range x {
		dst[i] += v
	}
}

// resample returns the sums of resamples, in integers: resamples × width.
func (u *units) resample(ctx context.Context, kind int, seed uint64, resamples, workers int) ([]float64, error) {
	sums := make([]float64, resamples*u.width)
	digit := 2
	if kind == swapping {
		digit = 1
	}
	p := newPlan(u.n, digit, max(1, (resamples+workers-1)/workers))
	err := share(ctx, (resamples+p.resamples-1)/p.resamples, workers, func() func(int) {
		s := newSummer(u, p, kind, seed)
		return func(k int) {
			first := k * p.resamples
			count := min(p.resamples, resamples-first)
			s.sum(sums[first*u.width:][:count*u.width], first, count)
		}
	})
	return sums, err
}

// share has workers take 0 to n-1 in turn, each by a function of its own.
func share(ctx context.Context, n, workers int, worker func() func(int)) error {
	workers = max(1, min(workers, n))
	do := make([]func(int), workers)
	for i := range do {
		do[i] = worker()
	}
	var next atomic.Int64
	err := crew.New(func(i int) {
		for ctx.Err() == nil {
			k := int(next.Add(1)) - 1
			if k >= n {
				return
			}
			do[i](k)
		}
	}).Run(workers)
	if err != nil {
		return err
	}
	return ctx.Err()
}
