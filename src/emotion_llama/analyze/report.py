"""The HTML report of one analysis: one self-contained page; nothing in it asks for anything outside itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from emotion_llama.analyze import charts
from emotion_llama.analyze.console import headline, measurement, number
from emotion_llama.analyze.face_figure import Overlay, close_up, whole_frame
from emotion_llama.analyze.people_shown import rows_of, told
from emotion_llama.analyze.timeline.page import page_of
from emotion_llama.analyze.writers import unit_number, write_text
from emotion_llama.clip import Analysis, Observation, VoiceMeasures
from emotion_llama.languages import Language, language
from emotion_llama.measurements import ACTION_UNITS, EXPRESSIONS, ActionUnitSeries, FaceBoxes, FaceMeasures, VoiceTrace

if TYPE_CHECKING:  # files are written from results alone: no decoder is loaded for them
    from emotion_llama.media.types import Waveform

UNIT_NAMES = {
    1: "inner brows raised",
    2: "outer brows raised",
    4: "brows lowered",
    5: "upper eyelids raised",
    6: "cheeks raised",
    7: "eyelids tightened",
    9: "nose wrinkled",
    10: "upper lip raised",
    12: "lip corners pulled up",
    14: "lip corners dimpled",
    15: "lip corners pulled down",
    17: "chin raised",
    20: "lips stretched",
    23: "lips tightened",
    25: "lips parted",
    26: "jaw dropped",
    28: "lips sucked in",
    45: "eyes blinked",
}
"""Action units in plain words, by FACS number."""

Drawing = dict[str, Any]
"""What the report's template is filled with."""

MAX_INTENSITY = 5.0
_UNITS_OVER_TIME = 5
_TABLE_ROWS = 24
_HEAD_BYTES = 4096
_CHANNELS = {"face": "Face", "voice": "Voice", "words": "Words", "scene": "Scene"}
VOICE_ROWS = (
    ("f0_hz", "Pitch (median)", "Hz"),
    ("f0_range_semitones", "Pitch range", "semitones"),
    ("f0_slope_semitones_s", "Pitch trend", "semitones/s"),
    ("loudness_db", "Loudness", "dBFS"),
    ("loudness_range_db", "Loudness range", "dB"),
    ("speech_rate_syl_s", "Speech rate", "syllables/s"),
    ("speech_s", "Speech", "s"),
    ("pause_count", "Pauses", ""),
    ("pause_mean_s", "Mean pause", "s"),
    ("voiced_fraction", "Voiced share", ""),
    ("jitter_percent", "Jitter", "%"),
    ("shimmer_db", "Shimmer", "dB"),
    ("hnr_db", "Harmonics to noise", "dB"),
    ("spectral_tilt_db_octave", "Spectral tilt", "dB/octave"),
)
"""Voice measures as (field, name, unit)."""


@dataclass(frozen=True)
class ReportMaterial:
    """What the report and other files draw on and the analysis does not hold; every part may be missing.

    Times are seconds of the recording. `expressions` has a row of probabilities in `EXPRESSIONS` order for each time
    of `action_units`, `frame_indices` the frame and `mesh_scores` (0–1) how sure the mesh of it was; mesh and box
    (corners x0, y0, x1, y1) are in px of `peak_rgb`. `duration_s` is the length of what was looked at, from `start_s`
    on; `recording_s` that of the whole recording, which lies at `media_path`. `end_s` is where the looking ended,
    `None` = the recording's end; `faces` are all faces over time, in px of the upright frame; `face_boxes` stand in
    for them where only their boxes were kept. `faces_hidden`: nobody can be recognised in the pictures held here.
    `portraits` are face crops by the number of the person.
    """

    peak_rgb: NDArray[np.uint8] | None = None  # (H, W, 3)
    mesh_px: NDArray[np.float32] | None = None  # (468, 3)
    box_px: NDArray[np.float32] | None = None  # (4,)
    action_units: ActionUnitSeries | None = None
    expressions: NDArray[np.float32] | None = None  # (F, 7)
    trace: VoiceTrace | None = None
    waveform: Waveform | None = None
    duration_s: float | None = None
    frame_indices: NDArray[np.int64] | None = None  # (F,)
    mesh_scores: NDArray[np.float32] | None = None  # (F,)
    media_path: Path | None = None
    start_s: float = 0.0
    recording_s: float | None = None
    portraits: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    end_s: float | None = None
    faces: FaceMeasures | None = None
    face_boxes: tuple[FaceBoxes, ...] = ()
    faces_hidden: bool = False


QUIET_DBFS = -60.0
"""The foot of the curve of loudness: silence."""


