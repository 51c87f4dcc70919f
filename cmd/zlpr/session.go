package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr/internal/array"
)

// A session is one run of the command: what it writes, and how it ends.
type session struct {
	stdout, stderr io.Writer
	command        []string // what the user typed
	warnings       []string // that no report has
	completes      bool     // whether a shell asks what may come next
	out            outputs
	bar            atomic.Pointer[progress] // on the terminal, or nil

	// ending is held, for ever, by who decides how the session ends: by its
	// outputs or an error, which is noted in ended, or by a signal.
	ending sync.Mutex
	ended  bool
}

// newSession returns a session that writes to these.
func newSession(stdout, stderr io.Writer) *session {
	return &session{stdout: &checkedWriter{to: stdout}, stderr: stderr}
}

// run runs the command and returns its exit status.
func (s *session) run(args []string) int {
	s.completes = len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd)
	s.command = append([]string{"zlpr"}, args...)
	root := newRoot(s)
	root.SetArgs(args)
	err := array.Guard(func() error { return root.ExecuteContext(context.Background()) })
	if err == nil {
		err = s.stdout.(*checkedWriter).err // of help, whose errors cobra does not look at
	}
	if err == nil {
		for _, w := range s.warnings {
			fmt.Fprintln(s.stderr, "zlpr: warning:", oneLine(errors.New(w)))
		}
		return 0
	}
	s.end()
	s.out.abort()
	fmt.Fprintln(s.stderr, "zlpr:", oneLine(err))
	return status(err)
}

// finish ends a command that has done its work: it writes the report to standard
// output and then, if that took all of it, gives the outputs their names.
func (s *session) finish(report func(io.Writer) error) error {
	w := bufio.NewWriter(s.stdout)
	if err := report(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	s.end()
	return s.out.commit()
}

// end decides that no signal can change how the session ends.
func (s *session) end() {
	if !s.ended {
		s.ending.Lock()
		s.ended = true
	}
}

// interruptible makes the first signal that asks the process to stop end it at
// once, wherever it is: outputs have no name before they are complete, so there
// is nothing to wait for, and opening a pipe, or a long row, cannot be called
// off. A second signal does what it does by default.
func (s *session) interruptible() {
	signal.Ignore(syscall.SIGPIPE) // writing to a closed pipe is an error like others
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		signal.Stop(signals)
		s.ending.Lock()
		s.out.abort()
		s.bar.Load().close()
		fmt.Fprintln(s.stderr, "zlpr:", oneLine(errInterrupted))
		os.Exit(statusStop)
	}()
}

// progress shows a bar for total rows on a terminal, until it is closed.
func (s *session) progress(what string, total int) *progress {
	p := newProgress(what, total)
	s.bar.Store(p)
	return p
}

// A checkedWriter is standard output. It keeps its first error.
type checkedWriter struct {
	to  io.Writer
	err error
}

func (w *checkedWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.to.Write(p)
	if err != nil {
		w.err = fmt.Errorf("standard output: %w", plain(err))
	}
	return n, w.err
}

// A helpWriter is where cobra writes, which would print the error of a writer;
// run returns it.
type helpWriter struct{ to io.Writer }

func (w helpWriter) Write(p []byte) (int, error) {
	_, _ = w.to.Write(p)
	return len(p), nil
}
