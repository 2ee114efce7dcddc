"""Loads the latest version of a task as a training pipeline would, and compares what comes back with the manifest and with the corpus.

    eval "$(rebased-local env)" && python load.py TASK --rebased bin/rebased --dir DIR

The version comes from the bucket by pyarrow's S3 client, by s3fs under Hugging Face's datasets, and from `rebased export`; what is loaded comes by pyarrow
and by datasets, which has no other network here. TRL's own parser takes the configurations. One line a check; exit status 1 when one failed.
"""

import argparse
import collections
import contextlib
import functools
import hashlib
import importlib
import json
import os
import pathlib
import subprocess
import sys
import time
import traceback
import types
import unittest.mock

import datasets
import huggingface_hub
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import yaml
from pyarrow import fs

COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("input", "output", "answer", "dataset", "config", "split", "row_id", "license", "revision")),
        ("rank", pa.int64()),
        *((name, pa.float32()) for name in ("score", "score_in", "score_out", "score_data")),
        ("responses", pa.list_(pa.string())),
        ("teacher", pa.string()),
        ("usage_input", pa.int64()),
        ("usage_output", pa.int64()),
    ]
)
OPTIONAL = pa.schema(  # of a version whose task makes preference pairs, or has a judge
    [("rejected", pa.list_(pa.string())), ("judge_score", pa.float32()), ("judge_input", pa.int64()), ("judge_output", pa.int64())]
)
FILLED = ("input", "output", "answer", "dataset", "config", "split", "row_id", "revision", "teacher")  # "" in license means unknown
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
# What one row is in each format, by what trainers expect of it.
LINES = {
    "messages": lambda instruction, row: {
        "messages": [
            {"role": "system", "content": instruction},
            {"role": "user", "content": row["input"]},
            {"role": "assistant", "content": row["output"]},
        ]
    },
    "prompt-completion": lambda instruction, row: {"prompt": f"{instruction}\n\n{row['input']}\n\n", "completion": row["output"]},
    "alpaca": lambda instruction, row: {"instruction": instruction, "input": row["input"], "output": row["output"]},
    "sharegpt": lambda instruction, row: {
        "conversations": [
            {"from": "system", "value": instruction},
            {"from": "human", "value": row["input"]},
            {"from": "gpt", "value": row["output"]},
        ]
    },
}


class Version:
    """A released version: its folder in the bucket, a copy on this machine, and the build that made it."""

    def __init__(self, task: str, rebased: str, work: pathlib.Path) -> None:
        self.rebased, self.work, self.folder = rebased, work, work / "version"
        self.cache = str(work / "cache")  # of this version alone: datasets tells folders apart by their names
        self.s3 = fs.S3FileSystem(
            endpoint_override=os.environ["AWS_ENDPOINT_URL_S3"],
            access_key=os.environ["AWS_ACCESS_KEY_ID"],
            secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            region=os.environ["AWS_REGION"],
        )
        self.root = os.environ["REBASED_STORE"].removeprefix("s3://")
        self.latest = self.json(f"datasets/{task}/latest.json")
        self.task, self.name = task, self.latest["version"]
        self.uri = f"{self.root}/datasets/{task}/{self.name}"
        self.folder.mkdir(parents=True)
        fs.copy_files(self.uri, str(self.folder), source_filesystem=self.s3)
        self.manifest = json.loads((self.folder / "manifest.json").read_bytes())
        self.splits = [s for s in ("train", "validation") if self.manifest["counts"][s]]
        self.pairs = self.manifest["counts"].get("preference")
        self.lines = [form for form in LINES if f"train.{form}.jsonl" in (f["name"] for f in self.manifest["files"])]
        there = {"rejected"} if self.pairs is not None else set()
        there |= {c for c in OPTIONAL.names if c.startswith("judge_")} if "judge" in self.manifest["quality"] else set()
        self.columns = pa.schema([*COLUMNS, *(field for field in OPTIONAL if field.name in there)])

    def json(self, key: str):
        with self.s3.open_input_stream(f"{self.root}/{key}") as f:
            return json.load(f)

    @functools.cache  # noqa: B019 (there is one version)
    def table(self, split: str) -> pa.Table:
        """The rows of a split, straight from the bucket."""
        return pa.concat_tables(pq.read_table(f"{self.uri}/{name}", filesystem=self.s3) for name in self.tables(split))

    def tables(self, split: str) -> list[str]:
        """The Parquet files of a split, in the order of its rows."""
        return sorted(f["name"] for f in self.manifest["files"] if f["name"].startswith(f"{split}-") and f["name"].endswith(".parquet"))

    def rows(self) -> list[dict]:
        return [row for split in self.splits for row in self.table(split).to_pylist()]

    def sizes(self) -> str:
        return " + ".join(f"{self.manifest['counts'][split]:,}" for split in self.splits) + " rows"

    def of_build(self, step: str) -> pa.Table:
        """All rows that a step of the build wrote."""
        folder = f"{self.root}/builds/{self.task}/{self.latest['build']}/{step}"
        return pyarrow.dataset.dataset(folder, format="parquet", filesystem=self.s3).to_table()

    def load(self, builder: str, suffix: str) -> datasets.DatasetDict:
        """The splits by the datasets library, from files that are named."""
        files = {split: str(self.folder / f"{split}{suffix}") for split in self.splits}
        return datasets.load_dataset(builder, data_files=files, cache_dir=self.cache)

    def export(self, split: str, form: str) -> pathlib.Path:
        path = self.work / f"{split}.{form}"
        ref = f"{self.task}@{self.name}"
        subprocess.run([self.rebased, "export", ref, "--format", form, "--split", split, "-o", path], check=True, capture_output=True)
        return path


