"""What a suite is: which items to ask, how to ask a model, how to score, and what others reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from emotion_llama.clip import Task
from emotion_llama.evaluate.records import Item, Prediction, Published, Scored, Side


@dataclass(frozen=True)
class ScoreSettings:
    """How scores are computed; printed with every report.

    `uar_classes`: UAR and macro F1 average over the classes present in the truth, or over all configured ones.
    `validation` are (items, predictions) of a side that is not the test side: temperatures are fitted there.
    """

    draws: int = 10_000
    seed: int = 0
    uar_classes: Literal["present", "configured"] = "present"
    validation: tuple[Sequence[Item], Sequence[Prediction | None]] | None = None


Scorer = Callable[[Sequence[Item], Sequence[Prediction | None], Sequence[str], ScoreSettings], Scored]
"""(items, predictions in the same order with `None` for a clip without one, labels, settings) → scores."""


@dataclass(frozen=True)
class Part:
    """A part of a suite that is scored by itself. `labels` `()` = open vocabulary or no labels.

    `judged`: what a language model as judge can do for the part: rate how far reasons overlap, mark free answers, group
    synonyms, or nothing.
    """

    name: str
    items: tuple[Item, ...]
    labels: tuple[str, ...]
    score: Scorer
    judged: Literal["overlap", "answers", "groups", "nothing"] = "nothing"


@dataclass(frozen=True)
class Choice:
    """What a user may choose about a suite's data.

    The side; a variant (fold, channel, …; "" = the usual one); labels where the suite has none of its own.
    """

    side: Side = "test"
    variant: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """One benchmark. `read` gives its parts from the data folder the user has.

    `needs` says what the folder must hold, `access` how one gets it, `licence` its terms, `chance` the score of a
    guesser in words. `words`: whether a model is given the transcript of the data set ("given"), hears for itself
    ("heard") or gets none ("none"). `tasks` are what a model is asked. `shares_people`: the data set's own split has
    the same people on several sides.
    """

    name: str
    title: str
    needs: str
    access: str
    licence: str
    chance: str
    labels: tuple[str, ...]
    read: Callable[[Path, Choice], Sequence[Part]]
    variants: tuple[str, ...] = ("",)
    sides: tuple[Side, ...] = ("test",)
    words: Literal["given", "heard", "none"] = "heard"
    tasks: tuple[Task, ...] = ("emotion",)
    published: tuple[Published, ...] = field(default=())
    caution: str = ""
    shares_people: bool = False
