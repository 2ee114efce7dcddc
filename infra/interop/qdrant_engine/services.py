"""The calls of the protocol, each passed on to the engine."""

import functools
import re

import grpc
import qdrant_edge as edge
from qdrant_client import grpc as pb

from . import convert
from .convert import Unserved, only
from .store import Exists, Missing, Store

# What the engine says about input that is wrong; all its errors have one type.
WRONG_INPUT = re.compile(r"dimension|Not existing vector name|Validation failed|Wrong input|multi vectors failed|badly formed", re.IGNORECASE)


def code_of(message: str) -> grpc.StatusCode:
    if message.startswith("No point with id"):
        return grpc.StatusCode.NOT_FOUND
    return grpc.StatusCode.INVALID_ARGUMENT if WRONG_INPUT.search(message) else grpc.StatusCode.INTERNAL


def call(method):
    """Turns errors into the codes of Qdrant."""

    @functools.wraps(method)
    def answered(self, request, context: grpc.ServicerContext):
        try:
            return method(self, request)
        except Unserved as e:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, str(e))
        except Missing as e:
            context.abort(grpc.StatusCode.NOT_FOUND, str(e))
        except Exists as e:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, str(e))
        except Exception as e:  # noqa: BLE001 (the engine raises Exception itself)
            context.abort(code_of(str(e)), str(e))

    return answered


class Health(pb.QdrantServicer):
    @call
    def HealthCheck(self, _):
        return pb.HealthCheckReply(title="qdrant-edge-py behind a test server", version="1.17.1")


class Collections(pb.CollectionsServicer):
    def __init__(self, store: Store) -> None:
        self.store = store

    @call
    def Create(self, r):
        only(r, "collection_name", "vectors_config", "hnsw_config", "on_disk_payload")
        only(r.vectors_config, "params_map")
        for p in r.vectors_config.params_map.map.values():
            only(p, "size", "distance", "multivector_config", "hnsw_config", "on_disk")
        self.store.create(r)
        return pb.CollectionOperationResponse(result=True)

    @call
    def Delete(self, r):
        only(r, "collection_name")
        return pb.CollectionOperationResponse(result=self.store.drop(r.collection_name))

    @call
    def List(self, _):
        return pb.ListCollectionsResponse(collections=[pb.CollectionDescription(name=n) for n in sorted(self.store.collections)])

    @call
    def CollectionExists(self, r):
        name = self.store.aliases.get(r.collection_name, r.collection_name)
        return pb.CollectionExistsResponse(result=pb.CollectionExists(exists=name in self.store.collections))

    @call
    def Get(self, r):
        c = self.store.resolve(r.collection_name)
        params = pb.CollectionParams(shard_number=1, vectors_config=c.config.vectors_config)
        kinds = {pb.FieldTypeKeyword: pb.Keyword, pb.FieldTypeInteger: pb.Integer}
        return pb.GetCollectionInfoResponse(
            result=pb.CollectionInfo(
                status=pb.Green,
                optimizer_status=pb.OptimizerStatus(ok=True),
                segments_count=c.shard.info().segments_count,
                points_count=c.shard.count(edge.CountRequest()),
                config=pb.CollectionConfig(params=params),
                payload_schema={name: pb.PayloadSchemaInfo(data_type=kinds[kind]) for name, kind in c.fields.items()},
            )
        )

    @call
    def UpdateAliases(self, r):
        only(r, "actions")
        self.store.change_aliases(r.actions)
        return pb.CollectionOperationResponse(result=True)

    @call
    def ListAliases(self, _):
        return self.aliases(self.store.aliases)

    @call
    def ListCollectionAliases(self, r):
        return self.aliases({a: c for a, c in self.store.aliases.items() if c == r.collection_name})

    def aliases(self, aliases: dict[str, str]):
        listed = [pb.AliasDescription(alias_name=a, collection_name=c) for a, c in sorted(aliases.items())]
        return pb.ListAliasesResponse(aliases=listed)


