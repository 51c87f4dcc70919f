package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"
)

// A progress is a bar on the terminal, shown once work takes longer than a
// second. A nil progress shows nothing.
type progress struct {
	total int
	done  atomic.Int64
	stop  chan struct{}
	once  sync.Once // closes stop
	ended chan struct{}
}

// newProgress returns a bar for total rows, or nil where standard error is no
// terminal.
func newProgress(what string, total int) *progress {
	if total == 0 || !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	p := &progress{total: total, stop: make(chan struct{}), ended: make(chan struct{})}
	go p.run(what)
	return p
}

func (p *progress) run(what string) {
	defer close(p.ended)
	start := time.Now()
	wait := time.NewTimer(time.Second)
	defer wait.Stop()
	select {
	case <-p.stop:
		return
	case <-wait.C:
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		share := float64(p.done.Load()) / float64(p.total)
		left := ""
		if share > 0 {
			left = time.Duration(float64(time.Since(start)) * (1 - share) / share).Round(time.Second).String()
		}
		const width = 40
		full := min(width, int(share*width))
		fmt.Fprintf(os.Stderr, "\r%s [%s%s] %3.0f%%  %s left \x1b[K", what,
			strings.Repeat("=", full), strings.Repeat(" ", width-full), 100*share, left)
		select {
		case <-p.stop:
			fmt.Fprint(os.Stderr, "\r\x1b[K")
			return
		case <-tick.C:
		}
	}
}

// add notes that n rows more are done.
func (p *progress) add(n int) {
	if p != nil {
		p.done.Add(int64(n))
	}
}

// set notes how many rows are done.
func (p *progress) set(n int) {
	if p != nil {
		p.done.Store(int64(n))
	}
}

// close takes the bar away.
func (p *progress) close() {
	if p != nil {
		p.once.Do(func() { close(p.stop) })
		<-p.ended
	}
}
