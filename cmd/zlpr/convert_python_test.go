//go:build unix

package main

import (
	"math"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

const pythonReads = `
import numpy as np, scipy.sparse as sp, json, struct
from sklearn.datasets import load_svmlight_file
s, y = np.load('S.npy'), np.load('Y.npy')
same = lambda a, b: a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
def tensor(name):
    b = open(name, 'rb').read(); n = struct.unpack('<Q', b[:8])[0]; h = json.loads(b[8:8+n]); (key, t), = h.items()
    assert n % 8 == 0 and t['data_offsets'] == [0, len(b) - 8 - n]
    return key, np.frombuffer(b[8+n:], {'F32': '<f4', 'U8': 'u1'}[t['dtype']]).reshape(t['shape'])
assert same(np.load('s.npz')['logits'], s)
key, t = tensor('s.safetensors'); assert key == 'scores' and same(t, s)
key, t = tensor('y.safetensors'); assert key == 'targets' and same(t, y)
assert (np.loadtxt('s.csv', delimiter=',') == s).all() and (np.loadtxt('y.tsv', delimiter='\t') == y).all()
listed = np.isfinite(s)
for name, kind in (('s.csr.npz', 'csr'), ('s.csc.npz', 'csc')):
    m = sp.load_npz(name); assert m.format == kind and m.dtype == np.float32 and m.has_canonical_format, (name, m)
    d = np.full(s.shape, -np.inf, 'f4'); c = m.tocoo(); d[c.row, c.col] = c.data; assert (d == s).all()
for name, kind in (('y.csr.npz', 'csr'), ('y.csc.npz', 'csc')):
    m = sp.load_npz(name); assert m.format == kind and m.dtype == np.uint8 and same(m.toarray(), y)
x, l = load_svmlight_file('y.svm', multilabel=True); assert [tuple(map(int, k)) for k in l] == [tuple(np.flatnonzero(r)) for r in y]
lines = open('y.txt').read().split('\n'); assert lines[0] == '%d %d' % y.shape and lines[-1] == ''
assert [[k for k in line.split()] for line in lines[1:-1]] == [['%d:1' % k for k in np.flatnonzero(r)] for r in y]
w = np.load('bits.npy'); assert w.dtype == np.uint64 and w.shape == (len(y), (y.shape[1] + 63) // 64)
assert same(np.unpackbits(w.view('u1'), axis=1, bitorder='little')[:, :y.shape[1]], y)
p = sp.load_npz('top.npz'); o = np.lexsort((np.arange(s.shape[1]) + 0 * s, -s))[:, :3]
assert (np.diff(p.indptr) == 3).all() and (np.sort(p.indices.reshape(-1, 3)) == np.sort(o)).all()
assert (p.data.reshape(-1, 3) == np.take_along_axis(s, np.sort(o), 1)).all()
`

// TestPythonReads: numpy, scipy and scikit-learn read what convert and predict
// write, as the numbers that it was.
func TestPythonReads(t *testing.T) {
	name, dir := python(t), t.TempDir()
	const rows, n = 50, 70
	rng := rand.New(rand.NewPCG(3, 3))
	s, y := make([]float32, rows*n), make([]uint8, rows*n)
	for i := range s {
		if s[i] = float32(rng.NormFloat64()); rng.IntN(10) == 0 {
			s[i] = float32(math.Inf(-1))
		}
		y[i] = uint8(rng.IntN(5) / 4)
	}
	save(t, dir, "S.npy", []int{rows, n}, s)
	save(t, dir, "Y.npy", []int{rows, n}, y)
	for _, args := range [][]string{
		{"S.npy", "s.npz:logits"}, {"S.npy", "s.safetensors"}, {"S.npy", "s.csv"}, {"S.npy", "s.csr.npz"}, {"S.npy", "s.csc.npz", "--to", "csc"},
		{"Y.npy", "y.safetensors:targets"}, {"Y.npy", "y.tsv"}, {"Y.npy", "y.csr.npz"}, {"Y.npy", "y.csc.npz", "--to", "csc"}, {"Y.npy", "y.svm"}, {"Y.npy", "y.txt"},
		{"Y.npy", "bits.npy", "--to", "bits"},
	} {
		convert(t, dir, args...)
	}
	_, stderr, status := run(t, dir, "predict", "--scores", "S.npy", "--top", "3", "--out", "top.npz")
	require.Equal(t, 0, status, stderr)
	cmd := exec.Command(name, "-c", pythonReads)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}
