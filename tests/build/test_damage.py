"""Bad input to a build: a message that names what was found and what to do, and the next run makes it good.

What stands elsewhere: an endpoint that answers 500 or nonsense, changed settings (test_build.py); a kill, a second run
(test_killed.py); damaged recordings one by one (tests/media, tests/build/doctor); all that an endpoint may do wrong
(tests/test_endpoint.py).
"""

from __future__ import annotations

import json
import runpy
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emotion_llama import assets
from emotion_llama.build.entry import read_entries, read_rejected
from emotion_llama.build.listing import list_clips
from emotion_llama.build.run import Workers, build
from emotion_llama.build.stats.count import dataset_stats
from emotion_llama.build.stats.table import stats_text
from emotion_llama.build.status import build_status
from emotion_llama.clip import Clip
from emotion_llama.errors import EmotionLlamaError, ManifestError, MediaError, OutputError, UsageError
from emotion_llama.manifest import write_manifest

FOLDER = Path(__file__).parent
HERE = runpy.run_path(str(FOLDER / "conftest.py"))
BUILD = runpy.run_path(str(FOLDER / "test_build.py"))
light, Say, write_clip, files = HERE["light"], HERE["Say"], HERE["write_clip"], BUILD["files"]
ONE = Workers(jobs=1)


def reasons(out: Path) -> dict[str, str]:
    """Clip → the step that rejected it, and why."""
    return {one.clip: f"{one.step}: {one.reason}" for one in read_rejected(out)}


