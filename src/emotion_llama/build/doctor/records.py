"""What an examination finds: `Finding`s of named kinds, and the report that holds them."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from emotion_llama.clip import Record

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""error: the clip is of no use, or a score would be false; warning: look at it; note: good to know."""

Kind = Literal[
    "missing", "broken", "cut-off", "damaged", "failed", "span", "no-sound", "silent", "no-picture", "black", "plain",
    "frozen", "start-apart", "end-apart", "gap", "time-stamps", "variable-rate", "suffix", "words", "listed-twice",
    "clip-in-two-parts", "speaker-in-two-parts", "duplicate", "duplicate-in-two-parts", "class-balance",
]  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """What a kind of finding is called, and what to do about it."""

    title: str
    do: str


MEANINGS: MappingProxyType[Kind, Meaning] = MappingProxyType(
    {
        "missing": Meaning("the recording is not there", "put the file there, or take the clip out of the list"),
        "broken": Meaning("the recording cannot be read", "copy or download it again; if that fails, leave it out"),
        "cut-off": Meaning("the recording breaks off", "copy or download it again; if that fails, leave it out"),
        "damaged": Meaning("parts of the recording are damaged", "copy it again, or look whether what is left will do"),
        "failed": Meaning("the clip could not be examined", "look at it by hand; leave it out if it cannot be played"),
        "span": Meaning(
            "the span does not lie in the recording", "correct start_s and end_s, or the file they are for"
        ),
        "no-sound": Meaning("video without sound", "get a copy with sound, or build and train without the voice"),
        "silent": Meaning("sound in which nothing can be heard", "look for another copy; else train without the voice"),
        "no-picture": Meaning("sound alone under a video's name", "get the video, or rename it and use it as sound"),
        "black": Meaning("black picture", "leave the clip out, or use its sound alone"),
        "plain": Meaning("picture of a single colour", "leave the clip out, or use its sound alone"),
        "frozen": Meaning("the picture stands still", "leave the clip out, or use a copy whose picture moves"),
        "start-apart": Meaning(
            "sound and picture do not start together", "play it: if lips and voice are apart, cut anew"
        ),
        "end-apart": Meaning("sound and picture do not end together", "play its end: if a part is missing, cut anew"),
        "gap": Meaning("hole in the time stamps", "play it there; if something is missing, export it again"),
        "time-stamps": Meaning("time stamps go back", "export it again (without copying the streams)"),
        "variable-rate": Meaning("frame rate that varies", "nothing here: true times are used; other tools may drift"),
        "suffix": Meaning("the name's ending is not what the file is", "rename it; other tools go by the name"),
        "words": Meaning("words and length do not fit", "listen: cut or transcript may belong to another line"),
        "listed-twice": Meaning("one name listed twice", "take one of the rows out, or give each its own name"),
        "clip-in-two-parts": Meaning("one clip in two parts", "keep it in one part: scores on the other are false"),
        "speaker-in-two-parts": Meaning("one speaker in two parts", "split by speaker, unless the benchmark does not"),
        "duplicate": Meaning("the same recording twice", "keep one of them; if labels differ, look at both"),
        "duplicate-in-two-parts": Meaning("the same recording in two parts", "keep it in one part: scores are false"),
        "class-balance": Meaning("classes of very different size", "weigh classes, score UAR beside WAR, or add clips"),
    }
)
"""Every kind of finding in words."""


class Finding(Record):
    """One thing that is wrong. `clip` `None`: it is about the list as a whole. `other`: the clip it is like."""

    clip: str | None
    kind: Kind
    severity: Severity
    words: str
    do: str
    other: str | None = None


class DoctorReport(Record):
    """What was examined and what was found, errors first.

    `n_clips` clips were listed, `n_recordings` of them name a recording, `n_readable` of those could be read.
    `severities` and `kinds` count findings, `clips_with` clips by their worst finding. `compared_sound` and
    `compared_picture` clips could be compared with the others; one that is too short, silent or plain cannot.
    `classes`: emotion → clips, `parts`: part → clips. `notes` say what was not looked at.
    """

    n_clips: int
    n_recordings: int
    n_readable: int
    compared_sound: int
    compared_picture: int
    severities: dict[Severity, int]
    clips_with: dict[Severity, int]
    kinds: dict[Kind, int]
    classes: dict[str, int] = {}
    parts: dict[str, int] = {}
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return self.severities.get("error", 0) > 0


def found(clip: str | None, kind: Kind, severity: Severity, words: str, other: str | None = None) -> Finding:
    """Make a finding, with what to do about its kind."""
    return Finding(clip=clip, kind=kind, severity=severity, words=words, do=MEANINGS[kind].do, other=other)
