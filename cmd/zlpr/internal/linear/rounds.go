package linear

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/zlpr/zlpr"
)

// blockClasses is how many classes of a separable loss go through the features
// together: a block of W and of the scores stays in the cache.
const blockClasses = 16

// newton takes Newton steps from at on, as far as they lead, of a loss that is a
// sum over the classes. It reports whether the gap is
// within the tolerance. Every round has the objective of the one before to
// measure by.
func (p *problem) newton(at []float64, r *Result) (reached bool, err error) {
	if p.o.L2 == 0 {
		return false, nil // there is no gap to stop at
	}
	rows, classes := p.batch.Labels.Dims()
	labels := &zlpr.BitLabels{Rows: rows, Cols: classes, Stride: p.stride, Words: p.words}
	blocks := blocksOf(labels)
	value := p.Func(at)
	if p.err != nil {
		return false, p.err
	}
	r.History = append(r.History, value)
	tolerances := []float64{max(0.01, p.o.Tolerance), p.o.Tolerance, p.o.Tolerance, p.o.Tolerance}
	for _, tolerance := range tolerances {
		share := 0.9 * tolerance * value / float64(classes)
		g := goal{gap: share, least: rounding * value / float64(classes), steps: p.o.Iterations - (len(r.History) - 1)}
		if !(g.gap >= 0) || math.IsInf(g.gap, 1) || g.steps <= 0 {
			break
		}
		histories, err := p.byBlocks(at, labels, blocks, g)
		if err != nil {
			return false, err
		}
		r.History = append(r.History, sumOf(histories)...)
		before := value
		if value = p.Func(at); p.err != nil {
			return false, p.err
		}
		if p.gap(p.o.Tolerance*value) <= p.o.Tolerance*value {
			return true, nil
		}
		if tolerance == p.o.Tolerance && before-value <= rounding*value {
			break // they lead nowhere
		}
	}
	return false, nil
}

// blocksOf cuts the classes into blocks, by how often they are positive: those
// take about as many steps.
func blocksOf(labels *zlpr.BitLabels) [][]int {
	counts, order := make([]int, labels.Cols), make([]int, labels.Cols)
	for c := range order {
		order[c] = c
		for i := range labels.Rows {
			counts[c] += int(labels.Words[i*labels.Stride+c/64] >> (c % 64) & 1)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(counts[b], counts[a]) })
	return slices.Collect(slices.Chunk(order, blockClasses))
}

// sumOf sums the objectives of blocks after every step; a block that is done
// stays where it is.
func sumOf(histories [][]float64) []float64 {
	steps := 0
	for _, h := range histories {
		steps = max(steps, len(h)-1)
	}
	sum := make([]float64, steps)
	for _, h := range histories {
		for k := range sum {
			sum[k] += h[min(k+1, len(h)-1)]
		}
	}
	return sum
}

// newtonOf returns Newton's method for some classes, from at on.
func (p *problem) newtonOf(at []float64, classes []int) *newton {
	n := &newton{ctx: p.ctx, x: p.x, l2: p.o.L2, radius: p.radius, classes: classes}
	n.w, n.inverse = make([]float64, 0, (p.x.Cols+1)*len(classes)), make([]float64, 0, (p.x.Cols+1)*len(classes))
	for j := range p.x.Cols + 1 {
		for _, c := range classes {
			k := j*p.classes + c
			n.w = append(n.w, at[k]*p.scale[k])
			n.inverse = append(n.inverse, p.scale[k]*p.scale[k])
		}
	}
	return n
}

// scaled writes the model by the scaled variables.
func (p *problem) scaled(at, model []float64) {
	for k, w := range model {
		at[k] = w / p.scale[k]
	}
}

// byBlocks takes the steps of blocks of classes, each by itself.
func (p *problem) byBlocks(at []float64, labels *zlpr.BitLabels, blocks [][]int, g goal) (histories [][]float64, err error) {
	rows := labels.Rows
	model := make([]float64, len(at))
	histories = make([][]float64, len(blocks))
	errs := make([]error, len(blocks))
	var lock sync.Mutex
	next, most := 0, 0
	take := func() int {
		lock.Lock()
		defer lock.Unlock()
		next++
		return next - 1
	}
	var wait sync.WaitGroup
	for range min(p.o.Workers, len(blocks)) {
		wait.Go(func() {
			for k := take(); k < len(blocks); k = take() {
				n := p.newtonOf(at, blocks[k])
				stride := (rows + 63) / 64
				turned := &zlpr.BitLabels{Rows: len(blocks[k]), Cols: rows, Stride: stride, Words: make([]uint64, len(blocks[k])*stride)}
				for r, c := range blocks[k] {
					for i := range rows {
						turned.Words[r*stride+i/64] |= labels.Words[i*labels.Stride+c/64] >> (c % 64) & 1 << (i % 64)
					}
				}
				h := p.hessian
				if h.weights != nil {
					h.weights = pick(h.weights, blocks[k])
				}
				loss, err := newByClass(p.ctx, p.terms, turned, h, p.o.Smoothing)
				if err != nil {
					errs[k] = err
					continue
				}
				n.loss = loss
				histories[k] = []float64{0}
				n.report = func(objective float64) {
					histories[k] = append(histories[k], objective)
					lock.Lock()
					defer lock.Unlock()
					if most < len(histories[k])-1 {
						most = len(histories[k]) - 1
						if p.o.Progress != nil {
							p.o.Progress(most, objective, 0)
						}
					}
				}
				errs[k] = n.run(model, p.classes, g)
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	p.scaled(at, model)
	return histories, nil
}
