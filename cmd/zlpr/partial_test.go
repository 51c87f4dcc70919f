package main

import (
	"bytes"
	le "encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
	formats "github.com/zlpr/zlpr/internal/partial"
)

// result is eval's, or merge's, JSON without what merging does not keep: time,
// speed, tier and files.
func result(t *testing.T, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber() // all digits
	var v map[string]any
	require.NoError(t, d.Decode(&v), text)
	for _, key := range []string{"seconds", "elements_per_second", "tier", "inputs"} {
		delete(v, key)
	}
	return v
}

// must runs the command in dir and returns what it prints.
func must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	stdout, stderr, status := run(t, dir, args...)
	require.Equal(t, 0, status, "%v: %s", args, stderr)
	return stdout
}

// saveRows returns a rowsOfFile of an array.
func saveRows[T array.Element](dir, name string, entry int, shape []int, data []T) func(t *testing.T, file string, r0, r1 int) {
	return func(t *testing.T, file string, r0, r1 int) {
		save(t, dir, file, append([]int{r1 - r0}, shape...), data[r0*entry:r1*entry])
	}
}

// TestPartial: shards that were evaluated apart and merged, in any order and in
// steps, have the JSON of one run over all rows.
func TestPartial(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 9))
	const rows, n = 3000, 40
	s, y, mask := example[float32](t, dir, rows, n)
	wide, soft := make([]float64, rows*n), make([]float32, rows*n)
	unit := make([]float32, rows*n)
	weights, targets := make([]float64, rows), make([]int32, rows)
	for i := range s {
		wide[i], soft[i], unit[i] = float64(s[i])*1.1, rng.Float32(), rng.Float32()
	}
	for i := range rows {
		weights[i], targets[i] = float64(rng.IntN(5))/3, int32(rng.IntN(n+1)-1)
	}
	unit[(rows-1)*n] = 1.5          // in the last shard alone
	late := make([]float32, rows*n) // soft in the shard of rows 18 to 899 alone
	for i := range late {
		late[i] = float32(y[i])
	}
	late[500*n+3] = 0.25
	one := slices.Clone(y)
	for i := range 600 { // one positive in the first rows
		clear(one[i*n : (i+1)*n])
		one[i*n+i%n] = 1
	}
	files := map[string]func(t *testing.T, file string, r0, r1 int){
		"S": saveRows(dir, "S", n, []int{n}, s), "Y": saveRows(dir, "Y", n, []int{n}, y), "M": saveRows(dir, "M", n, []int{n}, mask),
		"D": saveRows(dir, "D", n, []int{n}, wide), "F": saveRows(dir, "F", n, []int{n}, soft), "U": saveRows(dir, "U", n, []int{n}, unit),
		"W": saveRows(dir, "W", 1, nil, weights), "T": saveRows(dir, "T", 1, nil, targets), "O": saveRows(dir, "O", n, []int{n}, one),
		"X": saveRows(dir, "X", n, []int{n}, late),
	}
	save(t, dir, "C.npy", []int{n}, weights[:n])
	save(t, dir, "each.npy", []int{n}, wide[:n])
	cuts := []int{0, 17, 17, 18, 900, 2500, rows}
	for name, write := range files {
		write(t, name+".npy", 0, rows)
		for k := range cuts[1:] {
			write(t, fmt.Sprintf("%s-%d.npy", name, k), cuts[k], cuts[k+1])
		}
	}
	must(t, dir, "scan", "S.npy", "Y.npy", "--out", "Y.scan")
	for _, name := range []string{"Y", "O", "T"} { // of shards
		var scans []string
		for k := range cuts[1:] {
			scan := fmt.Sprintf("%s-%d.scan", name, k)
			must(t, dir, "scan", fmt.Sprintf("S-%d.npy", k), fmt.Sprintf("%s-%d.npy", name, k), "--out", scan)
			scans = append(scans, scan)
		}
		rng.Shuffle(len(scans), func(i, j int) { scans[i], scans[j] = scans[j], scans[i] })
		text := must(t, dir, append([]string{"merge", "--json", "--out", name + ".scan"}, scans...)...)
		require.Equal(t, must(t, dir, "scan", "S.npy", name+".npy", "--out", "whole.scan", "--json"), text)
	}
	for _, c := range []struct{ args, scan string }{
		{"S Y --loss zlpr", ""},
		{"S Y --loss all", "Y.scan"},
		{"S O --loss all", "O.scan"}, // of some shards softmax has a loss
		{"S T --loss all", "T.scan"},
		{"S T --loss softmax", ""},
		{"D Y --loss bce,zlpr,pairwise --gamma 2 --metrics none", ""},
		{"D Y --loss zlpr --row-weights W --mask M --metrics all", ""},
		{"S Y --loss zlpr,bce --class-weights C.npy --pos-weight 2 --reduction mean-classes --row-weights W", ""},
		{"S F --loss zlpr-soft", ""},
		{"S F --loss all", ""},
		{"S F --loss bce", ""},
		{"S X --loss bce", ""},
		{"S X --loss all", ""},
		{"S X --loss bce --row-weights W", ""},
		{"S X --loss softmax", ""},
		{"S X --loss softmax,bce --mask M --metrics none", ""},
		{"S X --loss bce,softmax --class-weights C.npy --row-weights W --metrics none", ""},
		{"S X --loss bce --metrics none --mask M", ""},
		{"D X --loss bce,zlpr-soft --class-weights C.npy", ""},
		{"U Y --loss zlpr --metrics psp_at_3,micro_f1,psndcg_at_1", "Y.scan"},
		{"S Y --loss subset-padded --metrics macro_f1,lrap,macro_auc --predict-top 3", "Y.scan"},
		{"S Y --loss subset-padded --k 25 --s0 0.5 --metrics samples_f1", ""},
		{"S Y --loss zlpr --classes 7 --zero-division nan", ""},
		{"S Y --loss bce,zlpr --classes 3 --row-weights W --predict-threshold 0.5", ""},
		{"S Y --area-bits 12", ""},
		{"D Y --area-bits 16 --classes 5 --metrics micro_auc,macro_average_precision", ""},
		{"S Y --thresholds each.npy --metrics micro_f1,macro_f1", ""},
		{"S Y --loss zlpr --threshold-column 3 --metrics none", ""},
	} {
		args := strings.Fields(c.args)
		of := func(k string) (list []string) {
			list = append(list, "eval")
			for _, a := range args {
				if len(a) == 1 && files[a] != nil {
					a += k + ".npy"
				}
				list = append(list, a)
			}
			return list
		}
		if strings.Contains(c.args, "threshold-column") { // whose labels are 0
			noLabels := slices.Clone(y)
			for i := range rows {
				noLabels[i*n+3] = 0
			}
			write := saveRows(dir, "Y", n, []int{n}, noLabels)
			write(t, "Y.npy", 0, rows)
			for k := range cuts[1:] {
				write(t, fmt.Sprintf("Y-%d.npy", k), cuts[k], cuts[k+1])
			}
		}
		want := result(t, must(t, dir, append(of(""), "--json")...))
		var parts []string
		for k := range cuts[1:] {
			part := fmt.Sprintf("%d.zlpr", k)
			add := []string{"--partial", part, "--workers", fmt.Sprint(1 + k%3)}
			if c.scan != "" {
				add = append(add, "--scan", c.scan)
			}
			if len(c.args)%2 == 0 { // the other half by the order of names
				add = append(add, "--first-row", fmt.Sprint(cuts[k]))
			}
			must(t, dir, append(of(fmt.Sprintf("-%d", k)), add...)...)
			parts = append(parts, part)
		}
		for range 2 {
			rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			require.Equal(t, want, result(t, must(t, dir, append([]string{"merge", "--json"}, parts...)...)), c.args)
		}
		// In two steps, where rows have places.
		if len(c.args)%2 == 0 && !strings.Contains(c.args, "X --loss all") && !strings.Contains(c.args, "softmax") {
			must(t, dir, append([]string{"merge", "--out", "some.zlpr"}, parts[:2]...)...)
			got := result(t, must(t, dir, append([]string{"merge", "--json", "some.zlpr"}, parts[2:]...)...))
			require.Equal(t, want, got, c.args)
		}
		table := func(text string) (lines []string) {
			for line := range strings.Lines(text) {
				if !strings.HasPrefix(line, "scores") && !strings.HasPrefix(line, "labels  ") && !strings.HasPrefix(line, "time") {
					lines = append(lines, line)
				}
			}
			return lines
		}
		if i := slices.Index(args, "--classes"); i >= 0 {
			parts = append(parts, args[i:i+2]...)
		}
		require.Equal(t, table(must(t, dir, of("")...)), table(must(t, dir, append([]string{"merge"}, parts...)...)), c.args)
	}
}

