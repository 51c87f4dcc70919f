package crew

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Every member works once in every run, whether it waited or was gone, and all
// have returned when Run does.
func TestRun(t *testing.T) {
	const most = 7
	for _, procs := range []int{1, 2, most + 1} {
		before := runtime.GOMAXPROCS(procs)
		var plain [most]int // not atomic: the race detector sees a run without an end
		c := New(func(i int) {
			plain[i]++
			if plain[i]%16 == 0 {
				time.Sleep(time.Duration(i) * patience / 4) // some are late, the caller waits for long
			}
		})
		want := [most]int{}
		for k := range 400 {
			n := k%most + 1
			for i := range n {
				want[i]++
			}
			require.NoError(t, c.Run(n))
			require.Equal(t, want, plain)
			if k%10 == 0 {
				time.Sleep(2 * patience) // all are gone
			}
		}
		runtime.GOMAXPROCS(before)
	}
}

// Members work at the same time.
func TestTogether(t *testing.T) {
	const n = 4
	var arrived atomic.Int64
	c := New(func(int) {
		arrived.Add(1)
		for arrived.Load()%n != 0 {
			runtime.Gosched()
		}
	})
	for range 100 {
		require.NoError(t, c.Run(n))
	}
	require.EqualValues(t, 100*n, arrived.Load())
}

// Members do not stay for ever.
func TestLeave(t *testing.T) {
	before := runtime.NumGoroutine()
	c := New(func(int) {})
	require.NoError(t, c.Run(8))
	for begin := time.Now(); runtime.NumGoroutine() > before; {
		require.Less(t, time.Since(begin), 10*time.Second)
		time.Sleep(patience)
	}
}

func TestNoAllocations(t *testing.T) {
	c := New(func(int) {})
	require.NoError(t, c.Run(3))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = c.Run(3) }))
}

// BenchmarkRun measures calls that follow one another at once, and after the
// members are gone.
func BenchmarkRun(b *testing.B) {
	for _, pause := range []time.Duration{0, 4 * patience} {
		b.Run("pause="+pause.String(), func(b *testing.B) {
			c := New(func(int) {})
			for b.Loop() {
				_ = c.Run(2)
				for begin := time.Now(); time.Since(begin) < pause; {
				}
			}
		})
	}
}

// A crew is in order after members that did not return: a panic comes to the
// caller with its value, Goexit as an error.
func TestFaults(t *testing.T) {
	const n = 4
	fault := errors.New("fault")
	var end func(member int)
	var count [n]int
	c := New(func(i int) {
		count[i]++
		defer time.Sleep(patience / 2) // Run must wait for this as well
		if end != nil {
			end(i)
		}
	})
	for i, test := range []struct {
		end   func(member int)
		err   error
		panic any
	}{
		{},
		{end: func(i int) {
			if i == 2 {
				panic(fault)
			}
		}, panic: fault},
		{end: func(i int) {
			if i == 0 {
				panic("first")
			}
		}, panic: "first"},
		{end: func(i int) { panic(i) }, panic: 0},
		{end: func(i int) {
			if i > 0 {
				panic(i)
			}
		}, panic: 1},
		{end: func(i int) {
			if i == 3 {
				runtime.Goexit()
			}
		}, err: ErrExit},
		{end: func(i int) {
			switch i {
			case 1:
				runtime.Goexit()
			case 3:
				panic("wins")
			}
		}, panic: "wins"},
	} {
		for range 3 {
			before := count
			end = test.end
			raised, err := run(c, n)
			require.Equal(t, test.err, err, i)
			require.Equal(t, test.panic, raised, i)
			end = nil
			raised, err = run(c, n)
			require.NoError(t, err)
			require.Nil(t, raised)
			for k := range count {
				require.Equal(t, before[k]+2, count[k])
			}
		}
	}
}

func run(c *Crew, n int) (raised any, err error) {
	defer func() { raised = recover() }()
	return nil, c.Run(n)
}

// Goexit of the caller's share ends the caller, after the others.
func TestExitOfCaller(t *testing.T) {
	late := false
	c := New(func(i int) {
		if i == 0 {
			runtime.Goexit()
		}
		time.Sleep(patience)
		late = true
	})
	ended := make(chan bool)
	returned := false
	go func() {
		defer close(ended)
		_ = c.Run(2)
		returned = true
	}()
	<-ended
	require.False(t, returned)
	require.True(t, late)
}

// Waiting ends where time stands still.
func TestStillTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := New(func(i int) {
			if i == 1 {
				n++
			}
		})
		require.NoError(t, c.Run(2))
		require.NoError(t, c.Run(2))
		require.Equal(t, 2, n)
	})
}

// Of goroutines that come at once one gets the turn.
func TestTurn(t *testing.T) {
	var turn Turn
	var got, wait atomic.Int64
	c := New(func(int) {
		for wait.Add(1); wait.Load() < 4; {
			runtime.Gosched()
		}
		if turn.Take() {
			got.Add(1)
		}
	})
	require.NoError(t, c.Run(4))
	require.EqualValues(t, 1, got.Load())
	turn.Give()
	require.True(t, turn.Take())
	require.False(t, turn.Take())
}
