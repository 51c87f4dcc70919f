package zlpr

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

var arrayShape = regexp.MustCompile(`'shape': \((\d+), (\d+)\)`)

// readArray reads a two-dimensional NumPy file, format version 1.0.
func readArray[E uint8 | float32](t *testing.T, path string) (rows, cols int, data []E) {
	t.Helper()
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	end := 10 + int(binary.LittleEndian.Uint16(file[8:]))
	shape := arrayShape.FindSubmatch(file[10:end])
	require.NotNil(t, shape, path)
	rows, _ = strconv.Atoi(string(shape[1]))
	cols, _ = strconv.Atoi(string(shape[2]))
	data = make([]E, rows*cols)
	require.NoError(t, binary.Read(bytes.NewReader(file[end:]), binary.LittleEndian, data))
	return rows, cols, data
}

// TestLossData compares losses and gradients of real scores and labels with a
// plain float64 evaluation. The data are in ZLPR_DATA, by default shared/data
// beside the repository.
func TestLossData(t *testing.T) {
	root := os.Getenv("ZLPR_DATA")
	if root == "" {
		root = filepath.Join("..", "shared", "data")
	}
	files, _ := filepath.Glob(filepath.Join(root, "*", "S_test.npy"))
	if len(files) == 0 {
		t.Skipf("SKIPPED: no data sets in %s; set ZLPR_DATA", root)
	}
	for _, file := range files {
		folder := filepath.Dir(file)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			rows, n, x := readArray[float32](t, file)
			_, _, y := readArray[uint8](t, filepath.Join(folder, "Y_test.npy"))
			b := &Batch[float32]{Scores: Matrix[float32]{rows, n, x, n}, Labels: &DenseLabels[uint8]{rows, n, y, n}}
			_, zlpr, grad := evalBatch(t, ZLPR{}, Options{Strict: true}, b, Output[float32]{})
			_, bce, _ := evalBatch(t, BCE{}, Options{}, b, Output[float32]{})
			for i := range rows {
				var neg, pos, sum float64
				for j, v := range x[i*n:][:n] {
					s := float64(v)
					if y[i*n+j] != 0 {
						s = -s
						pos += math.Exp(s)
					} else {
						neg += math.Exp(s)
					}
					sum += max(s, 0) + math.Log1p(math.Exp(-math.Abs(s)))
				}
				require.InEpsilon(t, math.Log1p(neg)+math.Log1p(pos), zlpr[i], 4*0x1p-23)
				require.InEpsilon(t, sum, bce[i], 4*0x1p-23)
				for j, v := range x[i*n:][:n] {
					want := math.Exp(float64(v)) / (1 + neg)
					if y[i*n+j] != 0 {
						want = -math.Exp(-float64(v)) / (1 + pos)
					}
					if d := math.Abs(want - float64(grad[i*n+j])); d > 4*0x1p-23*math.Abs(want) {
						t.Fatalf("row %d, class %d: gradient %v, want %v", i, j, grad[i*n+j], want)
					}
				}
			}
		})
	}
}
