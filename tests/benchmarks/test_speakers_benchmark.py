"""Who speaks in made films: how answers are counted, and a small film looked at for real."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from emotion_llama.measurements import FaceMeasures, Turn
from tests.perception.talking import still, talker

Script = Callable[[str], ModuleType]


def test_right_mixed_and_split_are_counted(script: Script) -> None:
    speakers = script("speakers")
    places = ((0.0, 4.0, {"man": (0.0, 0.5), "speaker": (0.5, 1.0)}),)
    film = speakers.Film([], np.zeros(0), ((0.0, 1.0, "man"), (2.0, 4.0, "speaker")), places)
    people = (talker(0, still, 4.0, 100.0), talker(1, still, 4.0, 300.0))
    faces = FaceMeasures(60, people, 0, None, None, None, None)
    turns = (Turn(0.0, 1.0, 0), Turn(2.0, 3.0, 1), Turn(3.0, 4.0, None))
    found = speakers.score(film, faces, turns, 400.0)
    assert (found.speech_s, found.right) == (pytest.approx(3.0), pytest.approx(2 / 3, abs=0.02))
    assert (found.nobody, found.other) == (pytest.approx(1 / 3, abs=0.02), pytest.approx(0.0, abs=1e-9))
    assert speakers.score(film, faces, (Turn(0.0, 4.0, 1),), 400.0).other == pytest.approx(1 / 3, abs=0.02)
    assert (found.people, found.mixed, found.split) == (2, 0, 0)
    moved = speakers.Film([], np.zeros(0), film.speaks, ((0.0, 2.0, places[0][2]), (2.0, 4.0, {"man": (0.5, 1.0)})))
    assert speakers.score(moved, faces, turns, 400.0).mixed == 1  # number 1 was the speaker, then the man


def test_without_the_research_data_it_says_so(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script("speakers").main(["--data", str(tmp_path)]) == 2
    assert "expected at least 8 talking-face clips of RAVDESS" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.shared
def test_two_people_across_a_cut_keep_their_numbers(script: Script, model_name: str, tmp_path: Path) -> None:
    from emotion_llama import assets
    from emotion_llama.perception.expression import ExpressionNet
    from emotion_llama.perception.see import FaceReader

    folder = Path(os.environ.get("EMOTION_LLAMA_DATA", "")) / "ravdess_av" / "full"
    clips = sorted(folder.glob("*.mp4"))
    if "EMOTION_LLAMA_DATA" not in os.environ or not clips:
        pytest.skip("needs EMOTION_LLAMA_DATA with ravdess_av/full (talking-face clips)")
    speakers = script("speakers")
    speech = assets.path("sample-speech") / "obama_speech.mp4"
    takes = [
        speakers.read_take(speakers.MAN, clips[0]),
        speakers.read_take(speakers.SPEAKER, speech, speakers.SPEAKER_PIECES_S[0], speakers.SPEAKER_VIEW_PX),
    ]
    net = ExpressionNet(assets.path("face-expression"))
    reader = FaceReader(assets.path("blazeface-short-range"), assets.path("face-mesh"), None, net.grid)
    found = speakers.measure(speakers.conversation(takes, speakers.still, swapped=True), reader, tmp_path)
    assert (found.people, found.mixed, found.split) == (2, 0, 0)
    assert found.right > 0.9
