package zlpr

import (
	"context"
	"errors"
	"math"
	"reflect"
	"runtime"
	"sync/atomic"

	"github.com/zlpr/zlpr/internal/chunk"
	"github.com/zlpr/zlpr/internal/crew"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/power"
)

// An Evaluator evaluates a loss and its gradient on batches. It keeps its
// memory from one batch to the next; one batch at a time.
type Evaluator[T Score] struct {
	loss   Loss
	traits lossTraits
	top    int // TopNegatives and TopScores: 0 for neither
	none   Output[T]
	turn   crew.Turn

	// The engine of the type that is computed in, and what 16-bit scores need.
	single *engine[float32]
	double *engine[float64]
	half   halfJob[T]
}

// NewEvaluator returns an Evaluator of the loss, or what is wrong with its
// parameters or the options.
func NewEvaluator[T Score](loss Loss, opts Options) (*Evaluator[T], error) {
	if v := reflect.ValueOf(loss); loss == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, errors.New("zlpr: NewEvaluator without a loss")
	}
	t, err := loss.traits()
	if err != nil {
		return nil, err
	}
	for _, o := range []struct {
		name  string
		value int
	}{{"Workers", opts.Workers}, {"TopNegatives", opts.TopNegatives}, {"TopScores", opts.TopScores}} {
		if o.value < 0 {
			return nil, fieldError("Options."+o.name, "%d, want at least 0", o.value)
		}
	}
	switch {
	case opts.Reduction < None || opts.Reduction > Mean:
		return nil, badReduction(opts.Reduction)
	case opts.TopNegatives > 0 && !t.hardNegative:
		return nil, fieldError("Options.TopNegatives", "the loss takes no hard negatives")
	case opts.TopScores > 0 && !t.hardNegative:
		return nil, fieldError("Options.TopScores", "the loss takes no hard negatives")
	}
	if opts.Workers == 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	e := &Evaluator[T]{loss: loss, traits: t, top: max(opts.TopNegatives, opts.TopScores)}
	if bytesOf[T]() == 8 {
		e.double = newEngine[float64](loss, t, opts)
	} else {
		e.single = newEngine[float32](loss, t, opts)
	}
	return e, nil
}

// Evaluate evaluates the loss of a batch. out may be nil.
//
// The result and all outputs have the same bits for every number of workers. The
// bits of a row's loss do not depend on the other rows, on which outputs are asked
// for, or on what multiplies the gradient; the bounds of a row's gradient do not
// either.
//
// Errors are of four kinds: of the batch's shapes and parameters; a *DataError
// that names the first row with a bad label, mask, weight or, with
// Options.Strict, score; ErrNoRows; and ctx.Err(). After an error the outputs
// are unspecified. Labels and masks of a row are checked before the row is
// written.
func (e *Evaluator[T]) Evaluate(ctx context.Context, b *Batch[T], out *Output[T]) (Result, error) {
	switch {
	case e == nil || e.loss == nil:
		return Result{}, errors.New("zlpr: Evaluator that NewEvaluator has not made")
	case ctx == nil || b == nil:
		return Result{}, errors.New("zlpr: Evaluate without a context or a batch")
	case !e.turn.Take():
		return Result{}, errors.New("zlpr: Evaluator used by two goroutines")
	}
	defer e.turn.Give()
	if out == nil {
		out = &e.none
	}
	classes := e.classes()
	classes.same = kernel.SameBits(classes.weights, b.ClassWeights)
	if err := b.check(out, &e.traits, classes.same); err != nil {
		return Result{}, err
	}
	if b.Smoothing != 0 && e.top > 0 {
		return Result{}, fieldError("Batch.Smoothing", "hard negatives are chosen among labels that are not smoothed")
	}
	if soft := b.Labels == nil && e.traits.softToo; soft && e.top > 0 {
		return Result{}, fieldError("Batch.Soft", "hard negatives are chosen among the negatives of Batch.Labels alone")
	}
	switch b := any(b).(type) {
	case *Batch[float32]:
		return e.single.evaluate(ctx, b, any(out).(*Output[float32]), nil)
	case *Batch[float64]:
		return e.double.evaluate(ctx, b, any(out).(*Output[float64]), nil)
	}
	return e.half.evaluate(e.single, ctx, b, out)
}

// classes returns what is kept of the class weights.
func (e *Evaluator[T]) classes() *jobClasses {
	if e.double != nil {
		return &e.double.job.classes
	}
	return &e.single.job.classes
}

// An engine is an Evaluator of scores of the type that is computed in.
type engine[T Float] struct {
	loss    Loss
	of      lossTraits // of the loss
	traits  lossTraits // on the labels of the batch
	opts    Options
	workers []*lossWorker[T]
	crew    *crew.Crew
	job     lossJob[T]
}

