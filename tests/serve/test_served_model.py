"""The real model behind the real service."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")

if TYPE_CHECKING:
    from emotion_llama import EmotionLlama

pytestmark = [pytest.mark.weights, pytest.mark.slow]


def test_the_service_says_what_the_command_says_and_looks_once(
    open_client: Callable[..., Any], nano: EmotionLlama, model_name: str, faces_picture: Path
) -> None:
    from emotion_llama import assets
    from emotion_llama.serve.served_model import ServedModel

    path = assets.path("sample-speech") / "obama_speech.mp4"
    client = open_client(ServedModel(model_name, "cpu"))
    changes = {"end_s": 3.0, "labels": "mer6", "tasks": "emotion,reason"}
    with path.open("rb") as file:
        sent = client.post("/v1/analyze", files={"clip": ("obama_speech.mp4", file)}, data=changes)
    assert sent.status_code == 200, sent.text
    told = sent.json()

    from emotion_llama.clip import Clip
    from emotion_llama.labels import LABEL_SETS
    from emotion_llama.settings import AnalyzeSettings

    clip = Clip(clip="obama_speech.mp4", path=path, end_s=3.0)
    own = nano.examine(clip, AnalyzeSettings(labels=LABEL_SETS["mer6"])).analysis.model_dump(mode="json")
    own["provenance"].pop("model"), told["provenance"].pop("model")
    assert own.pop("timings_s").keys() == told.pop("timings_s").keys()
    assert told == own

    uri = "data:image/jpeg;base64," + base64.b64encode(faces_picture.read_bytes()).decode()
    seen = []
    for question in ("[detection] face", "[emotion] Which?", "[reason] Why?"):
        parts = [{"type": "image_url", "image_url": {"url": uri}}, {"type": "text", "text": question}]
        body = {"model": client.app.state.service.model.name, "messages": [{"role": "user", "content": parts}]}
        answer = client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        seen.append(answer.json())
    boxes, label, reason = (one["choices"][0]["message"]["content"] for one in seen)
    assert boxes.startswith("<p>face</p> {<") and label in LABEL_SETS["mer9"] and len(reason) > 20
    # the reason was asked of what was perceived for the emotion: nothing was looked at or encoded again
    again = seen[2]["analysis"]["timings_s"]
    assert {"faces", "global encoder"} <= set(seen[1]["analysis"]["timings_s"])
    assert not {"probe", "faces", "global encoder", "face rows"} & set(again)


def test_faces_are_shares_of_the_picture_and_the_card_is_whole(faces_picture: Path, model_name: str) -> None:
    from emotion_llama.serve.served_model import ServedModel

    model = ServedModel(model_name, "cpu")
    from emotion_llama.analyze.stopwatch import Stopwatch
    from emotion_llama.clip import Clip
    from emotion_llama.settings import AnalyzeSettings

    found = model.lookers[0].faces(Clip(clip="a", path=faces_picture), AnalyzeSettings(), Stopwatch())
    boxes = found.boxes
    assert found.rgb is not None and found.rgb.dtype.name == "uint8" and found.rgb.shape[2] == 3
    assert len(boxes) == 5 and all(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 for x0, y0, x1, y1 in boxes)
    hidden = model.lookers[0].faces(Clip(clip="a", path=faces_picture), AnalyzeSettings(blur_faces=True), Stopwatch())
    assert hidden.boxes == boxes and hidden.rgb is not None and (hidden.rgb != found.rgb).any()
    assert "/" not in model.name and model.card()["weights_sha256"]


def test_a_face_that_was_found_at_two_sizes_is_one() -> None:
    from emotion_llama.serve.served_model import distinct

    tight, loose, other = (0.4, 0.4, 0.5, 0.5), (0.35, 0.3, 0.6, 0.6), (0.61, 0.4, 0.7, 0.5)
    assert distinct([tight, loose, other]) == (tight, other)
    assert distinct([loose, other, tight]) == (loose, other)
    assert distinct([]) == ()
