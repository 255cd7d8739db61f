"""The contract of one analysis, with the real model: what goes in is told truly, what comes out adds up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emotion_llama.analyze.analyzer import as_clip, changed, without_own
from emotion_llama.analyze.profile import gather, make_profile, save_profile
from emotion_llama.clip import Analysis, Clip
from emotion_llama.encoders.person import PersonBaseline
from emotion_llama.encoders.temporal import MOVEMENT
from emotion_llama.errors import UsageError
from emotion_llama.labels import LABEL_SETS
from emotion_llama.settings import AnalyzeSettings

if TYPE_CHECKING:
    from emotion_llama import EmotionLlama

MakeClip = Callable[..., Path]
EMOTION = ("emotion",)


def test_what_a_caller_may_pass_as_a_clip() -> None:
    assert as_clip("d/a.mp4", None) == Clip(clip="d/a.mp4", path=Path("d/a.mp4"))
    assert as_clip(Path("d/a.mp4"), "hi").transcript == "hi"
    assert as_clip(None, "hi") == Clip(clip="text", transcript="hi")
    row = Clip(clip="row", path=Path("a.mp4"), transcript="old")
    assert as_clip(row, None) is row and as_clip(row, "new").transcript == "new"
    with pytest.raises(UsageError, match="give a recording or a transcript"):
        as_clip(None, None)


def test_settings_are_changed_by_name() -> None:
    base = AnalyzeSettings(seed=3)
    assert changed(base, {"labels": "dfew7"}).labels == LABEL_SETS["dfew7"]
    assert changed(base, {"labels": ("a", "b"), "tasks": ("audio",)}).seed == 3
    assert changed(base, {}) == base


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lables": ("a", "b")}, "unknown setting 'lables'.*did you mean 'labels'"),
        ({"labels": "mer10"}, "unknown label set 'mer10'"),
        ({"tasks": ("dance",)}, "tasks"),
        ({"without": "audio"}, "without"),
        ({"frame": "best"}, "frame.*'peak'"),
    ],
)
def test_wrong_settings_are_usage_errors(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        changed(AnalyzeSettings(), wrong)


def adds_up(found: Analysis, labels: tuple[str, ...]) -> None:
    assert tuple(found.probabilities) == labels
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.emotion == max(found.probabilities, key=lambda label: found.probabilities[label])
    assert found.confidence == max(found.probabilities.values())
    assert found.label_scores is not None
    assert found.label_scores.raw.keys() == found.label_scores.prior_corrected.keys() == set(labels)
    assert found.order_sensitivity is not None and found.order_sensitivity >= 0
    assert Analysis.model_validate_json(found.model_dump_json()) == found


def present(found: Analysis) -> str:
    return "+".join(name for name, state in found.inputs.items() if state.present)


@pytest.mark.weights
def test_text_alone(nano: EmotionLlama) -> None:
    found = nano.analyze(transcript="I am so happy, this is wonderful!", labels=("happy", "sad"), tasks=EMOTION)
    adds_up(found, ("happy", "sad"))
    assert (found.clip, present(found), found.duration_s, found.peak_frame) == ("text", "text", None, None)
    assert found.transcript.source == "given" and found.reasoning is None and found.raw == {}
    assert found.provenance.weights_sha256 is not None and len(found.provenance.weights_sha256) == 64


@pytest.mark.weights
def test_the_words_matter(nano: EmotionLlama) -> None:
    glad, sorry = (
        nano.analyze(transcript=words, labels=("happy", "sad"), tasks=EMOTION).probabilities["happy"]
        for words in ("I am so happy, I love this!", "I am so sad, I cried all night.")
    )
    assert glad > sorry


@pytest.mark.weights
def test_a_picture(nano: EmotionLlama, faces_picture: Path) -> None:
    found = nano.analyze(str(faces_picture), tasks=EMOTION)
    adds_up(found, LABEL_SETS["mer9"])
    assert (found.clip, present(found)) == (str(faces_picture), "video")
    assert found.inputs["audio"].reason == "the recording has no sound"
    assert len(found.faces) > 1 and sum(face.main for face in found.faces) == 1
    assert any("faces were found" in line for line in found.warnings)
    assert set(found.action_units) and all(0 <= size <= 5 for size in found.action_units.values())


@pytest.mark.weights
def test_sound_alone(nano: EmotionLlama, make_clip: MakeClip) -> None:
    path = make_clip("a.wav", size=None)
    found = nano.analyze(path, labels="ravdess8", tasks=EMOTION, transcribe=False)
    adds_up(found, LABEL_SETS["ravdess8"])
    assert present(found) == "audio" and found.transcript.text is None and found.faces == ()
    assert found.inputs["video"].reason == "the recording has no picture"


@pytest.mark.weights
@pytest.mark.parametrize(
    ("without", "left"),
    [((), "video+audio+text"), (("video",), "audio+text"), (("audio",), "video+text"), (("text",), "video+audio")],
)
def test_inputs_say_what_was_used(nano: EmotionLlama, make_clip: MakeClip, without: tuple[str, ...], left: str) -> None:
    found = nano.analyze(make_clip("a.mp4"), transcript="hello", tasks=EMOTION, without=without, label_orders=1)
    adds_up(found, LABEL_SETS["mer9"])
    assert present(found) == left
    assert all(found.inputs[name].reason == "left out as asked" for name in without)  # type: ignore[index]


@pytest.mark.weights
def test_open_labels_are_words(nano: EmotionLlama) -> None:
    found = nano.analyze(transcript="I am so happy!", labels="open", tasks=EMOTION, label_orders=1, max_new_tokens=8)
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert "emotion" in found.raw and found.emotion in found.probabilities


@pytest.mark.weights
def test_one_seed_gives_one_answer(nano: EmotionLlama, faces_picture: Path) -> None:
    first, second = (nano.analyze(faces_picture, tasks=("reason",), seed=5, max_new_tokens=16) for _ in range(2))
    assert first.model_dump(exclude={"timings_s"}) == second.model_dump(exclude={"timings_s"})
    assert first.reasoning and first.raw["reason"]


@pytest.mark.weights
def test_together_clips_get_what_each_gets_alone(exact: EmotionLlama, faces_picture: Path, make_clip: MakeClip) -> None:
    settings = AnalyzeSettings(labels=LABEL_SETS["mer6"], tasks=("reason",), label_orders=2, max_new_tokens=12)
    sound = make_clip("a.wav", size=None, noise=1)
    clips = [
        Clip(clip="a", path=faces_picture),
        Clip(clip="b", transcript="I am so happy!"),
        Clip(clip="c", transcript="word " * 3000),
        Clip(clip="d", path=sound, transcript="Leave me alone."),
    ]
    looked = [exact.look(clip, settings) for clip in clips]
    together = [one.analysis for one in exact.answer_together(looked) if not isinstance(one, Exception)]
    alone = [exact.examine(clip, settings).analysis for clip in clips]
    assert len(together) == len(alone)
    for one, other in zip(together, alone, strict=True):
        same(*(analysis.model_dump(exclude={"timings_s"}) for analysis in (one, other)))


def same(one: Any, other: Any) -> None:
    """Equal, numbers nearly: how many clips are read together rounds them otherwise."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            same(one[key], other[key])
    else:
        assert other == (pytest.approx(one, abs=1e-4) if isinstance(one, float) else one)


