package linear

import (
	"context"
	"math"

	"gonum.org/v1/gonum/floats"
)

// A newton minimises
//
//	F(W, b) = (1/n)·Σ_i loss(s_i) + (λ/2)·|W|²,   s_i = x_i·W + b
//
// of a loss that is a sum over the classes, by Newton's method, whose steps are
// found by conjugate gradients: a product with the matrix of second derivatives is
// one with x, one with the second derivatives by the scores, and one with xᵀ.
// Classes, which are the columns of W, have steps of their own, but go through x
// together, and leave when they are done.
//
// The scores along a step are known, so that the line search costs no pass over
// the features.
type newton struct {
	ctx    context.Context
	x      *Matrix
	l2     float64
	radius float64 // largest norm of a row of x
	loss   *byClass
	report func(objective float64) // of all classes, after every step

	classes []int   // the columns that are left, as numbers of the model
	settled float64 // sum of the objectives of the classes that have left

	w        []float64 // W, then b: (x.Cols+1) × columns
	inverse  []float64 // of the preconditioner
	scores   []float64 // at w, rows × columns
	slopes   []float64 // the gradient of the mean loss by the scores
	gradient []float64 // of F by w
	step     []float64 // of w
	along    []float64 // of the scores
	direction, product, residual, solved,
	passed, trial []float64
}

// A goal tells when classes are done.
type goal struct {
	gap   float64 // no more than this: of each class
	least float64 // less than this F is not lowered by a step: of each class
	steps int     // at most
}

// run steps until all classes are done, and writes them to model, (x.Cols+1) ×
// classes.
func (n *newton) run(model []float64, classes int, g goal) error {
	n.allocate()
	cut := n.x.Cols * len(n.classes)
	n.x.Multiply(n.scores, n.w[:cut], n.w[cut:], len(n.classes), 1)
	losses := make([]float64, len(n.classes))
	err := n.loss.evaluate(n.slopes, n.scores, losses)
	if err != nil {
		return err
	}
	stuck := make([]bool, len(n.classes))
	first := make([]float64, len(n.classes)) // norm of the gradient at the start
	for steps := 0; ; steps++ {
		n.differentiate()
		values := n.penalise(losses)
		gaps := n.gaps()
		done, left := make([]bool, len(n.classes)), 0
		for k := range done {
			if done[k] = stuck[k] || gaps[k] <= g.gap || steps == g.steps; !done[k] {
				left++
			}
		}
		if steps > 0 {
			n.report(n.settled + floats.Sum(values))
		}
		if left < len(n.classes) {
			n.leave(model, classes, done, values)
			if left == 0 {
				return nil
			}
			losses, gaps, first = kept(losses, done), kept(gaps, done), kept(first, done)
			values = kept(values, done)
		}
		if err := n.ctx.Err(); err != nil {
			return err
		}
		// A residual smaller than what the goal asks for is of no use; nor is one
		// that is small while the derivatives still change much.
		accuracy := make([]float64, len(n.classes))
		for k, norm := range n.norms(n.gradient) {
			if first[k] == 0 {
				first[k] = norm
			}
			accuracy[k] = max(min(forcing, math.Sqrt(norm/first[k])), math.Sqrt(g.gap/gaps[k])/2)
		}
		if err := n.solve(accuracy); err != nil {
			return err
		}
		if losses, stuck, err = n.search(values, losses, g.least); err != nil {
			return err
		}
	}
}

// forcing is the residual of conjugate gradients, relative to the gradient, far
// from the minimum.
const forcing = 0.3

// kept returns the elements of classes that are not done.
func kept[E any](x []E, done []bool) []E {
	y := make([]E, 0, len(x))
	for k, v := range x {
		if !done[k] {
			y = append(y, v)
		}
	}
	return y
}

func (n *newton) allocate() {
	for _, v := range []*[]float64{&n.scores, &n.slopes, &n.along, &n.passed, &n.trial} {
		*v = make([]float64, n.x.Rows*len(n.classes))
	}
	for _, v := range []*[]float64{&n.gradient, &n.step, &n.direction, &n.product, &n.residual, &n.solved} {
		*v = make([]float64, len(n.w))
	}
}

