from __future__ import annotations

from pathlib import Path

import pytest

from emotion_llama.datasets.meld import has_clips, read_meld
from emotion_llama.errors import ManifestError

HEAD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
ROWS = (
    '1,"Why do all you\x92re coffee mugs, here,\nhave numbers?",Mark,surprise,positive,0,0,3,19,'
    '"00:14:38,127","00:14:40,378"\n'
    '2,It’s fine.,Rachel,joy,positive,0,1,3,19,"0:14:40,629","0:14:40,629"\n'
)


def table(folder: Path, text: str = HEAD + ROWS, word: str = "test") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{word}_sent_emo.csv").write_text(text, encoding="utf-8")
    return folder


def test_text(tmp_path: Path) -> None:
    first, second = read_meld(table(tmp_path), "test")
    assert (first.clip, first.speaker, first.emotion) == ("test/dia0_utt0", "Mark", "surprise")
    assert first.path is None
    assert first.transcript == "Why do all you’re coffee mugs, here,\nhave numbers?", "0x92 is a quote in cp1252"
    assert first.groups == {"language": "en", "season": "3", "sentiment": "positive", "duration_s": 2.251}
    assert second.transcript == "It’s fine." and "duration_s" not in second.groups, "a line without length has none"
    assert first.start_s is None, "the times are the episode's, not the clip's"


def test_validation_is_dev_and_may_lie_in_its_folder(tmp_path: Path) -> None:
    table(tmp_path / "dev", word="dev")
    assert read_meld(tmp_path, "validation")[1].clip == "dev/dia0_utt1"


@pytest.mark.parametrize("place", ["test/output_repeated_splits_test", "output_repeated_splits_test", "test"])
def test_clips_and_a_missing_one(tmp_path: Path, place: str) -> None:
    table(tmp_path)
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "dia0_utt0.mp4").touch()
    first, second = read_meld(tmp_path, "test", clips=True)
    assert first.path == tmp_path / place / "dia0_utt0.mp4" and first.path.is_file()
    assert second.path == tmp_path / place / "dia0_utt1.mp4" and not second.path.exists()
    assert has_clips(tmp_path, "test") and not has_clips(tmp_path, "train")


def test_no_clips_at_all(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"expected clips as dia0_utt0.mp4 in test/"):
        read_meld(table(tmp_path), "test", clips=True)
    with pytest.raises(ManifestError, match=r"expected train_sent_emo.csv"):
        read_meld(tmp_path, "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "expected one utterance a line"),
        (HEAD + ROWS.replace("joy", "bliss"), "csv:4: expected Emotion among .*found 'bliss'"),
        (HEAD + ROWS.replace("Mark,surprise,positive,0,0", "Mark,surprise,positive,0,first"), "csv:2: .*'first'"),
        (HEAD + ROWS.replace("00:14:38,127", "14 min"), "csv:2: expected a time as 00:20:57,256, found '14 min'"),
        (HEAD.replace("Speaker", "Who") + ROWS, "missing Speaker"),
    ],
)
def test_damaged_tables(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_meld(table(tmp_path, text), "test")
