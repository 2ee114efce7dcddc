"""Writes all-MiniLM-L6-v2 as a sentence-transformers folder with onnx/model.onnx, for a machine that has no model hub.

    python export.py FOLDER [--tiny]

The graph has plain ONNX operators and the inputs and output that the exports on the hub have (input_ids, attention_mask, token_type_ids ->
last_hidden_state), so what runs it has to fuse and to mask as with those. --tiny writes a random network of two small layers instead, and
vectors.json with what it gives for a few texts: testdata/tiny is that.
"""

import argparse
import json
import pathlib
import shutil
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "static" / "fit"))
import reference  # noqa: E402


def graph(w: dict[str, np.ndarray], layers: int, heads: int, epsilon: float = 1e-12) -> onnx.ModelProto:
    """BERT in plain operators."""
    nodes, constants = [], {}
    hidden = w["embeddings.word_embeddings.weight"].shape[1]

    def constant(name: str, value, kind=np.float32) -> str:
        constants[name] = numpy_helper.from_array(np.ascontiguousarray(value, kind), name)
        return name

    def apply(op: str, inputs: list[str], out: str, **attributes) -> str:
        nodes.append(helper.make_node(op, inputs, [out], name=out, **attributes))
        return out

    def linear(x: str, name: str, out: str) -> str:
        product = apply("MatMul", [x, constant(f"{name}.weight", w[f"{name}.weight"].T)], f"{out}.product")
        return apply("Add", [constant(f"{name}.bias", w[f"{name}.bias"]), product], out)

    def normalise(x: str, name: str, out: str) -> str:
        inputs = [x, constant(f"{name}.weight", w[f"{name}.weight"]), constant(f"{name}.bias", w[f"{name}.bias"])]
        return apply("LayerNormalization", inputs, out, axis=-1, epsilon=epsilon)

    one, two, zero = constant("one", [1], np.int64), constant("two", [2], np.int64), constant("zero", [0], np.int64)
    apart = constant("apart", [0, 0, heads, hidden // heads], np.int64)
    joined = constant("joined", [0, 0, hidden], np.int64)

    shape = apply("Shape", ["input_ids"], "shape")
    length = apply("Slice", [shape, one, two, zero], "length")
    positions = apply("Slice", [constant("all_positions", np.arange(w["embeddings.position_embeddings.weight"].shape[0])[None], np.int64), zero, length, one], "positions")
    words = apply("Gather", [constant("words", w["embeddings.word_embeddings.weight"]), "input_ids"], "word_rows")
    kinds = apply("Gather", [constant("kinds", w["embeddings.token_type_embeddings.weight"]), "token_type_ids"], "kind_rows")
    places = apply("Gather", [constant("places", w["embeddings.position_embeddings.weight"]), positions], "place_rows")
    x = apply("Add", [apply("Add", [words, kinds], "words_kinds"), places], "summed")
    x = normalise(x, "embeddings.LayerNorm", "embedded")

    mask = apply("Unsqueeze", ["attention_mask", constant("middle", [1, 2], np.int64)], "wide_mask")
    mask = apply("Cast", [mask], "float_mask", to=TensorProto.FLOAT)
    mask = apply("Sub", [constant("float_one", 1.0), mask], "inverse_mask")
    mask = apply("Mul", [mask, constant("lowest", np.finfo(np.float32).min)], "mask")
    scale = constant("scale", np.sqrt(hidden / heads))
    for i in range(layers):
        at = f"encoder.layer.{i}."

        def head(name: str, order: list[int]) -> str:
            flat = linear(x, f"{at}attention.self.{name}", f"{at}{name}")
            return apply("Transpose", [apply("Reshape", [flat, apart], f"{at}{name}.heads")], f"{at}{name}.turned", perm=order)

        query, key, value = head("query", [0, 2, 1, 3]), head("key", [0, 2, 3, 1]), head("value", [0, 2, 1, 3])
        scores = apply("Div", [apply("MatMul", [query, key], at + "products"), scale], at + "scores")
        weights = apply("Softmax", [apply("Add", [scores, mask], at + "masked")], at + "weights", axis=-1)
        mixed = apply("Transpose", [apply("MatMul", [weights, value], at + "mixed")], at + "turned", perm=[0, 2, 1, 3])
        mixed = linear(apply("Reshape", [mixed, joined], at + "flat"), at + "attention.output.dense", at + "attended")
        x = normalise(apply("Add", [mixed, x], at + "first_sum"), at + "attention.output.LayerNorm", at + "first")
        wide = linear(x, at + "intermediate.dense", at + "wide")
        half = apply("Erf", [apply("Div", [wide, constant("root2", np.sqrt(2))], at + "by_root2")], at + "erf")
        half = apply("Mul", [wide, apply("Add", [half, constant("plus1", 1.0)], at + "erf1")], at + "doubled")
        wide = apply("Mul", [half, constant("half", 0.5)], at + "gelu")
        x = apply("Add", [linear(wide, at + "output.dense", at + "narrow"), x], at + "second_sum")
        x = normalise(x, at + "output.LayerNorm", "last_hidden_state" if i == layers - 1 else at + "out")
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch_size", "sequence_length"])
              for n in ("input_ids", "attention_mask", "token_type_ids")]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch_size", "sequence_length", hidden])
    made = helper.make_graph(nodes, "bert", inputs, [output], list(constants.values()))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def tiny(folder: pathlib.Path) -> None:
    """A network of random weights, and what it gives for some texts by other people's tokenizer and runtime, pooled by numpy."""
    hidden, wide, layers, heads, rng = 32, 64, 2, 4, np.random.default_rng(1)
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + list("0123456789.,!?é中")
    words = ["the", "river", "town", "old", "play", "##ing", "##er", "through", "runs", "question", "answer", "true"]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *("##" + c for c in letters), *words]
    tokenizer = json.loads((reference.folder() / "tokenizer.json").read_text())
    tokenizer.update(truncation=None, padding=None)
    tokenizer["added_tokens"] = [t | {"id": tokens.index(t["content"])} for t in tokenizer["added_tokens"] if t["content"] in tokens]
    tokenizer["model"]["vocab"] = {t: i for i, t in enumerate(tokens)}
    for name, special in tokenizer["post_processor"]["special_tokens"].items():
        special["ids"] = [tokens.index(name)]
    w = {f"embeddings.{n}_embeddings.weight": rng.normal(size=(rows, hidden)) for n, rows in
         (("word", len(tokens)), ("position", 64), ("token_type", 2))}

    def linear(name: str, out: int, into: int) -> None:
        w[f"{name}.weight"], w[f"{name}.bias"] = rng.normal(size=(out, into)) / np.sqrt(into), rng.normal(size=out) / 4

    def norm(name: str) -> None:
        w[f"{name}.weight"], w[f"{name}.bias"] = rng.uniform(0.5, 1.5, hidden), rng.normal(size=hidden) / 4

    norm("embeddings.LayerNorm")
    for i in range(layers):
        at = f"encoder.layer.{i}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            linear(at + name, hidden, hidden)
        linear(at + "intermediate.dense", wide, hidden)
        linear(at + "output.dense", hidden, wide)
        norm(at + "attention.output.LayerNorm")
        norm(at + "output.LayerNorm")
    onnx.save(graph(w, layers, heads), folder / "onnx" / "model.onnx")
    (folder / "1_Pooling").mkdir(exist_ok=True)
    for name in ("modules.json", "1_Pooling/config.json"):
        shutil.copyfile(reference.folder() / name, folder / name)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": hidden, "max_position_embeddings": 64}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 24, "do_lower_case": False}))
    texts = ["x", "The river runs through the old town.", "Playing, player!", "É 中 3.14?", "ß unknown ß", "answer: true " * 40]
    tok = reference.Tokenizer.from_str(json.dumps(tokenizer))
    tok.enable_truncation(24)
    session = reference.onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
    vectors = []
    for e in tok.encode_batch(texts):
        ids = np.array([e.ids], np.int64)
        states = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)})[0][0]
        vectors.append(states.mean(axis=0) / np.linalg.norm(states.mean(axis=0)))
    (folder / "vectors.json").write_text(json.dumps([{"text": t, "vector": [round(float(x), 7) for x in v]} for t, v in zip(texts, vectors)], ensure_ascii=False))


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--tiny", action="store_true")
    args = p.parse_args()
    (args.folder / "onnx").mkdir(parents=True, exist_ok=True)
    if args.tiny:
        tiny(args.folder)
        return
    shutil.copytree(reference.folder(), args.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors", ".gitattributes"))
    weights = reference.load_file(reference.folder() / "model.safetensors")
    onnx.save(graph(weights, reference.LAYERS, reference.HEADS), args.folder / "onnx" / "model.onnx")


if __name__ == "__main__":
    main()
