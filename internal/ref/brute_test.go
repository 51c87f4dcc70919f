package ref

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// The brute force: a loss is a sum of logarithms of 1 + Σ c e^x, where the
// terms are written down one by one, for every subset if need be, with exact
// exponents. That of the largest term is subtracted, so that those too small for
// a big.Float do not count.

const brutePrec = 500

type bruteTerm struct {
	c, x  *big.Float
	slope []float64 // dx/ds_i
}

// bruteLog returns weight·log(1 + Σ c e^x) and its derivatives.
func bruteLog(n int, weight *big.Float, terms []bruteTerm) Result {
	result := Result{Loss: num(brutePrec), Grad: make([]*big.Float, n)}
	terms = slices.DeleteFunc(terms, func(t bruteTerm) bool { return t.c.Sign() == 0 })
	unit, largest := num(brutePrec), num(brutePrec) // exponent and logarithm of the 1, or of the largest
	for _, t := range terms {
		if l := exactSum(t.x, log(t.c, brutePrec)); l.Cmp(largest) > 0 {
			unit, largest = t.x, l
		}
	}
	rest := num(brutePrec) // without the 1
	for i := range result.Grad {
		result.Grad[i] = num(brutePrec)
	}
	for _, t := range terms {
		e := exp(exactSum(t.x, new(big.Float).Neg(unit)), brutePrec)
		e.Mul(e, t.c)
		addTo(rest, rest, e)
		for i, d := range t.slope {
			if d != 0 {
				addTo(result.Grad[i], result.Grad[i], num(brutePrec).Mul(e, New(d)))
			}
		}
	}
	total := addTo(num(brutePrec), rest, exp(new(big.Float).Neg(unit), brutePrec))
	if largest.Sign() == 0 {
		result.Loss = log1p(rest, brutePrec)
	} else {
		result.Loss = addTo(num(brutePrec), unit, log(total, brutePrec))
	}
	result.Loss.Mul(result.Loss, weight)
	for _, g := range result.Grad {
		g.Quo(g.Mul(g, weight), total)
	}
	return result
}

func (r Result) plus(s Result) Result {
	r.Loss = addTo(num(brutePrec), r.Loss, s.Loss)
	for i := range r.Grad {
		r.Grad[i] = addTo(num(brutePrec), r.Grad[i], s.Grad[i])
	}
	return r
}

// exactDot returns Σ f_i x_i with all its digits.
func exactDot(f, x []float64) *big.Float {
	sum := New(0)
	for i, v := range x {
		sum = exactSum(sum, exactProduct(New(f[i]), New(v)))
	}
	return sum
}

// term returns the term of exponent Σ slope_i s_i + c·s0.
func (r Row) term(weight *big.Float, slope []float64, c float64) bruteTerm {
	x := exactSum(exactDot(slope, r.Scores), exactProduct(New(c), New(r.Threshold)))
	return bruteTerm{weight, x, slope}
}

// bruteSubsets adds up the subsets of the classes whose size is allowed: over
// that of the positives, S has e^(Σ_S s - Σ_P s + (k-|S|) s0).
func (r Row) bruteSubsets(allowed func(size int) bool, padding bool) Result {
	n, k := len(r.Scores), len(r.classes(true))
	var terms []bruteTerm
sets:
	for set := range 1 << n {
		size, slope, w := 0, make([]float64, n), num(brutePrec).SetInt64(1)
		same := true
		for i := range n {
			in := set>>i&1 != 0
			if in && !r.counts(i) {
				continue sets
			}
			if in {
				size++
			}
			if r.counts(i) && in != r.Positive[i] {
				slope[i] = 1
				if !in {
					slope[i] = -1
				}
				w.Mul(w, r.weight(i))
				same = false
			}
		}
		if same || !allowed(size) {
			continue
		}
		c := 0.0
		if padding {
			c = float64(k - size)
		}
		terms = append(terms, r.term(w, slope, c))
	}
	return bruteLog(n, New(1), terms)
}