@dataclass(frozen=True)
class Strip:
    """One row of the time chart: a name, a note on its scale, and a path to fill or to draw."""

    name: str
    note: str
    path: str
    kind: str  # wave, pitch or area
    group: str


def write_report(analysis: Analysis, material: ReportMaterial, path: Path) -> None:
    """Write the page. Raises `OutputError` naming the path when it cannot be written."""
    write_text(render_report(analysis, material), path)


def hides_faces(path: Path) -> bool:
    """Whether a written page says that nobody can be recognised in its pictures."""
    try:
        with path.open("rb") as file:
            return b'<meta name="faces" content="hidden">' in file.read(_HEAD_BYTES)
    except OSError:
        return False


def render_report(analysis: Analysis, material: ReportMaterial) -> str:
    """The page as text. Everything taken from the clip is escaped; parts that are missing are left out."""
    return report_of(draw(analysis, material))


def report_of(drawing: Drawing) -> str:
    """The page of what was drawn already."""
    return templates("emotion_llama.analyze").get_template("report.html.j2").render(drawing)


def templates(*packages: str) -> Environment:
    """Templates that lie in packages, with the filters that show results."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ".") for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, clock=charts.clock, measurement=measurement, told=told)
    return environment


def draw(analysis: Analysis, material: ReportMaterial) -> Drawing:
    """Give everything that a page shows of a result, by name: small pictures, paths, tables; the traces can go then."""
    axis = _axis(analysis, material)
    overlay = Overlay(material.mesh_px, _corners(material.box_px), _other_boxes(analysis))
    frame, words = material.peak_rgb, language(analysis.language)
    unit_names = {unit: words.tell(name) for unit, name in UNIT_NAMES.items()}
    return dict(
        words=words,
        say=words.tell,
        named=words.shown,
        named_all=words.labelled,
        comma=words.reason.between,
        stop=words.reason.sentence.format(text="") + words.reason.between_sentences,
        a=analysis,
        faces_hidden=material.faces_hidden,
        headline=headline(analysis),
        ranked=sorted(analysis.probabilities.items(), key=lambda pair: -pair[1]),
        frame=None if frame is None else whole_frame(frame, overlay),
        face=None if frame is None else close_up(frame, overlay),
        units=_units(analysis, unit_names),
        max_intensity=MAX_INTENSITY,
        axis=axis,
        strips=_strips(material, axis, words) if axis else [],
        speech=charts.spans(material.trace.speech_s, axis) if axis and material.trace else [],
        peak_x=axis.x(analysis.peak_frame.time_s) if axis and analysis.peak_frame else None,
        rows=_time_table(material),
        expressions=EXPRESSIONS,
        voice=_voice(analysis.voice, words),
        evidence=_by_channel(analysis.evidence, words),
        people=rows_of(analysis.people, material.portraits),
        main_person=next((face.track for face in analysis.faces if face.main), None),
        timeline=page_of(analysis.timeline, axis, unit_names, words) if axis and analysis.timeline else None,
    )


def _axis(analysis: Analysis, material: ReportMaterial) -> charts.TimeAxis | None:
    """The span all charts share; `None` for a picture, for text, or when nothing was measured over time."""
    duration_s = material.duration_s if material.duration_s is not None else analysis.duration_s
    measured = (material.waveform, material.trace, material.action_units, analysis.timeline)
    if not duration_s or all(part is None for part in measured):
        return None
    start_s = 0.0
    if material.waveform is not None:
        start_s = material.waveform.start_s
    elif analysis.timeline is not None:
        start_s = material.start_s
    elif material.action_units is not None and len(material.action_units.time_s):
        start_s = float(material.action_units.time_s[0])
    return charts.TimeAxis(start_s, start_s + duration_s)


def _corners(box_px: NDArray[np.float32] | None) -> tuple[float, float, float, float] | None:
    if box_px is None:
        return None
    x0, y0, x1, y1 = (float(value) for value in box_px)
    return x0, y0, x1, y1


def _other_boxes(analysis: Analysis) -> tuple[tuple[float, float, float, float], ...]:
    """Boxes of the other people who were seen at the peak frame's time."""
    if analysis.peak_frame is None:
        return ()
    time_s = analysis.peak_frame.time_s
    return tuple(face.box_px for face in analysis.faces if not face.main and face.first_s <= time_s <= face.last_s)


def _units(analysis: Analysis, names: Mapping[int, str]) -> list[tuple[int, str, float]]:
    """Action units at the peak as (number, words, intensity), strongest first."""
    numbered = [(unit_number(name), intensity) for name, intensity in analysis.action_units.items()]
    return [(unit, names.get(unit, ""), value) for unit, value in sorted(numbered, key=lambda pair: -pair[1])]