def equal(what: str, got, want) -> None:
    if got != want:
        raise AssertionError(f"{what}: got {str(got)[:500]}, want {str(want)[:500]}")


def true(what: str, fact: bool) -> None:
    if not fact:
        raise AssertionError(what)


def manifest(v: Version) -> str:
    """the version has the files of its manifest, with their SHA-256"""
    body = (v.folder / "manifest.json").read_bytes()
    equal("name of the version", v.name, hashlib.sha256(body).hexdigest()[:12])
    equal("SHA-256 in latest.json", v.latest["manifest_sha256"], hashlib.sha256(body).hexdigest())
    listed = {f["name"]: (f["size"], f["sha256"]) for f in v.manifest["files"]}
    there = {p.relative_to(v.folder).as_posix(): p.read_bytes() for p in v.folder.rglob("*") if p.is_file() and p.name != "manifest.json"}
    equal("files", {name: (len(b), hashlib.sha256(b).hexdigest()) for name, b in there.items()}, listed)
    return f"{len(listed)} files"


def counts(v: Version) -> str:
    """the counts of the manifest add up, and are those of the build and its tables"""
    c, result = v.manifest["counts"], v.json(f"builds/{v.task}/{v.latest['build']}/result.json")
    rows = c["train"] + c["validation"]
    equal("retrieved", c["retrieved"], rows + sum(c["rejected"].values()))
    for key, want in (("retrieved", c["retrieved"]), ("rows", rows), ("rejected", c["rejected"]), ("version", v.name)):
        equal(f"{key} of the build's result", result[key], want)
    equal("rows of retrieved", v.of_build("retrieved").num_rows, c["retrieved"])
    rejects = v.of_build("rejects").column("reason").to_pylist() if c["rejected"] else []
    equal("reasons of the rejects", dict(collections.Counter(rejects)), c["rejected"])
    return f"{c['retrieved']} retrieved, {rows} rows"


def parquet(v: Version) -> str:
    """pyarrow reads the Parquet from the bucket: rows, columns and their types"""
    for split in v.splits:
        table = v.table(split)
        equal(f"rows of {split}", table.num_rows, v.manifest["counts"][split])
        equal("columns", table.schema.remove_metadata().names, v.columns.names)
        for field in v.columns:
            equal(f"type of {field.name}", kind(table.schema.field(field.name).type), kind(field.type))
        equal("nulls", sum(column.null_count for column in table.columns), 0)
        true("the copy on this machine differs", pa.concat_tables(pq.read_table(v.folder / n) for n in v.tables(split)).equals(table))
    entries = {f["name"]: f["rows"] for f in v.manifest["files"] if f["name"].endswith(".parquet")}
    there = {name: pq.read_metadata(v.folder / name).num_rows for split in v.splits for name in v.tables(split)}
    equal("rows of the manifest's files", entries, there)
    return f"{v.sizes()}, {len(v.columns)} columns"


def kind(t: pa.DataType) -> str:
    """A type's name; writers differ in what they call the items of a list."""
    return f"list of {t.value_type}" if pa.types.is_list(t) else str(t)


