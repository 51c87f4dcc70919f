package zlprbeam

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/local"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/memfs"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/prism"

	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/named"
	"github.com/zlpr/zlpr/metrics"
)

// command is the command zlpr, built from this tree.
var command string

func TestMain(m *testing.M) {
	flag.Parse()
	beam.Init()
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil))) // of Prism
	os.Exit(build(m.Run))
}

func build(run func() int) int {
	dir, err := os.MkdirTemp("", "zlpr-beam-*")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	command = filepath.Join(dir, "zlpr")
	cmd := exec.Command("go", "build", "-o", command, "./cmd/zlpr")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, out))
	}
	return run()
}

// runCommand runs the command in a folder and returns what it prints.
func runCommand(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(command, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("zlpr %v: %v: %s", args, err, &stderr)
	}
	return out
}

// A table is a matrix of test data, or several rows of numbers.
type table struct {
	dtype array.DType
	shape []int // of a row
	data  []float64
	file  string // its ending
}

// write writes rows r0 to r1-1.
func (x *table) write(t *testing.T, name string, r0, r1 int) string {
	t.Helper()
	cols := 1
	for _, n := range x.shape {
		cols *= n
	}
	shape := append([]int{r1 - r0}, x.shape...)
	header := array.Header(x.dtype, shape)
	if x.file == ".safetensors" {
		header = array.TensorHeader("x", x.dtype, shape)
	}
	b := header
	for _, v := range x.data[r0*cols : r1*cols] {
		switch x.dtype {
		case array.BFloat16: // the data are such numbers
			u := math.Float32bits(float32(v)) >> 16
			b = append(b, byte(u), byte(u>>8))
		case array.Float16:
			u := half(v)
			b = append(b, byte(u), byte(u>>8))
		case array.Int32:
			b = append(b, byte(int32(v)), byte(int32(v)>>8), byte(int32(v)>>16), byte(int32(v)>>24))
		default:
			b = array.AppendElements(b, x.dtype, []float64{v})
		}
	}
	ending, converted := x.file, ""
	if file, key, _ := strings.Cut(ending, ":"); file == ".pt" {
		if err := os.WriteFile(name+file, torch(t, key, x.dtype, shape, b[len(header):]), 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Base(name) + ending
	}
	if ending != ".npy" && ending != ".safetensors" { // as the command writes it
		ending, converted = ".npy", filepath.Base(name)+x.file
	}
	name += ending
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if converted != "" {
		runCommand(t, filepath.Dir(name), "convert", filepath.Base(name), converted)
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		return converted
	}
	return filepath.Base(name)
}

// torch returns the file that torch.save makes of a tensor, or of a dict with it.
func torch(t *testing.T, key string, dtype array.DType, shape []int, data []byte) []byte {
	t.Helper()
	storage := map[array.DType]string{array.Float32: "Float", array.Float64: "Double", array.BFloat16: "BFloat16", array.Uint8: "Byte", array.Int32: "Int"}[dtype]
	var p bytes.Buffer
	number := func(n int) string { return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }
	text := func(s string) string { return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s }
	elements, strides := 1, make([]int, len(shape))
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = elements
		elements *= shape[i]
	}
	p.WriteString("\x80\x02")
	if key != "" {
		p.WriteString("}" + text(key))
	}
	p.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" + storage + "Storage\n" + text("0") + text("cpu") + number(elements) + "tQ" + number(0))
	for _, list := range [][]int{shape, strides} {
		p.WriteString("(")
		for _, n := range list {
			p.WriteString(number(n))
		}
		p.WriteString("t")
	}
	p.WriteString("\x89ccollections\nOrderedDict\n)RtR")
	if key != "" {
		p.WriteString("s")
	}
	p.WriteString(".")
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	for _, member := range []struct {
		name string
		data []byte
	}{{"data.pkl", p.Bytes()}, {"data/0", data}, {"version", []byte("3\n")}} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "archive/" + member.name})
		if err == nil {
			_, err = w.Write(member.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// half returns the bits of a normal float16.
func half(v float64) uint16 {
	u := math.Float32bits(float32(v))
	return uint16(u>>16&0x8000) | uint16((u>>23&255-112)<<10) | uint16(u>>13&0x3ff)
}

// A dataset is what a test evaluates.
type dataset struct {
	name    string
	rows    int
	parts   map[string]*table
	options Options
	flags   []string // that say the same to the command
}

// shards are the numbers of shards that it is cut into.
func (d *dataset) shards() []int {
	for _, x := range d.parts {
		if x.file == ".csv" || x.file == ".txt" || strings.HasPrefix(x.file, ".npz") {
			return []int{1, 2, 6} // none is empty: text does not say of how many columns, and nothing empty is converted
		}
	}
	return []int{1, 2, 7}
}

// in is the options with files of a folder.
func (d *dataset) in(t *testing.T, dir string) Options {
	o := d.options
	if o.ClassWeights != "" {
		weights := make([]float64, 37)
		for i := range weights {
			weights[i] = float64(i%5) * 0.3
		}
		(&table{array.Float64, nil, weights, ".npy"}).write(t, filepath.Join(dir, "C"), 0, 37)
		o.ClassWeights = filepath.Join(dir, o.ClassWeights)
	}
	return o
}

// cut are the rows at which shards begin, unequal ones, and none of one.
func cut(rows, shards int) (at []int) {
	for k := range shards {
		at = append(at, rows*k*k/(shards*shards))
	}
	if shards == 7 {
		at[2] = at[1] // an empty shard
	}
	return append(at, rows)
}

// write writes the shards and a manifest, whose name it returns.
func (d *dataset) write(t *testing.T, dir string, shards int) string {
	t.Helper()
	at := cut(d.rows, shards)
	var list []map[string]any
	for k := range shards {
		shard := map[string]any{"rows": at[k+1] - at[k]}
		for part, x := range d.parts {
			shard[part] = x.write(t, filepath.Join(dir, fmt.Sprintf("%s-%d-%d", part, shards, k)), at[k], at[k+1])
		}
		list = append(list, shard)
	}
	text, err := json.Marshal(map[string]any{"shards": list})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, fmt.Sprintf("m-%d.json", shards))
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// numbers returns n numbers that float16 and bfloat16 have.
func numbers(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(math.Float32frombits(math.Float32bits(float32(r.NormFloat64()*2)) &^ 0xffff))
		if math.Abs(x[i]) < 0x1p-10 {
			x[i] = 0x1p-10
		}
	}
	return x
}

// labels returns n labels; one in ten is positive.
func labels(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		if r.Float64() < 0.1 {
			x[i] = 1
		}
	}
	return x
}

