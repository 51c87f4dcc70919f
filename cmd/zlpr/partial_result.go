package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/atomicfile"
	"github.com/zlpr/zlpr/internal/partial"
	"github.com/zlpr/zlpr/metrics"
)

// A shardInfo says which rows a partial result is of.
type shardInfo struct {
	name   string // of the scores, as the user wrote it
	first  int    // of all rows; -1: not known
	rows   int
	values [2]uint64 // the fingerprint

	file string // the partial result that has it, for messages

	info os.FileInfo // of its file, where merge found it
}

func (s *shardInfo) String() string {
	if s.first < 0 || s.rows == 0 {
		return fmt.Sprintf("%s (%s)", quoted(s.name), array.Counted(s.rows, "row"))
	}
	return fmt.Sprintf("%s (rows %d to %d)", quoted(s.name), s.first, s.first+s.rows-1)
}

func encodeShards(w *partial.Writer, shards []shardInfo) {
	w.Count(len(shards))
	for _, s := range shards {
		w.Text(s.name)
		w.Int(int64(s.first))
		w.Count(s.rows)
		w.Word(s.values[0])
		w.Word(s.values[1])
	}
}

// mostRows is above every number of rows: no sum of two overflows.
const mostRows = math.MaxInt / 4

func decodeShards(r *partial.Reader, file string) []shardInfo {
	shards := make([]shardInfo, r.Length(19))
	for i := range shards {
		s := shardInfo{name: r.Text(), first: int(r.Int()), rows: r.Count(), values: [2]uint64{r.Word(), r.Word()}, file: file}
		// Only one shard has no place.
		r.Check(s.first >= -1 && s.first < mostRows && s.rows < mostRows && (s.first >= 0 || len(shards) == 1))
		shards[i] = s
	}
	r.Check(len(shards) > 0)
	return shards
}

// A partialLoss is the loss of some rows.
type partialLoss struct {
	name string
	lossResult
}

// A partialResult is what an evaluation knows of its rows, so that with those of
// other rows it is what an evaluation of all knows.
type partialResult struct {
	version string // of the zlpr that evaluated the rows
	options []option
	k       int // of subset-padded; 0 without it
	byClass bool
	thresholdFlags
	weighs  bool
	classes int
	double  bool // float64 scores
	half    bool // float16 scores
	sparse  bool
	soft    bool
	assumed bool           // whether labels are 0 or 1, and soft by those of other shards alone
	asSoft  *partialResult // of hard labels that may be soft by those: what it is then, or nil
	shards  []shardInfo

	losses   []partialLoss
	skipped  map[string]string // why losses are left out
	softmax  *softmaxFault     // why softmax is
	metrics  []string
	measured measurer // of them, or nil
	pictured measurer // what pictures are of, where that is not the same, or nil
	shared   *metrics.GradientShares

	positives, lost int
	logits          bool
	seconds         float64
	tiers           []string
	read, chosen    []string // warnings: of files, and of the choice of metrics
	scores, labels  string   // what they are

	file *atomicfile.File // where it is written
	path string
}

// newMeasurer returns a metrics.Accumulator of nothing, to be unmarshalled.
func newMeasurer(double bool) measurer {
	if double {
		return new(metrics.Accumulator[float64])
	}
	return new(metrics.Accumulator[float32])
}

// createPartial begins the partial result, where one is asked for.
func (f *evalFlags) createPartial(s *session, e *evaluation) (*partialResult, error) {
	e.partial = f.isPart()
	first, err := f.begins(e)
	if err != nil || f.partial == "" {
		return nil, err
	}
	e.values = new(fingerprint)
	p := &partialResult{version: version(), k: e.k, byClass: f.asksClasses(), thresholdFlags: f.thresholdFlags, weighs: e.propensity != nil, classes: e.scores.classes(), double: e.scores.dtype == array.Float64, half: e.scores.dtype == array.Float16,
		sparse: e.scores.csr != nil, soft: e.labels == nil, assumed: e.assumed, metrics: e.metrics, softmax: e.softmaxFault, path: f.partial,
		shards: []shardInfo{{name: f.scores, first: first, rows: e.scores.rows()}}, tiers: []string{zlpr.Tier()}}
	if p.options, err = f.describe(); err != nil {
		return nil, err
	}
	p.file, err = s.out.create(f.partial)
	return p, err
}

// begin notes what the report has before the results: it is changed by them.
func (p *partialResult) begin(e *evaluation, report *evalReport, f *evalFlags) {
	p.skipped = map[string]string{}
	for name, reason := range report.Skipped {
		p.skipped[name] = reason
	}
	p.scores, p.labels = report.read, report.labels
	p.read, p.chosen = f.warnings, report.Warnings[len(f.warnings):]
}

// write takes in the results and writes all to the file.
func (p *partialResult) write(e *evaluation, r *evalResult) error {
	p.take(e, r)
	data, err := p.encode()
	if err == nil {
		_, err = p.file.Write(data)
	}
	return fileError(p.path, err)
}