// TestMergeNothing: parts of which no row counts are merged with one another, to be merged
// with others; where the whole has no row that counts it is an error. One part may come by
// standard input.
func TestMergeNothing(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 9, 4
	s, y, _ := example[float32](t, dir, rows, n)
	weights := []float64{0, 0, 0, 0, 0, 0, 1, 2, 3}
	files := map[string]func(t *testing.T, file string, r0, r1 int){"S": saveRows(dir, "S", n, []int{n}, s), "Y": saveRows(dir, "Y", n, []int{n}, y), "W": saveRows(dir, "W", 1, nil, weights)}
	for name, write := range files {
		for k := range 3 {
			write(t, fmt.Sprintf("%s%d.npy", name, k), 3*k, 3*k+3)
		}
		write(t, name+".npy", 0, rows)
	}
	want := result(t, must(t, dir, "eval", "S.npy", "Y.npy", "--row-weights", "W.npy", "--json"))
	for k := range 3 {
		must(t, dir, "eval", fmt.Sprintf("S%d.npy", k), fmt.Sprintf("Y%d.npy", k), "--row-weights", fmt.Sprintf("W%d.npy", k), "--partial", fmt.Sprintf("%d.zlpr", k), "--first-row", fmt.Sprint(3*k))
	}
	must(t, dir, "merge", "0.zlpr", "1.zlpr", "--out", "some.zlpr")
	require.Equal(t, want, result(t, must(t, dir, "merge", "2.zlpr", "some.zlpr", "--json")))
	fails(t, dir, 1, `0.zlpr: no row counts for zlpr`, "merge", "0.zlpr", "1.zlpr")

	cmd := exec.Command(binary, "merge", "-", "some.zlpr", "--json")
	in, err := os.Open(filepath.Join(dir, "2.zlpr"))
	require.NoError(t, err)
	defer in.Close()
	cmd.Stdin = in
	out, errs, status := runCommand(t, dir, cmd)
	require.Equal(t, 0, status, errs)
	require.Equal(t, want, result(t, out))
	fails(t, dir, 2, `are both standard input`, "merge", "-", "-")
}

