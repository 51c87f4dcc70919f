package report

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMergeOfNil: nothing to merge is a panic of this module.
func TestMergeOfNil(t *testing.T) {
	require.PanicsWithValue(t, "zlpr: Merge of a nil Fit", func() { new(Fit).Merge(nil) })
	require.PanicsWithValue(t, "zlpr: Merge of a nil Quantiles", func() { new(Quantiles).Merge(nil) })
	require.PanicsWithValue(t, "zlpr: Merge of a nil Reliability", func() { new(Reliability).Merge(nil) })
}
