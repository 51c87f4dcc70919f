package array

import "testing"

func TestCounted(t *testing.T) {
	for _, c := range []struct {
		n           int
		thing, want string
	}{{1, "row", "1 row"}, {0, "row", "0 rows"}, {2, "class", "2 classes"}, {1, "class", "1 class"}, {3, "entry", "3 entries"}} {
		if got := Counted(c.n, c.thing); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}
