package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/zlpr/zlpr/cmd/zlpr/internal/figure"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/page"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/atomicfile"
	"github.com/zlpr/zlpr/internal/named"
	"github.com/zlpr/zlpr/metrics"
)

// draw draws the plots and writes the pages.
func (f *evalFlags) draw(e *evaluation, report *evalReport, bins []metrics.ScoreBin, plots, pages map[string]*atomicfile.File, s *session) error {
	if len(f.plots) == 0 && !f.asksPage() {
		return nil
	}
	byClass := report.ByClass
	if !f.asksClasses() {
		report.ByClass = nil // is the page's alone
	}
	if len(plots) > 0 {
		if err := writePlots(plots, slices.Collect(maps.Keys(plots)), histogramOf(bins, f.shownThreshold())); err != nil {
			return err
		}
	}
	if !f.asksPage() {
		return nil
	}
	return f.writePage(s, f.page(e, report, byClass, bins), pages)
}

// shownThreshold is that of all classes, NaN where every row, or class, has its own.
func (f *evalFlags) shownThreshold() float64 {
	if f.thresholdColumn >= 0 || f.each != nil || f.predictTop > 0 {
		return math.NaN()
	}
	return f.threshold
}

// page is the page of an evaluation; without bins, of one that kept no scores, it
// has no pictures.
func (f *evalFlags) page(e *evaluation, r *evalReport, byClass []classReport, bins []metrics.ScoreBin) *page.Page {
	p := &page.Page{Title: "Evaluation of " + quoted(e.files["scores"]), Warnings: r.Warnings, Inputs: pageInputs(r.Inputs),
		Parameters: r.Parameters.shown(),
		Time:       fmt.Sprintf("%s s for %s elements", short(float64(r.Seconds)), grouped(r.Rows*r.Classes))}
	losses, measures := r.lossTable(), metricTables(r)
	parts := page.Part{Title: "Losses and measures", Tables: append([]page.Table{losses}, measures...)}
	p.Parts = append(p.Parts, parts)
	if bins != nil {
		p.Parts = append(p.Parts, f.pictures(e, r, bins))
	}
	if len(r.worst) > 0 {
		p.Parts = append(p.Parts, e.worstPart(r.worst))
	}
	if len(byClass) > 0 {
		p.Parts = append(p.Parts, classPart(byClass))
	}
	p.Decision = f.decision(r, byClass)
	return p
}

// decision says what follows from the numbers.
func (f *evalFlags) decision(r *evalReport, byClass []classReport) (lines []string) {
	size := groupedOf(r.Rows, "row") + " of " + groupedOf(r.Classes, "class")
	value := func(name string) (float64, bool) {
		v, ok := r.Metrics[name]
		return float64(v), ok && float64(v) == float64(v)
	}
	f1, ok := value("micro_f1")
	if len(r.order) == 0 {
		return append(lines, "No row counts, of "+size+".")
	}
	if !ok {
		first := r.order[0]
		lines = append(lines, fmt.Sprintf("%s: %s a row, over %s", first, short(float64(r.Losses[first].Mean)), size))
	} else {
		text := fmt.Sprintf("micro F1 %.4f", f1)
		if macro, ok := value("macro_f1"); ok {
			text += fmt.Sprintf(", macro F1 %.4f", macro)
		}
		lines = append(lines, text+", over "+size)
	}
	precision, okP := value("micro_precision")
	recall, okR := value("micro_recall")
	if okP && okR && precision+recall > 0 {
		numbers := fmt.Sprintf("precision %.3f, recall %.3f", precision, recall)
		switch {
		case precision > 1.25*recall:
			lines = append(lines, "Too few classes are predicted: "+numbers+".")
		case recall > 1.25*precision:
			lines = append(lines, "Too many classes are predicted: "+numbers+".")
		default:
			lines = append(lines, "Precision and recall are in balance: "+numbers+".")
		}
	}
	if hint := r.hint(); hint != "" {
		lines = append(lines, strings.ToUpper(hint[:1])+hint[1:]+".")
	}
	never, positives := 0, 0
	for _, c := range byClass {
		if c.Support > 0 {
			positives++
			if c.TruePositives == 0 {
				never++
			}
		}
	}
	if never > 0 {
		lines = append(lines, fmt.Sprintf("Of %s with positives %s %s never found.", groupedOf(positives, "class"), grouped(never), map[bool]string{true: "is", false: "are"}[never == 1]))
	}
	return lines
}

