package kerneltest

import "testing"

// SteadyAllocs is the least number of allocations of a call of f, by
// testing.AllocsPerRun, that several attempts find: a second worker takes its
// scratch with its first share of the work, which on a busy machine may come
// hundreds of calls later than the first worker's, and the garbage collector
// empties pools. An f that allocates in every call does so in every attempt.
func SteadyAllocs(runs int, f func()) float64 {
	const attempts = 100
	least := testing.AllocsPerRun(runs, f)
	for range attempts - 1 {
		if least == 0 {
			break
		}
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}
