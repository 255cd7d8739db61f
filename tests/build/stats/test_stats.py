"""The numbers of a data set, counted again by other means; and data sets that lack what there is to count."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from emotion_llama.build.entry import ENTRIES, REJECTED, Entry, Rejected, write_lines
from emotion_llama.build.stats.count import dataset_stats
from emotion_llama.build.stats.records import DatasetStats, UnitCount
from emotion_llama.build.stats.rejects import count_rejects, kind_of
from emotion_llama.build.stats.table import stats_text
from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError
from emotion_llama.manifest import write_manifest
from tests.build.stats.made_up import RULES, made_up_entries, made_up_rejections, write_made_up


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return made_up_entries()


@pytest.fixture(scope="module")
def stats(tmp_path_factory: pytest.TempPathFactory) -> DatasetStats:
    return dataset_stats(write_made_up(tmp_path_factory.mktemp("set")))


def shares(counts: tuple[UnitCount, ...]) -> dict[str, float]:
    return {one.unit: one.share for one in counts}


def test_labels_and_parts(entries: list[Entry], stats: DatasetStats) -> None:
    labels = np.array([entry.clip.emotion for entry in entries])
    names, counts = np.unique(labels, return_counts=True)
    assert {one.label: one.n for one in stats.classes} == dict(zip(names.tolist(), counts.tolist(), strict=True))
    assert [one.n for one in stats.classes] == sorted(counts.tolist(), reverse=True)
    assert sum(one.share for one in stats.classes) == pytest.approx(1.0)
    assert [one.part for one in stats.parts] == ["train", "validation", "test"]
    for one in stats.parts:
        mine = [entry for entry in entries if entry.part == one.part]
        assert one.n == len(mine)
        assert one.n_speakers == len({entry.clip.speaker for entry in mine} - {None})
        assert one.labels == Counter(entry.clip.emotion for entry in mine)
    speakers = Counter(entry.clip.speaker for entry in entries if entry.clip.speaker)
    assert {one.speaker: one.n for one in stats.speakers} == speakers
    assert (stats.n, stats.n_unlabelled, stats.n_speakers, stats.shared_speakers) == (300, 0, len(speakers), ())


def test_action_units(entries: list[Entry], stats: DatasetStats) -> None:
    units = sorted({name for entry in entries for name in entry.action_units})
    table = np.array([[entry.action_units.get(name, 0.0) for name in units] for entry in entries])
    active = table >= 0.8
    assert shares(stats.units.peak) == pytest.approx(dict(zip(units, active.mean(axis=0), strict=True)))
    means = {one.unit: one.mean for one in stats.units.peak}
    assert means == pytest.approx({name: table[active[:, n], n].mean() for n, name in enumerate(units)})
    seen = Counter(name for entry in entries for name in entry.units_seen)
    assert {one.unit: one.n for one in stats.units.anywhere} == seen
    for one in stats.classes:
        rows = active[[entry.clip.emotion == one.label for entry in entries]]
        assert shares(one.units) == pytest.approx(
            {name: share for name, share in zip(units, rows.mean(axis=0), strict=True) if share}
        )
        assert len(one.top) == 5
        assert [unit.n for unit in one.top] == sorted(rows.sum(axis=0).tolist(), reverse=True)[:5]


def test_lengths_and_texts(entries: list[Entry], stats: DatasetStats) -> None:
    seconds = np.array([entry.media.duration_s for entry in entries if entry.media])
    lengths = stats.durations
    assert (lengths.n, lengths.min_s, lengths.max_s) == (300, seconds.min(), seconds.max())
    assert (lengths.median_s, lengths.p95_s) == (np.median(seconds), np.percentile(seconds, 95))
    edges = [lengths.bin_s * number for number in range(len(lengths.counts))]
    assert lengths.counts == tuple(np.histogram(seconds, [*edges, np.inf])[0].tolist())
    texts = [entry.fine_text.text.split() for entry in entries if entry.fine_text]
    (fine,) = (one for one in stats.texts if one.name == "fine_text")
    pairs = [pair for words in texts for pair in pairwise(words)]
    assert fine.distinct_2 == len(set(pairs)) / len(pairs)
    assert (fine.n, fine.words_min, fine.words_max) == (300, min(map(len, texts)), max(map(len, texts)))
    assert fine.words_mean == pytest.approx(np.mean([len(words) for words in texts]))
    assert fine.writers == Counter(entry.fine_text.writer for entry in entries if entry.fine_text)
    (voice,) = (one for one in stats.texts if one.name == "voice")
    assert voice.repeated == 300 - len({entry.voice.text for entry in entries if entry.voice})


def test_clues(entries: list[Entry], stats: DatasetStats) -> None:
    checks = [(entry.check, entry.clip.emotion) for entry in entries if entry.check]
    assert stats.clues.n == len(checks)
    for name in ("supported", "contradicted", "unverifiable"):
        assert getattr(stats.clues, name) == sum(getattr(check, name) for check, _ in checks)
        assert sum(getattr(one.clues, name) for one in stats.classes) == getattr(stats.clues, name)
    assert stats.clues.none_contradicted == sum(check.contradicted == 0 for check, _ in checks)
    assert stats.clues.n_label == sum(check.concluded == label for check, label in checks)


def test_rule_and_pseudo_label_against_scikit_learn(entries: list[Entry], stats: DatasetStats) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn for an independent kappa")
    opinions = [entry.coarse for entry in entries if entry.coarse and entry.coarse.pseudo_label]
    both = [(one.pseudo_label, one.fired[0]) for one in opinions if one.fired and one.pseudo_label in RULES]
    agreement = stats.agreement
    assert (agreement.n, agreement.n_compared) == (300, len(both))
    assert agreement.n_no_rule == sum(one.pseudo_label == "neutral" for one in opinions)
    assert agreement.n_nothing == sum(one.pseudo_label in RULES and not one.fired for one in opinions)
    assert agreement.n_strongest == sum(first == second for first, second in both)
    assert agreement.kappa == pytest.approx(metrics.cohen_kappa_score(*zip(*both, strict=True)))
    matrix = metrics.confusion_matrix(*zip(*both, strict=True), labels=agreement.labels)
    assert agreement.matrix == tuple(map(tuple, matrix.tolist()))


def test_rejections_by_kind() -> None:
    assert kind_of("it is 12.35 s long; wanted 1 to 10 s") == "it is # s long; wanted 1 to 10 s"
    assert kind_of("cannot be read: /a/b.mp4: empty") == "cannot be read"
    assert kind_of("the same recording as media/a 7.mp4: 88% of the bits agree") == "the same recording as … …"
    assert kind_of("the pseudo-label is sad (nano 0.71), but its action units do not show it; fired: happy, sad") == (
        "the pseudo-label is sad (nano #), but its action units do not show it"
    )
    assert kind_of("writer-8b finds that AU12 speaks against it: no") == "writer-8b finds that AU12 speaks against it"
    rejected = made_up_rejections()
    counts = count_rejects(rejected)
    assert sum(one.n for one in counts) == len(rejected)
    steps: Counter[str] = Counter()
    for one in counts:
        steps[one.step] += one.n
    assert steps == Counter(one.step for one in rejected)
    assert len(counts) <= 12
    assert counts[0].n == max(one.n for one in counts)


def test_other_lists_beside_it(tmp_path: Path) -> None:
    dataset = write_made_up(tmp_path / "mine", 40)
    words = ["joy", "joy", "anger", "calm", None, "Wistful"]
    write_manifest(
        [Clip(clip=str(n), transcript="x", emotion=word) for n, word in enumerate(words)], tmp_path / "a.csv"
    )
    stats = dataset_stats(dataset, [tmp_path / "a.csv", write_made_up(tmp_path / "other", 20)])
    first, second = stats.against
    assert (first.name, first.n, first.n_unlabelled) == ("a.csv", 6, 1)
    assert first.labels == {"happy": 2, "angry": 1, "calm": 1, "Wistful": 1}
    assert (second.name, second.n) == ("other", 20)
    with pytest.raises(ManifestError, match="gone"):
        dataset_stats(dataset, [tmp_path / "gone.csv"])


def test_a_data_set_with_hardly_anything(tmp_path: Path) -> None:
    write_lines([Entry(clip=Clip(clip="a", transcript="hello", emotion="sad")), Entry(clip=Clip(clip="b"))],
                tmp_path / ENTRIES)  # fmt: skip
    stats = dataset_stats(tmp_path)
    assert (stats.n, stats.n_unlabelled, stats.clues.n, stats.agreement.n) == (2, 1, 0, 0)
    assert (stats.units.peak, stats.durations.n_unknown, stats.agreement.kappa) == ((), 2, None)
    assert [one.part for one in stats.parts] == [None]
    notes = " ".join(stats.notes)
    for word in ("rejected.jsonl", "checked", "action units", "pseudo-label"):
        assert word in notes
    assert "2 clips" in stats_text(stats)


def test_an_empty_data_set_and_none(tmp_path: Path) -> None:
    (tmp_path / ENTRIES).write_text("", encoding="utf-8")
    write_lines([Rejected(clip="a", step="probe", reason="it has no sound")], tmp_path / REJECTED)
    stats = dataset_stats(tmp_path)
    assert (stats.n, stats.n_rejected, stats.classes) == (0, 1, ())
    assert "holds no entry" in stats_text(stats)
    with pytest.raises(ManifestError, match=r"is .* a data set made by"):
        dataset_stats(tmp_path / "nowhere")
    (tmp_path / ENTRIES).write_text('{"clip": 1}\n', encoding="utf-8")
    with pytest.raises(ManifestError, match=r"entries\.jsonl:1"):
        dataset_stats(tmp_path)


def test_units_without_intensities_are_counted_anywhere(tmp_path: Path) -> None:
    rows = [Entry(clip=Clip(clip=str(n), emotion="happy"), units_seen=("AU06", "AU12")[n % 2 :]) for n in range(4)]
    write_lines(rows, tmp_path / ENTRIES)
    stats = dataset_stats(tmp_path)
    assert stats.units.basis == "anywhere"
    assert shares(stats.classes[0].units) == {"AU12": 1.0, "AU06": 0.5}
    assert "anywhere" in " ".join(stats.notes)
