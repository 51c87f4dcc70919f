package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/partial"
	"github.com/zlpr/zlpr/internal/source"
	"github.com/zlpr/zlpr/internal/sparse"
	"github.com/zlpr/zlpr/metrics"
)

// mergeFlags are the flags of merge.
type mergeFlags struct {
	files   []string
	out     string
	missing string
	json    bool
	classFlags
	pageFlags
}

func newMerge(s *session) *cobra.Command {
	var f mergeFlags
	cmd := &cobra.Command{
		Use:   "merge FILE...",
		Short: "The report of all rows, from partial results",
		Long: `Merges what zlpr eval --partial wrote of shards, and prints the report that zlpr
eval prints of all their rows: the same bits, whatever the split and the order.
The files may be results of merging, too. What cannot be parts of one whole is
an error that says why: other options or classes, rows twice, another version.

Shards that have no --first-row follow one another in the natural order of their
names, as a pattern puts them. With --loss all the losses that every part has
are reported.

Files of zlpr scan are merged to one of all labels.`,
		Example: `  zlpr merge part-*.zlpr --json
  zlpr merge 'out/part-*.zlpr' --out all.zlpr
  zlpr merge part-*.zlpr --missing manifest.json
  zlpr merge scan-*.zlpr --out scan.zlpr`,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), s) },
	}
	f.table().declare(cmd, s, f.check)
	return cmd
}

func (f *mergeFlags) table() flagTable {
	*f = mergeFlags{}
	return append(flagTable{
		{name: "partials", to: &f.files, file: input, arg: true, doc: "partial results: `files` or patterns"},
		{name: "out", to: &f.out, file: output, doc: "write what was merged to this `file`, which can be merged again"},
		{name: "missing", to: &f.missing, file: input, doc: "print the shards of this `manifest` that are in no file, one a line, and no\nreport"},
		{name: "by-class", to: &f.byClass, file: output, ends: []string{".csv"}, doc: "write the results of every class to this .csv `file`; eval needs it, or\n--classes, too"},
		{name: "classes", to: &f.worst, none: true, doc: "print the `N` worst classes"},
		{name: "names", to: &f.names, file: input, doc: "`file` with the names of the classes: one a line, or a JSON list"},
		{name: "json", to: &f.json, doc: "print one JSON object"},
	}, f.pageFlags.table()...)
}

func (f *mergeFlags) check() error {
	if len(f.files) == 0 {
		return usagef("give the partial results to merge: zlpr merge part-*.zlpr")
	}
	if f.missing != "" && (f.out != "" || f.asksPage() || f.asksClasses()) {
		return usagef("--missing prints what is missing, and no report; leave --out, --by-class, --classes, --names, --html and --markdown away")
	}
	return nil
}

// maxPartial is how long a partial result may be, in bytes.
const maxPartial = 1 << 36

