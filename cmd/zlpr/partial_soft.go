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
// the divisor of soft labels; where all losses are asked for and the labels of all rows are
// not known, without which hard ones would be an error; and where a loss of one target is,
// and a row has not one positive.
func (f *evalFlags) softAsOthers(ctx context.Context, e *evaluation) error {
	labels := e.mayBeSoft()
	if labels == nil {
		return nil
	}
	if f.divisorFrom != "" {
		p, err := readEvaluation(f.divisorFrom)
		if err != nil {
			return err
		}
		if p.soft && !p.assumed {
			e.labels, e.soft = nil, labels
		}
		return nil
	}
	if f.partial == "" {
		return nil
	}
	if f.loss == "all" {
		e.assumed = f.needsScan(f.K == 0, false) != nil
	} else if f.takesSoft() && slices.ContainsFunc(f.lossNames(), named.OneTarget) {
		s, err := e.scan(ctx, false, true, f.lossNames()[0])
		if err != nil {
			return err
		}
		if s.fault.positives != 1 {
			e.assumed, e.softmaxFault = true, &s.fault
		}
	}
	if e.assumed {
		e.labels, e.soft = nil, labels
	}
	return nil
}

// takesSoft tells whether the losses and metrics that are asked for take soft labels.
func (f *evalFlags) takesSoft() bool {
	hard := func(name string) bool { return !slices.Contains(named.SoftLosses, name) }
	return (f.loss == "all" || !slices.ContainsFunc(f.lossNames(), hard)) && (f.metrics == "all" || f.metrics == "none") && !f.asksClasses()
}

// addSoft adds to a partial result of hard labels what it is with soft ones.
func (f *evalFlags) addSoft(ctx context.Context, e *evaluation, p *partialResult) error {
	labels := e.mayBeSoft()
	if labels == nil || e.scores.rows() == 0 || !f.takesSoft() {
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
	shown      bool    // whether a part has a label between 0 and 1
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
		f.shown = f.shown || !p.assumed
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
	if f.shown {
		return f.soft, nil
	}
	for _, p := range f.soft.parts { // by rising rows
		if p.softmax != nil {
			return nil, array.Faultf(p.path, "labels are 0 or 1, in all files, and %s; choose --loss zlpr", p.softmax.reason())
		}
	}
	return nil, array.Faultf(f.soft.first.path, "labels are 0 or 1, in all files: K of subset-padded is the most positives of a row of all shards; give zlpr eval --k, or what zlpr scan says of all labels by --scan")
}
