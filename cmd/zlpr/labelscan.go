package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/partial"
	"github.com/zlpr/zlpr/metrics"
)

func newScan(s *session) *cobra.Command {
	var f evalFlags
	var out string
	cmd := &cobra.Command{
		Use:   "scan SCORES LABELS --out FILE",
		Short: "What must be known of all labels before a shard is evaluated",
		Long: `Reads labels and writes how many rows there are, the positives of every class
and the most of a row: K of subset-padded and the propensities of psp and psndcg
come from them, by zlpr eval --scan. zlpr merge makes one such file of those of
several shards.`,
		Example: `  zlpr scan s-0.npy y-0.npy --out scan-0.zlpr
  zlpr scan 's-*.npy' 'y-*.npy' --out scan.zlpr
  zlpr merge scan-*.zlpr --out scan.zlpr`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runScan(cmd.Context(), s, &f, out) },
	}
	eval := f.table()
	var table flagTable
	for _, v := range eval {
		switch v.name {
		case "scores", "labels", "first-row", "shard", "json":
			v.uses = nil
			table = append(table, v)
		}
	}
	table = append(table, flag{name: "out", to: &out, file: output, doc: "write what was found to this `file` (.zlpr)"})
	table = append(table, f.readFlags.table(true)...)
	table.declare(cmd, s, func() error {
		if out == "" {
			return usagef("give the file to write by --out")
		}
		return f.checkScan()
	})
	f.flags, f.set = cmd.Flags(), cmd.Flags().Changed
	return cmd
}

// checkScan checks what can be checked without the files.
func (f *evalFlags) checkScan() error {
	if err := f.fromManifest(); err != nil {
		return err
	}
	if err := f.fromShard(); err != nil {
		return err
	}
	if f.scores == "" || f.labels == "" {
		return usagef("give both scores and labels: zlpr scan SCORES LABELS --out FILE")
	}
	f.mask, f.lengths, f.rowWeights = "", "", "" // of a manifest; labels alone count
	return nil
}

// A scanReport is what scan prints.
type scanReport struct {
	Rows         int    `json:"rows"`
	Classes      int    `json:"classes"`
	LabelsPerRow number `json:"labels_per_row"`
	Most         int    `json:"most_labels"`
}

func newScanReport(s *metrics.LabelScan) *scanReport {
	sum := 0
	for _, n := range s.Positives() {
		sum += n
	}
	return &scanReport{s.Rows(), len(s.Positives()), number(float64(sum) / float64(s.Rows())), s.Most()}
}

func (r *scanReport) write(w io.Writer) error {
	t := newTable(w)
	t.row("rows × classes", fmt.Sprintf("%d × %d", r.Rows, r.Classes))
	t.row("labels a row", short(float64(r.LabelsPerRow)))
	t.row("most of a row", fmt.Sprint(r.Most))
	return t.flush()
}

func runScan(ctx context.Context, s *session, f *evalFlags, path string) error {
	e := &evaluation{workers: 1, values: new(fingerprint)}
	f.partial = path // no rows are rows, too
	if err := f.openInputs(e); err != nil {
		return err
	}
	defer e.scores.Close()
	if e.soft != nil {
		return array.Faultf(f.labels, "soft labels; of them nothing must be known beforehand")
	}
	first, err := f.begins(e)
	if err != nil {
		return err
	}
	out, err := s.out.create(path)
	if err != nil {
		return err
	}
	rows, n := e.scores.rows(), e.scores.classes()
	labels := metrics.NewLabelScan(n)
	size, width := blockRows(rows, n), (n+63)/64
	words := make([]uint64, size*width)
	bar := s.progress("scan", rows)
	err = array.Guard(func() error {
		for r0 := 0; r0 < rows; r0 += size {
			r1 := min(r0+size, rows)
			block := words[:(r1-r0)*width]
			if _, err := e.readLabels(block, r0, r1); err != nil {
				return err
			}
			e.values.add(r0, 1, littleEndian(block))
			for i := range r1 - r0 {
				labels.AddRow(block[i*width:][:width])
			}
			bar.add(r1 - r0)
		}
		return nil
	})
	bar.close()
	if err != nil {
		return err
	}
	s.warnings = append(s.warnings, f.warnings...)
	shards := []shardInfo{{name: f.labels, first: first, rows: rows, values: e.values.value()}}
	return writeScan(s, out, path, shards, labels, f.json)
}

