package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

// TestAgreement compares what eval, tune, calibrate and diff say of the real data sets
// in ZLPR_DATA with scikit-learn, or with a plain loop where that has no such number:
// see testdata/agree.py. With ZLPR_REQUIRE_SKLEARN all are compared, else the small
// ones.
func TestAgreement(t *testing.T) {
	root := os.Getenv("ZLPR_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	folders, _ := filepath.Glob(filepath.Join(root, "*", "S_test.npy"))
	if len(folders) == 0 {
		t.Skipf("SKIPPED: no data sets in %s; set ZLPR_DATA", root)
	}
	py := python(t)
	required := os.Getenv("ZLPR_REQUIRE_SKLEARN") != ""
	if err := exec.Command(py, "-c", "import sklearn").Run(); err != nil {
		if required {
			t.Fatal("no Python with scikit-learn, but ZLPR_REQUIRE_SKLEARN is set")
		}
		t.Skip("SKIPPED: no Python with scikit-learn")
	}
	script, err := filepath.Abs(filepath.Join("testdata", "agree.py"))
	require.NoError(t, err)
	for _, file := range folders {
		s, err := array.Open(file)
		require.NoError(t, err)
		if !required && s.Len() > 2_000 {
			continue
		}
		folder, err := filepath.Abs(filepath.Dir(file))
		require.NoError(t, err)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var buffer []float32
			x := slices.Clone(block(&scoreSource{dtype: s.Type, shape: s.Shape, dense: s}, &buffer, 0, s.Shape[0]))
			for i := range x { // another model
				x[i] = 0.8*x[i] + float32((i*7919)%101-50)/50
			}
			save(t, dir, "B.npy", s.Shape, x)
			scores, labels := filepath.Join(folder, "S_test.npy"), filepath.Join(folder, "Y_test.npy")
			args := []string{script, folder}
			for _, c := range []string{"eval --loss zlpr,bce --classes 1", "tune", "tune --measure macro_f1 --per-class", "calibrate"} {
				fields := strings.Fields(c)
				text := must(t, dir, append([]string{fields[0], scores, labels, "--json"}, fields[1:]...)...)
				name := filepath.Join(dir, strings.ReplaceAll(c, " ", "")+".json")
				require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
				args = append(args, name)
			}
			name := filepath.Join(dir, "diff.json")
			text := must(t, dir, "diff", scores, "B.npy", "--labels", labels, "--json", "--loss", "zlpr")
			require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
			out, err := exec.Command(py, append(args, name, filepath.Join(dir, "B.npy"))...).CombinedOutput()
			require.NoError(t, err, string(out))
			var worst map[string]float64
			require.NoError(t, json.Unmarshal(out, &worst), string(out))
			for _, kind := range slices.Sorted(maps.Keys(worst)) {
				t.Logf("%s: %.2g", kind, worst[kind])
				most := 1e-12
				switch {
				case strings.Contains(kind, "standard errors"):
					most = 5
				case kind == "losses": // of float32 scores: 4 ULP of 2^-23
					most = 5e-7
				case strings.Contains(kind, "slope"):
					most = 1e-9
				}
				require.LessOrEqual(t, worst[kind], most, kind)
			}
		})
	}
}
