"""A frame as a picture inside the page, with the face's mesh and box as lines over it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_WIDEST_PX = 960
_JPEG_QUALITY = 86

# Lines of the 468-point mesh, as chains of point numbers; a chain that returns to its first point is closed.
CONTOURS: dict[str, tuple[tuple[int, ...], ...]] = {
    "oval": (
        (
            *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
            *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109, 10),
        ),
    ),
    "eyes": (
        (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 33),
        (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466, 263),
    ),
    "brows": (
        (46, 53, 52, 65, 55, 107, 66, 105, 63, 70, 46),
        (276, 283, 282, 295, 285, 336, 296, 334, 293, 300, 276),
    ),
    "nose": ((168, 6, 197, 195, 5, 4, 1), (98, 97, 2, 326, 327)),
    "lips": (
        (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 61),
        (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 78),
    ),
}


@dataclass(frozen=True)
class Figure:
    """One picture for the page: its bytes as a data URI, its size, and what is drawn over it, in its own px."""

    uri: str
    width_px: int
    height_px: int
    contours: tuple[str, ...]  # SVG path texts
    points: tuple[tuple[float, float], ...]
    boxes: tuple[tuple[float, float, float, float, bool], ...]  # x, y, width, height, main face or not
    line_px: float


@dataclass(frozen=True)
class Overlay:
    """What is drawn over a frame, in px of the frame: the main face's mesh (468, 3) and boxes as corners."""

    mesh_px: NDArray[np.float32] | None = None
    box_px: tuple[float, float, float, float] | None = None
    other_boxes_px: tuple[tuple[float, float, float, float], ...] = ()


def whole_frame(rgb: NDArray[np.uint8], overlay: Overlay) -> Figure:
    """The frame (H, W, 3) with boxes and contours."""
    height, width = rgb.shape[:2]
    return _figure(rgb, overlay, (0, 0, width, height), _WIDEST_PX, with_points=False)


def close_up(rgb: NDArray[np.uint8], overlay: Overlay) -> Figure | None:
    """The face alone, a little wider than its mesh, with contours and points; `None` without a mesh."""
    if overlay.mesh_px is None:
        return None
    height, width = rgb.shape[:2]
    low, high = overlay.mesh_px[:, :2].min(axis=0), overlay.mesh_px[:, :2].max(axis=0)
    centre, half = (low + high) / 2, 0.68 * float((high - low).max())
    x0, y0 = max(0, int(centre[0] - half)), max(0, int(centre[1] - half))
    x1, y1 = min(width, int(centre[0] + half) + 1), min(height, int(centre[1] + half) + 1)
    if x1 - x0 < 8 or y1 - y0 < 8:
        return None
    return _figure(rgb, Overlay(mesh_px=overlay.mesh_px), (x0, y0, x1, y1), 520, with_points=True)


def _figure(
    rgb: NDArray[np.uint8], overlay: Overlay, region: tuple[int, int, int, int], widest_px: int, *, with_points: bool
) -> Figure:
    x0, y0, x1, y1 = region
    scale = min(1.0, widest_px / max(x1 - x0, y1 - y0))
    size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    picture = Image.fromarray(np.ascontiguousarray(rgb[y0:y1, x0:x1])).resize(size, Image.Resampling.LANCZOS)
    offset = np.array([x0, y0], dtype=np.float32)
    mesh = None if overlay.mesh_px is None else (overlay.mesh_px[:, :2] - offset) * scale
    boxes = [(overlay.box_px, True)] if overlay.box_px is not None else []
    boxes += [(box, False) for box in overlay.other_boxes_px]
    return Figure(
        uri=_data_uri(picture),
        width_px=size[0],
        height_px=size[1],
        contours=() if mesh is None else contour_paths(mesh),
        points=tuple((round(float(x), 1), round(float(y), 1)) for x, y in mesh)
        if with_points and mesh is not None
        else (),
        boxes=tuple((*_rectangle(box, offset, scale), main) for box, main in boxes),
        line_px=round(max(size) / 420, 2),
    )


def contour_paths(mesh: NDArray[np.float32]) -> tuple[str, ...]:
    """One SVG path text for each part of the face, from mesh points (468, 2)."""
    return tuple(" ".join(_chain(mesh, chain) for chain in chains) for chains in CONTOURS.values())


def _chain(mesh: NDArray[np.float32], chain: tuple[int, ...]) -> str:
    return "M" + "L".join(f"{mesh[point, 0]:.1f} {mesh[point, 1]:.1f}" for point in chain)


def _rectangle(
    box: tuple[float, float, float, float], offset: NDArray[np.float32], scale: float
) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(float(value), 1) for value in (np.array(box) - np.tile(offset, 2)) * scale)
    return x0, y0, round(x1 - x0, 1), round(y1 - y0, 1)


def _data_uri(picture: Image.Image) -> str:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode("ascii")
