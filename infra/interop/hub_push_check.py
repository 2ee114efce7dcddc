"""The hub's own client writes to the test server of the hub's API and reads, as `datasets` does, what rebased has pushed there.

    python hub_push_check.py URL TOKEN FOLDER

FOLDER holds the files of the version that rebased has pushed to owner/pushed with the tag v1. The client uploads them to owner/uploaded. hub_test.go starts
the server and compares what it holds then. Exit status 1 names the first difference.
"""

import sys
import tempfile
from pathlib import Path

import datasets
from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError

PUSHED, UPLOADED = "owner/pushed", "owner/uploaded"


def main() -> None:
    url, token, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    api = HfApi(endpoint=url, token=token)
    read(api, folder, token)
    write(api, folder)
    print("the hub's client and the test server agree")


def read(api: HfApi, folder: Path, token: str) -> None:
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert api.dataset_info(PUSHED).private
    with tempfile.TemporaryDirectory() as cache:
        snapshot = Path(snapshot_download(PUSHED, repo_type="dataset", endpoint=api.endpoint, token=token, cache_dir=cache))
        got = {p.relative_to(snapshot).as_posix(): p.read_bytes() for p in snapshot.rglob("*") if p.is_file()}
        got.pop(".gitattributes")
        assert got == files, sorted(got.keys() ^ files.keys())
        for ref in ("main", "v1"):
            rows = datasets.load_dataset(PUSHED, token=token, cache_dir=f"{cache}/{ref}", revision=ref)
            local = datasets.load_dataset(str(folder), cache_dir=f"{cache}/local")
            assert {s: r.to_list() for s, r in rows.items()} == {s: r.to_list() for s, r in local.items()}, rows


def write(api: HfApi, folder: Path) -> None:
    api.create_repo(UPLOADED, repo_type="dataset", private=True)
    info = api.upload_folder(folder_path=folder, repo_id=UPLOADED, repo_type="dataset", commit_message="by the client")
    assert len(info.oid) == 40, info
    api.create_tag(UPLOADED, tag="v1", repo_type="dataset")
    api.create_branch(UPLOADED, branch="other", repo_type="dataset")
    again = api.upload_folder(folder_path=folder, repo_id=UPLOADED, repo_type="dataset", commit_message="again")
    assert again.oid == info.oid, again
    one = [CommitOperationAdd("notes.md", b"mine")]
    api.create_commit(UPLOADED, one, commit_message="m", repo_type="dataset", revision="other", parent_commit=info.oid)
    try:
        api.create_commit(UPLOADED, [CommitOperationAdd("more.md", b"m")], commit_message="m", repo_type="dataset", revision="other", parent_commit=info.oid)
    except HfHubHTTPError as e:
        assert e.response.status_code == 412, e
    else:
        raise AssertionError("a commit whose parent is not the head was made")


main()