// TestPartialData: the same on the nine data sets, by scores of a model.
func TestPartialData(t *testing.T) {
	data := os.Getenv("ZLPR_DATA")
	if data == "" {
		t.Skip("SKIPPED: no data sets; set ZLPR_DATA to their folder")
	}
	sets, err := filepath.Glob(filepath.Join(data, "*", "Y.npy"))
	require.NoError(t, err)
	require.NotEmpty(t, sets)
	for _, labels := range sets {
		dir := t.TempDir()
		y, err := array.Open(labels)
		require.NoError(t, err)
		rows, n := y.Rows()
		rng := rand.New(rand.NewPCG(uint64(rows), 1))
		s, bits := make([]float32, rows*n), make([]uint8, rows*n)
		for i, v := range array.All[int32](y) {
			bits[i] = uint8(v)
			s[i] = float32(rng.NormFloat64()*2 + 3*float64(v) - 1)
		}
		require.NoError(t, y.Close())
		save(t, dir, "S.npy", []int{rows, n}, s)
		save(t, dir, "Y.npy", []int{rows, n}, bits)
		must(t, dir, "scan", "S.npy", "Y.npy", "--out", "scan.zlpr")
		want := result(t, must(t, dir, "eval", "S.npy", "Y.npy", "--loss", "all", "--json"))
		args := []string{"merge", "--json"}
		for at, k := 0, 0; at < rows; k++ {
			end := min(rows, at+1+rng.IntN(rows/2))
			save(t, dir, "s.npy", []int{end - at, n}, s[at*n:end*n])
			save(t, dir, "y.npy", []int{end - at, n}, bits[at*n:end*n])
			part := fmt.Sprintf("%d.zlpr", k)
			must(t, dir, "eval", "s.npy", "y.npy", "--loss", "all", "--scan", "scan.zlpr", "--partial", part, "--first-row", fmt.Sprint(at))
			args, at = append(args, part), end
		}
		slices.Reverse(args[2:])
		require.Equal(t, want, result(t, must(t, dir, args...)), labels)
	}
}

// TestPartialLarge: the same of 200,000 rows of 256 classes, in 7 shards of which one has no
// row and none is of another's size.
func TestPartialLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: takes long; leave -short out")
	}
	dir := t.TempDir()
	const rows, n = 200_000, 256
	rng := rand.New(rand.NewPCG(200, 256))
	s, y := make([]float32, rows*n), make([]uint8, rows*n)
	for i := range s {
		u := rng.Uint64() // sums of uniform numbers: normal ones take as long as all the rest
		s[i] = float32(int(u&0xffff)+int(u>>16&0xffff)+int(u>>32&0xffff)-0x17fff) / 0x8000
		y[i] = uint8(u>>48%10) / 9
	}
	save(t, dir, "S.npy", []int{rows, n}, s)
	save(t, dir, "Y.npy", []int{rows, n}, y)
	cuts := []int{0, 1, 1, 3000, 20_011, 60_000, 120_007, rows}
	var scans []string
	for k := range cuts[1:] {
		from, to := cuts[k], cuts[k+1]
		save(t, dir, fmt.Sprintf("S-%d.npy", k), []int{to - from, n}, s[from*n:to*n])
		save(t, dir, fmt.Sprintf("Y-%d.npy", k), []int{to - from, n}, y[from*n:to*n])
		scans = append(scans, fmt.Sprintf("%d.scan", k))
		must(t, dir, "scan", fmt.Sprintf("S-%d.npy", k), fmt.Sprintf("Y-%d.npy", k), "--out", scans[k])
	}
	must(t, dir, append([]string{"merge", "--out", "Y.scan"}, scans...)...)
	flags := []string{"--loss", "all", "--metrics", "all", "--area-bits", "16"}
	want := result(t, must(t, dir, append([]string{"eval", "S.npy", "Y.npy", "--json"}, flags...)...))
	args := []string{"merge", "--json"}
	for _, k := range rng.Perm(len(scans)) {
		part := fmt.Sprintf("%d.zlpr", k)
		must(t, dir, append([]string{"eval", fmt.Sprintf("S-%d.npy", k), fmt.Sprintf("Y-%d.npy", k), "--scan", "Y.scan", "--partial", part,
			"--first-row", fmt.Sprint(cuts[k])}, flags...)...)
		args = append(args, part)
	}
	require.Equal(t, want, result(t, must(t, dir, args...)))
}

