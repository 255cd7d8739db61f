from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.datasets.hitemotion import PERSUASION_TECHNIQUES, TASKS, find_tasks, parse_facts, read_task
from emotion_llama.errors import ManifestError

BY_CODE = {task.code: task for task in TASKS}
ENDING = "Respond in the format: {'emotion': 'label'}."


def item(identity: Any, prompt: str, gold: Any, **media: str) -> dict[str, Any]:
    return {
        "id": identity,
        **media,
        "conversations": [{"from": "human", "value": prompt}, {"from": "gpt", "value": gold}],
    }


def write(path: Path, rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows), encoding="utf-8")
    return path


FESD = (
    "<video>\nThe person in video says: Well, is it. Determine the emotion conveyed. Do not provide any extra content. "
    f"Choose one of the following labels as your final answer: neutral, negative, positive. {ENDING}"
)


def test_the_table_has_the_24_tasks_of_three_levels() -> None:
    assert len(TASKS) == len(BY_CODE) == 24
    assert [sum(task.level == level for task in TASKS) for level in (1, 2, 3)] == [10, 8, 6]
    assert sum(task.n for task in TASKS) == 20_114
    assert len(PERSUASION_TECHNIQUES) == 22


def test_a_single_label_task(tmp_path: Path) -> None:
    path = write(tmp_path / "level1/CH-SIMS.json", [item("0", FESD, "Negative", video="CH-SIMS/videos/0.mp4")])
    (question,) = read_task(path, BY_CODE["FESD"])
    assert question.clip.clip == "FESD-0"
    assert question.clip.emotion == "negative"
    assert question.candidates == ("neutral", "negative", "positive")
    assert question.clip.transcript == "Well, is it."
    assert question.clip.path == tmp_path / "level1/CH-SIMS/videos/0.mp4"


def test_media_are_found_beside_a_folder_above(tmp_path: Path) -> None:
    path = write(tmp_path / "level1/CH-SIMS.json", [item("0", FESD, "negative", video="CH-SIMS/a.mp4")])
    write(tmp_path / "CH-SIMS/a.mp4", "x")
    assert read_task(path, BY_CODE["FESD"])[0].clip.path == tmp_path / "CH-SIMS/a.mp4"


@pytest.mark.parametrize(
    ("prompt", "truth", "candidates"),
    [
        (f"Choose one of the following labels as your final answer: a b, c. {ENDING}", "c", ("a b", "c")),
        ("Answer with the option from the given choices directly: Crew Neck, V-Neck.\nAnswer:", "V-Neck",
         ("crew neck", "v-neck")),
        ("as your final answer: true, false. ", "false", ("true", "false")),
        ("then choose exactly one label from: neutral, sad, and output exactly {'emotion': 'label'}.", "sad",
         ("neutral", "sad")),
        ("as your final answer:  neutral, calm. Respond in the format", "calm", ("neutral", "calm")),
        ("What is it?", "calm", ()),
        ("as your final answer: neutral, calm. Respond", "tender", ()),
    ],
)  # fmt: skip
def test_candidates_are_read_from_the_prompt(
    tmp_path: Path, prompt: str, truth: str, candidates: tuple[str, ...]
) -> None:
    path = write(tmp_path / "EER.json", [item(3, prompt, truth, video="v.mp4")])
    assert read_task(path, BY_CODE["EER"])[0].candidates == candidates


@pytest.mark.parametrize(
    ("code", "gold", "facts"),
    [
        ("DPTM", {"techniques": ["Smears", "Doubt"]}, ("Smears", "Doubt")),
        ("DPTM", {"techniques": []}, ()),
        ("DPTM", "{'techniques': ['Smears']}", ("Smears",)),
        ("MABSA", "{'Bowie': 'positive', \"O'Hara\": 'neutral'}", ("Bowie | positive", "O'Hara | neutral")),
        ("EBIA", "{'emotion': 'anger', 'intent': 'neutral'}", ("emotion | anger", "intent | neutral")),
        ("EBIA", "{'emotion': 'anger', 'intent', 'neutral'}", ("emotion | anger", "intent | neutral")),
        ("MECPE", "{'3': {'cause_utterance_id': '2', 'emotion': 'disgust'}}", ("3 | disgust | 2",)),
        ("MQE", "[('Marco', 'OM-D', 'focus', 'bad', 'negative', 'it struggles')]",
         ("Marco | OM-D | focus | bad | negative",)),
        ("SFA", "[{'holder': 'Jo', 'initial_sentiment': 'negative', 'flipped_sentiment': 'positive', "
         "'trigger_type': 'Logical Argumentation'}]", ("Jo | negative | positive | Logical Argumentation",)),
        ("SFA", "[]", ()),
        ("SFA", "Here it is: [] done", ()),
        ("SFA", "none", None),
        ("SFA", "[{'holder': 'Jo'}]", None),
        ("MABSA", "{'Bowie': ", None),
        ("MQE", "[('Marco', 'OM-D')]", None),
    ],
)  # fmt: skip
def test_sets_and_facts_are_read_in_the_public_forms(code: str, gold: Any, facts: tuple[str, ...] | None) -> None:
    assert parse_facts(gold, BY_CODE[code]) == facts


