"""The count itself: one pass over a data set, entry by entry."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from emotion_llama.build.entry import ENTRIES, REJECTED, Entry, read_entries, read_rejected
from emotion_llama.build.stats.records import Agreement, ClassStats, DatasetStats, OtherSet, UnitStats
from emotion_llama.build.stats.rejects import count_rejects
from emotion_llama.build.stats.tally import (
    AgreementTally,
    ClueTally,
    DurationTally,
    PartTally,
    TextTally,
    UnitTally,
    label_of,
    same_word,
)
from emotion_llama.errors import ManifestError
from emotion_llama.manifest import read_manifest
from emotion_llama.metrics.agreement import cohen_kappa
from emotion_llama.perception.describe import word_table

TEXTS = ("scene", "voice", "coarse_text", "fine_text", "reasoning", "transcript")


class _Counted:
    """Everything that is counted while the entries pass by."""

    def __init__(self, active_from: float) -> None:
        self.n = 0
        self.labels: Counter[str] = Counter()
        self.peak, self.anywhere = UnitTally(active_from), UnitTally(active_from)
        self.peak_of: defaultdict[str, UnitTally] = defaultdict(lambda: UnitTally(active_from))
        self.anywhere_of: defaultdict[str, UnitTally] = defaultdict(lambda: UnitTally(active_from))
        self.clues, self.clues_of = ClueTally(), defaultdict[str, ClueTally](ClueTally)
        self.agreement = AgreementTally()
        self.durations = DurationTally()
        self.parts = PartTally()
        self.texts = {name: TextTally(name) for name in TEXTS}

    def add(self, entry: Entry) -> None:
        label = label_of(entry)
        self.n += 1
        if label is not None:
            self.labels[label] += 1
        self._units(entry, label)
        if entry.check is not None:
            self.clues.add(entry.check, label)
            if label is not None:
                self.clues_of[label].add(entry.check, label)
        if entry.coarse is not None:
            self.agreement.add(entry.coarse)
        self.durations.add(entry)
        self.parts.add(entry, label)
        self._texts(entry)

    def _units(self, entry: Entry, label: str | None) -> None:
        """A face that was seen and shows nothing counts as measured; a clip without a face does not."""
        face = entry.faces is not None and entry.faces.people > 0
        if entry.action_units or face:
            self.peak.add_peak(entry.action_units)
            if label is not None:
                self.peak_of[label].add_peak(entry.action_units)
        if entry.units_seen or face:
            self.anywhere.add_seen(entry.units_seen)
            if label is not None:
                self.anywhere_of[label].add_seen(entry.units_seen)

    def _texts(self, entry: Entry) -> None:
        for name in ("scene", "voice", "coarse_text", "fine_text"):
            self.texts[name].add_written(getattr(entry, name))
        for name in ("reasoning", "transcript"):
            text = getattr(entry.clip, name)
            if text:
                self.texts[name].add(text)


def dataset_stats(dataset: Path, against: Sequence[Path] = ()) -> DatasetStats:
    """Count what a data set holds, and the labels of other manifests or data sets beside it.

    Entries are read one by one: what is kept grows with the number of different words and names. Raises
    `ManifestError` for a data set or manifest that cannot be read.
    """
    active_from = word_table().action_unit_steps[0]
    counted = _Counted(active_from)
    for entry in read_entries(dataset):
        counted.add(entry)
    rejects = count_rejects(read_rejected(dataset)) if (dataset / REJECTED).is_file() else ()
    units = UnitStats(
        active_from=active_from,
        n_peak=counted.peak.n,
        peak=counted.peak.counts(),
        n_anywhere=counted.anywhere.n,
        anywhere=counted.anywhere.counts(),
    )
    speakers = counted.parts.speakers()
    agreement = _agreement(counted.agreement)
    return DatasetStats(
        dataset=dataset.resolve().name,
        n=counted.n,
        n_rejected=sum(one.n for one in rejects),
        n_unlabelled=counted.n - counted.labels.total(),
        n_speakers=len(speakers),
        classes=_classes(counted, units),
        against=tuple(_other(path, counted.labels) for path in against),
        units=units,
        durations=counted.durations.stats(),
        rejects=rejects,
        clues=counted.clues.sums(),
        agreement=agreement,
        texts=tuple(stats for tally in counted.texts.values() if (stats := tally.stats()).n),
        parts=counted.parts.parts(),
        speakers=speakers,
        shared_speakers=tuple(one.speaker for one in speakers if len(one.parts) > 1),
        notes=_notes(dataset, counted, units),
    )


def _classes(counted: _Counted, units: UnitStats) -> tuple[ClassStats, ...]:
    tallies = counted.peak_of if units.basis == "peak" else counted.anywhere_of
    total = counted.labels.total()
    return tuple(
        ClassStats(
            label=label,
            n=n,
            share=n / total,
            n_units=tallies[label].n,
            units=tallies[label].counts(),
            clues=counted.clues_of[label].sums(),
        )
        for label, n in sorted(counted.labels.items(), key=lambda one: (-one[1], one[0]))
    )


def _other(path: Path, own: Iterable[str]) -> OtherSet:
    words = {same_word(label): label for label in reversed(list(own))}
    counts: Counter[str] = Counter()
    n = 0
    for label in _labels(path):
        n += 1
        if label is not None:
            counts[words.get(same_word(label), label)] += 1
    return OtherSet(name=_name(path), n=n, n_unlabelled=n - counts.total(), labels=dict(counts.most_common()))


def _labels(path: Path) -> Iterable[str | None]:
    if path.is_dir() or path.name == ENTRIES:
        return (label_of(entry) for entry in read_entries(path if path.is_dir() else path.parent))
    return (clip.emotion for clip in read_manifest(path))


def _name(path: Path) -> str:
    """A manifest is often called manifest.csv: its folder says more."""
    plain = path.stem in ("manifest", "entries", "clips", "train", "validation", "test")
    parent = path.resolve().parent.name
    return path.resolve().name if path.is_dir() else f"{parent}/{path.name}" if plain and parent else path.name


def _agreement(tally: AgreementTally) -> Agreement:
    sizes = Counter({label: 0 for pair in sorted(tally.pairs) for label in pair})
    for (opinion, _), count in tally.pairs.items():
        sizes[opinion] += count
    labels = tuple(label for label, _ in sizes.most_common())
    counts = [[tally.pairs[row, column] for column in labels] for row in labels]
    matrix = np.array(counts, np.int64).reshape(len(labels), len(labels))
    pseudo, rule = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices(matrix.shape))
    return Agreement(
        **{"n": 0, **tally.counts},
        kappa=cohen_kappa(pseudo, rule, len(labels)) if labels else None,
        labels=labels,
        matrix=tuple(tuple(row) for row in matrix.tolist()),
    )


def _notes(dataset: Path, counted: _Counted, units: UnitStats) -> tuple[str, ...]:
    notes = []
    if not counted.n:
        notes.append("The data set holds no entry.")
    if not (dataset / REJECTED).is_file():
        notes.append(f"There is no {REJECTED}: what was rejected is not known.")
    if counted.n and not counted.clues.sums().n:
        notes.append("No entry was checked: how many clues the measurements support is not known.")
    if counted.n and not units.n_peak and not units.n_anywhere:
        notes.append("No entry has action units.")
    elif units.basis == "anywhere" and units.anywhere:
        notes.append("No intensity at a peak frame is known: classes are counted by units active anywhere in a clip.")
    if counted.n and not counted.agreement.counts["n"]:
        notes.append("No entry has a pseudo-label: there is nothing to compare the rule table with.")
    return tuple(notes)


def read_stats(path: Path) -> DatasetStats:
    """Read a `stats.json`. Raises `ManifestError` naming the file."""
    try:
        return DatasetStats.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path}: not the numbers of a data set ({error}); run build stats again") from error
