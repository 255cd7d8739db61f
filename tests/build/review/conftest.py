"""A small data set to review: two clips that can be played, one that cannot, one of text alone."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emotion_llama.build.entry import (
    ENTRIES,
    REJECTED,
    Check,
    CoarseLabel,
    Entry,
    Faces,
    Media,
    Peak,
    Rejected,
    Written,
    write_lines,
)
from emotion_llama.build.preview import Preview, preview_path
from emotion_llama.clip import Clip, Observation

if TYPE_CHECKING:
    from starlette.testclient import TestClient

HOSTILE = '<img src=x onerror="document.title=1">'
PASSWORDS = {"Ann": "ann-password", "Bo": "bo-password", "Cy": "cy-password"}


def make_entry(clip: str, emotion: str | None = "happy", path: str | None = None, **fields: Any) -> Entry:
    """An entry without doubts; `fields` replace what is usual."""
    text = f"The cheeks are raised, so the person is {emotion}."
    usual: dict[str, Any] = {
        "clip": Clip(
            clip=clip,
            path=None if path is None else Path(path),
            transcript="You came!",
            speaker="actor 1",
            emotion=emotion,
            reasoning=text,
            observations=(
                Observation(channel="face", text="cheeks raised", source="mesh-au-1", name="AU6", confidence=0.9),
                Observation(channel="words", text="a welcome", source="words-1"),
            ),
        ),
        "media": Media(duration_s=1.0, width_px=64, height_px=48, frame_rate_hz=10, frames=10, has_sound=True),
        "faces": Faces(people=1, frames_seen=10, presence=1.0),
        "action_units": {"AU6": 2.0, "AU12": 3.0},
        "peak": Peak(index=5, time_s=0.5, rule="sum of units"),
        "coarse": CoarseLabel(
            emotion=emotion or "neutral", scores={"happy": 3.0, "sad": 0.2}, fired=("happy",), rule_agrees=True
        ),
        "coarse_text": Written(text="Cheeks raised.", writer="composer-1"),
        "fine_text": Written(text=text, writer="composer-1"),
        "check": Check(concluded=emotion, supported=3),
    }
    return Entry(**(usual | fields))


def write_preview(dataset: Path, clip: str) -> None:
    angles = np.linspace(0, 2 * np.pi, 468)
    mesh = np.stack([32 + 12 * np.cos(angles), 24 + 16 * np.sin(angles)], axis=1)
    times = tuple(round(0.1 * n, 1) for n in range(10))
    preview = Preview(
        duration_s=1.0,
        times_s=times,
        action_units={"AU6": tuple(0.4 * n for n in range(10)), "AU12": (3.0,) * 10},
        frame_px=(64, 48),
        mesh_px=tuple((float(x), float(y)) for x, y in mesh),
        waveform=tuple(abs(float(np.sin(0.3 * n))) for n in range(50)),
    )
    path = preview_path(dataset, clip)
    path.parent.mkdir(exist_ok=True)
    path.write_text(preview.model_dump_json(), encoding="utf-8")


@pytest.fixture
def entry() -> Callable[..., Entry]:
    return make_entry


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five entries: plain a.mp4, doubtful b.mp4 with hostile texts, an .avi, text alone, a recording elsewhere."""
    place = tmp_path_factory.mktemp("review")
    folder = place / "merr-small"
    folder.mkdir()
    (folder / "secret.txt").write_text("not for the browser", encoding="utf-8")
    write_clip = runpy.run_path(str(Path(__file__).parents[2] / "conftest.py"))["write_clip"]
    write_clip(folder / "a.mp4")
    shutil.copy(folder / "a.mp4", folder / "b.mp4")
    shutil.copy(folder / "a.mp4", place / "elsewhere.mp4")
    (folder / "c.avi").write_bytes(b"RIFF")
    hostile = make_entry(f"b {HOSTILE}.mp4", "sad", "b.mp4")
    hostile = hostile.model_copy(
        update={
            "clip": hostile.clip.model_copy(update={"transcript": HOSTILE}),
            "check": Check(concluded="angry", supported=1),
            "fine_text": Written(text=HOSTILE, writer=HOSTILE),
        }
    )
    entries = [
        make_entry("a.mp4", "happy", "a.mp4"),
        hostile,
        make_entry("c.avi", "angry", "c.avi"),
        make_entry("words alone", "sad"),
        make_entry("elsewhere", "happy", str(place / "elsewhere.mp4")),
    ]
    write_lines(entries, folder / ENTRIES)
    write_lines([Rejected(clip="bad.mp4", step="faces", reason="no face")], folder / REJECTED)
    for one in entries:
        write_preview(folder, one.name)
    return folder


@pytest.fixture
def dataset(built: Path, tmp_path: Path) -> Path:
    """A copy of `built` that a test may spoil; nobody may sign in yet."""
    return Path(shutil.copytree(built, tmp_path / built.name))


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with three annotators: making a password's hash is slow on purpose, so it is done once."""
    pytest.importorskip("sqlalchemy", reason="needs sqlalchemy")
    from emotion_llama.build.review.store import DATABASE, ReviewStore

    folder = tmp_path_factory.mktemp("people")
    store = ReviewStore(folder)
    for name, password in PASSWORDS.items():
        store.add_annotator(name, password)
    store.close()
    return folder / DATABASE


SignedIn = Callable[..., AbstractContextManager["TestClient"]]


@pytest.fixture
def signed_in(dataset: Path, people: Path) -> Iterator[SignedIn]:
    """`with signed_in("Ann") as page:` a client of the one application, signed in; several at once if wanted."""
    pytest.importorskip("fastapi", reason="needs fastapi")
    from starlette.testclient import TestClient

    from emotion_llama.build.review.records import ReviewSettings
    from emotion_llama.build.review.server import make_app

    shutil.copy(people, dataset)
    app = make_app(dataset, ReviewSettings())

    @contextmanager
    def client(name: str | None = None) -> Iterator[TestClient]:
        with TestClient(app, base_url="http://127.0.0.1:8400") as page:
            if name is not None:
                page.cookies.set(app.state.session_cookie, app.state.sessions.start(name))
            yield page

    yield client
    app.state.desk.store.close()
