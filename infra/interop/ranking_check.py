"""Ranks rows by the method's score in numpy (arXiv 2407.05463: every example with every cell) and compares with the program's mode paper.

    REBASED_RANKINGS=DIR go test -run TestRankings ./infra/interop && python ranking_check.py DIR

DIR holds the vectors of all cells as the index has them, and of the tasks' texts; what comes of them is computed here on its own. The same rows up to ties, every
score to 1e-5.
"""

import json
import pathlib
import sys

import numpy as np

TOLERANCE = 1e-5


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main(folder):
    tasks, rows = lines(folder / "tasks.jsonl"), lines(folder / "rows.jsonl")
    texts = 1 + max(max(max(t["inputs"] + t["outputs"] + [t["instruction"]]) for t in tasks), max(max(r["cells"] + [r["description"]]) for r in rows))
    vectors = np.fromfile(folder / "vectors.f32", dtype="<f4").reshape(texts, -1)
    norms = np.linalg.norm(vectors, axis=1)
    unit = vectors / np.where(norms == 0, 1, norms)[:, None]
    ids = [r["id"] for r in rows]
    place = {id: i for i, id in enumerate(ids)}
    cells = np.concatenate([r["cells"] for r in rows]).astype(np.int64)
    lengths = np.array([len(r["cells"]) for r in rows])
    begins = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    descriptions = np.array([r["description"] for r in rows])

    def best(examples):
        """For each row the largest over its cells of the mean over the examples of the cosine; cells without a token take no part."""
        means = np.zeros(texts)
        for example in examples:
            means += unit.astype(np.float64) @ unit[example].astype(np.float64)
        means /= len(examples)
        means[norms == 0] = -np.inf
        return np.maximum.reduceat(means[cells], begins)

    failed = 0
    for task in tasks:
        s_in, s_out = best(task["inputs"]), best(task["outputs"])
        s_data = (unit.astype(np.float64) @ unit[task["instruction"]].astype(np.float64))[descriptions]
        total = (s_in + s_out + s_data) / 3
        order = np.lexsort((ids, -total))
        n = len(task["ids"])
        got = np.array([place[id] for id in task["ids"]])
        mine = np.stack([total, s_in, s_out, s_data], axis=1)[got]
        apart = np.abs(mine - np.array(task["scores"])).max()
        last = total[order[n - 1]]
        strangers = [id for id, i in zip(task["ids"], got) if total[i] < last - TOLERANCE]
        missing = [i for i in order[:n] if total[i] > last + TOLERANCE and i not in set(got)]
        drops = np.diff(total[got])
        ok = len(set(got)) == n == min(3000, int(np.isfinite(total).sum())) and apart <= TOLERANCE and not strangers and not missing and drops.max() <= TOLERANCE
        shared = len(set(got) & set(order[:n]))
        print(f"{'ok  ' if ok else 'FAIL'} {task['name']}: {shared} of {n} rows, the others tie with the last one; scores at most {apart:.1e} apart")
        failed += not ok
    return 1 if failed or len(tasks) == 0 else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
