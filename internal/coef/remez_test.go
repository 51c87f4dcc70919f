package coef

import (
	"math"
	"math/big"
	"testing"
)

// bits is the precision of every derivation.
const bits = 320

func number(x float64) *big.Float { return new(big.Float).SetPrec(bits).SetFloat64(x) }

func add(x, y *big.Float) *big.Float { return number(0).Add(x, y) }
func sub(x, y *big.Float) *big.Float { return number(0).Sub(x, y) }
func mul(x, y *big.Float) *big.Float { return number(0).Mul(x, y) }
func quo(x, y *big.Float) *big.Float { return number(0).Quo(x, y) }

// chebyshev returns n points of [a, b], denser towards the ends, in order.
func chebyshev(a, b float64, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = (a+b)/2 - (b-a)/2*math.Cos(math.Pi*float64(i)/float64(n-1))
	}
	x[0], x[n-1] = a, b
	return x
}

// A problem asks for the coefficients c that minimise the largest
// |target[k] - Σ_i c[i] basis[i][k]| over the grid points k.
type problem struct {
	basis  [][]*big.Float
	target []*big.Float
}

// solve runs the Remez exchange on the grid and returns the coefficients and
// the largest error. A basis of m functions must be a Chebyshev system times a
// function that changes sign with basis[0]: the best error over that function
// then alternates m+1 times.
func (p problem) solve(t *testing.T) ([]*big.Float, *big.Float) {
	t.Helper()
	m, n := len(p.basis), len(p.target)
	if m == 0 {
		return nil, p.largest(nil)
	}
	reference := make([]int, m+1)
	for i := range reference {
		reference[i] = (2*i + 1) * n / (2 * (m + 1))
	}
	for range 60 {
		c, level := p.level(reference)
		residual := p.residual(c)
		next := p.alternation(residual)
		if len(next) < m+1 {
			t.Fatalf("error alternates %d times only", len(next))
		}
		largest := p.largest(c)
		reference = next
		if gap := quo(largest, number(0).Abs(level)); gap.Cmp(big.NewFloat(1.0000001)) < 0 {
			return c, largest
		}
	}
	t.Fatal("no convergence")
	return nil, nil
}

// level solves target - Σ c·basis = ±level on the reference, signs alternating
// after division by basis[0].
func (p problem) level(reference []int) (c []*big.Float, level *big.Float) {
	m := len(p.basis)
	rows := make([][]*big.Float, m+1)
	for r, k := range reference {
		row := make([]*big.Float, m+2)
		for i := range m {
			row[i] = p.basis[i][k]
		}
		row[m] = number(float64((1 - 2*(r%2)) * p.basis[0][k].Sign()))
		row[m+1] = p.target[k]
		rows[r] = row
	}
	x := gauss(rows)
	return x[:m], x[m]
}

// gauss solves a linear system given with its right-hand side as last column.
func gauss(a [][]*big.Float) []*big.Float {
	n := len(a)
	for col := range n {
		pivot := col
		for r := col + 1; r < n; r++ {
			if number(0).Abs(a[r][col]).Cmp(number(0).Abs(a[pivot][col])) > 0 {
				pivot = r
			}
		}
		a[col], a[pivot] = a[pivot], a[col]
		for r := col + 1; r < n; r++ {
			f := quo(a[r][col], a[col][col])
			for j := col; j <= n; j++ {
				a[r][j] = sub(a[r][j], mul(f, a[col][j]))
			}
		}
	}
	x := make([]*big.Float, n)
	for r := n - 1; r >= 0; r-- {
		s := a[r][n]
		for j := r + 1; j < n; j++ {
			s = sub(s, mul(a[r][j], x[j]))
		}
		x[r] = quo(s, a[r][r])
	}
	return x
}

func (p problem) residual(c []*big.Float) []*big.Float {
	e := make([]*big.Float, len(p.target))
	for k := range e {
		s := p.target[k]
		for i := range c {
			s = sub(s, mul(c[i], p.basis[i][k]))
		}
		e[k] = s
	}
	return e
}

func (p problem) largest(c []*big.Float) *big.Float {
	largest := number(0)
	for _, e := range p.residual(c) {
		if a := number(0).Abs(e); a.Cmp(largest) > 0 {
			largest = a
		}
	}
	return largest
}

// alternation returns the points at which e has local extrema of alternating
// sign after division by basis[0], the largest of each run of one sign,
// surplus points being dropped from the ends, or in pairs.
func (p problem) alternation(e []*big.Float) []int {
	count := len(p.basis) + 1
	var points []int
	sign := 0
	for k := range e {
		s := e[k].Sign() * p.basis[0][k].Sign()
		switch {
		case s == 0:
		case s != sign:
			points = append(points, k)
			sign = s
		case number(0).Abs(e[k]).Cmp(number(0).Abs(e[points[len(points)-1]])) > 0:
			points[len(points)-1] = k
		}
	}
	size := func(i int) *big.Float { return number(0).Abs(e[points[i]]) }
	for len(points) > count {
		smallest := 0
		for i := range points {
			if size(i).Cmp(size(smallest)) < 0 {
				smallest = i
			}
		}
		last := len(points) - 1
		switch {
		case smallest > 0 && smallest < last && len(points) >= count+2: // with its smaller neighbour
			if size(smallest-1).Cmp(size(smallest+1)) < 0 {
				smallest--
			}
			points = append(points[:smallest], points[smallest+2:]...)
		case size(0).Cmp(size(last)) < 0:
			points = points[1:]
		default:
			points = points[:last]
		}
	}
	return points
}

// rounded solves p, rounds the first coefficient with round, solves for the
// others again, and so on: each coefficient makes up for the rounding of those
// before it.
func (p problem) rounded(t *testing.T, round func(*big.Float) float64) ([]float64, *big.Float) {
	t.Helper()
	var c []float64
	for len(p.basis) > 0 {
		best, e := p.solve(t)
		if len(c) == 0 {
			t.Logf("before rounding: error 2^%.3f", log2(e))
		}
		first := round(best[0])
		c = append(c, first)
		rest := problem{basis: p.basis[1:], target: make([]*big.Float, len(p.target))}
		for k := range p.target {
			rest.target[k] = sub(p.target[k], mul(number(first), p.basis[0][k]))
		}
		p = rest
	}
	return c, p.largest(nil)
}

func log2(x *big.Float) float64 {
	m := number(0)
	e := x.MantExp(m)
	f, _ := m.Float64()
	return math.Log2(f) + float64(e)
}

func toFloat64(x *big.Float) float64 { f, _ := x.Float64(); return f }
func toFloat32(x *big.Float) float64 { f, _ := x.Float32(); return float64(f) }
