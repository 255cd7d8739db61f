"""Rotated square regions of a picture: where a face is looked for, and the upright crop that the face nets see."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

CROP_PX = 160
"""Side of `FaceSample.crop`."""

CROP_SCALE = 1.2
"""Side of the face crop in face boxes: 20 % more than the longer side of the mesh."""

REGION_SCALE = 1.5
"""Side of the region the mesh net sees, in face boxes: 25 % margin on each side, as the net was trained."""

RIGHT_EYE_CORNERS = (33, 133)  # outer, inner: the person's right, left in the picture
LEFT_EYE_CORNERS = (263, 362)


@dataclass(frozen=True)
class Region:
    """A square in the picture: centre and side in px, turned by `angle_rad` (clockwise as seen in the picture)."""

    x_px: float
    y_px: float
    side_px: float
    angle_rad: float

    def affine(self, size_px: int) -> NDArray[np.float64]:
        """(2, 3) matrix from picture px to px of the upright square of `size_px`."""
        scale = size_px / self.side_px
        cos, sin = np.cos(self.angle_rad) * scale, np.sin(self.angle_rad) * scale
        turn = np.array([[cos, sin], [-sin, cos]])
        shift = size_px / 2 - turn @ np.array([self.x_px, self.y_px])
        return np.concatenate([turn, shift[:, None]], axis=1)

    def to_picture(self, points: NDArray[np.float32], size_px: int) -> NDArray[np.float32]:
        """Points (N, 3) of the upright square of `size_px`, mapped back to picture px; z only changes its scale."""
        scale = self.side_px / size_px
        cos, sin = np.cos(self.angle_rad) * scale, np.sin(self.angle_rad) * scale
        centred = points[:, :2] - size_px / 2
        x = centred[:, 0] * cos - centred[:, 1] * sin + self.x_px
        y = centred[:, 0] * sin + centred[:, 1] * cos + self.y_px
        return np.stack([x, y, points[:, 2] * scale], axis=1).astype(np.float32)


def eye_angle_rad(right_eye_px: NDArray[np.float32], left_eye_px: NDArray[np.float32]) -> float:
    """In-plane turn of the head from the two eye centres (x, y in px); 0 for level eyes, 0 if both fall together."""
    dx, dy = (left_eye_px - right_eye_px)[:2]
    return float(np.arctan2(dy, dx))


def region_of_box(corners_px: NDArray[np.float32], keypoints_px: NDArray[np.float32]) -> Region:
    """Region for the mesh net from a detection: corners (4,) and keypoints (6, 2), eyes first."""
    x0, y0, x1, y1 = (float(value) for value in corners_px)
    side = max(x1 - x0, y1 - y0) * REGION_SCALE
    return Region((x0 + x1) / 2, (y0 + y1) / 2, max(side, 1.0), eye_angle_rad(keypoints_px[0], keypoints_px[1]))


def region_of_mesh(mesh_px: NDArray[np.float32], scale: float = REGION_SCALE) -> Region:
    """Region around a mesh (468, 3) in picture px: eye-aligned, `scale` times the longer side of the mesh."""
    right = mesh_px[list(RIGHT_EYE_CORNERS)].mean(axis=0)
    left = mesh_px[list(LEFT_EYE_CORNERS)].mean(axis=0)
    angle = eye_angle_rad(right, left)
    cos, sin = np.cos(angle), np.sin(angle)
    upright = mesh_px[:, :2] @ np.array([[cos, -sin], [sin, cos]])
    low, high = upright.min(axis=0), upright.max(axis=0)
    centre = np.array([[cos, -sin], [sin, cos]]) @ ((low + high) / 2)
    return Region(float(centre[0]), float(centre[1]), max(float((high - low).max()) * scale, 1.0), angle)


def cut(rgb: NDArray[np.uint8], region: Region, size_px: int) -> NDArray[np.uint8]:
    """The region as an upright (size_px, size_px, 3) picture; outside the frame the edge is continued.

    A region much larger than `size_px` is halved first as often as needed: bilinear sampling alone would alias.
    """
    affine = region.affine(size_px)
    if region.side_px > 2 * size_px:
        half = region.side_px * 0.75
        x0, y0 = max(int(region.x_px - half), 0), max(int(region.y_px - half), 0)
        patch = rgb[y0 : int(region.y_px + half) + 1, x0 : int(region.x_px + half) + 1]
        shrink = size_px / region.side_px
        width, height = max(round(patch.shape[1] * shrink), 1), max(round(patch.shape[0] * shrink), 1)
        if patch.size:
            scale = np.diag([patch.shape[1] / width, patch.shape[0] / height, 1.0])
            scale[:2, 2] = (x0, y0)
            rgb = cv2.resize(patch, (width, height), interpolation=cv2.INTER_AREA)
            affine = affine @ scale
    square = cv2.warpAffine(rgb, affine, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(square, dtype=np.uint8)


def face_crop(rgb: NDArray[np.uint8], mesh_px: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Upright, eye-aligned (160, 160, 3) crop of the face that `mesh_px` (468, 3) describes."""
    return cut(rgb, region_of_mesh(mesh_px, CROP_SCALE), CROP_PX)
