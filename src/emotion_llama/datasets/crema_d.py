"""CREMA-D: acted English sentences, labelled in their file names, with the crowd's votes for voice, face and both.

`1001_DFA_ANG_XX.wav` is actor 1001, sentence DFA ("Don't forget a jacket."), anger, level not specified. The label is
what the actor was asked to play; what people heard and saw is in the votes. Source: Cao et al. (2014), CREMA-D:
Crowd-sourced emotional multimodal actors dataset, IEEE Trans. Affective Computing 5(4), 377–390.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError
from emotion_llama.manifest import read_csv_rows

Channel = Literal["voice", "face"]
SPLIT = Path(__file__).with_name("crema_d_split.json")
"""Who tests: every actor whose number divides by 4; who validates: numbers 1 above a multiple of 8; the rest trains."""
EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
MEDIA: dict[Channel, tuple[str, ...]] = {"voice": (".wav", ".mp3", ".flac"), "face": (".mp4", ".flv")}

_TABLE_FOLDERS = ("", "processedResults")
_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})")
_LETTERS = {word[0].upper(): word for word in EMOTIONS.values()}  # A D F H N S
_MODES = {"1": "voice", "2": "face", "3": "both"}


@dataclass(frozen=True)
class CremaName:
    """What a name says; `name` is the name itself with its level in two letters, `speaker` as `C1001`."""

    name: str
    speaker: str
    sentence: str
    emotion: str
    intensity: str


@dataclass(frozen=True)
class Vote:
    """How many people gave each answer, in the words of `crema6`."""

    counts: dict[str, int]

    @property
    def winners(self) -> tuple[str, ...]:
        """The most frequent answers: one, or all that tie."""
        most = max(self.counts.values())
        return tuple(emotion for emotion, count in self.counts.items() if count == most)

    @property
    def emotion(self) -> str | None:
        """The most frequent answer; `None` for a tie."""
        return self.winners[0] if len(self.winners) == 1 else None


@dataclass(frozen=True)
class Votes:
    """The crowd's answers to the voice alone, the face alone and both; `None` = that was not asked."""

    voice: Vote | None = None
    face: Vote | None = None
    both: Vote | None = None


def parse_name(stem: str) -> CremaName:
    """Read a file name without its suffix. Raises `ManifestError` naming the part that is not CREMA-D's."""
    match = _NAME.fullmatch(stem)
    if match is None:
        raise ManifestError(f"{stem!r}: expected a CREMA-D name as 1001_DFA_ANG_XX: actor, sentence, emotion, level")
    actor, sentence, emotion, level = match.groups()
    level = "XX" if level == "X" else level  # 1040_ITH_SAD_X.wav, so published
    for what, code, table in (
        ("sentence", sentence, SENTENCES),
        ("emotion", emotion, EMOTIONS),
        ("level", level, LEVELS),
    ):
        if code not in table:
            raise ManifestError(f"{stem!r}: {what} must be one of {', '.join(table)}, found {code}")
    name = f"{actor}_{sentence}_{emotion}_{level}"
    return CremaName(name, f"C{actor}", SENTENCES[sentence], EMOTIONS[emotion], LEVELS[level])


def read_crema_d(folder: Path, channel: Channel | None = None) -> list[Clip]:
    """Read CREMA-D: the recordings of one channel, or with `None` the rows of `summaryTable.csv` without recordings.

    The identity of a clip is its name (`1001_DFA_ANG_XX`) in either case, so answers fit whichever form is at hand.
    Gives emotion (in the words of `crema6`), speaker (`C1001`), the sentence as transcript; groups: sex, age, race,
    ethnicity (where `VideoDemographics.csv` is there), language, intensity, sentence. Raises `ManifestError` if nothing
    is found or a name is not CREMA-D's.
    """
    files = _names_in_table(folder) if channel is None else _recordings(folder, channel)
    people = _read_people(folder)
    return [_clip(parse_name(stem), path, people) for stem, path in files.items()]


def _clip(name: CremaName, path: Path | None, people: dict[str, dict[str, str | float]]) -> Clip:
    groups: dict[str, str | float] = {"language": "en", "intensity": name.intensity, "sentence": name.sentence}
    return Clip(
        clip=name.name,
        path=path,
        transcript=name.sentence,
        speaker=name.speaker,
        emotion=name.emotion,
        groups=people.get(name.speaker, {}) | groups,
    )