// bruteSide is log(1 + Σ w e^±(s-s0)) over the classes.
func (r Row) bruteSide(classes []int, weight func(i int) *big.Float, sign float64) Result {
	n := len(r.Scores)
	var terms []bruteTerm
	for _, i := range classes {
		slope := make([]float64, n)
		slope[i] = sign
		terms = append(terms, r.term(weight(i), slope, -sign))
	}
	return bruteLog(n, New(1), terms)
}

func (r Row) brutePairwise(gamma, margin float64) Result {
	n := len(r.Scores)
	var terms []bruteTerm
	for _, i := range r.classes(false) {
		for _, j := range r.classes(true) {
			slope := make([]float64, n)
			slope[i], slope[j] = gamma, -gamma
			t := r.term(num(brutePrec).Mul(r.weight(i), r.weight(j)), slope, 0)
			t.x = exactSum(t.x, exactProduct(New(gamma), New(margin)))
			terms = append(terms, t)
		}
	}
	return bruteLog(n, New(1), terms)
}

// bruteSoftmax is of one positive class: its weight alone counts, of any size.
func (r Row) bruteSoftmax() Result {
	weights := r.Weights
	r.Weights = nil
	n, t := len(r.Scores), r.classes(true)[0]
	var terms []bruteTerm
	for _, i := range r.classes(false) {
		slope := make([]float64, n)
		slope[i], slope[t] = 1, -1
		terms = append(terms, r.term(New(1), slope, 0))
	}
	return bruteLog(n, Row{Weights: weights}.weight(t), terms)
}

func (r Row) bruteBCE() Result {
	n := len(r.Scores)
	result := bruteLog(n, New(1), nil)
	for i := range r.Scores {
		if !r.counts(i) {
			continue
		}
		slope := make([]float64, n)
		slope[i] = 1
		if r.Positive[i] {
			slope[i] = -1
		}
		result = result.plus(bruteLog(n, r.weight(i), []bruteTerm{r.term(New(1), slope, -slope[i])}))
	}
	return result
}

// bruteSoft returns the loss and the two terms of every derivative.
func (r Row) bruteSoft() (above, below Result) {
	var all []int
	for i := range r.Scores {
		if r.counts(i) {
			all = append(all, i)
		}
	}
	part := func(share func(t *big.Float) *big.Float) func(i int) *big.Float {
		return func(i int) *big.Float { return num(brutePrec).Mul(r.weight(i), share(New(r.Soft[i]))) }
	}
	above = r.bruteSide(all, part(func(t *big.Float) *big.Float { return exactSum(New(1), t.Neg(t)) }), 1)
	below = r.bruteSide(all, part(func(t *big.Float) *big.Float { return t }), -1)
	return above, below
}

// sameOver reports a difference beyond 2^-Prec of a scale.
func sameOver(t *testing.T, x, y, scale *big.Float, what ...any) {
	t.Helper()
	if x.IsInf() || y.IsInf() {
		t.Errorf("%v: %g and %g", what, x, y)
		return
	}
	d := subTo(num(64), x, y)
	if d.Sign() != 0 && exponent(d) > exponent(scale)-Prec {
		t.Errorf("%v: %g and %g differ by %g", what, x, y, d)
	}
}

