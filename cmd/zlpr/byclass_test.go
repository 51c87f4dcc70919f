package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// byClass is the JSON of eval by class.
type byClassJSON struct {
	ByClass []map[string]any `json:"by_class"`
	Metrics map[string]*float64
}

func evalClasses(t *testing.T, dir string, args ...string) byClassJSON {
	t.Helper()
	stdout, stderr, status := run(t, dir, append([]string{"eval", "--json"}, args...)...)
	require.Equal(t, 0, status, stderr)
	var r byClassJSON
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	return r
}

// TestByClass compares the results by class with numbers counted by hand, in
// JSON, CSV and the table.
func TestByClass(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "S.npy", []int{3, 3}, []float64{0.6, -1, 2, 1.5, -0.4, 1, 0.2, -2, 3})
	save(t, dir, "Y.npy", []int{3, 3}, []uint8{1, 0, 0, 1, 1, 0, 0, 0, 0})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "names.txt"), []byte("\ufeffred, or so\r\n  blue\r\ngreen\r\n"), 0o644))
	args := []string{"S.npy", "Y.npy", "--names", "names.txt", "--by-class", "c.csv"}
	r := evalClasses(t, dir, args...)
	require.Len(t, r.ByClass, 3)
	share := 0.0
	for _, c := range r.ByClass {
		share += c["grad_share"].(float64)
		delete(c, "grad_share")
	}
	require.InDelta(t, 1, share, 1e-15)
	require.Equal(t, map[string]any{"class": 0., "name": "red, or so", "support": 2., "tp": 2., "fp": 1., "fn": 0., "precision": 2. / 3, "recall": 1.,
		"f1": 0.8, "average_precision": 1., "auc": 1., "threshold": 0.}, r.ByClass[0])
	require.Equal(t, map[string]any{"class": 1., "name": "blue", "support": 1., "tp": 0., "fp": 0., "fn": 1., "precision": 0., "recall": 0.,
		"f1": 0., "average_precision": 1., "auc": 1., "threshold": 0.}, r.ByClass[1])
	require.Equal(t, map[string]any{"class": 2., "name": "green", "support": 0., "tp": 0., "fp": 3., "fn": 0., "precision": 0., "recall": 0.,
		"f1": 0., "average_precision": 0., "auc": nil, "threshold": 0.}, r.ByClass[2])
	text, err := os.ReadFile(filepath.Join(dir, "c.csv"))
	require.NoError(t, err)
	table, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"class", "name", "support", "tp", "fp", "fn", "precision", "recall", "f1", "average_precision", "auc", "threshold", "grad_share"}, table[0])
	require.Equal(t, []string{"0", "red, or so", "2", "2", "1", "0", "0.6666666666666666", "1", "0.8", "1", "1", "0"}, table[1][:12])
	require.Equal(t, []string{"2", "green", "0", "0", "3", "0", "0", "0", "0", "0", "", "0"}, table[3][:12])

	stdout, stderr, status := run(t, dir, "eval", "S.npy", "Y.npy", "--classes", "2")
	require.Equal(t, 0, status, stderr)
	require.Regexp(t, `(?s)worst classes .*\n1  .*\n0 .*\n\(1 more\)`, stdout) // that without positives is last

	// What divisions by zero give.
	for value, want := range map[string][]any{"0": {0., 0.}, "1": {1., 1.}, "nan": {nil, nil}} {
		r := evalClasses(t, dir, "S.npy", "Y.npy", "--classes", "1", "--zero-division", value)
		require.Equal(t, want, []any{r.ByClass[1]["precision"], r.ByClass[2]["recall"]}, value)
	}
	r = evalClasses(t, dir, "S.npy", "Y.npy", "--zero-division", "nan", "--metrics", "macro_recall")
	require.Equal(t, 0.5, *r.Metrics["macro_recall"])
	require.Nil(t, r.ByClass) // nobody asks for it

	// Names in JSON, and those that do not fit.
	for text, want := range map[string]string{`["a","b","c"]`: "", `{"labels": ["a", "b", "c"], "x": 1}`: "", `{"class_names": ["a", "b", "c"]}`: "",
		"a\nb\n": `names: 2 names for 3 classes`, "a\nb\nc\nd\n": `names: more names than the 3 classes`, "a\n\nc\n": `names: line 2: no name`,
		`{"names": []}`: `names: no "labels"`, `{"labels": 3}`: `names: no JSON list`, `{"Labels": ["a", "b", "c"]}`: `names: no "labels"`, `{"labels": ["a", "b", "c"], "labels": ["a", "b", "c"]}`: `names: a key is given twice`, "a\rb\rc\r": "", "a\r\rc": `names: line 2: no name`, `["a", "b", "c", "d"]`: `names: more names`, `["a", "b", "c"] x`: `names: no JSON list`, `["a", 1, "c"]`: `names: no JSON list`, "\xff\n": `names: no text`, `[]`: `names: 0 names for 3`} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "names"), []byte(text), 0o644))
		if want != "" {
			fails(t, dir, 1, want, "eval", "S.npy", "Y.npy", "--names", "names", "--by-class", "d.csv")
			continue
		}
		require.Equal(t, "b", evalClasses(t, dir, "S.npy", "Y.npy", "--names", "names").ByClass[1]["name"])
	}
	fails(t, dir, 2, "--zero-division \"2\": choose 0, 1, nan", "eval", "S.npy", "Y.npy", "--zero-division", "2")
	fails(t, dir, 2, "--classes 0: at least 1", "eval", "S.npy", "Y.npy", "--classes", "0")
	fails(t, dir, 2, `must end in .csv`, "eval", "S.npy", "Y.npy", "--by-class", "c.txt")
	fails(t, dir, 2, `must end in .npy`, "eval", "S.npy", "Y.npy", "--by-class", "d.csv", "--predictions", "d.csv")
	save(t, dir, "soft.npy", []int{3, 3}, []float64{0.5, 0, 0, 0, 0, 0, 0, 0, 1})
	fails(t, dir, 1, `results by class need hard labels`, "eval", "S.npy", "soft.npy", "--loss", "zlpr-soft", "--by-class", "d.csv")

	// The same for any number of workers, of several blocks.
	example[float32](t, dir, 5000, 90)
	var first string
	for _, workers := range []string{"1", "3"} {
		_, stderr, status := run(t, dir, "eval", "S.npy", "Y.npy", "--mask", "M.npy", "--metrics", "none", "--by-class", "w"+workers+".csv", "--workers", workers)
		require.Equal(t, 0, status, stderr)
		text, err := os.ReadFile(filepath.Join(dir, "w"+workers+".csv"))
		require.NoError(t, err)
		if first == "" {
			first = string(text)
		}
		require.Equal(t, first, string(text))
	}
}
