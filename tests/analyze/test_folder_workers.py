"""Folder runs over worker processes and Ray: the lines of one process, whoever dies, and few clips in memory."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emotion_llama.analyze.folder import FolderRun, run_folder
from emotion_llama.clip import Clip
from emotion_llama.errors import AssetMissingError, UsageError
from emotion_llama.settings import AnalyzeSettings
from tests.analyze.folder_workers import FatedModel, load_fated

if TYPE_CHECKING:
    from emotion_llama import EmotionLlama

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = AnalyzeSettings(tasks=("emotion",))
WHOLE, LOOKS, RAY, RAY_LOOKS = (
    {"jobs": 2},
    {"jobs": 2, "batch_size": 3},
    {"jobs": 2, "engine": "ray"},
    {"jobs": 2, "engine": "ray", "batch_size": 3},
)
# ray itself must not be imported here: it reads its settings when it is
ON_RAY = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs ray: pip install 'emotion-llama[ray]'"),
]
WAYS = [
    pytest.param(WHOLE, id="whole"),
    pytest.param(LOOKS, id="looks"),
    pytest.param(RAY, id="ray", marks=ON_RAY),
    pytest.param(RAY_LOOKS, id="ray-looks", marks=ON_RAY),
]

Rows = dict[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def _workers_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as many threads everywhere: sums are added in one order


@pytest.fixture
def loader(tmp_path: Path, analysis_json: dict[str, Any]) -> Callable[..., Any]:
    """Of models that worker processes load, too."""
    return partial(load_fated, tmp_path, analysis_json)


def clips(**fates: str) -> list[Clip]:
    return [Clip(clip=name, transcript=fate.replace("_", " ")) for name, fate in fates.items()]


def lines(out: Path) -> Rows:
    """By clip; no clip has two."""
    rows = [json.loads(line) for line in (out / "analyses.jsonl").read_text(encoding="utf-8").splitlines()]
    found = {row["clip"]: {key: value for key, value in row.items() if key != "timings_s"} for row in rows}
    assert len(found) == len(rows)
    return found


def children() -> list[int]:
    """Processes begun by this one and not ended, without multiprocessing's own helper."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"resource_tracker" not in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.parametrize("way", WAYS)
def test_the_lines_of_one_process_and_bad_clips_are_survived(
    way: dict[str, Any], tmp_path: Path, loader: Callable[..., Any]
) -> None:
    asked = clips(a="fine", b="media", c="fine", long="fine", d="bug", e="fine", f="fine")
    found = {}
    for name, changes in (("one", {}), ("many", way)):
        assert run_folder(asked, FolderRun(tmp_path / name, SETTINGS, **changes), loader) == 1
        found[name] = lines(tmp_path / name)
    assert found["many"] == found["one"]
    assert found["one"]["long"]["error"] == {"type": "ModelError", "message": "too long"}
    assert found["one"]["d"]["error"]["type"] == "ZeroDivisionError"
    again = FolderRun(tmp_path / "many", SETTINGS, **way)
    assert run_folder(asked, again, loader) == 1 and lines(tmp_path / "many") == found["one"]


@pytest.mark.parametrize("way", WAYS[:3])
def test_a_killed_worker_costs_nothing_and_one_that_always_dies_its_clip(
    way: dict[str, Any], tmp_path: Path, loader: Callable[..., Any]
) -> None:
    asked = clips(a="fine", b="kill_once", c="fine", d="fine", e="fine")
    once = FolderRun(tmp_path / "once", SETTINGS, **way)
    assert run_folder(asked, once, loader) == 0
    run_folder(clips(a="fine", b="fine", c="fine", d="fine", e="fine"), FolderRun(tmp_path / "one", SETTINGS), loader)
    assert lines(tmp_path / "once") == lines(tmp_path / "one")
    always = FolderRun(tmp_path / "always", SETTINGS, **way)
    assert run_folder(clips(a="fine", b="kill", c="fine", d="fine"), always, loader) == 1
    found = lines(tmp_path / "always")
    assert found.keys() == set("abcd") and [name for name in found if "error" in found[name]] == ["b"]
    assert found["b"]["error"]["type"] == "WorkerLost" and "twice" in found["b"]["error"]["message"]
    assert children() == []


@pytest.mark.parametrize("way", WAYS[:2])
def test_what_would_fail_every_clip_ends_the_run_and_its_workers(
    way: dict[str, Any], tmp_path: Path, loader: Callable[..., Any]
) -> None:
    asked = clips(a="fine", b="no_weights", **{f"c{number}": "pid" for number in range(50)})
    with pytest.raises(AssetMissingError, match="fetch nano"):
        run_folder(asked, FolderRun(tmp_path / "out", SETTINGS, **way), loader)
    assert children() == [] and len(lines(tmp_path / "out")) < 40


