"""Qdrant's official Python client makes the same calls of a server and of its own local mode; every answer must be the same.

    QDRANT_API_KEY=… python qdrant_client_check.py http://127.0.0.1:6334

Order is compared where scores differ by more than 1e-5, scores to 1e-5. Collections of random names are made and removed. The seed is printed;
--seed repeats a run. Exit status 1 names the first difference.
"""

import argparse
import os
import random
import secrets
import urllib.parse
import uuid
import warnings

import grpc
from qdrant_client import QdrantClient, models

TOLERANCE = 1e-5
DIMENSIONS = 24
ROWS = 400


class Both:
    """Calls both clients and compares what they answer."""

    def __init__(self, server: QdrantClient, local: QdrantClient) -> None:
        self.server, self.local = server, local
        self.compared = 0

    def __getattr__(self, name: str):
        def call(*args, compare=None, **kwargs):
            ours, theirs = getattr(self.server, name)(*args, **kwargs), getattr(self.local, name)(*args, **kwargs)
            if compare is not None:
                self.compared += 1
                compare(f"{name} {kwargs}", ours, theirs)

        return call


def difference(what: str, ours, theirs) -> None:
    raise SystemExit(f"DIFFERENT: {what}\n  server: {ours}\n  local:  {theirs}")


def same(what: str, ours, theirs) -> None:
    if ours != theirs:
        difference(what, ours, theirs)


def same_records(what: str, ours, theirs) -> None:
    """Records of retrieve in any order, of scroll in the order of their ids."""
    ours, theirs = (list(r[0]) if isinstance(r, tuple) else sorted(r, key=lambda p: str(p.id)) for r in (ours, theirs))
    same(what, [p.id for p in ours], [p.id for p in theirs])
    for a, b in zip(ours, theirs, strict=True):
        same_point(what, a, b)


def same_point(what: str, ours, theirs) -> None:
    same(f"payload of {ours.id} in {what}", ours.payload or {}, theirs.payload or {})  # what was not asked for is {} over gRPC, None in local mode
    a, b = flat(ours.vector), flat(theirs.vector)
    if len(a) != len(b) or any(abs(x - y) > TOLERANCE for x, y in zip(a, b, strict=True)):
        difference(f"vectors of {ours.id} in {what}", ours.vector, theirs.vector)


def flat(vectors) -> list[float]:
    """All numbers of named vectors, in the order of their names."""
    if vectors is None or isinstance(vectors, float):
        return [] if vectors is None else [vectors]
    parts = [vectors[name] for name in sorted(vectors)] if isinstance(vectors, dict) else vectors
    return [x for part in parts for x in flat(part)]


def same_hits(what: str, ours, theirs) -> None:
    """Two rankings agree when their scores do, place by place, and every point has the same score in both."""
    ours, theirs = ours.points, theirs.points
    if len(ours) != len(theirs):
        difference(f"number of hits of {what}", len(ours), len(theirs))
    scores = {p.id: p for p in theirs}
    for place, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if abs(a.score - b.score) > TOLERANCE:
            difference(f"score at place {place} of {what}", a, b)
        other = scores.get(a.id)
        if other is None and abs(a.score - theirs[-1].score) > TOLERANCE:  # equal scores at the end may be cut differently
            difference(f"hit {place} of {what}", a.id, b.id)
        if other is not None:
            if abs(a.score - other.score) > TOLERANCE:
                difference(f"score of {a.id} in {what}", a.score, other.score)
            same_point(what, a, other)


def vector(r: random.Random) -> list[float]:
    return [r.gauss(0, 0.2) for _ in range(DIMENSIONS)]


def row(r: random.Random, n: int) -> models.PointStruct:
    vectors = {}
    if n % 17:
        vectors["cells"] = [vector(r) for _ in range(r.randint(1, 6))]
    if n % 5:
        vectors["text"] = vector(r)
    payload = {
        "dataset": f"owner/d{r.randrange(6)}",
        "part": r.randrange(4),
        "tags": r.sample(["x", "y", "z"], r.randrange(4)),
        "flag": r.choice(["on", "off"]),
        "truth": r.random() < 0.5,
        "nested": {"split": r.choice(["train", "test"]), "none": None},
    }
    if n % 7 == 0:
        del payload["dataset"]
    return models.PointStruct(id=str(uuid.UUID(int=r.getrandbits(128))), vector=vectors, payload=payload)


