package zlpr

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/zlpr/zlpr/internal/exact"
)

// An Evaluator evaluates a loss and its gradient on batches. It keeps its
// memory from one batch to the next; one batch at a time.
type Evaluator[T Float] struct {
	loss    Loss
	traits  lossTraits
	opts    Options
	workers []*lossWorker[T]
	job     lossJob[T]
	none    Output[T]
}

// NewEvaluator returns an Evaluator of the loss, or what is wrong with its
// parameters or the options.
func NewEvaluator[T Float](loss Loss, opts Options) (*Evaluator[T], error) {
	t, err := loss.traits()
	if err != nil {
		return nil, err
	}
	switch {
	case opts.Workers < 0 || opts.TopNegatives < 0 || opts.TopScores < 0:
		return nil, errOptions
	case opts.Reduction < None || opts.Reduction > Mean:
		return nil, errReduction
	case (opts.TopNegatives > 0 || opts.TopScores > 0) && !t.hardNegative:
		return nil, errNoHard
	}
	if opts.Workers == 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	return &Evaluator[T]{loss: loss, traits: t, opts: opts}, nil
}

// A lossJob is one call of Evaluate.
type lossJob[T Float] struct {
	ctx context.Context
	b   *Batch[T]
	out *Output[T]

	chunkRows, chunks int
	next              atomic.Int64 // the next chunk
	failed            atomic.Int64 // the first chunk with an error
	wait              sync.WaitGroup

	number       int     // of batches so far
	counting     bool    // the pass that counts rows
	factor       float64 // of all gradients
	maxPositives int
	off          []uint64 // classes of weight 0; nil for none
	stream       bool     // the gradient goes past the caches
	factors      classFactors[T]
}

// Evaluate evaluates the loss of a batch. out may be nil.
//
// The result and all outputs have the same bits for every number of workers.
//
// Errors are of four kinds: of the batch's shapes and parameters; a *DataError
// that names the first row with a bad label, mask, weight or, with
// Options.Strict, score; ErrNoRows; and ctx.Err(). After an error the outputs
// are unspecified. Labels and masks of a row are checked before the row is
// written.
func (e *Evaluator[T]) Evaluate(ctx context.Context, b *Batch[T], out *Output[T]) (Result, error) {
	if out == nil {
		out = &e.none
	}
	if err := b.check(out, &e.traits); err != nil {
		return Result{}, err
	}
	j := &e.job
	j.ctx, j.b, j.out = ctx, b, out
	j.number++
	defer func() { j.ctx, j.b, j.out = nil, nil, nil }()
	rows, n := b.Scores.Rows, b.Scores.Cols
	j.chunkRows = max(1, min(lossChunkRows, lossChunkLen/max(n, 1)))
	j.chunks = (rows + j.chunkRows - 1) / j.chunkRows
	for i := len(e.workers); i < max(1, min(e.opts.Workers, j.chunks)); i++ {
		e.workers = append(e.workers, newLossWorker(e))
	}
	j.setClassesOff(bitWords(n))
	g := &out.Grad
	j.stream = streaming() && len(g.Data) > 0 && !out.Accumulate && g.Stride == n && !same(*g, b.Scores) && rows*n >= streamBytes/4
	j.factors.begin(b.ClassWeights)
	if e.traits.target {
		j.factors.begin(nil) // they multiply the loss, not the exponentials
	}

	j.factor = 1
	if out.Upstream != 0 {
		j.factor = out.Upstream
	}
	if e.opts.Reduction == Mean || e.traits.maxPositives {
		j.counting = true
		total, err := e.pass()
		j.counting = false
		if err != nil {
			return Result{}, err
		}
		j.maxPositives = total.positives
		if e.opts.Reduction == Mean {
			weight := total.weight.Float64()
			if !(weight > 0) {
				return Result{}, ErrNoRows
			}
			j.factor /= weight
		}
	}
	total, err := e.pass()
	if err != nil {
		return Result{}, err
	}
	r := Result{
		Sum:    total.sum.Float64(),
		Weight: total.weight.Float64(),
		Rows:   total.rows,
	}
	if total.min <= total.max {
		r.Min, r.Max = total.min, total.max
	}
	r.Loss = r.Sum
	if e.opts.Reduction == Mean {
		r.Loss /= r.Weight
	}
	return r, nil
}

// A chunk has about as many scores as lossChunkLen, and at most lossChunkRows
// rows: the gradient finds scores and bits in the nearest caches.
const (
	lossChunkLen  = 8192
	lossChunkRows = 256
)

// bufferLen is the length of the longest row whose gradient is kept in a buffer.
const bufferLen = 1 << 15

// setClassesOff notes the classes of weight 0.
func (j *lossJob[T]) setClassesOff(words int) {
	j.off = j.off[:0]
	for k, w := range j.b.ClassWeights {
		if w == 0 {
			if len(j.off) == 0 {
				j.off = resize(j.off, words)
				clear(j.off)
			}
			j.off[k/64] |= 1 << (k % 64)
		}
	}
}

