package subset

import (
	"math"
	"math/bits"
	"slices"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/scalar"
)

// A Core evaluates one row of the k-subset softmax and of its padded
// variant. It holds the arrays that it needs from row to row.
//
// A row is a list of finite scores s, all of which take part. Under a tilt θ
// the odds of item i are t = e^(s-θ), and with w = min(t, 1/t) the polynomial
//
//	f = Π_{t>1} (w + x) · Π_{t≤1} (1 + w·x)
//
// has Z_j = e^(jθ) · Π_{t>1} t · f_j. Everything asked for follows from a linear
// function F = Σ adj_j f_j, adj = e_k for the subset softmax, and its
// derivatives: π = ∂log F/∂s.
//
// Where the wanted degree is small the many items with small odds ("small
// items") go through the plain recurrence in 8 lanes, and their derivatives come
// by division from the whole product, which is stable for t ≤ 1/4. The others
// go through a product tree and its transpose.
type Core struct {
	e     []float64 // e^(sign·x - pivot), to a multiple of 32
	r     []float64 // the odds of the small items, 0 for the others
	above []uint8   // which items are the others
	big   []int32   // the same as a list
	tree  pbTree    // of the others

	largest []float64 // the largest of r by blocks
	degrees [64]int   // the number of terms of H that odds up to 2^-i call for, 0 if not known

	lanes        []float64 // the 8 polynomials of a run of small items
	runs         []float64 // the polynomials of runs
	s            []float64 // their product
	adj          []float64 // the adjoint of f
	adjS         []float64 // the adjoint of s
	adjB         []float64 // the adjoint of the tree's root
	horner       []float64 // the polynomial H with π = r·H(-r)/F
	buf, reverse []float64

	// factor has what weights and rounding leave of the classes' e^s, within
	// 1 ± 2^-15; nil: 1.
	factor []float64

	logNorm float64 // log Π (1+w) over the items of the tree, whose polynomials are normalised to p, q
	total   float64 // F of the polynomials as they are: log F = log(total) + logNorm

	sorted    []float64 // the scores, for selection
	positives []int32
	given     []uint64 // a subset as bits
	small     smallLoss
	compact   compactRow
}

const (
	// The largest number of items in one run of the recurrence, whose rounding
	// errors grow as the items of a lane.
	laneItems = 2048

	splitCut  = 0.25 // the largest odds of a small item
	splitStep = 128  // items of a block with a common number of terms
	// Up to this degree small items go through the lanes: the polynomial's
	// coefficients are below e^(1.25·degree).
	laneDegree = 256
)

// setAdjoint makes adj = weight(0..degree), with room for the shifted reads of
// correlate.
func (c *Core) setAdjoint(degree int, weight func(j int) float64) {
	c.adj = grow(c.adj, 2*degree+32)
	clear(c.adj)
	for j := range degree + 1 {
		c.adj[j] = weight(j)
	}
}

// setPick makes adj = e_degree.
func (c *Core) setPick(degree int) {
	c.adj = grow(c.adj, 2*degree+32)
	clear(c.adj)
	c.adj[degree] = 1
}

// odds separates the n items with the odds c.e·g, and makes p and q of the
// tree's.
func (c *Core) odds(n int, g float64, degree int) {
	c.split(n, g, degree)
	t := &c.tree
	t.p, t.q = grow(t.p, len(c.big)), grow(t.q, len(c.big))
	norm, exponent := 1.0, 0
	for j, i := range c.big {
		odds := float64(c.e[i] * g)
		q := 1 / (1 + odds)
		t.p[j], t.q[j] = odds*q, q
		if odds <= 1 {
			norm *= 1 + odds
		} else {
			norm *= 1 + 1/odds
		}
		if norm > 0x1p512 {
			norm, exponent = norm*0x1p-512, exponent+512
		}
	}
	c.logNorm = scalar.Log(norm) + float64(float64(exponent)*math.Ln2)
}

// product follows odds: it builds the polynomials and total = Σ adj_j f_j, j ≤
// degree.
func (c *Core) product(n, degree int) {
	c.forwardLanes(c.r, min(degree, n-len(c.big)))
	t := &c.tree
	t.forward(degree)

	// adjS_j = Σ_i adj_(lo+i+j) B_i,  total = Σ_j adjS_j s_j.
	b := t.root()
	m := roundUp8(len(c.s))
	c.buf = padded(c.buf, c.adj[:degree+1], -b.lo, m+b.n-1)
	c.adjS = grow(c.adjS, m+16)
	kernel.Correlate(c.adjS[:m], c.buf, b.of(t.coef))
	clear(c.adjS[len(c.s):])
	c.total = 0
	for j, v := range c.s {
		c.total = math.FMA(c.adjS[j], v, c.total)
	}
}

