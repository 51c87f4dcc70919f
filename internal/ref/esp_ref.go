package ref

import "math/big"

// Elementary symmetric polynomials and the k-subset law that they give. The
// precision is that of the variables.

// ESP returns e_0 to e_k of the variables by the summation algorithm: with one
// more variable z, e_j grows by z·e_(j-1). Non-negative variables lose nothing.
func ESP(vars []*Number, k int) []*Number {
	e := unitPolynomial(precision(vars), k)
	for n, z := range vars {
		mulLinear(e, z, min(n+1, k))
	}
	return e
}

// ESPTotal returns Σ adjoint_j e_j of the variables.
func ESPTotal(vars, adjoint []*Number) *Number {
	total, term := number(precision(adjoint)), number(precision(adjoint))
	for j, e := range ESP(vars, len(adjoint)-1) {
		total.Add(total, term.Mul(e, adjoint[j]))
	}
	return total
}

// A SubsetLaw is the law of picks from classes with the weights given: a set
// of j classes has probability proportional to adjoint[j] times the product
// of its weights.
type SubsetLaw struct {
	Total            *Number      // Σ adjoint_j e_j
	Included, Absent []*big.Float // the probability that a class is picked, is not
}

// Subset evaluates the law by prefix and suffix polynomials: the polynomial
// without class i is the product of those before and after it.
func Subset(weights, adjoint []*Number) SubsetLaw {
	prec, k := precision(adjoint), len(adjoint)-1
	term := number(prec)
	// after[i] is the adjoint of the product of the first i classes, taken
	// through the classes i, i+1, …
	after := make([][]*Number, len(weights)+1)
	after[len(weights)] = adjoint
	for i := len(weights) - 1; i >= 0; i-- {
		g := numbers(k+1, prec)
		for j := range g {
			g[j].Set(after[i+1][j])
			if j < k {
				g[j].Add(g[j], term.Mul(weights[i], after[i+1][j+1]))
			}
		}
		after[i] = g
	}
	law := SubsetLaw{Total: after[0][0]}
	before := unitPolynomial(prec, k)
	for i, z := range weights {
		in, out := number(prec), number(prec)
		for j := range min(i, k) + 1 {
			out.Add(out, term.Mul(before[j], after[i+1][j]))
			if j < k {
				in.Add(in, term.Mul(before[j], after[i+1][j+1]))
			}
		}
		term.Mul(in, z)
		law.Included = append(law.Included, in.Quo(term, law.Total).Float())
		term.Set(out)
		law.Absent = append(law.Absent, out.Quo(term, law.Total).Float())
		mulLinear(before, z, min(i+1, k))
	}
	return law
}

// Weights returns e^x of the scores, to prec bits.
func Weights[T float32 | float64](x []T, prec uint) []*Number {
	w := make([]*Number, len(x))
	for i, v := range x {
		w[i] = number(prec).SetExp(New(float64(v)))
	}
	return w
}

// Adjoint returns the adjoint of the law of exactly k picks, or with a padding
// score of up to k: e^((k-j)·padding).
func Adjoint(k int, padding *float64, prec uint) []*Number {
	g := numbers(k+1, prec)
	if padding == nil {
		g[k].m.SetInt64(1)
		return g
	}
	for j := range g {
		g[j].SetExp(exactProduct(integer(int64(k-j), 64), New(*padding)))
	}
	return g
}

// Loss returns the negative logarithm of the probability of a subset, relatively
// exact: the precision must hold its difference from 1.
func (l SubsetLaw) Loss(weights, adjoint []*Number, subset []int) *big.Float {
	p := number(l.Total.Prec()).Set(adjoint[len(subset)])
	for _, i := range subset {
		p.Mul(p, weights[i])
	}
	return p.Quo(l.Total, p).Log()
}

// LogTotal returns log of the total, to an absolute error of its precision or,
// where it is above 1, a relative one.
func (l SubsetLaw) LogTotal() *big.Float { return l.Total.Log() }

// mulLinear multiplies a polynomial by 1 + z·x, in place, up to the given degree.
func mulLinear(e []*Number, z *Number, degree int) {
	t := number(z.Prec())
	for j := degree; j > 0; j-- {
		e[j].Add(e[j], t.Mul(e[j-1], z))
	}
}

func unitPolynomial(prec uint, k int) []*Number {
	e := numbers(k+1, prec)
	e[0].m.SetInt64(1)
	return e
}

func precision(x []*Number) uint {
	if len(x) == 0 {
		return work
	}
	return x[0].Prec()
}
