"""Small translucent plates of text and bars, laid over pictures: legible on bright and on dark ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from emotion_llama.analyze.render.fonts import Font, font_for

INK = (255, 255, 255, 255)
SOFT = (205, 212, 218, 255)
ACCENT = (104, 207, 193, 255)
TRACK = (255, 255, 255, 56)
PLATE = (12, 15, 18, 165)
WORDS_PLATE = (12, 15, 18, 205)
"""Recordings have words of their own at their foot: less of them shines through."""

Plate = NDArray[np.uint8]  # (H, W, 4)


@dataclass(frozen=True)
class Bar:
    """One row: a name, its size as a share of the whole bar, the same as text, and whether it stands out."""

    name: str
    share: float
    figure: str
    strong: bool = False


def text_px(width_px: int, height_px: int) -> int:
    """Letter size for pictures of this size: about 10 px on a 320 px wide film, 23 px on a 1280 px wide one."""
    return max(10, round(0.019 * math.sqrt(width_px * height_px) + 5))


def lay(rgb: NDArray[np.uint8], plate: Plate, left_px: int, top_px: int) -> None:
    """Draw a plate into a picture (H, W, 3), in place; what does not fit is cut off."""
    height, width = rgb.shape[:2]
    x0, y0 = max(0, left_px), max(0, top_px)
    x1, y1 = min(width, left_px + plate.shape[1]), min(height, top_px + plate.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    part = plate[y0 - top_px : y1 - top_px, x0 - left_px : x1 - left_px]
    alpha = part[..., 3:].astype(np.uint16)
    under = rgb[y0:y1, x0:x1].astype(np.uint16)
    rgb[y0:y1, x0:x1] = ((part[..., :3] * alpha + under * (255 - alpha)) // 255).astype(np.uint8)


@lru_cache(maxsize=64)
def bars_plate(title: str, bars: tuple[Bar, ...], letter_px: int, width_px: int) -> Plate:
    """A title above rows of name, bar and figure; `width_px` wide."""
    font, pad, row = font_for("".join((title, *(bar.name for bar in bars))), letter_px), letter_px // 2, _row(letter_px)
    head = font_for(title, round(1.2 * letter_px))
    head_px = round(1.75 * letter_px) if title else 0
    image, draw = _empty(width_px, 2 * pad + head_px + row * len(bars))
    if title:
        draw.text((pad, pad), _shortened(title, head, width_px - 2 * pad), font=head, fill=INK)
    names_px = min(_widest([bar.name for bar in bars], font), round(0.6 * (width_px - 2 * pad)))
    figures_px = _widest([bar.figure for bar in bars], font)
    left, right = pad + names_px + pad, width_px - pad - figures_px - (pad if figures_px else 0)
    for place, bar in enumerate(bars):
        top, ink = pad + head_px + place * row, INK if bar.strong else SOFT
        draw.text((pad, top), _shortened(bar.name, font, names_px), font=font, fill=ink)
        draw.text((width_px - pad, top), bar.figure, font=font, fill=ink, anchor="ra")
        _draw_bar(draw, (left, top + round(0.3 * letter_px), right, top + round(0.9 * letter_px)), bar)
    return np.asarray(image)


@lru_cache(maxsize=64)
def text_plate(text: str, letter_px: int, most_px: int) -> Plate:
    """Centred lines of text, at most `most_px` wide."""
    font, pad, row = font_for(text, letter_px), letter_px // 2, round(1.3 * letter_px)
    lines = _wrapped(text, font, most_px - 2 * pad)
    width = min(most_px, _widest(lines, font) + 2 * pad)
    image, draw = _empty(width, row * len(lines) + pad, WORDS_PLATE)
    for place, line in enumerate(lines):
        draw.text((width / 2, pad // 2 + place * row), line, font=font, fill=INK, anchor="ma")
    return np.asarray(image)


def bars_height_px(rows: int, letter_px: int) -> int:
    """How tall a plate with a title and so many rows is."""
    return 2 * (letter_px // 2) + round(1.75 * letter_px) + _row(letter_px) * rows


def _row(letter_px: int) -> int:
    return round(1.4 * letter_px)


def _empty(
    width_px: int, height_px: int, colour: tuple[int, int, int, int] = PLATE
) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGBA", (max(1, width_px), max(1, height_px)), (*PLATE[:3], 0))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, image.width - 1, image.height - 1), radius=min(10, height_px // 6), fill=colour)
    return image, ImageDraw.Draw(image)


def _draw_bar(draw: ImageDraw.ImageDraw, corners: tuple[int, int, int, int], bar: Bar) -> None:
    x0, y0, x1, y1 = corners
    if x1 - x0 < 4:
        return
    # drawing replaces what lies below, its opacity too: the empty part is mixed with the plate by hand
    draw.rectangle((x0, y0, x1, y1), fill=_mixed(TRACK))
    length = round(min(1.0, max(0.0, bar.share)) * (x1 - x0))
    if length:
        draw.rectangle((x0, y0, x0 + length, y1), fill=ACCENT if bar.strong else SOFT)


def _mixed(colour: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    share = colour[3] / 255
    red, green, blue = (round(share * top + (1 - share) * under) for top, under in zip(colour, PLATE[:3], strict=False))
    return red, green, blue, PLATE[3] + round(share * (255 - PLATE[3]))


def _widest(texts: Sequence[str], font: Font) -> int:
    return max((math.ceil(font.getlength(text)) for text in texts), default=0)


def _shortened(text: str, font: Font, most_px: int) -> str:
    if font.getlength(text) <= most_px:
        return text
    while text and font.getlength(text + "…") > most_px:
        text = text[:-1]
    return text.rstrip() + "…"


def _wrapped(text: str, font: Font, most_px: int) -> list[str]:
    """Lines that fit; a word longer than a line (or a text without spaces) is broken."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        trial = f"{line} {word}".strip()
        if font.getlength(trial) <= most_px:
            line = trial
            continue
        lines += [line] if line else []
        while font.getlength(word) > most_px and len(word) > 1:
            fits = next((n for n in range(len(word), 1, -1) if font.getlength(word[:n]) <= most_px), 1)
            lines.append(word[:fits])
            word = word[fits:]
        line = word
    return [*lines, line] if line else lines or [""]
