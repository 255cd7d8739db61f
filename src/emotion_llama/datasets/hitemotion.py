"""HitEmotion: 24 tasks in three levels, one JSON file a task: a list of

    {"id": "449", "video" | "image": "CH-SIMS/videos/….mp4", "conversations": [{"from": "human", "value": the prompt},
                                                                               {"from": "gpt", "value": the answer}]}

The answer is a label ("negative"), a label in a mapping ({'stance': 'refute'}), a list of labels under a name
({"techniques": […]}), or facts: a mapping ({'David Bowie': 'positive', …}) or a list ([('Marco', 'OM-D', …), …]), in
JSON or as Python text. Facts become lines of words with " | " between the fields.

The files lie in `level1/`, `level2/`, `level3/` of the benchmark's `data/without_prompt` (or `data/with_prompt`, the
same questions in longer words), or as `FESD.json`, `DPTM.json`, … in one folder. Source: arXiv 2602.00971 and the
repository Eurekaleo/Emotional-Intelligence. Its labels are public, its media inherit the terms of 24 data sets.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError

Measure = Literal["accuracy", "micro-f1", "joint", "exact-match-f1", "judge"]

PERSUASION_TECHNIQUES = (
    "Appeal to authority",
    "Appeal to fear/prejudice",
    "Black-and-white Fallacy/Dictatorship",
    "Causal Oversimplification",
    "Doubt",
    "Exaggeration/Minimisation",
    "Flag-waving",
    "Glittering generalities (Virtue)",
    "Loaded Language",
    "Misrepresentation of Someone's Position (Straw Man)",
    "Name calling/Labeling",
    "Obfuscation, Intentional vagueness, Confusion",
    "Presenting Irrelevant Data (Red Herring)",
    "Reductio ad hitlerum",
    "Repetition",
    "Slogans",
    "Smears",
    "Thought-terminating cliché",
    "Whataboutism",
    "Bandwagon",
    "Transfer",
    "Appeal to (Strong) Emotions",
)
"""The labels of SemEval-2021 task 6. One holds commas, so the list in the prompt cannot be split at them."""


@dataclass(frozen=True)
class Task:
    """One task: its code in the paper, level, name of its file, number of items, how it is scored.

    `labels` where the prompt's list cannot be read; `fields` of a fact (only as many are compared).
    """

    code: str
    level: int
    stem: str
    n: int
    measure: Measure
    labels: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


TASKS = (
    Task("FESD", 1, "CH-SIMS", 450, "accuracy"),
    Task("ISA", 1, "EmoSet", 2000, "accuracy"),
    Task("MESA", 1, "Memotion", 2000, "accuracy"),
    Task("MER", 1, "MER2023", 400, "accuracy"),
    Task("MSA", 1, "CH-SIMS_v2.0", 500, "accuracy"),
    Task("OSA", 1, "CMU-MOSI", 500, "accuracy"),
    Task("SIA", 1, "CMU-MOSEI", 1000, "accuracy"),
    Task("SOER", 1, "RAVDSS_song", 500, "accuracy"),
    Task("SPER", 1, "RAVDSS_speech", 500, "accuracy"),
    Task("SCEA", 1, "FMSA-SC", 250, "accuracy"),
    Task("DPTM", 2, "SemEval2021_Task6", 550, "micro-f1", labels=PERSUASION_TECHNIQUES),
    Task("EBIA", 2, "MC-EIU", 500, "joint", fields=("kind", "label")),
    Task("HU", 2, "UR-FUNNY", 400, "accuracy"),
    Task("IAVE", 2, "ImplicitAVE", 2000, "accuracy"),
    Task("MABSA", 2, "Twitter2015_2017", 2000, "micro-f1", fields=("target", "sentiment")),
    Task("MQE", 2, "PanoSent", 500, "micro-f1", fields=("holder", "target", "aspect", "opinion", "sentiment")),
    Task("MSD", 2, "MMWTWT", 2000, "accuracy"),
    Task("MDER", 2, "MELD", 500, "accuracy"),
    Task("EER", 3, "FilmStim", 64, "accuracy"),
    Task("EI", 3, "EIBench", 1500, "judge"),
    Task("LR", 3, "SMILE", 500, "judge"),
    Task("MECPE", 3, "ECF", 500, "micro-f1", fields=("utterance", "emotion", "cause_utterance_id")),
    Task("SD", 3, "MUStARD", 500, "accuracy"),
    Task(
        "SFA", 3, "PanoSent", 500, "exact-match-f1",
        fields=("holder", "initial_sentiment", "flipped_sentiment", "trigger_type"),
    ),
)  # fmt: skip
"""The 24 tasks with the counts of the public files (20,114 items by the paper)."""

FIELD_SEPARATOR = " | "
RESULT_SUFFIX = "_result.json"
_FOLDERS = ("", "without_prompt", "data/without_prompt", "with_prompt", "data/with_prompt")
_LABEL_LIST = re.compile(
    r"(?:final answer|given choices directly|exactly one label from)\s*:\s*(.+?)\.?\s*"
    r"(?:Respond\b|Answer:|, and output|\.\s|$)",
    re.DOTALL,
)
_WORDS = re.compile(
    r"The person in (?:the )?video says:\s*(.*?)\s*"
    r"(?:Determine the|Please watch|Analyze the|Does this|You are a multimodal|$)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Question:
    """One item: the clip with its truth, the prompt, and the labels it offers (`()` = not readable from it).

    `clip.clip` is "<task>-<id>" ("FESD-449"), since ids repeat between tasks; an id that repeats within a file is
    followed by "#2", "#3", …. The truth is `clip.emotion` (accuracy), `clip.labels` (sets) or `clip.reasoning` (judge).
    """

    clip: Clip
    prompt: str
    candidates: tuple[str, ...]


def find_tasks(folder: Path) -> dict[Task, Path]:
    """Give the tasks whose files are in `folder`, in the order of `TASKS`.

    Raises `ManifestError` for a missing folder, for none of the files, or for a JSON file that no task reads.
    """
    if not folder.is_dir():
        raise ManifestError(f"{folder}: expected the folder with HitEmotion's JSON files, found none")
    found = {task: path for task in TASKS if (path := _task_file(folder, task)) is not None}
    expected = ", ".join(f"level{task.level}/{task.stem}.json or {task.code}.json" for task in TASKS[:2])
    if not found:
        raise ManifestError(f"{folder}: expected task files as {expected}, …; found none")
    read = {path.resolve() for path in found.values()}
    folders = {folder, *(path.parent for path in found.values())}
    for path in sorted(path for place in folders for path in place.glob("*.json")):
        if path.resolve() not in read and not path.name.endswith(RESULT_SUFFIX):
            raise ManifestError(f"{path}: no task of HitEmotion has this file (expected {expected}, …); move it away")
    return found


def read_task(path: Path, task: Task) -> list[Question]:
    """Read a task's file. Raises `ManifestError` with file and item for what is not as described above."""
    seen: Counter[str] = Counter()
    questions = []
    for index, row in enumerate(_rows(path)):
        identity = str(row.get("id", index))
        seen[identity] += 1
        name = identity if seen[identity] == 1 else f"{identity}#{seen[identity]}"
        questions.append(_question(row, f"{task.code}-{name}", task, path, f"{path}: item {index} (id {identity})"))
    return questions


