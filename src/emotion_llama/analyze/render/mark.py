"""How a film or a picture was made, told by the file itself: a later run knows whether it may stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import av
from PIL import Image
from pydantic import ValidationError

from emotion_llama.errors import MediaError
from emotion_llama.media.container import open_container
from emotion_llama.media.picture import open_picture
from emotion_llama.record import Record


class Mark(Record):
    """What `--blur-faces` and `--no-drawing` said when a file was made."""

    faces: Literal["shown", "hidden"]
    drawing: bool

    @property
    def text(self) -> str:
        """The mark as it stands in a file's comment."""
        return "emotion-llama " + json.dumps(self.model_dump())


def film_mark(path: Path) -> Mark | None:
    """The mark of a film or a picture; `None` where there is no such file, or none that was made here."""
    try:
        text = _comment(path)
        return Mark.model_validate_json(text.removeprefix("emotion-llama "))
    except (MediaError, OSError, av.FFmpegError, ValidationError):
        return None


def _comment(path: Path) -> str:
    picture: Image.Image | None = open_picture(path)
    if picture is not None:
        with picture:
            comment = picture.info.get("comment", b"")
        return comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)
    with open_container(path) as container:
        return str(container.metadata.get("comment", ""))
