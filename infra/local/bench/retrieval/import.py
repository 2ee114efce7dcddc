"""Reads files and writes them as Parquet with pyarrow, to stand beside what infra/local/bench/convert does: python import.py [--cells] FILE...

Both ways the codec is zstd at level 1, as the parts of a corpus have it at the fastest level of their encoder. Without --cells a table is written as it
was read. With --cells it is written as the corpus has it: row_id, dataset, config, split and a list of {column, text} for each row, null left out, row_id
a UUID of the SHA-256 of the row's cells. Prints a JSON object a file.
"""
import argparse
import hashlib
import json
import os
import resource
import tempfile
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def read(path):
    if path.endswith((".jsonl", ".jsonl.gz")):
        return pa.json.read_json(path)
    if path.endswith((".csv", ".csv.gz")):
        return pa.csv.read_csv(path, parse_options=pa.csv.ParseOptions(newlines_in_values=True))
    return pq.read_table(path)


def flat(table):
    """Structs become dotted columns."""
    while any(pa.types.is_struct(f.type) for f in table.schema):
        table = table.flatten()
    return table


def as_text(column):
    column = column.combine_chunks()
    if pa.types.is_list(column.type):
        return pc.binary_join(pc.cast(column, pa.list_(pa.string())), "\n")
    return pc.cast(column, pa.string())


def cells(table):
    table = flat(table)
    rows, width = table.num_rows, table.num_columns
    texts = [as_text(table.column(i)) for i in range(width)]
    texts = [t.combine_chunks() if isinstance(t, pa.ChunkedArray) else t for t in texts]
    order = np.arange(rows * width).reshape(width, rows).T.ravel()  # row by row
    values = pa.concat_arrays(texts).take(pa.array(order))
    names = pa.DictionaryArray.from_arrays(pa.array(np.tile(np.arange(width, dtype=np.int32), rows)), pa.array(table.column_names))
    there = values.is_valid()
    counts = np.asarray(there).reshape(rows, width).sum(axis=1)
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    values, names = values.filter(there), names.filter(there)
    ids = []
    buffers = values.buffers()
    starts = np.frombuffer(buffers[1], np.int32, len(values) + 1)
    body = memoryview(buffers[2])
    for i in range(rows):
        digest = hashlib.sha256(body[starts[offsets[i]]:starts[offsets[i + 1]]]).hexdigest()
        ids.append(f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}")
    same = lambda text: pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text]))
    return pa.table({
        "row_id": ids, "dataset": same("bench"), "config": same("default"), "split": same("train"),
        "cells": pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays([names, values], ["column", "text"])),
    })


def write(table, path, as_cells):
    if not as_cells:
        pq.write_table(table, path, compression="zstd", compression_level=1)
        return
    pq.write_table(cells(table), path, compression="zstd", compression_level=1, row_group_size=10_000,
                   use_dictionary=["dataset", "config", "split", "cells.list.element.column"])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--cells", action="store_true")
    arguments.add_argument("files", nargs="+")
    given = arguments.parse_args()
    for path in given.files:
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out.parquet")
            start, begun = cpu(), time.time()
            table = read(path)
            write(table, out, given.cells)
            used = cpu() - start
            print(json.dumps({
                "file": path, "rows": table.num_rows, "bytes": os.path.getsize(out), "convert_cpu_s": used, "convert_s": time.time() - begun,
                "rows_per_cpu_s": table.num_rows / used, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }))


if __name__ == "__main__":
    main()
