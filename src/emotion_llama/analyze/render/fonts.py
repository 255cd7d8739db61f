"""A font that has the letters of a text: Pillow's own, else one of this machine's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

SYSTEM_FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "segoeui.ttf", "Arial Unicode.ttf", "arial.ttf"),
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "wqy-microhei.ttc", "msyh.ttc", "PingFang.ttc"),
    *("Hiragino Sans GB.ttc", "malgun.ttf", "NotoSansArabic-Regular.ttf", "NotoSansDevanagari-Regular.ttf"),
)
"""Files that are asked for where Pillow's own font lacks a letter."""

_NO_LETTER = "\U0010fffe"  # never a letter: what a font draws for it stands for all that it lacks


def font_for(text: str, size_px: int) -> Font:
    """The first font that has all letters of `text`; the one that lacks the fewest where none has all of them."""
    letters = frozenset(letter for letter in text if not letter.isspace())
    lacking = {}
    for number, font in enumerate(_fonts(size_px)):
        lacks = sum(not _has(font, letter) for letter in letters)
        if not lacks:
            return font
        lacking[number] = lacks
    return list(_fonts(size_px))[min(lacking, key=lacking.__getitem__)]


def _fonts(size_px: int) -> Iterator[Font]:
    yield _own(size_px)
    for name in SYSTEM_FONTS:
        font = _system(name, size_px)
        if font is not None:
            yield font


@lru_cache(maxsize=32)
def _own(size_px: int) -> Font:
    return ImageFont.load_default(size_px)


@lru_cache(maxsize=256)
def _system(name: str, size_px: int) -> Font | None:
    try:
        return ImageFont.truetype(name, size_px)
    except OSError:
        return None


@lru_cache(maxsize=4096)
def _has(font: Font, letter: str) -> bool:
    return _drawn(font, letter) != _drawn(font, _NO_LETTER)


def _drawn(font: Font, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)