// take takes in the results.
func (p *partialResult) take(e *evaluation, r *evalResult) {
	shard := &p.shards[0]
	shard.values = e.values.value()
	for i, l := range e.losses {
		p.losses = append(p.losses, partialLoss{l.name, r.losses[i]})
	}
	p.measured, p.pictured, p.shared, p.positives, p.lost, p.logits, p.seconds = r.measured, r.pictured, r.shared, r.positives, r.lost, r.logits, r.seconds
	p.shift(max(0, shard.first))
}

// shift adds to the numbers of rows.
func (p *partialResult) shift(by int) {
	if p.softmax != nil {
		p.softmax = &softmaxFault{p.softmax.row + by, p.softmax.positives}
	}
	for i := range p.losses {
		worst := slices.Clone(p.losses[i].worst)
		for k := range worst {
			worst[k].row += by
		}
		p.losses[i].worst = worst
	}
}

// encode returns the bytes; docs/partial.md describes them.
func (p *partialResult) encode() ([]byte, error) {
	w := partial.NewWriter(partial.Evaluation)
	texts := func(list []string) {
		w.Count(len(list))
		for _, s := range list {
			w.Text(s)
		}
	}
	block := func(m interface{ MarshalBinary() ([]byte, error) }) error {
		b, err := m.MarshalBinary()
		w.Block(b)
		return err
	}
	w.Text(p.version)
	w.Count(len(p.options))
	for _, o := range p.options {
		w.Text(o.name)
		w.Text(o.value)
		w.Text(o.digest)
		w.Bool(o.set)
	}
	w.Count(p.k)
	w.Float(p.threshold)
	w.Count(len(p.each))
	for _, v := range p.each {
		w.Float(v)
	}
	w.Bool(p.byClass)
	w.Bool(p.weighs)
	w.Count(p.classes)
	w.Bool(p.double)
	w.Bool(p.half)
	w.Bool(p.sparse)
	w.Bool(p.soft)
	encodeShards(w, p.shards)
	w.Count(len(p.losses))
	for i := range p.losses {
		l := &p.losses[i]
		w.Text(l.name)
		if err := block(&l.Total); err != nil {
			return nil, err
		}
		l.elements.Encode(w)
		encodeWorst(w, l.worst)
	}
	w.Count(len(p.skipped))
	for _, name := range slices.Sorted(maps.Keys(p.skipped)) {
		w.Text(name)
		w.Text(p.skipped[name])
	}
	w.Bool(p.softmax != nil)
	if p.softmax != nil {
		w.Count(p.softmax.row)
		w.Count(p.softmax.positives)
	}
	texts(p.metrics)
	w.Bool(p.measured != nil)
	if p.measured != nil {
		if err := block(p.measured); err != nil {
			return nil, err
		}
	}
	w.Bool(p.pictured != nil)
	if p.pictured != nil {
		if err := block(p.pictured); err != nil {
			return nil, err
		}
	}
	w.Bool(p.shared != nil)
	if p.shared != nil {
		if err := block(p.shared); err != nil {
			return nil, err
		}
	}
	w.Count(p.positives)
	w.Count(p.lost)
	w.Bool(p.logits)
	w.Float(p.seconds)
	for _, list := range [][]string{p.tiers, p.read, p.chosen, {p.scores, p.labels}} {
		texts(list)
	}
	switch {
	case p.assumed:
		w.Bool(false)
	case p.asSoft != nil:
		b, err := p.asSoft.encode()
		if err != nil {
			return nil, err
		}
		w.Bool(true)
		w.Block(b)
	}
	return w.Bytes(), nil
}

