"""Encoders that stand in for a preset's own: a folder or a name on the hub becomes the encoder that reads it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from emotion_llama.encoders.eva import EvaVit
from emotion_llama.encoders.face_mae import FaceMae
from emotion_llama.encoders.face_videomae import FaceVideoMae
from emotion_llama.encoders.picture import PictureEncoder
from emotion_llama.encoders.speech import SpeechEncoder
from emotion_llama.errors import ModelError

_HUB_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
WEIGHTS = ("*.safetensors", "*.bin")
_FIRST = ["*.json", "*.txt", "*.model", "*.safetensors"]


def encoder_folder(name: str, base: Path = Path()) -> Path:
    """Give the folder of an encoder: `name` below `base`, or from here, or OWNER/NAME[@REVISION] on the hub.

    From the hub safetensors are taken where there are any. Raises `ModelError` if there is no such thing.
    """
    for path in (base / name, Path(name)):
        if path.is_dir():
            return path
    match = _HUB_NAME.fullmatch(name)
    if match is None:
        raise ModelError(f"encoder {name}: expected a folder or OWNER/NAME of the hub, found neither")
    try:
        found = Path(snapshot_download(match["repo"], revision=match["revision"], allow_patterns=_FIRST))
        if not any(found.glob("*.safetensors")):
            snapshot_download(match["repo"], revision=match["revision"], allow_patterns=["*.bin"])
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"encoder {name}: there is no such folder, and the hub did not give it ({_first_line(error)}); check the "
            "name, the network and HF_ENDPOINT, or copy the folder here"
        ) from error
    return found


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def encoder_sha256(folder: Path) -> str:
    """Hash the weight files of an encoder by name, size and content."""
    digest = hashlib.sha256()
    for file in sorted(found for pattern in WEIGHTS for found in folder.glob(pattern)):
        digest.update(f"{file.name} {file.stat().st_size}\n".encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def open_global(folder: Path, device: str) -> EvaVit | PictureEncoder:
    """The global encoder of a folder: EVA as the released weights want it, or any vision transformer."""
    return EvaVit(folder, device) if _type(folder) == "blip_2_vision_model" else PictureEncoder(folder, device)


def open_local(folder: Path, device: str) -> FaceMae | PictureEncoder:
    """The local encoder of a folder: a masked autoencoder of faces, or any vision transformer."""
    return FaceMae(folder, device) if _type(folder) in ("vit_mae", None) else PictureEncoder(folder, device)


def open_temporal(folder: Path, device: str) -> FaceVideoMae:
    """The temporal encoder of a folder."""
    return FaceVideoMae(folder, device)


def open_audio(folder: Path, device: str) -> SpeechEncoder:
    """The audio encoder of a folder."""
    return SpeechEncoder(folder, device)


def _type(folder: Path) -> str | None:
    """Model type of a folder's configuration; `None` where it has none: the encoder then says what is missing."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found.get("model_type") if isinstance(found, dict) else None