// TestMergeSwitches: beyond as many scores as are kept, areas are of scores in bins,
// whether one run has so many, a shard, or all shards together.
func TestMergeSwitches(t *testing.T) {
	most := mostKept
	defer func() { mostKept = most }()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(3, 64))
	const rows, n = 2000, 6
	s, y, _ := example[float32](t, dir, rows, n)
	weights := make([]float64, rows)
	for i := range weights {
		weights[i] = float64(i%5) / 3
	}
	t.Chdir(dir)
	inside := func(args ...string) string { // this process, whose limit is lower
		var out, errs bytes.Buffer
		require.Equal(t, 0, newSession(&out, &errs).run(args), "%v: %s", args, &errs)
		return out.String()
	}
	files := map[string]func(t *testing.T, file string, r0, r1 int){"S": saveRows(dir, "S", n, []int{n}, s), "Y": saveRows(dir, "Y", n, []int{n}, y), "W": saveRows(dir, "W", 1, nil, weights)}
	cuts := []int{0, 90, 1500, 1501, rows}
	for name, write := range files {
		write(t, name+".npy", 0, rows)
		for k := range cuts[1:] {
			write(t, fmt.Sprintf("%s-%d.npy", name, k), cuts[k], cuts[k+1])
		}
	}
	areas := "micro_auc,macro_auc,micro_average_precision,macro_average_precision,micro_f1"
	for _, most := range []int{rows * n, rows*n - 1, 1410 * n, 1409 * n, 89 * n} {
		mostKept = most
		for _, more := range []string{"", "--classes 3", "--row-weights W"} {
			of := func(k string) []string {
				args := []string{"eval", "S" + k + ".npy", "Y" + k + ".npy", "--metrics", areas}
				for _, a := range strings.Fields(more) {
					if a == "W" {
						a += k + ".npy"
					}
					args = append(args, a)
				}
				return args
			}
			text := inside(append(of(""), "--json")...)
			require.Equal(t, most < rows*n, strings.Contains(text, `"low"`))
			var parts []string
			for k := range cuts[1:] {
				part := fmt.Sprintf("%d.zlpr", k)
				inside(append(of(fmt.Sprintf("-%d", k)), "--first-row", fmt.Sprint(cuts[k]), "--partial", part)...)
				parts = append(parts, part)
			}
			for range 3 {
				rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
				merge := append([]string{"merge", "--json", "--out", "all.zlpr"}, parts...)
				require.Equal(t, result(t, text), result(t, inside(merge...)), "%d kept, %s", most, more)
				inside(append([]string{"merge", "--out", "some.zlpr"}, parts[:2]...)...)
				merge = append([]string{"merge", "--json", "some.zlpr"}, parts[2:]...)
				require.Equal(t, result(t, text), result(t, inside(merge...)), "%d kept, %s", most, more)
			}
		}
	}
}

