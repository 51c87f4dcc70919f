//go:build !race

package kerneltest

const RaceEnabled = false
