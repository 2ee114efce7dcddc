"""How well cheap encoders stand in for the reference: every 12th row of each config of a data folder, ranked for its tasks.

    REBASED_TEST_DATA=DIR python measure.py [--model ../model] [--cache DIR]

For each task the rows get the row score of retrieval, (S_in + S_out + S_data) / 3, by each encoder. Printed, as the mean over tasks:
ov300, the share of the reference's top 300 that is in the encoder's top 300; rho, Spearman's correlation of the scores; gain, the
reference's score of the encoder's top 300, where 0 is the mean row and 1 the reference's own top 300.
"""

import argparse
import gzip
import json
import os
import pathlib

import numpy as np
import scipy.sparse
import scipy.stats

import reference
from model import Static

STRIDE, TOP = 12, 300
WINDOW, WINDOWS = 1000, 16  # bytes of a window, and windows of a text: as the product cuts


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, default=os.environ.get("REBASED_TEST_DATA"))
    p.add_argument("--model", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "model")
    p.add_argument("--cache", type=pathlib.Path, default=pathlib.Path("/tmp/rebased-fit"))
    p.add_argument("--per-task", action="store_true")
    args = p.parse_args()
    if args.data is None:
        raise SystemExit("no data folder: set REBASED_TEST_DATA or give --data")
    sample = Sample(pathlib.Path(args.data))
    print(f"{len(sample.row_cells)} rows, {len(sample.texts)} texts, {len(sample.tasks)} tasks")

    tok = reference.tokenizer()
    ids = reference.token_ids(tok, sample.texts)
    ref = reference.Reference(args.cache / "vectors.sqlite")
    static = Static(args.model)
    truth = sample.scores(by_windows(lambda texts: ref.encode(reference.token_ids(tok, texts)), sample.texts))
    encoders = {
        "bag of word pieces, idf": idf_bag(ids, sample, tok.get_vocab_size()),
        "static, long texts whole": static.encode(sample.texts),
        "static": by_windows(static.encode, sample.texts),
        "reference, long texts cut": ref.encode(ids),
    }
    print(f"{'encoder':28}  ov300    rho   gain")
    overlaps = {}
    for name, vectors in encoders.items():
        figures = [agreement(s, t) for s, t in zip(sample.scores(vectors), truth)]
        ov, rho, gain = np.mean(figures, axis=0)
        overlaps[name] = ov
        print(f"{name:28}  {ov:.3f}  {rho:.3f}  {gain:.3f}")
        if args.per_task:
            for task, f in zip(sample.tasks, figures):
                print(f"  {task['name']:36}  " + "  ".join(f"{x:.3f}" for x in f))
    print(f"ov300 of static / bag: {overlaps['static'] / overlaps['bag of word pieces, idf']:.3f} (at least 1.25 is asked)")


class Sample:
    """The rows, descriptions and tasks of a data folder, with every distinct text numbered once."""

    def __init__(self, data: pathlib.Path):
        self.number: dict[str, int] = {}
        self.row_cells: list[list[int]] = []
        self.row_config: list[int] = []
        self.descriptions: list[int] = []
        for line in (data / "hub" / "datasets.jsonl").read_text().splitlines():
            config = json.loads(line)
            self.descriptions.append(self.text(config["description"] or config["dataset"]))
            with gzip.open(data / config["path"], "rt", encoding="utf-8") as rows:
                for i, row in enumerate(rows):
                    if i % STRIDE == 0:
                        self.row_cells.append([self.text(str(v)) for v in json.loads(row).values()])
                        self.row_config.append(len(self.descriptions) - 1)
        self.cells = len(self.number)
        self.tasks = [json.loads(f.read_text()) for f in sorted((data / "tasks").glob("*.json"))]
        for task in self.tasks:
            self.text(task["instruction"])
            for e in task["examples"]:
                self.text(e["input"]), self.text(output(e))
        self.texts = list(self.number)

    def text(self, text: str) -> int:
        return self.number.setdefault(text, len(self.number))

    def scores(self, vectors) -> np.ndarray:
        """Row scores (tasks x rows) under an encoder's unit vectors (texts x dimensions, dense or sparse)."""
        starts = np.cumsum([0] + [len(c) for c in self.row_cells[:-1]])
        cells = np.concatenate(self.row_cells)
        out = []
        for task in self.tasks:
            inputs = [self.number[e["input"]] for e in task["examples"]]
            outputs = [self.number[output(e)] for e in task["examples"]]
            instruction = [self.number[task["instruction"]]]
            s_in, s_out, s_data = (self.cosines(vectors, q) for q in (inputs, outputs, instruction))
            best_in = np.maximum.reduceat(s_in[cells], starts)
            best_out = np.maximum.reduceat(s_out[cells], starts)
            out.append((best_in + best_out + s_data[self.descriptions][self.row_config]) / 3)
        return np.array(out)

    @staticmethod
    def cosines(vectors, queries: list[int]) -> np.ndarray:
        return np.asarray(vectors @ np.asarray(vectors[queries].mean(axis=0)).ravel()).ravel()


def windows(text: str) -> list[str]:
    """The windows of infra/encoder/windows; white space is ASCII's here."""
    rest, out = text.encode("utf-8", "surrogatepass"), []
    while rest and len(out) < WINDOWS:
        end = len(rest)
        if end > WINDOW:
            end = max(rest.rfind(space, WINDOW // 2, WINDOW) for space in (b" ", b"\n", b"\t")) + 1
        if end == 0:
            end = WINDOW
            while rest[end] & 0xC0 == 0x80:
                end -= 1
        out.append(rest[:end].decode("utf-8", "replace"))
        rest = rest[end:]
    return out


def by_windows(encode, texts: list[str]) -> np.ndarray:
    """Vectors of texts, those of long ones as the mean of their windows' by bytes, to unit length."""
    cut = [windows(t) or [""] for t in texts]
    vectors = encode([w for some in cut for w in some])
    weights = np.array([len(w.encode("utf-8", "surrogatepass")) for some in cut for w in some], np.float64)
    starts = np.cumsum([0] + [len(some) for some in cut[:-1]])
    sums = np.add.reduceat(vectors * np.maximum(weights, 1)[:, None], starts)
    return (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def output(example: dict) -> str:
    return example.get("answer") or example["output"]


def idf_bag(ids: list[list[int]], sample: Sample, vocabulary: int) -> scipy.sparse.csr_matrix:
    """Unit vectors of idf-weighted counts of word pieces; idf from the sample's own texts."""
    rows = np.repeat(np.arange(len(ids)), [len(i) for i in ids])
    columns = np.concatenate([np.array(i, np.int64) for i in ids])
    counts = scipy.sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (len(ids), vocabulary))
    seen = np.asarray((counts > 0).sum(axis=0)).ravel()
    weighted = counts @ scipy.sparse.diags(np.log((1 + len(ids)) / (1 + seen)) + 1)
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return scipy.sparse.csr_matrix(scipy.sparse.diags(1 / np.maximum(lengths, 1e-12)) @ weighted)


def agreement(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    ours, theirs = (np.argsort(-s, kind="stable")[:TOP] for s in (scores, truth))
    overlap = len(set(ours) & set(theirs)) / TOP
    rho = scipy.stats.spearmanr(scores, truth).statistic
    gain = (truth[ours].mean() - truth.mean()) / (truth[theirs].mean() - truth.mean())
    return overlap, rho, gain


if __name__ == "__main__":
    main()
