"""Face pictures of research sets (small, gray or with a colour that gives the label away) → encoder outputs."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.features import face_rows
from emotion_llama.analyze.parts import Parts
from emotion_llama.clip import Observation
from emotion_llama.encoders.face_tokens import local_tokens
from emotion_llama.encoders.features import Features
from emotion_llama.errors import MediaError
from emotion_llama.media.types import Frame
from emotion_llama.perception.describe import describe_face

FACE_SIDE_PX = 256
FACE_MARGIN_PX = 64


def encode_face_picture(gray: NDArray[np.uint8], name: str, parts: Parts) -> tuple[Features, tuple[Observation, ...]]:
    """Give the encoder outputs of one face picture (H, W), and what is seen in it.

    They are `global`, `local`, `face_expressions`, `face_view`, and the `action_units` themselves. Pictures that hold
    the face alone get a border, which the face finder needs. Raises `MediaError` where no face is found.
    """
    inner = FACE_SIDE_PX - 2 * FACE_MARGIN_PX if max(gray.shape) < FACE_SIDE_PX // 2 else FACE_SIDE_PX
    large = cv2.resize(gray, (inner, inner), interpolation=cv2.INTER_CUBIC)
    border = FACE_MARGIN_PX
    framed = cv2.copyMakeBorder(large, border, border, border, border, cv2.BORDER_REPLICATE)
    frame = Frame(np.repeat(framed[:, :, None], 3, axis=2), 0, 0.0)
    faces = parts.face_reader.read([frame])
    local = local_tokens(faces)
    if local is None or faces.action_units is None:
        raise MediaError(f"{name}: expected a face in the picture, found none; it is left out")
    features: Features = {
        "global": parts.global_encoder(frame.rgb),
        "local": local,
        **face_rows(faces, parts),
        "action_units": faces.action_units.intensity.astype(np.float32),
    }
    return features, tuple(describe_face(faces))


def to_gray(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean of the channels: (H, W, 3) to (H, W)."""
    return np.asarray(rgb.mean(axis=2), dtype=np.uint8)
