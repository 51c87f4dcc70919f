package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/named"
)

// Labels of floating-point numbers are soft if one of them lies between 0 and 1. A shard
// of which none does says nothing of the others: its partial result has what it would be
// with soft labels, too, and merging takes the one or the other.

// mayBeSoft returns the labels if other shards may show that they are soft.
func (e *evaluation) mayBeSoft() *array.Array {
	if d, ok := e.labels.(*denseBits); ok && d.Type.IsFloat() && e.teacher == nil {
		return d.Array
	}
	return nil
}

// softAsOthers takes hard labels as soft ones where only so they can be parts of all: with
// the divisor of soft labels, or where all losses are asked for and the labels of all rows
// are not known, without which hard ones would be an error.
func (f *evalFlags) softAsOthers(e *evaluation) error {
	labels := e.mayBeSoft()
	switch {
	case labels == nil:
	case f.divisorFrom != "":
		p, err := readEvaluation(f.divisorFrom)
		if err != nil {
			return err
		}
		if p.soft && !p.assumed {
			e.labels, e.soft = nil, labels
		}
	case f.partial != "" && f.loss == "all" && f.needsScan(f.K == 0, false) != nil:
		e.labels, e.soft, e.assumed = nil, labels, true
	}
	return nil
}

// addSoft adds to a partial result of hard labels what it is with soft ones.
func (f *evalFlags) addSoft(ctx context.Context, e *evaluation, p *partialResult) error {
	labels := e.mayBeSoft()
	takes := f.loss == "all" || !slices.ContainsFunc(f.lossNames(), func(name string) bool { return !slices.Contains(named.SoftLosses, name) })
	if labels == nil || e.scores.rows() == 0 || !takes || f.metrics != "all" && f.metrics != "none" || f.asksClasses() {
		return nil // soft labels are an error
	}
	o := *e
	o.labels, o.soft, o.values, o.losses, o.metrics = nil, labels, new(fingerprint), nil, nil
	o.k, o.propensity, o.softmaxFault, o.byClass, o.tunes = 0, nil, nil, false, false
	o.grad, o.perRow, o.predictions, o.kept, o.progress = nil, nil, nil, nil, nil
	report := &evalReport{Skipped: map[string]string{}, Tier: zlpr.Tier(), Version: version(), read: p.scores}
	report.Warnings = append(report.Warnings, f.warnings...)
	report.labels = fmt.Sprintf("%s (%s)", quoted(e.files["labels"]), o.describeLabels())
	if err := f.choose(ctx, &o, report); err != nil {
		return nil // so it would be of them
	}
	q := &partialResult{version: p.version, options: p.options, thresholdFlags: p.thresholdFlags, classes: p.classes, double: p.double, half: p.half, sparse: p.sparse,
		soft: true, shards: slices.Clone(p.shards), tiers: p.tiers, path: p.path}
	q.begin(&o, report, f)
	result, err := o.run(ctx)
	if err != nil {
		return err
	}
	if err := report.fill(&o, result); err != nil {
		return err
	}
	if err := o.look(report.worst); err != nil {
		return err
	}
	q.take(&o, result)
	p.asSoft = q
	return nil
}

// forms merge partial results with their labels as they are, hard ones, and as soft ones.
type forms struct {
	hard, soft *merger // nil where a part has no such form
	last       string  // the file before
}

func newForms() *forms { return &forms{hard: &merger{k: -1}, soft: &merger{k: -1}} }

// add merges a partial evaluation.
func (f *forms) add(file string, data []byte) error {
	p, err := decodePartial(file, data)
	if err != nil {
		return err
	}
	hard, soft := p, p.asSoft
	switch {
	case p.soft && p.rows() > 0:
		hard, soft = nil, p
	case p.rows() == 0: // labels are neither
		c := *p
		c.shards = slices.Clone(p.shards)
		soft = &c
	}
	if f.hard != nil && hard != nil {
		if err := f.hard.add(hard); err != nil {
			return err
		}
	} else {
		f.hard = nil
	}
	if f.soft == nil || soft == nil {
		f.soft = nil
	} else if err := f.soft.add(soft); err != nil {
		if f.hard == nil {
			return err
		}
		f.soft = nil
	}
	if f.hard == nil && f.soft == nil {
		return fmt.Errorf("cannot be merged with %s: soft and hard labels", quoted(f.last))
	}
	f.last = file
	return nil
}

// shards are those of the parts.
func (f *forms) shards() []*shardInfo {
	if f.hard != nil {
		return f.hard.shards
	}
	return f.soft.shards
}

// merged returns what all parts have in common: hard labels, or else soft ones, which one
// of them shows.
func (f *forms) merged() (*merger, error) {
	for _, m := range []*merger{f.hard, f.soft} {
		if m != nil {
			if err := m.place(); err != nil {
				return nil, err
			}
		}
	}
	if f.hard != nil {
		f.hard.asSoft = f.soft
		return f.hard, nil
	}
	for _, p := range f.soft.parts {
		if !p.assumed && p.rows() > 0 {
			return f.soft, nil
		}
	}
	return nil, array.Faultf(f.soft.first.path, "labels are 0 or 1, in all files: K of subset-padded is the most positives of a row of all shards; give zlpr eval --k, or what zlpr scan says of all labels by --scan")
}
