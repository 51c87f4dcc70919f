package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
)

// binary is the command, built by TestMain.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "zlpr")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "zlpr.exe") // a name that all systems run
	out, err := exec.Command("go", "build", "-tags", buildTags(), "-o", binary, ".").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// buildTags returns the tags with which this test was built.
func buildTags() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-tags" {
				return setting.Value
			}
		}
	}
	return ""
}

// run runs the command in dir.
func run(t *testing.T, dir string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	return runCommand(t, dir, cmd)
}

func runCommand(t *testing.T, dir string, cmd *exec.Cmd) (stdout, stderr string, status int) {
	t.Helper()
	var o, e bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// fails runs the command and checks its one line of error, and that it leaves
// no file behind.
func fails(t *testing.T, dir string, want int, pattern string, args ...string) {
	t.Helper()
	before := list(t, dir)
	stdout, stderr, status := run(t, dir, args...)
	require.Equal(t, want, status, stderr)
	require.Empty(t, stdout)
	require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	require.Regexp(t, "^zlpr: .*"+pattern, stderr)
	require.Equal(t, before, list(t, dir))
}

func list(t *testing.T, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func save[T array.Element](t *testing.T, dir, name string, shape []int, data []T) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, array.WriteTo(&b, shape, data))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644))
}

// example writes S.npy, Y.npy and M.npy and returns them.
func example[T zlpr.Float](t *testing.T, dir string, rows, n int) (s []T, y, mask []uint8) {
	rng := rand.New(rand.NewPCG(uint64(rows), uint64(n)))
	s, y, mask = make([]T, rows*n), make([]uint8, rows*n), make([]uint8, rows*n)
	for i := range s {
		s[i] = T(2 * rng.NormFloat64())
		if rng.IntN(4) > 0 {
			mask[i] = 1
			if rng.IntN(10) == 0 {
				y[i] = 1
			}
		}
	}
	switch s := any(s).(type) {
	case []float32:
		save(t, dir, "S.npy", []int{rows, n}, s)
	case []float64:
		save(t, dir, "S.npy", []int{rows, n}, s)
	}
	save(t, dir, "Y.npy", []int{rows, n}, y)
	save(t, dir, "M.npy", []int{rows, n}, mask)
	return s, y, mask
}

// TestDraws draws subsets.
func TestDraws(t *testing.T) {
	dir := t.TempDir()
	s := []float64{50, -1, 50, 0, math.Inf(-1), 1}
	save(t, dir, "S.npy", []int{2, 3}, s)
	stdout, stderr, status := run(t, dir, "sample", "--scores", "S.npy", "--k", "2", "--draws", "2")
	require.Equal(t, 0, status, stderr)
	require.Equal(t, "0: 0 2\n0: 0 2\n1: 0 2\n1: 0 2\n", stdout)
	_, stderr, status = run(t, dir, "sample", "--scores", "S.npy", "--k", "2", "--draws", "5", "--law", "plackett-luce", "--out", "D.npy")
	require.Equal(t, 0, status, stderr)
	d, err := array.Open(filepath.Join(dir, "D.npy"))
	require.NoError(t, err)
	require.Equal(t, []int{2, 5, 2}, d.Shape)
}

func TestVersion(t *testing.T) {
	stdout, stderr, status := run(t, t.TempDir(), "version")
	require.Equal(t, 0, status, stderr)
	require.Contains(t, stdout, "kernels: "+zlpr.Tier())
	stdout, _, status = run(t, t.TempDir(), "completion", "bash")
	require.Equal(t, 0, status)
	require.Contains(t, stdout, "zlpr")
	stdout, _, status = run(t, t.TempDir(), "eval", "--help")
	require.Equal(t, 0, status)
	require.Contains(t, stdout, "Examples:")
}

// withoutTimes leaves out what differs from run to run, and the names of the files.
func withoutTimes(json string) string {
	var kept []string
	inputs := false
	for line := range strings.Lines(json) {
		inputs = inputs && line != "  ],\n" || strings.HasPrefix(line, `  "inputs"`)
		if !inputs && !strings.Contains(line, `"seconds"`) && !strings.Contains(line, `"elements_per_second"`) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func checksum(t *testing.T, path string) string {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	require.NoError(t, err)
	return fmt.Sprintf("%x", h.Sum(nil))
}
