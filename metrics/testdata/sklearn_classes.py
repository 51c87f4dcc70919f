"""Computes the results of every class with scikit-learn, for comparison.

Arguments: folders with S_test.npy (scores) and Y_test.npy (labels). Output: a JSON
object by folder: with "0" and "1" for zero_division, "precision", "recall", "f1"
and "support" of every class and the averages; "auc" and "average_precision" of every
class, null where scikit-learn has none. The rows have the weights 1, 1/4, 0, 5/2 in
turn under the folder's name and ":weighted".
"""

import json
import os
import sys
import warnings

import numpy as np
from sklearn import metrics as m


def compute(y, s, w):
    p = (s > 0).astype(np.uint8)
    out = {}
    for zero in 0, 1:
        kw = dict(zero_division=zero, sample_weight=w)
        precision, recall, f1, support = m.precision_recall_fscore_support(y, p, **kw)
        classes = dict(precision=precision, recall=recall, f1=f1, support=support)
        out[str(zero)] = {k: v.tolist() for k, v in classes.items()}
        for average in "micro", "macro", "weighted", "samples":
            values = m.precision_recall_fscore_support(y, p, average=average, **kw)
            for name, v in zip(("precision", "recall", "f1"), values):
                out[str(zero)][f"{average}_{name}"] = [v]
            out[str(zero)][f"{average}_jaccard"] = [m.jaccard_score(y, p, average=average, **kw)]
    counts = y if w is None else y[w > 0]
    area, average = [], []
    for j in range(y.shape[1]):
        n = counts[:, j].sum()
        area.append(m.roc_auc_score(y[:, j], s[:, j], sample_weight=w) if 0 < n < len(counts) else None)
        average.append(m.average_precision_score(y[:, j], s[:, j], sample_weight=w) if n > 0 else 0)
    out["areas"] = {"auc": area, "average_precision": average}
    return out


results = {}
warnings.simplefilter("ignore")
for path in sys.argv[1:]:
    y = np.load(os.path.join(path, "Y_test.npy"))
    s = np.load(os.path.join(path, "S_test.npy"))
    results[path] = compute(y, s, None)
    results[path + ":weighted"] = compute(y, s, np.resize([1, 1 / 4, 0, 5 / 2], len(y)))
json.dump(results, sys.stdout)