// split separates the items into small ones and others.
func (c *Core) split(n int, g float64, degree int) {
	m := len(c.e)
	c.r, c.above = grow(c.r, m), grow(c.above, m/8)
	c.largest, c.big = c.largest[:0], c.big[:0]
	cut := splitCut
	if degree > laneDegree {
		cut = -1 // none is small
	}
	for i := 0; i < m; i += splitStep {
		end := min(i+splitStep, m)
		c.largest = append(c.largest, kernel.TiltSplit(c.r[i:end], c.above[i/8:end/8], c.e[i:end], g, cut))
	}
	for i, mask := range c.above {
		for ; mask != 0; mask &= mask - 1 {
			if j := 8*i + bits.TrailingZeros8(mask); j < n {
				c.big = append(c.big, int32(j))
			}
		}
	}
}

// forwardLanes makes c.s = Π (1 + r·x) up to the given degree. The polynomials
// of several runs wait on a stack and are multiplied in pairs, as a binary
// counter carries.
func (c *Core) forwardLanes(r []float64, degree int) {
	stride := roundUp8(degree + 1)
	c.runs = grow(c.runs, 8*stride)
	height := 0
	// The mean is near the degree, the odds no more than 1.25 times that.
	guess := 1.25 * float64(degree) * float64(min(len(r), laneItems)) / float64(8*len(r))
	for run := 1; ; run++ {
		n := min(len(r), laneItems)
		c.runs = grow(c.runs, (height+8)*stride)
		c.run(c.runs[height*stride:], r[:n], degree, guess)
		height++
		r = r[n:]
		for carry := run; height > 1 && (carry&1 == 0 || len(r) == 0); carry >>= 1 {
			height--
			y := c.runs[height*stride:][:degree+1]
			x := c.runs[(height-1)*stride:][:stride]
			c.multiply(x, x[:degree+1], y)
		}
		if len(r) == 0 {
			c.s = append(c.s[:0], c.runs[:degree+1]...)
			return
		}
	}
}

// window returns the highest degree that counts of Π (1 + r·x), Σ r = sum: what
// is above has less than 2^-64 of its weight, as in the tree.
func window(sum float64) int { return int(sum+float64(12*math.Sqrt(sum))) + 9 }

// run makes Π (1 + r·x) up to the given degree at the start of dst, which has
// room for eight such polynomials. It tries a degree that is enough for lanes
// of equal weight.
func (c *Core) run(dst, r []float64, degree int, guess float64) {
	full := min(degree, len(r)/8)
	d := min(full, window(guess))
	for {
		c.runLanes(r, d)
		if d == full {
			break
		}
		sum := slices.Max(c.lanes[8:16])
		if window(sum) <= d {
			break
		}
		d = min(full, window(sum))
	}
	// The polynomial of lane l goes to l·stride; the product of two to where
	// the first was.
	stride := roundUp8(degree + 1)
	clear(dst[:8*stride])
	for j := range d + 1 {
		for l, v := range (*[8]float64)(c.lanes[8*j:]) {
			dst[l*stride+j] = v
		}
	}
	for step := 1; step < 8; step *= 2 {
		d2 := min(2*d, degree)
		if d > 0 {
			sum := 0.0
			for l := 0; l < 8; l += 2 * step {
				sum = max(sum, dst[l*stride+1]+dst[(l+step)*stride+1])
			}
			d2 = min(d2, window(sum))
		}
		for l := 0; l < 8; l += 2 * step {
			x, y := dst[l*stride:], dst[(l+step)*stride:]
			c.multiply(x[:roundUp8(d2+1)], x[:d+1], y[:d+1])
		}
		d = d2
	}
	clear(dst[d+1 : stride])
}

// runLanes makes the polynomials of 8 lanes up to degree d.
func (c *Core) runLanes(r []float64, d int) {
	// The kernel takes 4 items of a lane and 5 coefficients at a time.
	fives := (d + 4) / 5 * 5
	c.lanes = grow(c.lanes, 8*(fives+1))
	clear(c.lanes)
	for l := range 8 {
		c.lanes[l] = 1
	}
	if d > 0 {
		kernel.EspForward(c.lanes, r, fives)
	}
}