// readPartial reads the bytes of a partial result.
func readPartial(name string) ([]byte, error) {
	in := os.Stdin
	if name != array.Stdin {
		var err error
		if in, err = os.Open(name); err != nil {
			return nil, fileError(name, err)
		}
		defer in.Close()
	}
	var head [4]byte // before anything long is read
	n, err := io.ReadFull(in, head[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fileError(name, err)
	}
	if n < len(head) || !partial.Is(head[:]) {
		return nil, array.Faultf(name, "no partial result; zlpr eval --partial writes them")
	}
	rest, err := io.ReadAll(io.LimitReader(in, maxPartial))
	return append(head[:], rest...), fileError(name, err)
}

func (f *mergeFlags) run(ctx context.Context, s *session) error {
	files, err := expand(f.files)
	if err != nil {
		return err
	}
	parts, scans := newForms(), &merger{}
	for _, file := range files {
		data, err := readPartial(file)
		if err != nil {
			return err
		}
		kind, err := partial.KindOf(data)
		switch {
		case err != nil:
		case kind == partial.Scan && parts.last == "":
			err = scans.addScan(file, data)
		case kind == partial.Evaluation && scans.scan == nil:
			err = parts.add(file, data)
		case kind == partial.Scan || kind == partial.Evaluation:
			err = fmt.Errorf("%v among other files; merge the ones and the others apart", kind)
		default:
			err = fmt.Errorf("%v; zlpr merge takes what zlpr eval --partial and zlpr scan write", kind)
		}
		if err != nil {
			return array.Named(file, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if f.missing != "" {
		return f.listMissing(s, append(parts.shards(), scans.shards...))
	}
	if scans.scan != nil {
		if err := scans.place(); err != nil {
			return err
		}
		return f.finishScan(s, scans)
	}
	m, err := parts.merged()
	if err != nil {
		return err
	}
	return f.finish(s, m)
}

// expand returns the files that names and patterns stand for.
func expand(names []string) (files []string, err error) {
	for _, name := range names {
		if !array.IsPattern(name) {
			files = append(files, name)
			continue
		}
		found, err := array.Match(name)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	return files, nil
}

// A merger merges partial results as they come.
type merger struct {
	parts    []*partialResult // without what is merged
	first    *partialResult   // the first of them that has rows, if one has
	shards   []*shardInfo
	sum      map[string]*lossResult // of losses that all have
	whole    measurer
	pictured measurer
	shares   *metrics.GradientShares
	k        int
	seen     map[string]*shardInfo     // by name, rows and fingerprint
	files    map[sighting][]*shardInfo // those whose files are here
	asSoft   *merger                   // of the same parts with labels as soft ones, or nil

	scan *metrics.LabelScan
}

// know notes shards, and refuses one that is there already.
func (m *merger) know(shards []shardInfo) error {
	if m.seen == nil {
		m.seen, m.files = map[string]*shardInfo{}, map[sighting][]*shardInfo{}
	}
	for i := range shards {
		s := &shards[i]
		key := fmt.Sprintf("%s\x00%d\x00%x", filepath.Clean(s.name), s.rows, s.values)
		if o := m.seen[key]; o != nil && s.rows > 0 {
			return fmt.Errorf("%s is in %s already: the same name, number of rows and values; merge it once", s, quoted(o.file))
		}
		found, here := s.look()
		for _, o := range m.files[found] {
			if here && s.rows > 0 && os.SameFile(s.info, o.info) {
				return fmt.Errorf("%s is %s by another name, which is in %s already; merge it once", s, quoted(o.name), quoted(o.file))
			}
		}
		if here {
			m.files[found] = append(m.files[found], s)
		}
		m.seen[key] = s
		m.shards = append(m.shards, s)
	}
	return nil
}

// A sighting is what shards agree in whose scores are one file, of which one is a link: the
// same values, and the file where it is here. Different files may have the same values:
// those of padded rows do.
type sighting struct {
	key        string
	rows       int
	values     [2]uint64
	size, time int64
}

// look looks for the file of a shard, and reports whether it is here.
func (s *shardInfo) look() (sighting, bool) {
	path, key := array.Split(s.name)
	info, err := os.Stat(path)
	if err != nil {
		return sighting{}, false
	}
	s.info = info
	return sighting{key, s.rows, s.values, info.Size(), info.ModTime().UnixNano()}, true
}

// add merges a partial evaluation.
func (m *merger) add(p *partialResult) error {
	if m.first != nil {
		if what := m.first.differs(p); what != "" {
			return fmt.Errorf("cannot be merged with %s: %s", quoted(m.first.path), what)
		}
	}
	if err := m.know(p.shards); err != nil {
		return err
	}
	switch {
	case m.first == nil || m.first.rows() == 0: // then nothing is merged yet
		m.first = p
		m.sum = map[string]*lossResult{}
		for i := range p.losses {
			l := p.losses[i].lossResult
			l.worst = nil
			m.sum[p.losses[i].name] = &l
		}
		m.whole, m.pictured, m.shares = p.measured, p.pictured, p.shared
	case p.rows() > 0:
		have := map[string]bool{}
		for i := range p.losses {
			l := &p.losses[i]
			if sum := m.sum[l.name]; sum != nil {
				have[l.name] = true
				sum.Merge(&l.Total)
				sum.elements.Merge(&l.elements)
			}
		}
		maps.DeleteFunc(m.sum, func(name string, _ *lossResult) bool { return !have[name] })
		if err := m.measure(p); err != nil {
			return err
		}
		if m.pictured == nil || p.pictured == nil {
			m.pictured = nil // pictures are of all rows, or not there
		} else if err := mergeMeasurers(m.pictured, p.pictured); err != nil {
			return err
		}
		if m.shares != nil && p.shared != nil {
			if err := m.shares.Merge(p.shared); err != nil {
				return err
			}
		}
	}
	m.k = max(m.k, p.k)
	m.parts = append(m.parts, p)
	p.measured, p.pictured, p.shared = nil, nil, nil
	for i := range p.losses {
		p.losses[i].lossResult = lossResult{worst: p.losses[i].worst}
	}
	return nil
}

// measure merges the metrics of p.
func (m *merger) measure(p *partialResult) error {
	if (m.whole == nil) != (p.measured == nil) {
		return errors.New("metrics, and none in the files before; evaluate all alike")
	}
	if m.whole == nil {
		return nil
	}
	// Where rows are many, areas are of scores in bins.
	rows := p.rows()
	for _, o := range m.parts {
		rows += o.rows()
	}
	if tooMany(rows, p.classes) && !p.asks("area-bits") {
		micro, class := binBits(p.half)
		if err := errors.Join(m.whole.CountScores(micro, class), p.measured.CountScores(micro, class)); err != nil {
			return err
		}
	}
	return mergeMeasurers(m.whole, p.measured)
}

// mergeMeasurers merges the metrics of o, of the same type of scores, into m.
func mergeMeasurers(m, o measurer) error {
	if m, ok := m.(*metrics.Accumulator[float32]); ok {
		return m.Merge(o.(*metrics.Accumulator[float32]))
	}
	return m.(*metrics.Accumulator[float64]).Merge(o.(*metrics.Accumulator[float64]))
}

// place gives every shard its first row: as it says, or, where none does, one
// after another in the natural order of their names.
func (m *merger) place() error {
	var loose []*shardInfo
	for _, s := range m.shards {
		if s.first < 0 {
			loose = append(loose, s)
		}
	}
	switch {
	case len(loose) == 1:
		loose[0].first = 0 // among others, that of the first
	case len(loose) > 0 && len(loose) < len(m.shards):
		return array.Faultf(loose[0].file, "does not say which of all rows its first one is, as others do; give --first-row to all, or to none")
	case len(loose) > 0:
		slices.SortStableFunc(loose, func(a, b *shardInfo) int {
			return cmp.Or(array.Natural(a.name, b.name), cmp.Compare(a.values[0], b.values[0]))
		})
		at := 0
		for _, s := range loose {
			s.first = at
			at += s.rows
		}
	}
	slices.SortStableFunc(m.shards, func(a, b *shardInfo) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.rows, b.rows))
	})
	for i, s := range m.shards {
		if i > 0 {
			if o := m.shards[i-1]; o.first+o.rows > s.first {
				return array.Faultf(s.file, "%s has rows of %s, which is in %s; give every row once (--first-row)", s, o, quoted(o.file))
			}
		}
	}
	// The numbers of rows of parts that had no place.
	for _, p := range m.parts {
		if slices.Contains(loose, &p.shards[0]) {
			p.shift(p.shards[0].first)
		}
	}
	slices.SortStableFunc(m.parts, func(a, b *partialResult) int {
		return cmp.Or(cmp.Compare(a.shards[0].first, b.shards[0].first), cmp.Compare(a.rows(), b.rows()))
	})
	return nil
}

// gaps are warnings of rows that no shard has.
func (m *merger) gaps() (warnings []string) {
	const most = 5
	at, gaps := 0, 0
	for _, s := range m.shards {
		if s.first > at {
			if gaps++; gaps <= most {
				warnings = append(warnings, fmt.Sprintf("rows %d to %d are in no file", at, s.first-1))
			}
		}
		at = max(at, s.first+s.rows)
	}
	if gaps > most {
		warnings = append(warnings, fmt.Sprintf("%d more gaps between the rows; --missing lists the shards that are not there", gaps-most))
	}
	return warnings
}

// merged is the partial result of all.
func (m *merger) merged() *partialResult {
	first := m.first
	p := &partialResult{version: version(), options: first.options, k: m.k, weighs: first.weighs, classes: first.classes, double: first.double,
		half: first.half, sparse: first.sparse, soft: first.soft, skipped: map[string]string{}, metrics: first.metrics, measured: m.whole, pictured: m.pictured,
		shared: m.shares, byClass: first.byClass, thresholdFlags: first.thresholdFlags}
	for _, s := range m.shards {
		p.shards = append(p.shards, *s)
	}
	add := func(to *[]string, list []string) {
		for _, s := range list {
			if !slices.Contains(*to, s) {
				*to = append(*to, s)
			}
		}
	}
	for _, o := range m.parts {
		if o.rows() == 0 && o != first { // of no rows, labels are neither hard nor soft
			continue
		}
		for _, l := range o.losses {
			if sum := m.sum[l.name]; sum != nil {
				sum.merge(&lossResult{worst: l.worst})
			}
		}
		for name, reason := range o.skipped {
			if p.skipped[name] == "" {
				p.skipped[name] = reason
			}
		}
		if o.softmax != nil && !p.soft && (p.softmax == nil || o.softmax.row < p.softmax.row) { // a part may be of rows far apart
			p.softmax = o.softmax
		}
		p.positives += o.positives
		p.lost += o.lost
		p.logits = p.logits || o.logits
		p.seconds += o.seconds
		add(&p.tiers, o.tiers)
		add(&p.read, o.read)
		add(&p.chosen, o.chosen)
	}
	if p.softmax != nil {
		p.softmax.skip(p.skipped)
	}
	for _, l := range first.losses {
		if sum := m.sum[l.name]; sum != nil {
			p.losses = append(p.losses, partialLoss{l.name, *sum})
		}
	}
	if m.asSoft != nil && m.asSoft.first.soft {
		p.asSoft = m.asSoft.merged()
	}
	slices.Sort(p.tiers)
	p.scores = fmt.Sprintf("%s of %s", array.Counted(len(m.parts), "partial result"), array.Counted(len(m.shards), "shard"))
	p.labels = "as evaluated"
	return p
}

// finish reports what was merged.
func (f *mergeFlags) finish(s *session, m *merger) error {
	var flags evalFlags
	if err := flags.restore(s, m.parts[0].options); err != nil {
		return array.Named(m.parts[0].path, err)
	}
	gaps := m.gaps()
	p := m.merged()
	if f.asksClasses() && !p.byClass {
		return array.Faultf(m.parts[0].path, "has no results by class; evaluate the shards with --classes, too")
	}
	out, err := s.out.createAll(f.out, f.html, f.markdown)
	if err != nil {
		return err
	}
	if w := out[f.out]; w != nil {
		data, err := p.encode()
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			return fileError(f.out, err)
		}
	}
	e, result := p.evaluation(&flags)
	e.pictures = f.asksPage()
	e.partial = f.out != "" // a part of all may have no row that counts
	flags.byClass, flags.names = f.byClass, f.names
	if err := flags.openNames(e); err != nil {
		return err
	}
	table, err := flags.createClasses(s)
	if err != nil {
		return err
	}
	e.files = map[string]string{"scores": m.parts[0].path, "labels": m.parts[0].path}
	// As evaluate does it.
	if err := e.conclude(result); err != nil {
		return array.Named(m.parts[0].path, err)
	}
	report := &evalReport{Skipped: p.skipped, Tier: strings.Join(p.tiers, ", "), Version: version(), read: p.scores, labels: p.labels}
	report.Warnings = slices.Concat(p.read, p.chosen, gaps)
	if err := report.fill(e, result); err != nil {
		return array.Named(m.parts[0].path, err)
	}
	if e.byClass {
		if report.show = f.worst; report.show == 0 {
			report.show = shownClasses
		}
		if err := report.fillClasses(e, result, table); err != nil {
			return err
		}
	}
	for _, o := range m.parts {
		report.Inputs = append(report.Inputs, inputReport{Part: "partial", Name: o.path, Format: "zlpr", Type: e.scores.dtype.String(), Shape: []int{o.rows(), o.classes}})
	}
	report.Parameters = flags.parameters(e)
	if f.asksPage() {
		p := flags.page(e, report, report.ByClass, result.bins)
		p.Title = "Evaluation of " + m.parts[0].path
		if n := len(m.parts); n > 1 {
			p.Title = fmt.Sprintf("Evaluation of %s", array.Counted(n, "part"))
		}
		if err := f.writePage(s, p, out); err != nil {
			return err
		}
	}
	if f.json {
		return s.finish(report.writeJSON)
	}
	return s.finish(report.writeTable)
}

// evaluation is the evaluation of which p has the results.
func (p *partialResult) evaluation(flags *evalFlags) (*evaluation, *evalResult) {
	flags.K, flags.threshold, flags.each = p.k, p.threshold, p.each
	e := &evaluation{all: flags.loss == "all", k: p.k, elements: flags.reduction == meanClasses, metrics: p.metrics,
		classOptions:    classOptions{byClass: p.byClass},
		tunes:           flags.tunes(p.metrics),
		thresholdColumn: flags.thresholdColumn + 1,
		scores:          &scoreSource{dtype: array.Float32, shape: []int{p.rows(), p.classes}}}
	if p.double {
		e.scores.dtype = array.Float64
	}
	if p.measured != nil {
		e.microBits, e.classBits = p.measured.Bins()
	}
	if p.sparse {
		e.scores.csr = &sparse.Matrix{Rows: p.rows(), Cols: p.classes}
	}
	e.labels = &denseBits{} // hard ones, which are elsewhere
	if p.soft {
		e.labels, e.soft = nil, array.New("", []int{0}, []float32{})
	}
	if p.weighs {
		e.propensity = []float64{}
	}
	r := &evalResult{measured: p.measured, pictured: p.pictured, shared: p.shared, positives: p.positives, rows: p.rows(), logits: p.logits, lost: p.lost, seconds: p.seconds}
	for _, l := range p.losses {
		e.losses = append(e.losses, namedLoss{name: l.name})
		r.losses = append(r.losses, l.lossResult)
	}
	return e, r
}

// listMissing prints the shards of the manifest that no file has.
func (f *mergeFlags) listMissing(s *session, shards []*shardInfo) error {
	manifest, err := source.ReadManifest(f.missing)
	if err != nil {
		return err
	}
	names := make([]string, manifest.Len())
	places, bases := map[string]int{}, map[string]int{}
	for k := range names {
		names[k] = manifest.Shard(k)[source.Scores]
		places[filepath.Clean(names[k])] = k
		if base := filepath.Base(names[k]); bases[base] == 0 {
			bases[base] = k + 1
		} else {
			bases[base] = -1 // of several
		}
	}
	found := make([]bool, len(names))
	for _, shard := range shards {
		k, ok := places[filepath.Clean(shard.name)]
		if base := bases[filepath.Base(shard.name)]; !ok && base > 0 {
			k, ok = base-1, true // by another path
		}
		if !ok {
			return array.Faultf(shard.file, "%s is not in %s; it lists other shards", shard, quoted(f.missing))
		}
		if _, rows := manifest.Entries(k); rows >= 0 && rows != shard.rows && (rows == 0 || shard.rows%rows != 0) {
			return array.Faultf(shard.file, "%s, of which %s says that it has %s; mend the manifest, or evaluate it again", shard, quoted(f.missing), array.Counted(rows, "row"))
		}
		found[k] = true
	}
	missing := []missingShard{}
	for k, name := range names {
		if !found[k] {
			missing = append(missing, missingShard{k, name})
		}
	}
	return s.finish(func(w io.Writer) error {
		if f.json {
			return writeJSON(w, map[string]any{"missing": missing})
		}
		for _, m := range missing {
			if _, err := fmt.Fprintln(w, m.Name); err != nil {
				return err
			}
		}
		return nil
	})
}

// A missingShard is one of a manifest that is in no partial result.
type missingShard struct {
	Shard int    `json:"shard"`
	Name  string `json:"scores"`
}

// readEvaluation reads a file of zlpr eval --partial, or of merging such.
func readEvaluation(name string) (*partialResult, error) {
	data, err := readPartial(name)
	if err != nil {
		return nil, err
	}
	p, err := decodePartial(name, data)
	if err != nil {
		return nil, array.Named(name, err)
	}
	return p, nil
}

// divisor returns the factor of a mean's gradient, by the weights of all rows.
func (f *evalFlags) divisor(e *evaluation, loss string) (float64, error) {
	p, err := readEvaluation(f.divisorFrom)
	if err != nil {
		return 0, err
	}
	if n := e.scores.classes(); p.classes != n {
		return 0, array.Faultf(f.divisorFrom, "of %s, the scores have %d; give the result of these shards", array.Counted(p.classes, "class"), n)
	}
	for i := range p.losses {
		l := &p.losses[i]
		if l.name != loss {
			continue
		}
		if e.elements && l.elements.Float64() == 0 {
			return 0, array.Faultf(f.divisorFrom, "has no number of elements; evaluate the shards with --reduction %s", meanClasses)
		}
		return e.meanFactor(loss, &scan{total: l.Total, elements: l.elements})
	}
	return 0, array.Faultf(f.divisorFrom, "has no loss %s; evaluate the shards with it", loss)
}
