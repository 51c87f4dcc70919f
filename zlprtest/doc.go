// Package zlprtest computes the losses of package zlpr with math/big, for tests
// of programs that use that package or that compute such losses themselves. It
// shares no code with package zlpr: it evaluates the formulas as they stand, for
// finite numbers of every size, to 160 bits, in some ten to a hundred
// microseconds a class.
//
// A test compares what it gets with the exact value, in units in the last place:
//
//	exact, err := zlprtest.Loss{Name: "zlpr"}.Evaluate(row)
//	if zlprtest.ULP32(got, exact.Loss) > 3 { …
package zlprtest
