"""Computes metrics with scikit-learn, for comparison.

Arguments: folders with S_test.npy (scores) and Y_test.npy (labels), and JSON
files with "scores", "labels" and "weights" of the rows. Output: a JSON object,
metrics by argument; those of a folder with the weights 1, 1/4, 0, 5/2 in turn under
the folder's name and ":weighted", where it has below a million scores. (The sums of
these weights are exact in float64.)
"""

import json
import os
import sys
import warnings

import numpy as np
from sklearn import metrics as m

THRESHOLDED = {
    "precision": m.precision_score,
    "recall": m.recall_score,
    "f1": m.f1_score,
    "f2": lambda y, p, **kw: m.fbeta_score(y, p, beta=2, **kw),
    "f0.5": lambda y, p, **kw: m.fbeta_score(y, p, beta=0.5, **kw),
    "jaccard": m.jaccard_score,
}


def compute(y, s, w=None):
    p = (s > 0).astype(np.uint8)
    out = {}
    for name, f in THRESHOLDED.items():
        for average in "micro", "macro", "weighted", "samples":
            out[f"{average}_{name}"] = f(
                y, p, average=average, zero_division=0, sample_weight=w
            )
    out["subset_accuracy"] = m.accuracy_score(y, p, sample_weight=w)
    out["hamming_loss"] = m.hamming_loss(y, p, sample_weight=w)
    out["lrap"] = m.label_ranking_average_precision_score(y, s, sample_weight=w)
    out["coverage_error"] = m.coverage_error(y, s, sample_weight=w)
    out["ranking_loss"] = m.label_ranking_loss(y, s, sample_weight=w)
    for k in 1, 3, 5:
        out[f"ndcg_at_{k}"] = m.ndcg_score(y, s, k=k, sample_weight=w)
    counts = y if w is None else y[w > 0]
    both = [j for j in range(y.shape[1]) if 0 < counts[:, j].sum() < len(counts)]
    for average, j in ("micro", slice(None)), ("macro", both):
        for name, f in ("auc", m.roc_auc_score), ("average_precision", m.average_precision_score):
            out[f"{average}_{name}"] = f(y[:, j], s[:, j], average=average, sample_weight=w)
    return out


results = {}
warnings.simplefilter("ignore")  # divisions by zero, which zero_division settles
for path in sys.argv[1:]:
    if os.path.isdir(path):
        y = np.load(os.path.join(path, "Y_test.npy"))
        s = np.load(os.path.join(path, "S_test.npy"))
        results[path] = compute(y, s)
        if s.size < 1_000_000:
            w = np.resize([1, 1 / 4, 0, 5 / 2], len(y))
            results[path + ":weighted"] = compute(y, s, w)
    else:
        with open(path) as f:
            data = json.load(f)
        y, s = np.array(data["labels"], np.uint8), np.array(data["scores"], np.float32)
        w = data["weights"]
        results[path] = compute(y, s, None if w is None else np.array(w))
json.dump(results, sys.stdout)