// TestPartialGradient: the gradients of shards, put together, are the array of one
// run, byte for byte.
func TestPartialGradient(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 2000, 30
	s, y, mask := example[float32](t, dir, rows, n)
	weights := make([]float64, rows)
	for i := range weights {
		weights[i] = float64(i % 4)
	}
	save(t, dir, "W.npy", []int{rows}, weights)
	cuts := []int{0, 700, 701, rows}
	for k := range cuts[1:] {
		saveRows(dir, "S", n, []int{n}, s)(t, fmt.Sprintf("S-%d.npy", k), cuts[k], cuts[k+1])
		saveRows(dir, "Y", n, []int{n}, y)(t, fmt.Sprintf("Y-%d.npy", k), cuts[k], cuts[k+1])
		saveRows(dir, "M", n, []int{n}, mask)(t, fmt.Sprintf("M-%d.npy", k), cuts[k], cuts[k+1])
		saveRows(dir, "W", 1, nil, weights)(t, fmt.Sprintf("W-%d.npy", k), cuts[k], cuts[k+1])
	}
	late := make([]float32, rows*n) // soft in the last shard alone
	for i := range late {
		late[i] = float32(y[i])
	}
	late[1000*n] = 0.75
	save(t, dir, "X.npy", []int{rows, n}, late)
	for k := range cuts[1:] {
		saveRows(dir, "X", n, []int{n}, late)(t, fmt.Sprintf("X-%d.npy", k), cuts[k], cuts[k+1])
	}
	for _, more := range []string{"", "--row-weights W --mask M", "--row-weights W --reduction mean-classes", "--labels X", "--labels X --row-weights W", "--labels X --loss softmax --row-weights W"} {
		args := func(k string) []string {
			list := []string{"eval", "--scores", "S" + k + ".npy", "--metrics", "none"}
			if !strings.Contains(more, "--loss") {
				list = append(list, "--loss", "bce")
			}
			if !strings.Contains(more, "--labels") {
				list = append(list, "--labels", "Y"+k+".npy")
			}
			for _, a := range strings.Fields(more) {
				if len(a) == 1 {
					a += k + ".npy"
				}
				list = append(list, a)
			}
			return list
		}
		merge := []string{"merge", "--out", "all.zlpr"}
		for k := range cuts[1:] {
			part := fmt.Sprintf("%d.zlpr", k)
			must(t, dir, append(args(fmt.Sprintf("-%d", k)), "--partial", part)...)
			merge = append(merge, part)
		}
		must(t, dir, merge...)
		must(t, dir, append(args(""), "--grad", "G.npy")...)
		want, err := os.ReadFile(filepath.Join(dir, "G.npy"))
		require.NoError(t, err)
		var got []byte
		for k := range cuts[1:] {
			must(t, dir, append(args(fmt.Sprintf("-%d", k)), "--grad", "g.npy", "--divisor-from", "all.zlpr")...)
			part, err := os.ReadFile(filepath.Join(dir, "g.npy"))
			require.NoError(t, err)
			got = append(got, part[len(part)-(cuts[k+1]-cuts[k])*n*4:]...)
		}
		require.True(t, bytes.Equal(want[len(want)-len(got):], got), more)
	}
}

// TestShardOfManifest: a shard is named by its number, its rows are where the
// manifest says; what is missing is listed.
func TestShardOfManifest(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 50, 4
	s, y, _ := example[float32](t, dir, 3*rows, n)
	for k := range 3 {
		saveRows(dir, "S", n, []int{n}, s)(t, fmt.Sprintf("s-%d.npy", k), k*rows, (k+1)*rows)
		saveRows(dir, "Y", n, []int{n}, y)(t, fmt.Sprintf("y-%d.npy", k), k*rows, (k+1)*rows)
	}
	manifest := func(last int) string {
		return fmt.Sprintf(`{"shards": [{"scores": "s-2.npy", "labels": "y-2.npy", "rows": 50}, {"scores": "s-0.npy", "labels": "y-0.npy", "rows": 50}, {"scores": "s-1.npy", "labels": "y-1.npy", "rows": %d}]}`, last)
	}
	saveText(t, dir, "m.json", manifest(50))
	saveText(t, dir, "wrong.json", manifest(49))
	want := result(t, must(t, dir, "eval", "m.json", "--json"))
	must(t, dir, "eval", "m.json", "--shard", "2", "--partial", "2.zlpr")
	must(t, dir, "eval", "m.json", "--shard", "0", "--partial", "0.zlpr")
	require.Equal(t, "s-0.npy\n", must(t, dir, "merge", "2.zlpr", "0.zlpr", "--missing", "m.json"))
	require.Contains(t, must(t, dir, "merge", "2.zlpr", "0.zlpr", "--missing", "m.json", "--json"), `"shard": 1`)
	require.Contains(t, must(t, dir, "merge", "2.zlpr", "0.zlpr"), "rows 50 to 99 are in no file")
	must(t, dir, "eval", "m.json", "--shard", "1", "--partial", "1.zlpr")
	require.Empty(t, must(t, dir, "merge", "2.zlpr", "0.zlpr", "1.zlpr", "--missing", "m.json"))
	require.Equal(t, want, result(t, must(t, dir, "merge", "2.zlpr", "0.zlpr", "1.zlpr", "--json")))

	fails(t, dir, 1, `s-1.npy: 50 rows, but the manifest says 49`, "eval", "wrong.json", "--shard", "2", "--partial", "x.zlpr")
	fails(t, dir, 1, `2.zlpr: s-1.npy \(rows 100 to 149\), of which wrong.json says that it has 49 rows`, "merge", "2.zlpr", "--missing", "wrong.json")
	fails(t, dir, 2, `--shard 3: m.json lists 3 shards`, "eval", "m.json", "--shard", "3")
	fails(t, dir, 2, `--shard 1: s-1.npy is no manifest`, "eval", "s-1.npy", "y-1.npy", "--shard", "1")
	saveText(t, dir, "other.json", `{"shards": [{"scores": "other.npy"}]}`)
	fails(t, dir, 1, `2.zlpr: s-1.npy \(rows 100 to 149\) is not in other.json`, "merge", "2.zlpr", "--missing", "other.json")
	saveText(t, dir, "twice.json", `{"shards": [{"scores": "s-1.npy"}, {"scores": "s-1.npy"}]}`)
	fails(t, dir, 1, `twice.json: shards 0 and 1 have the same scores`, "merge", "2.zlpr", "--missing", "twice.json")
}

