from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotion_llama.errors import AssetMissingError
from emotion_llama.perception.crop import Region, cut, face_crop, region_of_mesh
from emotion_llama.perception.geometry import align, neutral_face, pose_deg
from emotion_llama.perception.mesh import MeshReader


def turned(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """The neutral face as seen in a picture: turned by degrees, scaled and moved, in px."""
    p, y, r = np.radians([-pitch, yaw, -roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    mesh = neutral_face().mesh @ (about_z @ about_y @ about_x).T * 55
    return (mesh * [1, -1, -1] + [300, 200, 0]).astype(np.float32)


@pytest.mark.parametrize("pose", [(0, 0, 0), (15, 0, 0), (0, 25, 0), (0, 0, 30), (0, -20, -15)])
def test_pose_is_recovered_and_removed(pose: tuple[float, float, float]) -> None:
    aligned, rotations = align(turned(*pose)[None], neutral_face().mesh)
    np.testing.assert_allclose(pose_deg(rotations)[0], pose, atol=0.5)
    np.testing.assert_allclose(aligned[0], neutral_face().mesh, atol=5e-3)


def test_region_maps_there_and_back() -> None:
    region = Region(120.0, 80.0, 60.0, 0.4)
    points = np.array([[0, 0, 0], [192, 96, 5], [33, 150, -7]], dtype=np.float32)
    picture = region.to_picture(points, 192)
    back = region.affine(192) @ np.column_stack([picture[:, :2], np.ones(3)]).T
    np.testing.assert_allclose(back.T, points[:, :2], atol=1e-3)
    np.testing.assert_allclose(picture[:, 2], points[:, 2] * 60 / 192, atol=1e-4)


@pytest.mark.parametrize("side", [100.0, 640.0])
def test_cut_turns_the_picture_upright_whatever_its_size(side: float) -> None:
    rows, columns = np.mgrid[0:900, 0:900]
    angle = 0.5
    across = (columns - 450) * np.cos(angle) + (rows - 450) * np.sin(angle)
    picture = np.repeat(((across > 0) * 200).astype(np.uint8)[:, :, None], 3, axis=2)
    square = cut(picture, Region(450, 450, side, angle), 160)
    assert square.shape == (160, 160, 3)
    assert square[:, :77].max() == 0
    assert square[:, 83:].min() == 200


def test_crop_is_eye_aligned_and_holds_the_whole_face() -> None:
    mesh = turned(0, 0, 25)
    affine = region_of_mesh(mesh, 1.2).affine(160)
    inside = (affine @ np.column_stack([mesh[:, :2], np.ones(468)]).T).T
    assert inside.min() > 0 and inside.max() < 160
    right, left = inside[[33, 133]].mean(axis=0), inside[[263, 362]].mean(axis=0)
    assert abs(right[1] - left[1]) < 0.1 and right[0] < left[0]
    assert face_crop(np.zeros((400, 600, 3), np.uint8), mesh).shape == (160, 160, 3)


def test_missing_graph_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match="emotion-llama fetch nano"):
        MeshReader(tmp_path)
