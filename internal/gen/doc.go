// Package gen generates the assembly kernels and the Go functions that call them.
//
// A kernel is declared once, in kernels.go: its name, element types, Go parameters
// and results, what it does, its body for x86, its body for NEON, and how the rest
// of a row is treated (whole). What is printed of it (dispatch.go):
//
//   - kernels.go of its package: the function by type parameter;
//   - dispatch_amd64.go and dispatch_arm64.go (in root logsumexp_*.go): for every
//     element type the function that chooses the tier's assembly by a switch, splits
//     rows into whole part and rest, and hands over a pending copy; and the
//     declarations of the assembly;
//   - dispatch_noasm.go: the functions that call the specification;
//   - the assembly of every tier, in the files stem_amd64.s and stem_arm64.s.
//
// A body of x86 is written once, against the vector type of x86.go, for AVX2 and
// AVX-512 and for every element type; a body of NEON against that of neon_vec.go.
// A body loads its arguments by their names (param, argument, stride, stream) and
// ends with RET. The arguments follow from the Go parameters by rule; see kernel.
//
// # Loops
//
// Kernels run through rows by the row loop of their instruction set, rowLoop (rows.go,
// wholerows.go) or neonLoop, to which the treatment of a row's rest, what moves on at a
// row's end and a pending copy are data. Loops of another kind, and why:
//
//   - rowsAhead loads the arguments of a group of the next row before a row ends;
//   - rowsTogether has several rows in a group, to hide their latency;
//   - shortLoop (twoRows on NEON) has bodies by the length of short rows, whose lanes it
//     transposes; flatLoop (flat) takes their elements without rows, so without rests;
//   - neonSoftLoop reads streams of different widths from one index;
//   - finish has a row in a lane; halfLoop, whileAtLeast and ceilingLoop know no rows.
//
// The sums and products of a row are kept by an accumulator, or a neonAccumulator.
//
// # How to add a kernel
//
// A new kernel touches two files, and the test that records its hash:
//
//  1. here: its declaration in the table of kernels.go, and beside it a file with
//     the bodies, func name(v *vec) and func neonName(v *neonVec);
//  2. its specification in Go, nameGeneric, in internal/kernel/stem.go of the
//     declared stem: the same parameters, one function for all element types
//     (oneTwin) or one for each; with whole, also the element to begin at;
//  3. rows of TestHashes, one for every element type, with the hash that the
//     specification gives on the generic tier.
//
// Then go generate in the root. TestComplete says what is missing; TestFresh and
// TestNoStale compare the files with what is generated; TestNEONExceptions lists
// what NEON does not have, and why.
package gen
