package climb

import (
	"math/big"
	"slices"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/ref"
	"github.com/zlpr/zlpr/metrics"
)

// probabilities are the sigmoids of package metrics.
func probabilities[T zlpr.Float]() *Function {
	const row = "metrics: sigmoids"
	f := &Function{
		Name: "metrics.Probabilities, " + typeName[T](), single: isSingle[T](),
		Quantities: []Quantity{{"Sigmoid", 3, "ULP", row}, {"DoubleSigmoid", 3, "ULP", row}},
	}
	smallest := 0x1p-126
	if !f.single {
		smallest = 0x1p-1022
	}
	f.errors = func(in *Input, e []float64) {
		n := len(in.Scores)
		b := &metrics.Batch[T]{Scores: zlpr.Matrix[T]{Rows: 1, Cols: n, Data: narrow[T](in.Scores)}}
		for l, link := range []metrics.Link{metrics.Sigmoid, metrics.DoubleSigmoid} {
			p := zlpr.Matrix[T]{Rows: 1, Cols: n, Data: make([]T, n)}
			if err := metrics.Probabilities(p, b, link, 1); err != nil {
				panic(err)
			}
			for i, s := range in.Scores {
				want := ref.Sigmoid(ref.Mul(ref.New(s), ref.New(float64(l+1))))
				e[l] = max(e[l], relative(p.Data[i], want, want, smallest, unit[T]()))
			}
		}
	}
	return f
}

// rowMeasures are the measures of one row that package metrics computes in
// float64, over the bounds that it documents: K is that of the names, and soft
// labels are propensities.
func rowMeasures[T zlpr.Float]() *Function {
	const row = "metrics: terms computed in float64, of their bounds"
	f := &Function{Name: "metrics of a row, " + typeName[T](), single: isSingle[T](), uses: hasLabels | hasSoft | hasPicks}
	names := []string{"lrap", "ndcg_at_", "psp_at_", "psndcg_at_", "samples_f2"}
	for _, name := range names {
		f.Quantities = append(f.Quantities, Quantity{name, 1, "relative", row})
	}
	const u = 0x1p-53
	f.errors = func(in *Input, e []float64) {
		r := newRanking(in)
		k, positives := max(in.K, 1), in.Positive.count()
		if positives == 0 {
			return
		}
		suffix := string(rune('0' + k%10))
		if k > 9 {
			suffix = string(rune('0'+k/10)) + suffix
		}
		asked := slices.Clone(names)
		for i := 1; i < 4; i++ {
			asked[i] += suffix
		}
		n := len(in.Scores)
		a, err := metrics.NewAccumulator[T](n, asked, metrics.Options{Propensities: r.propensities, Workers: 1})
		if err == nil {
			err = a.Add(&metrics.Batch[T]{
				Scores: zlpr.Matrix[T]{Rows: 1, Cols: n, Data: narrow[T](in.Scores)},
				Labels: &zlpr.DenseLabels[bool]{Rows: 1, Cols: n, Data: r.positive},
			})
		}
		if err != nil {
			panic(err)
		}
		results, err := a.Results()
		if err != nil {
			panic(err)
		}
		for i, want := range []*big.Float{r.lrap(), r.ndcg(k), r.share(k, false), r.share(k, true), r.f2()} {
			terms := []float64{float64(positives + 2), float64(2 * (k + 4)), float64(k + 2), float64(2 * (k + 4)), 6}[i]
			w, _ := want.Float64()
			allowed := w*(terms*u+0x1p-52) + 0x1p-63
			e[i] = ref.AbsError(results[i].Value, want, ref.New(allowed), 1)
		}
	}
	return f
}

// A ranking is a row for measures: its classes in the order of their scores,
// the highest first, ties by the index.
type ranking struct {
	scores       []float64
	positive     []bool
	propensities []float64
	order        []int
}

func newRanking(in *Input) *ranking {
	r := &ranking{scores: in.Scores, positive: in.Positive.bools(), order: upTo(len(in.Scores))}
	for _, p := range in.Soft {
		r.propensities = append(r.propensities, max(p, 0x1p-32))
	}
	slices.SortStableFunc(r.order, func(i, j int) int {
		switch {
		case r.scores[i] > r.scores[j]:
			return -1
		case r.scores[i] < r.scores[j]:
			return 1
		}
		return 0
	})
	return r
}

func (r *ranking) lrap() *big.Float {
	sum, count := ref.New(0), 0.0
	for i := range r.scores {
		if !r.positive[i] {
			continue
		}
		count++
		positives, all := 0.0, 0.0
		for j := range r.scores {
			if r.scores[j] >= r.scores[i] {
				all++
				positives += float64(b2i(r.positive[j]))
			}
		}
		sum = ref.Add(sum, ref.Quo(ref.New(positives), ref.New(all)))
	}
	return ref.Quo(sum, ref.New(count))
}

// discount returns 1/log2(place+2), places counted from 0.
func discount(place int) *big.Float {
	return ref.Quo(ref.Ln2(), ref.Log(ref.New(float64(place+2))))
}

func (r *ranking) ndcg(k int) *big.Float {
	got, best, positives := ref.New(0), ref.New(0), 0
	for place, i := range r.order {
		if r.positive[i] {
			if positives < k {
				best = ref.Add(best, discount(positives))
			}
			positives++
		}
		if place >= k {
			continue
		}
		gain, ties := 0.0, 0.0 // the mean of the classes of that score
		for j := range r.scores {
			if r.scores[j] == r.scores[i] {
				ties++
				gain += float64(b2i(r.positive[j]))
			}
		}
		got = ref.Add(got, ref.Mul(ref.Quo(ref.New(gain), ref.New(ties)), discount(place)))
	}
	return ref.Quo(got, best)
}

// share returns the inverse propensities of the positives among the k highest,
// discounted or not, over those of the best ranking.
func (r *ranking) share(k int, discounted bool) *big.Float {
	add := func(sum *big.Float, place, i int) *big.Float {
		w := ref.Quo(ref.New(1), ref.New(r.propensities[i]))
		if discounted {
			w = ref.Mul(w, discount(place))
		}
		return ref.Add(sum, w)
	}
	got, best := ref.New(0), ref.New(0)
	var positives []int
	for place, i := range r.order {
		if r.positive[i] {
			positives = append(positives, i)
			if place < k {
				got = add(got, place, i)
			}
		}
	}
	slices.SortFunc(positives, func(i, j int) int {
		switch {
		case r.propensities[i] < r.propensities[j]:
			return -1
		case r.propensities[i] > r.propensities[j]:
			return 1
		}
		return 0
	})
	for place, i := range positives[:min(k, len(positives))] {
		best = add(best, place, i)
	}
	return ref.Quo(got, best)
}

// f2 is that of the classes with a score above 0.
func (r *ranking) f2() *big.Float {
	var hits, predicted, positives float64
	for i, s := range r.scores {
		predicted += float64(b2i(s > 0))
		positives += float64(b2i(r.positive[i]))
		hits += float64(b2i(s > 0 && r.positive[i]))
	}
	return ref.Quo(ref.New(5*hits), ref.New(4*positives+predicted))
}
