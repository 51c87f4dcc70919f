package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/sparse"
)

func write(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// kind says what a source is.
func kind(s Source) string {
	rows, cols := s.Dims()
	switch s.(type) {
	case *array.Array:
		return fmt.Sprintf("table %d×%d", rows, cols)
	case *sparse.Matrix:
		return fmt.Sprintf("lists %d×%d", rows, cols)
	}
	return "?"
}

// TestText: whether text has lists or a table is told by its name or, where that
// does not tell, by its content and what it is read for.
func TestText(t *testing.T) {
	for _, c := range []struct {
		name, text string
		use        Use
		want       string
	}{
		{"a.svm", "0 1:1\n", Labels, "lists 1×4"},
		{"a.csv", "0,1,0,1\n", Labels, "table 1×4"},
		{"a.txt", "0,1\n3\n", Labels, "lists 2×4"},
		{"a.txt", "0 1 0 1\n1 1 0 0\n", Labels, "table 2×4"},
		{"a.txt", "0 1\n1 1\n", Labels, "table 2×2"},
		{"a.txt", "0.5 1\n1 1\n", Numbers, "table 2×2"},
		{"a.txt", "0\n1\n", Numbers, "table 2×1"},
		{"a.txt", "0:1 2:0.5\n1:3\n", Numbers, "lists 2×3"},
		{"a.txt", "2 4\n0:1 2:0.5\n1:3\n", Numbers, "lists 2×4"},
		{"a.txt", "2 4\n0:1\n3:1\n", Labels, "lists 2×4"},
		{"a.txt", "2 9 4\n0,2 5:1\n3\n", Labels, "lists 2×4"},
		{"data_test", "1,2 0:0.5\n", Labels, "lists 1×4"},
		{"data_test", "1,2\n0\n3\n", Labels, "lists 3×4"},
		{"data_test", "1,0,0,1\n0,0,1,1\n", Labels, "table 2×4"},
		{"data_test", "1;0;0;1\n0;0;1;1\n", Labels, "table 2×4"},
		{"data_test", "a,b,c,d\n1,0,0,1\n", Labels, "table 1×4"},
		{"data_test", "1\n0\n", Labels, "table 2×1"},
		{"a.txt", "3 4\n\n\n\n", Numbers, "lists 3×4"},
		{"a.txt", "3 4\n\n", Numbers, "table 1×2"},
		{"a", "100000 9 4\n" + strings.Repeat("\n", 100000), Features, "lists 100000×9"},
		{"data_test", "0.5,1\n", Features, "table 1×2"},
		{"data_test", "1\t1:0.5\t7:1\n", Features, "lists 1×8"},
		{"data_test", strings.Repeat("0,1,0,1\n", 1<<14), Labels, "table 16384×4"},
	} {
		for _, end := range []string{"\n", "\r\n", "\r"} {
			o := Options{}
			path := write(t, c.name, strings.ReplaceAll(c.text, "\n", end))
			cols := -1
			if c.use == Labels {
				cols = 4
			}
			s, err := o.Open(path, c.use, cols)
			require.NoError(t, err, c)
			require.Equal(t, c.want, kind(s), "%s %.30q, lines that end in %q", c.name, c.text, end)
			require.Equal(t, strings.HasPrefix(c.want, "table"), o.CSV)
			require.Equal(t, strings.HasPrefix(c.want, "lists"), o.Lists)
			require.NoError(t, s.Close())
		}
	}
}

// TestBoth: labels come along with features, if there are any.
func TestBoth(t *testing.T) {
	for text, want := range map[string]int{"0,2 1:1\n 2:1\n": 3, "1:1\n": -1, "2 5\n1:1\n4:1\n": -1, "1 5 4\n1:1\n": 4} {
		_, labels, err := new(Options).OpenBoth(write(t, "x.svm", text), Features, -1)
		require.NoError(t, err)
		if want < 0 {
			require.Nil(t, labels, text)
			continue
		}
		_, cols := labels.Dims()
		require.Equal(t, want, cols, text)
	}
}

// TestWarnings: what may be meant otherwise.
func TestWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"1,2 0:1\n3\n":   "no row has label 0: if labels count from 1, say --one-based",
		"1:1 2:1\n3:1\n": "no row has label 0",
		"0\n\n1\n":       "1 blank line is no row",
		"0\n2\n":         "",
		"1 4 4\n3\n":     "no row has label 0",
	} {
		var warnings []string
		o := Options{Warn: func(s string) { warnings = append(warnings, s) }}
		path := write(t, "y.svm", text)
		_, err := o.Open(path, Labels, 4)
		require.NoError(t, err)
		require.Contains(t, strings.Join(warnings, "\n")+"\n", want, text)
		require.Equal(t, want == "", len(warnings) == 0, text)
	}
	o := Options{OneBased: true, Warn: func(s string) { t.Error(s) }}
	s, err := o.Open(write(t, "y.svm", "1,2\n3\n"), Labels, 4)
	require.NoError(t, err)
	require.Equal(t, []int32{0, 1, 2}, s.(*sparse.Matrix).Indices)
}

// TestCheck: rows so long that no file justifies them are refused.
func TestCheck(t *testing.T) {
	s, err := new(Options).Open(write(t, "s.txt", "1 2147483646\n0:1\n"), Numbers, -1)
	require.NoError(t, err)
	require.ErrorContains(t, Check("s.txt", s), "s.txt: 2147483646 columns with only 1 entry listed are too many")
	s, err = new(Options).Open(write(t, "s.txt", "1 3000000\n0:1\n"), Numbers, -1)
	require.NoError(t, err)
	require.NoError(t, Check("s.txt", s))
}