// pass runs the workers over all chunks.
func (e *Evaluator[T]) pass() (*lossTotal, error) {
	j := &e.job
	j.next.Store(0)
	j.failed.Store(math.MaxInt64)
	n := max(1, min(e.opts.Workers, j.chunks))
	workers := e.workers[:n]
	for _, w := range workers {
		w.total = lossTotal{min: math.Inf(1), max: math.Inf(-1)}
		w.err = nil
	}
	j.wait.Add(n - 1)
	for _, w := range workers[1:] {
		go w.goRun()
	}
	workers[0].run()
	j.wait.Wait()
	total := &workers[0].total
	for _, w := range workers {
		if w.err != nil && w.errChunk == j.failed.Load() {
			return nil, w.err
		}
	}
	for _, w := range workers[1:] {
		total.merge(&w.total)
	}
	return total, nil
}

// A lossTotal sums up rows, in any order.
type lossTotal struct {
	sum, weight exact.Sum
	rows        int
	min, max    float64
	positives   int // the most of a row
}

func (t *lossTotal) merge(u *lossTotal) {
	t.sum.Merge(&u.sum)
	t.weight.Merge(&u.weight)
	t.rows += u.rows
	t.min, t.max = min(t.min, u.min), max(t.max, u.max)
	t.positives = max(t.positives, u.positives)
}

// A lossWorker evaluates chunks, one at a time.
type lossWorker[T Float] struct {
	e     *Evaluator[T]
	goRun func() // run in a goroutine; made once, so that nothing is allocated

	chunk  lossChunk[T]
	grad   [2][]T    // places for gradients that are not written in place
	turn   int       // which of them is next
	weight []float64 // row weights
	living int       // so many elements of chunk.live are true while chunk.allLive
	top    topScratch
	total  lossTotal

	err      error
	errChunk int64
}

func newLossWorker[T Float](e *Evaluator[T]) *lossWorker[T] {
	w := &lossWorker[T]{e: e}
	w.goRun = func() {
		defer e.job.wait.Done()
		w.run()
	}
	return w
}

// run takes chunks until there are none. An error stops all workers, but not
// before the chunks below its own are done: the first error is always found.
func (w *lossWorker[T]) run() {
	j := &w.e.job
	defer w.chunk.pending.finish()
	for {
		k := j.next.Add(1) - 1
		if k >= int64(j.chunks) || k > j.failed.Load() {
			return
		}
		err := j.ctx.Err()
		if err == nil {
			err = w.do(int(k))
		}
		if err != nil {
			w.err, w.errChunk = err, k
			for old := j.failed.Load(); k < old && !j.failed.CompareAndSwap(old, k); {
				old = j.failed.Load()
			}
			return
		}
	}
}

// do evaluates chunk k, or counts its rows.
func (w *lossWorker[T]) do(k int) error {
	e, j, c := w.e, &w.e.job, &w.chunk
	b := j.b
	c.first, c.batch = k*j.chunkRows, j.number
	c.rows, c.n = min(j.chunkRows, b.Scores.Rows-c.first), b.Scores.Cols
	c.words = bitWords(c.n)
	c.x, c.stride = b.Scores.Data[min(c.first*b.Scores.Stride, len(b.Scores.Data)):], b.Scores.Stride
	c.classWeights, c.factors = b.ClassWeights, &j.factors
	c.maxPositives = j.maxPositives
	if err := w.read(); err != nil {
		return err
	}
	if j.counting {
		for i, live := range c.live {
			if live {
				w.total.weight.Add(w.weight[i])
				pos, _ := c.bits(i)
				w.total.positives = max(w.total.positives, countBits(pos))
			}
		}
		return nil
	}
	w.thresholds()
	if e.opts.Strict {
		if err := w.strict(); err != nil {
			return err
		}
	}
	if e.opts.TopNegatives > 0 || e.opts.TopScores > 0 {
		w.hardNegatives()
	}
	w.prepareGradient()
	c.loss = resize(c.loss, (c.rows+7)&^7)[:c.rows] // as kernels write them
	if c.n > 0 {
		var err error
		switch c := any(c).(type) {
		case *lossChunk[float32]:
			err = e.loss.eval32(c)
		case *lossChunk[float64]:
			err = e.loss.eval64(c)
		}
		if err != nil {
			return err
		}
	} else {
		clear(c.loss)
	}
	w.writeGradient()
	w.sumUp()
	return nil
}

// prepareGradient sets the places and factors of the gradients.
func (w *lossWorker[T]) prepareGradient() {
	j, c := &w.e.job, &w.chunk
	out := j.out
	column := j.b.ThresholdColumn > 0 && out.Grad.Data != nil
	c.grad, c.thresholdGrad = nil, nil
	c.stream = j.stream
	c.buffered = j.stream && w.e.traits.sideCopies && c.n <= bufferLen
	if out.ThresholdGrad != nil || column {
		c.thresholdGrad = resize(w.chunk.scratch.thresholdGrad, c.rows)
		w.chunk.scratch.thresholdGrad = c.thresholdGrad
	}
	switch {
	case out.Grad.Data == nil || c.n == 0:
	case out.Accumulate || c.buffered:
		c.grad, c.gradStride = w.buffer(), c.n
	default:
		c.grad, c.gradStride = out.Grad.Data[c.first*out.Grad.Stride:], out.Grad.Stride
	}
	if c.grad == nil && c.thresholdGrad == nil {
		return
	}
	if j.b.RowWeights == nil {
		c.scale = c.uniform.fill(c.scale, j.factor, c.rows)
		return
	}
	c.scale = resize(c.scale, (c.rows+7)&^7)
	c.uniform.spoil()
	for i, v := range w.weight {
		if v == 0 {
			v = 1 // the row does not count, and any scale fits
		}
		c.scale[i] = j.factor * v
	}
	for i := c.rows; i < len(c.scale); i++ {
		c.scale[i] = 1
	}
	c.scale = c.scale[:c.rows]
}