def parse_facts(value: Any, task: Task) -> tuple[str, ...] | None:
    """Give a set of labels or facts from JSON or from text of the benchmark's form; `None` if it is not of that form.

    >>> parse_facts("{'David Bowie': 'positive'}", TASKS[14])
    ('David Bowie | positive',)
    """
    value = _value(value) if isinstance(value, str) else value
    if isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), list):
        value = next(iter(value.values()))
    if isinstance(value, dict):
        value = [[key, *_rest(part, task)] for key, part in value.items()]
    if not isinstance(value, list):
        return None
    facts = [_fact(part, task) for part in value]
    return None if any(fact is None for fact in facts) else tuple(dict.fromkeys(f for f in facts if f is not None))


def _rest(part: Any, task: Task) -> list[Any]:
    """Give the fields after the key of a mapping's entry."""
    return [part.get(field) for field in task.fields[1:]] if isinstance(part, dict) else [part]


def _fact(part: Any, task: Task) -> str | None:
    if isinstance(part, str):
        return part.strip() if not task.fields else None
    if isinstance(part, dict):
        part = [part.get(field) for field in task.fields]
    if not isinstance(part, list | tuple) or len(part) < len(task.fields) or not task.fields:
        return None
    fields = part[: len(task.fields)]
    if any(not isinstance(field, str | int) for field in fields):
        return None
    return FIELD_SEPARATOR.join(str(field).strip() for field in fields)


