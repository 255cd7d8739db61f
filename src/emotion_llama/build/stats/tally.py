"""Counters that entries pass by, one for each thing that is counted. What they keep grows with words and names only."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from hashlib import blake2b
from itertools import pairwise
from typing import get_args

import numpy as np

from emotion_llama.build.entry import Check, CoarseLabel, Entry, Part, Written
from emotion_llama.build.stats.records import Clues, Durations, PartStats, SpeakerStats, TextStats, UnitCount
from emotion_llama.labels import canonical, is_known
from emotion_llama.metrics.text_overlap import tokens

BINS_S = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
MOST_BINS = 24


def label_of(entry: Entry) -> str | None:
    """The clip's emotion, else its coarse label."""
    return entry.clip.emotion or (entry.coarse.emotion if entry.coarse is not None else None)


def same_word(label: str) -> str:
    """One name for words that mean the same emotion; a word that no table knows stands for itself."""
    return canonical(label) if is_known(label) else label.strip().lower()


class UnitTally:
    """How often each action unit is active, at the peak frame or anywhere."""

    def __init__(self, active_from: float) -> None:
        self.n = 0
        self._active_from = active_from
        self._active: Counter[str] = Counter()
        self._sum: defaultdict[str, float] = defaultdict(float)

    def add_peak(self, intensities: dict[str, float]) -> None:
        """Count one clip that was measured at its peak."""
        self.n += 1
        for unit, value in intensities.items():
            if value >= self._active_from:
                self._active[unit] += 1
                self._sum[unit] += value

    def add_seen(self, units: tuple[str, ...]) -> None:
        """Count one clip with the units that are active anywhere in it."""
        self.n += 1
        self._active.update(set(units))

    def counts(self) -> tuple[UnitCount, ...]:
        """The units that are ever active, the commonest first."""
        ordered = sorted(self._active.items(), key=lambda one: (-one[1], one[0]))
        return tuple(
            UnitCount(unit=unit, n=n, share=n / self.n, mean=self._sum[unit] / n if unit in self._sum else None)
            for unit, n in ordered
        )


class ClueTally:
    """Checks of reasons, summed."""

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()

    def add(self, check: Check, label: str | None) -> None:
        """Count one checked reason of a clip with this label."""
        same = check.concluded is not None and label is not None and same_word(check.concluded) == same_word(label)
        self._sums.update(
            n=1,
            supported=check.supported,
            contradicted=check.contradicted,
            unverifiable=check.unverifiable,
            none_contradicted=int(check.contradicted == 0),
            n_concluded=int(check.concluded is not None),
            n_label=int(same),
        )

    def sums(self) -> Clues:
        """What was counted."""
        return Clues.model_validate({"n": 0, **self._sums})


class AgreementTally:
    """Pairs of pseudo-label and the rule that fires most."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()

    def add(self, coarse: CoarseLabel) -> None:
        """Count one clip; without a pseudo-label there is nothing to compare."""
        if coarse.pseudo_label is None:
            return
        opinion = same_word(coarse.pseudo_label)
        fired = [same_word(name) for name in coarse.fired]
        self.counts["n"] += 1
        rules = {same_word(name) for name in coarse.scores}
        if rules and opinion not in rules:
            self.counts["n_no_rule"] += 1
        elif not fired:
            self.counts["n_nothing"] += 1
        else:
            self.counts["n_compared"] += 1
            self.counts["n_strongest"] += fired[0] == opinion
            self.counts["n_among"] += opinion in fired
            self.pairs[opinion, fired[0]] += 1


class TextTally:
    """One kind of text: lengths, pairs of words, exact repeats."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._writers: Counter[str] = Counter()
        self._lengths = array("I")
        self._ids: dict[str, int] = {}
        self._pairs: set[int] = set()
        self._n_pairs = 0
        self._known: set[bytes] = set()
        self._repeated = 0

    def add(self, text: str, writer: str | None = None) -> None:
        """Count one text."""
        if writer is not None:
            self._writers[writer] += 1
        words = tokens(text)
        self._lengths.append(len(words))
        # a pair is one number: text is many times as large as what has to be kept of it
        ids = [self._ids.setdefault(word, len(self._ids)) for word in words]
        self._pairs.update(first << 32 | second for first, second in pairwise(ids))
        self._n_pairs += max(0, len(ids) - 1)
        key = blake2b(" ".join(words).encode(), digest_size=12).digest()
        self._repeated += key in self._known
        self._known.add(key)

    def add_written(self, written: Written | None) -> None:
        """Count a text with its writer, if it is there."""
        if written is not None:
            self.add(written.text, written.writer)

    def stats(self) -> TextStats:
        """What was counted."""
        lengths = np.array(self._lengths)
        if not len(lengths):
            return TextStats(name=self._name, n=0)
        return TextStats(
            name=self._name,
            n=len(lengths),
            writers=dict(self._writers.most_common()),
            words_min=int(lengths.min()),
            words_median=float(np.median(lengths)),
            words_mean=float(lengths.mean()),
            words_max=int(lengths.max()),
            distinct_2=len(self._pairs) / self._n_pairs if self._n_pairs else None,
            repeated=self._repeated,
        )