// pictures are the scores, the precision by the recall and the reliability.
func (f *evalFlags) pictures(e *evaluation, r *evalReport, bins []metrics.ScoreBin) page.Part {
	part := page.Part{Title: "Scores"}
	if e.microBits > 0 {
		part.Note = fmt.Sprintf("The pictures are of scores in bins of %d bits.", e.microBits)
	}
	addFigure(&part, histogramOf(bins, f.shownThreshold()), "Each histogram has area 1. Good scores lie apart, with the threshold between them.")
	if curve := precisionRecall("all thresholds", bins); len(curve.X) > 0 {
		plot := figure.Lines("Precision by recall, over all labels", "recall", "precision", false, curve)
		plot.Unit()
		caption := "Every threshold is a point."
		precision, okP := r.Metrics["micro_precision"]
		recall, okR := r.Metrics["micro_recall"]
		if okP && okR && !math.IsNaN(float64(precision+recall)) {
			caption = "Every threshold is a point; the dot is what is predicted now."
			plot.Mark("as predicted", float64(recall), float64(precision))
		}
		addFigure(&part, plot, caption)
	}
	if len(bins) == 0 || !slices.ContainsFunc(r.order, func(name string) bool { return !named.OneTarget(name) }) {
		return part
	}
	one, eceOne := reliability("sigmoid(s)", 1, bins)
	two, eceTwo := reliability("sigmoid(2s)", 2, bins)
	plot := figure.Reliability("Reliability, if the scores are made probabilities", one, two)
	caption := fmt.Sprintf("15 bins of equal width. Expected calibration error %.4f by sigmoid(s), %.4f by sigmoid(2s); zlpr calibrate says more.", eceOne, eceTwo)
	addFigure(&part, plot, caption)
	return part
}

// reliability returns how often classes are positive by the probability
// sigmoid(scale·s), s being the middle of a bin of scores, in 15 bins of equal width,
// and the expected calibration error: the mean distance of the two, weighted by the
// bins' sizes.
func reliability(name string, scale float64, bins []metrics.ScoreBin) (figure.Curve, float64) {
	const width = 15
	var count, hits, sum [width]float64
	total := 0.0
	for _, b := range bins {
		s := b.Low
		if b.Low < b.High {
			s = b.Low/2 + b.High/2
		}
		p := 1 / (1 + math.Exp(-scale*s))
		k := min(width-1, int(p*width))
		weight := b.Negative + b.Positive
		count[k] += weight
		hits[k] += b.Positive
		sum[k] += p * weight
		total += weight
	}
	c := figure.Curve{Name: name}
	apart := 0.0
	for k := range width {
		if count[k] > 0 {
			x, y := sum[k]/count[k], hits[k]/count[k]
			c.X, c.Y = append(c.X, x), append(c.Y, y)
			apart += count[k] * math.Abs(x-y)
		}
	}
	return c, apart / total
}

// classPart is the table by class, the worst first.
func classPart(byClass []classReport) page.Part {
	worst := (&evalReport{ByClass: byClass, show: page.MaxClasses}).worstClasses()
	t := &page.Classes{All: len(byClass), Named: byClass[0].Name != nil, Head: []page.Column{{Name: "support", Help: "positives"}, {Name: "tp", Help: "true positives"},
		{Name: "fp", Help: "false positives"}, {Name: "fn", Help: "false negatives"}, {Name: "precision", Bar: true}, {Name: "recall", Bar: true},
		{Name: "F1", Bar: true}, {Name: "AP", Help: "average precision"}, {Name: "AUC"}, {Name: "threshold"},
		{Name: "gradient", Help: "share of the loss's gradient"}}}
	for _, c := range worst {
		name := ""
		if c.Name != nil {
			name = *c.Name
		}
		t.Rows = append(t.Rows, page.Class{Class: c.Class, Name: name, Values: []float64{float64(c.Support), float64(c.TruePositives),
			float64(c.FalsePositives), float64(c.FalseNegatives), float64(c.Precision), float64(c.Recall), float64(c.F1), c.AveragePrecision.Value,
			c.AUC.Value, float64(c.Threshold), float64(c.GradShare)}})
	}
	part := page.Part{Title: "Classes, the worst first", Classes: t}
	if t.All > len(t.Rows) {
		part.Note = fmt.Sprintf("The worst %s of %s classes; eval --by-class writes all.", grouped(len(t.Rows)), grouped(t.All))
	}
	return part
}

// worstPart shows rows with their labels and highest scores, where these are known.
func (e *evaluation) worstPart(worst []worstRow) page.Part {
	t := page.Table{Head: []string{"row", "loss"}}
	part := page.Part{Title: "Rows of the highest loss", Note: "The highest scores of each; what is a label has a tick."}
	for _, w := range worst {
		row := page.Row{Row: strconv.Itoa(w.row), Loss: short(w.loss)}
		if e.scores.name != "" { // else it is in a partial result
			file, place := e.where("scores", w.row, -1)
			row.Row = strings.TrimPrefix(place, "row ")
			if file != e.files["scores"] {
				row.Row += " of " + quoted(file)
			}
		}
		t.Rows = append(t.Rows, page.Texts(row.Row, row.Loss))
		if w.seen == nil {
			continue
		}
		row.More = w.seen.more
		for _, j := range w.seen.labels {
			row.Labels = append(row.Labels, e.className(j))
		}
		for _, v := range w.seen.top {
			row.Top = append(row.Top, page.Score{Class: e.className(v.class), Score: short(v.score), Positive: v.positive})
		}
		part.Rows = append(part.Rows, row)
	}
	if len(part.Rows) < len(worst) {
		return page.Part{Title: part.Title, Tables: []page.Table{t}}
	}
	return part
}

