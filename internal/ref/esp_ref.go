package ref

import "math/big"

// Elementary symmetric polynomials, by two routes, and the k-subset law that
// they give. The precision is that of the variables.

// ESP returns e_0 to e_k of the variables by the summation algorithm: with one
// more variable z, e_j grows by z·e_(j-1). Non-negative variables lose nothing.
func ESP(vars []*big.Float, k int) []*big.Float {
	e := unitPolynomial(precision(vars), k)
	for n, z := range vars {
		mulLinear(e, z, min(n+1, k))
	}
	return e
}

// ESPNewton returns e_0 to e_k by Newton's identities from the power sums,
//
//	j·e_j = Σ_{i=1..j} (-1)^(i-1) e_(j-i) S_i.
//
// The terms alternate: digits are lost that the precision must provide.
func ESPNewton(vars []*big.Float, k int) []*big.Float {
	prec := precision(vars)
	sums := make([]*big.Float, k+1)
	powers := make([]*big.Float, len(vars))
	for i := range powers {
		powers[i] = integer(1, prec)
	}
	for j := 1; j <= k; j++ {
		sums[j] = integer(0, prec)
		for i, z := range vars {
			powers[i].Mul(powers[i], z)
			addTo(sums[j], sums[j], powers[i])
		}
	}
	e := unitPolynomial(prec, k)
	for j := 1; j <= k; j++ {
		for i := 1; i <= j; i++ {
			term := new(big.Float).Mul(e[j-i], sums[i])
			if i%2 == 0 {
				term.Neg(term)
			}
			addTo(e[j], e[j], term)
		}
		e[j].Quo(e[j], integer(int64(j), prec))
	}
	return e
}

// ESPBrute returns e_0 to e_k by adding up all subsets.
func ESPBrute(vars []*big.Float, k int) []*big.Float {
	prec := precision(vars)
	e := make([]*big.Float, k+1)
	for j := range e {
		e[j] = integer(0, prec)
	}
	for set := range 1 << len(vars) {
		product, size := integer(1, prec), 0
		for i, z := range vars {
			if set>>i&1 != 0 {
				product.Mul(product, z)
				size++
			}
		}
		if size <= k {
			addTo(e[size], e[size], product)
		}
	}
	return e
}

// A SubsetLaw is the law of picks from classes with the weights given: a set
// of j classes has probability proportional to adjoint[j] times the product
// of its weights.
type SubsetLaw struct {
	Total            *big.Float   // Σ adjoint_j e_j
	Included, Absent []*big.Float // the probability that a class is picked, is not
}

// Subset evaluates the law by prefix and suffix polynomials: the polynomial
// without class i is the product of those before and after it.
func Subset(weights, adjoint []*big.Float) SubsetLaw {
	prec, k := precision(weights), len(adjoint)-1
	// after[i] is the adjoint of the product of the first i classes, taken
	// through the classes i, i+1, …
	after := make([][]*big.Float, len(weights)+1)
	after[len(weights)] = adjoint
	for i := len(weights) - 1; i >= 0; i-- {
		g := make([]*big.Float, k+1)
		for j := range g {
			g[j] = new(big.Float).SetPrec(prec).Set(after[i+1][j])
			if j < k {
				addTo(g[j], g[j], new(big.Float).Mul(weights[i], after[i+1][j+1]))
			}
		}
		after[i] = g
	}
	law := SubsetLaw{Total: after[0][0]}
	before := unitPolynomial(prec, k)
	for i, z := range weights {
		in, out := integer(0, prec), integer(0, prec)
		for j := range min(i, k) + 1 {
			addTo(out, out, new(big.Float).Mul(before[j], after[i+1][j]))
			if j < k {
				addTo(in, in, new(big.Float).Mul(before[j], after[i+1][j+1]))
			}
		}
		in.Mul(in, z)
		law.Included = append(law.Included, in.Quo(in, law.Total))
		law.Absent = append(law.Absent, out.Quo(out, law.Total))
		mulLinear(before, z, min(i+1, k))
	}
	return law
}

// Weights returns e^x of the scores, to prec bits.
func Weights[T float32 | float64](x []T, prec uint) []*big.Float {
	w := make([]*big.Float, len(x))
	for i, v := range x {
		w[i] = exp(num(prec).SetFloat64(float64(v)), prec)
	}
	return w
}

// Adjoint returns the adjoint of the law of exactly k picks, or with a padding
// score of up to k: e^((k-j)·padding).
func Adjoint(k int, padding *float64, prec uint) []*big.Float {
	g := make([]*big.Float, k+1)
	for j := range g {
		g[j] = integer(0, prec)
		if padding != nil {
			x := integer(int64(k-j), prec)
			g[j] = exp(x.Mul(x, num(prec).SetFloat64(*padding)), prec)
		}
	}
	if padding == nil {
		g[k].SetInt64(1)
	}
	return g
}

// Loss returns the negative logarithm of the probability of a subset, relatively
// exact: the precision must hold its difference from 1.
func (l SubsetLaw) Loss(weights, adjoint []*big.Float, subset []int) *big.Float {
	prec := l.Total.Prec()
	p := num(prec).Set(adjoint[len(subset)])
	for _, i := range subset {
		p.Mul(p, weights[i])
	}
	return log(p.Quo(l.Total, p), prec)
}

// LogTotal returns log of the total.
func (l SubsetLaw) LogTotal() *big.Float { return log(l.Total, l.Total.Prec()) }

// mulLinear multiplies a polynomial by 1 + z·x, in place, up to the given degree.
func mulLinear(e []*big.Float, z *big.Float, degree int) {
	var t big.Float
	for j := degree; j > 0; j-- {
		t.SetPrec(z.Prec()).Mul(e[j-1], z)
		addTo(e[j], e[j], &t)
	}
}

func unitPolynomial(prec uint, k int) []*big.Float {
	e := make([]*big.Float, k+1)
	for j := range e {
		e[j] = integer(0, prec)
	}
	e[0].SetInt64(1)
	return e
}

func precision(x []*big.Float) uint {
	if len(x) == 0 {
		return 256
	}
	return x[0].Prec()
}
