"""What an annotator says about one clip, and the settings of the page."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from emotion_llama.build.entry import Entry
from emotion_llama.clip import Record
from emotion_llama.settings import Settings

Verdict = Literal["accept", "fix", "reject"]
VERDICTS: tuple[Verdict, ...] = ("accept", "fix", "reject")

CRITERIA = {
    "visual": "Visual description",
    "audio": "Audio description",
    "text": "Text description",
    "process": "Reasoning process",
    "result": "Reasoning result",
}
"""The paper's five criteria, by the name of their field in `Scores`."""

TEXTS = {"coarse_text": "Coarse text", "fine_text": "Fine text", "reasoning": "Reasoning"}
"""The written texts of an entry, by the name of their field in `Changes`."""

MAX_POINTS = 5
LONGEST_TEXT = 10_000
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Points = Annotated[int, Field(strict=True, ge=0, le=MAX_POINTS)]
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]


class ReviewSettings(Settings):
    """How a data set is reviewed.

    `host` other than loopback needs `token_file`: whoever has its token may see the page. `annotators`: a CSV with the
    columns name and password; they are added to those in `database`, an SQLAlchemy URL of this data set alone (`None` =
    reviews.sqlite in the data set's folder). `judgments`: how many people are to judge each clip. `labels`: the
    emotions that a fix may choose from, `()` = those of the data set and its rule table.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8400, ge=0, le=65_535)
    token_file: Path | None = None
    annotators: Path | None = None
    database: str | None = None
    judgments: int = Field(default=2, ge=1)
    labels: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.host not in LOOPBACK and self.token_file is None:
            raise ValueError(
                f"host {self.host!r} opens the page to other machines: give token_file, a file with a secret of at "
                "least 16 characters, or stay with 127.0.0.1"
            )
        return self


class Scores(Record):
    """The five criteria, 0–5 points each; `None` = not rated, for instance no sound to describe."""

    visual: Points | None = None
    audio: Points | None = None
    text: Points | None = None
    process: Points | None = None
    result: Points | None = None


class Changes(Record):
    """What a fix puts in the place of an entry's content; `None` = left as it is. `transcript` "": nothing was said."""

    emotion: Text | None = None
    transcript: Text | None = None
    coarse_text: Text | None = None
    fine_text: Text | None = None
    reasoning: Text | None = None


class Judgment(Record):
    """One annotator's judgment of one clip; a later one of the same two takes its place, and both are kept.

    `emotion` is the one the annotator stands for (`None`: rejected, or the entry has none). `blind`: given before the
    page could tell the annotator anything of what others said. `content_sha256`: of what was judged (see
    `content_sha256`). `id` counts up in the order of saving; `made_at` is UTC, ISO 8601.
    """

    id: int
    clip: str
    annotator: str
    verdict: Verdict
    reason: str
    emotion: str | None
    scores: Scores
    changes: Changes = Changes()
    blind: bool
    content_sha256: str
    made_at: str


def label_of(entry: Entry) -> str | None:
    """Give the emotion that the data set says, `None` if it says none."""
    return entry.clip.emotion or (entry.coarse.emotion if entry.coarse else None)


def content_of(entry: Entry) -> Changes:
    """Give what a fix can change, as the entry has it now."""
    return Changes.model_construct(
        emotion=label_of(entry),
        transcript=entry.clip.transcript,
        coarse_text=entry.coarse_text.text if entry.coarse_text else None,
        fine_text=entry.fine_text.text if entry.fine_text else None,
        reasoning=entry.clip.reasoning,
    )


def content_sha256(entry: Entry) -> str:
    """Give a hash of what an annotator judges: emotion, transcript, texts. Another step or version changes nothing."""
    text = json.dumps(content_of(entry).model_dump(), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
