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

	"github.com/zlpr/zlpr/internal/array"
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
// gone at the end; there is none where standard error is a file. The work is made
// longer until it is long enough for this machine.
func TestProgress(t *testing.T) {
	dir := t.TempDir()
	args := []string{"eval", "--scores", "S.npy", "--labels", "Y.npy", "--loss", "subset-padded", "--k", "500",
		"--metrics", "none", "--workers", "1"}
	for rows := 1 << 13; ; rows *= 2 {
		zeros(t, dir, "S.npy", array.Float32, rows, 1<<10)
		zeros(t, dir, "Y.npy", array.Uint8, rows, 1<<10)
		text, took := onTerminal(t, dir, args...)
		if text == "" {
			require.Less(t, took, 20*time.Second, "%d rows and no bar", rows)
			continue
		}
		require.Regexp(t, `\reval \[=* *\] +[0-9]+%  .*left`, text)
		require.True(t, strings.HasSuffix(text, "\r\x1b[K"), "%q", text)
		break
	}
	_, stderr, status := run(t, dir, args...)
	require.Equal(t, 0, status)
	require.Empty(t, stderr)
}

// onTerminal runs the command, whose standard error is a terminal, and returns what
// that shows and how long it took.
func onTerminal(t *testing.T, dir string, args ...string) (shown string, took time.Duration) {
	screen, tty := terminal(t)
	read := make(chan string)
	go func() {
		b, _ := io.ReadAll(screen) // ends with an error: the other side is closed
		read <- string(b)
	}()
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Stderr = dir, tty
	start := time.Now()
	require.NoError(t, cmd.Run())
	took = time.Since(start)
	require.NoError(t, tty.Close())
	return <-read, took
}
