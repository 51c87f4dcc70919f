package report

import (
	"math"
	"math/bits"

	"github.com/zlpr/zlpr/internal/exact"
)

// A Reliability accumulates how good the probabilities of a Calibration are. Its
// sums are exact, of terms that are computed in float64, those of probabilities cut
// to multiples of 2^-62; so it does not depend on the order of the elements or how
// they are split among Reliabilities that are merged.
type Reliability struct {
	of           Calibration
	edges, tops  []float64
	n            uint64
	brier, loss  exact.Sum
	bins, topped [2][numBins]sums // of equal width, of equal mass
	room         []float64
}

// sums are those of a bin.
type sums struct {
	n, positive uint64
	hi, lo      uint64 // Σ p in units of 2^-62
	vhi, vlo    uint64 // Σ p·(1-p)
}

func (s *sums) add(p float64, y bool) {
	var carry uint64
	s.n++
	if y {
		s.positive++
	}
	s.lo, carry = bits.Add64(s.lo, uint64(p*0x1p62), 0)
	s.hi += carry
	s.vlo, carry = bits.Add64(s.vlo, uint64(float64(p*(1-p))*0x1p62), 0)
	s.vhi += carry
}

func (s *sums) merge(o *sums) {
	var carry uint64
	s.n += o.n
	s.positive += o.positive
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.hi += o.hi + carry
	s.vlo, carry = bits.Add64(s.vlo, o.vlo, 0)
	s.vhi += o.vhi + carry
}

func unit(hi, lo uint64) float64 { return float64(float64(hi)*4) + float64(float64(lo)*0x1p-62) }

// NewReliability returns one of no elements. edges are those of the bins of equal
// mass of c's Values, tops, for the softmax, those of the highest ones.
func NewReliability(c Calibration, edges, tops []float64) *Reliability {
	return &Reliability{of: c, edges: edges, tops: tops}
}

// Add adds elements.
func (r *Reliability) Add(e *Elements) {
	if r.of.Link == Softmax {
		e.each(r.addRow)
		return
	}
	factor := r.of.Link.factor()
	const block = 512
	var brier, loss [block]float64
	for begin := 0; begin < len(e.S); begin += block {
		part := e.S[begin:min(begin+block, len(e.S))]
		for i, s := range part {
			y := e.Y[begin+i]
			x := factor * r.of.logit(s)
			if y {
				loss[i], _ = softplus(-x)
			} else {
				loss[i], _ = softplus(x)
			}
			p := r.of.Of(s)
			d := p
			if y {
				d = 1 - p
			}
			brier[i] = d * d
			r.bins[0][widthBin(p)].add(p, y)
			r.bins[1][massBin(r.edges, p)].add(p, y)
		}
		r.brier.AddSlice(brier[:len(part)])
		r.loss.AddSlice(loss[:len(part)])
	}
	r.n += uint64(len(e.S))
}

// addRow adds a row of one target.
func (r *Reliability) addRow(s []float64, y []bool) {
	for len(r.room) < len(s) {
		r.room = append(r.room, 0)
	}
	v := r.of.row(s, y, r.room[:len(s)])
	r.n++
	r.brier.Add((1 - v.target) * (1 - v.target))
	r.loss.Add(v.loss)
	r.bins[0][widthBin(v.target)].add(v.target, true)
	r.bins[1][massBin(r.edges, v.target)].add(v.target, true)
	r.topped[0][widthBin(v.top)].add(v.top, v.right)
	r.topped[1][massBin(r.tops, v.top)].add(v.top, v.right)
}

// Merge adds the elements of another one of the same Calibration and edges. It panics if o is nil.
func (r *Reliability) Merge(o *Reliability) {
	if o == nil {
		panic("zlpr: Merge of a nil Reliability")
	}
	r.n += o.n
	r.brier.Merge(&o.brier)
	r.loss.Merge(&o.loss)
	for k := range r.bins {
		for i := range r.bins[k] {
			r.bins[k][i].merge(&o.bins[k][i])
			r.topped[k][i].merge(&o.topped[k][i])
		}
	}
}

