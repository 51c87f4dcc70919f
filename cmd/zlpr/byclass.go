package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/atomicfile"
	"github.com/zlpr/zlpr/metrics"
)

// classFlags say what is told of every class.
type classFlags struct {
	byClass, names string
	worst          int // classes to print
	zeroDivision   string
	zero           metrics.ZeroDivision
}

var zeroDivisions = []string{"0", "1", "nan"}

// shownClasses is how many classes are printed where nobody says.
const shownClasses = 20

// asksClasses tells whether results by class are asked for.
func (f *classFlags) asksClasses() bool { return f.byClass != "" || f.names != "" || f.worst > 0 }

func (f *classFlags) checkClasses() error {
	i := slices.Index(zeroDivisions, f.zeroDivision)
	if i < 0 {
		return usagef("--zero-division %q: choose %s", f.zeroDivision, strings.Join(zeroDivisions, ", "))
	}
	f.zero = metrics.ZeroDivision(i)
	if f.asksClasses() && f.worst == 0 {
		f.worst = shownClasses
	}
	return nil
}

// classOptions are those of an evaluation.
type classOptions struct {
	byClass      bool
	microBits    int // of bins, 0 where scores are kept
	classBits    int
	names        []string // of the classes, or nil
	zeroDivision metrics.ZeroDivision
}

// chooseClasses says whether the labels allow results by class.
func (f *evalFlags) chooseClasses(e *evaluation) error {
	if e.byClass = f.asksClasses(); e.labels != nil {
		e.byClass = e.byClass || f.asksPage()
	} else if e.byClass {
		return fmt.Errorf("%s: results by class need hard labels; leave out --by-class, --classes and --names", quoted(f.labels))
	}
	return nil
}

// sharesOf is the place of the loss whose gradient is shared among the classes:
// ZLPR's, or the first's.
func (e *evaluation) sharesOf() int {
	return max(0, slices.IndexFunc(e.losses, func(l namedLoss) bool { return l.name == "zlpr" }))
}

// openNames reads the names of the classes.
func (f *evalFlags) openNames(e *evaluation) (err error) {
	if f.scores == "" && e.files["scores"] == sampleName {
		e.names = strings.Fields(sampleNames)
	}
	if f.names != "" {
		e.names, err = readNames(f.names, e.scores.classes())
	}
	return err
}

// maxNames is how long a file of names may be, in bytes.
const maxNames = 64 << 20

// readText reads a text file that is at most maxNames long.
func readText(path, what string) ([]byte, error) {
	in, err := array.OpenInput(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return readTextOf(in, what)
}

// readTextOf is readText of a file that is open.
func readTextOf(in *array.Input, what string) ([]byte, error) {
	path := in.Name
	if in.Format != array.Text {
		return nil, array.Faultf(path, "no text, but %s are", what)
	}
	text, err := io.ReadAll(io.LimitReader(in, maxNames+1))
	switch {
	case err != nil:
		return nil, array.Named(path, err)
	case len(text) > maxNames:
		return nil, array.Faultf(path, "more than %d MiB of %s", maxNames>>20, what)
	case !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0:
		return nil, array.Faultf(path, "no text in UTF-8, but %s are", what)
	}
	return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), nil
}

// readNames reads the names of so many classes: a JSON list, a JSON object with
// such a list as "labels" or "class_names", or one name a line.
func readNames(path string, classes int) ([]string, error) {
	text, err := readText(path, "names of classes")
	if err != nil {
		return nil, err
	}
	var names []string
	switch trimmed := bytes.TrimSpace(text); {
	case bytes.HasPrefix(trimmed, []byte("[")):
		names, err = jsonNames(trimmed, classes)
	case bytes.HasPrefix(trimmed, []byte("{")):
		var meta map[string]json.RawMessage
		switch meta, err = jsonObject(trimmed); {
		case errors.Is(err, errTwice):
		case err != nil:
			err = errors.New(`no JSON object with a list of names, "labels"`)
		case meta["labels"] != nil:
			names, err = jsonNames(meta["labels"], classes)
		case meta["class_names"] != nil:
			names, err = jsonNames(meta["class_names"], classes)
		default:
			err = errors.New(`no "labels" in the JSON object`)
		}
	default:
		for i, line := range strings.Split(strings.TrimRight(string(array.EndLines(text)), "\r\n"), "\n") {
			name := strings.TrimSpace(line)
			if name == "" {
				return nil, array.Faultf(path, "line %d: no name; write one for each class", i+1)
			}
			names = append(names, name)
			if len(names) > classes {
				break
			}
		}
	}
	switch {
	case err != nil:
		return nil, array.Faultf(path, "%v; write one name a line, or a JSON list", err)
	case len(names) > classes:
		return nil, array.Faultf(path, "more names than the %s; write one for each class, in their order", array.Counted(classes, "class"))
	case len(names) < classes:
		return nil, array.Faultf(path, "%s for %s; write one for each class, in their order", array.Counted(len(names), "name"), array.Counted(classes, "class"))
	}
	return names, nil
}

// jsonNames reads a list of names: one more than the classes where there are more.
func jsonNames(text []byte, classes int) ([]string, error) {
	names, err := jsonList[string](text, classes)
	switch {
	case errors.Is(err, errTooMany):
		return make([]string, classes+1), nil
	case err != nil:
		return nil, errors.New("no JSON list of names")
	}
	return names, nil
}