class Points(pb.PointsServicer):
    def __init__(self, store: Store) -> None:
        self.store = store

    @call
    def Upsert(self, r):
        only(r, "collection_name", "wait", "points")
        points = [convert.point(p) for p in r.points]
        return self.update(r, edge.UpdateOperation.upsert_points(points))

    @call
    def Delete(self, r):
        only(r, "collection_name", "wait", "points")
        return self.update(r, self.selected(r.points, edge.UpdateOperation.delete_points, edge.UpdateOperation.delete_points_by_filter))

    @call
    def SetPayload(self, r):
        only(r, "collection_name", "wait", "payload", "points_selector")
        payload = convert.grpc_to_payload(r.payload)
        return self.update(
            r,
            self.selected(
                r.points_selector,
                lambda ids: edge.UpdateOperation.set_payload(ids, payload),
                lambda f: edge.UpdateOperation.set_payload_by_filter(f, payload),
            ),
        )

    @call
    def CreateFieldIndex(self, r):
        only(r, "collection_name", "wait", "field_name", "field_type")
        self.store.add_field(self.store.resolve(r.collection_name), r.field_name, r.field_type)
        return completed()

    def selected(self, selector: pb.PointsSelector, by_ids, by_filter):
        if selector.WhichOneof("points_selector_one_of") == "points":
            return by_ids([convert.point_id(p) for p in selector.points.ids])
        return by_filter(convert.filter_(selector.filter))

    def update(self, r, operation: edge.UpdateOperation):
        self.store.resolve(r.collection_name).update(operation)
        return completed()

    @call
    def Get(self, r):
        only(r, "collection_name", "ids", "with_payload", "with_vectors")
        found = self.store.resolve(r.collection_name).shard.retrieve(
            [convert.point_id(p) for p in r.ids],
            with_payload=convert.with_payload(r.with_payload, False),
            with_vector=convert.with_vectors(r.with_vectors),
        )
        return pb.GetResponse(result=[convert.answer(pb.RetrievedPoint(), p) for p in found])

    @call
    def Scroll(self, r):
        only(r, "collection_name", "filter", "offset", "limit", "with_payload", "with_vectors")
        found, following = self.store.resolve(r.collection_name).shard.scroll(
            edge.ScrollRequest(
                offset=convert.point_id(r.offset) if r.HasField("offset") else None,
                limit=r.limit if r.HasField("limit") else 10,
                filter=convert.filter_or_none(r),
                with_payload=convert.with_payload(r.with_payload, True),
                with_vector=convert.with_vectors(r.with_vectors),
            )
        )
        response = pb.ScrollResponse(result=[convert.answer(pb.RetrievedPoint(), p) for p in found])
        if following is not None:
            response.next_page_offset.CopyFrom(convert.proto_id(following))
        return response

    @call
    def Count(self, r):
        only(r, "collection_name", "filter", "exact")
        shard = self.store.resolve(r.collection_name).shard
        return pb.CountResponse(result=pb.CountResult(count=shard.count(edge.CountRequest(filter=convert.filter_or_none(r)))))

    @call
    def Query(self, r):
        return pb.QueryResponse(result=self.query(r, r.collection_name))

    @call
    def QueryBatch(self, r):
        only(r, "collection_name", "query_points")
        return pb.QueryBatchResponse(result=[pb.BatchResult(result=self.query(q, r.collection_name)) for q in r.query_points])

    def query(self, r: pb.QueryPoints, collection: str):
        only(r, "collection_name", "query", "using", "filter", "params", "score_threshold", "limit", "offset", "with_vectors", "with_payload")
        only(r.query, "nearest")
        only(r.params, "exact", "indexed_only")
        found = self.store.resolve(collection).shard.query(
            edge.QueryRequest(
                limit=r.limit if r.HasField("limit") else 10,
                offset=r.offset,
                query=edge.Query.Nearest(convert.vector(r.query.nearest), r.using),
                filter=convert.filter_or_none(r),
                score_threshold=r.score_threshold if r.HasField("score_threshold") else None,
                params=edge.SearchParams(exact=r.params.exact),
                with_payload=convert.with_payload(r.with_payload, False),
                with_vector=convert.with_vectors(r.with_vectors),
            )
        )
        return [convert.answer(pb.ScoredPoint(score=p.score), p) for p in found]


def completed() -> pb.PointsOperationResponse:
    return pb.PointsOperationResponse(result=pb.UpdateResult(status=pb.Completed))