def filters(r: random.Random, ids: list[str], booleans: bool) -> list[models.Filter | None]:
    def field(key: str, **match) -> models.FieldCondition:
        kind = {"value": models.MatchValue, "any": models.MatchAny, "except": models.MatchExcept}[next(iter(match))]
        return models.FieldCondition(key=key, match=kind(**match))

    dataset, others = f"owner/d{r.randrange(6)}", [f"owner/d{r.randrange(6)}" for _ in range(3)]
    return [
        None,
        models.Filter(must=[field("dataset", value=dataset)]),
        models.Filter(must_not=[field("dataset", any=others)]),
        models.Filter(must=[field("dataset", **{"except": others}), field("part", any=[1, 2])]),
        models.Filter(should=[field("part", value=3), field("tags", value="x")], must_not=[field("flag", value="on")]),
        models.Filter(must=[field("nested.split", value="train"), models.Filter(should=[field("part", **{"except": [0]}), field("tags", any=["y"])])]),
        models.Filter(must=[models.HasIdCondition(has_id=r.sample(ids, 60))], must_not=[models.IsEmptyCondition(is_empty=models.PayloadField(key="dataset"))]),
        models.Filter(should=[models.IsEmptyCondition(is_empty=models.PayloadField(key=key)) for key in ("tags", "nested.none")]),
        *([models.Filter(must=[field("truth", value=True)])] if booleans else []),
    ]


def fill(r: random.Random, both: Both, collection: str) -> list[str]:
    """Makes the collection and gives the ids that it holds after some changes."""
    no_graph = models.HnswConfigDiff(m=0)
    both.create_collection(
        collection,
        vectors_config={
            "cells": models.VectorParams(
                size=DIMENSIONS,
                distance=models.Distance.DOT,
                hnsw_config=no_graph,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
            ),
            "text": models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE),
        },
    )
    both.create_payload_index(collection, "dataset", field_schema=models.PayloadSchemaType.KEYWORD)
    both.create_payload_index(collection, "part", field_schema=models.PayloadSchemaType.INTEGER)
    points = [row(r, n) for n in range(ROWS)]
    for at in range(0, ROWS, 64):
        both.upsert(collection, points[at : at + 64], wait=True)
    again = [row(r, n) for n in range(30)]
    for new, old in zip(again, points, strict=False):
        new.id = old.id
    both.upsert(collection, again, wait=True)
    both.delete(collection, points_selector=models.PointIdsList(points=[p.id for p in points[100:110]]), wait=True)
    flagged = models.FieldCondition(key="flag", match=models.MatchValue(value="on"))
    third = models.FieldCondition(key="part", match=models.MatchValue(value=3))
    both.delete(collection, points_selector=models.FilterSelector(filter=models.Filter(must=[flagged, third])), wait=True)
    both.set_payload(collection, payload={"dataset": "owner/d1", "new": [1, 2.5, "x"]}, points=models.Filter(must=[third]), wait=True)
    kept = [p.id for p in points[200:240] if p.payload["flag"] == "off"]
    both.set_payload(collection, payload={"part": 2}, points=kept, wait=True)
    return [p.id for p in points]


def check(r: random.Random, both: Both, collection: str, booleans: bool) -> None:
    ids = fill(r, both, collection)
    both.collection_exists(collection, compare=same)
    exact = models.SearchParams(exact=True)
    for f in filters(r, ids, booleans):
        both.count(collection, count_filter=f, exact=True, compare=same)
        both.scroll(collection, scroll_filter=f, limit=ROWS, with_payload=True, with_vectors=True, compare=same_records)
        for using, query in (("cells", [vector(r), vector(r)]), ("cells", [vector(r) for _ in range(5)]), ("text", vector(r))):
            for limit, offset in ((10, 0), (ROWS, 0), (25, 40)):
                both.query_points(
                    collection, query=query, using=using, query_filter=f, search_params=exact, limit=limit, offset=offset,
                    with_payload=True, with_vectors=True, compare=same_hits,
                )  # fmt: skip
    both.scroll(collection, limit=7, compare=same_records)
    both.retrieve(collection, ids=ids[:150], with_payload=["part"], with_vectors=["text"], compare=same_records)
    both.retrieve(collection, ids=ids[50:60], with_payload=models.PayloadSelectorExclude(exclude=["tags", "flag"]), compare=same_records)
    threshold = 0.3 + r.random() / 10
    both.query_points(collection, query=vector(r), using="text", score_threshold=threshold, limit=ROWS, compare=same_hits)
    check_pages(r, both, collection, ids)
    check_aliases(r, both, collection)
    check_refused(both.server, collection)


