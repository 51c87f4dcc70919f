package zlprbeam

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/named"
	"github.com/zlpr/zlpr/metrics"
)

// Parameters are those of the losses; DefaultParameters are the command's.
type Parameters = named.Parameters

// DefaultParameters are what the parameters of the losses are where nobody says
// otherwise.
var DefaultParameters = named.Default

// Options say what is evaluated: they mean what the flags of zlpr eval mean that
// have these names.
type Options struct {
	Losses     []string // names, or "all"
	Parameters Parameters
	PosWeight  *float64 // of bce; nil: 1

	ClassWeights string // the file of them; "": none

	Soft   bool // labels lie between 0 and 1
	Strict bool // a score that is NaN or infinite is an error

	Metrics          []string // names, "all", or none
	PredictThreshold *float64 // nil: S0
	PredictTop       int      // 0: by threshold
	AreaBits         int      // 0: areas of all scores; beyond 64 million in bins

	Reduction string // of gradients: none, sum or mean ("")

	Workers int // goroutines that compute a shard; 0: as many as GOMAXPROCS
}

func (o *Options) all() bool { return slices.Contains(o.Losses, "all") }

// lossNames are the losses that are asked for.
func (o *Options) lossNames() []string {
	if o.all() {
		return named.LossNames
	}
	return o.Losses
}

// metricNames are the metrics that are asked for.
func (o *Options) metricNames() []string {
	switch {
	case o.Soft:
		return nil // they need hard labels
	case o.everyMetric():
		return metrics.All(1, 3, 5)
	}
	return o.Metrics
}

func (o *Options) everyMetric() bool { return len(o.Metrics) == 1 && o.Metrics[0] == "all" }

// Check says what is wrong with the options, before anything is read.
func (o *Options) Check() error {
	if len(o.Losses) == 0 && len(o.Metrics) == 0 {
		return errors.New("no loss and no metric is asked for")
	}
	seen := map[string]bool{}
	for _, name := range o.Losses {
		switch loss := named.FindLoss(name); {
		case name == "all" && len(o.Losses) > 1:
			return errors.New("loss all stands alone")
		case name == "all":
		case loss == nil:
			return fmt.Errorf("unknown loss %q; choose from %s, all", name, strings.Join(named.LossNames, ", "))
		case seen[name]:
			return fmt.Errorf("loss %s is named twice", name)
		case o.Soft && !slices.Contains(named.SoftLosses, name):
			return fmt.Errorf("loss %s takes no soft labels; choose from %s", name, strings.Join(named.SoftLosses, ", "))
		case !o.Soft && name == "zlpr-soft":
			return errors.New("loss zlpr-soft takes soft labels; say that they are, or choose zlpr")
		}
		seen[name] = true
	}
	if o.Soft && len(o.Metrics) > 0 && !o.everyMetric() {
		return errors.New("metrics need hard labels; ask for none")
	}
	p := &o.Parameters
	switch {
	case o.PredictTop < 0:
		return fmt.Errorf("%d classes predicted: at least 1", o.PredictTop)
	case o.AreaBits != 0 && (o.AreaBits < 8 || o.AreaBits > 22):
		return fmt.Errorf("%d bits of bins: 8 to 22", o.AreaBits)
	case !slices.Contains([]string{"", "none", "sum", "mean"}, o.Reduction):
		return fmt.Errorf("reduction %q: choose none, sum or mean", o.Reduction)
	case o.Workers < 0:
		return fmt.Errorf("%d workers: at least 1, or 0", o.Workers)
	case o.PosWeight != nil && (!(*o.PosWeight >= 0) || math.IsInf(*o.PosWeight, 1)):
		return fmt.Errorf("positive weight %v: a number of at least 0", *o.PosWeight)
	case o.PredictThreshold != nil && *o.PredictThreshold != *o.PredictThreshold:
		return errors.New("a threshold that is NaN")
	case p.S0-p.S0 != 0 || p.Margin-p.Margin != 0:
		return errors.New("the threshold and the margin of losses are finite")
	case p.K < 0:
		return fmt.Errorf("k %d: at least 1, or 0", p.K)
	}
	known := o.Parameters // as of two classes, of which the labels say nothing yet
	known.K, known.Counts, known.Rows = max(1, p.K), []int{1, 1}, 2
	for _, name := range o.lossNames() {
		if _, err := zlpr.NewEvaluator[float32](named.FindLoss(name).Make(&known, nil), zlpr.Options{Workers: 1}); err != nil {
			return fmt.Errorf("loss %s: %w", name, err)
		}
	}
	if names := o.metricNames(); len(names) > 0 {
		if _, err := metrics.NewAccumulator[float32](1, names, metrics.Options{Propensities: []float64{1}, Workers: 1}); err != nil {
			return err
		}
	}
	return nil
}

// needsScan tells whether something depends on all labels: propensities, K of
// subset-padded, the counts of losses that balance.
func (o *Options) needsScan() bool { return o.weighs() || o.countsK() || o.balances() }

func (o *Options) balances() bool {
	return !o.Soft && named.Balance(o.lossNames())
}

func (o *Options) weighs() bool {
	return slices.ContainsFunc(o.metricNames(), func(name string) bool { return strings.HasPrefix(name, "ps") })
}

func (o *Options) countsK() bool {
	return o.Parameters.K == 0 && !o.Soft && slices.Contains(o.lossNames(), "subset-padded")
}

// rule is which classes are predicted.
func (o *Options) rule() metrics.Rule {
	above := metrics.Above(o.Parameters.S0)
	if o.PredictThreshold != nil {
		above = metrics.Above(*o.PredictThreshold)
	}
	switch {
	case o.PredictTop > 0 && o.PredictThreshold != nil:
		return above.AtMost(o.PredictTop)
	case o.PredictTop > 0:
		return metrics.Top(o.PredictTop)
	case len(o.Losses) == 1 && named.OneTarget(o.Losses[0]):
		return metrics.Top(1)
	}
	return above
}
