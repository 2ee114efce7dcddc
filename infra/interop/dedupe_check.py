"""Judges a deduplication by datasketch's MinHash LSH and by plain sets of strings.

    REBASED_DEDUPE=DIR go test -run TestDedupe ./infra/interop && python dedupe_check.py DIR

Nothing may be removed for a row that is less like it than the threshold, or that was removed itself, and of two rows that stay none may be a repeat of the
other: pairs are proposed by datasketch with 256 permutations and a threshold below ours, and decided by their true Jaccard similarity.
"""

import json
import pathlib
import sys
import unicodedata

from datasketch import MinHash, MinHashLSH

THRESHOLD = 0.8


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def normal(text):
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.split())


def shingles(text):
    words = text.split(" ")
    if len(words) >= 8:
        return {" ".join(words[i : i + 3]) for i in range(len(words) - 2)}
    return {text[i : i + 5] for i in range(max(1, len(text) - 4))}


def jaccard(a, b):
    return len(a & b) / len(a | b)


def main(folder):
    rows = {row["row_id"]: (normal(row["input"]), normal(row["output"])) for row in lines(folder / "rows.jsonl")}
    sets = {id: shingles(" ".join(row)) for id, row in rows.items()}
    removals = lines(folder / "removals.jsonl")
    removed = {r["removed"] for r in removals}
    wrong, near = 0, 0
    for r in removals:
        a, b = r["removed"], r["kept"]
        same_input, same_output = rows[a][0] == rows[b][0], rows[a][1] == rows[b][1]
        near += r["rule"] == "near_duplicate"
        right = {
            "duplicate": same_input and same_output,
            "conflict": same_input and not same_output,
            "near_duplicate": abs(jaccard(sets[a], sets[b]) - r["similarity"]) < 1e-9 and r["similarity"] >= THRESHOLD,
        }[r["rule"]]
        if not right or b in removed:
            wrong += 1
            print(f"{a} was removed as {r['rule']} of {b}, which it is not: true Jaccard {jaccard(sets[a], sets[b]):.4f}")
    lsh = MinHashLSH(threshold=THRESHOLD - 0.1, num_perm=256)
    overlooked = 0
    for id in rows:
        if id in removed:
            continue
        m = MinHash(num_perm=256)
        m.update_batch([s.encode() for s in sets[id]])
        for other in lsh.query(m):
            overlooked += rows[id][0] == rows[other][0] or jaccard(sets[id], sets[other]) >= THRESHOLD
        lsh.insert(id, m)
    recall = near / max(1, near + overlooked)
    print(f"{len(rows)} rows, {len(removed)} removed, {wrong} wrongly; of near-duplicates {near} found and {overlooked} overlooked, recall {recall:.4f}")
    return 1 if wrong or recall < 0.99 or not near else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
