"""Sweeps: levels reach the model as real damaged recordings, curves have the hand-worked area, runs resume."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item, Prediction, Scored
from emotion_llama.evaluate.robustness.conditions import CONDITIONS, QUICK, label_order, level_name, parse_conditions
from emotion_llama.evaluate.robustness.curve import ConditionScore, relative_area
from emotion_llama.evaluate.robustness.export import export_corrupted, read_exported, score_exported
from emotion_llama.evaluate.robustness.sweeps import RobustnessOptions, run_robustness
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Part, ScoreSettings
from emotion_llama.manifest import read_manifest
from emotion_llama.media import read_waveform
from emotion_llama.metrics.statistic import Metric

LABELS = ("happy", "sad")
SETTINGS = ScoreSettings(draws=200)
OPTIONS = RobustnessOptions(settings=SETTINGS, batch=3)
THRESHOLDS_DB = {"a": 15.0, "b": 7.5, "c": 2.5, "d": -2.5}


def score(part: Part, predictions: Sequence[Prediction | None]) -> Scored:
    return score_labels(part.items, predictions, part.labels, SETTINGS)


def tone_snr_db(path: Path) -> float:
    """How far the 220 Hz tone of the test recordings stands out of everything else."""
    sound = read_waveform(path)
    assert sound is not None
    samples = sound.samples.astype(np.float64)
    angle = 2 * np.pi * 220 * np.arange(len(samples)) / 16_000
    waves = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    tone = waves @ np.linalg.lstsq(waves, samples, rcond=None)[0]
    return float(10 * np.log10(np.mean(tone**2) / max(np.mean((samples - tone) ** 2), 1e-12)))


class Listener:
    """Says the truth as long as the tone stands out by the clip's own threshold, the other label else."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], dict[str, Any]]] = []
        self.paths: list[Path] = []

    def __call__(self, items: Sequence[Item], changes: dict[str, Any]) -> list[Prediction | None]:
        self.calls.append(([item.clip.clip for item in items], changes))
        found: list[Prediction | None] = []
        for item in items:
            assert item.clip.path is not None
            self.paths.append(item.clip.path)
            right = tone_snr_db(item.clip.path) > THRESHOLDS_DB[item.clip.clip]
            truth = item.clip.emotion
            found.append(Prediction(clip=item.clip.clip, emotion=truth if right else "sad"))
        return found


def always(emotion: str) -> Callable[[Sequence[Item], dict[str, Any]], list[Prediction | None]]:
    return lambda items, changes: [Prediction(clip=item.clip.clip, emotion=emotion) for item in items]


@pytest.fixture
def part(make_clip: Callable[..., Path]) -> Part:
    """Four happy recordings of a tone, sound alone."""
    items = [
        Item(clip=Clip(clip=name, path=make_clip(f"{name}.wav", size=None, seconds=1.0, level=0.2), emotion="happy"))
        for name in THRESHOLDS_DB
    ]
    return Part("tones", tuple(items), LABELS, score_labels)


def only(report: Any) -> ConditionScore:
    assert len(report.conditions) == 1
    found: ConditionScore = report.conditions[0]
    return found


def test_the_area_is_the_hand_worked_one(tmp_path: Path, part: Part) -> None:
    listener = Listener()
    report = run_robustness([part], parse_conditions("snr-white"), listener, score, tmp_path, OPTIONS)
    found = only(report)
    assert [one.level for one in found.levels] == ["20", "10", "5", "0", "-5"]
    assert [one.value.value for one in found.levels] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert found.metric == "war" and found.n == 4 and found.unit == "dB"
    assert found.clean is not None and found.clean.value == 1.0
    # (10 · .875 + 5 · .625 + 5 · .375 + 5 · .125) / 25
    assert found.area is not None and found.area.value == pytest.approx(0.575)
    assert found.area.low is not None and found.area.high is not None and found.area.low < 0.575 < found.area.high
    assert found.worst == "-5"
    assert found.difference is not None
    assert (found.difference.value, found.difference.low, found.difference.high) == (-1.0, -1.0, -1.0)
    assert found.changed is not None and found.changed.value == 1.0
    assert (found.lowest, found.highest) == (0.0, 1.0)
    assert any("active speech" in note for note in report.notes)
    assert [len(clips) for clips, _ in listener.calls] == [3, 1] * 6  # clean and five levels, in batches
    assert all(changes == {"labels": LABELS} for _, changes in listener.calls)


