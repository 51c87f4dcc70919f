//go:build race

package kerneltest

// RaceEnabled: the race detector lets sync.Pool drop what it is given.
const RaceEnabled = true
