"""What each clip holds, and so which conditions of the robustness suite it allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emotion_llama.clip import MODALITIES, Clip, Modality
from emotion_llama.errors import MediaError
from emotion_llama.evaluate.records import Item, Problem
from emotion_llama.evaluate.robustness.conditions import Condition, Level
from emotion_llama.evaluate.suite import Part
from emotion_llama.media import probe


@dataclass(frozen=True)
class Look:
    """The inputs a clip can give (speech gives words too), its content's hash, or why it cannot be read."""

    present: frozenset[Modality]
    moving: bool = False
    sha256: str | None = None
    unreadable: str | None = None


def look(clip: Clip) -> Look:
    """Look into one clip; a recording that cannot be read is told, not raised."""
    words: set[Modality] = {"text"} if clip.transcript is not None else set()
    if clip.path is None:
        return Look(frozenset(words))
    try:
        info = probe(clip.path)
    except MediaError as error:
        return Look(frozenset(), unreadable=str(error))
    heard: set[Modality] = {"audio", "text"} if info.has_sound else set()
    seen: set[Modality] = {"video"} if info.has_picture else set()
    return Look(frozenset(words | heard | seen), info.kind == "video", info.sha256)


def fitting(condition: Condition, part: Part, looks: Sequence[Look]) -> tuple[list[int], list[Problem]]:
    """Give the places of the items that allow `condition`, and a problem for each of the others."""
    places, problems = [], []
    for place, (item, seen) in enumerate(zip(part.items, looks, strict=True)):
        why = seen.unreadable or _hindrance(condition, part, item, seen)
        if why is None:
            places.append(place)
        else:
            problems.append(problem(item, why, unreadable=seen.unreadable is not None))
    return places, problems


def problem(item: Item, why: str, *, unreadable: bool = False) -> Problem:
    """Name one clip that is left out of a condition."""
    name = item.clip.clip
    message = why if name in why else f"{name}: {why}"
    return Problem(kind="unreadable" if unreadable else "failed-clip", message=message, clip=name)


def _hindrance(condition: Condition, part: Part, item: Item, seen: Look) -> str | None:
    """Why this clip does not allow the condition; `None` = it does."""
    if condition.damages == "sound" and "audio" not in seen.present:
        return "there is no sound to damage"
    if condition.damages == "picture" and "video" not in seen.present:
        return "there are no pictures to damage"
    if condition.name == "frame-drop" and not seen.moving:
        return "a still picture has no frames to lose"
    if condition.damages == "words" and not (item.clip.transcript or "").strip():
        return "there is no transcript to put errors into; give one in the manifest (column transcript)"
    if condition.name == "missing" and len(seen.present) < 2:
        return "there is a single input, which cannot be left out"
    if condition.name == "label-order" and len(part.labels) < 2:
        return "it is asked without a list of labels, so there is no order to change"
    return None


def levels_for(condition: Condition, looks: Sequence[Look]) -> tuple[Level, ...]:
    """Give the levels that every one of these clips allows: inputs can be left out only where another one stays."""
    if condition.name != "missing":
        return condition.levels
    present = frozenset(MODALITIES).intersection(*(seen.present for seen in looks))
    return tuple(level for level in condition.levels if present > set(str(level).split("+")))