def _strips(material: ReportMaterial, axis: charts.TimeAxis, words: Language) -> list[Strip]:
    strips = [*_sound_strips(material, axis), *_expression_strips(material, axis), *_unit_strips(material, axis)]
    return [
        replace(one, name=words.label(words.tell(one.name)), note=words.tell(one.note), group=words.tell(one.group))
        for one in strips
    ]


def _sound_strips(material: ReportMaterial, axis: charts.TimeAxis) -> list[Strip]:
    strips = []
    if material.waveform is not None and len(material.waveform.samples):
        sound = material.waveform
        path = charts.wave_path(charts.envelope(sound.samples), axis, sound.start_s, sound.start_s + sound.duration_s)
        strips.append(Strip("Sound", "waveform", path, "wave", "Voice"))
    if material.trace is not None and np.isfinite(material.trace.f0_hz).any():
        pitch = np.log2(material.trace.f0_hz)
        low, high = float(np.nanmin(pitch)) - 0.05, float(np.nanmax(pitch)) + 0.05
        share = ((pitch - low) / (high - low)).astype(np.float32)
        note = f"{np.nanmin(material.trace.f0_hz):.0f}–{np.nanmax(material.trace.f0_hz):.0f} Hz"
        strips.append(Strip("Pitch", note, charts.line_path(material.trace.time_s, share, axis), "pitch", "Voice"))
    if material.trace is not None and len(material.trace.loudness_db):
        loud = np.clip(material.trace.loudness_db, QUIET_DBFS, 0.0)
        share = (1 - loud / QUIET_DBFS).astype(np.float32)
        note = f"{QUIET_DBFS:.0f}–0 dBFS"
        strips.append(Strip("Loudness", note, charts.area_path(material.trace.time_s, share, axis), "area", "Voice"))
    return strips


def _expression_strips(material: ReportMaterial, axis: charts.TimeAxis) -> list[Strip]:
    series = material.action_units
    if material.expressions is None or series is None or len(material.expressions) < 2:
        return []
    return [
        Strip(name, f"max {column.max():.0%}", charts.area_path(series.time_s, column, axis), "area", "Face reads as")
        for name, column in zip(EXPRESSIONS, material.expressions.T, strict=True)
    ]


def _unit_strips(material: ReportMaterial, axis: charts.TimeAxis) -> list[Strip]:
    """The units that moved most, blinks aside, on the full 0–5 scale."""
    series = material.action_units
    if series is None or len(series.time_s) < 2:
        return []
    order = sorted(range(len(ACTION_UNITS)), key=lambda column: -float(series.intensity[:, column].max()))
    strips = []
    for column in [c for c in order if ACTION_UNITS[c] != 45][:_UNITS_OVER_TIME]:
        unit, values = ACTION_UNITS[column], series.intensity[:, column]
        path = charts.area_path(series.time_s, values / MAX_INTENSITY, axis)
        strips.append(Strip(UNIT_NAMES[unit], f"AU{unit}, max {values.max():.1f}", path, "area", "Face moves (0–5)"))
    return strips


def _time_table(material: ReportMaterial) -> list[tuple[float, list[float], float | None]]:
    """The time chart in numbers: time, expression probabilities, pitch near that time."""
    series = material.action_units
    if material.expressions is None or series is None:
        return []
    rows = []
    for index in charts.thin(series.time_s, _TABLE_ROWS):
        time_s = float(series.time_s[index])
        rows.append((time_s, [float(p) for p in material.expressions[index]], _pitch_at(material.trace, time_s)))
    return rows


def _pitch_at(voice: VoiceTrace | None, time_s: float) -> float | None:
    if voice is None or len(voice.time_s) == 0:
        return None
    f0_hz = float(voice.f0_hz[int(np.abs(voice.time_s - time_s).argmin())])
    return f0_hz if np.isfinite(f0_hz) else None


def _voice(voice: VoiceMeasures | None, words: Language) -> list[tuple[str, str]]:
    """Measures that were taken, as (name, value with unit)."""
    if voice is None:
        return []
    taken = [(name, getattr(voice, field), unit) for field, name, unit in VOICE_ROWS]
    return [
        (words.tell(name), f"{number(value)} {words.tell(unit)}".strip())
        for name, value, unit in taken
        if value is not None
    ]


def _by_channel(evidence: tuple[Observation, ...], words: Language) -> list[tuple[str, list[Observation]]]:
    groups = [
        (words.tell(title), [o for o in evidence if o.channel == channel]) for channel, title in _CHANNELS.items()
    ]
    return [(title, observations) for title, observations in groups if observations]
