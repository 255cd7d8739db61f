from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("prometheus_client", reason="chat needs emotion-llama[serve]")

from emotion_llama.errors import MediaError, UsageError
from emotion_llama.serve.chat_command import chat


def typed(*lines: str) -> Callable[[str], str]:
    left: Iterator[str] = iter(lines)

    def read(prompt: str) -> str:
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    return read


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    from PIL import Image

    path = tmp_path / "a.png"
    Image.new("RGB", (32, 32)).save(path)
    return path


def test_questions_are_answered_in_turn_and_labels_hold(
    picture: Path, fakes: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    model = fakes.FakeModel()
    lines = (
        "/labels mer6",
        "[emotion] Which?",
        "[reason] Why?",
        "[detection] face",
        "How old?",
        "/history",
        "/quit",
        "x",
    )
    chat(picture, None, lambda: model, typed(*lines))
    out = capsys.readouterr().out
    assert "neutral\n(neutral 29%, angry 14%, happy 14%)" in out  # 2/7 and 1/7 of six labels
    assert "reason of" in out and "{<25><10><50><40>}" in out and "cannot answer free questions" in out
    assert out.count("> [reason] Why?\nreason of") == 1 and model.begun == 2


def test_words_alone_and_mistakes_do_not_end_it(fakes: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ("[emotion]", "/labels nonsense-set", "/words break", "[emotion]", "/words fine", "[emotion]", "/what")
    chat(None, None, fakes.FakeModel, typed(*lines))
    out = capsys.readouterr().out
    assert "nothing to judge yet" in out and "the service failed" in out and "secret" not in out
    assert "neutral" in out.split("the service failed")[1] and "Commands:" in out


def test_no_recording_and_no_model_are_told(tmp_path: Path, fakes: SimpleNamespace) -> None:
    with pytest.raises(MediaError, match=r"none\.mp4"):
        chat(tmp_path / "none.mp4", None, fakes.FakeModel, typed())

    def broken() -> None:
        raise UsageError("no such preset")

    with pytest.raises(UsageError, match="no such preset"):
        chat(None, None, broken, typed("[emotion]"))  # type: ignore[arg-type]
