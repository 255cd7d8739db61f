"""IEMOCAP: two people in conversation, five sessions, ten speakers; labelled turn by turn.

`Session1/dialog/EmoEvaluation/*.txt` holds lines `[start - end]<tab>Ses01F_impro01_F000<tab>neu<tab>[v, a, d]`; the
sound of a turn is `Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav`. Four classes are usual: anger,
happiness with excitement, neutral, sadness. Source: Busso et al. (2008), IEMOCAP: interactive emotional dyadic motion
capture database, Language Resources and Evaluation 42, 335–359.
"""

from __future__ import annotations

import re
from pathlib import Path

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError

SESSIONS = ("1", "2", "3", "4", "5")
LABELS = ("angry", "happy", "neutral", "sad")
"""The four usual classes."""
FOUR_CLASSES = {"ang": "angry", "hap": "happy", "exc": "happy", "neu": "neutral", "sad": "sad"}
OTHER_CODES = ("fru", "sur", "fea", "dis", "oth", "xxx")
"""Turns with these are not asked: other emotions, and turns the annotators did not agree on (`xxx`)."""

_TURN = re.compile(
    r"\[([\d.]+) - ([\d.]+)\]\s+(Ses0([1-5])[FM]_\w+?_([FM])\w*)\s+(\w{3})\s+\[([\d.]+), [\d.]+, [\d.]+\]"
)
_WORDS = re.compile(r"(Ses0\d\w+) \[[\d.]+-[\d.]+\]: (.*)")


def read_iemocap(folder: Path, session: str) -> list[Clip]:
    """Read the four-class turns of one session ("1"–"5").

    Gives emotion (`LABELS`), valence (mean of the annotators, 1–5), speaker (`Ses01F`: who speaks, not who wears the
    markers), the transcript where `dialog/transcriptions` is there; groups: sex, setting ("improvised", "scripted"),
    language, duration_s. Without `sentences/wav` all paths are `None` (enough to score a predictions file); where it is
    there, a missing file keeps its path, so that it fails by name when it is analysed. Raises `ManifestError` with the
    line of what is not IEMOCAP's.
    """
    if session not in SESSIONS:
        raise ManifestError(f"IEMOCAP has the sessions {', '.join(SESSIONS)}; found {session!r}")
    place = folder / f"Session{session}"
    tables = [p for p in sorted((place / "dialog" / "EmoEvaluation").glob("Ses*.txt")) if not p.name.startswith(".")]
    if not tables:
        raise ManifestError(f"{folder}: expected Session{session}/dialog/EmoEvaluation/Ses*.txt in it, found none")
    wav = place / "sentences" / "wav"
    words = _transcripts(place / "dialog" / "transcriptions")
    clips = [
        _clip(turn, wav if wav.is_dir() else None, words, where) for table in tables for where, turn in _turns(table)
    ]
    return [clip for clip in clips if clip is not None]


def _turns(table: Path) -> list[tuple[str, re.Match[str]]]:
    found = []
    for number, line in enumerate(_text(table).split("\n"), start=1):
        if not line.startswith("["):  # the heading, and the single annotators' votes
            continue
        match = _TURN.fullmatch(line.strip())
        if match is None or match[6] not in (*FOUR_CLASSES, *OTHER_CODES):
            raise ManifestError(
                f"{table}:{number}: expected [start - end], turn, emotion ({', '.join((*FOUR_CLASSES, *OTHER_CODES))}) "
                f"and [valence, activation, dominance], found {line.strip()!r}"
            )
        found.append((f"{table}:{number}", match))
    return found


def _clip(turn: re.Match[str], wav: Path | None, words: dict[str, str], where: str) -> Clip | None:
    start, end, name, session, sex, code, valence = turn.groups()
    if code in OTHER_CODES:
        return None
    duration_s = float(end) - float(start)
    if duration_s <= 0:
        raise ManifestError(f"{where}: turn {name} must end after it starts, found {start} and {end}")
    return Clip(
        clip=name,
        path=wav / name.rpartition("_")[0] / f"{name}.wav" if wav else None,
        transcript=words.get(name),
        speaker=f"Ses0{session}{sex}",
        emotion=FOUR_CLASSES[code],
        valence=float(valence),
        groups={
            "sex": "female" if sex == "F" else "male",
            "setting": "improvised" if "_impro" in name else "scripted",
            "language": "en",
            "duration_s": round(duration_s, 4),
        },
    )


def _transcripts(folder: Path) -> dict[str, str]:
    """Give turn → words; nothing where the folder is not there. Lines of another form hold no turn."""
    found = {}
    for path in sorted(folder.glob("Ses*.txt")):
        for line in _text(path).split("\n"):
            match = _WORDS.fullmatch(line.strip())
            if match is not None:
                found[match[1]] = match[2].strip()
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read as UTF-8 text ({error})") from error
