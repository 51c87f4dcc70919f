package metrics

// numPlanes bounds the rows that planes count before they overflow.
const numPlanes = 16

// maxPlaneRows is the largest number of rows between two drains.
const maxPlaneRows = 1<<numPlanes - 1

// planes counts set bits by column: the counter of bit j of word i has its
// binary digits in bit j of planes[i][0], planes[i][1], ... Adding a row is
// the schoolbook addition of one digit, for 64 columns at a time.
type planes []digits

// digits are the binary digits of 64 counters, the lowest first.
type digits [numPlanes]uint64

// add counts the bits of rows of len(p) words each.
func (p planes) add(words []uint64, rows int) {
	w := len(p)
	for i := range p {
		d := &p[i]
		column := words[i:]
		r := 0
		for ; r+16 <= rows; r += 16 {
			one, two, four, eight := d[0], d[1], d[2], d[3]
			one, two, four, a := add8(one, two, four, column[r*w:], w)
			one, two, four, b := add8(one, two, four, column[(r+8)*w:], w)
			eight, c := fullAdd(eight, a, b)
			d[0], d[1], d[2], d[3] = one, two, four, eight
			d.carry(4, c)
		}
		if r+8 <= rows {
			one, two, four, a := add8(d[0], d[1], d[2], column[r*w:], w)
			d[0], d[1], d[2] = one, two, four
			d.carry(3, a)
			r += 8
		}
		for ; r < rows; r++ {
			d.carry(0, column[r*w])
		}
	}
}

// add8 adds 8 rows' words to the three lowest digits: each full adder turns
// three digits of one weight into a digit and a carry.
func add8(one, two, four uint64, s []uint64, w int) (o, t, f, carry uint64) {
	_ = s[7*w]
	one, a := fullAdd(one, s[0], s[w])
	one, b := fullAdd(one, s[2*w], s[3*w])
	one, c := fullAdd(one, s[4*w], s[5*w])
	one, d := fullAdd(one, s[6*w], s[7*w])
	two, e := fullAdd(two, a, b)
	two, g := fullAdd(two, c, d)
	four, carry = fullAdd(four, e, g)
	return one, two, four, carry
}

// fullAdd adds three digits of one weight: the sum keeps it, the carry has the
// double weight.
func fullAdd(x, y, z uint64) (sum, carry uint64) {
	u := x ^ y
	return u ^ z, x&y | u&z
}

// carry adds a digit to plane k and above.
func (d *digits) carry(k int, digit uint64) {
	for ; digit != 0; k++ {
		d[k], digit = d[k]^digit, d[k]&digit
	}
}

// drain adds the counters to counts and clears them.
func (p planes) drain(counts []uint64) {
	for i := range p {
		d := &p[i]
		counts := counts[i*64 : min(len(counts), i*64+64)]
		for k := 0; k < numPlanes; k += 8 {
			if d[k]|d[k+1]|d[k+2]|d[k+3]|d[k+4]|d[k+5]|d[k+6]|d[k+7] == 0 {
				continue
			}
			// Eight columns at a time: byte r of m has their digits of weight
			// 2^(k+r); transposed, byte c of m has the digits of column c.
			for c := 0; c < len(counts); c += 8 {
				var m uint64
				for r := range 8 {
					m |= d[k+r] >> c & 0xff << (8 * r)
				}
				m = transpose8(m)
				for j := c; j < min(c+8, len(counts)); j++ {
					counts[j] += m & 0xff << k
					m >>= 8
				}
			}
		}
		p[i] = digits{}
	}
}

// transpose8 transposes a matrix of 8 × 8 bits, one row a byte: it swaps the
// two off-diagonal quarters, in each quarter the same, and once more.
func transpose8(m uint64) uint64 {
	t := (m ^ m>>28) & 0x00000000f0f0f0f0
	m ^= t ^ t<<28
	t = (m ^ m>>14) & 0x0000cccc0000cccc
	m ^= t ^ t<<14
	t = (m ^ m>>7) & 0x00aa00aa00aa00aa
	return m ^ t ^ t<<7
}
