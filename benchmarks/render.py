"""How long films take, and how small a face may be to be found and hidden.

The sample clip is drawn, and its faces are hidden: seconds a second of film, on one thread. The faces of the sample
picture are shrunk to some widths and laid on grey, at random places of a 1280 x 720 px picture.

python benchmarks/render.py
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import emotion_llama as el
from emotion_llama import assets
from emotion_llama.analyze.analyzer import as_clip
from emotion_llama.analyze.render.film import FilmStyle, write_film
from emotion_llama.measurements import FaceBox
from emotion_llama.media import read_frame
from emotion_llama.perception.all_faces import AllFaces
from emotion_llama.settings import AnalyzeSettings

RUNS = 3
FACE_WIDTHS_PX = (20, 25, 30, 36, 43, 54)
PLACES = 6
SCENE_PX = (1280, 720)


def smallest_faces(faces: AllFaces) -> dict[str, dict[str, float]]:
    """Share of faces found by their width, in a usual and in a fine search."""
    rgb = read_frame(next(assets.path("sample-faces").glob("*.jpg")), 0.0).rgb
    boxes = [box.corners_px for box in faces.find(rgb) if box.score > 0.8]
    found: dict[str, dict[str, float]] = {}
    for width_px in FACE_WIDTHS_PX:
        draw = np.random.default_rng(0)
        scenes = [_scene(rgb, box, width_px, draw) for box in boxes for _ in range(PLACES)]
        for name, fine in (("usual", False), ("fine", True)):
            hits = [_holds(faces.find(scene, fine), place) for scene, place in scenes]
            found.setdefault(name, {})[f"{width_px} px"] = round(float(np.mean(hits)), 2)
    found["n"] = {"faces": len(boxes), "places": PLACES}
    return found


def _scene(rgb: Any, box: Any, width_px: int, draw: np.random.Generator) -> tuple[Any, tuple[float, float]]:
    """A grey picture with the face in it, and where the middle of the face is."""
    x0, y0, x1, y1 = (float(value) for value in box)
    width, left, top = x1 - x0, max(0, int(2 * x0 - x1)), max(0, int(2 * y0 - y1))
    part = rgb[top : int(y1 + width), left : int(x1 + width)]
    scale = width_px / width
    small = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    scene = np.full((SCENE_PX[1], SCENE_PX[0], 3), draw.integers(60, 180), np.uint8)
    y, x = (int(draw.integers(0, SCENE_PX[1 - at] - small.shape[at])) for at in (0, 1))
    scene[y : y + small.shape[0], x : x + small.shape[1]] = small
    return scene, (x + ((x0 + x1) / 2 - left) * scale, y + ((y0 + y1) / 2 - top) * scale)


def _holds(boxes: list[FaceBox], place: tuple[float, float]) -> bool:
    return any((b.corners_px[:2] < place).all() and (b.corners_px[2:] > place).all() for b in boxes)


def main() -> None:
    model = el.load("nano", device="cpu", threads=1)
    path = assets.path("sample-speech") / "obama_speech.mp4"
    result = model.examine(as_clip(path, None), AnalyzeSettings(tasks=("emotion",)))
    seconds = result.analysis.duration_s
    assert seconds is not None
    styles = {"drawn": FilmStyle(), "hidden": FilmStyle(False, model.parts.all_faces)}
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, style in styles.items():
            times = []
            for _ in range(RUNS):
                start = time.perf_counter()
                write_film(result, Path(folder) / "film.mp4", style)
                times.append(time.perf_counter() - start)
            found[name] = round(min(times) / seconds, 3)
    print(json.dumps({"seconds_a_second_of_film": found, "film_s": round(seconds, 2), "runs": RUNS}))
    print(json.dumps({"share_of_faces_found": smallest_faces(model.parts.all_faces)}))


if __name__ == "__main__":
    main()