// multiply makes dst the coefficients of x·y as far as it is long, a multiple of 8.
// It may be x or y.
func (c *Core) multiply(dst, x, y []float64) {
	if len(x) <= 8 && len(dst) == 8 {
		multiplyShort((*[8]float64)(dst), x, y)
		return
	}
	d := len(x) - 1
	c.reverse = grow(c.reverse, d+1)
	for i, v := range x {
		c.reverse[d-i] = v
	}
	c.buf = padded(c.buf, y, d, len(dst)+d)
	kernel.Correlate(dst, c.buf, c.reverse)
}

// multiplyShort is multiply for the first 8 coefficients: calls cost more than the
// few products. It adds from the last coefficient of x down, as the kernel.
func multiplyShort(dst *[8]float64, x, y []float64) {
	var padded [16]float64
	copy(padded[8:], y[:min(len(y), 8)])
	var s0, s1, s2, s3, s4, s5, s6, s7 float64
	for i := min(len(x), 8) - 1; i >= 0; i-- {
		x, from := x[i], (*[8]float64)(padded[8-i:])
		s0 += float64(x * from[0])
		s1 += float64(x * from[1])
		s2 += float64(x * from[2])
		s3 += float64(x * from[3])
		s4 += float64(x * from[4])
		s5 += float64(x * from[5])
		s6 += float64(x * from[6])
		s7 += float64(x * from[7])
	}
	*dst = [8]float64{s0, s1, s2, s3, s4, s5, s6, s7}
}

// derivatives follows product: it makes the polynomial H of the small items
// and the derivatives of the others.
//
// With l = s without a small item of odds r, s_j = l_j + r l_(j-1) and so
// l_j = Σ_t (-r)^t s_(j-t): ∂total/∂r = Σ_j adjS_j l_(j-1) = H(-r) with
// H_t = Σ_j adjS_(1+t+j) s_j.
func (c *Core) derivatives(degree int) {
	if len(c.s) > 1 {
		c.setHorner(c.adjS, c.s, hornerTerms)
		c.degrees = [64]int{}
	}
	b := c.tree.root()
	m := roundUp8(b.n)
	c.adjB = grow(c.adjB, m)
	c.buf = padded(c.buf, c.adj[:degree+1], -b.lo, m+len(c.s)-1)
	kernel.Correlate(c.adjB, c.buf, c.s)
	c.tree.backward(c.adjB[:b.n])
}

// hornerTerms is enough for odds up to splitCut: 4^-32 = 2^-64.
const hornerTerms = 32

// setHorner makes H_t = Σ_j adj_(1+t+j) s_j, of at most the given number of terms.
func (c *Core) setHorner(adj, s []float64, terms int) {
	terms = min(terms, len(s)-1)
	m := roundUp8(terms)
	c.horner = grow(c.horner, m)
	c.buf = padded(c.buf, adj[:len(s)], -1, m+len(s)-1)
	kernel.Correlate(c.horner, c.buf, s)
	c.horner = c.horner[:terms]
}

// terms returns the polynomial H, cut for odds up to largest: the rest is below
// 2^-58 of the first term.
func (c *Core) terms(largest float64) []float64 {
	_, e := math.Frexp(largest) // largest < 2^e
	e = min(max(-e, 0), len(c.degrees)-1)
	if c.degrees[e] == 0 {
		c.degrees[e] = c.countTerms(math.Ldexp(1, -e))
	}
	return c.horner[:c.degrees[e]]
}

// countTerms returns the number of terms of H that count for odds up to the
// given ones.
func (c *Core) countTerms(odds float64) int {
	bound, power, n := c.horner[0]*0x1p-59, 1.0, 1
	for t, h := range c.horner {
		if t > 0 && float64(h*power) > bound {
			n = t + 1
		}
		power *= odds
	}
	return n
}

// inclusionBlock calls the kernel, the last elements through an array of its
// length.
func inclusionBlock[T kernel.Float](dst []T, r, h []float64, scale float64) {
	if whole := len(dst) &^ 7; whole > 0 {
		kernel.Inclusion(dst[:whole], r[:whole], h, scale)
		dst, r = dst[whole:], r[whole:]
	}
	if len(dst) > 0 {
		var tail [8]T
		kernel.Inclusion(tail[:], r[:8], h, scale)
		copy(dst, tail[:])
	}
}