func all(metrics ...string) Options {
	if metrics == nil {
		metrics = []string{"all"}
	}
	return Options{Losses: []string{"all"}, Parameters: DefaultParameters, Metrics: metrics}
}

func datasets() []dataset {
	r := rand.New(rand.NewPCG(1, 2))
	const rows, classes = 601, 37
	n := rows * classes
	some := func(t array.DType, data []float64) *table { return &table{t, []int{classes}, data, ".npy"} }
	scores, hard := numbers(r, n), labels(r, n)
	for i := range scores {
		if i%classes == 0 && i/classes%50 == 0 {
			clear(hard[i : i+classes]) // rows without a label
		}
	}
	fine := make([]float64, n)
	for i := range fine {
		fine[i] = r.NormFloat64()
	}
	mask, weights := make([]float64, n), make([]float64, rows)
	for i := range mask {
		if mask[i] = 1; hard[i] == 0 && r.Float64() < 0.2 {
			mask[i] = 0
		}
	}
	for i := range weights {
		weights[i] = math.Floor(r.Float64()*4) * 0.7
	}
	soft := make([]float64, n)
	for i := range soft {
		soft[i] = float64(i%classes) / (classes * (classes - 1) / 2) // their sum in a row is 1
	}
	targets := make([]float64, rows)
	for i := range targets {
		targets[i] = float64(r.IntN(classes+1) - 1)
	}
	fixed := all()
	fixed.Parameters.K, fixed.Parameters.S0, fixed.Parameters.Gamma, fixed.Parameters.Focal = 30, 0.5, 2, 1.5
	weight, threshold := 3.0, 0.25
	fixed.PosWeight, fixed.PredictThreshold, fixed.PredictTop = &weight, &threshold, 4
	bins := all("micro_auc", "macro_average_precision", "micro_f1")
	bins.AreaBits = 12
	softOptions := all()
	softOptions.Soft = true
	weighted, softWeighted := all(), softOptions
	weighted.ClassWeights, softWeighted.ClassWeights = "C.npy", "C.npy"
	weigh := []string{"--class-weights", "C.npy"}

	// Padded examples: of three axes, whose positions after the length are left out, and
	// spans.
	const examples = 100
	lengths, padded := make([]float64, examples), slices.Clone(hard[:examples*3*50])
	for i := range lengths {
		lengths[i] = float64(r.IntN(4))
		clear(padded[(3*i+int(lengths[i]))*50 : (i+1)*3*50])
	}
	spanLengths, spans := make([]float64, examples), make([]float64, examples*2*7*7)
	for i := range spanLengths {
		spanLengths[i] = float64(r.IntN(8))
	}
	for i := range spans {
		example, from, to := i/(2*7*7), i/7%7, i%7
		if from <= to && to < int(spanLengths[example]) && r.Float64() < 0.2 {
			spans[i] = 1
		}
	}
	as := func(file string, t array.DType, data []float64) *table { return &table{t, []int{classes}, data, file} }
	return []dataset{
		{"float32", rows, map[string]*table{"scores": some(array.Float32, scores), "labels": some(array.Uint8, hard)}, all(), nil},
		{"float64", rows, map[string]*table{"scores": some(array.Float64, fine), "labels": some(array.Float32, hard)}, fixed,
			[]string{"--k", "30", "--s0", "0.5", "--gamma", "2", "--focal", "1.5", "--pos-weight", "3", "--predict-threshold", "0.25", "--predict-top", "4"}},
		{"float16", rows, map[string]*table{"scores": some(array.Float16, scores), "labels": some(array.Int32, hard)}, bins,
			[]string{"--area-bits", "12", "--metrics", "micro_auc,macro_average_precision,micro_f1"}},
		{"bfloat16", rows, map[string]*table{"scores": {array.BFloat16, []int{classes}, scores, ".safetensors"}, "labels": {array.Uint8, []int{classes}, hard, ".safetensors"}},
			all("psp_at_3", "psndcg_at_5", "lrap"), []string{"--metrics", "psp_at_3,psndcg_at_5,lrap"}},
		{"mask and weights", rows, map[string]*table{"scores": some(array.Float32, scores), "labels": some(array.Uint8, hard), "mask": some(array.Uint8, mask),
			"row_weights": {array.Float64, nil, weights, ".npy"}}, all(), nil},
		{"class numbers", rows, map[string]*table{"scores": some(array.Float32, scores), "labels": {array.Int32, nil, targets, ".npy"}}, all(), nil},
		{"soft", rows, map[string]*table{"scores": some(array.Float32, scores), "labels": some(array.Float32, soft)}, softOptions, nil},
		{"three axes", 100, map[string]*table{"scores": {array.Float32, []int{3, 50}, scores[:15000], ".npy"}, "labels": {array.Uint8, []int{3, 50}, hard[:15000], ".npy"}}, all(), nil},
		{"lengths", examples, map[string]*table{"scores": {array.Float32, []int{3, 50}, scores[:15000], ".npy"}, "labels": {array.Uint8, []int{3, 50}, padded, ".npy"},
			"lengths": {array.Int32, nil, lengths, ".npy"}}, all(), nil},
		{"spans", examples, map[string]*table{"scores": {array.Float32, []int{2, 7, 7}, scores[:len(spans)], ".npy"}, "labels": {array.Uint8, []int{2, 7, 7}, spans, ".npy"},
			"lengths": {array.Int32, nil, spanLengths, ".npy"}}, all(), nil},
		{"class weights", rows, map[string]*table{"scores": some(array.Float32, scores), "labels": some(array.Uint8, hard)}, weighted, weigh},
		{"class weights, soft", rows, map[string]*table{"scores": some(array.Float64, fine), "labels": some(array.Float32, soft)}, softWeighted, weigh},
		{"csv", rows, map[string]*table{"scores": as(".csv", array.Float32, scores), "labels": as(".csv", array.Uint8, hard),
			"row_weights": {array.Float64, []int{1}, weights, ".csv"}}, all(), nil},
		{"archives", rows, map[string]*table{"scores": as(".npz:x", array.Float32, scores), "labels": as(".npz", array.Uint8, hard), "mask": as(".npz:y", array.Uint8, mask)}, all(), nil},
		{"torch", rows, map[string]*table{"scores": as(".pt:x", array.Float32, scores), "labels": as(".pt", array.Uint8, hard), "mask": as(".pt:m", array.Uint8, mask),
			"row_weights": {array.Float64, nil, weights, ".pt"}}, all(), nil},
		{"torch, bfloat16", rows, map[string]*table{"scores": as(".pt", array.BFloat16, scores), "labels": {array.Int32, nil, targets, ".pt:y"}}, all(), nil},
		{"lists", rows, map[string]*table{"scores": some(array.Float32, scores), "labels": as(".txt", array.Uint8, hard)}, all(), nil},
	}
}

