"""`key=value` words of the command line, put over the settings of a YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from emotion_llama.errors import UsageError
from emotion_llama.settings import Settings

S = TypeVar("S", bound=Settings)


def read_config(model: type[S], path: Path, overrides: Sequence[str] = ()) -> S:
    """Read a YAML file into `model`, with overrides such as `schedule.steps=50` or `data.sources.0.weight=2`.

    A value is read as YAML; a number in a key counts items of a list, a word chooses the item of that `name`, and
    `null` takes the item out of its list. Raises `UsageError` naming the file and the key.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"settings file {path}: cannot be read ({error})") from error
    if not isinstance(values, dict):
        raise UsageError(f"settings file {path}: expected keys and values, found {type(values).__name__}")
    for word in overrides:
        apply_override(values, word)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(
            ": ".join([".".join(map(str, e["loc"])) or path.name, str(e["msg"]).removeprefix("Value error, ")])
            for e in error.errors()
        )
        raise UsageError(f"settings file {path}: {wrong}") from error


def apply_override(values: dict[str, Any], word: str) -> None:
    """Put one `key.key=value` into nested values, in place. Raises `UsageError` for a word that is none."""
    key, equals, text = word.partition("=")
    names = key.split(".")
    if not equals or not all(names):
        raise UsageError(f"{word!r}: expected key=value with dots between nested keys, as schedule.steps=50")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{word!r}: the value is not readable as YAML ({error})") from error
    place: Any = values
    for name in names[:-1]:
        place = _step(place, name, word)
    _set(place, names[-1], value, word)


def _step(place: Any, name: str, word: str) -> Any:
    if isinstance(place, dict):
        if place.get(name) is None:
            place[name] = {}
        return place[name]
    if isinstance(place, list):
        return place[_index(place, name, word)]
    raise UsageError(f"{word!r}: {name!r} lies below a plain value; leave out what comes after it")


def _set(place: Any, name: str, value: Any, word: str) -> None:
    if isinstance(place, dict):
        place[name] = value
    elif isinstance(place, list) and value is None:
        del place[_index(place, name, word)]
    elif isinstance(place, list):
        place[_index(place, name, word)] = value
    else:
        raise UsageError(f"{word!r}: {name!r} lies below a plain value; leave out what comes after it")


def _index(items: list[Any], name: str, word: str) -> int:
    if name.isdecimal() and int(name) < len(items):
        return int(name)
    known = [_name(item) for item in items]
    if name in known:
        return known.index(name)
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"{word!r}: no item {name!r} in the list of {len(items)} ({', '.join(known)}){hint}")


def _name(item: Any) -> str:
    """What settings call an item: its name, or its file's without the ending; "" for plain values."""
    if not isinstance(item, dict):
        return ""
    return str(item.get("name") or PurePosixPath(str(item.get("path", ""))).stem)
