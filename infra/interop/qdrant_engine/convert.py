"""Between the protocol's messages and the engine's types."""

import uuid

import qdrant_edge as edge
from qdrant_client import grpc as pb
from qdrant_client.conversions.conversion import grpc_to_payload, json_to_value


class Unserved(Exception):
    """Something that this program does not pass on to the engine."""


def only(message, *served: str) -> None:
    """Refuses a message that has fields set besides those that are served."""
    for field, _ in message.ListFields():
        if field.name not in served:
            raise Unserved(f"field {field.full_name} is not served by the engine's test server")


def point_id(p: pb.PointId):
    return uuid.UUID(p.uuid) if p.WhichOneof("point_id_options") == "uuid" else p.num


def proto_id(i) -> pb.PointId:
    return pb.PointId(num=i) if isinstance(i, int) else pb.PointId(uuid=str(i))


def point(p: pb.PointStruct) -> edge.Point:
    only(p, "id", "payload", "vectors")
    only(p.vectors, "vectors")
    return edge.Point(point_id(p.id), {name: vector(v) for name, v in p.vectors.vectors.vectors.items()}, grpc_to_payload(p.payload))


def vector(v):
    """A Vector or a VectorInput: a list for a dense vector, a list of lists for a multivector."""
    only(v, "dense", "multi_dense")
    return list(v.dense.data) if v.HasField("dense") else [list(row.data) for row in v.multi_dense.vectors]


def vector_output(v) -> pb.VectorOutput:
    if v and isinstance(v[0], list):
        return pb.VectorOutput(multi_dense=pb.MultiDenseVector(vectors=[pb.DenseVector(data=row) for row in v]))
    return pb.VectorOutput(dense=pb.DenseVector(data=v))


def answer(message, p):
    """Fills a ScoredPoint or a RetrievedPoint from what the engine gives."""
    message.id.CopyFrom(proto_id(p.id))
    for key, value in (p.payload or {}).items():
        message.payload[key].CopyFrom(json_to_value(value))
    if p.vector is not None:
        named = {name: vector_output(v) for name, v in p.vector.items()}
        message.vectors.CopyFrom(pb.VectorsOutput(vectors=pb.NamedVectorsOutput(vectors=named)))
    return message


def with_payload(selector: pb.WithPayloadSelector, default: bool):
    match selector.WhichOneof("selector_options"):
        case "enable":
            return selector.enable
        case "include":
            return edge.PayloadSelector.Include(list(selector.include.fields))
        case "exclude":
            return edge.PayloadSelector.Exclude(list(selector.exclude.fields))
    return default


def with_vectors(selector: pb.WithVectorsSelector):
    if selector.WhichOneof("selector_options") == "include":
        return list(selector.include.names)
    return selector.enable


def filter_or_none(message) -> edge.Filter | None:
    """The filter of a request that may have none."""
    return filter_(message.filter) if message.HasField("filter") else None


def filter_(f: pb.Filter) -> edge.Filter:
    only(f, "must", "should", "must_not")
    return edge.Filter(
        must=[condition(c) for c in f.must] or None,
        should=[condition(c) for c in f.should] or None,
        must_not=[condition(c) for c in f.must_not] or None,
    )


def condition(c: pb.Condition):
    match c.WhichOneof("condition_one_of"):
        case "field":
            only(c.field, "key", "match")
            return edge.FieldCondition(c.field.key, match=match_(c.field.match))
        case "is_empty":
            return edge.IsEmptyCondition(c.is_empty.key)
        case "has_id":
            return edge.HasIdCondition({point_id(p) for p in c.has_id.has_id})
        case "filter":
            return filter_(c.filter)
    raise Unserved(f"condition {c.WhichOneof('condition_one_of')} is not served by the engine's test server")


def match_(m: pb.Match):
    match m.WhichOneof("match_value"):
        case "keyword" | "integer" as kind:  # not "boolean": the engine's Python binding takes True for the integer 1
            return edge.MatchValue(getattr(m, kind))
        case "keywords":
            return edge.MatchAny(list(m.keywords.strings))
        case "integers":
            return edge.MatchAny(list(m.integers.integers))
        case "except_keywords":
            return edge.MatchExcept(list(m.except_keywords.strings))
        case "except_integers":
            return edge.MatchExcept(list(m.except_integers.integers))
    raise Unserved(f"match {m.WhichOneof('match_value')} is not served by the engine's test server")
