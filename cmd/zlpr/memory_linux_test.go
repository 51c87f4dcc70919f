package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/atomicfile"
)

// TestLargerThanMemory evaluates files that are many times larger than the
// memory the command may use, page cache included, with all its outputs, and
// compares every bit with a run that may use all memory. It needs root, control
// groups, and ZLPR_LARGE, the name of a directory with room for 8 GiB:
//
//	ZLPR_LARGE=/var/tmp/large go test -v -timeout 30m -run TestLargerThanMemory ./cmd/zlpr
func TestLargerThanMemory(t *testing.T) {
	dir := os.Getenv("ZLPR_LARGE")
	if dir == "" {
		t.Skip("ZLPR_LARGE is not set")
	}
	const rows, n = 640 << 10, 1 << 10 // 2.5 GiB of scores
	const limit = 256 << 20
	group := newGroup(t, limit)
	writeLong(t, filepath.Join(dir, "S.npy"), array.Float32, rows, n, func(rng *rand.Rand, b []byte) []byte {
		x := make([]float32, len(b)/4)
		for i := range x {
			x[i] = float32(2 * rng.NormFloat64())
		}
		var w bytes.Buffer
		require.NoError(t, array.WriteTo(&w, []int{len(x)}, x))
		return w.Bytes()[w.Len()-len(b):]
	})
	writeLong(t, filepath.Join(dir, "Y.npy"), array.Uint8, rows, n, func(rng *rand.Rand, b []byte) []byte {
		for i := range b {
			b[i] = 0
			if rng.IntN(10) == 0 {
				b[i] = 1
			}
		}
		return b
	})
	outputs := []string{"G.npy", "L.npy", "P.npy"}
	args := []string{"eval", "--scores", "S.npy", "--labels", "Y.npy", "--metrics", "all", "--json",
		"--grad", "G.npy", "--per-row", "L.npy", "--predictions", "P.npy"}
	// A shell enters the group and becomes the command.
	script := fmt.Sprintf(`echo $$ >%s/cgroup.procs && exec "$0" "$@"`, group.dir)
	limited := exec.Command("sh", append([]string{"-c", script, binary}, args...)...)
	var stdout strings.Builder
	limited.Dir, limited.Stdout, limited.Stderr = dir, &stdout, os.Stderr
	start := time.Now()
	require.NoError(t, limited.Start())
	stop, peak := make(chan struct{}), make(chan int)
	go func() { peak <- anonymous(limited.Process.Pid, stop) }()
	require.NoError(t, limited.Wait())
	close(stop)
	most := <-peak
	t.Logf("%.2f GiB of scores, %.2f GiB of labels, limit %d MiB, page cache included: %.1f s, peak %d MiB, RssAnon at most %d MiB",
		float64(rows*n*4)/(1<<30), float64(rows*n)/(1<<30), limit>>20, time.Since(start).Seconds(), group.peak(t)>>20, most>>10)
	require.Less(t, most, 200<<10)
	sums := map[string]string{}
	for _, name := range outputs {
		sums[name] = checksum(t, filepath.Join(dir, name))
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	free, stderr, status := run(t, dir, args...)
	require.Equal(t, 0, status, stderr)
	require.Equal(t, withoutTimes(free), withoutTimes(stdout.String()))
	for _, name := range outputs {
		require.Equal(t, checksum(t, filepath.Join(dir, name)), sums[name], name)
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
}

// writeLong writes an array of rows × n elements, made of blocks that fill
// makes; 16 of them, over and over. An array that is there is left as it is.
func writeLong(t *testing.T, path string, dtype array.DType, rows, n int, fill func(*rand.Rand, []byte) []byte) {
	if _, err := os.Stat(path); err == nil {
		return
	}
	file, err := atomicfile.Create(path)
	require.NoError(t, err)
	_, err = array.NewWriter(file, dtype, []int{rows, n}, n)
	require.NoError(t, err)
	require.NoError(t, atomicfile.Commit(file))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	total := int64(rows * n * dtype.Size())
	rng := rand.New(rand.NewPCG(1, 2))
	blocks := make([][]byte, 16)
	for i := range blocks {
		blocks[i] = fill(rng, make([]byte, 4<<20))
	}
	at := info.Size() - total
	for k := 0; at < info.Size(); k++ {
		b := blocks[(k+k/16)%16]
		_, err := f.WriteAt(b[:min(int64(len(b)), info.Size()-at)], at)
		require.NoError(t, err)
		at += int64(len(b))
	}
	require.NoError(t, f.Close())
}

// A group is a control group with a limit on its memory, page cache included.
type group struct{ dir, peakFile string }

func newGroup(t *testing.T, limit int) group {
	const root = "/sys/fs/cgroup"
	g := group{filepath.Join(root, "memory", "zlpr-test"), "memory.max_usage_in_bytes"}
	limitFile := "memory.limit_in_bytes"
	if controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers")); err == nil && strings.Contains(string(controllers), "memory") {
		g, limitFile = group{filepath.Join(root, "zlpr-test"), "memory.peak"}, "memory.max"
	}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Skipf("SKIPPED: %v: a control group needs root on Linux", err)
	}
	t.Cleanup(func() { os.Remove(g.dir) })
	if err := os.WriteFile(filepath.Join(g.dir, limitFile), []byte(strconv.Itoa(limit)), 0); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	return g
}

