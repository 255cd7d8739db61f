"""llama-factory and ms-swift: their documented rules, and their own loaders where these can be had."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.build.entry import Entry, Media
from emotion_llama.build.exchange.exports import export_dataset
from emotion_llama.build.exchange.options import ExportOptions, ExportReport
from emotion_llama.labels import LABEL_SETS
from emotion_llama.prompt import instruction
from tests.build.exchange.entries import dataset, entry

TAGS = {"videos": "<video>", "audios": "<audio>", "images": "<image>"}
SOUND = {"media": Media(duration_s=2.0, has_sound=True)}


def sound(name: str, **clip: Any) -> Entry:
    return entry(name, path=Path("clips") / f"{name}.wav", **clip).model_copy(update=SOUND)


def mixed(tmp_path: Path) -> Path:
    return dataset(
        tmp_path / "set",
        entry("a", part="train"),
        entry("b", part="train", transcript=None, reasoning=None).model_copy(update={"fine_text": None}),
        sound("c", part="train"),
        entry("d", part="test", emotion="happy", transcript=""),
    )


def written(out: Path, kind: str, options: ExportOptions, source: Path) -> tuple[ExportReport, dict[str, list[Any]]]:
    report = export_dataset(source, kind, out, options=options)
    files: dict[str, list[Any]] = {}
    for name in report.files:
        text = (out / name).read_text("utf-8")
        if name != "dataset_info.json":
            files[name] = json.loads(text) if kind == "llama-factory" else [json.loads(x) for x in text.splitlines()]
    return report, files


def check_documented(rows: list[Any]) -> None:
    """Roles alternate and begin with the user; tags and files are equal in number; one set of columns a file."""
    assert len({tuple(sorted(row)) for row in rows}) == 1
    for row in rows:
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert all(message["content"].strip() for message in row["messages"])
        text = "".join(message["content"] for message in row["messages"])
        for column, tag in TAGS.items():
            assert text.count(tag) == len(row.get(column, ()))
        assert sum(len(row.get(column, ())) for column in TAGS) == 1


@pytest.mark.parametrize(("kind", "suffix"), [("llama-factory", "json"), ("ms-swift", "jsonl")])
def test_documented_rules(tmp_path: Path, kind: str, suffix: str) -> None:
    report, files = written(tmp_path / "out", kind, ExportOptions(), mixed(tmp_path))
    assert {name: len(rows) for name, rows in files.items()} == {
        f"train_video.{suffix}": 3,
        f"train_audio.{suffix}": 2,
        f"test_video.{suffix}": 2,
    }
    for rows in files.values():
        check_documented(rows)
    assert report.clips == 4 and "1 clips have no answer to [reason]" in report.notes


def test_questions_are_our_own_prompt(tmp_path: Path) -> None:
    _, files = written(tmp_path / "out", "ms-swift", ExportOptions(), mixed(tmp_path))
    labels = LABEL_SETS["mer9"]  # the first set that has every word that occurs
    emotion, reason, bare = (row["messages"] for row in files["train_video.jsonl"])
    said = "<video> The person in video says: Really? You did that, alone? "
    assert emotion[0]["content"] == f"{said}[emotion] {instruction('emotion', labels)}"
    assert reason[0]["content"] == f"{said}[reason] {instruction('reason', labels)}"
    assert (emotion[1]["content"], reason[1]["content"][:14]) == ("surprise", "The jaw drops ")
    assert bare[0]["content"] == f"<video> [emotion] {instruction('emotion', labels)}", "not transcribed: not a word"
    silent = files["test_video.jsonl"][0]["messages"][0]["content"]
    assert silent.startswith("<video> The person in video says nothing. [emotion]")
    assert files["train_audio.jsonl"][0]["messages"][0]["content"].startswith("<audio> ")


def test_words_of_no_label_set_are_listed_themselves(tmp_path: Path) -> None:
    source = dataset(tmp_path / "set", entry("a", emotion="wistful"), entry("b", emotion="happy"))
    _, files = written(tmp_path / "out", "ms-swift", ExportOptions(tasks=("emotion",)), source)
    assert "represents: happy, wistful." in files["clips_video.jsonl"][0]["messages"][0]["content"]


def test_what_is_left_out(tmp_path: Path) -> None:
    source = dataset(
        tmp_path / "set",
        entry("good"),
        entry("tag", transcript="press <audio> now"),
        entry("span", start_s=1.0),
        entry("text", path=None),
        entry("other", emotion="sad"),
        entry("what", path=Path("clips/what")).model_copy(update={"media": None}),
        sound("voice"),
        entry("mute", emotion=None, reasoning=None).model_copy(update={"coarse": None, "fine_text": None}),
    )
    options = ExportOptions(labels=("surprise", "happy"), kinds=("video",))
    report, files = written(tmp_path / "out", "llama-factory", options, source)
    assert len(files["clips_video.json"]) == 2 and list(files) == ["clips_video.json"]
    assert {one.clip: one.reason for one in report.left_out} == {
        "tag": "its text holds <audio>, which would count as another file",
        "span": "it is a span of a recording, and this format has no times",
        "text": "it has no recording",
        "other": "its emotion 'sad' is not among the labels surprise, happy",
        "what": "it cannot be told whether its recording is video, sound or a still",
        "voice": "its recording is of the kind audio, and only video are asked for",
        "mute": "it has no answer to [emotion], [reason]",
    }


def test_dataset_info_describes_each_file(tmp_path: Path) -> None:
    report, files = written(tmp_path / "out", "llama-factory", ExportOptions(), mixed(tmp_path))
    info = json.loads((tmp_path / "out" / "dataset_info.json").read_text("utf-8"))
    assert {one["file_name"] for one in info.values()} == set(files)
    for one in info.values():
        assert one["formatting"] == "sharegpt" and set(one["columns"].values()) == set(files[one["file_name"]][0])
        assert one["tags"]["role_tag"] == "role" and one["tags"]["assistant_tag"] == "assistant"
    assert report.notes[-1].endswith("dataset: train_video,train_audio,test_video")


def test_ms_swift_is_told_where_relative_paths_start(tmp_path: Path) -> None:
    report, files = written(tmp_path / "out", "ms-swift", ExportOptions(media="copy"), mixed(tmp_path))
    assert files["train_video.jsonl"][0]["videos"] == ["media/a.mp4"]
    assert report.notes[-1] == f"its paths are relative: set ROOT_IMAGE_DIR={tmp_path / 'out'}"


READ = """
import json, sys
from types import SimpleNamespace
from llamafactory.data.loader import _get_merged_dataset
from llamafactory.data.mm_plugin import MMPluginMixin
from llamafactory.hparams import DataArguments