def lineage(v: Version) -> str:
    """every row says where it comes from, and stands there in the corpus"""
    rows = v.rows()
    for row in rows:
        true(f"empty column in {row}", all(row[name] for name in FILLED) and row["responses"] and all(row["responses"]))
        true(f"score of {row['row_id']}", abs(row["score"] - (row["score_in"] + row["score_out"] + row["score_data"]) / 3) < 1e-5)
    equal("different row ids", len({row["row_id"] for row in rows}), len(rows))
    sources = collections.Counter((row["dataset"], row["license"]) for row in rows)
    equal("sources", dict(sources), {(s["dataset"], s["license"]): s["rows"] for s in v.manifest["sources"]})
    teachers = collections.Counter(row["teacher"] for row in rows)
    equal("teachers", dict(teachers), {a["model"]: a["rows"] for a in v.manifest["teacher"]["answered"]})
    place = ("row_id", "dataset", "config", "split")
    used = {tuple(row[name] for name in place) for row in rows}
    ref = v.manifest["corpus"]
    parts = [
        f"{v.root}/{p['key']}"
        for p in v.json(f"corpora/{ref['name']}/revisions/{ref['revision']}.json")["parts"]
        if (p["dataset"]["dataset"], p["dataset"]["config"], p["dataset"]["split"]) in {place[1:] for place in used}
    ]
    corpus = pyarrow.dataset.dataset(parts, format="parquet", filesystem=v.s3).to_table(columns=list(place)).to_pylist()
    missing = used - {tuple(row[name] for name in place) for row in corpus}
    true(f"not in the corpus: {sorted(missing)[:3]}", not missing)
    return f"{len(parts)} parts of the corpus read"


def datasets_parquet(v: Version) -> str:
    """datasets loads the Parquet: the same columns and values"""
    loaded = v.load("parquet", "-*.parquet")
    same_splits(v, loaded)
    return v.sizes()


def datasets_card(v: Version) -> str:
    """datasets loads the folder, splits and files as its card says"""
    card = huggingface_hub.DatasetCard.load(v.folder / "README.md").data
    rows = sum(v.manifest["counts"][split] for split in v.splits)
    equal("size of the card", card.size_categories, [next(name for most, name in SIZES.items() if rows < most)])
    equal("splits of the card", [f["split"] for f in card.configs[0]["data_files"]], v.splits)
    equal("configurations", datasets.get_dataset_config_names(str(v.folder)), ["default"])
    loaded = datasets.load_dataset(str(v.folder), cache_dir=v.cache)
    same_splits(v, loaded)
    return v.sizes()


def datasets_s3(v: Version) -> str:
    """datasets loads Parquet and JSONL straight from the bucket, and streams them"""
    client = {"endpoint_url": os.environ["AWS_ENDPOINT_URL_S3"], "region_name": os.environ["AWS_REGION"]}
    options = {"key": os.environ["AWS_ACCESS_KEY_ID"], "secret": os.environ["AWS_SECRET_ACCESS_KEY"], "client_kwargs": client}
    files = {split: f"s3://{v.uri}/{split}-*.parquet" for split in v.splits}
    online = {"HF_HUB_OFFLINE": False, "HF_UPDATE_DOWNLOAD_COUNTS": False}  # offline it leaves alone any network, this one too
    with unittest.mock.patch.multiple(datasets.config, **online):
        same_splits(v, datasets.load_dataset("parquet", data_files=files, storage_options=options, cache_dir=v.cache + "-s3"))
        for form in v.lines:
            lines = datasets.load_dataset("json", data_files=f"s3://{v.uri}/train.{form}.jsonl", storage_options=options, split="train", streaming=True)
            equal(f"streamed lines of {form}", sum(1 for _ in lines), v.manifest["counts"]["train"])
    return f"{v.sizes()}, {len(v.lines)} formats"


def same_splits(v: Version, loaded: datasets.DatasetDict) -> None:
    """Compares whole tables; libraries differ in the width of string offsets, which casts away."""
    equal("splits", sorted(loaded), v.splits)
    for split, rows in loaded.items():
        equal(f"columns of {split}", rows.column_names, v.columns.names)
        true(f"{split} differs", rows.data.table.combine_chunks().cast(v.columns).equals(v.table(split).combine_chunks().cast(v.columns)))


def datasets_lines(form: str):
    def check(v: Version) -> str:
        if form not in v.lines:
            return "not asked for"
        loaded = v.load("json", f".{form}.jsonl")
        equal("splits", sorted(loaded), v.splits)
        for split, rows in loaded.items():
            equal(f"rows of {split}", rows.num_rows, v.manifest["counts"][split])
            for n, (got, row) in enumerate(zip(rows, v.table(split).to_pylist(), strict=True)):
                equal(f"line {n + 1} of {split}", got, LINES[form](v.manifest["instruction"], row))
        return f"{v.sizes()}, {describe(loaded['train'].features)}"

    check.__doc__ = f"datasets loads the JSONL of format {form}: line by line the rows of the Parquet"
    return check


