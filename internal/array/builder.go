package array

// A Builder makes an array of numbers that come one by one, as they are read
// from text. Few of them stay in memory, many go to a temporary file.
type Builder[T Element] struct {
	spill spill
	block []T
	n     int
}

// NewBuilder returns a builder for numbers of the file of that name.
func NewBuilder[T Element](name string) *Builder[T] {
	return &Builder[T]{spill: spill{name: name}}
}

// Append adds a number.
func (b *Builder[T]) Append(v T) error {
	b.block = append(b.block, v)
	b.n++
	if len(b.block) < 1<<13 {
		return nil
	}
	return b.flush()
}

// AppendAll adds numbers.
func (b *Builder[T]) AppendAll(v []T) error {
	for len(v) > 0 {
		n := min(len(v), 1<<13-len(b.block))
		b.block = append(b.block, v[:n]...)
		b.n += n
		if v = v[n:]; len(b.block) == 1<<13 {
			if err := b.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *Builder[T]) flush() error {
	_, err := b.spill.Write(encode(b.block))
	b.block = b.block[:0]
	return err
}

// Len returns how many numbers there are.
func (b *Builder[T]) Len() int { return b.n }

// Array returns the numbers as an array of that shape, nil for one axis. The
// builder is of no use afterwards.
func (b *Builder[T]) Array(shape []int) (*Array, error) {
	defer b.Discard()
	if err := b.flush(); err != nil {
		return nil, err
	}
	if shape == nil {
		shape = []int{b.n}
	}
	return b.spill.array(func(a *Array, data []byte) error {
		a.Type, a.Shape, a.data = typeOf[T](), shape, data
		return nil
	})
}

// Discard releases what an array was not made of.
func (b *Builder[T]) Discard() { b.spill.discard() }
