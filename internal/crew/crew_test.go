package crew

import (
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
			c.Run(n)
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
		c.Run(n)
	}
	require.EqualValues(t, 100*n, arrived.Load())
}

// Members do not stay for ever.
func TestLeave(t *testing.T) {
	before := runtime.NumGoroutine()
	c := New(func(int) {})
	c.Run(8)
	for begin := time.Now(); runtime.NumGoroutine() > before; {
		require.Less(t, time.Since(begin), 10*time.Second)
		time.Sleep(patience)
	}
}

func TestNoAllocations(t *testing.T) {
	c := New(func(int) {})
	c.Run(3)
	require.Zero(t, testing.AllocsPerRun(100, func() { c.Run(3) }))
}

// BenchmarkRun measures calls that follow one another at once, and after the
// members are gone.
func BenchmarkRun(b *testing.B) {
	for _, pause := range []time.Duration{0, 4 * patience} {
		b.Run("pause="+pause.String(), func(b *testing.B) {
			c := New(func(int) {})
			for b.Loop() {
				c.Run(2)
				for begin := time.Now(); time.Since(begin) < pause; {
				}
			}
		})
	}
}

// A crew is in order after a panic of its first member.
func TestPanic(t *testing.T) {
	var count [3]int
	fail := true
	c := New(func(i int) {
		count[i]++
		if i == 0 && fail {
			panic("first")
		}
		time.Sleep(patience / 2)
	})
	require.Panics(t, func() { c.Run(3) })
	require.Equal(t, [3]int{1, 1, 1}, count)
	fail = false
	c.Run(3)
	require.Equal(t, [3]int{2, 2, 2}, count)
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
		c.Run(2)
		c.Run(2)
		require.Equal(t, 2, n)
	})
}