// TestMergeRefuses: what cannot be parts of one whole is one error that names what
// differs, and there is no output.
func TestMergeRefuses(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 60, 5
	s, y, _ := example[float32](t, dir, rows, n)
	save(t, dir, "D.npy", []int{rows, n}, make([]float64, rows*n))
	save(t, dir, "S4.npy", []int{rows, 4}, s[:rows*4])
	save(t, dir, "Y4.npy", []int{rows, 4}, y[:rows*4])
	save(t, dir, "C.npy", []int{n}, []float32{1, 2, 3, 4, 5})
	save(t, dir, "C2.npy", []int{n}, []float32{1, 2, 3, 4, 6})
	other := slices.Clone(s)
	other[7] = 9
	save(t, dir, "other.npy", []int{rows, n}, other)
	third := slices.Clone(s)
	third[8] = 9
	save(t, dir, "third.npy", []int{rows, n}, third)
	partial := func(name, args string) {
		must(t, dir, append([]string{"eval", "--partial", name}, strings.Fields(args)...)...)
	}
	require.NoError(t, os.Link(filepath.Join(dir, "S.npy"), filepath.Join(dir, "link.npy")))
	save(t, dir, "copy.npy", []int{rows, n}, s)
	partial("a.zlpr", "S.npy Y.npy --class-weights C.npy --first-row 0")
	partial("b.zlpr", "copy.npy Y.npy --class-weights C.npy --first-row 60")
	must(t, dir, "merge", "a.zlpr", "b.zlpr") // other rows may have the same values
	for _, c := range []struct{ args, want string }{
		{"link.npy Y.npy --class-weights C.npy --first-row 60", `b.zlpr: link.npy \(rows 60 to 119\) is S.npy by another name, which is in a.zlpr already; merge it once`},
		{"S.npy Y.npy --class-weights C.npy --first-row 60", `b.zlpr: S.npy \(rows 60 to 119\) is in a.zlpr already: the same name, number of rows and values`},
		{"other.npy Y.npy --class-weights C.npy --first-row 59", `b.zlpr: other.npy \(rows 59 to 118\) has rows of S.npy \(rows 0 to 59\), which is in a.zlpr`},
		{"other.npy Y.npy --class-weights C2.npy --first-row 60", `b.zlpr: cannot be merged with a.zlpr: --class-weights C.npy and C2.npy, whose contents differ`},
		{"other.npy Y.npy --first-row 60", `--class-weights C.npy and none`},
		{"other.npy Y.npy --class-weights C.npy --s0 0.5 --first-row 60", `--s0 0 and 0.5`},
		{"other.npy Y.npy --class-weights C.npy --loss bce --first-row 60", `--loss zlpr and bce`},
		{"other.npy Y.npy --class-weights C.npy --metrics none --first-row 60", `--metrics all and none`},
		{"other.npy Y.npy --class-weights C.npy --predict-top 2 --first-row 60", `--predict-top 0 and 2`},
		{"D.npy Y.npy --class-weights C.npy --first-row 60", `float32 and float64 scores`},
		{"other.npy Y.npy --class-weights C.npy --strict --first-row 60", `--strict false and true`},
	} {
		partial("b.zlpr", c.args)
		fails(t, dir, 1, c.want, "merge", "a.zlpr", "b.zlpr", "--out", "m.zlpr")
		require.NoError(t, os.Remove(filepath.Join(dir, "b.zlpr")))
	}
	partial("a.zlpr", "S.npy Y.npy")
	partial("b.zlpr", "S4.npy Y4.npy")
	fails(t, dir, 1, `b.zlpr: cannot be merged with a.zlpr: 5 and 4 classes`, "merge", "a.zlpr", "b.zlpr")
	partial("b.zlpr", "other.npy Y.npy")
	partial("c.zlpr", "--scores third.npy --labels Y.npy --first-row 120")
	fails(t, dir, 1, `does not say which of all rows its first one is`, "merge", "a.zlpr", "b.zlpr", "c.zlpr")
	fails(t, dir, 1, `S.npy .* is in a.zlpr already`, "merge", "a.zlpr", "a.zlpr", "--out", "m.zlpr")
	must(t, dir, "scan", "S.npy", "Y.npy", "--out", "s.zlpr")
	must(t, dir, "scan", "S4.npy", "Y4.npy", "--out", "s4.zlpr")
	fails(t, dir, 1, `s.zlpr: a scan of labels among other files`, "merge", "a.zlpr", "s.zlpr")
	fails(t, dir, 1, `a.zlpr: a partial evaluation among other files`, "merge", "s.zlpr", "a.zlpr")
	fails(t, dir, 1, `s4.zlpr: merge of 5 and 4 classes`, "merge", "s.zlpr", "s4.zlpr")
	fails(t, dir, 1, `s.zlpr: Y.npy .* is in s.zlpr already`, "merge", "s.zlpr", "s.zlpr")
	fails(t, dir, 1, `a.zlpr: a partial evaluation, not a scan of labels`, "eval", "S.npy", "Y.npy", "--scan", "a.zlpr", "--loss", "subset-padded")
	fails(t, dir, 1, `s4.zlpr: of 4 classes, the scores have 5`, "eval", "S.npy", "Y.npy", "--scan", "s4.zlpr", "--loss", "subset-padded")
	fails(t, dir, 2, `loss subset-padded: its K is .*--scan`, "eval", "S.npy", "Y.npy", "--partial", "x.zlpr", "--loss", "all")
	fails(t, dir, 2, `propensities are from the labels of all shards; .*--scan`, "eval", "S.npy", "Y.npy", "--partial", "x.zlpr", "--metrics", "psp_at_1")
	fails(t, dir, 2, `loss subset-padded: its K`, "eval", "S.npy", "Y.npy", "--loss", "subset-padded", "--grad", "G.npy", "--divisor-from", "a.zlpr")
	fails(t, dir, 1, `a.zlpr: has no loss bce`, "eval", "S.npy", "Y.npy", "--loss", "bce", "--grad", "G.npy", "--divisor-from", "a.zlpr")
	fails(t, dir, 1, `b4.zlpr: no such file`, "eval", "S.npy", "Y.npy", "--grad", "G.npy", "--divisor-from", "b4.zlpr")
	fails(t, dir, 2, `--first-row goes with --partial`, "eval", "S.npy", "Y.npy", "--first-row", "3")
	fails(t, dir, 2, `--first-row [0-9]+: at most`, "eval", "S.npy", "Y.npy", "--first-row", fmt.Sprint(mostRows), "--partial", "x.zlpr")
	fails(t, dir, 2, `--first-row -3`, "eval", "S.npy", "Y.npy", "--first-row", "-3", "--partial", "x.zlpr")
	fails(t, dir, 2, `give the partial results to merge`, "merge")
	fails(t, dir, 2, `give the file to write by --out`, "scan", "S.npy", "Y.npy")
	fails(t, dir, 2, `are the same file, a.zlpr`, "merge", "a.zlpr", "b.zlpr", "--out", "a.zlpr")

	// Labels that are 0 or 1 in every shard are hard, those that are not are soft.
	hard, soft := make([]float32, rows*n), make([]float32, rows*n)
	for i := range y {
		hard[i], soft[i] = float32(y[i]), float32(y[i])/2
	}
	save(t, dir, "H.npy", []int{rows, n}, hard)
	save(t, dir, "F.npy", []int{rows, n}, soft)
	partial("h.zlpr", "S.npy H.npy --loss all")
	partial("g.zlpr", "other.npy H.npy --loss all")
	fails(t, dir, 1, `h.zlpr: labels are 0 or 1, in all files: K of subset-padded .*--scan`, "merge", "h.zlpr", "g.zlpr", "--out", "m.zlpr")
	fails(t, dir, 1, `H.npy: row 0: no positive label, but softmax cross-entropy needs one`, "eval", "S.npy", "H.npy", "--loss", "softmax")
	partial("h.zlpr", "S.npy H.npy --loss softmax --first-row 1000")
	partial("g.zlpr", "other.npy H.npy --loss softmax --first-row 0")
	fails(t, dir, 1, `g.zlpr: labels are 0 or 1, in all files, and row 0 has 0 positive labels, softmax takes one`, "merge", "h.zlpr", "g.zlpr", "--out", "m.zlpr")
	partial("h.zlpr", "S.npy Y.npy --loss bce")
	partial("g.zlpr", "other.npy F.npy --loss bce")
	fails(t, dir, 1, `g.zlpr: cannot be merged with h.zlpr: soft and hard labels`, "merge", "h.zlpr", "g.zlpr", "--out", "m.zlpr")
	fails(t, dir, 2, `--loss zlpr-soft reads labels as soft, which zlpr does not take`, "eval", "S.npy", "H.npy", "--loss", "zlpr-soft,zlpr")

	// Of other formats and specifications, cut off, damaged.
	data, err := os.ReadFile(filepath.Join(dir, "a.zlpr"))
	require.NoError(t, err)
	changed := func(at int, to byte) string {
		b := bytes.Clone(data)
		b[at] = to
		return string(b)
	}
	specification := uint32(formats.Specification)
	respecified := func(n uint32) string { // with the checksum that it then has
		b := bytes.Clone(data)
		le.LittleEndian.PutUint32(b[7:], n)
		end := len(b) - 4
		le.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[:end], crc32.MakeTable(crc32.Castagnoli)))
		return string(b)
	}
	saveText(t, dir, "m.json", `{"shards": [{"scores": "S.npy"}]}`)
	for want, text := range map[string]string{
		`bad.zlpr: .*cut off or damaged`:                                                              string(data[:len(data)-9]),
		`bad.zlpr: a partial result that was cut off or damaged: its checksum is wrong`:               changed(40, 255),
		`bad.zlpr: format version 9, newer than this program`:                                         changed(5, 9),
		`bad.zlpr: no partial result; zlpr eval --partial writes them`:                                "PK\x03\x04",
		fmt.Sprintf(`bad.zlpr: .*specification %d of the kernels, this program has`, specification+1): respecified(specification + 1),
		fmt.Sprintf(`bad.zlpr: .*specification %d of the kernels, this program has`, specification-1): respecified(specification - 1),
	} {
		saveText(t, dir, "bad.zlpr", text)
		fails(t, dir, 1, want, "merge", "b.zlpr", "bad.zlpr", "--out", "m.zlpr")
		fails(t, dir, 1, want, "eval", "S.npy", "Y.npy", "--grad", "G.npy", "--divisor-from", "bad.zlpr")
		fails(t, dir, 1, want, "merge", "bad.zlpr", "--missing", "m.json")
	}
}

