package metrics

import (
	"math"
	"testing"
)

func TestFixed(t *testing.T) {
	for _, x := range []float64{0, 1, 0.5, 1.0 / 3, 1e-10, 12345.678, 1 << 40, math.Nextafter(1, 0)} {
		if got := toFixed(x).over(1); math.Abs(got-x) > 0x1p-64 {
			t.Errorf("%v became %v", x, got)
		}
	}
	for _, c := range []struct {
		a, b uint64
		want float64
	}{{0, 0, 0}, {1, 0, 0}, {1, 3, 1.0 / 3}, {7, 2, 3.5}, {5, 5, 1}, {1<<63 + 1, 1 << 63, 1}, {0, 9, 0}} {
		if got := ratio(c.a, c.b).over(1); got != c.want {
			t.Errorf("%d/%d = %v, want %v", c.a, c.b, got, c.want)
		}
	}
	var sum fixed
	for range 3 {
		sum.add(ratio(1, 3))
	}
	if got := sum.over(3); got != 1.0/3 {
		t.Errorf("mean of thirds = %v", got)
	}
	sum.sub(ratio(2, 3))
	if got := sum.over(1); got != 1.0/3 {
		t.Errorf("difference = %v", got)
	}
	if got := ratio(1, 3).times(9).over(3); got != 1 {
		t.Errorf("3·9/3/3 = %v", got)
	}
	if !math.IsNaN(sum.over(0)) {
		t.Error("no NaN")
	}
}
