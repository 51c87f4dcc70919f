package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/array"
)

// fileUses are the arguments of every sub-command that reads a file, for every
// way in which it does. FILE is the file; all others are good. An output is
// out.*.
var fileUses = map[string][]string{
	"scores":        {"eval", "--scores", "FILE", "--labels", "Y.npy", "--grad", "out.npy"},
	"labels":        {"eval", "--scores", "S.npy", "--labels", "FILE", "--grad", "out.npy", "--plot", "out.svg"},
	"targets":       {"eval", "--scores", "S.npy", "--labels", "FILE", "--loss", "softmax", "--per-row", "out.npy"},
	"mask":          {"eval", "--scores", "S.npy", "--labels", "Y.npy", "--mask", "FILE", "--predictions", "out.npy"},
	"lengths":       {"eval", "--scores", "S.npy", "--labels", "Y.npy", "--lengths", "FILE"},
	"row weights":   {"eval", "--scores", "S.npy", "--labels", "Y.npy", "--row-weights", "FILE", "--grad", "out.npy"},
	"class weights": {"eval", "--scores", "S.npy", "--labels", "Y.npy", "--class-weights", "FILE"},
	"pos weight":    {"eval", "--scores", "S.npy", "--labels", "Y.npy", "--loss", "bce", "--pos-weight", "FILE"},
	"features":      {"train", "--x", "FILE", "--y", "Y.npy", "--l2", "1", "--out", "out.npz"},
	"parts":         {"train", "--x-csr", "indptr.npy,FILE,data.npy", "--features", "4", "--y", "Y.npy", "--l2", "1"},
	"train labels":  {"train", "--x", "S.npy", "--y", "FILE", "--l2", "1", "--out", "out.npz", "--plot", "out.svg"},
	"train targets": {"train", "--x", "S.npy", "--y", "FILE", "--l2", "1", "--loss", "softmax"},
	"split":         {"train", "--x", "S.npy", "--y", "Y.npy", "--split", "FILE", "--l2", "1", "--test-scores", "out.npz"},
	"model":         {"predict", "--model", "FILE", "--x", "S.npy", "--out", "out.npy"},
	"predict":       {"predict", "--model", "model.npz", "--x", "FILE", "--out", "out.npy"},
	"sample":        {"sample", "--scores", "FILE", "--k", "2", "--out", "out.npy"},
	"compare":       {"compare", "--data", "sets"},
}