// writeScan writes a scan of labels and its report.
func writeScan(s *session, out io.Writer, path string, shards []shardInfo, labels *metrics.LabelScan, json bool) error {
	data, err := labels.MarshalBinary()
	if err != nil {
		return err
	}
	if out != nil {
		w := partial.NewWriter(partial.Scan)
		encodeShards(w, shards)
		w.Block(data)
		if _, err := out.Write(w.Bytes()); err != nil {
			return fileError(path, err)
		}
	}
	report := newScanReport(labels)
	if json {
		return s.finish(func(w io.Writer) error { return writeJSON(w, report) })
	}
	return s.finish(report.write)
}

// decodeScan reads what writeScan wrote.
func decodeScan(file string, data []byte) (shards []shardInfo, labels *metrics.LabelScan, err error) {
	r, err := partial.NewReader(data, partial.Scan)
	if err != nil {
		return nil, nil, err
	}
	shards = decodeShards(r, file)
	b := r.Block()
	if err := r.End(); err != nil {
		return nil, nil, err
	}
	labels = new(metrics.LabelScan)
	return shards, labels, labels.UnmarshalBinary(b)
}

// addScan merges a scan of labels.
func (m *merger) addScan(file string, data []byte) error {
	shards, labels, err := decodeScan(file, data)
	if err != nil {
		return err
	}
	if err := m.know(shards); err != nil {
		return err
	}
	if m.scan == nil {
		m.scan = labels
		return nil
	}
	return m.scan.Merge(labels)
}

// finishScan writes a scan that was merged.
func (f *mergeFlags) finishScan(s *session, m *merger) error {
	if f.asksPage() || f.asksClasses() {
		return usagef("--by-class, --classes, --names, --html and --markdown go with results of zlpr eval --partial; these are scans of labels")
	}
	var shards []shardInfo
	for _, v := range m.shards {
		shards = append(shards, *v)
	}
	s.warnings = append(s.warnings, m.gaps()...)
	if f.out == "" {
		return writeScan(s, nil, "", shards, m.scan, f.json)
	}
	out, err := s.out.create(f.out)
	if err != nil {
		return err
	}
	return writeScan(s, out, f.out, shards, m.scan, f.json)
}

// readScan reads a file of zlpr scan.
func readScan(name string) (*metrics.LabelScan, error) {
	data, err := readPartial(name)
	if err != nil {
		return nil, err
	}
	_, labels, err := decodeScan(name, data)
	return labels, array.Named(name, err)
}

// digestScan is digest of what a scan says of all labels, however it was put
// together.
func digestScan(name string) (string, error) {
	labels, err := readScan(name)
	if err != nil {
		return "", err
	}
	data, err := labels.MarshalBinary()
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:16]), err
}

// takeScan takes what --scan says of all labels.
func (f *evalFlags) takeScan(s *scan, classes int) error {
	labels, err := readScan(f.labelScan)
	if err != nil {
		return err
	}
	if n := len(labels.Positives()); n != classes {
		return array.Faultf(f.labelScan, "of %s, the scores have %d; scan the labels of these shards", array.Counted(n, "class"), classes)
	}
	s.rows, s.most, s.positives = labels.Rows(), labels.Most(), labels.Positives()
	return nil
}

// needsScan is an error where something depends on the labels of all rows, and
// only some are at hand.
func (f *evalFlags) needsScan(padded, weighs bool) error {
	switch {
	case !f.isPart() || f.labelScan != "":
	case padded:
		return usagef("loss subset-padded: its K is the most positives of a row of all shards; give it by --k, or what zlpr scan says of all labels by --scan")
	case weighs:
		return usagef("--metrics %s: propensities are from the labels of all shards; give what zlpr scan says of them by --scan", f.metrics)
	}
	return nil
}
