//go:build unix

package main

import (
	"bufio"
	encoding "encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

// TestDiffBar measures diff with its defaults, two workers, warm, on two models of
// 100,000 × 1,000 scores, float32, with uint8 labels; at most a tenth of the classes
// are positive or predicted. It needs ZLPR_BARS, the name of a directory with the
// files, or one with room for 0.9 GB to put them in:
//
//	ZLPR_BARS=/var/tmp/bars go test -v -run TestDiffBar -timeout 20m ./cmd/zlpr
func TestDiffBar(t *testing.T) {
	dir := os.Getenv("ZLPR_BARS")
	if dir == "" {
		t.Skip("ZLPR_BARS is not set")
	}
	const rows, n = 100_000, 1000
	write := func(name, descr string, size int, row func(rng *rand.Rand, r int, b []byte)) {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return
		}
		file, err := os.Create(filepath.Join(dir, name+".part"))
		require.NoError(t, err)
		w := bufio.NewWriterSize(file, 1<<20)
		_, err = w.Write(npyOf(describe(descr, "100000, 1000"), nil))
		require.NoError(t, err)
		b := make([]byte, n*size)
		for r := range rows {
			row(rand.New(rand.NewPCG(uint64(len(name)), uint64(r))), r, b)
			_, err := w.Write(b)
			require.NoError(t, err)
		}
		require.NoError(t, w.Flush())
		require.NoError(t, file.Close())
		require.NoError(t, os.Rename(filepath.Join(dir, name+".part"), filepath.Join(dir, name)))
	}
	positive := func(r, j int) bool { return (r*31+j*17)%21 == 0 } // 48 of 1,000
	write("Ydiff.npy", "'|u1'", 1, func(_ *rand.Rand, r int, b []byte) {
		for j := range b {
			b[j] = 0
			if positive(r, j) {
				b[j] = 1
			}
		}
	})
	for k, name := range []string{"Sdiff.npy", "Sdiff-2.npy"} {
		write(name, "'<f4'", 4, func(rng *rand.Rand, r int, b []byte) {
			for j := range n {
				s := 2*rng.NormFloat64() - 4.2
				if positive(r, j) {
					s += 4 + 0.2*float64(k)
				}
				encoding.LittleEndian.PutUint32(b[4*j:], math.Float32bits(float32(s)))
			}
		})
	}
	s, err := array.Open(filepath.Join(dir, "Sdiff.npy"))
	require.NoError(t, err)
	s2, err := array.Open(filepath.Join(dir, "Sdiff-2.npy"))
	require.NoError(t, err)
	x, _ := array.View[float32](s, 0, 1<<20)
	y, _ := array.View[float32](s2, 0, 1<<20)
	chosen := 0
	for i, v := range x {
		if v > 0 || y[i] > 0 || positive(i/n, i%n) {
			chosen++
		}
	}
	require.Less(t, float64(chosen)/float64(len(x)), 0.1)
	best, most := time.Hour, 0
	for range 2 { // the first one is cold
		cmd := exec.Command(binary, "diff", "Sdiff.npy", "Sdiff-2.npy", "--labels", "Ydiff.npy", "--workers", "2", "--json")
		var out, stderr strings.Builder
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &stderr
		start := time.Now()
		require.NoError(t, cmd.Start())
		stop, peak := make(chan struct{}), make(chan int)
		go func() { peak <- anonymous(cmd.Process.Pid, stop) }()
		require.NoError(t, cmd.Wait(), stderr.String())
		best = min(best, time.Since(start))
		close(stop)
		most = max(most, <-peak)
		require.Contains(t, out.String(), `"micro_f1": {`)
	}
	t.Logf("%.1f %% of the classes positive or predicted: %.1f s, RssAnon at most %d MiB", 100*float64(chosen)/float64(len(x)), best.Seconds(), most>>10)
	require.Less(t, best.Seconds(), 45.0)
	require.Less(t, most, 300<<10)
}
