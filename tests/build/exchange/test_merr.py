"""MERR: what the files look like, that nothing of them is lost on the way back, and what others' files look like."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_llama.build.entry import ENTRIES, CoarseLabel, Entry, Peak, Written, read_entries, read_rejected
from emotion_llama.build.exchange.exports import export_dataset
from emotion_llama.build.exchange.imports import import_dataset
from emotion_llama.build.exchange.merr import NAMES
from emotion_llama.build.exchange.options import ExportOptions
from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, UsageError
from tests.build.exchange.entries import dataset, entry, texts

FINE = "MERR_fine_grained.json"
COARSE = "MERR_coarse_grained.json"


def exported(tmp_path: Path, *entries: Entry, options: ExportOptions | None = None) -> Path:
    export_dataset(dataset(tmp_path / "set", *entries), "merr", tmp_path / "merr", options=options)
    return tmp_path / "merr"


def imported(folder: Path, out: Path) -> list[Entry]:
    import_dataset("merr", folder, out)
    return list(read_entries(out))


def test_official_fields_and_types(tmp_path: Path) -> None:
    out = exported(tmp_path, entry())
    row = json.loads((out / FINE).read_text("utf-8"))["sample_1"]
    assert row == {
        "AU_list": ["AU05", "AU26"],
        "visual_prior_list": ["eyes widened", "jaw dropped"],
        "audio_prior_list": "the voice rises",
        "peak_index": "7",
        "peak_AU_list": ["AU05", "AU26"],
        "pseu_emotion": "surprise",
        "text": "Really? You did that, alone?",
        "smp_reason_caption": "The jaw drops and the voice rises, so the person feels surprise.",
    }
    coarse = json.loads((out / COARSE).read_text("utf-8"))["sample_1"]
    assert list(coarse)[:6] == list(row)[:6] and coarse["caption"] == "Eyes widened, jaw dropped; the voice rises."
    assert set(coarse) == {*list(row)[:6], "caption"}
    assert (out / "MERR_fine_grained.txt").read_text() == "sample_1 22 surprise\n"
    assert (out / "MERR_coarse_grained.txt").read_text() == "sample_1 22 surprise\n"
    assert (out / "relative_NCEV.txt").read_text() == "sample_1 22 surprise -0.61\n"
    assert not (out / NAMES).exists()


def test_json_is_what_the_standard_library_would_write(tmp_path: Path) -> None:
    out = exported(tmp_path, entry("a"), entry("b", reasoning='"quoted"\nand\\ two lines, 悲伤'))
    for name in (FINE, COARSE):
        text = (out / name).read_text("utf-8")
        assert text == json.dumps(json.loads(text), indent=4, ensure_ascii=False) + "\n"


def test_released_code_reads_the_lists_and_words(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    out = exported(tmp_path, entry("a b.mp4", transcript='He said "no",\nthen left.'), entry("c", transcript=None))
    lines = [line.strip().split(" ") for line in (out / "MERR_fine_grained.txt").read_text().splitlines()]
    words = pandas.read_csv(out / "transcription_en_all.csv")
    assert [line[0] for line in lines] == ["a_b", "c"] and all(len(line) == 3 for line in lines)
    assert words.loc[words["name"] == "a_b", "sentence"].tolist() == ['He said "no",\nthen left.']
    assert "c" not in words["name"].tolist(), "not transcribed is not the same as silent"


def test_the_way_back_is_the_identity(tmp_path: Path) -> None:
    entries = (
        entry("only fine", valence=None).model_copy(update={"coarse_text": None}),
        entry("clips/both.mp4", transcript=""),
        entry("coarse", transcript=None, reasoning=None).model_copy(update={"fine_text": None, "peak": None}),
    )
    out = exported(tmp_path, *entries)
    found = imported(out, tmp_path / "again")
    assert [one.name for one in found] == [one.name for one in entries]
    for old, new in zip(entries, found, strict=True):
        same(old, new)
    export_dataset(tmp_path / "again", "merr", tmp_path / "twice")
    assert texts(tmp_path / "twice") == texts(out)


def same(old: Entry, new: Entry) -> None:
    """Every field that MERR holds is what it was."""
    for name in ("clip", "transcript", "emotion", "valence", "reasoning"):
        assert getattr(new.clip, name) == getattr(old.clip, name), name
    assert new.units_seen == old.units_seen and new.face_phrases == old.face_phrases
    for name in ("voice", "coarse_text"):
        assert words(getattr(new, name)) == words(getattr(old, name)), name
    assert (new.peak and new.peak.index) == (old.peak and old.peak.index)
    assert (new.coarse and new.coarse.emotion) == (old.coarse and old.coarse.emotion)
    assert new.clip.groups == ({"frames": float(old.media.frames)} if old.media else {})


def words(written: Written | None) -> str | None:
    return written.text if written else None


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
UNITS = st.lists(st.sampled_from(["AU01", "AU05", "AU12", "AU26", "AU45"]), unique=True).map(tuple)


@st.composite
def any_entry(draw: st.DrawFn) -> Entry:
    word = draw(st.sampled_from(["happy", "sad", "joyful-ish", "悲伤"]))
    reason = draw(st.none() | TEXT)
    return Entry(
        clip=Clip(
            clip=draw(TEXT),
            transcript=draw(st.none() | st.just("") | TEXT),
            emotion=word,
            valence=draw(st.none() | st.floats(-5, 5)),
            reasoning=reason,
        ),
        units_seen=draw(UNITS),
        action_units=dict.fromkeys(draw(UNITS), 2.0),
        peak=draw(st.none() | st.builds(Peak, index=st.integers(0, 10**6), rule=st.just("given"))),
        coarse=CoarseLabel(emotion=word),
        face_phrases=tuple(draw(st.lists(TEXT, max_size=3))),
        voice=draw(st.none() | st.builds(Written, text=TEXT, writer=st.just("given"))),
        coarse_text=draw(st.builds(Written, text=TEXT, writer=st.just("given"))) if reason is None else None,
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(any_entry(), min_size=1, max_size=4, unique_by=lambda one: one.name))
def test_any_entry_comes_back(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> None:
    place = tmp_path_factory.mktemp("any")
    out = exported(place, *entries)
    for old, new in zip(entries, imported(out, place / "again"), strict=True):
        same(old, new)
    export_dataset(place / "again", "merr", place / "twice")
    assert texts(place / "twice") == texts(out)


def test_a_reviewed_label_and_reason_win(tmp_path: Path) -> None:
    out = exported(tmp_path, entry(emotion="happy", reasoning="Reviewed."))
    row = json.loads((out / FINE).read_text("utf-8"))["sample_1"]
    assert (row["pseu_emotion"], row["smp_reason_caption"]) == ("happy", "Reviewed.")
    assert (out / "relative_NCEV.txt").read_text() == "sample_1 22 happy -0.61\n"


def test_names_that_the_lists_cannot_hold(tmp_path: Path) -> None:
    names = ("a.mp4", "a.wav", "A", "../up/b c.mp4", "/abs/d.avi", "...", "e.v2")
    report = export_dataset(dataset(tmp_path / "set", *map(entry, names), recordings=False), "merr", tmp_path / "out")
    lines = (tmp_path / "out" / "relative_NCEV.txt").read_text().splitlines()
    safe = [line.split(" ")[0] for line in lines]
    assert safe == ["a", "a-2", "A-3", "up_b_c", "abs_d", "clip", "e.v2"]
    assert any("6 clips have another name here" in note for note in report.notes)
    assert [one.name for one in imported(tmp_path / "out", tmp_path / "again")] == list(names)


def test_what_is_left_out_and_why(tmp_path: Path) -> None:
    bare = Entry(clip=Clip(clip="bare", emotion="sad"))
    entries = (
        entry("good"),
        bare,
        entry("no label", emotion=None).model_copy(update={"coarse": None}),
        entry("blank", emotion="no emotion"),
        entry("none", valence=-10.0),
    )
    report = export_dataset(dataset(tmp_path / "set", *entries), "merr", tmp_path / "out")
    reasons = {one.clip: one.reason for one in report.left_out}
    assert report.clips == 1 and report.files["MERR_fine_grained.json"] == 1
    assert reasons == {
        "bare": "it has neither a coarse text nor a reason",
        "no label": "it has no emotion",
        "blank": "its emotion 'no emotion' has a blank, which a line of MERR cannot hold",
        "none": "its valence is -10, which means none in MERR",
    }
    marker = json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))
    assert {one["clip"] for one in marker["left_out"]} == set(reasons)


def test_copies_lie_where_the_released_code_looks(tmp_path: Path) -> None:
    out = exported(tmp_path, entry("x y.mp4"), entry("span", start_s=1.0), options=ExportOptions(media="copy"))
    assert (out / "media" / "x_y.mp4").read_bytes() == b"recording of x y.mp4"
    assert [path.name for path in (out / "media").iterdir()] == ["x_y.mp4"]
    (found,) = imported(out, tmp_path / "again")
    assert found.clip.path == out / "media" / "x_y.mp4"


def test_notes_for_the_reader(tmp_path: Path) -> None:
    entries = (entry("a", part="train", transcript=None), entry("b", part="test", emotion="disgust"))
    report = export_dataset(dataset(tmp_path / "set", *entries), "merr", tmp_path / "out")
    assert "emotions that the released code does not know: disgust" in report.notes
    assert any("1 clips are not transcribed" in note for note in report.notes)
    assert any("one list holds the sides train, test" in note for note in report.notes)
    options = ExportOptions(parts=("test",))
    export_dataset(tmp_path / "set", "merr", tmp_path / "test", options=options)
    assert (tmp_path / "test" / "MERR_fine_grained.txt").read_text() == "b 22 disgust\n"


RELEASED = """\ufeff{
    // the fine file, as released
    "sample_00000023": {
        "AU_list": ["AU04_r", "AU07"],
        "visual_prior_list": ["brows lowered"],   /* a phrase
            each */
        "audio_prior_list": "angry // not a comment, /* nor this */",
        "peak_index": 12,
        "peak_AU_list": {"AU04": 1.5},
        "pseu_emotion": "angry",
        "text": "",
        "smp_reason_caption": "two
lines,\tand a tab", 
    },
}
"""


def test_released_files_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / FINE).write_text(RELEASED, encoding="utf-8")
    (tmp_path / "MERR_fine_grained.txt").write_text("sample_00000023 35 angry -1.174107\n")
    (found,) = imported(tmp_path, tmp_path / "out")
    assert found.units_seen == ("AU04", "AU07") and found.action_units == {"AU04": 1.5}
    assert found.voice == Written(text="angry // not a comment, /* nor this */", writer="given")
    assert found.clip.reasoning == "two\nlines,\tand a tab"
    assert (found.clip.valence, found.clip.groups, found.peak) == (
        -1.174107,
        {"frames": 35.0},
        Peak(index=12, rule="given"),
    )
    assert found.clip.transcript is None, "an empty text says nothing: others leave it empty everywhere"


def test_the_list_decides_the_emotion_and_unknown_words_stay(tmp_path: Path) -> None:
    rows = {"a": {"pseu_emotion": "happy", "caption": "c"}, "b": {"pseu_emotion": "unknown", "caption": "d"}}
    (tmp_path / COARSE).write_text(json.dumps(rows))
    (tmp_path / "MERR_coarse_grained.txt").write_text("a 3 sad\nlost 3 sad\n")
    report = import_dataset("merr", tmp_path, tmp_path / "out")
    first, second = read_entries(tmp_path / "out")
    assert (first.clip.emotion, second.clip.emotion) == ("sad", "unknown")
    assert first.coarse is not None and first.coarse.pseudo_label == "happy"
    assert report.unknown_emotions == ("unknown",) and report.emotions == {"sad": 1, "unknown": 1}
    assert report.notes == ("1 clips have another emotion in the list than pseu_emotion says; the list's is taken",)
    (gone,) = read_rejected(tmp_path / "out")
    assert (gone.clip, gone.reason) == ("lost", "it stands in a list but in no JSON file")


def test_the_older_file_names_and_a_single_file(tmp_path: Path) -> None:
    (tmp_path / "AU_filter_merge.json").write_text('{"a": {"caption": "c", "pseu_emotion": "sad"}}')
    assert imported(tmp_path, tmp_path / "one")[0].clip.emotion == "sad"
    (tmp_path / "mine.json").write_text('{"b": {"smp_reason_caption": "r"}}')
    (tmp_path / "MERR_coarse_grained.txt").write_text("a 3 sad\n")
    (found,) = imported(tmp_path / "mine.json", tmp_path / "two")
    assert (found.name, found.clip.emotion, found.clip.reasoning) == ("b", None, "r")
    assert list(read_rejected(tmp_path / "two")) == [], "the list is about the other file"


def test_units_at_the_peak_keep_their_names_without_a_strength(tmp_path: Path) -> None:
    found = imported(exported(tmp_path, entry()), tmp_path / "again")[0]
    assert found.action_units == {}, "MERR tells no strength, and none is made up"
    assert [(seen.name, seen.value) for seen in found.clip.observations] == [("AU05", None), ("AU26", None)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected a JSON object clip name → row, found list"),
        ('{"a": {"caption": "half', r"MERR_coarse_grained.json:1: not readable as JSON .*is the file whole"),
        ('{\n// one\n"a": oops}', "json:3: not readable as JSON"),
        ("{}", "no clip could be read as merr"),
        ('{"a": [1]}', "no clip could be read as merr; the first, 'a': the row: .*found \\[1\\]"),
    ],
)
def test_damaged_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / COARSE).write_text(text)
    with pytest.raises(ManifestError, match=message):
        import_dataset("merr", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / ENTRIES).exists()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"AU_list": ["smile"]}, "expected action units such as AU05 in AU_list and peak_AU_list, found 'smile'"),
        ({"peak_index": "twelve"}, "peak_index: expected the number of a frame, found 'twelve'"),
        ({"visual_prior_list": 7}, "visual_prior_list.*found 7"),
    ],
)
def test_a_wrong_row_is_rejected_alone(tmp_path: Path, row: dict[str, object], reason: str) -> None:
    (tmp_path / COARSE).write_text(json.dumps({"bad": row, "good": {"caption": "c"}}))
    assert [one.name for one in imported(tmp_path, tmp_path / "out")] == ["good"]
    (gone,) = read_rejected(tmp_path / "out")
    assert gone.step == "import" and re.match(reason, gone.reason)


def test_a_name_twice_is_told(tmp_path: Path) -> None:
    (tmp_path / COARSE).write_text('{"a": {"caption": "old"}, "a": {"caption": "new"}}')
    report = import_dataset("merr", tmp_path, tmp_path / "out")
    assert report.notes == ("MERR_coarse_grained.json: a stands there twice; the last one is taken",)


def test_no_file_and_a_bad_list(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"expected MERR_coarse_grained.json or MERR_fine_grained.json in it"):
        import_dataset("merr", tmp_path, tmp_path / "out")
    (tmp_path / COARSE).write_text('{"a": {"caption": "c"}}')
    (tmp_path / "MERR_coarse_grained.txt").write_text("a many sad\n")
    with pytest.raises(ManifestError, match=r"txt:1: expected name, frames, emotion and perhaps valence"):
        import_dataset("merr", tmp_path, tmp_path / "out")


def test_an_export_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no entry can be written as merr; 1 are left out, the first, 'bare', because"):
        exported(tmp_path, Entry(clip=Clip(clip="bare", emotion="sad")))
    assert not (tmp_path / "merr").exists()
