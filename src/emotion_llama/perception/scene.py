"""Plain facts of the picture: light, sharpness, how many faces, where and how large the main one is."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Observation
from emotion_llama.measurements import FaceMeasures, FaceSample
from emotion_llama.media.types import Frame

SOURCE = "scene-1"
DARK_LUMA, BRIGHT_LUMA = 60.0, 200.0
BLURRED_VARIANCE = 40.0
"""Below this variance of the Laplacian, at 640 px, edges are smeared (method: Pech-Pacheco et al., ICPR 2000)."""
LONGER_SIDE_PX = 640
SMALL_FACE, LARGE_FACE = 0.15, 0.6


def describe_scene(frame: Frame, faces: FaceMeasures) -> list[Observation]:
    """Say how bright and sharp a frame is, how many faces the clip holds, and where the main face is.

    Luma is 0–255, face size a share of the frame's height. A scene speaks for no emotion.
    """
    gray = _gray(frame.rgb)
    found = [_light(float(gray.mean()), frame.time_s), _sharpness(gray, frame.time_s), _face_count(faces)]
    if faces.main is not None:
        found.append(_place(_nearest(faces.tracks[faces.main].samples, frame.time_s), frame))
    return found


def _gray(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma at a fixed size, because sharpness depends on it."""
    height, width = rgb.shape[:2]
    scale = min(1.0, LONGER_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    gray = cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    return np.asarray(gray, dtype=np.uint8)


def _light(luma: float, time_s: float) -> Observation:
    direction = -1 if luma < DARK_LUMA else 1 if luma > BRIGHT_LUMA else 0
    text = {-1: "the picture is dark", 0: "the picture is well lit", 1: "the picture is very bright"}[direction]
    return _fact(text, "brightness", luma, "of 255", direction, time_s)


def _sharpness(gray: NDArray[np.uint8], time_s: float) -> Observation:
    variance = float(cv2.Laplacian(gray, cv2.CV_64F).var())
    blurred = variance < BLURRED_VARIANCE
    text = "the picture is blurred or plain" if blurred else "the picture is sharp"
    return _fact(text, "sharpness", variance, "variance of the Laplacian", -1 if blurred else 0, time_s)


def _face_count(faces: FaceMeasures) -> Observation:
    count = len(faces.tracks)
    text = {0: "no face is found", 1: "one face is seen"}.get(count, f"{count} faces are seen")
    return Observation(channel="scene", text=text, source=SOURCE, name="face_count", value=float(count), unit="faces")


def _nearest(samples: tuple[FaceSample, ...], time_s: float) -> FaceSample:
    return min(samples, key=lambda sample: abs(sample.time_s - time_s))


def _place(sample: FaceSample, frame: Frame) -> Observation:
    height, width = frame.rgb.shape[:2]
    x0, y0, x1, y1 = (float(corner) for corner in sample.box.corners_px)
    share = (y1 - y0) / height
    middle = (x0 + x1) / 2 / width
    side = "left" if middle < 1 / 3 else "right" if middle > 2 / 3 else "middle"
    size = "small " if share < SMALL_FACE else "large " if share > LARGE_FACE else ""
    direction = -1 if share < SMALL_FACE else 1 if share > LARGE_FACE else 0
    text = f"the {size}face is in the {side} of the picture"
    return _fact(text, "face_height", share, "of the picture's height", direction, sample.time_s)


def _fact(text: str, name: str, value: float, unit: str, direction: int, time_s: float) -> Observation:
    return Observation.model_validate(
        {
            "channel": "scene",
            "text": text,
            "source": SOURCE,
            "name": name,
            "value": round(value, 2),
            "unit": unit,
            "direction": direction,
            "start_s": time_s,
            "end_s": time_s,
        }
    )