def test_no_clips(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no recording")
    with pytest.raises(MediaError, match="no media file below this folder"):
        list_clips([str(tmp_path)])
    write_manifest([], tmp_path / "none.jsonl")
    with pytest.raises(EmotionLlamaError, match=r"none\.jsonl|no clips"):
        build(light(), list_clips([str(tmp_path / "none.jsonl")]), tmp_path / "set", ONE)


def test_recordings_that_cannot_be_read_are_rejected_with_what_was_found(clips: list[Clip], tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", seconds=1.0).read_bytes()
    kinds = {
        "empty.mp4": b"", "text.mp4": b"Dear diary\n" * 99, "cut.mp4": whole[: len(whole) // 2],
        "zeros.mp4": whole[:64] + bytes(len(whole) - 64),
    }  # fmt: skip
    bad = []
    for name, data in kinds.items():
        (tmp_path / name).write_bytes(data)
        bad.append(Clip(clip=name, path=tmp_path / name, emotion="sad"))
    beyond = clips[0].model_copy(update={"clip": "beyond", "start_s": 30.0, "end_s": 31.0})
    mute = Clip(clip="mute", path=write_clip(tmp_path / "mute.mp4", level=None), emotion="sad")
    totals = build(light(), [*clips[:1], *bad, beyond, mute], tmp_path / "set", ONE)
    assert (totals.entries, totals.rejected, totals.failed) == (1, 6, 0)
    why = reasons(tmp_path / "set")
    assert all(why[name].startswith("probe: cannot be read: ") for name in kinds)
    assert "0 bytes" in why["empty.mp4"] and "no known media format" in why["text.mp4"] and "cut off" in why["cut.mp4"]
    assert "starts at 30.0 s, after the end" in why["beyond"] and "no sound" in why["mute"]


def test_a_recording_that_shows_its_damage_late_is_rejected_too(tmp_path: Path) -> None:
    """The header says there is sound; its samples cannot be decoded."""
    path = write_clip(tmp_path / "late.mp4", seconds=1.0)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start : data.index(b"moov") - 4] = b"\xff" * (data.index(b"moov") - 4 - start)
    path.write_bytes(bytes(data))
    totals = build(light(), [Clip(clip="late", path=path, emotion="sad")], tmp_path / "set", ONE)
    assert (totals.entries, totals.rejected, totals.failed) == (0, 1, 0)
    assert "cannot be read: " in reasons(tmp_path / "set")["late"]
    assert "no clip is in the data set (rejected by" in totals.remarks[0]


@pytest.mark.slow
@pytest.mark.weights
def test_no_face_and_two_faces(model_name: str, tmp_path: Path) -> None:
    nobody, two = assets.path("sample-noface") / "no_face.mp4", assets.path("sample-speech") / "obama_speech.mp4"
    spans = [
        Clip(clip=one.stem, path=one, start_s=0.0, end_s=1.0, emotion="sad", transcript="") for one in (nobody, two)
    ]
    wanted = [*HERE["LIGHT"]]
    wanted.insert(1, {"name": "faces"})
    wanted.insert(2, {"name": "peak_frame"})
    config = light().model_copy(update={"stages": tuple(wanted)})
    assert build(config, spans, tmp_path / "set", ONE).rejected == 2
    why = reasons(tmp_path / "set")
    assert why["no_face"].startswith("faces: no face in ") and why["obama_speech"].startswith(
        "faces: 2 people are seen"
    )
    wanted[1] = {"name": "faces", "needed": False, "most_people": 2}
    config = light().model_copy(update={"stages": tuple(wanted)})
    assert build(config, spans, tmp_path / "set", ONE).entries == 2
    faceless, both = read_entries(tmp_path / "set")
    assert faceless.faces and faceless.faces.people == 0 and faceless.action_units == {}
    assert faceless.peak and faceless.peak.rule == "middle"
    assert both.faces and both.faces.people == 2 and both.action_units


def test_one_emotion_and_one_person(clips: list[Clip], tmp_path: Path) -> None:
    same = [clip.model_copy(update={"emotion": "happy", "speaker": "ann"}) for clip in clips[:4]]
    totals = build(light(balance={"most_ratio": 2.0}), same, tmp_path / "set", ONE)
    assert totals.emotions == {"happy": 4} and {one.part for one in read_entries(tmp_path / "set")} == {"train"}
    assert "every clip is happy" in totals.remarks[0]
    assert "no clip on the side validation or test: too few speakers" in totals.remarks[1]
    assert "happy" in stats_text(dataset_stats(tmp_path / "set"))
    lone = build(light(split={"train": 1.0, "validation": 0.0, "test": 0.0}), clips[:2], tmp_path / "lone", ONE)
    assert lone.remarks == ()


def test_an_endpoint_that_is_not_there_or_too_slow_fails_its_clips_and_the_next_run_takes_them_up(
    clips: list[Clip], tmp_path: Path, llm: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    llm.answer = lambda body: Say("late", delay_s=1.0)
    for url, told in ((closed, "is the server running"), (llm.url, "timed out|no answer")):
        endpoints = BUILD["writer"](url, timeout_s=0.2, max_attempts=2)
        totals = build(light(endpoints=endpoints, refine={"endpoint": "writer"}), clips[:1], tmp_path / "set", ONE)
        assert (totals.entries, totals.rejected, totals.failed) == (0, 0, 1)
        words = build_status(tmp_path / "set").failures["clip0.mp4"]
        assert words.startswith(f"refine: {url}") and any(one in words for one in told.split("|"))
        assert "attempts: 2" in words
    llm.answer = BUILD["good"]
    config = light(endpoints=BUILD["writer"](llm.url), refine={"endpoint": "writer"})
    assert build(config, clips[:1], tmp_path / "set", ONE).entries == 1


SMALL_DISK = """
import contextlib, io, resource, sys
from emotion_llama.cli import main

hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
limits, sys.argv = sys.argv[1].split(","), ["emotion-llama", *sys.argv[2:]]
for limit in [*map(int, limits), hard]:
    # Python ignores SIGXFSZ: a write beyond the limit is an error, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    with contextlib.redirect_stderr(io.StringIO()) as told, contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
    print(code, " ".join(told.getvalue().split()))
"""


def test_a_full_disk_is_told_and_the_next_run_with_room_makes_the_same_data_set(
    clips: list[Clip], tmp_path: Path
) -> None:
    """Room for nothing, not even the holder's name; for that and the head of the journal; for some of its pages."""
    limits, out = "0,2000,40000,90000,160000", tmp_path / "set"
    write_manifest(clips[:4], tmp_path / "clips.jsonl")
    (tmp_path / "build.yaml").write_text(json.dumps(light().model_dump(mode="json")), encoding="utf-8")
    words = ["build", str(tmp_path / "build.yaml"), "--clips", str(tmp_path / "clips.jsonl"), "--out", str(out)]
    words = [sys.executable, "-c", SMALL_DISK, limits, *words, "--jobs", "1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    *full, last = done.stdout.splitlines()
    assert last.startswith("0") and len(full) == 5
    said = [line for line in full if not line.startswith("0")]
    assert len(said) >= 3
    for line in said:
        assert line.startswith(f"1 emotion-llama: {out}") or line.startswith(f"1 emotion-llama: journal {out}")
        assert "cannot be written" in line and "make room" in line and "Traceback" not in line
    build(light(), clips[:4], tmp_path / "other", ONE)
    assert files(out) == files(tmp_path / "other")


def cut_in_half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def overwritten(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(byte ^ 0x5A for byte in data[4096:]))


def replaced(path: Path) -> None:
    path.write_text("this is a letter, no database\n" * 50)


def another_programs(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE clips (length INTEGER)")


def with_a_broken_row(path: Path) -> None:
    with sqlite3.connect(path) as same:
        same.execute("UPDATE outcomes SET found = substr(found, 5)")


@pytest.mark.parametrize("damage", [cut_in_half, overwritten, replaced, another_programs, with_a_broken_row])
def test_a_damaged_journal_is_named_with_what_to_do(
    damage: Callable[[Path], None], clips: list[Clip], tmp_path: Path
) -> None:
    out = tmp_path / "set"
    build(light(), clips[:3], out, ONE)
    before = files(out)
    damage(out / "journal.sqlite")
    for use in (lambda: build_status(out), lambda: build(light(), clips[:3], out, ONE)):
        with pytest.raises(ManifestError, match=r"journal \S*journal\.sqlite: damaged, or no journal .*move it away"):
            use()
    for path in out.glob("journal.sqlite*"):
        path.rename(tmp_path / path.name)
    build(light(), clips[:3], out, ONE)
    assert files(out) == before


def test_a_journal_of_another_version_or_place(clips: list[Clip], tmp_path: Path) -> None:
    out = tmp_path / "set"
    build(light(), clips[:1], out, ONE)
    with sqlite3.connect(out / "journal.sqlite") as journal:
        journal.execute('UPDATE facts SET value = \'{"name": "x", "stages": [], "colour": 1}\' WHERE name = \'config\'')
    with pytest.raises(ManifestError, match=r"written by another version .*give the whole command"):
        build_status(out)
    assert build(light(), clips[:1], out, ONE).entries == 1
    with sqlite3.connect(out / "journal.sqlite") as journal:
        journal.execute("UPDATE facts SET value = '9' WHERE name = 'form'")
    with pytest.raises(ManifestError, match="form 9, expected 1"):
        build_status(out)
    with pytest.raises(UsageError, match="expected a database URL"):
        build(light(), clips[:1], out, ONE, journal="nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="give another --out"):
        build(light(), clips[:1], tmp_path / "file" / "set", ONE)
