package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/source"
	"github.com/zlpr/zlpr/metrics"
)

// thresholdFlags say above which scores classes are predicted.
type thresholdFlags struct {
	predictThreshold string    // a number, or the name of a file
	thresholds       string    // the name of a file
	threshold        float64   // of all classes
	each             []float64 // of every class, or nil
}

// given tells whether the user says what the thresholds are.
func (f *thresholdFlags) given() bool { return f.predictThreshold != "" || f.thresholds != "" }

// checkThresholds checks what can be checked without the file. Where nobody says
// it, the threshold is s0.
func (f *thresholdFlags) checkThresholds(s0 float64) error {
	switch v, err := strconv.ParseFloat(f.predictThreshold, 64); {
	case f.predictThreshold != "" && f.thresholds != "":
		return usagef("--predict-threshold and --thresholds are both given; leave one out")
	case f.predictThreshold == "":
		f.threshold = s0
	case err != nil:
		f.thresholds, f.predictThreshold = f.predictThreshold, ""
	case math.IsNaN(v):
		return usagef("--predict-threshold %v: a number, or a file with thresholds", v)
	default:
		f.threshold = v
	}
	return nil
}

// openThresholds reads the file of thresholds, for scores of so many classes.
func (f *thresholdFlags) openThresholds(files *readFlags, classes int) error {
	if f.thresholds == "" {
		return nil
	}
	path, key := array.Split(f.thresholds)
	in, err := array.OpenInput(path) // once: it may be a pipe
	if err != nil {
		return err
	}
	defer in.Close()
	var list []float64
	if key == "" && isJSON(in) {
		list, err = readThresholds(in, classes)
	} else {
		list, err = files.openThresholdArray(in, f.thresholds, key, classes)
	}
	if err != nil {
		return err
	}
	if len(list) == 1 {
		f.threshold = list[0]
	} else {
		f.each = list
	}
	return nil
}

// openThresholdArray reads one threshold, or one for each class.
func (f *readFlags) openThresholdArray(in *array.Input, name, key string, classes int) ([]float64, error) {
	a, err := asArray(name)(f.options.OpenInput(in, name, key, source.Numbers, -1))
	if err != nil {
		return nil, err
	}
	defer a.Close()
	f.note("thresholds", name, a)
	if a.Len() != 1 && a.Len() != classes {
		return nil, otherClasses(name, strconv.Itoa(a.Len()), classes)
	}
	list := array.Copy[float64](a, 0, a.Len())
	for j, v := range list {
		if math.IsNaN(v) {
			return nil, array.Faultf(name, "the threshold of class %d is NaN; write a number", j)
		}
	}
	return list, nil
}

// otherClasses is the error of thresholds of other classes.
func otherClasses(name, count string, classes int) error {
	return array.Faultf(name, "%s thresholds, but scores of %s; give one for all, or one for each: tune on scores of these classes", count, array.Counted(classes, "class"))
}

// isJSON reports whether a file is JSON by its name, or an object by its first
// character.
func isJSON(in *array.Input) bool {
	if strings.EqualFold(filepath.Ext(in.Name), ".json") {
		return true
	}
	head := bytes.TrimSpace(bytes.TrimPrefix(in.Peek(16), []byte("\xef\xbb\xbf")))
	return in.Format == array.Text && len(head) > 0 && head[0] == '{'
}

// readThresholds reads the thresholds that zlpr tune wrote: a number, or a list of
// one for each class, where null stands for a class that is never predicted.
func readThresholds(in *array.Input, classes int) ([]float64, error) {
	name := in.Name
	text, err := readTextOf(in, "thresholds")
	if err != nil {
		return nil, err
	}
	object, err := jsonObject(text)
	switch {
	case errors.Is(err, errTwice):
		return nil, array.Faultf(name, "%v; write it by zlpr tune", err)
	case err != nil || object["thresholds"] == nil:
		return nil, array.Faultf(name, `no JSON object with "thresholds", a number or a list; write it by zlpr tune`)
	}
	value := object["thresholds"]
	single := value[0] != '['
	if single {
		value = []byte("[" + string(value) + "]")
	}
	items, err := jsonList[*float64](value, max(1, classes))
	switch {
	case errors.Is(err, errTooMany):
		return nil, otherClasses(name, "more than "+strconv.Itoa(classes), classes)
	case err != nil:
		return nil, array.Faultf(name, `"thresholds" are no number and no list of numbers; write them by zlpr tune`)
	case len(items) != classes && (len(items) != 1 || !single):
		return nil, otherClasses(name, strconv.Itoa(len(items)), classes)
	}
	list := make([]float64, len(items))
	for j, v := range items {
		if list[j] = math.Inf(1); v != nil {
			list[j] = *v
		}
	}
	return list, nil
}

var (
	errTooMany = errors.New("too many elements")
	errTwice   = errors.New("a key is given twice")
)

// jsonObject reads an object of JSON: the value of every key, as it is spelt. It is
// errTwice if a key is given twice.
func jsonObject(text []byte) (object map[string]json.RawMessage, err error) {
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		return nil, errors.New("no object")
	}
	if countKeys(text) != len(object) {
		return nil, errTwice
	}
	return object, nil
}

// countKeys counts the keys of an object of JSON, which is right: the colons that are
// in no string, list or object in it.
func countKeys(text []byte) (n int) {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ':' && depth == 1:
			n++
		}
	}
	return n
}

// jsonList reads a list of JSON of at most so many elements.
func jsonList[E any](text []byte, most int) (list []E, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, errors.New("no list")
	}
	for d.More() {
		if len(list) == most {
			return nil, errTooMany
		}
		var v E
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if _, err := d.Token(); err != nil { // the bracket
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more follows the list")
	}
	return list, nil
}

// A tunedReport is the threshold that is best on the rows at hand.
type tunedReport struct {
	Threshold number `json:"threshold"`
	MicroF1   number `json:"micro_f1"`
}

// betterThreshold finds it; nil where there are no scores.
func betterThreshold(m interface {
	BestThreshold() (threshold, f1 float64, err error)
}) (*tunedReport, error) {
	threshold, f1, err := m.BestThreshold()
	if err != nil {
		return nil, err
	}
	return &tunedReport{number(threshold), number(f1)}, nil
}

// writeHint says if another threshold would do better, by what four digits show.
func (r *evalReport) writeHint(t *table) {
	if hint := r.hint(); hint != "" {
		t.gap()
		t.row("hint", hint)
	}
}

// hint is "" where no threshold would do better.
func (r *evalReport) hint() string {
	if r.Tuned == nil {
		return ""
	}
	now, best := float64(r.Metrics["micro_f1"]), float64(r.Tuned.MicroF1)
	if digits := func(x float64) string { return strconv.FormatFloat(x, 'f', 4, 64) }; best > now && digits(best) != digits(now) {
		return fmt.Sprintf("threshold %.3g would give micro F1 %s instead of %s (tuned on these rows)", float64(r.Tuned.Threshold), digits(best), digits(now))
	}
	return ""
}

// above is the rule of the thresholds.
func (f *thresholdFlags) above() metrics.Rule {
	if f.each != nil {
		return metrics.AboveEach(f.each)
	}
	return metrics.Above(f.threshold)
}
