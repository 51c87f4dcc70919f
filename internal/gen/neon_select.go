package gen

// neonLossKernels emits the arm64 form of lossKernels.
func neonLossKernels(f *neonFile) {
	neonPackBytes(newNeonVec(f, float32s))
	for _, e := range elems {
		v := newNeonVec(f, e)
		neonSelectSums(v, false)
		neonSelectSums(v, true)
		neonSelectScale(v)
		neonFinishSums(v)
		neonAccumulate(v)
		if v.double() {
			neonAddParts(v)
		}
	}
}
