package report

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/metrics"
)

// TestJSON: numbers are read back as the same bits, what JSON has no name for is null.
func TestJSON(t *testing.T) {
	for v, want := range map[any]string{
		Number(0.1): "0.1", Number(math.Nextafter(0.1, 1)): "0.10000000000000002", Number(math.Inf(1)): "null", Number(math.NaN()): "null",
		Area{0.5, metrics.Bounds{Low: 0.25, High: 0.75}}:                       `{"low":0.25,"high":0.75}`,
		Area{0.5, metrics.Bounds{Low: 0.5, High: 0.5}}:                         "0.5",
		Area{math.NaN(), metrics.Bounds{Low: math.NaN(), High: math.NaN()}}:    "null",
		NewLoss(&zlpr.Result{Loss: 1, Sum: math.Inf(1), Min: 0.5, Max: 1e300}): `{"mean":1,"sum":null,"min":0.5,"max":1e+300}`,
	} {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}
}