def test_a_mapping_around_one_label_is_the_label(tmp_path: Path) -> None:
    path = write(tmp_path / "MSD.json", [item("7", "…", "{'stance': 'refute'}", image="i.jpg")])
    assert read_task(path, BY_CODE["MSD"])[0].clip.emotion == "refute"


def test_a_conversation_in_writing_has_words_and_no_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "SFA.json", [item("1", "[0] Leah: hello", "[]")])
    clip = read_task(path, BY_CODE["SFA"])[0].clip
    assert clip.path is None
    assert clip.transcript == "[0] Leah: hello"
    assert clip.labels == ()


def test_repeated_ids_stay_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "HU.json", [item(4, "", "true"), item(4, "", "false")])
    assert [q.clip.clip for q in read_task(path, BY_CODE["HU"])] == ["HU-4", "HU-4#2"]


def test_tasks_are_found_in_the_public_layout_and_in_one_folder(tmp_path: Path) -> None:
    for level in (2, 3):
        write(tmp_path / f"data/without_prompt/level{level}/PanoSent.json", [])
    write(tmp_path / "FESD.json", [])
    write(tmp_path / "FESD_result.json", [])
    assert [task.code for task in find_tasks(tmp_path)] == ["FESD", "MQE", "SFA"]


def test_the_short_questions_are_preferred(tmp_path: Path) -> None:
    for form in ("with_prompt", "without_prompt"):
        write(tmp_path / form / "level1/CH-SIMS.json", [])
    assert list(find_tasks(tmp_path).values()) == [tmp_path / "without_prompt/level1/CH-SIMS.json"]


def test_a_file_that_no_task_reads_is_named(tmp_path: Path) -> None:
    write(tmp_path / "FESD.json", [])
    write(tmp_path / "PanoSent.json", [])  # two tasks have a file of this name: which one it is cannot be told here
    with pytest.raises(ManifestError, match=r"PanoSent\.json: no task of HitEmotion has this file"):
        find_tasks(tmp_path)


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_tasks_says_what_is_expected(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match=r"CH-SIMS\.json or FESD\.json|expected the folder"):
        find_tasks(tmp_path / folder)


@pytest.mark.parametrize(
    ("code", "rows", "message"),
    [
        ("FESD", '[{"id": 1', "expected a JSON list of items"),
        ("FESD", "[" * 100_000, "expected a JSON list of items"),
        ("FESD", [], "at least one item"),
        ("FESD", {"id": "1"}, "at least one item"),
        ("FESD", [{"id": "9", "conversations": [{"value": "?"}]}], r"item 0 \(id 9\): expected conversations"),
        ("FESD", [item("9", "?", None)], r"item 0 \(id 9\): expected one label as the answer, found None"),
        ("FESD", [item("9", "?", ["a", "b"])], "expected one label"),
        ("DPTM", [item("9", "?", "Smears")], "expected a list or mapping of labels"),
        ("MABSA", [item("9", "?", "{'a': ")], r"expected a list or mapping of target \| sentiment"),
        ("EI", [item("9", "?", " ")], "expected the answer as text"),
    ],
)  # fmt: skip
def test_damage_is_named_with_file_and_item(tmp_path: Path, code: str, rows: Any, message: str) -> None:
    path = write(tmp_path / f"{code}.json", rows)
    with pytest.raises(ManifestError, match=message) as caught:
        read_task(path, BY_CODE[code])
    assert str(path) in str(caught.value)
