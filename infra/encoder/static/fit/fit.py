"""Makes the static model's table from the reference encoder; the steps are numbered as in README.md.

    python fit.py [--size 1] [--out ../model] [--cache DIR] [--wordnet /usr/share/wordnet]
"""

import argparse
import pathlib
import time

import numpy as np
import scipy.sparse

import model
import prose
import reference

DIMENSIONS = 256
ANCHOR_WEIGHT, RIDGE, STAY, ITERATIONS = 0.3, 3.0, 0.1, 20
MEAN_REMOVED = 0.5
TEXTS, ANCHORS, EPOCHS, RATE, PAIRS = 256, 64, 6, 5e-3, 20.0


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--size", type=float, default=1, help="share of the full fit text")
    p.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "model")
    p.add_argument("--cache", type=pathlib.Path, default=pathlib.Path("/tmp/rebased-fit"))
    p.add_argument("--wordnet", type=pathlib.Path, default=pathlib.Path("/usr/share/wordnet"))
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    started = time.time()

    def say(what: str) -> None:
        print(f"{time.time() - started:6.0f} s  {what}", flush=True)

    tok = reference.tokenizer()
    encoder = reference.Reference(args.cache / "vectors.sqlite", threads=args.threads)
    rng = np.random.default_rng(20240711)
    texts = prose.token_lists(tok, args.wordnet, args.size, rng)
    say(f"{len(texts)} texts, {sum(map(len, texts))} tokens")
    targets = encoder.encode(texts)
    single = token_vectors(encoder, args.cache / "tokens.npy", tok.get_vocab_size())
    say("reference vectors")

    real = prose.real_ids(tok)
    words = np.array([i for i in real if not tok.id_to_token(int(i)).startswith("##")])
    weights = np.zeros(len(single))
    weights[real] = np.log(2 + np.arange(len(real)))
    anchors = single[words] / np.linalg.norm(single[words], axis=1, keepdims=True)
    counts = count_matrix(texts, len(single))
    data = Fit(counts, count_matrix([[i] for i in words], len(single)), targets, anchors, weights)

    table = initial(single, real, data)
    table = refine(table, data)
    say("linear table")
    table = weigh(table, data)
    basis = projection(targets, anchors)
    table = (table @ basis).astype(np.float32)
    table = tune(table, data, unit(targets @ basis), unit(anchors @ basis), rng)
    say("tuned table")
    table[np.setdiff1d(np.arange(len(table)), real)] = 0
    model.save(args.out, table, (reference.folder() / "tokenizer.json").read_text())
    say(f"wrote {args.out}")


class Fit:
    """What a table is fitted to: token counts of texts and of one-token anchors, their reference vectors, token weights."""

    def __init__(self, texts, anchors, targets: np.ndarray, anchor_targets: np.ndarray, weights: np.ndarray):
        self.texts, self.anchors = texts, anchors
        self.targets, self.anchor_targets, self.weights = targets, anchor_targets, weights
        self.counts = scipy.sparse.vstack([texts, anchors]).tocsr()
        weighted = self.counts @ scipy.sparse.diags(weights)
        total = np.asarray(weighted.sum(axis=1)).ravel()
        # Weighted mean pooling, step 3: a row a text, a column a token.
        self.pool = (scipy.sparse.diags(1 / np.maximum(total, 1e-12)) @ weighted).tocsr().astype(np.float32)
        self.wanted = np.concatenate([targets, anchor_targets]).astype(np.float32)
        self.importance = np.repeat([1, ANCHOR_WEIGHT], [len(targets), len(anchor_targets)]).astype(np.float32)


def count_matrix(texts: list[list[int]], vocabulary: int) -> scipy.sparse.csr_matrix:
    rows = np.repeat(np.arange(len(texts)), [len(t) for t in texts])
    ones = np.ones(len(rows), np.float32)
    return scipy.sparse.csr_matrix((ones, (rows, np.concatenate(texts))), (len(texts), vocabulary))


def token_vectors(encoder: reference.Reference, file: pathlib.Path, vocabulary: int) -> np.ndarray:
    """Step 1, first half: the mean of the last states of `[CLS] id [SEP]` for every id."""
    if not file.exists():
        out = np.empty((vocabulary, reference.HIDDEN), np.float32)
        for start in range(0, vocabulary, 512):
            ids = np.arange(start, min(start + 512, vocabulary))
            batch = np.stack([np.full_like(ids, reference.CLS), ids, np.full_like(ids, reference.SEP)], axis=1)
            out[ids] = encoder.states(batch).mean(axis=1)
        np.save(file, out)
    return np.load(file)


