"""A static model on disk in Model2Vec's format: a row of int8 a word piece, and a scale a row in the tensor `weights`."""

import json
import pathlib

import brotli
import numpy as np
from safetensors.numpy import load, save as pack
from tokenizers import Tokenizer

NAME = "rebased-minilm-v1"


def save(folder: pathlib.Path, table: np.ndarray, tokenizer_json: str) -> None:
    """Quantises the table (word pieces x dimensions) to int8 with a scale a row and writes the three files of a model,
    the large ones compressed."""
    scale = np.abs(table).max(axis=1) / 127
    rows = np.rint(table / np.where(scale > 0, scale, 1)[:, None]).astype(np.int8)
    folder.mkdir(parents=True, exist_ok=True)
    write_compressed(folder / "model.safetensors.br", pack({"embeddings": rows, "weights": scale.astype(np.float32)}))
    write_compressed(folder / "tokenizer.json.br", plain_tokenizer(tokenizer_json).encode())
    config = {
        "name": NAME,
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "tokenizer_name": "sentence-transformers/all-MiniLM-L6-v2",
        "hidden_dim": table.shape[1],
        "seq_length": 1000000,
        "max_length": None,
        "normalize": True,
        "embedding_dtype": "int8",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def write_compressed(path: pathlib.Path, data: bytes) -> None:
    """The same data gives the same file."""
    path.write_bytes(brotli.compress(data, quality=11, lgwin=24))


def plain_tokenizer(tokenizer_json: str) -> str:
    """The tokenizer without added tokens, so that a literal `[SEP]` in a text is read like any other text."""
    t = json.loads(tokenizer_json)
    t.update(truncation=None, padding=None, post_processor=None, added_tokens=[])
    return json.dumps(t, ensure_ascii=False, separators=(",", ":")) + "\n"


class Static:
    """Encodes texts as the Go package does: the sum of scale x row over word pieces, to unit length."""

    def __init__(self, folder: pathlib.Path):
        tensors = load(brotli.decompress((folder / "model.safetensors.br").read_bytes()))
        self.rows, self.scale = tensors["embeddings"], tensors["weights"]
        self.tokenizer = Tokenizer.from_str(brotli.decompress((folder / "tokenizer.json.br").read_bytes()).decode())

    def encode(self, texts: list[str]) -> np.ndarray:
        out = np.zeros((len(texts), self.rows.shape[1]), np.float32)
        for i, e in enumerate(self.tokenizer.encode_batch(texts, add_special_tokens=False)):
            v = self.scale[e.ids].astype(np.float64) @ self.rows[e.ids] if e.ids else out[i]
            length = np.linalg.norm(v)
            out[i] = v / length if length > 0 else 0
        return out
