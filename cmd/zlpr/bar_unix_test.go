//go:build unix

package main

import (
	"context"
	"fmt"
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

// TestBars measures the command on 1 GiB of float32 scores with uint8 labels,
// warm, against the library on the same data in memory, both with two workers,
// in turn; and the anonymous memory of the command. It needs ZLPR_BARS, the
// name of a directory with S.npy and Y.npy, or an empty one to put them in:
//
//	ZLPR_BARS=/var/tmp/bars go test -v -run TestBars ./cmd/zlpr
func TestBars(t *testing.T) {
	dir := os.Getenv("ZLPR_BARS")
	if dir == "" {
		t.Skip("ZLPR_BARS is not set")
	}
	const rows, n = 1 << 18, 1 << 10
	if _, err := os.Stat(filepath.Join(dir, "S.npy")); err != nil {
		example[float32](t, dir, rows, n)
	}
	s, err := array.Open(filepath.Join(dir, "S.npy"))
	require.NoError(t, err)
	y, err := array.Open(filepath.Join(dir, "Y.npy"))
	require.NoError(t, err)
	view, _ := array.View[float32](s, 0, rows*n)
	labels, _ := array.View[uint8](y, 0, rows*n)
	b := zlpr.Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: rows, Cols: n, Data: append([]float32(nil), view...), Stride: n},
		Labels: &zlpr.DenseLabels[uint8]{Rows: rows, Cols: n, Data: append([]uint8(nil), labels...), Stride: n}}
	e, err := zlpr.NewEvaluator[float32](zlpr.ZLPR{}, zlpr.Options{Reduction: zlpr.Mean, Workers: 2})
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

		cmd := exec.Command(binary, "eval", "--scores", "S.npy", "--labels", "Y.npy", "--loss", "zlpr", "--metrics", "none", "--workers", "2", "--json")
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
	require.Less(t, command.Seconds()/library.Seconds(), 1.7)
	require.Less(t, most, 200<<10)
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
