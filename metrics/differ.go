package metrics

import (
	"fmt"
	"slices"
)

// String says which classes the rule predicts: "above 0.5, at most 3".
func (r Rule) String() string {
	s := fmt.Sprintf("above %v", r.threshold)
	switch {
	case r.topOnly:
		s = fmt.Sprintf("the %d highest", r.k)
	case r.each != nil:
		s = "above a threshold a class"
	}
	if !r.topOnly && r.k > 0 {
		s += fmt.Sprintf(", at most %d", r.k)
	}
	if r.listed {
		s += ", listed ones"
	}
	return s
}

// differs says in what two states differ so that their rows have no common
// metrics, "" if they do not.
func (s *state[T]) differs(o *state[T]) string {
	a, b := &s.options, &o.options
	if s.classes != o.classes {
		return fmt.Sprintf("%d and %d classes", s.classes, o.classes)
	}
	if a.ByClass != b.ByClass {
		return "results with and without those by class"
	}
	if a.MicroBits != b.MicroBits || a.ClassBits != b.ClassBits {
		return fmt.Sprintf("bins of %d and %d bits, and of %d and %d", a.MicroBits, a.ClassBits, b.MicroBits, b.ClassBits)
	}
	if a.ZeroDivision != b.ZeroDivision {
		return fmt.Sprintf("divisions by zero that give %v and %v", a.ZeroDivision, b.ZeroDivision)
	}
	for i := range max(len(s.metrics), len(o.metrics)) {
		switch {
		case i >= len(s.metrics):
			return fmt.Sprintf("different metrics: the first has no %s", o.metrics[i].name)
		case i >= len(o.metrics):
			return fmt.Sprintf("different metrics: the second has no %s", s.metrics[i].name)
		case s.metrics[i] != o.metrics[i]:
			return fmt.Sprintf("different metrics: %s and %s", s.metrics[i].name, o.metrics[i].name)
		}
	}
	if p, q := a.Rule.String(), b.Rule.String(); p != q {
		return fmt.Sprintf("different predictions: %s and %s", p, q)
	}
	if j := differsAt(a.Rule.each, b.Rule.each); j >= 0 {
		return fmt.Sprintf("thresholds of class %d: %v and %v", j, a.Rule.each[j], b.Rule.each[j])
	}
	if a.Sparse != b.Sparse {
		return "scores of a sparse matrix and of a dense one"
	}
	if (a.Propensities == nil) != (b.Propensities == nil) {
		return "propensities and none"
	}
	if j := differsAt(a.Propensities, b.Propensities); j >= 0 {
		return fmt.Sprintf("propensities of class %d: %v and %v", j, a.Propensities[j], b.Propensities[j])
	}
	return ""
}

// differsAt returns where two lists of one length differ first, -1 if they do not.
func differsAt(a, b []float64) int {
	if len(a) != len(b) || slices.Equal(a, b) {
		return -1
	}
	for j := range a {
		if a[j] != b[j] {
			return j
		}
	}
	return -1
}
