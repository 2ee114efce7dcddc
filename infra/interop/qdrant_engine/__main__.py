"""A test server: Qdrant's gRPC protocol over Qdrant's own engine, so that the conformance suite of the vector index runs against it.

    python -m qdrant_engine --dir DIR [--port N]        (from the folder above this one)

It prints its address as a URL on the first line and serves on loopback until it is stopped. What it proves is how the engine stores, filters
and scores points. Names of collections, aliases and the wording of errors are this program's own. A field or a call that it does not pass on
to the engine is refused as Unimplemented.
"""

import argparse
import pathlib
from concurrent import futures

import grpc
from qdrant_client import grpc as pb

from .services import Collections, Health, Points
from .store import Store

MESSAGE = 64 << 20  # bytes of a request or an answer


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dir", type=pathlib.Path, required=True)
    p.add_argument("--port", type=int, default=0, help="0 = any that is free")
    args = p.parse_args()
    store = Store(args.dir)
    server = grpc.server(
        futures.ThreadPoolExecutor(8),
        options=[("grpc.max_receive_message_length", MESSAGE), ("grpc.max_send_message_length", MESSAGE)],
    )
    pb.add_QdrantServicer_to_server(Health(), server)
    pb.add_CollectionsServicer_to_server(Collections(store), server)
    pb.add_PointsServicer_to_server(Points(store), server)
    port = server.add_insecure_port(f"127.0.0.1:{args.port}")
    server.start()
    print(f"http://127.0.0.1:{port}", flush=True)
    try:
        server.wait_for_termination()
    except KeyboardInterrupt:
        server.stop(grace=None).wait()
    finally:
        store.close()


if __name__ == "__main__":
    main()
