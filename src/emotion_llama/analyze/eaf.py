"""ELAN's annotation file (EAF 3.0): the tiers as time-aligned annotations, the recording linked beside them."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from emotion_llama.analyze.tiers import Interval, Tier, Tiers, apart, tiers_of
from emotion_llama.analyze.writers import one_line, write_text

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import Result

POINT_S = 0.04
"""ELAN has no points: an apex is an annotation as long as a frame of most videos."""

MIME_TYPES = {".wav": "audio/x-wav", ".mp4": "video/mp4", ".mov": "video/quicktime", ".mkv": "video/x-matroska"}
"""As ELAN calls them; others by the system's table."""

_LINGUISTIC_TYPE = "default-lt"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"


def write_eaf(result: Result, path: Path) -> None:
    """Write one clip's tiers. Raises `OutputError` naming the path."""
    document = render_eaf(tiers_of(result), result.material.media_path, path.parent)
    ElementTree.indent(document)
    text = ElementTree.tostring(document, encoding="unicode")
    write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n', path)


def render_eaf(tiers: Tiers, media: Path | None, folder: Path) -> ElementTree.Element:
    """The document, to be written into `folder`, from where `media` is found by a relative path."""
    ElementTree.register_namespace("xsi", _INSTANCE)
    shown = [_named(tier, tiers.end_s) for tier in (*tiers.interval_tiers, *tiers.point_tiers)]
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "emotion-llama",
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{_INSTANCE}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    if media is not None:
        ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", dict(_media(media, folder)))
    count = sum(len(tier.intervals) for tier in shown)
    ElementTree.SubElement(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"}).text = str(count)
    slots = _time_order(root, shown)
    _annotations(root, shown, slots)
    attributes = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": _LINGUISTIC_TYPE, "TIME_ALIGNABLE": "true"}
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", attributes)
    return root


def _named(tier: Tier, end_s: float) -> Tier:
    """A tier as intervals; each point lasts as long as a frame."""
    if not tier.points:
        return tier
    return Tier(tier.name, apart((Interval(p.time_s, p.time_s + POINT_S, p.text) for p in tier.points), end_s))


def _media(media: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """The attributes that link the recording. ELAN takes these addresses as they are: blanks are not encoded."""
    media, folder = media.resolve(), folder.resolve()
    kind = MIME_TYPES.get(media.suffix.lower()) or mimetypes.guess_type(media.name)[0]
    yield "MEDIA_URL", one_line(f"file:///{media.as_posix().removeprefix('/')}")
    yield "MIME_TYPE", kind or "unknown"
    try:
        relative = Path(os.path.relpath(media, folder)).as_posix()
    except ValueError:  # another drive (Windows)
        return
    yield "RELATIVE_MEDIA_URL", one_line(relative if relative.startswith("../") else f"./{relative}")


def _time_order(root: ElementTree.Element, shown: list[Tier]) -> dict[int, str]:
    """Write every time once, in order; gives millisecond → its slot."""
    order = ElementTree.SubElement(root, "TIME_ORDER")
    times = {_ms(time_s) for tier in shown for one in tier.intervals for time_s in (one.start_s, one.end_s)}
    slots = {time_ms: f"ts{number}" for number, time_ms in enumerate(sorted(times), start=1)}
    for time_ms, slot in slots.items():
        ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": str(time_ms)})
    return slots


def _annotations(root: ElementTree.Element, shown: list[Tier], slots: dict[int, str]) -> None:
    number = 0
    for tier in shown:
        element = ElementTree.SubElement(root, "TIER", {"LINGUISTIC_TYPE_REF": _LINGUISTIC_TYPE, "TIER_ID": tier.name})
        for interval in tier.intervals:
            number += 1
            aligned = ElementTree.SubElement(
                ElementTree.SubElement(element, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                {
                    "ANNOTATION_ID": f"a{number}",
                    "TIME_SLOT_REF1": slots[_ms(interval.start_s)],
                    "TIME_SLOT_REF2": slots[_ms(interval.end_s)],
                },
            )
            ElementTree.SubElement(aligned, "ANNOTATION_VALUE").text = one_line(interval.text)


def _ms(time_s: float) -> int:
    return round(time_s * 1000)