def describe(features: datasets.Features) -> str:
    """The columns, for a list of turns with the keys of a turn."""
    names = []
    for name, feature in features.items():
        turn = getattr(feature, "feature", None)
        names.append(f"{name} of {' and '.join(turn)}" if isinstance(turn, dict) else name)
    return "columns " + ", ".join(names)


def preference(v: Version) -> str:
    """datasets loads the preference pairs, TRL takes them as conversations, and they are the kept and the rejected outputs of the Parquet"""
    if not v.pairs:
        true("a file of pairs that the manifest does not count", not list(v.folder.glob("*.preference.jsonl")))
        return "not asked for"
    from trl import data_utils

    for split in v.splits:
        rows = v.table(split).to_pylist()
        want = [(row["input"], row["output"], wrong) for row in rows for wrong in row["rejected"]]
        equal(f"pairs of {split}", v.pairs[split], len(want))
        file = v.folder / f"{split}.preference.jsonl"
        equal(f"file of {split}", file.exists(), bool(want))
        if not want:
            continue
        loaded = datasets.load_dataset("json", data_files=str(file), split="train")
        equal("columns", loaded.column_names, ["prompt", "chosen", "rejected"])
        true("TRL takes them for no conversation", data_utils.is_conversational(loaded[0]))
        equal("prompt that TRL finds", data_utils.maybe_extract_prompt(dict(loaded[0])), loaded[0])
        equal("rows that TRL makes of pairs", data_utils.unpair_preference_dataset(loaded).num_rows, 2 * len(want))
        for pair, (given, kept, wrong) in zip(loaded, want, strict=True):
            turns = [("system", v.manifest["instruction"]), ("user", given)]
            equal("prompt", [(m["role"], m["content"]) for m in pair["prompt"]], turns)
            equal("chosen", pair["chosen"], [{"role": "assistant", "content": kept}])
            equal("rejected", pair["rejected"], [{"role": "assistant", "content": wrong}])
            true("a pair of equal outputs", kept != wrong)
        true(f"{split} is exported with other bytes", v.export(split, "preference").read_bytes() == file.read_bytes())
    return f"{sum(v.pairs.values())} pairs of {v.sizes()}"


def trl_configs(v: Version) -> str:
    """TRL's own parser takes its configurations, and they name rows that it trains on"""
    stages = [stage for stage in ("sft", "dpo") if (v.folder / f"configs/trl-{stage}.yaml").exists()]
    if not stages:
        true("configurations without a key for them", not (v.folder / "configs").exists())
        return "not asked for"
    import trl

    for stage in stages:
        # The dataclasses check their values; only which device there is needs torch, which is not installed here.
        {"sft": trl.SFTConfig, "dpo": trl.DPOConfig}[stage].device = types.SimpleNamespace(type="cpu")
        parser = importlib.import_module(f"trl.scripts.{stage}").make_parser()
        with contextlib.chdir(v.folder):
            script, training, model, _ = parser.parse_args_and_config(["--config", f"configs/trl-{stage}.yaml"])  # an unknown key is an error
            rows = datasets.load_dataset(script.dataset_name, cache_dir=f"{v.cache}-{stage}")
        equal("LoRA", (model.use_peft, model.lora_r, model.lora_alpha, model.lora_target_modules, model.load_in_4bit), (True, 8, 16, "all-linear", True))
        batch = training.per_device_train_batch_size * training.gradient_accumulation_steps
        equal("training", (training.num_train_epochs, batch, training.max_length, training.warmup_steps), (1, 8, 2048, 20))
        equal("schedule", training.lr_scheduler_type, "linear")
        validated = training.eval_strategy != "no"
        equal("splits", sorted(rows), sorted({script.dataset_train_split, script.dataset_test_split} if validated else {script.dataset_train_split}))
        if stage == "sft":
            equal("learning rate", training.learning_rate, 3e-4)
            equal("rows", {split: len(r) for split, r in rows.items()}, {split: v.manifest["counts"][split] for split in v.splits})
            loss_of_outputs(v, rows, training)
        else:
            equal("pairs", {split: len(r) for split, r in rows.items()}, {split: n for split, n in v.pairs.items() if n})
    return f"{' and '.join(stages)}, {len(rows['train']):,} rows of the last"