folder, names, cache = sys.argv[1:]
data = DataArguments(dataset=names, dataset_dir=folder)
model = SimpleNamespace(cache_dir=cache, hf_hub_token=None)
training = SimpleNamespace(local_process_index=0, seed=0)
rows = list(_get_merged_dataset(data.dataset, model, data, training, "sft"))
for row in rows:
    files = [row[name] or [] for name in ("_images", "_videos", "_audios")]
    MMPluginMixin(None, None, None)._validate_messages(row["_prompt"] + row["_response"], *files)
print("ROWS " + json.dumps(rows))
"""


@pytest.fixture
def llama_factory(tmp_path: Path) -> Path:
    """A Python with LLaMA-Factory: itself and what its loader needs; everything else is what is installed here."""
    try:
        venv.create(tmp_path / "venv", with_pip=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs a virtual environment with pip: {error}")
    scripts = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / f"python{'.exe' if sys.platform == 'win32' else ''}"
    place = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    Path(place, "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    Path(place, "torchaudio.py").touch()  # imported by the loader, used only to decode sound
    packages = ["llamafactory==0.9.5", "omegaconf==2.3.0", "antlr4-python3-runtime==4.9.3"]
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-deps", *packages], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"needs LLaMA-Factory from a package index: {done.stderr.strip().splitlines()[-1:]}")
    return python


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_llama_factory_reads_it(tmp_path: Path, llama_factory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "datasets", "transformers"):
        pytest.importorskip(name, reason=f"LLaMA-Factory needs {name}")
    report = export_dataset(mixed(tmp_path), "llama-factory", tmp_path / "out", options=ExportOptions(media="copy"))
    names = report.notes[-1].rpartition(" ")[2]
    monkeypatch.setenv("DISABLE_VERSION_CHECK", "1")  # it wants older libraries than those here
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = subprocess.run(
        [llama_factory, "-c", READ, tmp_path / "out", names, tmp_path / "cache"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "does not exist in `media_dir`" not in done.stderr
    rows = json.loads(done.stdout.partition("ROWS ")[2])
    assert len(rows) == 7 == sum(count for name, count in report.files.items() if name != "dataset_info.json")
    first, sounds = rows[0], [row for row in rows if row["_audios"]]
    assert first["_prompt"][0]["role"] == "user" and first["_prompt"][0]["content"].startswith("<video> The person")
    assert first["_response"] == [{"role": "assistant", "content": "surprise"}]
    assert first["_videos"] == [str(tmp_path / "out" / "media" / "a.mp4")] and len(sounds) == 2
