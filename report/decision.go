package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Better says which model a difference speaks for: 1 for B, -1 for A, 0 where it
// has no interval or the interval holds 0.
func (d *Difference) Better() int {
	sign := 0
	switch {
	case d.Low > 0:
		sign = 1
	case d.High < 0:
		sign = -1
	}
	if d.LowerIsBetter {
		sign = -sign
	}
	return sign
}

// find returns the loss or metric of that name, nil for none.
func (c *Comparison) find(name string) *Difference {
	for k := range len(c.Losses) + len(c.Metrics) {
		if d := c.at(k); d.Name == name {
			return d
		}
	}
	return nil
}

// Leading returns the name of the metric that decides where nobody chose one: micro
// F1 where it is there, else the first metric by sums or classes, else the first loss.
func (c *Comparison) Leading() string {
	if c.find("micro_f1") != nil {
		return "micro_f1"
	}
	for _, list := range [][]Difference{c.Metrics, c.Losses} {
		for _, d := range list {
			if !math.IsNaN(d.Low) {
				return d.Name
			}
		}
	}
	return c.at(0).Name
}

// Decision says in words which of the models, of these names, is better by a loss or
// metric, and by how many of the others: one sentence each.
func (c *Comparison) Decision(a, b, name string) string {
	d := c.find(name)
	if d == nil {
		return fmt.Sprintf("There is no %s.", name)
	}
	var text strings.Builder
	what := Words(name)
	values := fmt.Sprintf("%s instead of %s", digits(d.B), digits(d.A))
	interval := fmt.Sprintf("the difference is %s, %s %% interval %s to %s, p = %s",
		signed(d.Difference), digits(100*c.Confidence), signed(d.Low), signed(d.High), digits(d.P))
	switch better := d.Better(); {
	case math.IsNaN(d.Low):
		fmt.Fprintf(&text, "%s has %s %s; there is no interval", b, what, values)
		if c.Units == 1 {
			text.WriteString(" of one row, or group, alone")
		}
		text.WriteByte('.')
	case better > 0:
		fmt.Fprintf(&text, "%s is better than %s: %s %s (%s).", b, a, what, values, interval)
	case better < 0:
		fmt.Fprintf(&text, "%s is worse than %s: %s %s (%s).", b, a, what, values, interval)
	case d.Difference == 0 && d.Low == 0 && d.High == 0:
		fmt.Fprintf(&text, "%s and %s are equal: %s is %s for both.", b, a, what, digits(d.A))
	default:
		fmt.Fprintf(&text, "%s and %s cannot be told apart: %s %s (%s).", b, a, what, values, interval)
	}
	var counts [3]int
	all := 0
	for k := range len(c.Losses) + len(c.Metrics) {
		if d := c.at(k); !math.IsNaN(d.Low) {
			counts[1+d.Better()]++
			all++
		}
	}
	if all > 1 {
		fmt.Fprintf(&text, " Of %d losses and metrics %s is better by %d, worse by %d; %d cannot tell.", all, b, counts[2], counts[0], counts[1])
	}
	return text.String()
}

// Moved returns the classes whose F1 gained and lost most, at most n each, the most
// first; classes of equal F1 are in neither.
func (c *Comparison) Moved(n int) (gained, lost []ClassDifference) {
	sorted := slices.Clone(c.Classes)
	slices.SortStableFunc(sorted, func(a, b ClassDifference) int {
		switch {
		case a.Difference > b.Difference:
			return -1
		case a.Difference < b.Difference:
			return 1
		}
		return 0
	})
	for _, d := range sorted[:min(n, len(sorted))] {
		if d.Difference > 0 {
			gained = append(gained, d)
		}
	}
	slices.Reverse(sorted)
	for _, d := range sorted[:min(n, len(sorted))] {
		if d.Difference < 0 {
			lost = append(lost, d)
		}
	}
	return gained, lost
}

// Words is the name of a loss or metric as it stands in a sentence: micro F1 for
// micro_f1.
func Words(name string) string {
	words := strings.Split(name, "_")
	for i, w := range words {
		switch {
		case len(w) > 1 && w[0] == 'f' && w[1] >= '0' && w[1] <= '9', slices.Contains([]string{"auc", "ndcg", "psp", "lrap", "zlpr", "bce"}, w):
			words[i] = strings.ToUpper(w)
		}
	}
	return strings.Join(words, " ")
}

// digits returns a number in four significant digits.
func digits(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }

// signed is digits with the sign.
func signed(x float64) string {
	if x > 0 && x <= math.MaxFloat64 { // +Inf has its sign
		return "+" + digits(x)
	}
	return digits(x)
}
