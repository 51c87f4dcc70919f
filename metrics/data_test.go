package metrics

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/zlpr/zlpr"
)

// dataSets returns the folders of the real data sets: those in ZLPR_DATA, by
// default shared/data beside the repository.
func dataSets(t *testing.T) []string {
	root := os.Getenv("ZLPR_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	files, _ := filepath.Glob(filepath.Join(root, "*", "meta.json"))
	if len(files) == 0 {
		t.Skipf("SKIPPED: no data sets in %s; set ZLPR_DATA", root)
	}
	var folders []string
	for _, f := range files {
		folders = append(folders, filepath.Dir(f))
	}
	return folders
}

var npyShape = regexp.MustCompile(`'descr': '(..\d)', 'fortran_order': False, 'shape': \((\d+), (\d+)\)`)

// readNpy reads a NumPy file of the element type and two dimensions.
func readNpy[E uint8 | float32](t *testing.T, path, descr string) (rows, cols int, data []E) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(file, []byte("\x93NUMPY\x01\x00")) {
		t.Fatalf("%s is no NumPy file", path)
	}
	end := 10 + int(binary.LittleEndian.Uint16(file[8:]))
	shape := npyShape.FindSubmatch(file[10:end])
	if shape == nil || string(shape[1]) != descr {
		t.Fatalf("%s: %q", path, file[10:end])
	}
	rows, _ = strconv.Atoi(string(shape[2]))
	cols, _ = strconv.Atoi(string(shape[3]))
	data = make([]E, rows*cols)
	if err := binary.Read(bytes.NewReader(file[end:]), binary.LittleEndian, data); err != nil {
		t.Fatal(err)
	}
	return rows, cols, data
}

// readData reads the test rows of a data set.
func readData(t *testing.T, folder string) *Batch[float32] {
	t.Helper()
	rows, cols, scores := readNpy[float32](t, filepath.Join(folder, "S_test.npy"), "<f4")
	r, c, labels := readNpy[uint8](t, filepath.Join(folder, "Y_test.npy"), "|u1")
	if r != rows || c != cols {
		t.Fatalf("%s: scores of %d × %d, labels of %d × %d", folder, rows, cols, r, c)
	}
	return &Batch[float32]{
		Scores: zlpr.Matrix[float32]{Rows: rows, Cols: cols, Stride: cols, Data: scores},
		Labels: &zlpr.DenseLabels[uint8]{Rows: rows, Cols: cols, Stride: cols, Data: labels},
	}
}

// values computes metrics by name.
func values(t *testing.T, b *Batch[float32], names []string) map[string]float64 {
	t.Helper()
	a, err := NewAccumulator[float32](b.Scores.Cols, names, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Add(b); err != nil {
		t.Fatal(err)
	}
	results, err := a.Results()
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]float64{}
	for _, r := range results {
		m[r.Name] = r.Value
	}
	return m
}

// recorded is the bound on the difference to values that float64 arithmetic in
// another order gave.
const recorded = 1e-13

func differ(got, want float64) bool { return !(math.Abs(got-want) <= recorded*math.Abs(want)) }

// TestData compares with the metrics recorded beside the data.
func TestData(t *testing.T) {
	names := []string{"micro_f1", "macro_f1", "samples_f1", "hamming_loss", "subset_accuracy", "micro_precision", "micro_recall"}
	for _, folder := range dataSets(t) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(folder, "meta.json"))
			if err != nil {
				t.Fatal(err)
			}
			var meta struct {
				Reference struct{ Metrics map[string]float64 } `json:"reference_scores"`
			}
			if err := json.Unmarshal(text, &meta); err != nil {
				t.Fatal(err)
			}
			b := readData(t, folder)
			worst := 0.0
			for name, got := range values(t, b, names) {
				want, ok := meta.Reference.Metrics[name]
				if !ok || differ(got, want) {
					t.Errorf("%s = %v, recorded %v", name, got, want)
				}
				if want != 0 {
					worst = max(worst, math.Abs(got-want)/want)
				}
			}
			t.Logf("%d × %d: %d metrics, largest relative difference %.1g", b.Scores.Rows, b.Scores.Cols, len(names), worst)
		})
	}
}