def has_recordings(folder: Path, channel: Channel) -> bool:
    """Whether the folder holds a recording of this channel, anywhere below it."""
    return any(_NAME.fullmatch(path.stem) for suffix in MEDIA[channel] for path in folder.rglob(f"*_*_*_*{suffix}"))


def _recordings(folder: Path, channel: Channel) -> dict[str, Path]:
    if not folder.is_dir():
        raise ManifestError(f"{folder}: expected the CREMA-D folder, found none")
    found: dict[str, Path] = {}
    for suffix in reversed(MEDIA[channel]):  # a better format replaces a worse one of the same take
        found |= {p.stem: p for p in sorted(folder.rglob(f"*{suffix}")) if not p.name.startswith(".")}
    if not found:
        raise ManifestError(
            f"{folder}: no recording of the {channel}: expected AudioWAV/*.wav or VideoFlash/*.flv (or .mp4) below it"
        )
    return dict(sorted(found.items()))


def _table(folder: Path, name: str) -> Path | None:
    return next((path for sub in _TABLE_FOLDERS if (path := folder / sub / name).is_file()), None)


def _needed_table(folder: Path, name: str) -> Path:
    path = _table(folder, name)
    if path is None:
        raise ManifestError(f"{folder}: expected {name} in it or in processedResults/, found none")
    return path


def _names_in_table(folder: Path) -> dict[str, Path | None]:
    path = _needed_table(folder, "summaryTable.csv")
    names: dict[str, Path | None] = {_cell(row, "FileName", path, line): None for line, row in read_csv_rows(path)}
    if not names:
        raise ManifestError(f"{path}: expected one clip a line below the heading, found none")
    return names


def _cell(row: dict[str, str], column: str, path: Path, line: int) -> str:
    if not row.get(column):
        raise ManifestError(f"{path}:{line}: expected a value in column {column}, found columns {', '.join(row)}")
    return row[column].strip()


def _read_people(folder: Path) -> dict[str, dict[str, str | float]]:
    """Give sex, age, race and ethnicity by speaker; nothing where the table is not there."""
    path = _table(folder, "VideoDemographics.csv")
    people: dict[str, dict[str, str | float]] = {}
    if path is None:
        return people
    for line, row in read_csv_rows(path):
        age = _cell(row, "Age", path, line)
        if not age.isdecimal():
            raise ManifestError(f"{path}:{line}: Age must be whole years, found {age!r}")
        words = {column.lower(): _cell(row, column, path, line).lower() for column in ("Sex", "Race", "Ethnicity")}
        people[f"C{_cell(row, 'ActorID', path, line)}"] = {**words, "age": float(age)}
    return people


def read_votes(folder: Path) -> dict[str, Votes]:
    """Read `tabulatedVotes.csv` as name → the crowd's answers; the first digit of a row's number says what was shown.

    Raises `ManifestError` with the line for a row that cannot be read, or that contradicts its own `emoVote`.
    """
    path = _needed_table(folder, "tabulatedVotes.csv")
    found: dict[str, dict[str, Vote]] = {}
    for line, row in read_csv_rows(path):
        mode = _MODES.get(row.get("", "")[:1])
        counts = {word: row.get(letter, "") for letter, word in _LETTERS.items()}
        if mode is None or not all(count.isdecimal() for count in counts.values()):
            raise ManifestError(
                f"{path}:{line}: expected a row number that starts with {', '.join(_MODES)} and counts in columns "
                f"{', '.join(_LETTERS)}; found {row.get('', '')!r} and {', '.join(map(repr, counts.values()))}"
            )
        vote = Vote({word: int(count) for word, count in counts.items()})
        said = row.get("emoVote")
        if said is not None and {_LETTERS.get(letter) for letter in said.split(":")} != set(vote.winners):
            raise ManifestError(f"{path}:{line}: emoVote says {said!r}, the counts say {':'.join(vote.winners)}")
        found.setdefault(parse_name(_cell(row, "fileName", path, line)).name, {})[mode] = vote
    return {name: Votes(**modes) for name, modes in found.items()}
