"""chinese-hubert-large as its makers publish it → the same folder with safetensors."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.torch import save_file

from emotion_llama.errors import ModelError
from emotion_llama.official.keys import Fate
from emotion_llama.official.reading import open_shards
from emotion_llama.official.table import FileTable, account

_FILES = ("config.json", "preprocessor_config.json")
_SIGN = "feature_projection.projection.weight"
"""A tensor that every net of the family has, whatever stands before its name."""


def convert_hubert(folder: Path, out: Path) -> FileTable:
    """Copy a speech encoder's folder into `out` for `encoders.speech.SpeechEncoder`; gives the account of its tensors.

    Raises `ModelError` for a folder without its processor, or one that holds another kind of net.
    """
    for name in _FILES:
        if not (folder / name).is_file():
            raise ModelError(
                f"{folder}: expected chinese-hubert-large with {' and '.join(_FILES)}; {name} is missing; "
                "copy the whole folder"
            )
    shards = open_shards(folder)
    if not any(key.endswith(_SIGN) for key in shards):
        raise ModelError(
            f"{folder}: expected a HuBERT net with {_SIGN}, found none; is it the folder that is asked for?"
        )
    shapes = {key: shard.shape(key) for key, shard in shards.items()}
    table = account(folder, "HuBERT", shapes, Fate, shapes)
    out.mkdir(parents=True)
    save_file(
        {key: shard.read(key).contiguous() for key, shard in shards.items()},
        out / "model.safetensors",
        {"format": "pt"},
    )
    for name in _FILES:
        shutil.copyfile(folder / name, out / name)
    return table
