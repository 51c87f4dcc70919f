package zlpr_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zlpr/zlpr"
)

// Labels of absurdly many classes have no room for their bits, which is an error.
func TestAbsurdClasses(t *testing.T) {
	for _, classes := range []int{math.MaxInt, math.MaxInt - 62, math.MaxInt - 63, math.MaxInt / 2} {
		for _, labels := range []zlpr.Bits{
			&zlpr.TargetLabels{Classes: classes, Targets: make([]int32, 1000)},
			&zlpr.LengthMask{Classes: classes, Lengths: make([]int, 1000)},
			&zlpr.SparseLabels{Classes: classes, RowPtr: make([]int64, 1001)},
		} {
			for _, rows := range []int{1, 2, 64, 1000} {
				require.Error(t, labels.ReadRows(make([]uint64, 1000), 0, rows))
			}
		}
	}
}
