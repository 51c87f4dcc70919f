package metrics

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/partial"
)

// What travels to another process, in the format of docs/partial.md: an
// Accumulator, a Tuner, and what they consist of. What writes something and what
// reads it stand one after the other.

// scoreSize is the bytes of a score of the type that is computed in.
func scoreSize[T zlpr.Float]() int {
	var x T
	return int(unsafe.Sizeof(x))
}

// readSize reads a size of scores, and says if it is not that of T.
func readSize[T zlpr.Float](r *partial.Reader) error {
	if size := r.Count(); size != scoreSize[T]() && r.Check(size == 4 || size == 8) {
		return fmt.Errorf("with scores of %d bytes, not of %d", size, scoreSize[T]())
	}
	return nil
}

func (a *accumulator[T]) MarshalBinary() ([]byte, error) {
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.turn.Give()
	w := partial.NewWriter(partial.Metrics)
	w.Count(scoreSize[T]())
	w.Count(a.classes)
	w.Count(len(a.metrics))
	for _, m := range a.metrics {
		w.Text(m.name)
	}
	a.options.encode(w)
	a.total.tally.encode(w)
	w.Bool(a.total.weighed != nil)
	if a.total.weighed != nil {
		a.total.weighed.encode(w)
	}
	a.total.scores.encode(w)
	if a.kinds.binned {
		a.total.binned.encode(w)
	}
	return w.Bytes(), nil
}

func (a *accumulator[T]) UnmarshalBinary(data []byte) error {
	if !a.turn.Take() {
		return errUsed
	}
	defer a.turn.Give()
	if a.fork.of != nil || a.fork.out > 0 {
		return errFork
	}
	s, err := decodeState[T](data)
	if err != nil {
		return fmt.Errorf("metrics: Accumulator: %w", err)
	}
	a.state, a.split, a.counters = s, nil, nil
	return nil
}

// decodeState reads what MarshalBinary wrote.
func decodeState[T zlpr.Float](data []byte) (s state[T], err error) {
	r, err := partial.NewReader(data, partial.Metrics)
	if err != nil {
		return s, err
	}
	if err := readSize[T](r); err != nil {
		return s, err
	}
	classes := r.Count()
	names := make([]string, r.Length(1))
	var kinds needs
	for i := range names {
		names[i] = r.Text()
		if m, err := parse(names[i]); err == nil {
			kinds.include(m)
		}
	}
	var options Options
	options.decode(r)
	if options.ByClass {
		kinds.includeClasses()
	}
	// What is kept of every class takes bytes of each.
	perClass := 0
	if kinds.byClass {
		perClass += 3
	}
	if kinds.keepByClass {
		perClass += 3
	}
	if !r.Check(classes <= mostClasses && r.Fits(classes, perClass)) {
		return s, r.End()
	}
	if s, err = newState[T](classes, names, options); err != nil {
		return s, err
	}
	s.total.tally.decode(r)
	if r.Bool() {
		s.total.weighed = s.newWeighed()
		s.total.weighed.decode(r)
	}
	s.total.scores.decode(r)
	if s.kinds.binned {
		s.total.binned.decode(r)
	}
	return s, r.End()
}

// encode writes the options that results depend on.
func (o *Options) encode(w *partial.Writer) {
	w.Float(o.Rule.threshold)
	w.Count(len(o.Rule.each))
	for _, t := range o.Rule.each {
		w.Float(t)
	}
	w.Bool(o.Rule.each != nil)
	w.Count(o.Rule.k)
	w.Bool(o.Rule.topOnly)
	w.Bool(o.Rule.listed)
	w.Bool(o.Sparse)
	w.Count(len(o.Propensities))
	for _, p := range o.Propensities {
		w.Float(p)
	}
	w.Uint(uint64(o.ZeroDivision))
	w.Bool(o.ByClass)
	w.Count(o.MicroBits)
	w.Count(o.ClassBits)
}

func (o *Options) decode(r *partial.Reader) {
	floats := func() []float64 {
		list := make([]float64, r.Length(8))
		for i := range list {
			list[i] = r.Float()
		}
		return list
	}
	o.Rule.threshold, o.Rule.each = r.Float(), floats()
	if !r.Bool() {
		r.Check(len(o.Rule.each) == 0)
		o.Rule.each = nil
	}
	o.Rule.k, o.Rule.topOnly, o.Rule.listed, o.Sparse = r.Count(), r.Bool(), r.Bool(), r.Bool()
	r.Check(o.Rule.listed || !o.Sparse) // as NewAccumulator makes it
	if o.Propensities = floats(); len(o.Propensities) == 0 {
		o.Propensities = nil
	}
	zero := r.Uint()
	r.Check(zero <= uint64(ZeroDivisionNaN))
	o.ZeroDivision, o.ByClass = ZeroDivision(zero), r.Bool()
	o.MicroBits, o.ClassBits = r.Count(), r.Count()
}