def loss_of_outputs(v: Version, rows: datasets.DatasetDict, training) -> None:
    """With Llama 3's template as TRL has it, the loss is that of the outputs alone, with the end of their turn."""
    import tokenizers
    import trl
    from transformers import PreTrainedTokenizerFast

    true("the loss is not that of the assistant's turn", training.assistant_only_loss)
    letters = {letter: n for n, letter in enumerate(sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()))}
    of_bytes = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=letters, merges=[]))
    of_bytes.pre_tokenizer, of_bytes.decoder = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False), tokenizers.decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=of_bytes, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")
    template = (pathlib.Path(trl.__file__).parent / "chat_templates/llama3_training.jinja").read_text()
    for n, row in enumerate(v.table("train").to_pylist()[:50]):
        turns = rows["train"][n]["messages"]
        made = tokenizer.apply_chat_template(turns, chat_template=template, return_dict=True, return_assistant_tokens_mask=True)
        trained = [token for token, mask in zip(made["input_ids"], made["assistant_masks"], strict=True) if mask]
        equal(f"what row {n + 1} trains", tokenizer.decode(trained).removesuffix("<|eot_id|>").strip(), row["output"].strip())


def other_configs(v: Version) -> str:
    """the other configurations are YAML, JSON and Python, and every file that they name is there"""
    names = [p for p in (v.folder / "configs").rglob("*") if p.is_file() and not p.name.startswith("trl")] if (v.folder / "configs").exists() else []
    for path in names:
        text = path.read_text()
        match path.suffix:
            case ".py":
                compile(text, path.name, "exec")
            case ".json":
                for entry in json.loads(text).values():
                    true(f"{entry['file_name']} is not there", (path.parent / entry["file_name"]).resolve().is_file())
            case ".yaml":
                config = yaml.safe_load(text)
                for entry in [*(config.get("datasets") or []), *(config.get("test_datasets") or [])]:
                    true(f"{entry['path']} is not there", (v.folder / entry["path"]).is_file())
    return f"{len(names)} files" if names else "not asked for"


def consumer(v: Version) -> str:
    """the reference consumer in Python takes the latest version, and that of a hand-off's event"""
    script, said = pathlib.Path(__file__).parent.parent / "deploy/examples/python/consumer.py", []
    for how, event in (("--once", ""), ("--event", json.dumps({"task": v.task, "version": v.name}))):
        command = [sys.executable, script, "--task", v.task, "--dir", v.work / f"consumer{how}", how]
        said.append(subprocess.run(command, input=event, text=True, check=True, capture_output=True).stdout.splitlines()[-1])
    equal("what it says", said, [f"version {v.name}: " + ", ".join(f"{v.manifest['counts'][s]:,} rows in {s}" for s in v.splits)] * 2)
    return said[0]


def exports(v: Version) -> str:
    """rebased export writes the same bytes in every format, one Parquet file of those of a large version"""
    for split in v.splits:
        for form in ("parquet", *v.lines):
            exported = v.export(split, form)
            if form == "parquet" and len(v.tables(split)) > 1:
                true(f"{split} is exported with other rows", pq.read_table(exported).equals(v.table(split)))
                continue
            name = v.tables(split)[0] if form == "parquet" else f"{split}.{form}.jsonl"
            true(f"{name} is exported with other bytes", exported.read_bytes() == (v.folder / name).read_bytes())
    return f"{1 + len(v.lines)} formats"


CHECKS = (
    *(manifest, counts, parquet, lineage, datasets_parquet, datasets_card, datasets_s3, *map(datasets_lines, LINES), preference),
    *(trl_configs, other_configs, consumer, exports),
)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("task")
    p.add_argument("--rebased", required=True, help="the program")
    p.add_argument("--dir", type=pathlib.Path, required=True, help="a folder for copies")
    args = p.parse_args()
    datasets.disable_progress_bars()
    version, failed = Version(args.task, args.rebased, args.dir), 0
    for check in CHECKS:
        started = time.monotonic()
        try:
            print(f"ok    {check.__doc__} ({check(version)}; {time.monotonic() - started:.0f} s)", flush=True)
        except Exception as e:  # noqa: BLE001 (whatever a library raises, the other checks go on)
            failed += 1
            print(f"FAIL  {check.__doc__}: {e}", flush=True)
            if not isinstance(e, AssertionError):
                traceback.print_exc()
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
