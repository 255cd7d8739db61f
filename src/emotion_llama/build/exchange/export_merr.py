"""merr: the files that the released training code reads (`merr.py` lists them)."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import IO, Any

from emotion_llama.build.entry import Entry
from emotion_llama.build.exchange.export import Export, json_text, listed
from emotion_llama.build.exchange.merr import (
    FRAMES,
    GRAINS,
    MERR_SOURCE,
    NAMES,
    NCEV,
    TEXT_KEYS,
    Grain,
    json_name,
    txt_name,
)
from emotion_llama.build.exchange.ncev import TRANSCRIPTS, Line, csv_line
from emotion_llama.datasets.mer import NO_VALENCE
from emotion_llama.labels import LABEL_SETS


def export_merr(export: Export) -> None:
    """Write coarse rows for entries with a coarse text, fine rows for those with a reason; others are left out."""
    facts: Counter[str] = Counter()
    emotions: Counter[str] = Counter()
    with ExitStack() as stack:
        files = _Files(export, stack)
        for entry in export.fitting():
            reason = _unfit(entry, export)
            if reason is not None:
                export.leave_out(entry, reason)
                continue
            line = _line(entry, export.names.give(entry.name))
            if export.options.media == "copy":
                export.place(entry)
            files.write(entry, line)
            emotions[line.emotion] += 1
            facts["no frames"] += line.frames is None
            facts["no words"] += entry.clip.transcript is None
            facts[f"side {entry.part}"] += 1
        export.clips = files.clips
    _note(export, facts, emotions)


class _Files:
    """The files of one export, each opened when its first line comes."""

    def __init__(self, export: Export, stack: ExitStack) -> None:
        self._export, self._stack = export, stack
        self._open: dict[str, IO[str]] = {}
        self.clips = 0

    def write(self, entry: Entry, line: Line) -> None:
        """Write one entry to all the files it belongs into."""
        self.clips += 1
        self._add(NCEV, line.ncev + "\n")
        for grain in GRAINS:
            text = text_of(entry, grain)
            if text is not None:
                self._add(txt_name(grain), line.nce + "\n")
                self._add_row(json_name(grain), line.name, row_of(entry, grain, text, self._export))
        if entry.clip.transcript is not None:
            self._add(TRANSCRIPTS[0], csv_line(line.name, entry.clip.transcript), csv_line("name", "sentence"))
        if line.name != entry.name:
            self._add(NAMES, csv_line(line.name, entry.name), csv_line("name", "clip"))

    def _add(self, name: str, text: str, heading: str = "") -> None:
        if name not in self._open:
            self._open[name] = self._stack.enter_context(self._export.open(name))
            self._open[name].write(heading)
            self._export.files[name] = 0
        self._open[name].write(text)
        self._export.files[name] += 1

    def _add_row(self, name: str, key: str, row: dict[str, Any]) -> None:
        first = name not in self._open
        # JSON text has no line break inside a string: every one of them is layout
        body = json_text(row, indent=4).replace("\n", "\n    ")
        self._add(name, f"{'' if first else ','}\n    {json_text(key)}: {body}", heading="{")
        if first:
            self._stack.callback(self._open[name].write, "\n}\n")


def row_of(entry: Entry, grain: Grain, text: str, export: Export) -> dict[str, Any]:
    """Give one row of a JSON file, in the official order of keys."""
    row: dict[str, Any] = {
        "AU_list": list(entry.units_seen),
        "visual_prior_list": list(entry.face_phrases),
        "audio_prior_list": entry.voice.text if entry.voice else "",
        "peak_index": str(entry.peak.index) if entry.peak else "",
        "peak_AU_list": peak_units(entry, export.options.least_intensity),
        "pseu_emotion": label_of(entry),
    }
    if grain == "fine" and entry.clip.transcript is not None:
        row["text"] = entry.clip.transcript
    return row | {TEXT_KEYS[grain]: text}


def text_of(entry: Entry, grain: Grain) -> str | None:
    """Give the text of a grain: the coarse text, or the final reason."""
    if grain == "coarse":
        return (entry.coarse_text.text if entry.coarse_text else None) or None
    return entry.clip.reasoning or (entry.fine_text.text if entry.fine_text else None) or None


def label_of(entry: Entry) -> str | None:
    """Give the final emotion; before there is one, that of the coarse label."""
    return entry.clip.emotion or (entry.coarse.emotion if entry.coarse else None)


def peak_units(entry: Entry, least_intensity: float) -> list[str]:
    """Give the units at the peak frame: those strong enough, else those that a MERR file told without a strength."""
    strong = [name for name, value in entry.action_units.items() if value >= least_intensity]
    told = [
        seen.name for seen in entry.clip.observations if seen.source == MERR_SOURCE and seen.name and seen.value is None
    ]
    return sorted(strong) if entry.action_units else told


def _line(entry: Entry, name: str) -> Line:
    told = entry.clip.groups.get(FRAMES)
    frames = entry.media.frames if entry.media else int(told) if isinstance(told, float) else 0
    return Line(name, frames or None, label_of(entry) or "", entry.clip.valence)


def _unfit(entry: Entry, export: Export) -> str | None:
    """Say why an entry cannot be a line of MERR."""
    label = label_of(entry)
    if label is None:
        return "it has no emotion"
    if label.split() != [label]:
        return f"its emotion {label!r} has a blank, which a line of MERR cannot hold"
    if all(text_of(entry, grain) is None for grain in GRAINS):
        return "it has neither a coarse text nor a reason"
    if entry.clip.valence == NO_VALENCE:
        return f"its valence is {NO_VALENCE:g}, which means none in MERR"
    if export.options.media == "copy" and (entry.clip.start_s is not None or entry.clip.end_s is not None):
        return "it is a span of a recording, and a copy would be the whole of it"
    return None


def _note(export: Export, facts: Counter[str], emotions: Counter[str]) -> None:
    foreign = [word for word in emotions if word not in LABEL_SETS["mer9"]]
    sides = [name.removeprefix("side ") for name in facts if name.startswith("side ")]
    if foreign:
        export.notes.append(f"emotions that the released code does not know: {listed(foreign)}")
    if facts["no words"]:
        export.notes.append(
            f"{facts['no words']} clips are not transcribed; the released code wants a sentence for each"
        )
    if facts["no frames"]:
        export.notes.append(
            f"{facts['no frames']} clips have no known number of frames (sound alone, or not looked at)"
        )
    if len(sides) > 1:
        export.notes.append(f"one list holds the sides {', '.join(sides)}; write each with --parts to keep them apart")
    if export.names.changed:
        export.notes.append(f"{len(export.names.changed)} clips have another name here; {NAMES} maps them")
