//go:build unix

package main

import (
	"context"
	encoding "encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
)

// TestBars measures the command on 1 GiB of scores, float32 and bfloat16, with uint8
// labels, warm, against the library on the same data in memory, both with two
// workers, in turn; and the anonymous memory of the command. It needs ZLPR_BARS, the
// name of a directory with the files, or an empty one to put them in:
//
//	ZLPR_BARS=/var/tmp/bars go test -v -run TestBars -timeout 20m ./cmd/zlpr
func TestBars(t *testing.T) {
	dir := os.Getenv("ZLPR_BARS")
	if dir == "" {
		t.Skip("ZLPR_BARS is not set")
	}
	const n = 1 << 10
	t.Run("float32", func(t *testing.T) {
		const rows = 1 << 18
		if _, err := os.Stat(filepath.Join(dir, "S.npy")); err != nil {
			example[float32](t, dir, rows, n)
		}
		s, err := array.Open(filepath.Join(dir, "S.npy"))
		require.NoError(t, err)
		view, _ := array.View[float32](s, 0, rows*n)
		bar(t, dir, "S.npy", "Y.npy", zlpr.Matrix[float32]{Rows: rows, Cols: n, Data: append([]float32(nil), view...)}, 1.7, 200)
	})
	t.Run("bfloat16", func(t *testing.T) {
		const rows = 1 << 19
		m := zlpr.Matrix[zlpr.BFloat16]{Rows: rows, Cols: n, Data: make([]zlpr.BFloat16, rows*n)}
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range m.Data {
			if i < 1<<20 {
				m.Data[i] = zlpr.BFloat16Of(float32(2 * rng.NormFloat64()))
			} else {
				m.Data[i] = m.Data[i-1<<20]
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "S.safetensors")); err != nil {
			header := fmt.Sprintf("%-120s", fmt.Sprintf(`{"scores":{"dtype":"BF16","shape":[%d,%d],"data_offsets":[0,%d]}}`, rows, n, 2*rows*n))
			data := encoding.LittleEndian.AppendUint64(nil, uint64(len(header)))
			data, err := encoding.Append(append(data, header...), encoding.LittleEndian, m.Data)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "S.safetensors"), data, 0o644))
			y := make([]uint8, rows*n)
			for i := range y {
				if i%10 == 0 {
					y[i] = 1
				}
			}
			save(t, dir, "Y16.npy", []int{rows, n}, y)
		}
		bar(t, dir, "S.safetensors", "Y16.npy", m, 1.3, 64)
	})
}

// bar measures eval of two files against the library on the scores s: the time may be
// so many times as long, and the command have so many MiB.
func bar[T zlpr.Score](t *testing.T, dir, scores, labels string, s zlpr.Matrix[T], times float64, memory int) {
	y, err := array.Open(filepath.Join(dir, labels))
	require.NoError(t, err)
	view, _ := array.View[uint8](y, 0, s.Rows*s.Cols)
	b := zlpr.Batch[T]{Scores: s, Labels: &zlpr.DenseLabels[uint8]{Rows: s.Rows, Cols: s.Cols, Data: append([]uint8(nil), view...)}}
	e, err := zlpr.NewEvaluator[T](zlpr.ZLPR{}, zlpr.Options{Reduction: zlpr.Mean, Workers: 2})
	require.NoError(t, err)
	library, command, most := time.Hour, time.Hour, 0
	libraryCPU, commandCPU := time.Hour, time.Hour
	var want zlpr.Result
	for range 15 {
		start, before := time.Now(), cpuTime()
		want, err = e.Evaluate(context.Background(), &b, nil)
		require.NoError(t, err)
		library = min(library, time.Since(start))
		libraryCPU = min(libraryCPU, cpuTime()-before)

		cmd := exec.Command(binary, "eval", scores, labels, "--loss", "zlpr", "--metrics", "none", "--workers", "2", "--json")
		var out strings.Builder
		cmd.Dir, cmd.Stdout = dir, &out
		start = time.Now()
		require.NoError(t, cmd.Start())
		stop := make(chan struct{})
		peak := make(chan int)
		go func() { peak <- anonymous(cmd.Process.Pid, stop) }()
		require.NoError(t, cmd.Wait())
		command = min(command, time.Since(start))
		commandCPU = min(commandCPU, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		close(stop)
		most = max(most, <-peak)
		require.Contains(t, out.String(), fmt.Sprintf("\"mean\": %s,", strconv.FormatFloat(want.Loss, 'g', -1, 64)))
	}
	t.Logf("library %v, command %v: %.2f times; RssAnon at most %d MiB", library, command,
		command.Seconds()/library.Seconds(), most>>10)
	t.Logf("CPU time: library %v, command %v: %.2f times", libraryCPU, commandCPU, commandCPU.Seconds()/libraryCPU.Seconds())
	require.Less(t, command.Seconds()/library.Seconds(), times)
	require.Less(t, most, memory<<10)
}

// cpuTime is the CPU time of this process.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// anonymous returns the largest RssAnon of a process, in KiB.
func anonymous(pid int, stop chan struct{}) (most int) {
	for {
		select {
		case <-stop:
			return most
		case <-time.After(2 * time.Millisecond):
		}
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, after, ok := strings.Cut(string(b), "RssAnon:"); ok {
			kib, _ := strconv.Atoi(strings.Fields(after)[0])
			most = max(most, kib)
		}
	}
}
