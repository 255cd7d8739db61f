"""What a worker process of a folder run does with a clip: all of it, or what comes before the language model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emotion_llama.analyze.folder_clip import FolderRun, Loader, Task, analyzed, examined, failure
from emotion_llama.analyze.writers import ClipFailure
from emotion_llama.errors import EmotionLlamaError
from emotion_llama.scale.elsewhere import Send, in_reach, sent
from emotion_llama.scale.worker import thread_share

Told = Any
"""What a worker tells of a clip: what it was to give, its `ClipFailure`, or the error that ends the run."""


def analyzing(run: FolderRun, loader: Loader, folder: Path) -> Callable[[Task], Told]:
    """Make the worker that analyses whole clips and writes their files.

    `folder`: where the run was started. Relative paths mean the same in every worker that has this folder.
    """
    model = _loaded(run, loader, folder)
    return telling(lambda task, named: analyzed(model, task, run, named), folder)


def looking(run: FolderRun, loader: Loader, folder: Path) -> Callable[[Task], Told]:
    """Make the worker that looks at clips; the model where the run was started answers. `folder` as for `analyzing`."""
    model = _loaded(run, loader, folder)

    def look(task: Task, named: Path | None) -> Told:
        looked = examined(model.look, task, run)
        return looked if named is None else looked.of_recording(named)

    return telling(look, folder)


def _loaded(run: FolderRun, loader: Loader, folder: Path) -> Any:
    if folder.is_dir():
        os.chdir(folder)
    return loader(run, thread_share(1))  # what a worker may have is said in its environment


def telling(work: Callable[[Task, Path | None], Told], folder: Path, send: Send = sent) -> Callable[[Task], Told]:
    """Give work that raises nothing: an error that ends the run is told, to be raised where the run was started.

    The work gets a task whose recording can be read here; where that is a copy (`send` brought it), also the
    recording's own place.
    """

    def told(task: Task) -> Told:
        clip, stem = task
        try:
            if clip.path is None:
                return work(task, None)
            with in_reach(clip.path, folder, send) as near:
                if near == clip.path:
                    return work(task, None)
                found = work((clip.model_copy(update={"path": near}), stem), clip.path)
                return _renamed(found, near, clip.path)
        except Exception as error:
            try:
                return failure(clip, error)
            except EmotionLlamaError as fatal:
                return fatal

    return told


def _renamed(found: Told, near: Path, named: Path) -> Told:
    """A failure that names the recording, not its copy."""
    if not isinstance(found, ClipFailure):
        return found
    error = found.error.model_copy(update={"message": found.error.message.replace(str(near), str(named))})
    return found.model_copy(update={"error": error})
