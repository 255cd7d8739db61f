from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotion_llama import assets
from emotion_llama.errors import AssetMissingError
from emotion_llama.measurements import ACTION_UNITS, FaceMeasures
from emotion_llama.media.types import Frame
from emotion_llama.perception.faces import FaceDetector, anchor_centres, merge, overlap, tiles
from emotion_llama.perception.see import FaceReader

av = pytest.importorskip("av")


def asset(name: str) -> Path:
    try:
        return assets.path(name)
    except AssetMissingError:
        pytest.skip(f"asset {name} is not here; run: emotion-llama fetch nano sample")


def sample_frames(name: str, every: int = 2) -> list[Frame]:
    folder = asset(name)
    media = folder if folder.is_file() else next(file for file in folder.iterdir() if file.suffix in (".mp4", ".mov"))
    with av.open(str(media)) as container:
        frames = [
            Frame(frame.to_ndarray(format="rgb24"), at, float(frame.time))
            for at, frame in enumerate(container.decode(video=0))
        ]
    return frames[::every]


def reader() -> FaceReader:
    return FaceReader(asset("blazeface-short-range"), asset("face-mesh"))


def test_anchors_cover_both_grids() -> None:
    centres = anchor_centres()
    assert centres.shape == (896, 2)
    np.testing.assert_allclose(centres[0], [1 / 32, 1 / 32])
    np.testing.assert_allclose(centres[2], [3 / 32, 1 / 32])
    np.testing.assert_allclose(centres[512], [1 / 16, 1 / 16])
    np.testing.assert_allclose(centres[-1], [15 / 16, 15 / 16])


def test_overlap_of_known_boxes() -> None:
    many = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], dtype=np.float32)
    np.testing.assert_allclose(overlap(many[0], many), [1, 1 / 3, 0], atol=1e-6)


def test_merge_averages_hits_of_one_face_and_keeps_others_apart() -> None:
    points = np.zeros((3, 8, 2), dtype=np.float32)
    points[0, 1] = (10, 10)
    points[1, :2] = ((1, 0), (11, 10))
    points[2, :2] = ((50, 50), (60, 60))
    boxes = merge(points, np.array([0.9, 0.6, 0.8], dtype=np.float32))
    assert [box.score for box in boxes] == pytest.approx([0.9, 0.8])
    np.testing.assert_allclose(boxes[0].corners_px, [0.4, 0, 10.4, 10], atol=1e-5)


def test_tiles_cover_the_frame_and_overlap() -> None:
    covered = np.zeros((360, 640), dtype=int)
    for x, y, side in tiles(640, 360):
        assert x >= 0 and y >= 0 and x + side <= 640 and y + side <= 360
        covered[int(y) : int(np.ceil(y + side)), int(x) : int(np.ceil(x + side))] += 1
    assert covered.min() >= 1
    assert covered[90:270, 90:550].min() >= 4
    assert tiles(100, 80) == []


def test_missing_graph_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match="emotion-llama fetch nano"):
        FaceDetector(tmp_path)


@pytest.mark.weights
@pytest.mark.parametrize("shape", [(360, 640), (40, 30), (1, 1), (1080, 200)])
def test_black_pictures_hold_no_face(shape: tuple[int, int]) -> None:
    black = np.zeros((*shape, 3), dtype=np.uint8)
    found = reader().read([Frame(black, 0, 0.0)])
    assert found.main is None and found.tracks == () and found.frames_seen == 1


@pytest.mark.weights
def test_smile_rises_above_the_own_neutral() -> None:
    measures: FaceMeasures = reader().read(sample_frames("sample-smile"))
    assert measures.main is not None and measures.action_units is not None and measures.peak is not None
    units = measures.action_units
    assert len(measures.tracks) == 1
    assert len(measures.tracks[0].samples) == measures.frames_seen
    lip_corner = units.intensity[:, ACTION_UNITS.index(12)]
    assert lip_corner[:3].max() < 1.0 < 3.0 < lip_corner[measures.peak]
    assert np.abs(units.pose_deg).max() < 45


@pytest.mark.weights
def test_speaker_is_followed_and_small_copies_are_found() -> None:
    frames = sample_frames("sample-speech", every=4)
    whole = reader().read(frames)
    assert whole.main is not None
    share = len(whole.tracks[whole.main].samples) / whole.frames_seen
    assert share > 0.95
    canvas = np.full((480, 854, 3), 90, dtype=np.uint8)
    picture = frames[0].rgb
    canvas[100 : 100 + picture.shape[0], 500 : 500 + picture.shape[1]] = picture
    assert reader().read([Frame(canvas, 0, 0.0)]).main is not None


@pytest.mark.weights
def test_clip_without_a_face() -> None:
    assert reader().read(sample_frames("sample-noface", every=10)).main is None