// TestPartialSize: of 256 classes a partial result is small, without areas.
func TestPartialSize(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 5000, 256
	example[float32](t, dir, rows, n)
	weights := make([]float64, rows)
	for i := range weights {
		weights[i] = 1 / float64(1+i)
	}
	save(t, dir, "W.npy", []int{rows}, weights)
	counted := "micro_f1,macro_f1,weighted_f1,samples_f1,macro_precision,subset_accuracy,hamming_loss,samples_jaccard,lrap,coverage_error,ranking_loss,one_error,precision_at_1,precision_at_5,ndcg_at_5"
	size := func(measures string, args ...string) int64 {
		must(t, dir, append([]string{"eval", "S.npy", "Y.npy", "--partial", "p.zlpr", "--loss", "bce,pairwise,zlpr,subset", "--metrics", counted + measures}, args...)...)
		info, err := os.Stat(filepath.Join(dir, "p.zlpr"))
		require.NoError(t, err)
		return info.Size()
	}
	weigh, bins := []string{"--row-weights", "W.npy"}, ",micro_auc,macro_auc"
	plain, weighted := size(""), size("", weigh...)
	binned := size(bins, append(weigh, "--area-bits", "8")...) - weighted
	byClass := size(bins, append(weigh, "--area-bits", "8", "--classes", "5")...) - binned
	t.Logf("%d bytes, with row weights %d, and by class %d and %d of bins", plain, weighted, byClass, binned)
	require.LessOrEqual(t, plain, int64(16<<10))
	require.LessOrEqual(t, weighted, int64(64<<10))
	require.LessOrEqual(t, byClass, int64(64<<10))
	require.Greater(t, byClass, weighted)
}

