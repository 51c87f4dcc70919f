// Package zlpr evaluates classification losses on CPUs: log-sum-exp and
// softmax, softmax cross-entropy, the multi-label loss ZLPR and its family,
// and the k-subset ("combinatorial") softmax, each with its gradient.
package zlpr

//go:generate go run ./asm