// FuzzManifest: what is read as a manifest has shards that all have the same
// parts, of names that are not empty; all else is an error of one line.
func FuzzManifest(f *testing.F) {
	for _, text := range []string{
		`{"shards": [{"scores": "s-0.npy", "labels": "y-0.npy", "rows": 1000}, {"rows": 2, "labels": "b.npz:k", "scores": "/s-1.npy"}]}`,
		`{"shards": [{"mask": "m", "lengths": "l", "row_weights": "w"}]}`, "\xef\xbb\xbf{\"shards\":[]}", `{"shards": [{}]}`, `{"shards": [{"rows": -1}]}`,
		`{"shards": [{"rows": 1e99}]}`, `{"shards": [{"scores": "a", "scores": "b"}]}`, `{"shards": [], "shards": []}`, `{"shards": [[[[`, `{"shards": {"scores": "a"}}`,
		`{"shards": [{"scores": null}]}`, `{"shards": [{"scores": ["a"]}]}`, `{"shards": [{"scores": "\ud800"}]} 1`, `[]`, `{`, ``, `nul`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseManifest("d/m.json", text)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, len(err.Error()), 1000)
			return
		}
		require.Equal(t, len(m.shards), len(m.rows()))
		count := 0
		for _, part := range parts {
			files, err := m.Files(part)
			require.Equal(t, m.Has(part), err == nil)
			if err == nil {
				require.Len(t, files, len(m.shards))
			}
			for _, file := range files {
				require.NotEmpty(t, file)
				require.True(t, filepath.IsAbs(file) || strings.HasPrefix(file, "d/") || strings.HasPrefix(file, "."), file)
			}
			count += len(files)
		}
		require.Len(t, m.all(""), count)
		for _, n := range m.rows() {
			require.GreaterOrEqual(t, n, -1)
		}
	})
}

// TestManifest: what manifests may say, and what is wrong with others.
func TestBeside(t *testing.T) {
	for _, c := range [][3]string{
		{"m.json", "s.npy", "s.npy"},
		{"d/m.json", "../s.npy", "s.npy"},
		{"d/m.json", "/s.npy", "/s.npy"},
		{"d/m.json", "gs://bucket/s.npy", "gs://bucket/s.npy"},
		{"gs://bucket/d/m.json", "e/s.npy", "gs://bucket/d/e/s.npy"},
		{"s3://bucket/d/m.json", "../s.safetensors:key", "s3://bucket/s.safetensors:key"},
		{"memfs://m.json", "/s.npy", "/s.npy"},
		{"gs://bucket/m.json", "s3://other/s.npy", "s3://other/s.npy"},
	} {
		require.Equal(t, filepath.FromSlash(c[2]), filepath.FromSlash(beside(c[0], c[1])), c)
	}
}

func TestManifest(t *testing.T) {
	m, err := parseManifest("d/m.json", []byte(`{"shards": [{"scores": "s.npz:k", "rows": 7}, {"scores": "/abs.npy"}]}`))
	require.NoError(t, err)
	files, err := m.Files(Scores)
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join("d", "s.npz:k"), "/abs.npy"}, files)
	require.Equal(t, []int{7, -1}, m.rows())
	_, err = m.Files(Mask)
	require.EqualError(t, err, `d/m.json: no mask in its shards; add "mask" to each`)
	for text, want := range map[string]string{
		"{\n\"shards\": [{\"scors\": \"a\"}]}": `line 2: unknown key "scors"; there are scores, labels,`,
		`{"shards": []}`:                       "lists no shards",
		`{}`:                                   `line 1: no "shards"`,
		`{"shards": [{"scores": "a"}, {"labels": "b"}]}`:              "shard 1 has no scores, the first one has",
		`{"shards": [{"scores": "a"}, {"scores": "b", "mask": "c"}]}`: "shard 1 has mask, the first one has none",
		`{"shards": [{"scores": "a"}, {"scores": "./a"}]}`:            "shards 0 and 1 have the same scores, d/a; list them once",
		`{"shards": [{"scores": "a", "scores": "b"}]}`:                `key "scores" is given twice`,
		`{"shards": [{"scores": ""}]}`:                                "give the name of a file",
		`{"shards": [{"scores": "sub/m.JSON"}]}`:                      `scores "sub/m.JSON": a manifest; list its files here`,
		`{"shards": [{"Scores": "a"}]}`:                               `unknown key "Scores"`,
		`{"shards": [{"rows": 1.5}]}`:                                 `rows "1.5": give an integer of at least 0`,
		`{"shards": [{"rows": "7"}]}`:                                 `rows "7": give an integer of at least 0`,
		`{"shards": [{"scores": "a"}`:                                 "it ends too early",
		`{"shards": [{"scores": "a"}]}]`:                              "more follows after the closing brace",
		`[1]`:                                                         `"[", where an object in braces is wanted`,
		`{"shards": [{"scores": {"a": 1}}]}`:                          `scores "{": give the name of a file`,
		"{\"shards\": [{\"scores\": \"\xff\"}]}":                      "no text in UTF-8",
	} {
		_, err := parseManifest("d/m.json", []byte(text))
		require.ErrorContains(t, err, want, text)
	}
}
