package kernel

// sparseProductGeneric adds Σ_k values[k]·v[columns·indices[k]+l] to dst[l], l < 8: the
// terms of even k to dst[l] and those of odd k to 0, then both sums. Products are rounded:
// where there is no instruction for fma, that costs much more than all the rest.
func sparseProductGeneric(dst []float64, indices []int32, values, v []float64, columns int) {
	for l := 0; l < Lanes64; l += 4 {
		sparseQuad((*[4]float64)(dst[l:]), indices, values, v[l:], columns)
	}
}

// sparseQuad is sparseProductGeneric for 4 columns, whose sums have room in registers.
func sparseQuad(dst *[4]float64, indices []int32, values, v []float64, columns int) {
	s0, s1, s2, s3 := dst[0], dst[1], dst[2], dst[3]
	t0, t1, t2, t3 := 0.0, 0.0, 0.0, 0.0
	values = values[:len(indices)]
	for k := 0; k < len(indices); k += 2 {
		x, f := (*[4]float64)(v[int(indices[k])*columns:]), values[k]
		s0 += float64(f * x[0])
		s1 += float64(f * x[1])
		s2 += float64(f * x[2])
		s3 += float64(f * x[3])
		if k+1 == len(indices) {
			break
		}
		x, f = (*[4]float64)(v[int(indices[k+1])*columns:]), values[k+1]
		t0 += float64(f * x[0])
		t1 += float64(f * x[1])
		t2 += float64(f * x[2])
		t3 += float64(f * x[3])
	}
	*dst = [4]float64{s0 + t0, s1 + t1, s2 + t2, s3 + t3}
}
