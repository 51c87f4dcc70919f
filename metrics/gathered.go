package metrics

import (
	"fmt"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/partial"
)

// gathered are scores of every class, kept or in bins.
type gathered[T zlpr.Float] struct {
	classes              int
	microBits, classBits int // of the bins; 0 where scores are kept
	scores               scores[T]
	binned               binned
}

// newGathered returns one without scores. Of bins those of classes are there if
// they have bits.
func newGathered[T zlpr.Float](classes, microBits, classBits int) gathered[T] {
	g := gathered[T]{classes: classes, microBits: microBits, classBits: classBits}
	if microBits > 0 {
		g.binned = newBinned(microBits, classBits, classes, classBits > 0, 1)
	} else {
		g.scores = newScores[T](classes, true)
	}
	return g
}

// fresh returns one of the same kind without scores.
func (g *gathered[T]) fresh() gathered[T] {
	return newGathered[T](g.classes, g.microBits, g.classBits)
}

// add takes in every step-th row of a chunk, from one on.
func (g *gathered[T]) add(c *chunk[T], from, step int) {
	if g.microBits > 0 {
		addBinned(&g.binned, c, from, step)
		return
	}
	g.scores.addEvery(c, from, step)
}

// take adds the scores of o, which gives them away.
func (g *gathered[T]) take(o *gathered[T]) {
	if g.microBits > 0 {
		g.binned.take(&o.binned)
		return
	}
	g.scores.take(o.scores)
}

// merge adds the scores of o, which holds the same after it.
func (g *gathered[T]) merge(o *gathered[T]) {
	if g.microBits > 0 {
		g.binned.merge(&o.binned)
		return
	}
	g.scores.merge(o.scores)
}

// all are the scores.
func (g *gathered[T]) all() scores[T] {
	if g.microBits > 0 {
		return view[T](&g.binned)
	}
	return g.scores
}

// checkTunerBits says what is wrong with bits of bins, in which scores are counted
// after they were in others.
func checkTunerBits(microBits, classBits, wereMicro, wereClass int) error {
	o := Options{MicroBits: microBits, ClassBits: classBits}
	if classBits == 0 {
		o.ClassBits = microBits
	}
	if err := o.checkBins(); err != nil || microBits == 0 {
		return errBins
	}
	if wereMicro > 0 && (microBits != wereMicro || classBits != wereClass) {
		return fmt.Errorf("metrics: scores are in bins of %d and %d bits already", wereMicro, wereClass)
	}
	return nil
}

// count counts in bins the scores that were kept.
func (g *gathered[T]) count(microBits, classBits int) {
	if g.microBits > 0 {
		return
	}
	lists := g.scores.Lists
	*g = newGathered[T](g.classes, microBits, classBits)
	for j := range lists {
		var class *bins
		if classBits > 0 {
			class = &g.binned.class[j]
		}
		addKept(&g.binned, class, &lists[j])
		lists[j] = list[T]{}
	}
}

func (g *gathered[T]) encode(w *partial.Writer) {
	w.Count(g.microBits)
	w.Count(g.classBits)
	if g.microBits > 0 {
		g.binned.encode(w)
	} else {
		g.scores.encode(w)
	}
}

// decodeGathered reads the scores of that many classes.
func decodeGathered[T zlpr.Float](r *partial.Reader, classes int) (g gathered[T]) {
	micro, class := r.Count(), r.Count()
	ok := micro == 0 && class == 0 || checkTunerBits(micro, class, 0, 0) == nil
	perClass := 3
	if micro > 0 && class == 0 {
		perClass = 0
	}
	if !r.Check(ok && classes <= mostClasses && r.Fits(classes, perClass)) {
		return g
	}
	g = newGathered[T](classes, micro, class)
	if micro > 0 {
		g.binned.decode(r)
	} else {
		g.scores.decode(r)
	}
	return g
}
