"""What scikit-learn, or a plain loop, has for what eval, tune, calibrate and diff say
of one data set: one line for each kind of number, the largest difference relative to
max(1, |value|), and for intervals their ends in standard errors of a bootstrap."""

import json
import sys
import warnings

import numpy as np
from sklearn import metrics as m

warnings.filterwarnings("ignore")
folder, ev, tune, each, cal, diff, b = sys.argv[1:]
s = np.load(folder + "/S_test.npy").astype(np.float64)
y = np.load(folder + "/Y_test.npy")
b = np.load(b).astype(np.float64)
load = lambda name: json.load(open(name))
ev, tune, each, cal, diff = map(load, (ev, tune, each, cal, diff))
n, c = y.shape
worst = {}


def say(kind, got, want):
    if want is None or want != want:
        assert got is None, (kind, got, want)
        return
    d = abs(got - want) / max(1, abs(want))
    worst[kind] = max(worst.get(kind, 0), d)


def zlpr(s, y):
    neg = np.log1p(np.exp(np.where(y == 0, s, -np.inf)).sum(1))
    pos = np.log1p(np.exp(np.where(y == 1, -s, -np.inf)).sum(1))
    return neg + pos


def measures(s, y):
    p = (s > 0).astype(int)
    r = {}
    for average in ("micro", "macro", "weighted", "samples"):
        a, b_, f, _ = m.precision_recall_fscore_support(y, p, average=average, zero_division=0)
        r[average + "_precision"], r[average + "_recall"], r[average + "_f1"] = a, b_, f
    r["samples_jaccard"] = m.jaccard_score(y, p, average="samples", zero_division=0)
    r["subset_accuracy"] = m.accuracy_score(y, p)
    r["hamming_loss"] = m.hamming_loss(y, p)
    r["lrap"] = m.label_ranking_average_precision_score(y, s)
    r["coverage_error"] = m.coverage_error(y, s)
    r["ranking_loss"] = m.label_ranking_loss(y, s)
    r["micro_auc"] = m.roc_auc_score(y.ravel(), s.ravel())
    r["micro_average_precision"] = m.average_precision_score(y.ravel(), s.ravel())
    both = [j for j in range(c) if 0 < y[:, j].sum() < n]
    r["macro_auc"] = np.mean([m.roc_auc_score(y[:, j], s[:, j]) for j in both])
    r["macro_average_precision"] = np.mean([m.average_precision_score(y[:, j], s[:, j]) for j in both])
    return r


# eval
say("losses", ev["losses"]["zlpr"]["mean"], zlpr(s, y).mean())
bce = (np.logaddexp(0, s) - s * y).sum(1)
say("losses", ev["losses"]["bce"]["mean"], bce.mean())
for name, want in measures(s, y).items():
    say("metrics", ev["metrics"][name], want)
p = (s > 0).astype(int)
a, r, f, support = m.precision_recall_fscore_support(y, p, average=None, zero_division=0)
for j, v in enumerate(ev["by_class"]):
    say("by class", v["precision"], a[j])
    say("by class", v["recall"], r[j])
    say("by class", v["f1"], f[j])
    say("by class", v["support"], int(support[j]))
    say("by class", v["tp"], int((p[:, j] & y[:, j]).sum()))
    if support[j]:
        say("by class", v["average_precision"], m.average_precision_score(y[:, j], s[:, j]))
    say("by class", v["auc"], m.roc_auc_score(y[:, j], s[:, j]) if 0 < support[j] < n else None)

# tune: one threshold for micro F1, by all thresholds between two scores
def best(s, y):
    flat, order = s.ravel(), np.argsort(-s.ravel(), kind="stable")
    x, l = flat[order], y.ravel()[order]
    ends = np.append(np.flatnonzero(np.diff(x)), len(x) - 1)
    tp = np.cumsum(l)[ends]
    f1 = 2 * tp / (ends + 1 + l.sum())
    return f1.max()


f1 = lambda y, p: m.f1_score(y, p, average="micro", zero_division=0)
say("tune", tune["value"], best(s, y))
say("tune", tune["value"], f1(y, (s > tune["thresholds"]).astype(int)))
say("tune", tune["untuned"], f1(y, p))


