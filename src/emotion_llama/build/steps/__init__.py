"""The steps of the pipeline, one small file each; here the plain table of them."""

from __future__ import annotations

from emotion_llama.build.step import Step
from emotion_llama.build.steps.action_units import UNITS
from emotion_llama.build.steps.balance import BALANCE
from emotion_llama.build.steps.coarse_label import COARSE
from emotion_llama.build.steps.coarse_text import COARSE_TEXT
from emotion_llama.build.steps.consistency import CONSISTENCY
from emotion_llama.build.steps.dedupe import DEDUPE
from emotion_llama.build.steps.describe_face import FACE
from emotion_llama.build.steps.describe_scene import SCENE
from emotion_llama.build.steps.describe_voice import VOICE
from emotion_llama.build.steps.faces import FACES
from emotion_llama.build.steps.peak_frame import PEAK
from emotion_llama.build.steps.preview import PREVIEW
from emotion_llama.build.steps.probe import PROBE
from emotion_llama.build.steps.refine import REFINE
from emotion_llama.build.steps.split import SPLIT
from emotion_llama.build.steps.transcribe import WORDS
from emotion_llama.build.whole import WholeStep

STEPS: dict[str, Step | WholeStep] = {
    step.name: step
    for step in (
        PROBE, FACES, UNITS, PEAK, COARSE, FACE, SCENE, VOICE, WORDS, COARSE_TEXT, REFINE, CONSISTENCY, PREVIEW,
        DEDUPE, BALANCE, SPLIT,
    )
}  # fmt: skip