def test_damaged_recordings_are_gone_afterwards_unless_kept(tmp_path: Path, part: Part) -> None:
    listener = Listener()
    run_robustness([part], parse_conditions("telephone"), listener, score, tmp_path / "a", OPTIONS)
    assert [path.exists() for path in listener.paths] == [True] * 4 + [False] * 4
    keeping = RobustnessOptions(settings=SETTINGS, keep=True)
    run_robustness([part], parse_conditions("telephone"), Listener(), score, tmp_path / "b", keeping)
    assert len(list((tmp_path / "b/robustness/media/telephone-g711").glob("*.wav"))) == 4


def test_a_second_run_asks_only_what_is_new(tmp_path: Path, part: Part) -> None:
    first = run_robustness([part], parse_conditions("snr-white"), Listener(), score, tmp_path, OPTIONS)
    kept = sorted(path.name for path in (tmp_path / "robustness").iterdir())
    assert kept == sorted(["clean.jsonl", *(f"snr-white-{level}.jsonl" for level in ("20", "10", "5", "0", "-5"))])
    again = Listener()
    (tmp_path / "robustness/snr-white-5.jsonl").unlink()
    second = run_robustness([part], parse_conditions("snr-white"), again, score, tmp_path, OPTIONS)
    assert second == first
    assert len(again.paths) == 4
    other = Listener()
    changed = RobustnessOptions(settings=SETTINGS, system="another model")
    run_robustness([part], parse_conditions("snr-white"), other, score, tmp_path, changed)
    assert len(other.paths) == 6 * 4


def test_a_kept_file_that_was_changed_is_named(tmp_path: Path, part: Part) -> None:
    run_robustness([part], parse_conditions("telephone"), Listener(), score, tmp_path, OPTIONS)
    path = tmp_path / "robustness/telephone-g711.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], lines[2][:-5]]) + "\n")
    with pytest.raises(ManifestError, match=r"telephone-g711\.jsonl:3"):
        run_robustness([part], parse_conditions("telephone"), Listener(), score, tmp_path, OPTIONS)


def test_what_does_not_apply_is_named_with_the_reason(tmp_path: Path, part: Part) -> None:
    chosen = parse_conditions("blur,asr-errors,missing")
    report = run_robustness([part], chosen, Listener(), score, tmp_path, OPTIONS)
    why = {one.condition: one.not_applicable for one in report.conditions}
    assert "none of its 4 clips" in (why["blur"] or "") and "no pictures" in (why["blur"] or "")
    assert "no transcript" in (why["asr-errors"] or "")
    assert why["missing"] is None


def test_clips_that_cannot_be_damaged_are_left_out_by_name(
    tmp_path: Path, part: Part, make_clip: Callable[..., Path]
) -> None:
    text = tmp_path / "e.wav"
    text.write_text("no recording")
    extra = [
        Item(clip=Clip(clip="silent", path=make_clip("silent.wav", size=None, level=0.0), emotion="sad")),
        Item(clip=Clip(clip="film", path=make_clip("film.mp4", level=None), emotion="sad")),
        Item(clip=Clip(clip="broken", path=text, emotion="sad")),
        Item(clip=Clip(clip="said", transcript="hello there", emotion="sad")),
    ]
    whole = Part("all", (*part.items, *extra), LABELS, score_labels)
    report = run_robustness([whole], parse_conditions("snr-white"), always("happy"), score, tmp_path, OPTIONS)
    found = only(report)
    assert found.n == 4
    assert found.clean is not None and found.clean.value == 1.0  # over the same four clips, not over eight
    named = {problem.clip: (problem.kind, problem.message) for problem in found.left_out}
    assert set(named) == {"silent", "film", "broken", "said"}
    assert named["broken"][0] == "unreadable" and "e.wav" in named["broken"][1]
    assert "silence" in named["silent"][1] and "no sound" in named["film"][1]