// badFiles are files that no command can use, for any use. Most are what one
// byte, one number or one lie makes of a good file.
func badFiles(t *testing.T) map[string][]byte {
	var b bytes.Buffer
	require.NoError(t, array.WriteTo(&b, []int{3, 4}, []float32{1, -2, 3, 0.5, 1, -2, 3, 0.5, 1, -2, 3, 0.5}))
	good := slices.Clone(b.Bytes())
	header := func(dict string, data ...byte) []byte {
		return append(append([]byte("\x93NUMPY\x01\x00"), byte(len(dict)), byte(len(dict)>>8)), append([]byte(dict), data...)...)
	}
	zipOf := func(method uint16, change func(*zip.FileHeader), members ...string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for i := 0; i < len(members); i += 2 {
			data := []byte(members[i+1])
			h := &zip.FileHeader{Name: members[i], Method: method, CRC32: crc32.ChecksumIEEE(data), UncompressedSize64: uint64(len(data)), CompressedSize64: uint64(len(data))}
			if change != nil {
				change(h)
			}
			w, err := z.CreateRaw(h)
			require.NoError(t, err)
			_, err = w.Write(data)
			require.NoError(t, err)
		}
		require.NoError(t, z.Close())
		return b.Bytes()
	}
	csr := func(indptr, indices []int64, values []float64, shape ...int64) []byte {
		dir := t.TempDir()
		rows, cols := int64(3), int64(4)
		if len(shape) == 2 {
			rows, cols = shape[0], shape[1]
		}
		saveCSR(t, dir, "m.npz", rows, cols, indptr, indices, values)
		b, err := os.ReadFile(filepath.Join(dir, "m.npz"))
		require.NoError(t, err)
		return b
	}
	ones := []float64{1, 1, 1}
	brokenZip := func(b []byte) []byte {
		b = slices.Clone(b)
		b[len(b)/2] ^= 0x10
		return b
	}
	wide := []byte{0, 0, 0, 0, 0, 0, 0, 128}
	return map[string][]byte{
		"empty.npy":           {},
		"cut.npy":             good[:len(good)-3],
		"header.npy":          good[:60],
		"longer.npy":          append(slices.Clone(good), 0),
		"zeros.npy":           make([]byte, 300),
		"zeros":               make([]byte, 300),
		"object.npy":          header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 1, 2, 3, 4, 5, 6, 7, 8),
		"bfloat16.npy":        header("{'descr': '<V2', 'fortran_order': False, 'shape': (1,), }", 1, 2),
		"huge.npy":            header("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }"),
		"large.npy":           header("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 4), }"),
		"rows.npy":            header("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 0), }"),
		"negative.npy":        header("{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 4), }"),
		"axes.npy":            header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4" + strings.Repeat(", 1", 10000) + "), }"),
		"uint64.npy":          header("{'descr': '<u8', 'fortran_order': False, 'shape': (1,), }", wide...),
		"text.npy":            []byte("1,0\n"),
		"text.npz":            []byte("1,0\n"),
		"cut.npz":             zipOf(zip.Store, nil, "a.npy", string(good))[:200],
		"sum.npz":             zipOf(zip.Store, func(h *zip.FileHeader) { h.CRC32 ^= 1 }, "W.npy", string(good)),
		"size.npz":            zipOf(zip.Store, func(h *zip.FileHeader) { h.UncompressedSize64 = 1<<63 + 7 }, "W.npy", string(good)),
		"method.npz":          zipOf(14, nil, "W.npy", string(good)),
		"two.npz":             zipOf(zip.Store, nil, "W.npy", string(good), "W.npy", string(good)),
		"names.npz":           zipOf(zip.Store, nil, "a\x1b[2Jb.npy", string(good), "c\n.npy", string(good)),
		"none.npz":            zipOf(zip.Store, nil, "a.txt", "x"),
		"flipped.npz":         brokenZip(csr([]int64{0, 1, 2, 3}, []int64{0, 1, 2}, ones)),
		"far.npz":             csr([]int64{0, 1, 2, 3}, []int64{0, 1 << 32, 2}, ones),
		"minus.npz":           csr([]int64{0, 1, 2, 3}, []int64{0, -1 << 32, 2}, ones),
		"decreases.npz":       csr([]int64{0, 3, 2, 3}, []int64{0, 1, 2}, ones),
		"indptr.npz":          csr([]int64{0, 1, 2, 1 << 40}, []int64{0, 1, 2}, ones),
		"more.npz":            csr([]int64{0, 1, 2, 3}, []int64{0, 1, 2, 3, 3}, ones),
		"shape.npz":           csr([]int64{0, 1, 2, 3}, []int64{0, 1, 2}, ones, 3, -4),
		"columns.npz":         csr([]int64{0, 1, 2, 3}, []int64{0, 1, 2}, ones, 3, 1<<62),
		"many columns.npz":    csr([]int64{0, 1, 2, 3}, []int64{0, 1, 1 << 41}, ones, 3, 1<<41+1),
		"nul.csv":             []byte("1,0\n0,\x001\n"),
		"ragged.csv":          []byte("1,0\n0\n"),
		"quote.csv":           []byte("1,0\n\"0,1\n"),
		"word.csv":            []byte("1,0\n0,x\n"),
		"range.csv":           []byte("1,0\n0,1e999\n"),
		"field.csv":           []byte("1,0\n" + strings.Repeat("1", 1<<17)),
		"utf16.csv":           []byte("\xff\xfe1\x00,\x000\x00\n\x00"),
		"nul.svm":             []byte("0 1:1\n0 \x001:1\n"),
		"far.svm":             []byte("0 1:1\n4294967296 4294967296:1\n"),
		"word.svm":            []byte("0 1:1\n0 1:x\n"),
		"sizes.txt":           []byte("9 4 4\n0 1:1\n"),
		"no features.txt":     []byte("1 0 0\n0 1:1\n"),
		"many.txt":            []byte("3 2147483647 2147483647\n1 1:1\n1 1:1\n1 1:1\n"),
		"cut.csv.gz":          []byte(zipped("1,0\n0,1\n"))[:20],
		"sum.csv.gz":          append([]byte(zipped("1,0\n0,1\n"))[:24], 0, 0, 0, 0, 8, 0, 0, 0),
		"cut.npy.gz":          []byte(zipped(string(good[:len(good)-3]))),
		"packed.npz.gz":       []byte(zipped(string(zipOf(zip.Store, nil, "a.npy", string(good))))),
		"data.h5":             []byte("\x89HDF\r\n\x1a\n\x00\x00\x00\x00"),
		"data.parquet":        []byte("PAR1\x15\x00\x15"),
		"data.pt":             zipOf(zip.Store, nil, "archive/data.pkl", "x"),
		"ra\x1b[31mted\n.npy": []byte("x"),
	}
}

