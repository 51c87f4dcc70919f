package kernel

// sparseProductGeneric adds Σ_k values[k]·v[columns·indices[k]+l] to dst[l], l < 8, in the
// order of k. Products are rounded, as those of dense rows: a row's entries that are not
// there count as zeros do.
func sparseProductGeneric(dst []float64, indices []int32, values, v []float64, columns int) {
	sums := (*[Lanes64]float64)(dst)
	s0, s1, s2, s3, s4, s5, s6, s7 := sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7]
	values = values[:len(indices)]
	for k, j := range indices {
		x, f := (*[Lanes64]float64)(v[int(j)*columns:]), values[k]
		s0 += float64(f * x[0])
		s1 += float64(f * x[1])
		s2 += float64(f * x[2])
		s3 += float64(f * x[3])
		s4 += float64(f * x[4])
		s5 += float64(f * x[5])
		s6 += float64(f * x[6])
		s7 += float64(f * x[7])
	}
	*sums = [Lanes64]float64{s0, s1, s2, s3, s4, s5, s6, s7}
}