def check_pages(r: random.Random, both: Both, collection: str, ids: list[str]) -> None:
    """Which ids are there, without their points, and pages of them from any id on."""
    both.retrieve(collection, ids=[*ids[90:120], str(uuid.UUID(int=r.getrandbits(128)))], with_payload=False, with_vectors=False, compare=same_records)
    for _ in range(3):
        both.scroll(collection, offset=r.choice(ids), limit=50, with_payload=False, with_vectors=False, compare=same_records)


def check_aliases(r: random.Random, both: Both, collection: str) -> None:
    """An index that is built beside another one takes over its name in one step, and the other one goes."""
    alias, other = collection + "-alias", collection + "-other"

    def named(name: str, target: str) -> models.CreateAliasOperation:
        return models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=target, alias_name=name))

    def look() -> None:
        both.count(alias, exact=True, compare=same)
        both.query_points(alias, query=vector(r), using="text", limit=5, compare=same_hits)
        both.get_collection_aliases(collection, compare=same_aliases)
        both.get_collection_aliases(other, compare=same_aliases)

    both.create_collection(
        other, on_disk_payload=True,
        vectors_config={"text": models.VectorParams(size=DIMENSIONS, distance=models.Distance.DOT, on_disk=True)},
    )  # fmt: skip
    both.upsert(other, [models.PointStruct(id=n, vector={"text": vector(r)}, payload={}) for n in range(20)], wait=True)
    both.update_collection_aliases(change_aliases_operations=[named(alias, collection)])
    look()
    both.update_collection_aliases(change_aliases_operations=[named(alias, other), named(alias + "-2", collection)])
    look()
    renamed = models.RenameAlias(old_alias_name=alias + "-2", new_alias_name=alias)
    both.update_collection_aliases(
        change_aliases_operations=[
            models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)),
            models.RenameAliasOperation(rename_alias=renamed),
        ]
    )
    look()
    both.delete_collection(other, compare=same)
    both.collection_exists(other, compare=same)


def same_aliases(what: str, ours, theirs) -> None:
    same(what, sorted((a.alias_name, a.collection_name) for a in ours.aliases), sorted((a.alias_name, a.collection_name) for a in theirs.aliases))


def check_refused(server: QdrantClient, collection: str) -> None:
    """What only a cluster or an approximate index can do is refused by its name."""
    scalar = models.ScalarQuantization(scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8))
    for field, value in (("quantization_config", scalar), ("shard_number", 3), ("replication_factor", 2), ("write_consistency_factor", 2)):
        try:
            server.create_collection(
                collection + "-refused", vectors_config={"text": models.VectorParams(size=1, distance=models.Distance.DOT)}, **{field: value}
            )
        except grpc.RpcError as e:
            if e.code() != grpc.StatusCode.UNIMPLEMENTED or field not in e.details():
                difference(f"refusal of {field}", e, "UNIMPLEMENTED and the field's name")
            continue
        difference(f"refusal of {field}", "a collection", "an error")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("url", nargs="?", default=os.environ.get("QDRANT_URL"), help="http://host:port of the server's gRPC")
    p.add_argument("--seed", type=int, default=secrets.randbits(32))
    p.add_argument("--no-booleans", action="store_true", help="ask nothing about booleans, which qdrant_engine does not serve")
    args = p.parse_args()
    if not args.url:
        raise SystemExit("no server: give its URL or set QDRANT_URL")
    print(f"seed {args.seed}")
    warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
    for message in ("Payload indexes have no effect in the local Qdrant", "Local mode performs exact"):
        warnings.filterwarnings("ignore", message=message)
    address = urllib.parse.urlsplit(args.url)
    server = QdrantClient(
        host=address.hostname, grpc_port=address.port, prefer_grpc=True, https=address.scheme == "https",
        api_key=os.environ.get("QDRANT_API_KEY"), check_compatibility=False, timeout=60,
    )  # fmt: skip
    both = Both(server, QdrantClient(":memory:"))
    collection = f"client-check-{secrets.token_hex(8)}"
    try:
        check(random.Random(args.seed), both, collection, not args.no_booleans)
    finally:
        for name in (collection, collection + "-other"):
            server.delete_collection(name)
    print(f"the server and the client's local mode agree on {both.compared} answers")


if __name__ == "__main__":
    main()