// counts are the numbers of a tally that are integers.
func (t *tally) counts() [9]*uint64 {
	return [...]*uint64{&t.Rows, &t.PositiveRows, &t.Exact, &t.Elements, &t.Positive, &t.Predicted, &t.TruePositive, &t.OneErrors, &t.OwnThresholds}
}

// sums are those that are in fixed point, but for those of slots.
func (t *tally) sums() [3]*fixed { return [...]*fixed{&t.Coverage, &t.Precision, &t.Loss} }

func (t *tally) encode(w *partial.Writer) {
	for _, n := range t.counts() {
		w.Uint(*n)
	}
	write := func(v fixed) {
		w.Uint(v.Int)
		w.Word(v.Frac)
	}
	for _, v := range t.sums() {
		write(*v)
	}
	for _, v := range t.Sums {
		write(v)
	}
	for _, counts := range t.ByClass {
		for _, n := range counts {
			w.Uint(n)
		}
	}
}

// decode reads a tally of as many slots and classes as t.
func (t *tally) decode(r *partial.Reader) {
	for _, n := range t.counts() {
		*n = r.Uint()
	}
	for _, v := range t.sums() {
		*v = fixed{r.Uint(), r.Word()}
	}
	for i := range t.Sums {
		t.Sums[i] = fixed{r.Uint(), r.Word()}
	}
	for _, counts := range t.ByClass {
		for j := range counts {
			counts[j] = r.Uint()
		}
	}
	// Parts are not more than the whole: differences of counts are not negative.
	parts := func(both, a, b uint64) bool { return both <= min(a, b) }
	ok := parts(t.TruePositive, t.Positive, t.Predicted) && t.PositiveRows <= t.Rows && t.Exact <= t.Rows && t.OneErrors <= t.PositiveRows
	for j := range t.ByClass[classTrue] {
		ok = ok && parts(t.ByClass[classTrue][j], t.ByClass[classPositive][j], t.ByClass[classPredicted][j])
	}
	r.Check(ok)
}

func (w *weighed) encode(to *partial.Writer) {
	to.Uint(w.Rows)
	w.Sums.encode(to)
	w.ByClass.encode(to)
}

func (w *weighed) decode(r *partial.Reader) {
	w.Rows = r.Uint()
	w.Sums.decode(r)
	w.ByClass.decode(r)
}

func (s *sums) encode(w *partial.Writer) {
	w.Int(int64(s.Low))
	w.Count(s.Words)
	for _, v := range s.Word {
		w.Word(v)
	}
}

// decode reads as many sums as s is of.
func (s *sums) decode(r *partial.Reader) {
	const most = 64 // far more words than the range of float64 needs
	low, words := r.Int(), r.Count()
	if !r.Check(-most <= low && low <= most && words <= most && r.Fits(s.n*words, 8)) {
		return
	}
	s.Low, s.Words = int(low), words
	if words > 0 {
		s.Word = make([]uint64, s.n*words)
	}
	for i := range s.Word {
		s.Word[i] = r.Word()
	}
}

func (s *scores[T]) encode(w *partial.Writer) {
	for i := range s.Lists {
		l := &s.Lists[i]
		for _, x := range [2][]T{l.Pos, l.Neg} {
			w.Count(len(x))
			for _, v := range x {
				writeScore(w, v)
			}
		}
		w.Count(len(l.Weighed))
		for _, v := range l.Weighed {
			writeScore(w, v.Score)
			w.Float(v.Weight)
		}
	}
}

// decode reads as many lists as s has.
func (s *scores[T]) decode(r *partial.Reader) {
	size := scoreSize[T]()
	for i := range s.Lists {
		l := &s.Lists[i]
		for _, x := range [2]*[]T{&l.Pos, &l.Neg} {
			if n := r.Length(size); n > 0 {
				*x = make([]T, n)
			}
			for k := range *x {
				(*x)[k] = readScore[T](r)
			}
		}
		if n := r.Length(size + 8); n > 0 {
			l.Weighed = make([]weighedScore[T], n)
		}
		for k := range l.Weighed {
			v := weighedScore[T]{readScore[T](r), r.Float()}
			weight := math.Abs(v.Weight)
			if !r.Check(weight > 0 && weight <= math.MaxFloat64) {
				return
			}
			l.Weighed[k] = v
		}
	}
}