def test_missing_inputs_label_order_and_phrasing_change_the_asking(
    tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    items = tuple(
        Item(clip=Clip(clip=name, path=make_clip(f"{name}.mp4", seconds=0.4), emotion="happy")) for name in "ab"
    )
    part = Part("films", items, ("happy", "sad", "angry"), score_labels)
    asked: list[dict[str, Any]] = []

    def answer(items: Sequence[Item], changes: dict[str, Any]) -> list[Prediction | None]:
        asked.append(changes)
        assert all(item.clip.path == part.items["ab".index(item.clip.clip)].clip.path for item in items)
        said = {"a": "happy", "b": changes["labels"][0]}  # clip b gets whatever is listed first
        blind = "video" in changes.get("without", ())
        return [None if blind else Prediction(clip=i.clip.clip, emotion=said[i.clip.clip]) for i in items]

    report = run_robustness([part], parse_conditions("missing,label-order,phrasing"), answer, score, tmp_path, OPTIONS)
    missing, order, phrasing = report.conditions
    assert [one.level for one in missing.levels] == [
        "text", "audio", "video", "audio+text", "video+text", "video+audio"
    ]  # fmt: skip
    assert missing.area is None
    assert missing.worst == "video" and missing.difference is not None and missing.difference.value == -1.0
    orders = [changes["labels"] for changes in asked if changes.get("label_orders") == 1]
    assert len(orders) == 6 and orders[0] == part.labels and orders[1] == part.labels[::-1]
    assert all(sorted(one) == sorted(part.labels) for one in orders)
    assert order.changed is not None and order.changed.value == 0.5
    assert (order.lowest, order.highest) == (0.5, 1.0)
    assert [changes["phrasing"] for changes in asked if "phrasing" in changes] == [1, 2, 3, 4]
    assert phrasing.changed is not None and phrasing.changed.value == 0.0


def test_recognition_errors_are_compared_with_the_given_words(tmp_path: Path) -> None:
    text = "we never said that she could come with us to the party today again"
    items = tuple(Item(clip=Clip(clip=f"t{n}", transcript=text, emotion="happy")) for n in range(20))
    part = Part("lines", items, LABELS, score_labels)
    asked: list[dict[str, Any]] = []

    def answer(items: Sequence[Item], changes: dict[str, Any]) -> list[Prediction | None]:
        asked.append(changes)
        heard = [(item.clip.clip, "never said that" in (item.clip.transcript or "")) for item in items]
        return [Prediction(clip=clip, emotion="happy" if right else "sad") for clip, right in heard]

    found = only(run_robustness([part], parse_conditions("asr-errors"), answer, score, tmp_path, OPTIONS))
    assert all(changes["words"] == "given" for changes in asked if "words" in changes)
    assert sum("words" in changes for changes in asked) == 4 * 7  # 0, 10, 20, 40 %; 20 clips in batches of 3
    assert found.clean is not None and found.clean.value == 1.0
    values = [one.value.value or 0.0 for one in found.levels]
    assert values[-1] < 0.9 and values == sorted(values, reverse=True)
    x, r = [0, 10, 20, 40], [1.0, *values]
    area = sum((x[i + 1] - x[i]) * (r[i] + r[i + 1]) / 2 for i in range(3)) / 40
    assert found.area is not None and found.area.value == pytest.approx(area)


def test_scores_without_single_labels_come_from_the_scorer(tmp_path: Path, part: Part) -> None:
    def mean_length(part: Part, predictions: Sequence[Prediction | None]) -> Scored:
        value = float(np.mean([len(p.labels or ()) if p else 0 for p in predictions]))
        return Scored(
            n_asked=len(predictions), n_scored=len(predictions), headline=("length",),
            metrics={"length": Metric(value=value, low=None, high=None)},
        )  # fmt: skip

    def answer(items: Sequence[Item], changes: dict[str, Any]) -> list[Prediction | None]:
        level_db = [tone_snr_db(item.clip.path) for item in items if item.clip.path is not None]
        words = [("joy", "relief") if db > 7.5 else ("joy",) for db in level_db]
        return [Prediction(clip=i.clip.clip, labels=said) for i, said in zip(items, words, strict=True)]

    free = Part("free", part.items, (), score_labels)
    found = only(run_robustness([free], parse_conditions("snr-white"), answer, mean_length, tmp_path, OPTIONS))
    assert [one.value.value for one in found.levels] == [2.0, 2.0, 1.0, 1.0, 1.0]
    assert found.area is not None
    assert found.area.value == pytest.approx((10 + 5 * 0.75 + 10 * 0.5) / 25)
    assert found.difference is not None and found.difference.value == -1.0
    assert found.changed is not None and found.changed.value == 1.0


def test_clean_answers_may_be_given(tmp_path: Path, part: Part) -> None:
    known: list[Prediction | None] = [Prediction(clip=item.clip.clip, emotion="happy") for item in part.items]
    listener = Listener()
    options = RobustnessOptions(settings=SETTINGS, clean={"tones": known})
    found = only(run_robustness([part], parse_conditions("telephone"), listener, score, tmp_path, options))
    assert len(listener.paths) == 4
    assert found.area is None and found.difference is not None and found.difference.value is not None


def test_too_few_answers_are_refused(tmp_path: Path, part: Part) -> None:
    with pytest.raises(UsageError, match="one answer for each of 3 clips, found 0"):
        run_robustness([part], parse_conditions("telephone"), lambda items, changes: [], score, tmp_path, OPTIONS)


def test_an_export_is_answered_and_scored_like_a_run(tmp_path: Path, part: Part) -> None:
    direct = run_robustness([part], parse_conditions("snr-white"), Listener(), score, tmp_path / "run", OPTIONS)
    out = tmp_path / "export"
    export_corrupted([part], parse_conditions("snr-white,label-order"), out)
    folders = [level.folder for level in read_exported(out).levels]
    assert len(folders) == 6
    for folder in folders:
        clips = read_manifest(out / folder / "manifest.jsonl")
        assert all(clip.emotion is None and clip.transcript is None for clip in clips)
        said = Listener()([Item(clip=clip.model_copy(update={"emotion": "happy"})) for clip in clips], {})
        lines = [json.dumps({"clip": p.clip, "emotion": p.emotion}) for p in said if p is not None]
        if folder.endswith("-10"):
            continue
        (out / folder / "predictions.jsonl").write_text("\n".join(lines))
        late = lines
    waiting = only(score_exported([part], out, score, SETTINGS))
    assert "snr-white-10/predictions.jsonl" in (waiting.not_applicable or "")
    assert late
    clips = read_manifest(out / "tones/snr-white-10/manifest.jsonl")
    said = Listener()([Item(clip=clip.model_copy(update={"emotion": "happy"})) for clip in clips], {})
    rows = ["clip,emotion", *(f"{p.clip},{p.emotion}" for p in said if p is not None)]
    (out / "tones/snr-white-10/predictions.csv").write_text("\n".join(rows))
    assert only(score_exported([part], out, score, SETTINGS)) == only(direct)


def test_an_export_without_recordings_to_damage_is_refused(tmp_path: Path, part: Part) -> None:
    with pytest.raises(UsageError, match="nothing to export"):
        export_corrupted([part], parse_conditions("missing"), tmp_path)
    with pytest.raises(ManifestError, match=r"conditions\.json"):
        read_exported(tmp_path)
    export_corrupted([part], parse_conditions("telephone"), tmp_path)
    with pytest.raises(ManifestError, match="let the system answer"):
        score_exported([part], tmp_path, score, SETTINGS)


def test_names_of_conditions() -> None:
    assert parse_conditions("all") == CONDITIONS
    assert {one.name for one in parse_conditions("quick")} == set(QUICK)
    assert [one.name for one in parse_conditions(" mp3 , snr,mp3")] == ["mp3", "snr-white", "snr-babble", "snr-music"]
    with pytest.raises(UsageError, match="did you mean 'telephone'"):
        parse_conditions("telephon")
    with pytest.raises(UsageError, match="names of conditions"):
        parse_conditions(" , ")


def test_levels_go_from_mild_to_severe_and_name_files() -> None:
    for condition in CONDITIONS:
        positions = condition.positions(condition.levels)
        if positions is not None:
            assert positions in (sorted(positions), sorted(positions, reverse=True))
        assert len({level_name(level) for level in condition.levels}) == len(condition.levels)


def test_octaves_of_the_bit_rate_count_alike() -> None:
    mp3 = next(one for one in CONDITIONS if one.name == "mp3")
    values = np.array([[1.0], [0.8], [0.6], [0.4]])
    area = relative_area(mp3, mp3.levels, np.array([0.8]), values)
    assert area is not None and area[0] == pytest.approx((0.9 + 0.7 + 0.5) / 3 / 0.8)
    nothing = relative_area(mp3, mp3.levels, np.array([0.0]), values)
    assert nothing is not None and np.isnan(nothing[0])


def test_label_orders_follow_from_the_seed() -> None:
    labels = tuple("abcdefgh")
    assert label_order(labels, "shuffled-1", 0) == label_order(labels, "shuffled-1", 0)
    assert label_order(labels, "shuffled-1", 0) != label_order(labels, "shuffled-2", 0)
    assert label_order(labels, "shuffled-1", 0) != label_order(labels, "shuffled-1", 1)