// differentiate sets the gradient by w.
func (n *newton) differentiate() { n.transposed(n.gradient, n.slopes, n.w) }

// transposed sets to to xᵀ·v + λW, and to the sums of v for the biases.
func (n *newton) transposed(to, v, w []float64) {
	cut := n.x.Cols * len(n.classes)
	floats.ScaleTo(to[:cut], n.l2, w[:cut])
	clear(to[cut:])
	n.x.Gradient(to[:cut], to[cut:], v, len(n.classes), 1)
}

// dots returns the products of the columns of a and b.
func (n *newton) dots(a, b []float64) []float64 {
	sums := make([]float64, len(n.classes))
	for k := len(sums); len(a) >= k && k > 0; a, b = a[k:], b[k:] {
		x, y := a[:k], b[:k]
		for c := range sums {
			sums[c] += float64(x[c] * y[c])
		}
	}
	return sums
}

// norms returns the norms of the columns by the preconditioner.
func (n *newton) norms(v []float64) []float64 {
	floats.MulTo(n.solved, v, n.inverse)
	norms := n.dots(v, n.solved)
	for k, s := range norms {
		norms[k] = math.Sqrt(s)
	}
	return norms
}

// penalise returns F of the classes: their losses, and (λ/2)·|W|².
func (n *newton) penalise(losses []float64) []float64 {
	cut := n.x.Cols * len(n.classes)
	values := n.dots(n.w[:cut], n.w[:cut])
	for k, square := range values {
		values[k] = losses[k] + n.l2/2*square
	}
	return values
}

// gaps returns the duality gaps of the classes, see gap.
func (n *newton) gaps() []float64 {
	columns := len(n.classes)
	cut := n.x.Cols * columns
	weights, biases := n.dots(n.gradient[:cut], n.gradient[:cut]), n.dots(n.gradient[cut:], n.gradient[cut:])
	gaps := make([]float64, columns)
	for c, h := range n.loss.biases(n.slopes) {
		if g := n.gradient[cut+c]; g != 0 {
			gaps[c] = g * g / h
		}
	}
	for k := range gaps {
		gaps[k] += weightGap(math.Sqrt(weights[k]), math.Sqrt(biases[k]), n.radius, n.l2)
	}
	return gaps
}

// leave writes the classes that are done to the model, and keeps the others.
func (n *newton) leave(model []float64, classes int, done []bool, values []float64) {
	var columns []int
	for c, class := range n.classes {
		if !done[c] {
			columns = append(columns, c)
			continue
		}
		for j := range n.x.Cols + 1 {
			model[j*classes+class] = n.w[j*len(n.classes)+c]
		}
	}
	for k, v := range values {
		if done[k] {
			n.settled += v
		}
	}
	for _, v := range []*[]float64{&n.w, &n.inverse, &n.scores, &n.slopes, &n.gradient} {
		*v = pickColumns(*v, len(n.classes), columns)
	}
	for _, v := range []*[]float64{&n.along, &n.passed, &n.trial} {
		*v = (*v)[:n.x.Rows*len(columns)]
	}
	for _, v := range []*[]float64{&n.step, &n.direction, &n.product, &n.residual, &n.solved} {
		*v = (*v)[:len(n.w)]
	}
	n.loss.keep(columns)
	left := make([]int, len(columns))
	for k, c := range columns {
		left[k] = n.classes[c]
	}
	n.classes = left
}

// pickColumns leaves only some columns of a matrix, in its memory.
func pickColumns(v []float64, cols int, columns []int) []float64 {
	to := 0
	for from := 0; from < len(v); from += cols {
		for _, c := range columns {
			v[to] = v[from+c]
			to++
		}
	}
	return v[:to]
}

