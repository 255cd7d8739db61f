"""Still pictures through Pillow: upright by EXIF, RGB, not larger than asked."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from emotion_llama.errors import MediaError

PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
EXIF_ORIENTATION = 0x0112
# EXIF orientation → clockwise turn in degrees that makes the picture upright (mirrored kinds: turn after the flip)
EXIF_TURN_DEG = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}


def open_picture(path: Path) -> Image.Image | None:
    """The picture in `path`, not yet decoded; `None` when the content is no still picture (an animated GIF is none)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large is fine: it is reduced on reading
            picture = Image.open(path, formats=PICTURE_FORMATS)
    except UnidentifiedImageError:
        return None
    except (OSError, Image.DecompressionBombError) as error:
        raise MediaError(f"{path}: cannot be read as a picture: {error}; save it again, smaller") from error
    return None if picture.format == "GIF" and getattr(picture, "n_frames", 1) > 1 else picture


def picture_rotation_deg(picture: Image.Image) -> int:
    """Clockwise turn in degrees that makes the picture upright, from its EXIF data."""
    return EXIF_TURN_DEG.get(picture.getexif().get(EXIF_ORIENTATION, 1), 0)


def read_picture(path: Path, picture: Image.Image, max_side_px: int) -> NDArray[np.uint8]:
    """Upright RGB pixels (H, W, 3), longer side at most `max_side_px`. Transparent parts become white.

    Raises `MediaError` for a picture that is cut off.
    """
    try:
        picture.draft("RGB", (max_side_px, max_side_px))  # JPEG: decode at a reduced size at once
        upright = ImageOps.exif_transpose(picture)
        upright.thumbnail((max_side_px, max_side_px))
        return np.ascontiguousarray(_rgb(upright))
    except (OSError, SyntaxError, ValueError) as error:
        raise MediaError(f"{path}: the picture is damaged ({error}); expected a whole one; save it again") from error


def _rgb(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I;16"):
        grey = (np.asarray(picture, np.uint16) >> 8).astype(np.uint8)
        return np.stack([grey] * 3, axis=-1)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return np.asarray(picture.convert("RGB"))