// decodePartial reads what encode wrote, from a file of that name.
func decodePartial(file string, data []byte) (*partialResult, error) {
	r, err := partial.NewReader(data, partial.Evaluation)
	if err != nil {
		return nil, err
	}
	texts := func() (list []string) {
		for range r.Length(1) {
			list = append(list, r.Text())
		}
		return list
	}
	p := &partialResult{path: file, skipped: map[string]string{}}
	p.version = r.Text()
	for range r.Length(4) {
		p.options = append(p.options, option{r.Text(), r.Text(), r.Text(), r.Bool()})
	}
	p.k, p.threshold = r.Count(), r.Float()
	for range r.Length(8) {
		p.each = append(p.each, r.Float())
	}
	p.byClass = r.Bool()
	p.weighs, p.classes, p.double, p.half, p.sparse, p.soft = r.Bool(), r.Count(), r.Bool(), r.Bool(), r.Bool(), r.Bool()
	p.shards = decodeShards(r, file)
	for range r.Length(10) {
		l := partialLoss{name: r.Text()}
		if b := r.Block(); r.Check(b != nil) {
			if err := l.UnmarshalBinary(b); err != nil {
				return nil, err
			}
		}
		l.elements.Decode(r)
		l.worst = decodeWorst(r, p.classes)
		r.Check(l.elements.Weighs())
		p.losses = append(p.losses, l)
	}
	for range r.Length(2) {
		p.skipped[r.Text()] = r.Text()
	}
	if r.Bool() {
		p.softmax = &softmaxFault{r.Count(), r.Count()}
	}
	p.metrics = texts()
	if r.Bool() {
		p.measured = newMeasurer(p.double)
		if b := r.Block(); r.Check(b != nil) {
			if err := p.measured.UnmarshalBinary(b); err != nil {
				return nil, err
			}
		}
	}
	if r.Bool() {
		p.pictured = newMeasurer(p.double)
		if b := r.Block(); r.Check(b != nil) {
			if err := p.pictured.UnmarshalBinary(b); err != nil {
				return nil, err
			}
		}
	}
	if r.Bool() {
		p.shared = new(metrics.GradientShares)
		if b := r.Block(); r.Check(b != nil) {
			if err := p.shared.UnmarshalBinary(b); err != nil {
				return nil, err
			}
		}
	}
	p.positives, p.lost, p.logits, p.seconds = r.Count(), r.Count(), r.Bool(), r.Float()
	p.tiers, p.read, p.chosen = texts(), texts(), texts()
	if about := texts(); r.Check(len(about) == 2) {
		p.scores, p.labels = about[0], about[1]
	}
	r.Check(0 < p.classes && p.classes <= 1<<30)
	if r.More() {
		if p.assumed = !r.Bool(); p.assumed {
			r.Check(p.soft)
		} else if b := r.Block(); r.Check(b != nil && !p.soft) {
			if p.asSoft, err = decodePartial(file, b); err != nil {
				return nil, err
			}
			s := p.asSoft
			r.Check(s.soft && !s.assumed && s.asSoft == nil && s.classes == p.classes && s.rows() == p.rows())
		}
	}
	return p, r.End()
}

// differs says in what two results differ so that they are not parts of one, ""
// if they do not.
func (p *partialResult) differs(o *partialResult) string {
	names := func(p *partialResult) (list []string) {
		for _, l := range p.losses {
			list = append(list, l.name)
		}
		return list
	}
	kind := func(what bool, yes, no string) string {
		if what {
			return yes
		}
		return no
	}
	all := slices.ContainsFunc(p.options, func(o option) bool { return o.name == "loss" && o.value == "all" })
	for i := range max(len(p.options), len(o.options)) {
		if i >= len(p.options) || i >= len(o.options) || p.options[i].name != o.options[i].name {
			return fmt.Sprintf("zlpr %s and zlpr %s, whose flags differ", p.version, o.version)
		}
		a, b := p.options[i], o.options[i]
		switch {
		case a.digest != b.digest:
			return fmt.Sprintf("--%s %s and %s, whose contents differ", a.name, orNone(a.value), orNone(b.value))
		case a.digest == "" && a.value != b.value:
			return fmt.Sprintf("--%s %s and %s", a.name, orNone(a.value), orNone(b.value))
		}
	}
	switch {
	case p.classes != o.classes:
		return fmt.Sprintf("%d and %s", p.classes, array.Counted(o.classes, "class"))
	case p.double != o.double:
		return kind(p.double, "float64", "float32") + " and " + kind(o.double, "float64", "float32") + " scores"
	case p.half != o.half:
		return kind(p.half, "float16", "float32") + " and " + kind(o.half, "float16", "float32") + " scores"
	case p.sparse != o.sparse:
		return kind(p.sparse, "sparse", "dense") + " and " + kind(o.sparse, "sparse", "dense") + " scores"
	case p.byClass != o.byClass:
		return kind(p.byClass, "results by class", "none") + " and " + kind(o.byClass, "results by class", "none")
	case p.soft != o.soft && p.rows() > 0 && o.rows() > 0: // of no rows, labels are neither
		return kind(p.soft, "soft", "hard") + " and " + kind(o.soft, "soft", "hard") + " labels"
	case p.k != o.k && p.k > 0 && o.k > 0:
		return fmt.Sprintf("--k %d and %d", p.k, o.k)
	case !all && !slices.Equal(names(p), names(o)):
		return fmt.Sprintf("losses %v and %v", names(p), names(o))
	case !slices.Equal(p.metrics, o.metrics) && p.rows() > 0 && o.rows() > 0:
		return fmt.Sprintf("metrics %v and %v", p.metrics, o.metrics)
	}
	return ""
}

// asks tells whether the user set an option.
func (p *partialResult) asks(name string) bool {
	return slices.ContainsFunc(p.options, func(o option) bool { return o.name == name && o.set })
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return value
}

// rows returns the number of rows.
func (p *partialResult) rows() (n int) {
	for _, s := range p.shards {
		n += s.rows
	}
	return n
}
