//go:build !race

package zlpr

const raceEnabled = false
