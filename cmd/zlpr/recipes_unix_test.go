//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// recipe returns the block of docs/scale.md of that language.
func recipe(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "scale.md"))
	require.NoError(t, err)
	m := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	require.Len(t, m, 1, language)
	return m[0][1]
}

// Stand-ins for what a cluster has: each does on one machine what the recipe asks
// of it.
const (
	standInSpark = `
import subprocess
class SparkContext:
    def __init__(self, appName): pass
    def parallelize(self, data, slices):
        data = list(data)
        return RDD([data[i::slices] for i in range(slices)])
class RDD:
    def __init__(self, parts): self.parts = parts
    def pipe(self, command, checkCode=False):
        import shlex
        out = []
        for part in self.parts:
            run = subprocess.run(shlex.split(command), input="".join("%s\n" % x for x in part), stdout=subprocess.PIPE, text=True)
            assert run.returncode == 0 or not checkCode
            out.append(run.stdout.splitlines())
        return RDD(out)
    def collect(self): return [x for part in self.parts for x in part]
`
	standInRay = `
def init(): pass
def remote(**options):
    def wrap(f):
        f.remote = lambda *args: (f, args)
        return f
    return wrap
def get(tasks): return [f(*args) for f, args in tasks]
`
)

// TestRecipes runs the recipes of docs/scale.md: each gives the report of one run.
func TestRecipes(t *testing.T) {
	tools := t.TempDir()
	require.NoError(t, os.Symlink(binary, filepath.Join(tools, "zlpr")))
	require.NoError(t, os.WriteFile(filepath.Join(tools, "pyspark.py"), []byte(standInSpark), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(tools, "ray.py"), []byte(standInRay), 0o644))
	execute := func(t *testing.T, dir string, env []string, name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"), "PYTHONPATH="+tools, "PYTHONDONTWRITEBYTECODE=1"), env...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	merge := func(t *testing.T, dir string) {
		execute(t, dir, nil, "sh", "-c", "zlpr merge 'part/*.zlpr' --json > report.json")
	}
	const shards = 5
	each := func(t *testing.T, dir, script, index string, env ...string) { // a task a shard, the last first
		for i := range shards {
			execute(t, dir, append(env, fmt.Sprintf("%s=%d", index, shards-1-i)), "sh", "-c", script)
		}
		merge(t, dir)
	}
	script := func(t *testing.T, dir, language string) {
		python := "python3"
		if _, err := exec.LookPath(python); err != nil {
			t.Skip("SKIPPED: no python3")
		}
		execute(t, dir, nil, python, "-c", recipe(t, language))
	}
	for _, c := range []struct {
		language, losses string
		run              func(t *testing.T, dir string)
	}{
		{"sh", "all", func(t *testing.T, dir string) { execute(t, dir, nil, "sh", "-e", "-c", recipe(t, "sh")) }},
		{"sbatch", "zlpr,bce", func(t *testing.T, dir string) {
			each(t, dir, recipe(t, "sbatch"), "SLURM_ARRAY_TASK_ID", "SLURM_CPUS_PER_TASK=2")
		}},
		{"yaml", "zlpr,bce", func(t *testing.T, dir string) {
			_, script, ok := strings.Cut(recipe(t, "yaml"), "- |\n")
			require.True(t, ok)
			script, _, ok = strings.Cut(script, "          volumeMounts:")
			require.True(t, ok)
			each(t, dir, script, "JOB_COMPLETION_INDEX")
		}},
		{"spark", "zlpr,bce", func(t *testing.T, dir string) { script(t, dir, "spark") }},
		{"ray", "zlpr,bce", func(t *testing.T, dir string) { script(t, dir, "ray") }},
	} {
		t.Run(c.language, func(t *testing.T) {
			dir := t.TempDir()
			const n = 12
			s, y, _ := example[float32](t, dir, 700, n)
			cuts := []int{0, 100, 101, 350, 690, 700}
			var lines []string
			for k := range shards {
				saveRows(dir, "S", n, []int{n}, s)(t, fmt.Sprintf("s-%d.npy", k), cuts[k], cuts[k+1])
				saveRows(dir, "Y", n, []int{n}, y)(t, fmt.Sprintf("y-%d.npy", k), cuts[k], cuts[k+1])
				shard, err := json.Marshal(map[string]any{"scores": fmt.Sprintf("s-%d.npy", k), "labels": fmt.Sprintf("y-%d.npy", k), "rows": cuts[k+1] - cuts[k]})
				require.NoError(t, err)
				lines = append(lines, string(shard))
			}
			saveText(t, dir, "manifest.json", "{\"shards\": [\n"+strings.Join(lines, ",\n")+"\n]}\n")
			c.run(t, dir)
			report, err := os.ReadFile(filepath.Join(dir, "report.json"))
			require.NoError(t, err)
			want := result(t, must(t, dir, "eval", "S.npy", "Y.npy", "--loss", c.losses, "--json"))
			require.Equal(t, want, result(t, string(report)))
			for _, name := range slices.Concat(list(t, dir), list(t, filepath.Join(dir, "part"))) {
				require.False(t, strings.HasSuffix(name, ".tmp"), name)
			}
		})
	}
}