// againstBrute compares every loss of a row with the brute force. The
// derivative by the threshold is minus the sum of the others, to the precision
// of their magnitudes.
func againstBrute(t *testing.T, r Row, gamma, margin float64) {
	t.Helper()
	k := len(r.classes(true))
	compare := func(name string, got, want Result) {
		t.Helper()
		sameOver(t, got.Loss, want.Loss, want.Loss, name, r)
		sum, size := num(brutePrec), num(brutePrec)
		for i, g := range want.Grad {
			sameOver(t, got.Grad[i], g, g, name, "gradient", i, r)
			subTo(sum, sum, g)
			addTo(size, size, new(big.Float).Abs(g))
		}
		if name != "softmax" && name != "pairwise" {
			sameOver(t, got.Threshold, sum, size, name, "threshold", r)
		} else if got.Threshold.Sign() != 0 {
			t.Errorf("%s depends on the threshold", name)
		}
	}
	compare("zlpr", r.ZLPR(), r.bruteSide(r.classes(false), r.weight, 1).plus(r.bruteSide(r.classes(true), r.weight, -1)))
	compare("bce", r.BCE(nil, 0), r.bruteBCE())
	compare("pairwise", r.Pairwise(gamma, margin), r.brutePairwise(gamma, margin))
	if one := (Row{Scores: r.Scores, Positive: r.Positive, Mask: r.Mask}); len(one.classes(true)) == 1 {
		compare("softmax", r.SoftmaxCrossEntropy(), r.bruteSoftmax())
	}
	compare("subset", r.Subset(), r.bruteSubsets(func(size int) bool { return size == k }, false))
	for _, padding := range []int{0, 1, 3} {
		compare("padded", r.PaddedSubset(k+padding), r.bruteSubsets(func(size int) bool { return size <= k+padding }, true))
	}
	soft := r.SoftZLPR()
	above, below := r.bruteSoft()
	both := above.plus(below)
	sameOver(t, soft.Loss, both.Loss, both.Loss, "soft", r)
	for i, g := range both.Grad {
		scale := below.Grad[i]
		if a := above.Grad[i]; a.Cmp(new(big.Float).Neg(scale)) > 0 {
			scale = a
		}
		sameOver(t, soft.Grad[i], g, scale, "soft gradient", i, r)
	}
	partitions(t, r)
}

// partitions compares log Z and the probabilities of the k-subset law.
func partitions(t *testing.T, r Row) {
	t.Helper()
	n := len(r.Scores)
	for k := range n + 2 {
		for _, padding := range []*float64{nil, &r.Threshold} {
			var x []*big.Float
			var sets []int
			for set := range 1 << n {
				slope, size := make([]float64, n), 0
				for i := range n {
					if set>>i&1 != 0 {
						slope[i] = 1
						size++
					}
				}
				if size == k || padding != nil && size < k {
					sum := exactDot(slope, r.Scores)
					if padding != nil {
						sum = exactSum(sum, exactProduct(New(float64(k-size)), New(*padding)))
					}
					x, sets = append(x, sum), append(sets, set)
				}
			}
			got := LogPartition(r.Scores, k, padding)
			if len(x) == 0 {
				if !got.IsInf() || got.Sign() > 0 {
					t.Errorf("log Z without a subset is %g", got)
				}
				continue
			}
			// The sum over the largest.
			top := x[0]
			for _, x := range x {
				if x.Cmp(top) > 0 {
					top = x
				}
			}
			weights, total, want := bruteTotal(x, top)
			prec := total.Prec()
			sameOver(t, got, want, want, "log Z", r.Scores, k, padding)
			law := Subset(Weights(r.Scores, work), Adjoint(k, padding, work))
			for i := range n {
				in, out := num(prec), num(prec)
				for j, w := range weights {
					if sets[j]>>i&1 != 0 {
						addTo(in, in, w)
					} else {
						addTo(out, out, w)
					}
				}
				in.Quo(in, total)
				out.Quo(out, total)
				sameOver(t, law.Included[i], in, in, "included", r.Scores, k, i)
				sameOver(t, law.Absent[i], out, out, "absent", r.Scores, k, i)
			}
		}
	}
}

// bruteTotal returns the e^(x-top), their sum, and log Σ e^x with so many digits
// that enough are left where the logarithm of the sum cancels against top.
func bruteTotal(x []*big.Float, top *big.Float) (weights []*big.Float, total, logarithm *big.Float) {
	for prec := uint(brutePrec); ; prec *= 2 {
		weights = nil
		rest, seen := num(prec), false // without the first e^0
		for _, x := range x {
			e := exp(exactSum(x, new(big.Float).Neg(top)), prec)
			weights = append(weights, e)
			if !seen && x.Cmp(top) == 0 {
				seen = true
				continue
			}
			addTo(rest, rest, e)
		}
		l := log1p(rest, prec)
		logarithm = addTo(num(prec), l, top)
		if l.Sign() == 0 || top.Sign() == 0 || logarithm.Sign() != 0 && exponent(logarithm) > exponent(l)+200-int(prec) {
			return weights, addTo(num(prec), integer(1, prec), rest), logarithm
		}
	}
}

