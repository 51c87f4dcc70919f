package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/named"
	"github.com/zlpr/zlpr/internal/source"
)

// partialFlags say that rows are a part of all, and what is known of the others.
type partialFlags struct {
	partial     string
	firstRow    int // of all rows; -1: not said
	shard       int // of the manifest; -1: all
	labelScan   string
	divisorFrom string

	firstEntry, shardRows int // what the manifest says of the shard; -1: nothing

	all   flagTable
	flags *pflag.FlagSet
}

// table is the flags.
func (p *partialFlags) table(f *evalFlags) flagTable {
	p.firstRow, p.shard, p.firstEntry, p.shardRows = -1, -1, -1, -1
	scores := []use{withFlag("scores", &f.scores)}
	return flagTable{
		{name: "partial", to: &p.partial, file: output, uses: scores, doc: "write what zlpr merge needs of these rows to this `file` (.zlpr)"},
		{name: "first-row", to: &p.firstRow, none: true, uses: []use{withFlag("partial", &p.partial)}, doc: "the `number` of the first of these rows among all, counted from 0"},
		{name: "shard", to: &p.shard, none: true, uses: scores, doc: "evaluate this shard of the manifest alone; a `number`, counted from 0"},
		{name: "scan", to: &p.labelScan, file: input, uses: []use{{"--scores and --loss subset-padded without --k, or a loss by counts of labels, or metrics by propensities (psp, psndcg)", f.asksScan}}, doc: "what zlpr scan wrote of all labels: K of subset-padded and propensities are\nfrom this `file`"},
		{name: "divisor-from", to: &p.divisorFrom, file: input, uses: []use{withFlag("grad", &f.grad)}, doc: "divide a mean's gradient by what this `file`, which zlpr merge wrote, says of\nall rows"},
	}
}

// declare declares the flags of eval.
func (f *evalFlags) declare(cmd *cobra.Command, s *session, check func() error) {
	table := f.table()
	f.all = table
	table.declare(cmd, s, check)
	f.flags = cmd.Flags()
	f.set = cmd.Flags().Changed
}

// asksScan tells whether a result depends on what a scan says of all labels.
func (f *evalFlags) asksScan() bool {
	names := f.lossNames()
	return f.scores != "" && f.teacher == "" && (named.Balance(names) || slices.Contains(names, "subset-padded") && f.K == 0 ||
		f.metrics != "all" && slices.ContainsFunc(f.metricNames(), byPropensity))
}

// isPart tells whether the rows are evaluated as a part of all.
func (p *partialFlags) isPart() bool { return p.partial != "" || p.divisorFrom != "" }

// fromShard takes the files of a shard from the manifest.
func (f *evalFlags) fromShard() error {
	switch {
	case f.flags != nil && f.set("first-row") && f.firstRow < 0:
		return usagef("--first-row %d: rows are counted from 0", f.firstRow)
	case f.firstRow >= mostRows:
		return usagef("--first-row %d: at most %d", f.firstRow, mostRows-1)
	case f.divisorFrom != "" && f.reduction != "mean" && f.reduction != meanClasses:
		return usagef("--divisor-from goes with --reduction mean; it has no effect here")
	case f.flags == nil || !f.set("shard"):
		return nil
	case !source.IsManifest(f.scores):
		return usagef("--shard %d: %s is no manifest, which lists shards", f.shard, quoted(f.scores))
	}
	m, err := source.ReadManifest(f.scores)
	if err != nil {
		return err
	}
	if f.shard < 0 || f.shard >= m.Len() {
		return usagef("--shard %d: %s lists %s, counted from 0", f.shard, quoted(f.scores), array.Counted(m.Len(), "shard"))
	}
	manifest, files := f.scores, m.Shard(f.shard)
	for part, to := range map[source.Part]*string{source.Scores: &f.scores, source.LabelsPart: &f.labels, source.Mask: &f.mask,
		source.Lengths: &f.lengths, source.RowWeights: &f.rowWeights} {
		if *to == manifest {
			if files[part] == "" {
				return array.Faultf(manifest, "no %s in its shards; add %q to each", part, part)
			}
			*to = files[part]
		}
	}
	f.firstEntry, f.shardRows = m.Entries(f.shard)
	return nil
}

