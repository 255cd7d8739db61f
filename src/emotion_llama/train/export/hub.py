"""A folder ready for a model hub, and its upload with the hub library's own token handling."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
)
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from emotion_llama.errors import OutputError, UsageError
from emotion_llama.model.checkpoint import ADAPTER_FILE, PROJECTORS_FILE
from emotion_llama.output import new_folder
from emotion_llama.train.export.card import without_folders, write_card
from emotion_llama.train.export.merged import Weights, write_companions, write_marker, write_merged
from emotion_llama.train.export.source import RECORD_FILE, Source

ADAPTER_CONFIG = "adapter_config.json"
_ADVICE = {
    401: "the token is not accepted: log in again (`hf auth login`) or set HF_TOKEN to a valid one",
    403: "the token may not write there: use one with write access, or another OWNER",
    404: "there is no such place: check OWNER/NAME and HF_ENDPOINT",
    413: "a file is larger than the server takes: export again with a smaller --max-shard-size, or without --merged",
    429: "too many requests: wait and push again",
}


def export_hub(
    source: Source,
    out: Path,
    *,
    name: str | None = None,
    weights: Weights | None = None,
    licence: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the hub folder and give its path: adapter, or the merged model with `weights`; model card, licence notes.

    `name`: the model's name in the card (default: the checkpoint folder's). Raises as `export_merged` does.
    """
    with new_folder(out, source=source.folder, overwrite=overwrite) as folder:
        merged = weights is not None or source.is_merged
        if weights is not None:
            write_merged(source, folder, weights, out)
        elif source.is_merged:
            shutil.copytree(source.folder, folder, dirs_exist_ok=True)
        else:
            _copy_adapter(source, folder)
        write_companions(source, folder, licence)
        if source.record:
            text = json.dumps(without_folders(source.record), indent=2, ensure_ascii=False)
            (folder / RECORD_FILE).write_text(text + "\n", encoding="utf-8")
        write_card(source, folder, name or source.folder.resolve().name, merged=merged, licence=licence)
        write_marker(source, folder, "hub", {"merged": merged})
    return out


def check_push(repo: str) -> None:
    """Raise `UsageError` before any work if `repo` is no OWNER/NAME or there is no token."""
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UsageError(f"--push {repo}: {error}") from error
    if repo.count("/") != 1:
        raise UsageError(f"--push {repo}: give OWNER/NAME")
    if get_token() is None:
        raise UsageError("--push: no token; log in with `hf auth login` or set HF_TOKEN")


def push(folder: Path, repo: str, *, private: bool = False, endpoint: str | None = None) -> str:
    """Upload a hub folder, the repository made if it is not there; give its address.

    `endpoint`: `None` = HF_ENDPOINT or the library's own. Raises `OutputError` naming what to do; the folder stays.
    """
    api = HfApi(endpoint=endpoint)
    try:
        place = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Emotion-LLaMA weights and model card")
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise OutputError(
            f"push to {repo} at {api.endpoint}: {_advice(error)}. The folder {folder} is complete: push it again, or "
            f"`hf upload {repo} {folder}`"
        ) from error
    return str(place)


def _advice(error: BaseException) -> str:
    """What went wrong and what to do: the library wraps an upload's answer in errors of its own."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HfHubHTTPError):
            status = cause.response.status_code
            return f"HTTP {status}, {_ADVICE.get(status, str(cause).splitlines()[0])}"
        cause = cause.__cause__ or cause.__context__
    return f"the server cannot be reached or gave no usable answer ({error}); check the network and HF_ENDPOINT"


def _copy_adapter(source: Source, folder: Path) -> None:
    for file in (ADAPTER_FILE, PROJECTORS_FILE):
        shutil.copyfile(source.folder / file, folder / file)
    config = json.loads((source.folder / "config.json").read_text(encoding="utf-8"))
    if source.asset is None:  # a folder of this machine means nothing on the next one
        config["llm"] = source.llm_name
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    path = source.folder / ADAPTER_CONFIG
    if path.is_file():
        document = json.loads(path.read_text(encoding="utf-8"))
        # PEFT looks for the base under this name; an asset's name means nothing to a hub.
        document["base_model_name_or_path"] = source.llm_name
        (folder / ADAPTER_CONFIG).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