// python returns a Python that has scikit-learn.
func python(t *testing.T) string {
	for _, p := range []string{os.Getenv("PYTHON"), "python3", "/usr/bin/python3"} {
		if p != "" && exec.Command(p, "-c", "import sklearn").Run() == nil {
			return p
		}
	}
	if os.Getenv("ZLPR_REQUIRE_SKLEARN") != "" {
		t.Fatal("no Python with scikit-learn, but ZLPR_REQUIRE_SKLEARN is set")
	}
	t.Skip("SKIPPED: no Python with scikit-learn (package python3-sklearn of Debian); PYTHON names another interpreter")
	return ""
}

// TestScikitLearn compares with scikit-learn: on random rows with many equal
// scores, rows without and rows full of positives, and on the data sets: the
// small ones, and with ZLPR_REQUIRE_SKLEARN all.
func TestScikitLearn(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: takes long")
	}
	interpreter := python(t)
	rng := rand.New(rand.NewPCG(11, 11))
	batches := map[string]*Batch[float32]{}
	arguments := []string{filepath.Join("testdata", "sklearn_metrics.py")}
	for i := range 6 {
		path := filepath.Join(t.TempDir(), strconv.Itoa(i)+".json")
		rows, classes := 20+rng.IntN(50), 2+rng.IntN(30)
		data := struct {
			Scores  [][]float32 `json:"scores"`
			Labels  [][]int     `json:"labels"`
			Weights []float64   `json:"weights"`
		}{}
		b := &Batch[float32]{Scores: zlpr.Matrix[float32]{Rows: rows, Cols: classes, Stride: classes}}
		var flat []uint8
		for r := range rows {
			scores, labels := make([]float32, classes), make([]int, classes)
			share := float64(r%5) / 4
			for j := range classes {
				scores[j] = float32(rng.IntN(4<<i)-2<<i) / 4
				if rng.Float64() < share {
					labels[j] = 1
				}
				flat = append(flat, uint8(labels[j]))
			}
			data.Scores, data.Labels = append(data.Scores, scores), append(data.Labels, labels)
			b.Scores.Data = append(b.Scores.Data, scores...)
		}
		b.Labels = &zlpr.DenseLabels[uint8]{Rows: rows, Cols: classes, Stride: classes, Data: flat}
		if i%2 == 1 {
			b.RowWeights = randomWeights(rng, rows)
			data.Weights = b.RowWeights
		}
		text, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, path)
		batches[path] = b
	}
	t.Run("data", func(t *testing.T) {
		for _, folder := range dataSets(t) {
			b := readData(t, folder)
			if len(b.Scores.Data) < 100000 || os.Getenv("ZLPR_REQUIRE_SKLEARN") != "" {
				arguments = append(arguments, folder)
				batches[folder] = b
				if len(b.Scores.Data) < 1000000 {
					weighted := *b
					weighted.RowWeights = slices.Repeat([]float64{1, 0.25, 0, 2.5}, b.Scores.Rows/4+1)[:b.Scores.Rows]
					batches[folder+":weighted"] = &weighted
				}
			}
		}
	})
	command := exec.Command(interpreter, arguments...)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]map[string]float64
	if err := json.Unmarshal(output, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != len(batches) {
		t.Fatalf("%d results for %d batches", len(all), len(batches))
	}
	for path, b := range batches {
		t.Run(filepath.Base(path), func(t *testing.T) {
			var names []string
			for name := range all[path] {
				names = append(names, name)
			}
			if len(names) < 30 {
				t.Fatalf("only %d metrics", len(names))
			}
			worst := 0.0
			for name, got := range values(t, b, names) {
				want := all[path][name]
				if differ(got, want) {
					t.Errorf("%s = %v, scikit-learn has %v", name, got, want)
				}
				if want != 0 {
					worst = max(worst, math.Abs(got-want)/math.Abs(want))
				}
			}
			t.Logf("%d metrics, largest relative difference %.1g", len(names), worst)
		})
	}
}
