"""Writes the Parquet files of this folder: python make.py (needs pyarrow and datasets).

They are made by other people's writers on purpose, so that the reader is tested on what is out there.
"""
import datetime as dt
import decimal
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

PEOPLE = ["Ada", "Grace", None, "Katherine"]


def types():
    table = pa.table({
        "text": pa.array(["plain", "naïve – 東京", "", None]),
        "large": pa.array(["a", "b", "c", "d"], pa.large_string()),
        "category": pa.array(["red", "blue", "red", None]).dictionary_encode(),
        "bool": [True, False, None, True],
        "int8": pa.array([-1, 0, 1, None], pa.int8()),
        "int64": pa.array([1_000_000, -9_007_199_254_740_993, None, 0], pa.int64()),
        "uint32": pa.array([4_294_967_295, 0, 1, None], pa.uint32()),
        "uint64": pa.array([18_446_744_073_709_551_615, 0, 1, None], pa.uint64()),
        "float": pa.array([0.1, 1e6, None, float("nan")], pa.float32()),
        "double": pa.array([0.1, 1e21, 1e-7, 1_000_000.0], pa.float64()),
        "half": pa.array([1.5, None, -2, 0], pa.float16()),
        "decimal": pa.array([decimal.Decimal("12.50"), decimal.Decimal("-0.05"), None, decimal.Decimal("0.00")], pa.decimal128(9, 2)),
        "date": pa.array([dt.date(2024, 2, 29), dt.date(1969, 12, 31), None, dt.date(1970, 1, 1)]),
        "time": pa.array([dt.time(13, 5, 1, 250000), None, dt.time(0, 0), dt.time(23, 59, 59)]),
        "utc": pa.array([dt.datetime(2024, 2, 29, 12, 0, 0, 5, tzinfo=dt.timezone.utc), None, dt.datetime(1600, 1, 1, tzinfo=dt.timezone.utc), None], pa.timestamp("us", "UTC")),
        "local": pa.array([dt.datetime(2024, 2, 29, 12), None, None, None], pa.timestamp("ms")),
        "blob": pa.array([b"\x00\x01\xff", b"text after all", None, b"\x01"]),
        "uuid": pa.array([uuid.UUID(int=1).bytes, None, None, None], pa.binary(16)),
        "null": pa.nulls(4),
    })
    pq.write_table(table, "types.parquet", row_group_size=3, compression="snappy")


def nested():
    rows = [
        {"id": 1, "answers": {"text": ["Denver", "Denver, Colorado"], "start": [3, 3]}, "tags": ["a", None, "b"],
         "turns": [{"role": "user", "say": "Hi"}, {"role": "bot", "say": "Hello"}], "grid": [[1, 2], [], [3]], "map": [("k", "v"), ("l", None)]},
        {"id": 2, "answers": {"text": [], "start": []}, "tags": None, "turns": [], "grid": None, "map": []},
        {"id": 3, "answers": None, "tags": ["only"], "turns": [{"role": None, "say": "alone"}], "grid": [[4]], "map": None},
    ]
    schema = pa.schema([
        ("id", pa.int32()),
        ("answers", pa.struct([("text", pa.list_(pa.string())), ("start", pa.list_(pa.int32()))])),
        ("tags", pa.list_(pa.string())),
        ("turns", pa.list_(pa.struct([("role", pa.string()), ("say", pa.string())]))),
        ("grid", pa.list_(pa.list_(pa.int64()))),
        ("map", pa.map_(pa.string(), pa.string())),
    ])
    table = pa.Table.from_pylist(rows, schema)
    pq.write_table(table, "nested.parquet", compression="zstd", data_page_version="2.0")
    pq.write_table(table, "nested-old-lists.parquet", compression="gzip", use_compliant_nested_type=False, version="1.0")


def labels():
    import datasets
    features = datasets.Features({
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["negative", "positive"]),
        "tokens": datasets.List({"word": datasets.Value("string"), "tag": datasets.ClassLabel(names=["O", "PER"])}),
    })
    datasets.Dataset.from_dict({
        "text": ["good", "bad", "unknown"],
        "label": [1, 0, -1],
        "tokens": [[{"word": "Ada", "tag": 1}, {"word": "wins", "tag": 0}], [], [{"word": "x", "tag": 0}]],
    }, features=features).to_parquet("labels.parquet")


def many():
    """Several row groups and pages, and a column of long lists, so that batches end in the middle of pages."""
    n = 3000
    pq.write_table(pa.table({
        "n": pa.array(range(n)),
        "word": pa.array([None if i % 7 == 0 else f"word {i % 50}" for i in range(n)]),
        "list": pa.array([list(range(i % 5)) for i in range(n)]),
    }), "many.parquet", row_group_size=700, data_page_size=512, compression="brotli")


def old():
    """Plain encoding without a dictionary, nanoseconds in 96 bits, texts that are not marked as such."""
    pq.write_table(pa.table({
        "when": pa.array([dt.datetime(2001, 2, 3, 4, 5, 6)], pa.timestamp("ns")),
        "text": pa.array([b"not marked as text"]),
    }), "old.parquet", use_dictionary=False, compression="none", use_deprecated_int96_timestamps=True, store_schema=False, version="1.0")


def deep():
    """Kinds of nesting that datasets on hubs have, in the large and fixed variants of Arrow, and numbers stored as others."""
    rows = [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image", "text": None}]}, {"role": "bot", "content": []}],
         "scores": {"a": [{"by": "x", "of": decimal.Decimal("1.5")}], "b": None}, "point": [1.0, 2.5], "tags": ["red", "blue"], "images": [b"\x89PNG\x00\xff"],
         "money": decimal.Decimal("12345678901234567890123456789012345678901234567890.12"), "small": decimal.Decimal("-0.7"), "took": dt.timedelta(seconds=2), "empty": {"x": None}},
        {"messages": None, "scores": {}, "point": None, "tags": [None, "red"], "images": [], "money": None, "small": None, "took": None, "empty": None},
    ]
    schema = pa.schema([
        ("messages", pa.large_list(pa.struct([("role", pa.large_string()), ("content", pa.list_(pa.struct([("type", pa.string()), ("text", pa.string())])))]))),
        ("scores", pa.map_(pa.string(), pa.list_(pa.struct([("by", pa.string()), ("of", pa.decimal128(5, 1))])))),
        ("point", pa.list_(pa.float32(), 2)),
        ("tags", pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        ("images", pa.list_(pa.binary())),
        ("money", pa.decimal256(60, 2)),
        ("small", pa.decimal128(3, 1)),
        ("took", pa.duration("ms")),
        ("empty", pa.struct([("x", pa.string())])),
    ])
    columns = {f.name: [r[f.name] for r in rows] for f in schema}
    columns["scores"] = [list(r["scores"].items()) for r in rows]
    tags = pa.ListArray.from_arrays(pa.array([0, 2, 4]), pa.array(["red", "blue", None, "red"]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())))
    table = pa.table([tags if f.name == "tags" else pa.array(columns[f.name], f.type) for f in schema], schema=schema)
    pq.write_table(table, "deep.parquet", compression="zstd", store_decimal_as_integer=True)


if __name__ == "__main__":
    for make in (types, nested, labels, many, old, deep):
        make()
