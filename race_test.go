//go:build race

package zlpr

// raceEnabled: the race detector lets sync.Pool drop what it is given.
const raceEnabled = true
