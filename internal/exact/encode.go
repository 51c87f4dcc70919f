package exact

import "github.com/zlpr/zlpr/internal/partial"

// Encode writes s: what was added of NaN and infinities, the sign, and the words
// between the lowest and the highest that differ from the sign's.
func (s *Sum) Encode(w *partial.Writer) {
	fill := s.fill()
	first, end := 0, words
	for end > 0 && s.word[end-1] == fill {
		end--
	}
	for first < end && s.word[first] == 0 {
		first++
	}
	w.Uint(uint64(s.special)<<1 | fill&1)
	w.Count(first)
	w.Count(end - first)
	for _, v := range s.word[first:end] {
		w.Word(v)
	}
}

// Decode reads what Encode wrote.
func (s *Sum) Decode(r *partial.Reader) {
	*s = Sum{}
	head, first, n := r.Uint(), r.Count(), r.Length(8)
	if !r.Check(head>>1 < 1<<3 && first <= words && n <= words-first) {
		return
	}
	s.special = special(head >> 1)
	for i := range n {
		s.word[first+i] = r.Word()
	}
	fill := -(head & 1)
	for i := first + n; i < words; i++ {
		s.word[i] = fill
	}
	// Numbers have one spelling, and the sign is that of the highest bit.
	ends := n == 0 || s.word[first+n-1] != fill && s.word[first] != 0
	if !r.Check(s.fill() == fill && ends && (n > 0 || first == 0 || fill != 0)) {
		*s = Sum{}
	}
}

// fill is a word of the sign's bits.
func (s *Sum) fill() uint64 { return -(s.word[words-1] >> 63) }

// Weighs reports whether s may be a sum of weights: finite and not negative.
func (s *Sum) Weighs() bool { return s.special == 0 && s.fill() == 0 }