def _value(text: str) -> Any:
    """Read JSON or a Python literal out of an answer; `None` if there is neither."""
    # the public file of EBIA writes a comma for the colon after 'intent' in places, which its own code mends too
    text = re.sub(r"'intent'\s*,\s*'", "'intent': '", text.strip())
    match = re.search(r"[\[{].*[\]}]", text, re.DOTALL)
    if match is None:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            return read(match[0])
        except (ValueError, SyntaxError, RecursionError):
            continue
    return None


def _label(value: Any) -> str | None:
    """Give a single label in lower case, plain or as the only value of a mapping."""
    if isinstance(value, str) and "{" in value:
        value = _value(value)
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return value.strip().lower() or None if isinstance(value, str) else None


def _task_file(folder: Path, task: Task) -> Path | None:
    own = [folder / f"{task.code}.json"]
    if sum(other.stem == task.stem for other in TASKS) == 1:
        own.append(folder / f"{task.stem}.json")
    levels = [folder / place / f"level{task.level}" for place in _FOLDERS]
    own += [level / f"{task.stem}.json" for level in levels]
    own += [path for level in levels for path in sorted(level.glob(f"*/{task.stem}.json"))]
    return next((path for path in own if path.is_file()), None)


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ManifestError(f"{path}: expected a JSON list of items ({error})") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ManifestError(f"{path}: expected a JSON list with at least one item (a mapping each)")
    return rows


def _question(row: dict[str, Any], name: str, task: Task, path: Path, where: str) -> Question:
    turns = row.get("conversations")
    if (
        not isinstance(turns, list)
        or len(turns) < 2
        or not all(isinstance(t, dict) and "value" in t for t in turns[:2])
    ):
        raise ManifestError(f"{where}: expected conversations with a prompt and the answer, each with a value")
    prompt, gold = str(turns[0]["value"]), turns[1]["value"]
    media = row.get("video") or row.get("image") or turns[0].get("video") or turns[0].get("image")
    words = _WORDS.search(prompt)
    text = words[1] if words else None
    if media is None and text is None:
        text = prompt  # a conversation in writing (SFA): the words are all there is
    clip = Clip(
        clip=name, path=_media_path(path, media) if media else None, transcript=text, **_truth(gold, task, where)
    )
    return Question(clip, prompt, task.labels or (_candidates(prompt, clip.emotion) if clip.emotion else ()))


def _truth(gold: Any, task: Task, where: str) -> dict[str, Any]:
    if task.measure == "judge":
        if not isinstance(gold, str) or not gold.strip():
            raise ManifestError(f"{where}: expected the answer as text, found {gold!r}")
        return {"reasoning": gold}
    if task.measure == "accuracy":
        label = _label(gold)
        if label is None:
            raise ManifestError(f"{where}: expected one label as the answer, found {gold!r}")
        return {"emotion": label}
    facts = parse_facts(gold, task)
    if facts is None:
        shape = " | ".join(task.fields) or "labels"
        raise ManifestError(f"{where}: expected a list or mapping of {shape} as the answer, found {gold!r}")
    return {"labels": facts}


def _candidates(prompt: str, truth: str) -> tuple[str, ...]:
    """Give the labels that the prompt offers; a list without the true label was misread and gives `()`."""
    match = _LABEL_LIST.search(prompt)
    words = [word.strip().lower() for word in match[1].split(",")] if match else []
    return tuple(dict.fromkeys(word for word in words if word)) if truth in words else ()


def _media_path(path: Path, media: Any) -> Path:
    """Give the recording beside the JSON file or beside a folder above it; where none exists, beside the file."""
    places = [path.parent, *list(path.parents)[1:4]]
    return next((place / str(media) for place in places if (place / str(media)).exists()), path.parent / str(media))