func newEngine[T Float](loss Loss, t lossTraits, opts Options) *engine[T] {
	e := &engine[T]{loss: loss, of: t, opts: opts}
	e.crew = crew.New(func(i int) { e.workers[i].run() })
	return e
}

// A lossJob is one call of Evaluate.
type lossJob[T Float] struct {
	ctx context.Context
	b   *Batch[T]
	out *Output[T]

	// The caller's, with the strides that they mean.
	batch  Batch[T]
	output Output[T]

	chunkRows, chunks int
	active            []*lossWorker[T]
	failed            atomic.Int64 // the first chunk with an error

	counting     bool         // the pass that counts rows
	factor       power.Factor // of all gradients
	maxPositives int
	classes      jobClasses
	stream       bool // the gradient goes past the caches
	halfStream   bool // that of 16 bits does

	half halfRows // 16-bit scores, which take the place of those of the batch; or nil
}

// evaluate evaluates a batch that is right.
func (e *engine[T]) evaluate(ctx context.Context, b *Batch[T], out *Output[T], half halfRows) (Result, error) {
	j := &e.job
	j.batch, j.output = *b, *out
	b, out = &j.batch, &j.output
	for _, m := range [...]*Matrix[T]{&b.Scores, &b.Soft, &b.Teacher, &out.Grad} {
		*m = m.strided()
	}
	j.ctx, j.b, j.out, j.half = ctx, b, out, half
	e.traits = e.of.on(b.Labels == nil)
	defer func() {
		j.ctx, j.b, j.out, j.half = nil, nil, nil, nil
		j.batch, j.output = Batch[T]{}, Output[T]{}
	}()
	rows, n := b.Scores.Rows, b.Scores.Cols
	j.chunkRows = max(1, min(lossChunkRows, lossChunkLen[T]()/max(n, 1)))
	if n <= kernel.ShortRow {
		j.chunkRows = (j.chunkRows + 63) &^ 63 // the bits of all rows are whole words
	}
	j.chunks = (rows + j.chunkRows - 1) / j.chunkRows
	active := max(1, min(e.opts.Workers, j.chunks))
	for i := len(e.workers); i < active; i++ {
		e.workers = append(e.workers, newLossWorker(e, i))
	}
	j.active = e.workers[:active]
	j.classes.set(n, b.ClassWeights)
	g := &out.Grad
	j.stream = kernel.Streaming() && len(g.Data) > 0 && !out.Accumulate && g.Stride == n && !same(*g, b.Scores) && rows*n >= streamBytes/4

	j.halfStream = half != nil && kernel.Streaming() && half.streams()
	j.factor = power.Factor{Value: 1}
	if out.Upstream != 0 {
		j.factor.Value = out.Upstream
	}
	if e.opts.Reduction == Mean || e.traits.mostAsked {
		j.counting = true
		total, err := e.pass()
		j.counting = false
		if err != nil {
			return Result{}, err
		}
		j.maxPositives = total.positives
		if e.opts.Reduction == Mean {
			if !(total.weight.Float64() > 0) {
				return Result{}, ErrNoRows
			}
			j.factor = j.factor.Over(&total.weight)
		}
	}
	total, err := e.pass()
	if err != nil {
		return Result{}, err
	}
	if out.Total != nil {
		out.Total.Merge(&total.Total)
	}
	return total.Result(e.opts.Reduction)
}

// lossChunkRows is the largest number of rows of a chunk.
const lossChunkRows = 1 << 11

// lossChunkLen is about how many scores a chunk has: few enough that the gradient finds
// scores, exponentials and bits in the nearest caches, and so many that what every chunk
// takes does not count.
func lossChunkLen[T Float]() int {
	if bytesOf[T]() == 4 {
		return 24 << 10
	}
	return 16 << 10
}

// jobClasses are the class weights of the last batch that was right.
type jobClasses struct {
	weights []float64 // whatever becomes of the caller's
	same    bool      // those of the batch in work are
	n       int       // classes
	number  int       // of changes so far
	off     []uint64  // classes of weight 0; nil for none
}

// set notes the weights of a batch of n classes, unless they are those of the last one: to
// compare them takes a share of the time of a few rows, so it is done once a batch, and a
// number tells all workers.
func (c *jobClasses) set(n int, given []float64) {
	if c.same && c.n == n && c.number > 0 {
		return
	}
	c.number++
	c.n, c.weights, c.off = n, append(c.weights[:0], given...), c.off[:0]
	for k, w := range given {
		if w == 0 {
			if len(c.off) == 0 {
				c.off = kernel.Resize(c.off, kernel.BitWords(n))
				clear(c.off)
			}
			c.off[k/64] |= 1 << (k % 64)
		}
	}
}

