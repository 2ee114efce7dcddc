"""Texts a second of processor time, by one thread each: the reference in Python, the transformer and the static encoder in Go, on the same texts.

    REBASED_TEST_DATA=DIR python speed.py [--texts 400]

The texts are cells of a data folder with 41 to 81 word pieces, 61 in the mean. The reference is all-MiniLM-L6-v2 run by onnxruntime for
Python as a graph of its fused operators, in batches of one length; the transformer is the same network in plain operators, as the hub has
it, in Go. Also printed: how far the vectors are apart at most, and how much memory each process held.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here / "static" / "fit"))
import measure  # noqa: E402
import reference  # noqa: E402


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, default=os.environ.get("REBASED_TEST_DATA"))
    p.add_argument("--texts", type=int, default=400)
    args = p.parse_args()
    if args.data is None:
        raise SystemExit("no data folder: set REBASED_TEST_DATA or give --data")
    sample = measure.Sample(pathlib.Path(args.data))
    all_ids = reference.token_ids(reference.tokenizer(), sample.texts)
    fitting = [i for i, ids in enumerate(all_ids) if 39 <= len(ids) <= 79]
    chosen = sorted(np.random.default_rng(1).choice(fitting, args.texts, replace=False))
    texts, ids = [sample.texts[i] for i in chosen], [tuple(all_ids[i]) for i in chosen]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "texts.json").write_text(json.dumps(texts))
        rate, vectors, memory = in_python(ids, folder)
        print(f"{len(texts)} texts of {np.mean([len(i) + 2 for i in ids]):.1f} word pieces (the special ones counted)\n")
        print(f"{'encoder':44} texts/CPU s   ratio  MB held")
        print(f"{'reference, onnxruntime in Python':44} {rate:11.1f} {1:7.2f} {memory:8.0f}")
        subprocess.run([sys.executable, here / "transformer" / "export.py", folder / "model"], check=True)
        print_go("transformer, onnxruntime in Go", "./transformer", rate, folder)
        print_go("static, Go", "./static", rate, folder)
        ours = np.array(json.loads((folder / "vectors.json").read_text()), np.float32)
        print(f"\nthe transformer's vectors differ from the reference's by at most {np.abs(ours - vectors).max():.1e} in a dimension")


def in_python(ids: list[tuple], folder: pathlib.Path) -> tuple[float, np.ndarray, float]:
    model = reference.Reference(folder / "vectors.sqlite")
    batches = reference.batches(sorted(ids, key=len))
    rates, known = [], {}
    for _ in range(3):
        before = time.process_time()
        for batch in batches:
            vectors = model.states(np.array([(reference.CLS, *c, reference.SEP) for c in batch], np.int64)).mean(axis=1)
            known.update(zip(batch, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))
        rates.append(len(ids) / (time.process_time() - before))
    return np.median(rates), np.stack([known[i] for i in ids]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_go(label: str, package: str, reference_rate: float, folder: pathlib.Path) -> None:
    binary = folder / "bench"
    subprocess.run(["go", "test", "-c", "-o", binary, package], cwd=here, check=True)
    environ = os.environ | {
        "ORT_DYLIB_PATH": str(library()), "REBASED_TEXTS": str(folder / "texts.json"),
        "REBASED_TRANSFORMER": str(folder / "model"), "REBASED_VECTORS": str(folder / "vectors.json"),
    }
    command = [binary, "-test.run", "xxx", "-test.bench", "Encode$", "-test.benchtime", "3x" if package == "./transformer" else "1s"]
    out = subprocess.run(command, cwd=here / package, env=environ, stdout=subprocess.PIPE, text=True, check=True).stdout
    found, memory = re.search(r"([\d.]+) texts/cpu-s", out), re.search(r"([\d.]+) MB", out)
    if not found:
        raise SystemExit(f"the benchmark of {package} gave no figure:\n{out}")
    rate = float(found[1])
    print(f"{label:44} {rate:11.1f} {rate / reference_rate:7.2f} {float(memory[1]):8.0f}", flush=True)


def library() -> pathlib.Path:
    """The shared library of the Python package onnxruntime, which Go can load too."""
    import onnxruntime

    return sorted((pathlib.Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.*[0-9]*"))[0]


if __name__ == "__main__":
    main()
