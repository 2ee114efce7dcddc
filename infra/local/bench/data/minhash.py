"""Finds near-duplicates by MinHash with other programs: minhash.py rensa|datasketch. Rows and planted pairs come as JSON on standard input; what was
found of the pairs, and seconds of processor, go to standard output. 128 permutations, threshold 0.8, the shingles of the bench."""

import json
import sys
import time

asked = json.load(sys.stdin)
texts, pairs = asked["texts"], asked["pairs"]


def shingles(text):
    if asked["characters"]:
        return {text[i : i + 5] for i in range(len(text) - 4)}
    words = text.split()
    return {" ".join(words[i : i + 3]) for i in range(len(words) - 2)}


def datasketch():
    from datasketch import MinHash, MinHashLSH

    index, found = MinHashLSH(threshold=0.8, num_perm=128), {}
    for i, text in enumerate(texts):
        m = MinHash(num_perm=128)
        m.update_batch([s.encode() for s in shingles(text)])
        found[i] = set(index.query(m))
        index.insert(i, m)
    return found


def rensa():
    from rensa import RMinHash, RMinHashLSH

    index, found = RMinHashLSH(threshold=0.8, num_perm=128, num_bands=16), {}
    for i, text in enumerate(texts):
        m = RMinHash(num_perm=128, seed=42)
        m.update(list(shingles(text)))
        found[i] = set(index.query(m))
        index.insert(i, m)
    return found


started = time.process_time()
found = {"datasketch": datasketch, "rensa": rensa}[sys.argv[1]]()
seconds = time.process_time() - started
json.dump({"seconds": seconds, "recall": sum(a in found[b] for a, b in pairs) / max(1, len(pairs))}, sys.stdout)