// className is the name of a class, or its number.
func (e *evaluation) className(j int) string {
	if e.names != nil {
		return e.names[j]
	}
	return strconv.Itoa(j)
}

// lossTable is the losses, and those that were left out.
func (r *evalReport) lossTable() page.Table {
	t := page.Table{Head: []string{"loss", "mean", "sum", "min", "max"}}
	if r.elements {
		t.Head = append(t.Head, "mean of elements")
	}
	for _, name := range r.order {
		l := r.Losses[name]
		row := page.Texts(name, short(float64(l.Mean)), short(float64(l.Sum)), short(float64(l.Min)), short(float64(l.Max)))
		if l.MeanClasses != nil {
			row = append(row, page.Cell{Text: short(float64(*l.MeanClasses))})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// A tableRows takes the rows of a table, for a page.
type tableRows [][]string

func (t *tableRows) row(cells ...string) { *t = append(*t, cells) }

// metricTables are the metrics: those with averages, and the others.
func metricTables(r *evalReport) []page.Table {
	var rows tableRows
	writeMetrics(&rows, r.results)
	averages, others := page.Table{}, page.Table{Head: []string{"metric", ""}}
	for _, row := range rows {
		switch {
		case row[0] == "metric":
			averages.Head = row
		case len(row) > 2:
			averages.Rows = append(averages.Rows, page.Texts(row...))
		default:
			others.Rows = append(others.Rows, page.Texts(row...))
		}
	}
	var tables []page.Table
	if len(averages.Rows) > 0 {
		tables = append(tables, averages)
	}
	for rows := range slices.Chunk(others.Rows, 16) { // side by side
		tables = append(tables, page.Table{Head: others.Head, Rows: rows})
	}
	return tables
}

// pageInputs are the inputs as a page shows them.
func pageInputs(inputs []inputReport) (list []page.Input) {
	for _, in := range inputs {
		v := page.Input{Part: strings.ReplaceAll(in.Part, "_", " "), Name: in.Name, Format: in.Format, Type: in.Type, Shape: array.ShapeString(in.Shape), SHA256: in.SHA256}
		if in.Listed != nil {
			v.Shape += fmt.Sprintf(", %s listed", grouped(*in.Listed))
		}
		list = append(list, v)
		for _, file := range in.Files {
			list = append(list, page.Input{Name: file.Name, Format: file.Format, Shape: groupedOf(file.Rows, "row"), SHA256: file.SHA256})
		}
	}
	return list
}

// shown are the options as a page shows them: those that have a value.
func (p *evalParameters) shown() (list [][2]string) {
	add := func(name, value string) { list = append(list, [2]string{name, value}) }
	count := func(name string, n *int) {
		if n != nil {
			add(name, strconv.Itoa(*n))
		}
	}
	add("s0", short(float64(p.S0)))
	count("K", p.K)
	if p.Threshold != nil {
		add("predicted above", short(float64(*p.Threshold)))
	}
	if p.Thresholds != nil {
		add("predicted above", "a threshold for each class")
	}
	count("predicted: the highest", p.Top)
	count("threshold column", p.ThresholdColumn)
	if p.Gamma != 1 {
		add("γ", short(float64(p.Gamma)))
	}
	if p.Margin != 0 {
		add("margin", short(float64(p.Margin)))
	}
	if p.Focal != 0 {
		add("focal exponent", short(float64(p.Focal)))
	}
	for _, o := range []struct {
		name  string
		value *number
	}{{"γ of the positives", p.GammaPositive}, {"γ of the negatives", p.GammaNegative}, {"shift", p.Shift},
		{"temperature of the positives", p.PositiveTemperature}, {"temperature of the negatives", p.NegativeTemperature}, {"β", p.Beta}} {
		if o.value != nil {
			add(o.name, short(float64(*o.value)))
		}
	}
	if p.Smoothing != 0 {
		add("smoothing", short(float64(p.Smoothing)))
	}
	if p.Temperature != nil {
		add("temperature of the teacher", short(float64(*p.Temperature)))
	}
	if p.PositiveWeight != nil {
		add("positive weight", short(float64(*p.PositiveWeight)))
	}
	count("negatives: the highest", p.TopNegatives)
	count("scores: the highest", p.TopScores)
	if p.Strict {
		add("strict", "yes")
	}
	if q := p.Propensities; q != nil {
		add("propensities", fmt.Sprintf("A = %v, B = %v", float64(q.A), float64(q.B)))
	}
	return list
}

// grouped is a count with its thousands apart.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// groupedOf is a number of things: "1 row", "12,000 rows".
func groupedOf(n int, thing string) string {
	_, what, _ := strings.Cut(array.Counted(n, thing), " ")
	return grouped(n) + " " + what
}
