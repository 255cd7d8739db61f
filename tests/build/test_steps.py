"""Single steps on made-up findings: rules of action units, published phrases, checks, decisions over the whole set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotion_llama.build.entry import CoarseLabel, Entry, Media, Peak, Written
from emotion_llama.build.step import Found, Reject
from emotion_llama.build.steps.balance import BalanceSettings, even_out
from emotion_llama.build.steps.coarse_label import CoarseLabelSettings, fire, label_clip, rule_tables
from emotion_llama.build.steps.coarse_text import CoarseTextSettings, write_coarse
from emotion_llama.build.steps.consistency import ConsistencySettings, check_reason
from emotion_llama.build.steps.describe_face import DescribeFaceSettings, phrase_pools, published_phrases
from emotion_llama.build.steps.refine import read_refined
from emotion_llama.build.steps.split import SplitSettings, share_out
from emotion_llama.build.whole import Candidate
from emotion_llama.clip import Clip, Observation
from emotion_llama.errors import UsageError
from emotion_llama.measurements import ACTION_UNITS

NO_LOOK: Any = None


def coarse(**values: Any) -> CoarseLabelSettings:
    return CoarseLabelSettings(name="coarse_label", **values)


def entry(emotion: str | None = None, units: dict[str, float] | None = None, **values: Any) -> Entry:
    clip = Clip(clip="a.mp4", path=Path("a.mp4"), emotion=emotion, **values.pop("clip", {}))
    return Entry(clip=clip, action_units=units or {}, **values)


@pytest.mark.parametrize("table", ["merr", "mer-factory", "docs"])
def test_a_full_face_fires_its_own_rule_first_or_shares_it(table: Any) -> None:
    for emotion, units in rule_tables()[table].items():
        assert set(units) <= set(ACTION_UNITS)
        scores, fired = fire({f"AU{unit:02d}": 3.0 for unit in units}, coarse(rules=table))
        assert emotion in fired and scores[emotion] == 3.0


def test_weak_or_few_units_fire_nothing() -> None:
    assert fire({"AU06": 0.7, "AU12": 0.7, "AU14": 0.7}, coarse())[1] == ()  # below the threshold
    assert "happy" not in fire({"AU12": 5.0}, coarse())[1]  # one of three units
    assert "happy" in fire({"AU06": 1.0, "AU12": 2.0}, coarse())[1]  # two of three, mean 1.0
    assert fire({}, coarse()) == ({}, ())  # nothing was measured: nothing is scored


def test_without_a_pseudo_label_the_strongest_rule_gives_the_label() -> None:
    found = label_clip(entry(units={"AU06": 2.0, "AU12": 3.0, "AU14": 1.0}), coarse(pseudo_label="none"), NO_LOOK)
    assert isinstance(found, Found) and found.coarse and found.coarse.emotion == "happy" and found.coarse.rule_agrees
    still = label_clip(entry(units={"AU06": 0.1}), coarse(pseudo_label="none"), NO_LOOK)
    assert isinstance(still, Found) and still.coarse and still.coarse.emotion == "neutral"
    strict = label_clip(entry(units={"AU06": 0.1}), coarse(pseudo_label="none", nothing="reject"), NO_LOOK)
    assert isinstance(strict, Reject) and "no rule of table merr fires" in strict.reason


def test_agreement_of_rule_and_pseudo_label_is_required_or_noted() -> None:
    smile = {"AU06": 2.0, "AU12": 3.0, "AU14": 1.0}
    noted = label_clip(entry("joy", smile), coarse(pseudo_label="given"), NO_LOOK)
    assert isinstance(noted, Found) and noted.coarse and noted.coarse.emotion == "happy" and noted.coarse.rule_agrees
    sad = label_clip(entry("sad", smile), coarse(pseudo_label="given", agreement="required"), NO_LOOK)
    assert isinstance(sad, Reject) and "do not show it; fired: happy" in sad.reason
    calm = label_clip(entry("neutral", smile), coarse(pseudo_label="given", agreement="required"), NO_LOOK)
    assert isinstance(calm, Found) and calm.coarse and calm.coarse.rule_agrees is None  # there is no rule for it
    with pytest.raises(UsageError, match="'bored' is not among the labels"):
        label_clip(entry("bored", smile), coarse(pseudo_label="given"), NO_LOOK)


def test_published_phrases_follow_the_units_and_are_drawn_the_same_way_twice() -> None:
    units = {"AU05": 1.0, "AU26": 3.0, "AU45": 4.0, "AU01": 0.2}
    settings = DescribeFaceSettings(name="describe_face", phrases="merr")
    first = published_phrases(units, settings, "a.mp4")
    assert first == published_phrases(units, settings, "a.mp4")
    assert first[0] in phrase_pools()[26] and first[1] in phrase_pools()[5] and len(first) == 2  # 45 has no phrase
    facs = published_phrases(units, DescribeFaceSettings(name="describe_face", phrases="facs"), "a.mp4")
    assert facs == ("jaw drop", "upper lid raiser")


def test_a_coarse_text_tells_what_there_is() -> None:
    full = entry(
        scene=Written(text="A man in a car.", writer="x"), voice=Written(text="The voice is loud.", writer="x"),
        face_phrases=("wide-mouthed", "eyes widened"), clip={"transcript": "Look out!"},
    )  # fmt: skip
    found = write_coarse(full, CoarseTextSettings(name="coarse_text"), NO_LOOK)
    assert isinstance(found, Found) and found.coarse_text
    assert found.coarse_text.text == (
        "A man in a car. The person's expression and actions include: wide-mouthed, eyes widened. "
        "The voice is loud. Saying: “Look out!”"
    )
    assert isinstance(write_coarse(entry(), CoarseTextSettings(name="coarse_text"), NO_LOOK), Reject)


SMILE = Observation(
    channel="face", text="the lip corners are pulled up", source="mesh-au-1", name="AU12", value=2.5, unit="of 5",
    direction=1, supports=("happy",),
)  # fmt: skip


def reasoned(text: str, emotion: str = "happy", units: dict[str, float] | None = None) -> Entry:
    return entry(
        emotion, units or {"AU12": 2.5}, coarse=CoarseLabel(emotion=emotion), fine_text=Written(text=text, writer="x"),
        clip={"observations": (SMILE,)}, media=Media(duration_s=1.0), peak=Peak(index=1, rule="robust"),
    )  # fmt: skip


THIN = ConsistencySettings(name="consistency", least_supported=1)


def test_reasons_are_held_against_what_was_measured() -> None:
    settings = ConsistencySettings(name="consistency")
    text = "The lip corners are pulled up. So the emotion is happy."
    good = check_reason(reasoned(text), settings, NO_LOOK)
    assert isinstance(good, Found) and good.check and good.check.supported == 1 and good.check.concluded == "happy"
    frown = reasoned("The brows are furrowed. So the emotion is happy.", units={"AU12": 2.5, "AU04": 0.0})
    wrong = check_reason(frown, settings, NO_LOOK)
    assert isinstance(wrong, Reject) and "1 contradicted" in wrong.reason and "AU04 measures 0" in wrong.reason
    joy = check_reason(reasoned("The lip corners are pulled up, which is joy."), settings, NO_LOOK)
    assert isinstance(joy, Found)  # a synonym of the label
    sad = check_reason(reasoned("The lip corners are pulled up. So the emotion is sad."), settings, NO_LOOK)
    assert isinstance(sad, Reject) and "ends with sad" in sad.reason
    thin = check_reason(
        reasoned("So the emotion is happy."), settings.model_copy(update={"least_supported": 1}), NO_LOOK
    )
    assert isinstance(thin, Reject) and "wanted at least 1 supported" in thin.reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no braces", "found none"), ("{not json}", "expected a JSON"), ('{"reasoning": "x"}', "expected a JSON"),
        ('{"reasoning": " ", "supporting": [], "contradicting": [], "plausible": true}', "empty"),
        ('{"reasoning": "x", "supporting": [9], "contradicting": [], "plausible": true}', "from 1 to 3, found 9"),
    ],
)  # fmt: skip
def test_answers_in_another_form_say_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_refined(text, 3)


def test_a_fenced_answer_is_read() -> None:
    text = '```json\n{"reasoning": "a\\n b", "supporting": [1], "contradicting": [], "plausible": true}\n```'
    assert read_refined(text, 1).reasoning == "a b"


def crowd(count: int, seed: int = 0) -> list[Candidate]:
    draw = np.random.default_rng(seed)
    return [
        Candidate(
            name=f"clip{n}", emotion=("happy", "sad", "angry")[int(draw.choice(3, p=[0.7, 0.2, 0.1]))],
            quality=float(draw.integers(4)), sha256=f"{n:064d}", speaker=f"p{n % 17}" if n % 3 else None,
            path=f"{n}.mp4",
        )
        for n in range(count)
    ]  # fmt: skip


def test_classes_are_evened_out_by_dropping_the_least_supported() -> None:
    people = crowd(200)
    settings = BalanceSettings(name="balance", most_ratio=2.0)
    decided = even_out(people, settings, lambda place: None)
    sizes = {e: sum(p.emotion == e and d.kind == "done" for p, d in zip(people, decided, strict=True)) for e in
             ("happy", "sad", "angry")}  # fmt: skip
    rarest = sum(p.emotion == "angry" for p in people)
    assert sizes["angry"] == rarest and max(sizes.values()) <= 2 * rarest
    happy = [(p.quality, d.kind) for p, d in zip(people, decided, strict=True) if p.emotion == "happy"]
    assert min(q for q, kind in happy if kind == "done") >= max(q for q, kind in happy if kind == "rejected")
    again = even_out(list(reversed(people)), settings, lambda place: None)
    assert [d.kind for d in reversed(again)] == [d.kind for d in decided]  # the order of the list decides nothing
    assert all(d.kind == "done" for d in even_out(people, BalanceSettings(name="balance"), lambda place: None))


def test_sides_share_no_person_and_have_about_the_wanted_size() -> None:
    people = crowd(300)
    decided = share_out(people, SplitSettings(name="split"), lambda place: None)
    sides: dict[str, set[str | None]] = {}
    for person, one in zip(people, decided, strict=True):
        sides.setdefault(person.speaker or person.name, set()).add(one.part)
    assert all(len(parts) == 1 for parts in sides.values())
    share = {part: sum(one.part == part for one in decided) / 300 for part in ("train", "validation", "test")}
    assert abs(share["train"] - 0.8) < 0.05 and min(share.values()) > 0.05
    other = share_out(people, SplitSettings(name="split", seed=1), lambda place: None)
    assert [one.part for one in other] != [one.part for one in decided]