// buffer returns a place for the gradients of a chunk; that of the last chunk
// stays as it is.
func (w *lossWorker[T]) buffer() []T {
	w.turn ^= 1
	b := &w.grad[w.turn]
	*b = resizeAligned(*b, w.chunk.rows*w.chunk.n)
	return *b
}

// A filled remembers that all elements of a slice, to its capacity, are one
// value.
type filled struct {
	value float64
	valid bool
}

// fill returns x with length n and all elements that value, also those beyond to
// a multiple of 8.
func (f *filled) fill(x []float64, value float64, n int) []float64 {
	room := (n + 7) &^ 7
	if cap(x) < room || !f.valid || f.value != value {
		x = resize(x, max(room, cap(x)))
		for i := range x {
			x[i] = value
		}
		*f = filled{value, true}
	}
	return x[:n]
}

// spoil tells that the elements are being written.
func (f *filled) spoil() { f.valid = false }

// writeGradient brings the gradients to their places.
func (w *lossWorker[T]) writeGradient() {
	j, c := &w.e.job, &w.chunk
	out := j.out
	if out.ThresholdGrad != nil {
		for i, g := range c.thresholdGrad {
			if p := &out.ThresholdGrad[c.first+i]; out.Accumulate {
				*p += T(g)
			} else {
				*p = T(g)
			}
		}
	}
	if c.grad == nil {
		return
	}
	if column := j.b.ThresholdColumn - 1; column >= 0 {
		for i, g := range c.thresholdGrad {
			c.grad[i*c.gradStride+column] = T(g)
		}
	}
	if c.buffered {
		c.pending.finish()
		from := c.first * c.n
		c.pending = newSideCopy(out.Grad.Data[from:][:c.rows*c.n], c.grad)
	}
	if out.Accumulate {
		accumulate(out.Grad.Data[c.first*out.Grad.Stride:], out.Grad.Stride, c.grad, c.n, c.rows, c.n)
	}
}

// sumUp adds the rows' losses to the totals.
func (w *lossWorker[T]) sumUp() {
	j, c, t := &w.e.job, &w.chunk, &w.total
	rows := c.rows
	if !c.allLive {
		rows = 0
		for i, live := range c.live {
			if live {
				rows++
			} else {
				c.loss[i] = 0
			}
		}
	}
	if j.b.RowWeights != nil {
		for i, live := range c.live {
			if live {
				t.sum.AddProduct(w.weight[i], c.loss[i])
				t.weight.Add(w.weight[i])
				c.loss[i] *= w.weight[i]
			}
		}
	} else {
		t.sum.AddSlice(c.loss)
		t.weight.Add(float64(rows))
	}
	t.rows += rows
	t.extremes(c.loss, c.live, c.allLive)
	if j.out.Losses != nil {
		copy(j.out.Losses[c.first:], c.loss)
	}
}

// extremes takes in the losses of the live rows. NaN are neither smallest nor
// largest.
func (t *lossTotal) extremes(loss []float64, live []bool, allLive bool) {
	if allLive {
		// Numbers ≥ 0 are in the order of their bits, and no branch is needed.
		least, most := int64(math.MaxInt64), int64(math.MinInt64)
		for _, l := range loss {
			b := int64(math.Float64bits(l))
			least, most = min(least, b), max(most, b)
		}
		if least >= 0 && most <= int64(math.Float64bits(math.Inf(1))) {
			t.min, t.max = min(t.min, math.Float64frombits(uint64(least))), max(t.max, math.Float64frombits(uint64(most)))
			return
		}
	}
	for i, l := range loss {
		if live[i] && l == l {
			t.min, t.max = min(t.min, l), max(t.max, l)
		}
	}
}

// resize returns x with length n, its contents open.
func resize[E any](x []E, n int) []E {
	if cap(x) < n {
		return make([]E, n)
	}
	return x[:n]
}

// resizeAligned is resize for a slice that begins at a multiple of 64 bytes.
func resizeAligned[T Float](x []T, n int) []T {
	if cap(x) >= n {
		return x[:n]
	}
	x = make([]T, n+16)
	return x[misaligned(x):][:n]
}

// resizeOnes is resize for a slice all of whose elements are 1.
func resizeOnes(x []float64, n int) []float64 {
	if cap(x) >= n {
		return x[:n]
	}
	x = make([]float64, n)
	for i := range x {
		x[i] = 1
	}
	return x
}
