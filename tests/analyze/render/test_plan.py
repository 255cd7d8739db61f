"""Films of a folder run: one a clip, made again when missing or made otherwise, none that shows faces left over."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from emotion_llama.analyze.command import Request, run_command
from emotion_llama.analyze.folder import FolderRun, run_folder
from emotion_llama.analyze.render.mark import film_mark
from emotion_llama.analyze.render.plan import FilmPlan, single_target
from emotion_llama.analyze.report import ReportMaterial, hides_faces
from emotion_llama.clip import Analysis, Clip
from emotion_llama.errors import MediaError, UsageError
from emotion_llama.measurements import FaceBox
from emotion_llama.settings import AnalyzeSettings


class Finder:
    def find(self, rgb: Any, fine: bool = False) -> list[FaceBox]:
        return [FaceBox(np.array([10, 10, 20, 20], np.float32), np.zeros((6, 2), np.float32), 0.9)]


class FakeModel:
    """Gives each clip the same analysis; fails for the clips in `bad`; remembers what it was asked."""

    def __init__(self, template: dict[str, Any], bad: tuple[str, ...] = ()) -> None:
        self._template, self._bad = template, bad
        self.asked: list[str] = []
        self.parts = SimpleNamespace(all_faces=Finder())

    def examine(self, clip: Clip, settings: AnalyzeSettings) -> Any:
        self.asked.append(clip.clip)
        if clip.clip in self._bad:
            raise MediaError("broken")
        material = ReportMaterial(media_path=clip.path, faces_hidden=settings.blur_faces)
        return SimpleNamespace(
            analysis=Analysis.model_validate(self._template | {"clip": clip.clip}), material=material
        )


@pytest.fixture
def go(tmp_path: Path, make_clip: Any, analysis_json: dict[str, Any]) -> Callable[..., list[str]]:
    """Run over a film, a still picture and words alone; gives the names of the clips that were analysed."""
    make_clip("a.mp4", seconds=0.3)
    Image.new("RGB", (64, 48)).save(tmp_path / "b.png")
    clips = [
        Clip(clip="a", path=tmp_path / "a.mp4"), Clip(clip="b", path=tmp_path / "b.png"),
        Clip(clip="c", transcript="words alone"),
    ]  # fmt: skip

    def run(
        blur: bool = False, drawing: bool = True, films: str | None = "films", formats: Any = ("json",), **changes: Any
    ) -> list[str]:
        model = FakeModel(analysis_json, changes.pop("bad", ()))
        plan = None if films is None else FilmPlan(tmp_path / films, drawing, blur)
        settings = AnalyzeSettings(blur_faces=blur)
        given = FolderRun(out=tmp_path / "out", settings=settings, films=plan, formats=formats, **changes)
        run_folder(clips, given, lambda run, threads: model)  # type: ignore[arg-type, return-value]
        return model.asked

    return run


def films(tmp_path: Path) -> dict[str, tuple[str, bool]]:
    marks = {path.name: film_mark(path) for path in (tmp_path / "films").iterdir()}
    return {name: (mark.faces, mark.drawing) for name, mark in marks.items() if mark is not None}


def test_a_film_a_clip_and_a_missing_one_is_made_again(tmp_path: Path, go: Callable[..., list[str]]) -> None:
    assert go() == ["a", "b", "c"]
    assert films(tmp_path) == {"a.mp4": ("shown", True), "b.png": ("shown", True)}
    assert go() == []
    (tmp_path / "films" / "a.mp4").unlink()
    assert go() == ["a"] and len(films(tmp_path)) == 2
    (tmp_path / "films" / "b.png").write_bytes(b"cut off")
    assert go() == ["b"] and len(films(tmp_path)) == 2


def test_a_run_without_films_can_be_given_them_later(tmp_path: Path, go: Callable[..., list[str]]) -> None:
    assert go(films=None) == ["a", "b", "c"] and not (tmp_path / "films").exists()
    assert go() == ["a", "b"]


def test_films_made_otherwise_are_made_again(tmp_path: Path, go: Callable[..., list[str]]) -> None:
    go()
    assert go(blur=True) == ["a", "b"] and films(tmp_path)["a.mp4"] == ("hidden", True)
    assert go(blur=True, drawing=False) == ["a", "b"] and films(tmp_path)["a.mp4"] == ("hidden", False)
    assert go(blur=True, drawing=False) == []
    assert go() == ["a", "b"] and films(tmp_path)["b.png"] == ("shown", True)


def test_no_film_and_page_that_show_faces_survive_a_failed_clip(tmp_path: Path, go: Callable[..., list[str]]) -> None:
    go(formats=("html",))
    assert not hides_faces(tmp_path / "out" / "a.html")
    assert go(blur=True, formats=("html",), bad=("a",)) == ["a", "b", "c"]
    assert set(films(tmp_path)) == {"b.png"}
    assert not (tmp_path / "out" / "a.html").exists() and hides_faces(tmp_path / "out" / "b.html")
    assert go(blur=True, formats=("html",)) == ["a"] and hides_faces(tmp_path / "out" / "a.html")


def test_a_recording_is_never_overwritten(tmp_path: Path, go: Callable[..., list[str]]) -> None:
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(UsageError, match="would take the place of a recording"):
        go(films=".")
    assert (tmp_path / "a.mp4").read_bytes() == before
    (tmp_path / "taken").touch()
    with pytest.raises(UsageError, match="expected a folder"):
        go(films="taken")


def test_the_name_of_a_single_film(tmp_path: Path, make_clip: Any) -> None:
    clip = Clip(clip="a", path=make_clip("a.mp4", seconds=0.3))
    assert single_target(tmp_path / "x.mp4", clip) == tmp_path / "x.mp4"
    assert single_target(tmp_path / "films", clip) == tmp_path / "films" / "a.mp4"
    shutil.copy(clip.path, tmp_path / "b.webm")  # type: ignore[arg-type]
    assert single_target(tmp_path, Clip(clip="b", path=tmp_path / "b.webm")) == tmp_path / "b.mp4"
    with pytest.raises(UsageError, match="the recording itself"):
        single_target(tmp_path, clip, forget_shown=True)
    assert clip.path is not None and clip.path.exists()
    (tmp_path / "x.mp4").write_bytes(clip.path.read_bytes())
    single_target(tmp_path / "x.mp4", clip)
    assert (tmp_path / "x.mp4").exists()
    single_target(tmp_path / "x.mp4", clip, forget_shown=True)
    assert not (tmp_path / "x.mp4").exists()
    with pytest.raises(UsageError, match=r"ends in \.mp4"):
        single_target(tmp_path / "x.gif", clip)


@pytest.mark.parametrize("changes", [{}, {"render": Path("x.mp4")}, {"blur_faces": True}])
def test_no_drawing_needs_hidden_faces(changes: dict[str, Any]) -> None:
    request = Request(
        inputs=("a.mp4",), labels="mer9", tasks="emotion", transcript="x", transcribe=False, model="nano", frame="peak",
        without="", out=None, formats=None, seed=0, device="cpu", jobs=1, overwrite=False, drawing=False, **changes,
    )  # fmt: skip
    with pytest.raises(UsageError, match="--no-drawing"):
        run_command(request)