def initial(single: np.ndarray, real: np.ndarray, data: Fit) -> np.ndarray:
    """Steps 1 to 4: centred token vectors, mapped by a ridge regression from the pooled vector to the target."""
    centred = single[real] - single[real].mean(axis=0)
    vectors = np.zeros_like(single)
    vectors[real] = centred / np.sqrt((centred**2).sum(axis=1).mean())
    pooled, w = (data.pool @ vectors).astype(np.float64), data.importance[:, None]
    x_mean, y_mean = (np.average(a, axis=0, weights=data.importance) for a in (pooled, data.wanted))
    x, y = pooled - x_mean, data.wanted - y_mean
    a = np.linalg.solve(x.T @ (w * x) + RIDGE * np.eye(x.shape[1]), x.T @ (w * y))
    table = np.zeros_like(single)
    table[real] = vectors[real] @ a + (y_mean - x_mean @ a)
    return table


def refine(start: np.ndarray, data: Fit) -> np.ndarray:
    """Step 5: least squares of pooled rows to targets that stays near the start, by conjugate gradients on all columns."""
    x, w = data.pool, data.importance[:, None]
    xt = x.T.tocsr()
    change = np.zeros_like(start)
    residual = xt @ (w * (data.wanted - x @ start))
    direction, squared = residual.copy(), (residual**2).sum(axis=0)
    for _ in range(ITERATIONS):
        image = xt @ (w * (x @ direction)) + STAY * direction
        step = squared / np.maximum((direction * image).sum(axis=0), 1e-20)
        change += step * direction
        residual -= step * image
        before, squared = squared, (residual**2).sum(axis=0)
        direction = residual + squared / np.maximum(before, 1e-20) * direction
    return start + change


def weigh(table: np.ndarray, data: Fit) -> np.ndarray:
    """Step 6: the token weight goes into the row, and half of the mean pooled vector comes out of it."""
    mean = (data.pool[: data.texts.shape[0]] @ table).mean(axis=0)
    return data.weights[:, None] * (table - MEAN_REMOVED * mean)


def projection(targets: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Step 7: the uncentred top right singular vectors of the targets and a quarter of the anchors, scaled by a half."""
    both = np.concatenate([targets, 0.5 * anchors[::4]]).astype(np.float64)
    values, vectors = np.linalg.eigh(both.T @ both)
    return vectors[:, np.argsort(-values)[:DIMENSIONS]]


def tune(table: np.ndarray, data: Fit, targets: np.ndarray, anchors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Step 8: Adam on the cosine with the target and on the cosines of all pairs of a batch, with plain sum pooling."""
    first, second = np.zeros_like(table), np.zeros_like(table)
    batches = data.texts.shape[0] // TEXTS
    steps, step = batches * EPOCHS, 0
    for epoch in range(EPOCHS):
        order, losses = rng.permutation(data.texts.shape[0]), []
        for b in range(batches):
            t = order[b * TEXTS : (b + 1) * TEXTS]
            a = rng.choice(data.anchors.shape[0], ANCHORS, replace=False)
            counts = scipy.sparse.vstack([data.texts[t], data.anchors[a]]).tocsr()
            full = np.concatenate([data.targets[t], data.anchor_targets[a]])
            loss, slope = loss_and_slope(counts @ table, np.concatenate([targets[t], anchors[a]]), full @ full.T)
            gradient = counts.T @ slope
            step += 1
            first += 0.1 * (gradient - first)
            second += 0.01 * (gradient * gradient - second)
            rate = RATE * (1 - (step - 1) / steps)
            table -= rate / (1 - 0.9**step) * first / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
            losses.append(loss)
        print(f"          epoch {epoch + 1}: loss {np.mean(losses):.4f}", flush=True)
    return table


def loss_and_slope(sums: np.ndarray, targets: np.ndarray, cosines: np.ndarray) -> tuple[float, np.ndarray]:
    """mean(1 - cos) + 20 mean((pair cos - reference pair cos)^2), and its gradient by the sums."""
    n = len(sums)
    lengths = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
    u = sums / lengths
    wrong = (u @ u.T - cosines).astype(np.float32)
    loss = 1 - (u * targets).sum(axis=1).mean() + PAIRS * (wrong**2).mean()
    by_u = -targets / n + 4 * PAIRS / n**2 * (wrong @ u)
    return float(loss), ((by_u - (by_u * u).sum(axis=1, keepdims=True) * u) / lengths).astype(np.float32)


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    main()
