"""What evaluation reads and writes: items (the truth), predictions (the answers), reports (the scores).

`FORMAT_VERSION` stands in every report; it changes when a field changes its meaning.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, field_validator

from emotion_llama.clip import Clip, Observation, Record, VoiceMeasures
from emotion_llama.metrics.statistic import Metric

FORMAT_VERSION = "1"

Side = Literal["train", "validation", "test", "unknown"]
"""Which side of its data set a run scores; nothing may be chosen on `test`."""


class Item(Record):
    """One thing that is asked: the clip with its truth and the properties it is sliced by.

    The truth is in the clip: `emotion` (single label), `labels` (several), `valence`, `reasoning`; the properties are
    `clip.groups` ("sex", "age", "language", "duration_s", "snr_db", "face_px", or any other column). `extra` is what a
    suite's scorer needs beside (candidate labels of this item, stored groupings, …).
    """

    clip: Clip
    extra: dict[str, Any] = {}


class Prediction(Record):
    """One system's answer about one clip. Other columns of a predictions file are ignored.

    `emotion` `None` = the system gave no valid label: counted as invalid, never replaced. `probabilities` need not be
    there. `labels` are free or several labels. `confidence` is a number the system stated or the probability of its
    label. `evidence`, `action_units` and `voice` are measurements as `analyze` writes them. `said` is an answer that is
    no label of the asked set, as it was given. `line` is where the prediction stood.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    clip: str
    emotion: str | None = None
    probabilities: dict[str, float] | None = None
    valence: float | None = None
    labels: tuple[str, ...] | None = None
    reasoning: str | None = None
    confidence: float | None = None
    order_sensitivity: float | None = None
    evidence: tuple[Observation, ...] = ()
    action_units: dict[str, float] = {}
    voice: VoiceMeasures | None = None
    duration_s: float | None = None
    raw: dict[str, str] = {}
    prompts: dict[str, str] = {}
    provenance: dict[str, Any] = {}
    error: str | None = None
    said: str | None = None
    line: int = 0

    @field_validator("valence", mode="before")
    @classmethod
    def _plain_valence(cls, value: Any) -> Any:
        return value.get("value") if isinstance(value, dict) else value  # `analyze` writes value and source


class Problem(Record):
    """Something wrong with the input: named with its line and clip, and counted, never passed over in silence."""

    kind: Literal[
        "unknown-clip",
        "missing-clip",
        "duplicate",
        "unknown-label",
        "no-label",
        "bad-probabilities",
        "unreadable",
        "failed-clip",
        "judge",
        "name-match",
    ]
    message: str
    clip: str | None = None
    line: int | None = None


class Confusion(Record):
    """Rows: truth, columns: prediction, both in the order of `labels`. Answers that are no label stand apart."""

    labels: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]
    invalid: tuple[int, ...]
    missing: tuple[int, ...]


class ClassScores(Record):
    """One class: how often it is true, how often said, and its scores."""

    support: int
    predicted: int
    precision: Metric
    recall: Metric
    f1: Metric


class Bin(Record):
    """One bar of a reliability diagram: clips whose confidence lies in (low, high]."""

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None


class Slice(Record):
    """The scores of the clips that share a property."""

    group: str
    value: str
    n: int
    metrics: dict[str, Metric]


class Scored(Record):
    """What a scorer gives for one part of a suite. Only what has a meaning for the part is filled."""

    n_asked: int
    n_scored: int
    metrics: dict[str, Metric]
    headline: tuple[str, ...] = ()
    chance: float | None = None
    majority: float | None = None
    class_counts: dict[str, int] = {}
    per_class: dict[str, ClassScores] = {}
    confusion: Confusion | None = None
    reliability: tuple[Bin, ...] = ()
    risk_coverage: tuple[tuple[float, float], ...] = ()
    slices: tuple[Slice, ...] = ()
    settings: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class Published(Record):
    """A figure that others printed: never computed here, shown beside ours with its source."""

    system: str
    metric: str
    value: float
    setting: str = ""
    source: str


class Report(Scored):
    """`report.json`. The scores of the only part, or of all parts together, stand at the top; `parts` has each."""

    format_version: str = FORMAT_VERSION
    suite: str
    title: str
    side: Side
    system: str
    parts: dict[str, Scored] = {}
    published: tuple[Published, ...] = ()
    faithfulness: dict[str, Any] = {}
    leaks: dict[str, Any] = {}
    robustness: dict[str, Any] = {}
    provenance: dict[str, Any] = {}
