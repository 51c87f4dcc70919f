package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README's table is that of the recorded figures, and no kernel tier's figure is
// above that of the naive loop.
func TestRecorded(t *testing.T) {
	file, err := os.ReadFile("figures.json")
	require.NoError(t, err)
	r, err := read(file)
	require.NoError(t, err)
	require.Equal(t, string(file), string(r.write()))
	require.Empty(t, r.slow())
	for tier, c := range r {
		for bench := range c.Figures {
			require.Truef(t, isRow(bench), "%s: %s is no row", tier, bench)
		}
	}
	text, err := os.ReadFile("../../" + readme)
	require.NoError(t, err)
	want, err := replaced(string(text), r)
	require.NoError(t, err)
	require.Equal(t, want, string(text), "go run ./internal/speedtable -count 0 writes it")
}

func isRow(bench string) bool {
	for _, r := range rows {
		if r.bench == bench {
			return true
		}
	}
	return false
}

const output = `goos: linux
cpu: A CPU
BenchmarkLogSumExp/type=f32/n=20/impl=naive-2    100  5 ns/op  3 MB/s  8.5 ns/elem
BenchmarkLogSumExp/type=f32/n=20/impl=naive-2    100  5 ns/op  3 MB/s  8.25 ns/elem
BenchmarkLogSumExp/type=f32/n=20/impl=neon-2     100  5 ns/op  3 MB/s  0.5 ns/elem  0 B/op
PASS
`

func TestTake(t *testing.T) {
	n, err := parse([]byte(output))
	require.NoError(t, err)
	n.Go, n.Date = "go1", "2001-02-03"
	bench := rows[0].bench
	other := column{"Other", "go0", "2000-01-01", map[string]float64{bench: 0.25}}
	r := records{"avx2": other, "naive": column{"Old", "go0", "2000-01-01", nil}}
	r.take(n)
	require.Equal(t, records{
		"avx2":  other,
		"naive": {"A CPU", "go1", "2001-02-03", map[string]float64{bench: 8.25}},
		"neon":  {"A CPU", "go1", "2001-02-03", map[string]float64{bench: 0.5}},
	}, r)
	require.Empty(t, r.slow())
	text, err := replaced("before\n\n"+heading+" x |\n|---|\n\nOld: none.\n\nafter\n", r)
	require.NoError(t, err)
	require.Contains(t, text, "| LogSumExp | 20 | 8.25 |  | 0.25 |  | 0.5 |\n")
	require.Contains(t, text, "\n\nnaive, NEON: A CPU, go1, 2001-02-03.\nAVX2: Other, go0, 2000-01-01.\n\nafter\n")

	n.figures["neon"][bench] = 9
	r.take(n)
	require.Len(t, r.slow(), 1)
	require.Contains(t, r.slow()[0], "NEON takes 9 ns an element, the naive loop 8.25")
}

func TestParseNothing(t *testing.T) {
	for _, out := range []string{"PASS\n", strings.ReplaceAll(output, "8.25", "x")} {
		_, err := parse([]byte(out))
		require.Error(t, err)
	}
}