def test_workers_look_and_this_process_answers_with_few_clips_in_memory(
    tmp_path: Path, analysis_json: dict[str, Any]
) -> None:
    mine = FatedModel(tmp_path, analysis_json, slow=True)
    asked = clips(**{f"c{number}": "pid" for number in range(30)})
    run = FolderRun(tmp_path / "out", SETTINGS, **LOOKS)
    assert run_folder(asked, run, _Mine(tmp_path, analysis_json, mine)) == 0
    pids = {row["raw"]["pid"] for row in lines(tmp_path / "out").values()}
    assert len(lines(tmp_path / "out")) == 30 and len(pids) == 2 and str(os.getpid()) not in pids
    assert sum(mine.sizes) == 30 and max(mine.sizes) == 3
    # in two workers, three that wait, three that are answered, one on its way
    assert 3 < max(mine.alive) <= 2 + 3 + 3 + 1


class _Mine:
    """A loader that gives this process a model to look into, and its workers models of their own."""

    def __init__(self, folder: Path, template: dict[str, Any], mine: FatedModel | None = None) -> None:
        self.folder, self.template, self.mine = folder, template, mine

    def __call__(self, run: FolderRun, threads: int | None) -> Any:
        return self.mine or FatedModel(self.folder, self.template)

    def __reduce__(self) -> Any:
        return _Mine, (self.folder, self.template)


def test_results_come_while_others_are_looked_at(tmp_path: Path, loader: Callable[..., Any]) -> None:
    from emotion_llama.analyze.folder_results import results_of

    tasks = [(clip, clip.clip) for clip in clips(**{f"c{number}": "pid" for number in range(200)})]
    for way in (WHOLE, LOOKS):
        results = results_of(tasks, FolderRun(tmp_path / "out", SETTINGS, **way), loader)
        assert next(results).clip.startswith("c") and children()
        start = time.monotonic()
        results.close()
        assert children() == [] and time.monotonic() - start < 9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"address": "10.0.0.1:6379"}, "give --engine ray too"),
        ({"engine": "ray", "device": "cuda:1"}, "give --device cuda"),
        ({"engine": "dask", "jobs": 2}, "expected local or ray"),
    ],
)
def test_what_does_not_go_together_is_said(
    changes: dict[str, Any], words: str, tmp_path: Path, loader: Callable[..., Any]
) -> None:
    with pytest.raises(UsageError, match=words):
        run_folder(clips(a="fine", b="fine"), FolderRun(tmp_path / "out", SETTINGS, **changes), loader)


def test_a_copy_of_a_recording_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker on another machine: the recording is not where it is said to be, and its copy is somewhere else."""
    from emotion_llama.analyze import folder_worker

    told = folder_worker.telling(
        lambda task, named: _told_of(task, named), Path("/started/here"), lambda path, node: b"x"
    )
    monkeypatch.setenv("EMOTION_LLAMA_HOME_NODE", "other")
    clip = Clip(clip="a.mp4", path=Path("far/a.mp4"))
    assert told((clip, "a")).error.message == "far/a.mp4: broken"
    assert told((clip.model_copy(update={"path": None}), "a")) == (None, None)


def _told_of(task: Any, named: Path | None) -> Any:
    from emotion_llama.analyze.writers import ClipFailure
    from emotion_llama.errors import MediaError

    clip, _ = task
    if clip.path is None:
        return clip.path, named
    assert named == Path("far/a.mp4") and clip.path.name == "a.mp4" and clip.path.read_bytes() == b"x"
    return ClipFailure.of(clip.clip, MediaError(f"{clip.path}: broken"))


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", WAYS[:3])
def test_the_real_model_says_the_same(
    way: dict[str, Any],
    tmp_path: Path,
    exact: EmotionLlama,
    model_name: str,
    faces_picture: Path,
    make_clip: Callable[..., Path],
) -> None:
    asked: Sequence[Clip] = [
        Clip(clip="one", transcript="I am so happy today"),
        Clip(clip="two", transcript="Leave me alone!"),
        Clip(clip="three", path=faces_picture),
        Clip(clip="four", path=make_clip("four.mp4", seconds=1.0, noise=4), transcript="No."),
        Clip(clip="gone.mp4", path=tmp_path / "gone.mp4"),
    ]
    settings = AnalyzeSettings(tasks=("emotion", "reason"))
    found: dict[str, Rows] = {}
    for name, changes in (("one", {}), ("many", way)):
        more = {"dtype": "float32", "model": model_name, "device": "cpu", **changes}
        run = FolderRun(tmp_path / name, settings, formats=("json", "html"), **more)
        assert (run_folder(asked, run) if changes else run_folder(asked, run, lambda run, threads: exact)) == 1
        assert (tmp_path / name / "three.html").stat().st_size > 1000
        found[name] = lines(tmp_path / name)
    assert found["many"].keys() == found["one"].keys() == {clip.clip for clip in asked}
    for name, one in found["one"].items():
        assert found["many"][name] == (one if "error" in one else close_to(one))


def close_to(row: dict[str, Any]) -> dict[str, Any]:
    """The row with some room for its numbers."""
    near = partial(pytest.approx, abs=1e-4, nan_ok=False)
    scores = {name: near(found, rel=1e-4) for name, found in row["label_scores"].items()}
    loose = {key: near(row[key]) for key in ("probabilities", "confidence", "order_sensitivity")}
    loose |= {
        "label_scores": scores,
        "valence": row["valence"] and {**row["valence"], "value": near(row["valence"]["value"])},
    }
    return row | loose
