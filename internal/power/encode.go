package power

import "github.com/zlpr/zlpr/internal/partial"

// Encode writes s with its digits carried: the number of terms and, of a sum of
// some, its shift, the highest place, and the digits to the last that is not 0.
func (s *Sum) Encode(w *partial.Writer) {
	w.Uint(uint64(s.terms))
	if s.terms == 0 {
		return
	}
	c := *s
	c.carry()
	n := limbs
	for n > 0 && c.digit[n-1] == 0 {
		n--
	}
	w.Float(c.shift)
	w.Int(c.top)
	w.Count(n)
	for _, d := range c.digit[:n] {
		w.Uint(uint64(d))
	}
}

// Decode reads what Encode wrote.
func (s *Sum) Decode(r *partial.Reader) {
	*s = Sum{}
	terms := r.Uint()
	if terms == 0 {
		return
	}
	// Exponents of exponentials lie far within 2^62.
	const farthest = 1 << 58
	shift, top, n := r.Float(), r.Int(), r.Length(1)
	if !r.Check(terms < 1<<32 && shift-shift == 0 && -farthest < top && top < farthest && 0 < n && n <= limbs) {
		return
	}
	c := Sum{top: top, terms: uint32(terms), shift: shift}
	for i := range n {
		d := r.Uint()
		if !r.Check(d < 1<<32 || i == 0 && d < 1<<62) {
			return
		}
		c.digit[i] = int64(d)
	}
	if r.Check(c.digit[n-1] != 0) {
		*s = c
	}
}

// Terms reports whether anything was added.
func (s *Sum) Terms() bool { return s.terms > 0 }