// pass runs the workers over all chunks. Every one begins with a part of its own,
// the same in every pass over as many rows: what it reads ahead is its own, and
// so is what its caches hold from the pass before.
func (e *engine[T]) pass() (*lossTotal, error) {
	j := &e.job
	j.failed.Store(math.MaxInt64)
	workers := j.active
	for i, w := range workers {
		w.total = lossTotal{}
		w.err = nil
		w.next.Store(int64(j.chunks * i / len(workers)))
		w.end = int64(j.chunks * (i + 1) / len(workers))
	}
	if err := e.crew.Run(len(workers)); err != nil {
		return nil, err
	}
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

// A lossWorker evaluates chunks, one at a time.
type lossWorker[T Float] struct {
	e      *engine[T]
	number int // of the worker

	// The next chunk of the worker's own part, and the end of that.
	next atomic.Int64
	end  int64

	chunk   chunk.Chunk[T]
	work    work[T]
	pending kernel.Copy[T] // of the last chunk's gradient to its place

	softCheck     func() error
	scores, soft  []T       // places for widened scores, and soft labels or a teacher's scores
	grad          [2][]T    // places for gradients that are not written in place
	halfGrad      [2][]T    // places for gradients of 16 bits on their way past the caches
	turn          int       // which of them is next
	loss          []float64 // losses that are not written in place
	inPlace       bool      // they are in the output already
	thresholdGrad []float64
	uniform       filled    // whether chunk.Scale is one value
	lifted        []int     // exponents of the rows' scales that chunk.Scale is without; empty: all 0
	fixed         filled    // whether chunk.Threshold is
	weight        []float64 // row weights
	bare          bareBits  // of chunk.Pos and chunk.Neg
	living        int       // so many elements of chunk.Live are true while chunk.AllLive

	top   topScratch[T]
	total lossTotal

	err      error
	errChunk int64
}

func newLossWorker[T Float](e *engine[T], number int) *lossWorker[T] {
	w := &lossWorker[T]{e: e, number: number, work: workOf[T](e.loss)}
	w.chunk.Pending = &w.pending
	return w
}

// run takes the chunks of the worker's part, then helps with those of the
// others. An error stops all workers, but not before the chunks below its own are
// done: the first error is always found.
func (w *lossWorker[T]) run() {
	j := &w.e.job
	defer w.pending.Finish()
	for i := range j.active {
		of := j.active[(w.number+i)%len(j.active)]
		for {
			k := of.next.Add(1) - 1
			if k >= of.end || k > j.failed.Load() {
				break
			}
			err := j.ctx.Err()
			if err == nil {
				err = w.do(int(k))
			}
			if err != nil {
				w.fail(k, err)
				return
			}
		}
	}
}

// fail notes the error of chunk k.
func (w *lossWorker[T]) fail(k int64, err error) {
	w.err, w.errChunk = err, k
	failed := &w.e.job.failed
	for old := failed.Load(); k < old && !failed.CompareAndSwap(old, k); {
		old = failed.Load()
	}
}

// do evaluates chunk k, or counts its rows.
func (w *lossWorker[T]) do(k int) error {
	e, j, c := w.e, &w.e.job, &w.chunk
	b := j.b
	c.First, c.Classes = k*j.chunkRows, j.classes.number
	c.Rows, c.N = min(j.chunkRows, b.Scores.Rows-c.First), b.Scores.Cols
	c.Words = kernel.BitWords(c.N)
	c.X, c.Stride = b.Scores.Data[min(c.First*b.Scores.Stride, len(b.Scores.Data)):], b.Scores.Stride
	if j.half != nil {
		w.scores = kernel.ResizeAligned(w.scores, c.Rows*c.N)
		c.X, c.Stride = w.scores, c.N
		w.halfScores()
	}
	c.Class = b.ClassWeights
	c.MostPositives = j.maxPositives
	c.Smoothing = b.Smoothing
	if err := w.read(); err != nil {
		return err
	}
	if j.counting {
		for i, live := range c.Live {
			if live {
				w.total.weight.Add(w.weight[i])
				pos, _ := c.Sides(i)
				w.total.positives = max(w.total.positives, kernel.CountBits(pos))
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
	w.prepareLoss()
	if c.N > 0 {
		w.work.Eval(c)
		if c.SoftError != nil {
			return c.SoftError
		}
	} else {
		clear(c.Loss)
	}
	w.writeGradient()
	w.sumUp()
	return nil
}
