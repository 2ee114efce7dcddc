"""Exact search in memory, by faiss and by numpy, as `make bench-retrieval` asks for it line by line.

    python search.py VECTORS QUERY ROWS CELLS DIMENSIONS LIMIT

VECTORS and QUERY are files of little-endian float32: ROWS x CELLS x DIMENSIONS, and 2 x DIMENSIONS. For each line of standard input one search is
made and one JSON object printed:

    faiss   flat search of the best LIMIT cells for each vector of the query: inner products, no MaxSim, no rows     {"wall", "cpu"}
    numpy   the best LIMIT rows by MaxSim, summed over the query's vectors: one matrix product, maxima, a partition  {"wall", "cpu"}
    top     what numpy found                                                                                         {"rows", "scores"}
"""

import json
import sys
import time

import faiss
import numpy as np

rows, cells, dimensions, limit = map(int, sys.argv[3:])
vectors = np.fromfile(sys.argv[1], "<f4").reshape(rows * cells, dimensions)
query = np.fromfile(sys.argv[2], "<f4").reshape(2, dimensions)


def flat():
    return faiss.knn(query, vectors, limit, metric=faiss.METRIC_INNER_PRODUCT)


def maxsim():
    scores = (vectors @ query.T).reshape(rows, cells, 2).max(axis=1).sum(axis=1)
    best = np.argpartition(scores, -limit)[-limit:]
    best = best[np.lexsort((best, -scores[best]))]
    return best, scores[best]


def timed(search):
    wall, cpu = time.perf_counter(), time.process_time()
    search()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


print("{}", flush=True)  # all is loaded
for line in sys.stdin:
    match line.strip():
        case "faiss":
            answer = timed(flat)
        case "numpy":
            answer = timed(maxsim)
        case "top":
            best, scores = maxsim()
            answer = {"rows": best.tolist(), "scores": scores.tolist()}
    print(json.dumps(answer), flush=True)
