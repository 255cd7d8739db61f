"""Results, progress and refusals → the HTML that the page shows. Everything from a recording is escaped."""

from __future__ import annotations

import base64
import mimetypes
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np
from jinja2 import Template

from emotion_llama.analyze.console import headline
from emotion_llama.analyze.face_figure import Overlay, whole_frame
from emotion_llama.analyze.report import Drawing, report_of, templates
from emotion_llama.analyze.timeline.colours import all_of
from emotion_llama.analyze.writers import write_csv
from emotion_llama.clip import Analysis
from emotion_llama.errors import RequestError
from emotion_llama.languages import language
from emotion_llama.serve.model import Faces
from emotion_llama.serve.page.words import Words
from emotion_llama.serve.ticket import Event, Stage, Waiting
from emotion_llama.timeline import Window

MOST_TOLD = 4
"""The latest windows that are told in words while more are looked at."""

MOST_BAND = 120
"""The latest windows that are shown as colours then."""


@cache
def _template(name: str) -> Template:
    return templates("emotion_llama.serve.page", "emotion_llama.analyze").get_template(f"{name}.html.j2")


def result_html(drawing: Drawing, words: Words) -> str:
    """The answer: emotion, reasons, warnings, probabilities, the frame; and files to download."""
    shown = {**drawing, "w": words, "small": False, "heading": None, "downloads": _files(drawing), "seekable": True}
    return _template("result").render(shown)


def details_html(drawing: Drawing, words: Words) -> str:
    """What the answer rests on: curves over time, words, evidence, facial actions, timings."""
    return _template("details").render({**drawing, "w": words})


def compared_html(sides: Mapping[str, Drawing], words: Words) -> str:
    """Two results side by side, by their headings: what differs, without pictures and curves."""
    columns = [
        _template("result").render({**drawing, "w": words, "small": True, "heading": heading, "downloads": ()})
        for heading, drawing in sides.items()
    ]
    return f'<div class="el-two">{"".join(columns)}</div>'


def faces_html(faces: Faces, words: Words) -> str:
    """The picture with a box around each face; nothing where none was found: words say so."""
    if faces.rgb is None or not faces.boxes:
        return ""
    height, width = faces.rgb.shape[:2]
    corners = np.clip(faces.boxes, 0, 1) * (width, height, width, height)
    first, *others = [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in corners]
    figure = whole_frame(faces.rgb, Overlay(box_px=first, other_boxes_px=tuple(others)))
    alt = words["faces_alt"].format(count=len(faces.boxes))
    return f'<div class="el-result el-faces">{_template("macros").module.picture(figure, alt)}</div>'  # type: ignore[attr-defined]


def live_html(drawing: Drawing, words: Words) -> str:
    """What a picture of the camera shows: emotion, probabilities, the face in its box; or that there is no face."""
    return _template("live").render({**drawing, "w": words})


def answered_note_html(analysis: Analysis, took_ms: float, words: Words) -> str:
    """The line below the camera: the emotion again, which a phone has no room for beside it, and the latency."""
    told = words["live_no_face"]
    if analysis.faces:
        sure = "" if analysis.confidence is None else f" {100 * analysis.confidence:.0f} %"
        told = headline(analysis) + sure
    took = words["live_took"].format(ms=f"{took_ms:.0f}")
    return f'<p class="el-live-note"><b>{escape(told)}</b> · {escape(took)}</p>'


def live_note_html(text: str, *, trouble: bool = False) -> str:
    """A line below the camera."""
    return f'<p class="el-live-note{" trouble" if trouble else ""}">{escape(text)}</p>'


def progress_html(event: Event | None, written: str, words: Words, windows: Sequence[Window] = ()) -> str:
    """What is being done, what was written so far, and what windows over time showed."""
    stage = words["working"].format(stage="…")
    if isinstance(event, Waiting):
        stage = words["waiting"].format(before=event.before)
    elif isinstance(event, Stage):
        stage = words["working"].format(stage=words.get(f"stage_{event.name}", event.name))
    text = f'<p class="written" aria-label="{escape(words["written"])}">{escape(written)}</p>' if written else ""
    course = _windows_html(windows, words) if windows else ""
    told = f'<div role="status"><span class="stage">{escape(stage)}</span>{text}</div>'
    return f'<div class="el-status">{told}{course}</div>'


def _windows_html(windows: Sequence[Window], words: Words) -> str:
    colours = all_of(next((one.probabilities for one in windows if one.probabilities), {}))
    lanes: dict[int | None, list[Window]] = {}
    for one in windows:
        lanes.setdefault(one.person, []).append(one)
    return _template("windows").render(
        windows=windows, lanes=lanes, until_s=max(one.end_s for one in windows), colours=colours, w=words,
        named=language(words["language"]).shown, most_told=MOST_TOLD, most_band=MOST_BAND,
    )  # fmt: skip


def refusal_html(refusal: RequestError, words: Words) -> str:
    """Why there is no answer, in a sentence, and when to come back."""
    later = words["retry"].format(seconds=refusal.retry_after_s) if refusal.retry_after_s is not None else ""
    return f'<div class="el-error" role="alert"><b>{escape(words["failed"])}.</b> {escape(str(refusal))} {later}</div>'


def player_html(path: str | None, words: Words) -> str:
    """A player of a recording that was uploaded."""
    if path is None:
        return f'<div class="el-empty">{escape(words["player_empty"])}</div>'
    address = f"gradio_api/file={quote(path)}"
    kind, name = (mimetypes.guess_type(path)[0] or "").split("/")[0], escape(Path(path).name)
    if kind == "image":
        return f'<img src="{address}" alt="{name}">'
    tag = "audio" if kind == "audio" else "video"
    return f'<{tag} src="{address}" aria-label="{name}" controls playsinline preload="auto"></{tag}>'


def _files(drawing: Drawing) -> list[tuple[str, str]]:
    """The result as files inside the page: nothing is left on the service's disk."""
    analysis: Analysis = drawing["a"]
    stem = Path(analysis.clip).stem or "result"
    contents = {
        "json": ("application/json", analysis.model_dump_json(indent=2)),
        "csv": ("text/csv", _csv(analysis)),
        "html": ("text/html", report_of(drawing)),
    }
    return [(f"{stem}.{ending}", _data_uri(kind, text)) for ending, (kind, text) in contents.items()]


def _csv(analysis: Analysis) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "row.csv"
        write_csv([analysis], path)
        return path.read_text(encoding="utf-8")


def _data_uri(kind: str, text: str) -> str:
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"
