"""Which steps a build takes, and what the result of each depends on."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.build.plan import BuildConfig, make_plan, read_build
from emotion_llama.build.steps import STEPS
from emotion_llama.clip import Clip
from emotion_llama.errors import UsageError

light = runpy.run_path(str(Path(__file__).with_name("conftest.py")))["light"]
CLIP = Clip(clip="a.mp4", path=Path("/nowhere/a.mp4"))
URL = {"url": "http://localhost:1/v1", "model": "tiny"}


def changed_keys(one: BuildConfig, other: BuildConfig, turns: tuple[int, int] = (0, 0)) -> set[str]:
    """Steps whose results of one build do not hold for the other."""
    keys = [make_plan(config).keys(CLIP, "f" * 64, turn) for config, turn in zip((one, other), turns, strict=True)]
    return {name for name in keys[0] if keys[0][name] != keys[1][name]}


def test_the_shipped_build_takes_the_papers_steps_in_their_order() -> None:
    plan = make_plan(read_build(Path("merr")))
    names = [one.name for one in plan.each]
    assert names == [
        "probe", "faces", "action_units", "peak_frame", "coarse_label", "describe_face", "describe_scene",
        "describe_voice", "transcribe", "preview", "dedupe", "coarse_text", "refine", "consistency",
    ]  # fmt: skip
    assert [place for place, _ in plan.segments()] == ["worker", "driver"]  # every recording is opened once
    assert [one.step.name for one in plan.whole] == ["dedupe", "balance", "split"]
    repository = Path(__file__).parents[2] / "configs/build/merr.yaml"
    assert make_plan(read_build(repository)).key == plan.key


def test_a_change_repeats_what_depends_on_it_and_nothing_else() -> None:
    base = light()
    assert changed_keys(base, light(probe={"max_s": 9})) == {
        "probe", "coarse_label", "describe_voice", "transcribe", "coarse_text", "refine", "consistency", "dedupe",
    }  # fmt: skip
    assert changed_keys(base, light(consistency={"least_supported": 1})) == {"consistency"}
    assert changed_keys(base, light(transcribe={"min_words": 2})) == {
        "transcribe", "coarse_text", "refine", "consistency",
    }  # fmt: skip
    assert not changed_keys(base, light(balance={"most": 3}))


def test_where_a_model_answers_changes_nothing_and_who_answers_does() -> None:
    def asked(**more: Any) -> BuildConfig:
        return light(endpoints={"writer": {**URL, **more}}, refine={"endpoint": "writer"})

    assert not changed_keys(asked(), asked(url="http://elsewhere:2", timeout_s=3, price_in=1))
    assert changed_keys(asked(), asked(model="other")) == {"refine", "consistency"}
    assert changed_keys(asked(), asked(temperature=0.7)) == {"refine", "consistency"}
    assert changed_keys(asked(), asked(), turns=(0, 1)) == {"refine", "consistency"}  # put back after useless answers
    assert not changed_keys(light(), light(), turns=(0, 1))


def test_a_step_sees_what_it_reads_and_nothing_else() -> None:
    plan = make_plan(light())
    by_name = {one.name: one for one in plan.each}
    assert plan.seen_by(by_name["coarse_text"]) == {"describe_voice", "transcribe", "probe"}
    assert plan.seen_by(by_name["probe"]) == set()


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([{"name": "prob"}], "did you mean 'probe'"),
        ([{"name": "transcribe"}], "first step must be probe"),
        ([{"name": "probe"}, {"name": "probe"}], "twice"),
        ([{"name": "probe", "min_ss": 3}], r"stages\.probe.*did you mean 'min_s'"),
        ([{"name": "probe"}, {"name": "split"}, {"name": "transcribe"}], "must come before split"),
        ([{"name": "probe"}, {"name": "refine", "endpoint": "gpt"}], "'gpt' is no endpoint of this build"),
        ([{"name": "probe"}, {"name": "split", "train": 0.9}], "sum to 1"),
    ],
)
def test_a_wrong_build_is_refused_by_name(stages: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_plan(BuildConfig.model_validate({"name": "wrong", "stages": stages}))


def test_every_step_has_a_name_of_its_own_and_says_what_it_does() -> None:
    assert list(STEPS) == [step.name for step in STEPS.values()]
    assert all(step.settings.__doc__ for step in STEPS.values())


def test_settings_may_be_changed_from_the_command_line() -> None:
    writer = ["endpoints.writer.url=http://localhost:1", "endpoints.writer.model=m"]
    words = ["stages.faces.min_presence=0.2", "stages.refine.endpoint=writer", *writer]
    config = read_build(Path("merr"), words)
    plan = make_plan(config)
    faces = next(one.settings for one in plan.each if one.name == "faces")
    assert faces.model_dump()["min_presence"] == 0.2
    assert plan.segments()[-2][0] == "driver" or plan.segments()[-1][0] == "driver"
    with pytest.raises(UsageError, match="no item 'facess'"):
        read_build(Path("merr"), ["stages.facess.min_presence=0.2"])
