package zlprbeam

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/named"
	"github.com/zlpr/zlpr/metrics"
	"github.com/zlpr/zlpr/report"
)

// A jsonReport is what Report makes: the keys that zlpr eval --json has, too, mean
// what they mean there.
type jsonReport struct {
	Rows         int                    `json:"rows"`
	Classes      int                    `json:"classes"`
	LabelsPerRow report.Number          `json:"labels_per_row"`
	Losses       map[string]report.Loss `json:"losses"`
	Skipped      map[string]string      `json:"skipped"`
	Metrics      map[string]report.Area `json:"metrics"`
	Warnings     []string               `json:"warnings"`
	Tier         string                 `json:"tier"`
	Shards       []shardReport          `json:"shards"`
}

type shardReport struct {
	Scores string `json:"scores"`
	Rows   int    `json:"rows"`
}

// report is the report of all rows, in JSON.
func (s *state) report(o *Options) ([]byte, error) {
	if s == nil || s.rows == 0 {
		return nil, errors.New("no rows: all shards are empty; there is nothing to evaluate")
	}
	r := &jsonReport{Rows: s.rows, Classes: s.classes, LabelsPerRow: report.Number(float64(s.positives) / float64(s.rows)),
		Losses: map[string]report.Loss{}, Skipped: maps.Clone(s.skipped), Metrics: map[string]report.Area{}, Warnings: []string{}}
	r.Warnings = append(r.Warnings, slices.SortedFunc(slices.Values(s.warnings), array.Natural)...)
	if o.Soft {
		r.LabelsPerRow = report.Number(math.NaN())
		if len(o.Metrics) > 0 {
			r.Warnings = append(r.Warnings, "no metrics: labels are soft")
		}
	}
	if s.softmax != nil {
		for _, name := range named.LossNames {
			if named.OneTarget(name) {
				r.Skipped[name] = s.softmax.reason()
			}
		}
	}
	for _, name := range named.LossNames {
		total := s.totals[name]
		if total == nil {
			continue
		}
		loss, err := total.Result(zlpr.Mean)
		switch {
		case errors.Is(err, zlpr.ErrNoRows) && o.all():
			r.Skipped[name] = "no row counts"
			continue
		case errors.Is(err, zlpr.ErrNoRows):
			return nil, fmt.Errorf("no row counts for %s: all are masked out, ignored or of weight 0", name)
		case err != nil:
			return nil, err
		}
		r.Losses[name] = report.NewLoss(&loss)
		if sum := loss.Sum; math.IsNaN(sum) || math.IsInf(sum, 0) {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s is %v; strict names the first score that is NaN or infinite", name, sum))
		}
	}
	if s.measured != nil {
		results, err := s.measured.Results()
		switch {
		case errors.Is(err, metrics.ErrNoRows) && o.all():
			r.Warnings = append(r.Warnings, "no metrics: no row counts")
		case errors.Is(err, metrics.ErrNoRows):
			return nil, errors.New("no row counts for the metrics: all are masked out, ignored or of weight 0")
		case err != nil:
			return nil, err
		}
		for _, m := range results {
			r.Metrics[m.Name] = report.Area{Value: m.Value, Bounds: m.Bounds}
		}
	}
	if o.weighs() {
		r.Warnings = append(r.Warnings, "propensities are from all labels, with A = 0.55 and B = 1.5")
	}
	if !s.logits {
		r.Warnings = append(r.Warnings, "all scores lie in [0, 1]: are they probabilities? The losses take logits, before any sigmoid or softmax")
	}
	r.Tier = strings.Join(slices.Sorted(slices.Values(s.tiers)), ", ")
	for _, shard := range slices.SortedFunc(slices.Values(s.shards), func(a, b shardRows) int { return array.Natural(a.Name, b.Name) }) {
		r.Shards = append(r.Shards, shardReport{shard.Name, shard.Rows})
	}
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}