// evaluate runs a pipeline on Prism.
func evaluate1(manifest, out, grad string, o Options) error {
	p, s := beam.NewPipelineWithRoot()
	r := Evaluate(s, beam.Create(s, manifest), o)
	Write(s, out, Report(s, r, o))
	if grad != "" {
		Gradients(s, grad, r, o)
	}
	_, err := beam.Run(context.Background(), "prism", p)
	return err
}

// parse reads a report.
func parse(t testing.TB, text []byte) (keys map[string]json.RawMessage) {
	t.Helper()
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for key, v := range keys {
		var b bytes.Buffer
		if err := json.Compact(&b, v); err != nil {
			t.Fatal(err)
		}
		keys[key] = b.Bytes()
	}
	return keys
}

// TestSameAsCommand: of 1, 2 and 7 unequal shards the losses, the measures and what
// is said of them are those of the command on all rows, to the last digit.
func TestSameAsCommand(t *testing.T) {
	for _, d := range datasets() {
		t.Run(d.name, func(t *testing.T) {
			dir := t.TempDir()
			options := d.in(t, dir)
			for _, shards := range d.shards() {
				manifest := d.write(t, dir, shards)
				want := parse(t, runCommand(t, dir, append([]string{"eval", manifest, "--loss", "all", "--json"}, d.flags...)...))
				out := filepath.Join(dir, "report.json")
				if err := evaluate1(manifest, out, "", options); err != nil {
					t.Fatal(err)
				}
				text, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				got := parse(t, text)
				for _, key := range []string{"rows", "classes", "labels_per_row", "losses", "skipped", "metrics", "warnings", "tier"} {
					if !bytes.Equal(want[key], got[key]) {
						t.Errorf("%d shards: %s:\n%s\nthe command has\n%s", shards, key, got[key], want[key])
					}
				}
			}
		})
	}
}

