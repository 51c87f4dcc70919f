package report

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/metrics"
)

// A Number is a float64 in JSON: in as many digits as it takes to read the same bits
// back, null where JSON has no name for it (NaN, infinities).
type Number float64

// MarshalJSON implements json.Marshaler.
func (x Number) MarshalJSON() ([]byte, error) {
	if v := float64(x); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return strconv.AppendFloat(nil, v, 'g', -1, 64), nil
	}
	return []byte("null"), nil
}

// An Area is a measure in JSON: its value, or {"low", "high"}, the bounds between which
// it lies, where these are not the same.
type Area struct {
	Value float64
	metrics.Bounds
}

// MarshalJSON implements json.Marshaler.
func (a Area) MarshalJSON() ([]byte, error) {
	if !(a.Low < a.High) {
		return Number(a.Value).MarshalJSON()
	}
	return json.Marshal(struct {
		Low  Number `json:"low"`
		High Number `json:"high"`
	}{Number(a.Low), Number(a.High)})
}

// A Loss is a loss of rows in JSON. MeanClasses is the mean over the elements that take
// part, nil where it is not asked for.
type Loss struct {
	Mean        Number  `json:"mean"`
	MeanClasses *Number `json:"mean_classes,omitempty"`
	Sum         Number  `json:"sum"`
	Min         Number  `json:"min"`
	Max         Number  `json:"max"`
}

// NewLoss is the Loss of a result, whose reduction is the mean.
func NewLoss(r *zlpr.Result) Loss {
	return Loss{Mean: Number(r.Loss), Sum: Number(r.Sum), Min: Number(r.Min), Max: Number(r.Max)}
}