// createClasses begins the table of the classes.
func (f *evalFlags) createClasses(s *session) (*atomicfile.File, error) {
	if f.byClass == "" {
		return nil, nil
	}
	return s.out.create(f.byClass)
}

// A tally is a number in JSON that is mostly an integer.
type tally float64

func (x tally) MarshalJSON() ([]byte, error) { return []byte(x.String()), nil }

func (x tally) String() string { return strconv.FormatFloat(float64(x), 'f', -1, 64) }

// A classReport is what eval tells of a class.
type classReport struct {
	Class            int     `json:"class"`
	Name             *string `json:"name"`
	Support          tally   `json:"support"`
	TruePositives    tally   `json:"tp"`
	FalsePositives   tally   `json:"fp"`
	FalseNegatives   tally   `json:"fn"`
	Precision        number  `json:"precision"`
	Recall           number  `json:"recall"`
	F1               number  `json:"f1"`
	AveragePrecision area    `json:"average_precision"`
	AUC              area    `json:"auc"`
	Threshold        number  `json:"threshold"`
	GradShare        number  `json:"grad_share"`
}

// fillClasses takes in the results by class and writes their table.
func (r *evalReport) fillClasses(e *evaluation, result *evalResult, table *atomicfile.File) error {
	for j, c := range result.classes {
		v := classReport{c.Class, nil, tally(c.Support), tally(c.TruePositives), tally(c.FalsePositives), tally(c.FalseNegatives),
			number(c.Precision), number(c.Recall), number(c.F1), area{Value: c.AveragePrecision, Bounds: c.AveragePrecisionBounds}, area{Value: c.AUC, Bounds: c.AUCBounds}, number(c.Threshold), number(math.NaN())}
		if e.names != nil {
			v.Name = &e.names[j]
		}
		if result.shares != nil {
			v.GradShare = number(result.shares[j])
		}
		r.ByClass = append(r.ByClass, v)
	}
	if table == nil {
		return nil
	}
	return fileError(e.files["by-class"], r.writeClassTable(table))
}

// writeClassTable writes the results by class as CSV; what has no value is empty.
func (r *evalReport) writeClassTable(to io.Writer) error {
	w := csv.NewWriter(to)
	head := []string{"class", "name", "support", "tp", "fp", "fn", "precision", "recall", "f1"}
	if r.binned {
		head = append(head, "average_precision_low", "average_precision_high", "auc_low", "auc_high")
	} else {
		head = append(head, "average_precision", "auc")
	}
	err := w.Write(append(head, "threshold", "grad_share"))
	for i := range r.ByClass {
		if err == nil {
			err = w.Write(r.ByClass[i].cells(strconv.FormatFloat, r.binned))
		}
	}
	w.Flush()
	return errors.Join(err, w.Error())
}

// cells are the values as text, of areas the bounds if they are asked for.
func (c *classReport) cells(format func(x float64, format byte, digits, size int) string, bounds bool) []string {
	name := ""
	if c.Name != nil {
		name = *c.Name
	}
	cells := []string{strconv.Itoa(c.Class), name}
	for _, x := range [...]tally{c.Support, c.TruePositives, c.FalsePositives, c.FalseNegatives} {
		cells = append(cells, x.String())
	}
	values := []number{c.Precision, c.Recall, c.F1}
	for _, a := range [...]area{c.AveragePrecision, c.AUC} {
		if bounds {
			values = append(values, number(a.Low), number(a.High))
		} else {
			values = append(values, number(a.Value))
		}
	}
	for _, x := range append(values, c.Threshold, c.GradShare) {
		text := ""
		if v := float64(x); v == v {
			text = format(v, 'g', -1, 64)
		}
		cells = append(cells, text)
	}
	return cells
}

// worstClasses are the classes to show, the worst first: by F1, of equal ones
// the one of more positives; those without positives come last.
func (r *evalReport) worstClasses() []classReport {
	c := slices.Clone(r.ByClass)
	slices.SortStableFunc(c, func(a, b classReport) int {
		rank := func(c *classReport) float64 {
			if v := float64(c.F1); c.Support > 0 && v == v {
				return v
			}
			return math.Inf(1)
		}
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(b.Support, a.Support))
	})
	return c[:min(len(c), r.show)]
}

// writeClasses prints the worst classes.
func (r *evalReport) writeClasses(t *table) {
	if len(r.ByClass) == 0 {
		return
	}
	t.gap()
	head := []string{"worst classes", "name", "support", "tp", "fp", "fn", "precision", "recall", "f1", "avg. prec.", "auc", "threshold", "gradient"}
	t.row(head...)
	for _, c := range r.worstClasses() {
		cells := c.cells(func(x float64, _ byte, _, _ int) string { return short(x) }, false)
		cells[1] = shortName(cells[1])
		t.row(cells...)
	}
	if rest := len(r.ByClass) - r.show; rest > 0 {
		t.row(fmt.Sprintf("(%d more)", rest))
	}
}

// shortName is a name as it can stand in a table.
func shortName(name string) string {
	const most = 24
	line := []rune(oneLine(errors.New(name)))
	if len(line) > most {
		return string(line[:most-1]) + "…"
	}
	return string(line)
}
