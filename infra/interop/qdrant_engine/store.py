"""Collections and aliases: one shard of the engine for each collection, and a list of them in collections.json."""

import base64
import contextlib
import json
import pathlib
import threading

import qdrant_edge as edge
from qdrant_client import grpc as pb

DISTANCES = {pb.Dot: edge.Distance.Dot, pb.Cosine: edge.Distance.Cosine}


class Missing(Exception):
    """A collection or an alias is not there."""


class Exists(Exception):
    """A name is taken."""


class Collection:
    """A shard with the request that created it and the payload indexes made since."""

    def __init__(self, shard: edge.EdgeShard, config: pb.CreateCollection, fields: dict[str, int]) -> None:
        self.shard, self.config, self.fields = shard, config, fields
        self.lock = threading.Lock()

    def update(self, operation: edge.UpdateOperation) -> None:
        """Does an operation and makes it durable."""
        with self.lock:
            self.shard.update(operation)
            self.shard.flush()


class Store:
    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.lock = folder, threading.Lock()
        self.collections: dict[str, Collection] = {}
        self.aliases: dict[str, str] = {}
        with contextlib.suppress(FileNotFoundError):
            saved = json.loads((folder / "collections.json").read_text())
            self.aliases = saved["aliases"]
            for name, entry in saved["collections"].items():
                config = pb.CreateCollection.FromString(base64.b64decode(entry["config"]))
                self.collections[name] = Collection(edge.EdgeShard.load(str(self.path(name))), config, entry["fields"])

    def path(self, name: str) -> pathlib.Path:
        return self.folder / base64.urlsafe_b64encode(name.encode()).decode()

    def save(self) -> None:
        entries = {
            name: {"config": base64.b64encode(c.config.SerializeToString()).decode(), "fields": c.fields}
            for name, c in self.collections.items()
        }
        written = self.folder / "collections.json.new"
        written.write_text(json.dumps({"collections": entries, "aliases": self.aliases}))
        written.rename(self.folder / "collections.json")

    def resolve(self, name: str) -> Collection:
        found = self.collections.get(self.aliases.get(name, name))
        if found is None:
            raise Missing(f"Not found: Collection `{name}` doesn't exist!")
        return found

    def create(self, config: pb.CreateCollection) -> None:
        name = config.collection_name
        with self.lock:
            if name in self.collections or name in self.aliases:
                raise Exists(f"Wrong input: Collection `{name}` already exists!")
            vectors = {vector: vector_params(p) for vector, p in config.vectors_config.params_map.map.items()}
            self.path(name).mkdir()
            shard = edge.EdgeShard.create(str(self.path(name)), edge.EdgeConfig(vectors=vectors))
            self.collections[name] = Collection(shard, config, {})
            self.save()

    def drop(self, name: str) -> bool:
        with self.lock:
            dropped = self.collections.pop(name, None)
            if dropped is None:
                return False
            self.aliases = {a: c for a, c in self.aliases.items() if c != name}
            self.save()
            dropped.shard.close()
            path = self.path(name)
            path.rename(self.folder / f"dropped-{id(dropped)}-{path.name}")
            return True

    def change_aliases(self, actions: list[pb.AliasOperations]) -> None:
        """Does all actions or none."""
        with self.lock:
            changed = dict(self.aliases)
            for action in actions:
                self.change_alias(changed, action)
            self.aliases = changed
            self.save()

    def change_alias(self, aliases: dict[str, str], action: pb.AliasOperations) -> None:
        match action.WhichOneof("action"):
            case "create_alias":
                self.set_alias(aliases, action.create_alias.alias_name, action.create_alias.collection_name)
            case "rename_alias":
                old = action.rename_alias.old_alias_name
                if old not in aliases:
                    raise Missing(f"Not found: Alias {old} does not exists!")
                self.set_alias(aliases, action.rename_alias.new_alias_name, aliases.pop(old))
            case "delete_alias":
                aliases.pop(action.delete_alias.alias_name, None)

    def set_alias(self, aliases: dict[str, str], alias: str, collection: str) -> None:
        if collection not in self.collections:
            raise Missing(f"Not found: Collection `{collection}` doesn't exist!")
        if alias in self.collections:
            raise Exists(f"Wrong input: Collection `{alias}` already exists!")
        aliases[alias] = collection

    def add_field(self, collection: Collection, name: str, kind: int) -> None:
        kinds = {pb.FieldTypeKeyword: edge.PayloadSchemaType.Keyword, pb.FieldTypeInteger: edge.PayloadSchemaType.Integer}
        collection.update(edge.UpdateOperation.create_field_index(name, kinds[kind]))
        with self.lock:
            collection.fields[name] = kind
            self.save()

    def close(self) -> None:
        for collection in self.collections.values():
            collection.shard.close()


def vector_params(p: pb.VectorParams) -> edge.EdgeVectorParams:
    multi = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim) if p.HasField("multivector_config") else None
    return edge.EdgeVectorParams(p.size, DISTANCES[p.distance], multivector_config=multi)
