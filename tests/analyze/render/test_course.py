"""Where faces are between samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from emotion_llama.analyze.render.course import FaceCourse
from emotion_llama.measurements import FaceBox, FaceBoxes, FaceMeasures


def moving(make_faces: Callable[..., FaceMeasures], times_s: list[float], tracks: int = 1) -> FaceCourse:
    """A face 10 px wide that moves 100 px a second to the right."""
    faces = make_faces(len(times_s), tracks)

    def at(sample, time_s):  # type: ignore[no-untyped-def]
        corners = np.array([100 * time_s, 0, 100 * time_s + 10, 10], np.float32)
        mesh_px = np.full((468, 3), 100 * time_s, np.float32)
        return replace(sample, time_s=time_s, mesh_px=mesh_px, box=FaceBox(corners, sample.box.keypoints_px, 0.9))

    samples = tuple(at(s, t) for s, t in zip(faces.tracks[0].samples, times_s, strict=True))
    return FaceCourse(replace(faces, tracks=tuple(replace(track, samples=samples) for track in faces.tracks)))


def test_between_samples_in_a_straight_line(make_faces: Callable[..., FaceMeasures]) -> None:
    (face,) = moving(make_faces, [0.0, 0.1, 0.3]).at(0.25, 0.0)
    assert np.allclose(face.box_px, [25, 0, 35, 10], atol=0.01) and face.main
    assert face.mesh_px is not None and face.mesh_px.shape == (468, 2) and np.allclose(face.mesh_px, 25, atol=0.01)


def test_held_a_moment_and_no_longer(make_faces: Callable[..., FaceMeasures]) -> None:
    course = moving(make_faces, [1.0, 1.1, 1.2])
    assert [len(course.at(t, 0.2)) for t in (0.7, 0.85, 1.0, 1.35, 1.45)] == [0, 1, 1, 1, 0]


def test_a_long_gap_is_no_movement(make_faces: Callable[..., FaceMeasures]) -> None:
    course = moving(make_faces, [0.0, 0.1, 0.2, 3.0, 3.1])
    assert course.at(1.5, 0.2) == []
    assert course.at(0.3, 0.2)[0].box_px[0] == 20
    thin = moving(make_faces, [0.0, 2.0, 4.0])
    assert np.isclose(thin.at(1.0, 0.2)[0].box_px[0], 100)


def test_nobody_and_several(make_faces: Callable[..., FaceMeasures]) -> None:
    assert FaceCourse(None).at(0.0, 1.0) == [] and FaceCourse(None).boxes_px().shape == (0, 4)
    course = moving(make_faces, [0.0, 0.1], tracks=2)
    assert course.several and [face.main for face in course.at(0.05, 0.0)] == [True, False]


def test_boxes_alone_stand_in_for_faces(make_faces: Callable[..., FaceMeasures]) -> None:
    corners = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32)
    boxes = (FaceBoxes(3, False, np.array([0, 0.2], np.float32), corners),)
    (face,) = FaceCourse(make_faces(4), boxes).at(0.1, 0.0)
    assert (face.track, face.main, face.mesh_px) == (3, False, None) and np.allclose(face.box_px, [10, 0, 20, 10])
