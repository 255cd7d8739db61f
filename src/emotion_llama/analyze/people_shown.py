"""People in the terminal and on the page: a row each, with what they show in all, speaking and listening."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from emotion_llama.analyze.face_figure import Overlay, whole_frame
from emotion_llama.languages import ENGLISH, Language
from emotion_llama.timeline import PersonEmotion, Role

ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class PersonRow:
    """One person: number, seconds seen and seconds of speech, by role what they show, and a picture of the face.

    `picture` is a data URI; `None` where none was kept. A role that a person is never in has no entry.
    """

    person: int
    seen_s: float
    speaks_s: float
    shown: dict[Role, PersonEmotion]
    picture: str | None = None


def rows_of(
    people: Sequence[PersonEmotion], portraits: Mapping[int, NDArray[np.uint8]] | None = None
) -> list[PersonRow]:
    """One row a person, in the order of their numbers. `portraits` are face crops (H, W, 3) by number."""
    found = []
    for number in sorted({one.person for one in people}):
        shown: dict[Role, PersonEmotion] = {one.role: one for one in people if one.person == number}
        crop = (portraits or {}).get(number)
        seen, speaks = (shown[role].seconds if role in shown else 0.0 for role in ("all", "speaking"))
        picture = None if crop is None else whole_frame(crop, Overlay()).uri
        found.append(PersonRow(number, seen, speaks, shown, picture))
    return found


def told(one: PersonEmotion | None, words: Language = ENGLISH) -> str:
    """What a person shows in a role in a few letters: "happy 71 %"; "–" where they are never in it."""
    if one is None:
        return "–"
    if one.emotion is None or one.confidence is None:
        return words.tell("not sure")
    return f"{words.shown(one.emotion)} {100 * one.confidence:.0f} %"


def show_people(people: Sequence[PersonEmotion], main: int | None, console: Console, words: Language = ENGLISH) -> None:
    """Print the table of people; `main` is the number of the person whom the rest is about."""
    if not people:
        return
    table = Table(title=words.tell("People"), title_justify="left", title_style="bold", box=None, padding=(0, 2))
    for name in ("person", "seen", "speaks", "in all", "speaking", "listening"):
        table.add_column(words.tell(name), justify="right" if name in ("person", "seen", "speaks") else "left")
    for row in rows_of(people):
        number = f"{row.person}{' *' if row.person == main else ''}"
        emotions = (told(row.shown.get(role), words) for role in ROLES)
        table.add_row(number, f"{row.seen_s:.1f} s", f"{row.speaks_s:.1f} s", *emotions)
    console.print()
    console.print(table)
    if main is not None and len(rows_of(people)) > 1:
        console.print("  " + words.tell("* the rest is about this person"), style="dim", highlight=False)