class DurationTally:
    """Lengths of clips."""

    def __init__(self) -> None:
        self._seconds = array("d")
        self._n_unknown = 0

    def add(self, entry: Entry) -> None:
        """Count one clip: its measured length, else that of its span."""
        length_s = entry.media.duration_s if entry.media is not None else None
        if length_s is None and entry.clip.end_s is not None:
            length_s = entry.clip.end_s - (entry.clip.start_s or 0.0)
        if length_s:
            self._seconds.append(length_s)
        else:
            self._n_unknown += 1

    def stats(self) -> Durations:
        """Bins are as narrow as shows 99 of 100 clips in at most 24 of them."""
        seconds = np.array(self._seconds)
        if not len(seconds):
            return Durations(n=0, n_unknown=self._n_unknown)
        most_s = float(np.percentile(seconds, 99))
        bin_s = next((width for width in BINS_S if most_s / width <= MOST_BINS - 1), most_s / (MOST_BINS - 1))
        bins = int(most_s // bin_s) + 1
        places = np.minimum((seconds / bin_s).astype(int), bins - 1)
        return Durations(
            n=len(seconds),
            n_unknown=self._n_unknown,
            min_s=float(seconds.min()),
            median_s=float(np.median(seconds)),
            mean_s=float(seconds.mean()),
            p95_s=float(np.percentile(seconds, 95)),
            max_s=float(seconds.max()),
            total_s=float(seconds.sum()),
            bin_s=bin_s,
            counts=tuple(np.bincount(places, minlength=bins).tolist()),
        )


class PartTally:
    """Who and what is in each part."""

    def __init__(self) -> None:
        self._labels: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
        self._sizes: Counter[str | None] = Counter()
        self._speakers: defaultdict[str, Counter[str | None]] = defaultdict(Counter)

    def add(self, entry: Entry, label: str | None) -> None:
        """Count one clip."""
        self._sizes[entry.part] += 1
        if label is not None:
            self._labels[entry.part][label] += 1
        if entry.clip.speaker is not None:
            self._speakers[entry.clip.speaker][entry.part] += 1

    def parts(self) -> tuple[PartStats, ...]:
        """The parts, in the order in which they are used."""
        return tuple(
            PartStats(
                part=part,
                n=n,
                n_speakers=sum(part in parts for parts in self._speakers.values()),
                labels=dict(self._labels[part].most_common()),
            )
            for part in (*get_args(Part), None)
            if (n := self._sizes[part])
        )

    def speakers(self) -> tuple[SpeakerStats, ...]:
        """Every speaker, those with most clips first."""
        ordered = sorted(self._speakers.items(), key=lambda one: (-one[1].total(), one[0]))
        return tuple(
            SpeakerStats(
                speaker=name, n=parts.total(), parts={part: n for part, n in parts.items() if part is not None}
            )
            for name, parts in ordered
        )