// BenchmarkMerge merges partial results of 256 classes without areas.
func BenchmarkMerge(b *testing.B) {
	dir := b.TempDir()
	b.Chdir(dir)
	const rows, n, parts = 64, 256, 10000
	var out bytes.Buffer
	var s, y bytes.Buffer
	rng := rand.New(rand.NewPCG(2, 2))
	scores, labels := make([]float32, rows*n), make([]uint8, rows*n)
	for i := range scores {
		scores[i], labels[i] = float32(2*rng.NormFloat64()), uint8(rng.IntN(10)/9)
	}
	for _, err := range []error{array.WriteTo(&s, []int{rows, n}, scores), array.WriteTo(&y, []int{rows, n}, labels),
		os.WriteFile("S.npy", s.Bytes(), 0o644), os.WriteFile("Y.npy", y.Bytes(), 0o644)} {
		if err != nil {
			b.Fatal(err)
		}
	}
	measures := "micro_f1,macro_f1,weighted_f1,samples_f1,subset_accuracy,lrap,coverage_error,ranking_loss,one_error,precision_at_5"
	if status := newSession(&out, &out).run([]string{"eval", "S.npy", "Y.npy", "--loss", "bce,pairwise,zlpr,subset", "--metrics", measures, "--partial", "p.zlpr"}); status != 0 {
		b.Fatal(out.String())
	}
	data, err := os.ReadFile("p.zlpr")
	if err != nil {
		b.Fatal(err)
	}
	for k := range parts {
		p, err := decodePartial("p.zlpr", data)
		if err == nil {
			p.shards[0].name, p.shards[0].first = fmt.Sprintf("s-%d.npy", k), k*rows
			data, err = p.encode()
		}
		if err == nil {
			err = os.WriteFile(fmt.Sprintf("part-%d.zlpr", k), data, 0o644)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run(fmt.Sprintf("parts=%d/bytes=%d", parts, len(data)), func(b *testing.B) {
		for b.Loop() {
			if status := newSession(&out, &out).run([]string{"merge", "part-*.zlpr", "--json"}); status != 0 {
				b.Fatal(out.String())
			}
		}
	})
}