@pytest.mark.weights
def test_clips_and_their_profile_are_one_baseline(nano: EmotionLlama, make_clip: MakeClip, tmp_path: Path) -> None:
    others = [str(make_clip(f"{n}.wav", size=None, noise=n, seconds=0.8)) for n in range(4)]
    path, asked = make_clip("mine.wav", size=None, noise=9), {"labels": "ravdess8", "tasks": EMOTION, "label_orders": 1}
    parts = nano.parts
    made = make_profile(
        [gather(Clip(clip=name, path=Path(name)), parts) for name in others],
        "nano",
        nano.baselines.weights_sha256,
        parts.population,
    )
    save_profile(made, tmp_path / "ann.profile.safetensors")
    plain = nano.analyze(path, transcribe=False, **asked)
    clips = nano.analyze(path, transcribe=False, baseline=tuple(others), **asked)
    profile = nano.analyze(path, transcribe=False, baseline=(str(tmp_path / "ann.profile.safetensors"),), **asked)
    assert clips.probabilities == pytest.approx(profile.probabilities) and clips.evidence == profile.evidence
    assert clips.probabilities != pytest.approx(plain.probabilities)
    told = [(one.provenance.baseline_clips, one.provenance.baseline_from) for one in (plain, clips, profile)]
    assert told == [(None, None), (4, "clips"), (4, "profile")]
    alone = nano.analyze(path, transcribe=False, baseline=("auto",), **asked)
    assert alone.probabilities == pytest.approx(plain.probabilities) and "Nothing was taken off" in alone.warnings[-1]


def test_of_a_face_that_does_not_move_nothing_is_taken_off() -> None:
    rows = {name: np.ones((1, 2), np.float32) for name in ("audio_mix", "local", "face_view", MOVEMENT)}
    people = {name: np.zeros(2, np.float32) for name in ("audio_mix", "local", "face_view")}
    own = PersonBaseline({name: np.ones(2, np.float32) for name in people}, 4)
    moving = without_own(rows, own, people)
    still = without_own({name: one for name, one in rows.items() if name != MOVEMENT}, own, people)
    assert moving["local"].tolist() == moving["audio_mix"].tolist() == still["audio_mix"].tolist() == [[0.5, 0.5]]
    assert still["local"].tolist() == still["face_view"].tolist() == [[1, 1]]
