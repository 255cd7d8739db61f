"""The numbers of a data set: what `stats.json` holds."""

from __future__ import annotations

from typing import Literal

from emotion_llama.clip import Record

FORMAT_VERSION = "1"
TOP_UNITS = 5


class UnitCount(Record):
    """One action unit: `n` clips in which it is active, `share` of those measured.

    `mean`: its mean intensity (0–5) where active; `None` where intensities were not measured.
    """

    unit: str
    n: int
    share: float
    mean: float | None = None


class UnitStats(Record):
    """Action units of all clips, the commonest first (paper, figure 4).

    `peak`: active (intensity `active_from` or more) at the peak frame, of `n_peak` clips measured there; `anywhere`:
    active in any frame, of `n_anywhere` clips.
    """

    active_from: float
    n_peak: int
    peak: tuple[UnitCount, ...]
    n_anywhere: int
    anywhere: tuple[UnitCount, ...]

    @property
    def basis(self) -> Literal["peak", "anywhere"]:
        """Where classes are counted: at the peak, or, where no intensity was measured there, anywhere."""
        return "peak" if self.peak or not self.anywhere else "anywhere"


class Clues(Record):
    """Clues of reasons held against measurements, summed over `n` checked clips.

    `none_contradicted`: clips without a contradicted clue. `n_concluded` reasons end with an emotion, `n_label` of
    those with the clip's label.
    """

    n: int
    supported: int = 0
    contradicted: int = 0
    unverifiable: int = 0
    none_contradicted: int = 0
    n_concluded: int = 0
    n_label: int = 0


class ClassStats(Record):
    """One class: its clips, their commonest action units (of `n_units` clips measured), the clues of their reasons."""

    label: str
    n: int
    share: float
    n_units: int
    units: tuple[UnitCount, ...]
    clues: Clues

    @property
    def top(self) -> tuple[UnitCount, ...]:
        """The five commonest units."""
        return self.units[:TOP_UNITS]


class OtherSet(Record):
    """Labels of another list, in this data set's words where it has one for the same emotion."""

    name: str
    n: int
    n_unlabelled: int
    labels: dict[str, int]


class Durations(Record):
    """Lengths of clips in seconds (paper, figure 7); of a still picture or an unknown length there is none.

    `counts[i]`: clips from i to i + 1 times `bin_s`; the last also those that are longer.
    """

    n: int
    n_unknown: int
    min_s: float | None = None
    median_s: float | None = None
    mean_s: float | None = None
    p95_s: float | None = None
    max_s: float | None = None
    total_s: float = 0.0
    bin_s: float = 1.0
    counts: tuple[int, ...] = ()


class RejectCount(Record):
    """Clips that one step rejected for one kind of reason; numbers in it stand as "#". `example`: one clip."""

    step: str
    reason: str
    n: int
    example: str


class Agreement(Record):
    """The rule table's opinion beside the pseudo-label, of `n` clips that have one.

    `n_no_rule`: the table has no rule for the pseudo-label; `n_nothing`: it has, but nothing fires. `n_compared`
    clips have both opinions: `n_strongest` of them the same (the rule that fires most), `n_among` the pseudo-label's
    rule among those that fire. `kappa`: Cohen's, of the strongest, over the compared; `None` where it is not defined
    (one emotion only). `matrix`: rows pseudo-label, columns rule, in the order of `labels`.
    """

    n: int
    n_no_rule: int = 0
    n_nothing: int = 0
    n_compared: int = 0
    n_strongest: int = 0
    n_among: int = 0
    kappa: float | None = None
    labels: tuple[str, ...] = ()
    matrix: tuple[tuple[int, ...], ...] = ()


class TextStats(Record):
    """One kind of text: how many clips have it, who wrote it, how long and how varied it is.

    Words are counted as `metrics.text_overlap.tokens` cuts them (Chinese, Japanese, Korean: characters). `distinct_2`:
    different pairs of neighbouring words over all pairs (Li et al. 2016); it falls as texts are added, so compare sets
    of one size. `repeated`: clips whose text some earlier clip has word for word.
    """

    name: str
    n: int
    writers: dict[str, int] = {}
    words_min: int = 0
    words_median: float = 0.0
    words_mean: float = 0.0
    words_max: int = 0
    distinct_2: float | None = None
    repeated: int = 0


class PartStats(Record):
    """One side of the split: clips, speakers, and clips by label. `part` `None`: in no part."""

    part: str | None
    n: int
    n_speakers: int
    labels: dict[str, int]


class SpeakerStats(Record):
    """Clips of one speaker, and by part."""

    speaker: str
    n: int
    parts: dict[str, int]


class DatasetStats(Record):
    """All numbers of a data set. Classes and speakers: the largest first.

    `n_speakers` people are named; `shared_speakers` are those in more than one part. `notes`: what could not be told.
    """

    format_version: str = FORMAT_VERSION
    dataset: str
    n: int
    n_rejected: int
    n_unlabelled: int
    n_speakers: int
    classes: tuple[ClassStats, ...]
    against: tuple[OtherSet, ...]
    units: UnitStats
    durations: Durations
    rejects: tuple[RejectCount, ...]
    clues: Clues
    agreement: Agreement
    texts: tuple[TextStats, ...]
    parts: tuple[PartStats, ...]
    speakers: tuple[SpeakerStats, ...]
    shared_speakers: tuple[str, ...]
    notes: tuple[str, ...]
