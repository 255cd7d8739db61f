"""The released Emotion-LLaMA files → one folder that `el.load` opens (`emotion-llama convert official`)."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from emotion_llama import __version__
from emotion_llama.errors import ModelError, UsageError
from emotion_llama.model.segments import TOKENIZER_FILE, SegmentTokenizer
from emotion_llama.official.faces import convert_face_mae, convert_face_videomae
from emotion_llama.official.hubert import convert_hubert
from emotion_llama.official.language import model_config, read_checkpoint, write_model
from emotion_llama.official.reading import open_shards
from emotion_llama.official.table import FileTable
from emotion_llama.official.vision import BLOCKS, SIDE_PX, convert_eva
from emotion_llama.output import MARKER, new_folder, require_space

LICENCES = """# Licences of the parts

This folder was made from files of others; nothing in it was trained by this project.

- language model: Llama 2 Community License, Copyright Meta Platforms
- EVA-ViT-g: MIT (BAAI); as published with LAVIS (BSD-3-Clause)
- MiniGPT-v2 weights: BSD-3-Clause
- Emotion-LLaMA weights: for research only; trained on MER2023 under its licence agreement: academic, not commercial, no
  redistribution
- chinese-hubert-large, if here: MIT
- FaceMAE and VideoMAE, if here: for research only, as above

Whoever uses this folder is bound by all of them.
"""


@dataclass(frozen=True)
class ReleasedFiles:
    """The released files. `llama`: the folder of Llama-2-7b-chat. What is `None` is not at hand.

    Without `emotion_llama`, MiniGPT-v2 is made into the start of the paper's training: the projections of face, voice
    and class token are fresh.
    """

    llama: Path
    eva: Path
    emotion_llama: Path | None
    minigptv2: Path | None = None
    hubert: Path | None = None
    mae: Path | None = None
    videomae: Path | None = None


@dataclass(frozen=True)
class EvaSize:
    """How much of `eva_vit_g.pth` is used: blocks, and the side of the picture in pixels."""

    blocks: int = BLOCKS
    side_px: int = SIDE_PX


def convert_official(
    files: ReleasedFiles, out: Path, *, eva: EvaSize | None = None, overwrite: bool = False
) -> tuple[FileTable, ...]:
    """Write `out` and give the account of every file: no tensor is left without one.

    Raises `ModelError` for a file that is missing, damaged, or not what it should be, `UsageError` for a folder that is
    taken, `OutputError` for a full disk; then nothing is left behind.
    """
    if files.emotion_llama is None and files.minigptv2 is None:
        raise UsageError("convert official: give --emotion-llama, or --minigptv2 as a start for training")
    given = [path for path in _paths(files)]
    for path in given:
        if not path.exists():
            raise ModelError(f"{path}: expected a released file, found none; check the path")
    with new_folder(out, source=files.llama, overwrite=overwrite) as folder:
        require_space(out, sum(_size(path) for path in given))
        tables = _fill(files, folder, eva or EvaSize())
        record: dict[str, Any] = {
            "made_from": _provenance(given),
            "emotion_llama": __version__,
            "tensors": [_told(t) for t in tables],
        }
        (folder / "LICENCES.md").write_text(LICENCES, encoding="utf-8")
        for path in folder.rglob("*.safetensors"):
            path.chmod(0o644)  # the library makes them private; a group shares one conversion
        (folder / MARKER).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return tables


def _fill(files: ReleasedFiles, folder: Path, eva: EvaSize) -> tuple[FileTable, ...]:
    shards = open_shards(files.llama)
    shapes = {key: shard.shape(key) for key, shard in shards.items()}
    if "model.embed_tokens.weight" not in shapes:
        raise ModelError(f"{files.llama}: expected a Llama model with model.embed_tokens.weight, found none")
    tokenizer = SegmentTokenizer(files.llama / TOKENIZER_FILE)
    checkpoint = read_checkpoint(files.emotion_llama, files.minigptv2, shapes)
    seen = convert_eva(files.eva, folder / "encoders/global", blocks=eva.blocks, side_px=eva.side_px)
    tokens = (eva.side_px // 14) ** 2 // 4
    config = model_config(files.llama, checkpoint, tokens, tokenizer.control["<unk>"])
    others = _other_encoders(files, folder)
    config.encoders = {name: f"encoders/{name}" for name in ("global", *others)}
    language = write_model(config, files.llama, checkpoint, folder)
    config.save_pretrained(folder)
    for name in (TOKENIZER_FILE, "generation_config.json"):
        if (files.llama / name).is_file():
            shutil.copyfile(files.llama / name, folder / name)
    return (language, seen, *checkpoint.tables, *others.values())


def _other_encoders(files: ReleasedFiles, folder: Path) -> dict[str, FileTable]:
    """Convert the encoders that are at hand, by the feature that they give."""
    wanted = {
        "local": (files.mae, convert_face_mae),
        "temporal": (files.videomae, convert_face_videomae),
        "audio": (files.hubert, convert_hubert),
    }
    return {name: make(file, folder / "encoders" / name) for name, (file, make) in wanted.items() if file is not None}


def _paths(files: ReleasedFiles) -> Iterator[Path]:
    return (value for entry in fields(files) if (value := getattr(files, entry.name)) is not None)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(part.stat().st_size for part in path.iterdir())


def _provenance(given: list[Path]) -> list[dict[str, Any]]:
    parts = [
        part for path in given for part in ([path] if path.is_file() else sorted(path.iterdir())) if part.is_file()
    ]
    return [{"file": part.name, "bytes": part.stat().st_size, "sha256": _sha256(part)} for part in parts]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _told(table: FileTable) -> dict[str, Any]:
    return {"file": table.file.name, "what": table.what, "mapped": len(table.mapped), "left_out": table.reasons()}