// peak returns the most memory that was in use.
func (g group) peak(t *testing.T) int {
	b, err := os.ReadFile(filepath.Join(g.dir, g.peakFile))
	require.NoError(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	require.NoError(t, err)
	return n
}

// peakOf runs the command, which is to succeed, and returns the most memory that
// it has of its own, in KiB.
func peakOf(t *testing.T, dir string, args ...string) int {
	t.Helper()
	cmd := exec.Command(binary, args...)
	var stderr strings.Builder
	cmd.Dir, cmd.Stderr = dir, &stderr
	require.NoError(t, cmd.Start())
	stop, most := make(chan struct{}), make(chan int)
	go func() { most <- anonymous(cmd.Process.Pid, stop) }()
	err := cmd.Wait()
	close(stop)
	peak := <-most
	require.NoError(t, err, stderr.String())
	return peak
}

// TestManyShards: shards that are held in memory, as those of text are, are in a
// temporary file when there are many.
func TestManyShards(t *testing.T) {
	dir := t.TempDir()
	const shards, rows, n = 80, 250, 1000 // 2 MB each as float64, 160 MB together
	line := strings.TrimSuffix(strings.Repeat("0.5,-1,", n/2), ",") + "\n"
	text := strings.Repeat(line, rows)
	for k := range shards {
		saveText(t, dir, fmt.Sprintf("s-%d.csv", k), text)
	}
	zeros(t, dir, "Y.npy", array.Uint8, shards*rows, n)
	most := peakOf(t, dir, "eval", "s-*.csv", "Y.npy", "--metrics", "none", "--json", "--workers", "2")
	t.Logf("%d MiB of numbers in shards of text, RssAnon at most %d MiB", shards*rows*n*8>>20, most>>10)
	require.Less(t, most, 64<<10)
}

// TestConvertMemory: convert and predict take as much memory for long files, and
// for long rows, as for others. What an array takes is mapped.
func TestConvertMemory(t *testing.T) {
	dir := t.TempDir()
	zeros(t, dir, "S.npy", array.Float32, 24<<10, 1<<10) // 96 MiB
	zeros(t, dir, "Y.npy", array.Uint8, 96<<10, 1<<10)
	zeros(t, dir, "row.npy", array.Float32, 1, 24<<20)
	for k := range 12 {
		zeros(t, dir, fmt.Sprintf("part-%d.npy", k), array.Float32, 2<<10, 1<<10)
	}
	for _, args := range []string{
		"convert S.npy a.safetensors --as scores", "convert S.npy a.npz --as scores", "convert S.npy a.txt --as scores",
		"convert a.txt b.npy --as scores", "convert a.npz b.csv --as scores", "convert row.npy a.csv --as scores", "convert row.npy a.npz --as scores",
		"convert Y.npy a.npz", "convert Y.npy a.npy --to bits", "convert part-*.npy a.npy --as scores",
		"predict --scores S.npy --as probabilities --top 3 --out a.npz", "predict --scores S.npy --as probabilities --by softmax --out a.npy",
		"eval part-*.npy S.npy --loss zlpr-soft --metrics none",
	} {
		most := peakOf(t, dir, strings.Fields(args)...)
		t.Logf("%-80s RssAnon at most %d MiB", args, most>>10)
		require.Less(t, most, 64<<10, args)
	}
}
