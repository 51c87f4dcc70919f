// Package crew runs a function in several goroutines at once, again and again.
//
// Waking a goroutine takes 5 to 100 µs, the latter on virtual machines: as long
// as the work of many a batch. So the members of a crew look out for more work
// for a while after theirs, and the caller for their end. They yield to other
// goroutines meanwhile.
package crew

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"
)

// patience is how long members look out for work: about what it takes to wake
// one. So waiting at most doubles a member's cost, whenever work comes.
const patience = 50 * time.Microsecond

// ErrExit is the error of a run in which runtime.Goexit ended the goroutine of a
// member, as testing's FailNow does.
var ErrExit = errors.New("zlpr: runtime.Goexit ended a worker: is it called while labels or masks are read?")

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
// goroutines of their own. It returns when all have ended.
//
// A panic of a member is raised again here, with its value; of several that of
// the lowest member. Where runtime.Goexit ended another member, Run returns
// ErrExit; called by work(0) it ends the goroutine of the caller, as everywhere.
// The crew is in order after each of them.
//
// Once a crew has had n members, Run allocates nothing.
func (c *Crew) Run(n int) error {
	for i := len(c.members); i < n-1; i++ {
		m := &member{crew: c, number: i + 1}
		m.start = m.stay
		c.members = append(c.members, m)
	}
	// The caller is one of those who are left until it waits for the others.
	c.left.Store(int64(n))
	others := c.members[:n-1]
	for _, m := range others {
		m.call()
	}
	c.lead()
	return outcome(others)
}

// lead does the caller's share and waits for the others, also if it panics.
func (c *Crew) lead() {
	defer c.wait()
	c.work(0)
}

// outcome raises the first panic of members again, else returns what ended one.
func outcome(members []*member) error {
	exited := false
	for _, m := range members {
		if m.fault == nil {
			continue
		}
		if m.fault.panic != nil {
			panic(m.fault.panic)
		}
		exited = true
	}
	if exited {
		return ErrExit
	}
	return nil
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
	fault  *fault // of the last call, nil if the work returned
}

// A fault is how work ended that did not return: the value of its panic, nil for
// runtime.Goexit.
type fault struct{ panic any }

// call makes the member work.
func (m *member) call() {
	m.fault = nil
	if !m.state.CompareAndSwap(waiting, called) {
		m.state.Store(called) // it was absent
		go m.start()
	}
}

// stay works and waits for the next call, until none comes.
func (m *member) stay() {
	working := true
	defer func() {
		if working { // a panic or Goexit, which takes this goroutine with it
			m.fault = &fault{recover()}
			m.end(absent)
		}
	}()
	for m.state.Load() == called {
		working = true
		m.crew.work(m.number)
		working = false
		m.end(waiting)
		if !eventually(func() bool { return m.state.Load() == called }) && m.state.CompareAndSwap(waiting, absent) {
			return
		}
	}
}

// end goes over to a state and tells the caller that the work is over. The state
// comes first, for the caller may call again at once.
func (m *member) end(state int32) {
	m.state.Store(state)
	if m.crew.left.Add(-1) == 0 {
		m.crew.done <- struct{}{}
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
