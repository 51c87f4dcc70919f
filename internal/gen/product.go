package gen

// joinProducts is x = x·y + (x+y).
func (v *vec) joinProducts(x, y vreg) {
	sum := v.like(x)
	v.add(x, y, sum)
	v.fmaMul(y, sum, x)
}

// joinProducts64 is joinProducts of float64 lanes.
func (v *vec) joinProducts64(x, y vreg) {
	sum := v.like(x)
	v.VADDPD(x, y, sum)
	v.VFMADD213PD(sum, y, x)
}

// A laneTree joins registers as (0, 1), (2, 3), then these.
type laneTree[R any] struct {
	join    func(x, y R) // x is the result
	pending []R
	levels  []int
}

func (t *laneTree[R]) push(x R) {
	level := 0
	for n := len(t.pending); n > 0 && t.levels[n-1] == level; n-- {
		t.join(t.pending[n-1], x)
		x = t.pending[n-1]
		t.pending, t.levels = t.pending[:n-1], t.levels[:n-1]
		level++
	}
	t.pending, t.levels = append(t.pending, x), append(t.levels, level)
}

// done returns what 1, 2 or 4 registers make.
func (t *laneTree[R]) done() R { return t.pending[0] }
