package metrics

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/zlpr/zlpr/internal/crew"
)

// A split cuts rows, or whatever is counted, into chunks and has workers take
// them in turn. It keeps its memory from one run to the next.
type split struct {
	crew    *crew.Crew
	do      func(worker, r0, r1 int) error
	rows    int
	size    int // of a chunk
	chunks  int64
	next    atomic.Int64
	failed  atomic.Int64 // the first chunk with an error
	workers []failure
}

// A failure is the first error of a worker.
type failure struct {
	err   error
	chunk int64
}

// newSplit returns a split whose workers call do.
func newSplit(do func(worker, r0, r1 int) error) *split {
	s := &split{do: do}
	s.crew = crew.New(s.work)
	return s
}

// run has at most so many workers go through rows in chunks of at most size. The
// error is that of the lowest rows. A panic of a worker is raised here.
func (s *split) run(rows, size, workers int) error {
	s.rows, s.size = rows, size
	s.chunks = int64((rows + size - 1) / size)
	s.next.Store(0)
	s.failed.Store(s.chunks)
	workers = max(1, min(workers, int(s.chunks)))
	for len(s.workers) < workers {
		s.workers = append(s.workers, failure{})
	}
	clear(s.workers)
	if err := s.crew.Run(workers); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	for _, w := range s.workers {
		if w.err != nil && w.chunk == s.failed.Load() {
			return w.err
		}
	}
	return nil
}

// work takes chunks, until none is left or one before them has failed: the
// chunks below the first error are done.
func (s *split) work(worker int) {
	for {
		k := s.next.Add(1) - 1
		if k >= s.failed.Load() { // chunks is the bound while none failed
			return
		}
		err := s.do(worker, int(k)*s.size, min(int(k+1)*s.size, s.rows))
		if err == nil {
			continue
		}
		s.workers[worker] = failure{err, k}
		for f := s.failed.Load(); k < f && !s.failed.CompareAndSwap(f, k); {
			f = s.failed.Load()
		}
		return
	}
}

// numWorkers returns the number of workers that an option asks for.
func numWorkers(n int) int {
	if n <= 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}

// workersFor is the number of workers that have a chunk of their own.
func workersFor(n, rows, size int) int {
	return max(1, min(numWorkers(n), (rows+size-1)/size))
}
