"""The hub's official Python client reads the test server of the hub's API: what it is told and what it downloads must be what the server was given.

    python hub_client_check.py URL TOKEN

hub_test.go starts the server and says what it holds. Exit status 1 names the first difference.
"""

import sys
import tempfile
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

CONVERT = "refs/convert/parquet"


def main() -> None:
    url, token = sys.argv[1:]
    api, member = HfApi(endpoint=url, token=False), HfApi(endpoint=url, token=token)
    info = api.dataset_info("owner/set")
    assert info.id == "owner/set" and len(info.sha) == 40 and info.card_data.license == "mit", info
    files = [f for f in api.list_repo_tree("owner/set", repo_type="dataset", revision=CONVERT, recursive=True) if hasattr(f, "size")]
    assert [f.path for f in files] == [f"default/train/{i:04}.parquet" for i in range(8)], files
    assert all(f.size == 6 and len(f.lfs.sha256) == 64 for f in files), files
    with tempfile.TemporaryDirectory() as cache:
        path = hf_hub_download("owner/set", "default/train/0007.parquet", repo_type="dataset", revision=CONVERT, endpoint=url, token=token, cache_dir=cache)
        assert Path(path).read_text() == "rows 7", path
        folder = Path(snapshot_download("owner/model", endpoint=url, token=False, cache_dir=cache))
        assert (folder / "config.json").read_text() == "{}" and (folder / "model.safetensors").read_text() == "numbers", folder
        refused(GatedRepoError, lambda: api.auth_check("owner/gated", repo_type="dataset"))
        member.auth_check("owner/gated", repo_type="dataset")
        refused((GatedRepoError, LocalEntryNotFoundError), lambda: hf_hub_download(
            "owner/gated", "default/train/0000.parquet", repo_type="dataset", revision=CONVERT, endpoint=url, token=False, cache_dir=cache))
    refused(RepositoryNotFoundError, lambda: api.dataset_info("owner/none"))
    refused(RepositoryNotFoundError, lambda: api.dataset_info("owner/private"))
    assert member.dataset_info("owner/private").private
    refused(RevisionNotFoundError, lambda: api.dataset_info("owner/set", revision="v9"))
    print("the hub's client and the test server agree")


def refused(error: type[Exception] | tuple[type[Exception], ...], call) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"wanted {error}")


main()
