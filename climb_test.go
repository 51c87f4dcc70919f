package zlpr_test

import (
	"flag"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/climb"
)

var (
	climbTime = flag.Duration("climb", 0, "search for inputs of large errors for so long")
	climbOnly = flag.String("climb-only", "", "search in functions whose names match this regular expression")
	update    = flag.Bool("update", false, "write the witnesses and the README's table of them anew")
)

// climbed are the functions to climb in: those of the API and the exponential of
// the kernels.
func climbed() []*climb.Function {
	return append([]*climb.Function{
		climb.Exponential(zlpr.KernelExp[float32], 0.892),
		climb.Exponential(zlpr.KernelExp[float64], 0.92),
	}, climb.Functions()...)
}

// climber returns a function's source of random numbers, in each round another.
func climber(name string, round uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(h.Sum64(), round))
}

// TestClimb climbs towards the inputs of every function of the library where its
// documented bound is nearest to being broken: a little, always the same way, or
// with -climb for as long as that says. With -update, the worst that it finds
// become Witnesses.
func TestClimb(t *testing.T) {
	evaluations := 120
	switch {
	case *climbTime > 0:
		evaluations = 3000
	case testing.Short():
		evaluations = 20
	}
	functions, only := climbed(), regexp.MustCompile(*climbOnly)
	worst := map[string]climb.Find{}
	deadline := time.Now().Add(*climbTime)
	for round := uint64(0); round == 0 || time.Now().Before(deadline); round++ {
		for _, f := range functions {
			if !only.MatchString(f.Name) || round > 0 && time.Now().After(deadline) {
				continue
			}
			for i, find := range f.Climb(climber(f.Name, round), evaluations) {
				if w, ok := worst[find.Key()]; ok && !(find.Error > w.Error) {
					continue
				}
				worst[find.Key()] = find
				if q := f.Quantities[i]; q.Broken(find.Error) {
					t.Errorf("%s: %.4g, the bound is %g (%s):\n\t%v", find.Key(), find.Error, q.Bound, q.Unit, find)
				}
			}
		}
	}
	var found []climb.Find
	for _, f := range functions {
		for _, q := range f.Quantities {
			if w, ok := worst[climb.Find{Function: f.Name, Quantity: q.Name}.Key()]; ok {
				t.Logf("%-70s %8.4g of %g", w.Key(), w.Error, q.Bound)
				found = append(found, w)
			}
		}
	}
	if *update {
		climb.Witnesses = climb.Merge(climbed(), climb.Witnesses, found)
		writeWitnesses(t)
	}
}

func writeWitnesses(t *testing.T) {
	t.Helper()
	if err := os.WriteFile("internal/climb/witnesses.go", climb.WitnessFile(climb.Witnesses), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestClimbedWitnesses: every quantity of every function has its witness, which gives
// the error that was recorded, below the bound.
func TestClimbedWitnesses(t *testing.T) {
	functions := climbed()
	var again []climb.Find
	seen := map[string]bool{}
	for _, f := range functions {
		for _, w := range climb.Witnesses {
			if w.Function != f.Name {
				continue
			}
			errors := f.Errors(w.Input)
			for i, q := range f.Quantities {
				if q.Name != w.Quantity {
					continue
				}
				recorded := w.Error
				w.Error = errors[i]
				again = append(again, w)
				if !seen[w.Key()] && math.Abs(w.Error-recorded) > 1e-3*recorded && !*update {
					t.Errorf("%s: the error is %.4g, %.4g was recorded (go test -run TestClimbedWitnesses -update . records it anew)", w.Key(), w.Error, recorded)
				}
				seen[w.Key()] = true
				if q.Broken(w.Error) {
					t.Errorf("%s: the error is %.4g, the bound %g:\n\t%v", w.Key(), w.Error, q.Bound, w)
				}
			}
		}
		for _, q := range f.Quantities {
			if key := (climb.Find{Function: f.Name, Quantity: q.Name}).Key(); !seen[key] {
				t.Errorf("%s: no witness", key)
			}
		}
	}
	if *update {
		climb.Witnesses = climb.Merge(functions, again, nil)
		writeWitnesses(t)
	} else if len(again) != len(climb.Witnesses) {
		t.Errorf("%d of %d witnesses are of a quantity that is there", len(again), len(climb.Witnesses))
	}
}

// TestAccuracyTable: the README's table of errors is that of the witnesses.
func TestAccuracyTable(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	from := strings.Index(readme, "| | bound |")
	length := strings.Index(readme[max(from, 0):], "\n\n") + 1
	if from < 0 || length <= 0 {
		t.Fatal("README.md has no accuracy table")
	}
	got, want := readme[from:from+length], climb.AccuracyTable(climbed(), climb.Witnesses)
	if got == want {
		return
	}
	if *update {
		if err := os.WriteFile("README.md", []byte(readme[:from]+want+readme[from+length:]), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	lines := strings.Split(got, "\n")
	for i, line := range strings.Split(want, "\n") {
		if i >= len(lines) || lines[i] != line {
			old := ""
			if i < len(lines) {
				old = lines[i]
			}
			t.Errorf("README.md, accuracy table:\n-%s\n+%s", old, line)
		}
	}
	t.Error("go test -run TestAccuracyTable -update . writes it anew")
}
