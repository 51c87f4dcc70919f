package zlpr

import "github.com/zlpr/zlpr/internal/kernel"

// A wideChunk evaluates float32 scores with the kernels of float64: for a γ with
// which γ·s would leave the range of float32 where it counts.
type wideChunk struct {
	chunk   lossChunk[float64]
	factors classFactors[float64]
	x, soft []float64
	grad    []float64
}

// evalWide is evalGeneral by way of float64.
func evalWide(c *lossChunk[float32], rule *sideRule) {
	if c.scratch.general.wide == nil {
		c.scratch.general.wide = new(wideChunk)
	}
	w := c.scratch.general.wide
	widen := func(dst []float64, src []float32, stride int) []float64 {
		dst = kernel.Resize(dst, c.rows*c.n)
		for i := range c.rows {
			for j, v := range src[i*stride:][:c.n] {
				dst[i*c.n+j] = float64(v)
			}
		}
		return dst
	}
	w.x = widen(w.x, c.x, c.stride)
	w.factors.begin(c.classWeights)
	d := &w.chunk
	*d = lossChunk[float64]{
		first: c.first, rows: c.rows, n: c.n, x: w.x, stride: c.n,
		words: c.words, pos: c.pos, neg: c.neg, live: c.live, target: c.target,
		threshold: c.threshold, zeroThreshold: c.zeroThreshold, classWeights: c.classWeights, factors: &w.factors,
		loss: c.loss, scale: c.scale, thresholdGrad: c.thresholdGrad, scratch: d.scratch,
	}
	if rule.soft {
		w.soft = widen(w.soft, c.soft, c.softStride)
		d.soft, d.softStride = w.soft, c.n
	}
	if c.grad != nil {
		w.grad = kernel.Resize(w.grad, c.rows*c.n)
		d.grad, d.gradStride = w.grad, c.n
	}
	c.uniform.spoil() // its scale is that of d
	evalGeneral(d, rule)
	if c.grad != nil {
		for i := range c.rows {
			out := c.gradRow(i)
			for j, v := range w.grad[i*c.n:][:c.n] {
				out[j] = float32(v)
			}
		}
	}
}
