//go:build unix

package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

const pythonWrites = `
import numpy as np, scipy.sparse as sp, gzip, bz2, io
r = np.random.default_rng(2)
n, c, d = 60, 7, 30
s = r.standard_normal((n, c)); y = (r.random((n, c)) < .3).astype('i8'); y[::5] = 0; y[3, 0] = 1
np.save('s.npy', s); np.save('y.npy', y)
# CSV, as numpy and others write it
np.savetxt('s.csv', s, delimiter=',', fmt='%.17g'); np.savetxt('s_blank.csv', s); np.savetxt('s.txt', s, fmt='%.17g', header='scores of ' + ', '.join('abcdefg'))
np.savetxt('y.csv', y, delimiter=';', fmt='%d', header='a;b;c;d;e;f;g', comments='')
np.savetxt('y_e.csv', y, delimiter='\t')
with open('frame.csv', 'w', encoding='utf-8-sig', newline='') as f: # as pandas writes a frame with names and an index
    f.write(',' + ','.join('"class %d"' % j for j in range(c)) + '\r\n')
    for i, row in enumerate(s): f.write(str(i) + ',' + ','.join(map(repr, map(float, row))) + '\r\n')
# sparse matrices: 64-bit indices, unsorted, repeated; the sums are scipy's
m = sp.csr_matrix(y); m.indices = m.indices.astype('i8'); m.indptr = m.indptr.astype('i8'); sp.save_npz('y64.npz', m)
row = r.integers(0, n, 900); col = r.integers(0, c, 900); v = r.integers(-64, 64, 900) / 16.
coo = sp.coo_matrix((v, (row, col)), shape=(n, c))
order = np.argsort(row, kind='stable')
raw = sp.csr_matrix((v[order], col[order], np.searchsorted(row[order], np.arange(n + 1))), shape=(n, c))
assert not raw.has_canonical_format
sp.save_npz('repeated.npz', raw); sp.save_npz('repeated_stored.npz', raw, compressed=False)
full = np.full((n, c), -np.inf); summed = coo.tocsr(); summed.sum_duplicates()
for i in range(n): full[i, summed.indices[summed.indptr[i]:summed.indptr[i+1]]] = summed.data[summed.indptr[i]:summed.indptr[i+1]]
np.save('full.npy', full)
sp.save_npz('repeated_coo.npz', coo); sp.save_npz('columns.npz', summed.tocsc()); sp.save_npz('y_columns.npz', sp.csc_matrix(y)); sp.save_npz('y_coo.npz', sp.coo_matrix(y.astype('u1')))
# orders, types, archives
np.save('s_f.npy', np.asfortranarray(s)); np.save('s_be.npy', s.astype('>f8')); np.savez('z.npz', s=s, y=y); np.savez_compressed('zc.npz', s=s.astype('>f8'), y=np.asfortranarray(y))
for name, data in (('s.npy.gz', gzip.compress(open('s.npy', 'rb').read())), ('s.csv.bz2', bz2.compress(open('s.csv', 'rb').read()))): open(name, 'wb').write(data)
# libsvm, as scikit-learn writes it
from sklearn.datasets import dump_svmlight_file
x = np.where(r.random((n, d)) < .3, r.standard_normal((n, d)), 0.); x[:, d - 1] = 0; x[0, d - 1] = 1.5
np.save('x.npy', x); sp.save_npz('x.npz', sp.csr_matrix(x))
dump_svmlight_file(sp.csr_matrix(x), sp.csr_matrix(y), 'xy.svm', multilabel=True)
dump_svmlight_file(sp.csr_matrix(x), sp.csr_matrix(y), 'xy_comment', multilabel=True, comment='two\nlines', zero_based=True)
t = r.integers(0, 4, n); np.save('t.npy', t); np.save('onehot.npy', np.eye(4, dtype='u1')[t])
dump_svmlight_file(x, t, 't.svm')
open('xy.svm.bz2', 'wb').write(bz2.compress(open('xy.svm', 'rb').read()))
# as the extreme classification repository writes it
with open('xmc.txt', 'w') as f:
    f.write('%d %d %d\n' % (n, d, c))
    for i in range(n): f.write(','.join(map(str, np.flatnonzero(y[i]))) + ' ' + ' '.join('%d:%r' % (j, float(x[i, j])) for j in np.flatnonzero(x[i])) + '\n')
with open('matrix.txt', 'w') as f:
    f.write('%d %d\n' % (n, c))
    for i in range(n): f.write(' '.join('%d:1.00000' % j for j in np.flatnonzero(y[i])) + '\n')
`

// TestPythonFiles: what numpy, scipy and scikit-learn write is read as they read
// it, to the last bit.
func TestPythonFiles(t *testing.T) {
	name, dir := python(t), t.TempDir()
	if exec.Command(name, "-c", "import sklearn").Run() != nil {
		t.Skip("SKIPPED: no scikit-learn; on Debian: apt-get install python3-sklearn")
	}
	cmd := exec.Command(name, "-c", pythonWrites)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	same := func(labels string, scores ...string) {
		t.Helper()
		want := evalJSON(t, dir, "--scores", scores[0], "--labels", "y.npy", "--metrics", "none")
		for _, s := range scores {
			got := evalJSON(t, dir, "--scores", s, "--labels", labels, "--metrics", "none")
			require.Equal(t, want.Losses, got.Losses, "%s %s", s, labels)
			require.Equal(t, want.Rows, got.Rows)
		}
	}
	same("y.npy", "s.npy", "s.csv", "s_blank.csv", "s.txt", "frame.csv", "s_f.npy", "s_be.npy", "z.npz:s", "zc.npz:s", "s.npy.gz", "s.csv.bz2")
	for _, labels := range []string{"y.csv", "y_e.csv", "y64.npz", "y_columns.npz", "y_coo.npz", "z.npz:y", "zc.npz:y", "xy.svm", "xy.svm.bz2", "xy_comment", "xmc.txt", "matrix.txt"} {
		same(labels, "s.npy")
	}
	same("y.npy", "full.npy", "repeated.npz", "repeated_stored.npz", "repeated_coo.npz", "columns.npz")
	model := func(args ...string) string {
		t.Helper()
		stdout, stderr, status := run(t, dir, append([]string{"train", "--l2", "0.05", "--json"}, args...)...)
		require.Equal(t, 0, status, stderr)
		return objective(stdout)
	}
	want := model("--x", "x.npz", "--y", "y.npy")
	for _, x := range []string{"xy.svm", "xy.svm.bz2", "xy_comment", "xmc.txt"} {
		require.Equal(t, want, model("--x", x), x)
	}
	want = model("--x", "x.npz", "--y", "onehot.npy", "--loss", "softmax")
	require.Equal(t, want, model("--x", "t.svm", "--loss", "softmax"))
	require.Equal(t, want, model("--x", "x.npz", "--y", "t.npy", "--loss", "softmax"))
}
