package zlpr

func packBytes(dst []uint64, src []uint8, stride, rows, n int) bool {
	return packBytesGeneric(dst, src, stride, rows, n)
}
