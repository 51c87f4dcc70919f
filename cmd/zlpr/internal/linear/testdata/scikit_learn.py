# Fits BCE of sparse features as scikit-learn does it, a model a class, and prints seconds, CPU
# seconds, the objective, and versions. Arguments: folder of indptr.npy, indices.npy, data.npy and Y.npy,
# the number of features, λ.
import platform, sys, time
import numpy as np, scipy, scipy.sparse, sklearn
from sklearn.linear_model import LogisticRegression

folder, features, l2 = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
load = lambda name: np.load(f"{folder}/{name}.npy")
y = load("Y")
n, classes = y.shape
x = scipy.sparse.csr_matrix((load("data"), load("indices"), load("indptr")), shape=(n, features))
objective = 0.0
start, cpu = time.perf_counter(), time.process_time()
models = []
for c in range(classes):
    if y[:, c].min() == y[:, c].max():
        continue  # of one label: no model, and no loss with a bias far off
    m = LogisticRegression(C=1 / (n * l2), solver="lbfgs", tol=1e-5, max_iter=10000)
    models.append((c, m.fit(x, y[:, c])))
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
for c, m in models:
    w, s = m.coef_[0], m.decision_function(x)
    objective += np.logaddexp(0, np.where(y[:, c] == 1, -s, s)).mean() + l2 / 2 * (w @ w)
print(repr(seconds), repr(cpu), repr(float(objective)), f"scikit-learn {sklearn.__version__}, scipy {scipy.__version__}, numpy {np.__version__}, Python {platform.python_version()}", sep="\t")