// TestNoSideInputs: what reads shards has no side input, for as long as it runs Prism would
// ask without a pause whether it is ready, which takes a core.
func TestNoSideInputs(t *testing.T) {
	o := all()
	o.Losses = []string{"class-balanced"}
	p, s := beam.NewPipelineWithRoot()
	Gradients(s, "g", Evaluate(s, beam.Create(s, "m.json"), o), o)
	edges, _, err := p.Build()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range edges {
		if e.DoFn == nil {
			continue
		}
		name := e.DoFn.Name()
		name = name[strings.LastIndex(name, ".")+1:]
		switch name {
		case "scanFn", "evaluateFn", "gradientFn":
			seen[name] = true
			if len(e.Input) != 1 {
				t.Errorf("%s has %d inputs", name, len(e.Input))
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("of what reads shards there are %v", seen)
	}
}

// TestGradients: the gradient of a shard has the bytes of the command's, whose
// divisor is that of the merged results, for every loss.
func TestGradients(t *testing.T) {
	data := map[string]dataset{}
	for _, d := range datasets() {
		data[d.name] = d
	}
	run := func(t *testing.T, loss string, d dataset) {
		t.Run(loss+" "+d.name, func(t *testing.T) { testGradients(t, loss, d) })
	}
	for _, loss := range named.LossNames {
		for _, name := range []string{"float32", "float64", "bfloat16", "mask and weights", "class numbers", "soft"} {
			takes := name == "soft" == (loss == "zlpr-soft") || loss == "bce"
			if named.OneTarget(loss) {
				takes = name == "class numbers" || name == "soft" && loss == "softmax"
			}
			if !takes {
				continue
			}
			run(t, loss, data[name])
		}
	}
	// Files that are read from a copy, lengths and class weights.
	for _, name := range []string{"archives", "torch", "csv", "lists", "lengths", "spans", "class weights"} {
		run(t, "zlpr", data[name])
		run(t, "subset", data[name])
	}
	run(t, "softmax", data["torch, bfloat16"])
	for _, loss := range []string{"bce", "zlpr-soft"} {
		run(t, loss, data["class weights, soft"])
	}
	run(t, "bce", data["class weights"])
}

func testGradients(t *testing.T, loss string, d dataset) {
	dir := t.TempDir()
	o := d.in(t, dir)
	o.Losses, o.Metrics = []string{loss}, nil
	o.PosWeight, o.Parameters = nil, DefaultParameters
	o.Parameters.K = 37
	for _, shards := range d.shards() {
		manifest := d.write(t, dir, shards)
		flags := []string{"--loss", loss, "--metrics", "none"}
		if o.ClassWeights != "" {
			flags = append(flags, d.flags...)
		}
		if named.Balance([]string{loss}) {
			runCommand(t, dir, "scan", manifest, "--out", "labels.scan")
			flags = append(flags, "--scan", "labels.scan")
		}
		if loss == "subset-padded" {
			flags = append(flags, "--k", "37")
		}
		var parts []string
		for k := range shards {
			part := fmt.Sprintf("p-%d-%d.zlpr", shards, k)
			runCommand(t, dir, append([]string{"eval", manifest, "--shard", fmt.Sprint(k), "--partial", part}, flags...)...)
			parts = append(parts, part)
		}
		runCommand(t, dir, append([]string{"merge", "--out", "all.zlpr"}, parts...)...)
		if err := evaluate1(manifest, filepath.Join(dir, "report.json"), filepath.Join(dir, "g"), o); err != nil {
			t.Fatal(err)
		}
		for k := range shards {
			runCommand(t, dir, append([]string{"eval", manifest, "--shard", fmt.Sprint(k), "--grad", "want.npy", "--divisor-from", "all.zlpr"}, flags...)...)
			want, err := os.ReadFile(filepath.Join(dir, "want.npy"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("g/gradient-%05d-of-%05d.npy", k, shards)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(want, got) {
				t.Errorf("shard %d of %d: %d bytes differ from the command's %d", k, shards, len(got), len(want))
			}
		}
	}
}

// BenchmarkPrism compares zlpr-beam, on Prism, with zlpr eval of the same 7 unequal shards,
// 200,000×256 scores, which both read from the page cache: the shortest of as many runs as
// -benchtime says, in turn. Other losses or metrics, or more than twice the command's time, are
// errors.
//
//	go test -run '^$' -bench Prism -benchtime 5x
func BenchmarkPrism(b *testing.B) {
	const rows, classes, shards = 200_000, 256, 7
	dir := b.TempDir()
	pipeline := filepath.Join(dir, "zlpr-beam")
	if out, err := exec.Command("go", "build", "-o", pipeline, "./cmd/zlpr-beam").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	r := rand.New(rand.NewPCG(1, 2))
	scores, hard := make([]float32, rows*classes), make([]uint8, rows*classes)
	for i := range scores {
		scores[i] = float32(2 * r.NormFloat64())
		if r.Float64() < 0.1 {
			hard[i] = 1
		}
	}
	var list []map[string]any
	for k := range shards {
		from, to := rows*k*(k+1)/(shards*(shards+1)), rows*(k+1)*(k+2)/(shards*(shards+1))
		names, shape := [2]string{fmt.Sprintf("scores-%d.npy", k), fmt.Sprintf("labels-%d.npy", k)}, []int{to - from, classes}
		for i, x := range [2]*array.Array{array.New("", shape, scores[from*classes:to*classes]), array.New("", shape, hard[from*classes:to*classes])} {
			file := bytes.NewBuffer(array.Header(x.Type, shape))
			err := x.CopyElements(file, 0, (to-from)*classes)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, names[i]), file.Bytes(), 0o600)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		list = append(list, map[string]any{"scores": names[0], "labels": names[1], "rows": to - from})
	}
	text, err := json.Marshal(map[string]any{"shards": list})
	manifest := filepath.Join(dir, "m.json")
	if err == nil {
		err = os.WriteFile(manifest, text, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	report := filepath.Join(dir, "report.json")
	seconds := func(name string, args ...string) (float64, []byte) {
		start := time.Now()
		out, err := exec.Command(name, args...).Output()
		if err != nil {
			b.Fatalf("%s %v: %v: %s", name, args, err, err.(*exec.ExitError).Stderr)
		}
		return time.Since(start).Seconds(), out
	}
	counted := slices.DeleteFunc(metrics.All(1, 3, 5), metrics.NeedsScores)
	for _, c := range []struct {
		name  string
		flags []string
	}{
		{"losses=zlpr/metrics=counted", []string{"--loss", "zlpr", "--metrics", strings.Join(counted, ",")}},
		{"losses=zlpr/metrics=all/area-bits=16", []string{"--loss", "zlpr", "--metrics", "all", "--area-bits", "16"}},
		{"losses=all/metrics=none", []string{"--loss", "all", "--metrics", "none"}},
		{"losses=zlpr/metrics=all/area-bits=none", []string{"--loss", "zlpr", "--metrics", "all"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			alone, prism := math.Inf(1), math.Inf(1)
			for b.Loop() {
				t, want := seconds(command, append([]string{"eval", manifest, "--json"}, c.flags...)...)
				alone = min(alone, t)
				t, _ = seconds(pipeline, append([]string{"--manifest", manifest, "--out", report}, c.flags...)...)
				prism = min(prism, t)
				got, err := os.ReadFile(report)
				if err != nil {
					b.Fatal(err)
				}
				keys, wanted := parse(b, got), parse(b, want)
				for _, key := range []string{"rows", "losses", "skipped", "metrics"} {
					if !bytes.Equal(keys[key], wanted[key]) {
						b.Fatalf("%s: %s, not the command's %s", key, keys[key], wanted[key])
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(alone, "command-s")
			b.ReportMetric(prism, "prism-s")
			b.ReportMetric(prism/alone, "ratio")
		})
	}
}

// TestMemory evaluates shards of Beam's file system in memory: names are of it.
func TestMemory(t *testing.T) {
	d := datasets()[0]
	dir := t.TempDir()
	manifest := d.write(t, dir, 7)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		memfs.Write("memfs://d/"+f.Name(), b)
	}
	if err := evaluate1("memfs://d/m-7.json", "memfs://d/report.json", "", d.options); err != nil {
		t.Fatal(err)
	}
	got, err := read("memfs://d/report.json")
	if err != nil {
		t.Fatal(err)
	}
	want := parse(t, runCommand(t, dir, "eval", manifest, "--loss", "all", "--json"))
	if keys := parse(t, got); !bytes.Equal(keys["losses"], want["losses"]) || !bytes.Equal(keys["metrics"], want["metrics"]) {
		t.Errorf("%s\nthe command has\n%s %s", got, want["losses"], want["metrics"])
	}
	if !strings.Contains(string(got), `"scores": "memfs://d/scores-7-0.npy"`) {
		t.Errorf("%s", got)
	}
}

func read(name string) ([]byte, error) {
	f, err := open(context.Background(), name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// TestFailures: what is wrong with a shard fails the pipeline with the shard's name,
// and no output is there.
func TestFailures(t *testing.T) {
	d := datasets()[4]
	d.options.Metrics = nil
	rewrite := func(name string, change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			b, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, change(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	at := func(i int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[i:], v); return b }
	}
	for what, c := range map[string]struct {
		change func(*testing.T, string)
		want   string
	}{
		"truncated": {rewrite("labels-7-5.npy", func(b []byte) []byte { return b[:len(b)-1] }), "labels-7-5.npy: truncated: the header says uint8"},
		"too long":  {rewrite("scores-7-5.npy", func(b []byte) []byte { return append(b, 0) }), "scores-7-5.npy: more bytes follow"},
		"label":     {rewrite("labels-7-5.npy", at(128+37*2+3, 2)), "labels-7-5.npy: row 2, column 3: label 2"},
		"mask":      {rewrite("mask-7-5.npy", at(128+37+1, 7)), "mask-7-5.npy: row 1, column 1: mask"},
		"weight":    {rewrite("row_weights-7-5.npy", at(128+8*3, 0, 0, 0, 0, 0, 0, 0xf0, 0xbf)), "row_weights-7-5.npy: row 3: "},
		"score":     {rewrite("scores-7-5.npy", at(128+4*37*2, bytes.Repeat([]byte{0, 0, 0xc0, 0x7f}, 37*9)...)), "scores-7-5.npy: row "},
		"foreign":   {rewrite("scores-7-5.npy", func([]byte) []byte { return []byte("1,2\n3,4\n") }), "not an .npy file"},
		"missing":   {func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "mask-7-5.npy")) }, "mask-7-5.npy: no such file"},
		"link": {func(t *testing.T, dir string) {
			if err := errors.Join(os.Remove(filepath.Join(dir, "scores-7-5.npy")), os.Link(filepath.Join(dir, "scores-7-1.npy"), filepath.Join(dir, "scores-7-5.npy"))); err != nil {
				t.Fatal(err)
			}
		}, "scores-7-5.npy, which are one file; list it once"},
		"rows": {rewrite("m-7.json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"rows":135`), []byte(`"rows":136`), 1) }), "but the manifest says 136"},
		"other shapes": {func(t *testing.T, dir string) {
			(&table{array.Uint8, []int{36}, make([]float64, 135*36), ".npy"}).write(t, filepath.Join(dir, "labels-7-5"), 0, 135)
		}, "labels of shape 135×36, scores of shape 135×37"},
		"other classes": {func(t *testing.T, dir string) {
			for part, x := range map[string]*table{"scores": {array.Float32, []int{5}, make([]float64, 135*5), ".npy"}, "labels": {array.Uint8, []int{5}, make([]float64, 135*5), ".npy"}, "mask": {array.Uint8, []int{5}, make([]float64, 135*5), ".npy"}} {
				x.write(t, filepath.Join(dir, part+"-7-5"), 0, 135)
			}
		}, "37 and 5 classes"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			manifest := d.write(t, dir, 7)
			o := d.options
			o.Losses, o.Strict = []string{"zlpr"}, true
			if at := cut(601, 7); at[6]-at[5] != 135 {
				t.Fatalf("shard 5 has %d rows", at[6]-at[5])
			}
			c.change(t, dir)
			err := evaluate1(manifest, filepath.Join(dir, "report.json"), filepath.Join(dir, "g"), o)
			if err == nil {
				t.Fatal("no error")
			}
			name := "shard 5 of 7, " + filepath.Join(dir, "scores-7-5.npy") + ": "
			switch what {
			case "other classes":
				name = "cannot be shards of one whole"
			case "link":
				name = "m-7.json: shards 1 and 5 have the same scores"
			}
			if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nhas not %q and %q", err, name, c.want)
			}
			for _, pattern := range []string{"report.json*", "g/*"} {
				if there, _ := filepath.Glob(filepath.Join(dir, pattern)); len(there) > 0 {
					t.Errorf("there is %v", there)
				}
			}
		})
	}
}

// TestManyScores: beyond the scores that are kept, areas are of bins whatever the
// split, those of the command's bits.
func TestManyScores(t *testing.T) {
	defer func(n int) { most = n }(most)
	most = 5000
	d := datasets()[1]
	dir := t.TempDir()
	want := ""
	for _, shards := range []int{1, 2, 7} {
		if err := evaluate1(d.write(t, dir, shards), filepath.Join(dir, "report.json"), "", d.options); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "report.json"))
		if err != nil {
			t.Fatal(err)
		}
		got := string(parse(t, text)["metrics"])
		if !strings.Contains(got, `"micro_auc":{"low":`) {
			t.Fatalf("no bounds: %s", got)
		}
		if want == "" {
			want = got
		} else if got != want {
			t.Errorf("%d shards: %s, not %s", shards, got, want)
		}
	}
}

// TestCoder: a result comes back as it went, and merging leaves what is merged as it
// is.
func TestCoder(t *testing.T) {
	d := datasets()[1]
	dir := t.TempDir()
	m, err := readManifest(t.Context(), d.write(t, dir, 2))
	if err != nil {
		t.Fatal(err)
	}
	o := d.options
	o.Losses = []string{"bce", "subset-padded"}
	merge := &mergeAll{o}
	sum := merge.CreateAccumulator()
	for _, shard := range shardsOf(m) {
		s, err := evaluateShard(t.Context(), shard, &o, nil)
		if err != nil {
			t.Fatal(err)
		}
		before, err := encodeResult(Result{s})
		if err != nil {
			t.Fatal(err)
		}
		if sum, err = merge.MergeAccumulators(sum, Result{s}); err != nil {
			t.Fatal(err)
		}
		again, err := decodeResult(before)
		if err != nil {
			t.Fatal(err)
		}
		after, err := encodeResult(Result{s})
		if err != nil {
			t.Fatal(err)
		}
		if b, err := encodeResult(again); err != nil || len(b) != len(before) || len(after) != len(before) {
			t.Errorf("%d bytes, then %d, then %d: %v", len(before), len(after), len(b), err)
		}
	}
	if sum.rows != d.rows || len(sum.shards) != 2 {
		t.Errorf("%d rows of %v", sum.rows, sum.shards)
	}
	for _, bad := range []string{"x", "\x03\xff\x82\x00"} {
		if _, err := decodeResult([]byte(bad)); err == nil {
			t.Errorf("%q is a result", bad)
		}
	}
}

// TestCheck: what is wrong with options is said before anything runs.
func TestCheck(t *testing.T) {
	nan := math.NaN()
	for want, change := range map[string]func(*Options){
		"no loss and no metric": func(o *Options) { o.Losses, o.Metrics = nil, nil },
		"unknown loss":          func(o *Options) { o.Losses = []string{"zlrp"} },
		"stands alone":          func(o *Options) { o.Losses = []string{"all", "bce"} },
		"named twice":           func(o *Options) { o.Losses = []string{"bce", "bce"} },
		"takes no soft labels":  func(o *Options) { o.Losses, o.Soft = []string{"subset"}, true },
		"takes soft labels":     func(o *Options) { o.Losses = []string{"zlpr-soft"} },
		"need hard labels":      func(o *Options) { o.Soft, o.Metrics = true, []string{"micro_f1"} },
		"8 to 22":               func(o *Options) { o.AreaBits = 23 },
		"reduction":             func(o *Options) { o.Reduction = "median" },
		"at least 1":            func(o *Options) { o.PredictTop = -1 },
		"positive weight":       func(o *Options) { o.PosWeight = &nan },
		"NaN":                   func(o *Options) { o.PredictThreshold = &nan },
		"finite":                func(o *Options) { o.Parameters.S0 = nan },
		"loss pairwise":         func(o *Options) { o.Parameters.Gamma = -1 },
		"metric":                func(o *Options) { o.Metrics = []string{"no_such"} },
	} {
		o := all()
		change(&o)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
	o := all()
	if err := o.Check(); err != nil {
		t.Error(err)
	}
}

// TestRefused: what is not read is one error, which names the shard and the file.
func TestRefused(t *testing.T) {
	lists := []float64{1, 0, 0, 1, 1, 0, 0, 1, 1, 1}
	scores := &table{array.Float32, []int{2}, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, ".npy"}
	for what, c := range map[string]struct {
		parts map[string]*table
		soft  bool
		want  string
	}{
		"sparse scores": {map[string]*table{"scores": {array.Float32, []int{2}, scores.data, ".npz"}, "labels": {array.Uint8, []int{2}, lists, ".npy"}}, false,
			"scores-1-0.npz: a sparse matrix, where an array is needed"},
		"sparse soft labels": {map[string]*table{"scores": scores, "labels": {array.Uint8, []int{2}, lists, ".txt"}}, true,
			"labels-1-0.txt: soft labels as a sparse matrix or lists"},
		"mask and lengths": {map[string]*table{"scores": scores, "labels": {array.Uint8, []int{2}, lists, ".npy"}, "mask": {array.Uint8, []int{2}, lists, ".npy"}, "lengths": {array.Int32, nil, lists, ".npy"}}, false,
			"mask and lengths exclude each other"},
		"a length": {map[string]*table{"scores": scores, "labels": {array.Uint8, []int{2}, make([]float64, 10), ".npy"}, "lengths": {array.Int32, nil, []float64{1, 2, 3, 0, 0}, ".npy"}}, false,
			"lengths-1-0.npy: row 2: length 3 is not in 0..2"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			d := dataset{what, 5, c.parts, Options{Losses: []string{"bce"}, Parameters: DefaultParameters, Soft: c.soft}, nil}
			err := evaluate1(d.write(t, dir, 1), filepath.Join(dir, "report.json"), "", d.options)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v has not %q", err, c.want)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "report.json*")); len(left) > 0 {
				t.Errorf("there is %v", left)
			}
		})
	}
}