// TestBadFiles runs every sub-command on every kind of bad file in every place
// where it takes one: status 1 or 2, one line that names the file, no output or
// temporary file, little memory, and an end.
func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	temporary := t.TempDir()
	save(t, dir, "S.npy", []int{3, 4}, []float32{0.25, -1.5, 2, 1, -0.5, 3, 0.75, -2, 1.25, 0.5, -1, -0.25})
	save(t, dir, "Y.npy", []int{3, 4}, []uint8{1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1})
	save(t, dir, "indptr.npy", []int{4}, []int64{0, 1, 2, 3})
	save(t, dir, "data.npy", []int{3}, []float32{1, 1, 1})
	_, stderr, status := run(t, dir, "train", "--x", "S.npy", "--y", "Y.npy", "--l2", "1", "--out", "model.npz")
	require.Equal(t, 0, status, stderr)
	set := filepath.Join(dir, "sets", "one")
	require.NoError(t, os.MkdirAll(set, 0o755))
	save(t, set, "Y.npy", []int{3, 4}, []uint8{1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1})
	save(t, set, "split.npy", []int{3}, []uint8{0, 0, 1})
	before := append(list(t, dir), list(t, set)...)
	for name, data := range badFiles(t) {
		for use, args := range fileUses {
			path, named := filepath.Join(dir, name), name
			if use == "compare" {
				path, named = filepath.Join(set, "X.npy"), "X.npy"
			}
			require.NoError(t, os.WriteFile(path, data, 0o644))
			args = slices.Clone(args)
			for i := range args {
				args[i] = strings.Replace(args[i], "FILE", name, 1)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			cmd := exec.CommandContext(ctx, binary, args...)
			cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
			_, stderr, status := runCommand(t, dir, cmd)
			cancel()
			require.NoError(t, os.Remove(path))
			what := use + " " + name + ": " + stderr
			require.Contains(t, []int{1, 2}, status, what)
			require.Equal(t, 1, strings.Count(stderr, "\n"), what)
			require.True(t, strings.HasPrefix(stderr, "zlpr: ") && len(stderr) < 1500, what)
			require.Contains(t, stderr, strings.Trim(array.Quote(named), `"`), what)
			for _, word := range []string{"goroutine", "panic", "runtime error", "unexpected fault", temporary, "\x1b"} {
				require.NotContains(t, stderr, word, what)
			}
			require.Equal(t, before, append(list(t, dir), list(t, set)...), what)
			require.Empty(t, list(t, temporary), what)
			if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
				require.Less(t, u.Maxrss, int64(100<<10), what) // KiB, mapped files and the program included
			}
		}
	}
}

// TestBadLargeFiles: files of up to 32 MiB with what would take much memory if
// it were kept as it is; at most 200 MiB of the process's own are seen.
func TestBadLargeFiles(t *testing.T) {
	size := 4 << 20
	if os.Getenv("ZLPR_REQUIRE_NUMPY") != "" { // where time does not matter
		size = 32 << 20
	}
	dir := t.TempDir()
	save(t, dir, "S.npy", []int{3, 4}, make([]float32, 12))
	save(t, dir, "Y.npy", []int{3, 4}, make([]uint8, 12))
	fill := func(head, part, tail string) []byte {
		return []byte(head + strings.Repeat(part, (size-len(head)-len(tail))/len(part)) + tail)
	}
	var bomb bytes.Buffer
	w, err := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	require.NoError(t, err)
	_, err = w.Write(fill("", "1,1\n", "1\n"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	var many bytes.Buffer
	z := zip.NewWriter(&many)
	for range size / 80 {
		_, err := z.CreateRaw(&zip.FileHeader{Name: "a.npy"})
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	var bytes8 bytes.Buffer
	require.NoError(t, array.WriteTo(&bytes8, []int{size / 8, 8}, make([]int8, size/8*8)))
	for name, data := range map[string][]byte{
		"rows.txt": fill("99999999 9 9\n", "\n", ""), "labels.svm": fill("", "0\n", "x\n"), "features.svm": fill("", "0 1:1\n", "x\n"),
		"line.svm": fill("0", " 1:1", " x\n"), "line.csv": fill("1", ",1", ",x\n"), "rows.csv": fill("", "1\n", "x\n"),
		"bomb.csv.gz": bomb.Bytes(), "many.npz": many.Bytes(), "bytes.npy": bytes8.Bytes(),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
		for _, args := range [][]string{{"eval", "--scores", "S.npy", "--labels", name}, {"train", "--x", name, "--y", "Y.npy", "--l2", "1"}, {"sample", "--scores", name, "--k", "9"}} {
			cmd := exec.Command(binary, args...)
			var stderr strings.Builder
			cmd.Dir, cmd.Stderr = dir, &stderr
			require.NoError(t, cmd.Start())
			stop, peak := make(chan struct{}), make(chan int)
			go func() { peak <- anonymous(cmd.Process.Pid, stop) }()
			_ = cmd.Wait()
			close(stop)
			what := strings.Join(args, " ") + ": " + stderr.String()
			require.Less(t, <-peak, 200<<10, what)
			require.Contains(t, []int{1, 2}, cmd.ProcessState.ExitCode(), what)
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"), what)
		}
	}
}
