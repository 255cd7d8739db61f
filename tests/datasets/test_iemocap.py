from __future__ import annotations

from pathlib import Path

import pytest

from emotion_llama.datasets.iemocap import read_iemocap
from emotion_llama.errors import ManifestError

TURNS = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
A-E3:\tval 3; act 2; dom  2;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M001\texc\t[4.5000, 2.5000, 2.5000]

[14.8872 - 18.0175]\tSes01F_impro01_M002\tfru\t[2.5000, 2.5000, 2.5000]

[19.2900 - 20.7875]\tSes01F_impro01_F003\txxx\t[2.5000, 3.0000, 3.0000]
"""
SCRIPT = "[1.0 - 2.5]\tSes01M_script01_1b_F010\tang\t[1.0000, 4.0000, 4.0000]\n"


def session(folder: Path, turns: str = TURNS) -> Path:
    place = folder / "Session1" / "dialog"
    for name in ("EmoEvaluation/Attribute", "transcriptions"):
        (place / name).mkdir(parents=True)
    (place / "EmoEvaluation/Ses01F_impro01.txt").write_text(turns)
    (place / "EmoEvaluation/Ses01M_script01_1b.txt").write_text(SCRIPT)
    (place / "EmoEvaluation/Attribute/Ses01F_impro01_e1_atr.txt").write_text("[not a turn\n")
    (place / "transcriptions/Ses01F_impro01.txt").write_text(
        "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\nF: (a note without times)\n"
    )
    return folder


def test_four_classes_with_who_speaks(tmp_path: Path) -> None:
    neutral, excited, angry = read_iemocap(session(tmp_path), "1")
    assert (neutral.clip, neutral.emotion, neutral.valence) == ("Ses01F_impro01_F000", "neutral", 2.5)
    assert neutral.transcript == "Excuse me." and neutral.path is None
    assert neutral.groups == {"sex": "female", "setting": "improvised", "language": "en", "duration_s": 1.9456}
    assert (excited.emotion, excited.speaker, excited.groups["sex"]) == ("happy", "Ses01M", "male")
    assert excited.transcript is None
    assert (angry.speaker, angry.emotion, angry.groups["setting"]) == ("Ses01F", "angry", "scripted")


def test_sound_of_the_turns(tmp_path: Path) -> None:
    wav = session(tmp_path) / "Session1/sentences/wav"
    wav.mkdir(parents=True)
    paths = [clip.path for clip in read_iemocap(tmp_path, "1")]
    assert paths[0] == wav / "Ses01F_impro01/Ses01F_impro01_F000.wav"
    assert paths[2] == wav / "Ses01M_script01_1b/Ses01M_script01_1b_F010.wav"


@pytest.mark.parametrize(
    ("old", "new"), [("\tneu\t", "\tbad\t"), ("[6.2901 - 8.2357]", "[6.2901 8.2357]"), ("F000\t", "X000\t")]
)
def test_a_line_of_another_form_is_named(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(ManifestError, match=r"impro01.txt:3: expected \[start - end\], turn"):
        read_iemocap(session(tmp_path, TURNS.replace(old, new)), "1")


def test_turns_backwards_and_sessions_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="must end after it starts"):
        read_iemocap(session(tmp_path, TURNS.replace("8.2357", "6.2901")), "1")
    with pytest.raises(ManifestError, match=r"expected Session2/dialog/EmoEvaluation/Ses\*.txt"):
        read_iemocap(tmp_path, "2")
    with pytest.raises(ManifestError, match="sessions 1, 2, 3, 4, 5; found '9'"):
        read_iemocap(tmp_path, "9")