// solve sets step and along to the approximate solution of second derivatives ·
// step = -gradient, by conjugate gradients: until for every class the norm of the
// residual is no more than accuracy times that of the gradient. Classes that
// are there go on with the others.
func (n *newton) solve(accuracy []float64) error {
	columns := len(n.classes)
	cut := n.x.Cols * columns
	clear(n.step)
	clear(n.along)
	floats.ScaleTo(n.residual, -1, n.gradient)
	floats.MulTo(n.solved, n.residual, n.inverse)
	copy(n.direction, n.solved)
	square := n.dots(n.residual, n.solved)
	enough := make([]float64, len(n.classes))
	for k, s := range square {
		enough[k] = accuracy[k] * accuracy[k] * s
	}
	alpha, beta := make([]float64, columns), make([]float64, columns)
	for range mostProducts {
		if err := n.ctx.Err(); err != nil {
			return err
		}
		n.x.Multiply(n.passed, n.direction[:cut], n.direction[cut:], columns, 1)
		copy(n.trial, n.passed)
		n.loss.curve(n.trial, n.slopes)
		n.transposed(n.product, n.trial, n.direction)
		curvature := n.dots(n.direction, n.product)
		for c := range alpha {
			if alpha[c] = 0; square[c] > 0 && curvature[c] > 0 {
				alpha[c] = square[c] / curvature[c]
			}
		}
		addColumns(n.step, n.direction, alpha, 1)
		addColumns(n.along, n.passed, alpha, 1)
		addColumns(n.residual, n.product, alpha, -1)
		floats.MulTo(n.solved, n.residual, n.inverse)
		next := n.dots(n.residual, n.solved)
		left := false
		for c := range beta {
			if beta[c] = 0; square[c] > 0 && curvature[c] > 0 {
				beta[c] = next[c] / square[c]
				left = left || next[c] > enough[c]
			}
		}
		if !left {
			break
		}
		square = next
		for at := 0; at < len(n.direction); at += columns {
			d, z := n.direction[at:][:columns], n.solved[at:][:columns]
			for c, b := range beta {
				d[c] = z[c] + float64(b*d[c])
			}
		}
	}
	return nil
}

// mostProducts is the most products of one step.
const mostProducts = 500

// addColumns adds sign·factor·v to the columns of to.
func addColumns(to, v, factor []float64, sign float64) {
	for k := len(factor); len(to) >= k && k > 0; to, v = to[k:], v[k:] {
		x, y := to[:k], v[:k]
		for c, f := range factor {
			x[c] += float64(sign * f * y[c])
		}
	}
}

// search goes along the steps as far as the line search says, and returns the
// losses there. A class is stuck where its step is none, or one that lowers F by
// less than least.
func (n *newton) search(values, losses []float64, least float64) (after []float64, stuck []bool, err error) {
	cut := n.x.Cols * len(n.classes)
	w, d := n.w[:cut], n.step[:cut]
	slope, square, cross := n.dots(n.gradient, n.step), n.dots(d, d), n.dots(w, d)
	stuck = make([]bool, len(n.classes))
	lines, factor := make([]lineSearch, len(n.classes)), make([]float64, len(n.classes))
	open := make([]bool, len(n.classes))
	for k := range lines {
		if !(slope[k] < 0) {
			stuck[k] = true
			continue
		}
		stuck[k] = -slope[k]/2 < least
		open[k] = true
		lines[k].Init(values[k], slope[k], 1)
	}
	after = make([]float64, len(n.classes))
	for {
		for c := range factor {
			factor[c] = lines[c].step
		}
		copy(n.trial, n.scores)
		addColumns(n.trial, n.along, factor, 1)
		if err := n.loss.evaluate(n.slopes, n.trial, after); err != nil {
			return nil, nil, err
		}
		rise := n.dots(n.slopes, n.along)
		left := false
		for k := range lines {
			l := &lines[k]
			if !open[k] {
				continue
			}
			// (λ/2)·|w + t·d|² - (λ/2)·|w|² = λ·t·(w·d + t·|d|²/2)
			t := l.step
			f := values[k] + (after[k] - losses[k]) + n.l2*t*(cross[k]+t/2*square[k])
			switch next, done, ok := l.try(f, rise[k]+n.l2*(cross[k]+t*square[k])); {
			case !ok:
				open[k], stuck[k], l.step = false, true, 0
				left = true // evaluate there
			case done:
				open[k] = false
			default:
				l.step, left = next, true
			}
		}
		if !left {
			break
		}
	}
	addColumns(n.w, n.step, factor, 1)
	n.scores, n.trial = n.trial, n.scores
	return after, stuck, nil
}
