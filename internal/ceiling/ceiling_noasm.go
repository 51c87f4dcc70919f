//go:build !amd64 || purego

package ceiling

func read(x []float32) { readGeneric(x) }

func copying(dst, x []float32, _ bool) { copy(dst, x) }