// Errors says how good probabilities are. With N elements, in bins of n_b,
//
//	Brier     Σ (p-y)² / N
//	LogLoss   Σ -log(p of the label) / N
//	ECE       Σ_b n_b/N · |mean p - mean y|: expected calibration error, in 15 bins
//	Bias      what a calibrated model's ECE would be by chance
//
// each within 2 ULP plus 2^-50 of its definition, but for rounding in p itself.
// For the softmax the elements are the rows: p is the probability of the target, y
// is 1; the Top ones are of the highest probability of a row, y being whether it is
// that of the target (Guo et al., "On Calibration of Modern Neural Networks",
// arXiv 1706.04599).
//
// The ECE is biased upwards: from n_b labels a mean is known but for its standard
// error, so that a model that is calibrated has not 0 but, about,
//
//	Bias = Σ_b √(2/π · Σ p(1-p)) / N
//
// (Bröcker, Smith 2007; the mean of |x| of a normal x; labels of a row as if they
// were independent). An ECE of that size says nothing against the model.
type Errors struct {
	Brier, LogLoss      float64
	ECEWidth, ECEMass   float64 // bins of equal width, of equal mass
	BiasWidth, BiasMass float64
	TopWidth, TopMass   float64 // of the softmax; else NaN
	Width, Mass         []Bin   // reliability data; of the softmax of the highest probability
	Elements            uint64
}

// A Bin is one of reliability data: of probabilities above Low, and up to High.
type Bin struct {
	Low, High             float64
	Count                 uint64
	Probability, Positive float64 // means; NaN of an empty bin
}

// Errors returns what was found. Of no elements all is NaN.
func (r *Reliability) Errors() Errors {
	n := float64(r.n)
	e := Errors{Brier: r.brier.Float64() / n, LogLoss: r.loss.Float64() / n, TopWidth: math.NaN(), TopMass: math.NaN(), Elements: r.n}
	e.ECEWidth, e.BiasWidth = calibrationError(&r.bins[0], n)
	e.ECEMass, e.BiasMass = calibrationError(&r.bins[1], n)
	shown, edges := &r.bins, r.edges
	if r.of.Link == Softmax {
		e.TopWidth, e.BiasWidth = calibrationError(&r.topped[0], n)
		e.TopMass, e.BiasMass = calibrationError(&r.topped[1], n)
		shown, edges = &r.topped, r.tops
	}
	widths := make([]float64, numBins-1)
	for k := range widths {
		widths[k] = edge(k + 1)
	}
	e.Width, e.Mass = listed(&shown[0], widths), listed(&shown[1], edges)
	return e
}

// calibrationError is the expected calibration error of bins of n elements, and its
// bias.
func calibrationError(bins *[numBins]sums, n float64) (ece, bias float64) {
	for i := range bins {
		b := &bins[i]
		ece += math.Abs(unit(b.hi, b.lo) - float64(b.positive))
		bias += math.Sqrt(2 / math.Pi * unit(b.vhi, b.vlo))
	}
	return ece / n, bias / n
}

// listed are bins as reliability data.
func listed(bins *[numBins]sums, edges []float64) []Bin {
	if len(edges) == 0 {
		return nil
	}
	list := make([]Bin, numBins)
	for i := range list {
		b := &bins[i]
		list[i] = Bin{High: 1, Count: b.n, Probability: unit(b.hi, b.lo) / float64(b.n), Positive: float64(b.positive) / float64(b.n)}
		if i > 0 {
			list[i].Low = edges[i-1]
		}
		if i < numBins-1 {
			list[i].High = edges[i]
		}
	}
	return list
}

// edge is that between bin k-1 and k of equal width, as numpy.linspace has it.
func edge(k int) float64 {
	const step = 1.0 / numBins
	return float64(k) * step
}

// widthBin is the bin of equal width that has p: the edge above it is in it.
func widthBin(p float64) int {
	i := min(int(p*numBins), numBins-1)
	for i > 0 && p <= edge(i) {
		i--
	}
	for i < numBins-1 && p > edge(i+1) {
		i++
	}
	return i
}

// massBin is the bin between edges that has p.
func massBin(edges []float64, p float64) int {
	i := 0
	for n := len(edges); n > 0; {
		half := n / 2
		if edges[i+half] < p {
			i += half + 1
			n -= half + 1
		} else {
			n = half
		}
	}
	return i
}
