"""Asking a model: the items of a suite through `analyze`, with the truth taken off, resumable."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotion_llama.analyze.folder import ANALYSES, FolderRun, Loader, load_model, run_folder
from emotion_llama.analyze.writers import write_text
from emotion_llama.clip import Clip, Modality, Task
from emotion_llama.errors import UsageError
from emotion_llama.evaluate.records import Item
from emotion_llama.evaluate.scored import PREDICTIONS
from emotion_llama.evaluate.suite import Part, Suite
from emotion_llama.scale.spread import Engine
from emotion_llama.settings import AnalyzeSettings

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import EmotionLlama

ANSWERS = "answers"
"""Folder below the output folder that holds one resumable run a part."""


@dataclass(frozen=True)
class Ask:
    """How a model is asked. `words` and `tasks` `None` = as the suite says; workers as for `FolderRun`."""

    model: str = "nano"
    device: str = "auto"
    jobs: int = 1
    without: tuple[Modality, ...] = ()
    words: str | None = None
    tasks: tuple[Task, ...] | None = None
    label_orders: int = 4
    seed: int = 0
    # not in the repr, by which answers that were kept are known: they do not depend on these
    batch_size: int = field(default=1, repr=False)
    engine: Engine = field(default="local", repr=False)
    address: str | None = field(default=None, repr=False)


def blind(clip: Clip, words: str) -> Clip:
    """Take everything off a clip that the model must not know: only the recording, its span and given words stay."""
    given = clip.transcript if words == "given" or clip.path is None else None
    return Clip(clip=clip.clip, path=clip.path, start_s=clip.start_s, end_s=clip.end_s, transcript=given)


def settings_for(suite: Suite, labels: tuple[str, ...], ask: Ask, **changes: Any) -> AnalyzeSettings:
    """Give the settings of one part; `changes` are those of a robustness level."""
    fields: dict[str, Any] = {
        "labels": labels,
        "tasks": ask.tasks or suite.tasks,
        "without": ask.without,
        "transcribe": (ask.words or suite.words) == "heard",
        "label_orders": ask.label_orders,
        "seed": ask.seed,
    }
    return AnalyzeSettings.model_validate(fields | changes)


def ask_parts(
    suite: Suite, parts: Sequence[Part], ask: Ask, out: Path, loader: Loader = load_model
) -> tuple[Path, int]:
    """Ask the model about every part; gives the predictions file, and 1 if any clip failed, else 0.

    Each part is a run of its own below `out/answers`, so a killed evaluation goes on where it stopped. Answers of an
    earlier run about clips that are not asked now stay there and are not scored. Raises `UsageError` if two parts ask
    different things about one clip, since a predictions file has one answer a clip.
    """
    _check_names(parts, ask.words or suite.words)
    loader = _Once(loader)
    code = 0
    lines: dict[str, str] = {}
    for part in parts:
        folder = out / ANSWERS / file_name(part.name)
        code |= ask_items(suite, part.items, part.labels, ask, folder, loader=loader)
        written = _lines(folder / ANALYSES)
        lines |= {item.clip.clip: written[item.clip.clip] for item in part.items}
    path = out / PREDICTIONS
    write_text("".join(f"{line}\n" for line in lines.values()), path)
    return path, code


def _check_names(parts: Sequence[Part], words: str) -> None:
    asked: dict[str, tuple[str, tuple[str, ...], Clip]] = {}
    for part in parts:
        for item in part.items:
            clip = blind(item.clip, words)
            earlier, *same = asked.setdefault(clip.clip, (part.name, part.labels, clip))
            if same != [part.labels, clip]:
                raise UsageError(
                    f"clip {clip.clip!r} is asked in the parts {earlier!r} and {part.name!r}, about another recording "
                    "or with other labels; give --data that holds one of the parts, and an --out of its own"
                )


class _Once:
    """A loader that loads at the first call and then gives the same model: all parts ask one.

    In a worker process it begins anew: models are not pickled.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._loaded: EmotionLlama | None = None

    def __call__(self, run: FolderRun, threads: int | None) -> EmotionLlama:
        if self._loaded is None:
            self._loaded = self._loader(run, threads)
        return self._loaded

    def __reduce__(self) -> tuple[type[_Once], tuple[Loader]]:
        return _Once, (self._loader,)


def _lines(path: Path) -> dict[str, str]:
    """Give the written answers by clip, as they stand."""
    # not str.splitlines: that would also split at the line separators JSON allows inside a text
    return {json.loads(line)["clip"]: line for line in path.read_text(encoding="utf-8").split("\n") if line}


def ask_items(
    suite: Suite,
    items: Sequence[Item],
    labels: tuple[str, ...],
    ask: Ask,
    folder: Path,
    *,
    loader: Loader = load_model,
    changes: dict[str, Any] | None = None,
) -> int:
    """Ask the model about some items; results lie in `folder/analyses.jsonl`. Gives 1 if any clip failed, else 0.

    Raises `UsageError` for a clip that occurs twice, or a folder with answers to other settings.
    """
    words = ask.words or suite.words
    clips = [blind(item.clip, words) for item in items]
    names = [clip.clip for clip in clips]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"clip {twice!r} is asked twice in one part; give every clip of the manifest its own name")
    run = FolderRun(
        out=folder,
        settings=settings_for(suite, labels, ask, **(changes or {})),
        model=ask.model,
        device=ask.device,
        jobs=ask.jobs,
        batch_size=ask.batch_size,
        engine=ask.engine,
        address=ask.address,
    )
    try:
        return run_folder(clips, run, loader)
    except UsageError as error:  # what `analyze` has a flag for, is done by hand here
        raise UsageError(str(error).replace("--overwrite", f"remove {folder}")) from error


def file_name(part: str) -> str:
    """Give a part's name as a folder's name."""
    return re.sub(r"[^\w.-]+", "-", part).strip("-.") or "all"
