"""What two stages find: the product's correction of a cheap encoder by a few rows that a better one has seen, on measure.py's sample.

    REBASED_TEST_DATA=DIR python stages.py [--cache DIR]

The cheap encoder is the static one, the better one the reference; both encode long texts by windows, as the product does. For each task some
rows of each dataset name are drawn, the correction (activities/retrieve/fit.go, written down again here) is fitted to them, and the best rows by
its prediction are ranked by the better encoder. Printed, as means over tasks and draws: the agreement of such a ranking with that of the better
encoder over all rows, and how much of the true top is found by the share of the rows that the better encoder has encoded, the drawn ones counted.
"""

import argparse
import json
import os
import pathlib

import numpy as np
import scipy.stats

import measure
import reference
from model import Static

DRAWS = 3
SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, default=os.environ.get("REBASED_TEST_DATA"))
    p.add_argument("--model", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "model")
    p.add_argument("--cache", type=pathlib.Path, default=pathlib.Path("/tmp/rebased-fit"))
    args = p.parse_args()
    if args.data is None:
        raise SystemExit("no data folder: set REBASED_TEST_DATA or give --data")
    data = pathlib.Path(args.data)
    sample = measure.Sample(data)
    names: dict[str, int] = {}
    of_config = [names.setdefault(json.loads(line)["dataset"], len(names)) for line in (data / "hub" / "datasets.jsonl").read_text().splitlines()]
    group = np.array(of_config)[sample.row_config]
    tok, ref = reference.tokenizer(), reference.Reference(args.cache / "vectors.sqlite")
    cheap = terms(sample, measure.by_windows(Static(args.model).encode, sample.texts))
    better = terms(sample, measure.by_windows(lambda texts: ref.encode(reference.token_ids(tok, texts)), sample.texts))
    print(f"{len(group)} rows of {group.max() + 1} datasets, {len(sample.tasks)} tasks, {DRAWS} draws\n")

    print("two stages, 8 rows of each dataset drawn: agreement of the first N rows with the better encoder's own")
    print(f"{'':34}   N  overlap    rho   gain")
    for n, times in ((60, 1), (60, 3), (60, 10), (300, 3)):
        for label, k in (("the cheap encoder's best {} N", 0), ("the prediction's best {} N", 8)):
            figures = [agreement(cheap[t], better[t], group, k, n, n * times, d) for t in range(len(cheap)) for d in range(DRAWS if k else 1)]
            overlap, rho, gain = np.mean(figures, axis=0)
            print(f"{label.format(times):34} {n:3}  {overlap:7.3f}  {rho:5.3f}  {gain:5.3f}")

    print("\nshare of the true top 60 found, by the share of the rows encoded")
    print(f"{'rows drawn of a dataset':24}" + "".join(f"{s:7.0%}" for s in SHARES))
    for k in (2, 4, 8):
        found = [curve(cheap[t], better[t], group, k, 60, d) for t in range(len(cheap)) for d in range(DRAWS)]
        print(f"{k:<24}" + "".join("      –" if np.isnan(f) else f"{f:7.3f}" for f in np.mean(found, axis=0)))


def terms(sample: measure.Sample, vectors: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """S_in, S_out and S_data of every row, for each task."""
    starts, cells = np.cumsum([0] + [len(c) for c in sample.row_cells[:-1]]), np.concatenate(sample.row_cells)
    out = []
    for task in sample.tasks:
        texts = ([e["input"] for e in task["examples"]], [measure.output(e) for e in task["examples"]], [task["instruction"]])
        s_in, s_out, s_data = (sample.cosines(vectors, [sample.number[t] for t in some]) for some in texts)
        best = (np.maximum.reduceat(s[cells], starts) for s in (s_in, s_out))
        out.append((*best, s_data[sample.descriptions][sample.row_config]))
    return out


def draw(group: np.ndarray, k: int, seed: int) -> np.ndarray:
    rng, drawn = np.random.default_rng(seed), np.zeros(len(group), bool)
    for g in range(group.max() + 1):
        drawn[rng.permutation(np.flatnonzero(group == g))[:k]] = True
    return drawn


def predict(cheap, better, group: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The better encoder's sum of every row: two slopes within datasets, S_data of both, and a shrunk offset a dataset."""
    (s_in, s_out, s_data), truth, better_data = cheap, sum(better), better[2]
    at, g, groups = np.flatnonzero(drawn), group[drawn], group.max() + 1
    count = np.bincount(g, minlength=groups)
    mean = lambda v: np.bincount(g, v, groups) / np.maximum(count, 1)  # noqa: E731
    within = lambda v: v[at] - mean(v[at])[g]  # noqa: E731
    a, b = slopes(within(s_in), within(s_out), within(truth))
    design = np.stack([np.ones(len(group)), s_data, better_data], axis=1)
    left = truth - a * s_in - b * s_out
    base = design @ np.linalg.lstsq(design[at], left[at], rcond=None)[0]
    left = (left - base)[at]
    offset, seen = mean(left), count > 0
    noise = ((left - offset[g]) ** 2).sum() / max(1, len(at) - seen.sum())
    signal = max(1e-9, np.mean(offset[seen] ** 2) - noise * np.mean(1 / count[seen]))
    return a * s_in + b * s_out + base + (offset * count / (count + noise / signal))[group]


def slopes(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    both = np.stack([x, y], axis=1)
    w = np.linalg.solve(both.T @ both + 1e-6 * len(z) * np.eye(2), both.T @ z)
    if w.min() >= 0:
        return w
    w = np.maximum(0, [x @ z / (x @ x), y @ z / (y @ y)])
    w[int(w[0] * (x @ z) > w[1] * (y @ z))] = 0
    return w


def agreement(cheap, better, group, k: int, n: int, depth: int, seed: int) -> tuple[float, float, float]:
    truth = sum(better)
    prediction = predict(cheap, better, group, draw(group, k, seed)) if k else sum(cheap)
    ranked = prediction - 10  # what is not in the depth stands behind what is
    proposed = np.argsort(-prediction, kind="stable")[:depth]
    ranked[proposed] = truth[proposed]
    ours, theirs = (np.argsort(-s, kind="stable")[:n] for s in (ranked, truth))
    gain = (truth[ours].mean() - truth.mean()) / (truth[theirs].mean() - truth.mean())
    return len(set(ours) & set(theirs)) / n, scipy.stats.spearmanr(ranked, truth).statistic, gain


def curve(cheap, better, group, k: int, n: int, seed: int) -> list[float]:
    truth, drawn = sum(better), draw(group, k, seed)
    order = np.argsort(-predict(cheap, better, group, drawn), kind="stable")
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order))
    top = place[np.argsort(-truth, kind="stable")[:n]]
    encoded = drawn.sum() + np.cumsum(~drawn[order])
    return [(top < np.searchsorted(encoded, s * len(order), "right")).mean() if drawn.mean() < s else np.nan for s in SHARES]


if __name__ == "__main__":
    main()
