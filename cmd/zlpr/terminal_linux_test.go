package main

import (
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal: what is written to tty is read from screen.
func terminal(t *testing.T) (screen, tty *os.File) {
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	return screen, tty
}

// TestProgress: work of more than a second has a bar on a terminal, which is
// gone at the end; there is none where standard error is a file.
func TestProgress(t *testing.T) {
	dir := t.TempDir()
	example[float32](t, dir, 1500, 2000)
	// The k-subset softmax with K = 1000 takes long enough.
	args := []string{"eval", "--scores", "S.npy", "--labels", "Y.npy", "--loss", "subset-padded", "--k", "1000",
		"--metrics", "none", "--workers", "1"}
	screen, tty := terminal(t)
	shown := make(chan string)
	go func() {
		b, _ := io.ReadAll(screen) // ends with an error: the other side is closed
		shown <- string(b)
	}()
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Stderr = dir, tty
	start := time.Now()
	require.NoError(t, cmd.Run())
	took := time.Since(start)
	require.NoError(t, tty.Close())
	text := <-shown
	if took < 1200*time.Millisecond {
		t.Skipf("SKIPPED: done after %v", took)
	}
	require.Regexp(t, `\reval \[=* *\] +[0-9]+%  .*left`, text)
	require.True(t, strings.HasSuffix(text, "\r\x1b[K"), "%q", text)

	_, stderr, status := run(t, dir, args...)
	require.Equal(t, 0, status)
	require.Empty(t, stderr)
}
