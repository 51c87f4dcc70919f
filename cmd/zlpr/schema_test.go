package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// schema is a JSON schema, of which this knows what docs/json.schema.json uses.
type schema struct {
	Ref        string             `json:"$ref"`
	Defs       map[string]*schema `json:"$defs"`
	Type       any                // a name, or several
	Enum       []any
	Pattern    string
	Items      *schema
	Properties map[string]*schema
	Required   []string
	Additional json.RawMessage `json:"additionalProperties"`
	AnyOf      []*schema
}

// check returns what is wrong with a value.
func (s *schema) check(root *schema, v any, at string) error {
	if s.Ref != "" {
		def := root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
		if def == nil {
			return fmt.Errorf("%s: no %s", at, s.Ref)
		}
		return def.check(root, v, at)
	}
	if len(s.AnyOf) > 0 {
		var last error
		for _, one := range s.AnyOf {
			if last = one.check(root, v, at); last == nil {
				return nil
			}
		}
		return last
	}
	if s.Enum != nil && !slices.Contains(s.Enum, v) {
		return fmt.Errorf("%s: %v is none of %v", at, v, s.Enum)
	}
	if s.Type != nil {
		types, ok := s.Type.([]any)
		if !ok {
			types = []any{s.Type}
		}
		if !slices.ContainsFunc(types, func(name any) bool { return isType(v, name.(string)) }) {
			return fmt.Errorf("%s: %v is not %v", at, v, types)
		}
	}
	switch v := v.(type) {
	case string:
		if !regexp.MustCompile(s.Pattern).MatchString(v) {
			return fmt.Errorf("%s: %q does not match %s", at, v, s.Pattern)
		}
	case []any:
		for i, element := range v {
			if s.Items == nil {
				return fmt.Errorf("%s: a list", at)
			}
			if err := s.Items.check(root, element, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, key := range s.Required {
			if _, ok := v[key]; !ok {
				return fmt.Errorf("%s: no %q", at, key)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			one := s.Properties[key]
			if one == nil {
				if len(s.Additional) == 0 || string(s.Additional) == "false" {
					return fmt.Errorf("%s: %q is not in docs/json.schema.json", at, key)
				}
				one = &schema{}
				if err := json.Unmarshal(s.Additional, one); err != nil {
					return err
				}
			}
			if err := one.check(root, v[key], at+"."+key); err != nil {
				return err
			}
		}
	}
	return nil
}

func isType(v any, name string) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && v == float64(int64(v))
	case []any:
		return name == "array"
	}
	return name == "object"
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "json.schema.json"))
	require.NoError(t, err)
	var s schema
	require.NoError(t, json.Unmarshal(text, &s))
	return &s
}

// jsonRuns are runs of every sub-command that has --json.
var jsonRuns = map[string][]string{
	"eval": {"", "S.npy Y.npy --loss all --by-class c.csv --names n.txt --hash --mask M.npy", "S.npy Y.npy --loss bce --pos-weight 2 --reduction mean-classes --metrics psp_at_1",
		"S.npy Y.npy --metrics none --predict-top 2 --top-negatives 3 --predictions P.npy", "s-*.npy y.txt --hash", "S.npy T.npy --loss softmax", "S.npy soft.npy --loss zlpr-soft",
		"S.npy Y.npy --zero-division nan --classes 1 --area-bits 8", "S.npy Y.npy --thresholds E.npy"},
	"train":     {"--x S.npy --y Y.npy --l2 1", "--x S.npy --y Y.npy --l2 0 --iterations 5 --compare"},
	"compare":   {"--data sets --l2 1", "--data sets --l2 auto --losses zlpr,distribution-balanced --resamples 9"},
	"tune":      {"S.npy Y.npy", "S.npy Y.npy --per-class --measure macro_recall --target 0.1"},
	"version":   {""},
	"scan":      {"S.npy Y.npy --out scan.zlpr"},
	"merge":     {"p.zlpr", "scan.zlpr", "p.zlpr --missing m.json", "c.zlpr --classes 2"},
	"diff":      {"S.npy S.npy --labels Y.npy --resamples 9 --names n.txt", "S.npy S.npy S.npy --labels Y.npy --metrics none --loss all"},
	"calibrate": {"S.npy Y.npy --fit platt", "S.npy T.npy --by softmax", "S.npy Y.npy --fit none --by sigmoid2 --mask M.npy"},
}

