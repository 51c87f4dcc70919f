package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tiers are the columns, by the names of the benchmarks.
var tiers = []struct{ name, title string }{
	{"naive", "naive"}, {"generic", "pure Go"}, {"avx2", "AVX2"}, {"avx512", "AVX-512"}, {"neon", "NEON"},
}

// A row is a line of the table, and the benchmark without its impl.
type row struct{ title, n, bench string }

var rows = []row{
	{"LogSumExp", "20", "BenchmarkLogSumExp/type=f32/n=20"},
	{"LogSumExp", "4096", "BenchmarkLogSumExp/type=f32/n=4096"},
	{"ZLPR loss, byte labels", "4096", "BenchmarkZLPR/op=loss/type=f32/labels=u8/n=4096"},
	{"ZLPR loss and gradient", "20", "BenchmarkZLPR/op=lossgrad/type=f32/labels=u8/n=20"},
	{"ZLPR loss and gradient", "4096", "BenchmarkZLPR/op=lossgrad/type=f32/labels=u8/n=4096"},
	{"softmax cross-entropy, loss and gradient", "4096", "BenchmarkCrossEntropy/op=lossgrad/type=f32/n=4096"},
	{"BCE, loss and gradient", "20", "BenchmarkBCE/op=lossgrad/type=f32/n=20"},
	{"BCE, loss and gradient", "4096", "BenchmarkBCE/op=lossgrad/type=f32/n=4096"},
	{"focal BCE (exponent 2), loss and gradient", "1000", "BenchmarkFocal/op=lossgrad/type=f32/n=1000/exponent=2"},
}

// pattern is what -bench takes for the row.
func (r row) pattern() string {
	parts := strings.Split(r.bench, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// A column is a tier's figures, nanoseconds an element by benchmark, of one run.
type column struct {
	CPU     string             `json:"cpu"`
	Go      string             `json:"go"`
	Date    string             `json:"date"`
	Figures map[string]float64 `json:"figures"`
}

// records are the columns by tier.
type records map[string]column

// A run is what the benchmarks of a machine gave, by tier.
type run struct {
	CPU, Go, Date string
	figures       map[string]map[string]float64
}

func read(file []byte) (records, error) {
	r := records{}
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("%s: %w", recorded, err)
	}
	return r, nil
}

func (r records) write() []byte {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		panic(err) // no figure is infinite
	}
	return append(b, '\n')
}

// parse reads the output of benchmarks; of several figures the least counts.
func parse(out []byte) (run, error) {
	r := run{figures: map[string]map[string]float64{}}
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		if cpu, ok := strings.CutPrefix(s.Text(), "cpu: "); ok {
			r.CPU = cpu
		}
		f := strings.Fields(s.Text())
		unit := slices.Index(f, "ns/elem")
		if unit < 2 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		bench, tier, ok := strings.Cut(f[0], "/impl=")
		tier, _, _ = strings.Cut(tier, "-") // GOMAXPROCS
		value, err := strconv.ParseFloat(f[unit-1], 64)
		if !ok || err != nil || value <= 0 {
			return run{}, fmt.Errorf("no figure: %s", s.Text())
		}
		if r.figures[tier] == nil {
			r.figures[tier] = map[string]float64{}
		}
		if old, ok := r.figures[tier][bench]; !ok || value < old {
			r.figures[tier][bench] = value
		}
	}
	if len(r.figures) == 0 {
		return run{}, fmt.Errorf("the benchmarks gave no figures")
	}
	return r, nil
}

// take replaces the columns of the run's tiers.
func (r records) take(n run) {
	for tier, figures := range n.figures {
		r[tier] = column{n.CPU, n.Go, n.Date, figures}
	}
}

// slow names the figures of kernel tiers that are above those of the naive loop on the
// same machine.
func (r records) slow() (list []string) {
	naive := r["naive"]
	for _, t := range tiers {
		c, ok := r[t.name]
		if t.name == "naive" || t.name == "generic" || !ok || c.CPU != naive.CPU {
			continue
		}
		for _, row := range rows {
			if f, n := c.Figures[row.bench], naive.Figures[row.bench]; f > n {
				list = append(list, fmt.Sprintf("%s: %s takes %.3g ns an element, the naive loop %.3g", row.bench, t.title, f, n))
			}
		}
	}
	return list
}

const heading = "| float32 | n |"

// table writes the rows, then of which machine and date the columns are.
func (r records) table() string {
	var b strings.Builder
	b.WriteString(heading)
	for _, t := range tiers {
		b.WriteString(" " + t.title + " |")
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(tiers)) + "\n")
	last := ""
	for _, row := range rows {
		title := row.title
		if title == last {
			title = ""
		}
		last = row.title
		fmt.Fprintf(&b, "| %s | %s |", title, row.n)
		for _, t := range tiers {
			text := ""
			if f, ok := r[t.name].Figures[row.bench]; ok {
				text = strconv.FormatFloat(f, 'g', 3, 64)
			}
			b.WriteString(" " + text + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	var machines, titles []string
	for _, t := range tiers {
		c, ok := r[t.name]
		if !ok {
			continue
		}
		m := fmt.Sprintf("%s, %s, %s", c.CPU, c.Go, c.Date)
		if i := slices.Index(machines, m); i >= 0 {
			titles[i] += ", " + t.title
		} else {
			machines, titles = append(machines, m), append(titles, t.title)
		}
	}
	for i, m := range machines {
		fmt.Fprintf(&b, "%s: %s.\n", titles[i], m)
	}
	return b.String()
}

// replaced returns the README with the table and the paragraph below it anew.
func replaced(text string, r records) (string, error) {
	from := strings.Index(text, heading)
	if from < 0 {
		return "", fmt.Errorf("%s has no table that begins with %q", readme, heading)
	}
	rest := text[from:]
	for range 2 { // the table, the paragraph
		i := strings.Index(rest, "\n\n")
		if i < 0 {
			return "", fmt.Errorf("%s: nothing follows the table of speeds", readme)
		}
		rest = rest[i+2:]
	}
	return text[:from] + r.table() + "\n" + rest, nil
}
