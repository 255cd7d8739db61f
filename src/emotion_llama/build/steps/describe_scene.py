"""describe_scene: what the whole picture shows: a model that takes pictures says it, or plain measured facts."""

from __future__ import annotations

import base64

import cv2

from emotion_llama.build.entry import Entry, Written
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Place, Reject, Step, StepSettings
from emotion_llama.clip import Observation
from emotion_llama.errors import MediaError
from emotion_llama.media.types import Frame
from emotion_llama.perception.scene import describe_scene

PROMPT_VERSION = "scene-1"
QUESTION = (
    "Describe in one or two plain sentences what this picture shows: the person, what they do, where they are. "
    "Name no emotion and guess at nothing that cannot be seen."
)
LONGEST_SIDE_PX = 768


class DescribeSceneSettings(StepSettings):
    """`endpoint`: which of the build's endpoints sees the peak frame; `None`: light, sharpness, place of the face."""

    endpoint: str | None = None


def tell_scene(entry: Entry, settings: DescribeSceneSettings, look: Look) -> Found | Reject:
    """Describe the peak frame. Raises `EndpointError` when the endpoint gives no usable answer."""
    if entry.peak is None or entry.peak.time_s is None:
        return Found(words="no picture to describe")
    frame = look.frame(entry.peak.time_s)
    if settings.endpoint is not None:
        return _asked(frame, settings.endpoint, look)
    observations = tuple(_rounded(o) for o in describe_scene(frame, look.faces)) if look.faces is not None else ()
    text = _sentence([o.text for o in observations])
    return Found(words=text, scene=Written(text=text, writer="measured"), observations=observations)


def _asked(frame: Frame, endpoint: str, look: Look) -> Found:
    parts = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": picture_url(frame)}}]
    answer = look.ask("describe_scene", endpoint, [{"role": "user", "content": parts}], plain_text)
    return Found(
        words=answer.value,
        scene=Written(text=answer.value, writer=answer.model, prompt_version=PROMPT_VERSION),
        observations=(Observation(channel="scene", text=answer.value, source=answer.model),),
    )


def picture_url(frame: Frame) -> str:
    """Give a frame as a JPEG data URI, at most 768 px on its longer side."""
    height, width = frame.rgb.shape[:2]
    scale = min(1.0, LONGEST_SIDE_PX / max(height, width))
    small = cv2.resize(frame.rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame.rgb
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not done:
        raise MediaError(f"the frame at {frame.time_s:.2f} s could not be written as JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"


def plain_text(text: str) -> str:
    """Give an answer as one line. Raises `ValueError` for an empty one."""
    line = " ".join(text.split())
    if not line:
        raise ValueError("expected a sentence, found an empty answer")
    return line


def _rounded(observation: Observation) -> Observation:
    times = {name: None if at is None else round(at, 3) for name, at in
             (("start_s", observation.start_s), ("end_s", observation.end_s))}  # fmt: skip
    return observation.model_copy(update=times)


def _sentence(texts: list[str]) -> str:
    text = ", ".join(texts)
    return f"{text[:1].upper()}{text[1:]}."


def _place(settings: DescribeSceneSettings) -> Place:
    return "worker" if settings.endpoint is None else "driver"


SCENE = Step(
    "describe_scene", "1", DescribeSceneSettings, tell_scene, reads=("faces", "peak_frame"), place=_place,
    models=lambda settings: () if settings.endpoint is None else (PROMPT_VERSION,),
)  # fmt: skip
