"""What every import shares, the lists of the released code, MER's label files, and the readers of data sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotion_llama.build.entry import ENTRIES, REJECTED, Entry, read_entries, read_rejected
from emotion_llama.build.exchange.imports import IMPORTS, import_dataset
from emotion_llama.build.exchange.options import ImportOptions
from emotion_llama.errors import ManifestError, UsageError
from tests.build.exchange.entries import dataset, entry


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(kind: str, source: Path, out: Path, **options: object) -> list[Entry]:
    import_dataset(kind, source, out, options=ImportOptions.model_validate(options))
    return list(read_entries(out))


NCEV = "sample_1 125 sad -10\n\nsample_2 0 happiness -0.61\nsample_3 wistful\n"


def test_ncev_with_words_and_recordings(tmp_path: Path) -> None:
    write(tmp_path / "in" / "relative_test3_NCEV.txt", NCEV)
    write(tmp_path / "in" / "transcription_all_new.csv", 'name,sentence_en\nsample_1,"No, ""never""."\nsample_2,\n')
    write(tmp_path / "in" / "video" / "sample_1.wav")
    write(tmp_path / "in" / "video" / "sample_1.mp4")
    first, second, third = read("ncev", tmp_path / "in", tmp_path / "out")
    assert first.clip.path == tmp_path / "in" / "video" / "sample_1.mp4", "a moving picture goes before sound"
    assert (first.clip.emotion, first.clip.valence, first.clip.groups) == ("sad", None, {"frames": 125.0})
    assert (first.clip.transcript, second.clip.transcript, third.clip.transcript) == ('No, "never".', "", None)
    assert (second.clip.emotion, second.clip.valence, second.clip.groups) == ("happiness", -0.61, {})
    assert third.clip.emotion == "wistful" and third.steps[0].version == "ncev-1"


def test_the_report_names_words_that_no_table_knows(tmp_path: Path) -> None:
    report = import_dataset("ncev", write(tmp_path / "a.txt", NCEV), tmp_path / "out")
    assert report.unknown_emotions == ("wistful",), "happiness is in the table of synonyms, and stays as it is"
    assert report.emotions == {"sad": 1, "happiness": 1, "wistful": 1} and report.entries == 3


def test_recordings_elsewhere_licence_and_consent(tmp_path: Path) -> None:
    source = write(tmp_path / "in" / "list.txt", "a 3 sad\n")
    clip = write(tmp_path / "films" / "deep" / "a.avi")
    (found,) = read("ncev", source, tmp_path / "out", media=tmp_path / "films", licence="EULA", consent="no")
    assert found.clip.path == clip and (found.source.licence, found.source.consent) == ("EULA", "no")
    with pytest.raises(UsageError, match=r"--media .*expected a folder of recordings"):
        read("ncev", source, tmp_path / "again", media=tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["a 12 sad 1 2\n", "a x sad\n", "a 12 sad much\n", "a 12 sad nan\n", "a\n"])
def test_damaged_lists(tmp_path: Path, text: str) -> None:
    with pytest.raises(ManifestError, match=r"a.txt:2: "):
        read("ncev", write(tmp_path / "a.txt", "good 3 sad\n" + text), tmp_path / "out")


def test_a_clip_twice_is_rejected_the_second_time(tmp_path: Path) -> None:
    found = read("ncev", write(tmp_path / "a.txt", "a 1 sad\na 2 happy\n"), tmp_path / "out")
    (gone,) = read_rejected(tmp_path / "out")
    assert [one.clip.emotion for one in found] == ["sad"] and gone.reason.startswith("another clip of this name")


def test_two_lists_in_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "a 1 sad\n")
    write(tmp_path / "b.txt", "b 1 sad\n")
    with pytest.raises(ManifestError, match=r"expected one list \(.txt\) in it, found a.txt, b.txt; name the file"):
        read("ncev", tmp_path, tmp_path / "out")


def test_a_data_set_is_never_written_over(tmp_path: Path) -> None:
    out = dataset(tmp_path / "set", entry())
    before = (out / ENTRIES).read_bytes()
    with pytest.raises(UsageError, match="this folder is a data set already"):
        read("ncev", write(tmp_path / "a.txt", "a 1 sad\n"), out)
    assert (out / ENTRIES).read_bytes() == before


def test_a_failed_import_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ManifestError):
        read("ncev", write(tmp_path / "a.txt", "a 1 sad\nb\n"), tmp_path / "out")
    assert not (tmp_path / "out" / ENTRIES).exists() and not (tmp_path / "out" / REJECTED).exists()


def test_unknown_formats_missing_sources_and_options(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--from mer: expected one of merr, ncev, .*did you mean merr"):
        read("mer", tmp_path, tmp_path / "out")
    for kind in IMPORTS:
        with pytest.raises(ManifestError, match=f"expected a file or folder to import as {kind}, found nothing"):
            read(kind, tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(ValueError, match=r"subset: expected one of mer2023-train, .*found 'mer1999'"):
        ImportOptions(subset="mer1999")


def test_mer_csv_known_files_tell_the_side(tmp_path: Path) -> None:
    write(tmp_path / "mer" / "train-label.csv", "name,discrete,valence\na,worried,-2.5\n")
    write(tmp_path / "mer" / "train" / "a.mp4")
    for source in (tmp_path / "mer", tmp_path / "mer" / "train-label.csv"):
        (found,) = read("mer-csv", source, tmp_path / source.name)
        assert (found.clip.emotion, found.clip.valence, found.part) == ("worried", -2.5, "train")
        assert found.clip.path == tmp_path / "mer" / "train" / "a.mp4"
    write(tmp_path / "mer" / "test1-label.csv", "name,discrete,valence\nb,happy,1\n")
    with pytest.raises(UsageError, match="holds mer2023-train, mer2023-multi: name one with --subset"):
        read("mer-csv", tmp_path / "mer", tmp_path / "both")
    (found,) = read("mer-csv", tmp_path / "mer", tmp_path / "multi", subset="mer2023-multi")
    assert (found.name, found.part) == ("b", "test")


def test_mer_csv_of_another_name_keeps_its_words(tmp_path: Path) -> None:
    text = "name,discrete,valence\na,Aufgeregt,\nb,happy,2\n"
    first, second = read("mer-csv", write(tmp_path / "mine.csv", text), tmp_path / "out")
    assert (first.clip.emotion, first.clip.valence, second.clip.valence) == ("Aufgeregt", None, 2.0)
    opened = write(tmp_path / "track2_train_human.csv", "name,openset\nc,\"['happy', 'shy']\"\n")
    (found,) = read("mer-csv", opened, tmp_path / "open")
    assert (found.clip.labels, found.clip.emotion) == (("happy", "shy"), None)
    with pytest.raises(ManifestError, match=r"bad.csv:2: expected the columns name and discrete \(or openset\)"):
        read("mer-csv", write(tmp_path / "bad.csv", "name,label\na,sad\n"), tmp_path / "bad")


def test_emer(tmp_path: Path) -> None:
    write(tmp_path / "gt-eng.csv", "names,emotions,subtitles,reasons\ns1,angry,No!,He shouts.\n")
    (found,) = read("emer", tmp_path, tmp_path / "out")
    assert (found.clip.emotion, found.clip.transcript, found.clip.reasoning) == ("angry", "No!", "He shouts.")
    write(tmp_path / "final-EMER-reason.csv", "name,chinese,english\ns2,他喊,He shouts.\n")
    (found,) = read("emer", tmp_path, tmp_path / "two", version=2, language="chinese")
    assert (found.name, found.clip.reasoning) == ("s2", "他喊")


def test_dfew_with_both_sides(tmp_path: Path) -> None:
    for side, row in (("train", "00002,4"), ("test", "1,7")):
        write(tmp_path / "EmoLabel_DataSplit" / f"{side}(single-labeled)" / "set_3.csv", f"video_name,label\n{row}\n")
    found = read("dfew", tmp_path, tmp_path / "out", fold="3")
    assert [(one.name, one.clip.emotion, one.part) for one in found] == [("2", "angry", "train"), ("1", "fear", "test")]


MELD = "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\nOh\u0092s,Joey,joy,0,1\n"


def test_meld_sides_that_are_there(tmp_path: Path) -> None:
    write(tmp_path / "dev_sent_emo.csv", MELD)
    write(tmp_path / "test_sent_emo.csv", MELD)
    write(tmp_path / "test" / "dia0_utt1.mp4")
    dev, test = read("meld", tmp_path, tmp_path / "out")
    assert (dev.name, dev.part, dev.clip.path, dev.clip.transcript) == ("dev/dia0_utt1", "validation", None, "Oh’s")
    assert (test.part, test.clip.emotion, test.source.licence) == ("test", "joy", "GPL-3.0")
    assert test.clip.path == tmp_path / "test" / "dia0_utt1.mp4"
    with pytest.raises(ManifestError, match=r"expected train_sent_emo.csv"):
        read("meld", write(tmp_path / "empty" / "x").parent, tmp_path / "none")


def test_ravdess_crema_d_and_emodb_by_the_projects_splits(tmp_path: Path) -> None:
    write(tmp_path / "ravdess" / "Actor_12" / "03-01-06-01-02-01-12.wav")
    write(tmp_path / "ravdess" / "Actor_12" / "03-02-06-01-02-01-12.wav")
    (found,) = read("ravdess", tmp_path / "ravdess", tmp_path / "one")
    assert (found.clip.emotion, found.clip.speaker, found.part) == ("fearful", "Actor_12", side("ravdess", "Actor_12"))
    assert found.source.licence == "CC BY-NC-SA 4.0"
    assert len(read("ravdess", tmp_path / "ravdess", tmp_path / "songs", song=True)) == 2

    write(tmp_path / "crema" / "AudioWAV" / "1001_DFA_ANG_XX.wav")
    (found,) = read("crema-d", tmp_path / "crema", tmp_path / "two")
    assert (found.name, found.clip.emotion, found.part) == ("1001_DFA_ANG_XX", "anger", side("crema_d", "C1001"))
    write(tmp_path / "crema" / "VideoFlash" / "1001_DFA_ANG_XX.flv")
    (found,) = read("crema-d", tmp_path / "crema", tmp_path / "three")
    assert found.clip.path is not None and found.clip.path.suffix == ".flv", "the face goes before the voice"

    write(tmp_path / "emodb" / "wav" / "03a01Fa.wav")
    (found,) = read("emodb", tmp_path / "emodb", tmp_path / "four")
    assert (found.clip.emotion, found.clip.speaker, found.part) == ("happy", "E03", side("emodb", "E03"))


def side(name: str, speaker: str) -> str | None:
    from emotion_llama.datasets import crema_d, emodb, ravdess
    from emotion_llama.datasets.splits import read_split

    split = {"ravdess": ravdess.SPLIT, "crema_d": crema_d.SPLIT, "emodb": emodb.SPLIT}[name]
    return read_split(split).side_of(speaker)
