from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceBox
from emotion_llama.media.types import Frame
from emotion_llama.perception.crop import Region
from emotion_llama.perception.geometry import neutral_face
from emotion_llama.perception.mesh import box_of_mesh
from emotion_llama.perception.see import main_track, read_faces
from emotion_llama.perception.surround import colours_apart, surround_colours
from emotion_llama.perception.tracking import MESHED, FaceTracker

Place = tuple[float, float, float]  # centre x, y and eye distance, px


def mesh_at(place: Place) -> NDArray[np.float32]:
    mesh = neutral_face().mesh * np.array([1.0, -1.0, -1.0]) * place[2]
    return (mesh + np.array([place[0], place[1], 0.0])).astype(np.float32)


class Scene:
    """Faces at known places in each frame: stands for both graphs. The picture carries the frame number."""

    def __init__(self, frames: list[list[Place]]) -> None:
        self.frames = frames
        self.detections = 0
        self.meshes = 0

    def _places(self, rgb: NDArray[np.uint8]) -> list[Place]:
        return self.frames[int(rgb[0, 0, 0])]

    def detect(self, rgb: NDArray[np.uint8], thorough: bool = True) -> list[FaceBox]:
        self.detections += 1
        return [box_of_mesh(mesh_at(place), 0.9) for place in self._places(rgb)]

    def read(self, rgb: NDArray[np.uint8], region: Region) -> tuple[NDArray[np.float32], float]:
        self.meshes += 1
        for place in self._places(rgb):
            middle = box_of_mesh(mesh_at(place), 1.0).corners_px
            away = np.hypot(*((middle[:2] + middle[2:]) / 2 - (region.x_px, region.y_px)))
            if away < region.side_px / 4:
                return mesh_at(place), 0.99
        return mesh_at((region.x_px, region.y_px, region.side_px / 4)), 0.01


def frames_of(scene: Scene, rate_hz: float = 15.0) -> list[Frame]:
    pictures = np.zeros((len(scene.frames), 240, 960, 3), dtype=np.uint8)
    pictures[:, 0, 0, 0] = np.arange(len(scene.frames))
    return [Frame(picture, at, at / rate_hz) for at, picture in enumerate(pictures)]


def track(scene: Scene) -> FaceTracker:
    tracker = FaceTracker(scene, scene)
    for frame in frames_of(scene):
        tracker.update(frame)
    return tracker


def test_moving_face_keeps_its_number_with_few_detections() -> None:
    scene = Scene([[(100 + 3.0 * at, 120, 30)] for at in range(40)])
    tracks = track(scene).tracks()
    assert len(tracks) == 1
    assert [sample.frame_index for sample in tracks[0].samples] == list(range(40))
    assert scene.detections == 5


def test_number_survives_a_short_gap_and_not_a_long_one() -> None:
    face: list[Place] = [(150, 120, 30)]
    short = track(Scene([face] * 8 + [[]] * 8 + [face] * 8)).tracks()
    long = track(Scene([face] * 8 + [[]] * 40 + [face] * 8)).tracks()
    assert [len(found.samples) for found in short] == [16]
    assert [len(found.samples) for found in long] == [8, 8]


def test_what_is_forgotten_is_gone_and_numbers_go_on() -> None:
    face: list[Place] = [(150, 120, 30)]
    scene = Scene([face] * 30 + [[]] * 60 + [face] * 30)
    tracker = FaceTracker(scene, scene)
    most = 0
    for frame in frames_of(scene):
        tracker.update(frame)
        tracker.forget(frame.time_s - 0.5)
        most = max(most, sum(len(track.samples) for track in tracker.tracks()))
    (left,) = tracker.tracks()
    assert most <= 10 and left.track == 1 and left.samples[0].time_s >= 119 / 15 - 0.5


def test_two_faces_do_not_swap() -> None:
    scene = Scene([[(100, 120, 30), (350.0 - at, 120, 30)] for at in range(30)])
    tracks = track(scene).tracks()
    assert len(tracks) == 2
    for found, start in zip(tracks, (100, 350), strict=True):
        assert abs(found.samples[0].box.keypoints_px[:2, 0].mean() - start) < 2
        assert len(found.samples) == 30


def test_twelve_faces_are_all_counted_but_only_the_largest_are_followed() -> None:
    crowd: list[Place] = [(40 + 78.0 * at, 120, 12 + at) for at in range(12)]
    scene = Scene([crowd] * 17)
    tracks = track(scene).tracks()
    lengths = [len(found.samples) for found in tracks]
    assert len(tracks) == 12
    assert sorted(lengths)[-MESHED:] == [17] * MESHED
    assert max(sorted(lengths)[:-MESHED]) == 3
    assert scene.meshes <= 12 * 3 + MESHED * 14


def test_main_face_is_the_longest_and_largest() -> None:
    scene = Scene([[(100, 120, 20), (400, 120, 40)]] * 10)
    tracks = track(scene).tracks()
    main = main_track(tracks)
    assert main is not None
    assert tracks[main].samples[0].box.keypoints_px[0, 0] > 300
    assert main_track(()) is None


def test_no_face_gives_no_measures() -> None:
    scene = Scene([[]] * 5)
    measures = read_faces(frames_of(scene), FaceTracker(scene, scene), None)
    assert (measures.frames_seen, measures.tracks, measures.main, measures.action_units) == (5, (), None, None)


def test_expressions_have_a_row_for_each_sample_also_when_crops_are_shared() -> None:
    class ByIndex:
        def __call__(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            assert crops.shape[1:] == (160, 160, 3)
            return np.full((len(crops), 7), 1 / 7, np.float32), np.zeros((len(crops), 128), np.float32)

    scene = Scene([[(150, 120, 30)]] * 20)
    tracker = FaceTracker(scene, scene)
    measures = read_faces(frames_of(scene), tracker, ByIndex())
    assert measures.expressions is not None and measures.expressions.shape == (20, 7)
    assert measures.face_features is not None and measures.face_features.shape == (20, 128)
    tracker.share_crops(4)
    crops = {id(sample.crop) for sample in tracker.tracks()[0].samples}
    assert len(crops) == 5


def test_a_cut_ends_tracks_and_another_face_at_the_same_place_is_another() -> None:
    scene = Scene([[(150, 120, 30)]] * 24)
    views = [np.random.default_rng(seed).integers(0, 255, (6, 24, 3)).astype(np.uint8) for seed in (1, 2)]
    tracker = FaceTracker(scene, scene)
    for frame in frames_of(scene):
        view = views[frame.index // 12].repeat(40, axis=0).repeat(40, axis=1)
        view[0, 0, 0] = frame.index
        tracker.update(Frame(view, frame.index, frame.time_s))
    assert tracker.cuts_s == (12 / 15.0,)
    assert [len(found.samples) for found in tracker.tracks()] == [12, 12]
    assert [found.track for found in tracker.tracks()] == [0, 1]


def test_colours_around_a_face_are_remembered() -> None:
    box = box_of_mesh(mesh_at((480, 120, 30)), 0.9)
    picture = np.zeros((240, 960, 3), np.uint8)
    picture[:, :, 0] = 200
    red, same = surround_colours(picture, box), surround_colours(picture + 0, box)
    blue = surround_colours(np.ascontiguousarray(picture[:, :, ::-1]), box)
    assert colours_apart(red, same) == 0.0
    assert colours_apart(red, blue) == 1.0
    assert colours_apart(red, None) is None
    close = box_of_mesh(mesh_at((480, 120, 200)), 0.9)  # fills the picture: no hair, no clothes
    assert surround_colours(picture, close) is None
