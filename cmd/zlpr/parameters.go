package main

import (
	"slices"
	"strings"
)

// evalParameters are the options that an evaluation was made with: JSON's
// parameters. What no option says is null.
type evalParameters struct {
	S0     number `json:"s0"`
	K      *int   `json:"k"` // of subset-padded
	Gamma  number `json:"gamma"`
	Margin number `json:"margin"`
	Focal  number `json:"focal"`

	GammaPositive       *number `json:"gamma_positive"` // of asymmetric, where it is evaluated
	GammaNegative       *number `json:"gamma_negative"`
	Shift               *number `json:"shift"`
	PositiveTemperature *number `json:"positive_temperature"` // of two-way
	NegativeTemperature *number `json:"negative_temperature"`
	Beta                *number `json:"beta"` // of class-balanced

	Smoothing       number         `json:"smoothing"`
	Temperature     *number        `json:"temperature"`     // of a teacher
	PositiveWeight  *number        `json:"positive_weight"` // one for all classes
	Reduction       string         `json:"reduction"`
	Threshold       *number        `json:"predict_threshold"` // above which classes are predicted
	Thresholds      []number       `json:"thresholds"`        // of every class
	Top             *int           `json:"predict_top"`
	ThresholdColumn *int           `json:"threshold_column"`
	TopNegatives    *int           `json:"top_negatives"`
	TopScores       *int           `json:"top_scores"`
	Strict          bool           `json:"strict"`
	Propensities    *propensityLaw `json:"propensities"` // of psp and psndcg
	ZeroDivision    string         `json:"zero_division"`
	AreaBits        *areaBits      `json:"area_bits"` // nil where scores are kept
}

// areaBits are the bits of the bins of areas: of all classes together and of each.
type areaBits struct {
	Micro int `json:"micro"`
	Class int `json:"class"`
}

// A propensityLaw is by what law propensities are from the labels' frequencies.
type propensityLaw struct {
	A number `json:"a"`
	B number `json:"b"`
}

// The law's parameters for most data sets.
const propensityA, propensityB = 0.55, 1.5

// parameters returns the options in effect.
func (f *evalFlags) parameters(e *evaluation) evalParameters {
	given := func(n int, is bool) *int {
		if !is {
			return nil
		}
		return &n
	}
	p := evalParameters{S0: number(f.S0), K: given(e.k, e.k > 0), Gamma: number(f.Gamma), Margin: number(f.Margin), Focal: number(f.Focal), Smoothing: number(f.smoothing),
		Reduction: f.reduction, ThresholdColumn: given(f.thresholdColumn, f.thresholdColumn >= 0),
		TopNegatives: given(f.topNegatives, f.topNegatives > 0), TopScores: given(f.topScores, f.topScores > 0), Strict: f.strict,
		Top: given(f.predictTop, f.predictTop > 0)}
	of := func(name string, value float64) *number {
		v := number(value)
		if !slices.ContainsFunc(e.losses, func(l namedLoss) bool { return strings.HasPrefix(l.name, name) }) {
			return nil
		}
		return &v
	}
	p.GammaPositive, p.GammaNegative, p.Shift = of("asymmetric", f.GammaPositive), of("asymmetric", f.GammaNegative), of("asymmetric", f.Shift)
	p.PositiveTemperature, p.NegativeTemperature = of("two-way", f.PositiveTemperature), of("two-way", f.NegativeTemperature)
	p.Beta = of("class-balanced", f.Beta)
	if w, _ := f.positiveNumber(); w != nil {
		v := number(*w)
		p.PositiveWeight = &v
	}
	if f.teacher != "" {
		v := number(f.temperature)
		p.Temperature = &v
	}
	switch {
	case f.byThreshold() && f.each != nil:
		for _, v := range f.each {
			p.Thresholds = append(p.Thresholds, number(v))
		}
	case f.byThreshold() && f.thresholdColumn < 0:
		v := number(f.threshold)
		p.Threshold = &v
	case f.predictTop == 0 && f.thresholdColumn < 0: // softmax
		p.Top = given(1, true)
	}
	p.ZeroDivision = f.zeroDivision
	if e.microBits > 0 {
		p.AreaBits = &areaBits{e.microBits, e.classBits}
	}
	if e.propensity != nil {
		p.Propensities = &propensityLaw{propensityA, propensityB}
	}
	return p
}
