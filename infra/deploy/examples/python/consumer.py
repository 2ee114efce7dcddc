"""A training pipeline's end of the hand-off, to copy: waits for a new version of a task, fetches its files, holds them to the manifest and loads them,
where a pipeline would train.

    pip install pyarrow datasets
    export AWS_REGION=… AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…      # AWS_ENDPOINT_URL_S3 for another server
    python consumer.py --store s3://bucket/prefix --task squad           # for ever, a version at a time
    python consumer.py --store s3://bucket/prefix --task squad --once    # the latest version
    python consumer.py --store s3://bucket/prefix --task squad --event < event   # that of a hand-off: {"task", "version", …}

A version is a folder whose files never change and that is named after the SHA-256 of its manifest. So what is read does not depend on what becomes
the latest meanwhile, and a file that was damaged is noticed. Files are fetched under another name until all are there: a folder that exists is whole.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import sys
import time

import datasets
from pyarrow import fs


class Consumer:
    """Fetches versions of one task."""

    def __init__(self, store: str, task: str, folder: pathlib.Path) -> None:
        self.s3 = fs.S3FileSystem(endpoint_override=os.environ.get("AWS_ENDPOINT_URL_S3"), region=os.environ.get("AWS_REGION"))
        self.root, self.folder = f"{store.removeprefix('s3://').rstrip('/')}/datasets/{task}", folder

    def latest(self) -> bytes | None:
        """The content of latest.json; None as long as nothing is released."""
        key = f"{self.root}/latest.json"
        if self.s3.get_file_info(key).type == fs.FileType.NotFound:
            return None
        with self.s3.open_input_stream(key) as f:
            return f.read(1 << 20)

    def take(self, version: str) -> pathlib.Path:
        """Fetches a version, unless its folder is there, and gives the folder. What is not as the manifest says is an error, and no folder."""
        if not re.fullmatch("[0-9a-f]{12}", version):
            raise ValueError(f"{version!r} is no version")
        folder, partial = self.folder / version, self.folder / f"{version}.partial"
        if folder.exists():
            return folder
        manifest = partial / "manifest.json"
        if self.fetch(version, manifest, None)[:12] != version:
            raise ValueError(f"the manifest of version {version} is another one")
        listed = json.loads(manifest.read_bytes())
        if listed["format"] != "rebased.dataset/v1":
            raise ValueError(f"version {version} has format {listed['format']!r}, which this program does not know")
        for file in listed["files"]:
            into = partial / file["name"]
            if not into.resolve().is_relative_to(partial.resolve()):
                raise ValueError(f"{file['name']!r} is no name of a file")
            if self.fetch(version, into, file["size"]) != file["sha256"]:
                raise ValueError(f"{file['name']} of version {version} is not as the manifest says")
        partial.rename(folder)
        return folder

    def fetch(self, version: str, into: pathlib.Path, size: int | None) -> str:
        """Writes a file of a version and gives its SHA-256."""
        into.parent.mkdir(parents=True, exist_ok=True)
        name, digest, left = f"{self.root}/{version}/{into.relative_to(self.folder / f'{version}.partial').as_posix()}", hashlib.sha256(), size
        with self.s3.open_input_stream(name) as source, into.open("wb") as file:
            while piece := source.read(1 << 20):
                digest.update(piece)
                file.write(piece)
                left = None if left is None else left - len(piece)
                if left is not None and left < 0:
                    break
        if left:
            raise ValueError(f"{name} has not the {size} bytes of the manifest")
        return digest.hexdigest()


def train(folder: pathlib.Path) -> None:
    """Stands for the training: loads the rows as the dataset card says and prints some."""
    rows = datasets.load_dataset(str(folder), cache_dir=str(folder.parent / "cache"))
    for row in rows["train"].select(range(min(3, len(rows["train"])))):
        print(repr(row["input"]), "->", repr(row["output"]))
    print(f"version {folder.name}:", ", ".join(f"{len(split):,} rows in {name}" for name, split in rows.items()), flush=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--store", default=os.environ.get("REBASED_STORE"), help="s3://bucket[/prefix]")
    p.add_argument("--task", required=True)
    p.add_argument("--dir", type=pathlib.Path, default=pathlib.Path("versions"), help="folder for the files")
    p.add_argument("--every", type=float, default=60, help="seconds between two looks for a new version")
    p.add_argument("--once", action="store_true", help="take the latest version and end")
    p.add_argument("--event", action="store_true", help="take the version of the hand-off's event on standard input, and end")
    args = p.parse_args()
    consumer = Consumer(args.store, args.task, args.dir)
    if args.event:
        event = json.load(sys.stdin)
        if event["task"] != args.task:
            sys.exit(f"the event is of task {event['task']!r}")
        return train(consumer.take(event["version"]))
    taken = None
    while True:
        try:
            if (latest := consumer.latest()) != taken and latest:
                train(consumer.take(json.loads(latest)["version"]))
                taken = latest
        except (OSError, ValueError) as e:
            if args.once:
                raise
            print(e, file=sys.stderr)  # the next look tries again
        if args.once:
            return None if taken else sys.exit(f"task {args.task} has no released version")
        time.sleep(args.every)


if __name__ == "__main__":
    main()