// encode writes the bins of all classes together, then those of every class.
func (b *binned) encode(w *partial.Writer) {
	b.finish()
	b.micro.encode(w)
	for j := range b.class {
		b.class[j].encode(w)
	}
}

func (b *binned) decode(r *partial.Reader) {
	b.micro.decode(r)
	for j := range b.class {
		b.class[j].decode(r)
	}
	if r.Check(true) && b.isSum() {
		all := b.micro
		b.stale = true
		b.finish()
		r.Check(all.equal(&b.micro))
	}
}

// equal tells whether finished bins are written as the same bytes.
func (b *bins) equal(o *bins) bool {
	var none weighedBins
	w, v := b.weighed, o.weighed
	if w == nil {
		w = &none
	}
	if v == nil {
		v = &none
	}
	return b.Rest == o.Rest && slices.Equal(b.Bin, o.Bin) && slices.Equal(w.Key, v.Key) && slices.Equal(w.N, v.N) &&
		w.Low == v.Low && slices.Equal(w.Word, v.Word)
}

func (b *bins) encode(w *partial.Writer) {
	w.Word(b.Rest)
	w.Count(len(b.Bin))
	key := uint32(0)
	for _, v := range b.Bin {
		w.Uint(uint64(v.Key - key))
		w.Uint(v.Pos)
		w.Uint(v.Neg)
		key = v.Key
	}
	w.Bool(b.hasWeights())
	if b.hasWeights() {
		b.weighed.encode(w)
	}
}

func (b *bins) decode(r *partial.Reader) {
	b.Rest = r.Word()
	if n := r.Length(3); n > 0 {
		b.Bin = make([]bin, n)
	}
	key := uint64(0)
	for i := range b.Bin {
		step := r.Uint()
		if !r.Check((step > 0 || i == 0) && step < 1<<b.Bits && key+step < 1<<b.Bits) {
			return
		}
		key += step
		v := bin{uint32(key), r.Uint(), r.Uint()}
		const most = 1 << 56
		b.sum.Pos += v.Pos
		b.sum.Neg += v.Neg
		if !r.Check(v.Pos < most && v.Neg < most && v.Pos+v.Neg > 0 && b.sum.Pos < most && b.sum.Neg < most) {
			return
		}
		b.Bin[i] = v
	}
	if r.Bool() {
		b.weights().decode(r, b.Bits, 0)
		r.Check(b.hasWeights())
	}
}

// encode writes the keys in use with their sums.
func (k *keyedSums) encode(w *partial.Writer) {
	w.Int(int64(k.Low))
	w.Count(k.Words)
	w.Count(len(k.Key))
	key := uint32(0)
	for i, v := range k.Key {
		w.Uint(uint64(v - key))
		w.Uint(k.N[i])
		key = v
	}
	for _, v := range k.Word {
		w.Word(v)
	}
}

// decode reads the sums of keys of that many bits: of weights, times multiples of
// 2^-below.
func (k *keyedSums) decode(r *partial.Reader, digits, below int) {
	low, words, n := r.Int(), r.Count(), r.Length(2)
	// The words of weights, from the least to the largest, with room for their sums.
	if !r.Check(-18 <= low && words <= 38 && low+int64(words) <= 20 && (n == 0 || words > 0) && r.Fits(n*k.width*words, 8)) {
		return
	}
	k.Low, k.Words, k.n = int(low), words, n*k.width
	k.Key, k.N = make([]uint32, n), make([]uint64, n)
	key := uint64(0)
	for i := range k.Key {
		step := r.Uint()
		if !r.Check((step > 0 || i == 0) && step < 1<<digits && key+step < 1<<digits) {
			return
		}
		key += step
		k.Key[i], k.N[i] = uint32(key), r.Uint()
	}
	if n > 0 {
		k.Word = make([]uint64, k.n*words)
	}
	for i := range k.Word {
		k.Word[i] = r.Word()
	}
	const rows = 48 // bits of the number of rows
	w := k.window()
	r.Check(w.Low >= -1074-below && w.High <= 1024+rows)
	for i, n := range k.N {
		r.Check(n < 1<<48 && (n > 0) == !isZero(k.at(i*k.width)))
	}
}

func writeScore[T zlpr.Float](w *partial.Writer, x T) {
	switch x := any(x).(type) {
	case float32:
		w.Float32(x)
	case float64:
		w.Float(x)
	}
}

