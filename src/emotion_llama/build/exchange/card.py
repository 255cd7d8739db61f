"""The data card of an export: what is in it, who wrote its texts, what its owners allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from emotion_llama.build.entry import Entry

NOT_TOLD = "not told"


@dataclass
class Tally:
    """Counts over the entries of an export; no entry is held."""

    sides: Counter[str] = field(default_factory=Counter)
    emotions: Counter[tuple[str, str]] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    consents: Counter[str] = field(default_factory=Counter)
    writers: Counter[str] = field(default_factory=Counter)
    people: set[str] = field(default_factory=set)
    measured: int = 0
    seconds: float = 0.0

    def add(self, entry: Entry, side: str) -> None:
        """Count one entry."""
        self.sides[side] += 1
        self.emotions[entry.clip.emotion or NOT_TOLD, side] += 1
        self.licences[entry.source.licence or NOT_TOLD] += 1
        self.consents[entry.source.consent or NOT_TOLD] += 1
        self.writers.update({text.writer for text in (entry.coarse_text, entry.fine_text) if text is not None})
        if entry.clip.speaker is not None:
            self.people.add(entry.clip.speaker)
        if entry.media is not None:
            self.measured += 1
            self.seconds += entry.media.duration_s

    @property
    def words(self) -> str:
        """How much it is, in a sentence; the length is told of the clips whose length is known."""
        clips = sum(self.sides.values())
        of_these = "" if self.measured == clips else f" ({self.measured} clips of known length)"
        length = f"{self.seconds / 60:.1f} minutes{of_these}" if self.measured else "length not measured"
        return f"{clips} clips, {length}, {len(self.people)} known speakers."


def card(tally: Tally, files: Mapping[str, str]) -> str:
    """Give the card as Markdown; its head names each side's file, so that `load_dataset` finds it."""
    sides = list(files)
    emotions = sorted({emotion for emotion, _ in tally.emotions})
    rows = [[emotion, *(str(tally.emotions[emotion, side]) for side in sides)] for emotion in emotions]
    rows.append(["**all**", *(str(tally.sides[side]) for side in sides)])
    blocks = [
        _head(files),
        "# Emotions and their reasons in recordings",
        f"{tally.words} Written by `emotion-llama build export`: one row a clip, recordings are named by `path`.",
        "## Emotions\n\n" + _table(["emotion", *sides], rows),
        "## Texts\n\n" + _counted("written by", "clips", tally.writers),
        "## Licences of the recordings\n\n" + _counted("licence", "clips", tally.licences),
        "## Consent of the people\n\n" + _counted("consent", "clips", tally.consents),
        "The licence and the consent of each clip stand in its row. Labels and texts made from a recording are bound "
        "by them too. Where nothing is told, ask the owner before you pass the data on.",
    ]
    return "\n\n".join(blocks) + "\n"


def _head(files: Mapping[str, str]) -> str:
    lines = ["---", "configs:", "- config_name: default", "  data_files:"]
    for side, name in files.items():
        lines += [f"  - split: {side}", f"    path: {name}"]
    return "\n".join([*lines, "---"])


def _counted(one: str, other: str, counts: Counter[str]) -> str:
    if not counts:
        return "None."
    return _table([one, other], [[word, str(count)] for word, count in counts.most_common()])


def _table(heading: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; what would end a cell is written so that it does not."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) + " |" for line in lines
    )