def threshold(s, y):
    flat, order = s.ravel(), np.argsort(-s.ravel(), kind="stable")
    x, l = flat[order], y.ravel()[order]
    ends = np.append(np.flatnonzero(np.diff(x)), len(x) - 1)
    tp = np.cumsum(l)[ends]
    k = np.argmax(2 * tp / (ends + 1 + l.sum()))
    at = x[ends[k]]
    below = x[ends[k] + 1] if ends[k] + 1 < len(x) else np.nextafter(np.float32(at), np.float32(-np.inf))
    return (at + below) / 2


crossed = np.zeros_like(p)
fold = np.arange(n) % 5
for k in range(5):
    crossed[fold == k] = s[fold == k] > threshold(s[fold != k], y[fold != k])
say("tune", tune["cross_fitted"], f1(y, crossed))
t = np.array(each["thresholds"], dtype=float)
say("tune", each["value"], m.f1_score(y, (s > t).astype(int), average="macro", zero_division=0))
say("tune", each["value"], np.mean([best(s[:, [j]], y[:, [j]]) if y[:, j].any() else 0 for j in range(c)]))

# calibrate, by sigmoid: before and after
def quality(p):
    q, l = p.ravel(), y.ravel()
    r = {"brier": m.brier_score_loss(l, q), "log_loss": None}
    for name, edges in (("ece_width", np.arange(1, 15) * (1 / 15)), ("ece_mass", None)):
        if edges is None:
            continue
        i = np.searchsorted(edges, q, side="left")
        sums = [np.bincount(i, w, 15) for w in (q, l.astype(float))]
        r[name] = np.abs(sums[0] - sums[1]).sum() / len(q)
    return r


for when, z in (("before", s), ("after", cal["scale"] * s + cal["shift"])):
    want = quality(1 / (1 + np.exp(-z)))
    say("calibrate", cal[when]["brier"], want["brier"])
    say("calibrate", cal[when]["ece_width"], want["ece_width"])
    say("calibrate", cal[when]["log_loss"], (np.logaddexp(0, z) - z * y).mean())
z = cal["scale"] * s + cal["shift"]  # the derivative by the scale is 0 at the minimum
say("calibrate: slope", ((1 / (1 + np.exp(-z)) - y) * s).mean(), 0.0)

# diff: values, and intervals beside those of a plain loop with other draws
names = ["micro_f1", "macro_f1", "samples_f1", "lrap"]
for name, want in measures(b, y).items():
    say("diff", diff["metrics"][name]["b"], want)
    say("diff", diff["metrics"][name]["difference"], want - ev["metrics"][name])
say("losses", diff["losses"]["zlpr"]["difference"], zlpr(b, y).mean() - zlpr(s, y).mean())
rng = np.random.default_rng(5)
q = (b > 0).astype(int)
rows = lambda p: np.stack([(p & y).sum(1), p.sum(1), y.sum(1)], 1).astype(float)
u, v = rows(p), rows(q)
per = zlpr(b, y) - zlpr(s, y)
draws = 4000
f, l, g = np.empty(draws), np.empty(draws), np.empty(draws)
sample = lambda u: np.divide(2 * u[:, 0], u[:, 1] + u[:, 2], out=np.zeros(n), where=u[:, 1] + u[:, 2] > 0)
each_row = sample(v) - sample(u)
ratio = lambda u: 2 * u[0] / (u[1] + u[2])
for k in range(draws):
    i = rng.integers(0, n, n)
    f[k] = ratio(v[i].sum(0)) - ratio(u[i].sum(0))
    l[k] = per[i].mean()
    g[k] = each_row[i].mean()
away = 0
for d, x in ((diff["metrics"]["micro_f1"], f), (diff["losses"]["zlpr"], l), (diff["metrics"]["samples_f1"], g)):
    for end, share in (("low", 0.025), ("high", 0.975)):
        # The standard error of a quantile: its order statistics √(N·p(1-p)) places away.
        places = np.sqrt(draws * share * (1 - share)) * np.sqrt(1 + draws / 10000)
        at = np.sort(x)
        lo, hi = at[int(max(0, share * draws - places))], at[int(min(draws - 1, share * draws + places))]
        away = max(away, abs(d[end] - np.quantile(x, share)) / max((hi - lo) / 2, 1e-15))
worst["diff: intervals, standard errors"] = away
print(json.dumps(worst))