// readScore reads a score, which is no NaN.
func readScore[T zlpr.Float](r *partial.Reader) (x T) {
	switch p := any(&x).(type) {
	case *float32:
		*p = r.Float32()
	case *float64:
		*p = r.Float()
	}
	r.Check(x == x)
	return x
}

func (t *tuner[T]) MarshalBinary() ([]byte, error) {
	if err := t.enter(); err != nil {
		return nil, err
	}
	defer t.turn.Give()
	w := partial.NewWriter(partial.Tuner)
	w.Count(scoreSize[T]())
	w.Count(t.classes)
	t.encode(w)
	return w.Bytes(), nil
}

func (t *tuner[T]) UnmarshalBinary(data []byte) error {
	if !t.turn.Take() {
		return errTunerUsed
	}
	defer t.turn.Give()
	g, err := decodeTuner[T](data)
	if err != nil {
		return fmt.Errorf("metrics: Tuner: %w", err)
	}
	t.made, t.gathered, t.parts = true, g, nil
	return nil
}

// decodeTuner reads what MarshalBinary wrote.
func decodeTuner[T zlpr.Float](data []byte) (g gathered[T], err error) {
	r, err := partial.NewReader(data, partial.Tuner)
	if err != nil {
		return g, err
	}
	if err := readSize[T](r); err != nil {
		return g, err
	}
	g = decodeGathered[T](r, r.Count())
	r.Check(g.microBits == 0 || g.classBits > 0)
	return g, r.End()
}

// A LabelScan is what must be known of all labels before the scores of some rows
// are evaluated: how many rows there are, the positives of every class, of which
// Propensities are made, and the most of a row, the K of zlpr.PaddedSubset. It is
// for one goroutine at a time.
type LabelScan struct {
	rows, most int
	positives  []int
}

// NewLabelScan returns a scan of no rows of that number of classes. It panics if
// that is negative or above 2^30.
func NewLabelScan(classes int) *LabelScan {
	if classes < 0 || classes > mostClasses {
		panic("zlpr: LabelScan of a number of classes below 0 or above 2^30")
	}
	return &LabelScan{positives: make([]int, classes)}
}

// Rows returns the number of rows.
func (s *LabelScan) Rows() int { return s.rows }

// Most returns the most positives of a row.
func (s *LabelScan) Most() int { return s.most }

// Positives returns the number of positives of every class, which the caller must
// not change.
func (s *LabelScan) Positives() []int { return s.positives }

// AddRow adds a row whose positive classes have their bits set, the least
// significant bit of the first word being class 0. It panics if there is no such
// class.
func (s *LabelScan) AddRow(words []uint64) {
	k := 0
	for i, word := range words {
		for ; word != 0; word &= word - 1 {
			s.positives[64*i+bits.TrailingZeros64(word)]++
			k++
		}
	}
	s.rows++
	s.most = max(s.most, k)
}

// Merge adds the rows of o, which stays as it is.
func (s *LabelScan) Merge(o *LabelScan) error {
	if s == nil || o == nil {
		return fmt.Errorf("metrics: merge of no LabelScan")
	}
	if len(s.positives) != len(o.positives) {
		return fmt.Errorf("metrics: merge of %d and %d classes", len(s.positives), len(o.positives))
	}
	s.rows += o.rows
	s.most = max(s.most, o.most)
	for j, n := range o.positives {
		s.positives[j] += n
	}
	return nil
}

// MarshalBinary returns s, for UnmarshalBinary in another process.
func (s *LabelScan) MarshalBinary() ([]byte, error) {
	w := partial.NewWriter(partial.Labels)
	w.Count(s.rows)
	w.Count(s.most)
	w.Count(len(s.positives))
	for _, n := range s.positives {
		w.Count(n)
	}
	return w.Bytes(), nil
}

// UnmarshalBinary makes s the scan that was marshalled. After an error s is as it
// was before.
func (s *LabelScan) UnmarshalBinary(data []byte) error {
	r, err := partial.NewReader(data, partial.Labels)
	var t LabelScan
	if err == nil {
		t = LabelScan{r.Count(), r.Count(), make([]int, r.Length(1))}
		for j := range t.positives {
			t.positives[j] = r.Count()
			r.Check(t.positives[j] <= t.rows)
		}
		r.Check(t.most <= len(t.positives) && (t.rows > 0 || t.most == 0))
		err = r.End()
	}
	if err != nil {
		return fmt.Errorf("metrics: LabelScan: %w", err)
	}
	*s = t
	return nil
}
