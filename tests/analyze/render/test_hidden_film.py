"""With the real detectors: in a hidden film nothing of the faces is left, and the rest of the picture stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest

from emotion_llama import assets
from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.render.film import FilmStyle, write_film
from emotion_llama.clip import Clip
from emotion_llama.media import iter_frames, read_frame
from emotion_llama.perception.all_faces import AllFaces
from emotion_llama.perception.faces import FaceDetector
from emotion_llama.settings import AnalyzeSettings

if TYPE_CHECKING:
    from emotion_llama import EmotionLlama

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def all_faces(model_name: str) -> AllFaces:
    return AllFaces.of_folders(assets.path("blazeface-short-range"), assets.path("face-mesh"))


def detail(rgb: np.ndarray, box: np.ndarray) -> float:
    """How much fine structure there is inside a box."""
    x0, y0, x1, y1 = (max(0, int(value)) for value in box)
    return float(cv2.Laplacian(cv2.cvtColor(rgb[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def test_no_detail_of_a_face_is_left(all_faces: AllFaces, of_file: Callable[..., Result], tmp_path: Path) -> None:
    source = assets.path("sample-speech") / "obama_speech.mp4"
    write_film(of_file(source, end_s=1.5), tmp_path / "o.mp4", FilmStyle(False, all_faces))
    detector = FaceDetector(assets.path("blazeface-short-range"))
    with av.open(str(tmp_path / "o.mp4")) as film:
        hidden = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    shown = [f.rgb for f in iter_frames(source, end_s=1.5, max_frames_s=1000)]
    assert len(hidden) == len(shown) == 18
    faces = 0
    for before, after in zip(shown, hidden, strict=True):
        for found in detector.detect(before):
            faces += 1
            assert detail(after, found.corners_px) < 0.08 * detail(before, found.corners_px)
        below = np.array([20, 150, 300, 200])
        assert detail(after, below) > 0.4 * detail(before, below)
    assert faces >= 18


def test_all_faces_of_a_crowd_and_no_suit(all_faces: AllFaces, faces_picture: Path) -> None:
    found = all_faces.find(read_frame(faces_picture, 0.0).rgb)
    assert len(found) in (4, 5)  # four people, and one of them may be found twice
    speech = read_frame(assets.path("sample-speech") / "obama_speech.mp4", 4.0).rgb
    assert 2 <= len(all_faces.find(speech)) <= 3
    assert all_faces.find(np.full((240, 320, 3), 90, np.uint8)) == []


def test_a_fine_search_finds_faces_half_as_large(all_faces: AllFaces, faces_picture: Path) -> None:
    rgb = read_frame(faces_picture, 0.0).rgb
    small = cv2.resize(rgb, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)  # faces of 20 to 28 px
    scene = np.full((720, 1280, 3), 120, np.uint8)
    scene[500 : 500 + small.shape[0], 800 : 800 + small.shape[1]] = small
    assert len(all_faces.find(scene, fine=True)) >= 3 > len(all_faces.find(scene))


def test_a_result_with_hidden_faces_holds_no_picture_of_them(nano: EmotionLlama) -> None:
    source = assets.path("sample-speech") / "obama_speech.mp4"
    settings = AnalyzeSettings(tasks=("emotion",), label_orders=1, transcribe=False, blur_faces=True)
    result = nano.examine(Clip(clip="a", path=source, end_s=1.5), settings)
    peak, faces, rgb = result.analysis.peak_frame, result.material.faces, result.material.peak_rgb
    assert peak is not None and faces is not None and rgb is not None and result.material.faces_hidden
    shown = read_frame(source, peak.time_s).rgb
    for face in result.analysis.faces:
        box = np.array(face.box_px)
        assert detail(rgb, box) < 0.08 * detail(shown, box)
    crops = [sample.crop for track in faces.tracks for sample in track.samples]
    assert len(crops) >= 18 and max(detail(crop, np.array([0, 0, 160, 160])) for crop in crops) < 5
    assert result.analysis.action_units  # measured before