// anyFloat returns a finite number of any size, often one of the ends, and
// often near one of those given.
func anyFloat(rng *rand.Rand, near []float64) float64 {
	x := math.Float64frombits(rng.Uint64())
	switch rng.IntN(6) {
	case 0:
		x = []float64{0, 5e-324, 0x1p-1022, 1, 709.78, 1e16, 0x1p28, 0x1p29, 0x1p30, 1488522235, 0x1p31, 0x1p32, 4e9, math.MaxFloat32, math.MaxFloat64}[rng.IntN(15)]
	case 1, 2:
		x = 5 * rng.NormFloat64()
	case 3:
		x = math.Ldexp(rng.NormFloat64(), rng.IntN(100)-50)
	}
	if len(near) > 0 && rng.IntN(3) == 0 {
		x = near[rng.IntN(len(near))]
		switch rng.IntN(3) {
		case 0:
			x = math.Nextafter(x, 0)
		case 1:
			x += rng.NormFloat64()
		}
	}
	if rng.IntN(2) == 0 {
		x = -x
	}
	if math.Abs(x) <= math.MaxFloat64 {
		return x
	}
	return 0
}

// anyRow returns a row of numbers of any size.
func anyRow(rng *rand.Rand, n int) Row {
	var r Row
	for range n {
		r.Scores = append(r.Scores, anyFloat(rng, r.Scores))
		r.Positive = append(r.Positive, rng.IntN(3) == 0)
		r.Soft = append(r.Soft, []float64{0, 1, 0.25, 5e-324, rng.Float64()}[rng.IntN(5)])
	}
	r.Threshold = anyFloat(rng, r.Scores)
	if rng.IntN(2) == 0 {
		for range n {
			r.Weights = append(r.Weights, math.Abs(anyFloat(rng, nil)))
		}
	}
	return r
}

// TestBrute compares with the brute force, at scores, thresholds, weights and γ
// of every size.
func TestBrute(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 7))
	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	for range rounds {
		r := anyRow(rng, 1+rng.IntN(5))
		gamma, margin := 1.0, 0.0
		if rng.IntN(2) == 0 {
			gamma, margin = math.Abs(anyFloat(rng, nil)), anyFloat(rng, r.Scores)
		}
		againstBrute(t, r, gamma, margin)
	}
	againstBrute(t, Row{
		Scores:   []float64{1e16, math.MaxFloat64, -math.MaxFloat64, 2, -math.MaxFloat64, 1e16 + 2, 5e-324},
		Positive: []bool{true, false, true, false, false, true, false},
		Soft:     make([]float64, 7),
	}, math.MaxFloat64, math.MaxFloat64)
}

// FuzzBrute does the same for scores given by their bits.
func FuzzBrute(f *testing.F) {
	seed := func(x ...float64) {
		var b []byte
		for _, v := range x {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		for _, positive := range []uint8{0, 1, 2, 5} {
			f.Add(b, positive, x[0], 1.0)
		}
	}
	seed(math.MaxFloat64, -math.MaxFloat64, 5e-324)
	seed(-math.MaxFloat64, -math.MaxFloat64, -math.MaxFloat64)
	seed(7e8, 4e9, -4e9, 2)
	seed(1e16, 1e16+2, 0, -1e16)
	seed(-5e-324, 5e-324)
	f.Fuzz(func(t *testing.T, data []byte, positive uint8, threshold, gamma float64) {
		if !(math.Abs(threshold) <= math.MaxFloat64) || !(gamma > 0 && gamma <= math.MaxFloat64) {
			return
		}
		r := Row{Threshold: threshold}
		for i := 0; i < 5 && len(data) >= 8; i++ {
			x := math.Float64frombits(binary.LittleEndian.Uint64(data))
			data = data[8:]
			if !(math.Abs(x) <= math.MaxFloat64) {
				return
			}
			r.Scores = append(r.Scores, x)
			r.Positive = append(r.Positive, positive>>i&1 != 0)
			r.Soft = append(r.Soft, float64(positive%7)/6)
		}
		againstBrute(t, r, gamma, threshold)
	})
}
