"""Computes metrics with scikit-learn, for comparison.

Arguments: folders with S_test.npy (scores) and Y_test.npy (labels), and JSON
files with "scores" and "labels". Output: a JSON object, metrics by argument.
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


def compute(y, s):
    p = (s > 0).astype(np.uint8)
    out = {}
    for name, f in THRESHOLDED.items():
        for average in "micro", "macro", "weighted", "samples":
            out[f"{average}_{name}"] = f(y, p, average=average, zero_division=0)
    out["subset_accuracy"] = m.accuracy_score(y, p)
    out["hamming_loss"] = m.hamming_loss(y, p)
    out["lrap"] = m.label_ranking_average_precision_score(y, s)
    out["coverage_error"] = m.coverage_error(y, s)
    out["ranking_loss"] = m.label_ranking_loss(y, s)
    for k in 1, 3, 5:
        out[f"ndcg_at_{k}"] = m.ndcg_score(y, s, k=k)
    out["micro_auc"] = m.roc_auc_score(y, s, average="micro")
    out["micro_average_precision"] = m.average_precision_score(y, s, average="micro")
    both = [j for j in range(y.shape[1]) if 0 < y[:, j].sum() < len(y)]
    out["macro_auc"] = m.roc_auc_score(y[:, both], s[:, both], average="macro")
    out["macro_average_precision"] = m.average_precision_score(
        y[:, both], s[:, both], average="macro"
    )
    return out


def load(path):
    if os.path.isdir(path):
        return (
            np.load(os.path.join(path, "Y_test.npy")),
            np.load(os.path.join(path, "S_test.npy")),
        )
    with open(path) as f:
        data = json.load(f)
    return np.array(data["labels"], np.uint8), np.array(data["scores"], np.float32)


warnings.simplefilter("ignore")  # divisions by zero, which zero_division settles
json.dump({path: compute(*load(path)) for path in sys.argv[1:]}, sys.stdout)