// TestSchema: what every sub-command prints is as docs/json.schema.json has it,
// and docs/json.md tells of every key.
func TestSchema(t *testing.T) {
	root := readSchema(t)
	dir := t.TempDir()
	example[float32](t, dir, 60, 5)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "n.txt"), []byte("a\nb\nc\nd\ne\n"), 0o644))
	for _, k := range []string{"0", "1"} {
		save(t, dir, "s-"+k+".npy", []int{3, 2}, make([]float32, 6))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "y.txt"), []byte("6 2\n0\n1\n0,1\n\n0\n1\n"), 0o644))
	save(t, dir, "T.npy", []int{60}, make([]int64, 60))
	save(t, dir, "soft.npy", []int{60, 5}, slices.Repeat([]float64{0.5}, 300))
	save(t, dir, "E.npy", []int{5}, []float64{0, 1, 0, 1, 0})
	must(t, dir, "scan", "S.npy", "Y.npy", "--out", "scan.zlpr")
	must(t, dir, "eval", "S.npy", "Y.npy", "--partial", "p.zlpr")
	must(t, dir, "eval", "S.npy", "Y.npy", "--partial", "c.zlpr", "--classes", "1")
	saveText(t, dir, "m.json", `{"shards": [{"scores": "S.npy"}, {"scores": "s-0.npy"}]}`)
	set := filepath.Join(dir, "sets", "one")
	require.NoError(t, os.MkdirAll(set, 0o755))
	save(t, set, "X.npy", []int{4, 1}, []float32{1, 2, 3, 4})
	save(t, set, "Y.npy", []int{4, 2}, []uint8{1, 0, 0, 1, 1, 0, 0, 1})
	save(t, set, "split.npy", []int{4}, []uint8{0, 0, 0, 1})
	for _, c := range newRoot(newSession(os.Stdout, os.Stderr)).Commands() {
		if c.Flags().Lookup("json") == nil {
			continue
		}
		require.NotEmpty(t, jsonRuns[c.Name()], "%s has --json, but no run here", c.Name())
		require.NotNil(t, root.Defs[c.Name()], "%s has --json, but no schema in docs/json.schema.json", c.Name())
		for _, args := range jsonRuns[c.Name()] {
			stdout, stderr, status := run(t, dir, append(append([]string{c.Name()}, strings.Fields(args)...), "--json")...)
			require.Equal(t, 0, status, stderr)
			var v any
			require.NoError(t, json.Unmarshal([]byte(stdout), &v))
			require.NoError(t, root.Defs[c.Name()].check(root, v, c.Name()), args)
		}
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "json.md"))
	require.NoError(t, err)
	for name, def := range root.Defs {
		for _, key := range def.keys() {
			require.Contains(t, string(text), "`"+key+"`", "%s: docs/json.md does not tell of it", name)
		}
	}
}

// keys are the names of the properties of a schema and of what is in it.
func (s *schema) keys() (keys []string) {
	for key, one := range s.Properties {
		keys = append(append(keys, key), one.keys()...)
	}
	if s.Items != nil {
		keys = append(keys, s.Items.keys()...)
	}
	return keys
}

// TestSchemaCheck: the check finds what is wrong.
func TestSchemaCheck(t *testing.T) {
	root := readSchema(t)
	good := `{"version": "1", "go": "go", "platform": "p", "tier": "avx2", "features": []}`
	for text, want := range map[string]string{good: "", `[]`: "is not", `{}`: `no "version"`,
		strings.Replace(good, `"go":`, `"gone": 1, "go":`, 1): `"gone" is not in`,
		strings.Replace(good, `[]`, `[1]`, 1):                 `features\[0\]: 1 is not`} {
		var v any
		require.NoError(t, json.Unmarshal([]byte(text), &v))
		err := root.Defs["version"].check(root, v, "version")
		if want == "" {
			require.NoError(t, err)
		} else {
			require.Error(t, err)
			require.Regexp(t, want, err.Error())
		}
	}
}
