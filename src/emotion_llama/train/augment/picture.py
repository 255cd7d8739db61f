"""Changed copies of a clip's frames: side, cut, angle, light, focus, compression, lost and frozen frames.

One draw holds for the whole clip, so that a video stays one video. Frames come and go one by one; sizes stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import MediaError
from emotion_llama.media.types import Frame
from emotion_llama.train.augment.settings import AugmentSettings, PictureSettings, Range

PICTURE = NDArray[np.uint8]

BLUR_HEIGHT_PX = 256
FREEZE_FRAMES = 5  # mean length of a freeze: a fifth of a second at 25 frames a second


@dataclass(frozen=True)
class PictureDraw:
    """What is done to one clip's frames; `None`, `False` and 0 are not done. `seed` chooses lost and frozen frames.

    `shift`: right and down, as shares of width and height. `light`: brightness, contrast, gamma.
    """

    seed: int = 0
    flip: bool = False
    zoom: float | None = None
    shift: Range | None = None
    rotation_deg: float | None = None
    light: tuple[float, float, float] | None = None
    gray: bool = False
    blur_sigma_px: float | None = None
    jpeg_quality: int | None = None
    drop_share: float = 0.0
    freeze_share: float = 0.0

    def record(self) -> dict[str, Any]:
        """Plain values that make the same copy again: `PictureDraw(**record)`."""
        return asdict(self)


def augment_frames(
    frames: Iterable[Frame], settings: AugmentSettings, rng: np.random.Generator, speed: float = 1.0
) -> Iterator[Frame]:
    """Give a changed copy of a clip's frames, one by one; the draw is made now, not when the first is asked for.

    `speed`: that of the clip's sound (`SoundDraw.speed`), so that both stay together. A still picture is a clip of
    one frame. Raises `MediaError` for a frame that is no RGB picture of bytes.
    """
    return apply_picture(frames, draw_picture(settings, rng), speed)


def draw_picture(settings: AugmentSettings, rng: np.random.Generator) -> PictureDraw:
    """Draw what is done to one clip. Every value is drawn, used or not: a changed probability moves no other draw."""
    how = settings.picture
    if how is None:
        return PictureDraw()
    seed = int(rng.integers(2**31))
    done = dict(zip(PictureSettings.model_fields, rng.random(len(PictureSettings.model_fields)), strict=True))
    done = {name: share < getattr(how, name).probability for name, share in done.items()}
    zoom, shift = rng.uniform(*how.crop.zoom), (rng.uniform(*how.crop.shift), rng.uniform(*how.crop.shift))
    rotation_deg = rng.uniform(*how.rotation.degrees)
    light = (rng.uniform(*how.light.brightness), rng.uniform(*how.light.contrast), rng.uniform(*how.light.gamma))
    sigma_px, quality = rng.uniform(*how.blur.sigma_px), round(rng.uniform(*how.compression.quality))
    drop, freeze = rng.uniform(*how.drop.share), rng.uniform(*how.freeze.share)
    return PictureDraw(
        seed=seed,
        flip=bool(done["flip"]),
        zoom=zoom if done["crop"] else None,
        shift=shift if done["crop"] else None,
        rotation_deg=rotation_deg if done["rotation"] else None,
        light=light if done["light"] else None,
        gray=bool(done["gray"]),
        blur_sigma_px=sigma_px if done["blur"] else None,
        jpeg_quality=quality if done["compression"] else None,
        drop_share=drop if done["drop"] else 0.0,
        freeze_share=freeze if done["freeze"] else 0.0,
    )


def apply_picture(frames: Iterable[Frame], draw: PictureDraw, speed: float = 1.0) -> Iterator[Frame]:
    """Give the frames a draw describes; a frame keeps its index, and its time (divided by `speed`).

    Raises `MediaError` for a frame that is no RGB picture of bytes.
    """
    rng = np.random.default_rng(draw.seed)
    shown: PICTURE | None = None
    frozen = False
    for frame in frames:
        dropped, frozen = bool(rng.random() < draw.drop_share), _freezes(frozen, draw.freeze_share, rng)
        if shown is None or not (dropped or frozen):
            shown = change_picture(_checked(frame), draw)
        elif dropped:
            continue
        yield Frame(shown, frame.index, frame.time_s / speed)


def _freezes(frozen: bool, share: float, rng: np.random.Generator) -> bool:
    """Whether the next frame is frozen: a two-state chain, in the long run frozen for `share` of the frames."""
    stays, begins = 1 - 1 / FREEZE_FRAMES, share / (1 - share) / FREEZE_FRAMES
    return bool(rng.random() < (stays if frozen and share else begins))


def _checked(frame: Frame) -> PICTURE:
    rgb = frame.rgb
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not rgb.size:
        raise MediaError(
            f"frame {frame.index} at {frame.time_s:.2f} s to augment: expected bytes (height, width, 3), found "
            f"{rgb.dtype} {rgb.shape}; decode the recording again or take it out of the training data"
        )
    return rgb


def change_picture(rgb: PICTURE, draw: PictureDraw) -> PICTURE:
    """Give one picture, (H, W, 3) as it came, with all that the draw does to a single picture."""
    if draw.flip:
        rgb = np.asarray(cv2.flip(rgb, 1), np.uint8)
    if draw.zoom is not None or draw.shift is not None or draw.rotation_deg is not None:
        rgb = _moved(rgb, draw)
    if draw.light is not None:
        rgb = np.asarray(cv2.LUT(rgb, _light_table(*draw.light)), np.uint8)
    if draw.gray:
        rgb = np.asarray(cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    if draw.blur_sigma_px:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), draw.blur_sigma_px * rgb.shape[0] / BLUR_HEIGHT_PX), np.uint8)
    if draw.jpeg_quality is not None:
        rgb = _compressed(rgb, draw.jpeg_quality)
    return rgb


def _moved(rgb: PICTURE, draw: PictureDraw) -> PICTURE:
    """Rotated and zoomed about the centre, then shifted; what comes in from outside repeats the edge."""
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), draw.rotation_deg or 0.0, draw.zoom or 1.0)
    matrix[:, 2] += np.multiply(draw.shift or (0.0, 0.0), (width, height))
    return np.asarray(
        cv2.warpAffine(rgb, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _light_table(brightness: float, contrast: float, gamma: float) -> PICTURE:
    """Byte in → byte out: contrast about mid grey, brightness, then gamma."""
    value = (np.arange(256) / 255 - 0.5) * contrast + 0.5 + brightness
    return np.asarray(np.round(255 * np.clip(value, 0, 1) ** gamma), np.uint8)


def _compressed(rgb: PICTURE, quality: int) -> PICTURE:
    """Through JPEG and back."""
    _, code = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.cvtColor(cv2.imdecode(code, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)
