package gen

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// TestInstructionCounts counts the instructions of the kernels' inner loops for
// one element, of AVX2 and of NEON, whose registers have half the size. With
// go test -v -run InstructionCounts it prints the table.
func TestInstructionCounts(t *testing.T) {
	bodies := map[string]string{}
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if strings.HasSuffix(name, ".s") {
			for _, part := range strings.Split(string(text), "\nTEXT ·")[1:] {
				name, body, _ := strings.Cut(part, "(SB)")
				bodies[name] = body
			}
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-14s %8s %8s %8s\n", "kernel", "AVX2", "NEON", "ratio")
	for _, k := range []struct {
		name, loop string
		avx2, neon int // elements that a turn of the loop takes
	}{
		{"sumExp32", "group", 32, 32},
		{"sumExp64", "group", 16, 16},
		{"scaleExp32", "group", 32, 32},
		{"scaleExp64", "group", 16, 16},
		{"maximum32", "group", 32, 32},
		{"maximum64", "group", 16, 16},
		{"offset32", "group", 32, 32},
		{"offset64", "group", 16, 16},
		{"logPair64", "group", 16, 8},
		{"log1p64", "group", 16, 8},
		{"selectSums32", "group", 64, 64},
		{"selectSums64", "group", 32, 32},
		{"selectExp32", "group", 64, 64},
		{"selectExp64", "group", 32, 32},
		{"targetSums32", "group", 64, 64},
		{"targetSums64", "group", 32, 32},
		{"targetExp32", "group", 64, 64},
		{"targetExp64", "group", 32, 32},
		{"targetScale32", "group", 32, 32},
		{"targetScale64", "group", 16, 16},
		{"finishTarget32", "rows", 4, 4},
		{"finishTarget64", "rows", 4, 4},
		{"selectScale32", "group", 32, 32},
		{"selectScale64", "group", 16, 16},
		{"shortExp", "group", 32, 32},
		// Rows of 8.
		{"shortSums", "rows", 32, 16},
		{"shortScale", "rows", 8, 8},
		{"shortJoins", "rows", 32, 16},
		{"shortDifferences32", "group", 8, 4},
		{"shortDifferences64", "group", 4, 2},
		{"shortOdds32", "group", 32, 16},
		{"shortOdds64", "group", 16, 8},
		{"shortSoft32", "group", 32, 16},
		{"shortSoft64", "group", 16, 8},
		{"shortLogs", "rows", 8, 8},
		{"shortPowers32", "group", 32, 32},
		{"shortPowers64", "group", 16, 16},
		{"shortTotals32", "rows", 32, 16},
		{"shortTotals64", "rows", 32, 16},
		{"logPair64Alone", "group", 16, 8},
		{"finishJoins", "rows", 4, 4},
		{"finishProduct", "rows", 4, 4},
		{"accumulate32", "group", 32, 32},
		{"accumulate64", "group", 16, 16},
		{"finishSums32", "rows", 4, 4},
		{"finishSums64", "rows", 4, 4},
		{"addParts", "loop", 8, 8},
		{"bceSums32", "group", 32, 64},
		{"bceSums64", "group", 16, 32},
		{"bceGrad32", "group", 32, 64},
		{"bceGrad64", "group", 16, 32},
		{"bceGradShifted32", "group", 32, 64},
		{"bceGradShifted64", "group", 16, 32},
		{"weightedBCE32", "group", 32, 32},
		{"weightedBCE64", "group", 16, 16},
		{"focalBlock32", "exponentials+group", 32, 32},
		{"focalBlock64", "exponentials+group", 16, 16},
		{"focalBlockWeighted32", "exponentials+group", 32, 32},
		{"focalBlockWeighted64", "exponentials+group", 16, 16},
		{"shiftedOdds64Plain", "group", 4, 4},
		{"shiftedOdds64", "group", 4, 4},
		{"shiftedTerms64Plain", "group", 4, 4},
		{"shiftedTerms64", "group", 4, 4},
		{"softBCE32", "group", 64, 64},
		{"softBCE64", "group", 32, 32},
		{"plainLabels32", "group", 32, 32},
		{"plainLabels64", "group", 16, 16},
		{"softTerms", "group", 32, 32},
		{"softTargets32", "group", 32, 32},
		{"softTargets64", "group", 16, 16},
		{"softTargetScale32", "group", 32, 32},
		{"softTargetScale64", "group", 16, 16},
		{"softColumnSums32", "column", 32, 16},
		{"softColumnSums64", "column", 16, 8},
		{"softColumnScale32", "column", 8, 16},
		{"softColumnScale64", "column", 4, 8},
		{"lessLabels32", "group", 32, 32},
		{"lessLabels64", "group", 16, 16},
		{"sideMax32", "group", 32, 32},
		{"sideMax64", "group", 16, 16},
		{"sideSums32", "group", 32, 32},
		{"sideSums64", "group", 16, 16},
		{"weighSums32", "group", 32, 32},
		{"weighSums64", "group", 16, 16},
		{"sideGrad32", "group", 32, 32},
		{"sideGrad64", "group", 16, 16},
		{"softWeights32", "group", 8, 8},
		{"softWeights64", "group", 8, 8},
		{"packBytes", "word", 64, 64},
		{"packWords32", "word", 64, 8},
		{"packWords64", "word", 64, 8},
		{"tiltExp32", "loop", 8, 8},
		{"tiltExp64", "loop", 8, 8},
		{"tiltSums", "loop", 16, 8},
		{"tiltSplit", "loop", 8, 8},
		// A product of 4 lanes' coefficients with 4 items each.
		{"espForward", "step", 5 * 4 * 4, 5 * 4 * 4},
		// A point and a coefficient; NEON takes two coefficients a turn.
		{"inclusion32", "horner", 24, 2 * 16},
		{"inclusion64", "horner", 24, 2 * 16},
		{"correlate", "term", 32, 32},
		{"sparseProduct", "loop", 16, 16},
		{"above32", "word", 64, 64},
		{"above64", "word", 64, 64},
	} {
		avx2, neon := loopLengths(bodies[k.name+"AVX2"], k.loop), loopLengths(bodies[k.name+"NEON"], k.loop)
		if avx2 == 0 || neon == 0 {
			t.Errorf("%s: no loop %s", k.name, k.loop)
			continue
		}
		a, n := float64(avx2)/float64(k.avx2), float64(neon)/float64(k.neon)
		fmt.Fprintf(&table, "%-14s %8.2f %8.2f %8.2f\n", k.name, a, n, n/a)
		// Twice the instructions for the registers, and some more for what AVX2
		// takes from memory in passing and for addends that NEON overwrites; of
		// the k-subset's inclusion and correlate these are most.
		most := 2.3
		if strings.HasPrefix(k.name, "inclusion") || k.name == "correlate" {
			most = 3
		}
		if n > most*a {
			t.Errorf("%s: %.2f instructions for an element, AVX2 %.2f", k.name, n, a)
		}
	}
	t.Log(table.String())
}

// loopLengths adds up the loops with labels of these names, where there is such a one.
func loopLengths(body, names string) (sum int) {
	for name := range strings.SplitSeq(names, "+") {
		sum += loopLength(body, name)
	}
	return sum
}

// loopLength counts the instructions from the first label of that name to the
// last conditional jump back to it: twice those of a loop of halves within.
func loopLength(body, name string) int {
	label := regexp.MustCompile(`(?m)^` + name + `\d+:$`).FindString(body)
	if label == "" {
		return 0
	}
	_, body, _ = strings.Cut(body, "\n"+label+"\n")
	count, length, half, start := 0, 0, "", 0
	for _, line := range strings.Split(body, "\n") {
		f := strings.Fields(line)
		if len(f) == 1 && strings.HasPrefix(f[0], "half") {
			half, start = strings.TrimSuffix(f[0], ":"), count
		}
		if len(f) == 0 || strings.HasPrefix(f[0], "//") || strings.HasSuffix(f[0], ":") {
			continue
		}
		count++
		if f[len(f)-1] == half {
			count += count - start
		}
		if f[len(f)-1] == strings.TrimSuffix(label, ":") && f[0] != "B" && f[0] != "JMP" {
			length = count
		}
	}
	return length
}