// begins returns the number of the first row among all, -1 where nobody says.
func (f *evalFlags) begins(e *evaluation) (int, error) {
	entries, rows := e.scores.rows(), e.scores.rows()
	if d := e.scores.dense; d != nil && len(d.Shape) > 1 {
		entries = d.Shape[0]
	}
	switch {
	case f.shardRows >= 0 && f.shardRows != entries:
		return 0, array.Faultf(f.scores, "%s, but the manifest says %d; mend the manifest or the file", array.Counted(entries, "row"), f.shardRows)
	case f.firstRow >= 0:
		return f.firstRow, nil
	case f.firstEntry >= 0 && entries > 0 && f.firstEntry >= mostRows/(rows/entries):
		return 0, array.Faultf(f.scores, "its first row is beyond %d, by the rows of the shards before it", mostRows-1)
	case f.firstEntry >= 0 && entries > 0:
		return f.firstEntry * (rows / entries), nil
	}
	return -1, nil
}

// local are the flags that may differ between partial results: they say which rows
// are evaluated and what is written, and not what is computed. Outputs are, too.
var local = []string{"scores", "labels", "mask", "lengths", "row-weights", "teacher", "workers", "json", "hash", "partial", "first-row", "shard",
	"divisor-from", "names", "classes", "header", "index-column", "separator", "dtype", "one-based", "ignore-index", "k"}

// An option is a flag in effect.
type option struct {
	name, value string
	digest      string // of the file that the value names, or ""
	set         bool   // by the user
}

// describe returns the options that results depend on.
func (f *evalFlags) describe() (list []option, err error) {
	for _, v := range f.all {
		if v.file == output || slices.Contains(local, v.name) {
			continue
		}
		o := option{name: v.name, value: f.flags.Lookup(v.name).Value.String(), set: f.set(v.name)}
		if v.file == input && o.value != "" {
			if _, err := strconv.ParseFloat(o.value, 64); err != nil {
				of := digest
				if v.name == "scan" {
					of = digestScan
				}
				if o.digest, err = of(o.value); err != nil {
					return nil, err
				}
			}
		}
		list = append(list, o)
	}
	return list, nil
}

// digested are the flags of files whose contents results depend on.
func (f *evalFlags) digested() (list []flag) {
	for _, v := range f.all {
		if v.file == input && !slices.Contains(local, v.name) {
			list = append(list, v)
		}
	}
	return list
}

// checkDigests checks that files of which a partial result has the digest can be
// read for it, besides.
func (f *evalFlags) checkDigests() error {
	if f.partial == "" {
		return nil
	}
	for _, v := range f.digested() {
		name := *v.to.(*string)
		if _, err := strconv.ParseFloat(name, 64); err == nil || name == "" {
			continue
		}
		if err := rereadable("partial", v.name, name); err != nil {
			return err
		}
	}
	return nil
}

// digest returns what tells the contents of a file, or of several, from others.
func digest(name string) (string, error) {
	files, err := new(source.Options).Files(name, "")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, file := range files {
		path, key := array.Split(file)
		in, err := os.Open(path)
		if err == nil {
			_, err = io.Copy(h, in)
			in.Close()
		}
		if err != nil {
			return "", fileError(path, err)
		}
		fmt.Fprintf(h, "\x00%s", key)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// restore makes f what the options say, as if they were given to eval.
func (f *evalFlags) restore(s *session, list []option) error {
	cmd := &cobra.Command{Use: "eval"}
	f.declare(cmd, s, nil)
	for _, o := range list {
		v := f.flags.Lookup(o.name)
		if v == nil || slices.Contains(local, o.name) {
			return fmt.Errorf("evaluated with --%s, which this zlpr does not know; use the one that evaluated it", o.name)
		}
		set := func() error { return v.Value.Set(o.value) }
		if o.set {
			set = func() error { return f.flags.Set(o.name, o.value) }
		}
		if err := set(); err != nil {
			return fmt.Errorf("--%s %q is no value of it", o.name, o.value)
		}
	}
	return nil
}
