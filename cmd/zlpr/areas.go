package main

import (
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/metrics"
	reports "github.com/zlpr/zlpr/report"
)

// tooMany tells whether areas are of scores in bins, and not of all scores.
func tooMany(rows, classes int) bool { return rows > mostKept/max(1, classes) }

// mostKept is how many scores are kept for areas. Tests lower it.
var mostKept = 64 << 20

// binBits are the bits of bins where nobody says: of all classes together, and of
// each. Those of float16 make areas exact.
func binBits(float16 bool) (micro, class int) {
	if float16 {
		return 20, 19
	}
	return 20, 16
}

// An area is a measure in JSON, or the bounds between which it lies.
type area = reports.Area

// shown is the value of a metric as a table has it: the bounds of an area in bins.
func shown(r metrics.Result) string {
	if r.Bounds.Low < r.Bounds.High {
		return short(r.Bounds.Low) + "–" + short(r.Bounds.High)
	}
	return short(r.Value)
}

// asksAreas tells whether an area is asked for, by a metric or for every class.
func (f *evalFlags) asksAreas() bool {
	if f.asksClasses() || f.metrics == "all" {
		return true
	}
	for _, name := range f.metricNames() {
		if metrics.NeedsScores(name) {
			return true
		}
	}
	return false
}

// chooseBins tells whether scores are counted in bins: where --area-bits asks for it,
// and where there are many.
func (f *evalFlags) chooseBins(e *evaluation) {
	switch {
	case f.areaBits > 0:
		e.microBits, e.classBits = f.areaBits, f.areaBits
	case tooMany(e.scores.rows(), e.scores.classes()):
		e.microBits, e.classBits = binBits(e.scores.dtype == array.Float16)
	}
}
