// Package crew runs a function in several goroutines at once, again and again.
//
// Waking a goroutine takes 5 to 100 µs, the latter on virtual machines: as long
// as the work of many a batch. So the members of a crew look out for more work
// for a while after theirs, and the caller for their end. They yield to other
// goroutines meanwhile.
package crew

import (
	"runtime"
	"sync/atomic"
	"time"
)

// patience is how long members look out for work: about what it takes to wake
// one. So waiting at most doubles a member's cost, whenever work comes.
const patience = 50 * time.Microsecond

// A Crew calls a function. Its methods are for one goroutine at a time.
type Crew struct {
	work    func(member int)
	members []*member // but for member 0, the caller
	left    atomic.Int64
	done    chan struct{}
}

// New returns a crew that calls work.
func New(work func(member int)) *Crew {
	return &Crew{work: work, done: make(chan struct{})}
}

// Run calls work(0) to work(n-1), n ≥ 1, at once: work(0) itself, the others in
// goroutines of their own. It returns when all have returned.
//
// Once a crew has had n members, Run allocates nothing.
func (c *Crew) Run(n int) {
	for i := len(c.members); i < n-1; i++ {
		m := &member{crew: c, number: i + 1}
		m.start = m.stay
		c.members = append(c.members, m)
	}
	// The caller is one of those who are left until it waits for the others.
	c.left.Store(int64(n))
	for _, m := range c.members[:n-1] {
		m.call()
	}
	defer c.wait() // also if work(0) panics
	c.work(0)
}

// wait waits for all members but the caller.
func (c *Crew) wait() {
	if !eventually(func() bool { return c.left.Load() == 1 }) && c.left.Add(-1) > 0 {
		<-c.done
	}
}

// The states of a member.
const (
	absent  = iota // no goroutine
	waiting        // for a call
	called
)

type member struct {
	crew   *Crew
	number int
	state  atomic.Int32
	start  func() // stay; made once, so that nothing is allocated
}

// call makes the member work.
func (m *member) call() {
	if !m.state.CompareAndSwap(waiting, called) {
		m.state.Store(called) // it was absent
		go m.start()
	}
}

// stay works and waits for the next call, until none comes.
func (m *member) stay() {
	for m.state.Load() == called {
		m.crew.work(m.number)
		m.state.Store(waiting) // before the caller is told, who may call again at once
		if m.crew.left.Add(-1) == 0 {
			m.crew.done <- struct{}{}
		}
		if !eventually(func() bool { return m.state.Load() == called }) && m.state.CompareAndSwap(waiting, absent) {
			return
		}
	}
}

// eventually waits for a condition, but not for long. It reports whether it came.
func eventually(condition func() bool) bool {
	const (
		looks  = 64   // between two yields
		yields = 1000 // at most: where time stands still, as in testing/synctest
	)
	begin := time.Now()
	for range yields {
		for range looks {
			if condition() {
				return true
			}
		}
		if time.Since(begin) > patience {
			break
		}
		runtime.Gosched()
	}
	return false
}
